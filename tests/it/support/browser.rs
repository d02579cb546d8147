//! A browser without JavaScript: keeps cookies, sends forms; as a script it asks for data instead.

use super::{
    app::PASSWORD,
    gateway::{self, Reply},
};
use bytes::Bytes;
use http::{Request, request::Builder};
use http_body_util::Full;
use std::{collections::BTreeMap, net::SocketAddr};

/// A browser at one server.
#[derive(Clone)]
pub struct Browser {
    pub address: SocketAddr,
    pub cookies: BTreeMap<String, String>,
    /// Sent with every request.
    pub headers: Vec<(&'static str, String)>,
}

impl Browser {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, cookies: BTreeMap::new(), headers: Vec::new() }
    }

    /// A browser that is signed in.
    pub async fn signed_in(address: SocketAddr, email: &str) -> Self {
        let mut browser = Self::new(address);
        let reply = browser.sign_in(email, PASSWORD).await;
        assert!(browser.cookies.contains_key("quittance"), "{reply:?}");
        browser
    }

    pub async fn sign_in(&mut self, email: &str, password: &str) -> Reply {
        self.form("/rpc/sign-in", &[("email", email), ("password", password)]).await
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.send(Request::get(path).header("accept", "text/html"), String::new()).await
    }

    /// Sends a form as a page does.
    pub async fn form(&mut self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let request = Request::post(path).header("accept", "text/html,application/xhtml+xml");
        self.send(request.header("content-type", "application/x-www-form-urlencoded"), encoded(fields)).await
    }

    /// Calls a server function as an island does.
    pub async fn call(&mut self, method: &str, path: &str, fields: &[(&str, &str)]) -> Reply {
        let request = Request::builder().header("accept", "application/json");
        match method {
            "GET" => self.send(request.method("GET").uri(format!("{path}?{}", encoded(fields))), String::new()).await,
            _ => {
                let request = request.method("POST").uri(path).header("content-type", "application/x-www-form-urlencoded");
                self.send(request, encoded(fields)).await
            }
        }
    }

    /// Calls a server function that takes JSON.
    pub async fn call_json(&mut self, path: &str, body: &serde_json::Value) -> Reply {
        let request = Request::post(path).header("accept", "application/json").header("content-type", "application/json");
        self.send(request, body.to_string()).await
    }

    pub async fn send(&mut self, mut request: Builder, body: String) -> Reply {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            request = request.header("cookie", cookies.join("; "));
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let reply = gateway::send(self.address, request.body(Full::new(Bytes::from(body))).unwrap()).await;
        for line in reply.headers.get_all("set-cookie") {
            let (name, value) = line.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }
}

pub fn encoded(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
