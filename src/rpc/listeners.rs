//! Listeners.
#![allow(clippy::too_many_arguments, reason = "a function has an argument for each field of its form")]

use crate::domain::{
    AppError,
    id::{ListenerId, RefusalId},
    pages::listeners::{EnteredOptions, ListenerList, ListenerPage, NewListener, RefusalPage},
};
#[cfg(feature = "ssr")]
use crate::words::t;
use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        form::{Done, Sent},
        once,
    },
    crate::domain::{Algorithm, Algorithms, role::Permission},
    crate::server::service::listeners::ListenerForm,
};

/// A merchant's listeners.
#[server(prefix = "/rpc", endpoint = "listeners", input = GetUrl)]
pub async fn read_listeners(merchant: String) -> Result<ListenerList, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_change = caller.may(Permission::ChangeSettings);
    caller.services.listener_list(&merchant, may_change).await.map_err(app_error)
}

/// One listener with what it received last.
#[server(prefix = "/rpc", endpoint = "listeners/page", input = GetUrl)]
pub async fn read_listener(merchant: String, listener: ListenerId) -> Result<ListenerPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_change = caller.may(Permission::ChangeSettings);
    let page = caller.services.listener_page(&merchant, listener, may_change).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// The gateways to choose among, and what the chosen one asks.
#[server(prefix = "/rpc", endpoint = "listeners/new", input = GetUrl)]
pub async fn read_new_listener(merchant: String, #[server(default)] gateway: String) -> Result<NewListener, AppError> {
    let (caller, _) = Caller::at(&merchant, Permission::Read)?;
    caller.services.new_listener(&gateway)
}

/// One refused message.
#[server(prefix = "/rpc", endpoint = "listeners/refusal", input = GetUrl)]
pub async fn read_refusal(merchant: String, refusal: RefusalId) -> Result<RefusalPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let page = caller.services.refusal_page(&merchant, refusal).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// Saves a listener: a new one where `id` is empty.
#[server(prefix = "/rpc", endpoint = "listeners/save")]
pub async fn save_listener(
    merchant: String,
    #[server(default)] id: String,
    gateway: String,
    #[server(default)] label: String,
    /// Empty leaves the secret of a listener as it is.
    #[server(default)]
    secret: String,
    /// What else the gateway asks for, by name; empty secrets stay as they are.
    #[server(default)]
    options: EnteredOptions,
    #[server(default)] md5: bool,
    #[server(default)] sha2: bool,
    #[server(default)] sha3: bool,
    #[server(default)] enabled: bool,
    /// The version that the form was made from.
    #[server(default)]
    version: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let flag = |value: bool| if value { "true".to_owned() } else { String::new() };
    let page = if id.is_empty() {
        format!(
            "/m/{merchant}/listeners/new?gateway={}",
            url::form_urlencoded::byte_serialize(gateway.as_bytes()).collect::<String>()
        )
    } else {
        format!("/m/{merchant}/listeners/{id}")
    };
    let sent = Sent {
        form: "listener",
        page,
        values: vec![
            ("label", label.clone()),
            ("md5", flag(md5)),
            ("sha2", flag(sha2)),
            ("sha3", flag(sha3)),
            ("enabled", flag(enabled)),
        ],
    };
    let mut shown_again = Vec::new();
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let gateway = gateway.parse().map_err(|message: String| AppError::field("gateway", message))?;
        let chosen = [(md5, Algorithm::Md5), (sha2, Algorithm::Sha2), (sha3, Algorithm::Sha3)];
        let required: Algorithms = chosen.into_iter().filter_map(|(chosen, algorithm)| chosen.then_some(algorithm)).collect();
        shown_again = caller.services.shown_again(gateway, &options.0);
        let form = ListenerForm { gateway, label, secret, options: options.0, required, enabled };
        let (services, actor) = (caller.services.clone(), caller.having_seen(&version));
        once(
            &caller,
            &form_key,
            &sent,
            &[&form.secret.clone(), &format!("{:?}", form.options)],
            Box::pin(async move {
                let (id, notice) = if id.is_empty() {
                    let listener = services.add_listener(&merchant, &form, actor).await.map_err(app_error)?;
                    (listener.id, t!("Created. What to enter where at the gateway stands below."))
                } else {
                    let id: ListenerId = id.parse().map_err(|_| AppError::NotFound)?;
                    services.change_listener(&merchant, id, &form, actor).await.map_err(app_error)?;
                    (id, t!("Saved."))
                };
                Ok(Done::at(format!("/m/{}/listeners/{id}", merchant.slug), notice))
            }),
        )
        .await
    };
    let result = result.await;
    sent.end_with(shown_again, result)
}
