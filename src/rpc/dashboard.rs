//! Reading the dashboard.

use crate::domain::{AppError, pages::dashboard::Dashboard};
use leptos::prelude::*;
use leptos::server_fn::codec::GetUrl;

/// The dashboard of a merchant, or of all that the caller may see.
#[server(prefix = "/rpc", endpoint = "dashboard", input = GetUrl)]
pub async fn read_dashboard(merchant: Option<String>) -> Result<Dashboard, AppError> {
    use super::{Caller, app_error};
    use crate::domain::role::Permission;
    let (caller, merchants) = match merchant {
        Some(slug) => {
            let (caller, merchant) = Caller::at(&slug, Permission::Read)?;
            (caller, vec![merchant])
        }
        None => {
            let caller = Caller::who_may(Permission::Read)?;
            let merchants = caller.services.merchants_of(&caller.user);
            (caller, merchants)
        }
    };
    let mut dashboard = caller.services.dashboard(&merchants).await.map_err(app_error)?;
    dashboard.books_differ &= caller.may(Permission::ManageMerchants);
    Ok(caller.shown(dashboard))
}
