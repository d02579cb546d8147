//! Users: invitations, rights, links to choose a password.

use crate::domain::{
    AppError,
    id::UserId,
    pages::people::{UserFilter, UserList, UserPage},
};
#[cfg(feature = "ssr")]
use crate::words::t;
use leptos::prelude::*;
use leptos::server_fn::codec::{GetUrl, Json};

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        form::{Done, Sent},
        once,
    },
    crate::domain::{Role, role::Permission},
    crate::server::service::users::UserForm,
};

/// The users that the caller may manage.
#[server(prefix = "/rpc", endpoint = "users", input = Json)]
pub async fn read_users(people: UserFilter) -> Result<UserList, AppError> {
    let caller = Caller::who_may(Permission::ManagePeople)?;
    caller.services.user_list(Some(&caller.user), &people).await.map_err(app_error)
}

/// One of them.
#[server(prefix = "/rpc", endpoint = "users/page", input = GetUrl)]
pub async fn read_user(user: UserId) -> Result<UserPage, AppError> {
    let caller = Caller::who_may(Permission::ManagePeople)?;
    caller.services.user_page(&caller.user, user).await.map_err(app_error)
}

/// Adds a user, who chooses his password by a link that is shown once.
#[server(prefix = "/rpc", endpoint = "users/invite")]
pub async fn invite_user(
    email: String,
    role: String,
    /// Names in addresses.
    #[server(default)]
    merchants: Vec<String>,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let sent = Sent {
        form: "invite",
        page: "/people".to_owned(),
        values: vec![("email", email.clone()), ("role", role.clone()), ("merchants", merchants.join(" "))],
    };
    let result = async {
        let caller = Caller::who_may(Permission::ManagePeople)?;
        let (services, who, actor) = (caller.services.clone(), caller.user.clone(), caller.actor().clone());
        once(
            &caller,
            &form_key,
            &sent,
            &[],
            Box::pin(async move {
                let form = UserForm { email: email.trim().to_lowercase(), role, merchants };
                let token = services.invite(Some(&who), &form, actor).await.map_err(app_error)?;
                let link = format!("{}/join?token={}", services.base, token.reveal());
                Ok(Done { page: "/people".to_owned(), link: Some((form.email, link)), ..Done::default() })
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}

/// Changes role and merchants of a user.
#[server(prefix = "/rpc", endpoint = "users/save")]
pub async fn save_user(
    user: UserId,
    role: String,
    /// Names in addresses.
    #[server(default)]
    merchants: Vec<String>,
    /// The version that the form was made from.
    #[server(default)]
    version: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let sent = Sent {
        form: "user",
        page: format!("/people/{user}"),
        values: vec![("role", role.clone()), ("merchants", merchants.join(" "))],
    };
    let result = async {
        let caller = Caller::who_may(Permission::ManagePeople)?;
        let (services, who, seen) = (caller.services.clone(), caller.user.clone(), caller.having_seen(&version));
        let form = UserForm { email: String::new(), role, merchants };
        let work = Box::pin(async move {
            services.save_user(&who, user, &form, seen).await.map_err(app_error)?;
            // Whoever gave his own rights away must not be sent where he may not go.
            let may_stay = user != who.id || form.role == Role::Admin.name();
            let page = if may_stay { format!("/people/{user}") } else { "/account".to_owned() };
            Ok(Done::at(page, t!("Saved. It counts from the next request on.")))
        });
        once(&caller, &form_key, &sent, &[&version], work).await
    };
    let result = result.await;
    sent.end(result)
}

/// Lets a user sign in no more, or again.
#[server(prefix = "/rpc", endpoint = "users/disable")]
pub async fn disable_user(user: UserId, #[server(default)] disabled: bool) -> Result<(), AppError> {
    let page = format!("/people/{user}");
    let sent = Sent { form: "user", page: page.clone(), values: Vec::new() };
    let result = async {
        let caller = Caller::who_may(Permission::ManagePeople)?;
        caller.services.set_disabled(Some(&caller.user), user, disabled, caller.actor()).await.map_err(app_error)?;
        let notice =
            if disabled { t!("Disabled. All sessions have ended.") } else { t!("Enabled. The password is the one of before.") };
        Ok(Done::at(page, notice))
    };
    sent.end(result.await)
}

/// Makes a new link for a user to choose a password by; it is shown once.
#[server(prefix = "/rpc", endpoint = "users/link")]
pub async fn make_link(user: UserId, #[server(default)] form_key: String) -> Result<(), AppError> {
    let page = format!("/people/{user}");
    let sent = Sent { form: "user", page: page.clone(), values: Vec::new() };
    let result = async {
        let caller = Caller::who_may(Permission::ManagePeople)?;
        let (services, who, actor) = (caller.services.clone(), caller.user.clone(), caller.actor().clone());
        once(
            &caller,
            &form_key,
            &sent,
            &[],
            Box::pin(async move {
                let token = services.make_link(&who, user, actor).await.map_err(app_error)?;
                let email = services.user_page(&who, user).await.map_err(app_error)?.user.email;
                let link = format!("{}/join?token={}", services.base, token.reveal());
                Ok(Done { page, link: Some((email, link)), ..Done::default() })
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}

/// Takes a link back; somebody who was only invited goes with it.
#[server(prefix = "/rpc", endpoint = "users/withdraw")]
pub async fn withdraw_link(user: UserId) -> Result<(), AppError> {
    let page = format!("/people/{user}");
    let sent = Sent { form: "user", page: page.clone(), values: Vec::new() };
    let result = async {
        let caller = Caller::who_may(Permission::ManagePeople)?;
        let gone = caller.services.withdraw_link(&caller.user, user, caller.actor()).await.map_err(app_error)?;
        Ok(if gone {
            Done::at("/people", t!("The invitation is withdrawn; its link does not work any more."))
        } else {
            Done::at(page, t!("The link is withdrawn; it does not work any more."))
        })
    };
    sent.end(result.await)
}
