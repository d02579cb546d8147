//! One attempt: what was sent and what came back, side by side, and what it means.

use super::{any_flash, curl, handover, page, param, param_as, resend::ResendTo, viewer_at};
use crate::{
    domain::{
        Format,
        attempt::{Origin, Timings},
        pages::{
            orders::AttemptPage as Attempt,
            story::{Compared, Comparison},
        },
        role::Permission,
    },
    rpc::orders::read_attempt,
    ui::{
        components::{
            Copy, Fields, FormNotes, Icon, Long, Masked, MaskedNote, Moment, Notice, Octets, ReadArea, Revealed, Tone,
            WholeAddress, fact, wide,
        },
        format::{bytes, span},
        shell::{Frame, Section},
    },
    words::{reworded, rich, t, tell, tn},
};
use leptos::prelude::*;

/// `/m/{merchant}/deliveries/{delivery}/{number}`
#[component]
pub fn AttemptPage() -> impl IntoView {
    let (slug, id, number) = (param("merchant"), param_as("delivery"), param_as("number"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let attempt = read_attempt(slug.clone(), id?, number?).await?;
        let may_try = viewer.may(Permission::PlaceTestOrder);
        let delivery = &attempt.delivery;
        let (number, url) = (attempt.attempt.number, &delivery.url_label);
        let title = if delivery.origin == Origin::Debug {
            t!("Attempt {number} for debug to {url}", number, url)
        } else {
            t!("Attempt {number} to {url}", number, url)
        };
        let crumbs = vec![
            (t!("Orders & Reports").to_owned(), format!("/m/{slug}/orders")),
            (t!("Order {reference}", reference = attempt.reference), format!("/m/{slug}/orders/{}", attempt.order_id)),
            (t!("Delivery to {url_label}", url_label = delivery.url_label), format!("/m/{slug}/deliveries/{}", delivery.id)),
        ];
        let masked = (!viewer.may(Permission::SeePersonalData)).then(|| {
            let thing = delivery.id.to_string();
            Masked { merchant: slug.clone(), of: "attempt", thing, number: attempt.attempt.number }
        });
        let is_masked = masked.is_some();
        let answer_masked = masked.clone().map(|masked| Masked { of: "answer", ..masked });
        let actions = attempt.may_resend.then(|| {
            let (merchant, label) = (slug.clone(), delivery.url_label.clone());
            view! { <ResendTo merchant order=attempt.order_id notification=delivery.notification_id url=delivery.url_id label/> }
                .into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title crumbs actions>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    <Revealed flash=any_flash()/>
                    {others(&attempt)}
                    {verdict(&attempt, may_try)}
                    {facts(&attempt)}
                    {receipt(&attempt)}
                    {request(&attempt, masked)}
                    {answer(&attempt, answer_masked)}
                    {compared(&attempt)}
                    {hand_over(&attempt, is_masked)}
                    {again(&attempt, is_masked)}
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// The attempts before and after this one, and the parts of the page.
fn others(attempt: &Attempt) -> impl IntoView + use<> {
    let base = format!("/m/{}/deliveries/{}", attempt.merchant.slug, attempt.delivery.id);
    let number = attempt.attempt.number;
    let link = |number: u32| view! { <a href=format!("{base}/{number}")>{t!("Attempt {number}", number)}</a> };
    let before = (number > 1).then(|| link(number - 1));
    let after = (number < attempt.delivery.attempts).then(|| link(number + 1));
    (before.is_some() || after.is_some()).then(|| {
        view! { <nav class="others" aria-label=t!("Other attempts")><span>{before.map(|link| view! { "← "{link} })}</span><span>{after.map(|link| view! { {link}" →" })}</span></nav> }
    })
}

fn request(attempt: &Attempt, masked: Option<Masked>) -> impl IntoView + use<> {
    view! {
        <section class="panel" aria-labelledby="request">
            <h2 id="request">{t!("Request")}</h2>
            {masked.is_some().then(|| view! { <MaskedNote/> })}
            {attempt.request_head.is_empty().then(|| view! { <p class="muted">{t!("None was made.")}</p> })}
            <Octets label=t!("Head") text=attempt.request_head.clone()/>
            <div class="side-by-side">
                <Octets label=t!("Body") text=attempt.request_body.clone()/>
                <Fields fields=attempt.fields.clone() open=true masked/>
            </div>
        </section>
    }
}

fn answer(attempt: &Attempt, masked: Option<Masked>) -> impl IntoView + use<> {
    view! {
        <section class="panel" aria-labelledby="answer">
            <h2 id="answer">{t!("Answer")}</h2>
            {attempt.answer_head.is_empty().then(|| view! { <p class="muted">{t!("None came.")}</p> })}
            <Octets label=t!("Head") text=attempt.answer_head.clone()/>
            {(!attempt.detail.compression.is_empty()).then(|| view! { <p class="muted">{reworded(&attempt.detail.compression)}</p> })}
            <Octets label=t!("Body") text=attempt.answer_body.clone()/>
            <Fields fields=attempt.answer_fields.clone() masked/>
            {attempt.answer_cut.then(|| view! { <p class="muted">{t!("Only the first 64 KiB of the answer are kept.")}</p> })}
        </section>
    }
}

/// What was sent then beside what a resend would send now.
fn compared(attempt: &Attempt) -> impl IntoView + use<> {
    let content = match &attempt.comparison {
        Comparison::Impossible(why) => view! { <p class="muted">{reworded(why)}</p> }.into_any(),
        Comparison::Made(lines) => {
            let differing = lines.iter().filter(|line| line.differs).count();
            let words = match differing {
                0 => t!("A resend would send the same: nothing differs.").to_owned(),
                count => tn!(
                    "A resend would not send the same: {count} thing differs from what was sent.",
                    "A resend would not send the same: {count} things differ from what was sent.",
                    count as u64
                ),
            };
            let rows: Vec<_> = lines.iter().map(line).collect();
            view! {
                <p>{words}</p>
                <div class="table">
                    <table class="stacking compared">
                        <thead><tr><th scope="col">{t!("What")}</th><th scope="col">{t!("Then")}</th><th scope="col">{t!("Now")}</th></tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
            }
            .into_any()
        }
    };
    let resend = format!("/m/{}/notifications/{}/resend", attempt.merchant.slug, attempt.delivery.notification_id);
    let moved = (attempt.moved && attempt.may_resend).then(|| {
        let link = view! { <a href=resend>{t!("to the address of then")}</a> };
        view! { <p>{rich!("The URL has another address now. It can also be resent {link}.", link)}</p> }
    });
    view! { <section class="panel" aria-labelledby="compared"><h2 id="compared">{t!("Then and now")}</h2>{content}{moved}</section> }
}

fn line(line: &Compared) -> impl IntoView + use<> {
    let (tone, icon, word) = if line.differs { ("warn", "alert", t!("differs")) } else { ("quiet", "check", t!("the same")) };
    view! {
        <tr>
            <th scope="row"><Long text=reworded(&line.what)/>" "<span class=format!("badge {tone}")><Icon name=icon/>{word}</span></th>
            <td data-label=t!("Then") class="code"><Long text=compared_value(line, &line.then)/></td>
            <td data-label=t!("Now") class="code"><Long text=compared_value(line, &line.now)/></td>
        </tr>
    }
}

/// A value as it is, or a remark in its place.
fn compared_value(line: &Compared, value: &str) -> String {
    match value {
        "not there" | "another key; its fingerprint was not kept" => tell(value).to_owned(),
        _ if matches!(line.what.as_str(), "Headers" | "Fields" | "Format") => reworded(value),
        _ => value.to_owned(),
    }
}

/// A ready message for the script's developer, to be copied with a script or without.
fn hand_over(attempt: &Attempt, is_masked: bool) -> impl IntoView + use<> {
    let text = handover::message(attempt);
    let body =
        if is_masked { t!("Personal data are masked in it for your role.") } else { t!("The body may hold personal data.") };
    view! {
        <section class="panel hand-over" aria-labelledby="hand-over">
            <h2 id="hand-over">{t!("For the developer")}<Copy text=text.clone() what=t!("message for the developer")/></h2>
            <p class="muted">{t!("A message that can be sent as it is: it holds no key, and values of headers that carry secrets are left out.")}" "{body}</p>
            <ReadArea label=t!("Message for the developer") text rows=14/>
        </section>
    }
}

/// The same request as a command, for whoever looks for the fault on the other side.
fn again(attempt: &Attempt, is_masked: bool) -> impl IntoView + use<> {
    let line = (!attempt.request_head.is_empty())
        .then(|| curl::command(&handover::address(attempt), &attempt.request_head, handover::body(attempt)));
    line.map(|text| {
        view! {
            <section class="panel" aria-labelledby="again">
                <h2 id="again">{t!("From a command line")}</h2>
                <p class="muted">{t!("The same request again, signature included. Your script may take it for a new message.")}</p>
                {is_masked.then(|| view! { <p class="muted">{t!("Personal data are masked in it for your role, so the signature does not fit what it sends.")}</p> })}
                <Octets label=t!("Command") text/>
            </section>
        }
    })
}

fn verdict(attempt: &Attempt, may_try: bool) -> impl IntoView + use<> {
    match attempt.attempt.cause {
        None if attempt.detail.format == Format::Ipn => {
            let note = reworded(&attempt.detail.note);
            let note = (!note.is_empty()).then(|| view! { <p>{note}</p> });
            view! { <Notice tone=Tone::Good title=t!("Confirmed")><p>{t!("The answer holds a valid read receipt.")}</p>{note}</Notice> }
                .into_any()
        }
        None => {
            let note = reworded(&attempt.detail.note);
            view! { <Notice tone=Tone::Good title=t!("Confirmed")><p>{note}</p></Notice> }.into_any()
        }
        Some(cause) => {
            let note = reworded(&attempt.detail.note);
            let (sentence, cure) = (tell(cause.sentence_for(attempt.detail.format)), tell(cause.cure_for(attempt.detail.format)));
            let help = cause.is_about_receipt().then(|| {
                let slug = &attempt.merchant.slug;
                let kit = format!("/m/{slug}/settings/urls/{}/kit", attempt.delivery.url_id);
                let check = format!("/m/{slug}/check?delivery={}&number={}", attempt.delivery.id, attempt.attempt.number);
                let check = may_try.then(|| view! { " · "<a href=check>{t!("Try answers to this message")}</a> });
                view! { <p><a href=kit>{t!("Ready listener code for this URL")}</a>{check}</p> }
            });
            view! {
                <Notice tone=Tone::Bad title=tell(cause.label())>
                    <p>{sentence}</p>
                    {(!note.is_empty()).then(|| view! { <p>{note}</p> })}
                    <p><strong>{t!("What to do:")}" "</strong>{cure}</p>
                    {help}
                </Notice>
            }
            .into_any()
        }
    }
}

fn facts(attempt: &Attempt) -> impl IntoView + use<> {
    let row = &attempt.attempt;
    view! {
        <dl class="facts panel">
            {attempt.url_removed.then(|| wide(t!("Note"), t!("The URL was removed from the settings; nothing is sent there any more.")))}
            {fact(t!("Started"), view! { <Moment at=row.started_at/> })}
            {wide("URL", view! { <WholeAddress text=handover::address(attempt) what=t!("URL")/> })}
            {fact(t!("Address"), row.address.clone().unwrap_or_else(|| t!("none reached").to_owned()))}
            {fact(t!("Status"), row.status.map_or_else(|| t!("none").to_owned(), |status| status.to_string()))}
            {fact(t!("Format"), tell(attempt.detail.format.short()))}
            {fact(t!("Body sent"), bytes(attempt.request_size))}
            {fact(t!("Took"), span(row.timings.total))}
            {phases(row.timings)}
        </dl>
    }
}

/// The phases of time as a bar; the list below it says the same in words.
fn phases(timings: Timings) -> impl IntoView {
    let phases = [
        (t!("look up the name"), timings.resolve),
        (t!("connect"), timings.connect),
        ("TLS", timings.tls),
        (t!("wait for the answer"), timings.wait),
        (t!("read it"), timings.read),
    ];
    let total = timings.total.max(1);
    let mut start = 0;
    let mut bars = Vec::new();
    let mut words = Vec::new();
    for (at, (name, micros)) in phases.into_iter().enumerate().filter_map(|(at, (name, micros))| Some((at, (name, micros?)))) {
        // Per mille of the whole; what is too short to see gets a line.
        let width = (micros.saturating_mul(1_000) / total).clamp(3, 1_000);
        bars.push(
            view! { <rect class=format!("phase-{at}") x=start.to_string() y="0" width=width.to_string() height="10"></rect> },
        );
        start += width;
        words.push(view! {
            <li class="phase">
                <svg class="swatch" aria-hidden="true" viewBox="0 0 1 1"><rect class=format!("phase-{at}") width="1" height="1"></rect></svg>
                {format!("{name} {}", span(micros))}
            </li>
        });
    }
    (!bars.is_empty()).then(|| {
        view! {
            <div class="fact wide">
                <dt>{t!("Phases")}</dt>
                <dd>
                    <svg class="phases" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">{bars}</svg>
                    <ul class="phase-words">{words}</ul>
                </dd>
            </div>
        }
    })
}

/// For a receipt that is wrong: what we hashed, what we expected and what came.
fn receipt(attempt: &Attempt) -> impl IntoView + use<> {
    let detail = attempt.detail.clone();
    (!detail.expected.is_empty() || !detail.found.is_empty()).then(|| {
        let line = |label: &'static str, text: String| (!text.is_empty()).then(|| view! { <Octets label text/> });
        view! {
            <section class="panel" aria-labelledby="receipt">
                <h2 id="receipt">{t!("The read receipt")}</h2>
                {line(t!("Found in the answer"), detail.found)}
                {line(t!("Expected hash"), detail.expected)}
                {line(t!("Text that is hashed"), detail.source)}
            </section>
        }
    })
}
