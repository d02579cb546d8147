//! `quittance simulate`: the program itself posts to a server that runs, and tells what came back.

use crate::support::{
    gateway,
    merchant::FakeMerchant,
    message::Message,
    program::{Outcome, Program, Server},
};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Adds a listener; gives its address.
fn listener(program: &Program, gateway: &str, more: &[&str]) -> String {
    let add = ["listener", "add", "--merchant", "Shop", "--gateway", gateway, "--json"];
    program.run(&[&add[..], more].concat()).json()["path"].as_str().unwrap().to_owned()
}

fn simulate(program: &Program, server: &Server, gateway: &str, path: &str, more: &[&str]) -> Outcome {
    let address = format!("http://{}", server.address);
    let mut arguments = vec!["simulate", gateway, "--listener", path, "--server", &address];
    arguments.extend(more);
    program.run(&arguments)
}

/// What a command printed although it was bad.
fn printed(outcome: Outcome, code: i32) -> Value {
    assert_eq!(outcome.code, code, "{outcome:?}");
    assert_eq!((outcome.err.is_empty(), outcome.err.starts_with("error: ")), (code == 0, code != 0), "{outcome:?}");
    serde_json::from_str(&outcome.out).unwrap()
}

#[test]
fn messages_of_several_gateways_are_posted_and_their_acknowledgements_told() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let merchant = runtime.block_on(FakeMerchant::confirming());
    let program = Program::new();
    let path = program.shop(&merchant.url());
    let stripe = listener(&program, "stripe", &["--secret", "whsec_key"]);
    let vnpay = listener(&program, "vnpay", &["--secret", "key", "--option", "terminal=DEMO"]);
    let onepay = listener(&program, "onepay", &["--secret", &"0a".repeat(16)]);
    let options = ["client-id=me", "webhook-id=W", "confirm-base=http://127.0.0.1:9", "certificate-hosts=127.0.0.1:9"];
    let options: Vec<_> = options.into_iter().flat_map(|option| ["--option", option]).collect();
    let paypal = listener(&program, "paypal-webhooks", &[&["--secret", "key"], &options[..]].concat());
    let server = program.serve();
    let run = |gateway: &str, path: &str, more: &[&str]| simulate(&program, &server, gateway, path, more);

    // A signed form, acknowledged with a read receipt.
    let told =
        run("2checkout", &path, &["--status", "paid", "--order", "4711", "--amount", "12.50", "--currency", "EUR", "--json"])
            .json();
    assert_eq!(
        (told["gateway"].as_str(), told["order"].as_str(), told["status"].as_str()),
        (Some("2checkout"), Some("4711"), Some("paid"))
    );
    let sent = told["sent"].as_str().unwrap();
    assert!(sent.contains("REFNO=4711") && sent.contains("12.50") && sent.contains("HASH="), "{sent}");
    assert_eq!(told["answer"]["status"], 200);
    assert!(told["answer"]["body"].as_str().unwrap().contains("<sig algo=\"sha3-256\""), "{told}");
    // JSON with an HMAC in a header.
    let told = run("stripe", &stripe, &["--status", "refunded", "--order", "4712", "--json"]).json();
    assert!(told["sent"].as_str().unwrap().starts_with('{') && told["answer"]["status"] == 200, "{told}");
    assert_eq!(told["answer"]["body"], "OK\n");
    // A signed query by GET, whose answer tells repeats and other amounts.
    let told = run("vnpay", &vnpay, &["--status", "paid", "--order", "4713", "--amount", "50000", "--json"]).json();
    assert!(told["sent"].as_str().unwrap().contains("vnp_TmnCode=DEMO"), "{told}");
    let code = |told: &Value| {
        serde_json::from_str::<Value>(told["answer"]["body"].as_str().unwrap()).unwrap()["RspCode"].as_str().unwrap().to_owned()
    };
    assert_eq!(code(&told), "00");
    let more = ["--status", "paid", "--order", "4713", "--amount", "60000", "--json"];
    assert_eq!(code(&run("vnpay", &vnpay, &more).json()), "04", "another amount of the same order");

    // For people: the request, and what came back.
    let text = run("stripe", &stripe, &["--status", "paid", "--order", "4714"]).done();
    assert!(text.starts_with(&format!("POST http://{}{stripe}\n", server.address)) && text.contains("\n200\nOK\n"), "{text}");

    // One that its gateway would have to confirm, and that only the gateway could sign.
    let text = run("paypal-webhooks", &paypal, &["--status", "paid"]).done();
    assert!(
        text.contains("\n200\n") && text.contains("http://127.0.0.1:9 is asked") && text.contains("its signature is checked"),
        "{text}"
    );

    // All of it left for the merchant's script.
    let visits = runtime.block_on(merchant.wait_for(5));
    let mut references: Vec<_> = visits.iter().map(|visit| (visit.field("GATEWAY"), visit.field("ORDERSTATUS"))).collect();
    references.sort();
    let left = |gateway: &str, status: &str| (gateway.to_owned(), status.to_owned());
    assert_eq!(
        references,
        [
            left("", "COMPLETE"),
            left("stripe", "COMPLETE"),
            left("stripe", "REFUND"),
            left("vnpay", "COMPLETE"),
            left("vnpay", "COMPLETE")
        ]
    );

    // What is wrong with a message: the answer of the gateway's own, on standard output, and an exit code that says so.
    let told = printed(run("stripe", &stripe, &["--status", "paid", "--fault", "wrong-signature", "--json"]), 1);
    assert_eq!((told["answer"]["status"].as_u64(), told["answer"]["body"].as_str()), (Some(400), Some("Refused.\n")));
    let told = printed(run("stripe", &stripe, &["--status", "paid", "--fault", "stale", "--json"]), 1);
    assert_eq!(told["answer"]["status"], 400);
    let told = printed(run("vnpay", &vnpay, &["--status", "paid", "--fault", "wrong-signature", "--json"]), 1);
    assert_eq!(code(&told), "97", "VNPAY wants a 200 for everything");
    let told = printed(run("onepay", &onepay, &["--status", "paid", "--fault", "wrong-signature", "--json"]), 1);
    assert_eq!(told["answer"]["body"], "responsecode=0&desc=confirm-fail", "and so does OnePay, in the same words for every no");
    let told = printed(run("2checkout", &path, &["--status", "paid", "--fault", "no-signature", "--json"]), 1);
    assert!(told["answer"]["status"] == 403 && !told["answer"]["body"].as_str().unwrap().contains("<sig"), "{told}");
    assert_eq!(merchant.visits().len(), 5, "nothing of that left");
    drop(server);
}

#[test]
fn what_cannot_be_simulated_is_told_on_standard_error() {
    let program = Program::new();
    let path = program.shop("http://127.0.0.1:9/ipn.php");
    let vnpay = listener(&program, "vnpay", &["--secret", "key", "--option", "terminal=DEMO"]);
    let server = program.serve();
    let failed =
        |gateway: &str, path: &str, more: &[&str], code: i32| simulate(&program, &server, gateway, path, more).failed(code);
    for (gateway, path, more, expected) in [
        ("stripe", path.as_str(), &["--status", "paid"][..], "takes messages of 2checkout, not of stripe"),
        ("2checkout", "/ipn/nobody", &["--status", "paid"], "/ipn/nobody"),
        ("vnpay", &vnpay, &["--status", "refunded"], "no message for the status"),
        ("vnpay", &vnpay, &["--status", "paid", "--fault", "stale"], "--fault"),
        ("vnpay", &vnpay, &["--status", "paid", "--amount", "1.5"], "--amount"),
        ("2checkout", &path, &["--status", "paid", "--amount", "0"], "--amount"),
        ("2checkout", &path, &["--status", "paid", "--currency", "EURO"], "--currency"),
        ("2checkout", &path, &["--status", "paid", "--order", "x1"], "--order"),
    ] {
        let told = failed(gateway, path, &[more, &["--json"]].concat(), 1);
        assert!(told.starts_with("error: ") && told.contains(expected), "{gateway} {more:?}: {told}");
    }
    // What clap does not take.
    let told = failed("vnpay", &vnpay, &["--status", "golden"], 2);
    assert!(told.contains("golden") && told.contains("paid"), "{told}");
    drop(server);
    let nobody =
        program.run(&["simulate", "vnpay", "--listener", &vnpay, "--status", "paid", "--server", "http://127.0.0.1:9", "--json"]);
    let told = nobody.failed(1);
    assert!(told.contains("Is it running, and is --server right?"), "{told}");
}

#[test]
fn a_secret_is_changed_while_both_are_taken_and_the_old_one_ends() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let program = Program::new();
    program.run(&["merchant", "add", "Shop", "--json"]).json();
    let path = listener(&program, "2checkout", &["--secret", "first"]);
    let server = program.serve();
    let status = |secret: &str| {
        let body = Message::small("1", "COMPLETE", "20260301120009").body(secret, &["md5"]);
        runtime.block_on(gateway::post(server.address, &path, body.as_str())).status
    };
    let change = |more: &[&str]| program.run(&[&["listener", "change", &path, "--json"], more].concat());
    // The server notices within a second.
    let becomes = |secret: &str, expected: u16| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while status(secret) != expected {
            assert!(Instant::now() < deadline, "{secret} is not answered with {expected}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    becomes("first", 200);
    let changed = change(&["--secret", "second", "--keep-previous", "--label", "Cards"]).json();
    assert_eq!((changed["label"].as_str(), changed["enabled"].as_bool()), (Some("Cards"), Some(true)), "{changed}");
    becomes("second", 200);
    assert_eq!(status("first"), 200, "both are taken");
    change(&["--remove", "previous-secret"]).json();
    becomes("first", 403);
    assert_eq!(status("second"), 200);
    assert_eq!(change(&["--closed"]).json()["enabled"], false);
    becomes("second", 403);
    change(&["--open"]).json();
    becomes("second", 200);
    for (more, code, told) in [
        (&[][..], 2, "--secret"),
        (&["--keep-previous"], 2, "--secret"),
        (&["--open", "--closed"], 2, "--closed"),
        (&["--remove", "colour"], 1, "colour"),
        (&["--option", "mode=maybe"], 1, "live or test"),
    ] {
        let error = change(more).failed(code);
        assert!(error.contains(told), "{more:?}: {error}");
    }
}
