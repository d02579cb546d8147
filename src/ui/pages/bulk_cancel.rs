//! Giving up a list of deliveries: the page before (which, how many, what that means), and the words of the page of the job.

use super::{
    bulk::in_words,
    bulk_plan::{amount, by_url, choices, none_of, which},
    deliveries::up_to,
    flash_of, page, param, query, viewer_at,
};
use crate::{
    domain::{
        AppError,
        pages::{
            bulk::{BulkPage as Bulk, BulkPlan, BulkRow, BulkState, BulkTarget},
            deliveries::{Counted, DeliveryFilter},
            flash::Flash,
        },
    },
    rpc::{bulk::plan_bulk, orders::request_key},
    ui::{
        components::{Confirm, Empty, FormNotes, Hidden, Icon, Notice, Tone, now, zone},
        format::count,
        shell::{Frame, Section},
    },
    words::{rich, t, tell, tn},
};
use leptos::prelude::*;

/// `/m/{merchant}/resends/cancel`
#[component]
pub fn CancelPlanPage() -> impl IntoView {
    let slug = param("merchant");
    let (filter, mistakes) = DeliveryFilter::read(query, &zone());
    // What is outstanding has not ended.
    let filter = DeliveryFilter { since: None, ..filter.whole() };
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let mut flash = flash_of("bulk");
        flash.errors.extend(mistakes);
        let mut plan = None;
        if flash.errors.is_empty() {
            match plan_bulk(slug.clone(), filter.clone(), BulkTarget::Cancel).await {
                Ok(counted) => plan = Some(counted),
                Err(AppError::Invalid(errors)) => flash.errors = errors,
                Err(error) => return Err(error),
            }
        }
        let crumbs = vec![
            (t!("Orders & Reports").to_owned(), format!("/m/{slug}/orders")),
            (t!("Deliveries").to_owned(), format!("/m/{slug}/deliveries")),
        ];
        let (urls, listeners) = match &plan {
            Some(plan) => (plan.urls.clone(), plan.listeners.clone()),
            None => choices(&slug).await?,
        };
        let which = which(&slug, BulkTarget::Cancel, &filter, &urls, &listeners, &flash);
        let what = plan.map(|plan| what(&slug, &filter, &plan));
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title=t!("Cancel deliveries") crumbs>
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

fn what(slug: &str, filter: &DeliveryFilter, plan: &BulkPlan) -> AnyView {
    if plan.count.made == 0 && !plan.count.more {
        let nothing = match filter.state {
            Some(_) => none_of(filter, &in_words(filter, &plan.urls, &plan.listeners)),
            None => t!("Of these deliveries none is queued, retrying or held.").to_owned(),
        };
        return view! { <Empty title=t!("Nothing to cancel")><p>{nothing}</p></Empty> }.into_any();
    }
    let fields: Vec<_> = filter.fields().into_iter().map(|(name, value)| view! { <Hidden name=name value=value/> }).collect();
    let by_state: Vec<_> = plan
        .count
        .by_state
        .iter()
        .map(|(state, number)| {
            let state = tell(state.label()).to_lowercase();
            view! { <li>{t!("{count} {state}", count = up_to(Counted { number: *number, more: false }), state)}</li> }
        })
        .collect();
    view! {
        <section class="panel" aria-labelledby="what">
            <h2 id="what">{t!("What is cancelled")}</h2>
            <form method="post" action="/rpc/bulk/start" class="stack">
                <Hidden name="merchant" value=slug.to_owned()/>
                <Hidden name="target" value=BulkTarget::Cancel.code()/>
                <Hidden name="request_key" value=request_key()/>
                {fields}
                <div>
                    <p class="amount">{amount(&plan.count)}</p>
                    <ul class="lines">{by_state}{by_url(plan, "")}</ul>
                </div>
                <p>
                    {rich!(
                        "{told}, unless somebody resends them: the deliveries stay in the list as cancelled, and each can be resent. A request that is on its way in that moment cannot be called back; where its script confirms it, the delivery is confirmed.",
                        told = view! { <strong>{t!("The scripts will not be told of these notifications")}</strong> }
                    )}
                    " "
                    {t!("It starts ten seconds after you asked for it. Until then it can be undone, and everything is as it was; later the rest can be kept.")}
                </p>
                <div class="actions">
                    <button class="button danger"><Icon name="cross"/>{t!("Cancel them")}</button>
                    <a class="button" href=format!("/m/{slug}/deliveries{}", filter.query())>{t!("Show them first")}</a>
                </div>
            </form>
        </section>
    }
    .into_any()
}

/// Deliveries that were counted before and had ended, or changed their state, by the time it was their turn.
fn changed_meanwhile(job: &BulkRow) -> u64 {
    let is_known = job.state == BulkState::Done;
    job.expected.filter(|_| is_known).map_or(0, |expected| expected.saturating_sub(job.made))
}

/// The news in a sentence.
pub fn headline(bulk: &Bulk) -> AnyView {
    let (job, confirmed) = (&bulk.job, bulk.standing.confirmed.number);
    let meanwhile = match changed_meanwhile(job) {
        0 => String::new(),
        changed => format!(
            " {}",
            tn!(
                "{count} that was counted before was confirmed, or was in another state, when it was its turn.",
                "{count} that were counted before were confirmed, or were in another state, when it was their turn.",
                changed
            )
        ),
    };
    let all_the_same = match confirmed {
        0 => String::new(),
        confirmed => format!(
            " {}",
            tn!(
                "The request of {count} was on its way, and its script has confirmed it.",
                "The requests of {count} were on their way, and their scripts have confirmed them.",
                confirmed
            )
        ),
    };
    match job.state {
        BulkState::Running if job.starts_at > now() => {
            let seconds = job.starts_at.since(now()).as_secs() + 1;
            view! {
                <Notice tone=Tone::Calm title=tn!("Starts in {count} second", "Starts in {count} seconds", seconds)>
                    <p>{t!("Until then it can be undone, and everything is as it was.")}</p>
                </Notice>
            }
            .into_any()
        }
        BulkState::Running => ().into_any(),
        BulkState::Cancelled if job.made == 0 => {
            view! { <Notice tone=Tone::Calm title=t!("Undone")><p>{t!("Nothing was cancelled; the deliveries go on as they were.")}</p></Notice> }
                .into_any()
        }
        BulkState::Cancelled => {
            let title = tn!("Stopped: {count} delivery was cancelled", "Stopped: {count} deliveries were cancelled", job.made);
            view! { <Notice tone=Tone::Calm title=title><p>{t!("The rest goes on as it was. What was cancelled can be resent.")}{all_the_same}</p></Notice> }
                .into_any()
        }
        BulkState::Done if job.made == 0 => {
            view! { <Notice tone=Tone::Calm title=t!("There was nothing to cancel any more")><p>{meanwhile}</p></Notice> }.into_any()
        }
        BulkState::Done => {
            let title = tn!("{count} delivery is cancelled", "{count} deliveries are cancelled", job.made);
            view! {
                <Notice tone=Tone::Calm title=title>
                    <p>{t!("Their scripts are not told any more. What was cancelled can be resent.")}{meanwhile}{all_the_same}</p>
                </Notice>
            }
            .into_any()
        }
    }
}

/// What a bulk resend shows in six numbers, in three.
pub fn tiles(bulk: &Bulk) -> Vec<(&'static str, &'static str, String, &'static str)> {
    let (job, standing) = (&bulk.job, &bulk.standing);
    let of_list = match job.expected {
        Some(expected) => t!("{part} of {all}", part = count(job.made), all = count(expected.max(job.made))),
        None => count(job.made),
    };
    vec![
        (t!("Cancelled"), t!("of the list"), of_list, ""),
        (t!("Confirmed"), t!("all the same"), up_to(standing.confirmed), "good"),
        (t!("Changed"), t!("before their turn"), count(changed_meanwhile(job)), ""),
    ]
}

/// The way back: all of it at first, what is left of it later.
pub fn undo(slug: &str, bulk: &Bulk) -> AnyView {
    let job = &bulk.job;
    if !bulk.may_resend || job.state != BulkState::Running {
        return ().into_any();
    }
    let (merchant, id) = (slug.to_owned(), job.id.to_string());
    if job.starts_at > now() {
        return view! {
            <form method="post" action="/rpc/bulk/cancel">
                <Hidden name="merchant" value=merchant/>
                <Hidden name="bulk" value=id/>
                <button class="button primary"><Icon name="retry"/>{t!("Undo")}</button>
            </form>
        }
        .into_any();
    }
    view! {
        <Confirm
            id="stop-cancel" label=t!("Stop…") icon="cross" title=t!("Keep the rest?") danger=false
            consequence=t!("What was not cancelled yet stays as it is. What was cancelled stays cancelled, and can be resent.")
            action="/rpc/bulk/cancel" verb=t!("Keep the rest")
        >
            <Hidden name="merchant" value=merchant/>
            <Hidden name="bulk" value=id/>
        </Confirm>
    }
    .into_any()
}
