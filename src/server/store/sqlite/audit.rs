//! Reading the audit log, adding to it, and the keys of forms that are done once. Nothing here removes a line of the log.

use super::{SqliteStore, settings::Audit};
use crate::domain::{
    Timestamp,
    id::{MerchantId, UserId},
    pages::audit::{AUDIT_SHOWN, AuditFilter, AuditRow},
};
use crate::server::store::{Actor, Commit, FormClaim, Note, StoreError, acts::KEYS_KEPT, ids::IdSource};
use sqlx::{Row as _, sqlite::SqliteRow};

macro_rules! audit_columns {
    () => {
        "SELECT id, at, actor, address, merchant_id, action, subject, detail, changes FROM audit "
    };
}

// One statement for each index that can serve the list; the planner cannot choose behind `OR … IS NULL`.
macro_rules! audit_list {
    ($index:literal, $merchant:literal, $actor:literal, $action:literal) => {
        concat!(
            audit_columns!(),
            "INDEXED BY ",
            $index,
            " WHERE ",
            $merchant,
            " AND ",
            $actor,
            " AND ",
            $action,
            " AND id >= ?4 AND id < ?5 ORDER BY id DESC LIMIT ?6"
        )
    };
}

const OF_ACTOR: &str =
    audit_list!("audit_of_actor", "(?1 IS NULL OR merchant_id = ?1)", "actor = ?2", "(?3 IS NULL OR action = ?3)");
const OF_ACTION: &str = audit_list!("audit_of_action", "(?1 IS NULL OR merchant_id = ?1)", "?2 IS NULL", "action = ?3");
const OF_MERCHANT: &str = audit_list!("audit_of_merchant", "merchant_id = ?1", "?2 IS NULL", "?3 IS NULL");
const ALL: &str = concat!(
    audit_columns!(),
    "WHERE ?1 IS NULL AND ?2 IS NULL AND ?3 IS NULL AND id >= ?4 AND id < ?5 ORDER BY id DESC LIMIT ?6"
);

fn line(row: &SqliteRow) -> Result<AuditRow, StoreError> {
    let changes: &str = row.try_get(8)?;
    Ok(AuditRow {
        id: row.try_get(0)?,
        at: Timestamp(row.try_get(1)?),
        actor: row.try_get(2)?,
        address: row.try_get(3)?,
        merchant: None,
        merchant_id: row.try_get::<Option<i64>, _>(4)?.map(MerchantId),
        action: row.try_get(5)?,
        subject: row.try_get(6)?,
        detail: row.try_get(7)?,
        changes: serde_json::from_str(changes).unwrap_or_default(),
    })
}

impl SqliteStore {
    /// Lines of the log, the newest first, and whether there are more.
    pub(in crate::server::store) async fn audit_log(
        &self,
        merchant: Option<MerchantId>,
        filter: &AuditFilter,
    ) -> Result<(Vec<AuditRow>, bool), StoreError> {
        let zone = merchant.map(|merchant| self.0.directory.borrow().zone_of(merchant)).unwrap_or_default();
        let floor = |day: Timestamp| IdSource::floor(zone.instant(day).millis());
        let until = filter.until.map_or(i64::MAX, floor);
        let query = match (&filter.actor, &filter.action, merchant) {
            (Some(_), ..) => OF_ACTOR,
            (None, Some(_), _) => OF_ACTION,
            (None, None, Some(_)) => OF_MERCHANT,
            (None, None, None) => ALL,
        };
        let rows = sqlx::query(query)
            .bind(merchant.map(|id| id.0))
            .bind(filter.actor.as_deref())
            .bind(filter.action.as_deref())
            .bind(filter.from.map_or(0, floor))
            .bind(filter.after.map_or(until, |after| until.min(after)))
            .bind(AUDIT_SHOWN + 1)
            .fetch_all(&self.0.readers)
            .await?;
        let more = rows.len() > AUDIT_SHOWN as usize;
        let rows = rows.iter().take(AUDIT_SHOWN as usize).map(line).collect::<Result<_, _>>()?;
        Ok((rows, more))
    }

    /// What changed a thing after a version of it, the oldest first.
    pub(in crate::server::store) async fn changes_of(&self, id: i64, after: i64) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query(concat!(audit_columns!(), "WHERE subject_id = ? AND version > ? ORDER BY version LIMIT 20"))
            .bind(id)
            .bind(after)
            .fetch_all(&self.0.readers)
            .await?;
        rows.iter().map(line).collect()
    }

    /// Writes something down that changes nothing else.
    pub(in crate::server::store) async fn note(&self, note: Note, actor: Actor) -> Result<(), StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let Note { merchant_id, action, subject, detail } = note;
                store.audit(conn, Audit { actor: &actor, merchant_id, action, subject, detail, change: None }).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    /// Claims the key of a form for whoever sends it first.
    pub(in crate::server::store) async fn claim_form(&self, user: UserId, key: String) -> Result<FormClaim, StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let now = store.0.clock.now();
                sqlx::query("DELETE FROM form_key WHERE at < ?").bind(now.minus(KEYS_KEPT).0).execute(&mut *conn).await?;
                let inserted =
                    sqlx::query("INSERT INTO form_key (user_id, key, at) VALUES (?, ?, ?) ON CONFLICT (user_id, key) DO NOTHING")
                        .bind(user.0)
                        .bind(&key)
                        .bind(now.0)
                        .execute(&mut *conn)
                        .await?;
                if inserted.rows_affected() > 0 {
                    return Ok((FormClaim::Fresh, Commit::default()));
                }
                let answer: Option<Vec<u8>> = sqlx::query_scalar("SELECT answer FROM form_key WHERE user_id = ? AND key = ?")
                    .bind(user.0)
                    .bind(&key)
                    .fetch_one(conn)
                    .await?;
                Ok((answer.map_or(FormClaim::UnderWay, FormClaim::Answered), Commit::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn form_answer(&self, user: UserId, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        let answer: Option<Option<Vec<u8>>> =
            sqlx::query_scalar("SELECT answer FROM form_key WHERE user_id = ? AND key = ? AND at >= ?")
                .bind(user.0)
                .bind(key)
                .bind(self.0.clock.now().minus(KEYS_KEPT).0)
                .fetch_optional(&self.0.readers)
                .await?;
        Ok(answer.flatten())
    }

    /// Keeps the answer to a form, or, where there is none because it failed, lets it be sent again.
    pub(in crate::server::store) async fn answer_form(
        &self,
        user: UserId,
        key: String,
        answer: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                let query = match &answer {
                    Some(_) => sqlx::query("UPDATE form_key SET answer = ?1 WHERE user_id = ?2 AND key = ?3"),
                    None => sqlx::query("DELETE FROM form_key WHERE ?1 IS NULL AND user_id = ?2 AND key = ?3"),
                };
                query.bind(answer).bind(user.0).bind(key).execute(conn).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }
}
