//! `quittance recover`, `quittance cancel` and `quittance bulk …`: everything that failed delivered again, what is outstanding
//! given up, both watched and stopped.

use super::{
    CliError,
    args::MerchantListArgs,
    report::{Report, table},
    resend::url_named,
    resend_args::{BulkCancelArgs, CancelArgs, RecoverArgs},
    tool::{self, ACTOR},
};
use crate::domain::{
    pages::{
        bulk::{BulkCount, BulkRow, BulkState, BulkTarget, LeftOut},
        deliveries::{DeliveryFilter, StateFilter},
    },
    time::iso,
};
use crate::server::{
    service::Services,
    store::{Merchant, random},
};
use serde_json::{Value, json};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// Counts what failed, and has it sent again.
pub async fn recover(args: &RecoverArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let report = recover_with(&services, args).await;
    services.store.close().await;
    report
}

async fn recover_with(services: &Services, args: &RecoverArgs) -> Result<Report, CliError> {
    let merchant = tool::merchant(services, &args.merchant)?;
    let url = args.url.as_deref().map(|url| url_named(services, &merchant, url)).transpose()?;
    let now = services.clock.now();
    let since = args.since.at(now);
    if since > now {
        return Err(CliError::Mistakes(
            "--since: this moment has not come yet, so nothing can have failed since then".to_owned(),
        ));
    }
    let filter = DeliveryFilter { state: Some(StateFilter::Failed), url, since: Some(since), ..DeliveryFilter::default() };
    let target = if args.to_all { BulkTarget::All } else { BulkTarget::Same };
    let count = services.plan_bulk(&merchant, &filter, target).await?.count;
    let mut text = format!("Failed since {}: {}", iso(since), told(services, &merchant, &count, "to send"));
    let served = services.store.is_served().await?;
    let mut bulk = Value::Null;
    if args.dry_run {
        text.push_str("Nothing was stored; leave out --dry-run to send them.\n");
    } else if count.made == 0 && !count.more {
        text.push_str("Nothing was stored, because there is nothing to send.\n");
    } else {
        let id = services.start_bulk(&merchant, &filter, target, hex::encode(random::<16>()), ACTOR, Duration::ZERO).await?;
        bulk = json!(id);
        text.push_str(&if served {
            format!("Bulk resend {id} is stored; the server begins within a second. `quittance bulk list` shows how it goes.\n")
        } else {
            format!("Bulk resend {id} is stored. No server runs on this database; it is done when one starts.\n")
        });
    }
    let by_url: Vec<_> = count.by_url.iter().map(|(id, number)| json!({ "url": id, "deliveries": number })).collect();
    let json = json!({
        "merchant": merchant.slug, "since": iso(since), "dry_run": args.dry_run, "deliveries": count.made, "more": count.more,
        "by_url": by_url, "left_out": left_out(count.left_out), "bulk": bulk, "served": served,
    });
    Ok(Report { json, text, failed: None })
}

/// Counts what is outstanding, and gives it up.
pub async fn give_up(args: &CancelArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let report = give_up_with(&services, args).await;
    services.store.close().await;
    report
}

async fn give_up_with(services: &Services, args: &CancelArgs) -> Result<Report, CliError> {
    let merchant = tool::merchant(services, &args.merchant)?;
    if args.from.zip(args.until).is_some_and(|(from, until)| from > until) {
        return Err(CliError::Mistakes("--until: this day is before that of --from, so nothing can be found".to_owned()));
    }
    let filter = DeliveryFilter {
        text: args.order.clone().unwrap_or_default(),
        state: args.state,
        cause: args.cause,
        url: args.url.as_deref().map(|url| url_named(services, &merchant, url)).transpose()?,
        from: args.from,
        // The last day is meant to be part of it.
        until: args.until.map(|day| day.plus(DAY)),
        ..DeliveryFilter::default()
    };
    let count = services.plan_bulk(&merchant, &filter, BulkTarget::Cancel).await?.count;
    let mut text = format!("Outstanding: {}", told(services, &merchant, &count, "to cancel"));
    let served = services.store.is_served().await?;
    let mut bulk = Value::Null;
    if args.dry_run {
        text.push_str("Nothing was stored; leave out --dry-run to cancel them.\n");
    } else if count.made == 0 && !count.more {
        text.push_str("Nothing was stored, because there is nothing to cancel.\n");
    } else {
        let (key, grace) = (hex::encode(random::<16>()), Duration::ZERO);
        let id = services.start_bulk(&merchant, &filter, BulkTarget::Cancel, key, ACTOR, grace).await?;
        bulk = json!(id);
        text.push_str(&if served {
            format!("Job {id} is stored; the server begins within a second. `quittance bulk list` shows how it goes.\n")
        } else {
            format!("Job {id} is stored. No server runs on this database; it is done when one starts.\n")
        });
    }
    let by_url: Vec<_> = count.by_url.iter().map(|(id, number)| json!({ "url": id, "deliveries": number })).collect();
    let by_state: serde_json::Map<_, _> =
        count.by_state.iter().map(|(state, number)| (state.label().to_lowercase(), json!(number))).collect();
    let json = json!({
        "merchant": merchant.slug, "dry_run": args.dry_run, "deliveries": count.made, "more": count.more, "by_state": by_state,
        "by_url": by_url, "bulk": bulk, "served": served,
    });
    Ok(Report { json, text, failed: None })
}

fn told(services: &Services, merchant: &Merchant, count: &BulkCount, what: &str) -> String {
    let settings = services.store.settings();
    let more = if count.more { "more than " } else { "" };
    let mut text = format!("{more}{} {what}\n", deliveries(count.made));
    for (state, number) in &count.by_state {
        text.push_str(&format!("  {number}  {}\n", state.label().to_lowercase()));
    }
    for (id, number) in &count.by_url {
        let url = settings.urls_of(merchant.id).iter().find(|url| url.id == *id);
        let name = url.map_or_else(|| id.to_string(), |url| format!("{} ({})", url.label, url.url));
        text.push_str(&format!("  {number}  {name}\n"));
    }
    let LeftOut { confirmed, waiting, removed, without_bytes } = count.left_out;
    for (number, reason) in [
        (confirmed, "confirmed by the URL already"),
        (waiting, "on the way or held already"),
        (removed, "to a URL that was removed; --to-all sends them to the present ones"),
        (without_bytes, "without their bytes, which were removed because of their age"),
    ] {
        if number > 0 {
            text.push_str(&format!("  {number}  left out: {reason}\n"));
        }
    }
    text
}

fn deliveries(number: u64) -> String {
    format!("{number} {}", if number == 1 { "delivery" } else { "deliveries" })
}

fn left_out(left_out: LeftOut) -> Value {
    json!({
        "confirmed": left_out.confirmed, "waiting": left_out.waiting, "removed": left_out.removed,
        "without_bytes": left_out.without_bytes,
    })
}

/// Lists bulk resends.
pub async fn list(args: &MerchantListArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let report = list_of(&services, args).await;
    services.store.close().await;
    report
}

async fn list_of(services: &Services, args: &MerchantListArgs) -> Result<Report, CliError> {
    let (mut json, mut rows) = (Vec::new(), Vec::new());
    for merchant in tool::merchants(services, args.merchant.as_deref())? {
        for job in services.bulk_list(&merchant, true).await?.rows {
            let (_, standing) =
                services.store.bulk(merchant.id, job.id).await?.ok_or_else(|| CliError::NoBulk(job.id.to_string()))?;
            let mut row = described(&merchant, &job);
            if let Value::Object(row) = &mut row {
                row.insert("confirmed".to_owned(), json!(standing.confirmed.number));
                row.insert("queued".to_owned(), json!(standing.queued.number));
                row.insert("retrying".to_owned(), json!(standing.retrying.number));
                row.insert("held".to_owned(), json!(standing.held.number));
                row.insert("expired".to_owned(), json!(standing.expired.number));
                row.insert("withdrawn".to_owned(), json!(standing.withdrawn.number));
            }
            json.push(row);
            let of = job.expected.map_or_else(|| "?".to_owned(), |expected| expected.to_string());
            rows.push([
                job.id.to_string(),
                merchant.slug.clone(),
                iso(job.at),
                job.actor.clone(),
                job.filter.query().trim_start_matches('?').to_owned(),
                job.state.label().to_lowercase(),
                format!("{}/{of}", job.made),
                standing.confirmed.number.to_string(),
                job.left_out.total().to_string(),
            ]);
        }
    }
    let text = if rows.is_empty() {
        "There is no bulk resend yet; `quittance recover` starts one.\n".to_owned()
    } else {
        table(["ID", "MERCHANT", "ASKED AT", "BY", "WHAT", "STATE", "MADE", "CONFIRMED", "LEFT OUT"], &rows)
    };
    Ok(Report { json: json!({ "bulk": json }), text, failed: None })
}

fn described(merchant: &Merchant, job: &BulkRow) -> Value {
    json!({
        "id": job.id, "merchant": merchant.slug, "at": iso(job.at), "actor": job.actor, "filter": job.filter, "to": job.target,
        "state": job.state, "expected": job.expected, "made": job.made, "left_out": left_out(job.left_out),
        "finished_at": job.finished_at.map(iso),
    })
}

/// Cancels a bulk resend.
pub async fn cancel(args: &BulkCancelArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let report = cancel_with(&services, args).await;
    services.store.close().await;
    report
}

async fn cancel_with(services: &Services, args: &BulkCancelArgs) -> Result<Report, CliError> {
    for merchant in services.store.settings().merchants() {
        if services.store.bulk(merchant.id, args.id).await?.is_none() {
            continue;
        }
        let cancelled = services.cancel_bulk(&merchant, args.id, ACTOR).await?;
        let page = services.bulk_page(&merchant, args.id, true).await?;
        let (sent, withdrawn) = (page.standing.sent().number, page.standing.withdrawn.number);
        let text = if page.job.is_cancel() {
            let how = if cancelled { "Stopped" } else { "It had ended already" };
            format!("{how}: {} cancelled, the others stay as they were.\n", deliveries(page.job.made))
        } else if cancelled {
            format!(
                "Cancelled: {} sent before that, {withdrawn} made and not sent any more, but for requests that were on their way in this moment.\n",
                deliveries(sent)
            )
        } else {
            let how = if page.job.state == BulkState::Cancelled { "cancelled" } else { "done" };
            format!("It was {how} already: {} sent, {withdrawn} made and not sent.\n", deliveries(sent))
        };
        let mut json = described(&merchant, &page.job);
        if let Value::Object(json) = &mut json {
            json.insert("cancelled".to_owned(), json!(cancelled));
            json.insert("sent".to_owned(), json!(sent));
            json.insert("withdrawn".to_owned(), json!(withdrawn));
        }
        return Ok(Report { json, text, failed: None });
    }
    Err(CliError::NoBulk(args.id.to_string()))
}
