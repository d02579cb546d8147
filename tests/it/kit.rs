//! The receiver kit: every listener that is handed out is run against real messages.
//!
//! C# is missing: Debian has no package of .NET. What can be told of its text alone is told in src/server/kit.

use crate::support::{
    app::{MERCHANT_KEY, Shop, TestApp},
    gateway,
    message::Message,
    until,
};
use quittance::{
    domain::{Algorithm, Algorithms, DeliveryState, Format, Terms, attempt::Origin, pages::simulate::SAMPLES},
    server::{
        dispatch::client::Target,
        kit::Language,
        service::{
            test_order::{Placed, TestOrderForm},
            urls::draft_of,
        },
    },
};
use std::{
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// The one in Rust, as it is handed out; compiled here rather than started as a program of its own.
#[path = "../../src/server/kit/templates/listener.rs"]
#[allow(dead_code, reason = "what reads the environment is for a program of its own")]
mod in_rust;

/// A listener at work, with the folder that it stores into.
struct Running {
    address: SocketAddr,
    store: TempDir,
    /// Ends with it.
    program: Option<Child>,
    _code: TempDir,
}

impl Running {
    fn stored(&self) -> Vec<Vec<u8>> {
        let files = fs::read_dir(self.store.path()).unwrap().map(|entry| entry.unwrap().path());
        // Drafts are there for a moment only.
        let whole = files.filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with("draft-"));
        whole.map(|path| fs::read(path).unwrap()).collect()
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
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, in_rust::router(settings)).await });
        return Running { address, store, program: None, _code: tempfile::tempdir().unwrap() };
    }
    let (file, code) = (language.file(), language.listener(algorithm));
    run(language, file, &code, [("IPN_SECRET_KEY", keys.0), ("IPN_SECRET_KEY_OLD", keys.1)], "IPN_STORE").await
}

/// Runs a listener as a program, with keys and a folder to store into in its environment.
async fn run(language: Language, file: &str, text: &str, keys: [(&str, &str); 2], stores_into: &str) -> Running {
    let (store, code) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(code.path().join(file), text).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (mut command, package) = command(language, &code.path().join(file), address);
    command.envs(keys).env(stores_into, store.path());
    command.env("PORT", address.port().to_string()).stdin(Stdio::null());
    let program = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap_or_else(|error| {
        panic!(
            "the listener in {} cannot be run ({error}): install the Debian package {package}, or run .ci/setup test",
            language.label()
        )
    });
    // Whatever happens from here on, its end is waited for.
    let running = Running { address, store, program: Some(program), _code: code };
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
    let (file, code) = language.webhook().unwrap();
    for is_changing in [false, true] {
        let shop = app.shop(&format!("Shop {is_changing}")).await;
        let url = shop.url_as("http://127.0.0.1:1/", |draft| draft.terms.format = Format::Json).await;
        let secret = shop.services.reveal_signing_secret(&shop.merchant, url, "test").await.unwrap();
        let mut keys = [("WEBHOOK_SECRET", secret.as_str()), ("WEBHOOK_SECRET_OLD", "")];
        if is_changing {
            // The receiver has the old secret alone, and gets both signatures.
            shop.services.change_key(&shop.merchant, None, "3600", "test").await.unwrap();
            keys[1] = ("WEBHOOK_SECRET_OLD", "whsec_bm90aGluZyB0aGF0IHdhcyBldmVyIHVzZWQ=");
        }
        let running = run(language, file, code, keys, "WEBHOOK_STORE").await;
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
    }
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
            assert_eq!(Language::FOR_JSON, [$(Language::$language),+]);
        }
    };
}

run_json_in! {
    the_listener_for_json_in_php_keeps_the_rules: Php,
    the_listener_for_json_in_javascript_keeps_the_rules: Node,
    the_listener_for_json_in_python_keeps_the_rules: Python,
}

#[test]
fn all_but_one_are_run() {
    let left: Vec<_> = Language::ALL.into_iter().filter(|language| !language.is_run_in_tests()).collect();
    assert_eq!(left, [Language::CSharp]);
}
