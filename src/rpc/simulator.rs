//! The simulator of a listener.
#![allow(clippy::too_many_arguments, reason = "a function has an argument for each field of its form")]

use crate::domain::{AppError, id::ListenerId, pages::simulator::SimulatorPage};
use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        form::{Done, Sent},
        once, place,
    },
    crate::domain::{pages::simulator::SimulatorForm, role::Permission},
};

/// What can be simulated, and what was sent under a key.
#[server(prefix = "/rpc", endpoint = "listeners/simulator", input = GetUrl)]
pub async fn read_simulator(
    merchant: String,
    listener: ListenerId,
    #[server(default)] sent: String,
) -> Result<SimulatorPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::PlaceTestOrder)?;
    let page = caller.services.simulator_page(&merchant, listener, caller.user.id, &sent, place().address).await;
    Ok(caller.shown(page.map_err(app_error)?))
}

/// Signs a message as the listener's gateway would, and posts it to the listener.
#[server(prefix = "/rpc", endpoint = "listeners/simulate")]
pub async fn simulate(
    merchant: String,
    listener: ListenerId,
    status: String,
    amount: String,
    currency: String,
    #[server(default)] reference: String,
    #[server(default)] email: String,
    #[server(default)] as_test: bool,
    #[server(default)] from: String,
    #[server(default)] fault: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let sent = Sent {
        form: "simulate",
        page: format!("/m/{merchant}/listeners/{listener}/simulate"),
        values: vec![
            ("status", status.clone()),
            ("amount", amount.clone()),
            ("currency", currency.clone()),
            ("reference", reference.clone()),
            ("email", email.clone()),
            ("as_test", as_test.to_string()),
            ("from", from.clone()),
            ("fault", fault.clone()),
        ],
    };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::PlaceTestOrder)?;
        let form = SimulatorForm { status, amount, currency, reference, email, as_test, from, fault };
        let (services, user, actor) = (caller.services.clone(), caller.user.id, caller.actor().clone());
        let page = sent.page.clone();
        once(
            &caller,
            &form_key,
            &sent,
            &[],
            Box::pin(async move {
                let key = services.simulate(&merchant, listener, form, user, actor).await.map_err(app_error)?;
                Ok(Done { page: format!("{page}?sent={key}#sent"), ..Done::default() })
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}
