//! What may be typed about resending, of one order or in bulk, and about cancelling.

use super::{
    args::{DatabaseArgs, OutputArgs},
    since::Since,
};
use crate::domain::{Cause, Timestamp, id::BulkId, pages::deliveries::StateFilter, time::parse_moment};
use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

/// Which address of a URL a resend goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Whither {
    /// As the URL is set now.
    Now,
    /// As it was set then; a URL whose address is the same gets it there.
    Then,
}

#[derive(Debug, Clone, Args)]
pub struct ResendArgs {
    /// The merchant: its name, or its name in addresses.
    #[arg(long, value_name = "NAME")]
    pub merchant: String,
    /// The order's reference or external reference.
    #[arg(long, value_name = "REF")]
    pub order: String,
    /// Only to this notification URL: its id, its name or its address [default: all of the merchant]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Where a URL's address was changed since: send to its address of now, or to the one that this notification last went to
    #[arg(long, value_enum, value_name = "ADDRESS", default_value_t = Whither::Now)]
    pub to: Whither,
    /// Try once, wait for it, and print what was sent and answered.
    ///
    /// Needs a running server; where none runs, nothing is stored. The exit code tells whether it was tried, not whether it was
    /// confirmed: read that from the output.
    #[arg(long)]
    pub debug: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct RecoverArgs {
    /// The merchant: its name, or its name in addresses.
    #[arg(long, value_name = "NAME")]
    pub merchant: String,
    /// What ended since then: a moment in UTC such as 2026-11-20 or 2026-11-20T14:30, or a span until now such as 90m, 36h, 3d.
    #[arg(long, value_name = "TIME|DURATION", value_parser = Since::read)]
    pub since: Since,
    /// Only what went to this notification URL: its id, its name or its address [default: all of the merchant]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Send to all URLs that the merchant has now, and not to the URL that each went to.
    #[arg(long)]
    pub to_all: bool,
    /// Count what would be sent, and store nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct CancelArgs {
    /// The merchant: its name, or its name in addresses.
    #[arg(long, value_name = "NAME")]
    pub merchant: String,
    /// Only those in this state [default: all three; then a URL or a day must be named]
    #[arg(long, value_parser = outstanding())]
    pub state: Option<StateFilter>,
    /// Only to this notification URL: its id, its name or its address [default: all of the merchant]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Only those whose last attempt failed for this cause, such as server-error.
    #[arg(long, value_parser = causes())]
    pub cause: Option<Cause>,
    /// Only those made on this day or later, in the merchant's time zone: 2026-11-20.
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub from: Option<Timestamp>,
    /// Only those made on this day or before.
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub until: Option<Timestamp>,
    /// Only those of orders whose reference or external reference begins like this.
    #[arg(long, value_name = "REF")]
    pub order: Option<String>,
    /// Count what would be cancelled, and store nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Args)]
pub struct BulkCancelArgs {
    /// The id that `quittance recover`, `quittance cancel` or `quittance bulk list` prints.
    pub id: BulkId,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

fn outstanding() -> impl TypedValueParser<Value = StateFilter> {
    let states = [StateFilter::Queued, StateFilter::Retrying, StateFilter::Held];
    PossibleValuesParser::new(states.map(StateFilter::code))
        .try_map(|code| StateFilter::from_code(&code).ok_or("there is no such state"))
}

fn causes() -> impl TypedValueParser<Value = Cause> {
    PossibleValuesParser::new(Cause::ALL.iter().map(|cause| cause.code()))
        .try_map(|code| Cause::from_code(&code).ok_or("there is no such cause"))
}

/// A day, as its midnight.
fn day(text: &str) -> Result<Timestamp, String> {
    parse_moment(text).filter(|_| text.len() == "2026-11-20".len()).ok_or_else(|| "expected a day such as 2026-11-20".to_owned())
}
