//! Merchants, listeners and notification URLs: reading them into the directory and changing them.
//!
//! Every change moves the settings' version in its own transaction, leaves a line in the audit log, and is in the
//! directory when the call returns.

use super::{SqliteStore, rows::word};
use crate::domain::{
    Algorithms, Cause, Format, Tags, Terms, Timestamp, Triggers, Zone,
    attempt::UrlCheck,
    audit::Differences,
    id::{DeliveryId, ListenerId, MerchantId, UrlId},
};
use crate::server::store::{
    Actor, Alerts, Change, Commit, Directory, Listener, ListenerDraft, Merchant, NewMerchant, NotificationUrl, OldKey,
    StoreError, Thresholds, UrlDraft, acts::Changed, differences, places, slug::slug, vault::Vault,
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
            self.0.feed.announce(Commit { jobs: Vec::new(), changes: vec![Change::Settings] });
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
                store.audit(conn, listener_entry(&draft, &actor, "listener.add")).await?;
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
                store.audit(conn, Audit { change, ..listener_entry(&draft, &actor, "listener.change") }).await
            })
        })
        .await
    }

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
                .bind(draft.check.as_ref().map(check_word))
                .bind(draft.check.as_ref().map(|check| check.note.clone()))
                .bind(draft.check.as_ref().map(|check| check.at.0))
                .bind(now)
                .bind(now)
                .bind(draft.terms.format.name())
                .execute(&mut *conn)
                .await?;
                sqlx::query("INSERT INTO url_books (url_id) VALUES (?)").bind(id).execute(&mut *conn).await?;
                store.audit(conn, url_entry(&draft, &actor, "url.add")).await?;
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
                .bind(draft.check.as_ref().map(check_word))
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
                store.audit(conn, Audit { change, ..url_entry(&draft, &actor, "url.change") }).await
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

fn check_word(check: &UrlCheck) -> &'static str {
    check.cause.map_or("ok", |cause| cause.code())
}

fn listener_entry<'a>(draft: &ListenerDraft, actor: &'a Actor, action: &'static str) -> Audit<'a> {
    let state = if draft.enabled { "on" } else { "off" };
    let secret = if draft.secret.is_some() { ", secret set" } else { "" };
    Audit {
        actor,
        merchant_id: Some(draft.merchant_id),
        action,
        subject: draft.label.clone(),
        detail: format!("{}, {state}, requires {}{secret}", draft.gateway, draft.required),
        change: None,
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

fn url_entry<'a>(draft: &UrlDraft, actor: &'a Actor, action: &'static str) -> Audit<'a> {
    let detail = places::url_detail(draft);
    Audit { actor, merchant_id: Some(draft.merchant_id), action, subject: draft.url.clone(), detail, change: None }
}
