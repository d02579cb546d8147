//! Who may sign in and what he may do: invitations, links to choose a password, roles, memberships, sessions of one's own.

use super::{
    SqliteStore,
    people::user,
    settings::{Audit, taken},
};
use crate::domain::{
    Role, Timestamp,
    audit::Differences,
    id::{MerchantId, UserId},
    pages::people::{USERS_SHOWN, UserFilter},
};
use crate::server::store::{
    Actor, Commit, Link, NewUser, SessionView, StoreError, UserRecord,
    acts::{Changed, names_of},
};
use sqlx::{Row as _, SqliteConnection};

/// The columns of a user, in the order that [`user`] reads; the same as in `people`.
macro_rules! user_columns {
    () => {
        "user.id, email, password_hash, role,
             (SELECT group_concat(merchant_id) FROM membership WHERE membership.user_id = user.id),
             disabled_at, user.version, link_expires_at, user.created_at, user.language"
    };
}
/// Administrators that can sign in, other than one.
const OTHER_ADMINS: &str =
    "SELECT EXISTS (SELECT 1 FROM user WHERE role = 'admin' AND disabled_at IS NULL AND password_hash <> '' AND id <> ?)";

impl SqliteStore {
    /// Writes down an act on a user, for each merchant that he belongs to.
    #[expect(clippy::too_many_arguments, reason = "it is one line of the log")]
    pub(super) async fn audit_user(
        &self,
        conn: &mut SqliteConnection,
        actor: &Actor,
        action: &'static str,
        email: &str,
        detail: &str,
        merchants: &[MerchantId],
        mut change: Option<Changed>,
    ) -> Result<(), StoreError> {
        let places: Vec<Option<MerchantId>> =
            if merchants.is_empty() { vec![None] } else { merchants.iter().copied().map(Some).collect() };
        for merchant_id in places {
            let (subject, detail) = (email.to_owned(), detail.to_owned());
            // Only one of the lines counts as the change.
            self.audit(conn, Audit { actor, merchant_id, action, subject, detail, change: change.take() }).await?;
        }
        Ok(())
    }

    pub(super) async fn insert_user(
        &self,
        conn: &mut SqliteConnection,
        new: &NewUser,
        link: Option<Link>,
    ) -> Result<UserId, StoreError> {
        let id = UserId(self.0.ids.next());
        let now = self.0.clock.now().0;
        sqlx::query(
            "INSERT INTO user (id, email, password_hash, role, created_at, updated_at, link_hash, link_expires_at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(id.0)
        .bind(&new.email)
        .bind(&new.password_hash)
        .bind(new.role.name())
        .bind(now)
        .bind(now)
        .bind(link.map(|link| link.token_hash.to_vec()))
        .bind(link.map(|link| link.expires_at.0))
        .execute(&mut *conn)
        .await
        .map_err(|error| taken(error, "this e-mail address"))?;
        set_merchants(conn, id, &new.merchants).await?;
        Ok(id)
    }

    /// Adds a user who chooses his password by a link.
    pub(in crate::server::store) async fn invite_user(
        &self,
        new: NewUser,
        link: Link,
        actor: Actor,
    ) -> Result<UserId, StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let id = store.insert_user(conn, &new, Some(link)).await?;
                store.audit_user(conn, &actor, "user.invite", &new.email, new.role.name(), &new.merchants, None).await?;
                Ok((id, Commit::default()))
            })
        })
        .await
    }

    /// Gives a user a new link in place of any earlier one.
    pub(in crate::server::store) async fn set_link(&self, id: UserId, link: Link, actor: Actor) -> Result<(), StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let user = find(conn, id).await?.filter(|user| !user.disabled).ok_or(StoreError::NotFound("the user"))?;
                sqlx::query("UPDATE user SET link_hash = ?, link_expires_at = ? WHERE id = ?")
                    .bind(link.token_hash.to_vec())
                    .bind(link.expires_at.0)
                    .bind(id.0)
                    .execute(&mut *conn)
                    .await?;
                let action = if user.is_invited() { "user.invite" } else { "user.link" };
                store.audit_user(conn, &actor, action, &user.email, "", &user.merchants, None).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    /// Takes a user's link back. Somebody who was only invited goes with it: gives whether he did.
    pub(in crate::server::store) async fn withdraw_link(&self, id: UserId, actor: Actor) -> Result<bool, StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let user = find(conn, id).await?.ok_or(StoreError::NotFound("the user"))?;
                if user.is_invited() {
                    sqlx::query("DELETE FROM membership WHERE user_id = ?").bind(id.0).execute(&mut *conn).await?;
                    sqlx::query("DELETE FROM user WHERE id = ?").bind(id.0).execute(&mut *conn).await?;
                } else {
                    sqlx::query("UPDATE user SET link_hash = NULL, link_expires_at = NULL WHERE id = ?")
                        .bind(id.0)
                        .execute(&mut *conn)
                        .await?;
                }
                store.audit_user(conn, &actor, "user.withdraw", &user.email, "", &user.merchants, None).await?;
                Ok((user.is_invited(), Commit::default()))
            })
        })
        .await
    }

    /// The user whose link this is, while it works.
    pub(in crate::server::store) async fn user_by_link(
        &self,
        token_hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<UserRecord>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            " FROM user WHERE link_hash = ? AND link_expires_at > ? AND disabled_at IS NULL"
        ))
        .bind(&token_hash[..])
        .bind(now.0)
        .fetch_optional(&self.0.readers)
        .await?;
        row.as_ref().map(user).transpose()
    }

    /// Sets the password of the user whose link this is; the link ends, and so do his sessions. `None` where it works no more.
    pub(in crate::server::store) async fn use_link(
        &self,
        token_hash: [u8; 32],
        password_hash: String,
        address: String,
    ) -> Result<Option<UserId>, StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let now = store.0.clock.now().0;
                let row = sqlx::query(concat!(
                    "SELECT ",
                    user_columns!(),
                    " FROM user WHERE link_hash = ? AND link_expires_at > ? AND disabled_at IS NULL"
                ))
                .bind(token_hash.to_vec())
                .bind(now)
                .fetch_optional(&mut *conn)
                .await?;
                let Some(found) = row.as_ref().map(user).transpose()? else { return Ok((None, Commit::default())) };
                sqlx::query(
                    "UPDATE user SET password_hash = ?, updated_at = ?, link_hash = NULL, link_expires_at = NULL WHERE id = ?",
                )
                .bind(password_hash)
                .bind(now)
                .bind(found.id.0)
                .execute(&mut *conn)
                .await?;
                sqlx::query("DELETE FROM session WHERE user_id = ?").bind(found.id.0).execute(&mut *conn).await?;
                let (action, detail) = if found.is_invited() { ("user.join", "") } else { ("user.password", "by a link") };
                let actor = Actor::at(found.email.clone(), address);
                store.audit_user(conn, &actor, action, &found.email, detail, &found.merchants, None).await?;
                Ok((Some(found.id), Commit::default()))
            })
        })
        .await
    }

    /// Changes what a user may do.
    pub(in crate::server::store) async fn change_user(
        &self,
        id: UserId,
        role: Role,
        merchants: Vec<MerchantId>,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let user = find(conn, id).await?.ok_or(StoreError::NotFound("the user"))?;
                actor.must_have_seen(Some(user.version))?;
                if role != Role::Admin {
                    keep_an_admin(conn, &user).await?;
                }
                let version: i64 = sqlx::query_scalar(
                    "UPDATE user SET role = ?, updated_at = ?, version = version + 1 WHERE id = ? RETURNING version",
                )
                .bind(role.name())
                .bind(store.0.clock.now().0)
                .bind(id.0)
                .fetch_one(&mut *conn)
                .await?;
                set_merchants(conn, id, &merchants).await?;
                let settings = store.settings();
                let fields = Differences::default()
                    .field("Role", user.role.label(), role.label())
                    .field("Merchants", names_of(&settings, &user.merchants), names_of(&settings, &merchants))
                    .end();
                let change = Some(Changed { id: id.0, version, fields });
                let mut places = user.merchants.clone();
                places.extend(merchants.iter().filter(|merchant| !user.merchants.contains(merchant)));
                store.audit_user(conn, &actor, "user.change", &user.email, role.name(), &places, change).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    /// Lets a user sign in no more, at once, or again.
    pub(in crate::server::store) async fn set_disabled(
        &self,
        id: UserId,
        disabled: bool,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let user = find(conn, id).await?.ok_or(StoreError::NotFound("the user"))?;
                if user.disabled == disabled {
                    return Ok(((), Commit::default()));
                }
                if disabled {
                    keep_an_admin(conn, &user).await?;
                    sqlx::query("DELETE FROM session WHERE user_id = ?").bind(id.0).execute(&mut *conn).await?;
                }
                let now = store.0.clock.now().0;
                let version: i64 = sqlx::query_scalar(
                    "UPDATE user SET disabled_at = ?, updated_at = ?, link_hash = NULL, link_expires_at = NULL,
                         version = version + 1
                     WHERE id = ? RETURNING version",
                )
                .bind(disabled.then_some(now))
                .bind(now)
                .bind(id.0)
                .fetch_one(&mut *conn)
                .await?;
                let fields = Differences::default().flag("Disabled", !disabled, disabled).end();
                let change = Some(Changed { id: id.0, version, fields });
                let action = if disabled { "user.disable" } else { "user.enable" };
                store.audit_user(conn, &actor, action, &user.email, "", &user.merchants, change).await?;
                Ok(((), Commit::default()))
            })
        })
        .await
    }

    pub(in crate::server::store) async fn user(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        let mut reader = self.0.readers.acquire().await?;
        find(&mut reader, id).await
    }

    /// Users by e-mail, with when they were last seen; and whether there are more. With a scope only those whose merchants are
    /// all in it.
    pub(in crate::server::store) async fn users(
        &self,
        scope: Option<&[MerchantId]>,
        filter: &UserFilter,
    ) -> Result<(Vec<(UserRecord, Option<Timestamp>)>, bool), StoreError> {
        let scope = scope.map(|ids| ids.iter().map(|id| id.0.to_string()).collect::<Vec<_>>().join(","));
        let rows = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            ", (SELECT max(seen_at) FROM session WHERE session.user_id = user.id)
             FROM user WHERE email > ?1 AND instr(email, ?2) > 0 AND (?3 IS NULL OR (role <> 'admin'
                 AND EXISTS (SELECT 1 FROM membership WHERE membership.user_id = user.id)
                 AND NOT EXISTS (SELECT 1 FROM membership WHERE membership.user_id = user.id
                     AND merchant_id NOT IN (SELECT value FROM json_each('[' || ?3 || ']')))))
             ORDER BY email LIMIT ?4"
        ))
        .bind(filter.after.as_deref().unwrap_or_default())
        .bind(filter.text.trim().to_lowercase())
        .bind(scope)
        .bind(USERS_SHOWN + 1)
        .fetch_all(&self.0.readers)
        .await?;
        let more = rows.len() > USERS_SHOWN as usize;
        let read = |row| Ok((user(row)?, row.try_get::<Option<i64>, _>(10)?.map(Timestamp)));
        let rows = rows.iter().take(USERS_SHOWN as usize).map(read).collect::<Result<_, StoreError>>()?;
        Ok((rows, more))
    }

    /// The sessions of a user that have not ended, the one used last first.
    pub(in crate::server::store) async fn sessions_of(&self, id: UserId, now: Timestamp) -> Result<Vec<SessionView>, StoreError> {
        let rows = sqlx::query(
            "SELECT token_hash, created_at, seen_at, address, agent FROM session
             WHERE user_id = ? AND expires_at > ? ORDER BY seen_at DESC LIMIT 50",
        )
        .bind(id.0)
        .bind(now.0)
        .fetch_all(&self.0.readers)
        .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok(SessionView {
                token_hash: row.try_get(0)?,
                created_at: Timestamp(row.try_get(1)?),
                seen_at: Timestamp(row.try_get(2)?),
                address: row.try_get(3)?,
                agent: row.try_get(4)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Ends the sessions of a user but one; gives how many.
    pub(in crate::server::store) async fn end_other_sessions(
        &self,
        id: UserId,
        kept: [u8; 32],
        actor: Actor,
    ) -> Result<u64, StoreError> {
        let store = self.clone();
        self.change(move |conn| {
            Box::pin(async move {
                let ended = sqlx::query("DELETE FROM session WHERE user_id = ? AND token_hash <> ?")
                    .bind(id.0)
                    .bind(kept.to_vec())
                    .execute(&mut *conn)
                    .await?
                    .rows_affected();
                if ended > 0 {
                    let (action, subject, detail) = ("sign-out.others", actor.name.clone(), ended.to_string());
                    let entry = Audit { actor: &actor, merchant_id: None, action, subject, detail, change: None };
                    store.audit(conn, entry).await?;
                }
                Ok((ended, Commit::default()))
            })
        })
        .await
    }
}

async fn find(conn: &mut SqliteConnection, id: UserId) -> Result<Option<UserRecord>, StoreError> {
    let row = sqlx::query(concat!("SELECT ", user_columns!(), " FROM user WHERE id = ?")).bind(id.0).fetch_optional(conn).await?;
    row.as_ref().map(user).transpose()
}

/// Somebody must be able to administer the installation.
async fn keep_an_admin(conn: &mut SqliteConnection, user: &UserRecord) -> Result<(), StoreError> {
    let counts = user.role == Role::Admin && !user.disabled && !user.is_invited();
    if counts && !sqlx::query_scalar::<_, bool>(OTHER_ADMINS).bind(user.id.0).fetch_one(conn).await? {
        return Err(StoreError::LastAdmin);
    }
    Ok(())
}

async fn set_merchants(conn: &mut SqliteConnection, id: UserId, merchants: &[MerchantId]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM membership WHERE user_id = ?").bind(id.0).execute(&mut *conn).await?;
    for merchant in merchants {
        sqlx::query("INSERT INTO membership (user_id, merchant_id) VALUES (?, ?)")
            .bind(id.0)
            .bind(merchant.0)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
