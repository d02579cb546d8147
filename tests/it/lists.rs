//! The dashboard's figures, the lists, their files, the search and the time zone, as a browser sees them.

use crate::support::{
    app::{Shop, TestApp},
    browser::Browser,
    merchant::FakeMerchant,
    message::Message,
    until,
};
use quittance::domain::{
    DeliveryState, Role,
    pages::{
        bulk::{BulkState, BulkTarget},
        dashboard::Matter,
        deliveries::{DeliveryFilter, StateFilter},
    },
};
use std::time::Duration;

async fn people(app: &TestApp, shop: &Shop, other: &Shop) -> [Browser; 3] {
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("support@example.com", Role::Support, &[shop]).await;
    app.user("other@example.com", Role::Merchant, &[other]).await;
    let mut browsers = Vec::new();
    for name in ["admin", "support", "other"] {
        browsers.push(Browser::signed_in(app.address, &format!("{name}@example.com")).await);
    }
    browsers.try_into().ok().unwrap()
}

/// The lines of a file in CSV whose cells hold no line breaks.
fn lines(text: &str) -> Vec<&str> {
    assert!(text.ends_with("\r\n"), "{text:?}");
    text.trim_end().split("\r\n").collect()
}

#[tokio::test]
async fn the_dashboard_tells_what_needs_somebody_and_draws_the_day() {
    let app = TestApp::start().await;
    let merchant = FakeMerchant::confirming().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let [_, mut support, _] = people(&app, &shop, &other).await;
    let page = support.get("/m/shop").await.text();
    assert!(page.contains("Nothing has come in at"), "{page}");
    assert!(page.contains("There is no notification URL"), "{page}");
    assert!(!page.contains("class=\"chart\""), "there is nothing to draw");

    let url = shop.url_as(&merchant.url(), |draft| draft.label = "<i>Main</i>".to_owned()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    shop.post_signed(&Message::small("2", "COMPLETE", "20260301120009"), &[]).await;
    let page = support.get("/m/shop").await.text();
    assert!(page.contains("class=\"chart\"") && page.contains("Accepted notifications: 1. Confirmed deliveries: 1."), "{page}");
    assert!(page.contains("refused 1 message in the last 24 hours. Mostly: No signature."), "{page}");
    assert!(page.contains("/m/shop/inbound?outcome=refused&amp;listener="), "a way to see them");
    assert!(page.contains("There is no default URL") && !page.contains("Nothing has come in"), "{page}");
    assert!(page.contains("100 %") && page.contains("1 of 1 attempt were confirmed") && page.contains(" / "), "{page}");
    assert!(!page.contains("<i>Main</i>"));

    let dashboard = app.services.dashboard(std::slice::from_ref(&shop.merchant)).await.unwrap();
    assert_eq!(dashboard.hours.len(), 24);
    assert!(dashboard.hours.windows(2).all(|pair| pair[1].from.since(pair[0].from) == Duration::from_secs(3_600)));
    assert_eq!(dashboard.hours[23].accepted, 1);
    let ends_at = dashboard.as_of.plus(Duration::from_secs(86_400 * 13));
    app.services.store.note_certificate(url, merchant.url(), ends_at).await.unwrap();
    let page = support.get("/m/shop").await.text();
    assert!(page.contains("The certificate of") && page.contains("Certificate: 12 days left"), "{page}");
    let later = dashboard.as_of.plus(Duration::from_secs(86_400 * 15));
    app.services.store.note_certificate(url, merchant.url(), later).await.unwrap();
    let dashboard = app.services.dashboard(std::slice::from_ref(&shop.merchant)).await.unwrap();
    assert!(!dashboard.matters.iter().any(|matter| matches!(matter, Matter::Certificate { .. })), "that is time enough");
    let page = support.get("/m/shop").await.text();
    assert!(page.contains("Everything is delivered"), "{page}");
    let held = shop.url_as(&format!("{}?held", merchant.url()), |draft| draft.held = true).await;
    let order = shop.order("3").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    shop.wait_for_state(order, held, DeliveryState::Held).await;
    let page = support.get("/m/shop").await.text();
    assert!(page.contains("1 delivery is kept back") && !page.contains("Everything is delivered"), "{page}");
}

#[tokio::test]
async fn what_came_in_is_listed_with_its_reason_and_cure() {
    let app = TestApp::start().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let [mut admin, mut support, mut stranger] = people(&app, &shop, &other).await;
    shop.order("<b>9</b>").await;
    shop.order("<b>9</b>").await;
    shop.post_signed(&Message::small("2", "COMPLETE", "20260301120009"), &[]).await;
    crate::support::gateway::post(app.address, "/ipn/wrong", "REFNO=77").await;

    let page = support.get("/m/shop/inbound").await.text();
    assert!(page.contains("No signature") && page.contains("Switch signatures on for this address"), "{page}");
    assert!(page.contains("Repeated") && page.contains("came again 1 time"), "{page}");
    assert!(!page.contains("<b>9</b>") && !page.contains("REFNO=77"));
    let page = support.get("/m/shop/inbound?outcome=refused").await.text();
    assert!(page.contains("No signature") && !page.contains("came again"), "{page}");
    let page = support.get("/m/shop/inbound?reason=nonsense&from=x").await.text();
    assert!(page.contains("There is no such choice") && page.contains("Enter a day as"), "{page}");
    assert_eq!(stranger.get("/m/shop/inbound").await.status, 404);

    assert_eq!(support.get("/unknown").await.status, 403);
    let page = admin.get("/unknown").await.text();
    let at = page.find("href=\"/unknown/").expect("a link to the message") + "href=\"".len();
    let address = page[at..].split('"').next().unwrap().to_owned();
    assert!(admin.get(&address).await.text().contains("REFNO=77"));
    assert_eq!(support.get(&address).await.status, 403);
}

#[tokio::test]
async fn lists_are_taken_along_as_files_of_any_length() {
    let app = TestApp::start().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let [_, mut support, mut stranger] = people(&app, &shop, &other).await;
    // Nothing is sent: more rows than are read at a time.
    shop.url_as("http://127.0.0.1:9/ipn", |draft| {
        draft.held = true;
        draft.label = "=HYPERLINK(\"http://evil.example\")".to_owned();
    })
    .await;
    for number in 0..501 {
        let reference = if number == 500 { "@SUM(1,2)".to_owned() } else { format!("R{number}") };
        shop.post_signed(&Message::small(&reference, "COMPLETE", "20260301120009"), &["md5"]).await;
    }
    shop.order("@SUM(1,2)").await;
    let reply = support.get("/m/shop/deliveries.csv").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/csv; charset=utf-8; header=present"));
    assert!(reply.header("content-disposition").starts_with("attachment; filename=\"shop-deliveries-20"), "{reply:?}");
    let text = reply.text();
    let rows = lines(&text);
    assert_eq!(rows.len(), 502);
    assert!(rows[0].starts_with("delivery,notification,order,status,test,"), "{}", rows[0]);
    assert!(rows[1].contains(",\"'@SUM(1,2)\",COMPLETE,false,\"'=HYPERLINK(\"\"http://evil.example\"\")\","), "{}", rows[1]);
    let marked = support.get("/m/shop/deliveries.csv?text=R499&mark=1").await;
    assert!(marked.body.starts_with("\u{feff}delivery,".as_bytes()), "{marked:?}");
    assert_eq!(lines(&marked.text()).len(), 2);
    let inbound = support.get("/m/shop/inbound.csv?outcome=repeated").await.text();
    assert_eq!(lines(&inbound).len(), 2, "{inbound}");
    assert!(inbound.contains("+00:00,Shop,accepted,,,\"'@SUM(1,2)\""), "{inbound}");
    assert_eq!(lines(&support.get("/m/shop/inbound.csv").await.text()).len(), 502);

    let orders = support.get("/m/shop/orders.csv").await;
    assert!(orders.header("content-disposition").starts_with("attachment; filename=\"shop-orders-20"), "{orders:?}");
    let text = orders.text();
    let rows = lines(&text);
    assert_eq!(rows.len(), 502, "more than a page and more than a step");
    assert!(rows[0].starts_with("order,external_reference,gateway,status,gateway_status,amount,currency,"), "{}", rows[0]);
    assert!(rows[1].starts_with("\"'@SUM(1,2)\",") && rows[1].contains(",paid,COMPLETE,"), "{}", rows[1]);
    let mut references: Vec<_> = rows[2..].iter().map(|row| row.split(',').next().unwrap()).collect();
    references.sort_unstable();
    references.dedup();
    assert_eq!(references.len(), 500, "each once");
    assert_eq!(lines(&support.get("/m/shop/orders.csv?text=R499&status=paid").await.text()).len(), 2);
    assert_eq!(lines(&support.get("/m/shop/orders.csv?status=refunded&after=nonsense").await.text()).len(), 1);
    for wrong in ["status=nonsense", "from=yesterday", "test=perhaps"] {
        assert_eq!(support.get(&format!("/m/shop/orders.csv?{wrong}")).await.status, 400, "{wrong}: not a longer list");
    }
    assert_eq!(stranger.get("/m/shop/orders.csv").await.status, 404);
    let page = support.get("/m/shop/orders?status=paid").await.text();
    assert!(page.contains("/m/shop/orders.csv?status=paid&amp;mark=1"), "the page offers it: {page}");

    let mut packing = support.clone();
    packing.headers.push(("accept-encoding", "gzip".to_owned()));
    let packed = packing.get("/m/shop/deliveries.csv").await;
    assert_eq!((packed.status, packed.header("content-encoding")), (200, "gzip"), "compressed to its end");
    assert!(packed.body.len() > 1_000);

    assert_eq!(support.get("/m/shop/deliveries.csv?state=nonsense").await.status, 400, "not a longer list");
    assert_eq!(stranger.get("/m/shop/deliveries.csv").await.status, 404);
    assert_eq!(Browser::new(app.address).get("/m/shop/deliveries.csv").await.status, 303);
    let dump = app.dump().await;
    assert!(dump.contains("list.export") && dump.contains("?text=R499"), "who took what along is noted");
}

#[tokio::test]
async fn a_search_lists_what_it_finds_and_opens_the_only_hit() {
    let app = TestApp::start().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let [mut admin, mut support, mut stranger] = people(&app, &shop, &other).await;
    let order = shop.order("4711-a").await;
    shop.order("4711-b").await;
    shop.url("https://scripts.example.com/ipn.php").await;
    let page = support.get("/search?text=4711").await;
    assert!(page.status == 200 && page.text().contains("4711-a") && page.text().contains("4711-b"), "{page:?}");
    let page = support.get("/search?text=4711-a").await;
    assert_eq!((page.status, page.header("location")), (302, format!("/m/shop/orders/{order}").as_str()));
    let page = support.get("/search?text=IPN.PHP").await;
    assert!(page.header("location").starts_with("/m/shop/settings/urls/"), "{page:?}");
    let page = admin.get("/search?text=shop").await.text();
    assert!(page.contains("Merchants") && page.contains("Listeners"), "{page}");
    let page = stranger.get("/search?text=4711").await.text();
    assert!(page.contains("Nothing fits") && !page.contains("4711-a"), "{page}");
    let page = support.get("/search?text=%3Cscript%3Ealert(1)%3C/script%3E").await.text();
    assert!(page.contains("Nothing fits") && !page.contains("<script>alert"), "{page}");
    assert!(support.get("/search").await.text().contains("Find anything"));
    assert_eq!(support.get(&format!("/search?text={}", "x".repeat(400))).await.status, 400);
}

#[tokio::test]
async fn views_are_kept_under_a_name_and_can_be_sent_to_others() {
    let app = TestApp::start().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let [_, mut support, mut stranger] = people(&app, &shop, &other).await;
    let save = |name: &'static str, query: &'static str| {
        [("merchant", "shop"), ("list", "deliveries"), ("name", name), ("query", query)]
    };
    let reply = support.form("/rpc/views/save", &save("<Late>", "?state=expired&evil=1")).await;
    assert_eq!((reply.status, reply.header("location")), (302, "/m/shop/deliveries?state=expired&evil=1"));
    let page = support.get("/m/shop/deliveries").await.text();
    assert!(page.contains("href=\"/m/shop/deliveries?state=expired\"") && page.contains("&lt;Late&gt;"), "{page}");
    support.form("/rpc/views/save", &save(" ", "?state=expired")).await;
    assert!(support.get("/m/shop/deliveries?state=expired&test=none").await.text().contains("Enter a name for the view"));
    support.form("/rpc/views/save", &save("Nothing", "?state=nonsense")).await;
    assert!(support.get("/m/shop/deliveries?state=failed").await.text().contains("Filter the list first"));
    assert!(stranger.form("/rpc/views/save", &save("Mine", "?state=held")).await.status == 302);
    assert!(!app.dump().await.contains("Mine"), "a merchant of others");
    let page = support.get("/m/shop/deliveries?state=expired").await.text();
    let id = page.split("name=\"view\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    support.form("/rpc/views/remove", &[("merchant", "shop"), ("list", "deliveries"), ("view", id)]).await;
    assert!(!support.get("/m/shop/deliveries").await.text().contains("&lt;Late&gt;"));
}

#[tokio::test]
async fn times_are_told_by_the_clock_of_the_merchant() {
    let (app, _hand) = TestApp::start_on_manual_clock().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let [mut admin, mut support, mut owner] = people(&app, &shop, &other).await;
    shop.post_signed(&Message::small("2", "COMPLETE", "20260301120009"), &[]).await;
    let refusal = app.services.listener_page(&shop.merchant, shop.listener_id(), true).await.unwrap().refused[0].id;
    let page = format!("/m/shop/refused/{refusal}");
    assert!(support.get(&page).await.text().contains("2026-03-01 12:00:00"));
    let set = |merchant: &'static str, zone: &'static str| [("merchant", merchant), ("time_zone", zone)];
    support.form("/rpc/merchants/time-zone", &set("shop", "Asia/Ho_Chi_Minh")).await;
    owner.form("/rpc/merchants/time-zone", &set("shop", "Asia/Ho_Chi_Minh")).await;
    assert!(support.get(&page).await.text().contains("12:00:00"), "neither of them may");
    admin.form("/rpc/merchants/time-zone", &set("shop", "Asia/Ho_Chi_Minh")).await;
    let text = support.get(&page).await.text();
    assert!(
        text.contains("2026-03-01 19:00:00") && text.contains("+07:00") && text.contains("title=\"Asia/Ho_Chi_Minh\""),
        "{text}"
    );
    assert!(support.get("/m/shop").await.text().contains("since midnight (Asia/Ho_Chi_Minh)"));
    assert!(owner.get("/m/other").await.text().contains("since midnight (UTC)"));
    assert!(support.get("/m/shop/inbound.csv").await.text().contains("2026-03-01T19:00:00+07:00"));
    admin.form("/rpc/merchants/time-zone", &set("shop", "Mars/Phobos")).await;
    let text = admin.get("/m/shop/settings/time-zone").await.text();
    assert!(text.contains("There is no such time zone") && text.contains("value=\"Mars/Phobos\""), "{text}");
}

#[tokio::test]
async fn days_and_moments_are_those_of_the_merchant() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    // Three in the morning of the second of March in Vietnam, and still the first in UTC.
    hand.advance(Duration::from_secs(8 * 3_600));
    let [mut admin, ..] = people(&app, &shop, &other).await;
    admin.form("/rpc/merchants/time-zone", &[("merchant", "shop"), ("time_zone", "Asia/Ho_Chi_Minh")]).await;
    let log = async |browser: &mut Browser, page: &str, day: &str| {
        let page = browser.get(&format!("{page}?action=merchant.time-zone&from={day}&until={day}")).await.text();
        page.contains("<strong>Changed the time zone")
    };
    assert!(log(&mut admin, "/m/shop/audit", "2026-03-02").await && !log(&mut admin, "/m/shop/audit", "2026-03-01").await);
    assert!(log(&mut admin, "/audit", "2026-03-01").await, "of all merchants the days are those of UTC");
    assert!(admin.get("/m/shop/audit?from=2026-13-45").await.text().contains("Enter a day as 2026-11-21."));
    for page in ["deliveries", "resends/new"] {
        let text = admin.get(&format!("/m/shop/{page}?state=failed&since=2026-03-02T03:00")).await.text();
        assert!(text.contains("Ended since (Asia/Ho_Chi_Minh)") && text.contains("value=\"2026-03-02T03:00\""), "{text}");
        let exact = admin.get(&format!("/m/shop/{page}?state=failed&since=2026-03-01T20:00:00Z")).await.text();
        assert!(exact.contains("value=\"2026-03-02T03:00\""), "an address means the same everywhere: {exact}");
    }
    let mail = admin.get("/m/shop/settings/mail?status=paid").await.text();
    let draft = [("merchant", "shop"), ("status", "paid"), ("subject", "Of {date}"), ("text", "Paid on {date}.")];
    let draft = admin.form("/m/shop/settings/mail", &draft).await.text();
    assert!(draft.contains("Paid on 2026-03-02."), "{mail} {draft}");
}

#[tokio::test]
async fn a_bulk_resend_can_be_stopped_before_it_starts() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let merchant = FakeMerchant::confirming().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let [_, mut support, _] = people(&app, &shop, &other).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    let filter = DeliveryFilter { state: Some(StateFilter::Confirmed), ..DeliveryFilter::default() };
    let start = async |key: &str| {
        let grace = Duration::from_secs(10);
        app.services.start_bulk(&shop.merchant, &filter, BulkTarget::Same, key.to_owned(), "test", grace).await.unwrap()
    };
    let stopped = start("a").await;
    let page = support.get(&format!("/m/shop/resends/{stopped}")).await.text();
    assert!(page.contains("Starts in 1") && page.contains("Stop it"), "{page}");
    let form = [("merchant", "shop"), ("bulk", &stopped.to_string())];
    support.form("/rpc/bulk/cancel", &form).await;
    let later = start("b").await;
    hand.advance(Duration::from_secs(11));
    until("the second to be done", || async {
        let page = app.services.bulk_page(&shop.merchant, later, true).await.unwrap();
        (page.job.state == BulkState::Done).then_some(())
    })
    .await;
    let page = app.services.bulk_page(&shop.merchant, stopped, true).await.unwrap();
    assert_eq!((page.job.state, page.job.made), (BulkState::Cancelled, 0));
    assert_eq!(shop.deliveries(order).await.len(), 2, "one was resent");
}

#[tokio::test]
async fn an_error_page_says_what_to_do() {
    let app = TestApp::start().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let [_, mut support, _] = people(&app, &shop, &other).await;
    let missing = support.get("/m/shop/orders/0000000000001").await;
    assert_eq!(missing.status, 404);
    assert!(
        missing.text().contains("action=\"/search\"") && missing.text().contains("<title>Nothing here · Quittance"),
        "{missing:?}"
    );
    let forbidden = support.get("/merchants").await;
    assert_eq!(forbidden.status, 403);
    assert!(forbidden.text().contains("An administrator can change your role"));
    let stranger = support.get("//evil.example/x").await;
    assert!(!stranger.text().contains("href=\"//"), "{stranger:?}");
}
