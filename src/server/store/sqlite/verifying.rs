//! Messages that wait for their gateway's word.

use super::{SqliteStore, refusals, rows::json};
use crate::domain::{
    Timestamp,
    id::{ListenerId, MerchantId, RefusalId, VerifyingId},
    pages::inbound::VerifyingRow,
};
use crate::server::store::{
    Change, Commit, NewRefusal, NewVerifying, StoreError, StoredVerifying, Verifying, WaitingLong,
    verifying::{CHOICE, MOST_OF_LISTENER, Row, full, packed, unpacked},
};
use sqlx::{Row as _, sqlite::SqliteRow};

/// Those that are taken next: of the first that are due at most so many of each listener.
pub(super) const TAKE: &str = "UPDATE verifying SET taken_until = ?2, asked_at = ?1, attempts = attempts + 1 WHERE id IN (
         SELECT id FROM (
             SELECT id, due_at, row_number() OVER (PARTITION BY listener_id ORDER BY due_at, id) AS place FROM (
                 SELECT id, listener_id, due_at FROM verifying
                 WHERE due_at <= ?1 AND (taken_until IS NULL OR taken_until <= ?1)
                     AND listener_id NOT IN (SELECT value FROM json_each(?3))
                 ORDER BY due_at, id LIMIT ?4))
         WHERE place <= ?5 ORDER BY due_at, id LIMIT ?6)
     RETURNING id, merchant_id, listener_id, received_at, reference, peer, bytes, repeats, attempts";

/// The columns of a line on a page.
macro_rules! line {
    () => {
        "SELECT id, received_at, reference, peer, size, repeats, attempts, asked_at, due_at, note, listener_id"
    };
}
pub(super) const NEWEST_VERIFYING: &str = concat!(
    line!(),
    " FROM verifying WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND (?4 IS NULL OR listener_id = ?4)
         AND (?6 IS NULL OR listener_id IN (SELECT id FROM listener WHERE merchant_id = ?1 AND gateway = ?6)) ORDER BY id DESC LIMIT ?5"
);
pub(super) const OLDEST_VERIFYING: &str = concat!(
    line!(),
    " FROM verifying WHERE merchant_id = ?1 AND id >= ?2 AND id < ?3 AND (?4 IS NULL OR listener_id = ?4)
         AND (?6 IS NULL OR listener_id IN (SELECT id FROM listener WHERE merchant_id = ?1 AND gateway = ?6)) ORDER BY id LIMIT ?5"
);
const ONE: &str = concat!(line!(), ", bytes FROM verifying WHERE merchant_id = ? AND id = ?");

/// A line of a page.
pub(super) fn verifying_row(row: &SqliteRow) -> Result<VerifyingRow, StoreError> {
    Ok(VerifyingRow {
        id: VerifyingId(row.try_get(0)?),
        received_at: Timestamp(row.try_get(1)?),
        reference: row.try_get(2)?,
        peer: row.try_get(3)?,
        size: row.try_get::<i64, _>(4)?.unsigned_abs(),
        repeats: row.try_get(5)?,
        asked: row.try_get(6)?,
        asked_at: row.try_get::<Option<i64>, _>(7)?.map(Timestamp),
        next_at: Timestamp(row.try_get(8)?),
        note: row.try_get(9)?,
    })
}

fn told(merchant_id: MerchantId, listener_id: ListenerId) -> Commit {
    Commit { changes: vec![Change::Refusal(merchant_id, listener_id)], ..Commit::default() }
}

impl SqliteStore {
    pub(in crate::server::store) async fn add_verifying(&self, new: NewVerifying) -> Result<bool, StoreError> {
        self.only_served()?;
        let id = self.0.ids.next();
        self.change(move |conn| {
            Box::pin(async move {
                let (digest, bytes) = packed(&new);
                let (listener, merchant) = (new.listener_id.0, new.merchant_id.0);
                let beyond: Option<i64> = sqlx::query_scalar("SELECT 1 FROM verifying WHERE listener_id = ? LIMIT 1 OFFSET ?")
                    .bind(listener)
                    .bind(MOST_OF_LISTENER)
                    .fetch_optional(&mut *conn)
                    .await?;
                if beyond.is_some() {
                    return Err(full());
                }
                let stored: i64 = sqlx::query_scalar(
                    "INSERT INTO verifying (id, merchant_id, listener_id, received_at, digest, reference, peer, size, bytes, due_at)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                     ON CONFLICT (listener_id, digest) DO UPDATE SET repeats = repeats + 1 RETURNING id",
                )
                .bind(id)
                .bind(merchant)
                .bind(listener)
                .bind(new.received_at.0)
                .bind(&digest[..])
                .bind(&new.reference)
                .bind(&new.peer)
                .bind(new.body.len() as i64)
                .bind(bytes)
                .bind(new.received_at.0)
                .fetch_one(&mut *conn)
                .await?;
                Ok((stored != id, told(new.merchant_id, new.listener_id)))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn verifying_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT due_at FROM verifying WHERE taken_until IS NULL OR taken_until <= ? ORDER BY due_at, id LIMIT 1",
        )
        .bind(self.0.clock.now().0)
        .fetch_optional(&self.0.readers)
        .await?;
        Ok(due.map(Timestamp))
    }

    pub(in crate::server::store) async fn pull_back_verifying(
        &self,
        now: Timestamp,
        latest: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let ahead = "SELECT EXISTS (SELECT 1 FROM verifying
                 WHERE due_at > ?2 OR taken_until > ?3 OR (attempts = 0 AND due_at > ?1))";
        let ahead: bool = sqlx::query_scalar(ahead).bind(now.0).bind(latest.0).bind(until.0).fetch_one(&self.0.readers).await?;
        if !ahead {
            return Ok(());
        }
        self.change(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE verifying SET due_at = CASE attempts WHEN 0 THEN min(due_at, ?1) ELSE min(due_at, ?2) END,
                         taken_until = min(taken_until, ?3)
                     WHERE due_at > ?2 OR taken_until > ?3 OR (attempts = 0 AND due_at > ?1)",
                )
                .bind(now.0)
                .bind(latest.0)
                .bind(until.0)
                .execute(&mut *conn)
                .await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn take_verifying(
        &self,
        until: Timestamp,
        without: Vec<ListenerId>,
        of_each: u32,
        most: u32,
    ) -> Result<Vec<Verifying>, StoreError> {
        let now = self.0.clock.now();
        let without = json(&without.iter().map(|id| id.0).collect::<Vec<_>>())?;
        let rows = self
            .change(move |conn| {
                Box::pin(async move {
                    let taken = sqlx::query(TAKE).bind(now.0).bind(until.0).bind(without).bind(CHOICE).bind(of_each).bind(most);
                    let rows = taken.fetch_all(&mut *conn).await?;
                    let read = |row: &SqliteRow| -> Result<Row, StoreError> {
                        Ok(Row {
                            ids: [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?],
                            received_at: row.try_get(3)?,
                            reference: row.try_get(4)?,
                            peer: row.try_get(5)?,
                            bytes: row.try_get(6)?,
                            repeats: row.try_get(7)?,
                            attempts: row.try_get(8)?,
                        })
                    };
                    Ok((rows.iter().map(read).collect::<Result<Vec<_>, _>>()?, Commit::default()))
                })
            })
            .await?;
        rows.into_iter().map(Row::read).collect()
    }

    pub(in crate::server::store) async fn postpone_verifying(
        &self,
        id: VerifyingId,
        due_at: Timestamp,
        note: String,
    ) -> Result<(), StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                let of: Option<(i64, i64)> = sqlx::query_as(
                    "UPDATE verifying SET taken_until = NULL, due_at = ?, note = ? WHERE id = ? RETURNING merchant_id, listener_id",
                )
                .bind(due_at.0)
                .bind(note)
                .bind(id.0)
                .fetch_optional(&mut *conn)
                .await?;
                let commit = of.map(|(merchant, listener)| told(MerchantId(merchant), ListenerId(listener)));
                Ok(((), commit.unwrap_or_default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn settle_verifying(
        &self,
        taken: Verifying,
        refusal: Option<NewRefusal>,
    ) -> Result<bool, StoreError> {
        let (refusal_id, now) = (RefusalId(self.0.ids.next()), self.0.clock.now());
        self.change(move |conn| {
            Box::pin(async move {
                let gone = sqlx::query("DELETE FROM verifying WHERE id = ? AND repeats = ?")
                    .bind(taken.id.0)
                    .bind(i64::from(taken.repeats))
                    .execute(&mut *conn)
                    .await?
                    .rows_affected();
                let commit = told(taken.merchant_id, taken.listener_id);
                if gone == 1 {
                    if let Some(refusal) = &refusal {
                        refusals::write(conn, refusal_id, refusal).await?;
                    }
                    return Ok((true, commit));
                }
                // It came again while the gateway was asked: what it says may be other than what it said a moment ago.
                let again = sqlx::query("UPDATE verifying SET taken_until = NULL, due_at = ? WHERE id = ?")
                    .bind(now.0)
                    .bind(taken.id.0)
                    .execute(&mut *conn)
                    .await?;
                Ok((again.rows_affected() == 1, commit))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn hurry_verifying(
        &self,
        listener_id: ListenerId,
        id: Option<VerifyingId>,
    ) -> Result<(), StoreError> {
        let now = self.0.clock.now();
        self.change(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE verifying SET due_at = ?1 WHERE listener_id = ?2 AND (?3 IS NULL OR id = ?3) AND due_at > ?1",
                )
                .bind(now.0)
                .bind(listener_id.0)
                .bind(id.map(|id| id.0))
                .execute(&mut *conn)
                .await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    /// What an earlier process had taken is free again.
    pub(super) async fn free_verifying(&self) -> Result<(), StoreError> {
        self.change(|conn| {
            Box::pin(async move {
                sqlx::query("UPDATE verifying SET taken_until = NULL WHERE taken_until IS NOT NULL").execute(&mut *conn).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn verifying(
        &self,
        merchant_id: MerchantId,
        id: VerifyingId,
    ) -> Result<Option<StoredVerifying>, StoreError> {
        let row = sqlx::query(ONE).bind(merchant_id.0).bind(id.0).fetch_optional(&self.0.readers).await?;
        let Some(row) = row else { return Ok(None) };
        let (head, body) = unpacked(row.try_get(11)?)?;
        Ok(Some(StoredVerifying { listener_id: ListenerId(row.try_get(10)?), row: verifying_row(&row)?, head, body }))
    }

    pub(in crate::server::store) async fn waiting_long(
        &self,
        merchants: &[MerchantId],
        before: Timestamp,
    ) -> Result<Vec<WaitingLong>, StoreError> {
        let rows = sqlx::query(
            "SELECT listener_id, count(*), min(received_at), max(note) FROM verifying
             WHERE merchant_id IN (SELECT value FROM json_each(?)) AND received_at < ? GROUP BY listener_id ORDER BY listener_id",
        )
        .bind(json(&merchants.iter().map(|id| id.0).collect::<Vec<_>>())?)
        .bind(before.0)
        .fetch_all(&self.0.readers)
        .await?;
        let waiting = |row: &SqliteRow| -> Result<WaitingLong, StoreError> {
            Ok(WaitingLong {
                listener_id: ListenerId(row.try_get(0)?),
                count: row.try_get::<i64, _>(1)?.unsigned_abs(),
                since: Timestamp(row.try_get(2)?),
                note: row.try_get(3)?,
            })
        };
        rows.iter().map(waiting).collect()
    }
}
