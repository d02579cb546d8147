//! What the gateways ask of whoever adds a listener, and what they tell him.

use super::{Services, fields};
use crate::server::{
    dispatch::client::{Target, certificates, to_pem},
    gateway::{
        ADDRESS, Ask, CERTIFICATE_HOSTS, CONFIRM_AUTHORITY, CONFIRM_BASE, MODE, PREVIOUS_SECRET, Preset,
        access::{ALLOW_FROM, BASIC_PASSWORD, BASIC_USER, networks},
    },
};
use crate::{
    domain::{
        AppError, Gateway, GatewayOptions,
        pages::listeners::{GatewayAsk, GatewayChoice, GatewayForm, GatewayGuide, NewListener, removal, removed},
    },
    words::{reworded, t, tell},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, sync::Arc};

impl Services {
    /// The description of a gateway; a mistake of whoever named it where there is none.
    pub fn preset(&self, gateway: Gateway) -> Result<&Arc<Preset>, AppError> {
        self.gateways.get(gateway).ok_or_else(|| {
            let names: Vec<_> = self.gateways.all().iter().map(|preset| preset.id.to_string()).collect();
            AppError::field(
                "gateway",
                t!(
                    "unknown gateway {gateway}: this version takes {known}",
                    gateway = format!("{:?}", gateway.name()),
                    known = names.join(", ")
                ),
            )
        })
    }

    /// Of what was entered beside the secret what may be shown again, by the names of its fields.
    pub fn shown_again(&self, gateway: Gateway, entered: &BTreeMap<String, String>) -> Vec<(String, String)> {
        let asks = self.gateways.get(gateway).map(|preset| asks(preset)).unwrap_or_default();
        let shown = asks.into_iter().filter(|ask| !ask.secret);
        shown.filter_map(|ask| Some((format!("options[{}]", ask.name), entered.get(&ask.name)?.clone()))).collect()
    }

    /// The gateways to choose among, and what the chosen one asks.
    pub fn new_listener(&self, chosen: &str) -> Result<NewListener, AppError> {
        let choices = self.gateways.all().iter().map(|preset| GatewayChoice {
            gateway: preset.id,
            label: preset.label.clone(),
            group: preset.group.clone(),
            aliases: preset.aliases.clone(),
        });
        let chosen = match chosen.trim() {
            "" => None,
            name => {
                let gateway = name.parse().map_err(|message: String| AppError::field("gateway", message))?;
                Some(gateway_form(self.preset(gateway)?, &GatewayOptions::default()))
            }
        };
        Ok(NewListener { choices: choices.collect(), chosen })
    }
}

/// Everything that a listener of this gateway may have beside its secret.
fn asks(preset: &Preset) -> Vec<Ask> {
    let mut asks = preset.options.clone();
    if preset.signatures.iter().any(|signature| signature.message.has_url()) {
        asks.push(Ask {
            name: ADDRESS.to_owned(),
            label: t!("Address as the gateway knows it").to_owned(),
            hint: t!("It is part of what is signed. Left empty, the address of this listener as this page shows it.").to_owned(),
            secret: false,
            required: false,
            unused: false,
        });
    }
    let has_sandbox = preset.confirm.as_ref().is_some_and(|confirm| confirm.test_base.is_some());
    let hint = if preset.adapter.is_none() && preset.order.test.is_empty() && !has_sandbox {
        t!(
            "Messages of this gateway do not say whether they are tests. Enter test for a listener of its sandbox: all its messages are marked as tests."
        )
    } else if has_sandbox {
        t!(
            "Enter test for the gateway's sandbox: it is asked there, and real messages are refused. Left empty or live, only real ones are taken."
        )
    } else {
        t!("live refuses test messages, test refuses real ones. Left empty, both are taken, and tests are marked.")
    };
    asks.push(Ask {
        name: MODE.to_owned(),
        label: t!("Mode").to_owned(),
        hint: hint.to_owned(),
        secret: false,
        required: false,
        unused: false,
    });
    if preset.adapter.is_some() || !preset.signatures.is_empty() {
        asks.push(Ask {
            name: PREVIOUS_SECRET.to_owned(),
            label: t!("Previous secret").to_owned(),
            hint: t!("While the gateway changes its secret: messages signed with either are taken.").to_owned(),
            secret: true,
            required: false,
            unused: false,
        });
    }
    if let Some(confirm) = &preset.confirm {
        asks.push(Ask {
            name: CONFIRM_BASE.to_owned(),
            label: t!("Where the gateway is asked").to_owned(),
            hint: t!("Each message is confirmed there before it counts. Left empty, {base}.", base = confirm.base),
            secret: false,
            required: false,
            unused: false,
        });
        asks.push(Ask {
            name: CONFIRM_AUTHORITY.to_owned(),
            label: t!("Certificates to trust there").to_owned(),
            hint: t!("Only for a server of your own whose certificate no public authority has signed: its root, as PEM.")
                .to_owned(),
            secret: false,
            required: false,
            unused: false,
        });
    }
    if let Some(chain) = &preset.chain {
        let all = chain.hosts.iter().chain(&chain.test_hosts).map(String::as_str).collect::<Vec<_>>();
        asks.push(Ask {
            name: CERTIFICATE_HOSTS.to_owned(),
            label: t!("Hosts of certificates").to_owned(),
            hint: t!(
                "Certificates that sign messages are fetched from these hosts alone, by https. With commas between them; left empty, {hosts}.",
                hosts = all.join(", ")
            ),
            secret: false,
            required: false,
            unused: false,
        });
    }
    asks.extend(access(preset));
    asks
}

/// Who may post, whatever the gateway. Its own addresses are only a suggestion: they change, and a message proves itself.
fn access(preset: &Preset) -> [Ask; 3] {
    let suggested = match preset.guide.addresses.as_slice() {
        [] => String::new(),
        addresses => format!(" {}", t!("{gateway} names {addresses}.", gateway = preset.label, addresses = addresses.join(", "))),
    };
    let ask = |name: &str, label: &str, hint: String, secret| Ask {
        name: name.to_owned(),
        label: label.to_owned(),
        hint,
        secret,
        required: false,
        unused: false,
    };
    let networks = t!(
        "Addresses and networks, with commas between them; others are refused. Left empty, all may post.{suggested}",
        suggested
    );
    [
        ask(ALLOW_FROM, t!("Networks that may post"), networks, false),
        ask(
            BASIC_USER,
            t!("User name"),
            t!("Of gateways that can send one (basic authentication). Left empty, nobody is asked for one.").to_owned(),
            false,
        ),
        ask(BASIC_PASSWORD, t!("Password"), t!("It goes with the user name.").to_owned(), true),
    ]
}

/// What a listener of this gateway is asked for; with what is stored.
pub(super) fn gateway_form(preset: &Preset, options: &GatewayOptions) -> GatewayForm {
    let ask = |ask: Ask| {
        let stored = options.get(&ask.name).unwrap_or_default();
        let value = if ask.secret { String::new() } else { stored.to_owned() };
        let is_set = !stored.is_empty();
        GatewayAsk {
            long: ask.name == CONFIRM_AUTHORITY,
            access: [ALLOW_FROM, BASIC_USER, BASIC_PASSWORD].contains(&ask.name.as_str()),
            name: ask.name,
            label: ask.label,
            hint: ask.hint,
            secret: ask.secret,
            required: ask.required,
            value,
            is_set,
        }
    };
    GatewayForm {
        gateway: preset.id,
        label: preset.label.clone(),
        has_secret: !preset.secret.unused,
        secret_label: preset.secret.label.clone(),
        secret_hint: preset.secret.hint.clone(),
        options: asks(preset).into_iter().map(ask).collect(),
        has_algorithms: preset.adapter.is_some(),
    }
}

/// What a listener asks of somebody whose gateway nothing describes any more: nothing.
pub(super) fn unknown_form(gateway: Gateway) -> GatewayForm {
    GatewayForm {
        gateway,
        label: gateway.name().to_owned(),
        has_secret: true,
        secret_label: t!("Secret").to_owned(),
        secret_hint: String::new(),
        options: Vec::new(),
        has_algorithms: false,
    }
}

/// What to enter where; `address` is the listener's.
pub(super) fn gateway_guide(preset: Option<&Arc<Preset>>, address: &str) -> GatewayGuide {
    let Some(preset) = preset else {
        let missing = t!("Nothing describes this gateway any more. Start the server with --gateways and the folder of its file.");
        return GatewayGuide {
            steps: vec![missing.to_owned()],
            proof: String::new(),
            retries: String::new(),
            addresses: Vec::new(),
            sources: Vec::new(),
            unconfirmed: Vec::new(),
        };
    };
    let guide = &preset.guide;
    GatewayGuide {
        steps: guide.steps.iter().map(|step| tell(step).replace("{address}", address)).collect(),
        proof: preset.methods(),
        retries: guide.retries.clone(),
        addresses: guide.addresses.clone(),
        sources: guide.sources.clone(),
        unconfirmed: guide.unconfirmed.clone(),
    }
}

/// Checks the secret as the gateway writes it.
pub(super) fn check_secret(preset: &Preset, secret: &str) -> Result<(), String> {
    let fits = preset
        .signatures
        .iter()
        .filter(|signature| signature.only_with.as_ref().is_none_or(|prefix| secret.starts_with(prefix.as_str())));
    if preset.is_ambiguous(secret) {
        return Err(t!(
            "32 bytes without a prefix may be a signing secret or a public key, and a public key signs nothing: write whsec_ before a secret, whpk_ before a public key."
        )
        .to_owned());
    }
    let mut wrong = None;
    for signature in fits {
        match signature.key_of(secret.as_bytes()) {
            Ok(_) => return Ok(()),
            Err(reason) => wrong = Some(reason),
        }
    }
    wrong.map_or(Ok(()), |reason| {
        Err(t!(
            "This is no {secret} of {preset}: {reason}.",
            secret = preset.secret.label,
            preset = preset.label,
            reason = reworded(reason)
        ))
    })
}

/// Where a gateway is asked.
fn asked_at(text: &str) -> Result<String, String> {
    Target::parse(text)?;
    let text = text.trim().trim_end_matches('/');
    let is_bare = text.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?']));
    if is_bare { Ok(text.to_owned()) } else { Err(t!("Leave out what follows the host: https://sandbox.example.com").to_owned()) }
}

/// Hosts that certificates are fetched from.
fn certificate_hosts(text: &str) -> Result<String, String> {
    let hosts = text.split(',').map(str::trim).filter(|host| !host.is_empty()).map(|host| {
        let target = Target::parse(&format!("https://{host}/"))?;
        if target.authority.eq_ignore_ascii_case(host) {
            Ok(target.authority)
        } else {
            Err(t!("{host} is no host: write names such as api.example.com, with commas between them.", host))
        }
    });
    Ok(hosts.collect::<Result<Vec<_>, String>>()?.join(", "))
}

/// Certificates to trust where a gateway is asked.
fn authority(text: &str) -> Result<String, String> {
    certificates(text).map(|found| to_pem(&found)).map_err(|error| error.to_string())
}

/// What was entered, put together with what is stored: an empty secret stays as it is, unless it is to be removed.
pub(super) fn options(
    preset: &Preset,
    entered: &BTreeMap<String, String>,
    stored: &GatewayOptions,
    mistakes: &mut fields::Mistakes,
) -> GatewayOptions {
    let asks = asks(preset);
    // A secret is never shown, so an empty field cannot mean that it is to go.
    let is_removed = |ask: &Ask| entered.contains_key(&removal(&ask.name));
    let is_known = |name: &str| asks.iter().any(|ask| ask.name == name);
    let named = entered.keys().map(|name| removed(name).unwrap_or(name));
    for name in named.filter(|name| !is_known(name)) {
        let known: Vec<_> = asks.iter().map(|ask| ask.name.as_str()).collect();
        mistakes.add(
            "option",
            t!(
                "{gateway} has no option {name}; it has {known}.",
                gateway = preset.label,
                name = format!("{name:?}"),
                known = known.join(", ")
            ),
        );
    }
    let mut options = GatewayOptions::default();
    for ask in &asks {
        let field = format!("options[{}]", ask.name);
        let before = stored.get(&ask.name);
        let value = match entered.get(&ask.name).map(|text| text.trim()) {
            Some("") if !ask.secret => None,
            None | Some("") if is_removed(ask) => None,
            None | Some("") => before.map(str::to_owned),
            Some(text) if ask.name == ALLOW_FROM => mistakes.take(&field, networks(text).map(|found| listed(&found))),
            Some(text) if ask.name == BASIC_USER && text.contains(':') => {
                mistakes.take(&field, Err(t!("A user name has no colon.").to_owned()))
            }
            Some(text) if ask.name == CONFIRM_BASE => mistakes.take(&field, asked_at(text)),
            Some(text) if ask.name == CERTIFICATE_HOSTS => mistakes.take(&field, certificate_hosts(text)),
            Some(text) if ask.name == CONFIRM_AUTHORITY => mistakes.take(&field, authority(text)),
            Some(text) => mistakes.take(&field, fields::secret(text)),
        };
        if value.as_ref().is_some_and(|value| ask.name == MODE && !matches!(value.as_str(), "live" | "test")) {
            mistakes.add(&field, t!("Enter live or test, or leave it empty."));
        }
        if let Some(value) = &value
            && ask.name == PREVIOUS_SECRET
            && let Err(reason) = check_secret(preset, value)
        {
            mistakes.add(&field, reason);
        }
        match value {
            Some(value) => drop(options.0.insert(ask.name.clone(), value)),
            None if ask.required => mistakes
                .add(&field, t!("Enter “{ask}”: {preset} cannot be checked without it.", ask = ask.label, preset = preset.label)),
            None => {}
        }
    }
    // Without the name nobody could log in, and emptying it is how people switch it off.
    match (options.get(BASIC_USER).is_some(), options.get(BASIC_PASSWORD).is_some()) {
        (true, false) => {
            mistakes.add(&format!("options[{BASIC_PASSWORD}]"), t!("Enter the password that goes with the user name."))
        }
        (false, true) if entered.get(BASIC_PASSWORD).is_some_and(|text| !text.trim().is_empty()) => {
            mistakes.add(&format!("options[{BASIC_USER}]"), t!("Enter the user name that goes with the password."));
        }
        (false, true) => drop(options.0.remove(BASIC_PASSWORD)),
        _ => {}
    }
    options
}

fn listed(networks: &[IpNet]) -> String {
    networks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
