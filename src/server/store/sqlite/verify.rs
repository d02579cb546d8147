//! `quittance doctor`: proves the books on the database, in one consistent view, while the server may go on.

use super::{NODE, SqliteStore, plans};
use crate::domain::DeliveryState;
use crate::server::store::{
    Finding, StoreError,
    exchanges::Exchanges,
    identity::{Proof, is_unaltered},
    pack::unpack,
    verifying::is_unaltered as is_sound,
};
use sqlx::{Row as _, SqliteConnection};

impl SqliteStore {
    /// Runs every check. All read the same moment of the database.
    pub(in crate::server::store) async fn verify(&self) -> Result<Vec<Finding>, StoreError> {
        let mut tx = self.0.readers.begin().await?;
        let structure = structure(&mut tx).await?;
        if !structure.ok {
            // What else is asked of a broken file fails, or is not to be trusted.
            return Ok(vec![structure]);
        }
        let mut findings = vec![structure, references(&mut tx).await?, books(&mut tx).await?];
        for (check, wrong, query) in COUNTED {
            let count: i64 = sqlx::query_scalar(query).fetch_one(&mut *tx).await?;
            let detail = if count == 0 { "none".to_owned() } else { format!("{count} {wrong}") };
            findings.push(Finding { check, ok: count == 0, detail });
        }
        findings.push(nodes(&mut tx).await?);
        findings.push(digests(&mut tx).await?);
        findings.push(exchanges(&mut tx).await?);
        findings.push(verifying(&mut tx).await?);
        findings.push(plans::check(&mut tx).await?);
        findings.push(secrets(self).await?);
        Ok(findings)
    }
}

/// Checks that count rows which must not be: name, what they are, query.
const COUNTED: [(&str, &str, &str); 10] = [
    (
        "what was promised is in the ledger",
        "entries of the journal that could not be read or applied",
        "SELECT count(*) FROM journal_stuck",
    ),
    (
        "every notification has its bytes",
        "notifications without bytes",
        "SELECT count(*) FROM notification
         WHERE NOT EXISTS (SELECT 1 FROM segment WHERE segment.id = notification.segment_id)
             AND (segment_id >= (SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'bytes_kept_from'), 0))
                 OR EXISTS (SELECT 1 FROM delivery WHERE notification_id = notification.id AND state IN (0, 2, 3)))",
    ),
    (
        "every attempt has its bytes",
        "attempts without bytes",
        "SELECT count(*) FROM attempt WHERE NOT EXISTS (SELECT 1 FROM segment WHERE segment.id = attempt.segment_id)
             AND segment_id >= (SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'bytes_kept_from'), 0))",
    ),
    (
        "every resent delivery has its resend",
        "deliveries of a resend that is not there",
        "SELECT count(*) FROM delivery
         WHERE (origin <> 0 OR resend_id IS NOT NULL)
             AND NOT EXISTS (SELECT 1 FROM resend WHERE resend.id = delivery.resend_id AND origin <> 3)
             AND NOT EXISTS (SELECT 1 FROM bulk_job WHERE bulk_job.id = delivery.resend_id AND origin = 3)",
    ),
    (
        "every delivery has its notification",
        "deliveries without a notification",
        "SELECT count(*) FROM delivery WHERE NOT EXISTS (SELECT 1 FROM notification WHERE id = delivery.notification_id)",
    ),
    (
        "every notification was fanned out",
        // Those whose status the URL's triggers take, as far back as these are known (the bits are those of
        // src/domain/content.rs); a TEST order may have been for one URL alone.
        "notifications without a delivery to a URL that existed before them",
        // A message whose gateway was asked back was accepted after it came in: when its id was made.
        "WITH told AS (
             SELECT *, min(received_at, ((id >> 22) + 1704067200000) * 1000) AS earliest,
                 max(received_at, ((id >> 22) + 1704067200000) * 1000) AS latest FROM notification
         )
         SELECT count(*) FROM told AS notification
             JOIN notification_url ON notification_url.merchant_id = notification.merchant_id
             JOIN merchant ON merchant.id = notification.merchant_id
         WHERE coalesce(notification_url.triggers_at, 0) < notification.earliest - 60000000
             AND (notification_url.triggers IS NOT NULL
                 OR coalesce(merchant.triggers_at, 0) < notification.earliest - 60000000)
             AND coalesce(notification_url.triggers, merchant.triggers, 8191) & CASE upper(notification.vendor_status)
                 WHEN 'PENDING' THEN 1 WHEN 'PENDING_APPROVAL' THEN 2 WHEN 'PURCHASE_PENDING' THEN 4
                 WHEN 'PAYMENT_AUTHORIZED' THEN 8 WHEN 'PENDING_ORDER_APPROVAL' THEN 16 WHEN 'PAYMENT_RECEIVED' THEN 32
                 WHEN 'COMPLETE' THEN 64 WHEN 'CANCELED' THEN 128 WHEN 'REVERSED' THEN 256 WHEN 'REFUND' THEN 512
                 WHEN 'INVALID' THEN 1024 WHEN 'SUSPECT' THEN 2048
                 ELSE CASE notification.status WHEN 'created' THEN 1 WHEN 'pending' THEN 1 WHEN 'authorized' THEN 8
                     WHEN 'paid' THEN 64 WHEN 'partially-refunded' THEN 512 WHEN 'refunded' THEN 512 WHEN 'reversed' THEN 256
                     WHEN 'cancelled' THEN 128 WHEN 'failed' THEN 1024 ELSE 4096 END END <> 0
             AND (notification.listener_id IS NOT NULL OR EXISTS (SELECT 1 FROM delivery
                 WHERE delivery.notification_id = notification.id AND delivery.origin = 0))
             AND notification_url.created_at < notification.earliest - 60000000
             AND coalesce(notification_url.removed_at, notification.latest + 60000001) > notification.latest + 60000000
             AND NOT EXISTS (SELECT 1 FROM delivery
                 WHERE delivery.notification_id = notification.id AND delivery.url_id = notification_url.id)",
    ),
    (
        "open deliveries are due, final ones are not",
        "deliveries whose due time does not fit their state",
        "SELECT count(*) FROM delivery WHERE (state IN (0, 2)) <> (due_at IS NOT NULL)
             OR (state IN (4, 5, 6)) <> (finished_at IS NOT NULL)",
    ),
    (
        "no number of an attempt is left out",
        "deliveries whose attempts are not numbered one after the other",
        "SELECT count(*) FROM (SELECT delivery_id FROM attempt GROUP BY delivery_id
             HAVING min(number) <> 1 OR max(number) <> count(*))",
    ),
    (
        "attempts are counted",
        "deliveries whose number of attempts is wrong",
        "SELECT count(*) FROM delivery WHERE attempts <> (SELECT count(*) FROM attempt WHERE delivery_id = delivery.id)
             AND id >= (SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'attempts_kept_from'), 0))",
    ),
    (
        "what is confirmed was confirmed by a receipt",
        "confirmed deliveries without a confirmed attempt",
        "SELECT count(*) FROM delivery WHERE state = 4
             AND id >= (SELECT coalesce((SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'attempts_kept_from'), 0))
             AND NOT EXISTS (SELECT 1 FROM attempt WHERE delivery_id = delivery.id AND cause IS NULL)",
    ),
];

/// Open deliveries wait for the server of this database, or for the next look of it.
async fn nodes(conn: &mut SqliteConnection) -> Result<Finding, StoreError> {
    let query = "SELECT count(*) FROM delivery WHERE state IN (0, 2) AND node_id <> ?";
    let strange: i64 = sqlx::query_scalar(query).bind(NODE).fetch_one(conn).await?;
    let detail = if strange == 0 {
        "none of another".to_owned()
    } else {
        format!("{strange} open deliveries of a node that is not there")
    };
    Ok(Finding { check: "open deliveries belong to nodes that live", ok: strange == 0, detail })
}

async fn structure(conn: &mut SqliteConnection) -> Result<Finding, StoreError> {
    // Indexes against their tables, too: a delivery that its index does not hold would never be sent.
    let rows: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(20)").fetch_all(conn).await?;
    let detail = rows.join("; ");
    Ok(Finding { check: "the file is sound", ok: detail == "ok", detail })
}

async fn references(conn: &mut SqliteConnection) -> Result<Finding, StoreError> {
    let broken = sqlx::query("PRAGMA foreign_key_check").fetch_all(conn).await?.len();
    let detail = if broken == 0 { "none broken".to_owned() } else { format!("{broken} broken references") };
    Ok(Finding { check: "references point to rows", ok: broken == 0, detail })
}

/// Accepted deliveries = the sum over the states, for each URL, against a count of the rows themselves.
async fn books(conn: &mut SqliteConnection) -> Result<Finding, StoreError> {
    let counted: Vec<(i64, i64, i64)> =
        sqlx::query_as("SELECT url_id, state, count(*) FROM delivery GROUP BY 1, 2").fetch_all(&mut *conn).await?;
    let rows = sqlx::query("SELECT url_id, accepted, queued, retrying, held, confirmed, expired, cancelled FROM url_books")
        .fetch_all(conn)
        .await?;
    let states = [
        DeliveryState::Queued,
        DeliveryState::Retrying,
        DeliveryState::Held,
        DeliveryState::Confirmed,
        DeliveryState::Expired,
        DeliveryState::Cancelled,
    ];
    let mut accepted_total = 0;
    let mut wrong = Vec::new();
    for row in &rows {
        let url: i64 = row.try_get(0)?;
        let accepted: i64 = row.try_get(1)?;
        accepted_total += accepted;
        let mut sum = 0;
        for (column, state) in states.iter().enumerate() {
            let booked: i64 = row.try_get(column + 2)?;
            sum += booked;
            let found = counted.iter().find(|(id, code, _)| (*id, *code) == (url, state.code())).map_or(0, |(_, _, n)| *n);
            if booked != found {
                wrong.push(format!(
                    "URL {}: {booked} {} in the books, {found} in the table",
                    crate::domain::id::UrlId(url),
                    state.label()
                ));
            }
        }
        if sum != accepted {
            wrong.push(format!("URL {}: {accepted} accepted, {sum} over the states", crate::domain::id::UrlId(url)));
        }
    }
    let table_total: i64 = counted.iter().map(|(_, _, n)| n).sum();
    if table_total != accepted_total {
        wrong.push(format!("{accepted_total} accepted in the books, {table_total} deliveries in the table"));
    }
    let ok = wrong.is_empty();
    let detail = if ok { format!("{accepted_total} deliveries accepted = the sum over the states") } else { wrong.join("; ") };
    Ok(Finding { check: "the books balance", ok, detail })
}

/// Notifications whose digests are checked together.
const PAGE: i64 = 2_000;

/// The bytes of every notification still hash to the digest taken when it was accepted.
async fn digests(conn: &mut SqliteConnection) -> Result<Finding, StoreError> {
    let (mut checked, mut wrong) = (0u64, 0u64);
    let mut after = 0;
    let mut open = None;
    let mut parts = Vec::new();
    loop {
        // Notifications lie in nearly the order of their segments, so with a page of them sorted here each segment is
        // read about once, and neither the rows nor their bytes are ever in memory all together.
        let mut rows: Vec<Proof<u32>> = sqlx::query_as(
            "SELECT segment_id, part, id, digest, translated, message_id, size FROM notification WHERE id > ? ORDER BY id
             LIMIT ?",
        )
        .bind(after)
        .bind(PAGE)
        .fetch_all(&mut *conn)
        .await?;
        let Some((_, _, last, ..)) = rows.last() else { break };
        after = *last;
        rows.sort_unstable();
        for (segment, part, _, digest, translated, message_id, size) in rows {
            if open != Some(segment) {
                let bytes: Option<Vec<u8>> =
                    sqlx::query_scalar("SELECT bytes FROM segment WHERE id = ?").bind(segment).fetch_optional(&mut *conn).await?;
                let Some(bytes) = bytes else { continue };
                parts = unpack(&bytes).unwrap_or_default();
                open = Some(segment);
            }
            let body = parts.get(part as usize + 1);
            checked += 1;
            wrong += u64::from(!body.is_some_and(|body| is_unaltered(&digest, translated, &message_id, size, body)));
        }
    }
    let detail =
        if wrong == 0 { format!("{checked} bodies hash right") } else { format!("{wrong} of {checked} bodies are altered") };
    Ok(Finding { check: "stored messages are unaltered", ok: wrong == 0, detail })
}

/// Messages that wait for their gateway's word: each has its listener, and its bytes are what came.
async fn verifying(conn: &mut SqliteConnection) -> Result<Finding, StoreError> {
    let (mut waiting, mut wrong, mut after) = (0u64, 0u64, 0i64);
    loop {
        let rows: Vec<(i64, Vec<u8>, Vec<u8>, bool)> = sqlx::query_as(
            "SELECT id, digest, bytes, EXISTS (SELECT 1 FROM listener WHERE listener.id = verifying.listener_id
                 AND listener.merchant_id = verifying.merchant_id)
             FROM verifying WHERE id > ? ORDER BY id LIMIT ?",
        )
        .bind(after)
        .bind(200i64)
        .fetch_all(&mut *conn)
        .await?;
        let Some((last, ..)) = rows.last() else { break };
        after = *last;
        for (_, digest, bytes, has_listener) in rows {
            waiting += 1;
            wrong += u64::from(!has_listener || !is_sound(&digest, &bytes));
        }
    }
    let detail = match (waiting, wrong) {
        (0, _) => "none waits".to_owned(),
        (_, 0) => format!("{waiting} acknowledged and not confirmed yet"),
        _ => format!("{wrong} of {waiting} are altered or belong to no listener"),
    };
    Ok(Finding { check: "messages that wait for their gateway's word are whole", ok: wrong == 0, detail })
}

/// The bytes of every attempt can be read: request and answer, each with its head.
async fn exchanges(conn: &mut SqliteConnection) -> Result<Finding, StoreError> {
    let mut exchanges = Exchanges::default();
    let mut after = (0, 0);
    loop {
        let mut rows: Vec<(i64, u32, i64, i64)> = sqlx::query_as(
            "SELECT segment_id, part, delivery_id, number FROM attempt WHERE (delivery_id, number) > (?, ?)
             ORDER BY delivery_id, number LIMIT ?",
        )
        .bind(after.0)
        .bind(after.1)
        .bind(PAGE)
        .fetch_all(&mut *conn)
        .await?;
        let Some((.., delivery, number)) = rows.last() else { break };
        after = (*delivery, *number);
        rows.sort_unstable();
        for (segment, part, ..) in rows {
            if !exchanges.is_open(segment) {
                let bytes: Option<Vec<u8>> =
                    sqlx::query_scalar("SELECT bytes FROM segment WHERE id = ?").bind(segment).fetch_optional(&mut *conn).await?;
                let Some(bytes) = bytes else { continue };
                exchanges.open(segment, &bytes);
            }
            exchanges.check(part as usize);
        }
    }
    Ok(exchanges.finding())
}

async fn secrets(store: &SqliteStore) -> Result<Finding, StoreError> {
    let check = "secrets open with the key file";
    Ok(match super::settings::load(&store.0.readers, &store.0.vault).await {
        Ok(_) => Finding { check, ok: true, detail: store.0.vault.path().display().to_string() },
        Err(StoreError::Corrupt(detail)) => Finding { check, ok: false, detail },
        Err(error) => return Err(error),
    })
}
