//! Keeping what was refused, within bounds.

use super::SqliteStore;
use crate::domain::id::RefusalId;
use crate::server::store::{Change, Commit, NewRefusal, StoreError, pack::pack};
use sqlx::SqliteConnection;

/// Refusals kept for each listener, and for unknown addresses together; older ones make room.
const KEPT: i64 = 500;

impl SqliteStore {
    pub(in crate::server::store) async fn refuse(&self, new: NewRefusal) -> Result<RefusalId, StoreError> {
        let id = RefusalId(self.0.ids.next());
        self.change(move |conn| {
            Box::pin(async move {
                write(conn, id, &new).await?;
                let changes =
                    new.merchant_id.zip(new.listener_id).map(|(merchant, listener)| Change::Refusal(merchant, listener));
                Ok((id, Commit { changes: changes.into_iter().collect(), ..Commit::default() }))
            })
        })
        .await
    }
}

pub(super) async fn write(conn: &mut SqliteConnection, id: RefusalId, new: &NewRefusal) -> Result<(), StoreError> {
    let listener_id = new.listener_id.map(|id| id.0);
    sqlx::query(
        "INSERT INTO refusal (id, merchant_id, listener_id, at, reason, detail, peer, size, bytes, suppressed, reference)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id.0)
    .bind(new.merchant_id.map(|id| id.0))
    .bind(listener_id)
    .bind(new.at.0)
    .bind(new.reason.code())
    .bind(&new.detail)
    .bind(&new.peer)
    .bind(i64::try_from(new.size).unwrap_or(i64::MAX))
    .bind(pack(&[new.head.as_bytes(), &new.body]))
    .bind(new.suppressed)
    .bind(&new.reference)
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "DELETE FROM refusal WHERE listener_id IS ?1 AND id <=
             (SELECT id FROM refusal WHERE listener_id IS ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )
    .bind(listener_id)
    .bind(KEPT)
    .execute(&mut *conn)
    .await?;
    if let Some(merchant_id) = new.merchant_id {
        sqlx::query(
            "INSERT INTO tally (merchant_id, hour, refused) VALUES (?, ?, ?)
             ON CONFLICT (merchant_id, hour) DO UPDATE SET refused = refused + excluded.refused",
        )
        .bind(merchant_id.0)
        .bind(new.at.hour())
        .bind(1 + i64::from(new.suppressed))
        .execute(conn)
        .await?;
    }
    Ok(())
}
