//! What is promised: the events of one commit, and the bytes they tell of.
//!
//! A commit that answers gateways must be small, because everybody waits for it. So it holds two rows: the events (as
//! packed JSON, in `journal`) and the bytes (many messages together, in `segment`). The ledger with its indexes, a
//! dozen pages for every message, follows in transactions of its own that nobody waits for. A crash in between loses
//! nothing: the journal is applied at the next start.

use crate::domain::{
    Algorithms, Cause, Gateway, Timestamp,
    id::{DeliveryId, ListenerId, MerchantId, NotificationId, OrderId, UrlId},
    order::OrderFacts,
};
use crate::server::store::{
    AttemptRecord, NewNotification, StoreError,
    pack::{pack, unpack},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::SqliteConnection;

/// Unpacked bytes in one segment. Larger segments pack better; reading one message unpacks its whole segment.
const SEGMENT_BYTES: usize = 256 << 10;
/// Length of the digest that tells identical messages.
const DIGEST_BYTES: usize = 16;

/// The first bytes of SHA-256 over a received body.
pub(super) type Digest = [u8; DIGEST_BYTES];

/// What makes a message unique: where it came in, the time it names, its bytes.
pub(super) type MessageKey = (ListenerId, i64, Digest);

/// A notification with what can be computed before it queues.
pub(in crate::server::store) struct PreparedAccept {
    pub new: NewNotification,
    pub id: NotificationId,
    pub digest: Digest,
}

impl PreparedAccept {
    pub fn new(new: NewNotification, id: NotificationId) -> Self {
        let mut digest = Digest::default();
        digest.copy_from_slice(&Sha256::digest(&new.body)[..DIGEST_BYTES]);
        Self { new, id, digest }
    }

    /// `None` for a TEST order placed by a person: each is new.
    pub fn key(&self) -> Option<MessageKey> {
        Some((self.new.listener_id?, said_at(&self.new.facts), self.digest))
    }
}

/// What the message itself says of its time, or 0. Never the time of arrival: it is part of what makes it unique.
pub(super) fn said_at(facts: &OrderFacts) -> i64 {
    facts.event_at.map_or(0, Timestamp::micros)
}

/// Where bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub segment: i64,
    /// Number of the first part.
    pub part: u32,
}

/// One thing that happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Event {
    Accepted(Accepted),
    Repeated(Repeated),
    Attempted(Attempted),
}

/// A notification was accepted and fanned out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Accepted {
    pub id: NotificationId,
    pub order_id: OrderId,
    pub merchant_id: MerchantId,
    pub listener_id: Option<ListenerId>,
    pub gateway: Gateway,
    pub received_at: Timestamp,
    #[serde(with = "hex")]
    pub digest: Digest,
    pub signatures: Algorithms,
    pub peer: String,
    pub size: usize,
    pub facts: OrderFacts,
    /// Delivery, URL, whether the URL was on hold.
    pub deliveries: Vec<(DeliveryId, UrlId, bool)>,
    pub node: Option<i64>,
    pub place: Place,
}

impl Accepted {
    pub fn key(&self) -> Option<MessageKey> {
        Some((self.listener_id?, said_at(&self.facts), self.digest))
    }
}

/// The identical message came again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Repeated {
    pub id: NotificationId,
    pub merchant_id: MerchantId,
    pub at: Timestamp,
}

/// An attempt has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Attempted {
    pub delivery_id: DeliveryId,
    pub merchant_id: MerchantId,
    pub order_id: OrderId,
    pub url_id: UrlId,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    pub window_from: Timestamp,
    pub address: Option<String>,
    pub status: Option<u16>,
    pub cause: Option<Cause>,
    pub detail: String,
    pub timings: String,
    pub next: crate::server::store::Next,
    pub place: Place,
}

/// One commit under construction.
pub(super) struct Draft {
    pub journal_id: i64,
    pub events: Vec<Event>,
    segments: Vec<(i64, Vec<u8>)>,
    open_segment: i64,
    parts: Vec<Bytes>,
    open_bytes: usize,
}

impl Draft {
    /// A commit with this id; its segments take the ids that `next_id` gives.
    pub fn new(journal_id: i64) -> Self {
        Self { journal_id, events: Vec::new(), segments: Vec::new(), open_segment: journal_id, parts: Vec::new(), open_bytes: 0 }
    }

    /// Puts parts into a segment that are read together.
    fn place(&mut self, parts: impl IntoIterator<Item = Bytes>, next_id: &dyn Fn() -> i64) -> Place {
        if self.open_bytes >= SEGMENT_BYTES {
            self.close_segment();
            self.open_segment = next_id();
        }
        let part = u32::try_from(self.parts.len()).unwrap_or(u32::MAX);
        for bytes in parts {
            self.open_bytes += bytes.len();
            self.parts.push(bytes);
        }
        Place { segment: self.open_segment, part }
    }

    fn close_segment(&mut self) {
        if !self.parts.is_empty() {
            let parts: Vec<&[u8]> = self.parts.iter().map(|part| &**part).collect();
            self.segments.push((self.open_segment, pack(&parts)));
            self.parts.clear();
            self.open_bytes = 0;
        }
    }

    /// Adds a notification with its order and its deliveries.
    pub fn accepted(
        &mut self,
        prepared: &PreparedAccept,
        order_id: OrderId,
        deliveries: Vec<(DeliveryId, UrlId, bool)>,
        node: Option<i64>,
        next_id: &dyn Fn() -> i64,
    ) {
        let new = &prepared.new;
        let place = self.place([Bytes::from(new.head.clone()), new.body.clone()], next_id);
        self.events.push(Event::Accepted(Accepted {
            id: prepared.id,
            order_id,
            merchant_id: new.merchant_id,
            listener_id: new.listener_id,
            gateway: new.gateway,
            received_at: new.received_at,
            digest: prepared.digest,
            signatures: new.signatures,
            peer: new.peer.clone(),
            size: new.body.len(),
            facts: new.facts.clone(),
            deliveries,
            node,
            place,
        }));
    }

    /// Adds a message that was there already.
    pub fn repeated(&mut self, id: NotificationId, prepared: &PreparedAccept) {
        let (merchant_id, at) = (prepared.new.merchant_id, prepared.new.received_at);
        self.events.push(Event::Repeated(Repeated { id, merchant_id, at }));
    }

    /// Adds a finished attempt.
    pub fn attempted(&mut self, record: &AttemptRecord, next_id: &dyn Fn() -> i64) -> Result<(), StoreError> {
        let parts = [
            Bytes::from(record.request_head.clone()),
            record.request_body.clone(),
            Bytes::from(record.answer_head.clone()),
            record.answer_body.clone(),
        ];
        let place = self.place(parts, next_id);
        self.events.push(Event::Attempted(Attempted {
            delivery_id: record.delivery_id,
            merchant_id: record.merchant_id,
            order_id: record.order_id,
            url_id: record.url_id,
            started_at: record.started_at,
            finished_at: record.finished_at,
            window_from: record.window_from,
            address: record.address.clone(),
            status: record.status,
            cause: record.cause,
            detail: json(&record.detail)?,
            timings: json(&record.timings)?,
            next: record.next,
            place,
        }));
        Ok(())
    }

    /// Commits the events and their bytes, in one call and with one wait for the disk.
    pub async fn commit(&mut self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        self.close_segment();
        let events = pack(&[json(&self.events)?.as_bytes()]);
        let mut bytes = Vec::with_capacity(self.segments.iter().map(|(_, packed)| packed.len()).sum());
        let mut spans = Vec::with_capacity(self.segments.len());
        for (id, packed) in &self.segments {
            spans.push((id, bytes.len() + 1, packed.len()));
            bytes.extend_from_slice(packed);
        }
        let written = sqlx::query(
            "BEGIN IMMEDIATE;
             INSERT INTO journal (id, events) VALUES (?, ?);
             INSERT INTO segment (id, bytes) SELECT value ->> 0, substr(?, value ->> 1, value ->> 2) FROM json_each(?);
             COMMIT",
        )
        .bind(self.journal_id)
        .bind(events)
        .bind(bytes)
        .bind(json(&spans)?)
        .execute(&mut *conn)
        .await;
        if let Err(error) = written {
            super::writer::roll_back(conn).await;
            return Err(error.into());
        }
        Ok(())
    }
}

/// The events of a journal row.
pub(super) fn read_events(packed: &[u8]) -> Result<Vec<Event>, StoreError> {
    let text = unpack(packed)?.into_iter().next().unwrap_or_default();
    serde_json::from_slice(&text).map_err(|error| StoreError::Corrupt(format!("journal: {error}")))
}

/// Rows as the text that `json_each` takes. Statements of several parts use plain `?`, because sqlx counts numbered
/// parameters wrongly across the parts.
pub(super) fn json<T: Serialize>(rows: &T) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Corrupt(error.to_string()))
}
