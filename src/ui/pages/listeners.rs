//! *Listeners*: the addresses that gateways post to.

use super::{any_flash, flash_of, form_key, page, param, param_as, viewer_at};
use crate::{
    domain::{
        Algorithms, AppError, Gateway, Timestamp,
        pages::{
            flash::Flash,
            listeners::{ListenerList, ListenerPage as Page, ListenerRow, ReceivedRow, RefusalRow},
        },
        role::Permission,
    },
    rpc::listeners::{read_listener, read_listeners},
    ui::{
        components::{
            Address, Ago, AlgorithmChoice, Check, ConflictNote, Copy, Empty, FormNotes, Hidden, Icon, OrderBadge, TestBadge,
            TextField, Version, save_label,
        },
        format::{bytes, counted},
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
};
use leptos::prelude::*;

/// Of what came in the last messages are shown; the orders have all of them.
const RECEIVED_SHOWN: usize = 15;

/// `/m/{merchant}/listeners`
#[component]
pub fn ListenersPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let list = read_listeners(slug.clone()).await?;
        let actions = list.may_change.then(|| {
            view! { <a class="button primary" href=format!("/m/{slug}/listeners/new")><Icon name="plus"/>"New listener"</a> }
                .into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title="Listeners" actions>
                <div class="stack">
                    <FormNotes flash=any_flash()/>
                    {table(&slug, &list)}
                </div>
            </Frame>
        }
        .into_any())
    })
}

fn table(slug: &str, list: &ListenerList) -> AnyView {
    if list.rows.is_empty() {
        return view! {
            <Empty title="No listeners yet">
                <p>"A listener is the address that a gateway posts its notifications to. It checks their signature, stores them, and answers with the read receipt."</p>
            </Empty>
        }
        .into_any();
    }
    let rows: Vec<_> = list
        .rows
        .iter()
        .map(|row| {
            let address = format!("{}{}", list.base, row.path);
            view! {
                <tr>
                    <td>
                        <div class="url-line">
                            <a href=format!("/m/{slug}/listeners/{}", row.id)>{row.label.clone()}</a>
                            <Address text=address what="address"/>
                        </div>
                    </td>
                    <td data-label="Gateway">{row.gateway.label()}</td>
                    <td data-label="State">{state(row)}</td>
                    <td data-label="Last received">{when(row.last_received_at)}</td>
                    <td data-label="Last refused">{when(row.last_refused_at)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <div class="table">
            <table class="stacking rows">
                <thead><tr>
                    <th scope="col">"Listener"</th><th scope="col">"Gateway"</th><th scope="col">"State"</th>
                    <th scope="col">"Last received"</th><th scope="col">"Last refused"</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn state(row: &ListenerRow) -> impl IntoView + use<> {
    let (tone, icon, word) = if row.enabled { ("good", "check", "Open") } else { ("quiet", "pause", "Switched off") };
    view! { <span class=format!("badge {tone}")><Icon name=icon/>{word}</span> }
}

fn when(at: Option<Timestamp>) -> AnyView {
    match at {
        Some(at) => view! { <Ago at/> }.into_any(),
        None => view! { <span class="muted">"never"</span> }.into_any(),
    }
}

/// `/m/{merchant}/listeners/new`
#[component]
pub fn NewListenerPage() -> impl IntoView {
    let slug = param("merchant");
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        if !viewer.may(Permission::ChangeSettings) {
            return Err(AppError::Forbidden);
        }
        let crumbs = vec![("Listeners".to_owned(), format!("/m/{slug}/listeners"))];
        let flash = flash_of("listener");
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title="New listener" crumbs>
                <div class="stack narrow">
                    <FormNotes flash=flash.clone()/>
                    <section class="panel"><ListenerForm slug listener=None flash/></section>
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// `/m/{merchant}/listeners/{listener}`
#[component]
pub fn ListenerPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("listener"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let found = read_listener(slug.clone(), id?).await?;
        let crumbs = vec![("Listeners".to_owned(), format!("/m/{slug}/listeners"))];
        let address = format!("{}{}", found.base, found.listener.path);
        let flash = flash_of("listener");
        let is_wrong = !flash.errors.is_empty() || flash.conflict.is_some();
        let listener = found.listener.clone();
        let at = slug.clone();
        let here = format!("/m/{slug}/listeners/{}", found.listener.id);
        let change = found.may_change.then(|| {
            view! {
                <details class="panel narrow" open=is_wrong>
                    <summary>"Settings of this listener"</summary>
                    <ConflictNote flash=flash.clone() page=here/>
                    <ListenerForm slug listener=Some(listener) flash=flash.clone()/>
                </details>
            }
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title=found.listener.label.clone() crumbs>
                <div class="stack">
                    <FormNotes flash=flash.clone()/>
                    <section class="panel" aria-labelledby="address">
                        <h2 id="address">"Its address"</h2>
                        <p class="secret"><span class="code">{address.clone()}</span><Copy text=address what="address"/></p>
                        <p class="muted">
                            {format!("Enter it as the IPN URL in the settings of {}. Whoever knows the address can post to it; only messages with a right signature are taken. ", found.listener.gateway.label())}
                            {format!("Required: {}.", found.listener.required.labels())}
                        </p>
                        <p>{state(&found.listener)}</p>
                    </section>
                    {change}
                    <Live subject=Subject::Listener(at, found.listener.id)>{traffic(&found)}</Live>
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// The form of a listener.
#[component]
fn ListenerForm(slug: String, listener: Option<ListenerRow>, flash: Flash) -> impl IntoView {
    let is_new = listener.is_none();
    let version = listener.as_ref().map(|listener| listener.version);
    let save = save_label(&flash, if is_new { "Create listener" } else { "Save" });
    let gateways: Vec<_> = Gateway::ALL
        .iter()
        .map(|gateway| {
            let selected = listener.as_ref().is_some_and(|listener| listener.gateway == *gateway);
            view! { <option value=gateway.name() selected=selected>{gateway.label()}</option> }
        })
        .collect();
    let enabled = if flash.values.is_empty() {
        listener.as_ref().is_none_or(|listener| listener.enabled)
    } else {
        flash.value("enabled") == Some("true")
    };
    let required = listener.as_ref().map_or(Algorithms::ALL, |listener| listener.required);
    let (label, id) = listener.map_or_else(Default::default, |listener| (listener.label, listener.id.to_string()));
    let secret_hint = if is_new {
        "The secret key from the gateway's IPN settings; it proves that messages are genuine. It is kept encrypted and never shown."
    } else {
        "Leave it empty to keep the one that is stored."
    };
    view! {
        <form method="post" action="/rpc/listeners/save" class="stack">
            <Hidden name="merchant" value=slug/>
            <Hidden name="id" value=id/>
            {version.map(|version| view! { <Version flash=flash.clone() version/> })}
            {form_key()}
            <div class="field">
                <label for="gateway">"Gateway"</label>
                <select id="gateway" name="gateway">{gateways}</select>
            </div>
            <TextField flash=flash.clone() name="label" label="Name" value=label hint="Left empty, the gateway's name."/>
            <TextField flash=flash.clone() name="secret" label="Secret key of the gateway" kind="password" required=is_new autocomplete="new-password" hint=secret_hint/>
            <AlgorithmChoice
                flash error_field="required" legend="Signatures that are enough" chosen=required
                hint="At least one of these must be there. Whichever signatures come, all of them must be right."
            />
            <Check name="enabled" label="Open" checked=enabled hint="Switched off, it refuses everything, and the gateway tries again later."/>
            <div class="actions"><button class="button primary">{save}</button></div>
        </form>
    }
}

fn traffic(page: &Page) -> AnyView {
    let base = format!("/m/{}", page.merchant.slug);
    let received: Vec<_> = page.received.iter().take(RECEIVED_SHOWN).map(|row| received_row(&base, row)).collect();
    let refused: Vec<_> = page.refused.iter().map(|row| refused_row(&base, row)).collect();
    view! {
        <section aria-labelledby="received">
            <h2 id="received">"Received last"</h2>
            {if received.is_empty() {
                view! { <Empty title="Nothing received yet"><p>"Enter the address above at the gateway and place an order there; it shows here within a second."</p></Empty> }.into_any()
            } else {
                view! {
                    <div class="table"><table class="stacking">
                        <thead><tr>
                            <th scope="col">"Order"</th><th scope="col">"Status"</th><th scope="col">"Signed with"</th>
                            <th scope="col" class="number">"Repeats"</th><th scope="col">"Received"</th>
                        </tr></thead>
                        <tbody>{received}</tbody>
                    </table></div>
                }.into_any()
            }}
        </section>
        <section aria-labelledby="refused">
            <h2 id="refused">"Refused last"</h2>
            {if refused.is_empty() {
                view! { <Empty title="Nothing refused"><p>"Messages that cannot be trusted are kept here with the reason."</p></Empty> }.into_any()
            } else {
                view! {
                    <div class="table"><table class="stacking">
                        <thead><tr>
                            <th scope="col">"Reason"</th><th scope="col">"From"</th>
                            <th scope="col" class="number">"Size"</th><th scope="col">"Refused"</th>
                        </tr></thead>
                        <tbody>{refused}</tbody>
                    </table></div>
                }.into_any()
            }}
        </section>
    }
    .into_any()
}

fn received_row(base: &str, row: &ReceivedRow) -> AnyView {
    view! {
        <tr id=format!("received-{}", row.id)>
            <td><a href=format!("{base}/orders/{}", row.order_id)>{row.reference.clone()}</a>" "<TestBadge test=row.test/></td>
            <td data-label="Status"><OrderBadge status=row.status vendor=row.vendor_status.clone()/></td>
            <td data-label="Signed with">{row.signatures.labels()}</td>
            <td data-label="Repeats" class="number">{row.repeats}</td>
            <td data-label="Received"><a class="quiet-link" href=format!("{base}/notifications/{}", row.id)><Ago at=row.received_at/></a></td>
        </tr>
    }
    .into_any()
}

fn refused_row(base: &str, row: &RefusalRow) -> AnyView {
    let more = (row.suppressed > 0).then(|| {
        let like = counted(u64::from(row.suppressed), "more like it was", "more like it were");
        view! { <span class="muted">{format!("{like} not kept")}</span> }
    });
    view! {
        <tr id=format!("refused-{}", row.id)>
            <td>
                <div class="url-line">
                    <a href=format!("{base}/refused/{}", row.id)><Icon name="alert"/>{row.reason.label()}</a>
                    {(!row.detail.is_empty()).then(|| view! { <span class="muted">{row.detail.clone()}</span> })}
                    {more}
                </div>
            </td>
            <td data-label="From" class="code">{row.peer.clone()}</td>
            <td data-label="Size" class="number">{bytes(row.size)}</td>
            <td data-label="Refused"><Ago at=row.at/></td>
        </tr>
    }
    .into_any()
}
