//! *Place TEST order*.

use super::{flash_of, form_key, page, param, viewer_at};
use crate::{
    domain::{AppError, pages::orders::TEST_STATUSES, role::Permission},
    rpc::urls::read_settings,
    ui::{
        components::{FormNotes, Hidden, Icon, Notice, TextField, Tone},
        format::counted,
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// `/m/{merchant}/test-order`
#[component]
pub fn TestOrderPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        if !viewer.may(Permission::PlaceTestOrder) {
            return Err(AppError::Forbidden);
        }
        let settings = read_settings(slug.clone()).await?;
        let count = settings.urls.len() + usize::from(settings.default_url.is_some());
        let flash = flash_of("test-order");
        let chosen = flash.value("status").unwrap_or("COMPLETE").to_owned();
        let statuses: Vec<_> = TEST_STATUSES
            .into_iter()
            .map(|(status, meaning)| view! { <option value=status selected=chosen == status>{format!("{status}: {meaning}")}</option> })
            .collect();
        let crumbs = vec![("Orders & Reports".to_owned(), format!("/m/{slug}/orders"))];
        let settings_page = format!("/m/{slug}/settings/ipn");
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Orders title="Place TEST order" crumbs>
                <div class="stack narrow">
                    {if count == 0 {
                        view! {
                            <Notice tone=Tone::Warn title="There is no URL to send it to">
                                <p><a href=settings_page>"Enter your default IPN URL"</a>" first."</p>
                            </Notice>
                        }.into_any()
                    } else {
                        let urls = counted(u64::try_from(count).unwrap_or(u64::MAX), "URL", "URLs");
                        view! { <p>{format!("Makes a notification with TEST_ORDER=1 and the fields of a real order, and sends it to your {urls} like any other. No money moves.")}</p> }.into_any()
                    }}
                    <FormNotes flash=flash.clone()/>
                    <form method="post" action="/rpc/orders/test" class="stack panel">
                    {form_key()}
                        <Hidden name="merchant" value=slug/>
                        <div class="field">
                            <label for="status">"Order status"</label>
                            <select id="status" name="status">{statuses}</select>
                        </div>
                        <TextField flash=flash.clone() name="product" label="Product" value="TEST product" required=true/>
                        <div class="pair">
                            <TextField flash=flash.clone() name="amount" label="Amount" value="49.99" required=true/>
                            <TextField flash=flash.clone() name="currency" label="Currency" value="EUR" required=true/>
                        </div>
                        <TextField flash=flash.clone() name="email" label="Customer's e-mail" kind="email" value="customer@example.com" required=true/>
                        <TextField
                            flash name="reference" label="Order reference"
                            hint="That of an earlier TEST order makes this its next status. Left empty, it is a new order."
                        />
                        <div class="actions"><button class="button primary"><Icon name="flask"/>"Place TEST order"</button></div>
                    </form>
                </div>
            </Frame>
        }
        .into_any())
    })
}
