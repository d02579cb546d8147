//! What an order's story is asked for and what it is put together from, for both engines.

use super::ids::IdSource;
use crate::domain::{
    Timestamp,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
    pages::{
        orders::{AttemptRow, DeliveryView, NotificationView},
        story::{Place, StoryTurn},
    },
};

use std::time::Duration;

/// Before every place, whichever way the story is read.
const BEGINNING: i64 = -(1 << 62);

/// Whose story it is, and which of the settings' history belongs to it.
#[derive(Debug, Clone)]
pub struct StoryScope {
    pub merchant_id: MerchantId,
    pub order_id: OrderId,
    /// Refused messages that name it belong to the story.
    pub reference: String,
    /// URLs whose changes do, too.
    pub urls: Vec<UrlId>,
    /// But only changes from here on, and until so long after the last delivery ended.
    pub since: Timestamp,
    pub aftermath: Duration,
}

impl StoryScope {
    /// The sign by which all numbers of a place are multiplied, and the place behind which reading goes on.
    pub(super) fn start(&self, turn: StoryTurn) -> (i64, [i64; 4]) {
        let sign = if turn.newest_first { -1 } else { 1 };
        let after = turn.after.map(|place| [place.at.0, place.kind, place.id, place.number].map(|number| sign * number));
        (sign, after.unwrap_or([BEGINNING; 4]))
    }

    pub(super) fn aftermath_micros(&self) -> i64 {
        i64::try_from(self.aftermath.as_micros()).unwrap_or(i64::MAX >> 2)
    }

    pub(super) fn numbers_of_urls(&self) -> Vec<i64> {
        self.urls.iter().map(|id| id.0).collect()
    }

    /// Ids grow with time: a lower one was made before the span.
    pub(super) fn first_id(&self) -> i64 {
        IdSource::floor(self.since.millis())
    }
}

/// Something that happened; what it is about is told by its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryEvent {
    pub place: Place,
    /// What is told of it without a row of its own.
    pub texts: [String; 4],
}

/// What to read for the events of a page; deliveries of other orders are left out.
#[derive(Debug, Clone)]
pub struct StoryPart {
    pub order_id: OrderId,
    /// With the deliveries that were made of them when they came.
    pub notifications: Vec<NotificationId>,
    pub deliveries: Vec<DeliveryId>,
    /// With their numbers.
    pub attempts: Vec<(DeliveryId, i64)>,
}

impl StoryPart {
    pub(super) fn numbers_of_notifications(&self) -> Vec<i64> {
        self.notifications.iter().map(|id| id.0).collect()
    }

    pub(super) fn numbers_of_deliveries(&self) -> Vec<i64> {
        self.deliveries.iter().map(|id| id.0).collect()
    }
}

/// What the events of a page are about.
#[derive(Debug, Clone, Default)]
pub struct StoryRows {
    /// With the strongest standing before each, and its own: the moment of the event times 16, plus the rank of the status. Where a
    /// message does not say when, both are ranks alone; a status that nobody has mapped stands at 0: the rule of
    /// [`crate::domain::order::Standing`].
    pub notifications: Vec<(NotificationView, Option<i64>, i64)>,
    pub deliveries: Vec<DeliveryView>,
    pub attempts: Vec<(DeliveryId, AttemptRow)>,
}

/// How the messages of an order stand at one URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandingRow {
    pub url_id: UrlId,
    pub messages: u32,
    pub confirmed: u32,
    /// Of those not confirmed, how many have an attempt before them or are held.
    pub waiting: u32,
    /// The latest message there.
    pub newest: NotificationId,
    /// The delivery that tells of it.
    pub latest: DeliveryId,
    /// Deliveries by state: queued, retrying, held, confirmed, expired, cancelled.
    pub states: [u32; 6],
    pub attempts: i64,
}
