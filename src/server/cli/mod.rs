//! The command line: what `quittance …` takes, does, and prints.
//!
//! `args` and the files that end so are what may be typed; each other file does one command or a family of them and gives a `Report`; `serve`
//! runs the server. Commands work beside a running server, which sees what they wrote within a second, and without one.
//! Exit codes: 0 done, 1 failed (with `error: …` on standard error), 2 typed wrongly.
//!
//! May import: demo, app, service, dispatch (its client), gateway, auth, settings, store, domain. Must not live here: what a
//! command means (service), how it is stored (store).

mod args;
mod backup;
mod bulk;
mod copy;
mod doctor;
mod error;
mod gateway_args;
mod gateways;
mod listeners;
mod merchants;
mod report;
mod resend;
mod resend_args;
mod serve;
mod simulate;
mod since;
mod tool;
mod url_args;
mod urls;
mod users;

pub use error::CliError;

use self::{
    args::{BulkCommand, Cli, Command, ListenerCommand, MerchantCommand, UrlCommand, UserCommand},
    gateway_args::GatewayCommand,
    report::Report,
};
use crate::server::telemetry;
use clap::Parser as _;
use std::{
    io::{ErrorKind, Write as _},
    process::ExitCode,
};
use tokio::runtime::{Builder, Runtime};

/// Runs what was typed.
pub fn run() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Serve(args) => {
            telemetry::start(true, args.log_json);
            serve::run(args)
        }
        command => {
            telemetry::start(false, false);
            tool(command)
        }
    };
    match done {
        Ok(code) => code,
        // Whoever read our output has had enough of it.
        Err(CliError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to be told if this fails.
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command that ends by itself.
fn tool(command: Command) -> Result<ExitCode, CliError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    let (report, json) = runtime.block_on(async {
        Ok::<(Report, bool), CliError>(match command {
            Command::Merchant(MerchantCommand::Add(args)) => (merchants::add(&args).await?, args.output.json),
            Command::Merchant(MerchantCommand::List(args)) => (merchants::list(&args).await?, args.output.json),
            Command::Listener(ListenerCommand::Add(args)) => (listeners::add(&args).await?, args.output.json),
            Command::Listener(ListenerCommand::Change(args)) => (listeners::change(&args).await?, args.output.json),
            Command::Listener(ListenerCommand::List(args)) => (listeners::list(&args).await?, args.output.json),
            Command::Gateway(GatewayCommand::List(args)) => (gateways::list(&args)?, args.output.json),
            Command::Url(UrlCommand::Add(args)) => (urls::add(&args).await?, args.output.json),
            Command::Url(UrlCommand::List(args)) => (urls::list(&args).await?, args.output.json),
            Command::Url(UrlCommand::Secret(args)) => (urls::secret(&args).await?, args.output.json),
            Command::User(UserCommand::Add(args)) => (users::add(&args).await?, args.output.json),
            Command::User(UserCommand::List(args)) => (users::list(&args).await?, args.output.json),
            Command::User(UserCommand::Invite(args)) => (users::invite(&args).await?, args.output.json),
            Command::User(UserCommand::Disable(args)) => (users::set_disabled(&args, true).await?, args.output.json),
            Command::User(UserCommand::Enable(args)) => (users::set_disabled(&args, false).await?, args.output.json),
            Command::Simulate(args) => (simulate::run(&args).await?, args.output.json),
            Command::Resend(args) => (resend::run(&args).await?, args.output.json),
            Command::Recover(args) => (bulk::recover(&args).await?, args.output.json),
            Command::Cancel(args) => (bulk::give_up(&args).await?, args.output.json),
            Command::Bulk(BulkCommand::List(args)) => (bulk::list(&args).await?, args.output.json),
            Command::Bulk(BulkCommand::Cancel(args)) => (bulk::cancel(&args).await?, args.output.json),
            Command::Doctor(args) => (doctor::run(&args).await?, args.output.json),
            Command::Backup(args) => (backup::run(&args).await?, args.output.json),
            Command::Copy(args) => (copy::run(&args).await?, args.output.json),
            Command::Serve(_) => (Report::default(), false),
        })
    })?;
    end(runtime);
    print(&if json { format!("{}\n", report.json) } else { report.text })?;
    let Some(failed) = report.failed else { return Ok(ExitCode::SUCCESS) };
    let _ = writeln!(std::io::stderr(), "error: {failed}");
    Ok(ExitCode::FAILURE)
}

/// Ends a runtime without waiting for work that nobody wants any more.
fn end(runtime: Runtime) {
    runtime.shutdown_background();
}

/// Writes to standard output.
fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Output)
}
