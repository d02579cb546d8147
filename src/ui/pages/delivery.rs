//! One delivery.

use super::{any_flash, page, param, param_as, viewer_at};
use crate::{
    rpc::orders::read_delivery,
    ui::{
        components::FormNotes,
        islands::delivery::LiveDelivery,
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/deliveries/{delivery}`
#[component]
pub fn DeliveryPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("delivery"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let delivery = read_delivery(slug.clone(), id?).await?;
        let title = format!("Delivery to {}", delivery.delivery.url_label);
        let crumbs = vec![
            ("Orders & Reports".to_owned(), format!("/m/{slug}/orders")),
            (format!("Order {}", delivery.reference), format!("/m/{slug}/orders/{}", delivery.order_id)),
        ];
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title crumbs>
                <FormNotes flash=any_flash()/>
                <LiveDelivery initial=delivery/>
            </Frame>
        }
        .into_any())
    })
}
