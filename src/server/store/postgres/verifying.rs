//! Messages that wait for their gateway's word. Any node asks: whoever takes a row has it until a moment that outlasts every
//! question, or until it is dead, whichever comes first.

use super::{
    Core, refusals,
    rows::{count, moment, small, text},
};
use crate::domain::{
    Timestamp,
    id::{ListenerId, MerchantId, RefusalId, VerifyingId},
    pages::inbound::VerifyingRow,
};
use crate::server::store::{
    Change, Commit, NewRefusal, NewVerifying, StoreError, StoredVerifying, Verifying, WaitingLong,
    verifying::{CHOICE, MOST_OF_LISTENER, Row, full, packed, unpacked},
};
use sqlx::{Row as _, postgres::PgRow};

/// Those that are taken next: of the first that are due at most so many of each listener. What another node takes in the same
/// moment is passed over.
pub(super) const TAKE: &str = "WITH due AS (
         SELECT id, listener_id, due_at FROM verifying
         WHERE due_at <= $1 AND (taken_until IS NULL OR taken_until <= $1
                 OR NOT EXISTS (SELECT 1 FROM node WHERE node.run = taken_by AND ended_at IS NULL)) AND listener_id <> ALL ($3)
         ORDER BY due_at, id LIMIT $4
     ), placed AS (
         SELECT id, due_at, row_number() OVER (PARTITION BY listener_id ORDER BY due_at, id) AS place FROM due
     ), chosen AS (
         SELECT id FROM verifying
         WHERE id IN (SELECT id FROM placed WHERE place <= $5 ORDER BY due_at, id LIMIT $6)
             AND due_at <= $1 AND (taken_until IS NULL OR taken_until <= $1
                 OR NOT EXISTS (SELECT 1 FROM node WHERE node.run = taken_by AND ended_at IS NULL))
         FOR UPDATE SKIP LOCKED
     )
     UPDATE verifying SET taken_until = $2, taken_by = $7, asked_at = $1, attempts = attempts + 1 FROM chosen WHERE verifying.id = chosen.id
     RETURNING verifying.id, merchant_id, listener_id, received_at, reference, peer, bytes, repeats, attempts";

/// The columns of a line on a page.
macro_rules! line {
    () => {
        "SELECT id, received_at, reference, peer, size, repeats, attempts, asked_at, due_at, note, listener_id"
    };
}
pub(super) const NEWEST_VERIFYING: &str = concat!(
    line!(),
    " FROM verifying AS part WHERE (merchant_id, id) >= ($1, $2) AND (merchant_id, id) < ($1, $3) AND ($4::bigint IS NULL OR listener_id = $4)
         AND ($6::text IS NULL OR listener_id IN (SELECT id FROM listener WHERE merchant_id = $1 AND gateway = $6))
         ORDER BY merchant_id DESC, id DESC LIMIT $5"
);
pub(super) const OLDEST_VERIFYING: &str = concat!(
    line!(),
    " FROM verifying AS part WHERE (merchant_id, id) >= ($1, $2) AND (merchant_id, id) < ($1, $3) AND ($4::bigint IS NULL OR listener_id = $4)
         AND ($6::text IS NULL OR listener_id IN (SELECT id FROM listener WHERE merchant_id = $1 AND gateway = $6))
         ORDER BY merchant_id, id LIMIT $5"
);
const ONE: &str = concat!(line!(), ", bytes FROM verifying WHERE merchant_id = $1 AND id = $2");

/// A line of a page.
pub(super) fn verifying_row(row: &PgRow) -> Result<VerifyingRow, StoreError> {
    Ok(VerifyingRow {
        id: VerifyingId(row.try_get(0)?),
        received_at: Timestamp(row.try_get(1)?),
        reference: row.try_get(2)?,
        peer: row.try_get(3)?,
        size: count(row, 4)?,
        repeats: small(row, 5)?,
        asked: small(row, 6)?,
        asked_at: moment(row, 7)?,
        next_at: Timestamp(row.try_get(8)?),
        note: row.try_get(9)?,
    })
}

impl Core {
    fn tell_verifying(&self, merchant_id: MerchantId, listener_id: ListenerId) {
        self.announce(Commit { changes: vec![Change::Refusal(merchant_id, listener_id)], ..Commit::default() });
    }

    pub(in crate::server::store) async fn add_verifying(&self, new: NewVerifying) -> Result<bool, StoreError> {
        let (id, (digest, bytes)) = (self.ids.next(), packed(&new));
        let beyond: Option<i32> = sqlx::query_scalar("SELECT 1 FROM verifying WHERE listener_id = $1 LIMIT 1 OFFSET $2")
            .bind(new.listener_id.0)
            .bind(MOST_OF_LISTENER)
            .fetch_optional(&self.pool)
            .await?;
        if beyond.is_some() {
            return Err(full());
        }
        let stored: i64 = sqlx::query_scalar(
            "INSERT INTO verifying (id, merchant_id, listener_id, received_at, digest, reference, peer, size, bytes, due_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT (listener_id, digest) DO UPDATE SET repeats = verifying.repeats + 1 RETURNING id",
        )
        .bind(id)
        .bind(new.merchant_id.0)
        .bind(new.listener_id.0)
        .bind(new.received_at.0)
        .bind(&digest[..])
        .bind(text(&new.reference))
        .bind(text(&new.peer))
        .bind(new.body.len() as i64)
        .bind(bytes)
        .bind(new.received_at.0)
        .fetch_one(&self.pool)
        .await?;
        self.tell_verifying(new.merchant_id, new.listener_id);
        Ok(stored != id)
    }

    pub(in crate::server::store) async fn verifying_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let query = "SELECT due_at FROM verifying WHERE taken_until IS NULL OR taken_until <= $1
                 OR NOT EXISTS (SELECT 1 FROM node WHERE node.run = taken_by AND ended_at IS NULL)
             ORDER BY due_at, id LIMIT 1";
        let due: Option<i64> = sqlx::query_scalar(query).bind(self.clock.now().0).fetch_optional(&self.pool).await?;
        Ok(due.map(Timestamp))
    }

    pub(in crate::server::store) async fn pull_back_verifying(
        &self,
        now: Timestamp,
        latest: Timestamp,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE verifying SET due_at = CASE attempts WHEN 0 THEN least(due_at, $1) ELSE least(due_at, $2) END,
                 taken_until = CASE WHEN taken_until > $3 THEN $3 ELSE taken_until END
             WHERE due_at > $2 OR taken_until > $3 OR (attempts = 0 AND due_at > $1)",
        )
        .bind(now.0)
        .bind(latest.0)
        .bind(until.0)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(in crate::server::store) async fn take_verifying(
        &self,
        until: Timestamp,
        without: Vec<ListenerId>,
        of_each: u32,
        most: u32,
    ) -> Result<Vec<Verifying>, StoreError> {
        let place = self.present();
        if place.node == 0 {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(TAKE)
            .bind(self.clock.now().0)
            .bind(until.0)
            .bind(without.iter().map(|id| id.0).collect::<Vec<_>>())
            .bind(CHOICE)
            .bind(i64::from(of_each))
            .bind(i64::from(most))
            .bind(place.run)
            .fetch_all(&self.pool)
            .await?;
        let read = |row: &PgRow| -> Result<Verifying, StoreError> {
            let row = Row {
                ids: [row.try_get(0)?, row.try_get(1)?, row.try_get(2)?],
                received_at: row.try_get(3)?,
                reference: row.try_get(4)?,
                peer: row.try_get(5)?,
                bytes: row.try_get(6)?,
                repeats: row.try_get(7)?,
                attempts: row.try_get(8)?,
            };
            row.read()
        };
        rows.iter().map(read).collect()
    }

    pub(in crate::server::store) async fn postpone_verifying(
        &self,
        id: VerifyingId,
        due_at: Timestamp,
        note: String,
    ) -> Result<(), StoreError> {
        let of: Option<(i64, i64)> = sqlx::query_as(
            "UPDATE verifying SET taken_until = NULL, due_at = $1, note = $2 WHERE id = $3 RETURNING merchant_id, listener_id",
        )
        .bind(due_at.0)
        .bind(text(&note))
        .bind(id.0)
        .fetch_optional(&self.pool)
        .await?;
        if let Some((merchant, listener)) = of {
            self.tell_verifying(MerchantId(merchant), ListenerId(listener));
        }
        Ok(())
    }

    pub(in crate::server::store) async fn settle_verifying(
        &self,
        taken: Verifying,
        refusal: Option<NewRefusal>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let gone = sqlx::query("DELETE FROM verifying WHERE id = $1 AND repeats = $2")
            .bind(taken.id.0)
            .bind(i64::from(taken.repeats))
            .execute(&mut *tx)
            .await?
            .rows_affected();
        let mut was_there = gone == 1;
        if was_there {
            if let Some(refusal) = &refusal {
                refusals::write(&mut tx, RefusalId(self.ids.next()), refusal).await?;
            }
        } else {
            // It came again while the gateway was asked: what it says may be other than what it said a moment ago.
            let again = sqlx::query("UPDATE verifying SET taken_until = NULL, due_at = $1 WHERE id = $2")
                .bind(self.clock.now().0)
                .bind(taken.id.0)
                .execute(&mut *tx)
                .await?;
            was_there = again.rows_affected() == 1;
        }
        tx.commit().await?;
        self.tell_verifying(taken.merchant_id, taken.listener_id);
        Ok(was_there)
    }

    pub(in crate::server::store) async fn hurry_verifying(
        &self,
        listener_id: ListenerId,
        id: Option<VerifyingId>,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE verifying SET due_at = $1 WHERE listener_id = $2 AND ($3::bigint IS NULL OR id = $3) AND due_at > $1",
        )
        .bind(self.clock.now().0)
        .bind(listener_id.0)
        .bind(id.map(|id| id.0))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(in crate::server::store) async fn verifying(
        &self,
        merchant_id: MerchantId,
        id: VerifyingId,
    ) -> Result<Option<StoredVerifying>, StoreError> {
        let row = sqlx::query(ONE).bind(merchant_id.0).bind(id.0).fetch_optional(&self.reading).await?;
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
             WHERE merchant_id = ANY($1) AND received_at < $2 GROUP BY listener_id ORDER BY listener_id",
        )
        .bind(merchants.iter().map(|id| id.0).collect::<Vec<_>>())
        .bind(before.0)
        .fetch_all(&self.pool)
        .await?;
        let waiting = |row: &PgRow| -> Result<WaitingLong, StoreError> {
            Ok(WaitingLong {
                listener_id: ListenerId(row.try_get(0)?),
                count: count(row, 1)?,
                since: Timestamp(row.try_get(2)?),
                note: row.try_get(3)?,
            })
        };
        rows.iter().map(waiting).collect()
    }
}
