//! The box where a developer pastes a message, a signature or an answer, and learns whether it is right.

use super::{page, param, query, settings::signed_with, viewer_at};
use crate::{
    domain::{
        AppError, Format,
        pages::{
            flash::{Flash, Posted},
            settings::IpnSettings,
            simulate::{CheckForm, CheckResult, Judgement},
        },
        role::Permission,
    },
    rpc::{
        orders::{check_message, read_attempt},
        urls::read_settings,
    },
    ui::{
        components::{Fields, FormNotes, Icon, Octets, RightBadge, SelectField, TextArea, TextField},
        shell::{Frame, Section},
    },
    words::t,
};
use leptos::prelude::*;

/// `/m/{merchant}/check`
#[component]
pub fn CheckPage() -> impl IntoView {
    let slug = param("merchant");
    let url = query("url").unwrap_or_default();
    let attempt = query("delivery").zip(query("number"));
    let posted = use_context::<Posted>();
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        if !viewer.may(Permission::PlaceTestOrder) {
            return Err(AppError::Forbidden);
        }
        let settings = read_settings(slug.clone()).await?;
        let mut flash = Flash::default();
        let mut pasted = CheckForm { url, ..CheckForm::default() };
        let mut result = None;
        if let Some(posted) = posted {
            let value = |name: &str| posted.value(name);
            pasted = CheckForm {
                url: value("url"),
                body: value("body"),
                headers: value("headers"),
                receipt: value("receipt"),
                computed: value("computed"),
            };
            match check_message(slug.clone(), pasted.clone()).await {
                Ok(found) => result = Some(found),
                Err(AppError::Invalid(errors)) => flash.errors = errors,
                Err(error) => return Err(error),
            }
        } else if let Some((delivery, number)) = attempt {
            let (Ok(delivery), Ok(number)) = (delivery.parse(), number.parse()) else { return Err(AppError::NotFound) };
            let attempt = read_attempt(slug.clone(), delivery, number).await?;
            pasted = CheckForm {
                url: attempt.delivery.url_id.to_string(),
                body: attempt.request_body,
                headers: if attempt.detail.format == Format::Json { attempt.request_head } else { String::new() },
                receipt: attempt.answer_body,
                computed: String::new(),
            };
        }
        let crumbs = vec![(t!("IPN settings").to_owned(), format!("/m/{slug}/settings/ipn"))];
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=t!("Check a message or receipt") crumbs>
                <div class="stack narrow">
                    <p>{t!("Paste what your script received, and what it answered or computed: you learn whether it is right and, if not, what was done to it. Nothing that you paste is stored.")}</p>
                    <FormNotes flash=flash.clone()/>
                    {result.map(|result| shown(&result))}
                    {form(&slug, &pasted, &flash, &settings)}
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn form(slug: &str, pasted: &CheckForm, flash: &Flash, settings: &IpnSettings) -> impl IntoView + use<> {
    let urls = settings.all_urls().map(|url| (url.id.to_string(), format!("{} ({})", url.label, signed_with(url))));
    let urls = [(String::new(), t!("Any: whatever algorithm it is").to_owned())].into_iter().chain(urls).collect();
    view! {
        <form method="post" action=format!("/m/{slug}/check") class="stack panel">
            <SelectField flash=flash.clone() name="url" label=t!("For the URL") options=urls value=pasted.url.clone()/>
            <TextArea
                flash=flash.clone() name="body" label=t!("Received body") value=pasted.body.clone() rows=6 required=true
                placeholder="GIFT_ORDER=0&SALEDATE=…&HASH=…"
                hint=t!("The form or the JSON, byte for byte as it came, before anything has decoded it.")
            />
            <TextArea
                flash=flash.clone() name="headers" label=t!("Head of the request") value=pasted.headers.clone() rows=3
                hint=t!("For JSON only: webhook-id, webhook-timestamp and webhook-signature. What else stands there does no harm.")
            />
            <TextArea
                flash=flash.clone() name="receipt" label=t!("What your script answers") value=pasted.receipt.clone() rows=3
                placeholder="<EPAYMENT>20260301120010|…</EPAYMENT>" hint=t!("The receipt, or the whole answer.")
            />
            <TextField
                flash=flash.clone() name="computed" label=t!("Signature that your script computes") value=pasted.computed.clone()
                hint=t!("To find out why your script takes a message for forged.")
            />
            <div class="actions"><button class="button primary"><Icon name="check"/>{t!("Check it")}</button></div>
        </form>
    }
}

fn shown(result: &CheckResult) -> impl IntoView + use<> {
    let receipts: Vec<_> =
        result.receipts.iter().map(|text| view! { <Octets label=t!("A right receipt, dated now") text=text.clone()/> }).collect();
    view! {
        <section class="panel stack" aria-labelledby="found">
            <h2 id="found">{t!("What was found")}</h2>
            {result.receipt.as_ref().map(judgement)}
            {result.computed.as_ref().map(judgement)}
            {result.signatures.iter().map(judgement).collect::<Vec<_>>()}
            <Octets label=t!("Text that is signed") text=result.source.clone()/>
            <Fields fields=result.fields.clone()/>
            {receipts}
        </section>
    }
}

fn judgement(one: &Judgement) -> AnyView {
    let line = |label: &'static str, text: &str| (!text.is_empty()).then(|| view! { <Octets label text=text.to_owned()/> });
    view! {
        <article class="judgement">
            <h3><RightBadge right=one.right/>{one.title.clone()}</h3>
            {one.sentences.iter().map(|sentence| view! { <p>{sentence.clone()}</p> }).collect::<Vec<_>>()}
            {line(t!("Found"), &one.found)}
            {line(t!("Hash that would be right"), &one.expected)}
            {line(t!("Text that should be hashed"), &one.source)}
        </article>
    }
    .into_any()
}
