//! A listener's simulator: choosing a message, and what came of the last one.

use super::{flash_of, form_key, page, param, param_as, query, viewer_at};
use crate::{
    domain::{
        AppError,
        pages::{
            flash::Flash,
            simulator::{Became, Simulated, SimulatedExchange, SimulatorPage},
        },
        role::Permission,
    },
    rpc::simulator::read_simulator,
    ui::{
        components::{Check, Fields, FormNotes, Hidden, Icon, Notice, Octets, SelectField, TextField, Tone},
        shell::{Frame, Section},
    },
    words::{reworded, rich, t, tell},
};
use leptos::prelude::*;

/// `/m/{merchant}/listeners/{listener}/simulate`
#[component]
pub fn SimulatePage() -> impl IntoView {
    let (slug, id) = (param("merchant"), param_as("listener"));
    let sent = query("sent").unwrap_or_default();
    page(async move {
        let (viewer, merchant) = viewer_at(&slug).await?;
        if !viewer.may(Permission::PlaceTestOrder) {
            return Err(AppError::Forbidden);
        }
        let found = read_simulator(slug.clone(), id?, sent).await?;
        let flash = flash_of("simulate");
        let crumbs = vec![
            (t!("Listeners").to_owned(), format!("/m/{slug}/listeners")),
            (found.listener.label.clone(), format!("/m/{slug}/listeners/{}", found.listener.id)),
        ];
        let gone = found.is_gone.then(|| {
            view! { <Notice tone=Tone::Calm title=t!("What was sent is not kept any more")><p>{t!("What came of it stands among what the listener received and refused.")}</p></Notice> }
        });
        let content = if found.statuses.is_empty() {
            view! { <Notice tone=Tone::Warn title=t!("Nothing can be simulated")><p>{t!("The description of this gateway has no sample, so nothing can be simulated; add [sample] to its file.")}</p></Notice> }
                .into_any()
        } else {
            form(&slug, &found, flash.clone())
        };
        Ok(view! {
            <Frame viewer merchant=Some(merchant) section=Section::Listeners title=t!("Simulate a message") crumbs>
                <div class="stack narrow">
                    <p>{t!("Signs a message as {gateway} would, with this listener's own secret, and posts it to the listener the whole way of a real one: who may post, signature, order, what your URLs get. No money moves.", gateway = found.listener.gateway_label)}</p>
                    <p class="muted">{t!("Whatever the message says itself, it counts as a TEST: orders show so here, and it leaves with TEST_ORDER=1. Its sender is kept as simulated, and the audit log says who sent it.")}</p>
                    {asked_back(&found)}
                    <FormNotes flash/>
                    {gone}
                    {found.sent.as_ref().map(|sent| result(&slug, &found, sent))}
                    {content}
                </div>
            </Frame>
        }
        .into_any())
    })
}

/// What will become of a message of a gateway that is asked back.
fn asked_back(page: &SimulatorPage) -> Option<AnyView> {
    let (base, is_stand_in) = page.asked_at.clone()?;
    let gateway = page.listener.gateway_label.clone();
    let (tone, words) = if is_stand_in {
        (
            Tone::Calm,
            t!(
                "This listener's settings name {base} for that. The message waits as being verified, and counts when that has said yes.",
                base
            ),
        )
    } else {
        (
            Tone::Warn,
            t!(
                "{base} is asked, and does not know what is simulated here: the message is acknowledged, waits as being verified, and is refused when the gateway has said no. To play it through, have a stand-in of your own say yes, and enter its address in the listener's settings under \u{201c}Where the gateway is asked\u{201d}.",
                base
            ),
        )
    };
    Some(
        view! { <Notice tone title=t!("{gateway} is asked before a message counts", gateway)><p>{words}</p></Notice> }.into_any(),
    )
}

fn form(slug: &str, page: &SimulatorPage, flash: Flash) -> AnyView {
    let draft = page.draft.clone();
    let statuses =
        page.statuses.iter().map(|status| (status.code().to_owned(), tell(status.label()).to_owned())).collect::<Vec<_>>();
    let faults = std::iter::once((String::new(), t!("Nothing").to_owned()))
        .chain(page.faults.iter().map(|fault| (fault.code().to_owned(), tell(fault.label()).to_owned())))
        .collect::<Vec<_>>();
    let as_test = if flash.values.is_empty() { draft.as_test } else { flash.value("as_test") == Some("true") };
    let gateway = page.listener.gateway_label.clone();
    let test = if page.marks_tests {
        view! {
            <Check
                name="as_test" label=t!("{gateway} marks it as a test", gateway) checked=as_test
                hint=t!("As a message of the gateway's sandbox says it. A listener with a mode takes only what fits.")
            />
        }
        .into_any()
    } else {
        view! { <p class="muted">{t!("Messages of {gateway} do not say whether they are tests.", gateway)}</p> }.into_any()
    };
    let currency = if page.one_currency { t!("The only one that this gateway knows.") } else { "" };
    let from = if page.networks.is_empty() {
        t!("The address that the listener sees. It takes messages from all.").to_owned()
    } else {
        t!("The address that the listener sees. It takes messages from {networks}; try another.", networks = page.networks)
    };
    view! {
        <form method="post" action="/rpc/listeners/simulate" class="stack panel">
            <Hidden name="merchant" value=slug.to_owned()/>
            <Hidden name="listener" value=page.listener.id.to_string()/>
            {form_key()}
            <SelectField flash=flash.clone() name="status" label=t!("Status") options=statuses value=draft.status/>
            <div class="pair">
                <TextField flash=flash.clone() name="amount" label=t!("Amount") value=draft.amount required=true/>
                <TextField flash=flash.clone() name="currency" label=t!("Currency") value=draft.currency required=true hint=currency/>
            </div>
            <TextField
                flash=flash.clone() name="reference" label=t!("Order's number") value=draft.reference
                hint=t!("Digits. That of an earlier simulation makes this its next message, such as a refund. Left empty, it is a new order.")
            />
            <TextField flash=flash.clone() name="email" label=t!("Customer's e-mail") kind="email" value=draft.email required=true/>
            {test}
            <SelectField flash=flash.clone() name="fault" label=t!("What is wrong with it") options=faults value=draft.fault/>
            <TextField flash=flash name="from" label=t!("Sent from") value=draft.from required=true hint=from/>
            <div class="actions"><button class="button primary"><Icon name="send"/>{t!("Sign and post it")}</button></div>
        </form>
    }
    .into_any()
}

/// What came of the last message.
fn result(slug: &str, page: &SimulatorPage, sent: &Simulated) -> impl IntoView + use<> {
    let several = sent.exchanges.len() > 1;
    let exchanges: Vec<_> = sent
        .exchanges
        .iter()
        .enumerate()
        .map(|(number, exchange)| {
            let title = match (several, number) {
                (false, _) => t!("What was sent, and what came back"),
                (true, 0) => t!("The first message"),
                (true, _) => t!("The second message"),
            };
            shown(slug, page, title, number, exchange)
        })
        .collect();
    let fresh = format!("/m/{slug}/listeners/{}/simulate", page.listener.id);
    view! {
        <div id="sent" class="stack">{exchanges}</div>
        <p class="muted">{rich!(
            "The form below keeps the number {order}, so that the next message is about the same order. {link}",
            order = view! { <span class="code">{sent.form.reference.clone()}</span> },
            link = view! { <a href=fresh>{t!("Begin a new order")}</a> }
        )}</p>
    }
}

fn shown(
    slug: &str,
    page: &SimulatorPage,
    title: &'static str,
    number: usize,
    exchange: &SimulatedExchange,
) -> impl IntoView + use<> {
    let id = format!("sent-{number}");
    let named = id.clone();
    view! {
        <section class="panel stack" aria-labelledby=named>
            <h2 id=id>{title}</h2>
            {became(slug, page, exchange)}
            <h3>{t!("Request")}</h3>
            <Octets label=t!("Head") text=exchange.head.clone()/>
            <Octets label=t!("Body") text=exchange.body.clone()/>
            <Fields fields=exchange.fields.clone()/>
            <h3>{t!("Acknowledgement")}</h3>
            <Octets label=t!("Head") text=exchange.answer_head.clone()/>
            <Octets label=t!("Body") text=exchange.answer_body.clone()/>
        </section>
    }
}

fn became(slug: &str, page: &SimulatorPage, exchange: &SimulatedExchange) -> AnyView {
    let status = exchange.status;
    let listener = format!("/m/{slug}/listeners/{}", page.listener.id);
    let (tone, title, words) = match &exchange.became {
        Became::Accepted { order, notification, repeated } => {
            let title = if *repeated {
                t!("Taken as a repeat, and acknowledged with {status}", status)
            } else {
                t!("Accepted, and acknowledged with {status}", status)
            };
            let (order, message) = (format!("/m/{slug}/orders/{order}"), format!("/m/{slug}/notifications/{notification}"));
            let links = rich!(
                "See {order} with its deliveries, or {message} as it was received.",
                order = view! { <a href=order>{t!("the order")}</a> },
                message = view! { <a href=message>{t!("the message")}</a> }
            );
            (Tone::Good, title, view! { <p>{links}</p> }.into_any())
        }
        Became::Verifying { repeated } => {
            let title = if *repeated {
                t!("It was waiting already, and was acknowledged again with {status}", status)
            } else {
                t!("Being verified, and acknowledged with {status}", status)
            };
            let waiting = format!("/m/{slug}/inbound?outcome=verifying");
            let links = rich!(
                "Nothing of it counts until the gateway has been asked. See {waiting}, or {listener} when it is decided.",
                waiting = view! { <a href=waiting>{t!("what waits")}</a> },
                listener = view! { <a href=listener>{t!("the listener")}</a> }
            );
            (Tone::Calm, title, view! { <p>{links}</p> }.into_any())
        }
        Became::Refused { refusal, reason, detail } => {
            let title = t!("Refused, and answered with {status}: {reason}", status, reason = tell(reason.label()));
            let kept = refusal.map(|id| {
                let refused = format!("/m/{slug}/refused/{id}");
                view! { <p><a href=refused>{t!("See the refused message")}</a></p> }
            });
            let words = view! {
                <p>{tell(reason.sentence())}" "{reworded(detail)}</p>
                {kept}
            };
            (Tone::Bad, title, words.into_any())
        }
        Became::NotStored => {
            let words = view! { <p>{t!("It is right, and could not be stored; a gateway would send it again. Look at the database and its disk.")}</p> };
            (Tone::Bad, t!("Not stored, and answered with {status}", status), words.into_any())
        }
        Became::Nothing => {
            let words = view! { <p>{t!("It is signed, and about no payment: nothing is kept of it.")}</p> };
            (Tone::Calm, t!("Acknowledged with {status}", status), words.into_any())
        }
    };
    view! { <Notice tone title>{words}</Notice> }.into_any()
}
