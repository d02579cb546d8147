//! Settings and people: what is set is there, for every process, and secrets are sealed.

use super::shop;
use crate::support::stores::{START, TestStore, on_every_engine, url_draft};
use quittance::{
    domain::{Cause, Format, RetrySchedule, Role, Terms, id::MerchantId},
    server::store::{NewMerchant, NewUser, OpenAs, Secret, SessionRecord, StoreError},
};
use std::{collections::BTreeMap, time::Duration};

on_every_engine! {
    settings_of_another_process_arrive,
    people_and_sessions,
    names_are_taken_once,
    secrets_are_sealed_and_need_their_key,
    the_terms_of_a_url_are_kept,
    a_url_is_held_by_the_server_once_and_released_by_a_person,
}

async fn settings_of_another_process_arrive(test: TestStore) {
    let other = test.second(OpenAs::Tool { create: false }).await.unwrap();
    let mut directory = test.store.directory();
    let new = NewMerchant { name: "From the command line".to_owned(), secret_key: Secret::new("k") };
    let merchant = other.add_merchant(new, "cli".to_owned()).await.unwrap();
    let seen = directory.wait_for(|directory| directory.merchant(merchant).is_some());
    let seen = tokio::time::timeout(Duration::from_secs(5), seen).await.expect("within a moment").unwrap();
    assert_eq!(seen.merchant_named("from-the-command-line").unwrap().secret_key.reveal(), b"k");
    assert_eq!(seen.merchant_named("from THE command line").unwrap().id, merchant);
    drop(seen);
    other.close().await;
}

async fn people_and_sessions(test: TestStore) {
    let merchant = test.merchant("Shop").await;
    assert!(!test.store.has_admin().await.unwrap());
    let user = |email: &str, role, merchants: &[MerchantId]| NewUser {
        email: email.to_owned(),
        password_hash: "hash".to_owned(),
        role,
        merchants: merchants.to_vec(),
    };
    let admin = test.store.add_user(user("a@example.com", Role::Admin, &[]), true, "setup".to_owned()).await.unwrap();
    let second = test.store.add_user(user("b@example.com", Role::Admin, &[]), true, "setup".to_owned()).await;
    assert!(matches!(second, Err(StoreError::Taken(_))), "the first run is over");
    let member = test.store.add_user(user("m@example.com", Role::Merchant, &[merchant]), false, "cli".to_owned()).await.unwrap();
    let twice = test.store.add_user(user("m@example.com", Role::Support, &[]), false, "cli".to_owned()).await;
    assert!(matches!(twice, Err(StoreError::Taken(_))));
    let found = test.store.user_by_email("m@example.com").await.unwrap().unwrap();
    assert_eq!((found.id, found.role, found.merchants), (member, Role::Merchant, vec![merchant]));

    let hour = Duration::from_secs(3_600);
    let session = SessionRecord {
        token_hash: [7; 32],
        user_id: admin,
        created_at: START,
        expires_at: START.plus(hour),
        address: String::new(),
        agent: String::new(),
    };
    test.store.add_session(session.clone()).await.unwrap();
    assert_eq!(test.store.session_user(&[7; 32], START).await.unwrap().unwrap().0.id, admin);
    assert!(test.store.session_user(&[8; 32], START).await.unwrap().is_none());
    assert!(test.store.session_user(&[7; 32], START.plus(hour)).await.unwrap().is_none(), "it has ended");
    test.store.touch_session([7; 32], START.plus(hour / 2), START.plus(hour * 2)).await.unwrap();
    assert!(test.store.session_user(&[7; 32], START.plus(hour)).await.unwrap().is_some());
    let second = SessionRecord { token_hash: [9; 32], user_id: member, ..session };
    test.store.add_session(second).await.unwrap();
    let users = async |hashes: &[[u8; 32]], at| {
        let found = test.store.session_users(hashes, at).await.unwrap();
        found.into_iter().map(|(hash, user)| (hash, user.id)).collect::<BTreeMap<_, _>>()
    };
    let both = [([7; 32], admin), ([9; 32], member)];
    assert_eq!(users(&[[7; 32], [8; 32], [9; 32]], START).await, both.into());
    assert_eq!(users(&[[7; 32], [9; 32]], START.plus(hour)).await, [([7; 32], admin)].into(), "the other has ended");
    assert_eq!(users(&[], START).await, [].into());
    test.store.set_password(admin, "new".to_owned(), "a@example.com".to_owned()).await.unwrap();
    assert!(test.store.session_user(&[7; 32], START).await.unwrap().is_none(), "a new password ends sessions");
    test.store.set_setup_token([1; 32]).await.unwrap();
    test.store.set_setup_token([2; 32]).await.unwrap();
    assert_eq!(test.store.setup_token().await.unwrap(), Some([2; 32]));
}

async fn names_are_taken_once(test: TestStore) {
    let shop = NewMerchant { name: "Shop".to_owned(), secret_key: Secret::new("k") };
    test.store.add_merchant(shop, "test".to_owned()).await.unwrap();
    let upper = NewMerchant { name: "SHOP".to_owned(), secret_key: Secret::new("k") };
    assert!(matches!(test.store.add_merchant(upper, "test".to_owned()).await, Err(StoreError::Taken(_))));
    let similar = NewMerchant { name: "shop!".to_owned(), secret_key: Secret::new("k") };
    test.store.add_merchant(similar, "test".to_owned()).await.unwrap();
    let settings = test.store.settings();
    assert_eq!(settings.merchant_named("shop-2").unwrap().name, "shop!");
}

async fn secrets_are_sealed_and_need_their_key(mut test: TestStore) {
    let merchant = test.merchant("Shop").await;
    test.store.set_secret_key(merchant, Secret::new("a-very-secret-key"), START, "test".to_owned()).await.unwrap();
    assert_eq!(test.store.settings().merchant(merchant).unwrap().secret_key.reveal(), b"a-very-secret-key");
    test.store.close().await;
    let folder = test.folder.path().to_owned();
    for file in std::fs::read_dir(&folder).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(17).any(|window| window == b"a-very-secret-key"), "{}", path.display());
    }
    std::fs::rename(folder.join("quittance.key"), folder.join("away")).unwrap();
    assert!(matches!(test.reopen(OpenAs::Server).await, Err(StoreError::KeyMissing(_))));
    std::fs::write(folder.join("quittance.key"), "0".repeat(64)).unwrap();
    assert!(matches!(test.reopen(OpenAs::Server).await, Err(StoreError::KeyWrong(_))));
    std::fs::rename(folder.join("away"), folder.join("quittance.key")).unwrap();
    test.reopen(OpenAs::Server).await.unwrap();
    assert_eq!(test.store.settings().merchant(merchant).unwrap().secret_key.reveal(), b"a-very-secret-key");
}

async fn the_terms_of_a_url_are_kept(test: TestStore) {
    let shop = shop(&test).await;
    let terms = |test: &TestStore| test.store.settings().url(shop.url).unwrap().terms.clone();
    assert_eq!(terms(&test), Terms::default());
    let own = Terms {
        max_in_flight: 256,
        rate_per_second: Some(1_000),
        retries: RetrySchedule::Own([60, 90].into()),
        shadow: true,
        authority: "-----BEGIN CERTIFICATE-----".to_owned(),
        timeout: Some(7),
        triggers: Some("COMPLETE,REFUND".parse().unwrap()),
        format: Format::PassThrough,
    };
    let mut draft = url_draft(shop.merchant, "https://shop.example.com/ipn");
    draft.terms = own.clone();
    test.store.update_url(shop.url, draft.clone(), "test".to_owned()).await.unwrap();
    assert_eq!(terms(&test), own);
    let added = test.store.add_url(draft, "test".to_owned()).await.unwrap();
    assert_eq!(test.store.settings().url(added).unwrap().terms, own);
}

async fn a_url_is_held_by_the_server_once_and_released_by_a_person(test: TestStore) {
    let shop = shop(&test).await;
    let address = test.store.settings().url(shop.url).unwrap().url.clone();
    let hold = async |address: &str| {
        test.store.hold_for(shop.url, address.to_owned(), Cause::Gone, "quittance".to_owned()).await.unwrap()
    };
    assert!(!hold("https://before.example.com/").await, "somebody has corrected the URL meanwhile");
    assert!(hold(&address).await && !hold(&address).await);
    let held = test.store.settings().url(shop.url).unwrap().clone();
    assert_eq!((held.held, held.held_at, held.held_cause), (true, Some(START), Some(Cause::Gone)));
    // Whoever changes something else leaves it on hold, for the same reason.
    test.hand.advance(Duration::from_secs(60));
    let mut draft = url_draft(shop.merchant, &address);
    draft.held = true;
    test.store.update_url(shop.url, draft.clone(), "test".to_owned()).await.unwrap();
    let held = test.store.settings().url(shop.url).unwrap().clone();
    assert_eq!((held.held, held.held_at, held.held_cause), (true, Some(START), Some(Cause::Gone)));
    draft.held = false;
    test.store.update_url(shop.url, draft.clone(), "test".to_owned()).await.unwrap();
    let free = test.store.settings().url(shop.url).unwrap().clone();
    assert_eq!((free.held, free.held_at, free.held_cause), (false, None, None));
    draft.held = true;
    test.store.update_url(shop.url, draft, "test".to_owned()).await.unwrap();
    let held = test.store.settings().url(shop.url).unwrap().clone();
    assert_eq!((held.held_at, held.held_cause), (Some(START.plus(Duration::from_secs(60))), None), "a person did it");
}
