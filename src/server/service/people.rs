//! The first run, signing in and out, users.

use super::{ServiceError, ServiceResult, Services, fields};
use crate::server::{
    auth::{self, MIN_PASSWORD, Place, Token},
    service::merchant_ref,
    store::{Actor, Merchant, NewUser, Note, StoreError, UserRecord},
};
use crate::{
    domain::{
        AppError, Role,
        id::{MerchantId, UserId},
        pages::{
            dashboard::MerchantRef,
            people::{FirstRun, Viewer},
        },
    },
    words::{Language, t},
};
use std::{sync::Arc, time::Duration};

/// Longest password taken: hashing a book takes time.
const MAX_PASSWORD: usize = 1_000;

impl Services {
    /// A fresh first-run token where nobody can administer the installation yet; earlier ones end.
    pub async fn first_run_token(&self) -> ServiceResult<Option<Token>> {
        if self.store.has_admin().await? {
            return Ok(None);
        }
        let token = Token::new();
        self.store.set_setup_token(token.hash()).await?;
        Ok(Some(token))
    }

    /// Whether the first administrator is still to be created, and by this link.
    pub async fn first_run(&self, token: &str) -> ServiceResult<FirstRun> {
        if self.store.has_admin().await? {
            return Ok(FirstRun::Done);
        }
        let is_right = self.store.setup_token().await? == Some(Token::hash_of(token));
        Ok(if is_right { FirstRun::Open } else { FirstRun::Waiting })
    }

    /// Creates the first administrator and signs him in; gives the session's token.
    pub async fn set_up(&self, token: &str, email: &str, password: &str, place: &Place) -> ServiceResult<Token> {
        if self.first_run(token).await? != FirstRun::Open {
            return Err(AppError::field(
                "",
                t!("This link is not valid any more. Restart the server to have a new one printed, or sign in."),
            )
            .into());
        }
        let actor = Actor::at("first run", place.address.to_canonical());
        let id = self.create_user(email, password, Role::Admin, Vec::new(), true, actor).await?;
        Ok(auth::begin_session(&self.store, id, self.clock.now(), place).await?)
    }

    /// Adds a user.
    pub async fn add_user(
        &self,
        email: &str,
        password: &str,
        role: Role,
        merchants: Vec<MerchantId>,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<UserId> {
        if role.needs_merchant() && merchants.is_empty() {
            return Err(AppError::field("merchant", t!("A user with the role merchant needs the merchant he belongs to.")).into());
        }
        self.create_user(email, password, role, merchants, false, actor.into()).await
    }

    async fn create_user(
        &self,
        email: &str,
        password: &str,
        role: Role,
        merchants: Vec<MerchantId>,
        only_first: bool,
        actor: Actor,
    ) -> ServiceResult<UserId> {
        let mut mistakes = fields::Mistakes::default();
        let email = mistakes.take("email", fields::email(email));
        mistakes.take("password", check_password(password));
        mistakes.end()?;
        let Some(password_hash) = self.passwords.hash(password.to_owned()).await else {
            return Err(AppError::Unavailable.into());
        };
        let new = NewUser { email: email.unwrap_or_default(), password_hash, role, merchants };
        self.store.add_user(new, only_first, actor).await.map_err(|error| match error {
            StoreError::Taken("this e-mail address") => {
                AppError::field("email", t!("There is a user with this e-mail address already.")).into()
            }
            StoreError::Taken(_) => AppError::field("", t!("An administrator was created meanwhile; sign in.")).into(),
            error => ServiceError::from(error),
        })
    }

    /// Checks e-mail and password; gives the session's token. What was wrong of the two is not told.
    pub async fn sign_in(&self, email: &str, password: &str, place: &Place) -> ServiceResult<Token> {
        let email = email.trim().to_lowercase();
        let now = self.clock.now();
        self.throttle.admit(&email, place.address, now).map_err(too_many)?;
        let user = self.store.user_by_email(&email).await?.filter(|user| !user.is_invited() && !user.disabled);
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let fits = password.len() <= MAX_PASSWORD && self.passwords.verify(password.to_owned(), hash).await;
        let (tries, is_last) = self.throttle.failures(&email, place.address, now);
        match user {
            Some(user) if fits => {
                self.throttle.succeeded(&email, place.address, now);
                let failed = match tries.saturating_sub(1) {
                    0 => String::new(),
                    1 => "after one wrong password".to_owned(),
                    failed => format!("after {failed} wrong passwords"),
                };
                self.note_sign_in("sign-in", &user.email, failed, place).await?;
                Ok(auth::begin_session(&self.store, user.id, now, place).await?)
            }
            user => {
                // Once for as many tries as are let in: whoever guesses must not fill the log.
                if is_last {
                    let known = user.map_or_else(|| "nobody's address".to_owned(), |user| user.email);
                    let detail = format!("{tries} wrong passwords; more are refused for some minutes");
                    self.note_sign_in("sign-in.refused", &known, detail, place).await?;
                }
                Err(AppError::field("", t!("The e-mail address or the password is wrong.")).into())
            }
        }
    }

    async fn note_sign_in(&self, action: &'static str, email: &str, detail: String, place: &Place) -> ServiceResult<()> {
        let note = Note { merchant_id: None, action, subject: email.to_owned(), detail };
        Ok(self.store.note(note, Actor::at(email, place.address.to_canonical())).await?)
    }

    /// Sets one's own password; other sessions end. Gives a new session's token.
    pub async fn change_password(&self, user: &UserRecord, current: &str, new: &str, place: &Place) -> ServiceResult<Token> {
        let now = self.clock.now();
        // Who finds a session open must not be able to guess the password from there.
        self.throttle.admit(&user.email, place.address, now).map_err(too_many)?;
        let mut mistakes = fields::Mistakes::default();
        if current.len() <= MAX_PASSWORD && self.passwords.verify(current.to_owned(), Some(user.password_hash.clone())).await {
            self.throttle.succeeded(&user.email, place.address, now);
        } else {
            mistakes.add("current", t!("This is not your current password."));
        }
        mistakes.take("password", check_password(new));
        mistakes.end()?;
        let Some(hash) = self.passwords.hash(new.to_owned()).await else { return Err(AppError::Unavailable.into()) };
        self.store.set_password(user.id, hash, Actor::at(user.email.clone(), place.address.to_canonical())).await?;
        Ok(auth::begin_session(&self.store, user.id, self.clock.now(), place).await?)
    }

    /// The merchants that a user may see, by name.
    pub fn merchants_of(&self, user: &UserRecord) -> Vec<Arc<Merchant>> {
        let all = self.store.settings().merchants();
        if sees_all(user) { all } else { all.into_iter().filter(|merchant| user.merchants.contains(&merchant.id)).collect() }
    }

    /// A merchant by its name in addresses, if a user may see it.
    pub fn merchant_for(&self, user: &UserRecord, slug: &str) -> Option<Arc<Merchant>> {
        let settings = self.store.settings();
        let merchant = settings.merchant_named(slug).filter(|merchant| merchant.slug == slug)?;
        (sees_all(user) || user.merchants.contains(&merchant.id)).then(|| merchant.clone())
    }

    /// The user as pages show him.
    pub fn viewer(&self, user: &UserRecord) -> Viewer {
        let merchants: Vec<MerchantRef> = self.merchants_of(user).iter().map(|merchant| merchant_ref(merchant)).collect();
        let language = user.language.as_deref().and_then(Language::from_code);
        Viewer { email: user.email.clone(), role: user.role, merchants, language }
    }
}

/// Administrators see all merchants, and so does support that is not tied to some.
pub(super) fn sees_all(user: &UserRecord) -> bool {
    match user.role {
        Role::Admin => true,
        Role::Support => user.merchants.is_empty(),
        Role::Merchant => false,
    }
}

fn too_many(wait: Duration) -> AppError {
    let minutes = wait.as_secs().div_ceil(60);
    AppError::field("", t!("Too many wrong passwords. Please wait {minutes} minutes and try again.", minutes))
}

pub(super) fn check_password(password: &str) -> Result<(), String> {
    if password.chars().count() < MIN_PASSWORD {
        Err(t!("Choose a password of at least {least} characters; a few words in a row are fine.", least = MIN_PASSWORD))
    } else if password.len() > MAX_PASSWORD {
        Err(t!("A password has at most {most} characters.", most = MAX_PASSWORD))
    } else {
        Ok(())
    }
}
