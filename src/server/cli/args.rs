//! What may be typed.

use super::{
    gateway_args::{GatewayCommand, GatewaysArgs, ListenerAddArgs, ListenerChangeArgs, SimulateArgs},
    resend_args::{BulkCancelArgs, CancelArgs, RecoverArgs, ResendArgs},
    url_args::{UrlAddArgs, UrlSecretArgs},
};
use crate::domain::{Algorithm, Algorithms, Role};
use crate::server::{
    dispatch::Places,
    mail::MailFrom,
    settings::{Keep, PublicUrl},
};
use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use ipnet::IpNet;
use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// Receives payment notifications, keeps them, and delivers them until they are confirmed.
#[derive(Debug, Parser)]
#[command(name = "quittance", version, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: listener pages, deliveries and the control panel.
    Serve(ServeArgs),
    /// Add and list merchants.
    #[command(subcommand)]
    Merchant(MerchantCommand),
    /// Add and list listeners: the pages that gateways post to.
    #[command(subcommand)]
    Listener(ListenerCommand),
    /// Show the gateways whose notifications a listener can take.
    #[command(subcommand)]
    Gateway(GatewayCommand),
    /// Add and list notification URLs: where notifications are delivered to.
    #[command(subcommand)]
    Url(UrlCommand),
    /// Add, invite, list and disable users of the control panel.
    #[command(subcommand)]
    User(UserCommand),
    /// Post a message as a gateway would, signed with a listener's own secret, and show the acknowledgement.
    ///
    /// The message is taken like a real one: it makes or changes an order, and is delivered.
    Simulate(SimulateArgs),
    /// Deliver the latest notification of an order again.
    ///
    /// The resend is stored at once; the running server sends it within a second. Without a running server it is sent when one
    /// starts.
    Resend(ResendArgs),
    /// Deliver again everything that failed since a moment: what expired, and resends for debug that were not confirmed.
    ///
    /// What its URL has confirmed meanwhile, or what is on its way, is left out. The wish is stored at once; the running server
    /// begins with it within a second and works at it behind new notifications. Without a running server it is done when one starts.
    Recover(RecoverArgs),
    /// Give up deliveries that are outstanding (queued, retrying or held): these scripts are not told.
    ///
    /// They stay in the list as cancelled, and can be resent. A request that is on its way is not called back: where it is
    /// confirmed, its delivery is. Answers with what was counted and returns at once; `quittance bulk list` shows how it goes.
    Cancel(CancelArgs),
    /// List and cancel bulk resends, and lists that are being cancelled: those of the command line, and those of the panel.
    #[command(subcommand)]
    Bulk(BulkCommand),
    /// Check that the books balance, that nothing stored is damaged, and that indexes are used; exit code 0 only where all is well.
    ///
    /// Reads the database at one moment; the server may go on meanwhile.
    Doctor(DoctorArgs),
    /// Copy the database into a new file; the server may go on meanwhile.
    ///
    /// Everything that was acknowledged before is in the copy. For SQLite; PostgreSQL has pg_dump.
    Backup(BackupArgs),
    /// Move an installation from SQLite to PostgreSQL: everything, into an empty database.
    ///
    /// The server must be stopped; the source stays as it is. At the end both sides are counted; exit code 0 only where they are
    /// equal. A copy that broke off is begun anew by the same command. Afterwards start the server with --database and the
    /// --key-file that is printed, and no longer on the source: both would deliver what is outstanding.
    Copy(CopyArgs),
}

#[derive(Debug, Subcommand)]
pub enum MerchantCommand {
    /// Add a merchant; prints its secret key, which is shown this once.
    Add(MerchantAddArgs),
    /// List merchants.
    List(ListArgs),
}

#[derive(Debug, Subcommand)]
pub enum ListenerCommand {
    /// Add a listener; prints the path that the gateway must post to.
    Add(ListenerAddArgs),
    /// Change a listener: its secret, its options, whether it is open.
    Change(ListenerChangeArgs),
    /// List listeners.
    List(MerchantListArgs),
}

#[derive(Debug, Subcommand)]
pub enum UrlCommand {
    /// Add a notification URL.
    Add(UrlAddArgs),
    /// List notification URLs.
    List(MerchantListArgs),
    /// Show the signing secret of a URL that gets JSON. That it was shown is noted in the audit log.
    Secret(UrlSecretArgs),
}

#[derive(Debug, Subcommand)]
pub enum BulkCommand {
    /// List bulk resends and cancelled lists, the newest first.
    List(MerchantListArgs),
    /// End a bulk resend: what was not made yet is not made, what was not sent yet is cancelled. Or stop cancelling a list: what
    /// was not cancelled yet stays as it is.
    Cancel(BulkCancelArgs),
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user; the password is read from standard input.
    Add(UserAddArgs),
    /// List users.
    List(ListArgs),
    /// Invite a user; prints the link by which he chooses his password. It works once and for seven days.
    Invite(UserInviteArgs),
    /// Let a user sign in no more; his sessions end at once.
    Disable(UserNameArgs),
    /// Let a disabled user sign in again.
    Enable(UserNameArgs),
}

/// Where the database and its key are.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// The database: sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(
        long,
        env = "QUITTANCE_DATABASE",
        hide_env_values = true,
        value_name = "ADDRESS",
        default_value = "sqlite:data/quittance.db"
    )]
    pub database: String,
    /// The key that seals secrets in the database [default: beside the database, with the ending .key; data/quittance.key for PostgreSQL]
    #[arg(long, env = "QUITTANCE_KEY_FILE", value_name = "PATH")]
    pub key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct OutputArgs {
    /// Print one line of JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The address and port to listen on.
    #[arg(long, env = "QUITTANCE_LISTEN", value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000", value_parser = listen)]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub gateways: GatewaysArgs,
    /// Deliver into this network although it is private, local or reserved; may be given several times.
    #[arg(long, env = "QUITTANCE_ALLOW_NETWORK", value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub allow_network: Vec<IpNet>,
    /// Believe this proxy, or network of proxies, what X-Forwarded-For or Forwarded says about a sender's address; may be given
    /// several times. Without it the address is that of whoever connects.
    #[arg(long, env = "QUITTANCE_TRUSTED_PROXY", value_name = "CIDR", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,
    /// How gateways and browsers reach this server, such as `https://ipn.example.com` [default: the address it listens on]
    #[arg(long, env = "QUITTANCE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<PublicUrl>,
    /// For how many days the bytes of messages and attempts are kept; 0 for ever.
    #[arg(long, env = "QUITTANCE_KEEP_BYTES", value_name = "DAYS", default_value_t = Keep::default().bytes)]
    pub keep_bytes: u32,
    /// For how many days everything else about a notification is kept; 0 for ever.
    #[arg(long, env = "QUITTANCE_KEEP_LEDGER", value_name = "DAYS", default_value_t = Keep::default().ledger)]
    pub keep_ledger: u32,
    /// How many deliveries may be on their way at a time, over all URLs, 100 to 20000: each takes a socket, and some 25 kB while it
    /// lasts. More helps where many scripts take long to answer.
    #[arg(long, env = "QUITTANCE_REQUESTS_AT_ONCE", value_name = "NUMBER", default_value_t = Places::USUAL,
        value_parser = clap::value_parser!(u16).range(i64::from(Places::FEWEST)..=i64::from(Places::MOST)))]
    pub requests_at_once: u16,
    /// Also serve metrics for Prometheus at /metrics of this address, which should not be reachable from outside [default: none]
    #[arg(long, env = "QUITTANCE_METRICS", value_name = "ADDRESS:PORT", value_parser = listen)]
    pub metrics: Option<SocketAddr>,
    /// The mail server that customers are mailed through: smtp://USER:PASSWORD@HOST:PORT, encrypted by STARTTLS, or smtps://; with
    /// ?tls=none without encryption [default: no mail is sent]
    #[arg(long, env = "QUITTANCE_SMTP_URL", hide_env_values = true, value_name = "URL", requires = "mail_from")]
    pub smtp_url: Option<String>,
    /// The address that mails are from, unless a merchant has one of his own; also that of the envelope.
    #[arg(long, env = "QUITTANCE_MAIL_FROM", value_name = "ADDRESS", requires = "smtp_url")]
    pub mail_from: Option<MailFrom>,
    /// Write the log as JSON, one object a line.
    #[arg(long, env = "QUITTANCE_LOG_JSON")]
    pub log_json: bool,
    /// Show everything at work: a pretend gateway posts orders, three pretend shops receive them.
    ///
    /// Takes an empty database, or one that an earlier --demo filled. Opens 127.0.0.0/8 for deliveries.
    #[arg(long)]
    pub demo: bool,
}

#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    /// The new file.
    pub file: PathBuf,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct CopyArgs {
    /// The database to copy: sqlite:PATH
    #[arg(long, value_name = "ADDRESS")]
    pub from: String,
    /// The empty database to fill: postgres://USER:PASSWORD@HOST/DATABASE
    #[arg(long, env = "QUITTANCE_COPY_TO", hide_env_values = true, value_name = "ADDRESS")]
    pub to: String,
    /// The key that opens the secrets in the source [default: beside it, with the ending .key]
    #[arg(long, env = "QUITTANCE_KEY_FILE", value_name = "PATH")]
    pub from_key_file: Option<PathBuf>,
    /// The key that seals them in the target; it may be the same. Made where there is none [default: data/quittance.key]
    #[arg(long, env = "QUITTANCE_KEY_FILE", value_name = "PATH")]
    pub to_key_file: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct MerchantAddArgs {
    /// The merchant's name.
    pub name: String,
    /// The key that signs what is delivered [default: a new one is made]
    #[arg(long, value_name = "KEY")]
    pub secret_key: Option<String>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct MerchantListArgs {
    /// Only of this merchant: its name, or its name in addresses.
    #[arg(long, value_name = "NAME")]
    pub merchant: Option<String>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UserAddArgs {
    /// The user's e-mail address, to sign in with.
    pub email: String,
    /// What the user may do.
    #[arg(long, value_parser = roles())]
    pub role: Role,
    /// A merchant that the user may see; may be given several times. Support without one sees all.
    #[arg(long, value_name = "NAME")]
    pub merchant: Vec<String>,
    /// Read the password from standard input, one line. There is no other way: an argument would show in lists of processes.
    #[arg(long, required = true)]
    pub password_stdin: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UserInviteArgs {
    /// The person's e-mail address, to sign in with.
    pub email: String,
    /// What the person may do.
    #[arg(long, value_parser = roles())]
    pub role: Role,
    /// A merchant that the person may see; may be given several times. Support without one sees all.
    #[arg(long, value_name = "NAME")]
    pub merchant: Vec<String>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UserNameArgs {
    /// The user's e-mail address.
    pub email: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

fn roles() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name)).try_map(|name| name.parse::<Role>())
}

pub fn algorithms() -> impl TypedValueParser<Value = Algorithm> {
    let values = Algorithm::ALL.map(|algorithm| match algorithm {
        Algorithm::Md5 => PossibleValue::new(algorithm.name()),
        Algorithm::Sha2 => PossibleValue::new(algorithm.name()).alias("sha2"),
        Algorithm::Sha3 => PossibleValue::new(algorithm.name()).alias("sha3"),
    });
    PossibleValuesParser::new(values).try_map(|name| name.parse::<Algorithm>())
}

/// The set of what was listed.
pub fn set(algorithms: &[Algorithm]) -> Algorithms {
    algorithms.iter().copied().collect()
}

fn listen(text: &str) -> Result<SocketAddr, String> {
    // The one name that everybody means the same by.
    let port = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    port.map(|port: u16| SocketAddr::from(([127, 0, 0, 1], port)))
        .or_else(|| text.parse().ok())
        .ok_or_else(|| "expected an address and a port, such as 127.0.0.1:3000, 0.0.0.0:3000 or [::1]:3000".to_owned())
}

/// A network, or one address.
pub fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let one_address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| one_address())
        .map_err(|_| "expected a network such as 10.0.0.0/8 or fd00::/8, or one address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Gateway, RetrySchedule};
    use clap::{CommandFactory as _, error::ErrorKind};

    fn parsed(line: &str) -> Command {
        Cli::try_parse_from(line.split(' ')).unwrap().command
    }

    fn error(line: &str) -> String {
        let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        error.to_string()
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_server_has_defaults_for_everything() {
        let Command::Serve(args) = parsed("quittance serve") else { panic!() };
        assert_eq!(args.listen.to_string(), "127.0.0.1:3000");
        assert_eq!(listen("localhost:81").unwrap().to_string(), "127.0.0.1:81");
        assert_eq!(args.database.database, "sqlite:data/quittance.db");
        assert!(!args.demo && args.allow_network.is_empty() && args.public_url.is_none());
        let line = "quittance serve --allow-network 127.0.0.0/8 --allow-network 10.1.2.3 --public-url https://ipn.example.com/ --trusted-proxy 10.0.0.1";
        let Command::Serve(args) = parsed(line) else { panic!() };
        assert_eq!(args.trusted_proxy, [network("10.0.0.1/32").unwrap()]);
        assert_eq!(args.allow_network, [network("127.0.0.0/8").unwrap(), network("10.1.2.3/32").unwrap()]);
        assert_eq!(args.public_url.unwrap().as_str(), "https://ipn.example.com");
    }

    #[test]
    fn a_url_signs_with_md5_unless_told_otherwise() {
        let Command::Url(UrlCommand::Add(args)) = parsed("quittance url add https://a.example/ --merchant A") else { panic!() };
        assert_eq!(set(&args.algorithms), Algorithms::MD5);
        assert!(!args.default && !args.concurrent && !args.order_in_order && !args.check);
        let line = "quittance url add https://a.example/ --merchant A --algorithms md5,sha2-256,sha3-256 --concurrent --default";
        let Command::Url(UrlCommand::Add(args)) = parsed(line) else { panic!() };
        assert_eq!(set(&args.algorithms), Algorithms::ALL);
        assert!(args.concurrent && args.default);
        assert_eq!((args.max_in_flight, args.rate, args.retries, args.shadow), (None, None, RetrySchedule::TwoCheckout, false));
        let line =
            "quittance url add https://a.example/ --merchant A --concurrent --max-in-flight 8 --rate 20 --retries 1m,5m --shadow";
        let Command::Url(UrlCommand::Add(args)) = parsed(line) else { panic!() };
        let retries = RetrySchedule::Own([60, 300].into());
        assert_eq!((args.max_in_flight, args.rate, args.retries, args.shadow), (Some(8), Some(20), retries, true));
    }

    #[test]
    fn a_listener_takes_every_algorithm_and_gateways_have_their_old_names() {
        let line = "quittance listener add --merchant A --gateway avangate --secret s";
        let Command::Listener(ListenerCommand::Add(args)) = parsed(line) else { panic!() };
        assert_eq!((args.gateway, set(&args.algorithms)), (Gateway::TwoCheckout, Algorithms::ALL));
    }

    #[test]
    fn what_is_typed_wrongly_names_the_flag_and_what_it_takes() {
        for (line, flag, allowed) in [
            (
                "quittance user add a@b.example --role boss --password-stdin",
                "--role",
                "[possible values: admin, merchant, support]",
            ),
            ("quittance user add a@b.example --role admin", "--password-stdin", "required"),
            ("quittance listener add --merchant A --gateway a_b --secret s", "--gateway", "such as 2checkout"),
            (
                "quittance url add https://a.example/ --merchant A --algorithms md5,sha1",
                "--algorithms",
                "[possible values: md5, sha2-256, sha3-256]",
            ),
            ("quittance url add https://a.example/ --merchant A --max-in-flight 8", "--concurrent", "required"),
            (
                "quittance url add https://a.example/ --merchant A --concurrent --max-in-flight 257",
                "--max-in-flight",
                "not in 1..=256",
            ),
            ("quittance url add https://a.example/ --merchant A --rate 0", "--rate", "not in 1..=1000"),
            ("quittance url add https://a.example/ --merchant A --retries 1s", "--retries", "at least 5 seconds"),
            ("quittance serve --listen 3000", "--listen", "such as 127.0.0.1:3000"),
            ("quittance serve --metrics 9464", "--metrics", "such as 127.0.0.1:3000"),
            ("quittance serve --allow-network 10.0.0.0/33", "--allow-network", "such as 10.0.0.0/8"),
            ("quittance serve --public-url ipn.example.com", "--public-url", "https://ipn.example.com"),
            ("quittance resend --merchant A", "--order", "required"),
            ("quittance recover --merchant A", "--since", "required"),
            ("quittance recover --merchant A --since yesterday", "--since", "such as 90m, 36h or 3d"),
            ("quittance recover --merchant A --since 2026-02-30", "--since", "such as 2026-11-20"),
            ("quittance bulk cancel u", "<ID>", "not an identifier"),
        ] {
            let text = error(line);
            assert!(text.contains(flag) && text.contains(allowed), "{line}: {text}");
        }
        let nothing = Cli::try_parse_from(["quittance"]).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand);
    }
}
