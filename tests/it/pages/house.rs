//! A server with a database of its own, and with as much in it as a test of its pages wants.

use crate::support::{
    app::{GATEWAY_KEY, PASSWORD},
    browser::Browser,
    gateway,
    merchant::{Answer, FakeMerchant},
    message::Message,
    program::{Program, Server},
    routes, until,
};
use std::{collections::BTreeMap, fs};

pub const ADMIN: &str = "admin@example.com";
/// What whoever has no session yet comes in by. Whoever is signed in is led on from there.
const ENTRIES: [&str; 3] = ["/setup", "/sign-in", "/join"];

/// What a house has in it.
pub struct Contents<'c> {
    /// The first has the orders, the second a URL.
    pub merchants: [&'c str; 2],
    /// The name of URLs and listeners.
    pub label: &'c str,
    /// What messages say beside the usual.
    pub fields: &'c [(&'c str, &'c str)],
    /// What scripts, and whoever posts what is not accepted, say beside the usual.
    pub said: &'c str,
    pub orders: usize,
}

/// A page as somebody gets it.
pub enum Visit {
    At(String),
    /// The page with something posted to it, which it shows something about.
    Posted(String, Vec<(&'static str, String)>),
}

impl Visit {
    pub fn address(&self) -> &str {
        match self {
            Self::At(address) | Self::Posted(address, _) => address,
        }
    }
}

/// A running server, an administrator's browser, and what the parts of addresses stand for.
pub struct House {
    pub program: Program,
    server: Server,
    pub browser: Browser,
    values: BTreeMap<&'static str, String>,
    script: Option<FakeMerchant>,
}

impl House {
    /// Merchants of these names and nothing else.
    pub async fn empty(merchants: &[&str]) -> Self {
        let program = Program::new();
        for name in merchants {
            program.run(&["merchant", "add", name, "--json"]).json();
        }
        let add = ["user", "add", ADMIN, "--role", "admin", "--password-stdin", "--json"];
        program.run_with(&add, &format!("{PASSWORD}\n")).json();
        let log = program.folder().join("log");
        let server = program.serve_after(&format!("exec 2>'{}'; export QUITTANCE_LOG=error,sqlx::query=debug", log.display()));
        let mut browser = Browser::new(server.address);
        browser.headers.push(("accept-encoding", "identity".to_owned()));
        browser.sign_in(ADMIN, PASSWORD).await;
        let mut house = Self { program, server, browser, values: BTreeMap::new(), script: None };
        house.values.insert("user", house.ids("SELECT id FROM user").remove(0));
        house.look_for_merchants();
        house
    }

    /// Addresses name the first merchant, where there is one.
    pub fn look_for_merchants(&mut self) {
        let connection = self.program.connection();
        if let Ok(slug) = connection.query_row("SELECT slug FROM merchant ORDER BY id LIMIT 1", [], |row| row.get(0)) {
            self.values.insert("merchant", slug);
        }
    }

    /// The ids that a query gives, as addresses have them.
    pub fn ids(&self, query: &str) -> Vec<String> {
        let connection = self.program.connection();
        let mut statement = connection.prepare(query).unwrap();
        let numbers = statement.query_map([], |row| row.get(0)).unwrap();
        numbers.map(|number| quittance::domain::id::OrderId(number.unwrap()).to_string()).collect()
    }

    /// Orders, delivered to a script that takes some of them, and one of everything else that pages tell of.
    pub async fn full(contents: Contents<'_>) -> Self {
        let Contents { merchants: [merchant, other], label, fields, said, orders } = contents;
        let mut house = Self::empty(&[merchant, other]).await;
        let answer = said.to_owned();
        let script = FakeMerchant::start(move |visit| match visit.field("REFNO").parse::<u64>() {
            Ok(number) if number % 3 == 0 => Answer::text(answer.clone()),
            Err(_) if visit.method == "GET" && !answer.is_empty() => Answer::status(500, answer.clone()),
            _ => Answer::receipt("md5", visit),
        })
        .await;
        let program = &house.program;
        // The listener comes last: a server that knows it knows the URL, too.
        for merchant in [other, merchant] {
            program
                .run(&["url", "add", &script.url(), "--merchant", merchant, "--label", label, "--concurrent", "--json"])
                .json();
        }
        let add = ["listener", "add", "--merchant", merchant, "--label", label, "--json", "--gateway"];
        let listener = [&add[..], &["2checkout", "--secret", GATEWAY_KEY]].concat();
        let path = program.run(&listener).json()["path"].as_str().unwrap().to_owned();
        // PayPal is not asked: what it should be is a port that nobody listens at.
        let options = ["--option", "receiver=shop@example.com", "--option", "confirm-base=http://127.0.0.1:9"];
        let listener = [&add[..], &["paypal"], &options].concat();
        let paypal = program.run(&listener).json()["path"].as_str().unwrap().to_owned();
        for path in [&path, &paypal] {
            let address = house.server.address;
            until("the listener to answer", || async { (gateway::get(address, path).await.status == 200).then_some(()) }).await;
        }
        for number in 0..orders {
            let mut message = Message::full(&(7_000 + number).to_string(), "COMPLETE");
            for (name, value) in fields {
                message.set(name, value);
            }
            assert_eq!(house.post(&path, message.body(GATEWAY_KEY, &["md5"]), said).await, 200);
        }
        let name = encoded(said);
        let claimed = format!(
            "txn_id=9{name}&payment_status=Completed&mc_gross=19.95&mc_currency=USD&receiver_email=shop%40example.com&\
             first_name=A{name}&payer_email={name}&invoice={name}"
        );
        assert_eq!(house.post(&paypal, claimed, said).await, 200);
        // PayPal is answered 200 whatever came; a name that comes twice is refused in its own words.
        assert_eq!(house.post(&paypal, format!("n{name}=1&n{name}=2"), said).await, 200);
        let mut forged = Message::small("7000", "COMPLETE", "20260301120009");
        for (name, value) in fields {
            forged.set(name, value);
        }
        forged.set("MESSAGE", said);
        let forged = forged.body("another key", &["md5"]);
        assert_eq!(house.post(&path, forged.clone(), said).await, 403);
        assert_eq!(house.post(&format!("/ipn/nobody-knows-this{}", name.replace('+', "%20")), forged, said).await, 404);
        let program = &house.program;
        until("all to be tried", || async {
            let query = "SELECT count(*) FROM delivery WHERE attempts > 0";
            let tried: i64 = program.connection().query_row(query, [], |row| row.get(0)).unwrap();
            (tried == orders as i64).then_some(())
        })
        .await;
        program.run(&["resend", "--merchant", merchant, "--order", "7000", "--debug", "--json"]).json();
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
            ("url", "SELECT id FROM notification_url ORDER BY id DESC"),
            ("listener", "SELECT id FROM listener ORDER BY id"),
            ("verifying", "SELECT id FROM verifying"),
            ("refusal", "SELECT id FROM refusal WHERE listener_id IS NOT NULL ORDER BY id"),
        ] {
            house.values.insert(name, house.ids(query).remove(0));
        }
        house.values.insert("number", "1".to_owned());
        house.script = Some(script);
        house
    }

    /// Posts a body as a program that names itself so; gives the status of the answer.
    async fn post(&self, path: &str, body: String, said: &str) -> u16 {
        let mut request = gateway::form(path, body);
        let name: String = format!("Gateway/1 {said}").chars().filter(|letter| !letter.is_control()).take(2_000).collect();
        request.headers_mut().insert("user-agent", http::HeaderValue::from_bytes(name.as_bytes()).unwrap());
        gateway::send(self.server.address, request).await.status
    }

    /// What a part of addresses stands for.
    pub fn value(&self, name: &str) -> &str {
        &self.values[name]
    }

    /// The pages whose parts are known, as addresses.
    pub fn addresses(&self) -> Vec<Visit> {
        let value = |name: &str| self.values.get(name).map(String::as_str);
        routes::all().iter().filter_map(|route| routes::filled(route, value)).map(Visit::At).collect()
    }

    /// Pages that a query, or what is posted to them, makes another page of. `text` begins what messages call their orders, and
    /// `name` what URLs and listeners are called.
    pub fn variants(&self, [text, name]: [&str; 2], said: &str) -> Vec<Visit> {
        let merchant = format!("/m/{}", self.value("merchant"));
        let [text, name] = [text, name].map(encoded);
        let (order, delivery, listener) = (self.value("order"), self.value("delivery"), self.value("listener"));
        let mut found: Vec<_> = [
            format!("/search?text={text}"),
            "/search?text=254498854202".to_owned(),
            format!("/search?text={name}"),
            format!("{merchant}/orders?text={text}"),
            format!("{merchant}/orders?status=paid&test=none"),
            format!("{merchant}/orders/{order}?order=newest"),
            format!("{merchant}/deliveries?state=retrying"),
            format!("{merchant}/deliveries?text={text}&state=expired"),
            format!("{merchant}/inbound?outcome=refused"),
            format!("{merchant}/inbound?outcome=verifying"),
            format!("{merchant}/resends/new?state=expired"),
            format!("{merchant}/resends/new?text={text}&target=all"),
            format!("{merchant}/resends/cancel?state=retrying"),
            format!("{merchant}/check?delivery={delivery}&number=1"),
            format!("{merchant}/test-order?sample=several&to=listener-{listener}"),
            format!("{merchant}/settings/mail?status=refunded"),
            "/audit?action=sign-in".to_owned(),
            "/people?text=admin".to_owned(),
        ]
        .into_iter()
        .map(Visit::At)
        .collect();
        let refusals = self.ids("SELECT id FROM refusal WHERE listener_id IS NOT NULL");
        found.extend(refusals.iter().map(|id| Visit::At(format!("{merchant}/refused/{id}"))));
        let listeners = self.ids("SELECT id FROM listener");
        found.extend(listeners.iter().map(|id| Visit::At(format!("{merchant}/listeners/{id}"))));
        let mut pasted = Message::small("7000", "COMPLETE", "20260301120009");
        let body = pasted.set("MESSAGE", said).body("another key", &["md5", "sha2", "sha3"]);
        let check = [("url", ""), ("body", &body), ("receipt", &format!("<EPAYMENT>1|2</EPAYMENT>{said}")), ("computed", said)];
        found.push(posted(format!("{merchant}/check"), &check));
        let product: String = format!("Product {said}").chars().filter(|letter| !letter.is_control()).take(80).collect();
        let order =
            [("status", "COMPLETE"), ("product", &product), ("amount", "1.00"), ("currency", "EUR"), ("last_name", &product)];
        found.push(posted(format!("{merchant}/test-order"), &order));
        let mail = [("status", "paid"), ("subject", &format!("Order {{order}} {said}")), ("text", &format!("{{name}} {said}"))];
        found.push(posted(format!("{merchant}/settings/mail"), &mail));
        found
    }

    /// A page, as an administrator gets it; or, of those for whoever has no session, as somebody without one does.
    pub async fn get(&mut self, visit: &Visit) -> gateway::Reply {
        match visit {
            Visit::At(address) if ENTRIES.iter().any(|entry| address.split('?').next() == Some(entry)) => {
                Browser::new(self.server.address).get(address).await
            }
            Visit::At(address) => self.browser.get(address).await,
            Visit::Posted(address, fields) => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
                self.browser.form(address, &fields).await
            }
        }
    }

    /// Sends a form; gives the page that it leads to, with what it says there once.
    pub async fn send(&mut self, path: &str, fields: &[(&str, &str)]) -> (String, gateway::Reply) {
        let reply = self.browser.form(path, fields).await;
        assert_eq!(reply.status, 302, "{path}: {reply:?}");
        let page = reply.header("location").split('#').next().unwrap().to_owned();
        let reply = self.browser.get(&page).await;
        (page, reply)
    }

    /// Pages with the result of something that somebody did there: what the page says of it, its address, and the page.
    pub async fn results(&mut self) -> Vec<(&'static str, String, gateway::Reply)> {
        let (merchant, url) = (self.value("merchant").to_owned(), self.value("url").to_owned());
        let mut found = Vec::new();
        // One is accepted by its listener, the other waits for its gateway's word.
        for (listener, says) in
            self.ids("SELECT id FROM listener ORDER BY id").iter().zip(["Accepted, and", "Being verified, and"])
        {
            let fields = [
                ("merchant", merchant.as_str()),
                ("listener", listener),
                ("status", "paid"),
                ("amount", "19.90"),
                ("currency", "USD"),
                ("email", "somebody@example.com"),
                ("from", "192.0.2.7"),
                ("form_key", listener),
            ];
            let (page, reply) = self.send("/rpc/listeners/simulate", &fields).await;
            assert!(page.contains("/simulate?sent="), "{page}: {}", reply.text());
            found.push((says, page, reply));
        }
        let (page, reply) = self.send("/rpc/urls/check", &[("merchant", &merchant), ("id", &url)]).await;
        found.push(("The URL ", page, reply));
        found
    }

    /// How long the log is in which the server writes what it asks the database.
    pub fn logged(&self) -> usize {
        self.log().len()
    }

    /// What it asked since its log was so long, and how often each.
    pub fn asked_since(&self, length: usize) -> BTreeMap<String, usize> {
        let mut asked = BTreeMap::new();
        for line in self.log()[length..].lines() {
            // Before what differs from time to time.
            let query =
                line.split_once("db.statement=").map(|(_, rest)| rest.split(" rows_affected=").next().unwrap_or_default());
            if let Some(query) = query {
                *asked.entry(query.to_owned()).or_default() += 1;
            }
        }
        asked
    }

    fn log(&self) -> String {
        fs::read_to_string(self.program.folder().join("log")).unwrap()
    }
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn posted(address: String, fields: &[(&'static str, &str)]) -> Visit {
    Visit::Posted(address, fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
}
