//! Every page of the control panel as the server renders it: with nothing stored, with the usual, and with more than fits; and how
//! many queries it takes. The pages are read from `src/ui/routes.rs`, so that a new one cannot be forgotten.

mod first_visit;
mod house;
mod long;

use crate::support::{
    app::{GATEWAY_KEY, PASSWORD},
    browser::Browser,
    gateway,
    program::Program,
    routes,
};
use house::{ADMIN, Contents, House, Visit};
use std::collections::BTreeMap;

/// Most queries that a page may need.
const MOST_QUERIES: usize = 8;
/// So often a page is looked at, at the most, to tell its own queries from others.
const MOST_TURNS: usize = 12;
/// Most bytes of a page on its way (brotli), beside those that every page shares.
const MOST_BYTES: usize = 15_000;
/// Markup that would do something if a page did not escape it; the tests look for it as it stands.
const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>";
/// Text from right to left, with a mark that turns what follows.
const TURNED: &str = "\u{202e}שלום عالم";
/// What no terminal should be told.
const CONTROLS: &str = "\u{0}\u{7}\u{1b}[31mred";

/// Bytes that a page takes on its way.
fn packed(page: &str) -> usize {
    let mut packed = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    brotli::BrotliCompress(&mut page.as_bytes(), &mut packed, &params).unwrap();
    packed.len()
}

/// What holds for every page, whatever is stored.
fn check(address: &str, reply: &gateway::Reply) {
    let page = std::str::from_utf8(&reply.body).unwrap_or_else(|error| panic!("{address}: {error}"));
    assert_eq!(reply.status, 200, "{address}: {page}");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("</main>"), "{address} is not whole");
    assert_eq!(page.matches("<h1").count(), 1, "{address}: one title");
    let (before, rest) = page.split_once("<title>").unwrap_or_else(|| panic!("{address} has no title"));
    let (title, after) = rest.split_once("</title>").unwrap();
    assert!(title.len() > 3 && !title.contains('<'), "{address}: {title}");
    for hostile in ["<script>alert", "<img src=x", "onerror=alert(2)>"] {
        // In a title nothing but the sign that would end it means anything.
        if let Some(at) = [before, after].iter().find_map(|part| Some(&part[part.find(hostile)?..])) {
            panic!("{address} does not escape {}", at.chars().take(200).collect::<String>());
        }
    }
    // The page of mails shows how one is written, which is escaped once already.
    let twice = (!address.contains("/settings/mail")).then_some("&amp;lt;");
    // As words: the sealed texts of forms may hold any three letters.
    let mut words = page.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_+/=".contains(letter));
    assert!(words.all(|word| !["NaN", "undefined"].contains(&word)), "{address} says NaN or undefined");
    for broken in ["&amp;amp;lt;"].into_iter().chain(twice) {
        assert!(!page.contains(broken), "{address} says {broken}");
    }
    let bytes = packed(page);
    assert!(bytes <= MOST_BYTES, "{address} takes {bytes} bytes");
}

/// Whoever has one merchant is led on to him; every other page is there, and says so.
async fn visit(house: &mut House, visit: &Visit) -> gateway::Reply {
    let reply = house.get(visit).await;
    check(visit.address(), &reply);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_its_empty_state() {
    let mut house = House::empty(&[]).await;
    let addresses = house.addresses();
    assert!(addresses.len() > 10 && addresses.iter().any(|address| address.address() == "/"), "{}", addresses.len());
    for address in addresses {
        visit(&mut house, &address).await;
    }
    let start = Visit::At("/".to_owned());
    assert!(house.get(&start).await.text().contains("No merchants yet"));
    // The start page leads on to the only merchant, and shows several.
    let (_, reply) = house.send("/rpc/merchants/add", &[("name", "Shop")]).await;
    check("the page after adding a merchant", &reply);
    let reply = house.get(&start).await;
    assert_eq!((reply.status, reply.header("location")), (302, "/m/shop"));
    house.send("/rpc/merchants/add", &[("name", "Other")]).await;
    house.look_for_merchants();
    let addresses = house.addresses();
    assert!(addresses.len() > 30, "{}", addresses.len());
    for address in addresses {
        visit(&mut house, &address).await;
    }
    // What an address names is gone: the page says so, in the frame of the others.
    for address in ["orders/1", "deliveries/1", "deliveries/1/1", "notifications/1", "listeners/1", "refused/1", "resends/1"] {
        let reply = house.browser.get(&format!("/m/shop/{address}")).await;
        assert_eq!(reply.status, 404, "{address}");
        assert!(reply.text().contains("<h1") && reply.text().contains("href=\"/\""), "{address}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_that_let_somebody_in_have_their_pages() {
    let program = Program::new();
    let server = program.serve();
    let link = server.banner.split("/setup?token=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let mut nobody = Browser::new(server.address);
    let pages =
        [("/sign-in".to_owned(), "There is no administrator yet"), (format!("/setup?token={link}"), "Create administrator")];
    for (address, says) in pages {
        let reply = nobody.get(&address).await;
        check(&address, &reply);
        assert!(reply.text().contains(says), "{address}: {}", reply.text());
    }
    let mut admin = nobody.clone();
    admin.form("/rpc/set-up", &[("token", &link), ("email", ADMIN), ("password", PASSWORD)]).await;
    let email = format!("{}@example.com", "somebody-with-a-long-name".repeat(9));
    let reply = admin.form("/rpc/users/invite", &[("email", &email), ("role", "support")]).await;
    let invited = admin.get(reply.header("location")).await;
    check("the page with the invitation", &invited);
    let token: String =
        invited.text().split("/join?token=").nth(1).unwrap().chars().take_while(char::is_ascii_hexdigit).collect();
    let address = format!("/join?token={token}");
    let reply = nobody.get(&address).await;
    check(&address, &reply);
    assert!(reply.text().contains(&email) && reply.text().contains("Set password and sign in"), "{}", reply.text());
    // With what was typed wrong there, too.
    let reply = nobody.form("/rpc/join", &[("token", &token), ("password", "short")]).await;
    let again = nobody.get(reply.header("location")).await;
    check("the invitation with a mistake", &again);
    assert!(again.text().contains("at least 12 characters"), "{}", again.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_shows_the_usual_and_asks_little_of_the_database() {
    let contents = Contents { merchants: ["Shop", "Other"], label: "Script", fields: &[], said: "", orders: 60 };
    let mut house = House::full(contents).await;
    let mut addresses = house.addresses();
    assert_eq!(addresses.len(), routes::all().len(), "a page has a part that this test does not know");
    addresses.extend(house.variants(["70", "Script"], ""));
    for address in addresses {
        // What the server asks by itself meanwhile is not the page's, and is not asked each time.
        let mut asked: Option<BTreeMap<String, usize>> = None;
        for turn in 0..MOST_TURNS {
            let before = house.logged();
            visit(&mut house, &address).await;
            let now = house.asked_since(before);
            asked = Some(match asked {
                None => now,
                Some(before) => {
                    let both = before.into_iter().filter_map(|(query, times)| Some((times.min(*now.get(&query)?), query)));
                    both.map(|(times, query)| (query, times)).collect()
                }
            });
            if turn >= 3 && asked.iter().flatten().map(|(_, times)| times).sum::<usize>() <= MOST_QUERIES {
                break;
            }
        }
        let (asked, address) = (asked.unwrap_or_default(), address.address());
        assert!(address != "/m/shop/orders" || !asked.is_empty(), "queries are counted");
        let queries: usize = asked.values().sum();
        assert!(queries <= MOST_QUERIES, "{address} takes {queries} queries: {asked:#?}");
    }
    says(&mut house, ["70", "Script"], "").await;
    for (says, address, reply) in house.results().await {
        check(&address, &reply);
        assert!(reply.text().contains(says), "{address} does not say {says}: {}", reply.text());
    }
}

/// The pages that depend on what somebody looks for or pastes show what they should, and not their empty state.
async fn says(house: &mut House, [text, name]: [&str; 2], said: &str) {
    for visit in house.variants([text, name], said) {
        let address = visit.address().to_owned();
        let expected = match (&visit, address.rsplit_once('/').unwrap().1) {
            (Visit::Posted(..), "check") => "What was found",
            (Visit::Posted(..), "test-order") => "What would be sent now",
            (Visit::Posted(..), _) => "Not saved yet",
            (Visit::At(_), page) if page.starts_with("search") && !page.contains("254498854202") => "class=\"rows hits\"",
            (Visit::At(_), page) if page.starts_with("inbound") || page.starts_with("deliveries") => "<tbody><tr",
            _ => continue,
        };
        let page = house.get(&visit).await.text();
        assert!(page.contains(expected), "{address} does not say {expected}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_bears_more_than_fits() {
    let name = format!("{}<b>{TURNED}</b>", "Merchant".repeat(7));
    let other = format!("Other{name}");
    let label = format!("{}<i>{TURNED}</i>", "Label".repeat(10));
    let long = format!("{HOSTILE}{TURNED}{}", "Ñandú ".repeat(70));
    let said = format!("{long}{CONTROLS}");
    let fields = [
        ("FIRSTNAME", long.as_str()),
        ("LASTNAME", &long),
        ("COMPANY", &long),
        ("REFNOEXT", &long),
        ("ADDRESS1", &long),
        ("CUSTOMEREMAIL", &long),
        ("IPN_PNAME[]", &long),
        ("PAYMETHOD", &long),
        ("MESSAGE_ID", &long),
        ("CURRENCY", &long),
        ("IPN_TOTALGENERAL", "99999999999999999999.99"),
        ("GATEWAY_RESPONSE", CONTROLS),
        (HOSTILE, HOSTILE),
    ];
    let contents = Contents { merchants: [&name, &other], label: &label, fields: &fields, said: &said, orders: 12 };
    let mut house = House::full(contents).await;
    // One delivery that was tried ten thousand times.
    let many = "WITH RECURSIVE series (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM series WHERE n < 10000)
        INSERT INTO attempt SELECT delivery_id, n, started_at + n, address, status, cause, detail, timings, segment_id, part
        FROM attempt CROSS JOIN series WHERE number = 1 AND delivery_id = (SELECT min(id) FROM delivery WHERE state = 5)";
    let connection = house.program.connection();
    assert_eq!(connection.execute(many, []).unwrap(), 9_999);
    let told = "UPDATE delivery SET attempts = 10000 WHERE id = (SELECT min(id) FROM delivery WHERE state = 5)";
    connection.execute(told, []).unwrap();
    drop(connection);
    let mut addresses = house.addresses();
    assert_eq!(addresses.len(), routes::all().len());
    addresses.extend(house.variants([HOSTILE, "LabelLabel"], &said));
    for address in addresses {
        visit(&mut house, &address).await;
    }
    says(&mut house, [HOSTILE, "LabelLabel"], &said).await;
    for (says, address, reply) in house.results().await {
        check(&address, &reply);
        assert!(reply.text().contains(says), "{address} does not say {says}: {}", reply.text());
    }
    // What was typed into a form that was not taken stands in it again.
    let merchant = house.value("merchant").to_owned();
    let url = [
        ("merchant", merchant.as_str()),
        ("label", &said),
        ("url", &said),
        ("headers", &said),
        ("own_delays", HOSTILE),
        ("retries", "own"),
    ];
    let listener = [("merchant", merchant.as_str()), ("gateway", "2checkout"), ("label", &said), ("secret", GATEWAY_KEY)];
    let alerts = [("merchant", merchant.as_str()), ("url", &said), ("mails", &said), ("after", HOSTILE), ("outstanding", &said)];
    let content = [("merchant", merchant.as_str()), ("only", "true"), ("other_tags", &said)];
    let sender = [("merchant", merchant.as_str()), ("sender_name", &said), ("sender", HOSTILE)];
    let invite = [("email", HOSTILE), ("role", "support")];
    let forms = [
        ("/rpc/urls/save", &url[..]),
        ("/rpc/listeners/save", &listener),
        ("/rpc/settings/alerts", &alerts),
        ("/rpc/settings/content", &content),
        ("/rpc/settings/mail/sender", &sender),
        ("/rpc/users/invite", &invite),
        ("/rpc/merchants/add", &[("name", &said)]),
        ("/rpc/merchants/time-zone", &[("merchant", &merchant), ("time_zone", &said)]),
    ];
    for (form, fields) in forms {
        let (page, reply) = house.send(form, fields).await;
        check(&page, &reply);
        assert!(reply.text().contains("Please correct") || reply.text().contains("aria-invalid"), "{form}: {}", reply.text());
    }
}
