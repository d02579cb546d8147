//! Bulk resends over the whole application: a script was broken for longer than its schedule lasts, and everything comes back.

use crate::support::{
    app::{Setup, Shop, TestApp},
    browser::Browser,
    merchant::{Answer, FakeMerchant},
    stores::START,
    until,
};
use quittance::{
    domain::{
        DeliveryState, Role,
        id::{BulkId, UrlId},
        pages::{
            bulk::{BulkPage, BulkState, BulkTarget},
            deliveries::{DeliveryFilter, StateFilter},
        },
    },
    server::{clock::Clock, clock::ClockHand, store::UrlDraft},
};
use std::{collections::HashSet, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

const HOUR: Duration = Duration::from_secs(3_600);

fn failed() -> DeliveryFilter {
    DeliveryFilter { state: Some(StateFilter::Failed), ..DeliveryFilter::default() }
}

fn concurrent(draft: &mut UrlDraft) {
    draft.concurrent = true;
}

impl Shop {
    pub async fn fitting(&self, state: StateFilter) -> u64 {
        self.services.store.settled().await.unwrap();
        let filter = DeliveryFilter { state: Some(state), ..DeliveryFilter::default() };
        self.services.store.count_deliveries(self.merchant.id, &filter).await.unwrap().number
    }

    pub async fn bulk(&self, id: BulkId) -> BulkPage {
        self.services.store.settled().await.unwrap();
        self.services.bulk_page(&self.merchant, id, true).await.unwrap()
    }

    async fn start_bulk(&self, filter: &DeliveryFilter, key: &str) -> BulkId {
        let target = BulkTarget::Same;
        self.services
            .start_bulk(&self.merchant, filter, target, key.to_owned(), "support@example.com", Duration::ZERO)
            .await
            .unwrap()
    }

    pub async fn wait_for_bulk(&self, id: BulkId, fits: impl Fn(&BulkPage) -> bool) -> BulkPage {
        until("a bulk resend", || async { Some(self.bulk(id).await).filter(|page| fits(page)) }).await
    }
}

/// Orders that were given up: the script answered nothing but errors for two days.
async fn given_up(shop: &Shop, hand: &ClockHand, merchant: &FakeMerchant, url: UrlId, count: usize) -> Vec<String> {
    merchant.answer(|_| Answer::status(500, ""));
    let references: Vec<String> = (0..count).map(|number| format!("10{number:03}")).collect();
    let mut orders = Vec::new();
    for reference in &references {
        orders.push(shop.order(reference).await);
    }
    // One at a time while nobody answers, so two days take their time.
    until("all to be given up", || async {
        hand.advance(HOUR);
        tokio::time::sleep(Duration::from_millis(10)).await;
        (shop.fitting(StateFilter::Expired).await == count as u64).then_some(())
    })
    .await;
    let delivery = shop.wait_for_state(orders[0], url, DeliveryState::Expired).await;
    assert!(delivery.finished_at.is_some_and(|at| at > START.plus(HOUR * 40)));
    references
}

pub fn references(merchant: &FakeMerchant, from: usize) -> Vec<String> {
    merchant.visits()[from..].iter().map(|visit| visit.field("REFNO")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_was_given_up_comes_back() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    app.user("support@example.com", Role::Support, &[]).await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url_as(&merchant.url(), concurrent).await;
    let sent = given_up(&shop, &hand, &merchant, url, 12).await;
    let before = merchant.visits().len();
    let mut browser = Browser::signed_in(app.address, "support@example.com").await;

    // The way of a person: dashboard, list, count, yes.
    let dashboard = browser.get("/m/shop").await.text();
    assert!(dashboard.contains(&format!("/m/shop/deliveries?state=expired&amp;url={url}")), "{dashboard}");
    assert!(dashboard.contains("/m/shop/resends/new?state=failed&amp;url="), "{dashboard}");
    let list = browser.get("/m/shop/deliveries?state=expired").await.text();
    assert!(list.contains("12 deliveries fit") && list.contains("Resend these 12 deliveries…"), "{list}");
    let plan = browser.get(&format!("/m/shop/resends/new?state=failed&url={url}")).await.text();
    assert!(plan.contains("12 deliveries") && plan.contains("gets each of them again"), "{plan}");
    let key = plan.split("name=\"request_key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form =
        [("merchant", "shop"), ("target", "same"), ("request_key", key.as_str()), ("state", "failed"), ("url", &url.to_string())];
    let started = browser.form("/rpc/bulk/start", &form).await;
    let page = started.header("location").to_owned();
    assert!(page.starts_with("/m/shop/resends/") && !page.contains("new"), "{started:?}");
    let again = browser.form("/rpc/bulk/start", &form).await;
    assert_eq!(again.header("location"), page, "a double click");
    assert_eq!(shop.services.bulk_list(&shop.merchant, true).await.unwrap().rows.len(), 1);

    merchant.answer(|visit| Answer::receipt("md5", visit));
    until("all to be confirmed", || async {
        // Single requests find out that it is back.
        hand.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
        (shop.fitting(StateFilter::Confirmed).await == 12).then_some(())
    })
    .await;
    let mut came = references(&merchant, before);
    came.sort();
    assert_eq!(came, sent, "each once");
    let id = page.rsplit('/').next().unwrap().parse().unwrap();
    let bulk = shop.wait_for_bulk(id, |bulk| bulk.job.state == BulkState::Done).await;
    assert_eq!((bulk.job.made, bulk.job.expected, bulk.standing.confirmed.number), (12, Some(12), 12));
    let text = browser.get(&page).await.text();
    assert!(text.contains("12 deliveries are confirmed") && text.contains("support@example.com"), "{text}");
    // Nothing is left to bring back.
    let plan = browser.get("/m/shop/resends/new?state=failed").await.text();
    assert!(plan.contains("Nothing to resend") && plan.contains("12 are confirmed by their URL already"), "{plan}");
    // And pages of what was given up say so.
    let list = browser.get("/m/shop/deliveries?state=expired").await.text();
    assert_eq!(list.matches("confirmed since").count(), 12, "{list}");
    let expired = list.split("id=\"delivery-").nth(1).unwrap().split('"').next().unwrap();
    let page = browser.get(&format!("/m/shop/deliveries/{expired}")).await.text();
    assert!(page.contains("Nothing is left to do.") && !page.contains("What to do:"), "{page}");
    app.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_filter_leaves_out_is_not_sent_and_mistakes_are_told() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url_as(&merchant.url(), concurrent).await;
    given_up(&shop, &hand, &merchant, url, 3).await;
    let mut browser = Browser::signed_in(app.address, "owner@example.com").await;
    let mut beside = browser.clone();
    let mut start = async |fields: &[(&str, &str)]| {
        let fields: Vec<_> =
            [("merchant", "shop"), ("target", "same"), ("request_key", "k")].iter().chain(fields).copied().collect();
        let reply = browser.form("/rpc/bulk/start", &fields).await;
        let page = reply.header("location").to_owned();
        (page.clone(), browser.get(&page).await.text())
    };
    for (fields, message) in [
        (&[][..], "Everything there is cannot be resent at once"),
        (&[("state", "expird")], "There is no such state"),
        (&[("state", "failed"), ("since", "tomorrow")], "Enter a moment as"),
        (&[("state", "queued")], "are on their way already"),
    ] {
        let (page, text) = start(fields).await;
        assert!(page.starts_with("/m/shop/resends/new"), "{page}");
        assert!(text.contains(message), "{fields:?}: {text}");
    }
    assert!(shop.services.bulk_list(&shop.merchant, true).await.unwrap().rows.is_empty());
    // A filter by listener is one of the fields, so that counting anew does not widen the list, and is told.
    let listener = shop.listener_id();
    for page in ["new", "cancel"] {
        let text = beside.get(&format!("/m/shop/resends/{page}?state=retrying&via={listener}")).await.text();
        assert!(text.contains("name=\"via\"") && text.contains(&format!("value=\"{listener}\" selected")), "{page}: {text}");
        assert!(text.contains("that came in at "), "{page}: {text}");
    }
    // A key is that of one wish.
    let mut pages = Vec::new();
    for text in ["1", "2", "1"] {
        pages.push(start(&[("state", "failed"), ("text", text)]).await.0);
    }
    assert!(pages[0] == pages[2] && pages[0] != pages[1], "{pages:?}");
    let later = quittance::domain::time::iso(hand_now(&app).plus(HOUR));
    let (page, text) = start(&[("state", "failed"), ("since", &later)]).await;
    assert!(page.starts_with("/m/shop/resends/") && text.contains("Bulk resend"), "{page}");
    let id = page.rsplit('/').next().unwrap().parse().unwrap();
    // Until then it could be stopped.
    hand.advance(Duration::from_secs(11));
    let bulk = shop.wait_for_bulk(id, |bulk| bulk.job.state == BulkState::Done).await;
    assert_eq!(bulk.job.made, 0, "nothing has failed since");
    app.assert_healthy().await;
}

fn hand_now(app: &TestApp) -> quittance::domain::Timestamp {
    app.services.clock.now()
}

/// A script that answers one request for each permit.
pub fn gated(merchant: &FakeMerchant) -> Arc<Semaphore> {
    let gate = Arc::new(Semaphore::new(0));
    let shut = gate.clone();
    merchant.answer(move |visit| Answer::Gated(shut.clone(), Box::new(Answer::receipt("md5", visit))));
    gate
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_in_the_middle_takes_back_what_was_not_sent() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    app.user("support@example.com", Role::Support, &[]).await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    given_up(&shop, &hand, &merchant, url, 20).await;
    let gate = gated(&merchant);
    let before = merchant.visits().len();
    let id = shop.start_bulk(&failed(), "a").await;
    shop.wait_for_bulk(id, |bulk| bulk.standing.queued.number == 20).await;
    hand.advance(HOUR);
    gate.add_permits(3);
    shop.wait_for_bulk(id, |bulk| bulk.standing.confirmed.number == 3).await;
    // The fourth is at the script in this moment.
    merchant.wait_for(before + 4).await;
    let mut browser = Browser::signed_in(app.address, "support@example.com").await;
    let page = format!("/m/shop/resends/{id}");
    let text = browser.get(&page).await.text();
    assert!(text.contains("3") && text.contains("Cancel this bulk resend?"), "{text}");
    let reply = browser.form("/rpc/bulk/cancel", &[("merchant", "shop"), ("bulk", &id.to_string())]).await;
    assert_eq!(reply.header("location"), page);
    let text = browser.get(&page).await.text();
    assert!(text.contains("3 deliveries were sent before that"), "{text}");
    gate.add_permits(100);
    // It confirms what had reached it.
    let bulk = shop.wait_for_bulk(id, |bulk| bulk.standing.confirmed.number == 4).await;
    assert_eq!((bulk.job.state, bulk.standing.withdrawn.number, bulk.standing.sent().number), (BulkState::Cancelled, 16, 4));
    // What stood in memory is not sent, and what comes now is.
    let order = shop.order("news").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    hand.advance(HOUR);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(merchant.visits().len(), before + 5);
    assert_eq!(shop.fitting(StateFilter::Cancelled).await, 16);
    app.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_goes_on_where_it_was() {
    let (clock, hand) = Clock::manual(START);
    let app = TestApp::start_as(Setup { clock, ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    let sent = given_up(&shop, &hand, &merchant, url, 20).await;
    let gate = gated(&merchant);
    let before = merchant.visits().len();
    let id = shop.start_bulk(&failed(), "a").await;
    shop.wait_for_bulk(id, |bulk| bulk.job.made == 20).await;
    hand.advance(HOUR);
    gate.add_permits(3);
    shop.wait_for_bulk(id, |bulk| bulk.standing.confirmed.number == 3).await;
    gate.add_permits(1_000);
    let app = app.restart(|| {}).await;
    let shop = shop.again(&app);
    let bulk = shop.wait_for_bulk(id, |bulk| bulk.job.state == BulkState::Done).await;
    assert_eq!((bulk.job.made, bulk.standing.confirmed.number), (20, 20));
    let came: HashSet<_> = references(&merchant, before).into_iter().collect();
    assert_eq!((came.len(), merchant.visits().len() - before), (sent.len(), 20), "each once");
    app.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_does_not_starve_news() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let merchant = FakeMerchant::start(|_| Answer::status(500, "")).await;
    let url = shop.url(&merchant.url()).await;
    given_up(&shop, &hand, &merchant, url, 30).await;
    let gate = gated(&merchant);
    let id = shop.start_bulk(&failed(), "a").await;
    shop.wait_for_bulk(id, |bulk| bulk.standing.queued.number == 30).await;
    hand.advance(HOUR);
    // It answers again, and one is with it.
    gate.add_permits(5);
    shop.wait_for_bulk(id, |bulk| bulk.standing.confirmed.number >= 5).await;
    let before = merchant.visits().len();
    let mut news = Vec::new();
    for number in 0..6 {
        news.push(shop.order(&format!("news-{number}")).await);
    }
    gate.add_permits(1_000);
    for order in news {
        shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    }
    shop.wait_for_bulk(id, |bulk| bulk.job.state == BulkState::Done).await;
    let came = references(&merchant, before);
    let last = came.iter().rposition(|reference| reference.starts_with("news")).unwrap();
    assert!(last <= 7, "at most one or two of the backlog go between: {came:?}");
    app.assert_healthy().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_url_does_not_hold_up_the_recovery_of_another() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    let shop = app.shop("Shop").await;
    let (dead, back) =
        (FakeMerchant::start(|_| Answer::status(500, "")).await, FakeMerchant::start(|_| Answer::status(500, "")).await);
    let dead_url = shop.url_as(&dead.url(), concurrent).await;
    let url = shop.url_as(&back.url(), concurrent).await;
    for number in 0..8 {
        shop.order(&number.to_string()).await;
    }
    until("all to be given up", || async {
        hand.advance(HOUR);
        tokio::time::sleep(Duration::from_millis(10)).await;
        (shop.fitting(StateFilter::Expired).await == 16).then_some(())
    })
    .await;
    back.answer(|visit| Answer::receipt("md5", visit));
    let id = shop.start_bulk(&failed(), "a").await;
    until("the other to be recovered", || async {
        hand.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(10)).await;
        (shop.bulk(id).await.standing.confirmed.number == 8).then_some(())
    })
    .await;
    let at = |url: UrlId| DeliveryFilter { url: Some(url), state: Some(StateFilter::Confirmed), ..DeliveryFilter::default() };
    let confirmed = async |url| shop.services.store.count_deliveries(shop.merchant.id, &at(url)).await.unwrap().number;
    assert_eq!((confirmed(url).await, confirmed(dead_url).await), (8, 0));
    app.assert_healthy().await;
}
