//! Reading the audit log, adding to it, and the keys of forms that are done once. Nothing here removes a line of the log.

use super::{Core, rows::text, settings::Audit};
use crate::domain::{
    Timestamp,
    id::{MerchantId, UserId},
    pages::audit::{AUDIT_SHOWN, AuditFilter, AuditRow},
};
use crate::server::store::{Actor, FormClaim, Note, StoreError, acts::KEYS_KEPT, ids::IdSource};
use sqlx::{Row as _, postgres::PgRow};

macro_rules! audit_columns {
    () => {
        "SELECT id, at, actor, address, merchant_id, action, subject, detail, changes FROM audit "
    };
}

// Each is planned with its values at hand, so the planner finds the index that serves it.
const LOG: &str = concat!(
    audit_columns!(),
    "WHERE ($1::bigint IS NULL OR merchant_id = $1) AND ($2::text IS NULL OR actor = $2) AND ($3::text IS NULL OR action = $3)
         AND id >= $4 AND id < $5 ORDER BY id DESC LIMIT $6"
);

fn line(row: &PgRow) -> Result<AuditRow, StoreError> {
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

impl Core {
    /// Lines of the log, the newest first, and whether there are more.
    pub(in crate::server::store) async fn audit_log(
        &self,
        merchant: Option<MerchantId>,
        filter: &AuditFilter,
    ) -> Result<(Vec<AuditRow>, bool), StoreError> {
        let zone = merchant.map(|merchant| self.directory.borrow().zone_of(merchant)).unwrap_or_default();
        let floor = |day: Timestamp| IdSource::floor(zone.instant(day).millis());
        let until = filter.until.map_or(i64::MAX, floor);
        let rows = sqlx::query(LOG)
            .bind(merchant.map(|id| id.0))
            .bind(filter.actor.as_deref().map(|actor| text(actor).into_owned()))
            .bind(filter.action.as_deref().map(|action| text(action).into_owned()))
            .bind(filter.from.map_or(0, floor))
            .bind(filter.after.map_or(until, |after| until.min(after)))
            .bind(i64::from(AUDIT_SHOWN + 1))
            .fetch_all(&self.pool)
            .await?;
        let more = rows.len() > AUDIT_SHOWN as usize;
        let rows = rows.iter().take(AUDIT_SHOWN as usize).map(line).collect::<Result<_, _>>()?;
        Ok((rows, more))
    }

    /// What changed a thing after a version of it, the oldest first.
    pub(in crate::server::store) async fn changes_of(&self, id: i64, after: i64) -> Result<Vec<AuditRow>, StoreError> {
        let rows = sqlx::query(concat!(audit_columns!(), "WHERE subject_id = $1 AND version > $2 ORDER BY version LIMIT 20"))
            .bind(id)
            .bind(after)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(line).collect()
    }

    /// Writes something down that changes nothing else.
    pub(in crate::server::store) async fn note(&self, note: Note, actor: Actor) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        let Note { merchant_id, action, subject, detail } = note;
        self.audit(&mut conn, Audit { actor: &actor, merchant_id, action, subject, detail, change: None }).await
    }

    /// Claims the key of a form for whoever sends it first.
    pub(in crate::server::store) async fn claim_form(&self, user: UserId, key: String) -> Result<FormClaim, StoreError> {
        let now = self.clock.now();
        sqlx::query("DELETE FROM form_key WHERE at < $1").bind(now.minus(KEYS_KEPT).0).execute(&self.pool).await?;
        let inserted =
            sqlx::query("INSERT INTO form_key (user_id, key, at) VALUES ($1, $2, $3) ON CONFLICT (user_id, key) DO NOTHING")
                .bind(user.0)
                .bind(text(&key))
                .bind(now.0)
                .execute(&self.pool)
                .await?;
        if inserted.rows_affected() > 0 {
            return Ok(FormClaim::Fresh);
        }
        let answer: Option<Option<Vec<u8>>> = sqlx::query_scalar("SELECT answer FROM form_key WHERE user_id = $1 AND key = $2")
            .bind(user.0)
            .bind(text(&key))
            .fetch_optional(&self.reading)
            .await?;
        // Where it is gone the first has just failed; whoever asks again may be the next.
        Ok(answer.flatten().map_or(FormClaim::UnderWay, FormClaim::Answered))
    }

    pub(in crate::server::store) async fn form_answer(&self, user: UserId, key: String) -> Result<Option<Vec<u8>>, StoreError> {
        let answer: Option<Option<Vec<u8>>> =
            sqlx::query_scalar("SELECT answer FROM form_key WHERE user_id = $1 AND key = $2 AND at >= $3")
                .bind(user.0)
                .bind(text(&key).into_owned())
                .bind(self.clock.now().minus(KEYS_KEPT).0)
                .fetch_optional(&self.pool)
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
        let query = match &answer {
            Some(_) => sqlx::query("UPDATE form_key SET answer = $1 WHERE user_id = $2 AND key = $3"),
            None => sqlx::query("DELETE FROM form_key WHERE $1::bytea IS NULL AND user_id = $2 AND key = $3"),
        };
        query.bind(answer).bind(user.0).bind(text(&key).into_owned()).execute(&self.pool).await?;
        Ok(())
    }
}
