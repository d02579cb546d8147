//! `quittance resend`: a notification delivered again, and with `--debug` the exchange as it went.

use super::{
    CliError,
    report::Report,
    resend_args::{ResendArgs, Whither},
    tool::{self, ACTOR},
};
use crate::domain::{
    DeliveryState, Format,
    id::{DeliveryId, UrlId},
    pages::orders::AttemptPage,
};
use crate::server::{
    service::{Services, resend::ResendWish},
    store::{Merchant, random},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Stores the resend; for debug, waits for its attempts.
pub async fn run(args: &ResendArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let report = resend(&services, args).await;
    services.store.close().await;
    report
}

async fn resend(services: &Services, args: &ResendArgs) -> Result<Report, CliError> {
    let merchant = tool::merchant(services, &args.merchant)?;
    let order_id = services.order_named(&merchant, &args.order).await?;
    let url_id = args.url.as_deref().map(|url| url_named(services, &merchant, url)).transpose()?;
    let served = services.store.is_served().await?;
    if args.debug && !served {
        return Err(CliError::NotServed(args.database.address().to_string()));
    }
    let then = match args.to {
        Whither::Now => BTreeMap::new(),
        Whither::Then => services.then_of(&merchant, order_id, url_id).await?,
    };
    if args.to == Whither::Then && then.is_empty() {
        return Err(CliError::NoOtherAddress(args.order.clone()));
    }
    let wish = ResendWish {
        order_id,
        notification_id: None,
        url_ids: url_id.into_iter().collect(),
        then,
        debug: args.debug,
        request_key: hex::encode(random::<16>()),
    };
    let outcome = services.resend(&merchant, wish, ACTOR).await?;
    let mut report = if args.debug {
        debug(services, &merchant, &outcome.delivery_ids).await?
    } else {
        stored(services, &merchant, &outcome.delivery_ids, served).await?
    };
    if let Value::Object(json) = &mut report.json {
        json.insert("resend".to_owned(), json!(outcome.resend_id));
        json.insert("deliveries".to_owned(), json!(outcome.delivery_ids));
        json.insert("served".to_owned(), json!(served));
    }
    Ok(report)
}

/// A URL by what people call it.
pub fn url_named(services: &Services, merchant: &Merchant, name: &str) -> Result<UrlId, CliError> {
    let settings = services.store.settings();
    let id = name.parse::<UrlId>().ok();
    let fits = |url: &&std::sync::Arc<crate::server::store::NotificationUrl>| {
        Some(url.id) == id || url.url == name || url.label.eq_ignore_ascii_case(name)
    };
    let mut found = settings.urls_of(merchant.id).iter().filter(fits);
    match (found.next(), found.next()) {
        (Some(url), None) => Ok(url.id),
        (None, _) => Err(CliError::NoUrl { merchant: merchant.name.clone(), url: name.to_owned() }),
        (Some(_), Some(_)) => Err(CliError::ManyUrls { merchant: merchant.name.clone(), url: name.to_owned() }),
    }
}

async fn stored(services: &Services, merchant: &Merchant, ids: &[DeliveryId], served: bool) -> Result<Report, CliError> {
    let mut text = String::new();
    let mut targets = Vec::new();
    let mut is_held = !ids.is_empty();
    for id in ids {
        let delivery = services.delivery_page(merchant, *id, None, false).await?.delivery;
        is_held &= delivery.state == DeliveryState::Held;
        text.push_str(&format!("{id}  {}  {} ({})\n", delivery.state_label(), delivery.url_label, delivery.url));
        targets.push(json!({ "delivery": id, "state": delivery.state, "url": delivery.url, "label": delivery.url_label }));
    }
    text.push_str(match (is_held, served) {
        (true, _) => "Stored. Its URL is on hold: it is sent when that is released.\n",
        (false, true) => "Stored; the server sends it within a second.\n",
        (false, false) => "Stored. No server runs on this database; it is sent when one starts.\n",
    });
    Ok(Report { json: json!({ "targets": targets }), text, failed: None })
}

async fn debug(services: &Services, merchant: &Merchant, ids: &[DeliveryId]) -> Result<Report, CliError> {
    let tried = ids.iter().map(|id| async { (*id, services.wait_for_attempt(merchant, *id).await) });
    let mut text = String::new();
    let mut exchanges = Vec::new();
    for (id, number) in futures::future::join_all(tried).await {
        let number = number?.ok_or_else(|| CliError::NotTried(id.to_string()))?;
        let page = services.attempt_page(merchant, id, number, false).await?;
        text.push_str(&told(&page));
        exchanges.push(exchange(&page));
    }
    Ok(Report { json: json!({ "exchanges": exchanges }), text, failed: None })
}

/// An exchange for scripts.
fn exchange(page: &AttemptPage) -> Value {
    let attempt = &page.attempt;
    let cause = attempt
        .cause
        .map(|cause| json!({ "code": cause.code(), "label": cause.label(), "sentence": cause.sentence_for(page.detail.format), "cure": cause.cure_for(page.detail.format) }));
    json!({
        "delivery": page.delivery.id,
        "url": page.delivery.url,
        "label": page.delivery.url_label,
        "confirmed": attempt.cause.is_none(),
        "cause": cause,
        "detail": page.detail,
        "address": attempt.address,
        "status": attempt.status,
        "timings_us": attempt.timings,
        "request": { "head": page.request_head, "body": page.request_body },
        "answer": { "head": page.answer_head, "body": page.answer_body },
    })
}

/// Text of strangers without anything that a terminal would obey.
fn lines(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() && !matches!(letter, '\n' | '\t') { '\u{fffd}' } else { letter };
    text.replace("\r\n", "\n").trim_end().chars().map(plain).collect()
}

/// An exchange for people.
fn told(page: &AttemptPage) -> String {
    let attempt = &page.attempt;
    let mut text = format!("== {} ({})\n\n", page.delivery.url_label, page.delivery.url);
    text.push_str(&format!("{}\n\n{}\n\n", lines(&page.request_head), lines(&page.request_body)));
    if page.answer_head.is_empty() {
        text.push_str("-- no answer\n\n");
    } else {
        text.push_str(&format!("-- answered after {} ms\n{}\n", attempt.timings.total / 1_000, lines(&page.answer_head)));
        text.push_str(&format!("\n{}\n\n", lines(&page.answer_body)));
    }
    match attempt.cause {
        None if page.detail.format == Format::Ipn => text.push_str("Confirmed: the read receipt is right.\n"),
        None => text.push_str(&format!("{}\n", lines(&page.detail.note))),
        Some(cause) => {
            text.push_str(&format!("Not confirmed: {}. {}\n", cause.label(), cause.sentence_for(page.detail.format)));
            if !page.detail.note.is_empty() {
                text.push_str(&format!("{}\n", lines(&page.detail.note)));
            }
            text.push_str(&format!("What to do: {}\n", cause.cure_for(page.detail.format)));
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_cannot_steer_the_terminal() {
        assert_eq!(lines("HTTP/1.1 200 OK\r\nA: b\r\n"), "HTTP/1.1 200 OK\nA: b");
        assert_eq!(lines("\u{1b}[2Jgone\ttab\u{7}"), "\u{fffd}[2Jgone\ttab\u{fffd}");
    }
}
