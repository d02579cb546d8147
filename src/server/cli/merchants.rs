//! `quittance merchant …`

use super::{
    CliError,
    args::{ListArgs, MerchantAddArgs},
    report::{Report, table},
    tool::ACTOR,
};
use serde_json::{Value, json};

/// Adds a merchant.
pub async fn add(args: &MerchantAddArgs) -> Result<Report, CliError> {
    let services = args.database.open(true).await?;
    let added = services.add_merchant(&args.name, args.secret_key.as_deref(), ACTOR).await;
    services.store.close().await;
    let (merchant, key) = added?;
    let text = format!(
        "Added merchant {} ({}).\nIts secret key, shown this once: {key}\nNext: quittance listener add --merchant {} …\n",
        merchant.name, merchant.slug, merchant.slug
    );
    let json = json!({ "id": merchant.id, "name": merchant.name, "slug": merchant.slug, "secret_key": key });
    Ok(Report { json, text, failed: None })
}

/// Lists merchants.
pub async fn list(args: &ListArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let read = services.merchant_rows().await;
    services.store.close().await;
    let read = read?;
    let settings = services.store.settings();
    let json: Vec<Value> = read
        .iter()
        .map(|row| {
            let id = settings.merchant_named(&row.merchant.slug).map(|merchant| merchant.id);
            json!({
                "id": id, "name": row.merchant.name, "slug": row.merchant.slug,
                "listeners": row.listeners, "urls": row.urls,
            })
        })
        .collect();
    let rows: Vec<_> = read
        .into_iter()
        .map(|row| [row.merchant.slug, row.merchant.name, row.listeners.to_string(), row.urls.to_string()])
        .collect();
    let text = if rows.is_empty() {
        "There is no merchant yet; add one with `quittance merchant add`.\n".to_owned()
    } else {
        table(["MERCHANT", "NAME", "LISTENERS", "URLS"], &rows)
    };
    Ok(Report { json: json!({ "merchants": json }), text, failed: None })
}
