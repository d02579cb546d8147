//! *Listeners*: the addresses that gateways post to.

use super::{any_flash, flash_of, form_key, page, param, param_as, query, viewer_at};
use crate::{
    domain::{
        Algorithms, AppError, Timestamp,
        pages::{
            flash::Flash,
            listeners::{
                GatewayAsk, GatewayChoice, GatewayForm, ListenerList, ListenerPage as Page, ListenerRow, ReceivedRow, RefusalRow,
                removal,
            },
        },
        role::Permission,
    },
    rpc::listeners::{read_listener, read_listeners, read_new_listener},
    ui::{
        components::{
            Address, Ago, AlgorithmChoice, Check, ConflictNote, Copy, Empty, FormNotes, Hidden, Icon, LongText, OrderBadge,
            TestBadge, TextField, Version, fact, save_label,
        },
        format::bytes,
        islands::live::{Live, Subject},
        shell::{Frame, Section},
    },
    words::{reworded, t, tell, tn},
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
            view! { <a class="button primary" href=format!("/m/{slug}/listeners/new")><Icon name="plus"/>{t!("New listener")}</a> }
                .into_any()
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title=t!("Listeners") actions>
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
            <Empty title=t!("No listeners yet")>
                <p>{t!("A listener is the address that a gateway posts its notifications to. It checks their signature, stores them, and answers with the read receipt.")}</p>
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
                            <Address text=address what=t!("address")/>
                        </div>
                    </td>
                    <td data-label=t!("Gateway")>{row.gateway_label.clone()}</td>
                    <td data-label=t!("State")>{state(row)}</td>
                    <td data-label=t!("Last received")>{when(row.last_received_at)}</td>
                    <td data-label=t!("Last refused")>{when(row.last_refused_at)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <div class="table">
            <table class="stacking rows">
                <thead><tr>
                    <th scope="col">{t!("Listener")}</th><th scope="col">{t!("Gateway")}</th><th scope="col">{t!("State")}</th>
                    <th scope="col">{t!("Last received")}</th><th scope="col">{t!("Last refused")}</th>
                </tr></thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn state(row: &ListenerRow) -> impl IntoView + use<> {
    let (tone, icon, word) = if row.enabled { ("good", "check", t!("Open")) } else { ("quiet", "pause", t!("Switched off")) };
    view! { <span class=format!("badge {tone}")><Icon name=icon/>{word}</span> }
}

fn when(at: Option<Timestamp>) -> AnyView {
    match at {
        Some(at) => view! { <Ago at/> }.into_any(),
        None => view! { <span class="muted">{t!("never")}</span> }.into_any(),
    }
}

/// `/m/{merchant}/listeners/new`: the gateways to choose among, then what the chosen one asks.
#[component]
pub fn NewListenerPage() -> impl IntoView {
    let (slug, chosen, text) = (param("merchant"), query("gateway").unwrap_or_default(), query("text").unwrap_or_default());
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        if !viewer.may(Permission::ChangeSettings) {
            return Err(AppError::Forbidden);
        }
        let found = read_new_listener(slug.clone(), chosen).await?;
        let crumbs = vec![(t!("Listeners").to_owned(), format!("/m/{slug}/listeners"))];
        let flash = flash_of("listener");
        let title = found
            .chosen
            .as_ref()
            .map_or(t!("New listener").to_owned(), |form| t!("New listener: {gateway}", gateway = form.label));
        let content = match found.chosen {
            Some(form) => {
                let other = format!("/m/{slug}/listeners/new");
                view! {
                    <section class="panel"><ListenerForm slug listener=None form flash=flash.clone()/></section>
                    <p><a class="quiet-link" href=other>{t!("Choose another gateway")}</a></p>
                }
                .into_any()
            }
            None => chooser(&slug, &found.choices, &text),
        };
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title crumbs>
                <div class="stack narrow">
                    <FormNotes flash=flash.clone()/>
                    {content}
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// All gateways, grouped; those that fit the text.
fn chooser(slug: &str, choices: &[GatewayChoice], text: &str) -> AnyView {
    let found: Vec<_> = choices.iter().filter(|choice| choice.fits(text)).collect();
    let groups: Vec<_> = found
        .chunk_by(|a, b| a.group == b.group)
        .map(|group| {
            let name = group.first().map(|choice| choice.group.clone()).unwrap_or_default();
            let links: Vec<_> = group
                .iter()
                .map(|choice| {
                    let href = format!("/m/{slug}/listeners/new?gateway={}", choice.gateway);
                    view! { <li><a href=href>{choice.label.clone()}</a></li> }
                })
                .collect();
            view! { <section class="gateway-group"><h2>{tell(&name).to_owned()}</h2><ul>{links}</ul></section> }
        })
        .collect();
    let nothing = groups.is_empty().then(|| {
        view! { <Empty title=t!("No gateway fits")><p>{t!("Gateways that sign as Standard Webhooks describes fit \u{201c}Standard Webhooks\u{201d}. Others can be described in a file; whoever runs the server adds it.")}</p></Empty> }
    });
    view! {
        <form method="get" class="filter" role="search">
            <div class="field grow">
                <label for="text">{t!("Which gateway posts to it?")}</label>
                <input id="text" name="text" type="search" value=text.to_owned() placeholder="Stripe, VNPAY, Adyen …" autocomplete="off" autofocus=text.is_empty()/>
            </div>
            <button class="button">{t!("Look for it")}</button>
        </form>
        <div class="gateways panel">{groups}{nothing}</div>
    }
    .into_any()
}

/// `/m/{merchant}/listeners/{listener}`
#[component]
pub fn ListenerPage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("listener"));
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        let found = read_listener(slug.clone(), id?).await?;
        let crumbs = vec![(t!("Listeners").to_owned(), format!("/m/{slug}/listeners"))];
        let address = format!("{}{}", found.base, found.listener.path);
        let flash = flash_of("listener");
        let is_wrong = !flash.errors.is_empty() || flash.conflict.is_some();
        let listener = found.listener.clone();
        let form = found.gateway.clone();
        let at = slug.clone();
        let here = format!("/m/{slug}/listeners/{}", found.listener.id);
        let simulate = format!("{here}/simulate");
        let actions = viewer
            .may(Permission::PlaceTestOrder)
            .then(|| view! { <a class="button" href=simulate><Icon name="flask"/>{t!("Simulate a message")}</a> }.into_any());
        let change = found.may_change.then(|| {
            view! {
                <details class="panel narrow" open=is_wrong>
                    <summary>{t!("Settings of this listener")}</summary>
                    <ConflictNote flash=flash.clone() page=here/>
                    <ListenerForm slug listener=Some(listener) form flash=flash.clone()/>
                </details>
            }
        });
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title=found.listener.label.clone() crumbs actions>
                <div class="stack">
                    <FormNotes flash=flash.clone()/>
                    <section class="panel" aria-labelledby="address">
                        <h2 id="address">{t!("Its address")}</h2>
                        <p class="secret"><span class="code">{address.clone()}</span><Copy text=address what=t!("address")/></p>
                        <p class="muted">
                            {t!("Whoever knows the address can post to it; only messages that prove themselves are taken.")}" "
                            {found.gateway.has_algorithms.then(|| t!("Required: {algorithms}.", algorithms = found.listener.required.labels()))}
                        </p>
                        <p>{state(&found.listener)}</p>
                    </section>
                    {guide(&found)}
                    {change}
                    <Live subject=Subject::Listener(at, found.listener.id)>{traffic(&found)}</Live>
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// What to enter where at the gateway, step by step.
fn guide(page: &Page) -> AnyView {
    let guide = &page.guide;
    let steps: Vec<_> = guide.steps.iter().map(|step| view! { <li>{step.clone()}</li> }).collect();
    let lines = |name: &'static str, lines: &[String]| {
        (!lines.is_empty()).then(|| {
            let items: Vec<_> = lines.iter().map(|line| view! { <li>{tell(line).to_owned()}</li> }).collect();
            fact(name, view! { <ul class="lines">{items}</ul> })
        })
    };
    let sources: Vec<_> = guide
        .sources
        .iter()
        .filter(|source| source.starts_with("https://"))
        .map(|source| view! { <li><a href=source.clone() rel="noreferrer">{source.clone()}</a></li> })
        .collect();
    let has_sources = !sources.is_empty();
    view! {
        <section class="panel" aria-labelledby="guide">
            <h2 id="guide">{t!("At {gateway}", gateway = page.listener.gateway_label)}</h2>
            <ol class="guide">{steps}</ol>
            <details>
                <summary>{t!("More about this gateway")}</summary>
                <dl class="facts">
                    {(!guide.proof.is_empty()).then(|| fact(t!("Proof"), tell(&guide.proof).to_owned()))}
                    {(!guide.retries.is_empty()).then(|| fact(t!("Tries again"), tell(&guide.retries).to_owned()))}
                    {lines(t!("Posts from"), &guide.addresses)}
                    {lines(t!("Not confirmed"), &guide.unconfirmed)}
                    {has_sources.then(|| fact(t!("Described at"), view! { <ul class="lines">{sources}</ul> }))}
                </dl>
            </details>
        </section>
    }
    .into_any()
}

/// The form of a listener.
#[component]
fn ListenerForm(slug: String, listener: Option<ListenerRow>, form: GatewayForm, flash: Flash) -> impl IntoView {
    let is_new = listener.is_none();
    let version = listener.as_ref().map(|listener| listener.version);
    let save = save_label(&flash, if is_new { t!("Create listener") } else { t!("Save") });
    let enabled = if flash.values.is_empty() {
        listener.as_ref().is_none_or(|listener| listener.enabled)
    } else {
        flash.value("enabled") == Some("true")
    };
    let required = listener.as_ref().map_or(Algorithms::ALL, |listener| listener.required);
    let (label, id) = listener.map_or_else(Default::default, |listener| (listener.label, listener.id.to_string()));
    let kept = t!("Leave it empty to keep the one that is stored.");
    let secret_hint =
        if is_new { t!("{hint} It is kept encrypted and never shown.", hint = tell(&form.secret_hint)) } else { kept.to_owned() };
    let secret = form.has_secret.then(|| {
        view! { <TextField flash=flash.clone() name="secret" label=tell(&form.secret_label).to_owned() kind="password" required=is_new autocomplete="new-password" hint=secret_hint/> }
    });
    let (access, options): (Vec<_>, Vec<_>) = form.options.into_iter().partition(|ask| ask.access);
    let options: Vec<_> = options.into_iter().map(|ask| option_field(ask, &flash)).collect();
    let is_access = |name: &str| access.iter().any(|ask| name == format!("options[{}]", ask.name));
    let is_open = access.iter().any(|ask| ask.is_set) || flash.errors.iter().any(|error| is_access(&error.field));
    let access: Vec<_> = access.into_iter().map(|ask| option_field(ask, &flash)).collect();
    let access = view! {
        <details class="advanced" open=is_open>
            <summary>{t!("Who may post")}</summary>
            <div class="stack">{access}</div>
        </details>
    };
    let algorithms = form.has_algorithms.then(|| {
        view! {
            <AlgorithmChoice
                flash=flash.clone() error_field="required" legend=t!("Signatures that are enough") chosen=required
                hint=t!("At least one of these must be there. Whichever signatures come, all of them must be right.")
            />
        }
    });
    view! {
        <form method="post" action="/rpc/listeners/save" class="stack">
            <Hidden name="merchant" value=slug/>
            <Hidden name="id" value=id/>
            {version.map(|version| view! { <Version flash=flash.clone() version/> })}
            {form_key()}
            <Hidden name="gateway" value=form.gateway.name()/>
            <TextField flash=flash.clone() name="label" label=t!("Name") value=label hint=t!("Left empty, the gateway's name.")/>
            {secret}
            {options}
            {algorithms}
            {access}
            <Check name="enabled" label=t!("Open") checked=enabled hint=t!("Switched off, it refuses everything, and the gateway tries again later.")/>
            <div class="actions"><button class="button primary">{save}</button></div>
        </form>
    }
}

/// A field for something that the gateway needs beside the secret.
fn option_field(ask: GatewayAsk, flash: &Flash) -> AnyView {
    let name = format!("options[{}]", ask.name);
    let hint = if ask.secret && ask.is_set {
        t!("{hint} Leave it empty to keep the one that is stored.", hint = tell(&ask.hint))
    } else {
        tell(&ask.hint).to_owned()
    };
    let value = if ask.secret { String::new() } else { flash.value(&name).map_or(ask.value, str::to_owned) };
    let error = flash.error(&name).map(str::to_owned);
    let (is_wrong, focus) = (error.is_some(), flash.errors.first().is_some_and(|first| first.field == name));
    let note = format!("option-{}-note", ask.name);
    let described = (is_wrong || !hint.is_empty()).then(|| note.clone());
    let id = format!("option-{}", ask.name);
    let optional = (!ask.required).then(|| view! { <span class="optional">{t!("optional")}</span> });
    let note = match error {
        Some(error) => view! { <p class="error" id=note><Icon name="alert"/>{error}</p> }.into_any(),
        None => (!hint.is_empty()).then(|| view! { <p class="hint" id=note>{hint}</p> }).into_any(),
    };
    if ask.long {
        return view! {
            <div class="field" class:wrong=is_wrong>
                <label for=id.clone()>{tell(&ask.label).to_owned()}{optional}</label>
                <LongText id name value focus is_wrong described placeholder="-----BEGIN CERTIFICATE-----"/>
                {note}
            </div>
        }
        .into_any();
    }
    // Nothing else can end the time in which two secrets are taken.
    let remove = (ask.secret && ask.is_set && !ask.required).then(|| {
        let name = format!("options[{}]", removal(&ask.name));
        let checked = flash.value(&name).is_some();
        view! { <label class="check"><input type="checkbox" name=name value="true" checked=checked/><span>{t!("Remove the one that is stored")}</span></label> }
    });
    view! {
        <div class="field" class:wrong=is_wrong>
            <label for=id.clone()>{tell(&ask.label).to_owned()}{optional}</label>
            <input
                id=id name=name value=value spellcheck="false" autofocus=focus
                type=if ask.secret { "password" } else { "text" }
                autocomplete=if ask.secret { "new-password" } else { "off" }
                required=ask.required && !ask.is_set
                aria-invalid=is_wrong.then_some("true") aria-describedby=described
            />
            {note}
            {remove}
        </div>
    }
    .into_any()
}

fn traffic(page: &Page) -> AnyView {
    let base = format!("/m/{}", page.merchant.slug);
    let received: Vec<_> =
        page.received.iter().take(RECEIVED_SHOWN).map(|row| received_row(&base, row, &page.guide.proof)).collect();
    let refused: Vec<_> = page.refused.iter().map(|row| refused_row(&base, row)).collect();
    view! {
        <section aria-labelledby="received">
            <h2 id="received">{t!("Received last")}</h2>
            {if received.is_empty() {
                view! { <Empty title=t!("Nothing received yet")><p>{t!("Enter the address above at the gateway and place an order there; it shows here within a second.")}</p></Empty> }.into_any()
            } else {
                view! {
                    <div class="table"><table class="stacking">
                        <thead><tr>
                            <th scope="col">{t!("Order")}</th><th scope="col">{t!("Status")}</th><th scope="col">{t!("Signed with")}</th>
                            <th scope="col" class="number">{t!("Repeats")}</th><th scope="col">{t!("Received")}</th>
                        </tr></thead>
                        <tbody>{received}</tbody>
                    </table></div>
                }.into_any()
            }}
        </section>
        <section aria-labelledby="refused">
            <h2 id="refused">{t!("Refused last")}</h2>
            {if refused.is_empty() {
                view! { <Empty title=t!("Nothing refused")><p>{t!("Messages that cannot be trusted are kept here with the reason.")}</p></Empty> }.into_any()
            } else {
                view! {
                    <div class="table"><table class="stacking">
                        <thead><tr>
                            <th scope="col">{t!("Reason")}</th><th scope="col">{t!("From")}</th>
                            <th scope="col" class="number">{t!("Size")}</th><th scope="col">{t!("Refused")}</th>
                        </tr></thead>
                        <tbody>{refused}</tbody>
                    </table></div>
                }.into_any()
            }}
        </section>
    }
    .into_any()
}

fn received_row(base: &str, row: &ReceivedRow, proof: &str) -> AnyView {
    view! {
        <tr id=format!("received-{}", row.id)>
            <td><a href=format!("{base}/orders/{}", row.order_id)>{row.reference.clone()}</a>" "<TestBadge test=row.test/></td>
            <td data-label=t!("Status")><OrderBadge status=row.status vendor=row.vendor_status.clone()/></td>
            <td data-label=t!("Signed with")>{signed_with(row, proof)}</td>
            <td data-label=t!("Repeats") class="number">{row.repeats}</td>
            <td data-label=t!("Received")><a class="quiet-link" href=format!("{base}/notifications/{}", row.id)><Ago at=row.received_at/></a></td>
        </tr>
    }
    .into_any()
}

/// The algorithms that signed a message; of other gateways than 2Checkout its own.
fn signed_with(row: &ReceivedRow, proof: &str) -> String {
    if row.signatures.is_empty() && !proof.is_empty() { tell(proof).to_owned() } else { row.signatures.labels() }
}

fn refused_row(base: &str, row: &RefusalRow) -> AnyView {
    let more = (row.suppressed > 0).then(|| {
        let like = tn!("{count} more like it was not kept", "{count} more like it were not kept", u64::from(row.suppressed));
        view! { <span class="muted">{like}</span> }
    });
    view! {
        <tr id=format!("refused-{}", row.id)>
            <td>
                <div class="url-line">
                    <a href=format!("{base}/refused/{}", row.id)><Icon name="alert"/>{tell(row.reason.label())}</a>
                    {(!row.detail.is_empty()).then(|| view! { <span class="muted">{reworded(&row.detail)}</span> })}
                    {more}
                </div>
            </td>
            <td data-label=t!("From") class="code">{reworded(&row.peer)}</td>
            <td data-label=t!("Size") class="number">{bytes(row.size)}</td>
            <td data-label=t!("Refused")><Ago at=row.at/></td>
        </tr>
    }
    .into_any()
}
