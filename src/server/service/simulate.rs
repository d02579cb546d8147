//! The simulator of a listener: a message as its gateway would send it, signed with the listener's own secret and posted from
//! inside, the whole way of a real one. Whatever it says, it counts as a test, and its sender is kept as simulated.

use super::{ServiceResult, Services, fields, listeners::path, merchant_ref, shown};
use crate::server::{
    gateway::{
        self, CONFIRM_BASE, Credentials, MODE, Preset, Request,
        access::{ALLOW_FROM, BASIC_PASSWORD, BASIC_USER, networks},
        simulate::{self, Posted, Wish},
    },
    listener::{self, Answered},
    store::{Actor, Listener, Merchant, Note},
};
use crate::{
    domain::{
        AppError, Fault, GatewayOptions, Money, OrderStatus,
        id::{ListenerId, UserId},
        money::Currency,
        pages::simulator::{Became, Simulated, SimulatedExchange, SimulatorForm, SimulatorPage},
    },
    words::{reworded, t},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

/// What the results are sealed for.
const PLACE: &str = "simulated";
/// The largest amount, in the currency's smallest unit.
const MOST: i64 = 10_000_000_000_000;
/// Longest number of an order; some gateways know nothing but digits.
const MAX_DIGITS: usize = 40;
const AGENT: &str = concat!("Quittance-Simulator/", env!("CARGO_PKG_VERSION"));

/// A form that was read.
struct Wanted {
    status: OrderStatus,
    amount: Money,
    reference: String,
    email: String,
    from: IpAddr,
    fault: Option<Fault>,
}

impl Services {
    /// The page of a listener's simulator. `from` is where whoever looks at it comes from.
    pub async fn simulator_page(
        &self,
        merchant: &Merchant,
        id: ListenerId,
        user: UserId,
        sent: &str,
        from: IpAddr,
    ) -> ServiceResult<SimulatorPage> {
        let listener = self.find_listener(merchant, id)?;
        let kept = self.simulated(id, user, sent).await?;
        let preset = self.gateways.get(listener.gateway);
        let options = &listener.options;
        let allowed = options.get(ALLOW_FROM).unwrap_or_default();
        let statuses = preset.map(|preset| simulate::statuses(preset)).unwrap_or_default();
        let proposed = || proposal(preset.map(|preset| &**preset), &statuses, options, first_of(allowed).unwrap_or(from));
        let asked_at = preset.and_then(|preset| {
            let confirm = preset.confirm.as_ref()?;
            Some((confirm.base(options).to_owned(), options.get(CONFIRM_BASE).is_some()))
        });
        Ok(SimulatorPage {
            merchant: merchant_ref(merchant),
            listener: self.row(&listener, (None, None)),
            faults: preset.map(|preset| simulate::faults(preset, options)).unwrap_or_default(),
            marks_tests: preset.is_some_and(|preset| simulate::marks_tests(preset)),
            one_currency: preset.and_then(|preset| preset.order.amount.as_ref()).is_some_and(|amount| amount.always.is_some()),
            networks: allowed.to_owned(),
            asked_at,
            draft: kept.as_ref().map_or_else(proposed, |kept| kept.form.clone()),
            statuses,
            is_gone: kept.is_none() && !sent.is_empty(),
            sent: kept,
        })
    }

    /// Makes a message, posts it, and keeps what came of it for whoever wanted it; gives the key of that.
    pub async fn simulate(
        &self,
        merchant: &Merchant,
        id: ListenerId,
        form: SimulatorForm,
        user: UserId,
        actor: impl Into<Actor> + Send,
    ) -> ServiceResult<String> {
        let listener = self.find_listener(merchant, id)?;
        let preset = self.preset(listener.gateway)?.clone();
        let wanted = self.read_wish(&preset, &listener, &form)?;
        let address = format!("{}{}", self.base.trim_end_matches('/'), path(&listener));
        let now = self.clock.now();
        let wish = Wish {
            status: wanted.status,
            reference: &wanted.reference,
            amount: wanted.amount,
            email: &wanted.email,
            address: &address,
            now,
            number: u64::try_from(now.millis()).unwrap_or(1),
            test: form.as_test,
            fault: wanted.fault,
        };
        if self.names_real_order(merchant, &preset, &listener, &wish).await? {
            let message = t!("This is the number of a real order, which nothing simulated must change; choose another.");
            return Err(AppError::field("reference", message).into());
        }
        let wrong = |error: simulate::SimulateError| AppError::field("", reworded(&error.to_string()));
        let sign = |wish: &Wish<'_>| simulate::sign(&preset, listener.secret.reveal(), &listener.options, wish).map_err(wrong);
        let first = sign(&wish)?;
        let second = match wanted.fault {
            Some(Fault::Repeated) => Some(first.clone()),
            Some(Fault::OtherAmount) => {
                let more = 10i64.pow(wanted.amount.currency.exponent());
                let amount = Money { minor: wanted.amount.minor.saturating_add(more), ..wanted.amount };
                Some(sign(&Wish { amount, number: wish.number + 1, ..wish.clone() })?)
            }
            _ => None,
        };
        let mut exchanges = Vec::new();
        for posted in std::iter::once(first).chain(second) {
            exchanges.push(self.post_to(merchant, &listener, &wanted, posted).await?);
        }
        let answers: Vec<_> = exchanges.iter().map(|exchange| exchange.status.to_string()).collect();
        let fault = wanted.fault.map(|fault| format!(" · {}", fault.code())).unwrap_or_default();
        let detail = format!(
            "{} · {} {} · {}{fault} · {}",
            wanted.status.code(),
            wanted.amount.decimal(),
            wanted.amount.currency.code(),
            wanted.reference,
            answers.join(", ")
        );
        let note = Note { merchant_id: Some(merchant.id), action: "listener.simulate", subject: listener.label.clone(), detail };
        self.store.note(note, actor).await?;
        let form = SimulatorForm { reference: wanted.reference, ..form };
        self.keep_simulated(id, user, &Simulated { form, exchanges }).await
    }

    /// Keeps what came of a message, for a day.
    async fn keep_simulated(&self, id: ListenerId, user: UserId, simulated: &Simulated) -> ServiceResult<String> {
        let key = hex::encode(crate::server::store::random::<12>());
        let place = format!("{PLACE}-{key}");
        let plain = serde_json::to_vec(&(id, simulated)).map_err(|_| AppError::NotFound)?;
        self.store.claim_form(user, place.clone()).await?;
        self.store.answer_form(user, place, Some(self.store.seal(PLACE, &plain))).await?;
        Ok(key)
    }

    /// What somebody sent to a listener; nothing where it is not kept any more, or was somebody else's.
    async fn simulated(&self, id: ListenerId, user: UserId, key: &str) -> ServiceResult<Option<Simulated>> {
        if key.is_empty() || key.len() > 40 {
            return Ok(None);
        }
        let kept = self.store.form_answer(user, format!("{PLACE}-{key}")).await?;
        let plain = kept.and_then(|sealed| self.store.unseal(PLACE, &sealed));
        let known = plain.and_then(|plain| serde_json::from_slice::<(ListenerId, Simulated)>(plain.reveal()).ok());
        Ok(known.filter(|(listener, _)| *listener == id).map(|(_, simulated)| simulated))
    }

    async fn post_to(
        &self,
        merchant: &Merchant,
        listener: &Listener,
        wanted: &Wanted,
        posted: Posted,
    ) -> ServiceResult<SimulatedExchange> {
        let query = posted.query.clone();
        let body = if posted.method == Method::GET { shown::text(query.as_bytes()) } else { shown::text(&posted.body) };
        let fields = shown::fields(if posted.method == Method::GET { query.as_bytes() } else { &posted.body });
        let request = self.request(listener, wanted, posted).ok_or(AppError::NotFound)?;
        let Answered { head, status, headers, body: answer, became } =
            listener::post_within(self.store.clone(), self.clock.clone(), self.house(), wanted.from, request).await;
        let became = match became {
            listener::Became::Nothing => Became::Nothing,
            listener::Became::Verifying { repeated } => Became::Verifying { repeated },
            listener::Became::Refused { id, reason, detail } => Became::Refused { refusal: id, reason, detail },
            listener::Became::NotStored => Became::NotStored,
            listener::Became::Accepted(accepted) => {
                let first = *accepted.first().ok_or(AppError::NotFound)?;
                // What comes next may ask for what this one said.
                self.store.settled().await?;
                let stored = self.store.notification(merchant.id, first.notification_id).await?.ok_or(AppError::NotFound)?;
                Became::Accepted { order: stored.order_id, notification: first.notification_id, repeated: first.repeated }
            }
        };
        let mut answer_head = format!("HTTP/1.1 {status}\r\n");
        for (name, value) in &headers {
            let _ = write!(answer_head, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
        }
        if status != http::StatusCode::NO_CONTENT && !headers.contains_key(header::CONTENT_LENGTH) {
            let _ = write!(answer_head, "content-length: {}\r\n", answer.len());
        }
        Ok(SimulatedExchange {
            head,
            body,
            fields,
            status: status.as_u16(),
            answer_head,
            answer_body: shown::text(&answer),
            became,
        })
    }

    /// The message as a request; what the listener asks for beside it is there, too.
    fn request(&self, listener: &Listener, wanted: &Wanted, posted: Posted) -> Option<http::Request<Bytes>> {
        let question = if posted.query.is_empty() { String::new() } else { format!("?{}", posted.query) };
        let mut request = http::Request::builder()
            .method(posted.method)
            .uri(format!("{}{question}", path(listener)))
            .body(Bytes::from(posted.body))
            .ok()?;
        let length = request.body().len();
        let host = self.base.split("://").nth(1).unwrap_or_default().split('/').next().unwrap_or_default();
        let headers = request.headers_mut();
        headers.extend(HeaderValue::from_str(host).ok().map(|host| (header::HOST, host)));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(AGENT));
        if length > 0 {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        headers.extend(basic(&listener.options, wanted.fault));
        headers.extend::<HeaderMap>(posted.headers);
        Some(request)
    }

    /// Checks what was entered.
    fn read_wish(&self, preset: &Preset, listener: &Listener, form: &SimulatorForm) -> Result<Wanted, AppError> {
        let mut mistakes = fields::Mistakes::default();
        let known = simulate::statuses(preset);
        let status = known.iter().copied().find(|status| status.code() == form.status);
        if known.is_empty() {
            mistakes.add(
                "",
                t!("The description of this gateway has no sample, so nothing can be simulated; add [sample] to its file."),
            );
        } else if status.is_none() {
            mistakes.add("status", t!("Choose one of the statuses of the list."));
        }
        let currency = Currency::parse(&form.currency);
        let always = preset.order.amount.as_ref().and_then(|amount| amount.always.as_deref()).and_then(Currency::parse);
        match (currency, always) {
            (None, _) => mistakes.add("currency", t!("Enter a currency code of three letters, such as USD.")),
            (Some(entered), Some(always)) if entered != always => mistakes
                .add("currency", t!("{gateway} knows {currency} alone.", gateway = preset.label, currency = always.code())),
            _ => {}
        }
        let amount = currency.and_then(|currency| {
            let amount = Money::parse(&form.amount, currency).filter(|amount| (1..=MOST).contains(&amount.minor));
            if amount.is_none() {
                let currency = currency.code();
                mistakes.add("amount", t!("This is no amount of {currency}; write it with a point, such as 49.90.", currency));
            }
            amount
        });
        let reference = match form.reference.trim() {
            "" => (self.clock.now().millis().rem_euclid(1_000_000_000)).to_string(),
            text => text.to_owned(),
        };
        if reference.len() > MAX_DIGITS || !reference.bytes().all(|byte| byte.is_ascii_digit()) {
            mistakes.add("reference", t!("Enter 1 to {most} digits, or nothing for a new order.", most = MAX_DIGITS));
        }
        let email = mistakes.take("email", fields::email(&form.email));
        let from = form.from.trim().parse::<IpAddr>().ok();
        if from.is_none() {
            mistakes.add("from", t!("Enter an address, such as 203.0.113.7."));
        }
        let fault = match form.fault.trim() {
            "" => None,
            code => {
                let fault = Fault::from_code(code).filter(|fault| simulate::faults(preset, &listener.options).contains(fault));
                if fault.is_none() {
                    mistakes.add("fault", t!("Messages of this gateway cannot have this wrong; choose another."));
                }
                fault
            }
        };
        mistakes.end()?;
        let (Some(status), Some(amount), Some(email), Some(from)) = (status, amount, email, from) else {
            return Err(AppError::NotFound);
        };
        Ok(Wanted { status, amount, reference, email, from, fault })
    }

    /// Whether a message would be about an order that real messages made.
    async fn names_real_order(
        &self,
        merchant: &Merchant,
        preset: &Preset,
        listener: &Listener,
        wish: &Wish<'_>,
    ) -> ServiceResult<bool> {
        for name in names(preset, listener, wish, [&self.base, &path(listener)]) {
            if self.is_real_order(merchant, &name).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What a message calls its order, were nothing wrong with it; with what the gateway would say about it.
fn names(preset: &Preset, listener: &Listener, wish: &Wish<'_>, url: [&str; 2]) -> BTreeSet<String> {
    let mut options = listener.options.clone();
    options.0.remove(MODE);
    let mut found = BTreeSet::from([wish.reference.to_owned()]);
    // With a mode that takes neither, both are tried.
    for test in [false, true] {
        let wish = Wish { fault: None, test, ..wish.clone() };
        let Ok(posted) = simulate::sign(preset, listener.secret.reveal(), &options, &wish) else { continue };
        let request = Request {
            method: &posted.method,
            query: &posted.query,
            headers: &posted.headers,
            body: &posted.body,
            url,
            now: wish.now,
            date: "",
        };
        let credentials = Credentials { secret: listener.secret.reveal(), required: listener.required, options: &options };
        let verified = match simulate::answer(preset, &options, &wish) {
            Some(answer) => gateway::confirmed(preset, credentials, &request, answer.as_bytes(), request.now),
            None => gateway::verify(preset, credentials, &request),
        };
        let facts = verified.into_iter().flat_map(|verified| verified.events).map(|event| event.facts);
        found.extend(facts.flat_map(|facts| [facts.reference.to_string(), facts.external.to_string()]));
    }
    found.remove("");
    found
}

/// The user name and password that a listener asks for.
fn basic(options: &GatewayOptions, fault: Option<Fault>) -> Option<(HeaderName, HeaderValue)> {
    let (user, password) = (options.get(BASIC_USER)?, options.get(BASIC_PASSWORD).unwrap_or_default());
    let wrong = if fault == Some(Fault::WrongPassword) { "x" } else { "" };
    let pair = STANDARD.encode(format!("{user}:{password}{wrong}"));
    Some((header::AUTHORIZATION, HeaderValue::from_str(&format!("Basic {pair}")).ok()?))
}

/// An address that a listener takes messages from.
fn first_of(allowed: &str) -> Option<IpAddr> {
    networks(allowed).ok()?.first().map(|network| network.addr())
}

/// What the form begins with.
fn proposal(preset: Option<&Preset>, statuses: &[OrderStatus], options: &GatewayOptions, from: IpAddr) -> SimulatorForm {
    let currency = preset.map_or("USD", simulate::currency);
    let whole = Currency::parse(currency).is_some_and(|currency| currency.exponent() == 0);
    let has_sandbox = preset.and_then(|preset| preset.confirm.as_ref()).is_some_and(|confirm| confirm.test_base.is_some());
    let as_test = match options.get(MODE) {
        Some("live") => false,
        Some("test") => true,
        _ => !has_sandbox,
    };
    let usual = statuses.iter().find(|status| **status == OrderStatus::Paid).or(statuses.first());
    SimulatorForm {
        status: usual.map(|status| status.code().to_owned()).unwrap_or_default(),
        amount: if whole { "50000" } else { "49.90" }.to_owned(),
        currency: currency.to_owned(),
        reference: String::new(),
        email: "buyer@example.com".to_owned(),
        as_test: as_test && preset.is_some_and(simulate::marks_tests),
        from: from.to_canonical().to_string(),
        fault: String::new(),
    }
}
