//! Sessions: how somebody gets one and loses it, and what guessing leads to.

use crate::support::{
    app::{PASSWORD, Setup, TestApp},
    browser::Browser,
};
use quittance::domain::Role;
use std::time::Duration;

#[tokio::test]
async fn the_sessions_cookie_is_kept_from_scripts_and_other_sites() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::new(app.address);
    let reply = browser.sign_in("Admin@Example.com ", PASSWORD).await;
    assert_eq!((reply.status, reply.header("location")), (302, "/"));
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("quittance=") && cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"), "{cookie}");
    assert!(!app.dump().await.contains(&browser.cookies["quittance"]), "only its hash is stored");
}

#[tokio::test]
async fn over_https_the_cookie_belongs_to_this_very_host() {
    let app = TestApp::start_as(Setup { public_url: Some("https://ipn.example.com"), ..Setup::default() }).await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::new(app.address);
    browser.headers.push(("origin", "https://ipn.example.com".to_owned()));
    let reply = browser.sign_in("admin@example.com", PASSWORD).await;
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("__Host-quittance=") && cookie.contains("; Secure") && cookie.contains("Path=/"), "{cookie}");
    assert!(!cookie.to_lowercase().contains("domain="));
    assert_eq!(browser.get("/account").await.status, 200);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_only_the_cookie() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::signed_in(app.address, "admin@example.com").await;
    let mut stolen = browser.clone();
    assert_eq!(stolen.get("/account").await.status, 200);
    let reply = browser.form("/rpc/sign-out", &[]).await;
    assert_eq!((reply.status, reply.header("location")), (302, "/sign-in"));
    assert!(!browser.cookies.contains_key("quittance"));
    assert_eq!(stolen.get("/account").await.header("location"), "/sign-in?next=%2Faccount");
    // A form that comes then says so, and leads back to its page.
    let form = [("current", PASSWORD), ("password", "another long password")];
    let reply = stolen.form("/rpc/password", &form).await;
    assert_eq!(reply.header("location"), "/sign-in?next=%2Faccount", "{reply:?}");
    let page = stolen.get(reply.header("location")).await.text();
    assert!(page.contains("You were signed out meanwhile") && page.contains("name=\"next\" value=\"/account\""), "{page}");
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours_without_a_request() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut browser = Browser::signed_in(app.address, "admin@example.com").await;
    for _ in 0..3 {
        hand.advance(Duration::from_secs(11 * 3_600));
        assert_eq!(browser.get("/account").await.status, 200, "each request prolongs it");
    }
    hand.advance(Duration::from_secs(12 * 3_600));
    assert_eq!(browser.get("/account").await.status, 303);
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut other = Browser::signed_in(app.address, "admin@example.com").await;
    let mut browser = Browser::signed_in(app.address, "admin@example.com").await;
    let wrong = [("current", "not the password"), ("password", "another long password")];
    browser.form("/rpc/password", &wrong).await;
    assert_eq!(other.get("/account").await.status, 200, "nothing was changed");
    browser.form("/rpc/password", &[("current", PASSWORD), ("password", "another long password")]).await;
    assert_eq!(browser.get("/account").await.status, 200);
    assert_eq!(other.get("/account").await.status, 303);
    let mut fresh = Browser::new(app.address);
    fresh.sign_in("admin@example.com", PASSWORD).await;
    assert!(!fresh.cookies.contains_key("quittance"));
    fresh.sign_in("admin@example.com", "another long password").await;
    assert!(fresh.cookies.contains_key("quittance"));
}

/// Signs in as a script does; gives the answer's text.
async fn guess(browser: &Browser, email: &str, password: &str) -> String {
    browser.clone().call("POST", "/rpc/sign-in", &[("email", email), ("password", password)]).await.text()
}

#[tokio::test]
async fn after_some_wrong_passwords_one_has_to_wait() {
    let (app, hand) = TestApp::start_on_manual_clock().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let browser = Browser::new(app.address);
    for _ in 0..8 {
        let answer = guess(&browser, "admin@example.com", "wrong wrong wrong").await;
        assert!(answer.contains("password is wrong"), "{answer}");
    }
    let answer = guess(&browser, "admin@example.com", PASSWORD).await;
    assert!(answer.contains("Too many") && answer.contains("15 minutes"), "even the right one: {answer}");
    hand.advance(Duration::from_secs(15 * 60));
    let answer = guess(&browser, "admin@example.com", PASSWORD).await;
    assert_eq!(answer, "null");
}

#[tokio::test]
async fn guesses_made_all_at_once_are_no_more() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let browser = Browser::new(app.address);
    let passwords: Vec<_> = (0..30).map(|number| format!("wrong password {number}")).collect();
    let guesses = passwords.iter().map(|password| guess(&browser, "admin@example.com", password));
    let answers = futures::future::join_all(guesses).await;
    let checked = answers.iter().filter(|answer| answer.contains("password is wrong")).count();
    assert_eq!(checked, 8, "{answers:?}");
}

#[tokio::test]
async fn an_unknown_user_is_answered_like_a_wrong_password() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let browser = Browser::new(app.address);
    let wrong = guess(&browser, "admin@example.com", "wrong wrong wrong").await;
    assert_eq!(guess(&browser, "nobody@example.com", "wrong wrong wrong").await, wrong);
}

#[tokio::test]
async fn the_first_run_link_works_once() {
    let app = TestApp::start().await;
    let old = app.first_run_link().await.unwrap().unwrap();
    let link = app.first_run_link().await.unwrap().unwrap();
    let token = |link: &str| link.split_once("/setup?token=").unwrap().1.to_owned();
    assert!(link.starts_with(&format!("http://{}/setup?token=", app.address)), "{link}");
    let mut browser = Browser::new(app.address);
    assert_eq!(browser.get(&format!("/setup?token={}", token(&link))).await.status, 200);
    let form = |token: String| [("token", token), ("email", "me@example.com".to_owned()), ("password", PASSWORD.to_owned())];
    for wrong in [token(&old), String::new(), "0".repeat(64)] {
        let fields = form(wrong);
        browser.form("/rpc/set-up", &fields.each_ref().map(|(name, value)| (*name, value.as_str()))).await;
        assert!(!browser.cookies.contains_key("quittance"));
    }
    let fields = form(token(&link));
    let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
    let reply = browser.form("/rpc/set-up", &fields).await;
    assert_eq!(reply.header("location"), "/merchants", "{reply:?}");
    assert_eq!(browser.get("/merchants").await.status, 200, "signed in");
    let mut second = Browser::new(app.address);
    second.form("/rpc/set-up", &[("token", &token(&link)), ("email", "you@example.com"), ("password", PASSWORD)]).await;
    assert!(!second.cookies.contains_key("quittance"));
    assert!(app.first_run_link().await.unwrap().is_none());
}

#[tokio::test]
async fn two_who_open_the_first_run_link_at_once_do_not_both_become_administrators() {
    let app = TestApp::start().await;
    let link = app.first_run_link().await.unwrap().unwrap();
    let (token, address) = (link.split_once("token=").unwrap().1, app.address);
    let emails: Vec<_> = (0..4).map(|number| format!("user{number}@example.com")).collect();
    let sets = emails.iter().map(|email| async move {
        let mut browser = Browser::new(address);
        browser.form("/rpc/set-up", &[("token", token), ("email", email), ("password", PASSWORD)]).await;
        browser.cookies.contains_key("quittance")
    });
    let made = futures::future::join_all(sets).await;
    assert_eq!(made.iter().filter(|made| **made).count(), 1);
}

#[tokio::test]
async fn after_signing_in_nobody_is_sent_to_another_site() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    for (next, expected) in [
        ("/m/shop/orders?text=a", "/m/shop/orders?text=a"),
        ("https://evil.example/", "/"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("/\tevil", "/"),
        ("javascript:alert(1)", "/"),
    ] {
        let fields = [("email", "admin@example.com"), ("password", PASSWORD), ("next", next)];
        let reply = Browser::new(app.address).form("/rpc/sign-in", &fields).await;
        assert_eq!(reply.header("location"), expected, "{next}");
    }
}
