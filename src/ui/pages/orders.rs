//! *Orders & Reports*: the list.

use super::{page, param, query as field, viewer_at};
use crate::{
    domain::role::Permission,
    rpc::orders::find_orders,
    ui::{
        components::Icon,
        islands::orders::OrderSearch,
        query,
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/orders`
#[component]
pub fn OrdersPage() -> impl IntoView {
    let slug = param("merchant");
    let filter = query::read(field);
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let list = find_orders(slug.clone(), filter.clone()).await?;
        let actions = viewer.may(Permission::PlaceTestOrder).then(|| {
            view! { <a class="button" href=format!("/m/{slug}/test-order")><Icon name="flask"/>"Place TEST order"</a> }.into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title="Orders & Reports" actions>
                <OrderSearch merchant=slug filter initial=list/>
            </Frame>
        }
        .into_any())
    })
}
