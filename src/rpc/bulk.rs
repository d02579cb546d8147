//! Lists of deliveries, and their resends.
#![allow(clippy::too_many_arguments, reason = "a function has an argument for each field of its form")]

use crate::domain::{
    AppError,
    id::BulkId,
    pages::{
        bulk::{BulkList, BulkPage, BulkPlan, BulkTarget},
        deliveries::{DeliveryFilter, DeliveryList},
    },
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
    },
    crate::domain::{Zone, role::Permission},
};

/// So long a bulk resend can be stopped, or a cancelling undone, before anything happens.
#[cfg(feature = "ssr")]
const GRACE: std::time::Duration = std::time::Duration::from_secs(10);

/// Searches the deliveries of a merchant.
#[server(prefix = "/rpc", endpoint = "deliveries/find", input = Json)]
pub async fn find_deliveries(merchant: String, deliveries: DeliveryFilter) -> Result<DeliveryList, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_resend = caller.may(Permission::Resend);
    let deliveries = DeliveryFilter { masked: !caller.may(Permission::SeePersonalData), ..deliveries };
    let list = caller.services.find_deliveries(&merchant, &deliveries, may_resend).await.map_err(app_error)?;
    Ok(caller.shown(list))
}

/// Counts what a bulk resend would make.
#[server(prefix = "/rpc", endpoint = "bulk/plan", input = Json)]
pub async fn plan_bulk(merchant: String, deliveries: DeliveryFilter, target: BulkTarget) -> Result<BulkPlan, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Resend)?;
    let deliveries = DeliveryFilter { masked: !caller.may(Permission::SeePersonalData), ..deliveries };
    caller.services.plan_bulk(&merchant, &deliveries, target).await.map_err(app_error)
}

/// The bulk resends of a merchant.
#[server(prefix = "/rpc", endpoint = "bulk/list", input = GetUrl)]
pub async fn list_bulk(merchant: String) -> Result<BulkList, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_resend = caller.may(Permission::Resend);
    let list = caller.services.bulk_list(&merchant, may_resend).await.map_err(app_error)?;
    Ok(caller.shown(list))
}

/// One bulk resend.
#[server(prefix = "/rpc", endpoint = "bulk/page", input = GetUrl)]
pub async fn read_bulk(merchant: String, bulk: BulkId) -> Result<BulkPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_resend = caller.may(Permission::Resend);
    let page = caller.services.bulk_page(&merchant, bulk, may_resend).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// Starts a bulk resend of the list that the fields of a filter describe.
#[server(prefix = "/rpc", endpoint = "bulk/start")]
pub async fn start_bulk(
    merchant: String,
    target: String,
    #[server(default)] request_key: String,
    #[server(default)] text: String,
    #[server(default)] state: String,
    #[server(default)] cause: String,
    #[server(default)] url: String,
    #[server(default)] via: String,
    #[server(default)] from: String,
    #[server(default)] until: String,
    #[server(default)] since: String,
    #[server(default)] test: String,
) -> Result<(), AppError> {
    let fields = [
        ("text", text),
        ("state", state),
        ("cause", cause),
        ("url", url),
        ("via", via),
        ("from", from),
        ("until", until),
        ("since", since),
        ("test", test),
    ];
    let field = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    // The page before has made its moments exact.
    let (filter, mistakes) = DeliveryFilter::read(field, &Zone::default());
    let is_cancel = BulkTarget::from_code(&target) == Some(BulkTarget::Cancel);
    let page = format!("/m/{merchant}/resends/{}{}", if is_cancel { "cancel" } else { "new" }, filter.query());
    let sent = Sent { form: "bulk", page, values: vec![("target", target.clone())] };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::Resend)?;
        // Left out, a mistake would make the list longer.
        if !mistakes.is_empty() {
            return Err(AppError::Invalid(mistakes));
        }
        let target = BulkTarget::from_code(&target)
            .ok_or_else(|| AppError::field("target", t!("Choose the URLs that the deliveries went to, or all current ones.")))?;
        let filter = DeliveryFilter { masked: !caller.may(Permission::SeePersonalData), ..filter };
        let started = caller.services.start_bulk(&merchant, &filter, target, request_key, caller.actor(), GRACE).await;
        let id = started.map_err(app_error)?;
        Ok(Done { page: format!("/m/{}/resends/{id}", merchant.slug), ..Done::default() })
    };
    sent.end(result.await)
}

/// Cancels a bulk resend.
#[server(prefix = "/rpc", endpoint = "bulk/cancel")]
pub async fn cancel_bulk(merchant: String, bulk: BulkId) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/resends/{bulk}");
    let sent = Sent { form: "bulk-cancel", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::Resend)?;
        let cancelled = caller.services.cancel_bulk(&merchant, bulk, caller.actor()).await.map_err(app_error)?;
        let job = caller.services.bulk_page(&merchant, bulk, true).await.map_err(app_error)?.job;
        let notice = match (cancelled, job.is_cancel()) {
            (false, _) => t!("It had ended already."),
            (true, false) => t!("Cancelled: nothing more of it is sent."),
            (true, true) if job.made == 0 => t!("Undone: nothing was cancelled."),
            (true, true) => t!("Stopped: nothing more is cancelled."),
        };
        Ok(Done::at(page, notice))
    };
    sent.end(result.await)
}
