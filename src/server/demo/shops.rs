//! The pretend shops: what merchants' scripts do, three of them.

use super::orders::Dice;
use crate::domain::{Algorithm, Algorithms, id::MerchantId};
use crate::server::{
    clock::Clock,
    ipn::{
        Form, ReceiptFacts,
        signature::{self, SignatureCheck},
    },
    service::wire_order::moment,
    store::{Store, random},
};
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpListener;

/// How long the slow one takes, in milliseconds.
const SLOW_MILLIS: (u64, u64) = (1_500, 4_000);

/// What a shop's script does. Told by the path, so that it is known again after a restart whatever its URL is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// Checks the signature and answers with a read receipt at once.
    Shop,
    /// The same, but works first and answers afterwards.
    Accounting,
    /// Says OK and knows nothing of receipts.
    Newsletter,
}

impl Script {
    pub const ALL: [Self; 3] = [Self::Shop, Self::Accounting, Self::Newsletter];

    pub const fn label(self) -> &'static str {
        match self {
            Self::Shop => "Shop",
            Self::Accounting => "Accounting",
            Self::Newsletter => "Newsletter",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Shop => "/shop/ipn",
            Self::Accounting => "/accounting/ipn",
            Self::Newsletter => "/newsletter/ipn",
        }
    }

    /// The script at a path.
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|script| script.path() == path)
    }

    /// The URL of the script on an address.
    pub fn url(self, address: SocketAddr) -> String {
        format!("http://{address}{}", self.path())
    }

    /// What its URL is signed with at first.
    pub const fn algorithms(self) -> Algorithms {
        match self {
            Self::Shop => Algorithms::NONE.with(Algorithm::Sha3),
            Self::Accounting => Algorithms::NONE.with(Algorithm::Md5).with(Algorithm::Sha2),
            Self::Newsletter => Algorithms::MD5,
        }
    }
}

/// One running shop.
#[derive(Clone)]
pub struct Shop {
    pub script: Script,
    pub merchant_id: MerchantId,
    /// For the secret key as it is now: whoever changes it in the panel wants to see deliveries go on.
    pub store: Store,
    pub clock: Clock,
}

impl Shop {
    /// Answers until the task is ended; gives its name should it end by itself.
    pub async fn serve(self, listener: TcpListener) -> &'static str {
        let name = self.script.label();
        let ready = || async { "Ready.\n" };
        let router = Router::new().route(self.script.path(), post(receive).get(ready)).with_state(self);
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, name, "a pretend shop broke");
        }
        name
    }

    fn answer(&self, body: &[u8]) -> Response {
        let html = |text: String| ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
        if self.script == Script::Newsletter {
            return html("OK".to_owned());
        }
        let Ok(form) = Form::parse(body) else { return StatusCode::BAD_REQUEST.into_response() };
        let settings = self.store.settings();
        let key = settings.merchant(self.merchant_id).map_or(&[][..], |merchant| merchant.secret_key.reveal());
        let signed = match signature::check(&form.fields, key) {
            SignatureCheck::Right(signed) => signed.strongest(),
            SignatureCheck::Missing | SignatureCheck::Wrong(_) => None,
        };
        let date = moment(self.clock.now(), "%Y%m%d%H%M%S");
        match signed {
            Some(algorithm) => html(ReceiptFacts::of(&form).receipt(algorithm, key, &date)),
            None => html("<EPAYMENT>Error. Cannot verify signature.</EPAYMENT>".to_owned()),
        }
    }
}

async fn receive(State(shop): State<Shop>, body: Bytes) -> Response {
    if shop.script == Script::Accounting {
        let millis = Dice::new(u64::from_le_bytes(random())).between(SLOW_MILLIS.0, SLOW_MILLIS.1);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    shop.answer(&body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_known_again_by_its_url() {
        for script in Script::ALL {
            let url = script.url(([127, 0, 0, 1], 4_711).into());
            let target = crate::server::dispatch::client::Target::parse(&url).unwrap();
            assert_eq!((Script::at(&target.path), target.port), (Some(script), 4_711));
            assert!(!script.algorithms().is_empty());
        }
        assert_eq!(Script::at("/"), None);
    }
}
