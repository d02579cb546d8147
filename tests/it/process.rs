//! The program as a process: killed in the middle of its work, and told what to do on the command line.

use crate::live::Page;
use crate::support::{
    app::{GATEWAY_KEY, PASSWORD},
    browser::Browser,
    gateway::{self, Reply},
    merchant::{Answer, FakeMerchant},
    message::Message,
    program::{Program, Server},
    until,
};
use quittance::domain::DeliveryState;
use std::{
    collections::HashSet,
    net::TcpListener,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

async fn post(server: &Server, path: &str, reference: &str) -> Reply {
    let body = Message::small(reference, "COMPLETE", "20260301120009").body(GATEWAY_KEY, &["md5"]);
    gateway::post(server.address, path, body).await
}

/// References of the orders whose deliveries are all in a state.
fn references_in(program: &Program, state: DeliveryState) -> HashSet<String> {
    let query = "SELECT reference FROM orders JOIN delivery ON delivery.order_id = orders.id
        GROUP BY orders.id HAVING min(state) = ?1 AND max(state) = ?1";
    let connection = program.connection();
    let mut statement = connection.prepare(query).unwrap();
    statement.query_map([state.code()], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

async fn wait_until_confirmed(program: &Program, references: &HashSet<String>) {
    until("all to be confirmed", || async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        references.is_subset(&references_in(program, DeliveryState::Confirmed)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9_and_is_delivered() {
    let program = Program::new();
    let merchant = FakeMerchant::start(|visit| {
        let span = Duration::from_millis(u64::try_from(visit.number % 7).unwrap());
        Answer::Later(span, Box::new(Answer::receipt("md5", visit)))
    })
    .await;
    let path = program.shop(&merchant.url());
    let acknowledged = Arc::new(Mutex::new(HashSet::new()));
    let (rounds, senders) = (4, 8);
    let mut in_flight = 0;
    for round in 0..rounds {
        let server = program.serve();
        let before = acknowledged.lock().unwrap().len();
        let posting: Vec<_> = (0..senders)
            .map(|sender| {
                let (path, address, acknowledged) = (path.clone(), server.address, acknowledged.clone());
                tokio::spawn(async move {
                    for number in 0.. {
                        let reference = format!("{round}-{sender}-{number}");
                        let message = Message::small(&reference, "COMPLETE", "20260301120009");
                        let form = gateway::form(&path, message.body(GATEWAY_KEY, &["md5"]));
                        // The server is gone in the middle of it; the gateway was told nothing.
                        let Ok(reply) = gateway::try_send(address, form).await else { return };
                        assert!(reply.status == 200 && reply.has_receipt(), "{reply:?}");
                        acknowledged.lock().unwrap().insert(reference);
                    }
                })
            })
            .collect();
        until("messages to be acknowledged", || async {
            (acknowledged.lock().unwrap().len() >= before + 60 + round * 40).then_some(())
        })
        .await;
        server.kill();
        for sender in posting {
            sender.await.unwrap();
        }
        let doctor = program.run(&["doctor"]);
        assert_eq!(doctor.code, 0, "after a crash, before the next start: {doctor:?}");
        // What the merchant was told of, while the server did not come to write down what became of it.
        until("the merchant to be done", || async { (merchant.present() == 0).then_some(()) }).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        in_flight += told(&merchant).difference(&references_in(&program, DeliveryState::Confirmed)).count();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    let server = program.serve();
    wait_until_confirmed(&program, &acknowledged).await;
    program.run(&["doctor"]).done();
    assert_eq!(server.terminate().0, 0);
    program.run(&["doctor"]).done();
    let told = told(&merchant);
    assert!(acknowledged.is_subset(&told), "nothing acknowledged is lost");
    let doubled = merchant.visits().len() - told.len();
    assert!(doubled <= in_flight, "{doubled} doubled, {in_flight} were in flight");
}

/// References that the merchant was told of.
fn told(merchant: &FakeMerchant) -> HashSet<String> {
    merchant.visits().iter().map(|visit| visit.field("REFNO")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end_doubles_nothing() {
    let program = Program::new();
    let merchant = FakeMerchant::confirming().await;
    let path = program.shop(&merchant.url());
    let server = program.serve();
    let references: HashSet<String> = (0..30).map(|number| number.to_string()).collect();
    for reference in &references {
        assert_eq!(post(&server, &path, reference).await.status, 200);
    }
    let (code, log) = server.terminate();
    assert_eq!(code, 0, "{log}");
    let server = program.serve();
    wait_until_confirmed(&program, &references).await;
    assert_eq!(merchant.visits().len(), 30);
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_take_effect_on_the_running_server() {
    let program = Program::new();
    let server = program.serve();
    let merchant = FakeMerchant::confirming().await;
    let path = program.shop(&merchant.url());
    until("the new listener to answer", || async { (gateway::get(server.address, &path).await.status == 200).then_some(()) })
        .await;
    // The URL was added a moment after the listener; messages that come before the server has heard of it do not go there.
    let mut posted = 0;
    while merchant.visits().is_empty() {
        posted += 1;
        assert!(posted < 100, "the URL gets nothing");
        assert_eq!(post(&server, &path, &posted.to_string()).await.status, 200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let before = merchant.visits().len();
    program.run(&["resend", "--merchant", "Shop", "--order", "1", "--json"]).json();
    merchant.wait_for(before + 1).await;
    let nowhere = program.run(&["resend", "--merchant", "Shop", "--order", "1", "--to", "then"]).failed(1);
    assert!(nowhere.contains("went to no other address"), "{nowhere}");
    merchant.answer(|_| Answer::status(500, "broken"));
    let shown = program.run(&["resend", "--merchant", "Shop", "--order", "1", "--debug", "--json"]).json();
    let exchange = &shown["exchanges"][0];
    assert_eq!((&exchange["confirmed"], &exchange["cause"]["code"]), (&false.into(), &"server-error".into()), "{shown}");
    assert_eq!(exchange["answer"]["body"], "broken");
    assert!(exchange["request"]["body"].as_str().unwrap().starts_with("REFNO=1&"), "{shown}");
    let text = program.run(&["resend", "--merchant", "Shop", "--order", "1", "--debug"]).done();
    assert!(text.contains("HTTP/1.1 500") && text.contains("What to do: "), "{text}");
    program.run(&["doctor"]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_made_on_the_command_line_signs_in() {
    let program = Program::new();
    let server = program.serve();
    assert!(server.banner.contains("/setup?token="), "{}", server.banner);
    let add = ["user", "add", "admin@example.com", "--role", "admin", "--password-stdin", "--json"];
    program.run_with(&add, &format!("{PASSWORD}\n")).json();
    let mut browser = Browser::new(server.address);
    browser.sign_in("admin@example.com", PASSWORD).await;
    assert_eq!(browser.get("/account").await.status, 200);
    drop(server);
    assert!(!program.serve().banner.contains("/setup?token="), "there is an administrator");
    let short = program.run_with(&["user", "add", "b@example.com", "--role", "admin", "--password-stdin"], "short\n").failed(1);
    assert!(short.contains("--password-stdin") && short.contains("12 characters"), "{short}");
    program.run_with(&add, "").failed(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_wrongly_names_the_flag_and_what_it_takes() {
    let program = Program::new();
    for (arguments, words) in [
        (&["url", "add", "http://a.example/", "--merchant", "S", "--algorithms", "sha1"][..], &["--algorithms", "sha3-256"][..]),
        (&["user", "add", "a@b.example", "--role", "boss", "--password-stdin"], &["--role", "support"]),
        (&["listener", "add", "--merchant", "S", "--gateway", "x", "--secret", "s"], &["--gateway", "2checkout"]),
        (&["serve", "--listen", "here"], &["--listen", "127.0.0.1:3000"]),
        (&["serve", "--nonsense"], &["--nonsense"]),
        (&["resend", "--merchant", "S"], &["--order"]),
    ] {
        let error = program.run(arguments).failed(2);
        assert!(words.iter().all(|word| error.contains(word)), "{arguments:?}: {error}");
    }
    assert!(!program.database().exists(), "nothing was made");
    program.run(&["--help"]).done();
    program.run(&["--version"]).done();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_says_why_and_what_to_do() {
    let program = Program::new();
    let error = program.run(&["merchant", "list"]).failed(1);
    assert!(error.starts_with("error: there is no database at"), "{error}");
    assert!(!program.database().exists());
    std::fs::write(program.database(), "").unwrap();
    let error = program.run(&["doctor"]).failed(1);
    assert!(error.contains("is empty") && error.contains("put a backup in its place"), "{error}");
    assert_eq!(program.database().metadata().unwrap().len(), 0, "whoever looks changes nothing");
    std::fs::remove_file(program.database()).unwrap();
    let error = program.run(&["merchant", "list", "--database", "sqllite:x"]).failed(2);
    assert!(error.contains("sqlite:PATH"), "{error}");
    program.shop("http://127.0.0.1:9/");
    for (arguments, words) in [
        (&["merchant", "add", "shop"][..], "There is a merchant of this name already"),
        (&["url", "add", "ftp://a.example/", "--merchant", "Shop"], "begin the URL with https://"),
        (&["url", "add", "http://a.example/", "--merchant", "Nobody"], "there is no merchant \"Nobody\""),
        (&["resend", "--merchant", "Shop", "--order", "404"], "There is no order \"404\""),
    ] {
        let error = program.run(arguments).failed(1);
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_url_of_the_same_address_is_told() {
    let program = Program::new();
    program.shop("http://127.0.0.1:9/ipn");
    let add = |url: &str| program.run(&["url", "add", url, "--merchant", "Shop", "--json"]).json();
    assert_eq!(add("http://127.0.0.1:9/ipn")["same_address_as"], "127.0.0.1");
    assert_eq!(add("http://127.0.0.1:9/other")["same_address_as"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told() {
    let program = Program::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let error = program.run(&["serve", "--listen", &address]).failed(1);
    assert!(error.contains(&format!("{address} is already in use")) && error.contains("--listen"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_database_is_refused() {
    let program = Program::new();
    let server = program.serve();
    let error = program.run(&["serve", "--listen", "127.0.0.1:0"]).failed(1);
    assert!(error.contains("another server already runs on the database"), "{error}");
    assert_eq!(gateway::get(server.address, "/healthz").await.status, 200, "the first goes on");
    server.kill();
    drop(program.serve());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_left_alone() {
    let program = Program::new();
    program.shop("http://127.0.0.1:9/");
    program
        .connection()
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
             VALUES (9999, 'from the future', CURRENT_TIMESTAMP, 1, x'00', 0)",
            [],
        )
        .unwrap();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["merchant", "list"], &["doctor"]] {
        let error = program.run(arguments).failed(1);
        assert!(error.contains("newer version"), "{arguments:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_is_told_before_anything_is_served() {
    let program = Program::new();
    program.shop("http://127.0.0.1:9/");
    std::fs::remove_file(program.database().with_extension("key")).unwrap();
    let error = program.run(&["serve", "--listen", "127.0.0.1:0"]).failed(1);
    assert!(error.contains("key file") && error.contains("--key-file"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_server_holds_everything_acknowledged_before() {
    let program = Program::new();
    let merchant = FakeMerchant::confirming().await;
    let path = program.shop(&merchant.url());
    let server = program.serve();
    for reference in 1..=20 {
        post(&server, &path, &reference.to_string()).await;
    }
    let copy = program.folder().join("copy.db");
    let file = copy.to_str().unwrap();
    let report = program.run(&["backup", file, "--json"]).json();
    assert_eq!(report["notifications"], 20);
    assert!(program.run(&["backup", file]).failed(1).ends_with("cannot be made: it is there already; name a new file\n"));
    let nowhere = program.folder().join("missing/backup.db");
    let told = program.run(&["backup", nowhere.to_str().unwrap()]).failed(1);
    assert!(told.ends_with("missing/backup.db cannot be made: its folder is not there\n"), "{told}");
    drop(server);
    let key = program.folder().join("quittance.key");
    let key = key.to_str().unwrap();
    let doctor = program.run(&["doctor", "--database", &format!("sqlite:{file}"), "--key-file", key]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_that_begin_in_the_same_moment_are_all_made() {
    let program = Program::new();
    let merchant = FakeMerchant::confirming().await;
    let path = program.shop(&merchant.url());
    let server = program.serve();
    assert_eq!(post(&server, &path, "1").await.status, 200);
    let program = &program;
    std::thread::scope(|scope| {
        let backup = |name: &str| {
            let file = program.folder().join(name).to_str().unwrap().to_owned();
            scope.spawn(move || program.run(&["backup", &file, "--json"]).json())
        };
        for backup in ["a.db", "b.db", "c.db"].map(backup) {
            assert_eq!(backup.join().unwrap()["notifications"], 1);
        }
    });
    assert_eq!(server.terminate().0, 0);
}

/// How large files of a process may become.
fn limit_files(server: &Server, bytes: &str) {
    let process = server.process().to_string();
    let done = Command::new("prlimit").args(["--pid", &process, &format!("--fsize={bytes}:unlimited")]).status().unwrap();
    assert!(done.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_503_without_a_receipt_and_it_goes_on_by_itself() {
    let program = Program::new();
    let merchant = FakeMerchant::confirming().await;
    let path = program.shop(&merchant.url());
    // What would be a signal is an error of the write then, as on a full disk.
    let server = program.serve_after("trap '' XFSZ");
    let mut acknowledged = HashSet::new();
    for number in 0..20 {
        let reference = format!("before-{number}");
        assert_eq!(post(&server, &path, &reference).await.status, 200);
        acknowledged.insert(reference);
    }
    let add = ["user", "add", "support@example.com", "--role", "support", "--merchant", "Shop", "--password-stdin"];
    program.run_with(&add, PASSWORD).done();
    let mut support = Browser::signed_in(server.address, "support@example.com").await;
    let dashboard = support.get("/m/shop").await.text();
    assert!(dashboard.contains("Everything is delivered") && !dashboard.contains("be stored"), "{dashboard}");
    let mut open_page = Page::open(&support, "?merchant=shop", "").await;
    limit_files(&server, "4096");
    for number in 0..10 {
        let reply = post(&server, &path, &format!("full-{number}")).await;
        assert_eq!((reply.status, reply.has_receipt()), (503, false), "{}", reply.text());
        assert!(!reply.header("retry-after").is_empty());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(gateway::get(server.address, "/healthz").await.status, 200);
    open_page.until("\"shop\"").await;
    let dashboard = support.get("/m/shop").await.text();
    assert!(dashboard.contains("Messages cannot be stored") && !dashboard.contains("Everything is delivered"), "{dashboard}");
    assert!(dashboard.contains("<dt>Tries in vain</dt><dd>10</dd>"), "{dashboard}");
    limit_files(&server, "unlimited");
    until("the server to accept again", || async { (post(&server, &path, "after").await.status == 200).then_some(()) }).await;
    acknowledged.insert("after".to_owned());
    wait_until_confirmed(&program, &acknowledged).await;
    let dashboard = support.get("/m/shop").await.text();
    assert!(dashboard.contains("Messages could not be stored") && dashboard.contains("Everything is delivered"), "{dashboard}");
    program.run(&["doctor"]).done();
    assert_eq!(server.terminate().0, 0);
    program.run(&["doctor"]).done();
}

/// The log often lies on the disk that is full, or goes to a program that has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_stops_nothing() {
    for setting in ["exec 2>/dev/full", "exec 2>&-"] {
        let program = Program::new();
        let merchant = FakeMerchant::confirming().await;
        let path = program.shop(&merchant.url());
        let server = program.serve_after(&format!("trap '' XFSZ; export QUITTANCE_LOG=debug; {setting}"));
        limit_files(&server, "4096");
        for number in 0..10 {
            assert_eq!(post(&server, &path, &format!("full-{number}")).await.status, 503, "{setting}");
        }
        limit_files(&server, "unlimited");
        until("the server to accept again", || async { (post(&server, &path, "after").await.status == 200).then_some(()) }).await;
        wait_until_confirmed(&program, &HashSet::from(["after".to_owned()])).await;
        assert_eq!(server.terminate().0, 0, "{setting}");
        program.run(&["doctor"]).done();
    }
}

/// Opens connections that say nothing, ten thousand or as many as this machine lets a process have, while others post among them.
/// Gives what the server logged.
async fn among_silent_senders(before_serve: &str) -> String {
    let program = Program::new();
    let merchant = FakeMerchant::confirming().await;
    let path = program.shop(&merchant.url());
    let server = program.serve_after(before_serve);
    let mut silent = Vec::new();
    let places = rlimit::increase_nofile_limit(u64::MAX).unwrap().min(11_000);
    assert!(places > 2_000, "the tests may open {places} files only");
    for number in 0..places - 1_000 {
        silent.push(tokio::net::TcpStream::connect(server.address).await.unwrap());
        if number % 1_000 == 0 {
            assert_eq!(post(&server, &path, &format!("among-{number}")).await.status, 200);
        }
    }
    assert_eq!(post(&server, &path, "last").await.status, 200);
    wait_until_confirmed(&program, &HashSet::from(["last".to_owned()])).await;
    drop(silent);
    let (code, said) = server.terminate();
    assert_eq!(code, 0);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_that_say_nothing_keep_nobody_out() {
    // One after the other: the tests may open as many files as one of them needs. There is room for all, and for a few.
    let said = among_silent_senders("true").await;
    assert!(!said.contains("may open few files"), "{said}");
    let said = among_silent_senders("ulimit -n 300").await;
    assert!(said.contains("may open few files") && said.contains("ulimit -n"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_notices_tampering() {
    let program = Program::new();
    let merchant = FakeMerchant::confirming().await;
    let path = program.shop(&merchant.url());
    let server = program.serve();
    post(&server, &path, "1").await;
    wait_until_confirmed(&program, &HashSet::from(["1".to_owned()])).await;
    server.terminate();
    let report = program.run(&["doctor", "--json"]).json();
    assert_eq!((&report["balanced"], &report["findings"]), (&true.into(), &serde_json::json!([])));
    for (change, check) in [
        ("UPDATE url_books SET confirmed = confirmed + 1", "the books balance"),
        ("UPDATE notification SET digest = x'00112233445566778899AABBCCDDEEFF'", "stored messages are unaltered"),
        ("DELETE FROM attempt", "what is confirmed was confirmed by a receipt"),
    ] {
        program.connection().execute(change, []).unwrap();
        let doctor = program.run(&["doctor"]);
        assert!(doctor.code == 1 && doctor.out.contains("WRONG"), "{change}: {doctor:?}");
        assert!(doctor.out.lines().any(|line| line.starts_with("WRONG") && line.contains(check)), "{change}: {doctor:?}");
    }
    program.connection().execute("UPDATE merchant SET secret_key = x'00'", []).unwrap();
    assert!(program.run(&["doctor"]).failed(1).contains("does not open with the key file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outstanding_is_cancelled_on_the_command_line() {
    let program = Program::new();
    let merchant = FakeMerchant::start(|_| Answer::text("OK")).await;
    let path = program.shop(&merchant.url());
    let server = program.serve();
    for reference in ["1", "2", "3"] {
        assert_eq!(post(&server, &path, reference).await.status, 200);
    }
    merchant.wait_for(3).await;
    let cancel = |more: &[&str]| program.run(&[&["cancel", "--merchant", "Shop"], more].concat());
    assert!(cancel(&[]).failed(1).contains("Choose what is to be cancelled"));
    assert!(cancel(&["--state", "expired"]).failed(2).contains("possible values: queued, retrying, held"));
    assert!(cancel(&["--from", "today"]).failed(2).contains("expected a day such as"));
    let counted = until("three to be tried again", || async {
        let counted = cancel(&["--state", "retrying", "--dry-run", "--json"]).json();
        (counted["deliveries"] == 3).then_some(counted)
    })
    .await;
    assert_eq!((counted["by_state"]["retrying"].as_u64(), counted["bulk"].is_null()), (Some(3), true), "{counted}");
    assert!(cancel(&["--state", "retrying", "--dry-run"]).done().contains("3 deliveries to cancel\n  3  retrying"));
    let one = cancel(&["--order", "2", "--json"]).json();
    assert_eq!((one["deliveries"].as_u64(), one["served"].as_bool()), (Some(1), Some(true)), "{one}");
    let cancelled = || -> rusqlite::Result<i64> {
        program.connection().query_row("SELECT count(*) FROM delivery WHERE state = 6", [], |row| row.get(0))
    };
    until("one to be cancelled", || async { (cancelled().unwrap() == 1).then_some(()) }).await;
    let rest = cancel(&["--cause", "no-receipt", "--json"]).json();
    assert_eq!(rest["deliveries"], 2, "{rest}");
    until("all to be cancelled", || async { (cancelled().unwrap() == 3).then_some(()) }).await;
    assert!(cancel(&["--state", "retrying"]).done().contains("there is nothing to cancel"));
    until("both to be done", || async {
        let jobs = program.run(&["bulk", "list", "--json"]).json();
        let done = |job: &serde_json::Value| (job["state"].as_str(), job["to"].as_str()) == (Some("done"), Some("cancel"));
        (jobs["bulk"].as_array().unwrap().iter().filter(|job| done(job)).count() == 2).then_some(())
    })
    .await;
    let id = rest["bulk"].as_str().unwrap();
    assert!(program.run(&["bulk", "cancel", id]).done().contains("It had ended already: 2 deliveries cancelled"));
    drop(server);
    assert_eq!(program.run(&["doctor", "--json"]).json()["balanced"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_recovered_on_the_command_line() {
    let program = Program::new();
    let merchant = FakeMerchant::start(|_| Answer::text("OK")).await;
    let path = program.shop(&merchant.url());
    let server = program.serve();
    for reference in ["1", "2", "3"] {
        assert_eq!(post(&server, &path, reference).await.status, 200);
    }
    merchant.wait_for(3).await;
    let (code, error) = server.terminate();
    assert_eq!(code, 0, "{error}");
    // Their two days have passed.
    let give_up = "UPDATE delivery SET state = 5, due_at = NULL, finished_at = last_attempt_at WHERE state = 2;
        UPDATE url_books SET expired = expired + retrying, retrying = 0";
    program.connection().execute_batch(give_up).unwrap();
    let recover = |more: &[&str]| program.run(&[&["recover", "--merchant", "Shop", "--since", "1h"], more].concat());
    let counted = recover(&["--dry-run", "--json"]).json();
    assert_eq!(
        (counted["deliveries"].as_u64(), counted["bulk"].is_null(), counted["more"].as_bool()),
        (Some(3), true, Some(false))
    );
    assert!(recover(&["--dry-run"]).done().contains("3 deliveries to send"));
    assert_eq!(program.run(&["bulk", "list", "--json"]).json()["bulk"].as_array().unwrap().len(), 0);
    // Nobody runs: it is stored, and may be cancelled again.
    let stored = recover(&["--url", &merchant.url(), "--json"]).json();
    assert_eq!(stored["served"], false);
    let id = stored["bulk"].as_str().unwrap();
    let cancelled = program.run(&["bulk", "cancel", id, "--json"]).json();
    assert_eq!((cancelled["cancelled"].as_bool(), cancelled["sent"].as_u64()), (Some(true), Some(0)), "{cancelled}");
    assert!(program.run(&["bulk", "cancel", id]).done().contains("cancelled already"));
    // Beside the running server it begins within a second.
    merchant.answer(|visit| Answer::receipt("md5", visit));
    let server = program.serve();
    let started = recover(&["--json"]).json();
    assert_eq!(started["served"], true);
    wait_until_confirmed_since(&program, 3).await;
    let jobs = program.run(&["bulk", "list", "--merchant", "Shop", "--json"]).json();
    assert_eq!((jobs["bulk"][0]["id"].clone(), jobs["bulk"][0]["made"].as_u64()), (started["bulk"].clone(), Some(3)), "{jobs}");
    assert_eq!(jobs["bulk"][1]["state"], "cancelled");
    let nothing = recover(&[]).done();
    assert!(nothing.contains("3  left out: confirmed by the URL already") && nothing.contains("nothing to send"), "{nothing}");
    let ahead = program.run(&["recover", "--merchant", "Shop", "--since", "2999-01-01"]).failed(1);
    assert!(ahead.contains("--since: this moment has not come yet"), "{ahead}");
    let backwards = program.run(&["cancel", "--merchant", "Shop", "--from", "2026-11-25", "--until", "2026-11-20"]).failed(1);
    assert!(backwards.contains("--until: this day is before that of --from"), "{backwards}");
    assert!(recover(&["--url", "nowhere"]).failed(1).contains("`quittance url list` shows"));
    assert!(program.run(&["recover", "--merchant", "Nobody", "--since", "1h"]).failed(1).contains("known are Shop"));
    assert!(program.run(&["bulk", "cancel", "123"]).failed(1).contains("`quittance bulk list` shows"));
    drop(server);
    assert_eq!(program.run(&["doctor", "--json"]).json()["balanced"], true);
}

async fn wait_until_confirmed_since(program: &Program, count: i64) {
    until("what was recovered to be confirmed", || async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let confirmed: i64 = program
            .connection()
            .query_row("SELECT count(*) FROM delivery WHERE origin = 3 AND state = 4", [], |row| row.get(0))
            .unwrap();
        (confirmed == count).then_some(())
    })
    .await;
}
