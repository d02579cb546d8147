//! Users, links, the audit log, versions and the keys of forms: the same tests on every engine.

use crate::support::stores::{START, TestStore, on_every_engine, url_draft};
use quittance::{
    domain::{
        Role, Timestamp,
        id::{MerchantId, UserId},
        pages::{audit::AuditFilter, people::UserFilter},
    },
    server::store::{Actor, FormClaim, Link, NewUser, Note, OpenAs, SessionRecord, StoreError, UrlDraft},
};
use std::time::Duration;

on_every_engine! {
    a_link_works_once_and_until_it_expires,
    a_withdrawn_invitation_leaves_nothing,
    somebody_can_always_administer,
    two_administrators_cannot_both_take_the_others_rights,
    users_are_listed_in_pages_and_by_what_one_may_manage,
    disabled_users_have_no_sessions,
    the_log_tells_who_what_when_and_from_where,
    the_log_cannot_be_changed,
    a_newer_version_is_not_overwritten,
    a_hold_overwrites_nothing,
    what_acts_at_once_acts_on_what_was_seen,
    a_form_is_claimed_once_and_answered_again,
}

const DAY: Duration = Duration::from_secs(86_400);

fn user(email: &str, role: Role, merchants: &[MerchantId]) -> NewUser {
    NewUser { email: email.to_owned(), password_hash: "hash".to_owned(), role, merchants: merchants.to_vec() }
}

fn link(byte: u8) -> Link {
    Link { token_hash: [byte; 32], expires_at: START.plus(DAY * 7) }
}

async fn admin(test: &TestStore, email: &str) -> UserId {
    test.store.add_user(user(email, Role::Admin, &[]), false, "test").await.unwrap()
}

async fn session(test: &TestStore, user_id: UserId, byte: u8) {
    let session = SessionRecord {
        token_hash: [byte; 32],
        user_id,
        created_at: START,
        expires_at: START.plus(DAY),
        address: "203.0.113.7".to_owned(),
        agent: "Firefox".to_owned(),
    };
    test.store.add_session(session).await.unwrap();
}

async fn log(test: &TestStore, filter: &AuditFilter) -> Vec<String> {
    let (rows, _) = test.store.audit_log(None, filter).await.unwrap();
    rows.into_iter().map(|row| row.action).collect()
}

async fn a_link_works_once_and_until_it_expires(test: TestStore) {
    let invited = NewUser { password_hash: String::new(), ..user("i@example.com", Role::Admin, &[]) };
    let id = test.store.invite_user(invited, link(1), Actor::at("a@example.com", "203.0.113.7")).await.unwrap();
    assert!(!test.store.has_admin().await.unwrap(), "nobody administers by an invitation");
    let found = test.store.user_by_link(&[1; 32], START).await.unwrap().unwrap();
    assert!(found.id == id && found.is_invited());
    assert!(test.store.user_by_link(&[2; 32], START).await.unwrap().is_none());
    test.hand.advance(DAY * 7);
    assert!(test.store.user_by_link(&[1; 32], test.clock.now()).await.unwrap().is_none());
    assert_eq!(test.store.use_link([1; 32], "late".to_owned(), String::new()).await.unwrap(), None);
    let fresh = Link { token_hash: [3; 32], expires_at: test.clock.now().plus(DAY) };
    test.store.set_link(id, fresh, "a@example.com").await.unwrap();
    session(&test, id, 7).await;
    let both = futures::future::join(
        test.store.use_link([3; 32], "one".to_owned(), "203.0.113.8".to_owned()),
        test.store.use_link([3; 32], "two".to_owned(), "203.0.113.9".to_owned()),
    );
    let (one, two) = Box::pin(both).await;
    assert_eq!([one.unwrap(), two.unwrap()].iter().flatten().count(), 1, "of two at once one");
    assert!(test.store.session_user(&[7; 32], START).await.unwrap().is_none());
    assert!(test.store.has_admin().await.unwrap());
    assert!(test.store.user(id).await.unwrap().unwrap().link_until.is_none());
    assert_eq!(log(&test, &AuditFilter::default()).await, ["user.join", "user.invite", "user.invite"]);
}

async fn a_withdrawn_invitation_leaves_nothing(test: TestStore) {
    let shop = test.merchant("Shop").await;
    let invited = NewUser { password_hash: String::new(), ..user("i@example.com", Role::Merchant, &[shop]) };
    let id = test.store.invite_user(invited.clone(), link(1), "a@example.com").await.unwrap();
    let twice = test.store.invite_user(invited.clone(), link(2), "a@example.com").await;
    assert!(matches!(twice, Err(StoreError::Taken(_))));
    assert!(test.store.withdraw_link(id, "a@example.com").await.unwrap(), "he goes with it");
    assert!(test.store.user(id).await.unwrap().is_none());
    assert!(test.store.user_by_link(&[1; 32], START).await.unwrap().is_none());
    test.store.invite_user(invited, link(2), "a@example.com").await.unwrap();
    let member = test.store.add_user(user("m@example.com", Role::Merchant, &[shop]), false, "test").await.unwrap();
    test.store.set_link(member, link(4), "a@example.com").await.unwrap();
    assert!(!test.store.withdraw_link(member, "a@example.com").await.unwrap(), "who has a password stays");
    assert!(test.store.user_by_link(&[4; 32], START).await.unwrap().is_none());
    assert!(test.store.user(member).await.unwrap().is_some());
}

async fn somebody_can_always_administer(test: TestStore) {
    let (one, two) = (admin(&test, "a@example.com").await, admin(&test, "b@example.com").await);
    let invited = NewUser { password_hash: String::new(), ..user("i@example.com", Role::Admin, &[]) };
    test.store.invite_user(invited, link(1), "test").await.unwrap();
    test.store.set_disabled(one, true, "test").await.unwrap();
    assert!(matches!(test.store.set_disabled(two, true, "test").await, Err(StoreError::LastAdmin)));
    assert!(matches!(test.store.change_user(two, Role::Support, vec![], "test").await, Err(StoreError::LastAdmin)));
    test.store.set_disabled(one, false, "test").await.unwrap();
    test.store.change_user(two, Role::Support, vec![], "test").await.unwrap();
    assert_eq!(test.store.user(two).await.unwrap().unwrap().role, Role::Support);
}

async fn two_administrators_cannot_both_take_the_others_rights(test: TestStore) {
    let (one, two) = (admin(&test, "a@example.com").await, admin(&test, "b@example.com").await);
    let (first, second) = Box::pin(futures::future::join(
        test.store.set_disabled(one, true, "b"),
        test.store.change_user(two, Role::Support, vec![], "a"),
    ))
    .await;
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    assert!(test.store.has_admin().await.unwrap());
}

async fn users_are_listed_in_pages_and_by_what_one_may_manage(test: TestStore) {
    let (shop, other) = (test.merchant("Shop").await, test.merchant("Other").await);
    for number in 0..60 {
        test.store.add_user(user(&format!("u{number:02}@example.com"), Role::Merchant, &[shop]), false, "test").await.unwrap();
    }
    let admin = admin(&test, "a@example.com").await;
    test.store.add_user(user("x@example.com", Role::Merchant, &[shop, other]), false, "test").await.unwrap();
    test.store.add_user(user("y@example.com", Role::Support, &[]), false, "test").await.unwrap();
    test.store.add_user(user("z@example.org", Role::Support, &[other]), false, "test").await.unwrap();
    session(&test, admin, 1).await;
    let emails = |found: &[(quittance::server::store::UserRecord, Option<Timestamp>)]| {
        found.iter().map(|(user, _)| user.email.clone()).collect::<Vec<_>>()
    };
    let (first, more) = test.store.users(None, &UserFilter::default()).await.unwrap();
    assert!(more && first.len() == 50 && first[0].0.email == "a@example.com" && first[0].1 == Some(START));
    let after = UserFilter { after: Some(first[49].0.email.clone()), ..UserFilter::default() };
    let (rest, more) = test.store.users(None, &after).await.unwrap();
    assert_eq!((rest.len(), more), (14, false));
    let text = UserFilter { text: " EXAMPLE.org".to_owned(), after: None };
    assert_eq!(emails(&test.store.users(None, &text).await.unwrap().0), ["z@example.org"]);
    let own = test.store.users(Some(&[other]), &UserFilter::default()).await.unwrap().0;
    assert_eq!(emails(&own), ["z@example.org"], "nobody who belongs elsewhere too, to all, or administers");
    let both = test.store.users(Some(&[other, shop]), &UserFilter { text: "x@".to_owned(), after: None }).await.unwrap().0;
    assert_eq!(emails(&both), ["x@example.com"]);
    assert!(test.store.users(Some(&[]), &UserFilter::default()).await.unwrap().0.is_empty());
}

async fn disabled_users_have_no_sessions(test: TestStore) {
    admin(&test, "a@example.com").await;
    let id = admin(&test, "b@example.com").await;
    for byte in 1..=3 {
        session(&test, id, byte).await;
    }
    let sessions = test.store.sessions_of(id, START).await.unwrap();
    assert_eq!((sessions.len(), sessions[0].address.as_str(), sessions[0].agent.as_str()), (3, "203.0.113.7", "Firefox"));
    assert_eq!(test.store.end_other_sessions(id, [1; 32], "b@example.com").await.unwrap(), 2);
    assert!(test.store.session_user(&[1; 32], START).await.unwrap().is_some());
    test.store.set_link(id, link(9), "a@example.com").await.unwrap();
    test.store.set_disabled(id, true, "a@example.com").await.unwrap();
    assert!(test.store.session_user(&[1; 32], START).await.unwrap().is_none());
    assert!(test.store.user_by_link(&[9; 32], START).await.unwrap().is_none());
    assert!(matches!(test.store.set_link(id, link(9), "a@example.com").await, Err(StoreError::NotFound(_))));
    session(&test, id, 4).await;
    assert!(test.store.session_user(&[4; 32], START).await.unwrap().is_none(), "nor a session that began meanwhile");
    let acts = ["user.disable", "user.link", "sign-out.others", "user.add", "user.add"];
    assert_eq!(log(&test, &AuditFilter::default()).await, acts);
}

async fn the_log_tells_who_what_when_and_from_where(test: TestStore) {
    let shop = test.merchant("Shop").await;
    let ana = Actor::at("ana@example.com", "203.0.113.7");
    let note = |subject: &str| Note {
        merchant_id: Some(shop),
        action: "order.test",
        subject: subject.to_owned(),
        detail: "x\0y".to_owned(),
    };
    for number in 0..120 {
        test.hand.advance(DAY / 24);
        test.store.note(note(&number.to_string()), &ana).await.unwrap();
    }
    let url = test.store.add_url(url_draft(shop, "http://127.0.0.1:9/"), &ana).await.unwrap();
    let draft = UrlDraft { held: true, label: "New".to_owned(), ..url_draft(shop, "http://127.0.0.1:9/") };
    test.store.update_url(url, draft, &Actor::at("bo@example.com", "2001:db8::1")).await.unwrap();
    let (rows, more) = test.store.audit_log(Some(shop), &AuditFilter::default()).await.unwrap();
    assert!(more && rows.len() == 100);
    let newest = &rows[0];
    let who = (newest.actor.as_str(), newest.address.as_str(), newest.action.as_str(), newest.at);
    assert_eq!(who, ("bo@example.com", "2001:db8::1", "url.change", test.clock.now()));
    let fields: Vec<_> =
        newest.changes.iter().map(|change| (change.field.as_str(), change.old.as_str(), change.new.as_str())).collect();
    assert_eq!(fields, [("Name", "Shop", "New"), ("On hold", "off", "on")]);
    let after = AuditFilter { after: Some(rows[99].id), ..AuditFilter::default() };
    let (rest, more) = test.store.audit_log(Some(shop), &after).await.unwrap();
    assert_eq!((rest.len(), more), (23, false));
    assert!(rest[22].action == "merchant.add");
    let store = &test.store;
    let of = |filter: AuditFilter| async move { store.audit_log(Some(shop), &filter).await.unwrap().0.len() };
    let actor = |name: &str| AuditFilter { actor: Some(name.to_owned()), ..AuditFilter::default() };
    assert_eq!(of(actor("bo@example.com")).await, 1);
    assert_eq!(of(AuditFilter { action: Some("url.add".to_owned()), ..actor("ana@example.com") }).await, 1);
    assert_eq!(of(AuditFilter { action: Some("url.add".to_owned()), ..AuditFilter::default() }).await, 1);
    assert_eq!(of(AuditFilter { action: Some("url.add".to_owned()), ..actor("bo@example.com") }).await, 0);
    let from = START.plus(DAY * 4);
    assert_eq!(of(AuditFilter { from: Some(from), until: Some(from.plus(DAY / 2)), ..actor("ana@example.com") }).await, 12);
    let other = test.merchant("Other").await;
    assert_eq!(test.store.audit_log(Some(other), &actor("ana@example.com")).await.unwrap().0.len(), 0);
}

async fn the_log_cannot_be_changed(test: TestStore) {
    test.merchant("Shop").await;
    let before = log(&test, &AuditFilter::default()).await;
    for statement in ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit", "DELETE FROM audit WHERE id > 0"] {
        let refused = test.try_sql(statement).await.unwrap_err();
        assert!(refused.contains("append-only"), "{statement}: {refused}");
    }
    if matches!(test.address, quittance::server::store::Address::Postgres(_)) {
        assert!(test.try_sql("TRUNCATE audit").await.unwrap_err().contains("append-only"));
    }
    assert_eq!(log(&test, &AuditFilter::default()).await, before);
}

async fn a_newer_version_is_not_overwritten(test: TestStore) {
    let shop = test.merchant("Shop").await;
    let listener = test.listener(shop).await;
    let url = test.url(shop, "http://127.0.0.1:9/").await;
    let seen = |name: &str, version| Actor::from(name).having_seen(Some(version));
    let draft = |label: &str| UrlDraft { label: label.to_owned(), ..url_draft(shop, "http://127.0.0.1:9/") };
    test.store.update_url(url, draft("Ana's"), seen("ana", 1)).await.unwrap();
    let late = test.store.update_url(url, draft("Bo's"), seen("bo", 1)).await;
    assert!(matches!(late, Err(StoreError::Changed(2))), "{late:?}");
    assert_eq!(test.store.settings().url(url).unwrap().label, "Ana's");
    let changes = test.store.changes_of(url.get(), 1).await.unwrap();
    assert_eq!((changes.len(), changes[0].actor.as_str(), changes[0].changes[0].new.as_str()), (1, "ana", "Ana's"));
    test.store.update_url(url, draft("Bo's"), seen("bo", 2)).await.unwrap();
    // At another process, which may have read the settings before.
    let second = test.second(OpenAs::Tool { create: false }).await.unwrap();
    let late = second.update_url(url, draft("Cy's"), seen("cy", 2)).await;
    assert!(matches!(late, Err(StoreError::Changed(3))), "{late:?}");
    second.close().await;
    let settings = test.store.settings();
    let known = settings.listeners_of(shop)[0].clone();
    let change = |label: &str| quittance::server::store::ListenerDraft {
        merchant_id: shop,
        gateway: known.gateway,
        label: label.to_owned(),
        secret: None,
        required: known.required,
        options: None,
        enabled: true,
    };
    test.store.update_listener(listener, change("One"), seen("ana", 1)).await.unwrap();
    assert!(matches!(test.store.update_listener(listener, change("Two"), seen("bo", 1)).await, Err(StoreError::Changed(2))));
    let key = |text: &str| quittance::server::store::Secret::new(text);
    test.store.set_secret_key(shop, key("first"), START, seen("ana", 1)).await.unwrap();
    assert!(matches!(test.store.set_secret_key(shop, key("second"), START, seen("bo", 1)).await, Err(StoreError::Changed(2))));
    assert_eq!(test.store.settings().merchant(shop).unwrap().secret_key.reveal(), b"first");
    let changes = test.store.changes_of(shop.get(), 1).await.unwrap();
    assert!(!format!("{changes:?}").contains("first"), "never a secret");
    let user = admin(&test, "a@example.com").await;
    admin(&test, "b@example.com").await;
    test.store.change_user(user, Role::Support, vec![shop], seen("ana", 1)).await.unwrap();
    assert!(matches!(test.store.change_user(user, Role::Admin, vec![], seen("bo", 1)).await, Err(StoreError::Changed(2))));
    // Of another merchant nothing is told, not even that it has another version.
    let other = test.merchant("Other").await;
    let foreign = UrlDraft { merchant_id: other, ..draft("X") };
    assert!(matches!(test.store.update_url(url, foreign, seen("bo", 1)).await, Err(StoreError::NotFound(_))));
}

async fn a_hold_overwrites_nothing(test: TestStore) {
    let shop = test.merchant("Shop").await;
    let url = test.url(shop, "http://127.0.0.1:9/").await;
    test.store.hold_url(shop, url, true, "ana").await.unwrap();
    test.store.hold_url(shop, url, true, "bo").await.unwrap();
    let held = test.store.settings().url(url).unwrap().clone();
    assert!(held.held && held.held_at == Some(START) && held.version == 2, "{held:?}");
    test.store.hold_url(shop, url, false, "bo").await.unwrap();
    let released = test.store.settings().url(url).unwrap().clone();
    assert!(!released.held && released.held_at.is_none() && released.held_cause.is_none());
    let other = test.merchant("Other").await;
    assert!(matches!(test.store.hold_url(other, url, true, "bo").await, Err(StoreError::NotFound(_))));
    assert_eq!(log(&test, &AuditFilter::default()).await, ["merchant.add", "url.release", "url.hold", "url.add", "merchant.add"]);
}

async fn what_acts_at_once_acts_on_what_was_seen(test: TestStore) {
    let shop = test.merchant("Shop").await;
    let url = test.url(shop, "http://127.0.0.1:9/").await;
    let seen = |name: &str, version| Actor::from(name).having_seen(Some(version));
    test.store.update_url(url, url_draft(shop, "http://127.0.0.1:9/v2"), seen("ana", 1)).await.unwrap();
    let late = test.store.remove_url(shop, url, seen("bo", 1)).await;
    assert!(matches!(late, Err(StoreError::Changed(2))), "{late:?}");
    let late = test.store.hold_url(shop, url, true, seen("bo", 1)).await;
    assert!(matches!(late, Err(StoreError::Changed(2))), "{late:?}");
    assert!(!test.store.settings().url(url).unwrap().held);
    test.store.hold_url(shop, url, true, seen("bo", 2)).await.unwrap();
    test.store.hold_url(shop, url, true, seen("cy", 2)).await.expect("it is as he wants it");
    let late = test.store.hold_url(shop, url, false, seen("cy", 2)).await;
    assert!(matches!(late, Err(StoreError::Changed(3))), "a hold that he has not seen: {late:?}");
    let other = test.merchant("Other").await;
    assert!(matches!(test.store.remove_url(other, url, seen("bo", 1)).await, Err(StoreError::NotFound(_))));
    test.store.remove_url(shop, url, seen("bo", 3)).await.unwrap();
    assert!(matches!(test.store.remove_url(shop, url, seen("bo", 3)).await, Err(StoreError::NotFound(_))));

    let key = |text: &str| quittance::server::store::Secret::new(text);
    let until = START.plus(DAY);
    test.store.set_secret_key(shop, key("first"), until, seen("ana", 1)).await.unwrap();
    test.store.set_secret_key(shop, key("second"), until, seen("ana", 2)).await.unwrap();
    let late = test.store.end_old_key(shop, seen("bo", 2)).await;
    assert!(matches!(late, Err(StoreError::Changed(3))), "{late:?}");
    let old = test.store.settings().merchant(shop).unwrap().old_key.clone().unwrap();
    assert!(old.until == until && old.key.reveal() == b"first");
    assert!(test.store.end_old_key(shop, seen("bo", 3)).await.unwrap());
    assert!(!test.store.end_old_key(shop, seen("cy", 3)).await.unwrap(), "there is none that could end");

    let zone = |name: &str| quittance::domain::Zone::parse(name).unwrap();
    test.store.set_time_zone(shop, zone("Europe/Bucharest"), seen("ana", 4)).await.unwrap();
    let late = test.store.set_time_zone(shop, zone("America/New_York"), seen("bo", 4)).await;
    assert!(matches!(late, Err(StoreError::Changed(5))), "{late:?}");
    test.store.set_time_zone(shop, zone("Europe/Bucharest"), seen("bo", 4)).await.expect("it is as he wants it");
    assert_eq!(test.store.settings().merchant(shop).unwrap().version, 5);
}

async fn a_form_is_claimed_once_and_answered_again(test: TestStore) {
    let (ana, bo) = (UserId(1), UserId(2));
    let claim = |user, key: &str| test.store.claim_form(user, key.to_owned());
    assert_eq!(claim(ana, "k").await.unwrap(), FormClaim::Fresh);
    assert_eq!(claim(ana, "k").await.unwrap(), FormClaim::UnderWay);
    assert_eq!(claim(bo, "k").await.unwrap(), FormClaim::Fresh, "each has his own");
    test.store.answer_form(ana, "k".to_owned(), Some(b"done".to_vec())).await.unwrap();
    assert_eq!(claim(ana, "k").await.unwrap(), FormClaim::Answered(b"done".to_vec()));
    let kept = |user, key: &str| test.store.form_answer(user, key.to_owned());
    assert_eq!(kept(ana, "k").await.unwrap(), Some(b"done".to_vec()));
    assert_eq!((kept(bo, "k").await.unwrap(), kept(ana, "other").await.unwrap()), (None, None));
    test.store.answer_form(bo, "k".to_owned(), None).await.unwrap();
    assert_eq!(claim(bo, "k").await.unwrap(), FormClaim::Fresh, "what failed can be sent again");
    let many = (0..8).map(|_| claim(ana, "many"));
    let claims = futures::future::join_all(many).await;
    assert_eq!(claims.into_iter().filter(|claim| *claim.as_ref().unwrap() == FormClaim::Fresh).count(), 1);
    test.hand.advance(DAY + Duration::from_secs(1));
    assert_eq!(claim(ana, "k").await.unwrap(), FormClaim::Fresh, "after a day it is forgotten");
}
