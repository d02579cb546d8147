//! The story of an order: everything that happened, in order of time, a page at a time.

use super::{
    dashboard::MerchantRef,
    orders::{AttemptRow, DeliveryView, NotificationView, OrderRow},
};
use crate::domain::{
    Format, OrderStatus, RefusalReason, Timestamp,
    id::{DeliveryId, NotificationId, RefusalId, UrlId, VerifyingId},
    mail::{MailCause, MailState},
};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// Entries on one page.
pub const STORY_SIZE: usize = 100;
/// So long without any entry is a gap that the page names.
pub const GAP: Duration = Duration::from_secs(6 * 3_600);

/// Where an entry stands among all of its order: by its moment, then by what it is, then by its number. Unique, so that
/// reading can go on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub at: Timestamp,
    /// What kind of entry it is; of the same moment the causes come before their effects.
    pub kind: i64,
    pub id: i64,
    /// The number of an attempt, 0 for everything else.
    pub number: i64,
}

/// As it stands in addresses: four numbers with dots between them.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}.{}", self.at.0, self.kind, self.id, self.number)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split('.').map(|number| number.parse::<i64>().map_err(|_| ()));
        let mut number = || numbers.next().unwrap_or(Err(()));
        let place = Self { at: Timestamp(number()?), kind: number()?, id: number()?, number: number()? };
        // Numbers near the end of their range could not be turned round for reading backwards.
        let is_sound = [place.at.0, place.kind, place.id, place.number].iter().all(|number| number.unsigned_abs() < 1 << 62);
        if numbers.next().is_none() && is_sound { Ok(place) } else { Err(()) }
    }
}

/// Which part of a story to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoryTurn {
    #[serde(default)]
    pub newest_first: bool,
    /// Go on behind this place.
    #[serde(default)]
    pub after: Option<Place>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// A message named this order and was refused; nobody knows whether it came from the gateway.
    Refused {
        id: RefusalId,
        reason: RefusalReason,
        detail: String,
        peer: String,
    },
    /// A verified message came, with the deliveries that were made of it at once.
    Received {
        notification: NotificationView,
        /// The order's status before it; `None` where it was the first.
        before: Option<OrderStatus>,
        /// Whether it set the status. A late message does not.
        counted: bool,
    },
    /// Somebody asked for a delivery again.
    Resent(DeliveryView),
    Attempted {
        delivery: DeliveryView,
        attempt: AttemptRow,
    },
    /// The identical message came again, the last time at this moment.
    Repeated {
        notification: NotificationId,
        vendor_status: String,
        times: u32,
    },
    /// A delivery ended without a receipt: given up, or cancelled.
    Ended(DeliveryView),
    /// A message that names this order waits for its gateway's word.
    Verifying {
        id: VerifyingId,
        peer: String,
        /// How often the gateway was asked.
        asked: u32,
    },
    /// Something was done to a URL that the order's deliveries go to.
    UrlChanged {
        actor: String,
        action: String,
        url: String,
        detail: String,
    },
    /// The customer is mailed about a status, or was.
    Mailed {
        status: OrderStatus,
        /// Empty where the order names nobody.
        recipient: String,
        state: MailState,
        /// Why the last try failed, and what the mail server said.
        cause: Option<MailCause>,
        note: String,
    },
}

impl Happening {
    pub const MAILED: i64 = 8;
    pub const REFUSED: i64 = 0;
    pub const RECEIVED: i64 = 1;
    pub const RESENT: i64 = 2;
    pub const ATTEMPTED: i64 = 3;
    pub const REPEATED: i64 = 4;
    pub const ENDED: i64 = 5;
    pub const URL_CHANGED: i64 = 6;
    pub const VERIFYING: i64 = 7;
}

/// A line of the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub place: Place,
    pub what: Happening,
}

/// How the messages of an order stand at one URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlStanding {
    /// The messages that were sent there, or are to be.
    pub messages: u32,
    /// How many of them its script has confirmed, at whichever delivery.
    pub confirmed: u32,
    /// How many of the others still wait for an attempt, or are held.
    pub waiting: u32,
    /// The delivery that tells of the latest message there: the one that confirmed it, or else the last one made.
    pub latest: DeliveryView,
    /// It got the latest message of all, or is to get it.
    pub is_current: bool,
    /// It is not in the settings any more.
    pub removed: bool,
    /// It is on hold now.
    pub held: bool,
}

/// What of a story does not run as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Concern {
    /// The order is paid, and it was sent nowhere.
    PaidSentNowhere,
    /// The order is paid, and no script has confirmed any message of it.
    PaidUnconfirmed,
}

/// Everything about one order, a page of its story at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryPage {
    pub merchant: MerchantRef,
    pub order: OrderRow,
    pub urls: Vec<UrlStanding>,
    pub concern: Option<Concern>,
    pub turn: StoryTurn,
    /// In the order asked for.
    pub entries: Vec<Entry>,
    /// There are more behind the last of these.
    pub more: bool,
    /// Attempts were made and none is kept any more.
    pub attempts_removed: bool,
    /// Whether the viewer may resend.
    pub may_resend: bool,
    /// The gateway's name for people.
    pub gateway: String,
    /// There is a URL to resend to.
    pub has_urls: bool,
}

impl StoryPage {
    /// Whether this page holds the newest end of the story.
    pub const fn has_end(&self) -> bool {
        if self.turn.newest_first { self.turn.after.is_none() } else { !self.more }
    }
}

/// A delivery that was made again for somebody to look at, with its one exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    pub delivery: DeliveryView,
    /// Of the request that was sent, or else of the one that is being sent.
    pub request_head: String,
    pub request_body: String,
    /// `None` while it is under way, and where it cannot be known any more.
    pub answer: Option<WatchedAnswer>,
    /// Why there is no answer and none will come.
    pub trouble: Option<String>,
    /// Its URL is not in the settings any more.
    pub url_removed: bool,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedAnswer {
    pub attempt: AttemptRow,
    pub head: String,
    pub body: String,
    pub note: String,
    /// In which form the message left.
    pub format: Format,
}

/// Exchanges for debug, as they happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchPage {
    pub merchant: MerchantRef,
    pub order: OrderRow,
    pub watched: Vec<Watched>,
    /// Whether the viewer may resend.
    pub may_resend: bool,
}

impl WatchPage {
    /// Whether an answer is still to come.
    pub fn is_under_way(&self) -> bool {
        self.watched.iter().any(|one| one.answer.is_none() && one.trouble.is_none())
    }
}

/// A URL as somebody who resends sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResendChoice {
    pub id: UrlId,
    pub label: String,
    pub url: String,
    pub held: bool,
    /// How the message went there, where it was sent there.
    pub then: Option<DeliveryView>,
    /// The address that it last went to when the URL was set to another one than now.
    pub before: Option<AddressOfThen>,
}

/// An address that a URL had, as an attempt tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressOfThen {
    pub attempt: AttemptRef,
    pub at: Timestamp,
    pub address: String,
    /// It is on another server, which does not get those of the URL's headers that carry secrets.
    pub without_secrets: bool,
}

/// An attempt, as a form names it: the id of its delivery and its number, with a dot between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRef {
    pub delivery: DeliveryId,
    pub number: u32,
}

impl fmt::Display for AttemptRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.delivery, self.number)
    }
}

impl FromStr for AttemptRef {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (delivery, number) = text.split_once('.').ok_or(())?;
        Ok(Self { delivery: delivery.parse().map_err(|_| ())?, number: number.parse().map_err(|_| ())? })
    }
}

/// Where a notification can be resent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResendPage {
    pub merchant: MerchantRef,
    pub order: OrderRow,
    pub notification: NotificationView,
    pub choices: Vec<ResendChoice>,
    /// URLs that it was sent to and that are not in the settings any more.
    pub gone: Vec<DeliveryView>,
    /// Its bytes are older than they are kept.
    pub bytes_removed: bool,
}

/// A line of the comparison of then and now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// What is compared: `URL`, `Secret key`, `Field REFNO`.
    pub what: String,
    /// Empty where there was nothing of the kind.
    pub then: String,
    pub now: String,
    pub differs: bool,
}

/// What was sent then beside what a resend would send now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    Made(Vec<Compared>),
    /// Nothing can be sent now, for this reason.
    Impossible(String),
}

/// Exchanges that can be watched on one page.
pub const MOST_WATCHED: usize = 16;

/// The deliveries that an address of the watch page names: ids with dashes between them, a few.
pub fn watched_ids(text: &str) -> Option<Vec<DeliveryId>> {
    let ids: Vec<DeliveryId> = text.split('-').map(|id| id.parse().ok()).collect::<Option<_>>()?;
    (ids.len() <= MOST_WATCHED).then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_the_address() {
        let place = Place { at: Timestamp(-5), kind: 3, id: 1 << 61, number: 12 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for wrong in ["", "1", "1.2.3", "1.2.3.4.5", "a.2.3.4", "9223372036854775807.1.1.1", "1.-9223372036854775808.1.1"] {
            assert_eq!(wrong.parse::<Place>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn an_attempt_survives_a_form() {
        let attempt = AttemptRef { delivery: DeliveryId(77), number: 3 };
        assert_eq!(attempt.to_string().parse(), Ok(attempt));
        for wrong in ["", "now", "1", "1.", ".1", "1.2.3", "1.-1", "!.1"] {
            assert_eq!(wrong.parse::<AttemptRef>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_few_exchanges_can_be_watched_at_a_time() {
        assert_eq!(watched_ids("1-a"), Some(vec![DeliveryId(1), DeliveryId(10)]));
        assert_eq!(watched_ids(""), None);
        assert_eq!(watched_ids("1-!"), None);
        assert_eq!(watched_ids(&["1"; 17].join("-")), None);
    }
}
