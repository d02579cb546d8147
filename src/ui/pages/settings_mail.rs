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
        islands::preview::Preview,
        shell::{Frame, Section},
    },
    words::{rich, t, tell, tn},
};
use leptos::prelude::*;

/// The form of a template; what is written there is shown beside it.
const TEMPLATE_FORM: &str = "mail-template";

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
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=t!("IPN settings")>
                <Tabs slug=slug.clone() current="mail"/>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    {not_set_up(&mail)}
                    <section class="panel stack narrow" aria-labelledby="about">
                        <h2 id="about">{t!("Customer mail")}</h2>
                        <p>{t!("When a message changes the status of an order, its customer can get a mail: one for each status that is switched on below, and never twice for one message. A late message that changes nothing is not mailed about.")}</p>
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
            <Notice tone=Tone::Warn title=t!("This installation sends no mail yet")>
                <p>{rich!(
                    "What is switched on here waits for it. The operator starts the server with {smtp} and {from}.",
                    smtp = view! { <span class="code">"--smtp-url smtp://user:password@host:587"</span> },
                    from = view! { <span class="code nowrap">"--mail-from"</span> }
                )}</p>
            </Notice>
        }
    })
}

fn read_only(mail: &Mail) -> AnyView {
    let on: Vec<_> = mail.settings.switched_on().map(|template| tell(template.status.label())).collect();
    let words = if on.is_empty() {
        t!("No customer is mailed.").to_owned()
    } else {
        t!("Customers are mailed about: {statuses}.", statuses = on.join(", "))
    };
    view! { <p class="muted">{words}</p> }.into_any()
}

fn sender(slug: &str, mail: &Mail) -> AnyView {
    let flash = flash_of("mail-sender");
    let (here, save, version) = (format!("/m/{slug}/settings/mail"), save_label(&flash, t!("Save")), mail.version);
    let tests = flash.value("tests").map_or(mail.settings.tests, |value| value == "true");
    let own = mail.installation.clone().map_or_else(
        || t!("Left empty, the address of the installation.").to_owned(),
        |from| t!("Left empty, {from}. Another one has to be allowed at the mail server, and by the DNS records of its domain (SPF, DKIM).", from),
    );
    view! {
        <ConflictNote flash=flash.clone() page=here/>
        <form method="post" action="/rpc/settings/mail/sender" class="stack">
            <Hidden name="merchant" value=slug.to_owned()/>
            <Version flash=flash.clone() version/>
            {form_key()}
            <div class="pair">
                <TextField flash=flash.clone() name="sender_name" label=t!("Sender's name") value=mail.settings.sender_name.clone() hint=t!("Left empty, the merchant's name.")/>
                <TextField flash=Flash { notice: None, ..flash } name="sender" label=t!("Sender's address") kind="email" value=mail.settings.sender.clone() hint=own/>
            </div>
            <Check name="tests" label=t!("Mail about TEST orders, too") checked=tests hint=t!("Otherwise orders that are marked as a test are never mailed about.")/>
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
                    {tell(status.label())}{on.then(|| view! { <Icon name="check"/><span class="visually-hidden">" "{t!("(switched on)")}</span> })}
                </a>
            }
        })
        .collect();
    let draft_note = is_draft.then(|| {
        view! { <Notice tone=Tone::Calm title=t!("Not saved yet")><p>{t!("The preview shows what is written here. Save it to have it mailed.")}</p></Notice> }
    });
    let form = mail.may_change.then(|| template_form(slug, mail, flash, enabled));
    let preview = preview(mail);
    view! {
        <section class="panel stack" aria-labelledby="template">
            <h2 id="template">{t!("Mail for the status {status}", status = tell(mail.template.status.label()))}</h2>
            <nav class="tabs wrap" aria-label=t!("Statuses")>{links}</nav>
            {draft_note}
            <div class="side-by-side">
                {form}
                <Preview form=TEMPLATE_FORM.to_owned()>{preview}</Preview>
            </div>
        </section>
    }
}

fn template_form(slug: &str, mail: &Mail, flash: Flash, enabled: Option<bool>) -> AnyView {
    let page = format!("/m/{slug}/settings/mail");
    let (save, version) = (save_label(&flash, t!("Save")), mail.version);
    let was_on = mail.template.since.is_some();
    let checked = enabled.or_else(|| flash.value("enabled").map(|value| value == "true")).unwrap_or(was_on);
    let words: Vec<_> = PLACEHOLDERS
        .into_iter()
        .map(|(name, meaning)| view! { <div class="fact"><dt class="code">{format!("{{{name}}}")}</dt><dd>{tell(meaning)}</dd></div> })
        .collect();
    let (code, to) = (mail.template.status.code(), mail.to.clone());
    let test = mail.installation.is_some().then(|| {
        view! {
            <form method="post" action="/rpc/settings/mail/test">
                <Hidden name="merchant" value=slug.to_owned()/>
                <Hidden name="status" value=code/>
                <button class="button"><Icon name="send"/>{t!("Send a test to me")}</button>
                <p class="hint">{t!("As it is saved, to {to}.", to)}</p>
            </form>
        }
    });
    view! {
        <div class="stack">
            <ConflictNote flash=flash.clone() page=page.clone()/>
            <form id=TEMPLATE_FORM method="post" action="/rpc/settings/mail/template" class="stack">
                <Hidden name="merchant" value=slug.to_owned()/>
                <Hidden name="status" value=code/>
                <Version flash=flash.clone() version/>
                {form_key()}
                <Check name="enabled" label=t!("Mail customers about this status") checked hint=t!("Only about messages that come from now on.")/>
                <TextField flash=flash.clone() name="subject" label=t!("Subject") value=mail.template.subject.clone() required=true/>
                <TextArea
                    flash=flash name="text" label=t!("Text") value=mail.template.text.clone() rows=10 required=true
                    hint=t!("Plain text; a simple HTML form is made of it for programs that want one.")
                />
                <div class="actions">
                    <button class="button primary">{save}</button>
                    <button class="button" formaction=page>{t!("Preview")}</button>
                </div>
            </form>
            {test}
            <details><summary>{t!("What can be put in")}</summary><dl class="facts">{words}</dl></details>
        </div>
    }
    .into_any()
}

/// How the mail would look, as text: nothing of it becomes a part of the page.
fn preview(mail: &Mail) -> impl IntoView + use<> {
    let unknown = (!mail.unknown.is_empty()).then(|| {
        let names: Vec<_> = mail.unknown.iter().map(|name| format!("{{{name}}}")).collect();
        view! { <Notice tone=Tone::Warn title=t!("Something in it stands for nothing")><p>{t!("{names} would stand in the mail as written.", names = names.join(", "))}</p></Notice> }
    });
    view! {
        <section class="stack" aria-labelledby="preview">
            <h3 id="preview">{t!("Preview")}</h3>
            <p class="muted">{t!("With values of a made-up order.")}</p>
            {unknown}
            <dl class="facts"><div class="fact wide"><dt>{t!("Subject")}</dt><dd><bdi>{mail.preview.subject.clone()}</bdi></dd></div></dl>
            <Octets label=t!("Text") text=mail.preview.text.clone()/>
            <details><summary>{t!("HTML form")}</summary><Octets label=t!("HTML") text=html(&mail.preview.text)/></details>
        </section>
    }
}

fn failed(slug: &str, mail: &Mail) -> AnyView {
    if mail.failed.is_empty() {
        return view! {
            <section aria-labelledby="failed"><h2 id="failed">{t!("Not sent")}</h2>
                <Empty title=t!("No mail was given up")><p>{t!("Mails that could not be sent show here, with the reason and what to do. Those on their way show on the page of their order.")}</p></Empty>
            </section>
        }
        .into_any();
    }
    let rows: Vec<_> = mail.failed.iter().map(|row| failed_row(slug, row, mail.may_change)).collect();
    let more = mail.failed.last().filter(|_| mail.more).map(|last| {
        view! { <p><a class="button" href=format!("/m/{slug}/settings/mail?before={}#failed", last.id)>{t!("Older ones")}</a></p> }
    });
    view! {
        <section aria-labelledby="failed">
            <h2 id="failed">{t!("Not sent")}</h2>
            <div class="table"><table class="stacking">
                <thead><tr><th scope="col">{t!("Order")}</th><th scope="col">{t!("To")}</th><th scope="col">{t!("Why, and what to do")}</th><th scope="col">{t!("When")}</th><th scope="col"><span class="visually-hidden">{t!("Actions")}</span></th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
            {more}
        </section>
    }
    .into_any()
}

fn failed_row(slug: &str, row: &MailRow, may_change: bool) -> impl IntoView + use<> {
    let to = if row.recipient.is_empty() { t!("nobody").to_owned() } else { row.recipient.clone() };
    let label = row.cause.map_or(t!("Given up"), |cause| tell(cause.label()));
    let cure = row.cause.map(|cause| tell(cause.cure()));
    let retry = (may_change && !row.recipient.is_empty()).then(|| {
        view! {
            <form method="post" action="/rpc/settings/mail/retry">
                <Hidden name="merchant" value=slug.to_owned()/>
                <Hidden name="mail_id" value=row.id.to_string()/>
                <button class="button small"><Icon name="retry"/>{t!("Try again")}</button>
            </form>
        }
    });
    let note = (!row.note.is_empty()).then(|| view! { <span class="muted"><bdi>{row.note.clone()}</bdi></span> });
    let tries = (row.attempts > 0).then(|| tn!("{count} try", "{count} tries", u64::from(row.attempts)));
    view! {
        <tr>
            <td><div class="url-line"><a href=format!("/m/{slug}/orders/{}", row.order_id)>{row.reference.clone()}</a><span class="muted">{tell(row.status.label())}</span></div></td>
            <td data-label=t!("To")><bdi>{to}</bdi></td>
            <td data-label=t!("Why")><div class="url-line"><span class="badge bad"><Icon name="alert"/>{label}</span>{note}<span>{cure}</span></div></td>
            <td data-label=t!("When")><div class="url-line"><span><Ago at=row.created_at/></span><span class="muted">{tries}</span></div></td>
            <td class="buttons">{retry}</td>
        </tr>
    }
}
