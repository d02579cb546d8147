//! The receiver kit: every listener that is handed out is run against real messages.
//!
//! C# is missing: Debian has no package of .NET. What can be told of its text alone is told in src/server/kit.

use crate::support::{
    app::{GATEWAY_KEY, MERCHANT_KEY, Shop, TestApp},
    gateway,
    message::Message,
    until,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use quittance::{
    domain::{Algorithm, Algorithms, DeliveryState, Format, Terms, attempt::Origin, pages::simulate::SAMPLES},
    server::{
        dispatch::client::Target,
        kit::Language,
        service::{
            test_order::{Placed, TestOrderForm},
            urls::draft_of,
        },
        store::UrlDraft,
    },
};
use sha2::Sha256;
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};
use tempfile::TempDir;

/// Those in Rust, as they are handed out; compiled here rather than started as programs of their own.
#[path = "../../src/server/kit/templates/listener.rs"]
#[allow(dead_code, reason = "what reads the environment is for a program of its own")]
mod in_rust;
#[path = "../../src/server/kit/templates/webhook.rs"]
#[allow(dead_code, reason = "what reads the environment is for a program of its own")]
mod webhook_in_rust;

/// A listener at work, with the folder that it stores into.
struct Running {
    address: SocketAddr,
    store: TempDir,
    /// Ends with it.
    program: Option<Child>,
    /// With its code; also where programs leave what they need for a moment.
    code: TempDir,
}

impl Running {
    fn stored(&self) -> Vec<Vec<u8>> {
        let files = fs::read_dir(self.store.path()).unwrap().map(|entry| entry.unwrap().path());
        // Drafts are there for a moment only.
        let whole = files.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("draft-"));
        whole.map(|path| fs::read(path).unwrap()).collect()
    }

    /// Whether something of a message lies where nobody looks for it.
    fn has_left_drafts(&self) -> bool {
        let files = fs::read_dir(self.code.path()).unwrap();
        files.into_iter().any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("draft-"))
    }
}

/// The command that runs a listener, and the Debian package that brings it.
fn command(language: Language, file: &Path, address: SocketAddr) -> (Command, &'static str) {
    let (program, package) = match language {
        Language::Php => ("php", "php-cli"),
        Language::Node => ("node", "nodejs"),
        Language::Python => ("python3", "python3"),
        Language::Ruby => ("rackup", "ruby-rack, ruby-webrick"),
        Language::Java => ("java", "openjdk-17-jdk-headless"),
        Language::Go => ("go", "golang-go, golang-golang-x-crypto-dev"),
        Language::CSharp | Language::Rust => unreachable!("{language:?} is not run as a program"),
    };
    let mut command = Command::new(program);
    let port = address.port().to_string();
    match language {
        Language::Php => command.arg("-S").arg(address.to_string()).arg(file),
        Language::Ruby => command.args(["-s", "webrick", "-o", "127.0.0.1", "-p", &port]).arg(file),
        // Debian's own copies of the libraries, and nothing from elsewhere.
        Language::Go => {
            let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go");
            command.env("GOPATH", "/usr/share/gocode").env("GO111MODULE", "off").env("GOCACHE", cache).arg("run").arg(file)
        }
        _ => command.arg(file),
    };
    (command, package)
}

async fn start(language: Language, algorithm: Algorithm, keys: (&'static str, &'static str)) -> Running {
    if language == Language::Rust {
        let name = match algorithm {
            Algorithm::Md5 => "md5",
            Algorithm::Sha2 => "sha256",
            Algorithm::Sha3 => "sha3-256",
        };
        let keys = [keys.0, keys.1].into_iter().filter(|key| !key.is_empty()).map(str::to_owned).collect();
        let store = tempfile::tempdir().unwrap();
        let settings = in_rust::Settings { algorithm: name, keys, store: store.path().to_owned() };
        return serve(in_rust::router(settings), store).await;
    }
    let (file, code) = (language.file(), language.listener(algorithm));
    run(language, file, &code, [("IPN_SECRET_KEY", keys.0), ("IPN_SECRET_KEY_OLD", keys.1)], "IPN_STORE").await
}

async fn start_for_json(language: Language, keys: [&str; 2]) -> Running {
    if language == Language::Rust {
        let store = tempfile::tempdir().unwrap();
        let settings = webhook_in_rust::Settings::new(&keys.map(str::to_owned), store.path().to_owned()).unwrap();
        return serve(webhook_in_rust::router(settings), store).await;
    }
    let (file, code) = language.webhook();
    run(language, file, code, [("WEBHOOK_SECRET", keys[0]), ("WEBHOOK_SECRET_OLD", keys[1])], "WEBHOOK_STORE").await
}

async fn serve(router: axum::Router, store: TempDir) -> Running {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    Running { address, store, program: None, code: tempfile::tempdir().unwrap() }
}

/// Runs a listener as a program, with keys and a folder to store into in its environment.
async fn run(language: Language, file: &str, text: &str, keys: [(&str, &str); 2], stores_into: &str) -> Running {
    let (store, code) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(code.path().join(file), text).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mut command, package) = command(language, &code.path().join(file), address);
    command.envs(keys).env(stores_into, store.path()).env("TMPDIR", code.path());
    command.env("PORT", address.port().to_string()).stdin(Stdio::null());
    let program = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap_or_else(|error| {
        panic!(
            "the listener in {} cannot be run ({error}): install the Debian package {package}, or run .ci/setup test",
            language.label()
        )
    });
    // Whatever happens from here on, its end is waited for.
    let running = Running { address, store, program: Some(program), code };
    // A compiler may be at work first, on a machine that has other work, too.
    for _ in 0..12_000 {
        if tokio::net::TcpStream::connect(address).await.is_ok() {
            return running;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the listener in {} did not start: is the Debian package {package} installed?", language.label());
}

impl Drop for Running {
    fn drop(&mut self) {
        // `go run` and `rackup` have children of their own.
        if let Some(program) = &mut self.program {
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", program.id())]).status();
            let _ = program.wait();
        }
    }
}

/// What every listener for JSON must do, whatever it is written in.
async fn keeps_the_rules_of_json(language: Language) {
    let app = TestApp::start().await;
    for is_changing in [false, true] {
        let shop = app.shop(&format!("Shop {is_changing}")).await;
        let url = shop.url_as("http://127.0.0.1:1/", |draft| draft.terms.format = Format::Json).await;
        let secret = shop.services.reveal_signing_secret(&shop.merchant, url, "test").await.unwrap();
        let mut keys = [secret.as_str(), ""];
        if is_changing {
            // The receiver has the old secret alone, and gets both signatures.
            shop.services.change_key(&shop.merchant, None, "3600", "test").await.unwrap();
            keys[1] = "whsec_bm90aGluZyB0aGF0IHdhcyBldmVyIHVzZWQ=";
        }
        let running = start_for_json(language, keys).await;
        let address = format!("http://{}/", running.address);
        let mut draft = draft_of(shop.services.store.settings().url(url).unwrap());
        draft.url = address.clone();
        shop.services.store.update_url(url, draft, "test".to_owned()).await.unwrap();
        let terms = Terms { format: Format::Json, ..Terms::default() };
        let check = shop.services.check_url(&Target::parse(&address).unwrap(), &[], &terms).await;
        assert_eq!(check.cause, None, "{}", check.note);
        let count = send_all(&shop).await;
        until("all messages to be confirmed", || async {
            let states = shop.services.store.url_states(&[shop.merchant.id], Default::default()).await.unwrap();
            assert_eq!(states[&url].retrying, 0, "{:?}", states[&url].failing_cause);
            (states[&url].confirmed == count as u64).then_some(())
        })
        .await;
        assert_eq!(running.stored().len(), count, "each message is stored once");

        let order = shop.order_named("7000").await;
        let sent = shop.first_attempt(order, url).await;
        assert!(running.stored().contains(&sent.request_body.clone().into_bytes()), "byte for byte");
        shop.resend(order, Some(url), Origin::Resend, &format!("again {is_changing}")).await;
        shop.wait_for(order, url, |delivery| delivery.origin == Origin::Resend && delivery.state == DeliveryState::Confirmed)
            .await;
        assert_eq!(running.stored().len(), count, "what comes again is answered again and stored once");

        let headers: Vec<(String, String)> = sent
            .request_head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(name, _)| name.to_ascii_lowercase().starts_with("webhook-"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(headers.len(), 3, "{}", sent.request_head);
        let post = |body: String, change: &dyn Fn(&str, &str) -> String| {
            let mut request = http::Request::post("/");
            for (name, value) in &headers {
                request = request.header(name, change(&name.to_ascii_lowercase(), value));
            }
            gateway::send(running.address, request.body(body.into()).unwrap())
        };
        let same = |_: &str, value: &str| value.to_owned();
        let other = |wanted: &'static str, instead: &'static str| {
            move |name: &str, value: &str| if name == wanted { instead.to_owned() } else { value.to_owned() }
        };
        let body = || sent.request_body.clone();
        for reply in [
            post(body().replace("7000", "7009"), &same).await,
            post(body(), &other("webhook-id", "msg_1")).await,
            post(body(), &other("webhook-timestamp", "1614265330")).await,
            post(body(), &other("webhook-timestamp", "soon")).await,
            post(body(), &other("webhook-signature", "v1,AAAA v2,x  ")).await,
            post(body(), &other("webhook-signature", "")).await,
            gateway::post(running.address, "/", body()).await,
        ] {
            assert_eq!(reply.status, 400, "{}", reply.text());
        }
        assert_eq!(post(body(), &same).await.status, 204);
        assert_eq!(running.stored().len(), count, "what is forged is not stored");
        let put = http::Request::put("/").body("{}".to_owned().into()).unwrap();
        assert_eq!(gateway::send(running.address, put).await.status, 405);
        fs::remove_dir_all(running.store.path()).unwrap();
        assert_eq!(post(body(), &same).await.status, 500, "what cannot be stored is not acknowledged");
        assert!(!running.has_left_drafts(), "nor left anywhere");
    }
    refuses_what_is_signed_too_early_too_late_or_with_nothing(language).await;
}

async fn refuses_what_is_signed_too_early_too_late_or_with_nothing(language: Language) {
    let key = [7; 32];
    // What was set up by halves is no key: with an empty one anybody could sign.
    let running = start_for_json(language, [&format!("whsec_{}", STANDARD.encode(key)), "whsec_"]).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let body = r#"{"type":"order.paid","data":{"order":{"reference":"7000","status":"paid"}}}"#;
    let status = async |key: &[u8], seconds: u64, more: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(format!("msg_1.{seconds}.{body}").as_bytes());
        let request = http::Request::post("/").header("webhook-id", "msg_1").header("webhook-timestamp", seconds);
        let request = request.header("webhook-signature", format!("{more}v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
        gateway::send(running.address, request.body(body.to_owned().into()).unwrap()).await.status
    };
    assert_eq!(status(&[], now, "").await, 400, "signed with an empty key");
    assert_eq!(status(&key, now - 400, "").await, 400, "too old");
    assert_eq!(status(&key, now + 400, "").await, 400, "ahead of the clock");
    assert!(running.stored().is_empty());
    assert_eq!(status(&key, now - 200, "").await, 204, "clocks differ");
    assert_eq!(status(&key, now + 200, "v1,AAAA v1a,AAAA ").await, 204, "one of several");
    assert_eq!(running.stored(), [body.as_bytes()], "under its id");
}

/// Messages of all kinds, each different.
async fn send_all(shop: &Shop) -> usize {
    let mut bare = Message::small("7001", "COMPLETE", "20260301120009");
    bare.set("EMPTY", "").set("REFNOEXT", "").set("IPN_PNAME[]", " spaces at both ends ");
    for message in [Message::full("7000", "COMPLETE"), bare] {
        shop.accepted(&message).await;
    }
    for (name, _) in SAMPLES {
        let placed = shop.services.place_test_order(&shop.merchant, &TestOrderForm::sample(name), "test").await.unwrap();
        assert!(matches!(placed, Placed::Order(_)));
    }
    2 + SAMPLES.len()
}

/// What every listener must do, whatever it is written in.
async fn keeps_the_rules(language: Language) {
    let app = TestApp::start().await;
    for (number, algorithm) in Algorithm::ALL.into_iter().enumerate() {
        let shop = app.shop(&format!("Shop {number}")).await;
        // The second has just been given a new key, and gets messages signed with the one before.
        let keys = if algorithm == Algorithm::Sha2 { ("the-new-key", MERCHANT_KEY) } else { (MERCHANT_KEY, "") };
        let running = start(language, algorithm, keys).await;
        let address = format!("http://{}/", running.address);
        let check = shop.services.check_url(&Target::parse(&address).unwrap(), &[], &Terms::default()).await;
        assert_eq!(check.cause, None, "{}", check.note);
        let url = shop.url_as(&address, |draft| draft.algorithms = Algorithms::NONE.with(algorithm)).await;
        let count = send_all(&shop).await;
        until("all messages to be confirmed", || async {
            let states = shop.services.store.url_states(&[shop.merchant.id], Default::default()).await.unwrap();
            let state = &states[&url];
            assert_eq!(state.retrying, 0, "{algorithm}: {:?}", state.failing_cause);
            (state.confirmed == count as u64).then_some(())
        })
        .await;
        assert_eq!(running.stored().len(), count, "{algorithm}: each message is stored once");

        let order = shop.order_named("7000").await;
        let sent = shop.first_attempt(order, url).await;
        assert!(running.stored().contains(&sent.request_body.clone().into_bytes()), "byte for byte");
        shop.resend(order, Some(url), Origin::Resend, &format!("again {number}")).await;
        shop.wait_for(order, url, |delivery| delivery.origin == Origin::Resend && delivery.state == DeliveryState::Confirmed)
            .await;
        assert_eq!(running.stored().len(), count, "{algorithm}: what comes again is answered again and stored once");

        let forged = sent.request_body.replace("7000", "7009");
        let small = Message::small("7002", "COMPLETE", "20260301120009").body(MERCHANT_KEY, &[]);
        for body in [forged, small, "&".to_owned(), "%&=&%zz=%".to_owned()] {
            let reply = gateway::post(running.address, "/", body.clone()).await;
            assert_eq!(reply.status, 400, "{algorithm} {body}: {}", reply.text());
            assert!(!reply.has_receipt());
        }
        assert_eq!(running.stored().len(), count, "{algorithm}: what is forged is not stored");
        let other = http::Request::put("/").body("HASH=0".to_owned().into()).unwrap();
        assert_eq!(gateway::send(running.address, other).await.status, 405);
        // What cannot be stored is not acknowledged.
        fs::remove_dir_all(running.store.path()).unwrap();
        let reply = gateway::post(running.address, "/", sent.request_body.clone()).await;
        assert_eq!(reply.status, 500, "{algorithm}: {}", reply.text());
        assert!(!reply.has_receipt());
        assert!(!running.has_left_drafts(), "{algorithm}: nor left anywhere");
    }
}

macro_rules! run_in {
    ($($test:ident: $language:ident,)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            keeps_the_rules(Language::$language).await;
        }
    )+};
}

run_in! {
    the_listener_in_php_keeps_the_rules: Php,
    the_listener_in_javascript_keeps_the_rules: Node,
    the_listener_in_python_keeps_the_rules: Python,
    the_listener_in_ruby_keeps_the_rules: Ruby,
    the_listener_in_java_keeps_the_rules: Java,
    the_listener_in_go_keeps_the_rules: Go,
    the_listener_in_rust_keeps_the_rules: Rust,
}

macro_rules! run_json_in {
    ($($test:ident: $language:ident,)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                keeps_the_rules_of_json(Language::$language).await;
            }
        )+

        #[test]
        fn all_for_json_are_run() {
            let run: Vec<_> = Language::ALL.into_iter().filter(|language| language.is_run_in_tests()).collect();
            assert_eq!(run, [$(Language::$language),+]);
        }
    };
}

run_json_in! {
    the_listener_for_json_in_php_keeps_the_rules: Php,
    the_listener_for_json_in_javascript_keeps_the_rules: Node,
    the_listener_for_json_in_python_keeps_the_rules: Python,
    the_listener_for_json_in_ruby_keeps_the_rules: Ruby,
    the_listener_for_json_in_java_keeps_the_rules: Java,
    the_listener_for_json_in_go_keeps_the_rules: Go,
    the_listener_for_json_in_rust_keeps_the_rules: Rust,
}

/// As the page says of a URL that gets messages as they came.
#[tokio::test]
async fn a_listener_with_the_gateways_key_takes_what_is_passed_through() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    let running = start(Language::Rust, Algorithm::Sha2, (GATEWAY_KEY, MERCHANT_KEY)).await;
    let change = |draft: &mut UrlDraft| {
        draft.algorithms = Algorithms::NONE.with(Algorithm::Sha2);
        draft.terms.format = Format::PassThrough;
    };
    let url = shop.url_as(&format!("http://{}/", running.address), change).await;
    let reply = shop.post_signed(&Message::full("7000", "COMPLETE"), &["md5", "sha2"]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let order = shop.order_named("7000").await;
    shop.wait_for_state(order, url, DeliveryState::Confirmed).await;
    shop.resend(order, Some(url), Origin::Resend, "again").await;
    shop.wait_for(order, url, |delivery| delivery.origin == Origin::Resend && delivery.state == DeliveryState::Confirmed).await;
    let form = TestOrderForm { to: format!("url-{url}"), ..TestOrderForm::sample("plain") };
    let placed = shop.services.place_test_order(&shop.merchant, &form, "test").await.unwrap();
    let Placed::To(delivery, Some(number)) = placed else { panic!("{placed:?}") };
    assert_eq!(shop.attempt(delivery, number).await.attempt.cause, None, "a TEST order, signed with the merchant's key");
    assert_eq!(running.stored().len(), 2, "the message once, and the TEST order");
}

#[tokio::test]
async fn the_page_has_every_language_whatever_the_format() {
    let app = TestApp::start().await;
    let shop = app.shop("Shop").await;
    for format in Format::ALL {
        let url = shop.url_as(&format!("https://shop.example.com/{format}"), |draft| draft.terms.format = format).await;
        for language in Language::ALL {
            let kit = shop.services.url_kit(&shop.merchant, url, language.code()).unwrap();
            let offered: Vec<_> = kit.languages.iter().map(|other| (other.label.as_str(), other.chosen)).collect();
            assert_eq!(offered, Language::ALL.map(|other| (other.label(), other == language)));
            assert_eq!(kit.code.contains("WEBHOOK_SECRET"), format == Format::Json, "{language:?}");
            assert_eq!(kit.code.contains("IPN_SECRET_KEY"), format != Format::Json, "{language:?}");
            assert_eq!(kit.is_tested, language != Language::CSharp);
        }
    }
}

#[test]
fn all_but_one_are_run() {
    let left: Vec<_> = Language::ALL.into_iter().filter(|language| !language.is_run_in_tests()).collect();
    assert_eq!(left, [Language::CSharp]);
}
