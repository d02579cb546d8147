//! The page before a bulk resend: which deliveries, how many, where to, and what that means.

use super::{
    bulk::{in_words, left_out_lines},
    deliveries::{cause_options, minute, options, up_to, url_options},
    flash_of,
    inbound::listener_field,
    page, param, query, viewer_at,
};
use crate::{
    domain::{
        AppError,
        pages::{
            bulk::{BulkCount, BulkPlan, BulkTarget},
            deliveries::{Counted, DeliveryFilter, StateFilter},
            flash::Flash,
            inbound::ListenerChoice,
            orders::UrlChoice,
        },
    },
    rpc::{
        bulk::{find_deliveries, plan_bulk},
        orders::request_key,
    },
    ui::{
        components::{Empty, FormNotes, Hidden, Icon, zone},
        format::date,
        shell::{Frame, Section},
    },
    words::{rich, t, tell},
};
use leptos::prelude::*;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// `/m/{merchant}/resends/new`
#[component]
pub fn BulkPlanPage() -> impl IntoView {
    let slug = param("merchant");
    let (filter, mistakes) = DeliveryFilter::read(query, &zone());
    let filter = filter.whole();
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let mut flash = flash_of("bulk");
        flash.errors.extend(mistakes);
        let plans = plans(&slug, &filter, &mut flash).await?;
        let crumbs = vec![
            (t!("Orders & Reports").to_owned(), format!("/m/{slug}/orders")),
            (t!("Bulk actions").to_owned(), format!("/m/{slug}/resends")),
        ];
        let (urls, listeners) = match &plans {
            Some([plan, _]) => (plan.urls.clone(), plan.listeners.clone()),
            None => choices(&slug).await?,
        };
        let which = which(&slug, BulkTarget::Same, &filter, &urls, &listeners, &flash);
        let what = plans.map(|plans| what(&slug, &filter, &plans, &flash));
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title=t!("Resend deliveries") crumbs>
                <div class="stack">
                    <FormNotes flash=Flash { errors: flash.errors.iter().filter(|error| error.field.is_empty()).cloned().collect(), ..flash.clone() }/>
                    {which}
                    {what}
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// What can be chosen from where nothing was counted.
pub async fn choices(slug: &str) -> Result<(Vec<UrlChoice>, Vec<ListenerChoice>), AppError> {
    let list = find_deliveries(slug.to_owned(), DeliveryFilter::default()).await?;
    Ok((list.urls, list.listeners))
}

/// What would be made for each target; nothing where the filter must be corrected first.
async fn plans(slug: &str, filter: &DeliveryFilter, flash: &mut Flash) -> Result<Option<[BulkPlan; 2]>, AppError> {
    if !flash.errors.is_empty() {
        return Ok(None);
    }
    let mut plans = Vec::new();
    for target in BulkTarget::RESENDS {
        match plan_bulk(slug.to_owned(), filter.clone(), target).await {
            Ok(plan) => plans.push(plan),
            Err(AppError::Invalid(errors)) => {
                flash.errors = errors;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(plans.try_into().ok())
}

/// The filter, and what is wrong with it.
pub fn which(
    slug: &str,
    target: BulkTarget,
    filter: &DeliveryFilter,
    urls: &[UrlChoice],
    listeners: &[ListenerChoice],
    flash: &Flash,
) -> AnyView {
    let (page, states) = match target {
        BulkTarget::Same | BulkTarget::All => (
            "new",
            &[StateFilter::Failed, StateFilter::Expired, StateFilter::Retrying, StateFilter::Cancelled, StateFilter::Confirmed][..],
        ),
        BulkTarget::Cancel => ("cancel", &[StateFilter::Retrying, StateFilter::Queued, StateFilter::Held][..]),
    };
    let states = states.iter().map(|state| (state.code().to_owned(), tell(state.label()).to_owned())).collect();
    // What is outstanding has not ended.
    let since = (target != BulkTarget::Cancel).then(|| {
        view! { <div class="field"><label for="since">{t!("Ended since ({zone})", zone = zone().name())}</label><input id="since" name="since" type="datetime-local" value=filter.since.map(minute)/></div> }
    });
    let test = filter.test.map_or("", |test| if test { "only" } else { "none" });
    let tests =
        [("none", t!("Real only")), ("only", t!("TEST only"))].map(|(value, name)| (value.to_owned(), name.to_owned())).to_vec();
    let errors: Vec<_> = flash
        .errors
        .iter()
        .filter(|error| !error.field.is_empty())
        .map(|error| view! { <p class="error" id=format!("{}-error", error.field)><Icon name="alert"/>{error.message.clone()}</p> })
        .collect();
    let is_wrong = |name: &str| flash.error(name).is_some();
    let (state_wrong, text_wrong) = (is_wrong("state"), is_wrong("text"));
    view! {
        <section class="panel" aria-labelledby="which">
            <h2 id="which">{t!("Which deliveries")}</h2>
            {errors}
            <form method="get" action=format!("/m/{slug}/resends/{page}") class="filter">
                <div class="field"><label for="state">{t!("State")}</label><select
                    id="state" name="state" autofocus=state_wrong aria-invalid=state_wrong.then_some("true")
                    aria-describedby=state_wrong.then_some("state-error")
                >{options(t!("Any"), states, filter.state.map_or("", StateFilter::code))}</select></div>
                {since}
                <div class="field"><label for="url">{t!("URL")}</label><select id="url" name="url">{url_options(urls, filter.url)}</select></div>
                {listener_field("via", listeners, filter.via)}
                <div class="field"><label for="cause">{t!("Cause")}</label><select id="cause" name="cause">{cause_options(filter.cause)}</select></div>
                <div class="field"><label for="from">{t!("Made from")}</label><input id="from" name="from" type="date" value=filter.from.map(date)/></div>
                <div class="field"><label for="until">{t!("Made to")}</label><input id="until" name="until" type="date" value=filter.until.map(|until| date(until.minus(DAY)))/></div>
                <div class="field"><label for="test">{t!("Kind")}</label><select id="test" name="test">{options(t!("TEST and real"), tests, test)}</select></div>
                <div class="field"><label for="text">{t!("Order begins with")}</label><input
                    id="text" name="text" type="search" value=filter.text.clone() autocomplete="off" spellcheck="false"
                    autofocus=text_wrong && !state_wrong aria-invalid=text_wrong.then_some("true")
                    aria-describedby=text_wrong.then_some("text-error")
                /></div>
                <div class="actions"><button class="button">{t!("Count")}</button></div>
            </form>
        </section>
    }
    .into_any()
}

fn what(slug: &str, filter: &DeliveryFilter, plans: &[BulkPlan; 2], flash: &Flash) -> AnyView {
    let words = in_words(filter, &plans[0].urls, &plans[0].listeners);
    let left_out = |count: &BulkCount| {
        let lines: Vec<_> = left_out_lines(count.left_out).into_iter().map(|line| view! { <li>{line}</li> }).collect();
        (!lines.is_empty()).then(
            || view! { <div><p>{t!("Left out of {deliveries}:", deliveries = words)}</p><ul class="lines">{lines}</ul></div> },
        )
    };
    let seen = left_out(&plans[0].count);
    let is_nothing = plans.iter().all(|plan| plan.count.made == 0 && !plan.count.more);
    if is_nothing {
        let nothing = none_of(filter, &words);
        return view! {
            <Empty title=t!("Nothing to resend")>
                {match seen {
                    Some(lines) => lines.into_any(),
                    None => view! { <p>{nothing}</p> }.into_any(),
                }}
            </Empty>
        }
        .into_any();
    }
    // Where nothing goes back to the URL of then, the other choice is the one that was meant.
    let usual = if plans[0].count.made == 0 && !plans[0].count.more { BulkTarget::All } else { BulkTarget::Same };
    let chosen = flash.value("target").and_then(BulkTarget::from_code).unwrap_or(usual);
    let choices: Vec<_> = plans.iter().map(|plan| choice(plan, plan.target == chosen)).collect();
    let fields: Vec<_> = filter.fields().into_iter().map(|(name, value)| view! { <Hidden name=name value=value/> }).collect();
    let retrying = (filter.state == Some(StateFilter::Retrying))
        .then(|| format!(" {}", t!("Those of now go on being tried by their own schedule, too, until they are confirmed.")));
    view! {
        <section class="panel" aria-labelledby="what">
            <h2 id="what">{t!("What is sent")}</h2>
            <form method="post" action="/rpc/bulk/start" class="stack">
                <Hidden name="merchant" value=slug.to_owned()/>
                <Hidden name="request_key" value=request_key()/>
                {fields}
                <fieldset class="field">
                    <legend>{t!("Send them again to")}</legend>
                    <div class="choices">{choices}</div>
                </fieldset>
                {seen}
                <p>
                    {rich!(
                        "{again}, with the same fields and a new signature, and may act on it a second time. They go behind new notifications, a few hundred at a time, and each has the whole schedule of its URL ahead.",
                        again = view! { <strong>{t!("The merchant's script gets each of them again")}</strong> }
                    )}
                    {retrying}" "
                    {t!("It starts ten seconds after you asked for it, and can be stopped until then; later you can cancel what was not sent yet.")}
                </p>
                <div class="actions">
                    <button class="button primary"><Icon name="retry"/>{t!("Resend them")}</button>
                    <a class="button" href=format!("/m/{slug}/deliveries{}", filter.query())>{t!("Show them first")}</a>
                </div>
            </form>
        </section>
    }
    .into_any()
}

/// Nothing is of this kind.
pub fn none_of(filter: &DeliveryFilter, words: &str) -> String {
    // In English "all deliveries" become "no deliveries".
    let words = if filter.state.is_none() { words.strip_prefix("all ").unwrap_or(words) } else { words };
    t!("There are no {deliveries}.", deliveries = words)
}

fn choice(plan: &BulkPlan, checked: bool) -> AnyView {
    let amount = amount(&plan.count);
    let label = match plan.target {
        BulkTarget::Same => t!("The URL each went to"),
        BulkTarget::All | BulkTarget::Cancel => t!("All current URLs, whichever it went to"),
    };
    let lines = by_url(plan, t!("(on hold: kept until released)"));
    view! {
        <label class="check choice">
            <input type="radio" name="target" value=plan.target.code() checked=checked/>
            <span>
                {label}
                <span class="amount">{amount}</span>
                <ul class="lines hint">{lines}</ul>
            </span>
        </label>
    }
    .into_any()
}

/// How many deliveries these are.
pub fn amount(counted: &BulkCount) -> String {
    let made = counted.counted();
    if made == (Counted { number: 1, more: false }) {
        t!("{count} delivery", count = up_to(made))
    } else {
        t!("{count} deliveries", count = up_to(made))
    }
}

/// Which URLs they are for, the first dozen.
pub fn by_url(plan: &BulkPlan, on_hold: &'static str) -> AnyView {
    const SHOWN: usize = 12;
    let lines: Vec<_> = plan
        .count
        .by_url
        .iter()
        .take(SHOWN)
        .map(|(id, number)| {
            let url = plan.urls.iter().find(|url| url.id == *id);
            let name = url.map_or_else(|| id.to_string(), |url| url.label.clone());
            let hold = url.filter(|url| url.held && !on_hold.is_empty()).map(|_| format!(" {on_hold}"));
            let number = up_to(Counted { number: *number, more: false });
            view! { <li>{t!("{number} to {name}", number, name)}{hold}</li> }
        })
        .collect();
    let rest = plan.count.by_url.len().saturating_sub(SHOWN);
    let rest = (rest > 0).then(|| view! { <li>{t!("and {rest} more URLs", rest)}</li> });
    view! { {lines}{rest} }.into_any()
}
