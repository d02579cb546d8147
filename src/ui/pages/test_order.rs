//! *Place TEST order*: composing a message, looking at its bytes, sending it.

use super::{flash_of, form_key, page, param, query, viewer_at};
use crate::{
    domain::{
        AppError, Gateway,
        pages::{
            flash::{Flash, Posted},
            listeners::ListenerList,
            orders::TEST_STATUSES,
            settings::IpnSettings,
            simulate::{OrderDraft, OrderPreview, SAMPLES},
        },
        role::Permission,
    },
    rpc::{listeners::read_listeners, orders::preview_test_order, urls::read_settings},
    ui::{
        components::{Fields, FormNotes, Hidden, Icon, Notice, Octets, SelectField, TextArea, TextField, Tone, fact},
        format::counted,
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/test-order`
#[component]
pub fn TestOrderPage() -> impl IntoView {
    let slug = param("merchant");
    let (sample, to) = (query("sample").unwrap_or_default(), query("to").unwrap_or_default());
    let posted = use_context::<Posted>();
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        if !viewer.may(Permission::PlaceTestOrder) {
            return Err(AppError::Forbidden);
        }
        let settings = read_settings(slug.clone()).await?;
        let listeners = read_listeners(slug.clone()).await?;
        let mut flash = flash_of("test-order");
        let mut draft = OrderDraft { to: to.clone(), ..OrderDraft::sample(&sample) };
        let mut preview = None;
        if let Some(posted) = posted {
            draft = OrderDraft::of(|name| posted.value(name));
            match preview_test_order(slug.clone(), draft.clone()).await {
                Ok(shown) => preview = Some(shown),
                Err(AppError::Invalid(errors)) => flash = Flash { errors, ..Flash::default() },
                Err(error) => return Err(error),
            }
        }
        let crumbs = vec![("Orders & Reports".to_owned(), format!("/m/{slug}/orders"))];
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title="Place TEST order" crumbs>
                <div class="stack narrow">
                    {intro(&slug, &settings)}
                    {samples(&slug, &sample, &draft.to)}
                    <FormNotes flash=flash.clone()/>
                    {preview.map(|preview| shown(&preview))}
                    {form(slug, &draft, flash, &settings, &listeners)}
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn intro(slug: &str, settings: &IpnSettings) -> AnyView {
    match settings.all_urls().count() {
        0 => {
            let settings_page = format!("/m/{slug}/settings/ipn");
            view! {
                <Notice tone=Tone::Warn title="There is no URL to send it to">
                    <p><a href=settings_page>"Enter your default IPN URL"</a>" first."</p>
                </Notice>
            }
            .into_any()
        }
        count => {
            let urls = counted(u64::try_from(count).unwrap_or(u64::MAX), "URL", "URLs");
            view! { <p>{format!("Makes a notification with TEST_ORDER=1 and the fields of a real order, and sends it to your {urls}, to one of them alone, or in through a listener. No money moves.")}</p> }.into_any()
        }
    }
}

fn samples(slug: &str, chosen: &str, to: &str) -> impl IntoView + use<> {
    let links: Vec<_> = SAMPLES
        .into_iter()
        .map(|(name, label)| {
            let current = (name == chosen).then_some("true");
            let to = if to.is_empty() { String::new() } else { format!("&to={to}") };
            view! { <a href=format!("/m/{slug}/test-order?sample={name}{to}") aria-current=current>{label}</a> }
        })
        .collect();
    view! { <nav class="samples" aria-label="Samples"><span class="muted">"Samples:"</span>{links}</nav> }
}

fn form(
    slug: String,
    draft: &OrderDraft,
    flash: Flash,
    settings: &IpnSettings,
    listeners: &ListenerList,
) -> impl IntoView + use<> {
    let statuses =
        TEST_STATUSES.into_iter().map(|(status, meaning)| (status.to_owned(), format!("{status}: {meaning}"))).collect();
    let urls = settings
        .all_urls()
        .map(|url| (format!("url-{}", url.id), format!("{} alone, at once: shows request and answer", url.label)));
    let through = listeners
        .rows
        .iter()
        .filter(|row| row.gateway == Gateway::TwoCheckout)
        .map(|row| (format!("listener-{}", row.id), format!("In through the listener {}, as the gateway would", row.label)));
    let ways = [(String::new(), "All URLs that take the status, as any notification".to_owned())]
        .into_iter()
        .chain(urls)
        .chain(through)
        .collect();
    let page = format!("/m/{slug}/test-order");
    let text = |text: &String| text.clone();
    view! {
        <form method="post" action="/rpc/orders/test" class="stack panel">
            <Hidden name="merchant" value=slug/>
            {form_key()}
            <SelectField flash=flash.clone() name="to" label="Send it to" options=ways value=text(&draft.to)/>
            <SelectField flash=flash.clone() name="status" label="Order status" options=statuses value=text(&draft.status)/>
            <TextField flash=flash.clone() name="product" label="Product" value=text(&draft.product) required=true/>
            <div class="pair thirds">
                <TextField flash=flash.clone() name="amount" label="Amount" value=text(&draft.amount) required=true/>
                <TextField flash=flash.clone() name="currency" label="Currency" value=text(&draft.currency) required=true/>
                <TextField flash=flash.clone() name="quantity" label="Quantity" value=text(&draft.quantity)/>
            </div>
            <TextArea
                flash=flash.clone() name="more_products" label="More products" value=text(&draft.more_products) rows=2
                placeholder="Second product; 10.00; 2" hint="A line each: name; price; quantity."
            />
            <div class="pair">
                <TextField flash=flash.clone() name="first_name" label="First name" value=text(&draft.first_name)/>
                <TextField flash=flash.clone() name="last_name" label="Last name" value=text(&draft.last_name)/>
            </div>
            <TextField flash=flash.clone() name="email" label="Customer's e-mail" kind="email" value=text(&draft.email)/>
            <TextField
                flash name="reference" label="Order reference" value=text(&draft.reference)
                hint="That of an earlier TEST order makes this its next status. Left empty, it is a new order."
            />
            <div class="actions">
                <button class="button primary"><Icon name="flask"/>"Place TEST order"</button>
                <button class="button" formaction=page><Icon name="debug"/>"Show its bytes"</button>
            </div>
        </form>
    }
}

fn shown(preview: &OrderPreview) -> impl IntoView + use<> {
    let signatures: Vec<_> = preview
        .signatures
        .iter()
        .map(|(name, value)| view! { <tr><th scope="row">{name.clone()}</th><td class="code wrap">{value.clone()}</td></tr> })
        .collect();
    let receipts: Vec<_> =
        preview.receipts.iter().map(|text| view! { <Octets label="Expected receipt" text=text.clone()/> }).collect();
    let many = receipts.len() > 1;
    let note = preview.note.clone();
    let note = (!note.is_empty())
        .then(|| view! { <Notice tone=Tone::Calm title="About the form of this message"><p>{note}</p></Notice> });
    view! {
        <section class="panel stack" aria-labelledby="bytes">
            <h2 id="bytes">"What would be sent now"</h2>
            <dl class="facts">
                {fact("To", preview.to.clone())}
                {fact("Format", preview.format.short())}
                {fact("Body", format!("{} bytes", preview.body.len()))}
            </dl>
            {note}
            <Octets label="Body" text=preview.body.clone()/>
            <Fields fields=preview.fields.clone()/>
            <Octets label="Text that is signed" text=preview.source.clone()/>
            <table class="plain-table"><tbody>{signatures}</tbody></table>
            <p class="hint">{if receipts.is_empty() { "Any answer with a status from 200 to 299 confirms it." } else if many { "Any of these receipts confirms it; the date is that of the answer, and is part of what is hashed." } else { "This receipt confirms it; the date is that of the answer, and is part of what is hashed." }}</p>
            {receipts}
        </section>
    }
}
