//! The pages of an order's story over HTTP: the order, an attempt, resends, and what they say when their data vanish.

use crate::support::{
    app::{GATEWAY_KEY, MERCHANT_KEY, Shop, TestApp},
    browser::Browser,
    gateway::Reply,
    merchant::{Answer, FakeMerchant, Visit, receipt},
    message::Message,
    until,
};
use quittance::{
    domain::{
        DeliveryState, Role,
        attempt::Origin,
        id::{DeliveryId, OrderId, UrlId},
        pages::story::{Comparison, StoryTurn},
    },
    server::store::{Horizon, Secret},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;

const DAY: Duration = Duration::from_secs(86_400);

pub async fn admin(app: &TestApp) -> Browser {
    app.user("admin@example.com", Role::Admin, &[]).await;
    Browser::signed_in(app.address, "admin@example.com").await
}

/// A page as people read it: its text without tags and comments, spaces run together.
pub fn words(reply: &Reply) -> String {
    let html = reply.text();
    let body = html.split("<main").nth(1).unwrap_or(&html);
    let (mut text, mut in_tag) = (String::new(), false);
    for letter in body.split("</main>").next().unwrap().chars() {
        match letter {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                // Comments of the renderer stand inside words, other tags between them.
                text.push('\u{1}');
            }
            letter if !in_tag => text.push(letter),
            _ => {}
        }
    }
    let text =
        text.replace('\u{1}', " ").replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&#x27;", "'");
    text.replace("&amp;", "&").split_whitespace().collect::<Vec<_>>().join(" ")
}

pub async fn page(browser: &mut Browser, path: &str) -> String {
    let reply = browser.get(path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    words(&reply)
}

pub fn assert_all(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is missing in {text}");
    }
}

/// Retention, as if everything were this old.
async fn forget(app: &TestApp, bytes: Duration, ledger: Duration) {
    app.services.store.settled().await.unwrap();
    let now = app.services.clock.now();
    let horizon = Horizon { bytes_before: now.minus(bytes), ledger_before: now.minus(ledger) };
    quittance::server::retention::once(&app.services.store, horizon).await.unwrap();
}

#[tokio::test]
async fn the_page_of_an_order_tells_everything_that_happened() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let bad = FakeMerchant::start(|_| Answer::status(500, "broken")).await;
    let good = FakeMerchant::confirming().await;
    let url = shop.url_as(&bad.url(), |url| url.label = "Shop script".to_owned()).await;
    let copy = shop.url_as(&good.url(), |url| url.label = "Book-keeping".to_owned()).await;
    let mut browser = admin(&app).await;
    let order = shop.accepted(&Message::small("1001", "PENDING", "20260301115900")).await;
    shop.wait_for_attempts(order, url, 1).await;
    shop.wait_for_state(order, copy, DeliveryState::Confirmed).await;
    let path = format!("/m/shop/orders/{order}");
    let text = page(&mut browser, &path).await;
    assert_all(
        &text,
        &[
            "Did the script get it?",
            "Not yet: the message failed 1 try, the last with “Server error”. The next try is in 2 min",
            "Yes: it confirmed the message at the first try",
            "IPN received",
            "The first message of this order; status Pending.",
            "Attempt 1 to Shop script : Server error",
            "Status 500 after",
            "Attempt 1 to Book-keeping : confirmed",
            "Next: Attempt 2 to Shop script is due",
        ],
    );

    // Seven hours without anything that is new but attempts, a late message, a repeated one, a refused one, a hold.
    let paid = Message::small("1001", "COMPLETE", "20260301120009");
    shop.accepted(&paid).await;
    shop.accepted(&paid).await;
    shop.accepted(&Message::small("1001", "PENDING", "20260301115950")).await;
    let reply = shop.post_body(paid.body("another key", &["md5"])).await;
    assert_eq!(reply.status, 403);
    let held = shop.services.hold_url(&shop.merchant, url, true, "owner@example.com").await;
    held.unwrap();
    shop.wait_for(order, url, |delivery| delivery.state == DeliveryState::Held).await;
    hand.advance(Duration::from_secs(7 * 3_600));
    shop.resend(order, Some(copy), Origin::Resend, "again").await;
    until("a resend to be confirmed", || async {
        let found = shop.deliveries(order).await.into_iter().find(|delivery| delivery.origin == Origin::Resend)?;
        (found.state == DeliveryState::Confirmed).then_some(())
    })
    .await;
    let text = page(&mut browser, &path).await;
    assert_all(
        &text,
        &[
            "Status Pending → Paid.",
            "The same message came 1 time more",
            "It came late: it tells of an earlier moment than a message before it. The status stayed Paid.",
            "A message that names this order was refused: Wrong signature",
            "Nobody has proved that the gateway sent it.",
            "A URL was put on hold by owner@example.com",
            "on hold",
            "Nothing for 7 h",
            "Resent by support@example.com to Book-keeping",
            "kept back, because the URL is on hold",
            "Next: Kept back from Shop script until the URL is released",
        ],
    );
    // Newest first is the same story told backwards.
    let backwards = page(&mut browser, &format!("{path}?order=newest")).await;
    let place = |text: &str, what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is missing in {text}"));
    assert!(place(&text, "first message of this order") < place(&text, "Resent by support"));
    assert!(place(&backwards, "first message of this order") > place(&backwards, "Resent by support"));
    assert!(backwards.contains("Nothing for 7 h"));

    // A removed URL, and what was open for it.
    shop.services.store.remove_url(shop.merchant.id, url, "owner@example.com".to_owned()).await.unwrap();
    shop.wait_for_state(order, url, DeliveryState::Cancelled).await;
    let text = page(&mut browser, &path).await;
    assert_all(
        &text,
        &[
            "A URL was removed by owner@example.com",
            "Cancelled : delivery to Shop script",
            "was cancelled before the script confirmed it.",
            "The URL was removed from the settings.",
        ],
    );
    app.assert_healthy().await;
}

#[tokio::test]
async fn an_order_that_is_paid_and_not_confirmed_says_so() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let mut browser = admin(&app).await;
    let nowhere = shop.order("1").await;
    let text = page(&mut browser, &format!("/m/shop/orders/{nowhere}")).await;
    assert_all(
        &text,
        &[
            "Paid, and sent nowhere",
            "Add a notification URL",
            "No delivery was made: when it came there was no notification URL whose triggers take",
        ],
    );
    let bad = FakeMerchant::start(|_| Answer::text("OK")).await;
    let url = shop.url(&bad.url()).await;
    let order = shop.order("2").await;
    shop.wait_for_attempts(order, url, 1).await;
    let text = page(&mut browser, &format!("/m/shop/orders/{order}")).await;
    assert_all(&text, &["Paid, and no script has confirmed it", "No read receipt"]);
    bad.answer(|visit| Answer::receipt("md5", visit));
    shop.resend(order, Some(url), Origin::Debug, "key").await;
    until("it is confirmed", || async {
        let text = page(&mut browser.clone(), &format!("/m/shop/orders/{order}")).await;
        (text.contains("Yes: it confirmed") && !text.contains("no script has confirmed it")).then_some(())
    })
    .await;
    let refunded = shop.accepted(&Message::small("3", "REFUND", "20260301120009")).await;
    let text = page(&mut browser, &format!("/m/shop/orders/{refunded}")).await;
    assert_all(&text, &["Out of sequence: no message of the payment came before this one."]);
}

#[tokio::test]
async fn names_of_any_length_and_kind_are_shown_and_not_run() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)></textarea></pre></title>";
    let merchant = FakeMerchant::start(move |_| Answer::text(format!("{evil}\u{202e}\u{7}{evil}"))).await;
    let url = shop.url_as(&format!("{}/{}", merchant.url(), "long-".repeat(300)), |url| url.label = "ش".repeat(80)).await;
    let mut browser = admin(&app).await;
    let mut message = Message::full("odd", "COMPLETE");
    message.set("FIRSTNAME", &"م".repeat(500)).set("LASTNAME", evil).set("REFNOEXT", evil).set("IPN_PNAME[]", evil);
    message.set("ORDERSTATUS", evil);
    let order = shop.accepted(&message).await;
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    let mut refused = message.clone();
    refused.set("IPN_DATE", evil);
    shop.post_body(refused.body("another key", &["md5"])).await;
    for path in [
        format!("/m/shop/orders/{order}"),
        format!("/m/shop/orders/{order}?order=newest"),
        format!("/m/shop/deliveries/{}", delivery.id),
        format!("/m/shop/deliveries/{}/1", delivery.id),
        format!("/m/shop/notifications/{}", delivery.notification_id),
        format!("/m/shop/notifications/{}/resend", delivery.notification_id),
        format!("/m/shop/orders/{order}/exchanges/{}", delivery.id),
    ] {
        let reply = browser.get(&path).await;
        let text = reply.text();
        assert_eq!(reply.status, 200, "{path}: {text}");
        assert!(!text.contains("<script>alert(1)") && !text.contains("<img src=x"), "{path}");
        assert_eq!(text.matches("<textarea").count(), text.matches("</textarea>").count(), "{path}");
    }
    // The message for the developer holds nothing that turns lines or rings bells.
    let html = browser.get(&format!("/m/shop/deliveries/{}/1", delivery.id)).await.text();
    let message = html.split("<textarea").nth(1).unwrap().split("</textarea>").next().unwrap();
    assert!(message.contains('\u{fffd}') && !message.contains('\u{202e}') && !message.contains('\u{7}'), "{message}");
    assert!(html.contains(&"long-".repeat(300)), "the URL in its whole length");
}

#[tokio::test]
async fn a_story_of_ten_thousand_attempts_is_read_page_by_page() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let bad = FakeMerchant::start(|_| Answer::text("OK")).await;
    let url = shop.url(&bad.url()).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    shop.services.hold_url(&shop.merchant, url, true, "owner@example.com").await.unwrap();
    shop.wait_for_state(order, url, DeliveryState::Held).await;
    app.services.store.settled().await.unwrap();
    let connection = rusqlite::Connection::open(app.database()).unwrap();
    connection
        .execute_batch(
            "INSERT INTO attempt (delivery_id, number, started_at, address, status, cause, detail, timings, segment_id, part)
             WITH RECURSIVE n(x) AS (SELECT 2 UNION ALL SELECT x + 1 FROM n WHERE x < 10000)
             SELECT delivery_id, x, started_at + x * 1000000, address, status, cause, detail, timings, segment_id, part
             FROM attempt, n WHERE number = 1;
             UPDATE delivery SET attempts = 10000, last_attempt_at = last_attempt_at + 10000000000",
        )
        .unwrap();
    drop(connection);
    let mut browser = admin(&app).await;
    let path = format!("/m/shop/orders/{order}");
    let first = browser.get(&path).await;
    let text = words(&first);
    assert_all(&text, &["Attempt 1 to Shop", "Attempt 98 to Shop", "Later"]);
    assert!(!text.contains("Attempt 99 to Shop"));
    let html = first.text();
    let next = html.split("rel=\"next\"").nth(1).unwrap().split("href=\"").nth(1).unwrap().split('"').next().unwrap();
    let text = page(&mut browser, &next.replace("&amp;", "&")).await;
    assert_all(&text, &["Attempt 99 to Shop", "Attempt 198 to Shop", "To the beginning"]);
    let text = page(&mut browser, &format!("{path}?order=newest")).await;
    assert_all(&text, &["Attempt 10000 to Shop", "Attempt 9901 to Shop", "Earlier", "10,000 tries failed before"]);
    let text = page(&mut browser, &format!("{path}?at=nonsense")).await;
    assert_all(&text, &["Enter the moment to go to as 2026-11-21T09:00."]);
    assert_eq!(browser.get(&format!("{path}?after=nonsense")).await.status, 400);
    let text = page(&mut browser, &format!("/m/shop/deliveries/{}?attempt=5000", delivery.id)).await;
    assert_all(&text, &["Attempt 5000", "Attempt 4801", "From attempt (1 to 10000)"]);
    assert!(!text.contains("Attempt 5001") && !text.contains("Attempt 4800 "));
    let text = page(&mut browser, &format!("/m/shop/deliveries/{}/5000", delivery.id)).await;
    assert_all(&text, &["Attempt 4999", "Attempt 5001"]);
}

/// The comparison of an attempt: what differs.
async fn differing(shop: &Shop, delivery: DeliveryId) -> Vec<String> {
    match shop.attempt(delivery, 1).await.comparison {
        Comparison::Made(lines) => lines.into_iter().filter(|line| line.differs).map(|line| line.what).collect(),
        Comparison::Impossible(why) => vec![why],
    }
}

#[tokio::test]
async fn an_attempt_is_compared_with_what_a_resend_would_send() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::text("OK")).await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.accepted(&Message::full("1001", "COMPLETE")).await;
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    let mut browser = admin(&app).await;
    let path = format!("/m/shop/deliveries/{}/1", delivery.id);
    let text = page(&mut browser, &path).await;
    assert_all(
        &text,
        &["A resend would send the same: nothing differs.", "URL the same", "Fingerprint of the secret key the same"],
    );
    assert_eq!(differing(&shop, delivery.id).await, Vec::<String>::new());

    let moved = format!("{}/moved", merchant.url());
    let draft = |change: &dyn Fn(&mut quittance::server::store::UrlDraft)| {
        let mut draft = crate::support::stores::url_draft(shop.merchant.id, &merchant.url());
        change(&mut draft);
        draft
    };
    let change = async |draft| shop.services.store.update_url(url, draft, "owner@example.com".to_owned()).await.unwrap();
    change(draft(&|draft| draft.algorithms = quittance::domain::Algorithms::ALL)).await;
    assert_eq!(differing(&shop, delivery.id).await, ["Signature algorithms"]);
    change(draft(&|draft| draft.url = moved.clone())).await;
    assert_eq!(differing(&shop, delivery.id).await, ["URL"]);
    shop.services
        .store
        .set_secret_key(shop.merchant.id, Secret::new("another"), Default::default(), "owner@example.com".to_owned())
        .await
        .unwrap();
    assert_eq!(differing(&shop, delivery.id).await, ["URL", "Fingerprint of the secret key"]);
    let html = browser.get(&path).await;
    assert_all(&words(&html), &["A resend would not send the same: 2 things differ from what was sent.", &moved]);
    assert!(!html.text().contains(MERCHANT_KEY) && !html.text().contains(GATEWAY_KEY), "no key shows");
    assert!(html.text().contains(&Secret::new(MERCHANT_KEY).fingerprint()));

    // A resend sends what the comparison says.
    let [again] = shop.resend(order, Some(url), Origin::Debug, "key").await[..] else { panic!() };
    app.services.wait_for_attempt(&shop.merchant, again).await.unwrap();
    assert_eq!(differing(&shop, again).await, Vec::<String>::new());
    assert_eq!(merchant.visits().last().unwrap().path, "/ipn.php/moved");

    shop.services.store.remove_url(shop.merchant.id, url, "owner@example.com".to_owned()).await.unwrap();
    assert_all(&page(&mut browser, &path).await, &["Its URL was removed from the settings; nothing is sent there any more."]);
    assert!(!page(&mut browser, &path).await.contains("Resend to"), "there is nowhere to resend to");
}

#[tokio::test]
async fn the_message_for_the_developer_says_all_and_no_secret() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|visit| {
        let wrong = receipt("md5", "another key", &visit.body);
        Answer::Page(200, vec![("Set-Cookie", "session=hush".to_owned())], wrong.into_bytes())
    })
    .await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.accepted(&Message::full("1001", "COMPLETE")).await;
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    let mut browser = admin(&app).await;
    let html = browser.get(&format!("/m/shop/deliveries/{}/1", delivery.id)).await.text();
    let area = html.split("<textarea").nth(1).unwrap();
    assert!(area.split('>').next().unwrap().contains("readonly"), "it can be selected and copied without a script");
    let message = area.split_once('>').unwrap().1.split("</textarea>").next().unwrap().replace("&lt;", "<").replace("&gt;", ">");
    assert_all(
        &message.replace("&amp;", "&"),
        &[
            "The payment notification of order 1001 was not confirmed",
            "An IPN with the status COMPLETE",
            &format!("To:       {}", merchant.url()),
            "HTTP/1.1 200 OK",
            "<EPAYMENT>",
            "WHAT IS WRONG",
            "Hash we expected:",
            "Text that is hashed: 11",
            "WHAT TO DO",
            "HOW TO REPRODUCE",
            "curl --include",
            "--data-raw",
            "REFNO=1001",
        ],
    );
    assert!(!message.contains("hush") && !message.contains(MERCHANT_KEY), "{message}");
    assert!(message.to_lowercase().contains("set-cookie: (left out)"), "{message}");
}

/// A text as it stood before it was put into a page.
fn unescaped(html: &str) -> String {
    let named = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'"), ("&amp;", "&")];
    named.iter().fold(html.replace("<!>", ""), |text, (name, sign)| text.replace(name, sign))
}

#[tokio::test]
async fn the_command_line_sends_the_same_bytes_again() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::text("OK")).await;
    let url = shop.url(&format!("{}?shop[]={{1}}&name=x", merchant.url())).await;
    let mut message = Message::full("1001", "COMPLETE");
    message.set("IPN_PNAME[]", "O'Brien & \"Co\" $(false) `false` \\ %41 é 🎈");
    let order = shop.accepted(&message).await;
    let delivery = shop.wait_for_attempts(order, url, 1).await;
    let mut browser = admin(&app).await;
    let html = browser.get(&format!("/m/shop/deliveries/{}/1", delivery.id)).await.text();
    let section = html.split("id=\"again\"").nth(1).unwrap();
    let command = section.split("<pre").nth(1).and_then(|rest| rest.split_once('>')).unwrap().1.split("</pre>").next().unwrap();
    let command = unescaped(command);
    assert!(command.trim_start().starts_with("curl "), "{command}");
    let run = move || std::process::Command::new("sh").arg("-c").arg(&command).output().unwrap();
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).ends_with("OK"), "curl is needed: {told}");
    let visits = merchant.visits();
    let [sent, again] = &visits[..] else { panic!("{} visits", visits.len()) };
    assert_eq!((&again.method, &again.path), (&sent.method, &sent.path));
    assert_eq!(String::from_utf8_lossy(&again.body), String::from_utf8_lossy(&sent.body));
    let headers = |visit: &Visit| {
        let mut headers: Vec<_> = visit.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        headers.sort();
        headers
    };
    assert_eq!(headers(again), headers(sent));
}

async fn choose(browser: &mut Browser, order: OrderId, notification: &str, urls: &[UrlId], debug: bool, key: &str) -> Reply {
    let order = order.to_string();
    let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
    let mut fields = vec![("merchant", "shop"), ("order", &order), ("notification", notification), ("request_key", key)];
    fields.extend(urls.iter().map(|url| ("urls[]", url.as_str())));
    if debug {
        fields.push(("debug", "true"));
    }
    browser.form("/rpc/orders/resend", &fields).await
}

#[tokio::test]
async fn a_resend_goes_to_the_urls_that_were_ticked() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let label = |text: &'static str| move |url: &mut quittance::server::store::UrlDraft| url.label = text.to_owned();
    let first = shop.url_as(&merchant.url(), label("First")).await;
    let removed = shop.url_as(&format!("{}/removed", merchant.url()), label("Old")).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, first, DeliveryState::Confirmed).await;
    shop.wait_for_state(order, removed, DeliveryState::Confirmed).await;
    shop.services.store.remove_url(shop.merchant.id, removed, "owner@example.com".to_owned()).await.unwrap();
    let second = shop.url_as(&format!("{}/second", merchant.url()), label("Second")).await;
    let third = shop.url_as(&format!("{}/third", merchant.url()), label("Third")).await;
    let mut browser = admin(&app).await;
    let notification = delivery.notification_id.to_string();
    let form = format!("/m/shop/notifications/{notification}/resend");
    let html = browser.get(&form).await.text();
    let is_ticked = |url: UrlId| {
        let input = html.split("<input").find(|input| input.contains(&format!("value=\"{url}\""))).unwrap();
        input.split('>').next().unwrap().contains("checked")
    };
    assert_eq!([first, second, third].map(is_ticked), [true, false, false], "the URL of then is ticked");
    let text = page(&mut browser, &form).await;
    assert_all(
        &text,
        &["The URLs of then", "Other URLs of now", "The script may act twice", "It also went to Old", "confirmed it"],
    );

    let reply = choose(&mut browser, order, &notification, &[], false, "none").await;
    assert_eq!(reply.header("location"), form);
    assert_all(&page(&mut browser, &form).await, &["Choose at least one URL to resend to."]);
    let reply = choose(&mut browser, order, &notification, &[removed], false, "gone").await;
    assert_eq!(reply.header("location"), form);
    assert_all(&page(&mut browser, &form).await, &["This URL is not in use any more; choose another."]);
    assert_eq!(merchant.visits().len(), 2);

    for _ in 0..2 {
        let reply = choose(&mut browser, order, &notification, &[second, third], false, "both").await;
        assert_eq!(reply.header("location"), format!("/m/shop/orders/{order}"));
    }
    assert_all(&page(&mut browser, &format!("/m/shop/orders/{order}")).await, &["Resent to 2 URLs."]);
    shop.wait_for_state(order, third, DeliveryState::Confirmed).await;
    shop.wait_for_state(order, second, DeliveryState::Confirmed).await;
    assert_eq!(merchant.visits().len(), 4, "a double click resends once, and the first URL got nothing");
    app.assert_healthy().await;
}

#[tokio::test]
async fn a_resend_for_debug_shows_the_exchange_as_it_happens() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let gate = Arc::new(Semaphore::new(0));
    let held = gate.clone();
    let slow = FakeMerchant::start(move |_| Answer::Gated(held.clone(), Box::new(Answer::status(500, "broken at last")))).await;
    let quick = FakeMerchant::confirming().await;
    let order = shop.order("1").await;
    let first = shop.url(&slow.url()).await;
    let second = shop.url(&quick.url()).await;
    let mut browser = admin(&app).await;
    let notification = shop.services.store.notifications_of(order).await.unwrap()[0].id.to_string();
    let reply = choose(&mut browser, order, &notification, &[first, second], true, "debug").await;
    let address = reply.header("location").to_owned();
    assert!(address.starts_with(&format!("/m/shop/orders/{order}/exchanges/")), "{address}");
    slow.wait_for(1).await;
    quick.wait_for(1).await;
    let under_way = until("the quick one", || async {
        let reply = browser.clone().get(&address).await;
        words(&reply).contains("holds a valid read receipt").then_some(reply)
    })
    .await;
    let text = words(&under_way);
    assert_all(
        &text,
        &["It is being sent", "Request, as it goes out", "Waiting for the answer", "POST /ipn.php HTTP/1.1", "REFNO=1"],
    );
    assert!(under_way.text().contains("http-equiv=\"refresh\""), "without scripts the page reads itself again");
    gate.add_permits(1);
    let done = until("the slow one", || async {
        let reply = browser.clone().get(&address).await;
        words(&reply).contains("broken at last").then_some(reply)
    })
    .await;
    assert_all(&words(&done), &["Server error", "What to do:", "Attempt in full"]);
    assert!(!done.text().contains("http-equiv=\"refresh\""));
    // What went out is what the page had told before.
    let sent = String::from_utf8(slow.visits()[0].body.clone()).unwrap();
    assert!(text.contains(&sent), "{sent}");

    // Deliveries of another order are not shown under this one.
    let other = shop.order("2").await;
    let ids = address.rsplit('/').next().unwrap();
    assert_eq!(browser.get(&format!("/m/shop/orders/{other}/exchanges/{ids}")).await.status, 404);
    assert_eq!(browser.get(&format!("/m/shop/orders/{order}/exchanges/!")).await.status, 404);
    app.assert_healthy().await;
}

#[tokio::test]
async fn support_resends_and_whoever_may_not_sees_no_way_to() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    app.user("support@example.com", Role::Support, &[]).await;
    let mut browser = Browser::signed_in(app.address, "support@example.com").await;
    let html = browser.get(&format!("/m/shop/orders/{order}")).await.text();
    assert!(html.contains("data-resend"));
    let story = shop.services.story(&shop.merchant, order, StoryTurn::default(), false).await.unwrap();
    assert!(!story.may_resend);
}

#[tokio::test]
async fn what_retention_took_is_told_in_words() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    hand.advance(100 * DAY);
    forget(&app, 90 * DAY, 400 * DAY).await;
    let mut browser = admin(&app).await;
    let attempt = browser.get(&format!("/m/shop/deliveries/{}/1", delivery.id)).await;
    assert_eq!(attempt.status, 410);
    assert!(attempt.text().contains("older than exchanges are kept. The delivery itself is confirmed."), "{}", attempt.text());
    assert_eq!(browser.get(&format!("/m/shop/deliveries/{}/2", delivery.id)).await.status, 404, "it never was");
    let text = page(&mut browser, &format!("/m/shop/deliveries/{}", delivery.id)).await;
    assert_all(&text, &["Its attempts are not kept any more", "1 attempt was made"]);
    let text = page(&mut browser, &format!("/m/shop/orders/{order}")).await;
    assert_all(&text, &["Its attempts are not kept any more", "Yes: it confirmed the message at the first try", "IPN received"]);
    let text = page(&mut browser, &format!("/m/shop/notifications/{}", delivery.notification_id)).await;
    assert_all(&text, &["Its bytes are not kept any more"]);
    let text = page(&mut browser, &format!("/m/shop/notifications/{}/resend", delivery.notification_id)).await;
    assert_all(&text, &["It cannot be sent again"]);
    let text = page(&mut browser, &format!("/m/shop/orders/{order}/exchanges/{}", delivery.id)).await;
    assert_all(&text, &["This exchange was removed, because it is older than exchanges are kept."]);
    let reply = choose(&mut browser, order, &delivery.notification_id.to_string(), &[url], true, "late").await;
    assert!(reply.header("location").ends_with("/resend"), "{reply:?}");
    assert_all(&page(&mut browser, reply.header("location")).await, &["The bytes of this notification were removed"]);

    hand.advance(400 * DAY);
    let mut browser = Browser::signed_in(app.address, "admin@example.com").await;
    forget(&app, 90 * DAY, 400 * DAY).await;
    for path in [format!("orders/{order}"), format!("deliveries/{}", delivery.id), format!("deliveries/{}/1", delivery.id)] {
        assert_eq!(browser.get(&format!("/m/shop/{path}")).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn what_others_did_meanwhile_is_told_in_words() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::confirming().await;
    let url = shop.url_as(&merchant.url(), |url| url.held = true).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, url, DeliveryState::Held).await;
    let mut browser = admin(&app).await;
    let notification = delivery.notification_id.to_string();
    // The form was open while the URL was removed.
    shop.services.store.remove_url(shop.merchant.id, url, "owner@example.com".to_owned()).await.unwrap();
    shop.wait_for_state(order, url, DeliveryState::Cancelled).await;
    let reply = choose(&mut browser, order, &notification, &[url], false, "late").await;
    let text = page(&mut browser, reply.header("location")).await;
    assert_all(&text, &["This URL is not in use any more", "There is no URL to send to", "It also went to Shop"]);
    let text = page(&mut browser, &format!("/m/shop/deliveries/{}", delivery.id)).await;
    assert_all(&text, &["Cancelled", "The URL was removed from the settings; nothing is sent there any more.", "Not tried yet"]);
    let text = page(&mut browser, &format!("/m/shop/orders/{order}/exchanges/{}", delivery.id)).await;
    assert_all(&text, &["It was cancelled before it was tried."]);
}
