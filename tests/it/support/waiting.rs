//! Messages that wait for their gateway's word.

use super::app::{Shop, listener_form};
use bytes::Bytes;
use quittance::{
    domain::pages::inbound::{InboundFilter, Outcome},
    server::{
        service::listeners::ListenerForm,
        store::{Listener, NewVerifying},
    },
};
use std::{sync::Arc, time::Duration};

impl Shop {
    /// A listener whose gateway is asked about each message.
    pub async fn asking(&self) -> Arc<Listener> {
        let form = ListenerForm {
            gateway: "paypal".parse().unwrap(),
            secret: String::new(),
            options: [("receiver".to_owned(), "me@example.com".to_owned())].into(),
            ..listener_form()
        };
        self.services.add_listener(&self.merchant, &form, "test").await.unwrap()
    }

    /// Keeps a message that waits there, and is not asked about before tomorrow; gives its place.
    pub async fn wait_at(&self, listener: &Listener, reference: &str, head: &str, body: impl Into<Bytes>) -> String {
        let new = NewVerifying {
            merchant_id: self.merchant.id,
            listener_id: listener.id,
            received_at: self.services.clock.now().plus(Duration::from_secs(86_400)),
            reference: reference.to_owned(),
            peer: "127.0.0.1".to_owned(),
            head: format!("{head}\r\n"),
            body: body.into(),
        };
        self.services.store.add_verifying(new).await.unwrap();
        let filter = InboundFilter { outcome: Some(Outcome::Verifying), ..InboundFilter::default() };
        let found = self.services.find_inbound(&self.merchant, &filter).await.unwrap();
        found.rows[0].place().to_string()
    }
}
