//! The accept loop: HTTP/1.1 connections with limits on how many there are and how long a request head may take,
//! and an orderly end.

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
/// Files that stay free for the database and for deliveries, whose attempts have a limit of their own.
const OTHER_FILES: u64 = 2_048;
/// A request head must have arrived within this time; also how long an idle connection is kept.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long requests that are being served may take to finish when the server ends.
const LAST_REQUESTS: Duration = Duration::from_secs(5);

/// Serves until `end` is ready, then finishes what is being served.
pub async fn serve(listener: TcpListener, app: Router, end: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(max_connections()));
    let graceful = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(64 << 10).half_close(false);
    tokio::pin!(end);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await;
            (listener.accept().await, place)
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
        let connection = graceful.watch(connection(&server, stream, peer, app.clone()));
        tokio::spawn(async move {
            // A connection that breaks is the peer's business.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(LAST_REQUESTS, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections were still busy at the end and were cut off");
    }
}

/// As many connections as the process may have open beside everything else. Asks for more files first: the usual limit
/// of a shell is far below the one that is allowed.
fn max_connections() -> usize {
    let files = rlimit::increase_nofile_limit(MAX_CONNECTIONS as u64 + OTHER_FILES).unwrap_or(1_024);
    let places = usize::try_from(files.saturating_sub(OTHER_FILES).max(files / 2)).unwrap_or(MAX_CONNECTIONS);
    places.min(MAX_CONNECTIONS)
}

/// One connection. Small answers must not wait in the socket for more to come.
fn connection(
    server: &http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
) -> http1::Connection<TokioIo<TcpStream>, impl HttpService<Incoming, ResBody = Body, Error = Infallible, Future: Send> + use<>> {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        app.clone().oneshot(request)
    });
    server.serve_connection(TokioIo::new(stream), service)
}
