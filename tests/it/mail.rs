//! Mails to customers: who is written to, once, and what happens where that fails. Against a mail server on real TCP.

use crate::support::{
    app::{Setup, Shop, TestApp},
    browser::Browser,
    message::Message,
    smtp::{MailSink, Mood},
    stores::{START, TestStore, on_every_engine, received},
    until,
};
use quittance::{
    domain::{
        OrderStatus, Role, Timestamp,
        id::OrderId,
        mail::{MailCause, MailSettings, MailState, TRIES},
        pages::{
            mail::{MailDraft, MailRow},
            story::{Happening, StoryTurn},
        },
        personal::Personal as _,
    },
    server::{
        clock::Clock,
        mail::MailServer,
        service::mail::{SenderForm, TemplateForm},
        store::{MailCandidate, MailResult, Merchant, NewMail, OpenAs, Store},
    },
};
use std::{sync::Arc, time::Duration};

on_every_engine! {
    a_mail_is_made_once_and_taken_by_one,
    only_what_changes_an_order_is_mailed_about,
    mails_follow_the_rule_of_the_order,
    what_is_chosen_about_mails_is_kept,
}

const LEASE: Duration = Duration::from_secs(180);

fn mail_for(candidate: &MailCandidate, merchant_id: quittance::domain::id::MerchantId, recipient: &str) -> NewMail {
    NewMail {
        merchant_id,
        order_id: candidate.order_id,
        notification_id: candidate.notification_id,
        status: candidate.status,
        recipient: recipient.to_owned(),
        sender: String::new(),
        sender_name: "Shop".to_owned(),
        subject: "Subject\u{0}".to_owned(),
        text: "Text".to_owned(),
        cause: recipient.is_empty().then_some(MailCause::NoAddress),
    }
}

async fn candidates(store: &Store, merchant: quittance::domain::id::MerchantId) -> Vec<MailCandidate> {
    store.settled().await.unwrap();
    let statuses = [OrderStatus::Paid, OrderStatus::Refunded, OrderStatus::Pending];
    store.mail_candidates(merchant, Timestamp(0), None, &statuses, 500).await.unwrap()
}

async fn a_mail_is_made_once_and_taken_by_one(mut test: TestStore) {
    let merchant = test.merchant("Shop").await;
    let listener = test.listener(merchant).await;
    for number in 1..=3 {
        let body =
            format!("REFNO={number}&ORDERSTATUS=COMPLETE&CUSTOMEREMAIL=ana%40shop.example&CURRENCY=USD&IPN_TOTALGENERAL=1.00");
        test.accept(received(merchant, listener, &body)).await;
    }
    let found = candidates(&test.store, merchant).await;
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|one| one.changes && one.email == "ana@shop.example" && one.amount.is_some()));
    let mails: Vec<_> =
        found.iter().zip(["ana@shop.example", "", "b@shop.example"]).map(|(one, to)| mail_for(one, merchant, to)).collect();
    assert_eq!(test.store.add_mails(mails.clone()).await.unwrap(), 3);
    assert_eq!(test.store.add_mails(mails).await.unwrap(), 0, "once for a message");
    assert!(candidates(&test.store, merchant).await.is_empty());

    // Two that look at the same moment take different ones; what goes to nobody is not tried.
    let (first, second) = tokio::join!(test.store.take_mails(1, LEASE), test.store.take_mails(2, LEASE));
    let taken = [first.unwrap(), second.unwrap()].concat();
    let mut more = test.store.take_mails(9, LEASE).await.unwrap();
    more.extend(taken);
    more.sort_by_key(|job| job.id);
    assert_eq!(
        more.iter().map(|job| (job.recipient.as_str(), job.attempt)).collect::<Vec<_>>(),
        [("ana@shop.example", 1), ("b@shop.example", 1)]
    );
    assert!(test.store.take_mails(9, LEASE).await.unwrap().is_empty());

    // Who takes a mail and dies does not keep it.
    test.hand.advance(LEASE);
    let again = test.store.take_mails(9, LEASE).await.unwrap();
    assert_eq!(again.iter().map(|job| job.attempt).collect::<Vec<_>>(), [2, 2]);
    let later = test.clock.now().plus(Duration::from_secs(60));
    test.store.finish_mail(again[0].id, MailResult::Later(later, MailCause::Later, "450 busy".to_owned())).await.unwrap();
    test.store.finish_mail(again[1].id, MailResult::Failed(MailCause::Refused, "550 no".to_owned())).await.unwrap();
    test.hand.advance(Duration::from_secs(60));
    let last = test.store.take_mails(9, LEASE).await.unwrap();
    assert_eq!(last.iter().map(|job| (job.id, job.attempt)).collect::<Vec<_>>(), [(again[0].id, 3)]);
    test.store.finish_mail(last[0].id, MailResult::Sent).await.unwrap();

    let failed = test.store.failed_mails(merchant, None, 9).await.unwrap();
    let told: Vec<_> = failed.iter().map(|row| (row.recipient.as_str(), row.cause, row.note.as_str(), row.attempts)).collect();
    assert_eq!(
        told,
        [("b@shop.example", Some(MailCause::Refused), "550 no", 2), ("", Some(MailCause::NoAddress), "", 0)],
        "the newest first"
    );
    assert_eq!(test.store.failed_mails(merchant, Some(failed[0].id), 9).await.unwrap(), failed[1..]);
    assert!(!test.store.retry_mail(merchant, failed[1].id).await.unwrap(), "it goes to nobody");
    assert!(test.store.retry_mail(merchant, failed[0].id).await.unwrap());
    assert!(!test.store.retry_mail(merchant, failed[0].id).await.unwrap(), "it waits already");
    assert_eq!(test.store.take_mails(9, LEASE).await.unwrap()[0].attempt, 1);

    test.reopen(OpenAs::Server).await.unwrap();
    assert_eq!(test.store.forget_mails(START).await.unwrap(), 0);
    test.hand.advance(Duration::from_secs(3_600));
    assert_eq!(test.store.forget_mails(test.clock.now()).await.unwrap(), 2, "what still waits stays");
}

async fn only_what_changes_an_order_is_mailed_about(test: TestStore) {
    let merchant = test.merchant("Shop").await;
    let listener = test.listener(merchant).await;
    for (status, date) in [
        ("PENDING", "20260301120000"),
        ("COMPLETE", "20260301120100"),
        ("COMPLETE", "20260301120200"),
        ("PENDING", "20260301115900"),
        ("REFUND", "20260301120300"),
    ] {
        let body = format!("REFNO=1&ORDERSTATUS={status}&IPN_DATE={date}&CUSTOMEREMAIL=ana%40shop.example");
        test.accept(received(merchant, listener, &body)).await;
        test.hand.advance(Duration::from_secs(1));
    }
    let found = candidates(&test.store, merchant).await;
    assert_eq!(found.iter().map(|one| one.changes).collect::<Vec<_>>(), [true, true, false, false, true]);
    let after = test
        .store
        .mail_candidates(merchant, Timestamp(0), Some(found[1].notification_id), &[OrderStatus::Paid], 9)
        .await
        .unwrap();
    assert_eq!(after.len(), 1, "of the statuses asked for, behind a message");
    assert!(test.store.mail_candidates(merchant, START.plus(LEASE), None, &[OrderStatus::Paid], 9).await.unwrap().is_empty());
}

async fn mails_follow_the_rule_of_the_order(test: TestStore) {
    let merchant = test.merchant("Shop").await;
    let listener = test.listener(merchant).await;
    for body in [
        // A word that nobody has mapped never stands in the way of one that is known, however late it is.
        "REFNO=1&ORDERSTATUS=NEW_WORD&IPN_DATE=20260301120500",
        "REFNO=1&ORDERSTATUS=COMPLETE&IPN_DATE=20260301120100",
        // Messages that do not say when only move an order on.
        "REFNO=2&ORDERSTATUS=COMPLETE",
        "REFNO=2&ORDERSTATUS=PENDING",
        "REFNO=2&ORDERSTATUS=REFUND",
    ] {
        test.accept(received(merchant, listener, body)).await;
        test.hand.advance(Duration::from_secs(1));
    }
    let found = candidates(&test.store, merchant).await;
    let told: Vec<_> = found.iter().map(|one| (one.reference.as_str(), one.status, one.changes)).collect();
    assert_eq!(
        told,
        [
            ("1", OrderStatus::Paid, true),
            ("2", OrderStatus::Paid, true),
            ("2", OrderStatus::Pending, false),
            ("2", OrderStatus::Refunded, true),
        ]
    );
    let mut stands = Vec::new();
    for reference in ["1", "2"] {
        let id = test.store.order_by_reference(merchant, reference).await.unwrap().unwrap();
        stands.push(test.store.order(merchant, id).await.unwrap().unwrap().status);
    }
    assert_eq!(stands, [OrderStatus::Paid, OrderStatus::Refunded], "as the orders themselves");
}

async fn what_is_chosen_about_mails_is_kept(mut test: TestStore) {
    let merchant = test.merchant("Shop").await;
    let known = |test: &TestStore| test.store.settings().merchant(merchant).unwrap().mail.clone();
    assert_eq!(known(&test), None);
    let own = MailSettings {
        sender_name: "Shop \u{c1}".to_owned(),
        sender: "shop@example.com".to_owned(),
        tests: true,
        templates: Vec::new(),
    };
    let mut template = own.template(OrderStatus::Paid);
    template.since = Some(START);
    let own = own.with(template);
    test.store.set_mail(merchant, own.clone(), "test".to_owned()).await.unwrap();
    assert_eq!(known(&test), Some(own.clone()));
    test.reopen(OpenAs::Server).await.unwrap();
    assert_eq!(known(&test), Some(own));
}

fn server(sink: &MailSink) -> MailServer {
    MailServer { url: sink.url().parse().unwrap(), from: "installation@quittance.example".parse().unwrap() }
}

async fn start(sink: &MailSink) -> TestApp {
    TestApp::start_as(Setup { mail: Some(server(sink)), ..Setup::default() }).await
}

fn current(shop: &Shop) -> Arc<Merchant> {
    shop.services.store.settings().merchant(shop.merchant.id).unwrap().clone()
}

async fn switch_on(shop: &Shop, statuses: &[&str]) {
    for status in statuses {
        let form = TemplateForm {
            status: (*status).to_owned(),
            enabled: true,
            subject: "Order {order} is {status}".to_owned(),
            text: "Hello {name},\n\n{amount} <b>& more</b>\n\n{merchant}".to_owned(),
        };
        shop.services.save_mail_template(&current(shop), &form, "test").await.unwrap();
    }
}

fn message(reference: &str, status: &str, date: &str) -> Message {
    let mut message = Message::small(reference, status, date);
    message.set("CUSTOMEREMAIL", "Ana@Shop.Example").set("FIRSTNAME", "\u{c1}na").set("LASTNAME", "Smith");
    message.set("CURRENCY", "USD").set("IPN_TOTALGENERAL", "49.90");
    message
}

async fn told(shop: &Shop, order: OrderId) -> Vec<(MailState, String)> {
    shop.services.store.settled().await.unwrap();
    let story = shop.services.story(&shop.merchant, order, StoryTurn::default(), true).await.unwrap();
    let mails = story.entries.into_iter().filter_map(|entry| match entry.what {
        Happening::Mailed { state, recipient, .. } => Some((state, recipient)),
        _ => None,
    });
    mails.collect()
}

/// Time for a worker to do what it should not.
async fn a_while() {
    tokio::time::sleep(Duration::from_millis(2_500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_mailed_once_about_each_change() {
    let sink = MailSink::start().await;
    let app = start(&sink).await;
    let shop = app.shop("Shop and Co").await;
    switch_on(&shop, &["paid", "refunded", "pending"]).await;
    let order = shop.accepted(&message("1001", "COMPLETE", "20260301120009")).await;
    let taken = sink.wait_for(1).await;
    let mail = &taken[0];
    assert_eq!((mail.from.as_str(), &mail.to[..]), ("installation@quittance.example", &["ana@shop.example".to_owned()][..]));
    assert_eq!(mail.sign_in.as_deref(), Some("|shop|s@cret"));
    assert_eq!(mail.header("subject"), "Order 1001 is paid");
    assert!(mail.header("from").contains("<installation@quittance.example>") && mail.header("from").contains("Shop and Co"));
    assert_eq!((mail.header("to").as_str(), mail.header("auto-submitted").as_str()), ("ana@shop.example", "auto-generated"));
    assert!(mail.header("message-id").ends_with("@quittance.example>") && !mail.header("date").is_empty());
    assert!(mail.header("content-type").contains("multipart/alternative"), "{}", mail.text);
    assert!(
        mail.text.contains("49.90 USD <b>& more</b>") && mail.text.contains("<p>49.90 USD &lt;b&gt;&amp; more&lt;/b&gt;</p>"),
        "{}",
        mail.text
    );

    // The same message again, the same status again, and one that came late.
    shop.accepted(&message("1001", "COMPLETE", "20260301120009")).await;
    shop.accepted(&message("1001", "COMPLETE", "20260301120010")).await;
    shop.accepted(&message("1001", "PENDING", "20260301110009")).await;
    shop.accepted(&message("1001", "REFUND", "20260301130009")).await;
    sink.wait_for(2).await;
    a_while().await;
    let subjects: Vec<_> = sink.taken().iter().map(|mail| mail.header("subject")).collect();
    assert_eq!(subjects, ["Order 1001 is paid", "Order 1001 is refunded"]);
    assert_eq!(told(&shop, order).await, vec![(MailState::Sent, "ana@shop.example".to_owned()); 2]);
    let mut story = shop.services.story(&shop.merchant, order, StoryTurn::default(), true).await.unwrap();
    story.mask();
    let text = format!("{:?}", story.entries);
    assert!(!text.contains("ana@shop.example"), "{text}");

    // Another start looks back, and finds that everything was said.
    let app = app.restart(|| {}).await;
    a_while().await;
    assert_eq!(sink.taken().len(), 2);
    app.assert_healthy().await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_to_be_mailed_is_not() {
    let sink = MailSink::start().await;
    let app = start(&sink).await;
    let shop = app.shop("Shop").await;
    shop.accepted(&message("1", "COMPLETE", "20260301120009")).await;
    switch_on(&shop, &["paid"]).await;
    let mut test_order = message("2", "COMPLETE", "20260301120009");
    test_order.set("TEST_ORDER", "1");
    shop.accepted(&test_order).await;
    shop.accepted(&message("3", "PENDING", "20260301120009")).await;
    let mut nameless = message("4", "COMPLETE", "20260301120009");
    nameless.set("CUSTOMEREMAIL", "");
    let nobody = shop.accepted(&nameless).await;
    shop.accepted(&message("5", "COMPLETE", "20260301120009")).await;
    sink.wait_for(1).await;
    a_while().await;
    let subjects: Vec<_> = sink.taken().iter().map(|mail| mail.header("subject")).collect();
    assert_eq!(subjects, ["Order 5 is paid"]);
    assert_eq!(told(&shop, nobody).await, [(MailState::Failed, String::new())]);

    let form = SenderForm { sender_name: "Ana Shop".to_owned(), sender: "ana@shop.example".to_owned(), tests: true };
    shop.services.save_mail_sender(&current(&shop), &form, "test").await.unwrap();
    let mut test_order = message("6", "COMPLETE", "20260301120009");
    test_order.set("TEST_ORDER", "1");
    shop.accepted(&test_order).await;
    let mail = sink.wait_for(2).await.pop().unwrap();
    assert_eq!(mail.from, "installation@quittance.example", "bounces go to the operator");
    assert!(mail.header("from").contains("Ana Shop") && mail.header("from").contains("<ana@shop.example>"));
    // Switched off, and on again: nothing of what was between.
    let off = TemplateForm { status: "paid".to_owned(), subject: "x".to_owned(), text: "x".to_owned(), enabled: false };
    shop.services.save_mail_template(&current(&shop), &off, "test").await.unwrap();
    shop.accepted(&message("7", "COMPLETE", "20260301120009")).await;
    switch_on(&shop, &["paid"]).await;
    shop.accepted(&message("8", "COMPLETE", "20260301120009")).await;
    let mails = sink.wait_for(3).await;
    assert_eq!(mails[2].header("subject"), "Order 8 is paid");
    app.stop().await;
}

async fn failed(shop: &Shop) -> Vec<MailRow> {
    shop.services.mail_page(&current(shop), &MailDraft::default(), String::new(), true).await.unwrap().failed
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_cause_and_what_can_help_is_tried_again() {
    let sink = MailSink::start().await;
    let (clock, hand) = Clock::manual(START);
    let app = TestApp::start_as(Setup { mail: Some(server(&sink)), clock, ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    switch_on(&shop, &["paid"]).await;
    // For good at once.
    sink.mood(Mood::Answers("RCPT", "550 5.1.1 no such user here"));
    shop.accepted(&message("1", "COMPLETE", "20260301120009")).await;
    let row = until("a mail to be given up", || async { failed(&shop).await.into_iter().next() }).await;
    assert_eq!((row.cause, row.attempts), (Some(MailCause::Refused), 1));
    assert!(row.note.contains("550") && row.note.contains("no such user"), "{}", row.note);
    // Again and again, and then given up.
    for (number, mood, cause) in [
        ("2", Mood::Answers("MAIL", "451 4.7.1 greylisted"), MailCause::Later),
        ("3", Mood::Answers("AUTH", "535 5.7.8 wrong"), MailCause::SignIn),
        ("4", Mood::Greets("554 go away"), MailCause::Refused),
        ("5", Mood::BreaksOffAt("DATA"), MailCause::Silent),
    ] {
        sink.mood(mood);
        let before = failed(&shop).await.len();
        let order = shop.accepted(&message(number, "COMPLETE", "20260301120009")).await;
        let tries = if cause.is_worth_another_try() { TRIES.len() as u32 + 1 } else { 1 };
        let row = until("a mail to be given up", || async {
            hand.advance(Duration::from_secs(24 * 3_600));
            failed(&shop).await.into_iter().next().filter(|row| row.order_id == order)
        })
        .await;
        assert_eq!((row.cause, row.attempts), (Some(cause), tries), "{number}: {}", row.note);
        assert_eq!(failed(&shop).await.len(), before + 1);
        assert_eq!(told(&shop, order).await, [(MailState::Failed, "ana@shop.example".to_owned())]);
    }
    // Somebody has cured it.
    sink.mood(Mood::Takes);
    let last = failed(&shop).await.remove(0);
    assert!(shop.services.retry_mail(&shop.merchant, last.id, "test").await.unwrap());
    sink.wait_for(1).await;
    assert_eq!(failed(&shop).await.len(), 4);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_when_the_server_ends_is_sent_by_the_next_one_once() {
    let sink = MailSink::start().await;
    let app = start(&sink).await;
    let shop = app.shop("Shop").await;
    switch_on(&shop, &["paid"]).await;
    sink.mood(Mood::Answers(".", "452 4.3.1 full"));
    let order = shop.accepted(&message("1", "COMPLETE", "20260301120009")).await;
    until("a try", || async { (sink.count("DATA") > 0).then_some(()) }).await;
    until("its result", || async {
        let story = shop.services.story(&shop.merchant, order, StoryTurn::default(), true).await.unwrap();
        let is_noted = |what: &Happening| matches!(what, Happening::Mailed { cause: Some(MailCause::Later), .. });
        story.entries.iter().any(|entry| is_noted(&entry.what)).then_some(())
    })
    .await;
    assert_eq!(told(&shop, order).await, [(MailState::Waiting, "ana@shop.example".to_owned())]);
    let (clock, _hand) = Clock::manual(Timestamp(app.services.clock.now().micros() + 3_600_000_000));
    sink.mood(Mood::Takes);
    let app = app.restart_as(Setup { mail: Some(server(&sink)), clock, ..Setup::default() }).await;
    let mails = sink.wait_for(1).await;
    a_while().await;
    assert_eq!((mails.len(), sink.taken().len()), (1, 1));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_in_where_others_can_listen() {
    let sink = MailSink::start().await;
    // The sink offers no STARTTLS.
    let url = format!("{}?tls=required", sink.url());
    let mail = MailServer { url: url.parse().unwrap(), from: "a@b.example".parse().unwrap() };
    let app = TestApp::start_as(Setup { mail: Some(mail), ..Setup::default() }).await;
    let shop = app.shop("Shop").await;
    let error = shop.services.send_test_mail(&current(&shop), "paid", "ana@shop.example", "test").await.unwrap_err().to_string();
    assert_eq!((sink.count("AUTH"), sink.count("MAIL")), (0, 0), "{error}");
    assert!(sink.count("EHLO") > 0, "it was reached: {error}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_saves_and_tests() {
    let sink = MailSink::start().await;
    let app = start(&sink).await;
    let shop = app.shop("Shop").await;
    app.user("ana@example.com", Role::Merchant, &[&shop]).await;
    let mut browser = Browser::signed_in(app.address, "ana@example.com").await;
    let page = browser.get("/m/shop/settings/mail?status=paid").await.text();
    assert!(page.contains("installation@quittance.example") && page.contains("No mail was given up"), "{page}");

    let fields = |subject: &'static str, text: &'static str| {
        [("merchant", "shop"), ("status", "refunded"), ("enabled", "true"), ("subject", subject), ("text", text)]
    };
    let draft = browser.form("/m/shop/settings/mail", &fields("Back: {order}", "<script>{name}</script> {ordr}")).await.text();
    assert!(draft.contains("Not saved yet") && draft.contains("Back: 211153389") && draft.contains("{ordr}"), "{draft}");
    assert!(!draft.contains("<script>Ana"), "{draft}");
    assert!(current(&shop).mail.is_none(), "a preview changes nothing");

    let wrong = browser.form("/rpc/settings/mail/template", &fields("Back: {order}", "Hello {ordr}")).await;
    assert_eq!(wrong.status, 302);
    let page = browser.get("/m/shop/settings/mail?status=refunded").await.text();
    assert!(page.contains("{ordr} stands for nothing") && page.contains("Hello {ordr}"), "{page}");
    // Longer than a cookie, and written in letters that do not pack well.
    let mut seed = 1_u32;
    let letters = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_u32(0x1ea0 + (seed >> 16) % 88).unwrap_or('ạ')
    });
    let long: String = letters.take(4_800).collect();
    let long = long.as_str();
    let whole = [
        ("merchant", "shop"),
        ("status", "refunded"),
        ("subject", "Back"),
        ("text", &format!("{long} {{ordr}}")),
        ("version", "0"),
    ];
    browser.form("/rpc/settings/mail/template", &whole).await;
    assert!(browser.cookies["quittance-flash"].len() < 100, "it is kept, and the cookie says where");
    assert!(!app.dump().await.contains(long), "it is sealed there");
    let mut stranger = browser.clone();
    stranger.cookies.retain(|name, _| name == "quittance-flash");
    let page = browser.get("/m/shop/settings/mail?status=refunded").await.text();
    assert!(page.contains(long) && !page.contains("Not all that you entered"), "{page}");
    let page = browser.get("/m/shop/settings/mail?status=refunded").await.text();
    assert!(!page.contains(long), "it is shown once");
    stranger.form("/rpc/sign-in", &[("email", "nobody@example.com"), ("password", "wrong")]).await;
    browser.form("/rpc/settings/mail/template", &fields("Back: {order}", "Hello {name}")).await;
    let saved = current(&shop).mail.clone().unwrap().template(OrderStatus::Refunded);
    assert!(saved.since.is_some());
    browser.form("/rpc/settings/mail/test", &[("merchant", "shop"), ("status", "refunded")]).await;
    let mail = &sink.wait_for(1).await[0];
    assert_eq!((mail.to[0].as_str(), mail.header("subject").as_str()), ("ana@example.com", "[TEST] Back: 211153389"));
    assert!(mail.text.contains("Hello Ana Smith"));
    sink.mood(Mood::Answers("RCPT", "550 no"));
    browser.form("/rpc/settings/mail/test", &[("merchant", "shop"), ("status", "refunded")]).await;
    let page = browser.get("/m/shop/settings/mail?status=refunded").await.text();
    assert!(page.contains("refuses the mail") && page.contains("550"), "{page}");
    for (sender, name) in [("nobody", "x"), ("a@b.example\r\nBcc: c@d.example", "x"), ("", "x\r\nBcc: c@d.example")] {
        let form = SenderForm { sender_name: name.to_owned(), sender: sender.to_owned(), tests: false };
        assert!(shop.services.save_mail_sender(&current(&shop), &form, "test").await.is_err(), "{sender:?} {name:?}");
    }
    app.stop().await;
}
