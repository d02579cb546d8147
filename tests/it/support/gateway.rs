//! Posts messages as a gateway does, and as a broken one does.

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use std::{error::Error, net::SocketAddr};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Whether the body holds anything that a gateway could take for a receipt.
    pub fn has_receipt(&self) -> bool {
        let text = self.text().to_lowercase();
        text.contains("<epayment") || text.contains("<sig")
    }
}

/// Sends a request over a connection of its own and reads the whole answer.
pub async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Reply {
    try_send(address, request).await.unwrap()
}

/// The same, where the server may go away meanwhile.
pub async fn try_send(address: SocketAddr, mut request: Request<Full<Bytes>>) -> Result<Reply, Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    request.headers_mut().entry("host").or_insert(address.to_string().parse()?);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes().to_vec();
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body })
}

/// Posts a form.
pub async fn post(address: SocketAddr, path: &str, body: impl Into<Vec<u8>>) -> Reply {
    send(address, form(path, body)).await
}

/// A form on its way.
pub fn form(path: &str, body: impl Into<Vec<u8>>) -> Request<Full<Bytes>> {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    request.body(Full::new(body.into().into())).unwrap()
}

pub async fn get(address: SocketAddr, path: &str) -> Reply {
    send(address, Request::get(path).body(Full::default()).unwrap()).await
}

/// Writes bytes and reads whatever comes back until the server closes the connection.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut read = Vec::new();
    let _ = stream.read_to_end(&mut read).await;
    String::from_utf8_lossy(&read).into_owned()
}
