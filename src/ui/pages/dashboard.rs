//! The dashboard of a merchant, and the one over all of them.

use super::{any_flash, page, param, viewer_at};
use crate::{
    domain::role::Permission,
    rpc::{dashboard::read_dashboard, people::read_viewer},
    ui::{
        components::{Empty, FormNotes, Icon},
        islands::dashboard::{FirstSteps, LiveDashboard},
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/`: over all merchants, or straight to the only one.
#[component]
pub fn HomePage() -> impl IntoView {
    page(async move {
        let viewer = read_viewer().await?;
        if let [only] = viewer.merchants.as_slice() {
            leptos_axum::redirect(&format!("/m/{}", only.slug));
            return Ok(().into_any());
        }
        let content = if viewer.merchants.is_empty() {
            let text = if viewer.may(Permission::ManageMerchants) {
                view! { <p>"Notifications, URLs and orders belong to a merchant."</p><p><a class="button primary" href="/merchants">"Add a merchant"</a></p> }.into_any()
            } else {
                view! { <p>"Your account belongs to no merchant yet. Ask your administrator to add it to one."</p> }.into_any()
            };
            view! { <Empty title="No merchants yet">{text}</Empty> }.into_any()
        } else {
            let dashboard = read_dashboard(None).await?;
            view! { <LiveDashboard merchant=None initial=dashboard/> }.into_any()
        };
        Ok(view! {
            <Frame viewer section=Section::Dashboard title="Dashboard">
                <FormNotes flash=any_flash()/>
                {content}
            </Frame>
        }
        .into_any())
    })
}

/// `/m/{merchant}`
#[component]
pub fn DashboardPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let dashboard = read_dashboard(Some(slug.clone())).await?;
        let base = format!("/m/{slug}");
        let has_url = !dashboard.urls.is_empty();
        let is_new = !has_url || !dashboard.has_listener;
        let steps = (is_new && viewer.may(Permission::ChangeSettings))
            .then(|| view! { <FirstSteps base=base.clone() has_url has_listener=dashboard.has_listener/> });
        let actions = viewer.may(Permission::PlaceTestOrder).then(|| {
            view! { <a class="button" href=format!("{base}/test-order")><Icon name="flask"/>"Place TEST order"</a> }.into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Dashboard title="Dashboard" actions>
                <FormNotes flash=any_flash()/>
                {steps}
                <LiveDashboard merchant=Some(slug) initial=dashboard/>
            </Frame>
        }
        .into_any())
    })
}
