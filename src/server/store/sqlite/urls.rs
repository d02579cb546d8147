//! Notification URLs.

use super::{SqliteStore, settings::Audit};
use crate::domain::{
    Cause, Triggers,
    attempt::UrlCheck,
    audit::Differences,
    id::{MerchantId, UrlId},
};
use crate::server::store::{Actor, StoreError, UrlDraft, acts::Changed, differences, places};
use sqlx::SqliteConnection;

impl SqliteStore {
    pub(in crate::server::store) async fn add_url(&self, draft: UrlDraft, actor: Actor) -> Result<UrlId, StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let id = store.0.ids.next();
                let now = store.0.clock.now().0;
                if draft.is_default && actor.seen.is_some() {
                    let known = sqlx::query_scalar("SELECT version FROM notification_url WHERE merchant_id = ? AND is_default = 1")
                        .bind(draft.merchant_id.0);
                    actor.must_have_seen(known.fetch_optional(&mut *conn).await?)?;
                }
                store.demote_default(conn, &draft, id, &actor).await?;
                sqlx::query(
                    "INSERT INTO notification_url (id, merchant_id, label, url, is_default, algorithms, concurrent, order_in_order,
                         held, held_at, max_in_flight, rate_per_second, retries, shadow, authority,
                         triggers, timeout, headers, check_status, check_note, checked_at, created_at, updated_at, format)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(id)
                .bind(draft.merchant_id.0)
                .bind(&draft.label)
                .bind(&draft.url)
                .bind(draft.is_default)
                .bind(draft.algorithms.bits())
                .bind(draft.concurrent)
                .bind(draft.order_in_order)
                .bind(draft.held)
                .bind(draft.held.then_some(now))
                .bind(draft.terms.max_in_flight)
                .bind(draft.terms.rate_per_second)
                .bind(draft.terms.retries.to_string())
                .bind(draft.terms.shadow)
                .bind(&draft.terms.authority)
                .bind(draft.terms.triggers.map(Triggers::bits))
                .bind(draft.terms.timeout)
                .bind(places::sealed_headers(&store.0.vault, id, &draft.headers)?)
                .bind(draft.check.as_ref().map(UrlCheck::word))
                .bind(draft.check.as_ref().map(|check| check.note.clone()))
                .bind(draft.check.as_ref().map(|check| check.at.0))
                .bind(now)
                .bind(now)
                .bind(draft.terms.format.name())
                .execute(&mut *conn)
                .await?;
                sqlx::query("INSERT INTO url_books (url_id) VALUES (?)").bind(id).execute(&mut *conn).await?;
                store.audit(conn, Audit::of_url(&draft, &actor, "url.add")).await?;
                Ok(UrlId(id))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn update_url(&self, id: UrlId, draft: UrlDraft, actor: Actor) -> Result<(), StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let known = sqlx::query_scalar("SELECT version FROM notification_url WHERE id = ? AND merchant_id = ?")
                    .bind(id.0)
                    .bind(draft.merchant_id.0);
                actor.must_have_seen(known.fetch_optional(&mut *conn).await?)?;
                store.demote_default(conn, &draft, id.0, &actor).await?;
                let now = store.0.clock.now().0;
                // What is on hold stays so for the reason and since the moment it was; a release forgets both.
                let version: Option<i64> = sqlx::query_scalar(
                    "UPDATE notification_url SET label = ?1, url = ?2, is_default = ?3, algorithms = ?4, concurrent = ?5,
                         order_in_order = ?6, held = ?7,
                         held_at = CASE WHEN ?7 = 0 THEN NULL WHEN held = 1 THEN held_at ELSE ?8 END,
                         held_cause = CASE WHEN ?7 = 1 AND held = 1 THEN held_cause END,
                         max_in_flight = ?9, rate_per_second = ?10, retries = ?11, shadow = ?12, authority = ?13,
                         check_status = coalesce(?14, check_status), check_note = coalesce(?15, check_note),
                         checked_at = coalesce(?16, checked_at), updated_at = ?8, version = version + 1,
                         triggers_at = CASE WHEN triggers IS ?19 THEN triggers_at ELSE ?8 END,
                         triggers = ?19, timeout = ?20, headers = ?21, format = ?22
                     WHERE id = ?17 AND merchant_id = ?18 AND removed_at IS NULL RETURNING version",
                )
                .bind(&draft.label)
                .bind(&draft.url)
                .bind(draft.is_default)
                .bind(draft.algorithms.bits())
                .bind(draft.concurrent)
                .bind(draft.order_in_order)
                .bind(draft.held)
                .bind(now)
                .bind(draft.terms.max_in_flight)
                .bind(draft.terms.rate_per_second)
                .bind(draft.terms.retries.to_string())
                .bind(draft.terms.shadow)
                .bind(&draft.terms.authority)
                .bind(draft.check.as_ref().map(UrlCheck::word))
                .bind(draft.check.as_ref().map(|check| check.note.clone()))
                .bind(draft.check.as_ref().map(|check| check.at.0))
                .bind(id.0)
                .bind(draft.merchant_id.0)
                .bind(draft.terms.triggers.map(Triggers::bits))
                .bind(draft.terms.timeout)
                .bind(places::sealed_headers(&store.0.vault, id.0, &draft.headers)?)
                .bind(draft.terms.format.name())
                .fetch_optional(&mut *conn)
                .await?;
                let version = version.ok_or(StoreError::NotFound("the notification URL"))?;
                let settings = store.settings();
                let fields = differences::of_url(settings.url(id).map(|url| &**url), version, &draft);
                let change = Some(Changed { id: id.0, version, fields });
                store.audit(conn, Audit { change, ..Audit::of_url(&draft, &actor, "url.change") }).await
            })
        })
        .await
    }

    /// Puts a URL on hold because of what its address answered, unless it is already, or leads elsewhere by now.
    pub(in crate::server::store) async fn hold_for(
        &self,
        id: UrlId,
        address: String,
        cause: Cause,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let changed: Option<(i64, i64)> = sqlx::query_as(
                    "UPDATE notification_url SET held = 1, held_at = ?1, held_cause = ?2, updated_at = ?1, version = version + 1
                     WHERE id = ?3 AND url = ?4 AND held = 0 AND removed_at IS NULL RETURNING merchant_id, version",
                )
                .bind(store.0.clock.now().0)
                .bind(cause.code())
                .bind(id.0)
                .bind(&address)
                .fetch_optional(&mut *conn)
                .await?;
                let Some((merchant, version)) = changed else { return Ok(false) };
                let fields = Differences::default().flag("On hold", false, true).end();
                let change = Some(Changed { id: id.0, version, fields });
                let (merchant_id, detail) = (Some(MerchantId(merchant)), cause.label().to_owned());
                let entry = Audit { actor: &actor, merchant_id, action: "url.hold", subject: address, detail, change };
                store.audit(conn, entry).await?;
                Ok(true)
            })
        })
        .await
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
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let known: Option<(bool, i64)> = sqlx::query_as(
                    "SELECT held, version FROM notification_url WHERE id = ? AND merchant_id = ? AND removed_at IS NULL",
                )
                .bind(id.0)
                .bind(merchant_id.0)
                .fetch_optional(&mut *conn)
                .await?;
                let (is_held, version) = known.ok_or(StoreError::NotFound("the notification URL"))?;
                if is_held == held {
                    return Ok(());
                }
                actor.must_have_seen(Some(version))?;
                let (subject, version): (String, i64) = sqlx::query_as(
                    "UPDATE notification_url SET held = ?1, held_at = CASE WHEN ?1 = 1 THEN ?2 END, held_cause = NULL,
                         updated_at = ?2, version = version + 1
                     WHERE id = ?3 RETURNING url, version",
                )
                .bind(held)
                .bind(store.0.clock.now().0)
                .bind(id.0)
                .fetch_one(&mut *conn)
                .await?;
                let fields = Differences::default().flag("On hold", !held, held).end();
                let change = Some(Changed { id: id.0, version, fields });
                let action = if held { "url.hold" } else { "url.release" };
                let (merchant_id, detail) = (Some(merchant_id), String::new());
                store.audit(conn, Audit { actor: &actor, merchant_id, action, subject, detail, change }).await
            })
        })
        .await
    }

    /// Takes a URL out of use. Its deliveries stay in the books; the open ones are cancelled by the sweep.
    pub(in crate::server::store) async fn remove_url(
        &self,
        merchant_id: MerchantId,
        id: UrlId,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let now = store.0.clock.now().0;
                let known = sqlx::query_scalar(
                    "SELECT version FROM notification_url WHERE id = ? AND merchant_id = ? AND removed_at IS NULL",
                )
                .bind(id.0)
                .bind(merchant_id.0);
                actor.must_have_seen(known.fetch_optional(&mut *conn).await?)?;
                let url: Option<String> = sqlx::query_scalar(
                    "UPDATE notification_url SET removed_at = ?, updated_at = ?, is_default = 0, version = version + 1
                     WHERE id = ? AND merchant_id = ? AND removed_at IS NULL RETURNING url",
                )
                .bind(now)
                .bind(now)
                .bind(id.0)
                .bind(merchant_id.0)
                .fetch_optional(&mut *conn)
                .await?;
                let subject = url.ok_or(StoreError::NotFound("the notification URL"))?;
                let entry = Audit {
                    actor: &actor,
                    merchant_id: Some(merchant_id),
                    action: "url.remove",
                    subject,
                    detail: String::new(),
                    change: None,
                };
                store.audit(conn, entry).await
            })
        })
        .await
    }

    /// There is one default URL: a new one takes the place of the old, which stays as an additional URL.
    async fn demote_default(
        &self,
        conn: &mut SqliteConnection,
        draft: &UrlDraft,
        id: i64,
        actor: &Actor,
    ) -> Result<(), StoreError> {
        if !draft.is_default {
            return Ok(());
        }
        let demoted: Vec<(i64, i64, String)> = sqlx::query_as(
            "UPDATE notification_url SET is_default = 0, version = version + 1
             WHERE merchant_id = ? AND is_default = 1 AND id <> ? RETURNING id, version, url",
        )
        .bind(draft.merchant_id.0)
        .bind(id)
        .fetch_all(&mut *conn)
        .await?;
        for (id, version, url) in demoted {
            self.audit(conn, places::demotion(actor, draft.merchant_id, id, version, url)).await?;
        }
        Ok(())
    }

    /// What a URL's removal would cancel: deliveries open or held.
    pub(in crate::server::store) async fn outstanding_of(&self, id: UrlId) -> Result<u64, StoreError> {
        let count: Option<i64> = sqlx::query_scalar("SELECT queued + retrying + held FROM url_books WHERE url_id = ?")
            .bind(id.0)
            .fetch_optional(&self.0.readers)
            .await?;
        Ok(count.and_then(|count| count.try_into().ok()).unwrap_or(0))
    }
}
