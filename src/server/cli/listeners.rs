//! `quittance listener …`

use super::{
    CliError,
    args::{MerchantListArgs, set},
    gateway_args::ListenerAddArgs,
    report::{Report, table, tick},
    tool::{self, ACTOR},
};
use crate::domain::Algorithm;
use crate::server::{
    gateway::access,
    service::{
        Services,
        listeners::{ListenerForm, path},
    },
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
    Ok(Report { json, text, failed: false })
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
    Ok(Report { json: json!({ "listeners": json }), text, failed: false })
}
