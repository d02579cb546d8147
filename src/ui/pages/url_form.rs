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
    words::{n, reworded, t, tell},
};
use leptos::prelude::*;

const ALGORITHM_HINT: &str = n!(
    "Each notification is signed with all that are chosen; your script answers with any of them, as strong or stronger than the weakest."
);
const FORMAT_HINT: &str = n!(
    "The algorithms below sign the 2Checkout form only. What is passed through carries the gateway's own signature, and response tags do not change it."
);
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
    let formats = Format::ALL.map(|format| (format.name().to_owned(), tell(format.label()).to_owned())).to_vec();
    let json_note = was.as_ref().filter(|url| url.terms.format == Format::Json).map(|url| {
        let kit = format!("/m/{slug}/settings/urls/{}/kit", url.id);
        view! { <p class="hint"><a href=kit>{t!("Signing secret and ready code for this URL")}</a></p> }
    });
    let failed = flash.check.clone();
    let cancel =
        (!is_default).then(|| view! { <a class="button plain" href=format!("/m/{slug}/settings/urls")>{t!("Leave it")}</a> });
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
            <Notice tone=Tone::Warn title=t!("On hold")><p><HoldNote hold/></p><p>{t!("Nothing is sent; what arrives is kept. Untick On hold below, or press Release in the list, to have it delivered.")}</p></Notice>
        })}
        <form method="post" action="/rpc/urls/save" class="stack">
            <Hidden name="merchant" value=slug/>
            <Hidden name="id" value=saved(|url| url.id.to_string())/>
            <Hidden name="is_default" value=is_default.to_string()/>
            {was.as_ref().map(|url| view! { <Version flash=flash.clone() version=url.version/> })}
            // Who adds the default URL has seen none: if there is one by then, he is told instead of taking its place.
            {(was.is_none() && is_default).then(|| view! { <Hidden name="version" value="0"/> })}
            {form_key()}
            <TextField flash=flash.clone() name="label" label=t!("Name") value=saved(|url| url.label.clone()) hint=t!("What this script does, for instance Accounting. Left empty, the host name, and more of the URL where that is taken.")/>
            <TextField
                flash=flash.clone() name="url" label=t!("URL") kind="url" value=saved(|url| url.url.clone()) required=true
                placeholder="https://shop.example.com/ipn" autofocus=url.is_none() && !is_default
                hint=t!("It is asked with GET when you save, and should answer 200; with JSON or passed through, 405 will do.")
            />
            <SelectField
                flash=flash.clone() name="format" label=t!("Messages leave as") options=formats
                value=saved(|url| url.terms.format.name().to_owned()) hint=tell(FORMAT_HINT)
            />
            {json_note}
            <AlgorithmChoice flash=flash.clone() error_field="algorithms" legend=t!("Signed with") chosen=algorithms hint=tell(ALGORITHM_HINT)/>
            <Check
                name="concurrent" label=t!("Allow concurrent requests") checked=ticked("concurrent", |url| url.concurrent)
                hint=t!("Otherwise your script gets one request at a time, the next when it has answered.")
            />
            <Check
                name="order_in_order" label=t!("Keep each order in order") checked=ticked("order_in_order", |url| url.order_in_order)
                hint=t!("A later message of an order waits until the earlier one is confirmed.")
            />
            <Check
                name="held" label=t!("On hold") checked=ticked("held", |url| url.hold.is_some())
                hint=t!("Nothing is sent; what arrives is kept until you release it.")
            />
            {advanced(Advanced { terms: &terms, flash: &flash, is_default, shadow, own_triggers, chosen, inherited, headers, settings })}
            <div class="actions">
                <button class="button primary">{save_label(&flash, if is_questioned { t!("Check again and save") } else { t!("Check and save") })}</button>
                {is_questioned.then(|| view! { <button class="button" name="anyway" value="true">{t!("Save all the same")}</button> })}
                {cancel}
            </div>
        </form>
    }
}

/// What the folded part of the form shows.
struct Advanced<'a> {
    terms: &'a Terms,
    flash: &'a Flash,
    is_default: bool,
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
    let Advanced { terms, flash, is_default, shadow, own_triggers, chosen, inherited, headers, settings } = part;
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
        .map(|preset| (preset.name().unwrap_or_default().to_owned(), tell(preset.label()).to_owned()))
        .chain([(OWN.to_owned(), t!("An own list, below").to_owned())])
        .collect();
    let lost = flash.value("authority_lost").is_some().then(|| {
        view! { <Notice tone=Tone::Warn title=t!("Paste the certificates again")><p>{t!("They held a private key, which is not sent back. Paste the certificates alone.")}</p></Notice> }
    });
    let in_flight = if terms.max_in_flight == DEFAULT_IN_FLIGHT { String::new() } else { terms.max_in_flight.to_string() };
    let timeout = terms.timeout.map(|seconds| seconds.to_string()).unwrap_or_default();
    let rate = terms.rate_per_second.map(|rate| rate.to_string()).unwrap_or_default();
    view! {
        <details class="advanced" open=is_open>
            <summary>{t!("Advanced")}</summary>
            <div class="stack">
                <div class="stack depends">
                    <Check
                        name="own_triggers" label=t!("Own triggers") checked=own_triggers
                        hint=t!("Only the statuses ticked below are sent to this URL. Otherwise those of the merchant: {statuses}.", statuses = tell(&inherited.words()))
                    />
                    <TriggerChoice flash=flash.clone() legend=t!("Statuses sent to this URL") chosen hint=t!("They count only with Own triggers.")/>
                </div>
                <p class="hint"><a href=settings>{t!("The merchant's triggers and response tags")}</a></p>
                <SelectField
                    flash=flash.clone() name="retries" label=t!("When it fails, try again") options=schedules
                    value=terms.retries.name().unwrap_or(OWN)
                    hint=t!("Counted from the first attempt. After the last one a delivery has expired, and can be resent.")
                />
                <TextField
                    flash=flash.clone() name="own_delays" label=t!("Own list of delays") value=own placeholder="1m, 5m, 1h, 6h"
                    hint=t!("For An own list: from each attempt to the next, at least 5s each, at most 100, together at most 30d.")
                />
                <TextField
                    flash=flash.clone() name="max_in_flight" label=t!("Requests at a time") kind="number" value=in_flight
                    placeholder="64" hint=t!("With concurrent requests only: 1 to {most}. Left empty, {usual}.", most = MAX_IN_FLIGHT, usual = DEFAULT_IN_FLIGHT)
                />
                <TextField
                    flash=flash.clone() name="rate_per_second" label=t!("Requests a second") kind="number" value=rate
                    hint=t!("1 to {most}. Left empty, as many as there are.", most = MAX_RATE)
                />
                <TextField
                    flash=flash.clone() name="timeout" label=t!("Seconds to answer") kind="number" value=timeout placeholder="30"
                    hint=t!("1 to {most}. Left empty, {usual}. A script that stores first and works later needs one or two.", most = MAX_TIMEOUT, usual = DEFAULT_TIMEOUT)
                />
                <TextArea
                    flash=flash.clone() name="headers" label=t!("Headers of your own") value=headers rows=3
                    placeholder="X-Shop: 7"
                    hint=t!("A line each, Name: value. They go with every request to this URL. Values of names such as Authorization are sealed, and never shown again.")
                />
                // Nobody would be told when the default URL fails.
                {(!is_default).then(|| view! {
                    <Check
                        name="shadow" label=t!("Shadow") checked=shadow
                        hint=t!("It gets copies, and its failures count nowhere: to try a new script beside the old one.")
                    />
                })}
                {lost}
                <TextArea
                    flash=flash.clone() name="authority" label=t!("Certificates of a private authority") value=terms.authority.clone()
                    placeholder="-----BEGIN CERTIFICATE-----"
                    hint=t!("Only where the certificate of your server comes from an authority of your own: paste its root certificate (PEM). It is trusted at this URL alone.")
                />
            </div>
        </details>
    }
}

/// The URL did not answer as it should; it is not saved yet.
#[component]
fn CheckFailed(check: UrlCheck) -> impl IntoView {
    let title = check.cause.map_or(t!("The URL did not answer 200"), |cause| tell(cause.label()));
    view! {
        <CheckNote check title=t!("Not saved yet: {title}", title)>
            <p>{t!("You can save it all the same: deliveries are tried until they are confirmed.")}</p>
        </CheckNote>
    }
}

/// The merchant has this address already.
#[component]
fn TwinNote(label: String) -> impl IntoView {
    view! {
        <Notice tone=Tone::Warn title=t!("Not saved yet: this address is there already")>
            <p>{t!("It is the address of {label}, too. Each notification would arrive there twice, as two deliveries.", label)}</p>
            <p><strong>{t!("What to do:")}" "</strong>{t!("Change the address, or save it all the same if the script expects that.")}</p>
        </Notice>
    }
}

/// Why a URL did not answer as it should, and what to do.
#[component]
pub fn CheckNote(check: UrlCheck, #[prop(into)] title: String, #[prop(optional)] children: Option<Children>) -> impl IntoView {
    let cause = check.cause;
    view! {
        <Notice tone=Tone::Warn title>
            {cause.map(|cause| view! { <p>{tell(cause.sentence())}</p> })}
            {(!check.note.is_empty()).then(|| view! { <p>{reworded(&check.note)}</p> })}
            {cause.map(|cause| view! { <p><strong>{t!("What to do:")}" "</strong>{tell(cause.cure())}</p> })}
            {children.map(|children| children())}
        </Notice>
    }
}
