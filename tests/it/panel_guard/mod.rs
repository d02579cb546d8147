//! Who may do what in the panel, asked over HTTP as browsers and scripts ask.
//!
//! `rights` asks every server function, `sessions` is how one gets a session and loses it, `pages` what answers carry. Here is
//! the house that they ask.

mod pages;
mod rights;
mod sessions;

use crate::support::{
    app::{PASSWORD, Shop, TestApp},
    browser::Browser,
    merchant::FakeMerchant,
    message::Message,
    until,
};
use quittance::domain::{
    DeliveryState, Role,
    id::BulkId,
    pages::{
        bulk::{BulkState, BulkTarget},
        deliveries::{DeliveryFilter, StateFilter},
    },
};
use std::{collections::HashMap, time::Duration};

/// A house with two merchants, who both have everything that a server function can be asked for.
struct House {
    app: TestApp,
    shop: Shop,
    other: Shop,
    /// Arguments that name things of `shop`.
    values: HashMap<String, String>,
    merchant: FakeMerchant,
}

async fn house() -> House {
    let app = TestApp::start().await;
    let merchant = FakeMerchant::confirming().await;
    let (shop, other) = (app.shop("Shop").await, app.shop("Other").await);
    let mut values = values_of(&shop, &merchant).await;
    values_of(&other, &merchant).await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("support@example.com", Role::Support, &[]).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    app.user("other@example.com", Role::Merchant, &[&other]).await;
    app.user("colleague@example.com", Role::Support, &[&shop]).await;
    let colleague = app.services.store.user_by_email("colleague@example.com").await.unwrap().unwrap();
    values.insert("user".to_owned(), colleague.id.to_string());
    House { app, shop, other, values, merchant }
}

impl House {
    async fn browser(&self, name: &str) -> Browser {
        Browser::signed_in(self.app.address, &format!("{name}@example.com")).await
    }
}

/// An order with a delivery and an attempt, a refusal, and arguments that name them.
async fn values_of(shop: &Shop, merchant: &FakeMerchant) -> HashMap<String, String> {
    let url = shop.url(&merchant.url()).await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    shop.post_signed(&Message::small("2", "COMPLETE", "20260301120009"), &[]).await;
    let bulk = ended_bulk(shop).await;
    let refused = shop.services.listener_page(&shop.merchant, shop.listener_id(), true).await.unwrap().refused;
    let values = [
        ("verifying", shop.wait_at(&*shop.asking().await, "1", "POST / HTTP/1.1", "txn_id=1").await),
        ("merchant", shop.merchant.slug.clone()),
        ("order", order.to_string()),
        ("notification", delivery.notification_id.to_string()),
        ("delivery", delivery.id.to_string()),
        ("number", "1".to_owned()),
        ("listener", shop.listener_id().to_string()),
        ("refusal", refused[0].id.to_string()),
        ("id", url.to_string()),
        ("listeners/save.id", shop.listener_id().to_string()),
        ("url", merchant.url()),
        ("urls[]", url.to_string()),
        ("exchanges", delivery.id.to_string()),
        ("orders/story.after", String::new()),
        ("orders/resend.to[]", "now".to_owned()),
        ("newest_first", "true".to_owned()),
        ("attempts_until", "1".to_owned()),
        ("bulk", bulk.to_string()),
        ("deliveries", "{\"state\":\"expired\"}".to_owned()),
        ("people", "{\"text\":\"\",\"after\":null}".to_owned()),
        ("acts", "{\"actor\":null,\"action\":null,\"from\":null,\"until\":null,\"after\":null}".to_owned()),
        ("role", "support".to_owned()),
        ("merchants[]", shop.merchant.slug.clone()),
        ("version", String::new()),
        ("form_key", String::new()),
        ("of", "order".to_owned()),
        ("thing", order.to_string()),
        ("field", "email".to_owned()),
        ("nth", "0".to_owned()),
        ("target", "same".to_owned()),
        ("bulk/start.request_key", format!("bulk of {}", shop.merchant.slug)),
        ("text", String::new()),
        ("state", "expired".to_owned()),
        ("cause", String::new()),
        ("bulk/start.url", String::new()),
        ("from", String::new()),
        ("until", String::new()),
        ("since", String::new()),
        ("test", String::new()),
        ("filter", "{\"text\":\"\",\"status\":null,\"from\":null,\"until\":null,\"test\":null,\"after\":null}".to_owned()),
        ("request_key", "key".to_owned()),
        ("label", "Changed".to_owned()),
        ("gateway", "2checkout".to_owned()),
        ("options", String::new()),
        ("secret", "changed".to_owned()),
        ("secret_key", "changed".to_owned()),
        ("generate", "false".to_owned()),
        ("name", "Third".to_owned()),
        ("status", "COMPLETE".to_owned()),
        ("listeners/simulate.status", "paid".to_owned()),
        ("listeners/simulate.from", "127.0.0.1".to_owned()),
        ("fault", String::new()),
        ("sent", String::new()),
        ("product", "Product".to_owned()),
        ("amount", "1.00".to_owned()),
        ("currency", "USD".to_owned()),
        ("email", "new@example.com".to_owned()),
        ("reference", String::new()),
        ("current", PASSWORD.to_owned()),
        ("password", "another long password".to_owned()),
        ("via", String::new()),
        ("inbound", "{}".to_owned()),
        ("stray", refused[0].id.to_string()),
        ("after", order.to_string()),
        ("list", "deliveries".to_owned()),
        ("view", order.to_string()),
        ("query", "?state=expired".to_owned()),
        ("time_zone", "Europe/Bucharest".to_owned()),
        ("token", "0".repeat(64)),
        ("theme", "dark".to_owned()),
        ("locale", "en".to_owned()),
        ("next", "/".to_owned()),
        ("max_in_flight", "8".to_owned()),
        ("rate_per_second", "9".to_owned()),
        ("retries", "own".to_owned()),
        ("own_delays", "1m,5m".to_owned()),
        ("authority", String::new()),
        ("own_triggers", "true".to_owned()),
        ("triggers", "COMPLETE,REFUND".to_owned()),
        ("timeout", "9".to_owned()),
        ("format", "json".to_owned()),
        ("mail", "{\"status\":\"paid\"}".to_owned()),
        ("mail_id", order.to_string()),
        ("sender_name", "Shop".to_owned()),
        ("sender", "shop@example.com".to_owned()),
        ("subject", "Order {order}".to_owned()),
        ("settings/mail/template.text", "Hello {name}".to_owned()),
        ("settings/mail/template.status", "paid".to_owned()),
        ("settings/mail/test.status", "paid".to_owned()),
        ("headers", "X-Shop: 7".to_owned()),
        ("only", "true".to_owned()),
        ("tags", "CURRENCY".to_owned()),
        ("other_tags", String::new()),
        ("overlap", "3600".to_owned()),
        ("mails", "ops@example.com".to_owned()),
        ("settings/alerts.after", "15".to_owned()),
        ("settings/alerts.certificate", "14".to_owned()),
        ("settings/alerts.outstanding", "500".to_owned()),
        ("language", "php".to_owned()),
        ("quantity", "1".to_owned()),
        ("more_products", String::new()),
        ("first_name", "Test".to_owned()),
        ("last_name", "Order".to_owned()),
        ("to", String::new()),
        ("draft", "{\"status\":\"COMPLETE\",\"product\":\"x\",\"amount\":\"1.00\",\"currency\":\"EUR\"}".to_owned()),
        ("pasted", "{\"body\":\"REFNO=1&HASH=00\"}".to_owned()),
        // The URL is made the default, which cannot be a shadow.
        ("urls/save.shadow", "false".to_owned()),
    ];
    let flags = [
        "is_default",
        "md5",
        "sha2",
        "sha3",
        "concurrent",
        "order_in_order",
        "held",
        "shadow",
        "anyway",
        "as_test",
        "enabled",
        "disabled",
        "tests",
    ];
    let flags = flags.map(|flag| (flag, "true".to_owned()));
    let off = [("debug", "false".to_owned())];
    values.into_iter().chain(flags).chain(off).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// A bulk resend that had nothing to do.
async fn ended_bulk(shop: &Shop) -> BulkId {
    let filter = DeliveryFilter { state: Some(StateFilter::Expired), ..DeliveryFilter::default() };
    let key = format!("of {}", shop.merchant.slug);
    let id = shop.services.start_bulk(&shop.merchant, &filter, BulkTarget::Same, key, "test", Duration::ZERO).await.unwrap();
    until("a bulk resend to end", || async {
        let page = shop.services.bulk_page(&shop.merchant, id, true).await.unwrap();
        (page.job.state == BulkState::Done).then_some(id)
    })
    .await
}
