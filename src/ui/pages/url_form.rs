//! The form of a notification URL.

use super::form_key;
use crate::{
    domain::{
        Algorithm, Algorithms, Format, RetrySchedule, Triggers,
        attempt::UrlCheck,
        pages::{
            flash::Flash,
            settings::{HIDDEN, UrlView},
        },
        terms::{DEFAULT_IN_FLIGHT, DEFAULT_TIMEOUT, MAX_IN_FLIGHT, MAX_RATE, MAX_TIMEOUT, OWN, Terms},
    },
    ui::components::{
        AlgorithmChoice, Check, ConflictNote, Hidden, HoldNote, Notice, SelectField, TextArea, TextField, Tone, TriggerChoice,
        Version, save_label,
    },
};
use leptos::prelude::*;

const ALGORITHM_HINT: &str = "Each notification is signed with all that are chosen; your script answers with any of them, as strong or stronger than the weakest.";
const FORMAT_HINT: &str = "The algorithms below sign the 2Checkout form only. What is passed through carries the gateway's own signature, and response tags do not change it.";
/// Fields of the folded part.
const ADVANCED: [&str; 8] =
    ["triggers", "retries", "own_delays", "max_in_flight", "rate_per_second", "timeout", "headers", "authority"];

/// The form of a notification URL.
#[component]
pub fn UrlForm(
    slug: String,
    url: Option<UrlView>,
    is_default: bool,
    /// The triggers of the merchant.
    inherited: Triggers,
    flash: Flash,
) -> impl IntoView {
    let was = url.clone();
    let page = match (&url, is_default) {
        (Some(url), false) => format!("/m/{slug}/settings/urls/{}", url.id),
        _ => format!("/m/{slug}/settings/ipn"),
    };
    let saved = |pick: fn(&UrlView) -> String| was.as_ref().map(pick).unwrap_or_default();
    let algorithms = was.as_ref().map_or_else(|| Algorithms::NONE.with(Algorithm::Md5), |url| url.algorithms);
    let ticked = |name: &str, pick: fn(&UrlView) -> bool| match flash.values.is_empty() {
        true => was.as_ref().is_some_and(pick),
        false => flash.value(name) == Some("true"),
    };
    let formats = Format::ALL.map(|format| (format.name().to_owned(), format.label().to_owned())).to_vec();
    let json_note = was.as_ref().filter(|url| url.terms.format == Format::Json).map(|url| {
        let kit = format!("/m/{slug}/settings/urls/{}/kit", url.id);
        view! { <p class="hint"><a href=kit>"Signing secret and ready code for this URL"</a></p> }
    });
    let failed = flash.check.clone();
    let cancel = (!is_default).then(|| view! { <a class="button plain" href=format!("/m/{slug}/settings/urls")>"Leave it"</a> });
    let terms = was.as_ref().map(|url| url.terms.clone()).unwrap_or_default();
    let shadow = ticked("shadow", |url| url.terms.shadow);
    let own_triggers = ticked("own_triggers", |url| url.terms.triggers.is_some());
    let chosen = match flash.value("triggers") {
        Some(names) => names.parse().unwrap_or(Triggers::NONE),
        None => terms.triggers.unwrap_or(inherited),
    };
    let headers = was.as_ref().map(|url| shown_headers(&url.headers)).unwrap_or_default();
    let twin = flash.value("twin").map(str::to_owned);
    let is_questioned = failed.is_some() || twin.is_some();
    let settings = format!("/m/{slug}/settings/content");
    view! {
        {failed.map(|check| view! { <CheckFailed check/> })}
        {twin.map(|label| view! { <TwinNote label/> })}
        <ConflictNote flash=flash.clone() page/>
        {was.as_ref().and_then(|url| url.hold).map(|hold| view! {
            <Notice tone=Tone::Warn title="On hold"><p><HoldNote hold/></p><p>"Nothing is sent; what arrives is kept. Untick On hold below, or press Release in the list, to have it delivered."</p></Notice>
        })}
        <form method="post" action="/rpc/urls/save" class="stack">
            <Hidden name="merchant" value=slug/>
            <Hidden name="id" value=saved(|url| url.id.to_string())/>
            <Hidden name="is_default" value=is_default.to_string()/>
            {was.as_ref().map(|url| view! { <Version flash=flash.clone() version=url.version/> })}
            {form_key()}
            {is_default.then(|| view! { <Hidden name="label" value=saved(|url| url.label.clone())/> })}
            {(!is_default).then(|| view! {
                <TextField flash=flash.clone() name="label" label="Name" value=saved(|url| url.label.clone()) hint="What this script does, for instance Accounting. Left empty, the host name."/>
            })}
            <TextField
                flash=flash.clone() name="url" label="URL" kind="url" value=saved(|url| url.url.clone()) required=true
                placeholder="https://shop.example.com/ipn" autofocus=url.is_none() && !is_default
                hint="It is asked with GET when you save, and should answer 200; with JSON or passed through, 405 will do."
            />
            <SelectField
                flash=flash.clone() name="format" label="Messages leave as" options=formats
                value=saved(|url| url.terms.format.name().to_owned()) hint=FORMAT_HINT
            />
            {json_note}
            <AlgorithmChoice flash=flash.clone() error_field="algorithms" legend="Signed with" chosen=algorithms hint=ALGORITHM_HINT/>
            <Check
                name="concurrent" label="Allow concurrent requests" checked=ticked("concurrent", |url| url.concurrent)
                hint="Otherwise your script gets one request at a time, the next when it has answered."
            />
            <Check
                name="order_in_order" label="Keep each order in order" checked=ticked("order_in_order", |url| url.order_in_order)
                hint="A later message of an order waits until the earlier one is confirmed."
            />
            <Check
                name="held" label="On hold" checked=ticked("held", |url| url.hold.is_some())
                hint="Nothing is sent; what arrives is kept until you release it."
            />
            {advanced(Advanced { terms: &terms, flash: &flash, shadow, own_triggers, chosen, inherited, headers, settings })}
            <div class="actions">
                <button class="button primary">{save_label(&flash, if is_questioned { "Check again and save" } else { "Check and save" })}</button>
                {is_questioned.then(|| view! { <button class="button" name="anyway" value="true">"Save all the same"</button> })}
                {cancel}
            </div>
        </form>
    }
}

/// What the folded part of the form shows.
struct Advanced<'a> {
    terms: &'a Terms,
    flash: &'a Flash,
    shadow: bool,
    own_triggers: bool,
    /// The triggers that are ticked.
    chosen: Triggers,
    /// Those of the merchant.
    inherited: Triggers,
    headers: String,
    /// The page of the merchant's triggers.
    settings: String,
}

/// Headers as they are entered; a secret value stands there hidden, and stays as it is if it is sent back so.
fn shown_headers(headers: &[(String, Option<String>)]) -> String {
    let line = |(name, value): &(String, Option<String>)| format!("{name}: {}", value.as_deref().unwrap_or(HIDDEN));
    headers.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What few need: folded, unless something in it is set or wrong.
fn advanced(part: Advanced<'_>) -> impl IntoView + use<> {
    let Advanced { terms, flash, shadow, own_triggers, chosen, inherited, headers, settings } = part;
    let is_sent = |name: &str| flash.value(name).is_some_and(|value| !value.is_empty() && value != "2checkout");
    let is_open = Terms { format: Format::Ipn, ..terms.clone() } != Terms::default()
        || shadow
        || own_triggers
        || !headers.is_empty()
        || flash.value("authority_lost").is_some()
        || ADVANCED.iter().any(|name| flash.error(name).is_some() || is_sent(name));
    let own = matches!(terms.retries, RetrySchedule::Own(_)).then(|| terms.retries.to_string()).unwrap_or_default();
    let schedules = RetrySchedule::PRESETS
        .iter()
        .map(|preset| (preset.name().unwrap_or_default().to_owned(), preset.label().to_owned()))
        .chain([(OWN.to_owned(), "An own list, below".to_owned())])
        .collect();
    let lost = flash.value("authority_lost").is_some().then(|| {
        view! { <Notice tone=Tone::Warn title="Paste the certificates again"><p>"They were too long, or held a private key, and could not be kept while the form came back."</p></Notice> }
    });
    let in_flight = if terms.max_in_flight == DEFAULT_IN_FLIGHT { String::new() } else { terms.max_in_flight.to_string() };
    let timeout = terms.timeout.map(|seconds| seconds.to_string()).unwrap_or_default();
    let rate = terms.rate_per_second.map(|rate| rate.to_string()).unwrap_or_default();
    view! {
        <details class="advanced" open=is_open>
            <summary>"Advanced"</summary>
            <div class="stack">
                <div class="stack depends">
                    <Check
                        name="own_triggers" label="Own triggers" checked=own_triggers
                        hint=format!("Only the statuses ticked below are sent to this URL. Otherwise those of the merchant: {}.", inherited.words())
                    />
                    <TriggerChoice flash=flash.clone() legend="Statuses sent to this URL" chosen hint="They count only with Own triggers."/>
                </div>
                <p class="hint"><a href=settings>"The merchant's triggers and response tags"</a></p>
                <SelectField
                    flash=flash.clone() name="retries" label="When it fails, try again" options=schedules
                    value=terms.retries.name().unwrap_or(OWN)
                    hint="Counted from the first attempt. After the last one a delivery has expired, and can be resent."
                />
                <TextField
                    flash=flash.clone() name="own_delays" label="Own list of delays" value=own placeholder="1m, 5m, 1h, 6h"
                    hint="For An own list: from each attempt to the next, at least 5s each, at most 100, together at most 30d."
                />
                <TextField
                    flash=flash.clone() name="max_in_flight" label="Requests at a time" kind="number" value=in_flight
                    placeholder="64" hint=format!("With concurrent requests only: 1 to {MAX_IN_FLIGHT}. Left empty, {DEFAULT_IN_FLIGHT}.")
                />
                <TextField
                    flash=flash.clone() name="rate_per_second" label="Requests a second" kind="number" value=rate
                    hint=format!("1 to {MAX_RATE}. Left empty, as many as there are.")
                />
                <TextField
                    flash=flash.clone() name="timeout" label="Seconds to answer" kind="number" value=timeout placeholder="30"
                    hint=format!("1 to {MAX_TIMEOUT}. Left empty, {DEFAULT_TIMEOUT}. A script that stores first and works later needs one or two.")
                />
                <TextArea
                    flash=flash.clone() name="headers" label="Headers of your own" value=headers rows=3
                    placeholder="X-Shop: 7"
                    hint="A line each, Name: value. They go with every request to this URL. Values of names such as Authorization are sealed, and never shown again."
                />
                <Check
                    name="shadow" label="Shadow" checked=shadow
                    hint="It gets copies, and its failures count nowhere: to try a new script beside the old one."
                />
                {lost}
                <TextArea
                    flash=flash.clone() name="authority" label="Certificates of a private authority" value=terms.authority.clone()
                    placeholder="-----BEGIN CERTIFICATE-----"
                    hint="Only where the certificate of your server comes from an authority of your own: paste its root certificate (PEM). It is trusted at this URL alone."
                />
            </div>
        </details>
    }
}

/// The URL did not answer as it should; it is not saved yet.
#[component]
fn CheckFailed(check: UrlCheck) -> impl IntoView {
    let title = check.cause.map_or("The URL did not answer 200", |cause| cause.label());
    view! {
        <CheckNote check title=format!("Not saved yet: {title}")>
            <p>"You can save it all the same: deliveries are tried until they are confirmed."</p>
        </CheckNote>
    }
}

/// The merchant has this address already.
#[component]
fn TwinNote(label: String) -> impl IntoView {
    view! {
        <Notice tone=Tone::Warn title="Not saved yet: this address is there already">
            <p>{format!("It is the address of {label}, too. Each notification would arrive there twice, as two deliveries.")}</p>
            <p><strong>"What to do: "</strong>"Change the address, or save it all the same if the script expects that."</p>
        </Notice>
    }
}

/// Why a URL did not answer as it should, and what to do.
#[component]
pub fn CheckNote(check: UrlCheck, #[prop(into)] title: String, #[prop(optional)] children: Option<Children>) -> impl IntoView {
    let cause = check.cause;
    view! {
        <Notice tone=Tone::Warn title>
            {cause.map(|cause| view! { <p>{cause.sentence()}</p> })}
            {(!check.note.is_empty()).then(|| view! { <p>{check.note.clone()}</p> })}
            {cause.map(|cause| view! { <p><strong>"What to do: "</strong>{cause.cure()}</p> })}
            {children.map(|children| children())}
        </Notice>
    }
}
