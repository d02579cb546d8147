//! What came in, the search over everything, saved views of lists, and the time zone that lists are told in.

use crate::domain::{
    AppError,
    id::{NotificationId, RefusalId, VerifyingId, ViewId},
    pages::{
        inbound::{InboundFilter, InboundList, StrayList, StrayPage, VerifyingPage},
        search::SearchResults,
        settings::TimeZoneSettings,
        views::{ListKind, SavedView},
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
    crate::domain::role::Permission,
};

/// Searches what came in at the listeners of a merchant.
#[server(prefix = "/rpc", endpoint = "inbound/find", input = Json)]
pub async fn find_inbound(merchant: String, inbound: InboundFilter) -> Result<InboundList, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let inbound = InboundFilter { masked: !caller.may(Permission::SeePersonalData), ..inbound };
    let list = caller.services.find_inbound(&merchant, &inbound).await.map_err(app_error)?;
    Ok(caller.shown(list))
}

/// A message that waits for its gateway's word.
#[server(prefix = "/rpc", endpoint = "inbound/verifying", input = GetUrl)]
pub async fn read_verifying(merchant: String, verifying: VerifyingId) -> Result<VerifyingPage, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    let may_ask = caller.may(Permission::Resend);
    let page = caller.services.verifying_page(&merchant, verifying, may_ask).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// Has the gateway asked about a message at once, instead of when its turn comes.
#[server(prefix = "/rpc", endpoint = "inbound/ask")]
pub async fn ask_now(merchant: String, verifying: VerifyingId) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/verifying/{verifying}");
    let sent = Sent { form: "ask-now", page, values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::Resend)?;
        let listener = caller.services.ask_now(&merchant, verifying, caller.actor()).await.map_err(app_error)?;
        // The answer may be there before the next page: then the message stands among those received or refused.
        Ok(Done::at(format!("/m/{}/listeners/{listener}", merchant.slug), t!("The gateway is being asked again.")))
    };
    sent.end(result.await)
}

/// What was posted to addresses that no listener has.
#[server(prefix = "/rpc", endpoint = "inbound/strays", input = GetUrl)]
pub async fn find_strays(#[server(default)] after: Option<NotificationId>) -> Result<StrayList, AppError> {
    let caller = Caller::who_may(Permission::ManageMerchants)?;
    let list = caller.services.strays(after).await.map_err(app_error)?;
    Ok(caller.shown(list))
}

/// One message that was posted to such an address.
#[server(prefix = "/rpc", endpoint = "inbound/stray", input = GetUrl)]
pub async fn read_stray(stray: RefusalId) -> Result<StrayPage, AppError> {
    let caller = Caller::who_may(Permission::ManageMerchants)?;
    let page = caller.services.stray(stray).await.map_err(app_error)?;
    Ok(caller.shown(page))
}

/// Looks for a text in everything that the caller may see.
#[server(prefix = "/rpc", endpoint = "search", input = GetUrl)]
pub async fn search_everything(#[server(default)] text: String) -> Result<SearchResults, AppError> {
    let caller = Caller::who_may(Permission::Read)?;
    let merchants = caller.services.merchants_of(&caller.user);
    let masked = !caller.may(Permission::SeePersonalData);
    let results = caller.services.search(&merchants, &text, masked).await.map_err(app_error)?;
    Ok(caller.shown(results))
}

/// The caller's views of a list.
#[server(prefix = "/rpc", endpoint = "views/list", input = GetUrl)]
pub async fn list_views(merchant: String, list: ListKind) -> Result<Vec<SavedView>, AppError> {
    let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
    caller.services.views(caller.user.id, &merchant, list).await.map_err(app_error)
}

/// Keeps the filter of a list under a name, for the caller alone.
#[server(prefix = "/rpc", endpoint = "views/save")]
pub async fn save_view(
    merchant: String,
    list: ListKind,
    #[server(default)] name: String,
    #[server(default)] query: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/{}{query}", list.code());
    let sent = Sent { form: "view", page: page.clone(), values: vec![("name", name.clone())] };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
        caller.services.save_view(caller.user.id, &merchant, list, &name, &query).await.map_err(app_error)?;
        Ok(Done::at(page, t!("The view “{trim}” is kept; its address can be sent to others.", trim = name.trim())))
    };
    sent.end(result.await)
}

/// Forgets a view of the caller.
#[server(prefix = "/rpc", endpoint = "views/remove")]
pub async fn remove_view(
    merchant: String,
    list: ListKind,
    view: ViewId,
    #[server(default)] query: String,
) -> Result<(), AppError> {
    // Back to the filter, which can be kept again.
    let page = format!("/m/{merchant}/{}{query}", list.code());
    let sent = Sent { form: "view", page: page.clone(), values: Vec::new() };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::Read)?;
        caller.services.remove_view(caller.user.id, &merchant, view).await.map_err(app_error)?;
        Ok(Done::at(page, t!("The view was removed. Its filter is still set, and can be kept again.")))
    };
    sent.end(result.await)
}

/// The zone in which a merchant's moments are told, and all that there are.
#[server(prefix = "/rpc", endpoint = "merchants/zones", input = GetUrl)]
pub async fn read_time_zone(merchant: String) -> Result<TimeZoneSettings, AppError> {
    let (_, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
    let (zone, version) = (merchant.zone.name().to_owned(), merchant.version);
    Ok(TimeZoneSettings { zone, names: crate::domain::Zone::names(), version })
}

/// Sets the zone in which a merchant's moments are told.
#[server(prefix = "/rpc", endpoint = "merchants/time-zone")]
pub async fn set_time_zone(
    merchant: String,
    #[server(default)] time_zone: String,
    /// The version that the form was made from.
    #[server(default)]
    version: String,
) -> Result<(), AppError> {
    let page = format!("/m/{merchant}/settings/time-zone");
    let sent = Sent { form: "time-zone", page: page.clone(), values: vec![("time_zone", time_zone.clone())] };
    let result = async {
        let (caller, merchant) = Caller::at(&merchant, Permission::ChangeSettings)?;
        let actor = caller.having_seen(&version);
        let zone = caller.services.set_time_zone(&merchant, &time_zone, actor).await.map_err(app_error)?;
        Ok(Done::at(page, t!("Times are told in {zone} now.", zone = zone.name())))
    };
    sent.end(result.await)
}
