//! The accept loop: HTTP/1.1 connections with limits on how many there are and how long a request head may take,
//! and an orderly end. Where all places are taken, connections over which nothing has come make room for new ones.

use super::silent::Silent;
use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{HttpService, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tower::ServiceExt as _;

/// Connections served at a time, at most; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 20_000;
/// With fewer a handful of slow senders is felt, and the log says so at the start.
const FEW_CONNECTIONS: usize = 2_000;
/// Files that stay free for the database and for connections that are kept for the next delivery.
const OTHER_FILES: u64 = 1_048;
/// A request head must have arrived within this time; also how long an idle connection is kept.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long requests that are being served may take to finish when the server ends.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Serves until `end` is ready, then finishes what is being served. So many files stay free for deliveries that are on their way.
pub async fn serve(listener: TcpListener, app: Router, deliveries: usize, end: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(max_connections(deliveries)));
    let silent = Silent::default();
    let graceful = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(64 << 10).half_close(false);
    tokio::pin!(end);
    loop {
        let accepted = async {
            let accepted = listener.accept().await;
            // Somebody is there who may have something to say.
            let place = match places.clone().try_acquire_owned() {
                Ok(place) => Ok(place),
                Err(_) => {
                    silent.make_room();
                    places.clone().acquire_owned().await
                }
            };
            (accepted, place)
        };
        let ((stream, peer), place) = tokio::select! {
            () = &mut end => break,
            (accepted, place) = accepted => match accepted {
                Ok(accepted) => (accepted, place),
                Err(error) => {
                    // Out of file descriptors, or a connection that broke before it was accepted.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let waiting = silent.add();
        let has_spoken = waiting.clone();
        let connection = graceful.watch(connection(&server, stream, peer, app.clone(), move || has_spoken.speaks()));
        tokio::spawn(async move {
            tokio::select! {
                // A connection that breaks is the peer's business.
                _ = connection => {}
                () = waiting.told_to_go() => {}
            }
            drop((waiting, place));
        });
    }
    drop(listener);
    if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections were still busy at the end and were cut off");
    }
}

/// So many files the process may open: as many as there are uses for, beside so many deliveries at once, or as many as it gets.
/// The usual limit of a shell is far below the one that is allowed.
pub fn files(deliveries: usize) -> u64 {
    rlimit::increase_nofile_limit(MAX_CONNECTIONS as u64 + OTHER_FILES + deliveries as u64).unwrap_or(1_024)
}

/// How many of the wished deliveries may be on their way at a time with so many files, so that enough are left for senders.
pub fn deliveries_within(files: u64, wished: usize) -> usize {
    let most = files.saturating_sub(OTHER_FILES + FEW_CONNECTIONS as u64).max(files / 4).max(1);
    wished.min(usize::try_from(most).unwrap_or(usize::MAX))
}

/// As many connections as the process may have open beside everything else.
fn max_connections(deliveries: usize) -> usize {
    let (files, others) = (files(deliveries), OTHER_FILES + deliveries as u64);
    let places = usize::try_from(files.saturating_sub(others).max(files / 2)).unwrap_or(MAX_CONNECTIONS);
    let places = places.min(MAX_CONNECTIONS);
    if places < FEW_CONNECTIONS {
        tracing::warn!(
            files,
            connections = places,
            "this process may open few files, so that few senders are served at a time; allow it {} \
             (`ulimit -n` in a shell, LimitNOFILE= of a systemd unit)",
            MAX_CONNECTIONS as u64 + others
        );
    }
    places
}

/// One connection; `speaks` is called for each request. Small answers must not wait in the socket for more to come.
fn connection<S: Fn() + Send>(
    server: &http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    speaks: S,
) -> http1::Connection<TokioIo<TcpStream>, impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> + use<S>>
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        speaks();
        request.extensions_mut().insert(ConnectInfo(peer));
        app.clone().oneshot(request)
    });
    server.serve_connection(TokioIo::new(stream), service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_files_are_few_deliveries_leave_most_of_them_to_senders() {
        let within = |files| [1_000, 20_000].map(|wished| deliveries_within(files, wished));
        assert_eq!(within(150), [37, 37]);
        assert_eq!(within(1_024), [256, 256]);
        assert_eq!(within(4_096), [1_000, 1_048]);
        assert_eq!(within(41_048), [1_000, 20_000]);
    }
}
