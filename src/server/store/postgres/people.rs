//! Users, sessions and the first-run token. Sessions are rows, so who signed in at one node is signed in at all.

use super::{
    Core,
    rows::{text, word},
    settings::Audit,
};
use crate::domain::{
    Timestamp,
    id::{MerchantId, UserId},
};
use crate::server::store::{Actor, NewUser, SessionRecord, StoreError, UserRecord, acts::hash_of};
use sqlx::{Row as _, postgres::PgRow};
use std::collections::HashMap;

/// The columns of a user, in the order that [`user`] reads.
macro_rules! user_columns {
    () => {
        "account.id, email, password_hash, role,
             ARRAY(SELECT merchant_id FROM membership WHERE membership.user_id = account.id ORDER BY merchant_id),
             disabled_at, account.version, link_expires_at, account.created_at, account.language"
    };
}
pub(super) fn user(row: &PgRow) -> Result<UserRecord, StoreError> {
    let merchants: Vec<i64> = row.try_get(4)?;
    Ok(UserRecord {
        id: UserId(row.try_get(0)?),
        email: row.try_get(1)?,
        password_hash: row.try_get(2)?,
        role: word("account.role", row.try_get(3)?)?,
        merchants: merchants.into_iter().map(MerchantId).collect(),
        disabled: row.try_get::<Option<i64>, _>(5)?.is_some(),
        version: row.try_get(6)?,
        link_until: row.try_get::<Option<i64>, _>(7)?.map(Timestamp),
        created_at: Timestamp(row.try_get(8)?),
        language: row.try_get(9)?,
    })
}

impl Core {
    /// Adds a user. With `only_first`, only while there is no administrator yet.
    pub(in crate::server::store) async fn add_user(
        &self,
        new: NewUser,
        only_first: bool,
        actor: Actor,
    ) -> Result<UserId, StoreError> {
        let mut tx = self.pool.begin().await?;
        if only_first {
            // Of two at two nodes one is the first.
            sqlx::query("LOCK TABLE account IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
            let taken: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM account WHERE role = 'admin' AND password_hash <> '')")
                    .fetch_one(&mut *tx)
                    .await?;
            if taken {
                return Err(StoreError::Taken("the first administrator"));
            }
        }
        let id = self.insert_user(&mut tx, &new, None).await?;
        self.audit_user(&mut tx, &actor, "user.add", &new.email, new.role.name(), &new.merchants, None).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Sets a password and ends the user's sessions, so that whoever knew the old one is out.
    pub(in crate::server::store) async fn set_password(&self, id: UserId, hash: String, actor: Actor) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let email: Option<String> =
            sqlx::query_scalar("UPDATE account SET password_hash = $1, updated_at = $2 WHERE id = $3 RETURNING email")
                .bind(hash)
                .bind(self.clock.now().0)
                .bind(id.0)
                .fetch_optional(&mut *tx)
                .await?;
        let subject = email.ok_or(StoreError::NotFound("the user"))?;
        sqlx::query("DELETE FROM session WHERE user_id = $1").bind(id.0).execute(&mut *tx).await?;
        let entry =
            Audit { actor: &actor, merchant_id: None, action: "user.password", subject, detail: String::new(), change: None };
        self.audit(&mut tx, entry).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Sets the language that a user reads; with `None` his browser decides.
    pub(in crate::server::store) async fn set_language(
        &self,
        id: UserId,
        language: Option<&'static str>,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE account SET language = $1 WHERE id = $2").bind(language).bind(id.0).execute(&self.pool).await?;
        Ok(())
    }

    pub(in crate::server::store) async fn user_by_email(&self, email: &str) -> Result<Option<UserRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", user_columns!(), " FROM account WHERE email = $1"))
            .bind(text(email))
            .fetch_optional(&self.reading)
            .await?;
        row.as_ref().map(user).transpose()
    }

    /// Whether anybody can administer the installation.
    pub(in crate::server::store) async fn has_admin(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM account WHERE role = 'admin' AND password_hash <> '')")
            .fetch_one(&self.reading)
            .await?)
    }

    pub(in crate::server::store) async fn add_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        // A good moment to forget sessions that have ended by themselves.
        sqlx::query("DELETE FROM session WHERE expires_at < $1").bind(session.created_at.0).execute(&self.pool).await?;
        sqlx::query(
            "INSERT INTO session (token_hash, user_id, created_at, seen_at, expires_at, address, agent)
             VALUES ($1, $2, $3, $3, $4, $5, $6)",
        )
        .bind(session.token_hash.to_vec())
        .bind(session.user_id.0)
        .bind(session.created_at.0)
        .bind(session.expires_at.0)
        .bind(text(&session.address))
        .bind(text(&session.agent))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// The user of a session that has not ended, and when the session was last seen.
    pub(in crate::server::store) async fn session_user(
        &self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<(UserRecord, Timestamp)>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            ", seen_at FROM session JOIN account ON account.id = session.user_id
             WHERE token_hash = $1 AND expires_at > $2 AND disabled_at IS NULL"
        ))
        .bind(&token_hash[..])
        .bind(now.0)
        .fetch_optional(&self.reading)
        .await?;
        row.map(|row| Ok((user(&row)?, Timestamp(row.try_get(10)?)))).transpose()
    }

    /// The users of those of some sessions that have not ended.
    pub(in crate::server::store) async fn session_users(
        &self,
        token_hashes: &[[u8; 32]],
        now: Timestamp,
    ) -> Result<HashMap<[u8; 32], UserRecord>, StoreError> {
        let wanted: Vec<Vec<u8>> = token_hashes.iter().map(|hash| hash.to_vec()).collect();
        let rows = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            ", token_hash FROM session JOIN account ON account.id = session.user_id
             WHERE token_hash = ANY($1) AND expires_at > $2 AND disabled_at IS NULL"
        ))
        .bind(wanted)
        .bind(now.0)
        .fetch_all(&self.reading)
        .await?;
        let of = |row: &PgRow| Ok((hash_of(row.try_get(10)?)?, user(row)?));
        rows.iter().map(of).collect()
    }

    /// Notes that a session is in use, and lets it live until then.
    pub(in crate::server::store) async fn touch_session(
        &self,
        token_hash: [u8; 32],
        seen_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE session SET seen_at = $1, expires_at = $2 WHERE token_hash = $3")
            .bind(seen_at.0)
            .bind(expires_at.0)
            .bind(token_hash.to_vec())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    pub(in crate::server::store) async fn end_session(&self, token_hash: [u8; 32]) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM session WHERE token_hash = $1").bind(token_hash.to_vec()).execute(&self.pool).await?;
        Ok(())
    }

    /// Keeps the hash of the first-run token, in place of any earlier one.
    pub(in crate::server::store) async fn set_setup_token(&self, token_hash: [u8; 32]) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ('setup_token', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(hex::encode(token_hash))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    pub(in crate::server::store) async fn setup_token(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let text: Option<String> =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'setup_token'").fetch_optional(&self.pool).await?;
        Ok(text.and_then(|text| {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash).is_ok().then_some(hash)
        }))
    }
}
