//! Questions to gateways that outlive the process that asked them, and several nodes that ask.

use crate::support::{
    app::{TestApp, listener_form, on_postgres},
    gateway,
    merchant::{Answer, FakeMerchant},
    postgres,
    program::Program,
    until,
};
use quittance::server::service::listeners::{ListenerForm, path};
use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

fn ipn(number: &str) -> String {
    format!("txn_id={number}&payment_status=Completed&mc_gross=1.00&mc_currency=USD&receiver_email=shop%40example.com")
}

/// Kills a server that is waiting for words, and starts it again.
async fn killed(program: Program) {
    let gives_word = Arc::new(AtomicBool::new(false));
    let gives = gives_word.clone();
    let asked = FakeMerchant::start(move |_| match gives.load(SeqCst) {
        true => Answer::text("VERIFIED"),
        false => Answer::Later(Duration::from_secs(60), Box::new(Answer::text("VERIFIED"))),
    })
    .await;
    let merchant = FakeMerchant::confirming().await;
    let (url, base) = (merchant.url(), format!("http://{}", asked.address));
    let (program, path) = tokio::task::spawn_blocking(move || {
        program.shop(&url);
        let base = format!("confirm-base={base}");
        let add = ["listener", "add", "--merchant", "Shop", "--gateway", "paypal", "--option", "receiver=shop@example.com"];
        let added = program.run(&[&add[..], &["--option", &base, "--json"]].concat()).json();
        let path = added["path"].as_str().unwrap().to_owned();
        (program, path)
    })
    .await
    .unwrap();
    let program = Arc::new(program);
    let serve = async || {
        let program = program.clone();
        tokio::task::spawn_blocking(move || program.serve()).await.unwrap()
    };
    let doomed = serve().await;
    for number in 0..12 {
        assert_eq!(gateway::post(doomed.address, &path, ipn(&number.to_string())).await.status, 200);
    }
    asked.wait_for(4).await;
    doomed.kill();
    assert!(merchant.visits().is_empty(), "nothing was delivered before a word was given");
    gives_word.store(true, SeqCst);
    let server = serve().await;
    let delivered = merchant.wait_for(12).await;
    let references: HashSet<_> = delivered.iter().map(|visit| visit.field("REFNO")).collect();
    assert_eq!((delivered.len(), references.len()), (12, 12), "each once");
    let checked = program.clone();
    let doctor = tokio::task::spawn_blocking(move || checked.run(&["doctor"]).done()).await.unwrap();
    assert!(doctor.contains("none waits"), "{doctor}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_goes_on_after_a_kill_on_sqlite() {
    killed(Program::new()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_goes_on_after_a_kill_on_postgres() {
    killed(Program::on(postgres::address(&postgres::database().await))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_ask_once_about_each_message() {
    let folder = tempfile::tempdir().unwrap();
    let setup = on_postgres(folder.path()).await;
    let one = TestApp::start_as(setup.clone()).await;
    let two = TestApp::start_as(setup).await;
    let shop = one.shop("Shop").await;
    let asked = FakeMerchant::start(|_| Answer::Later(Duration::from_millis(30), Box::new(Answer::text("VERIFIED")))).await;
    let form = ListenerForm {
        gateway: "paypal".parse().unwrap(),
        secret: String::new(),
        options: [
            ("receiver".to_owned(), "shop@example.com".to_owned()),
            ("confirm-base".to_owned(), format!("http://{}", asked.address)),
        ]
        .into(),
        ..listener_form()
    };
    let listener = shop.services.add_listener(&shop.merchant, &form, "test").await.unwrap();
    let version = one.services.store.settings().version;
    until("the other node to know", || async { (two.services.store.settings().version >= version).then_some(()) }).await;
    for number in 0..60 {
        let address = if number % 2 == 0 { one.address } else { two.address };
        assert_eq!(gateway::post(address, &path(&listener), ipn(&format!("n{number}"))).await.status, 200);
    }
    until("every order", || async { shop.services.order_named(&shop.merchant, "n59").await.ok() }).await;
    until("every word", || async { one.services.store.verifying_due().await.unwrap().is_none().then_some(()) }).await;
    until("what is taken", || async {
        let findings = one.services.store.verify().await.unwrap();
        findings.iter().any(|finding| finding.detail == "none waits").then_some(())
    })
    .await;
    let bodies: HashSet<_> = asked.visits().into_iter().map(|visit| visit.body).collect();
    assert_eq!((asked.visits().len(), bodies.len()), (60, 60), "each message once, whichever node asked");
    one.assert_healthy().await;
    two.stop().await;
    one.stop().await;
}
