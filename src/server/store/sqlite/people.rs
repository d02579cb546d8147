//! Users, sessions and the first-run token.

use super::{
    SqliteStore,
    rows::{json, word},
    settings::Audit,
};
use crate::domain::{
    Timestamp,
    id::{MerchantId, UserId},
};
use crate::server::store::{Actor, Commit, NewUser, SessionRecord, StoreError, UserRecord, acts::hash_of};
use sqlx::{Row as _, SqliteConnection, sqlite::SqliteRow};
use std::collections::HashMap;

/// The columns of a user, in the order that [`user`] reads.
macro_rules! user_columns {
    () => {
        "user.id, email, password_hash, role,
             (SELECT group_concat(merchant_id) FROM membership WHERE membership.user_id = user.id),
             disabled_at, user.version, link_expires_at, user.created_at, user.language"
    };
}
pub(super) fn user(row: &SqliteRow) -> Result<UserRecord, StoreError> {
    let merchants: Option<&str> = row.try_get(4)?;
    let merchants = merchants.unwrap_or_default().split(',').filter_map(|id| id.parse().ok().map(MerchantId)).collect();
    Ok(UserRecord {
        id: UserId(row.try_get(0)?),
        email: row.try_get(1)?,
        password_hash: row.try_get(2)?,
        role: word("user.role", row.try_get(3)?)?,
        merchants,
        disabled: row.try_get::<Option<i64>, _>(5)?.is_some(),
        version: row.try_get(6)?,
        link_until: row.try_get::<Option<i64>, _>(7)?.map(Timestamp),
        created_at: Timestamp(row.try_get(8)?),
        language: row.try_get(9)?,
    })
}

impl SqliteStore {
    /// Adds a user. With `only_first`, only while there is no administrator yet.
    pub(in crate::server::store) async fn add_user(
        &self,
        new: NewUser,
        only_first: bool,
        actor: Actor,
    ) -> Result<UserId, StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                if only_first && has_admin(conn).await? {
                    return Err(StoreError::Taken("the first administrator"));
                }
                let id = store.insert_user(conn, &new, None).await?;
                store.audit_user(conn, &actor, "user.add", &new.email, new.role.name(), &new.merchants, None).await?;
                Ok((id, Commit::default()))
            })
        })
        .await
    }

    /// Sets a password and ends the user's sessions, so that whoever knew the old one is out.
    pub(in crate::server::store) async fn set_password(&self, id: UserId, hash: String, actor: Actor) -> Result<(), StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let email: Option<String> =
                    sqlx::query_scalar("UPDATE user SET password_hash = ?, updated_at = ? WHERE id = ? RETURNING email")
                        .bind(hash)
                        .bind(store.0.clock.now().0)
                        .bind(id.0)
                        .fetch_optional(&mut *conn)
                        .await?;
                let subject = email.ok_or(StoreError::NotFound("the user"))?;
                sqlx::query("DELETE FROM session WHERE user_id = ?").bind(id.0).execute(&mut *conn).await?;
                let entry = Audit {
                    actor: &actor,
                    merchant_id: None,
                    action: "user.password",
                    subject,
                    detail: String::new(),
                    change: None,
                };
                store.audit(conn, entry).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    /// Sets the language that a user reads; with `None` his browser decides.
    pub(in crate::server::store) async fn set_language(
        &self,
        id: UserId,
        language: Option<&'static str>,
    ) -> Result<(), StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                sqlx::query("UPDATE user SET language = ? WHERE id = ?").bind(language).bind(id.0).execute(conn).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn user_by_email(&self, email: &str) -> Result<Option<UserRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", user_columns!(), " FROM user WHERE email = ?"))
            .bind(email)
            .fetch_optional(&self.0.readers)
            .await?;
        row.as_ref().map(user).transpose()
    }

    /// Whether anybody can administer the installation.
    pub(in crate::server::store) async fn has_admin(&self) -> Result<bool, StoreError> {
        let mut reader = self.0.readers.acquire().await?;
        has_admin(&mut reader).await
    }

    pub(in crate::server::store) async fn add_session(&self, session: SessionRecord) -> Result<(), StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                // A good moment to forget sessions that have ended by themselves.
                sqlx::query("DELETE FROM session WHERE expires_at < ?").bind(session.created_at.0).execute(&mut *conn).await?;
                sqlx::query(
                    "INSERT INTO session (token_hash, user_id, created_at, seen_at, expires_at, address, agent)
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                )
                .bind(session.token_hash.to_vec())
                .bind(session.user_id.0)
                .bind(session.created_at.0)
                .bind(session.created_at.0)
                .bind(session.expires_at.0)
                .bind(session.address)
                .bind(session.agent)
                .execute(conn)
                .await?;
                Ok(((), Commit::default()))
            })
        })
        .await
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
            ", seen_at FROM session JOIN user ON user.id = session.user_id
             WHERE token_hash = ? AND expires_at > ? AND disabled_at IS NULL"
        ))
        .bind(&token_hash[..])
        .bind(now.0)
        .fetch_optional(&self.0.readers)
        .await?;
        row.map(|row| Ok((user(&row)?, Timestamp(row.try_get(10)?)))).transpose()
    }

    /// The users of those of some sessions that have not ended.
    pub(in crate::server::store) async fn session_users(
        &self,
        token_hashes: &[[u8; 32]],
        now: Timestamp,
    ) -> Result<HashMap<[u8; 32], UserRecord>, StoreError> {
        let wanted: Vec<String> = token_hashes.iter().map(hex::encode).collect();
        let rows = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            ", token_hash FROM session JOIN user ON user.id = session.user_id
             WHERE token_hash IN (SELECT unhex(value) FROM json_each(?)) AND expires_at > ? AND disabled_at IS NULL"
        ))
        .bind(json(&wanted)?)
        .bind(now.0)
        .fetch_all(&self.0.readers)
        .await?;
        let of = |row: &SqliteRow| Ok((hash_of(row.try_get(10)?)?, user(row)?));
        rows.iter().map(of).collect()
    }

    /// Notes that a session is in use, and lets it live until then.
    pub(in crate::server::store) async fn touch_session(
        &self,
        token_hash: [u8; 32],
        seen_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                sqlx::query("UPDATE session SET seen_at = ?, expires_at = ? WHERE token_hash = ?")
                    .bind(seen_at.0)
                    .bind(expires_at.0)
                    .bind(token_hash.to_vec())
                    .execute(conn)
                    .await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn end_session(&self, token_hash: [u8; 32]) -> Result<(), StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                sqlx::query("DELETE FROM session WHERE token_hash = ?").bind(token_hash.to_vec()).execute(conn).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    /// Keeps the hash of the first-run token, in place of any earlier one.
    pub(in crate::server::store) async fn set_setup_token(&self, token_hash: [u8; 32]) -> Result<(), StoreError> {
        self.change(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO meta (key, value) VALUES ('setup_token', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                )
                .bind(hex::encode(token_hash))
                .execute(conn)
                .await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn setup_token(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let text: Option<String> =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'setup_token'").fetch_optional(&self.0.readers).await?;
        Ok(text.and_then(|text| {
            let mut hash = [0; 32];
            hex::decode_to_slice(text, &mut hash).is_ok().then_some(hash)
        }))
    }
}

async fn has_admin(conn: &mut SqliteConnection) -> Result<bool, StoreError> {
    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM user WHERE role = 'admin' AND password_hash <> '')")
        .fetch_one(conn)
        .await?)
}
