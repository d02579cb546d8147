//! What belongs to a merchant as a whole: his key and its change, what leaves for his URLs, who is told of trouble.

use super::{Core, rows::text, settings::Audit};
use crate::domain::{
    Tags, Timestamp, Triggers,
    audit::Differences,
    id::{MerchantId, UrlId},
    mail::MailSettings,
};
use crate::server::store::{Actor, Alerts, StoreError, acts::Changed, differences, places, vault::Secret};
use sqlx::PgConnection;

/// Refuses to change a merchant that somebody else changed meanwhile; until the end of the transaction nobody else does.
async fn check_seen(conn: &mut PgConnection, merchant_id: MerchantId, actor: &Actor) -> Result<(), StoreError> {
    let known = sqlx::query_scalar("SELECT version FROM merchant WHERE id = $1 FOR UPDATE").bind(merchant_id.0);
    actor.must_have_seen(known.fetch_optional(conn).await?)
}

impl Core {
    pub(in crate::server::store) async fn set_secret_key(
        &self,
        merchant_id: MerchantId,
        key: Secret,
        old_until: Timestamp,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let (id, now) = (merchant_id.0, self.clock.now());
        let mut tx = self.pool.begin().await?;
        check_seen(&mut tx, merchant_id, &actor).await?;
        let known: Option<(Vec<u8>, String)> = sqlx::query_as("SELECT secret_key, name FROM merchant WHERE id = $1 FOR UPDATE")
            .bind(id)
            .fetch_optional(&mut *tx)
            .await?;
        let (before, subject) = known.ok_or(StoreError::NotFound("the merchant"))?;
        let before = places::unseal(&self.vault, &places::secret_key(id), &before)?;
        let version: i64 = sqlx::query_scalar(
            "UPDATE merchant SET secret_key = $1, old_key = $2, old_key_until = $3, updated_at = $4, version = version + 1
             WHERE id = $5 RETURNING version",
        )
        .bind(self.vault.seal(&places::secret_key(id), key.reveal()))
        .bind(self.vault.seal(&places::old_key(id), before.reveal()))
        .bind(old_until.0)
        .bind(now.0)
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query("UPDATE notification_url SET new_key_at = NULL WHERE merchant_id = $1").bind(id).execute(&mut *tx).await?;
        let fields = Differences::default().secret("Secret key", true).end();
        let (merchant_id, change) = (Some(merchant_id), Some(Changed { id, version, fields }));
        let (action, detail) = ("merchant.secret-key", places::overlap(old_until, now));
        let entry = Audit { actor: &actor, merchant_id, action, subject, detail, change };
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await
    }

    pub(in crate::server::store) async fn end_old_key(&self, merchant_id: MerchantId, actor: Actor) -> Result<bool, StoreError> {
        let now = self.clock.now().0;
        let mut tx = self.pool.begin().await?;
        let known = sqlx::query_scalar(
            "SELECT version FROM merchant WHERE id = $1 AND old_key IS NOT NULL AND old_key_until > $2 FOR UPDATE",
        )
        .bind(merchant_id.0)
        .bind(now);
        // Where no key is left that could end, there is nothing to disagree about.
        actor.must_have_seen(known.fetch_optional(&mut *tx).await?)?;
        let ended: Option<(String, i64)> = sqlx::query_as(
            "UPDATE merchant SET old_key_until = $1, updated_at = $1, version = version + 1
             WHERE id = $2 AND old_key IS NOT NULL AND old_key_until > $1 RETURNING name, version",
        )
        .bind(now)
        .bind(merchant_id.0)
        .fetch_optional(&mut *tx)
        .await?;
        let Some((subject, version)) = ended else { return Ok(false) };
        let fields = Differences::default().secret("Old secret key", true).end();
        let change = Some(Changed { id: merchant_id.0, version, fields });
        let (action, detail) = ("merchant.old-key-end", String::new());
        let entry = Audit { actor: &actor, merchant_id: Some(merchant_id), action, subject, detail, change };
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await?;
        Ok(true)
    }

    pub(in crate::server::store) async fn forget_old_keys(&self, ended_before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.pool.begin().await?;
        let forgotten = sqlx::query(
            "UPDATE merchant SET old_key = NULL, old_key_until = NULL WHERE old_key IS NOT NULL AND old_key_until < $1",
        )
        .bind(ended_before.0)
        .execute(&mut *tx)
        .await?;
        if forgotten.rows_affected() > 0 {
            self.commit_settings(tx).await?;
        }
        Ok(forgotten.rows_affected())
    }

    pub(in crate::server::store) async fn note_new_key(&self, id: UrlId, actor: Actor) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let noted: Option<(i64, String)> = sqlx::query_as(
            "UPDATE notification_url SET new_key_at = $1 WHERE id = $2 AND new_key_at IS NULL AND removed_at IS NULL
                 AND EXISTS (SELECT 1 FROM merchant WHERE merchant.id = merchant_id AND old_key_until > $1)
             RETURNING merchant_id, url",
        )
        .bind(self.clock.now().0)
        .bind(id.0)
        .fetch_optional(&mut *tx)
        .await?;
        let Some((merchant, subject)) = noted else { return Ok(false) };
        let merchant_id = Some(MerchantId(merchant));
        let (action, detail) = ("url.new-key", String::new());
        let entry = Audit { actor: &actor, merchant_id, action, subject, detail, change: None };
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await?;
        Ok(true)
    }

    pub(in crate::server::store) async fn set_content(
        &self,
        merchant_id: MerchantId,
        triggers: Triggers,
        tags: Tags,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        check_seen(&mut tx, merchant_id, &actor).await?;
        let changed: Option<(String, i64)> = sqlx::query_as(
            "UPDATE merchant SET triggers_at = CASE WHEN triggers IS NOT DISTINCT FROM $1 THEN triggers_at ELSE $3 END,
                 triggers = $1, tags = $2, updated_at = $3, version = version + 1 WHERE id = $4 RETURNING name, version",
        )
        .bind((triggers != Triggers::ALL).then_some(triggers.bits()))
        .bind(tags.names().map(|names| text(&names).into_owned()))
        .bind(self.clock.now().0)
        .bind(merchant_id.0)
        .fetch_optional(&mut *tx)
        .await?;
        let (subject, version) = changed.ok_or(StoreError::NotFound("the merchant"))?;
        let directory = self.directory.borrow().clone();
        let before = directory.merchant(merchant_id).map(|merchant| &**merchant);
        let fields = differences::of_content(before, version, triggers, &tags);
        let change = Some(Changed { id: merchant_id.0, version, fields });
        let (action, detail) = ("merchant.content", places::content(triggers, &tags));
        let entry = Audit { actor: &actor, merchant_id: Some(merchant_id), action, subject, detail, change };
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await
    }

    pub(in crate::server::store) async fn set_alerts(
        &self,
        merchant_id: MerchantId,
        alerts: Option<Alerts>,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        check_seen(&mut tx, merchant_id, &actor).await?;
        let thresholds = Alerts::thresholds(alerts.as_ref());
        let changed: Option<(String, i64)> = sqlx::query_as(
            "UPDATE merchant SET alert_url = $1, alert_after = $2, updated_at = $3, version = version + 1, alert_mail = $5,
                 alert_certificate = $6, alert_outstanding = $7
             WHERE id = $4 RETURNING name, version",
        )
        .bind(alerts.as_ref().and_then(Alerts::kept_url).map(|url| text(&url).into_owned()))
        .bind(i64::from(thresholds.after))
        .bind(self.clock.now().0)
        .bind(merchant_id.0)
        .bind(alerts.as_ref().and_then(Alerts::kept_mails).map(|mails| text(&mails).into_owned()))
        .bind(thresholds.certificate.map(i64::from))
        .bind(thresholds.outstanding.map(i64::from))
        .fetch_optional(&mut *tx)
        .await?;
        let (subject, version) = changed.ok_or(StoreError::NotFound("the merchant"))?;
        let directory = self.directory.borrow().clone();
        let before = directory.merchant(merchant_id).map(|merchant| &**merchant);
        let fields = differences::of_alerts(before, version, alerts.as_ref());
        let change = Some(Changed { id: merchant_id.0, version, fields });
        let (action, detail) = ("merchant.alerts", places::alerts(alerts.as_ref()));
        let entry = Audit { actor: &actor, merchant_id: Some(merchant_id), action, subject, detail, change };
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await
    }

    pub(in crate::server::store) async fn set_mail(
        &self,
        merchant_id: MerchantId,
        mail: MailSettings,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let kept = serde_json::to_string(&mail).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let mut tx = self.pool.begin().await?;
        check_seen(&mut tx, merchant_id, &actor).await?;
        let changed: Option<(String, i64)> = sqlx::query_as(
            "UPDATE merchant SET mail = $1, updated_at = $2, version = version + 1 WHERE id = $3 RETURNING name, version",
        )
        .bind(text(&kept))
        .bind(self.clock.now().0)
        .bind(merchant_id.0)
        .fetch_optional(&mut *tx)
        .await?;
        let (subject, version) = changed.ok_or(StoreError::NotFound("the merchant"))?;
        let directory = self.directory.borrow().clone();
        let before = directory.merchant(merchant_id).map(|merchant| &**merchant);
        let fields = differences::of_mail(before, version, &mail);
        let change = Some(Changed { id: merchant_id.0, version, fields });
        let (action, detail) = ("merchant.mail", places::mail_detail(&mail));
        let entry = Audit { actor: &actor, merchant_id: Some(merchant_id), action, subject, detail, change };
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await
    }
}
