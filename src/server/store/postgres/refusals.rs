//! Keeping what was refused, within bounds.

use super::{Core, rows::text};
use crate::domain::id::RefusalId;
use crate::server::store::{Change, Commit, NewRefusal, StoreError, pack::pack};
use sqlx::PgConnection;

/// Refusals kept for each listener, and for unknown addresses together; older ones make room.
const KEPT: i64 = 500;

impl Core {
    pub(in crate::server::store) async fn refuse(&self, new: NewRefusal) -> Result<RefusalId, StoreError> {
        let id = RefusalId(self.ids.next());
        let mut tx = self.pool.begin().await?;
        write(&mut tx, id, &new).await?;
        tx.commit().await?;
        let change = new.merchant_id.zip(new.listener_id).map(|(merchant, listener)| Change::Refusal(merchant, listener));
        self.announce(Commit { changes: change.into_iter().collect(), ..Commit::default() });
        Ok(id)
    }
}

/// Keeps it as a part of a transaction.
pub(super) async fn write(conn: &mut PgConnection, id: RefusalId, new: &NewRefusal) -> Result<(), StoreError> {
    let listener_id = new.listener_id.map(|id| id.0);
    sqlx::query(
        "INSERT INTO refusal (id, merchant_id, listener_id, at, reason, detail, peer, size, bytes, suppressed, reference)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(id.0)
    .bind(new.merchant_id.map(|id| id.0))
    .bind(listener_id)
    .bind(new.at.0)
    .bind(new.reason.code())
    .bind(text(&new.detail))
    .bind(text(&new.peer))
    .bind(i64::try_from(new.size).unwrap_or(i64::MAX))
    .bind(pack(&[new.head.as_bytes(), &new.body]))
    .bind(i64::from(new.suppressed))
    .bind(text(&new.reference))
    .execute(&mut *conn)
    .await?;
    // The look-up must see that it is an index' key in both cases.
    if let Some(listener_id) = listener_id {
        sqlx::query(
            "DELETE FROM refusal WHERE listener_id = $1 AND id <=
                 (SELECT id FROM refusal WHERE listener_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
        )
        .bind(listener_id)
        .bind(KEPT)
        .execute(&mut *conn)
        .await?;
    } else {
        sqlx::query(
            "DELETE FROM refusal WHERE listener_id IS NULL AND id <=
                 (SELECT id FROM refusal WHERE listener_id IS NULL ORDER BY id DESC LIMIT 1 OFFSET $1)",
        )
        .bind(KEPT)
        .execute(&mut *conn)
        .await?;
    }
    if let Some(merchant_id) = new.merchant_id {
        sqlx::query(
            "INSERT INTO tally (merchant_id, hour, page, refused) VALUES ($1, $2, 0, $3)
             ON CONFLICT (merchant_id, hour, page) DO UPDATE SET refused = tally.refused + excluded.refused",
        )
        .bind(merchant_id.0)
        .bind(new.at.hour())
        .bind(1 + i64::from(new.suppressed))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
