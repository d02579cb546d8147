//! The promise: what is accepted, on disk before anybody is answered.
//!
//! A commit that answers gateways must be small, because everybody waits for it, and must not queue behind the
//! ledger's larger ones. So it goes to a file of its own beside the database (`quittance.intake`, SQLite too): one row
//! with the events and the bytes of everybody who was waiting. From there the ledger follows, and what it has taken is
//! deleted here; after an orderly end the file is empty. A crash in between loses nothing: the next start applies it.

use crate::domain::{
    Algorithms, Cause, Gateway, Timestamp,
    id::{DeliveryId, ListenerId, MerchantId, NotificationId, OrderId, UrlId},
    order::{OrderFacts, Refund},
};
use crate::server::store::{
    AttemptRecord, NewNotification, Next, StoreError,
    identity::{self, Digest},
    ids::IdSource,
    pack::{add_part, pack_added, unpack_up_to},
    vault::create_private,
};
use compact_str::CompactString;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// Unpacked bytes in one segment. Larger segments pack better; reading one message unpacks its whole segment.
const SEGMENT_BYTES: usize = 256 << 10;
/// Bytes of events from which on another entry is begun, so that one can always be read again.
const ENTRY_BYTES: usize = 1 << 20;
/// Unpacked bytes of events (JSON) that are read. Far above what entries hold, because earlier ones were not bounded.
const MAX_ENTRY_BYTES: usize = 1 << 30;
/// How the events of an entry lie in its row: this byte, then one after the other as postcard writes them. What begins
/// otherwise is packed JSON of an earlier version.
const EVENTS_FORM: u8 = 3;
/// Packed bytes of entries read together.
const READ_BYTES: usize = 16 << 20;

/// What makes a message unique: where it came in, the time it names, its bytes.
pub(super) type MessageKey = (ListenerId, i64, Digest);

/// What makes an order one: whose it is, from which gateway, its reference.
pub(super) type OrderKey = (MerchantId, Gateway, CompactString);

/// A notification with what can be computed before it queues.
pub(in crate::server::store) struct PreparedAccept {
    pub new: NewNotification,
    pub id: NotificationId,
    pub digest: Digest,
}

impl PreparedAccept {
    pub fn new(new: NewNotification, id: NotificationId) -> Self {
        let digest = identity::digest(&new);
        Self { new, id, digest }
    }

    /// `None` for a TEST order placed by a person: each is new.
    pub fn key(&self) -> Option<MessageKey> {
        Some((self.new.listener_id?, said_at(&self.new.facts), self.digest))
    }

    pub fn order_key(&self) -> OrderKey {
        (self.new.merchant_id, self.new.gateway, self.new.facts.reference.clone())
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
    /// Accepted, and put into another form. Stands apart because rows that were written before know nothing of it.
    Translated(Translated),
    /// Accepted as it came, and tells of money given back. Stands apart for the same reason.
    GivenBack(GivenBack),
}

/// A message in the form of 2Checkout that tells of a refund.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct GivenBack {
    pub accepted: Accepted,
    pub refund: Refund,
}

/// A message of a gateway with words of its own: behind its head and body lies the form that is sent on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Translated {
    pub accepted: Accepted,
    pub refund: Option<Refund>,
}

/// A notification was accepted and fanned out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Accepted {
    pub id: NotificationId,
    pub order_id: OrderId,
    /// It is the first message of its order, which is in no table yet.
    #[serde(default)]
    pub begins_order: bool,
    pub merchant_id: MerchantId,
    pub listener_id: Option<ListenerId>,
    pub gateway: Gateway,
    pub received_at: Timestamp,
    #[serde(with = "digest")]
    pub digest: Digest,
    pub signatures: Algorithms,
    pub peer: CompactString,
    pub size: usize,
    pub facts: OrderFacts,
    /// Delivery, URL, whether the URL was on hold.
    pub deliveries: Vec<(DeliveryId, UrlId, bool)>,
    pub node: i64,
    pub place: Place,
}

impl Accepted {
    pub fn key(&self) -> Option<MessageKey> {
        Some((self.listener_id?, said_at(&self.facts), self.digest))
    }

    pub fn order_key(&self) -> OrderKey {
        (self.merchant_id, self.gateway, self.facts.reference.clone())
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
    #[serde(with = "cause")]
    pub cause: Option<Cause>,
    pub detail: String,
    pub timings: String,
    /// It went to a shadow URL. Older entries do not say.
    #[serde(default)]
    pub shadow: bool,
    pub next: Next,
    pub place: Place,
}

impl Event {
    /// The message that was accepted, where one was.
    pub const fn accepted(&self) -> Option<&Accepted> {
        match self {
            Self::Accepted(accepted)
            | Self::Translated(Translated { accepted, .. })
            | Self::GivenBack(GivenBack { accepted, .. }) => Some(accepted),
            Self::Repeated(_) | Self::Attempted(_) => None,
        }
    }
}

/// One commit under construction: an entry, or several where it is large.
pub(super) struct Draft<'a> {
    journal_id: i64,
    ids: &'a IdSource,
    finished: Vec<Drafted>,
    events: Vec<Event>,
    /// The events of the open entry as they lie in its row.
    written: Vec<u8>,
    segments: Vec<(i64, Vec<u8>)>,
    open_segment: i64,
    /// The parts of the open segment, and how many they are.
    plain: Vec<u8>,
    parts: u32,
}

impl<'a> Draft<'a> {
    /// A commit of so many events, whose entries count from this id; its segments take their ids from a source.
    pub fn new(journal_id: i64, ids: &'a IdSource, events: usize) -> Self {
        Self {
            journal_id,
            ids,
            finished: Vec::new(),
            events: Vec::with_capacity(events),
            written: Vec::new(),
            segments: Vec::new(),
            open_segment: 0,
            plain: Vec::new(),
            parts: 0,
        }
    }

    fn push(&mut self, event: Event) -> Result<(), StoreError> {
        if self.written.is_empty() {
            self.written.push(EVENTS_FORM);
        }
        let written = std::mem::take(&mut self.written);
        self.written = postcard::to_extend(&event, written).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.events.push(event);
        if self.written.len() >= ENTRY_BYTES {
            self.close_entry();
        }
        Ok(())
    }

    /// Ends the open entry together with its bytes: what an entry tells of is never in a later one.
    fn close_entry(&mut self) {
        if self.events.is_empty() {
            return;
        }
        self.close_segment();
        let events = std::mem::take(&mut self.events);
        let entry = Entry { id: self.journal_id, events, segments: std::mem::take(&mut self.segments) };
        self.finished.push((entry, std::mem::take(&mut self.written)));
        self.journal_id += 1;
    }

    /// Puts parts into a segment that are read together.
    fn place<const N: usize>(&mut self, parts: [&[u8]; N]) -> Place {
        if self.plain.len() >= SEGMENT_BYTES {
            self.close_segment();
        }
        if self.parts == 0 {
            self.open_segment = self.ids.next();
            self.plain.reserve(SEGMENT_BYTES / 4);
        }
        let part = self.parts;
        for bytes in parts {
            add_part(&mut self.plain, bytes);
            self.parts += 1;
        }
        Place { segment: self.open_segment, part }
    }

    fn close_segment(&mut self) {
        if self.parts > 0 {
            self.segments.push((self.open_segment, pack_added(&self.plain)));
            self.plain.clear();
            self.parts = 0;
        }
    }

    /// Adds a notification with its order and its deliveries.
    pub fn accepted(
        &mut self,
        prepared: PreparedAccept,
        order_id: OrderId,
        begins_order: bool,
        deliveries: Vec<(DeliveryId, UrlId, bool)>,
        node: i64,
    ) -> Result<(), StoreError> {
        let new = prepared.new;
        let size = new.body.len();
        let place = match &new.outgoing {
            None => self.place([new.head.as_bytes(), &new.body]),
            Some(outgoing) => self.place([new.head.as_bytes(), &new.body, outgoing]),
        };
        let refund = new.facts.refund;
        let accepted = Accepted {
            id: prepared.id,
            order_id,
            begins_order,
            merchant_id: new.merchant_id,
            listener_id: new.listener_id,
            gateway: new.gateway,
            received_at: new.received_at,
            digest: prepared.digest,
            signatures: new.signatures,
            peer: new.peer,
            size,
            facts: new.facts,
            deliveries,
            node,
            place,
        };
        self.push(match (new.outgoing, refund) {
            (None, None) => Event::Accepted(accepted),
            (None, Some(refund)) => Event::GivenBack(GivenBack { accepted, refund }),
            (Some(_), refund) => Event::Translated(Translated { accepted, refund }),
        })
    }

    /// Adds a message that was there already.
    pub fn repeated(&mut self, id: NotificationId, merchant_id: MerchantId, at: Timestamp) -> Result<(), StoreError> {
        self.push(Event::Repeated(Repeated { id, merchant_id, at }))
    }

    /// Adds a finished attempt.
    pub fn attempted(&mut self, record: &AttemptRecord) -> Result<(), StoreError> {
        let place = self.place([
            record.request_head.as_bytes(),
            &record.request_body,
            record.answer_head.as_bytes(),
            &record.answer_body,
        ]);
        self.push(Event::Attempted(Attempted {
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
            shadow: record.shadow,
            next: record.next,
            place,
        }))
    }

    /// The entries with their events as they lie in their rows.
    pub fn finish(mut self) -> Vec<Drafted> {
        self.close_entry();
        self.finished
    }
}

/// A digest: hexadecimal where people may read it, else the bytes.
mod digest {
    use crate::server::store::identity::Digest;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub fn serialize<S: Serializer>(digest: &Digest, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { hex::serialize(digest, serializer) } else { digest.serialize(serializer) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        if deserializer.is_human_readable() { hex::deserialize(deserializer) } else { Digest::deserialize(deserializer) }
    }
}

/// A cause: its code, which never changes.
mod cause {
    use crate::domain::Cause;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    pub fn serialize<S: Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
        cause.map(Cause::code).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cause>, D::Error> {
        let code = Option::<String>::deserialize(deserializer)?;
        let known = |code: String| Cause::from_code(&code).ok_or_else(|| D::Error::custom(format!("unknown cause {code}")));
        code.map(known).transpose()
    }
}

/// An entry with its events as they lie in its row.
pub(super) type Drafted = (Entry, Vec<u8>);

/// One commit of the journal on its way to the ledger.
#[derive(Clone)]
pub(super) struct Entry {
    pub id: i64,
    pub events: Vec<Event>,
    /// Packed bytes with the ids that events refer to.
    pub segments: Vec<(i64, Vec<u8>)>,
}

/// Packed bytes that weigh as much as one event.
const BYTES_PER_EVENT: usize = 2 << 10;
/// One entry weighs at most this much, however long the answers in it are: it must fit in what may wait.
const MAX_WEIGHT: usize = 10_000;

impl Entry {
    /// How much of what may wait for the ledger it takes: its events, and its bytes.
    pub fn weight(&self) -> usize {
        let bytes: usize = self.segments.iter().map(|(_, packed)| packed.len()).sum();
        (self.events.len() + bytes / BYTES_PER_EVENT).min(MAX_WEIGHT)
    }

    /// The segments as they lie in the journal's row: id, length, bytes, and so on.
    fn segment_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.segments.iter().map(|(_, packed)| packed.len() + 12).sum());
        for (id, packed) in &self.segments {
            bytes.extend(id.to_le_bytes());
            bytes.extend(u32::try_from(packed.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(packed);
        }
        bytes
    }

    fn read(id: i64, events: &[u8], mut segments: &[u8]) -> Result<Self, StoreError> {
        let corrupt = |what: &str| StoreError::Corrupt(format!("journal entry {id}: {what}"));
        let events = match events.split_first() {
            Some((&EVENTS_FORM, mut rest)) => {
                let mut read = Vec::new();
                while !rest.is_empty() {
                    let (event, after) = postcard::take_from_bytes(rest).map_err(|error| corrupt(&error.to_string()))?;
                    read.push(event);
                    rest = after;
                }
                read
            }
            _ => {
                let text = unpack_up_to(events, MAX_ENTRY_BYTES)?.into_iter().next().unwrap_or_default();
                serde_json::from_slice(&text).map_err(|error| corrupt(&error.to_string()))?
            }
        };
        let mut read = Vec::new();
        while let Some((segment, rest)) = segments.split_first_chunk::<8>() {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("segments"))?;
            let (packed, rest) =
                rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(|| corrupt("segments"))?;
            read.push((i64::from_le_bytes(*segment), packed.to_vec()));
            segments = rest;
        }
        Ok(Self { id, events, segments: read })
    }
}

/// What a row of the journal holds.
pub(super) enum Found {
    Entry(Entry),
    Unreadable(Unreadable),
}

/// A row of the journal that makes no sense, as it lies there.
pub(super) struct Unreadable {
    pub id: i64,
    pub events: Vec<u8>,
    pub segments: Vec<u8>,
    pub error: StoreError,
}

/// The journal's file.
pub(super) struct Journal {
    conn: Connection,
    /// Entries up to this id are in the ledger and may be forgotten with the next commit.
    forget_up_to: Arc<AtomicI64>,
}

impl Journal {
    /// Opens the file beside a database, makes it where there is none, and checks that it belongs to that database.
    pub fn open(path: &Path, installation: &str, forget_up_to: Arc<AtomicI64>) -> Result<Self, StoreError> {
        create_private(path)?;
        let conn = Connection::open(path)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        // Alone on the file, which spares asking for its locks at every commit; and large pages, because rows are long.
        conn.execute_batch(
            "PRAGMA page_size = 16384; PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -2048; PRAGMA journal_size_limit = 16777216;
             CREATE TABLE IF NOT EXISTS owner (installation TEXT NOT NULL) STRICT;
             CREATE TABLE IF NOT EXISTS journal (id INTEGER PRIMARY KEY, events BLOB NOT NULL, segments BLOB NOT NULL) STRICT",
        )?;
        let owner: Option<String> = conn.query_row("SELECT installation FROM owner", [], |row| row.get(0)).optional()?;
        match owner {
            Some(owner) if owner == installation => {}
            Some(_) => {
                let waiting: i64 = conn.query_row("SELECT count(*) FROM journal", [], |row| row.get(0))?;
                if waiting > 0 {
                    return Err(StoreError::ForeignJournal(path.to_owned()));
                }
                conn.execute("UPDATE owner SET installation = ?", [installation])?;
            }
            None => {
                conn.execute("INSERT INTO owner (installation) VALUES (?)", [installation])?;
            }
        }
        Ok(Self { conn, forget_up_to })
    }

    /// The id of the last entry, or 0.
    pub fn last(&self) -> Result<i64, StoreError> {
        Ok(self.conn.query_row("SELECT coalesce(max(id), 0) FROM journal", [], |row| row.get(0))?)
    }

    /// Entries after an id, the oldest first; some at a time.
    pub fn after(&self, id: i64) -> Result<Vec<Found>, StoreError> {
        let mut select =
            self.conn.prepare_cached("SELECT id, events, segments FROM journal WHERE id > ? ORDER BY id LIMIT 50")?;
        let mut rows = select.query([id])?;
        let mut found = Vec::new();
        let mut bytes = 0;
        while bytes < READ_BYTES
            && let Some(row) = rows.next()?
        {
            let blob = |column| row.get_ref(column).map(|value| value.as_blob().unwrap_or_default());
            let (id, events, segments) = (row.get(0)?, blob(1)?, blob(2)?);
            bytes += events.len() + segments.len();
            found.push(match Entry::read(id, events, segments) {
                Ok(entry) => Found::Entry(entry),
                Err(error) => Found::Unreadable(Unreadable { id, events: events.to_vec(), segments: segments.to_vec(), error }),
            });
        }
        Ok(found)
    }

    /// Commits entries together, and forgets what the ledger has taken; one wait for the disk.
    pub fn commit(&mut self, entries: &[Drafted]) -> Result<(), StoreError> {
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.prepare_cached("DELETE FROM journal WHERE id <= ?")?.execute([self.forget_up_to.load(Ordering::Acquire)])?;
        for (entry, events) in entries {
            let mut insert = tx.prepare_cached("INSERT INTO journal (id, events, segments) VALUES (?, ?, ?)")?;
            insert.execute(params![entry.id, events, entry.segment_bytes()])?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Forgets what the ledger has taken, and closes the file.
    pub fn close(self) -> Result<(), StoreError> {
        let applied = self.forget_up_to.load(Ordering::Acquire);
        self.conn.execute("DELETE FROM journal WHERE id <= ?", [applied])?;
        self.conn.close().map_err(|(_, error)| error.into())
    }
}

/// Rows as the text that `json_each` takes.
pub(super) fn json<T: Serialize>(rows: &T) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::attempt::VerdictDetail,
        server::{clock::Clock, store::pack::pack},
    };
    use bytes::Bytes;

    fn record(note: String) -> AttemptRecord {
        AttemptRecord {
            delivery_id: DeliveryId(1),
            merchant_id: MerchantId(1),
            order_id: OrderId(1),
            url_id: UrlId(1),
            started_at: Timestamp(1),
            finished_at: Timestamp(2),
            window_from: Timestamp(1),
            address: None,
            status: Some(200),
            cause: Some(Cause::PlainText),
            detail: VerdictDetail { note, ..VerdictDetail::default() },
            timings: Default::default(),
            request_head: "POST / HTTP/1.1\r\n".to_owned(),
            request_body: "REFNO=1".into(),
            answer_head: String::new(),
            answer_body: Bytes::new(),
            shadow: false,
            next: Next::Expired,
        }
    }

    fn read(journal: &Journal) -> Vec<Entry> {
        let (mut entries, mut last) = (Vec::new(), 0);
        loop {
            let found = journal.after(last).unwrap();
            if found.is_empty() {
                return entries;
            }
            for one in found {
                let Found::Entry(entry) = one else { panic!("an entry cannot be read") };
                last = entry.id;
                entries.push(entry);
            }
        }
    }

    #[test]
    fn a_commit_of_any_size_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("q.intake"), "a", Arc::default()).unwrap();
        let ids = IdSource::new(Clock::manual(Timestamp::from_seconds(1_772_366_400)).0);
        let mut draft = Draft::new(7, &ids, 0);
        for _ in 0..200 {
            draft.attempted(&record("x".repeat(50_000))).unwrap();
        }
        let drafted = draft.finish();
        assert!(drafted.len() > 5, "{} entries of ten megabytes", drafted.len());
        journal.commit(&drafted).unwrap();
        let entries = read(&journal);
        assert_eq!(entries.iter().map(|entry| entry.events.len()).sum::<usize>(), 200);
        assert_eq!(entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), (7..7 + drafted.len() as i64).collect::<Vec<_>>());
        for entry in &entries {
            for event in &entry.events {
                let Event::Attempted(attempted) = event else { panic!() };
                assert!(entry.segments.iter().any(|(id, _)| *id == attempted.place.segment), "its bytes are in the same entry");
            }
        }
    }

    #[test]
    fn large_entries_of_earlier_versions_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("q.intake"), "a", Arc::default()).unwrap();
        let event = Event::Repeated(Repeated { id: NotificationId(1), merchant_id: MerchantId(1), at: Timestamp(1) });
        let events = pack(&[json(&vec![event; 200_000]).unwrap().as_bytes()]);
        let insert = "INSERT INTO journal (id, events, segments) VALUES (1, ?, x'')";
        journal.conn.execute(insert, [events]).unwrap();
        assert_eq!(read(&journal)[0].events.len(), 200_000);
    }

    fn accepted() -> Accepted {
        Accepted {
            id: NotificationId(1),
            order_id: OrderId(2),
            begins_order: true,
            merchant_id: MerchantId(3),
            listener_id: Some(ListenerId(4)),
            gateway: Gateway::TwoCheckout,
            received_at: Timestamp(5),
            digest: [6; 16],
            signatures: Algorithms::ALL,
            peer: "::1".into(),
            size: 7,
            facts: OrderFacts {
                reference: "r".into(),
                external: "x".into(),
                email: "e".into(),
                customer: "c".into(),
                status: crate::domain::OrderStatus::Refunded,
                vendor_status: "v".into(),
                amount: crate::domain::Money::parse("1.50", crate::domain::money::Currency::parse("USD").unwrap()),
                test: true,
                event_at: Some(Timestamp(-8)),
                message_id: "m".into(),
                refund: None,
            },
            deliveries: vec![(DeliveryId(9), UrlId(10), true)],
            node: 11,
            place: Place { segment: 12, part: 13 },
        }
    }

    /// What a server wrote before it was replaced by a newer one must be read by that. Where this fails, take another
    /// form for what is written from now on, and go on reading this one.
    #[test]
    fn what_lies_in_rows_does_not_change() {
        let attempted = Attempted {
            delivery_id: DeliveryId(1),
            merchant_id: MerchantId(2),
            order_id: OrderId(3),
            url_id: UrlId(4),
            started_at: Timestamp(5),
            finished_at: Timestamp(6),
            window_from: Timestamp(7),
            address: None,
            status: Some(200),
            cause: Some(Cause::PlainText),
            detail: "d".to_owned(),
            timings: "t".to_owned(),
            shadow: false,
            next: Next::Retry(Timestamp(8)),
            place: Place { segment: 9, part: 10 },
        };
        let repeated = Repeated { id: NotificationId(1), merchant_id: MerchantId(2), at: Timestamp(3) };
        let translated = Translated { accepted: accepted(), refund: Some(Refund::Part(1)) };
        let given_back = GivenBack { accepted: accepted(), refund: Refund::Total(1) };
        for (event, expected) in [
            (Event::Translated(translated), &format!("03{}010002", &ACCEPTED[2..])[..]),
            (Event::GivenBack(given_back), &format!("04{}0102", &ACCEPTED[2..])),
            (Event::Accepted(accepted()), ACCEPTED),
            (Event::Repeated(repeated), REPEATED),
            (Event::Attempted(attempted), ATTEMPTED),
        ] {
            let written = postcard::to_allocvec(&event).unwrap();
            assert_eq!(hex::encode(&written), expected);
            let read: Event = postcard::from_bytes(&written).unwrap();
            assert_eq!(format!("{read:?}"), format!("{event:?}"));
        }
        // Statuses are written as their places in this list: add at the end only.
        let codes = crate::domain::OrderStatus::ALL.map(crate::domain::OrderStatus::code);
        assert_eq!(codes.join(" "), STATUSES);
        for (place, status) in crate::domain::OrderStatus::ALL.into_iter().enumerate() {
            assert_eq!(postcard::to_allocvec(&status).unwrap(), [place as u8], "{status:?}");
        }
    }

    const STATUSES: &str = "created pending authorized paid partially-refunded refunded reversed cancelled failed unmapped";
    const ACCEPTED: &str = "00020401060108000a0606060606060606060606060606060607033a3a3107017201780165016305017601ac020355534401010f016d0112140116180d";
    const REPEATED: &str = "01020406";
    const ATTEMPTED: &str = "02020406080a0c0e0001c801010a6e6f2d7265636569707401640174000110120a";
}
