//! Personal and card data in the panel over real HTTP: whose role does not show them gets them masked, on every page, from every
//! server function, in every file; and reveals one value at a time.

use crate::support::{
    app::{Setup, Shop, TestApp},
    browser::Browser,
    endpoints::{self, Input},
    gateway,
    merchant::{Answer, FakeMerchant, Visit},
    message::Message,
    routes,
    smtp::{MailSink, Mood},
    until,
};
use quittance::{
    domain::{
        Format, Role,
        attempt::Origin,
        id::{DeliveryId, OrderId, UrlId},
        pages::{
            bulk::BulkTarget,
            deliveries::{DeliveryFilter, StateFilter},
            inbound::{InboundFilter, InboundMessage, Outcome},
        },
    },
    server::{mail::MailServer, store::Listener},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::Semaphore;

/// What must never reach support. Nothing else in the house contains one of them.
const PERSONAL: [(&str, &str); 14] = [
    ("FIRSTNAME", "Zacharias"),
    ("LASTNAME", "Quillfeather"),
    ("COMPANY", "Umbrella Pilchards"),
    ("FISCALCODE", "FC-778-Q9"),
    ("CBANKACCOUNT", "DE02120300000000202051"),
    ("ADDRESS1", "77 Yonder Lane"),
    ("CITY", "Xanaduville"),
    ("ZIPCODE", "ZX-90817"),
    ("PHONE", "+49 30 9081726"),
    ("CUSTOMEREMAIL", EMAIL),
    ("IPADDRESS", "198.51.100.73"),
    ("CARD_LAST_DIGITS", "8351"),
    ("CARD_EXPIRATION_DATE", "11/39"),
    ("CUSTOM_TEXT", "write to zacharias.quill@mail.example, card 4242 4242 4242 4242"),
];
const EMAIL: &str = "zacharias.quill@mail.example";
/// For those who have no session yet.
const WITHOUT_SESSION: [&str; 2] = ["first-run", "link"];
/// The server functions of which an administrator learns something personal in this house. All others are called, too; one
/// that begins to tell something belongs here.
const TELLING: [&str; 12] = [
    "inbound/find",
    "inbound/verifying",
    "listeners/page",
    "listeners/refusal",
    "orders/attempt",
    "orders/exchanges",
    "orders/find",
    "orders/notification",
    "orders/resend-choices",
    "orders/story",
    "search",
    "settings/mail/read",
];

fn personal() -> Vec<String> {
    let mut values: Vec<String> = PERSONAL.iter().take(13).map(|(_, value)| (*value).to_owned()).collect();
    values.push("4242 4242 4242 4242".to_owned());
    let encoded: Vec<String> =
        values.iter().map(|value| url::form_urlencoded::byte_serialize(value.as_bytes()).collect()).collect();
    values.extend(encoded);
    values.push("Zacharias Quillfeather".to_owned());
    values
}

/// The first of the values that stands in a text, with what stands around it.
fn told(text: &str) -> Option<String> {
    const AROUND: usize = 300;
    let plain = text.to_lowercase();
    // Four digits stand in an id or a moment now and then.
    let stands_alone = |at: usize, value: &str| {
        let is_part = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        !value.bytes().all(|byte| byte.is_ascii_digit())
            || !is_part(plain[..at].chars().next_back()) && !is_part(plain[at + value.len()..].chars().next())
    };
    let place = |value: &str| {
        let value = value.to_lowercase();
        plain.match_indices(&value).map(|(at, _)| at).find(|at| stands_alone(*at, &value))
    };
    let found = personal().into_iter().find_map(|value| Some((place(&value)?, value)));
    found.map(|(at, value)| {
        let (before, after) = plain.split_at(at);
        let before: String = before.chars().rev().take(AROUND).collect::<Vec<_>>().into_iter().rev().collect();
        format!("{value}: … {before}{} …", after.chars().take(AROUND).collect::<String>())
    })
}

fn assert_masked(what: &str, text: &str) {
    if let Some(told) = told(text) {
        panic!("{what} tells {told}");
    }
}

/// A house whose mail server takes mails for nobody, and says whom it does not know.
async fn house() -> (TestApp, Shop) {
    let sink = MailSink::start().await;
    sink.mood(Mood::Answers("RCPT", "550 5.1.1 <zacharias.quill@mail.example>: there is no such mailbox"));
    let mail = MailServer { url: sink.url().parse().unwrap(), from: "installation@quittance.example".parse().unwrap() };
    let app = TestApp::start_as(Setup { mail: Some(mail), ..Setup::default() }).await;
    let (shop, _) = (app.shop("Shop").await, app.shop("Other").await);
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("owner@example.com", Role::Merchant, &[&shop]).await;
    app.user("support@example.com", Role::Support, &[]).await;
    (app, shop)
}

async fn browser(app: &TestApp, name: &str) -> Browser {
    Browser::signed_in(app.address, &format!("{name}@example.com")).await
}

/// An order with everything personal in it.
fn message(reference: &str) -> Message {
    let mut message = Message::full(reference, "COMPLETE");
    for (name, value) in PERSONAL {
        message.set(name, value);
    }
    for (name, value) in [("FIRSTNAME_D", "Zacharias"), ("LASTNAME_D", "Quillfeather"), ("EMAIL_D", EMAIL)] {
        message.set(name, value);
    }
    // A merchant's own number may be anything.
    message.set("REFNOEXT", &format!("web-{reference} of {EMAIL}"));
    message
}

/// The fields of a message as a script reads them, of a form or of JSON.
fn fields(visit: &Visit) -> Vec<(String, String)> {
    let Ok(sent) = serde_json::from_slice::<serde_json::Value>(&visit.body) else { return visit.fields() };
    let fields = sent["data"]["fields"].as_array().unwrap().iter().flat_map(|field| field.as_object().unwrap());
    fields.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// A script that confirms nothing, and repeats everything personal in its answer.
async fn telltale() -> FakeMerchant {
    FakeMerchant::start(|visit| {
        let fields = fields(visit);
        let value =
            |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone()).unwrap_or_default();
        let echo: Vec<_> = PERSONAL.iter().map(|(name, _)| value(name)).collect();
        let said = format!("<p>Dear customer, we got {} for {}</p>", echo.join(" / "), echo[9].to_uppercase());
        // Where JSON leaves, any 2xx would confirm it.
        if visit.body.starts_with(b"{") { Answer::status(500, said) } else { Answer::text(said) }
    })
    .await
}

/// What addresses and server functions name, by the names that they have for it.
type Things = HashMap<&'static str, String>;

/// Two orders with everything personal in them, the second of them only for searches, at a URL for forms and at one for JSON;
/// what was refused, what is being verified, a bulk resend, mails that nobody took. Gives what there is to look at, in several
/// turns: what went as a form, what went as JSON, and what is under way at this moment.
async fn story(app: &TestApp, shop: &Shop) -> (OrderId, Vec<Things>) {
    let mut admin = browser(app, "admin").await;
    let template = [
        ("merchant", "shop"),
        ("status", "paid"),
        ("enabled", "true"),
        ("subject", "{order} of {name}"),
        ("text", "Hello {name}"),
    ];
    let saved = admin.call("POST", "/rpc/settings/mail/template", &template).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    let script = telltale().await;
    let form = shop.url(&script.url()).await;
    let json = shop.url_as(&format!("{}?json", script.url()), |draft| draft.terms.format = Format::Json).await;
    let message = message("9001");
    let order = shop.accepted(&message).await;
    shop.accepted(&self::message("9002")).await;

    shop.post_body(message.body("another key", &["md5"])).await;
    // JSON where a form should be; what is neither form nor JSON; and a name that is refused with its own words.
    shop.post_body(serde_json::json!({ "customer": { "email": EMAIL, "first_name": "Zacharias" } }).to_string()).await;
    shop.post_body(format!("<xml><name>Zacharias Quillfeather</name><mail>{EMAIL}</mail></xml>")).await;
    let (asking, verifying) = verifying(shop).await;
    let path = format!("/ipn/{}", asking.path_key);
    let name: String = url::form_urlencoded::byte_serialize(EMAIL.as_bytes()).collect();
    gateway::post(app.address, &path, format!("{name}=1&{name}=2")).await;

    let mut turns = Vec::new();
    let common = |url: UrlId, delivery: DeliveryId, exchanges: String| {
        Things::from([
            ("order", order.to_string()),
            ("delivery", delivery.to_string()),
            ("exchanges", exchanges),
            ("id", url.to_string()),
            ("url", url.to_string()),
            ("verifying", verifying.clone()),
            ("number", "1".to_owned()),
            ("listener", shop.listener_id().to_string()),
        ])
    };
    for url in [form, json] {
        let delivery = shop.wait_for_attempts(order, url, 1).await;
        let watched = shop.resend(order, Some(url), Origin::Debug, &format!("debug {url}")).await[0];
        shop.wait_for(order, url, |delivery| delivery.id == watched && delivery.attempts == 1).await;
        turns.push(common(url, delivery.id, watched.to_string()));
    }
    // What goes out is shown before an answer is there.
    let gate = Arc::new(Semaphore::new(0));
    script.answer(move |_| Answer::Gated(gate.clone(), Box::new(Answer::text(""))));
    let mut under_way = Vec::new();
    for url in [form, json] {
        under_way.extend(shop.resend(order, Some(url), Origin::Debug, &format!("under way {url}")).await);
    }
    let ids: Vec<_> = under_way.iter().map(ToString::to_string).collect();
    let delivery = turns[1]["delivery"].parse().unwrap();
    turns.push(common(json, delivery, ids.join("-")));

    let filter = DeliveryFilter { state: Some(StateFilter::Expired), ..DeliveryFilter::default() };
    let key = "a bulk resend".to_owned();
    let bulk = shop.services.start_bulk(&shop.merchant, &filter, BulkTarget::Same, key, "test", Duration::ZERO).await.unwrap();
    let user = app.services.store.user_by_email("owner@example.com").await.unwrap().unwrap().id;
    gateway::post(app.address, "/ipn/nobody-knows-this", message.body("another key", &["md5"])).await;
    let stray = until("the stray", || async { app.services.strays(None).await.unwrap().rows.first().map(|row| row.id) }).await;
    let failed = async || app.services.store.failed_mails(shop.merchant.id, None, 9).await.unwrap();
    until("the mails to be given up", || async { (failed().await.len() == 2).then_some(()) }).await;

    let refused = InboundFilter { outcome: Some(Outcome::Refused), ..InboundFilter::default() };
    let refused = shop.services.find_inbound(&shop.merchant, &refused).await.unwrap().rows;
    assert_eq!(refused.len(), 4, "{refused:?}");
    // The oldest first: the whole message with a wrong signature.
    let refused = refused.iter().rev().map(|row| match &row.message {
        InboundMessage::Refused(row) => row.id.to_string(),
        other => panic!("{other:?}"),
    });
    let refused: Vec<_> = refused.collect();
    let notification = shop.deliveries(order).await[0].notification_id;
    while turns.len() < refused.len() {
        turns.push(turns[0].clone());
    }
    for (turn, refusal) in turns.iter_mut().zip(refused) {
        turn.extend([
            ("merchant", "shop".to_owned()),
            ("notification", notification.to_string()),
            ("refusal", refusal),
            ("bulk", bulk.to_string()),
            ("user", user.to_string()),
            ("stray", stray.to_string()),
        ]);
    }
    turns.last_mut().unwrap().insert("listener", asking.id.to_string());
    std::mem::forget(script);
    (order, turns)
}

/// A message that waits for its gateway's word, and is not asked about before tomorrow; behind the listener that it came to.
async fn verifying(shop: &Shop) -> (Arc<Listener>, String) {
    let listener = shop.asking().await;
    let encoded =
        |name: &str, value: &str| url::form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    let body = [
        encoded("txn_id", "5001"),
        encoded("first_name", "Zacharias"),
        encoded("last_name", "Quillfeather"),
        encoded("payer_email", EMAIL),
        encoded("address_street", "77 Yonder Lane"),
        encoded("custom", "for Zacharias Quillfeather, 4242 4242 4242 4242"),
    ];
    let head = format!("POST /ipn/{}?payer_email={EMAIL} HTTP/1.1\r\nx-customer: Zacharias Quillfeather", listener.path_key);
    let place = shop.wait_at(&listener, "5001", &head, body.join("&")).await;
    (listener, place)
}

/// Every page of the panel in these turns, and those that a query makes another page of.
fn pages(turns: &[Things]) -> BTreeSet<String> {
    let mut pages = BTreeSet::new();
    for things in turns {
        for route in routes::all() {
            let filled = routes::filled(&route, |name| things.get(name).map(String::as_str));
            pages.insert(filled.unwrap_or_else(|| panic!("{route} names something that this test does not know")));
        }
    }
    let more = [
        "/search?text=900",
        "/search?text=254498854202",
        "/m/shop/orders?text=9001",
        "/m/shop/deliveries?text=9001",
        "/m/shop/inbound?outcome=refused",
        "/m/shop/inbound?outcome=verifying",
        "/m/shop/resends/new?state=retrying",
        "/m/shop/resends/cancel?state=retrying",
        "/m/shop/settings/mail?status=paid",
        "/m/shop/orders.csv",
        "/m/shop/orders.csv?mark=1",
        "/m/shop/deliveries.csv",
        "/m/shop/inbound.csv",
    ];
    pages.extend(more.map(str::to_owned));
    pages.extend(turns.iter().map(|things| format!("/m/shop/orders/{}?order=newest", things["order"])));
    pages
}

/// What a server function is asked, beside the things.
fn asked(things: &Things) -> HashMap<String, String> {
    let more = [
        ("orders/story.newest_first", "true"),
        ("orders/story.after", ""),
        ("attempts_until", "1"),
        ("filter", "{\"text\":\"9001\",\"status\":null,\"from\":null,\"until\":null,\"test\":null,\"after\":null}"),
        ("deliveries", "{\"text\":\"9001\"}"),
        ("inbound", "{}"),
        ("target", "same"),
        ("search.text", "900"),
        ("mail", "{\"status\":\"paid\"}"),
        ("people", "{\"text\":\"\",\"after\":null}"),
        ("acts", "{\"actor\":null,\"action\":null,\"from\":null,\"until\":null,\"after\":null}"),
        ("after", "1"),
        ("list", "orders"),
        ("gateway", "2checkout"),
        ("language", "php"),
        ("listeners/simulator.sent", ""),
        ("draft", "{\"status\":\"COMPLETE\",\"product\":\"x\",\"amount\":\"1.00\",\"currency\":\"EUR\"}"),
        ("pasted", "{\"body\":\"REFNO=1&HASH=00\"}"),
    ];
    let things = things.iter().map(|(name, value)| (*name, value.as_str()));
    more.into_iter().chain(things).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn support_never_receives_an_unmasked_value() {
    let (app, shop) = house().await;
    let (_, turns) = story(&app, &shop).await;
    let (mut support, mut admin) = (browser(&app, "support").await, browser(&app, "admin").await);
    let mut shown = String::new();
    for page in pages(&turns) {
        let reply = support.get(&page).await;
        // Pages for others are refused, and whoever is signed in is led on from those for whoever is not.
        assert!([200, 302, 403].contains(&reply.status), "{page}: {reply:?}");
        assert_masked(&page, &reply.text());
        shown.push_str(&admin.get(&page).await.text());
    }
    for (_, value) in &PERSONAL[..13] {
        assert!(shown.contains(value), "an administrator sees {value}");
    }
    // What scripts ask for is no way around. A function whose arguments are not known here fails the test.
    let mut telling = BTreeSet::new();
    for endpoint in endpoints::all() {
        // Forms answer with nothing but where to go next.
        if endpoint.input == Input::Form || WITHOUT_SESSION.contains(&endpoint.name.as_str()) {
            continue;
        }
        for things in &turns {
            let values = asked(things);
            let reply = endpoint.call(&mut support, &values).await;
            if endpoint.permission.is_none_or(|permission| Role::Support.may(permission)) {
                assert_eq!(reply.status, 200, "{} with {things:?}: {}", endpoint.name, reply.text());
            } else {
                assert_eq!(reply.text(), "\"forbidden\"", "{}", endpoint.name);
            }
            assert_masked(&endpoint.name, &reply.text());
            let whole = endpoint.call(&mut admin, &values).await;
            assert!(whole.status < 500 && whole.text() != "\"forbidden\"", "{} with {things:?}: {whole:?}", endpoint.name);
            if told(&whole.text()).is_some() {
                telling.insert(endpoint.name.clone());
            }
        }
    }
    // Strays are only for those who see everything.
    telling.remove("inbound/stray");
    assert_eq!(telling.iter().map(String::as_str).collect::<Vec<_>>(), TELLING);
    let attempt = support.get(&format!("/m/shop/deliveries/{}/1", turns[0]["delivery"])).await.text();
    for masked in ["z••@mail.example", "Z••", "•••• 4242", "198.•.•.•", "••51"] {
        assert!(attempt.contains(masked), "{masked}: {attempt}");
    }
    assert!(attempt.contains("REFNO=9001"), "what is not personal stays");
}

#[tokio::test]
async fn a_file_of_a_list_is_masked_as_its_page_is() {
    let (app, shop) = house().await;
    story(&app, &shop).await;
    let (mut support, mut admin) = (browser(&app, "support").await, browser(&app, "admin").await);
    let orders = admin.get("/m/shop/orders.csv").await.text();
    assert!(orders.contains("Zacharias Quillfeather") && orders.matches(EMAIL).count() == 4, "{orders}");
    let masked = support.get("/m/shop/orders.csv").await.text();
    assert_masked("orders.csv", &masked);
    assert!(masked.contains("Z•• Q••") && masked.matches("z••@mail.example").count() == 4, "{masked}");
    assert_eq!(masked.lines().count(), orders.lines().count());
    let inbound = admin.get("/m/shop/inbound.csv").await.text();
    assert!(inbound.contains(&format!("{EMAIL} comes twice.")), "{inbound}");
    let masked = support.get("/m/shop/inbound.csv").await.text();
    assert_masked("inbound.csv", &masked);
    assert!(masked.contains("z••@mail.example comes twice."), "{masked}");
    assert_eq!(masked.lines().count(), inbound.lines().count());
    let deliveries = support.get("/m/shop/deliveries.csv").await.text();
    assert!(deliveries.contains(",9001,") && deliveries.contains(",9002,"), "{deliveries}");
    assert_masked("deliveries.csv", &deliveries);
    // Nor is a file a way to find an address letter by letter.
    let found = async |browser: &mut Browser, text: &str| {
        browser.get(&format!("/m/shop/orders.csv?text={text}")).await.text().lines().count() - 1
    };
    for part in ["zach", "zacharias.quill%40mail.exampl"] {
        assert_eq!((found(&mut admin, part).await, found(&mut support, part).await), (2, 0), "{part}");
    }
    assert_eq!(found(&mut support, "zacharias.quill%40mail.example").await, 2);
}

#[tokio::test]
async fn support_finds_an_external_reference_only_whole() {
    let (app, shop) = house().await;
    let mut message = message("9001");
    message.set("REFNOEXT", EMAIL);
    message.set("CUSTOMEREMAIL", "nobody@else.example");
    let order = shop.accepted(&message).await;
    let (mut support, mut owner) = (browser(&app, "support").await, browser(&app, "owner").await);
    let url = shop.url("http://127.0.0.1:9/").await;
    shop.resend(order, Some(url), Origin::Resend, "once").await;
    app.services.store.settled().await.unwrap();
    let found = async |browser: &mut Browser, page: &str, text: &str| {
        browser.get(&format!("{page}?text={text}")).await.text().contains("9001")
    };
    let pages =
        ["/m/shop/orders", "/m/shop/deliveries", "/m/shop/inbound", "/search", "/m/shop/orders.csv", "/m/shop/deliveries.csv"];
    for page in pages {
        for part in ["z", "zacharias", "zacharias.quill%40mail.exampl"] {
            assert!(found(&mut owner, page, part).await, "{page} {part}");
            assert!(!found(&mut support, page, part).await, "{page} {part}: letter by letter");
        }
        assert!(found(&mut support, page, "zacharias.quill%40mail.example").await, "{page}: whole");
    }
    let plan = async |browser: &mut Browser| browser.get("/m/shop/resends/cancel?text=zach").await.text();
    assert!(plan(&mut owner).await != plan(&mut support).await, "nor by counting");
    let page = support.get(&format!("/m/shop/orders/{order}")).await.text();
    assert_masked("the order", &page);
    let wish = [("merchant", "shop"), ("of", "order"), ("thing", &order.to_string()), ("field", "external"), ("page", "/")];
    assert_eq!(page.matches("name=\"field\" value=\"external\"").count(), 1, "{page}");
    support.form("/rpc/reveal", &wish).await;
    assert!(support.get(&format!("/m/shop/orders/{order}")).await.text().contains(EMAIL));
}

#[tokio::test]
async fn a_value_is_revealed_once_by_a_form_and_written_down() {
    let (app, shop) = house().await;
    let (_, turns) = story(&app, &shop).await;
    let things = &turns[0];
    let mut support = browser(&app, "support").await;
    let order = format!("/m/shop/orders/{}", things["order"]);
    let wish = |of: &'static str, thing: &str, field: &'static str| {
        vec![
            ("merchant", "shop".to_owned()),
            ("of", of.to_owned()),
            ("thing", thing.to_owned()),
            ("number", "1".to_owned()),
            ("field", field.to_owned()),
            ("nth", "0".to_owned()),
        ]
    };
    for (fields, value) in [
        (wish("order", &things["order"], "email"), "zacharias.quill@mail.example"),
        (wish("order", &things["order"], "customer"), "Zacharias Quillfeather"),
        (wish("notification", &things["notification"], "ADDRESS1"), "77 Yonder Lane"),
        (wish("attempt", &things["delivery"], "PHONE"), "+49 30 9081726"),
        (wish("refusal", &things["refusal"], "CITY"), "Xanaduville"),
    ] {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = support.form("/rpc/reveal", &fields).await.header("location").to_owned();
        let text = support.get(&page).await.text();
        assert!(text.contains("Revealed: ") && text.contains(value), "{page} {value}: {text}");
        assert_masked(&page, &support.get(&page).await.text());
    }
    let answer = support
        .call("GET", "/rpc/reveal", &[("merchant", "shop"), ("of", "order"), ("thing", &things["order"]), ("field", "email")])
        .await;
    assert!(answer.status >= 400, "no link reveals anything: {answer:?}");
    for (of, thing, field) in [("order", "1", "email"), ("order", things["order"].as_str(), "secret"), ("file", "1", "x")] {
        let fields = [("merchant", "shop"), ("of", of), ("thing", thing), ("field", field)];
        assert_eq!(support.call("POST", "/rpc/reveal", &fields).await.text(), "\"not-found\"", "{of} {field}");
    }
    let mut owner = browser(&app, "owner").await;
    let log = owner.get("/m/shop/audit?action=personal.reveal").await.text();
    assert_eq!(log.matches("Revealed a value").count() - 1, 5, "beside the choice of the filter: {log}");
    for part in ["support@example.com", "order 9001", "ADDRESS1", "127.0.0.1"] {
        assert!(log.contains(part), "{part}: {log}");
    }
    assert_masked("the log", &log);
    assert!(support.get(&order).await.text().contains("Reveal"));
    assert!(!owner.get(&order).await.text().contains("Reveal"), "nothing is masked for him");
    assert_eq!(support.get("/m/shop/audit").await.status, 403);
}

#[tokio::test]
async fn support_finds_an_e_mail_address_only_whole() {
    let (app, shop) = house().await;
    story(&app, &shop).await;
    let (mut support, mut owner) = (browser(&app, "support").await, browser(&app, "owner").await);
    for part in ["z", "zacharias", "zacharias.quill@", "zacharias.quill@mail.exampl", "zacharias.quill%40mail.example2"] {
        let page = support.get(&format!("/m/shop/orders?text={part}")).await.text();
        assert!(page.contains("No order fits"), "{part}: {page}");
    }
    assert!(owner.get("/m/shop/orders?text=zach").await.text().contains("zacharias.quill@mail.example"));
    for whole in ["zacharias.quill%40mail.example", "Zacharias.Quill%40MAIL.example", "9001", "90"] {
        let page = support.get(&format!("/m/shop/orders?text={whole}")).await.text();
        assert!(page.contains("z••@mail.example") && page.contains("9001"), "{whole}: {page}");
    }
    let filter = serde_json::json!({ "text": "zach", "status": null, "from": null, "until": null, "test": null, "after": null, "whole_email": false });
    let reply = support.call_json("/rpc/orders/find", &serde_json::json!({ "merchant": "shop", "filter": filter })).await.text();
    assert!(reply.contains("\"rows\":[]"), "nor where a script asks otherwise: {reply}");
}
