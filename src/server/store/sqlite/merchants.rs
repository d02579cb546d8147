//! What belongs to a merchant as a whole: his key and its change, what leaves for his URLs, who is told of trouble.

use super::{SqliteStore, rows::json, settings::Audit};
use crate::domain::{
    Tags, Timestamp, Triggers,
    audit::Differences,
    id::{MerchantId, UrlId},
    mail::MailSettings,
};
use crate::server::store::{Actor, Alerts, StoreError, acts::Changed, differences, places, vault::Secret};
use sqlx::SqliteConnection;

/// Refuses to change a merchant that somebody else changed meanwhile.
async fn check_seen(conn: &mut SqliteConnection, merchant_id: MerchantId, actor: &Actor) -> Result<(), StoreError> {
    let known = sqlx::query_scalar("SELECT version FROM merchant WHERE id = ?").bind(merchant_id.0);
    actor.must_have_seen(known.fetch_optional(conn).await?)
}

impl SqliteStore {
    pub(in crate::server::store) async fn set_secret_key(
        &self,
        merchant_id: MerchantId,
        key: Secret,
        old_until: Timestamp,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let (id, vault, now) = (merchant_id.0, &store.0.vault, store.0.clock.now());
                check_seen(conn, merchant_id, &actor).await?;
                let known: Option<(Vec<u8>, String)> = sqlx::query_as("SELECT secret_key, name FROM merchant WHERE id = ?")
                    .bind(id)
                    .fetch_optional(&mut *conn)
                    .await?;
                let (before, subject) = known.ok_or(StoreError::NotFound("the merchant"))?;
                let before = places::unseal(vault, &places::secret_key(id), &before)?;
                let version: i64 = sqlx::query_scalar(
                    "UPDATE merchant SET secret_key = ?1, old_key = ?2, old_key_until = ?3, updated_at = ?4, version = version + 1
                     WHERE id = ?5 RETURNING version",
                )
                .bind(vault.seal(&places::secret_key(id), key.reveal()))
                .bind(vault.seal(&places::old_key(id), before.reveal()))
                .bind(old_until.0)
                .bind(now.0)
                .bind(id)
                .fetch_one(&mut *conn)
                .await?;
                sqlx::query("UPDATE notification_url SET new_key_at = NULL WHERE merchant_id = ?")
                    .bind(id)
                    .execute(&mut *conn)
                    .await?;
                let fields = Differences::default().secret("Secret key", true).end();
                let (merchant_id, change) = (Some(merchant_id), Some(Changed { id, version, fields }));
                let (action, detail) = ("merchant.secret-key", places::overlap(old_until, now));
                let entry = Audit { actor: &actor, merchant_id, action, subject, detail, change };
                store.audit(conn, entry).await
            })
        })
        .await
    }

    pub(in crate::server::store) async fn end_old_key(&self, merchant_id: MerchantId, actor: Actor) -> Result<bool, StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let now = store.0.clock.now().0;
                let known =
                    sqlx::query_scalar("SELECT version FROM merchant WHERE id = ? AND old_key IS NOT NULL AND old_key_until > ?")
                        .bind(merchant_id.0)
                        .bind(now);
                // Where no key is left that could end, there is nothing to disagree about.
                actor.must_have_seen(known.fetch_optional(&mut *conn).await?)?;
                let ended: Option<(String, i64)> = sqlx::query_as(
                    "UPDATE merchant SET old_key_until = ?1, updated_at = ?1, version = version + 1
                     WHERE id = ?2 AND old_key IS NOT NULL AND old_key_until > ?1 RETURNING name, version",
                )
                .bind(now)
                .bind(merchant_id.0)
                .fetch_optional(&mut *conn)
                .await?;
                let Some((subject, version)) = ended else { return Ok(false) };
                let fields = Differences::default().secret("Old secret key", true).end();
                let change = Some(Changed { id: merchant_id.0, version, fields });
                let (action, detail) = ("merchant.old-key-end", String::new());
                let entry = Audit { actor: &actor, merchant_id: Some(merchant_id), action, subject, detail, change };
                store.audit(conn, entry).await?;
                Ok(true)
            })
        })
        .await
    }

    pub(in crate::server::store) async fn forget_old_keys(&self, ended_before: Timestamp) -> Result<u64, StoreError> {
        let known: i64 = sqlx::query_scalar("SELECT count(*) FROM merchant WHERE old_key IS NOT NULL AND old_key_until < ?")
            .bind(ended_before.0)
            .fetch_one(&self.0.readers)
            .await?;
        if known == 0 {
            return Ok(0);
        }
        self.change_settings(move |conn| {
            Box::pin(async move {
                let forgotten = sqlx::query(
                    "UPDATE merchant SET old_key = NULL, old_key_until = NULL WHERE old_key IS NOT NULL AND old_key_until < ?",
                )
                .bind(ended_before.0)
                .execute(conn)
                .await?;
                Ok(forgotten.rows_affected())
            })
        })
        .await
    }

    pub(in crate::server::store) async fn note_new_key(&self, id: UrlId, actor: Actor) -> Result<bool, StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let noted: Option<(i64, String)> = sqlx::query_as(
                    "UPDATE notification_url SET new_key_at = ?1 WHERE id = ?2 AND new_key_at IS NULL AND removed_at IS NULL
                         AND EXISTS (SELECT 1 FROM merchant WHERE merchant.id = merchant_id AND old_key_until > ?1)
                     RETURNING merchant_id, url",
                )
                .bind(store.0.clock.now().0)
                .bind(id.0)
                .fetch_optional(&mut *conn)
                .await?;
                let Some((merchant, subject)) = noted else { return Ok(false) };
                let merchant_id = Some(MerchantId(merchant));
                let (action, detail) = ("url.new-key", String::new());
                let entry = Audit { actor: &actor, merchant_id, action, subject, detail, change: None };
                store.audit(conn, entry).await?;
                Ok(true)
            })
        })
        .await
    }

    pub(in crate::server::store) async fn set_content(
        &self,
        merchant_id: MerchantId,
        triggers: Triggers,
        tags: Tags,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                check_seen(conn, merchant_id, &actor).await?;
                let changed: Option<(String, i64)> = sqlx::query_as(
                    "UPDATE merchant SET triggers_at = CASE WHEN triggers IS ?1 THEN triggers_at ELSE ?3 END, triggers = ?1, tags = ?2,
                         updated_at = ?3, version = version + 1 WHERE id = ?4 RETURNING name, version",
                )
                .bind((triggers != Triggers::ALL).then_some(triggers.bits()))
                .bind(tags.names())
                .bind(store.0.clock.now().0)
                .bind(merchant_id.0)
                .fetch_optional(&mut *conn)
                .await?;
                let (subject, version) = changed.ok_or(StoreError::NotFound("the merchant"))?;
                let settings = store.settings();
                let before = settings.merchant(merchant_id).map(|merchant| &**merchant);
                let fields = differences::of_content(before, version, triggers, &tags);
                let change = Some(Changed { id: merchant_id.0, version, fields });
                let (action, detail) = ("merchant.content", places::content(triggers, &tags));
                let entry = Audit { actor: &actor, merchant_id: Some(merchant_id), action, subject, detail, change };
                store.audit(conn, entry).await
            })
        })
        .await
    }

    pub(in crate::server::store) async fn set_alerts(
        &self,
        merchant_id: MerchantId,
        alerts: Option<Alerts>,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                check_seen(conn, merchant_id, &actor).await?;
                let thresholds = Alerts::thresholds(alerts.as_ref());
                let changed: Option<(String, i64)> = sqlx::query_as(
                    "UPDATE merchant SET alert_url = ?, alert_mail = ?, alert_after = ?, alert_certificate = ?, alert_outstanding = ?,
                         updated_at = ?, version = version + 1
                     WHERE id = ? RETURNING name, version",
                )
                .bind(alerts.as_ref().and_then(Alerts::kept_url))
                .bind(alerts.as_ref().and_then(Alerts::kept_mails))
                .bind(thresholds.after)
                .bind(thresholds.certificate)
                .bind(thresholds.outstanding)
                .bind(store.0.clock.now().0)
                .bind(merchant_id.0)
                .fetch_optional(&mut *conn)
                .await?;
                let (subject, version) = changed.ok_or(StoreError::NotFound("the merchant"))?;
                let settings = store.settings();
                let before = settings.merchant(merchant_id).map(|merchant| &**merchant);
                let fields = differences::of_alerts(before, version, alerts.as_ref());
                let change = Some(Changed { id: merchant_id.0, version, fields });
                let (action, detail) = ("merchant.alerts", places::alerts(alerts.as_ref()));
                let entry = Audit { actor: &actor, merchant_id: Some(merchant_id), action, subject, detail, change };
                store.audit(conn, entry).await
            })
        })
        .await
    }

    pub(in crate::server::store) async fn set_mail(
        &self,
        merchant_id: MerchantId,
        mail: MailSettings,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                check_seen(conn, merchant_id, &actor).await?;
                let changed: Option<(String, i64)> = sqlx::query_as(
                    "UPDATE merchant SET mail = ?, updated_at = ?, version = version + 1 WHERE id = ? RETURNING name, version",
                )
                .bind(json(&mail)?)
                .bind(store.0.clock.now().0)
                .bind(merchant_id.0)
                .fetch_optional(&mut *conn)
                .await?;
                let (subject, version) = changed.ok_or(StoreError::NotFound("the merchant"))?;
                let settings = store.settings();
                let before = settings.merchant(merchant_id).map(|merchant| &**merchant);
                let fields = differences::of_mail(before, version, &mail);
                let change = Some(Changed { id: merchant_id.0, version, fields });
                let (action, detail) = ("merchant.mail", places::mail_detail(&mail));
                let entry = Audit { actor: &actor, merchant_id: Some(merchant_id), action, subject, detail, change };
                store.audit(conn, entry).await
            })
        })
        .await
    }
}
