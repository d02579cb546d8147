//! `quittance listener …`

use super::{
    CliError,
    args::{MerchantListArgs, set},
    gateway_args::{ListenerAddArgs, ListenerChangeArgs},
    report::{Report, table, tick},
    simulate,
    tool::{self, ACTOR},
};
use crate::domain::{Algorithm, pages::listeners::removal};
use crate::server::{
    gateway::{PREVIOUS_SECRET, access},
    service::{
        Services,
        listeners::{ListenerForm, path},
    },
    store::Actor,
};
use serde_json::json;
use std::collections::BTreeMap;

/// Adds a listener.
pub async fn add(args: &ListenerAddArgs) -> Result<Report, CliError> {
    let services = args.database.open_for(true, args.gateways.with(args.gateway)?).await?;
    let added = add_to(&services, args).await;
    services.store.close().await;
    added
}

async fn add_to(services: &Services, args: &ListenerAddArgs) -> Result<Report, CliError> {
    let merchant = tool::merchant(services, &args.merchant)?;
    let mut options: BTreeMap<String, String> = args.options.iter().cloned().collect();
    if !args.allow_from.is_empty() {
        options.insert(access::ALLOW_FROM.to_owned(), args.allow_from.join(", "));
    }
    if let Some((user, password)) = &args.basic {
        options.insert(access::BASIC_USER.to_owned(), user.clone());
        options.insert(access::BASIC_PASSWORD.to_owned(), password.clone());
    }
    let form = ListenerForm {
        gateway: args.gateway,
        label: args.label.clone(),
        secret: args.secret.clone(),
        options,
        required: set(&args.algorithms),
        enabled: true,
    };
    let listener = services.add_listener(&merchant, &form, ACTOR).await?;
    let path = path(&listener);
    let text = format!(
        "Added listener {} of {}.\nThe gateway must post to {path} on this server's public address.\n",
        listener.label, merchant.name
    );
    let json = json!({
        "id": listener.id, "path": path, "merchant": merchant.slug, "gateway": listener.gateway, "label": listener.label,
    });
    Ok(Report { json, text, failed: None })
}

/// Changes a listener. What is not named stays as it is.
pub async fn change(args: &ListenerChangeArgs) -> Result<Report, CliError> {
    let services = args.database.open_for(false, args.gateways.read()?).await?;
    let changed = change_in(&services, args).await;
    services.store.close().await;
    changed
}

async fn change_in(services: &Services, args: &ListenerChangeArgs) -> Result<Report, CliError> {
    let listener = simulate::find(services, &args.listener)?;
    let settings = services.store.settings();
    let merchant = settings.merchant(listener.merchant_id).cloned().ok_or_else(|| CliError::NoListener(args.listener.clone()))?;
    let mut options: BTreeMap<String, String> = args.options.iter().cloned().collect();
    options.extend(args.remove.iter().map(|name| (removal(name.trim()), String::new())));
    if args.keep_previous {
        options.insert(PREVIOUS_SECRET.to_owned(), String::from_utf8_lossy(listener.secret.reveal()).into_owned());
    }
    let form = ListenerForm {
        gateway: listener.gateway,
        label: args.label.clone().unwrap_or_else(|| listener.label.clone()),
        secret: args.secret.clone().unwrap_or_default(),
        options,
        required: listener.required,
        enabled: if args.closed { false } else { args.open || listener.enabled },
    };
    let actor = Actor::from(ACTOR).having_seen(Some(listener.version));
    services.change_listener(&merchant, listener.id, &form, actor).await?;
    let path = path(&listener);
    let json = json!({
        "id": listener.id, "path": path, "merchant": merchant.slug, "gateway": listener.gateway, "label": form.label,
        "enabled": form.enabled,
    });
    Ok(Report { json, text: format!("Changed listener {} of {}.\n", form.label, merchant.name), failed: None })
}

/// Lists listeners.
pub async fn list(args: &MerchantListArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let listed = list_of(&services, args).await;
    services.store.close().await;
    listed
}

async fn list_of(services: &Services, args: &MerchantListArgs) -> Result<Report, CliError> {
    let (mut json, mut rows) = (Vec::new(), Vec::new());
    for merchant in tool::merchants(services, args.merchant.as_deref())? {
        for row in services.listener_list(&merchant, false).await?.rows {
            json.push(json!({
                "id": row.id, "merchant": merchant.slug, "gateway": row.gateway, "label": row.label, "path": row.path,
                "algorithms": row.required.iter().map(Algorithm::name).collect::<Vec<_>>(), "enabled": row.enabled,
            }));
            rows.push([
                row.id.to_string(),
                merchant.slug.clone(),
                row.label,
                row.path,
                row.gateway.name().to_owned(),
                row.required.to_string(),
                tick(row.enabled),
            ]);
        }
    }
    let text = if rows.is_empty() {
        "There is no listener yet; add one with `quittance listener add`.\n".to_owned()
    } else {
        table(["ID", "MERCHANT", "LABEL", "PATH", "GATEWAY", "ALGORITHMS", "ON"], &rows)
    };
    Ok(Report { json: json!({ "listeners": json }), text, failed: None })
}
