//! Every page of the control panel as the server renders it: with nothing stored, with the usual, and with more than fits; and how
//! many queries it takes. The pages are read from `src/ui/routes.rs`, so that a new one cannot be forgotten.

use crate::support::{
    app::{GATEWAY_KEY, PASSWORD},
    browser::Browser,
    gateway,
    merchant::{Answer, FakeMerchant},
    message::Message,
    program::{Program, Server},
    until,
};
use std::{collections::BTreeMap, fs, path::Path};

const ADMIN: &str = "admin@example.com";
/// Most queries that a page may need.
const MOST_QUERIES: usize = 8;
/// Most bytes of a page on its way (brotli), beside those that every page shares.
const MOST_BYTES: usize = 15_000;
/// Markup that would do something if a page did not escape it; the tests look for it as it stands.
const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>";
/// Text from right to left, with a mark that turns what follows.
const TURNED: &str = "\u{202e}שלום عالم";

/// The address of every page, with `:name` where something must be put.
fn routes() -> Vec<String> {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui/routes.rs")).unwrap();
    let routes: Vec<_> = source.split("path!(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert!(routes.len() > 30, "the pages were not found");
    routes
}

/// A server with a database of its own, an administrator's browser, and what the parts of addresses stand for.
struct House {
    program: Program,
    server: Server,
    browser: Browser,
    values: BTreeMap<&'static str, String>,
}

impl House {
    /// A merchant of this name and nothing else.
    async fn empty(name: &str) -> Self {
        let program = Program::new();
        program.run(&["merchant", "add", name, "--json"]).json();
        let add = ["user", "add", ADMIN, "--role", "admin", "--password-stdin", "--json"];
        program.run_with(&add, &format!("{PASSWORD}\n")).json();
        let log = program.folder().join("log");
        let server = program.serve_after(&format!("exec 2>'{}'; export QUITTANCE_LOG=error,sqlx::query=debug", log.display()));
        let mut browser = Browser::new(server.address);
        browser.headers.push(("accept-encoding", "identity".to_owned()));
        browser.sign_in(ADMIN, PASSWORD).await;
        let mut house = Self { program, server, browser, values: BTreeMap::new() };
        house.take("merchant", "SELECT slug FROM merchant");
        house.values.insert("user", house.id("SELECT id FROM user"));
        house
    }

    fn id(&self, query: &str) -> String {
        let number: i64 = self.program.connection().query_row(query, [], |row| row.get(0)).unwrap();
        quittance::domain::id::OrderId(number).to_string()
    }

    fn take(&mut self, name: &'static str, query: &str) {
        let text: String = self.program.connection().query_row(query, [], |row| row.get(0)).unwrap();
        self.values.insert(name, text);
    }

    /// Orders whose messages say this beside the usual, delivered to a script that takes some of them, and one of everything
    /// else that pages tell of.
    async fn full(merchant: &str, label: &str, more: &[(&str, &str)], orders: usize) -> Self {
        let mut house = Self::empty(merchant).await;
        let script = FakeMerchant::start(|visit| match visit.field("REFNO").parse::<u64>() {
            Ok(number) if number % 3 == 0 => Answer::text(format!("{HOSTILE}{TURNED}")),
            _ => Answer::receipt("md5", visit),
        })
        .await;
        let program = &house.program;
        // The listener comes last: a server that knows it knows the URL, too.
        program.run(&["url", "add", &script.url(), "--merchant", merchant, "--label", label, "--concurrent", "--json"]).json();
        let listener = ["listener", "add", "--merchant", merchant, "--gateway", "2checkout", "--secret", GATEWAY_KEY, "--json"];
        let path = program.run(&listener).json()["path"].as_str().unwrap().to_owned();
        // PayPal is not asked: what it should be is a port that nobody listens at.
        let asked = "confirm-base=http://127.0.0.1:9";
        let listener =
            ["listener", "add", "--merchant", merchant, "--gateway", "paypal", "--option", "receiver=shop@example.com"];
        let paypal =
            program.run(&[&listener[..], &["--option", asked, "--json"]].concat()).json()["path"].as_str().unwrap().to_owned();
        let address = house.server.address;
        until("the listener to answer", || async { (gateway::get(address, &path).await.status == 200).then_some(()) }).await;
        for number in 0..orders {
            let reference = (7_000 + number).to_string();
            let mut message = Message::full(&reference, "COMPLETE");
            for (name, value) in more {
                message.set(name, value);
            }
            assert_eq!(gateway::post(address, &path, message.body(GATEWAY_KEY, &["md5"])).await.status, 200);
        }
        until("the other listener to answer", || async { (gateway::get(address, &paypal).await.status == 200).then_some(()) })
            .await;
        let claimed = "txn_id=9&payment_status=Completed&mc_gross=19.95&mc_currency=USD&receiver_email=shop%40example.com";
        assert_eq!(gateway::post(address, &paypal, claimed).await.status, 200);
        let forged = Message::small("7000", "COMPLETE", "20260301120009").body("another key", &["md5"]);
        assert_ne!(gateway::post(address, &path, forged.clone()).await.status, 200);
        gateway::post(address, "/ipn/nobody-knows-this", forged).await;
        let program = &house.program;
        until("all to be tried", || async {
            let query = "SELECT count(*) FROM delivery WHERE attempts > 0";
            let tried: i64 = program.connection().query_row(query, [], |row| row.get(0)).unwrap();
            (tried == orders as i64).then_some(())
        })
        .await;
        let resend = ["resend", "--merchant", merchant, "--order", "7000", "--debug", "--json"];
        program.run(&resend).json();
        // What was given up long ago is sent again, so that there is a bulk resend.
        let given_up = "UPDATE delivery SET state = 5, due_at = NULL, finished_at = last_attempt_at WHERE state = 2";
        program.connection().execute(given_up, []).unwrap();
        program.run(&["recover", "--merchant", merchant, "--since", "1h", "--json"]).json();
        for (name, query) in [
            ("order", "SELECT order_id FROM delivery WHERE origin = 0 AND state = 5 ORDER BY id"),
            ("exchanges", "SELECT id FROM delivery WHERE origin = 2"),
            ("notification", "SELECT min(id) FROM notification"),
            ("delivery", "SELECT id FROM delivery WHERE origin = 0 AND state = 5 ORDER BY id"),
            ("stray", "SELECT id FROM refusal WHERE listener_id IS NULL"),
            ("bulk", "SELECT id FROM bulk_job"),
            ("url", "SELECT id FROM notification_url"),
            ("listener", "SELECT id FROM listener"),
            ("verifying", "SELECT id FROM verifying"),
            ("refusal", "SELECT id FROM refusal WHERE listener_id IS NOT NULL"),
        ] {
            house.values.insert(name, house.id(query));
        }
        house.values.insert("number", "1".to_owned());
        house
    }

    /// The pages whose parts are known, as addresses.
    fn addresses(&self) -> Vec<String> {
        let fill = |route: &String| -> Option<String> {
            let parts = route.split('/').map(|part| match part.strip_prefix(':') {
                Some(name) => self.values.get(name).map(String::as_str),
                None => Some(part),
            });
            Some(parts.collect::<Option<Vec<_>>>()?.join("/"))
        };
        routes().iter().filter_map(fill).collect()
    }

    /// How often the database was asked since the server started.
    fn queries(&self) -> usize {
        fs::read_to_string(self.program.folder().join("log")).unwrap().matches("db.statement=").count()
    }
}

/// What holds for every page, whatever is stored.
fn check(address: &str, reply: &gateway::Reply) {
    let page = reply.text();
    assert_eq!(reply.status, 200, "{address}: {page}");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("</main>"), "{address} is not whole");
    assert_eq!(page.matches("<h1").count(), 1, "{address}: one title");
    let title = page.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
    assert!(title.is_some_and(|title| title.len() > 3), "{address}");
    for hostile in ["<script>alert", "<img src=x", "onerror=alert(2)>"] {
        assert!(!page.contains(hostile), "{address} does not escape {hostile}");
    }
    // The page of mails shows how one is written, which is escaped once already.
    let twice = (!address.ends_with("/settings/mail")).then_some("&amp;lt;");
    for broken in ["NaN", "undefined", "&amp;amp;lt;"].into_iter().chain(twice) {
        assert!(!page.contains(broken), "{address} says {broken}");
    }
    let mut packed = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 5, ..Default::default() };
    brotli::BrotliCompress(&mut page.as_bytes(), &mut packed, &params).unwrap();
    assert!(packed.len() <= MOST_BYTES, "{address} takes {} bytes", packed.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_has_its_empty_state() {
    let mut house = House::empty("Shop").await;
    let addresses = house.addresses();
    assert!(addresses.len() > 20, "{addresses:?}");
    for address in addresses {
        let reply = house.browser.get(&address).await;
        // An administrator who is signed in is led on from the pages of those who are not.
        if reply.status != 302 {
            check(&address, &reply);
        }
    }
    // What an address names is gone: the page says so, in the frame of the others.
    for address in ["orders/1", "deliveries/1", "deliveries/1/1", "notifications/1", "listeners/1", "refused/1", "resends/1"] {
        let reply = house.browser.get(&format!("/m/shop/{address}")).await;
        assert_eq!(reply.status, 404, "{address}");
        assert!(reply.text().contains("<h1") && reply.text().contains("href=\"/\""), "{address}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_shows_the_usual_and_asks_little_of_the_database() {
    let mut house = House::full("Shop", "Script", &[], 60).await;
    let addresses = house.addresses();
    assert_eq!(addresses.len(), routes().len(), "a page has a part that this test does not know");
    let mut asked = Vec::new();
    for address in addresses {
        let mut least = usize::MAX;
        // What the server asks by itself meanwhile is not the page's.
        for _ in 0..4 {
            let before = house.queries();
            let reply = house.browser.get(&address).await;
            least = least.min(house.queries() - before);
            if reply.status != 302 {
                check(&address, &reply);
            }
        }
        asked.push((least, address));
    }
    asked.sort();
    let (most, address) = asked.last().unwrap();
    assert!(*most > 0, "queries are counted");
    assert!(*most <= MOST_QUERIES, "{address} takes {most} queries: {asked:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_bears_more_than_fits() {
    let name = format!("{}<b>{TURNED}</b>", "Merchant".repeat(7));
    let label = format!("{}<i>{TURNED}</i>", "Label".repeat(10));
    let long = format!("{HOSTILE}{TURNED}{}", "Ñandú ".repeat(70));
    let more = [
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
        ("GATEWAY_RESPONSE", "\u{0}\u{7}\u{1b}[31mred"),
        (HOSTILE, HOSTILE),
    ];
    let mut house = House::full(&name, &label, &more, 12).await;
    // One delivery that was tried ten thousand times.
    let many = "WITH RECURSIVE series (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM series WHERE n < 10000)
        INSERT INTO attempt SELECT delivery_id, n, started_at + n, address, status, cause, detail, timings, segment_id, part
        FROM attempt CROSS JOIN series WHERE number = 1 AND delivery_id = (SELECT min(id) FROM delivery WHERE state = 5)";
    let connection = house.program.connection();
    assert_eq!(connection.execute(many, []).unwrap(), 9_999);
    let told = "UPDATE delivery SET attempts = 10000 WHERE id = (SELECT min(id) FROM delivery WHERE state = 5)";
    connection.execute(told, []).unwrap();
    drop(connection);
    for address in house.addresses() {
        let reply = house.browser.get(&address).await;
        if reply.status != 302 {
            check(&address, &reply);
        }
    }
}
