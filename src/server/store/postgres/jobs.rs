//! Bulk resends as they lie in the table: the jobs to work at, the list of them, how their deliveries stand.

use super::Core;
use crate::domain::{
    Timestamp,
    id::{BulkId, DeliveryId, MerchantId, UrlId},
    pages::{
        bulk::{BulkRow, BulkStanding, BulkState, BulkTarget, LeftOut},
        deliveries::Counted,
    },
};
use crate::server::store::{
    StoreError,
    bulk::{Position, STANDING_MOST, add_to_standing},
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

/// Bulk resends shown in a list.
const SHOWN: i64 = 100;

/// How the deliveries that a bulk resend made stand.
pub(super) const MADE: &str = "SELECT state, attempts > 0, count(*) FROM
         (SELECT state, attempts FROM delivery WHERE resend_id = $1 AND state = 0 LIMIT $2) AS part GROUP BY 1, 2
     UNION ALL SELECT state, attempts > 0, count(*) FROM
         (SELECT state, attempts FROM delivery WHERE resend_id = $1 AND state = 2 LIMIT $2) AS part GROUP BY 1, 2
     UNION ALL SELECT state, attempts > 0, count(*) FROM
         (SELECT state, attempts FROM delivery WHERE resend_id = $1 AND state = 3 LIMIT $2) AS part GROUP BY 1, 2
     UNION ALL SELECT state, attempts > 0, count(*) FROM
         (SELECT state, attempts FROM delivery WHERE resend_id = $1 AND state = 4 LIMIT $2) AS part GROUP BY 1, 2
     UNION ALL SELECT state, attempts > 0, count(*) FROM
         (SELECT state, attempts FROM delivery WHERE resend_id = $1 AND state = 5 LIMIT $2) AS part GROUP BY 1, 2
     UNION ALL SELECT state, attempts > 0, count(*) FROM
         (SELECT state, attempts FROM delivery WHERE resend_id = $1 AND state = 6 LIMIT $2) AS part GROUP BY 1, 2";
/// How those stand that a list cancelled: some may have been confirmed, because their request was on its way.
pub(super) const CANCELLED: &str = "SELECT state, attempts > 0, count(*) FROM
         (SELECT state, attempts FROM delivery WHERE cancel_id = $1 AND state = 4 LIMIT $2) AS found GROUP BY 1, 2
     UNION ALL SELECT state, attempts > 0, count(*) FROM
         (SELECT state, attempts FROM delivery WHERE cancel_id = $1 AND state = 6 LIMIT $2) AS found GROUP BY 1, 2";

macro_rules! bulk_columns {
    () => {
        "id, at, actor, filter, target, expected, state, made, confirmed, waiting, removed, without_bytes, behind, position,
         finished_at, merchant_id, ceiling, swept, starts_at"
    };
}

/// A job as it is worked at.
pub(super) struct Work {
    pub row: BulkRow,
    pub merchant_id: MerchantId,
    pub ceiling: i64,
    pub position: Position,
}

fn work(row: &PgRow) -> Result<Work, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("bulk_job.{what}"));
    let count = |column| row.try_get::<i64, _>(column).map(|count| u64::try_from(count).unwrap_or(0));
    let behind = Position::behind_from(row.try_get(12)?)?;
    let target = BulkTarget::from_code(row.try_get(4)?).ok_or_else(|| corrupt("target"))?;
    let after: i64 = row.try_get(13)?;
    Ok(Work {
        row: BulkRow {
            id: BulkId(row.try_get(0)?),
            at: Timestamp(row.try_get(1)?),
            actor: row.try_get(2)?,
            filter: serde_json::from_str(row.try_get(3)?).map_err(|_| corrupt("filter"))?,
            target,
            expected: row.try_get::<Option<i64>, _>(5)?.map(|count| u64::try_from(count).unwrap_or(0)),
            state: BulkState::from_code(row.try_get(6)?).ok_or_else(|| corrupt("state"))?,
            made: count(7)?,
            left_out: LeftOut { confirmed: count(8)?, waiting: count(9)?, removed: count(10)?, without_bytes: count(11)? },
            // Of a cancelling these are states.
            behind: behind.keys().filter(|_| target != BulkTarget::Cancel).map(|url| UrlId(*url)).collect(),
            looked_to: DeliveryId(after),
            finished_at: row.try_get::<Option<i64>, _>(14)?.map(Timestamp),
            starts_at: Timestamp(row.try_get(18)?),
        },
        merchant_id: MerchantId(row.try_get(15)?),
        ceiling: row.try_get(16)?,
        position: Position { after, swept: row.try_get(17)?, behind },
    })
}

/// The job whose turn it is at a moment, of those that nobody else works at.
pub(super) async fn next_job(conn: &mut PgConnection, now: Timestamp) -> Result<Option<Work>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        bulk_columns!(),
        " FROM bulk_job WHERE finished_at IS NULL AND (starts_at <= $1 OR state = 2) ORDER BY turn, id LIMIT 1
             FOR UPDATE SKIP LOCKED"
    ))
    .bind(now.0)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(work).transpose()
}

/// A job that was cancelled, while there may be something to take back.
pub(super) async fn cancelled_job(conn: &mut PgConnection, id: BulkId) -> Result<Option<Work>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        bulk_columns!(),
        " FROM bulk_job WHERE id = $1 AND state = 2 AND finished_at IS NULL FOR UPDATE"
    ))
    .bind(id.0)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(work).transpose()
}

impl Core {
    /// The latest bulk resends of a merchant.
    pub(in crate::server::store) async fn bulks(&self, merchant_id: MerchantId) -> Result<Vec<BulkRow>, StoreError> {
        let rows =
            sqlx::query(concat!("SELECT ", bulk_columns!(), " FROM bulk_job WHERE merchant_id = $1 ORDER BY id DESC LIMIT $2"))
                .bind(merchant_id.0)
                .bind(SHOWN)
                .fetch_all(&self.reading)
                .await?;
        rows.iter().map(|row| Ok(work(row)?.row)).collect()
    }

    /// A bulk resend, and how its deliveries stand.
    pub(in crate::server::store) async fn bulk(
        &self,
        merchant_id: MerchantId,
        id: BulkId,
    ) -> Result<Option<(BulkRow, BulkStanding)>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", bulk_columns!(), " FROM bulk_job WHERE id = $1 AND merchant_id = $2"))
            .bind(id.0)
            .bind(merchant_id.0)
            .fetch_optional(&self.reading)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let row = work(&row)?.row;
        let counts: Vec<(i64, bool, i64)> = sqlx::query_as(if row.is_cancel() { CANCELLED } else { MADE })
            .bind(id.0)
            .bind(STANDING_MOST)
            .fetch_all(&self.reading)
            .await?;
        let mut standing = BulkStanding::default();
        for (state, tried, number) in counts {
            let counted = Counted { number: number.unsigned_abs(), more: number >= STANDING_MOST };
            add_to_standing(&mut standing, super::rows::state(state)?, tried, counted);
        }
        Ok(Some((row, standing)))
    }

    /// Whether a delivery still waits for an attempt. One that is promised and does not stand in the table yet does.
    pub(in crate::server::store) async fn is_open(&self, id: DeliveryId) -> Result<bool, StoreError> {
        let query = "SELECT NOT EXISTS (SELECT 1 FROM delivery WHERE id = $1 AND state NOT IN (0, 2))";
        Ok(sqlx::query_scalar(query).bind(id.0).fetch_one(&self.reading).await?)
    }
}
