//! What people read: the catalogue is whole, every page speaks through it, and the language is the one that somebody wants.

use crate::support::{
    app::{Shop, TestApp},
    browser::Browser,
    merchant::FakeMerchant,
    message::Message,
    stores::{TestStore, on_every_engine},
    until,
};
use quittance::{
    domain::{
        AppError, Cause, DeliveryState, Fault, Format, OrderStatus, RefusalReason, RetrySchedule, Role,
        audit::ACTIONS,
        content::{TAG_GROUPS, TRIGGERS},
        mail::{MailCause, PLACEHOLDERS},
        pages::{
            bulk::{BulkState, BulkTarget},
            deliveries::{DeliveryFilter, StateFilter},
            inbound::Outcome,
            orders::TEST_STATUSES,
            settings::{AlertKind, OVERLAPS},
            simulate::SAMPLES,
        },
        role::Permission,
    },
    server::store::NewUser,
    words::{Language, Piece, STORED, allow_marked, pieces},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::Duration,
};

on_every_engine! {
    a_user_keeps_his_language,
}

// The catalogue.

/// A key with its plural, where it has one.
type Keys = BTreeMap<String, Option<String>>;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            // Tests of a file stand at its end.
            let text = text.split("\n#[cfg(test)]").next().unwrap().split("\n#[cfg(all(test").next().unwrap();
            let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            found.push(lines.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A string literal that a text begins with, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut letters = text.strip_prefix('"')?.char_indices();
    let mut value = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 2..])),
            '\\' => match letters.next()?.1 {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                'u' => {
                    let code: String = letters.by_ref().map(|(_, letter)| letter).take_while(|letter| *letter != '}').collect();
                    value.push(char::from_u32(u32::from_str_radix(code.trim_start_matches('{'), 16).unwrap()).unwrap());
                }
                // The next line goes on where it begins.
                '\n' => {
                    let rest = letters.as_str();
                    let spaces = rest.len() - rest.trim_start().len();
                    letters.nth(spaces.checked_sub(1)?);
                }
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

/// What the source has told by `t!`, `tn!`, `rich!` and `n!`.
fn keys_of_the_source() -> Keys {
    let mut texts = Vec::new();
    sources(&root("src"), &mut texts);
    let mut keys = Keys::new();
    for text in &texts {
        for name in ["t!(", "tn!(", "rich!(", "n!("] {
            for (at, _) in text.match_indices(name) {
                let is_whole = !text[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
                let Some((key, rest)) = literal(text[at + name.len()..].trim_start()).filter(|_| is_whole) else { continue };
                let plural =
                    (name == "tn!(").then(|| literal(rest.trim_start().strip_prefix(',').unwrap().trim_start()).unwrap().0);
                let known = keys.entry(key).or_default();
                *known = known.take().or(plural);
            }
        }
    }
    keys
}

/// What stands in tables, and is told where it shows.
fn words_of_tables() -> Vec<&'static str> {
    let mut words = Vec::new();
    words.extend(Cause::ALL.iter().flat_map(|cause| [cause.label(), cause.sentence(), cause.cure()]));
    for format in Format::ALL {
        words.extend([format.label(), format.short()]);
        words.extend(Cause::ALL.iter().flat_map(|cause| [cause.sentence_for(format), cause.cure_for(format)]));
    }
    words.extend(RefusalReason::ALL.iter().flat_map(|reason| [reason.label(), reason.sentence(), reason.cure()]));
    words.extend(Role::ALL.iter().flat_map(|role| [role.label(), role.scope()]));
    words.extend(Permission::ALL.iter().map(|permission| permission.label()));
    words.extend(Role::ALL.iter().flat_map(|role| Permission::ALL.iter().filter_map(|permission| role.remark(*permission))));
    words.extend(DeliveryState::ALL.iter().map(|state| state.label()));
    words.extend(OrderStatus::ALL.iter().map(|status| status.label()));
    words.extend(StateFilter::ALL.iter().map(|state| state.label()));
    words.extend(Outcome::ALL.iter().map(|outcome| outcome.label()));
    words.extend([BulkState::Running, BulkState::Done, BulkState::Cancelled].map(BulkState::label));
    words.extend(AlertKind::ALL.iter().map(|kind| kind.label()));
    words.extend(MailCause::ALL.iter().flat_map(|cause| [cause.label(), cause.cure()]));
    words.extend(PLACEHOLDERS.iter().map(|(_, meaning)| *meaning));
    words.extend(RetrySchedule::PRESETS.iter().map(RetrySchedule::label));
    words.push(RetrySchedule::Own([60].into()).label());
    words.extend(ACTIONS.iter().map(|(_, label)| *label));
    words.extend(TRIGGERS.iter().map(|(_, meaning)| *meaning));
    words.extend(TAG_GROUPS.iter().map(|(title, _)| *title));
    words.extend(TEST_STATUSES.iter().map(|(_, meaning)| *meaning));
    words.extend(OVERLAPS.iter().map(|(_, label)| *label));
    words.extend(Fault::ALL.iter().map(|fault| fault.label()));
    words.extend(SAMPLES.iter().map(|(_, label)| *label));
    words
}

/// What the descriptions of gateways tell people.
fn words_of_gateways() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for entry in fs::read_dir(root("src/server/gateway/presets")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let preset: toml::Table = toml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let mut take = |value: Option<&toml::Value>| match value {
            Some(toml::Value::String(text)) => {
                words.insert(text.clone());
            }
            Some(toml::Value::Array(texts)) => words.extend(texts.iter().filter_map(|text| text.as_str().map(str::to_owned))),
            _ => {}
        };
        take(preset.get("group"));
        for table in [preset.get("secret")]
            .into_iter()
            .flatten()
            .chain(preset.get("option").into_iter().flat_map(|all| all.as_array().unwrap()))
        {
            take(table.get("label"));
            take(table.get("hint"));
        }
        for name in ["proof", "retries", "steps", "unconfirmed"] {
            take(preset.get("guide").and_then(|guide| guide.get(name)));
        }
    }
    assert!(words.len() > 150, "{}", words.len());
    words
}

/// What gateways are called.
fn gateways() -> &'static [String] {
    static LABELS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let files = fs::read_dir(root("src/server/gateway/presets")).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
        let label = |path: PathBuf| {
            let preset: toml::Table = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            preset["label"].as_str().unwrap().to_owned()
        };
        let mut labels: Vec<_> = files.map(label).collect();
        // The longest first: one may begin another.
        labels.sort_by_key(|label| std::cmp::Reverse(label.len()));
        labels
    });
    &LABELS
}

fn gaps(template: &str) -> BTreeSet<&str> {
    let gap = |piece| if let Piece::Gap(name) = piece { Some(name) } else { None };
    pieces(template).into_iter().filter_map(gap).collect()
}

#[test]
fn the_catalogue_says_everything_and_nothing_else() {
    let mut wanted = keys_of_the_source();
    assert!(wanted.len() > 1_000, "{} keys were found in the source", wanted.len());
    wanted.extend(words_of_gateways().into_iter().map(|key| (key, None)));
    for key in words_of_tables() {
        wanted.entry(key.to_owned()).or_default();
    }
    for error in [AppError::SignIn, AppError::Forbidden, AppError::NotFound, AppError::Unavailable, AppError::Connection] {
        wanted.entry(error.to_string()).or_default();
    }
    wanted.entry(AppError::Invalid(Vec::new()).to_string()).or_default();
    wanted.entry("Somebody else has changed this meanwhile. Nothing was saved.".to_owned()).or_default();

    let catalogue = polib::po_file::parse(&root("src/words/locales/vi.po")).unwrap();
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for message in catalogue.messages() {
        let (key, plural) = (message.msgid(), message.msgid_plural().ok());
        if !known.insert(key.to_owned()) {
            wrong.push(format!("twice: {key:?}"));
        }
        let Some(wanted) = wanted.get(key) else {
            wrong.push(format!("superfluous: {key:?}"));
            continue;
        };
        if wanted.as_deref() != plural {
            wrong.push(format!("another plural: {key:?}, {plural:?} instead of {wanted:?}"));
        }
        let said = match message.msgstr_plural() {
            Ok(forms) => forms.clone(),
            Err(_) => vec![message.msgstr().unwrap().to_owned()],
        };
        if said.len() != 1 || said[0].trim().is_empty() || message.is_fuzzy() {
            wrong.push(format!("not translated: {key:?}"));
        } else if gaps(key) != gaps(&said[0]) || plural.is_some_and(|plural| gaps(plural) != gaps(key)) {
            wrong.push(format!("other gaps: {key:?}, {:?}", said[0]));
        }
    }
    wrong.extend(wanted.keys().filter(|key| !known.contains(*key)).map(|key| format!("missing: {key:?}")));
    assert!(
        wrong.is_empty(),
        "src/words/locales/vi.po and the source differ; docs/TRANSLATING.md says how to go on:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn what_was_kept_in_english_is_recognised_and_told_in_other_words() {
    use quittance::words::{reworded, speaking};
    let told = |text: &str| speaking(Language::Vietnamese, || reworded(text));
    assert_eq!(
        told("It answered with status 302. It leads to https://a.example/"),
        "Máy chủ phản hồi với trạng thái 302. Nó dẫn tới https://a.example/"
    );
    assert_eq!(told("The lengths are counted in UTF-16 units."), "Các độ dài được đếm theo đơn vị UTF-16.");
    assert_eq!(
        told(
            "Confirmed by a SHA3 receipt. It was made with the new key. The message was signed with the old key; the next message is signed with the new key."
        ),
        "Được xác nhận bằng biên nhận SHA3. Biên nhận được tạo bằng khóa mới. Thông báo được ký bằng khóa cũ; thông báo kế tiếp được ký bằng khóa mới."
    );
    let key = told("It was made with the gateway's secret key (listener \"Shop\").");
    assert_eq!(key, "Được tạo bằng khóa bí mật của cổng thanh toán (điểm nhận \"Shop\").");
    for foreign in ["", "Paid", "anything that a customer writes.", "<b>{count}</b>", "A. B. C."] {
        let own = speaking(Language::English, || reworded(foreign));
        assert_eq!(own, foreign);
    }
    assert_eq!(told("anything that a customer writes."), "anything that a customer writes.");
    assert!(STORED.iter().all(|template| !template.is_empty()));
}

// Every page.

/// A part of a page: what it stands in, and what it says.
#[derive(Debug)]
struct Said {
    place: String,
    text: String,
}

fn decoded(text: &str) -> String {
    let text =
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#x27;", "'").replace("&#39;", "'");
    text.replace("&nbsp;", "\u{a0}").replace("&amp;", "&")
}

/// What somebody can read of a page, in its order: text, and the attributes that are read. Elements that hold data alone are
/// left out.
fn readable(page: &str) -> Vec<Said> {
    let mut said = Vec::new();
    // Open elements that hide what they hold.
    let mut hidden: Option<(String, usize)> = None;
    let mut rest = page;
    while let Some(open) = rest.find('<') {
        let text = decoded(&rest[..open]);
        if hidden.is_none() && !text.trim().is_empty() {
            said.push(Said { place: "text".to_owned(), text });
        }
        rest = &rest[open..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").unwrap().1;
            continue;
        }
        let end = end_of_tag(rest);
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        let closes = tag.starts_with('/');
        let name: String =
            tag.trim_start_matches('/').chars().take_while(|letter| letter.is_alphanumeric() || *letter == '-').collect();
        let is_empty = tag.ends_with('/') || matches!(name.as_str(), "input" | "meta" | "link" | "br" | "use" | "hr");
        if let Some((of, depth)) = &mut hidden {
            if *of == name && closes {
                *depth -= 1;
                if *depth == 0 {
                    hidden = None;
                }
            } else if *of == name && !is_empty {
                *depth += 1;
            }
            continue;
        }
        if closes {
            continue;
        }
        let attributes = attributes(tag);
        for (attribute, value) in &attributes {
            if matches!(attribute.as_str(), "title" | "aria-label" | "placeholder" | "alt" | "data-label")
                && !value.trim().is_empty()
            {
                said.push(Said { place: format!("{attribute} of {name}"), text: value.clone() });
            }
        }
        let class = attributes.iter().find(|(name, _)| name == "class").map(|(_, value)| value.as_str()).unwrap_or_default();
        let holds_data =
            class.split(' ').any(|class| matches!(class, "code" | "url" | "clip" | "zone" | "who" | "chip" | "axis" | "detail"));
        let is_data = matches!(
            name.as_str(),
            "script" | "style" | "pre" | "textarea" | "bdi" | "kbd" | "datalist" | "del" | "ins" | "code"
        ) || holds_data;
        if is_data && !is_empty {
            hidden = Some((name, 1));
        }
    }
    said
}

fn end_of_tag(text: &str) -> usize {
    let mut quoted = false;
    text.char_indices()
        .find(|(_, letter)| {
            quoted ^= *letter == '"';
            *letter == '>' && !quoted
        })
        .unwrap()
        .0
}

fn attributes(tag: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = tag.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
    while let Some((name, after)) = rest.split_once("=\"") {
        let (value, after) = after.split_once('"').unwrap();
        found.push((name.split_whitespace().last().unwrap_or_default().to_owned(), decoded(value)));
        rest = after;
    }
    found
}

/// What stands outside of all marks, in the order of a page.
fn outside(said: &[Said]) -> Vec<String> {
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for Said { place, text } in said {
        let is_text = place == "text";
        let mut own = if is_text { depth } else { 0 };
        let mut open = String::new();
        for letter in text.chars() {
            match letter {
                '⟦' => own += 1,
                '⟧' => own = own.saturating_sub(1),
                letter if own == 0 => open.push(letter),
                _ => {}
            }
        }
        if is_text {
            depth = own;
        }
        if !is_data(&open) {
            found.push(format!("{place}: {:?}", open.trim()));
        }
    }
    found
}

/// Names that are nobody's words: products, gateways, algorithms, programming languages, tags, units, and what these tests call things.
const NAMES: &str = "Quittance Shop Other Main Further Held Failing Gone Shadow English Tiếng Việt CSV UTC URL Firefox Linux Europe Bucharest \
    Checkout LCN formerly Avangate Verifone IPN MD5 SHA2 SHA3 HMAC SHA Standard Webhooks Ed25519 RSA PHP Python Node js Go Java Rust Ruby C \
    ASP NET Kotlin Perl Elixir Bash TypeScript JavaScript Swift Dart dotnet csharp plain Express Flask Laravel ms kB MB min s h d k M B p50 p99 quittance test x \
    v1 v1a curl Host Content Type Node.js";

fn is_data(text: &str) -> bool {
    // Addresses, and what gateways are called.
    let text: Vec<&str> = text.split_whitespace().filter(|word| !word.contains("://")).collect();
    let mut text = text.join(" ");
    for label in gateways() {
        text = text.replace(label, "");
    }
    let text = text.replace("Second product; 10.00; 2", "");
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '@' && letter != '.').all(|word| {
        let is_letters = word.chars().any(char::is_alphabetic);
        let is_upper = word.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
        let has_digit = word.chars().any(|letter| letter.is_ascii_digit());
        !is_letters
            || is_upper
            || has_digit
            || word.contains('@')
            || word.contains("example")
            || NAMES.split_whitespace().any(|name| name == word.trim_matches('.'))
    })
}

/// A form: its function, its fields, and the page that tells of it.
type Form<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

/// Everything that a page can show, as far as tests can bring it about in a short time; gives the addresses of all pages.
async fn house(app: &TestApp) -> (Shop, Vec<String>, Vec<FakeMerchant>) {
    use crate::support::merchant::Answer;
    let confirming = FakeMerchant::confirming().await;
    let failing = FakeMerchant::start(|_| Answer::status(500, "Fatal error: out of memory on line 7")).await;
    let gone = FakeMerchant::start(|_| Answer::status(410, "")).await;
    let (shop, _other) = (app.shop("Shop").await, app.shop("Other").await);
    let main_url = confirming.url();
    let main = shop
        .url_as(&main_url, |draft| {
            draft.label = "Main".to_owned();
            draft.is_default = true;
        })
        .await;
    let bad = shop.url_as(&failing.url(), |draft| draft.label = "Failing".to_owned()).await;
    let lost = shop.url_as(&gone.url(), |draft| draft.label = "Gone".to_owned()).await;
    let on_hold = shop
        .url_as(&format!("{}2", confirming.url()), |draft| {
            draft.label = "Held".to_owned();
            draft.held = true;
            draft.terms.format = Format::PassThrough;
        })
        .await;
    let shadow = shop
        .url_as(&format!("{}3", failing.url()), |draft| {
            draft.label = "Shadow".to_owned();
            draft.terms.shadow = true;
            draft.terms.format = Format::Json;
            draft.concurrent = true;
        })
        .await;
    let order = shop.order("1").await;
    let delivery = shop.wait_for_state(order, main, DeliveryState::Confirmed).await;
    let retried = shop.wait_for_attempts(order, bad, 1).await;
    let held = shop.wait_for_attempts(order, lost, 1).await;
    shop.order("1").await;
    shop.accepted(&Message::small("1", "REFUND", "20260301120019")).await;
    shop.post_signed(&Message::small("2", "COMPLETE", "20260301120009"), &[]).await;
    crate::support::gateway::post(app.address, "/ipn/wrong", "REFNO=77").await;
    let late = shop.accepted(&Message::small("3", "REFUND", "20260301120009")).await;
    app.services.store.settled().await.unwrap();
    let filter = DeliveryFilter { state: Some(StateFilter::Retrying), ..DeliveryFilter::default() };
    let bulk =
        app.services.start_bulk(&shop.merchant, &filter, BulkTarget::All, "k".to_owned(), "admin@example.com", Duration::ZERO);
    let bulk = bulk.await.unwrap();
    until("a bulk resend to end", || async {
        let page = shop.services.bulk_page(&shop.merchant, bulk, true).await.unwrap();
        (page.job.state == BulkState::Done).then_some(())
    })
    .await;
    let watched = shop.resend(order, Some(bad), quittance::domain::attempt::Origin::Debug, "debug").await;
    shop.wait_for(order, bad, |delivery| watched.contains(&delivery.id) && delivery.attempts > 0).await;
    let refused = shop.services.listener_page(&shop.merchant, shop.listener_id(), true).await.unwrap().refused;
    let colleague = app.services.store.user_by_email("support@example.com").await.unwrap().unwrap();
    let m = "/m/shop";
    let (listener, notification, resent) = (shop.listener_id(), delivery.notification_id, watched[0]);
    let mut pages: Vec<String> = [
        "",
        "/orders",
        "/orders?text=nothing",
        "/deliveries",
        "/deliveries?state=expired",
        "/deliveries?state=x&from=y",
        "/inbound",
        "/inbound?reason=stale",
        "/resends",
        "/resends/new",
        "/resends/new?state=retrying",
        "/resends/new?state=expired",
        "/resends/cancel",
        "/resends/cancel?state=retrying",
        "/resends/cancel?state=expired",
        "/resends/cancel?from=2026-03-01",
        "/settings/ipn",
        "/settings/urls",
        "/settings/urls/new",
        "/settings/content",
        "/settings/key",
        "/settings/alerts",
        "/settings/mail",
        "/settings/mail?status=paid",
        "/settings/time-zone",
        "/check",
        "/test-order",
        "/test-order?sample=several",
        "/listeners",
        "/listeners/new",
        "/listeners/new?gateway=stripe",
        "/listeners/new?gateway=vnpay",
        "/listeners/new?gateway=adyen",
        "/listeners/new?text=nothing",
        "/audit",
        "/audit?action=user.add",
        "/orders/0",
    ]
    .map(|page| format!("{m}{page}"))
    .to_vec();
    pages.extend([
        format!("{m}/orders/{order}"),
        format!("{m}/orders/{order}?order=newest"),
        format!("{m}/orders/{late}"),
        format!("{m}/orders/{order}?at=never"),
        format!("{m}/orders/{order}/exchanges/{resent}"),
        format!("{m}/notifications/{notification}"),
        format!("{m}/notifications/{notification}/resend"),
        format!("{m}/deliveries/{}", delivery.id),
        format!("{m}/deliveries/{}", retried.id),
        format!("{m}/deliveries/{}", held.id),
        format!("{m}/deliveries/{}/1", delivery.id),
        format!("{m}/deliveries/{}/1", retried.id),
        format!("{m}/deliveries/{}/1", held.id),
        format!("{m}/resends/{bulk}"),
        format!("{m}/settings/urls/{bad}"),
        format!("{m}/settings/urls/{lost}"),
        format!("{m}/settings/urls/{main}/kit"),
        format!("{m}/settings/urls/{main}/kit?language=csharp"),
        format!("{m}/settings/urls/{on_hold}/kit"),
        format!("{m}/settings/urls/{shadow}/kit"),
        format!("{m}/listeners/{listener}"),
        format!("{m}/listeners/{listener}/simulate"),
        format!("{m}/listeners/{listener}/simulate?sent=gone"),
        format!("{m}/refused/{}", refused[0].id),
        format!("{m}/check?delivery={}&number=1", retried.id),
        format!("/people/{}", colleague.id),
    ]);
    pages.extend(
        [
            "/",
            "/account",
            "/people",
            "/people?text=nobody",
            "/roles",
            "/audit",
            "/merchants",
            "/search",
            "/search?text=1",
            "/search?text=nothing",
            "/unknown",
            "/no/such/page",
        ]
        .map(str::to_owned),
    );
    (shop, pages, vec![confirming, failing, gone])
}

#[tokio::test]
async fn every_page_speaks_through_the_catalogue() {
    allow_marked();
    let app = TestApp::start().await;
    app.user("admin@example.com", Role::Admin, &[]).await;
    app.user("support@example.com", Role::Support, &[]).await;
    let (shop, pages, _merchants) = house(&app).await;
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut look = |page: &str, text: &str| {
        assert!(text.contains("⟦"), "{page} is not marked: {text}");
        for one in outside(&readable(text)) {
            found.entry(one).or_insert_with(|| page.to_owned());
        }
    };
    for name in ["admin", "support"] {
        let mut browser = Browser::signed_in(app.address, &format!("{name}@example.com")).await;
        browser.cookies.insert("quittance-language".to_owned(), Language::Marked.code().to_owned());
        for page in &pages {
            let reply = browser.get(page).await;
            assert!(reply.status < 500, "{page}: {reply:?}");
            if !(300..400).contains(&reply.status) {
                look(page, &reply.text());
            }
        }
    }
    // Forms that have something to say.
    let mut admin = Browser::signed_in(app.address, "admin@example.com").await;
    admin.cookies.insert("quittance-language".to_owned(), Language::Marked.code().to_owned());
    let merchant = [("merchant", "shop")];
    let forms: &[Form<'_>] = &[
        (
            "urls/save",
            &[
                ("url", "nonsense"),
                ("is_default", "false"),
                ("label", ""),
                ("retries", "own"),
                ("own_delays", "soon"),
                ("max_in_flight", "9000"),
                ("headers", "x"),
                ("timeout", "900"),
                ("authority", "x"),
            ],
            "/m/shop/settings/urls/new",
        ),
        (
            "settings/alerts",
            &[("url", "nonsense"), ("mails", "nobody"), ("after", "0"), ("certificate", "900"), ("outstanding", "many")],
            "/m/shop/settings/alerts",
        ),
        ("settings/key", &[("secret_key", ""), ("overlap", "5")], "/m/shop/settings/key"),
        (
            "listeners/save",
            &[("label", ""), ("gateway", "stripe"), ("secret", ""), ("options", "")],
            "/m/shop/listeners/new?gateway=stripe",
        ),
        (
            "orders/test",
            &[
                ("status", "X"),
                ("product", ""),
                ("amount", "x"),
                ("currency", "x"),
                ("quantity", "x"),
                ("more_products", "x"),
                ("reference", "§"),
            ],
            "/m/shop/test-order",
        ),
        ("merchants/time-zone", &[("time_zone", "Mars")], "/m/shop/settings/time-zone"),
        ("views/save", &[("list", "deliveries"), ("query", "?state=expired"), ("name", "")], "/m/shop/deliveries?state=expired"),
        ("users/invite", &[("email", "x"), ("role", "x")], "/people"),
        ("password", &[("current", "x"), ("password", "y")], "/account"),
        ("sessions/end-others", &[], "/account"),
    ];
    for (name, fields, page) in forms {
        let fields: Vec<_> = merchant.iter().chain(*fields).copied().collect();
        let reply = admin.form(&format!("/rpc/{name}"), &fields).await;
        assert!((300..400).contains(&reply.status), "{name}: {reply:?}");
        look(page, &admin.get(reply.header("location")).await.text());
    }
    // The simulator, with everything that can become of a message.
    let listener = shop.listener_id().to_string();
    let chosen = [
        ("merchant", "shop"),
        ("listener", &listener),
        ("status", "paid"),
        ("amount", "1.00"),
        ("currency", "USD"),
        ("email", "buyer@example.com"),
        ("from", "127.0.0.1"),
    ];
    let cases = ["repeated", "other-amount", "wrong-signature", "no-signature", "", "unknown"];
    for fault in cases {
        let fields: Vec<_> = chosen.iter().copied().chain([("fault", fault)]).collect();
        let reply = admin.form("/rpc/listeners/simulate", &fields).await;
        let page = reply.header("location").split('#').next().unwrap().to_owned();
        look(&format!("simulate {fault}"), &admin.get(&page).await.text());
    }
    let posted = [
        ("body", "IPN_PID[]=1&IPN_PNAME[]=2&IPN_DATE=3&HASH=00"),
        ("receipt", "<EPAYMENT>1|2</EPAYMENT>"),
        ("computed", "ab"),
        ("url", ""),
    ];
    look("/check", &admin.form("/m/shop/check", &posted).await.text());
    let draft = [("status", "COMPLETE"), ("product", "EXAMPLE"), ("amount", "1.00"), ("currency", "USD")];
    look("/test-order", &admin.form("/m/shop/test-order", &draft).await.text());
    let mut nobody = Browser::new(app.address);
    nobody.cookies.insert("quittance-language".to_owned(), Language::Marked.code().to_owned());
    for page in ["/sign-in", "/setup?token=x", "/join?token=x"] {
        look(page, &nobody.get(page).await.text());
    }
    nobody.sign_in("nobody@example.com", "wrong wrong").await;
    look("/sign-in", &nobody.get("/sign-in").await.text());
    drop(shop);
    let list: Vec<_> = found.iter().map(|(what, page)| format!("{page}: {what}")).collect();
    assert!(list.is_empty(), "{} texts do not go through the catalogue:\n{}", list.len(), list.join("\n"));
}

// The choice.

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
