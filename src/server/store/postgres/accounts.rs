//! Who may sign in and what he may do: invitations, links to choose a password, roles, memberships, sessions of one's own.

use super::{
    Core,
    people::user,
    rows::{taken, text},
    settings::Audit,
};
use crate::domain::{
    Role, Timestamp,
    audit::Differences,
    id::{MerchantId, UserId},
    pages::people::{USERS_SHOWN, UserFilter},
};
use crate::server::store::{
    Actor, Link, NewUser, SessionView, StoreError, UserRecord,
    acts::{Changed, names_of},
};
use sqlx::{PgConnection, Row as _};

/// The columns of a user, in the order that [`user`] reads; the same as in `people`.
macro_rules! user_columns {
    () => {
        "account.id, email, password_hash, role,
             ARRAY(SELECT merchant_id FROM membership WHERE membership.user_id = account.id ORDER BY merchant_id),
             disabled_at, account.version, link_expires_at, account.created_at, account.language"
    };
}
/// Administrators that can sign in, other than one.
const OTHER_ADMINS: &str =
    "SELECT EXISTS (SELECT 1 FROM account WHERE role = 'admin' AND disabled_at IS NULL AND password_hash <> '' AND id <> $1)";

impl Core {
    /// Writes down an act on a user, for each merchant that he belongs to.
    #[expect(clippy::too_many_arguments, reason = "it is one line of the log")]
    pub(super) async fn audit_user(
        &self,
        conn: &mut PgConnection,
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
        conn: &mut PgConnection,
        new: &NewUser,
        link: Option<Link>,
    ) -> Result<UserId, StoreError> {
        let id = UserId(self.ids.next());
        sqlx::query(
            "INSERT INTO account (id, email, password_hash, role, created_at, updated_at, link_hash, link_expires_at)
             VALUES ($1, $2, $3, $4, $5, $5, $6, $7)",
        )
        .bind(id.0)
        .bind(text(&new.email))
        .bind(&new.password_hash)
        .bind(new.role.name())
        .bind(self.clock.now().0)
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
        let mut tx = self.pool.begin().await?;
        let id = self.insert_user(&mut tx, &new, Some(link)).await?;
        self.audit_user(&mut tx, &actor, "user.invite", &new.email, new.role.name(), &new.merchants, None).await?;
        tx.commit().await?;
        Ok(id)
    }

    /// Gives a user a new link in place of any earlier one.
    pub(in crate::server::store) async fn set_link(&self, id: UserId, link: Link, actor: Actor) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let user = find_locked(&mut tx, id).await?.filter(|user| !user.disabled).ok_or(StoreError::NotFound("the user"))?;
        sqlx::query("UPDATE account SET link_hash = $1, link_expires_at = $2 WHERE id = $3")
            .bind(link.token_hash.to_vec())
            .bind(link.expires_at.0)
            .bind(id.0)
            .execute(&mut *tx)
            .await?;
        let action = if user.is_invited() { "user.invite" } else { "user.link" };
        self.audit_user(&mut tx, &actor, action, &user.email, "", &user.merchants, None).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Takes a user's link back. Somebody who was only invited goes with it: gives whether he did.
    pub(in crate::server::store) async fn withdraw_link(&self, id: UserId, actor: Actor) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let user = find_locked(&mut tx, id).await?.ok_or(StoreError::NotFound("the user"))?;
        if user.is_invited() {
            sqlx::query("DELETE FROM membership WHERE user_id = $1").bind(id.0).execute(&mut *tx).await?;
            sqlx::query("DELETE FROM account WHERE id = $1").bind(id.0).execute(&mut *tx).await?;
        } else {
            sqlx::query("UPDATE account SET link_hash = NULL, link_expires_at = NULL WHERE id = $1")
                .bind(id.0)
                .execute(&mut *tx)
                .await?;
        }
        self.audit_user(&mut tx, &actor, "user.withdraw", &user.email, "", &user.merchants, None).await?;
        tx.commit().await?;
        Ok(user.is_invited())
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
            " FROM account WHERE link_hash = $1 AND link_expires_at > $2 AND disabled_at IS NULL"
        ))
        .bind(&token_hash[..])
        .bind(now.0)
        .fetch_optional(&self.pool)
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
        let mut tx = self.pool.begin().await?;
        let now = self.clock.now().0;
        // Of two at once the second waits here, and then finds no link.
        let row = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            " FROM account WHERE link_hash = $1 AND link_expires_at > $2 AND disabled_at IS NULL FOR UPDATE"
        ))
        .bind(token_hash.to_vec())
        .bind(now)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(found) = row.as_ref().map(user).transpose()? else { return Ok(None) };
        sqlx::query(
            "UPDATE account SET password_hash = $1, updated_at = $2, link_hash = NULL, link_expires_at = NULL WHERE id = $3",
        )
        .bind(password_hash)
        .bind(now)
        .bind(found.id.0)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM session WHERE user_id = $1").bind(found.id.0).execute(&mut *tx).await?;
        let (action, detail) = if found.is_invited() { ("user.join", "") } else { ("user.password", "by a link") };
        let actor = Actor::at(found.email.clone(), address);
        self.audit_user(&mut tx, &actor, action, &found.email, detail, &found.merchants, None).await?;
        tx.commit().await?;
        Ok(Some(found.id))
    }

    /// Changes what a user may do.
    pub(in crate::server::store) async fn change_user(
        &self,
        id: UserId,
        role: Role,
        merchants: Vec<MerchantId>,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        one_at_a_time(&mut tx).await?;
        let user = find_locked(&mut tx, id).await?.ok_or(StoreError::NotFound("the user"))?;
        actor.must_have_seen(Some(user.version))?;
        if role != Role::Admin {
            keep_an_admin(&mut tx, &user).await?;
        }
        let version: i64 = sqlx::query_scalar(
            "UPDATE account SET role = $1, updated_at = $2, version = version + 1 WHERE id = $3 RETURNING version",
        )
        .bind(role.name())
        .bind(self.clock.now().0)
        .bind(id.0)
        .fetch_one(&mut *tx)
        .await?;
        set_merchants(&mut tx, id, &merchants).await?;
        let settings = self.directory.borrow().clone();
        let fields = Differences::default()
            .field("Role", user.role.label(), role.label())
            .field("Merchants", names_of(&settings, &user.merchants), names_of(&settings, &merchants))
            .end();
        let change = Some(Changed { id: id.0, version, fields });
        let mut places = user.merchants.clone();
        places.extend(merchants.iter().filter(|merchant| !user.merchants.contains(merchant)));
        self.audit_user(&mut tx, &actor, "user.change", &user.email, role.name(), &places, change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets a user sign in no more, at once, or again.
    pub(in crate::server::store) async fn set_disabled(
        &self,
        id: UserId,
        disabled: bool,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        one_at_a_time(&mut tx).await?;
        let user = find_locked(&mut tx, id).await?.ok_or(StoreError::NotFound("the user"))?;
        if user.disabled == disabled {
            return Ok(());
        }
        if disabled {
            keep_an_admin(&mut tx, &user).await?;
            sqlx::query("DELETE FROM session WHERE user_id = $1").bind(id.0).execute(&mut *tx).await?;
        }
        let now = self.clock.now().0;
        let version: i64 = sqlx::query_scalar(
            "UPDATE account SET disabled_at = $1, updated_at = $2, link_hash = NULL, link_expires_at = NULL, version = version + 1
             WHERE id = $3 RETURNING version",
        )
        .bind(disabled.then_some(now))
        .bind(now)
        .bind(id.0)
        .fetch_one(&mut *tx)
        .await?;
        let fields = Differences::default().flag("Disabled", !disabled, disabled).end();
        let change = Some(Changed { id: id.0, version, fields });
        let action = if disabled { "user.disable" } else { "user.enable" };
        self.audit_user(&mut tx, &actor, action, &user.email, "", &user.merchants, change).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(in crate::server::store) async fn user(&self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", user_columns!(), " FROM account WHERE id = $1"))
            .bind(id.0)
            .fetch_optional(&self.reading)
            .await?;
        row.as_ref().map(user).transpose()
    }

    /// Users by e-mail, with when they were last seen; and whether there are more. With a scope only those whose merchants are
    /// all in it.
    pub(in crate::server::store) async fn users(
        &self,
        scope: Option<&[MerchantId]>,
        filter: &UserFilter,
    ) -> Result<(Vec<(UserRecord, Option<Timestamp>)>, bool), StoreError> {
        let scope = scope.map(|ids| ids.iter().map(|id| id.0).collect::<Vec<_>>());
        let lower = filter.text.trim().to_lowercase();
        let rows = sqlx::query(concat!(
            "SELECT ",
            user_columns!(),
            ", (SELECT max(seen_at) FROM session WHERE session.user_id = account.id)
             FROM account WHERE email > $1 AND strpos(email, $2) > 0 AND ($3::bigint[] IS NULL OR (role <> 'admin'
                 AND EXISTS (SELECT 1 FROM membership WHERE membership.user_id = account.id)
                 AND NOT EXISTS (SELECT 1 FROM membership WHERE membership.user_id = account.id AND merchant_id <> ALL($3))))
             ORDER BY email LIMIT $4"
        ))
        .bind(text(filter.after.as_deref().unwrap_or_default()))
        .bind(text(&lower))
        .bind(scope)
        .bind(i64::from(USERS_SHOWN + 1))
        .fetch_all(&self.pool)
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
             WHERE user_id = $1 AND expires_at > $2 ORDER BY seen_at DESC LIMIT 50",
        )
        .bind(id.0)
        .bind(now.0)
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &sqlx::postgres::PgRow| {
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
        let mut tx = self.pool.begin().await?;
        let ended = sqlx::query("DELETE FROM session WHERE user_id = $1 AND token_hash <> $2")
            .bind(id.0)
            .bind(kept.to_vec())
            .execute(&mut *tx)
            .await?
            .rows_affected();
        if ended > 0 {
            let (action, subject, detail) = ("sign-out.others", actor.name.clone(), ended.to_string());
            self.audit(&mut tx, Audit { actor: &actor, merchant_id: None, action, subject, detail, change: None }).await?;
        }
        tx.commit().await?;
        Ok(ended)
    }
}

/// Of two who take each other's rights at once one must see what the other did.
async fn one_at_a_time(conn: &mut PgConnection) -> Result<(), StoreError> {
    sqlx::query("LOCK TABLE account IN SHARE ROW EXCLUSIVE MODE").execute(conn).await?;
    Ok(())
}

async fn find_locked(conn: &mut PgConnection, id: UserId) -> Result<Option<UserRecord>, StoreError> {
    let row = sqlx::query(concat!("SELECT ", user_columns!(), " FROM account WHERE id = $1 FOR UPDATE"))
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(user).transpose()
}

/// Somebody must be able to administer the installation.
async fn keep_an_admin(conn: &mut PgConnection, user: &UserRecord) -> Result<(), StoreError> {
    let counts = user.role == Role::Admin && !user.disabled && !user.is_invited();
    if counts && !sqlx::query_scalar::<_, bool>(OTHER_ADMINS).bind(user.id.0).fetch_one(conn).await? {
        return Err(StoreError::LastAdmin);
    }
    Ok(())
}

async fn set_merchants(conn: &mut PgConnection, id: UserId, merchants: &[MerchantId]) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM membership WHERE user_id = $1").bind(id.0).execute(&mut *conn).await?;
    sqlx::query("INSERT INTO membership (user_id, merchant_id) SELECT $1, unnest($2::bigint[])")
        .bind(id.0)
        .bind(merchants.iter().map(|merchant| merchant.0).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}
