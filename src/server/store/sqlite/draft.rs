//! A commit of the journal while it is made.

use super::{
    events::{Accepted, Attempted, Event, GivenBack, Place, PreparedAccept, Repeated, Translated},
    journal::{Drafted, EVENTS_FORM, Entry},
    rows::json,
};
use crate::domain::{
    Timestamp,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
};
use crate::server::store::{
    AttemptRecord, StoreError,
    ids::IdSource,
    pack::{add_part, pack_added},
};

/// Unpacked bytes in one segment. Larger segments pack better; reading one message unpacks its whole segment.
const SEGMENT_BYTES: usize = 256 << 10;
/// Bytes of events from which on another entry is begun, so that one can always be read again.
const ENTRY_BYTES: usize = 1 << 20;
/// About what an event takes in its row.
const EVENT_BYTES: usize = 192;

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
    /// The parts of the open segment, and how many they are. One buffer serves all commits: to grow a new one would copy as much
    /// again as comes.
    plain: &'a mut Vec<u8>,
    parts: u32,
}

impl<'a> Draft<'a> {
    /// A commit of so many events, whose entries count from this id; its segments take their ids from a source and are put together
    /// in a buffer.
    pub fn new(journal_id: i64, ids: &'a IdSource, events: usize, plain: &'a mut Vec<u8>) -> Self {
        plain.clear();
        Self {
            journal_id,
            ids,
            finished: Vec::new(),
            events: Vec::with_capacity(events),
            written: Vec::with_capacity(events * EVENT_BYTES),
            segments: Vec::new(),
            open_segment: 0,
            plain,
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
        }
        let part = self.parts;
        for bytes in parts {
            add_part(self.plain, bytes);
            self.parts += 1;
        }
        Place { segment: self.open_segment, part }
    }

    fn close_segment(&mut self) {
        if self.parts > 0 {
            self.segments.push((self.open_segment, pack_added(self.plain)));
            self.plain.clear();
            self.parts = 0;
        }
    }

    /// Adds a notification with its order and its deliveries.
    pub fn accepted(
        &mut self,
        prepared: Box<PreparedAccept>,
        order_id: OrderId,
        begins_order: bool,
        deliveries: Vec<(DeliveryId, UrlId, bool)>,
        node: i64,
    ) -> Result<(), StoreError> {
        let PreparedAccept { new, id, digest } = *prepared;
        let size = new.body.len();
        let place = match &new.outgoing {
            None => self.place([new.head.as_bytes(), &new.body]),
            Some(outgoing) => self.place([new.head.as_bytes(), &new.body, outgoing]),
        };
        let refund = new.facts.refund;
        let accepted = Accepted {
            id,
            order_id,
            begins_order,
            merchant_id: new.merchant_id,
            listener_id: new.listener_id,
            gateway: new.gateway,
            received_at: new.received_at,
            digest,
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
