//! `quittance serve`: the server from its first line to its orderly end.

use super::{CliError, args::ServeArgs, end, print};
use crate::server::{
    app::App,
    clock::Clock,
    demo::{self, Demo, Prepared},
    dispatch::Places,
    mail::MailServer,
    settings::{Keep, Settings},
    store::{Address, StoreError},
};
use std::{io::ErrorKind, net::SocketAddr, process::ExitCode, thread::available_parallelism};
use tokio::{net::TcpListener, runtime::Builder};

/// Fewer would let one page that renders long hold up everything else.
const FEWEST_WORKERS: usize = 2;
/// Exit code of a program that a second signal ended.
const CUT_SHORT: i32 = 130;

/// Serves until a signal comes.
pub fn run(args: ServeArgs) -> Result<ExitCode, CliError> {
    let workers = available_parallelism().map_or(FEWEST_WORKERS, |cores| cores.get().max(FEWEST_WORKERS));
    let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build().map_err(CliError::Runtime)?;
    let served = runtime.block_on(serve(args));
    end(runtime);
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(args: ServeArgs) -> Result<(), CliError> {
    let mut signals = Signals::new().map_err(CliError::Runtime)?;
    let address = args.database.address();
    let listener = bind(args.listen, "--listen").await?;
    let metrics = match args.metrics {
        Some(address) => Some(bind(address, "--metrics").await?),
        None => None,
    };
    // What is cut off here is what a crash cuts off: the next start goes on from it.
    let (mut app, demo) = tokio::select! {
        started = start(&args, &address, listener) => started?,
        () = signals.next() => return Ok(()),
    };
    let metrics = metrics.map(|listener| app.serve_metrics(listener)).transpose().map_err(CliError::Runtime)?;
    if let Err(error) = print(&banner(&args, &app, &address, metrics, demo.as_ref()).await) {
        tracing::warn!(%error, "the address of the panel could not be printed");
    }
    tracing::info!(address = %app.address, database = %address, "serving");
    tokio::select! {
        () = signals.next() => {}
        // Nothing is lost by it: the next start goes on from the database.
        part = app.part_ended() => return Err(CliError::PartEnded(part)),
    }
    tracing::info!("stopping: finishing what is under way; a second signal ends at once");
    tokio::select! {
        () = stop(app, demo) => tracing::info!("stopped"),
        () = signals.next() => {
            tracing::warn!("ended at once");
            std::process::exit(CUT_SHORT);
        }
    }
    Ok(())
}

async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|reason| match reason.kind() {
        ErrorKind::AddrInUse => CliError::InUse { address, flag },
        _ => CliError::Listen { address, flag, reason },
    })
}

async fn start(args: &ServeArgs, address: &Address, listener: TcpListener) -> Result<(App, Option<Demo>), CliError> {
    let mut networks = args.allow_network.clone();
    let prepared = if args.demo { Some(prepare_demo(args, address).await?) } else { None };
    if prepared.is_some() {
        networks.push(demo::NETWORK);
    }
    let settings = Settings {
        database: address.clone(),
        key_file: args.database.key_file.clone(),
        networks,
        trusted_proxies: args.trusted_proxy.clone(),
        public_url: args.public_url.clone(),
        gateways: args.gateways.folder.clone(),
        mail: mail_server(args)?,
        keep: Keep { bytes: args.keep_bytes, ledger: args.keep_ledger },
        places: Places::of(args.requests_at_once),
        clock: Clock::system(),
    };
    let app = App::start(settings, listener).await?;
    let demo = prepared.map(|prepared| prepared.start(&app));
    Ok((app, demo))
}

/// The mail server, where there is one. Its address is read here, because an error of the parser of arguments would show it,
/// with the password.
fn mail_server(args: &ServeArgs) -> Result<Option<MailServer>, CliError> {
    let Some((url, from)) = args.smtp_url.as_ref().zip(args.mail_from.clone()) else { return Ok(None) };
    Ok(Some(MailServer { url: url.parse().map_err(CliError::SmtpUrl)?, from }))
}

/// Fills the database before the server opens it, so that a database which is not the demonstration's stays untouched.
async fn prepare_demo(args: &ServeArgs, address: &Address) -> Result<Prepared, CliError> {
    let services = args.database.open(true).await?;
    let prepared = match services.store.is_served().await {
        Ok(true) => Err(StoreError::Locked(address.to_string()).into()),
        Ok(false) => demo::prepare(&services, address).await,
        Err(error) => Err(error.into()),
    };
    services.store.close().await;
    Ok(prepared?)
}

async fn stop(app: App, demo: Option<Demo>) {
    let Some(demo) = demo else { return app.stop().await };
    // First nothing new comes in; the shops answer until the last delivery is through.
    let shops = demo.stop_gateway().await;
    app.stop().await;
    shops.stop().await;
}

/// What a newcomer needs to see. Gateways are served already: a database that is away just now takes the link, and no more.
async fn banner(args: &ServeArgs, app: &App, address: &Address, metrics: Option<SocketAddr>, demo: Option<&Demo>) -> String {
    let base = &app.services.base;
    let mut text = format!("Quittance is running.\n\n  Panel      {base}/\n  Database   {address}\n");
    if app.address.ip().is_unspecified() && args.public_url.is_none() {
        text.push_str("             (say with --public-url how browsers and gateways reach it, so that links are right)\n");
    }
    if let Some(metrics) = metrics {
        text.push_str(&format!("  Metrics    http://{metrics}/metrics\n"));
    }
    match app.first_run_link().await {
        Ok(None) => {}
        Ok(Some(link)) => text.push_str(&format!(
            "  First run  {link}\n             (creates the first administrator; the next start makes a new link)\n"
        )),
        Err(error) => {
            tracing::warn!(%error, "whether there is an administrator could not be read; the next start makes a link where there is none");
        }
    }
    if let Some(demo) = demo {
        text.push_str(&demo.banner(base));
    }
    text.push_str("\nCtrl+C stops it.\n");
    text
}

/// The signals that ask the program to end.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    #[cfg(not(unix))]
    fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the next one.
    #[cfg(unix)]
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::cli::args::{Cli, Command};
    use clap::Parser as _;

    #[tokio::test]
    async fn a_database_that_goes_away_while_the_server_says_that_it_is_there_does_not_end_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("q.db").display());
        let Command::Serve(args) =
            Cli::parse_from(["quittance", "serve", "--listen", "127.0.0.1:0", "--database", &database]).command
        else {
            panic!("another command")
        };
        let listener = bind(args.listen, "--listen").await.unwrap();
        let (app, demo) = start(&args, &args.database.address(), listener).await.unwrap();
        let address = args.database.address();
        assert!(banner(&args, &app, &address, None, None).await.contains("First run  http"));
        app.services.store.close().await;
        let text = banner(&args, &app, &address, None, None).await;
        assert!(text.contains("Quittance is running.") && !text.contains("First run"), "{text}");
        stop(app, demo).await;
    }
}
