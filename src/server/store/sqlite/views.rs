//! Saved views, the time zone of a merchant, and what is noted in the audit log of what changes nothing.

use super::{SqliteStore, settings::Audit};
use crate::domain::{
    Zone,
    audit::Differences,
    id::{MerchantId, UserId, ViewId},
    pages::views::{ListKind, SavedView},
};
use crate::server::store::{Actor, Commit, NewView, StoreError, acts::Changed};

/// Views that one user may have of one list.
const MOST: i64 = 50;

impl SqliteStore {
    /// The views of a list that a user keeps, by name.
    pub(in crate::server::store) async fn views(
        &self,
        user_id: UserId,
        merchant_id: MerchantId,
        list: ListKind,
    ) -> Result<Vec<SavedView>, StoreError> {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT id, name, query FROM saved_view WHERE user_id = ? AND merchant_id = ? AND list = ? ORDER BY name",
        )
        .bind(user_id.0)
        .bind(merchant_id.0)
        .bind(list.code())
        .fetch_all(&self.0.readers)
        .await?;
        Ok(rows.into_iter().map(|(id, name, query)| SavedView { id: ViewId(id), name, query }).collect())
    }

    /// Keeps a view; one of the same name is replaced. `false` where there are too many.
    pub(in crate::server::store) async fn save_view(&self, new: NewView) -> Result<bool, StoreError> {
        let id = self.0.ids.next();
        self.change(move |conn| {
            Box::pin(async move {
                let saved = sqlx::query(
                    "INSERT INTO saved_view (id, user_id, merchant_id, list, name, query)
                     SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM saved_view
                         WHERE user_id = ?2 AND merchant_id = ?3 AND list = ?4 AND name <> ?5) < ?7
                     ON CONFLICT (user_id, merchant_id, list, name) DO UPDATE SET query = excluded.query",
                )
                .bind(id)
                .bind(new.user_id.0)
                .bind(new.merchant_id.0)
                .bind(new.list.code())
                .bind(&new.name)
                .bind(&new.query)
                .bind(MOST)
                .execute(conn)
                .await?;
                Ok((saved.rows_affected() > 0, Commit::default()))
            })
        })
        .await
    }

    /// Forgets a view of a user; `false` where he has none of that id.
    pub(in crate::server::store) async fn remove_view(
        &self,
        user_id: UserId,
        merchant_id: MerchantId,
        id: ViewId,
    ) -> Result<bool, StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                let removed = sqlx::query("DELETE FROM saved_view WHERE id = ? AND user_id = ? AND merchant_id = ?")
                    .bind(id.0)
                    .bind(user_id.0)
                    .bind(merchant_id.0)
                    .execute(conn)
                    .await?;
                Ok((removed.rows_affected() > 0, Commit::default()))
            })
        })
        .await
    }

    /// Sets the zone in which a merchant's moments are told.
    pub(in crate::server::store) async fn set_time_zone(
        &self,
        merchant_id: MerchantId,
        zone: Zone,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let known = sqlx::query_as("SELECT version, time_zone FROM merchant WHERE id = ?").bind(merchant_id.0);
                let (version, before): (i64, String) =
                    known.fetch_optional(&mut *conn).await?.ok_or(StoreError::NotFound("the merchant"))?;
                if before == zone.name() {
                    return Ok(());
                }
                actor.must_have_seen(Some(version))?;
                let subject: String = sqlx::query_scalar(
                    "UPDATE merchant SET time_zone = ?, updated_at = ?, version = version + 1 WHERE id = ? RETURNING name",
                )
                .bind(zone.name())
                .bind(store.0.clock.now().0)
                .bind(merchant_id.0)
                .fetch_one(&mut *conn)
                .await?;
                let fields = Differences::default().field("Time zone", &before, zone.name()).end();
                let entry = Audit {
                    actor: &actor,
                    merchant_id: Some(merchant_id),
                    action: "merchant.time-zone",
                    subject,
                    detail: String::new(),
                    change: Some(Changed { id: merchant_id.0, version: version + 1, fields }),
                };
                store.audit(conn, entry).await
            })
        })
        .await
    }

    /// Notes in the audit log that somebody took a list along.
    pub(in crate::server::store) async fn note_export(
        &self,
        merchant_id: MerchantId,
        list: ListKind,
        query: String,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let entry = Audit {
                    actor: &actor,
                    merchant_id: Some(merchant_id),
                    action: "list.export",
                    subject: list.code().to_owned(),
                    detail: query,
                    change: None,
                };
                store.audit(conn, entry).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }
}
