//! Users: who may sign in, with which role, for which merchants; invitations and links to choose a password.
//!
//! What somebody may do to others follows from his own role: administrators everything, owners of a merchant what concerns
//! people of their own merchants alone. The command line is nobody and may everything.

use super::{
    ServiceError, ServiceResult, Services, fields, merchant_ref,
    people::{check_password, sees_all},
};
use crate::server::{
    auth::{self, Place, Token},
    store::{Actor, Link, NewUser, StoreError, UserRecord},
};
use crate::{
    domain::{
        AppError, Role, Timestamp,
        agent::browser,
        id::{MerchantId, UserId},
        pages::people::{LinkState, OwnSession, Standing, UserChoices, UserFilter, UserList, UserPage, UserRow},
        role::Permission,
    },
    words::t,
};
use std::time::Duration;

/// How long a link to choose a password works.
pub const LINK_LASTS: Duration = Duration::from_secs(7 * 86_400);

/// What somebody enters for a user.
#[derive(Debug, Clone, Default)]
pub struct UserForm {
    /// Only for a new one.
    pub email: String,
    pub role: String,
    /// By their names in addresses.
    pub merchants: Vec<String>,
}

impl Services {
    /// Users that somebody may manage; everybody for the command line.
    pub async fn user_list(&self, who: Option<&UserRecord>, filter: &UserFilter) -> ServiceResult<UserList> {
        let scope = who.filter(|who| !sees_all(who)).map(|who| who.merchants.clone());
        let (rows, more) = self.store.users(scope.as_deref(), filter).await?;
        let now = self.clock.now();
        let rows = rows.into_iter().map(|(user, seen_at)| UserRow { seen_at, ..self.user_row(&user, now) }).collect();
        Ok(UserList { rows, more, choices: self.user_choices(who) })
    }

    /// One user, to be changed.
    pub async fn user_page(&self, who: &UserRecord, id: UserId) -> ServiceResult<UserPage> {
        let user = self.manageable(Some(who), id).await?;
        Ok(UserPage {
            user: self.user_row(&user, self.clock.now()),
            version: user.version,
            choices: self.user_choices(Some(who)),
            is_self: user.id == who.id,
        })
    }

    fn user_row(&self, user: &UserRecord, now: Timestamp) -> UserRow {
        let settings = self.store.settings();
        let merchants = settings.merchants().into_iter().filter(|merchant| user.merchants.contains(&merchant.id));
        let link_until = user.link_until.filter(|until| *until > now);
        UserRow {
            id: user.id,
            email: user.email.clone(),
            role: user.role,
            merchants: merchants.map(|merchant| merchant_ref(&merchant)).collect(),
            standing: match (user.disabled, user.is_invited(), link_until) {
                (true, ..) => Standing::Disabled,
                (false, true, Some(_)) => Standing::Invited,
                (false, true, None) => Standing::Lapsed,
                (false, false, _) => Standing::Active,
            },
            seen_at: None,
            link_until,
        }
    }

    fn user_choices(&self, who: Option<&UserRecord>) -> UserChoices {
        let roles = who.map_or(&Role::ALL[..], |who| who.role.may_give());
        let merchants = who.map_or_else(|| self.store.settings().merchants(), |who| self.merchants_of(who));
        UserChoices { roles: roles.to_vec(), merchants: merchants.iter().map(|merchant| merchant_ref(merchant)).collect() }
    }

    /// A user that somebody may manage. Others are as if they did not exist.
    async fn manageable(&self, who: Option<&UserRecord>, id: UserId) -> ServiceResult<UserRecord> {
        let user = self.store.user(id).await?.filter(|user| may_manage(who, user));
        Ok(user.ok_or(AppError::NotFound)?)
    }

    /// Checks what was entered: the role and the merchants, as far as somebody may give them.
    fn rights(
        &self,
        who: Option<&UserRecord>,
        form: &UserForm,
        mistakes: &mut fields::Mistakes,
    ) -> Option<(Role, Vec<MerchantId>)> {
        let choices = self.user_choices(who);
        let role = form.role.parse::<Role>().ok().filter(|role| choices.roles.contains(role));
        if role.is_none() {
            mistakes.add("role", t!("Choose one of the roles of the list."));
        }
        let settings = self.store.settings();
        let mut merchants = Vec::new();
        for slug in form.merchants.iter().filter(|slug| !slug.is_empty()) {
            match settings.merchant_named(slug).filter(|found| choices.merchants.iter().any(|known| known.slug == found.slug)) {
                Some(merchant) if !merchants.contains(&merchant.id) => merchants.push(merchant.id),
                Some(_) => {}
                None => mistakes.add("merchants", t!("One of the merchants is not there any more; choose again.")),
            }
        }
        let role = role?;
        let is_owner = who.is_some_and(|who| who.role == Role::Merchant);
        match role {
            Role::Admin => merchants.clear(),
            _ if merchants.is_empty() && (role.needs_merchant() || is_owner) => {
                mistakes.add("merchants", t!("Choose at least one merchant that the person belongs to."));
            }
            _ => {}
        }
        Some((role, merchants))
    }

    /// Adds a user; gives the token of the link by which he chooses his password, which is shown this once.
    pub async fn invite(
        &self,
        who: Option<&UserRecord>,
        form: &UserForm,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<Token> {
        let mut mistakes = fields::Mistakes::default();
        let email = mistakes.take("email", fields::email(&form.email));
        let rights = self.rights(who, form, &mut mistakes);
        mistakes.end()?;
        let (Some(email), Some((role, merchants))) = (email, rights) else { return Err(AppError::NotFound.into()) };
        let (token, link) = self.new_link();
        let new = NewUser { email, password_hash: String::new(), role, merchants };
        self.store.invite_user(new, link, actor).await.map_err(|error| match error {
            StoreError::Taken(_) => AppError::field(
                "email",
                t!("There is a user with this e-mail address already. Where the link was lost, make a new one on the user's page."),
            )
            .into(),
            error => ServiceError::from(error),
        })?;
        Ok(token)
    }

    fn new_link(&self) -> (Token, Link) {
        let token = Token::new();
        let link = Link { token_hash: token.hash(), expires_at: self.clock.now().plus(LINK_LASTS) };
        (token, link)
    }

    /// Changes role and merchants of a user.
    pub async fn save_user(&self, who: &UserRecord, id: UserId, form: &UserForm, actor: Actor) -> ServiceResult<()> {
        let mut mistakes = fields::Mistakes::default();
        self.manageable(Some(who), id).await?;
        let rights = self.rights(Some(who), form, &mut mistakes);
        mistakes.end()?;
        let Some((role, merchants)) = rights else { return Err(AppError::NotFound.into()) };
        let seen = actor.seen;
        let saved = self.store.change_user(id, role, merchants, actor).await;
        if matches!(saved, Err(StoreError::LastAdmin)) {
            return Err(last_admin("role").into());
        }
        self.or_conflict(id.get(), seen, saved).await
    }

    /// Lets a user sign in no more, or again. His sessions end at once.
    pub async fn set_disabled(
        &self,
        who: Option<&UserRecord>,
        id: UserId,
        disabled: bool,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<UserRow> {
        let user = self.manageable(who, id).await?;
        self.store.set_disabled(id, disabled, actor).await.map_err(|error| match error {
            StoreError::LastAdmin => last_admin("").into(),
            error => ServiceError::from(error),
        })?;
        Ok(self.user_row(&user, self.clock.now()))
    }

    /// A new link for a user to choose a password by; an earlier one ends. Gives its token, which is shown this once.
    pub async fn make_link(&self, who: &UserRecord, id: UserId, actor: impl Into<Actor> + Send) -> ServiceResult<Token> {
        let user = self.manageable(Some(who), id).await?;
        if user.disabled {
            return Err(AppError::field("", t!("This user is disabled. Enable him first, then make a link.")).into());
        }
        let (token, link) = self.new_link();
        self.store.set_link(id, link, actor).await?;
        Ok(token)
    }

    /// Takes a link back; somebody who was only invited goes with it, and then `true` is given.
    pub async fn withdraw_link(&self, who: &UserRecord, id: UserId, actor: impl Into<Actor> + Send) -> ServiceResult<bool> {
        self.manageable(Some(who), id).await?;
        Ok(self.store.withdraw_link(id, actor).await?)
    }

    /// Whether a link works, and for whom.
    pub async fn link_state(&self, token: &str) -> ServiceResult<LinkState> {
        let user = self.store.user_by_link(&Token::hash_of(token), self.clock.now()).await?;
        Ok(user.map_or(LinkState::Over, |user| LinkState::Open { is_invitation: user.is_invited(), email: user.email }))
    }

    /// Sets the password of whoever has a link, and signs him in; gives the session's token. The link ends.
    pub async fn use_link(&self, token: &str, password: &str, place: &Place) -> ServiceResult<Token> {
        let over = || AppError::field("", t!("This link does not work any more. Ask whoever sent it to you for a new one."));
        // Before the password is hashed, which costs memory and time.
        let Some(user) = self.store.user_by_link(&Token::hash_of(token), self.clock.now()).await? else {
            return Err(over().into());
        };
        check_password(password).map_err(|message| AppError::field("password", message))?;
        let Some(hash) = self.passwords.hash(password.to_owned()).await else { return Err(AppError::Unavailable.into()) };
        let address = place.address.to_canonical().to_string();
        let used = self.store.use_link(Token::hash_of(token), hash, address).await?;
        used.filter(|id| *id == user.id).ok_or_else(over)?;
        Ok(auth::begin_session(&self.store, user.id, self.clock.now(), place).await?)
    }

    /// Somebody's own sessions; `token` is that of the one that asks.
    pub async fn own_sessions(&self, user: &UserRecord, token: &str) -> ServiceResult<Vec<OwnSession>> {
        let own = Token::hash_of(token);
        let sessions = self.store.sessions_of(user.id, self.clock.now()).await?;
        let view = |session: crate::server::store::SessionView| OwnSession {
            is_this: session.token_hash == own,
            created_at: session.created_at,
            seen_at: session.seen_at,
            address: session.address,
            browser: browser(&session.agent),
        };
        Ok(sessions.into_iter().map(view).collect())
    }
}

/// Whether somebody may change a user: an owner people of his own merchants alone, who are no administrators, and not himself.
fn may_manage(who: Option<&UserRecord>, user: &UserRecord) -> bool {
    let Some(who) = who else { return true };
    let is_his =
        !user.merchants.is_empty() && user.merchants.iter().all(|merchant| who.merchants.contains(merchant)) && user.id != who.id;
    who.role.may(Permission::ManagePeople) && (sees_all(who) || (user.role != Role::Admin && is_his))
}

/// What somebody is told who would leave nobody to administer the installation.
fn last_admin(field: &str) -> AppError {
    AppError::field(field, t!("This is the last administrator who can sign in. Make somebody else an administrator first."))
}
