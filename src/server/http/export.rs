//! `/m/{merchant}/orders.csv`, `deliveries.csv` and `inbound.csv`: the lists as files, by the filters of their pages.

use super::Panel;
use crate::{
    domain::{
        AppError, FieldError,
        pages::{deliveries::DeliveryFilter, inbound::InboundFilter, orders::OrderFilter},
        role::Permission,
    },
    rpc::{ClientAddress, CurrentUser, app_error},
    server::{
        service::export::{Export, ListFilter},
        store::{Actor, UserRecord},
    },
    ui::query,
    words::{Language, speaking},
};
use axum::{
    Extension,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, stream};
use std::io;

type Fields = Query<Vec<(String, String)>>;

/// The list of orders.
pub async fn orders(
    panel: State<Panel>,
    Extension(CurrentUser(user)): Extension<CurrentUser>,
    Extension(client): Extension<ClientAddress>,
    Extension(language): Extension<Language>,
    Path(slug): Path<String>,
    Query(fields): Fields,
) -> Response {
    let filter = OrderFilter { after: None, ..query::read(|name| field(&fields, name)) };
    let mistakes = speaking(language, || OrderFilter::mistakes(&|name| field(&fields, name)));
    let query = query::write(&filter);
    answer(panel, (user, client, language), &slug, &fields, ListFilter::Orders(filter, query), &mistakes).await
}

/// The list of deliveries.
pub async fn deliveries(
    panel: State<Panel>,
    Extension(CurrentUser(user)): Extension<CurrentUser>,
    Extension(client): Extension<ClientAddress>,
    Extension(language): Extension<Language>,
    Path(slug): Path<String>,
    Query(fields): Fields,
) -> Response {
    let settings = panel.0.services.store.settings();
    let zone = settings.merchant_named(&slug).map(|merchant| merchant.zone.clone()).unwrap_or_default();
    let (filter, mistakes) = speaking(language, || DeliveryFilter::read(|name| field(&fields, name), &zone));
    answer(panel, (user, client, language), &slug, &fields, ListFilter::Deliveries(filter), &mistakes).await
}

/// What came in.
pub async fn inbound(
    panel: State<Panel>,
    Extension(CurrentUser(user)): Extension<CurrentUser>,
    Extension(client): Extension<ClientAddress>,
    Extension(language): Extension<Language>,
    Path(slug): Path<String>,
    Query(fields): Fields,
) -> Response {
    let (filter, mistakes) = speaking(language, || InboundFilter::read(|name| field(&fields, name)));
    answer(panel, (user, client, language), &slug, &fields, ListFilter::Inbound(filter), &mistakes).await
}

fn field(fields: &[(String, String)], name: &str) -> Option<String> {
    fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

async fn answer(
    State(panel): State<Panel>,
    (user, ClientAddress(client), language): (Option<UserRecord>, ClientAddress, Language),
    slug: &str,
    fields: &[(String, String)],
    filter: ListFilter,
    mistakes: &[FieldError],
) -> Response {
    let services = &panel.services;
    let refused =
        |status: StatusCode, error: &AppError| (status, format!("{}\n", speaking(language, || error.sentence()))).into_response();
    let Some(user) = user else { return refused(StatusCode::UNAUTHORIZED, &AppError::SignIn) };
    // A merchant of others is as if it did not exist.
    let Some(merchant) = services.merchant_for(&user, slug) else {
        return refused(StatusCode::NOT_FOUND, &AppError::NotFound);
    };
    if !user.role.may(Permission::Read) {
        return refused(StatusCode::FORBIDDEN, &AppError::Forbidden);
    }
    // Left out, a mistake would make the list longer.
    if let Some(mistake) = mistakes.first() {
        let text = format!("{}: {}\n", mistake.field, mistake.message);
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let name = match filter {
        ListFilter::Orders(..) => "orders",
        ListFilter::Deliveries(_) => "deliveries",
        ListFilter::Inbound(_) => "inbound",
    };
    let day = crate::domain::time::date(merchant.zone.local(services.clock.now()));
    let file = format!("attachment; filename=\"{}-{name}-{day}.csv\"", merchant.slug);
    let mark = field(fields, "mark").is_some();
    let masked = !user.role.may(Permission::SeePersonalData);
    let actor = Actor::at(user.email.clone(), client);
    let mut export = match services.begin_export(merchant, filter, mark, masked, actor).await {
        Ok(export) => export,
        Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, &app_error(error)),
    };
    // What is wrong with the filter shows at the beginning, while it can still be said.
    let first = match export.next().await.map_err(app_error) {
        Ok(first) => first,
        Err(AppError::Invalid(mistakes)) => {
            let text: String = mistakes.iter().map(|mistake| format!("{}: {}\n", mistake.field, mistake.message)).collect();
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
        Err(error) => return refused(StatusCode::SERVICE_UNAVAILABLE, &error),
    };
    // Whoever compresses it asks again after its end.
    let stream = stream::iter(first.map(Ok)).chain(stream::unfold(Some(export), part)).fuse();
    let disposition = HeaderValue::from_str(&file).unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present")),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, Body::from_stream(stream)).into_response()
}

/// The next part of a file. An error breaks the download off, so that nobody takes half a list for the whole.
async fn part(export: Option<Export>) -> Option<(io::Result<String>, Option<Export>)> {
    let mut export = export?;
    match export.next().await {
        Ok(Some(text)) => Some((Ok(text), Some(export))),
        Ok(None) => None,
        Err(error) => Some((Err(io::Error::other(app_error(error).to_string())), None)),
    }
}
