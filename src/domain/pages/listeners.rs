//! Listeners: what came in, what was refused and why.

use super::dashboard::MerchantRef;
use crate::domain::{
    Algorithms, Gateway, OrderStatus, RefusalReason, Timestamp,
    id::{ListenerId, NotificationId, OrderId, RefusalId},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor},
};
use std::{collections::BTreeMap, fmt};

/// A listener as a line of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerRow {
    pub id: ListenerId,
    pub label: String,
    pub gateway: Gateway,
    /// Its name for people.
    pub gateway_label: String,
    /// `/ipn/{key}`
    pub path: String,
    pub required: Algorithms,
    pub enabled: bool,
    pub last_received_at: Option<Timestamp>,
    pub last_refused_at: Option<Timestamp>,
    /// What a save names as the version that it was made from.
    pub version: i64,
}

/// A merchant's listeners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerList {
    pub merchant: MerchantRef,
    pub rows: Vec<ListenerRow>,
    /// What the address begins with, as the gateway reaches us: `https://ipn.example.com`.
    pub base: String,
    pub may_change: bool,
}

/// One listener with what it received last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerPage {
    pub merchant: MerchantRef,
    pub listener: ListenerRow,
    pub gateway: GatewayForm,
    pub guide: GatewayGuide,
    pub base: String,
    pub received: Vec<ReceivedRow>,
    pub refused: Vec<RefusalRow>,
    pub may_change: bool,
}

/// A gateway to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayChoice {
    pub gateway: Gateway,
    pub label: String,
    /// What it stands under.
    pub group: String,
    /// What people may look for besides.
    pub aliases: Vec<String>,
}

impl GatewayChoice {
    /// Whether somebody who looks for this may mean it.
    pub fn fits(&self, text: &str) -> bool {
        let text = text.trim().to_lowercase();
        let has = |own: &str| own.to_lowercase().contains(&text);
        text.is_empty()
            || has(&self.label)
            || has(self.gateway.name())
            || has(&self.group)
            || self.aliases.iter().any(|one| has(one))
    }
}

/// What a listener of a gateway is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayForm {
    pub gateway: Gateway,
    pub label: String,
    /// The gateway has a secret; else messages are proved by asking it.
    pub has_secret: bool,
    pub secret_label: String,
    pub secret_hint: String,
    pub options: Vec<GatewayAsk>,
    /// It signs with 2Checkout's algorithms, of which some may be required.
    pub has_algorithms: bool,
}

/// Something that a gateway needs beside the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayAsk {
    pub name: String,
    pub label: String,
    pub hint: String,
    pub secret: bool,
    pub required: bool,
    /// What is stored; of a secret nothing.
    pub value: String,
    /// Something is stored.
    pub is_set: bool,
    /// A text of several lines.
    pub long: bool,
    /// It is about who may post, whatever the gateway.
    pub access: bool,
}

/// The name of the box that has something stored removed.
pub fn removal(name: &str) -> String {
    format!("remove:{name}")
}

/// What such a box has removed.
pub fn removed(name: &str) -> Option<&str> {
    name.strip_prefix("remove:")
}

/// What was entered beside the secret, by name. A form without such fields sends nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct EnteredOptions(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for EnteredOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = BTreeMap<String, String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry()? {
                    fields.insert(name, value);
                }
                Ok(fields)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text.is_empty() { Ok(BTreeMap::new()) } else { Err(E::invalid_type(de::Unexpected::Str(text), &self)) }
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(BTreeMap::new())
            }
        }
        deserializer.deserialize_any(Fields).map(Self)
    }
}

/// What to enter where at a gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayGuide {
    pub steps: Vec<String>,
    /// What proves a message.
    pub proof: String,
    pub retries: String,
    pub addresses: Vec<String>,
    pub sources: Vec<String>,
    pub unconfirmed: Vec<String>,
}

/// What the page of a new listener shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewListener {
    /// All there are, by group and name.
    pub choices: Vec<GatewayChoice>,
    /// The one that was chosen.
    pub chosen: Option<GatewayForm>,
}

/// An accepted message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedRow {
    pub id: NotificationId,
    pub order_id: OrderId,
    pub reference: String,
    pub status: OrderStatus,
    pub vendor_status: String,
    pub signatures: Algorithms,
    pub test: bool,
    pub received_at: Timestamp,
    pub repeats: u32,
}

/// A refused message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRow {
    pub id: RefusalId,
    pub at: Timestamp,
    pub reason: RefusalReason,
    pub detail: String,
    pub peer: String,
    /// Bytes of the body, as far as it was read.
    pub size: u64,
    /// How many like it were not kept before it.
    pub suppressed: u32,
}

/// A refused message, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalPage {
    pub merchant: MerchantRef,
    pub listener: ListenerRow,
    pub refusal: RefusalRow,
    pub head: String,
    /// The beginning of the body.
    pub body: String,
    pub fields: Vec<(String, String)>,
}
