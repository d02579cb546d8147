//! The audit log, and values that are revealed.

use crate::domain::{
    AppError,
    pages::audit::{AuditFilter, AuditLog},
};
use leptos::prelude::*;
use leptos::server_fn::codec::Json;

#[cfg(feature = "ssr")]
use {
    super::{
        Caller, app_error,
        form::{Done, Sent},
    },
    crate::domain::role::Permission,
    crate::server::service::audit::RevealWish,
};

/// The audit log of a merchant.
#[server(prefix = "/rpc", endpoint = "audit", input = Json)]
pub async fn read_audit(merchant: String, acts: AuditFilter) -> Result<AuditLog, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::ReadAudit)?;
    let log = caller.services.audit_log(Some(&merchant), &acts).await.map_err(app_error)?;
    Ok(caller.shown(log))
}

/// The audit log of the whole installation.
#[server(prefix = "/rpc", endpoint = "audit/all", input = Json)]
pub async fn read_whole_audit(acts: AuditFilter) -> Result<AuditLog, AppError> {
    let caller = Caller::who_may(Permission::ManageMerchants)?;
    let log = caller.services.audit_log(None, &acts).await.map_err(app_error)?;
    Ok(caller.shown(log))
}

/// Shows one masked value, which is written to the audit log.
#[server(prefix = "/rpc", endpoint = "reveal")]
pub async fn reveal(
    merchant: String,
    /// `order`, `notification`, `attempt`, `answer`, `refusal` or `verifying`.
    of: String,
    /// Its id; of an attempt and an answer that of the delivery.
    thing: String,
    #[server(default)] number: u32,
    field: String,
    /// Which of several fields of this name, from 0.
    #[server(default)]
    nth: usize,
) -> Result<(), AppError> {
    let page = match of.as_str() {
        "order" => format!("/m/{merchant}/orders/{thing}"),
        "notification" => format!("/m/{merchant}/notifications/{thing}"),
        "attempt" | "answer" => format!("/m/{merchant}/deliveries/{thing}/{number}"),
        "verifying" => format!("/m/{merchant}/verifying/{thing}"),
        _ => format!("/m/{merchant}/refused/{thing}"),
    };
    let sent = Sent { form: "reveal", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::Reveal)?;
        let wish = RevealWish { of, id: thing, number, field: field.clone(), nth };
        let value = caller.services.reveal(&merchant, &wish, caller.actor()).await.map_err(app_error)?;
        Ok(Done { page, revealed: Some((field, value)), ..Done::default() })
    };
    sent.end(result.await)
}
