//! Whose language it is: the user's, the cookie's, or the browser's.

use crate::support::{
    app::TestApp,
    browser::Browser,
    message::Message,
    stores::{TestStore, on_every_engine},
};
use quittance::{domain::Role, server::store::NewUser};

on_every_engine! {
    a_user_keeps_his_language,
}

fn language_of(page: &str) -> &str {
    page.split_once("<html lang=\"").unwrap().1.split('"').next().unwrap()
}

#[tokio::test]
async fn the_language_is_chosen_by_the_user_the_cookie_or_the_browser() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let mut guest = Browser::new(app.address);
    let reply = guest.get("/sign-in").await;
    assert_eq!(language_of(&reply.text()), "en");
    let vary =
        reply.headers.get_all("vary").iter().map(|value| value.to_str().unwrap().to_lowercase()).collect::<Vec<_>>().join(",");
    assert!(vary.contains("accept-language") && vary.contains("cookie"), "{vary}");

    guest.headers.push(("accept-language", "vi-VN,vi;q=0.9,en;q=0.5".to_owned()));
    let page = guest.get("/sign-in").await.text();
    assert_eq!(language_of(&page), "vi");
    assert!(page.contains("<h1>Đăng nhập</h1>") && page.contains("Mật khẩu") && !page.contains(">Sign in<"), "{page}");
    guest.headers[0].1 = "fr".to_owned();
    assert_eq!(language_of(&guest.get("/sign-in").await.text()), "en");

    // A form, and so without any script.
    let page = guest.get("/sign-in?next=%2Faccount").await.text();
    assert!(page.contains("action=\"/rpc/language\"") && page.contains("value=\"vi\"") && page.contains("Tiếng Việt"), "{page}");
    let reply = guest.form("/rpc/language", &[("locale", "vi"), ("next", "/sign-in?next=%2Faccount")]).await;
    assert_eq!((reply.status, reply.header("location")), (302, "/sign-in?next=%2Faccount"));
    assert!(reply.header("set-cookie").contains("HttpOnly") && reply.header("set-cookie").contains("SameSite=Lax"));
    assert_eq!(language_of(&guest.get("/sign-in").await.text()), "vi");
    assert_eq!(guest.form("/rpc/language", &[("locale", "vi"), ("next", "//evil.example/")]).await.header("location"), "/");

    // It stays after signing in, also in what a form says, and on what live pages read again.
    guest.sign_in("admin@example.com", "wrong wrong wrong").await;
    assert!(guest.get("/sign-in").await.text().contains("Địa chỉ e-mail hoặc mật khẩu không đúng."));
    guest.sign_in("admin@example.com", crate::support::app::PASSWORD).await;
    let page = guest.get("/account").await.text();
    assert!(language_of(&page) == "vi" && page.contains("Quản trị viên"), "{page}");

    // What somebody chooses for himself goes with him to another browser, before what that says.
    let reply = guest.form("/rpc/language", &[("locale", "vi"), ("next", "/account")]).await;
    assert_eq!(reply.header("location"), "/account");
    let mut elsewhere = Browser::new(app.address);
    elsewhere.headers.push(("accept-language", "en".to_owned()));
    elsewhere.sign_in("admin@example.com", crate::support::app::PASSWORD).await;
    assert_eq!(language_of(&elsewhere.get("/account").await.text()), "vi");
    elsewhere.form("/rpc/language", &[("locale", ""), ("next", "/account")]).await;
    assert_eq!(language_of(&elsewhere.get("/account").await.text()), "en", "the browser decides again");
    guest.cookies.insert("quittance-language".to_owned(), "xx<script>".to_owned());
    assert_eq!(language_of(&guest.get("/account").await.text()), "en", "nonsense is no choice");
}

#[tokio::test]
async fn numbers_are_written_as_the_language_writes_them() {
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    let shop = app.shop("Shop").await;
    let mut message = Message::small("1", "COMPLETE", "20260301120009");
    message.set("IPN_TOTALGENERAL", "1234.50").set("CURRENCY", "EUR");
    let order = shop.accepted(&message).await;
    let mut browser = Browser::signed_in(app.address, "admin@example.com").await;
    let address = format!("/m/shop/orders/{order}");
    assert!(browser.get(&address).await.text().contains("1,234.50 EUR"));
    browser.headers.push(("accept-language", "vi".to_owned()));
    let page = browser.get(&address).await.text();
    assert!(page.contains("1.234,50 EUR"), "{page}");
    assert!(page.contains(" UTC") && page.contains("datetime=\"20"), "times stay as they are");
}

async fn a_user_keeps_his_language(test: TestStore) {
    let new =
        NewUser { email: "a@example.com".to_owned(), password_hash: "hash".to_owned(), role: Role::Admin, merchants: Vec::new() };
    let id = test.store.add_user(new, false, "test").await.unwrap();
    let language = async || test.store.user(id).await.unwrap().unwrap().language;
    assert_eq!(language().await, None);
    test.store.set_language(id, Some("vi")).await.unwrap();
    assert_eq!(language().await.as_deref(), Some("vi"));
    assert_eq!(test.store.user_by_email("a@example.com").await.unwrap().unwrap().language.as_deref(), Some("vi"));
    test.store.set_language(id, None).await.unwrap();
    assert_eq!(language().await, None);
}
