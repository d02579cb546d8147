//! *IPN settings › Alerts*: where a merchant is told of trouble.

use super::{any_flash, flash_of, form_key, page, param, settings::Tabs, viewer_at};
use crate::{
    domain::{
        mail::MailState,
        pages::{
            flash::Flash,
            settings::{AlertMailRow, AlertSettings, Thresholds},
        },
    },
    rpc::settings::read_alerts,
    ui::{
        components::{Ago, ConflictNote, Empty, FormNotes, Hidden, Icon, Notice, TextField, Tone, Version, save_label},
        shell::{Frame, Section},
    },
    words::{reworded, rich, t, tell, tn},
};
use leptos::prelude::*;

/// `/m/{merchant}/settings/alerts`
#[component]
pub fn AlertsPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let alerts = read_alerts(slug.clone()).await?;
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Settings title=t!("IPN settings")>
                <Tabs slug=slug.clone() current="alerts"/>
                <div class="stack narrow">
                    <FormNotes flash=any_flash()/>
                    <section class="panel stack" aria-labelledby="alerts">
                        <h2 id="alerts">{t!("Alerts")}</h2>
                        <p>{t!("A signed JSON message to an address of yours, a mail, or both, when one of your notification URLs has failed for too long, when deliveries to it expired, and when it takes them again; when the certificate of its server ends; when many deliveries wait for it. Of each of these at most one for a URL and hour.")}</p>
                        {not_set_up(&alerts)}
                        {if alerts.may_change { form(&slug, &alerts) } else { read_only(&alerts) }}
                    </section>
                    {told(&alerts)}
                    {mailed(&alerts)}
                    <section class="panel stack" aria-labelledby="format">
                        <h2 id="format">{t!("What is sent")}</h2>
                        <p>{rich!(
                            "A POST of JSON with {type} (notification-url.failing, .expired, .recovered, .certificate-ends, .certificate-ended, .outstanding, .eased or .test), {timestamp} and {data}: the URL, what happened and why, what to do, how much waits, and a link to the list. Any answer from 200 to 299 will do.",
                            type = view! { <span class="code">"type"</span> },
                            timestamp = view! { <span class="code">"timestamp"</span> },
                            data = view! { <span class="code">"data"</span> }
                        )}</p>
                        <p>{rich!(
                            "It is signed as the Standard Webhooks specification says, with your secret key as it stands: {header} is v1, and the base64 of HMAC-SHA-256 over webhook-id, webhook-timestamp and body, joined by dots.",
                            header = view! { <span class="code">"webhook-signature"</span> }
                        )}</p>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// Mails need a mail server, which only the operator can name.
fn not_set_up(alerts: &AlertSettings) -> impl IntoView + use<> {
    (!alerts.sends_mail).then(|| {
        let waits = if alerts.mails.is_empty() {
            t!("Alerts go to an address for JSON alone.")
        } else {
            t!("Nobody is mailed, although addresses are entered below.")
        };
        view! {
            <Notice tone=if alerts.mails.is_empty() { Tone::Calm } else { Tone::Warn } title=t!("This installation sends no mail yet")>
                <p>{waits}" "{rich!(
                    "The operator starts the server with {smtp} and {from}.",
                    smtp = view! { <span class="code">"--smtp-url smtp://user:password@host:587"</span> },
                    from = view! { <span class="code nowrap">"--mail-from"</span> }
                )}</p>
            </Notice>
        }
    })
}

fn read_only(alerts: &AlertSettings) -> AnyView {
    let whom: Vec<_> = [&alerts.url, &alerts.mails].into_iter().filter(|text| !text.is_empty()).cloned().collect();
    match whom.join(", ").as_str() {
        "" => view! { <p class="muted">{t!("Nobody is alerted.")}</p> }.into_any(),
        whom => view! { <p class="code wrap">{whom.to_owned()}</p><p class="muted">{from_where_on(&alerts.thresholds)}</p> }
            .into_any(),
    }
}

/// From where on something is told, in sentences.
fn from_where_on(thresholds: &Thresholds) -> String {
    let minutes = u64::from(thresholds.after) / 60;
    let mut sentences = vec![tn!("After {count} minutes of failures.", "After {count} minutes of failures.", minutes)];
    if let Some(days) = thresholds.certificate {
        let days = u64::from(days);
        sentences.push(tn!("{count} day before a certificate ends.", "{count} days before a certificate ends.", days));
    }
    if let Some(count) = thresholds.outstanding {
        let count = u64::from(count);
        sentences.push(tn!("From {count} outstanding delivery on.", "From {count} outstanding deliveries on.", count));
    }
    sentences.join(" ")
}

fn form(slug: &str, alerts: &AlertSettings) -> AnyView {
    let flash = flash_of("alerts");
    let slug = slug.to_owned();
    let test = (!alerts.url.is_empty() || !alerts.mails.is_empty()).then(|| {
        view! {
            <form method="post" action="/rpc/settings/alerts/test">
                <Hidden name="merchant" value=slug.clone()/>
                <button class="button"><Icon name="send"/>{t!("Send a test")}</button>
            </form>
        }
    });
    let Thresholds { after, certificate, outstanding } = alerts.thresholds;
    let entered = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let (save, version, here) = (save_label(&flash, t!("Save")), alerts.version, format!("/m/{slug}/settings/alerts"));
    view! {
        <ConflictNote flash=flash.clone() page=here/>
        <form id="alert-form" method="post" action="/rpc/settings/alerts" class="stack">
            <Hidden name="merchant" value=slug.clone()/>
            <Version flash=flash.clone() version/>
            {form_key()}
            <TextField
                flash=flash.clone() name="url" label=t!("Address for alerts") kind="url" value=alerts.url.clone()
                placeholder="https://alerts.example.com/quittance" hint=t!("It gets signed JSON. Left empty, nothing does.")
            />
            <TextField
                flash=flash.clone() name="mails" label=t!("E-mail addresses for alerts") value=alerts.mails.clone()
                placeholder="ops@example.com, shop@example.com" hint=t!("With commas between several. Left empty, nobody is mailed.")
            />
            <TextField
                flash=flash.clone() name="after" label=t!("Minutes of failures") kind="number" value=(after / 60).to_string()
                hint=t!("A URL is told when the oldest delivery that fails has failed for so long. From 1 to 1440.")
            />
            <TextField
                flash=flash.clone() name="certificate" label=t!("Days before a certificate ends") kind="number" value=entered(certificate)
                hint=t!("Told once for each certificate that the server of a URL shows, again 3 days before it ends, and when it has ended. Left empty, or 0, it is not told.")
            />
            <TextField
                flash=Flash { notice: None, ..flash } name="outstanding" label=t!("Outstanding deliveries") kind="number" value=entered(outstanding)
                hint=t!("A URL is told when so many deliveries wait for it, and once more when they are fewer than half. Left empty, or 0, it is not told.")
            />
        </form>
        <div class="actions"><button class="button primary" form="alert-form">{save}</button>{test}</div>
    }
    .into_any()
}

fn told(alerts: &AlertSettings) -> AnyView {
    if alerts.told.is_empty() {
        return view! { <Empty title=t!("No alert was sent yet")><p>{t!("What was told last of each URL shows here, and whether it arrived.")}</p></Empty> }.into_any();
    }
    let rows: Vec<_> = alerts
        .told
        .iter()
        .map(|(url, alert)| {
            let (tone, icon, word) = match (alert.cause, alert.status) {
                (Some(cause), _) => ("bad", "alert", tell(cause.label()).to_owned()),
                (None, Some(status)) => ("good", "check", t!("Arrived ({status})", status)),
                (None, None) if alerts.url.is_empty() => ("quiet", "send", t!("By mail").to_owned()),
                (None, None) => ("quiet", "clock", t!("On its way").to_owned()),
            };
            view! {
                <tr>
                    <td>{url.label.clone()}</td>
                    <td data-label=t!("Told")>{tell(alert.kind.label())}", "<Ago at=alert.told_at/></td>
                    <td data-label=t!("Result")><span class=format!("badge {tone}") title=reworded(&alert.note)><Icon name=icon/>{word}</span></td>
                </tr>
            }
        })
        .collect();
    view! {
        <div class="table"><table class="stacking">
            <thead><tr><th scope="col">{t!("URL")}</th><th scope="col">{t!("Told last")}</th><th scope="col">{t!("Result")}</th></tr></thead>
            <tbody>{rows}</tbody>
        </table></div>
    }
    .into_any()
}

/// What was mailed last, and what became of it.
fn mailed(alerts: &AlertSettings) -> Option<AnyView> {
    if alerts.mailed.is_empty() {
        return None;
    }
    let rows: Vec<_> = alerts.mailed.iter().map(mail_row).collect();
    Some(
        view! {
            <div class="table"><table class="stacking">
                <thead><tr><th scope="col">{t!("Mailed to")}</th><th scope="col">{t!("Told")}</th><th scope="col">{t!("Result")}</th></tr></thead>
                <tbody>{rows}</tbody>
            </table></div>
        }
        .into_any(),
    )
}

fn mail_row(row: &AlertMailRow) -> impl IntoView + use<> {
    let (tone, icon, word) = match (row.state, row.cause) {
        (MailState::Sent, _) => ("good", "check", t!("Sent")),
        (MailState::Waiting, None) => ("quiet", "clock", t!("On its way")),
        (MailState::Waiting, Some(_)) => ("warn", "retry", t!("Trying again")),
        (MailState::Failed, cause) => ("bad", "alert", cause.map_or(t!("Given up"), |cause| tell(cause.label()))),
    };
    let cause = row.cause.filter(|_| row.state != MailState::Sent);
    let next = (row.state == MailState::Waiting && cause.is_some()).then_some(row.due_at);
    let next =
        next.map(|at| view! { <span class="muted">{rich!("It is tried again {time}.", time = view! { <Ago at/> })}</span> });
    let note =
        (cause.is_some() && !row.note.is_empty()).then(|| view! { <span class="muted"><bdi>{row.note.clone()}</bdi></span> });
    let cure = cause.map(|cause| view! { <span>{tell(cause.cure())}</span> });
    view! {
        <tr>
            <td><bdi>{row.recipient.clone()}</bdi></td>
            <td data-label=t!("Told")><div class="url-line"><bdi>{row.subject.clone()}</bdi><span class="muted"><Ago at=row.told_at/></span></div></td>
            <td data-label=t!("Result")><div class="url-line"><span class=format!("badge {tone}")><Icon name=icon/>{word}</span>{note}{cure}{next}</div></td>
        </tr>
    }
}
