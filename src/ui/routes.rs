//! Which page belongs to which address.

use super::pages::*;
use leptos::prelude::*;
use leptos_meta::provide_meta_context;
use leptos_router::{
    components::{FlatRoutes, Route, Router},
    path,
};

/// All pages.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    view! {
        <Router>
            <FlatRoutes fallback=missing::MissingPage>
                <Route path=path!("/") view=dashboard::HomePage/>
                <Route path=path!("/setup") view=entry::SetupPage/>
                <Route path=path!("/sign-in") view=entry::SignInPage/>
                <Route path=path!("/join") view=join::JoinPage/>
                <Route path=path!("/account") view=account::AccountPage/>
                <Route path=path!("/people") view=people::PeoplePage/>
                <Route path=path!("/people/:user") view=person::PersonPage/>
                <Route path=path!("/roles") view=roles::RolesPage/>
                <Route path=path!("/audit") view=audit::WholeAuditPage/>
                <Route path=path!("/m/:merchant/audit") view=audit::AuditPage/>
                <Route path=path!("/merchants") view=merchants::MerchantsPage/>
                <Route path=path!("/m/:merchant") view=dashboard::DashboardPage/>
                <Route path=path!("/m/:merchant/orders") view=orders::OrdersPage/>
                <Route path=path!("/m/:merchant/orders/:order") view=order::OrderPage/>
                <Route path=path!("/m/:merchant/orders/:order/exchanges/:exchanges") view=exchanges::ExchangesPage/>
                <Route path=path!("/m/:merchant/notifications/:notification/resend") view=resend::ResendPage/>
                <Route path=path!("/m/:merchant/notifications/:notification") view=notification::NotificationPage/>
                <Route path=path!("/m/:merchant/deliveries") view=deliveries::DeliveriesPage/>
                <Route path=path!("/m/:merchant/inbound") view=inbound::InboundPage/>
                <Route path=path!("/m/:merchant/settings/time-zone") view=time_zone::TimeZonePage/>
                <Route path=path!("/search") view=search::SearchPage/>
                <Route path=path!("/unknown") view=strays::StraysPage/>
                <Route path=path!("/unknown/:stray") view=strays::StrayPage/>
                <Route path=path!("/m/:merchant/resends") view=bulk::BulkListPage/>
                <Route path=path!("/m/:merchant/resends/new") view=bulk_plan::BulkPlanPage/>
                <Route path=path!("/m/:merchant/resends/cancel") view=bulk_cancel::CancelPlanPage/>
                <Route path=path!("/m/:merchant/resends/:bulk") view=bulk::BulkPage/>
                <Route path=path!("/m/:merchant/deliveries/:delivery") view=delivery::DeliveryPage/>
                <Route path=path!("/m/:merchant/deliveries/:delivery/:number") view=attempt::AttemptPage/>
                <Route path=path!("/m/:merchant/test-order") view=test_order::TestOrderPage/>
                <Route path=path!("/m/:merchant/check") view=check::CheckPage/>
                <Route path=path!("/m/:merchant/settings/content") view=settings_content::ContentPage/>
                <Route path=path!("/m/:merchant/settings/key") view=settings_key::KeyPage/>
                <Route path=path!("/m/:merchant/settings/alerts") view=settings_alerts::AlertsPage/>
                <Route path=path!("/m/:merchant/settings/mail") view=settings_mail::MailPage/>
                <Route path=path!("/m/:merchant/settings/ipn") view=settings::DefaultUrlPage/>
                <Route path=path!("/m/:merchant/settings/urls") view=settings::UrlsPage/>
                <Route path=path!("/m/:merchant/settings/urls/new") view=settings::NewUrlPage/>
                <Route path=path!("/m/:merchant/settings/urls/:url") view=settings::UrlPage/>
                <Route path=path!("/m/:merchant/settings/urls/:url/kit") view=kit::KitPage/>
                <Route path=path!("/m/:merchant/listeners") view=listeners::ListenersPage/>
                <Route path=path!("/m/:merchant/listeners/new") view=listeners::NewListenerPage/>
                <Route path=path!("/m/:merchant/listeners/:listener") view=listeners::ListenerPage/>
                <Route path=path!("/m/:merchant/listeners/:listener/simulate") view=simulate::SimulatePage/>
                <Route path=path!("/m/:merchant/refused/:refusal") view=refusal::RefusalPage/>
                <Route path=path!("/m/:merchant/verifying/:verifying") view=verifying::VerifyingPage/>
            </FlatRoutes>
        </Router>
    }
}
