//! Merchants, listeners and notification URLs: reading them into the directory and changing them.
//!
//! Every change moves the settings' version in its own transaction, leaves a line in the audit log, and is in the
//! directory when the call returns.

use super::{SqliteStore, rows::word};
use crate::domain::{
    Algorithms, Cause, Format, Tags, Terms, Timestamp, Triggers, Zone,
    id::{DeliveryId, ListenerId, MerchantId, UrlId},
};
use crate::server::store::{
    Actor, Alerts, Change, Commit, Directory, Listener, ListenerDraft, Merchant, NewMerchant, NotificationUrl, OldKey,
    StoreError, Thresholds, acts::Changed, differences, places, slug::slug, vault::Vault,
};
use futures::future::BoxFuture;
use sqlx::{Row as _, SqliteConnection, SqlitePool};
use std::sync::Arc;

pub(super) use crate::server::store::acts::Audit;

/// Reads the directory in one consistent view.
pub(super) async fn load(readers: &SqlitePool, vault: &Vault) -> Result<Directory, StoreError> {
    let mut tx = readers.begin().await?;
    let version: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'settings_version'").fetch_optional(&mut *tx).await?;
    let mut merchants = Vec::new();
    let query =
        "SELECT id, name, slug, secret_key, old_key, old_key_until, triggers, tags, alert_url, alert_after, version, time_zone,
             cancelled_before, mail, alert_mail, alert_certificate, alert_outstanding
         FROM merchant";
    for row in sqlx::query(query).fetch_all(&mut *tx).await? {
        let id: i64 = row.try_get(0)?;
        let old = row.try_get::<Option<&[u8]>, _>(4)?.map(|sealed| places::unseal(vault, &places::old_key(id), sealed));
        let until = Timestamp(row.try_get::<Option<i64>, _>(5)?.unwrap_or_default());
        let alert_url: Option<String> = row.try_get(8)?;
        let thresholds = Thresholds { after: row.try_get(9)?, certificate: row.try_get(15)?, outstanding: row.try_get(16)? };
        merchants.push(Merchant {
            id: MerchantId(id),
            name: row.try_get(1)?,
            slug: row.try_get(2)?,
            secret_key: places::unseal(vault, &places::secret_key(id), row.try_get(3)?)?,
            old_key: old.transpose()?.map(|key| OldKey { key, until }),
            triggers: row.try_get::<Option<i64>, _>(6)?.map_or(Triggers::ALL, Triggers::from_bits),
            tags: row.try_get::<Option<&str>, _>(7)?.map_or(Tags::All, Tags::only),
            alerts: Alerts::of(alert_url, row.try_get(14)?, thresholds),
            version: row.try_get(10)?,
            // A zone that this machine does not know does not keep the server from starting.
            zone: Zone::parse(row.try_get(11)?).unwrap_or_default(),
            cancelled_before: DeliveryId(row.try_get(12)?),
            mail: places::mail_of(id, row.try_get(13)?)?,
        });
    }
    let mut listeners = Vec::new();
    let query = "SELECT id, merchant_id, gateway, label, path_key, secret, required, enabled, version, options FROM listener";
    for row in sqlx::query(query).fetch_all(&mut *tx).await? {
        let id: i64 = row.try_get(0)?;
        listeners.push(Listener {
            id: ListenerId(id),
            merchant_id: MerchantId(row.try_get(1)?),
            gateway: word("listener.gateway", row.try_get(2)?)?,
            label: row.try_get(3)?,
            path_key: row.try_get(4)?,
            secret: places::unseal(vault, &places::listener(id), row.try_get(5)?)?,
            required: Algorithms::from_bits(row.try_get(6)?),
            enabled: row.try_get(7)?,
            version: row.try_get(8)?,
            options: places::options_of(vault, id, row.try_get(9)?)?,
        });
    }
    let mut urls = Vec::new();
    let query = "SELECT id, merchant_id, label, url, is_default, algorithms, concurrent, order_in_order, held,
            held_at, held_cause, max_in_flight, rate_per_second, retries, shadow, authority,
            triggers, timeout, headers, new_key_at, version, format
        FROM notification_url WHERE removed_at IS NULL ORDER BY is_default DESC, id";
    for row in sqlx::query(query).fetch_all(&mut *tx).await? {
        let id: i64 = row.try_get(0)?;
        urls.push(NotificationUrl {
            id: UrlId(id),
            merchant_id: MerchantId(row.try_get(1)?),
            label: row.try_get(2)?,
            url: row.try_get(3)?,
            is_default: row.try_get(4)?,
            algorithms: Algorithms::from_bits(row.try_get(5)?),
            concurrent: row.try_get(6)?,
            order_in_order: row.try_get(7)?,
            held: row.try_get(8)?,
            held_at: row.try_get::<Option<i64>, _>(9)?.map(Timestamp),
            held_cause: row.try_get::<Option<&str>, _>(10)?.and_then(Cause::from_code),
            new_key_at: row.try_get::<Option<i64>, _>(19)?.map(Timestamp),
            headers: places::headers_of(vault, id, row.try_get(18)?)?,
            terms: Terms {
                max_in_flight: row.try_get(11)?,
                rate_per_second: row.try_get(12)?,
                retries: word("notification_url.retries", row.try_get(13)?)?,
                shadow: row.try_get(14)?,
                authority: row.try_get(15)?,
                triggers: row.try_get::<Option<i64>, _>(16)?.map(Triggers::from_bits),
                timeout: row.try_get(17)?,
                format: Format::from_name(row.try_get(21)?),
            },
            version: row.try_get(20)?,
        });
    }
    let version = version.and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Directory::new(version, merchants, listeners, urls))
}

impl SqliteStore {
    /// Reads the directory again, unless it is as new as that already: of many who change something at once one reads for all.
    pub(super) async fn reload(&self, version: i64) -> Result<(), StoreError> {
        let _turn = self.0.reloading.lock().await;
        if self.0.directory.borrow().version >= version {
            return Ok(());
        }
        let fresh = Arc::new(load(&self.0.readers, &self.0.vault).await?);
        let moved = self.0.directory.send_if_modified(|directory| {
            let newer = fresh.version > directory.version;
            if newer {
                *directory = fresh;
            }
            newer
        });
        if moved {
            self.0.feed.announce(Commit { changes: vec![Change::Settings], ..Commit::default() });
        }
        Ok(())
    }

    /// Runs a change of settings and brings the directory up to date.
    pub(super) async fn change_settings<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
    {
        let (value, version) = self
            .change(move |conn| {
                Box::pin(async move {
                    let value = work(&mut *conn).await?;
                    let version: i64 = sqlx::query_scalar(
                        "INSERT INTO meta (key, value) VALUES ('settings_version', '1')
                         ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)
                         RETURNING CAST(value AS INTEGER)",
                    )
                    .fetch_one(conn)
                    .await?;
                    Ok(((value, version), Commit::default()))
                })
            })
            .await?;
        self.reload(version).await?;
        Ok(value)
    }

    pub(super) async fn audit(&self, conn: &mut SqliteConnection, entry: Audit<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO audit (id, at, actor, merchant_id, action, subject, detail, address, subject_id, version, changes)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(self.0.ids.next())
        .bind(self.0.clock.now().0)
        .bind(&entry.actor.name)
        .bind(entry.merchant_id.map(|id| id.0))
        .bind(entry.action)
        .bind(entry.subject)
        .bind(entry.detail)
        .bind(&entry.actor.address)
        .bind(entry.change.as_ref().map(|change| change.id))
        .bind(entry.change.as_ref().map(|change| change.version))
        .bind(entry.change.map(|change| change.json()).unwrap_or_default())
        .execute(conn)
        .await?;
        Ok(())
    }

    pub(in crate::server::store) async fn add_merchant(&self, new: NewMerchant, actor: Actor) -> Result<MerchantId, StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let id = store.0.ids.next();
                let slug = free_slug(conn, &new.name).await?;
                let now = store.0.clock.now().0;
                sqlx::query(
                    "INSERT INTO merchant (id, name, slug, secret_key, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
                )
                .bind(id)
                .bind(&new.name)
                .bind(slug)
                .bind(store.0.vault.seal(&places::secret_key(id), new.secret_key.reveal()))
                .bind(now)
                .bind(now)
                .execute(&mut *conn)
                .await
                .map_err(|error| taken(error, "this merchant name"))?;
                let merchant_id = MerchantId(id);
                let subject = new.name.clone();
                let entry = Audit {
                    actor: &actor,
                    merchant_id: Some(merchant_id),
                    action: "merchant.add",
                    subject,
                    detail: String::new(),
                    change: None,
                };
                store.audit(conn, entry).await?;
                Ok(merchant_id)
            })
        })
        .await
    }

    pub(in crate::server::store) async fn add_listener(
        &self,
        draft: ListenerDraft,
        path_key: String,
        actor: Actor,
    ) -> Result<ListenerId, StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let id = store.0.ids.next();
                let now = store.0.clock.now().0;
                let secret = draft.secret.clone().unwrap_or_default();
                sqlx::query(
                    "INSERT INTO listener (id, merchant_id, gateway, label, path_key, secret, options, required, enabled,
                         created_at, updated_at)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(id)
                .bind(draft.merchant_id.0)
                .bind(draft.gateway.name())
                .bind(&draft.label)
                .bind(path_key)
                .bind(store.0.vault.seal(&places::listener(id), secret.reveal()))
                .bind(places::sealed_options(&store.0.vault, id, draft.options.as_ref())?)
                .bind(draft.required.bits())
                .bind(draft.enabled)
                .bind(now)
                .bind(now)
                .execute(&mut *conn)
                .await
                .map_err(|error| taken(error, "this listener address"))?;
                store.audit(conn, Audit::of_listener(&draft, &actor, "listener.add")).await?;
                Ok(ListenerId(id))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn update_listener(
        &self,
        id: ListenerId,
        draft: ListenerDraft,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change_settings(move |conn| {
            Box::pin(async move {
                let sealed = draft.secret.as_ref().map(|secret| store.0.vault.seal(&places::listener(id.0), secret.reveal()));
                let known = sqlx::query_scalar("SELECT version FROM listener WHERE id = ? AND merchant_id = ?")
                    .bind(id.0)
                    .bind(draft.merchant_id.0);
                actor.must_have_seen(known.fetch_optional(&mut *conn).await?)?;
                let version: Option<i64> = sqlx::query_scalar(
                    "UPDATE listener SET label = ?, secret = coalesce(?, secret), options = coalesce(?, options), required = ?,
                         enabled = ?, updated_at = ?, version = version + 1
                     WHERE id = ? AND merchant_id = ? RETURNING version",
                )
                .bind(&draft.label)
                .bind(sealed)
                .bind(places::sealed_options(&store.0.vault, id.0, draft.options.as_ref())?)
                .bind(draft.required.bits())
                .bind(draft.enabled)
                .bind(store.0.clock.now().0)
                .bind(id.0)
                .bind(draft.merchant_id.0)
                .fetch_optional(&mut *conn)
                .await?;
                let version = version.ok_or(StoreError::NotFound("the listener"))?;
                let before = store.settings().listeners_of(draft.merchant_id).into_iter().find(|known| known.id == id);
                let fields = differences::of_listener(before.as_deref(), version, &draft);
                let change = Some(Changed { id: id.0, version, fields });
                store.audit(conn, Audit { change, ..Audit::of_listener(&draft, &actor, "listener.change") }).await
            })
        })
        .await
    }
}

/// A name in addresses of pages, with a number where that is taken.
async fn free_slug(conn: &mut SqliteConnection, name: &str) -> Result<String, StoreError> {
    let base = slug(name);
    for number in 1.. {
        let slug = if number == 1 { base.clone() } else { format!("{base}-{number}") };
        let used: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM merchant WHERE slug = ?)").bind(&slug).fetch_one(&mut *conn).await?;
        if !used {
            return Ok(slug);
        }
    }
    Ok(base)
}

/// Turns a violated uniqueness into the error that names what is taken.
pub(super) fn taken(error: sqlx::Error, what: &'static str) -> StoreError {
    if error.as_database_error().is_some_and(|inner| inner.is_unique_violation()) {
        StoreError::Taken(what)
    } else {
        error.into()
    }
}
