//! Notification URLs.

use super::{Core, rows::text, settings::Audit};
use crate::domain::{
    Cause, Triggers,
    attempt::UrlCheck,
    audit::Differences,
    id::{MerchantId, UrlId},
};
use crate::server::store::{Actor, StoreError, UrlDraft, acts::Changed, differences, places};
use sqlx::PgConnection;

impl Core {
    pub(in crate::server::store) async fn add_url(&self, draft: UrlDraft, actor: Actor) -> Result<UrlId, StoreError> {
        let mut tx = self.pool.begin().await?;
        let id = self.ids.next();
        if draft.is_default && actor.seen.is_some() {
            let known =
                sqlx::query_scalar("SELECT version FROM notification_url WHERE merchant_id = $1 AND is_default FOR UPDATE")
                    .bind(draft.merchant_id.0);
            actor.must_have_seen(known.fetch_optional(&mut *tx).await?)?;
        }
        self.demote_default(&mut tx, &draft, id, &actor).await?;
        sqlx::query(
            "INSERT INTO notification_url (id, merchant_id, label, url, is_default, algorithms, concurrent, order_in_order, held,
                 check_status, check_note, checked_at, created_at, updated_at,
                 held_at, max_in_flight, rate_per_second, retries, shadow, authority, triggers, timeout, headers, format)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13,
                 CASE WHEN $9 THEN $13::bigint END, $14, $15, $16, $17, $18, $19, $20, $21, $22)",
        )
        .bind(id)
        .bind(draft.merchant_id.0)
        .bind(text(&draft.label))
        .bind(text(&draft.url))
        .bind(draft.is_default)
        .bind(draft.algorithms.bits())
        .bind(draft.concurrent)
        .bind(draft.order_in_order)
        .bind(draft.held)
        .bind(draft.check.as_ref().map(UrlCheck::word))
        .bind(draft.check.as_ref().map(|check| text(&check.note).into_owned()))
        .bind(draft.check.as_ref().map(|check| check.at.0))
        .bind(self.clock.now().0)
        .bind(i64::from(draft.terms.max_in_flight))
        .bind(draft.terms.rate_per_second.map(i64::from))
        .bind(draft.terms.retries.to_string())
        .bind(draft.terms.shadow)
        .bind(text(&draft.terms.authority))
        .bind(draft.terms.triggers.map(Triggers::bits))
        .bind(draft.terms.timeout.map(i64::from))
        .bind(places::sealed_headers(&self.vault, id, &draft.headers)?)
        .bind(draft.terms.format.name())
        .execute(&mut *tx)
        .await?;
        // The page that sweeps and resends write; what moves it must find it.
        sqlx::query("INSERT INTO url_books (url_id, page) VALUES ($1, 0)").bind(id).execute(&mut *tx).await?;
        self.audit(&mut tx, Audit::of_url(&draft, &actor, "url.add")).await?;
        self.commit_settings(tx).await?;
        Ok(UrlId(id))
    }

    pub(in crate::server::store) async fn update_url(&self, id: UrlId, draft: UrlDraft, actor: Actor) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let known = sqlx::query_scalar("SELECT version FROM notification_url WHERE id = $1 AND merchant_id = $2 FOR UPDATE")
            .bind(id.0)
            .bind(draft.merchant_id.0);
        actor.must_have_seen(known.fetch_optional(&mut *tx).await?)?;
        self.demote_default(&mut tx, &draft, id.0, &actor).await?;
        // What is on hold stays so for the reason and since the moment it was; a release forgets both.
        let version: Option<i64> = sqlx::query_scalar(
            "UPDATE notification_url SET label = $1, url = $2, is_default = $3, algorithms = $4, concurrent = $5,
                 order_in_order = $6, held = $7,
                 held_at = CASE WHEN NOT $7 THEN NULL WHEN held THEN held_at ELSE $11 END,
                 held_cause = CASE WHEN $7 AND held THEN held_cause END,
                 max_in_flight = $14, rate_per_second = $15, retries = $16, shadow = $17, authority = $18,
                 triggers_at = CASE WHEN triggers IS NOT DISTINCT FROM $19 THEN triggers_at ELSE $11 END,
                 triggers = $19, timeout = $20, headers = $21, format = $22,
                 check_status = coalesce($8, check_status),
                 check_note = coalesce($9, check_note), checked_at = coalesce($10, checked_at), updated_at = $11,
                 version = version + 1
             WHERE id = $12 AND merchant_id = $13 AND removed_at IS NULL RETURNING version",
        )
        .bind(text(&draft.label))
        .bind(text(&draft.url))
        .bind(draft.is_default)
        .bind(draft.algorithms.bits())
        .bind(draft.concurrent)
        .bind(draft.order_in_order)
        .bind(draft.held)
        .bind(draft.check.as_ref().map(UrlCheck::word))
        .bind(draft.check.as_ref().map(|check| text(&check.note).into_owned()))
        .bind(draft.check.as_ref().map(|check| check.at.0))
        .bind(self.clock.now().0)
        .bind(id.0)
        .bind(draft.merchant_id.0)
        .bind(i64::from(draft.terms.max_in_flight))
        .bind(draft.terms.rate_per_second.map(i64::from))
        .bind(draft.terms.retries.to_string())
        .bind(draft.terms.shadow)
        .bind(text(&draft.terms.authority))
        .bind(draft.terms.triggers.map(Triggers::bits))
        .bind(draft.terms.timeout.map(i64::from))
        .bind(places::sealed_headers(&self.vault, id.0, &draft.headers)?)
        .bind(draft.terms.format.name())
        .fetch_optional(&mut *tx)
        .await?;
        let version = version.ok_or(StoreError::NotFound("the notification URL"))?;
        let directory = self.directory.borrow().clone();
        let fields = differences::of_url(directory.url(id).map(|url| &**url), version, &draft);
        let change = Some(Changed { id: id.0, version, fields });
        self.audit(&mut tx, Audit { change, ..Audit::of_url(&draft, &actor, "url.change") }).await?;
        self.commit_settings(tx).await
    }

    /// Puts a URL on hold because of what its address answered, unless it is already, or leads elsewhere by now.
    pub(in crate::server::store) async fn hold_for(
        &self,
        id: UrlId,
        address: String,
        cause: Cause,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let changed: Option<(i64, i64)> = sqlx::query_as(
            "UPDATE notification_url SET held = true, held_at = $1, held_cause = $2, updated_at = $1, version = version + 1
             WHERE id = $3 AND url = $4 AND NOT held AND removed_at IS NULL RETURNING merchant_id, version",
        )
        .bind(self.clock.now().0)
        .bind(cause.code())
        .bind(id.0)
        .bind(text(&address))
        .fetch_optional(&mut *tx)
        .await?;
        let Some((merchant, version)) = changed else { return Ok(false) };
        let fields = Differences::default().flag("On hold", false, true).end();
        let entry = Audit {
            actor: &actor,
            merchant_id: Some(MerchantId(merchant)),
            action: "url.hold",
            subject: address,
            detail: cause.label().to_owned(),
            change: Some(Changed { id: id.0, version, fields }),
        };
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await?;
        Ok(true)
    }

    /// Puts a URL on hold, or releases it. What is so already is nobody's conflict; the opposite of it is decided by where the
    /// URL leads and who holds it, so not over a newer version than was seen.
    pub(in crate::server::store) async fn hold_url(
        &self,
        merchant_id: MerchantId,
        id: UrlId,
        held: bool,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let known: Option<(bool, i64)> = sqlx::query_as(
            "SELECT held, version FROM notification_url WHERE id = $1 AND merchant_id = $2 AND removed_at IS NULL FOR UPDATE",
        )
        .bind(id.0)
        .bind(merchant_id.0)
        .fetch_optional(&mut *tx)
        .await?;
        let (is_held, version) = known.ok_or(StoreError::NotFound("the notification URL"))?;
        if is_held == held {
            return Ok(());
        }
        actor.must_have_seen(Some(version))?;
        let (subject, version): (String, i64) = sqlx::query_as(
            "UPDATE notification_url SET held = $1, held_at = CASE WHEN $1 THEN $2::bigint END, held_cause = NULL,
                 updated_at = $2, version = version + 1
             WHERE id = $3 RETURNING url, version",
        )
        .bind(held)
        .bind(self.clock.now().0)
        .bind(id.0)
        .fetch_one(&mut *tx)
        .await?;
        let fields = Differences::default().flag("On hold", !held, held).end();
        let change = Some(Changed { id: id.0, version, fields });
        let action = if held { "url.hold" } else { "url.release" };
        let (merchant_id, detail) = (Some(merchant_id), String::new());
        self.audit(&mut tx, Audit { actor: &actor, merchant_id, action, subject, detail, change }).await?;
        self.commit_settings(tx).await
    }

    /// Takes a URL out of use. Its deliveries stay in the books; the open ones are cancelled by the sweep.
    pub(in crate::server::store) async fn remove_url(
        &self,
        merchant_id: MerchantId,
        id: UrlId,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let known = sqlx::query_scalar(
            "SELECT version FROM notification_url WHERE id = $1 AND merchant_id = $2 AND removed_at IS NULL FOR UPDATE",
        )
        .bind(id.0)
        .bind(merchant_id.0);
        actor.must_have_seen(known.fetch_optional(&mut *tx).await?)?;
        let url: Option<String> = sqlx::query_scalar(
            "UPDATE notification_url SET removed_at = $1, updated_at = $1, is_default = false, version = version + 1
             WHERE id = $2 AND merchant_id = $3 AND removed_at IS NULL RETURNING url",
        )
        .bind(self.clock.now().0)
        .bind(id.0)
        .bind(merchant_id.0)
        .fetch_optional(&mut *tx)
        .await?;
        let entry = Audit {
            actor: &actor,
            merchant_id: Some(merchant_id),
            action: "url.remove",
            subject: url.ok_or(StoreError::NotFound("the notification URL"))?,
            detail: String::new(),
            change: None,
        };
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await
    }

    /// There is one default URL: a new one takes the place of the old, which stays as an additional URL.
    async fn demote_default(&self, conn: &mut PgConnection, draft: &UrlDraft, id: i64, actor: &Actor) -> Result<(), StoreError> {
        if !draft.is_default {
            return Ok(());
        }
        let demoted: Vec<(i64, i64, String)> = sqlx::query_as(
            "UPDATE notification_url SET is_default = false, version = version + 1
             WHERE merchant_id = $1 AND is_default AND id <> $2 RETURNING id, version, url",
        )
        .bind(draft.merchant_id.0)
        .bind(id)
        .fetch_all(&mut *conn)
        .await?;
        for (id, version, url) in demoted {
            self.audit(&mut *conn, places::demotion(actor, draft.merchant_id, id, version, url)).await?;
        }
        Ok(())
    }

    /// What a URL's removal would cancel: deliveries open or held.
    pub(in crate::server::store) async fn outstanding_of(&self, id: UrlId) -> Result<u64, StoreError> {
        let count: Option<i64> =
            sqlx::query_scalar("SELECT sum(queued + retrying + held)::bigint FROM url_books WHERE url_id = $1")
                .bind(id.0)
                .fetch_one(&self.reading)
                .await?;
        Ok(count.and_then(|count| count.try_into().ok()).unwrap_or(0))
    }
}
