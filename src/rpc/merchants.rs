//! Merchants, for administrators.

use crate::domain::{AppError, pages::settings::MerchantRow};
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
    crate::domain::role::Permission,
};

/// All merchants.
#[server(prefix = "/rpc", endpoint = "merchants", input = GetUrl)]
pub async fn read_merchants() -> Result<Vec<MerchantRow>, AppError> {
    let caller = Caller::who_may(Permission::ManageMerchants)?;
    caller.services.merchant_rows().await.map_err(app_error)
}

/// Adds a merchant; its secret key is shown once, on the page after.
#[server(prefix = "/rpc", endpoint = "merchants/add")]
pub async fn add_merchant(
    name: String,
    #[server(default)] secret_key: String,
    #[server(default)] form_key: String,
) -> Result<(), AppError> {
    let sent = Sent { form: "merchant", page: "/merchants".to_owned(), values: vec![("name", name.clone())] };
    let result = async {
        let caller = Caller::who_may(Permission::ManageMerchants)?;
        let (services, actor) = (caller.services.clone(), caller.actor().clone());
        once(
            &caller,
            &form_key,
            &sent,
            &[&secret_key.clone()],
            Box::pin(async move {
                let key = Some(secret_key.as_str()).filter(|key| !key.trim().is_empty());
                let (merchant, key) = services.add_merchant(&name, key, actor).await.map_err(app_error)?;
                Ok(Done {
                    page: format!("/m/{}/settings/ipn", merchant.slug),
                    notice: Some(t!("Merchant added. Enter the URL of its script below.").to_owned()),
                    secret: Some(key),
                    ..Done::default()
                })
            }),
        )
        .await
    };
    let result = result.await;
    sent.end(result)
}
