//! One order.

use super::{any_flash, page, param, param_as, viewer_at};
use crate::{
    rpc::orders::read_order,
    ui::{
        components::FormNotes,
        islands::order::LiveOrder,
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/orders/{order}`
#[component]
pub fn OrderPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("order"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let order = read_order(slug.clone(), id?).await?;
        let title = format!("Order {}", order.order.reference);
        let crumbs = vec![("Orders & Reports".to_owned(), format!("/m/{slug}/orders"))];
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title crumbs>
                <FormNotes flash=any_flash()/>
                <LiveOrder initial=order/>
            </Frame>
        }
        .into_any())
    })
}
