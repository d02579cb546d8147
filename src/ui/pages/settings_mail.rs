//! *IPN settings › Customer mail*: what customers are mailed when an order gets a status, how it looks, and what was given up.

use super::{any_flash, flash_of, form_key, page, param, query, settings::Tabs, viewer_at};
use crate::{
    domain::{
        AppError,
        id::MailId,
        mail::{PLACEHOLDERS, STATUSES, html},
        pages::{
            flash::{Flash, Posted},
            mail::{MailDraft, MailPage as Mail, MailRow},
        },
    },
    rpc::mail::read_mail,
    ui::{
        components::{
            Ago, Check, ConflictNote, Empty, FormNotes, Hidden, Icon, Notice, Octets, TextArea, TextField, Tone, Version,
            save_label,
        },
        format::counted,
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/settings/mail`
#[component]
pub fn MailPage() -> impl IntoView {
    let slug = param("merchant");
    let (status, before) = (query("status").unwrap_or_default(), query("before").and_then(|id| id.parse::<MailId>().ok()));
    let posted = use_context::<Posted>();
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let flash = flash_of("mail-template");
        let written = |field: &str| match &posted {
            Some(posted) => Some(posted.value(field)),
            None => flash.value(field).map(str::to_owned),
        };
        let status = match &posted {
            Some(posted) => posted.value("status"),
            None => status,
        };
        let draft = MailDraft { subject: written("subject"), text: written("text"), status, before };
        let enabled = posted.as_ref().map(|posted| posted.value("enabled") == "true");
        let mail = read_mail(slug.clone(), draft).await?;
        let is_draft = posted.is_some();
        if posted.is_some() && !mail.may_change {
            return Err(AppError::Forbidden);
        }
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title="IPN settings">
                <Tabs slug=slug.clone() current="mail"/>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    {not_set_up(&mail)}
                    <section class="panel stack narrow" aria-labelledby="about">
                        <h2 id="about">"Customer mail"</h2>
                        <p>"When a message changes the status of an order, its customer can get a mail: one for each status that is switched on below, and never twice for one message. A late message that changes nothing is not mailed about."</p>
                        {if mail.may_change { sender(&slug, &mail) } else { read_only(&mail) }}
                    </section>
                    {template(&slug, &mail, flash, enabled, is_draft)}
                    {failed(&slug, &mail)}
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn not_set_up(mail: &Mail) -> impl IntoView + use<> {
    mail.installation.is_none().then(|| {
        view! {
            <Notice tone=Tone::Warn title="This installation sends no mail yet">
                <p>"What is switched on here waits for it. The operator starts the server with "<span class="code">"--smtp-url smtp://user:password@host:587"</span>" and "<span class="code">"--mail-from"</span>"."</p>
            </Notice>
        }
    })
}

fn read_only(mail: &Mail) -> AnyView {
    let on: Vec<_> = mail.settings.switched_on().map(|template| template.status.label()).collect();
    let words = if on.is_empty() {
        "No customer is mailed.".to_owned()
    } else {
        format!("Customers are mailed about: {}.", on.join(", "))
    };
    view! { <p class="muted">{words}</p> }.into_any()
}

fn sender(slug: &str, mail: &Mail) -> AnyView {
    let flash = flash_of("mail-sender");
    let (here, save, version) = (format!("/m/{slug}/settings/mail"), save_label(&flash, "Save"), mail.version);
    let tests = flash.value("tests").map_or(mail.settings.tests, |value| value == "true");
    let own = mail.installation.clone().map_or_else(
        || "Left empty, the address of the installation.".to_owned(),
        |from| format!("Left empty, {from}. Another one has to be allowed at the mail server, and by the DNS records of its domain (SPF, DKIM)."),
    );
    view! {
        <ConflictNote flash=flash.clone() page=here/>
        <form method="post" action="/rpc/settings/mail/sender" class="stack">
            <Hidden name="merchant" value=slug.to_owned()/>
            <Version flash=flash.clone() version/>
            {form_key()}
            <div class="pair">
                <TextField flash=flash.clone() name="sender_name" label="Sender's name" value=mail.settings.sender_name.clone() hint="Left empty, the merchant's name."/>
                <TextField flash=Flash { notice: None, ..flash } name="sender" label="Sender's address" kind="email" value=mail.settings.sender.clone() hint=own/>
            </div>
            <Check name="tests" label="Mail about TEST orders, too" checked=tests hint="Otherwise orders that are marked as a test are never mailed about."/>
            <div class="actions"><button class="button">{save}</button></div>
        </form>
    }
    .into_any()
}

fn template(slug: &str, mail: &Mail, flash: Flash, enabled: Option<bool>, is_draft: bool) -> impl IntoView + use<> {
    let links: Vec<_> = STATUSES
        .into_iter()
        .map(|status| {
            let current = (status == mail.template.status).then_some("page");
            let on = mail.settings.template(status).since.is_some();
            view! {
                <a href=format!("/m/{slug}/settings/mail?status={}", status.code()) aria-current=current>
                    {status.label()}{on.then(|| view! { <Icon name="check"/><span class="visually-hidden">" (switched on)"</span> })}
                </a>
            }
        })
        .collect();
    let draft_note = is_draft.then(|| {
        view! { <Notice tone=Tone::Calm title="Not saved yet"><p>"The preview shows what is written here. Save it to have it mailed."</p></Notice> }
    });
    let unknown = (!mail.unknown.is_empty()).then(|| {
        let names: Vec<_> = mail.unknown.iter().map(|name| format!("{{{name}}}")).collect();
        view! { <Notice tone=Tone::Warn title="Something in it stands for nothing"><p>{names.join(", ")}" would stand in the mail as written."</p></Notice> }
    });
    let lost = flash.value("text_lost").is_some().then(|| {
        view! { <Notice tone=Tone::Warn title="Write the text again"><p>"It was too long to be kept while the form came back. Your browser may still have it, one page back."</p></Notice> }
    });
    let form = mail.may_change.then(|| template_form(slug, mail, flash, enabled));
    view! {
        <section class="panel stack" aria-labelledby="template">
            <h2 id="template">{format!("Mail for the status {}", mail.template.status.label())}</h2>
            <nav class="tabs wrap" aria-label="Statuses">{links}</nav>
            {draft_note}{unknown}{lost}
            <div class="side-by-side">
                {form}
                {preview(mail)}
            </div>
        </section>
    }
}

fn template_form(slug: &str, mail: &Mail, flash: Flash, enabled: Option<bool>) -> AnyView {
    let page = format!("/m/{slug}/settings/mail");
    let (save, version) = (save_label(&flash, "Save"), mail.version);
    let was_on = mail.template.since.is_some();
    let checked = enabled.or_else(|| flash.value("enabled").map(|value| value == "true")).unwrap_or(was_on);
    let words: Vec<_> = PLACEHOLDERS
        .into_iter()
        .map(|(name, meaning)| view! { <div class="fact"><dt class="code">{format!("{{{name}}}")}</dt><dd>{meaning}</dd></div> })
        .collect();
    let (code, to) = (mail.template.status.code(), mail.to.clone());
    let test = mail.installation.is_some().then(|| {
        view! {
            <form method="post" action="/rpc/settings/mail/test">
                <Hidden name="merchant" value=slug.to_owned()/>
                <Hidden name="status" value=code/>
                <button class="button"><Icon name="send"/>"Send a test to me"</button>
                <p class="hint">{format!("As it is saved, to {to}.")}</p>
            </form>
        }
    });
    view! {
        <div class="stack">
            <ConflictNote flash=flash.clone() page=page.clone()/>
            <form method="post" action="/rpc/settings/mail/template" class="stack">
                <Hidden name="merchant" value=slug.to_owned()/>
                <Hidden name="status" value=code/>
                <Version flash=flash.clone() version/>
                {form_key()}
                <Check name="enabled" label="Mail customers about this status" checked hint="Only about messages that come from now on."/>
                <TextField flash=flash.clone() name="subject" label="Subject" value=mail.template.subject.clone() required=true/>
                <TextArea
                    flash=flash name="text" label="Text" value=mail.template.text.clone() rows=10 required=true
                    hint="Plain text; a simple HTML form is made of it for programs that want one."
                />
                <div class="actions">
                    <button class="button primary">{save}</button>
                    <button class="button" formaction=page><Icon name="debug"/>"Preview"</button>
                </div>
            </form>
            {test}
            <details><summary>"What can be put in"</summary><dl class="facts">{words}</dl></details>
        </div>
    }
    .into_any()
}

/// How the mail would look, as text: nothing of it becomes a part of the page.
fn preview(mail: &Mail) -> impl IntoView + use<> {
    view! {
        <section class="stack" aria-labelledby="preview">
            <h3 id="preview">"Preview"</h3>
            <p class="muted">"With values of a made-up order."</p>
            <dl class="facts"><div class="fact wide"><dt>"Subject"</dt><dd><bdi>{mail.preview.subject.clone()}</bdi></dd></div></dl>
            <Octets label="Text" text=mail.preview.text.clone()/>
            <details><summary>"HTML form"</summary><Octets label="HTML" text=html(&mail.preview.text)/></details>
        </section>
    }
}

fn failed(slug: &str, mail: &Mail) -> AnyView {
    if mail.failed.is_empty() {
        return view! {
            <section aria-labelledby="failed"><h2 id="failed">"Not sent"</h2>
                <Empty title="No mail was given up"><p>"Mails that could not be sent show here, with the reason and what to do. Those on their way show on the page of their order."</p></Empty>
            </section>
        }
        .into_any();
    }
    let rows: Vec<_> = mail.failed.iter().map(|row| failed_row(slug, row, mail.may_change)).collect();
    let more = mail.failed.last().filter(|_| mail.more).map(|last| {
        view! { <p><a class="button" href=format!("/m/{slug}/settings/mail?before={}#failed", last.id)>"Older ones"</a></p> }
    });
    view! {
        <section aria-labelledby="failed">
            <h2 id="failed">"Not sent"</h2>
            <div class="table"><table class="stacking">
                <thead><tr><th scope="col">"Order"</th><th scope="col">"To"</th><th scope="col">"Why, and what to do"</th><th scope="col">"When"</th><th scope="col"><span class="visually-hidden">"Actions"</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
            {more}
        </section>
    }
    .into_any()
}

fn failed_row(slug: &str, row: &MailRow, may_change: bool) -> impl IntoView + use<> {
    let to = if row.recipient.is_empty() { "nobody".to_owned() } else { row.recipient.clone() };
    let label = row.cause.map_or("Given up", |cause| cause.label());
    let cure = row.cause.map(|cause| cause.cure());
    let retry = (may_change && !row.recipient.is_empty()).then(|| {
        view! {
            <form method="post" action="/rpc/settings/mail/retry">
                <Hidden name="merchant" value=slug.to_owned()/>
                <Hidden name="mail_id" value=row.id.to_string()/>
                <button class="button small"><Icon name="retry"/>"Try again"</button>
            </form>
        }
    });
    let note = (!row.note.is_empty()).then(|| view! { <span class="muted"><bdi>{row.note.clone()}</bdi></span> });
    let tries = (row.attempts > 0).then(|| counted(u64::from(row.attempts), "try", "tries"));
    view! {
        <tr>
            <td><div class="url-line"><a href=format!("/m/{slug}/orders/{}", row.order_id)>{row.reference.clone()}</a><span class="muted">{row.status.label()}</span></div></td>
            <td data-label="To"><bdi>{to}</bdi></td>
            <td data-label="Why"><div class="url-line"><span class="badge bad"><Icon name="alert"/>{label}</span>{note}<span>{cure}</span></div></td>
            <td data-label="When"><div class="url-line"><span><Ago at=row.created_at/></span><span class="muted">{tries}</span></div></td>
            <td class="buttons">{retry}</td>
        </tr>
    }
}
