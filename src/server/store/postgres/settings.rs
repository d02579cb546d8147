//! Merchants and listeners, and the directory that holds all settings in memory. Notification URLs are in `urls`.
//!
//! Every change moves the settings' version in its own transaction, leaves a line in the audit log, is in this node's
//! directory when the call returns, and in the others' a moment later.

use super::{
    Core,
    accept::is_exclusive,
    rows::{moment, small, taken, text, word},
};
use crate::domain::{
    Algorithms, Cause, Format, Tags, Terms, Triggers, Zone,
    id::{DeliveryId, ListenerId, MerchantId, UrlId},
};
use crate::server::store::{
    Actor, Alerts, Change, Commit, Directory, Listener, ListenerDraft, Merchant, NewMerchant, NotificationUrl, OldKey,
    StoreError, Thresholds, acts::Changed, differences, places, slug::slug, vault::Vault,
};
use sqlx::{PgConnection, PgPool, Postgres, Row as _, Transaction};
use std::sync::Arc;

pub(super) use crate::server::store::acts::Audit;

/// Reads the directory in one consistent view.
pub(super) async fn load(pool: &PgPool, vault: &Vault) -> Result<Directory, StoreError> {
    let mut tx = pool.begin_with("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let version: Option<String> =
        sqlx::query_scalar("SELECT value FROM meta WHERE key = 'settings_version'").fetch_optional(&mut *tx).await?;
    let mut merchants = Vec::new();
    let query = sqlx::query(
        "SELECT id, name, slug, secret_key, old_key, old_key_until, triggers, tags, alert_url, alert_after, version, time_zone,
             cancelled_before, mail, alert_mail, alert_certificate, alert_outstanding
         FROM merchant",
    );
    for row in query.fetch_all(&mut *tx).await? {
        let id: i64 = row.try_get(0)?;
        let old = row.try_get::<Option<&[u8]>, _>(4)?.map(|sealed| places::unseal(vault, &places::old_key(id), sealed));
        let until = moment(&row, 5)?.unwrap_or_default();
        let alert_url: Option<String> = row.try_get(8)?;
        let few = |column| row.try_get::<Option<i64>, _>(column).map(|number| number.and_then(|number| number.try_into().ok()));
        let thresholds = Thresholds { after: small(&row, 9)?, certificate: few(15)?, outstanding: few(16)? };
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
    let query = sqlx::query(
        "SELECT id, merchant_id, gateway, label, path_key, secret, required, enabled, version, options FROM listener",
    );
    for row in query.fetch_all(&mut *tx).await? {
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
    let query = sqlx::query(
        "SELECT id, merchant_id, label, url, is_default, algorithms, concurrent, order_in_order, held,
             held_at, held_cause, max_in_flight, rate_per_second, retries, shadow, authority,
             triggers, timeout, headers, new_key_at, version, format
         FROM notification_url WHERE removed_at IS NULL ORDER BY is_default DESC, id",
    );
    for row in query.fetch_all(&mut *tx).await? {
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
            held_at: moment(&row, 9)?,
            held_cause: row.try_get::<Option<&str>, _>(10)?.and_then(Cause::from_code),
            new_key_at: moment(&row, 19)?,
            headers: places::headers_of(vault, id, row.try_get(18)?)?,
            terms: Terms {
                max_in_flight: small(&row, 11)?,
                rate_per_second: row.try_get::<Option<i64>, _>(12)?.and_then(|rate| rate.try_into().ok()),
                retries: word("notification_url.retries", row.try_get(13)?)?,
                shadow: row.try_get(14)?,
                authority: row.try_get(15)?,
                triggers: row.try_get::<Option<i64>, _>(16)?.map(Triggers::from_bits),
                timeout: row.try_get::<Option<i64>, _>(17)?.and_then(|seconds| seconds.try_into().ok()),
                format: Format::from_name(row.try_get(21)?),
            },
            version: row.try_get(20)?,
        });
    }
    tx.commit().await?;
    let version = version.and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Directory::new(version, merchants, listeners, urls))
}

impl Core {
    /// Reads the directory again, unless it is as new as that already: of many who change something at once one reads for all.
    pub(super) async fn reload(&self, version: i64) -> Result<(), StoreError> {
        let turn = self.reloading.lock().await;
        if self.directory.borrow().version >= version {
            return Ok(());
        }
        let fresh = Arc::new(load(&self.pool, &self.vault).await?);
        let known = self.directory.borrow().clone();
        let place = self.present();
        if place.node != 0 {
            // Whoever finds first that a URL is now served by one node serves it; that must be known before the first
            // delivery is made by the new setting.
            let switched: Vec<UrlId> = fresh
                .urls()
                .filter(|url| is_exclusive(url) && known.url(url.id).is_some_and(|before| !is_exclusive(before)))
                .map(|url| url.id)
                .collect();
            if !switched.is_empty() {
                let mut conn = self.pool.acquire().await?;
                self.lease(&mut conn, place, &switched).await?;
            }
        }
        let moved = self.directory.send_if_modified(|directory| {
            let newer = fresh.version > directory.version;
            if newer {
                *directory = fresh;
            }
            newer
        });
        // What follows may take long, and others have something to read.
        drop(turn);
        if moved {
            // Only here: every node finds out by itself.
            self.feed.announce(Commit { changes: vec![Change::Settings], ..Commit::default() });
            if place.node != 0 {
                self.settle_leases().await?;
            }
        }
        Ok(())
    }

    /// Commits a change of settings and brings the directory up to date, here and elsewhere.
    pub(super) async fn commit_settings(&self, mut tx: Transaction<'_, Postgres>) -> Result<(), StoreError> {
        let version: i64 = sqlx::query_scalar(
            "UPDATE meta SET value = (value::bigint + 1)::text WHERE key = 'settings_version' RETURNING value::bigint",
        )
        .fetch_one(&mut *tx)
        .await?;
        sqlx::query("SELECT pg_notify('quittance', 'settings')").execute(&mut *tx).await?;
        tx.commit().await?;
        self.reload(version).await
    }

    pub(super) async fn audit(&self, conn: &mut PgConnection, entry: Audit<'_>) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO audit (id, at, actor, merchant_id, action, subject, detail, address, subject_id, version, changes)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(self.ids.next())
        .bind(self.clock.now().0)
        .bind(text(&entry.actor.name))
        .bind(entry.merchant_id.map(|id| id.0))
        .bind(entry.action)
        .bind(text(&entry.subject))
        .bind(text(&entry.detail))
        .bind(text(&entry.actor.address))
        .bind(entry.change.as_ref().map(|change| change.id))
        .bind(entry.change.as_ref().map(|change| change.version))
        .bind(entry.change.map(|change| change.json()).unwrap_or_default())
        .execute(conn)
        .await?;
        Ok(())
    }

    pub(in crate::server::store) async fn add_merchant(&self, new: NewMerchant, actor: Actor) -> Result<MerchantId, StoreError> {
        let mut tx = self.pool.begin().await?;
        // Of two that are added at once the second sees the first's name.
        sqlx::query("LOCK TABLE merchant IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
        let id = self.ids.next();
        let slug = free_slug(&mut tx, &new.name).await?;
        let now = self.clock.now().0;
        sqlx::query("INSERT INTO merchant (id, name, slug, secret_key, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)")
            .bind(id)
            .bind(text(&new.name))
            .bind(slug)
            .bind(self.vault.seal(&places::secret_key(id), new.secret_key.reveal()))
            .bind(now)
            .execute(&mut *tx)
            .await
            .map_err(|error| taken(error, "this merchant name"))?;
        let merchant_id = MerchantId(id);
        let entry = Audit {
            actor: &actor,
            merchant_id: Some(merchant_id),
            action: "merchant.add",
            subject: new.name.clone(),
            detail: String::new(),
            change: None,
        };
        self.audit(&mut tx, entry).await?;
        self.commit_settings(tx).await?;
        Ok(merchant_id)
    }

    pub(in crate::server::store) async fn add_listener(
        &self,
        draft: ListenerDraft,
        path_key: String,
        actor: Actor,
    ) -> Result<ListenerId, StoreError> {
        let mut tx = self.pool.begin().await?;
        let id = self.ids.next();
        let secret = draft.secret.clone().unwrap_or_default();
        sqlx::query(
            "INSERT INTO listener (id, merchant_id, gateway, label, path_key, secret, required, enabled, created_at, updated_at, options)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)",
        )
        .bind(id)
        .bind(draft.merchant_id.0)
        .bind(draft.gateway.name())
        .bind(text(&draft.label))
        .bind(path_key)
        .bind(self.vault.seal(&places::listener(id), secret.reveal()))
        .bind(draft.required.bits())
        .bind(draft.enabled)
        .bind(self.clock.now().0)
        .bind(places::sealed_options(&self.vault, id, draft.options.as_ref())?)
        .execute(&mut *tx)
        .await
        .map_err(|error| taken(error, "this listener address"))?;
        self.audit(&mut tx, Audit::of_listener(&draft, &actor, "listener.add")).await?;
        self.commit_settings(tx).await?;
        Ok(ListenerId(id))
    }

    pub(in crate::server::store) async fn update_listener(
        &self,
        id: ListenerId,
        draft: ListenerDraft,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let sealed = draft.secret.as_ref().map(|secret| self.vault.seal(&places::listener(id.0), secret.reveal()));
        let known = sqlx::query_scalar("SELECT version FROM listener WHERE id = $1 AND merchant_id = $2 FOR UPDATE")
            .bind(id.0)
            .bind(draft.merchant_id.0);
        actor.must_have_seen(known.fetch_optional(&mut *tx).await?)?;
        let version: Option<i64> = sqlx::query_scalar(
            "UPDATE listener SET label = $1, secret = coalesce($2, secret), required = $3, enabled = $4, updated_at = $5,
                 options = coalesce($8, options), version = version + 1
             WHERE id = $6 AND merchant_id = $7 RETURNING version",
        )
        .bind(text(&draft.label))
        .bind(sealed)
        .bind(draft.required.bits())
        .bind(draft.enabled)
        .bind(self.clock.now().0)
        .bind(id.0)
        .bind(draft.merchant_id.0)
        .bind(places::sealed_options(&self.vault, id.0, draft.options.as_ref())?)
        .fetch_optional(&mut *tx)
        .await?;
        let version = version.ok_or(StoreError::NotFound("the listener"))?;
        let directory = self.directory.borrow().clone();
        let before = directory.listeners_of(draft.merchant_id).into_iter().find(|known| known.id == id);
        let fields = differences::of_listener(before.as_deref(), version, &draft);
        let change = Some(Changed { id: id.0, version, fields });
        self.audit(&mut tx, Audit { change, ..Audit::of_listener(&draft, &actor, "listener.change") }).await?;
        self.commit_settings(tx).await
    }

    /// When each merchant was added.
    pub(in crate::server::store) async fn merchant_ages(
        &self,
    ) -> Result<std::collections::HashMap<MerchantId, crate::domain::Timestamp>, StoreError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as("SELECT id, created_at FROM merchant").fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(id, at)| (MerchantId(id), crate::domain::Timestamp(at))).collect())
    }
}

/// A name in addresses of pages, with a number where that is taken.
async fn free_slug(conn: &mut PgConnection, name: &str) -> Result<String, StoreError> {
    let base = slug(name);
    for number in 1.. {
        let slug = if number == 1 { base.clone() } else { format!("{base}-{number}") };
        let used: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM merchant WHERE slug = $1)")
            .bind(&slug)
            .fetch_one(&mut *conn)
            .await?;
        if !used {
            return Ok(slug);
        }
    }
    Ok(base)
}
