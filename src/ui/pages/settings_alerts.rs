//! *IPN settings › Alerts*: where a merchant is told of trouble.

use super::{any_flash, flash_of, form_key, page, param, settings::Tabs, viewer_at};
use crate::{
    domain::pages::{flash::Flash, settings::AlertSettings},
    rpc::settings::read_alerts,
    ui::{
        components::{Ago, ConflictNote, Empty, FormNotes, Hidden, Icon, TextField, Version, save_label},
        shell::{Frame, Section},
    },
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
            <Frame viewer merchant=Some(merchant) section=Section::Settings title="IPN settings">
                <Tabs slug=slug.clone() current="alerts"/>
                <div class="stack narrow">
                    <FormNotes flash=any_flash()/>
                    <section class="panel stack" aria-labelledby="alerts">
                        <h2 id="alerts">"Alerts"</h2>
                        <p>"A signed JSON message to an address of yours, when one of your notification URLs has failed for too long, when deliveries to it expired, and when it takes them again. At most one for a URL and hour."</p>
                        {if alerts.may_change { form(&slug, &alerts) } else { read_only(&alerts) }}
                    </section>
                    {told(&alerts)}
                    <section class="panel stack" aria-labelledby="format">
                        <h2 id="format">"What is sent"</h2>
                        <p>"A POST of JSON with "<span class="code">"type"</span>" (notification-url.failing, .expired, .recovered or .test), "<span class="code">"timestamp"</span>" and "<span class="code">"data"</span>": the URL, since when and why, what to do, how much waits, and a link to the list. Any answer from 200 to 299 will do."</p>
                        <p>"It is signed as the Standard Webhooks specification says, with your secret key as it stands: "<span class="code">"webhook-signature"</span>" is v1, and the base64 of HMAC-SHA-256 over webhook-id, webhook-timestamp and body, joined by dots."</p>
                    </section>
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn read_only(alerts: &AlertSettings) -> AnyView {
    match alerts.url.as_str() {
        "" => view! { <p class="muted">"Nobody is alerted."</p> }.into_any(),
        url => view! { <p class="code">{url.to_owned()}</p><p class="muted">{format!("After {} minutes of failures.", alerts.after / 60)}</p> }.into_any(),
    }
}

fn form(slug: &str, alerts: &AlertSettings) -> AnyView {
    let flash = flash_of("alerts");
    let slug = slug.to_owned();
    let test = (!alerts.url.is_empty()).then(|| {
        view! {
            <form method="post" action="/rpc/settings/alerts/test">
                <Hidden name="merchant" value=slug.clone()/>
                <button class="button"><Icon name="send"/>"Send a test"</button>
            </form>
        }
    });
    let (save, version, here) = (save_label(&flash, "Save"), alerts.version, format!("/m/{slug}/settings/alerts"));
    view! {
        <ConflictNote flash=flash.clone() page=here/>
        <form id="alert-form" method="post" action="/rpc/settings/alerts" class="stack">
            <Hidden name="merchant" value=slug.clone()/>
            <Version flash=flash.clone() version/>
            {form_key()}
            <TextField
                flash=flash.clone() name="url" label="Address for alerts" kind="url" value=alerts.url.clone()
                placeholder="https://alerts.example.com/quittance" hint="Left empty, nobody is alerted."
            />
            <TextField
                flash=Flash { notice: None, ..flash } name="after" label="Minutes of failures" kind="number" value=(alerts.after / 60).to_string()
                hint="A URL is told when the oldest delivery that fails has failed for so long. From 1 to 1440."
            />
        </form>
        <div class="actions"><button class="button primary" form="alert-form">{save}</button>{test}</div>
    }
    .into_any()
}

fn told(alerts: &AlertSettings) -> AnyView {
    if alerts.told.is_empty() {
        return view! { <Empty title="No alert was sent yet"><p>"What was told last of each URL shows here, and whether it arrived."</p></Empty> }.into_any();
    }
    let rows: Vec<_> = alerts
        .told
        .iter()
        .map(|(url, alert)| {
            let (tone, icon, word) = match (alert.cause, alert.status) {
                (Some(cause), _) => ("bad", "alert", cause.label().to_owned()),
                (None, Some(status)) => ("good", "check", format!("Arrived ({status})")),
                (None, None) => ("quiet", "clock", "On its way".to_owned()),
            };
            view! {
                <tr>
                    <td>{url.label.clone()}</td>
                    <td data-label="Told">{alert.kind.label()}", "<Ago at=alert.told_at/></td>
                    <td data-label="Result"><span class=format!("badge {tone}") title=alert.note.clone()><Icon name=icon/>{word}</span></td>
                </tr>
            }
        })
        .collect();
    view! {
        <div class="table"><table class="stacking">
            <thead><tr><th scope="col">"URL"</th><th scope="col">"Told last"</th><th scope="col">"Result"</th></tr></thead>
            <tbody>{rows}</tbody>
        </table></div>
    }
    .into_any()
}
