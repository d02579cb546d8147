//! Whether a description makes sense, before a listener depends on it.

use super::{
    ADDRESS, BodyForm, CERTIFICATE_HOSTS, CONFIRM_AUTHORITY, CONFIRM_BASE, Clock, Confirm, MODE, PREVIOUS_SECRET, Preset, Scale,
    chain, confirm, signed,
};
use crate::domain::money::Currency;
use crate::server::gateway::access;
use jiff::tz::Offset;

/// Names that every listener has.
const TAKEN: [&str; 10] = [
    "secret",
    PREVIOUS_SECRET,
    ADDRESS,
    MODE,
    CONFIRM_BASE,
    CONFIRM_AUTHORITY,
    CERTIFICATE_HOSTS,
    access::ALLOW_FROM,
    access::BASIC_USER,
    access::BASIC_PASSWORD,
];

/// Everything that a file can have wrong without being unreadable.
pub(super) fn check(preset: &Preset) -> Result<(), String> {
    for (field, text) in [("label", &preset.label), ("group", &preset.group), ("secret.label", &preset.secret.label)] {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(format!("{field}: enter a text of one line"));
        }
    }
    if preset.guide.steps.is_empty() {
        return Err("guide.steps: say what to enter where at the gateway, at least one step".to_owned());
    }
    let mut names: Vec<&str> = Vec::new();
    for option in &preset.options {
        let name = option.name.as_str();
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.is_empty() || name.len() > 40 || !name.bytes().all(fits) {
            return Err(format!("option.name: {name:?} must be 1 to 40 lower-case letters, digits and hyphens"));
        }
        if names.contains(&name) || TAKEN.contains(&name) {
            return Err(format!("option.name: {name:?} is taken; choose another name"));
        }
        names.push(name);
    }
    let known = |name: &str| names.contains(&name) || name == ADDRESS;
    if let Some(check) = preset.checks.iter().find(|check| !known(&check.option)) {
        return Err(format!("check.option: there is no option {:?}; add an [[option]] of this name", check.option));
    }
    if preset.adapter.is_some() {
        return Ok(());
    }
    signatures(preset, known)?;
    confirm::check(preset, known)?;
    chain::check(preset, known)?;
    order(preset)?;
    signed::check(preset)?;
    answers(preset)
}

fn signatures(preset: &Preset, known: impl Fn(&str) -> bool) -> Result<(), String> {
    if preset.signatures.is_empty() && preset.confirm.is_none() {
        return Err("signature: add a [[signature]] or a [confirm]; messages that prove nothing cannot be taken".to_owned());
    }
    for signature in &preset.signatures {
        if signature.method.is_empty() {
            return Err("signature.method: name at least one".to_owned());
        }
        if let Some(name) = signature.message.options().find(|name| !known(name)) {
            return Err(format!("signature.message: there is no option {name:?}; add an [[option]] of this name"));
        }
        if signature.message.has_pairs() != signature.pairs.is_some() {
            return Err("signature.pairs: {@pairs} in the message and [signature.pairs] need each other".to_owned());
        }
        let has_time = signature.timestamp.is_some() || signature.list.as_ref().is_some_and(|list| list.time.is_some());
        if signature.tolerance.is_some() && !has_time {
            return Err("signature.tolerance: say where the time stamp stands, in timestamp or list.time".to_owned());
        }
    }
    Ok(())
}

fn order(preset: &Preset) -> Result<(), String> {
    if preset.order.reference.is_empty() {
        return Err("order.reference: say where the order's number stands".to_owned());
    }
    if preset.statuses.is_empty() {
        return Err("status: add a [[status]] with the gateway's words".to_owned());
    }
    if preset.charset.is_some() && preset.body != BodyForm::Form {
        return Err("charset: JSON is UTF-8; only forms name their character set".to_owned());
    }
    if preset.body == BodyForm::Form && (preset.items.is_some() || preset.inner.is_some()) {
        return Err("items, inner: forms have neither; set body = \"json\"".to_owned());
    }
    if let Some(amount) = &preset.order.amount {
        if amount.currency.is_empty() && amount.always.is_none() {
            return Err("order.amount: say where the currency stands, in currency, or which it is, in always".to_owned());
        }
        if let Some(always) = &amount.always
            && Currency::parse(always).is_none()
        {
            return Err(format!("order.amount.always: {always:?} is no code of three letters"));
        }
        if let Some((code, digits)) = amount.digits.iter().find(|(code, digits)| Currency::parse(code).is_none() || **digits > 4)
        {
            return Err(format!("order.amount.digits: {code} = {digits} must be a code of three letters and 0 to 4 digits"));
        }
        if !amount.digits.is_empty() && amount.scale != Scale::Minor {
            return Err("order.amount.digits: only amounts with scale = \"minor\" are counted in digits".to_owned());
        }
    }
    if preset.order.refund.is_empty() && !preset.order.undone.is_empty() {
        return Err("order.undone: say where the money of a refund stands, in refund".to_owned());
    }
    if let Some(at) = &preset.order.at
        && (at.form == Clock::Asked) != at.from.is_empty()
    {
        return Err("order.at.from: say where the time stands; only form = \"asked\" takes it from nowhere".to_owned());
    }
    if preset.tells_states() && !preset.confirm.as_ref().is_some_and(Confirm::is_fetched) {
        return Err("order.at.form: only what is fetched tells how things stand when it is asked; see confirm.ring".to_owned());
    }
    if let Some(at) = &preset.order.at
        && let Some(offset) = &at.offset
        && (!matches!(at.form, Clock::Civil(_)) || self::offset(offset).is_none())
    {
        return Err(format!("order.at.offset: {offset:?} must be such as +07:00, and only for times without an offset"));
    }
    Ok(())
}

fn answers(preset: &Preset) -> Result<(), String> {
    let answers = &preset.answers;
    let all = [&answers.stored, &answers.repeated, &answers.refused, &answers.malformed, &answers.differs, &answers.failed];
    for answer in all.into_iter().flatten() {
        if !(200..600).contains(&answer.status) {
            return Err(format!("answers: {} is no status of an answer; 200 to 599 are", answer.status));
        }
        if http::HeaderValue::from_str(&answer.content_type).is_err() {
            return Err(format!("answers: {:?} cannot be a content type", answer.content_type));
        }
    }
    Ok(())
}

/// `+07:00` as an offset.
pub fn offset(text: &str) -> Option<Offset> {
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
}
