//! Texts that no page can show as they are: 64 KiB in a field, of which a page shows the beginning and the rest on demand; and
//! bytes that are no UTF-8, which it shows as what they are.

use super::{HOSTILE, check};
use crate::support::{
    app::{GATEWAY_KEY, Shop, TestApp},
    browser::Browser,
    gateway,
    merchant::{Answer, FakeMerchant},
    message::{Message, mac},
};
use quittance::{
    domain::{
        Format, Role,
        attempt::Origin,
        id::{OrderId, UrlId},
        pages::inbound::InboundFilter,
    },
    server::store::Listener,
};
use std::sync::Arc;

const LONG: usize = 64 << 10;
/// So many letters of a text stand on a page without a click, at the most.
const SHOWN: usize = 400;

/// A shop with a URL for forms and one for JSON, and a listener whose gateway is asked about each message.
struct House {
    app: TestApp,
    shop: Shop,
    asking: Arc<Listener>,
    urls: [UrlId; 2],
}

impl House {
    /// Scripts answer with these bytes.
    async fn new(answer: Vec<u8>) -> Self {
        let app = TestApp::start().await;
        let (shop, _) = (app.shop("Shop").await, app.shop("Other").await);
        let script =
            FakeMerchant::start(move |_| Answer::Page(500, vec![("Content-Type", "text/html".to_owned())], answer.clone())).await;
        let form = shop.url(&script.url()).await;
        let json = shop.url_as(&format!("{}?json", script.url()), |draft| draft.terms.format = Format::Json).await;
        std::mem::forget(script);
        let asking = shop.asking().await;
        app.user("admin@example.com", Role::Admin, &[]).await;
        Self { app, shop, asking, urls: [form, json] }
    }

    /// Keeps a message that waits for its gateway's word; it is not asked about before tomorrow.
    async fn wait(&self, body: Vec<u8>) {
        self.shop.wait_at(&self.asking, "1", "POST / HTTP/1.1", body).await;
    }

    /// Every page that shows something of an order or of what did not become one.
    async fn pages(&self, order: OrderId, text: &str) -> Vec<String> {
        let mut pages: Vec<String> =
            ["", "/orders", "/deliveries", "/inbound", "/listeners"].map(|page| format!("/m/shop{page}")).into();
        pages.extend(["/".to_owned(), "/unknown".to_owned(), format!("/search?text={text}"), format!("/m/shop/orders/{order}")]);
        for listener in [self.shop.listener_id(), self.asking.id] {
            pages.push(format!("/m/shop/listeners/{listener}"));
        }
        for url in self.urls {
            let delivery = self.shop.wait_for_attempts(order, url, 1).await;
            let watched = self.shop.resend(order, Some(url), Origin::Debug, &format!("debug {url}")).await[0];
            self.shop.wait_for(order, url, |delivery| delivery.id == watched && delivery.attempts == 1).await;
            let (id, notification) = (delivery.id, delivery.notification_id);
            pages.extend([
                format!("/m/shop/deliveries/{id}"),
                format!("/m/shop/deliveries/{id}/1"),
                format!("/m/shop/check?delivery={id}&number=1"),
                format!("/m/shop/notifications/{notification}"),
                format!("/m/shop/notifications/{notification}/resend"),
                format!("/m/shop/orders/{order}/exchanges/{watched}"),
            ]);
        }
        let strays = self.app.services.strays(None).await.unwrap().rows;
        pages.extend(strays.iter().map(|row| format!("/unknown/{}", row.id)));
        let inbound = self.shop.services.find_inbound(&self.shop.merchant, &InboundFilter::default()).await.unwrap().rows;
        pages.extend(inbound.iter().filter_map(|row| {
            use quittance::domain::pages::inbound::InboundMessage::{Accepted, Refused, Verifying};
            match &row.message {
                Accepted { .. } => None,
                Refused(row) => Some(format!("/m/shop/refused/{}", row.id)),
                Verifying(row) => Some(format!("/m/shop/verifying/{}", row.id)),
            }
        }));
        for of in ["/refused/", "/verifying/", "/unknown/"] {
            assert!(pages.iter().any(|page| page.contains(of)), "{of} is not among {pages:?}");
        }
        pages
    }
}

/// What of a page somebody sees who has opened nothing. What crossed the wire stands in boxes of a fixed height.
fn seen(page: &str) -> String {
    let without = |mut page: String, from: &str, until: &str| {
        while let Some(at) = page.find(from) {
            let end = page[at..].find(until).unwrap_or_else(|| panic!("{from} without {until}"));
            page.replace_range(at..at + end, "");
        }
        page
    };
    let page = without(page.to_owned(), "<pre", "</pre>");
    let mut page = without(page, "<textarea", "</textarea>");
    while let Some(at) = page.find("<details class=\"long\"") {
        let summary = at + page[at..].find("</summary>").unwrap();
        let end = summary + page[summary..].find("</details>").unwrap();
        page.replace_range(summary..end, "");
        page.replace_range(at..at + "<details".len(), "<opened");
    }
    // Tags with their attributes.
    let (mut text, mut quote, mut in_tag) = (String::new(), None, false);
    for letter in page.chars() {
        match (in_tag, quote, letter) {
            (false, _, '<') => in_tag = true,
            (false, ..) => text.push(letter),
            (true, None, '>') => in_tag = false,
            (true, None, '"') => quote = Some('"'),
            (true, Some(open), _) if letter == open => quote = None,
            _ => {}
        }
    }
    text
}

/// The longest run of a letter.
fn longest(text: &str, letter: char) -> usize {
    text.split(|other| other != letter).map(str::len).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_of_64_kib_is_cut_with_all_of_it_on_demand() {
    let long = format!("begins {} {HOSTILE} ends", "w".repeat(LONG));
    let house = House::new(long.clone().into_bytes()).await;
    let mut message = Message::full("64001", "COMPLETE");
    message.set("FIRSTNAME", &long).set("IPN_PNAME[]", &long).set("REFNOEXT", &long);
    let order = house.shop.accepted(&message).await;
    house
        .wait(format!("txn_id=1&invoice={}", url::form_urlencoded::byte_serialize(long.as_bytes()).collect::<String>()).into())
        .await;
    let path = format!("/ipn/{}", house.asking.path_key);
    let (start, name) = (&long[..12 << 10], "n".to_owned() + &"w".repeat(LONG));
    // Of what is refused 16 KiB are kept.
    house.shop.post_body(format!("REFNO=1&FIRSTNAME={}", start.replace(' ', "+"))).await;
    gateway::post(house.app.address, &path, format!("{name}=1&{name}=2")).await;
    gateway::post(house.app.address, "/ipn/nobody-knows-this", format!("FIRSTNAME={}", start.replace(' ', "+"))).await;
    let mut browser = Browser::signed_in(house.app.address, "admin@example.com").await;
    // What was sent then differs in every field from what would be sent now.
    let pages = house.pages(order, "64001").await;
    browser.form("/rpc/settings/content", &[("merchant", "shop"), ("triggers[]", "COMPLETE"), ("only", "true")]).await;
    browser.headers.push(("accept-encoding", "identity".to_owned()));
    let (mut whole, mut wrong) = (0, Vec::new());
    for page in pages {
        let mut reply = browser.get(&page).await;
        // The only hit of a search is opened.
        if page.starts_with("/search") {
            assert_eq!(reply.header("location"), format!("/m/shop/orders/{order}"));
            reply = browser.get(&format!("/m/shop/orders/{order}")).await;
        }
        check(&page, &reply);
        let text = reply.text();
        let seen = longest(&seen(&text), 'w');
        if seen > SHOWN {
            wrong.push(format!("{page}: {seen}"));
        }
        whole += usize::from(longest(&text, 'w') == LONG);
        let has_fields = ["/notifications/", "/deliveries/"].iter().any(|part| page.contains(part));
        if has_fields && text.contains("fields, decoded") {
            assert!(text.contains("Show all 65,6") && text.contains("Show all: "), "{page}: {seen}");
        }
    }
    assert!(wrong.is_empty(), "so many letters of one text are shown at once: {wrong:#?}");
    assert!(whole >= 6, "all of a text is on {whole} pages");
    for file in ["orders", "deliveries", "inbound"] {
        let reply = browser.get(&format!("/m/shop/{file}.csv")).await;
        assert!(reply.status == 200 && std::str::from_utf8(&reply.body).is_ok(), "{file}: {reply:?}");
    }
}

/// A form of bytes, signed as the gateway signs.
fn signed(fields: &[(&str, &[u8])]) -> String {
    let source: Vec<u8> = fields.iter().flat_map(|(_, value)| [value.len().to_string().as_bytes(), value].concat()).collect();
    let encoded = |bytes: &[u8]| url::form_urlencoded::byte_serialize(bytes).collect::<String>();
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", encoded(name.as_bytes()), encoded(value))).collect();
    format!("{}&HASH={}", pairs.join("&"), mac("md5", GATEWAY_KEY, source))
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_show_as_what_they_are() {
    let house = House::new(b"<p>Ren\xe9 \xff\xfe</p>\xc3".to_vec()).await;
    let fields: [(&str, &[u8]); 11] = [
        ("REFNO", b"8001"),
        ("REFNOEXT", b"web-\xff"),
        ("ORDERSTATUS", b"COMPLETE"),
        ("FIRSTNAME", b"Ren\xe9 \xff\xfe"),
        ("LASTNAME", b"\xf0\x9f\x98"),
        ("CUSTOMEREMAIL", b"ren\xc3@example.com"),
        ("IPN_PID[]", b"1"),
        ("IPN_PNAME[]", b"Caf\xe9 <b>\xed\xa0\x80</b>"),
        ("IPN_TOTALGENERAL", b"0.01"),
        ("CURRENCY", b"USD"),
        ("IPN_DATE", b"20260301120009"),
    ];
    let reply = house.shop.post_body(signed(&fields)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let order = house.shop.order_named("8001").await;
    // Here as they are, and not as `%E9`.
    let raw = b"REFNO=8001&FIRSTNAME=Ren\xe9 \xff\xfe&\xfe=\xc3".to_vec();
    house.shop.post_body(raw.clone()).await;
    house.wait(raw.clone()).await;
    gateway::post(house.app.address, "/ipn/nobody-knows-this", raw).await;
    let mut browser = Browser::signed_in(house.app.address, "admin@example.com").await;
    browser.headers.push(("accept-encoding", "identity".to_owned()));
    for page in house.pages(order, "%FF%FE").await {
        let reply = browser.get(&page).await;
        check(&page, &reply);
        let text = reply.text();
        let tells = ["/refused/", "/verifying/", "/unknown/", "/exchanges/", "/notifications/"];
        if (tells.iter().any(|part| page.contains(part)) || page.ends_with("/1")) && !page.ends_with("/resend") {
            assert!(text.contains("Ren\\xE9 \\xFF\\xFE"), "{page}: {text}");
        }
    }
    for file in ["orders", "deliveries", "inbound"] {
        let reply = browser.get(&format!("/m/shop/{file}.csv")).await;
        assert!(reply.status == 200 && std::str::from_utf8(&reply.body).is_ok(), "{file}: {reply:?}");
    }
}
