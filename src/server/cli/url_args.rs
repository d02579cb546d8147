//! What may be typed about notification URLs.

use super::args::{DatabaseArgs, OutputArgs, algorithms, network};
use crate::domain::{
    Algorithm, Format, RetrySchedule,
    id::UrlId,
    terms::{MAX_IN_FLIGHT, MAX_RATE, MAX_TIMEOUT},
};
use clap::Args;
use ipnet::IpNet;
use std::path::PathBuf;

#[derive(Debug, Clone, Args)]
pub struct UrlAddArgs {
    /// The address of the script that receives notifications.
    pub url: String,
    /// The merchant: its name, or its name in addresses.
    #[arg(long, value_name = "NAME")]
    pub merchant: String,
    /// A name for lists [default: the URL's host, and more of it where that is taken]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub label: String,
    /// Make it the merchant's default IPN URL; the present one stays as an additional URL.
    #[arg(long)]
    pub default: bool,
    /// In which form messages leave: ipn (the 2Checkout form, confirmed by a read receipt), json (signed by Standard Webhooks,
    /// confirmed by any 2xx) or pass-through (as they came, confirmed by any 2xx or a receipt).
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub format: Format,
    /// The algorithms that sign what is delivered in the 2Checkout form.
    #[arg(long, value_delimiter = ',', default_value = "md5", value_parser = algorithms())]
    pub algorithms: Vec<Algorithm>,
    /// Allow many requests at a time.
    #[arg(long)]
    pub concurrent: bool,
    /// Let a later notification of an order wait until the earlier one is confirmed.
    #[arg(long)]
    pub order_in_order: bool,
    /// With --concurrent: at most so many requests at a time, 1 to 256 [default: 64]
    #[arg(long, value_name = "NUMBER", requires = "concurrent", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_IN_FLIGHT)))]
    pub max_in_flight: Option<u16>,
    /// At most so many requests a second, 1 to 1000 [default: as many as there are]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_RATE)))]
    pub rate: Option<u16>,
    /// When what failed is tried again: 2checkout, standard-webhooks, paypal, stripe, or a list of delays such as 1m,5m,1h,6h.
    #[arg(long, value_name = "SCHEDULE", default_value_t)]
    pub retries: RetrySchedule,
    /// Send copies whose failures count nowhere.
    #[arg(long)]
    pub shadow: bool,
    /// Trust the certificates in this file (PEM) at this URL, beside the public ones.
    #[arg(long, value_name = "PATH")]
    pub ca_file: Option<PathBuf>,
    /// Send only these statuses, such as COMPLETE,REFUND; otherwise those of the merchant.
    #[arg(long, value_name = "STATUSES")]
    pub triggers: Option<String>,
    /// Seconds that the script has to answer; otherwise 30.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_TIMEOUT)))]
    pub timeout: Option<u16>,
    /// Ask the URL with GET first, and add it only where it answers 200.
    #[arg(long)]
    pub check: bool,
    /// With --check: this network may be asked although it is private, local or reserved.
    #[arg(
        long,
        env = "QUITTANCE_ALLOW_NETWORK",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = network
    )]
    pub allow_network: Vec<IpNet>,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct UrlSecretArgs {
    /// The id of the URL, as `quittance url list` shows it.
    pub id: UrlId,
    /// The merchant: its name, or its name in addresses.
    #[arg(long, value_name = "NAME")]
    pub merchant: String,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}
