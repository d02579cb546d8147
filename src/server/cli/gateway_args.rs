//! What may be typed about gateways.

use super::args::{DatabaseArgs, OutputArgs, algorithms};
use crate::domain::{Algorithm, Fault, Gateway, OrderStatus};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use std::path::PathBuf;

/// Which gateways there are.
#[derive(Debug, Clone, Default, Args)]
pub struct GatewaysArgs {
    /// A folder with descriptions (*.toml) of further gateways.
    #[arg(long = "gateways", env = "QUITTANCE_GATEWAYS", value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// List gateways with what a listener of each needs.
    List(GatewayListArgs),
}

#[derive(Debug, Clone, Args)]
pub struct GatewayListArgs {
    #[command(flatten)]
    pub gateways: GatewaysArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// The gateway: the one of the listener.
    pub gateway: Gateway,
    /// The listener that it posts to: its path (/ipn/…) or its id.
    #[arg(long, value_name = "PATH|ID")]
    pub listener: String,
    /// What has become of the payment: paid, pending, refunded …
    #[arg(long, value_name = "STATUS", default_value = "paid", value_parser = status())]
    pub status: OrderStatus,
    /// The order's number; digits, because some gateways know nothing else [default: a new one]
    #[arg(long, value_name = "REFERENCE")]
    pub order: Option<String>,
    /// The amount, such as 49.90; partially-refunded gives back half of it
    #[arg(long, value_name = "AMOUNT", default_value = "50000")]
    pub amount: String,
    /// A code of three letters [default: the gateway's usual one]
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    /// The customer's address.
    #[arg(long, value_name = "EMAIL", default_value = "buyer@example.com")]
    pub email: String,
    /// Marked as a test, where the gateway marks tests in its messages.
    #[arg(long)]
    pub test: bool,
    /// What is wrong with it.
    #[arg(long, value_name = "FAULT", value_parser = fault())]
    pub fault: Option<Fault>,
    /// Where the server runs.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    pub server: String,
    #[command(flatten)]
    pub gateways: GatewaysArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct ListenerAddArgs {
    /// The merchant: its name, or its name in addresses.
    #[arg(long, value_name = "NAME")]
    pub merchant: String,
    /// Who posts to it: 2checkout, stripe, vnpay … `quittance gateway list` shows all.
    #[arg(long, value_name = "KIND")]
    pub gateway: Gateway,
    /// The secret key from the gateway's settings, which checks what comes in; a few gateways have none.
    #[arg(long, value_name = "KEY", default_value = "", hide_default_value = true)]
    pub secret: String,
    /// What else the gateway needs, such as access-key=…; may be given several times.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
    pub options: Vec<(String, String)>,
    /// Take messages from this address or network alone; may be given several times.
    #[arg(long = "allow-from", value_name = "CIDR", value_delimiter = ',')]
    pub allow_from: Vec<String>,
    /// Ask whoever posts for this user name and password (basic authentication).
    #[arg(long, value_name = "USER:PASSWORD", value_parser = basic)]
    pub basic: Option<(String, String)>,
    #[command(flatten)]
    pub gateways: GatewaysArgs,
    /// A name for lists [default: the gateway's]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub label: String,
    /// At least one of these must have signed a message.
    #[arg(long, value_delimiter = ',', default_value = "md5,sha2-256,sha3-256", value_parser = algorithms())]
    pub algorithms: Vec<Algorithm>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
#[group(id = "what", required = true, multiple = true, args = ["secret", "options", "remove", "label", "open", "closed"])]
pub struct ListenerChangeArgs {
    /// The listener: its path (/ipn/…) or its id.
    #[arg(value_name = "PATH|ID")]
    pub listener: String,
    /// The gateway's new secret key.
    #[arg(long, value_name = "KEY")]
    pub secret: Option<String>,
    /// Take messages signed with the secret before, too, until `--remove previous-secret`.
    #[arg(long, requires = "secret")]
    pub keep_previous: bool,
    /// What else the gateway needs, such as access-key=…; may be given several times.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = option)]
    pub options: Vec<(String, String)>,
    /// An option that is to go; may be given several times.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub remove: Vec<String>,
    /// Another name for lists.
    #[arg(long)]
    pub label: Option<String>,
    /// Take messages again.
    #[arg(long, conflicts_with = "closed")]
    pub open: bool,
    /// Refuse everything; the gateway tries again later.
    #[arg(long)]
    pub closed: bool,
    #[command(flatten)]
    pub gateways: GatewaysArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

fn status() -> impl TypedValueParser<Value = OrderStatus> {
    PossibleValuesParser::new(OrderStatus::ALL.map(OrderStatus::code)).map(|code| OrderStatus::from_code(&code))
}

fn fault() -> impl TypedValueParser<Value = Fault> {
    PossibleValuesParser::new(Fault::OF_THE_MESSAGE.map(Fault::code))
        .try_map(|code| Fault::from_code(&code).ok_or("no such fault"))
}

fn basic(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((user, password)) if !user.is_empty() && !password.is_empty() => Ok((user.to_owned(), password.to_owned())),
        _ => Err("write USER:PASSWORD".to_owned()),
    }
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("write NAME=VALUE, such as access-key=…, not {text:?}"))?;
    Ok((name.trim().to_owned(), value.to_owned()))
}
