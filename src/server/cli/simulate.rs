//! `quittance simulate …`

use super::{CliError, gateway_args::SimulateArgs, report::Report};
use crate::domain::{Money, money::Currency};
use crate::server::{
    dispatch::client::{Outbound, Target},
    gateway::{
        self, CONFIRM_BASE,
        simulate::{self, Posted, Wish},
    },
    service::Services,
    store::Listener,
};
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;

/// Posts one message and tells what came back.
pub async fn run(args: &SimulateArgs) -> Result<Report, CliError> {
    let services = args.database.open_as_gateway(&args.gateways).await?;
    let done = run_with(&services, args).await;
    services.store.close().await;
    done
}

async fn run_with(services: &Services, args: &SimulateArgs) -> Result<Report, CliError> {
    let wrong = |text: String| CliError::Simulate(text);
    let listener = find(services, &args.listener)?;
    if listener.gateway != args.gateway {
        let text = format!("the listener {:?} takes messages of {}, not of {}", listener.label, listener.gateway, args.gateway);
        return Err(wrong(text));
    }
    let preset = services.preset(listener.gateway).map_err(|error| wrong(error.to_string()))?;
    let code = args.currency.as_deref().unwrap_or_else(|| simulate::currency(preset));
    let currency =
        Currency::parse(code).ok_or_else(|| wrong(format!("--currency: {code:?} is no code of three letters, such as USD")))?;
    let amount = Money::parse(&args.amount, currency).filter(|amount| amount.minor > 0);
    let amount = amount.ok_or_else(|| {
        wrong(format!("--amount: {:?} is no amount of {code}; write it with a point, such as 49.90", args.amount))
    })?;
    let now = services.clock.now();
    let number = u64::try_from(now.millis()).unwrap_or(1);
    let reference = args.order.clone().unwrap_or_else(|| (number % 1_000_000_000).to_string());
    if reference.is_empty() || reference.len() > 40 || !reference.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong(format!("--order: {reference:?} must be 1 to 40 digits")));
    }
    let address = format!("{}/ipn/{}", args.server.trim_end_matches('/'), listener.path_key);
    if let Some(fault) = args.fault.filter(|fault| !simulate::faults(preset, &listener.options).contains(fault)) {
        return Err(wrong(format!("--fault: messages of {} cannot have this wrong ({})", preset.label, fault.code())));
    }
    let wish = Wish {
        status: args.status,
        reference: &reference,
        amount,
        email: &args.email,
        address: &address,
        now,
        number,
        test: args.test,
        fault: args.fault,
    };
    let posted =
        simulate::sign(preset, listener.secret.reveal(), &listener.options, &wish).map_err(|error| wrong(error.to_string()))?;
    let (status, answer) = post(services, &address, &posted).await?;
    let ok = (200..300).contains(&status) && !gateway::is_refusal(preset, &answer);
    let shown = String::from_utf8_lossy(&answer).into_owned();
    let message = if posted.query.is_empty() { String::from_utf8_lossy(&posted.body).into_owned() } else { posted.query.clone() };
    let mut text = format!("{} {address}\n\n{message}\n\n{status}\n{shown}\n", posted.method);
    if let Some(confirm) = &preset.confirm {
        let base = confirm.base(&listener.options);
        text.push_str(&format!(
            "{base} is asked whether this is true, and the gateway itself does not know it. The option {CONFIRM_BASE} of the listener names a stand-in.\n"
        ));
    }
    if preset.chain.is_some() {
        text.push_str(&format!(
            "Before that its signature is checked, and only {} can make one that is right: what is simulated here is refused. The panel's simulator goes on to the question.\n",
            preset.label
        ));
    }
    let json = json!({
        "gateway": listener.gateway, "order": reference, "status": args.status.code(), "sent": message,
        "answer": { "status": status, "body": shown },
    });
    let failed = (!ok).then(|| format!("the listener did not take the message: it answered with status {status}"));
    Ok(Report { json, text, failed })
}

/// The listener of a path or an id.
pub fn find(services: &Services, wanted: &str) -> Result<Arc<Listener>, CliError> {
    let settings = services.store.settings();
    let key = wanted.trim().rsplit('/').next().unwrap_or_default().to_owned();
    let by_path = settings.listener(&key).cloned();
    let by_id = || settings.listeners().find(|listener| listener.id.to_string() == key).cloned();
    by_path.or_else(by_id).ok_or_else(|| CliError::NoListener(wanted.to_owned()))
}

async fn post(services: &Services, address: &str, posted: &Posted) -> Result<(u16, Bytes), CliError> {
    let url = if posted.query.is_empty() { address.to_owned() } else { format!("{address}?{}", posted.query) };
    let target = Target::parse(&url).map_err(|note| CliError::Simulate(format!("--server: {note}")))?;
    let headers = posted.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let body = Bytes::from(posted.body.clone());
    let exchange = services
        .client
        .send(&Outbound { target: &target, authority: "", method: posted.method.clone(), headers, body, timeout: None })
        .await;
    match exchange.failure {
        Some(failure) => Err(CliError::Simulate(format!(
            "the server did not answer: {} {} Is it running, and is --server right?",
            failure.cause.sentence(),
            failure.note
        ))),
        None => Ok((exchange.answer.status, exchange.answer.body)),
    }
}
