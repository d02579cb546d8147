//! Saved views, the time zone of a merchant, and what is noted in the audit log of what changes nothing.

use super::{Core, rows::text, settings::Audit};
use crate::domain::{
    Zone,
    audit::Differences,
    id::{MerchantId, UserId, ViewId},
    pages::views::{ListKind, SavedView},
};
use crate::server::store::{Actor, NewView, StoreError, acts::Changed};

/// Views that one user may have of one list.
const MOST: i64 = 50;

impl Core {
    /// The views of a list that a user keeps, by name.
    pub(in crate::server::store) async fn views(
        &self,
        user_id: UserId,
        merchant_id: MerchantId,
        list: ListKind,
    ) -> Result<Vec<SavedView>, StoreError> {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT id, name, query FROM saved_view WHERE user_id = $1 AND merchant_id = $2 AND list = $3 ORDER BY name",
        )
        .bind(user_id.0)
        .bind(merchant_id.0)
        .bind(list.code())
        .fetch_all(&self.reading)
        .await?;
        Ok(rows.into_iter().map(|(id, name, query)| SavedView { id: ViewId(id), name, query }).collect())
    }

    /// Keeps a view; one of the same name is replaced. `false` where there are too many.
    pub(in crate::server::store) async fn save_view(&self, new: NewView) -> Result<bool, StoreError> {
        let saved = sqlx::query(
            "INSERT INTO saved_view (id, user_id, merchant_id, list, name, query)
             SELECT $1::bigint, $2::bigint, $3::bigint, $4::text, $5::text, $6::text WHERE (SELECT count(*) FROM saved_view
                 WHERE user_id = $2 AND merchant_id = $3 AND list = $4 AND name <> $5) < $7
             ON CONFLICT (user_id, merchant_id, list, name) DO UPDATE SET query = excluded.query",
        )
        .bind(self.ids.next())
        .bind(new.user_id.0)
        .bind(new.merchant_id.0)
        .bind(new.list.code())
        .bind(text(&new.name))
        .bind(text(&new.query))
        .bind(MOST)
        .execute(&self.pool)
        .await?;
        Ok(saved.rows_affected() > 0)
    }

    /// Forgets a view of a user; `false` where he has none of that id.
    pub(in crate::server::store) async fn remove_view(
        &self,
        user_id: UserId,
        merchant_id: MerchantId,
        id: ViewId,
    ) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM saved_view WHERE id = $1 AND user_id = $2 AND merchant_id = $3")
            .bind(id.0)
            .bind(user_id.0)
            .bind(merchant_id.0)
            .execute(&self.pool)
            .await?;
        Ok(removed.rows_affected() > 0)
    }

    /// Sets the zone in which a merchant's moments are told.
    pub(in crate::server::store) async fn set_time_zone(
        &self,
        merchant_id: MerchantId,
        zone: Zone,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let known = sqlx::query_as("SELECT version, time_zone FROM merchant WHERE id = $1 FOR UPDATE").bind(merchant_id.0);
        let (version, before): (i64, String) =
            known.fetch_optional(&mut *tx).await?.ok_or(StoreError::NotFound("the merchant"))?;
        if before == zone.name() {
            return Ok(());
        }
        actor.must_have_seen(Some(version))?;
        let subject: String = sqlx::query_scalar(
            "UPDATE merchant SET time_zone = $1, updated_at = $2, version = version + 1 WHERE id = $3 RETURNING name",
        )
        .bind(zone.name())
        .bind(self.clock.now().0)
        .bind(merchant_id.0)
        .fetch_one(&mut *tx)
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
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await
    }

    /// Notes in the audit log that somebody took a list along.
    pub(in crate::server::store) async fn note_export(
        &self,
        merchant_id: MerchantId,
        list: ListKind,
        query: String,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let entry = Audit {
            actor: &actor,
            merchant_id: Some(merchant_id),
            action: "list.export",
            subject: list.code().to_owned(),
            detail: query,
            change: None,
        };
        let mut conn = self.pool.acquire().await?;
        self.audit(&mut conn, entry).await
    }
}
