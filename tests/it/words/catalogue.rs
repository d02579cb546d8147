//! The catalogue: it holds every key of the source, of the tables and of the gateways' descriptions, and no other.

use super::root;
use quittance::{
    domain::{
        AppError, Cause, DeliveryState, Fault, Format, OrderStatus, RefusalReason, RetrySchedule, Role,
        audit::ACTIONS,
        content::{TAG_GROUPS, TRIGGERS},
        mail::{MailCause, PLACEHOLDERS},
        pages::{
            bulk::BulkState,
            deliveries::StateFilter,
            inbound::Outcome,
            orders::TEST_STATUSES,
            settings::{AlertKind, OVERLAPS},
            simulate::SAMPLES,
        },
        role::Permission,
    },
    words::{Language, Piece, STORED, pieces},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A key with its plural, where it has one.
type Keys = BTreeMap<String, Option<String>>;

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
