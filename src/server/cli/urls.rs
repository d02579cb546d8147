//! `quittance url …`

use super::{
    CliError,
    args::{MerchantListArgs, set},
    report::{Report, table, tick},
    tool::{self, ACTOR},
    url_args::{UrlAddArgs, UrlSecretArgs},
};
use crate::domain::{Algorithm, Format, Terms};
use crate::server::service::{Services, terms::TermsForm, urls::UrlForm};
use serde_json::{Value, json};

/// Adds a notification URL.
pub async fn add(args: &UrlAddArgs) -> Result<Report, CliError> {
    let services = args.database.open_with(true, args.allow_network.clone()).await?;
    let added = add_to(&services, args).await;
    services.store.close().await;
    added
}

async fn add_to(services: &Services, args: &UrlAddArgs) -> Result<Report, CliError> {
    let merchant = tool::merchant(services, &args.merchant)?;
    let form = UrlForm {
        label: args.label.clone(),
        url: args.url.clone(),
        is_default: args.default,
        algorithms: set(&args.algorithms),
        concurrent: args.concurrent,
        order_in_order: args.order_in_order,
        held: false,
        headers: String::new(),
        terms: args.terms()?,
    };
    let (mut draft, target) = services.url_draft(&merchant, None, &form)?;
    if args.check {
        let check = services.check_url(&target, &draft.headers, &draft.terms).await;
        if let Some(cause) = check.cause {
            let told = [cause.sentence(), &check.note, cause.cure()];
            let told: Vec<_> = told.into_iter().filter(|part| !part.is_empty()).collect();
            return Err(CliError::CheckFailed(told.join(" ")));
        }
        draft.check = Some(check);
    }
    let (label, url, algorithms) = (draft.label.clone(), draft.url.clone(), draft.algorithms);
    let terms = terms(&draft.terms);
    let twin = services.url_twin(&merchant, None, &target);
    let id = services.save_url(None, draft, ACTOR).await?;
    let what = if args.default { "default IPN URL" } else { "notification URL" };
    let how = if args.format.is_usual() { algorithms.to_string() } else { args.format.to_string() };
    let secret = if args.format == Format::Json {
        format!("See its signing secret with: quittance url secret {id} --merchant {}\n", merchant.slug)
    } else {
        String::new()
    };
    let twice = twin.as_ref().map_or_else(String::new, |twin| {
        format!("{twin} leads to the same address: every notification arrives there once for each of them.\n")
    });
    let text = format!("Added {what} {label} of {}: {url} ({how}), id {id}.\n{twice}{secret}", merchant.name);
    let json = json!({
        "id": id, "merchant": merchant.slug, "label": label, "url": url, "default": args.default,
        "algorithms": algorithms.iter().map(Algorithm::name).collect::<Vec<_>>(),
        "concurrent": args.concurrent, "order_in_order": args.order_in_order,
        "terms": terms, "same_address_as": twin,
    });
    Ok(Report { json, text, failed: None })
}

impl UrlAddArgs {
    /// The terms as a form has them.
    fn terms(&self) -> Result<TermsForm, CliError> {
        let authority = match &self.ca_file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| CliError::File { path: path.clone(), error })?,
            None => String::new(),
        };
        let text = |number: Option<u16>| number.map(|number| number.to_string()).unwrap_or_default();
        Ok(TermsForm {
            max_in_flight: text(self.max_in_flight),
            rate_per_second: text(self.rate),
            retries: self.retries.to_string(),
            own_delays: String::new(),
            shadow: self.shadow,
            authority,
            timeout: text(self.timeout),
            triggers: self.triggers.clone(),
            format: self.format.to_string(),
        })
    }
}

fn terms(terms: &Terms) -> Value {
    json!({
        "max_in_flight": terms.max_in_flight, "rate_per_second": terms.rate_per_second, "retries": terms.retries,
        "shadow": terms.shadow, "own_certificates": !terms.authority.is_empty(), "timeout": terms.timeout,
        "format": terms.format.name(), "triggers": terms.triggers.map(|triggers| triggers.to_string()),
    })
}

/// Shows the signing secret of a URL that gets JSON.
pub async fn secret(args: &UrlSecretArgs) -> Result<Report, CliError> {
    let services = args.database.open(true).await?;
    let shown = secret_of(&services, args).await;
    services.store.close().await;
    shown
}

async fn secret_of(services: &Services, args: &UrlSecretArgs) -> Result<Report, CliError> {
    let merchant = tool::merchant(services, &args.merchant)?;
    let secret = services.reveal_signing_secret(&merchant, args.id, ACTOR).await?;
    let json = json!({ "id": args.id, "merchant": merchant.slug, "secret": secret });
    Ok(Report { json, text: format!("{secret}\n"), failed: None })
}

/// Lists notification URLs.
pub async fn list(args: &MerchantListArgs) -> Result<Report, CliError> {
    let services = args.database.open(false).await?;
    let listed = list_of(&services, args).await;
    services.store.close().await;
    listed
}

async fn list_of(services: &Services, args: &MerchantListArgs) -> Result<Report, CliError> {
    let (mut json, mut rows) = (Vec::new(), Vec::new());
    for merchant in tool::merchants(services, args.merchant.as_deref())? {
        let settings = services.ipn_settings(&merchant, false).await?;
        for url in settings.default_url.into_iter().chain(settings.urls) {
            json.push(json!({
                "id": url.id, "merchant": merchant.slug, "label": url.label, "url": url.url, "default": url.is_default,
                "algorithms": url.algorithms.iter().map(Algorithm::name).collect::<Vec<_>>(),
                "concurrent": url.concurrent, "order_in_order": url.order_in_order, "held": url.hold.is_some(), "terms": terms(&url.terms),
                "outstanding": url.outstanding, "confirmed": url.confirmed,
            }));
            rows.push([
                url.id.to_string(),
                merchant.slug.clone(),
                url.label,
                url.url,
                url.terms.format.to_string(),
                url.algorithms.to_string(),
                tick(url.is_default),
                tick(url.hold.is_some()),
                tick(url.terms.shadow),
                url.outstanding.to_string(),
                url.confirmed.to_string(),
            ]);
        }
    }
    let text = if rows.is_empty() {
        "There is no notification URL yet; add one with `quittance url add`.\n".to_owned()
    } else {
        table(
            [
                "ID",
                "MERCHANT",
                "LABEL",
                "URL",
                "FORMAT",
                "ALGORITHMS",
                "DEFAULT",
                "ON HOLD",
                "SHADOW",
                "OUTSTANDING",
                "CONFIRMED",
            ],
            &rows,
        )
    };
    Ok(Report { json: json!({ "urls": json }), text, failed: None })
}
