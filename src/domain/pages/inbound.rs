//! What came in at a merchant's listeners, accepted or not: what to look for, and what was found.

use super::{
    dashboard::MerchantRef,
    filter::{DAY, Reader, write_query},
    listeners::{ListenerRow, ReceivedRow, RefusalRow},
    via::Via,
};
use crate::{
    domain::{
        FieldError, Gateway, RefusalReason, Timestamp,
        id::{ListenerId, NotificationId, VerifyingId},
        time::date,
    },
    words::t,
};
use serde::{Deserialize, Serialize};

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Accepted,
    /// It was accepted, and the identical message came again.
    Repeated,
    Refused,
    /// It is acknowledged, and the gateway is being asked whether it is true.
    Verifying,
}

impl Outcome {
    pub const ALL: [Self; 4] = [Self::Refused, Self::Verifying, Self::Repeated, Self::Accepted];

    /// The word in addresses.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeated => "repeated",
            Self::Refused => "refused",
            Self::Verifying => "verifying",
        }
    }

    /// The outcome of a word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }

    /// The word on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Repeated => "Repeated",
            Self::Refused => "Refused",
            Self::Verifying => "Verifying",
        }
    }
}

/// What to look for. The filter line of the list is this, and so is the address of the page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct InboundFilter {
    /// The beginning of an order's reference or external reference, or the gateway's number of the message. What is refused
    /// has no order, and does not fit.
    pub text: String,
    pub outcome: Option<Outcome>,
    /// Why it was refused; what was accepted does not fit.
    pub reason: Option<RefusalReason>,
    /// At which listener, or through which gateway.
    pub via: Option<Via>,
    /// The first day, as its midnight in UTC; the day itself is the merchant's.
    pub from: Option<Timestamp>,
    /// The day after the last.
    pub until: Option<Timestamp>,
    /// Only of TEST orders, or only of real ones. What is refused is neither.
    pub test: Option<bool>,
    /// The text must be an external reference as a whole: for whoever may not see it, because it may be an e-mail address.
    #[serde(default)]
    pub masked: bool,
    /// Continue with what came before this message (keyset paging). Refused ones are numbered in the same sequence.
    pub after: Option<NotificationId>,
    /// Continue with what came after this message.
    pub before: Option<NotificationId>,
}

impl InboundFilter {
    /// Reads a filter from the fields of an address or a form. What cannot be read is left out, and told.
    pub fn read(field: impl Fn(&str) -> Option<String>) -> (Self, Vec<FieldError>) {
        let mut reader = Reader::new(&field);
        let unknown = t!("There is no such choice; choose one of the list.");
        let filter = Self {
            text: reader.text("text").unwrap_or_default(),
            outcome: reader.read("outcome", unknown, Outcome::from_code),
            reason: reader.read("reason", unknown, RefusalReason::from_code),
            via: reader.read("listener", t!("This is no listener; choose one of the list."), |via| via.parse().ok()),
            from: reader.first_day(),
            until: reader.after_last_day(),
            test: reader.test(),
            masked: false,
            after: reader.place("after"),
            before: reader.place("before"),
        };
        (filter, reader.mistakes())
    }

    /// The fields of the filter that are set, by the names that `read` knows.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let fields = [
            ("text", self.text.clone()),
            ("outcome", self.outcome.map_or("", Outcome::code).to_owned()),
            ("reason", self.reason.map_or("", RefusalReason::code).to_owned()),
            ("listener", self.via.map(|via| via.to_string()).unwrap_or_default()),
            ("from", self.from.map(date).unwrap_or_default()),
            ("until", self.until.map(|until| date(until.minus(DAY))).unwrap_or_default()),
            ("test", self.test.map_or("", |test| if test { "only" } else { "none" }).to_owned()),
            ("after", self.after.map(|id| id.to_string()).unwrap_or_default()),
            ("before", self.before.map(|id| id.to_string()).unwrap_or_default()),
        ];
        fields.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The query of an address, or nothing where it is empty.
    pub fn query(&self) -> String {
        write_query(&self.fields())
    }

    /// The same, wherever its list is turned to.
    pub fn whole(&self) -> Self {
        Self { after: None, before: None, ..self.clone() }
    }

    /// Whether accepted messages can fit.
    pub fn wants_accepted(&self) -> bool {
        !matches!(self.outcome, Some(Outcome::Refused | Outcome::Verifying)) && self.reason.is_none()
    }

    /// Whether messages that wait for their gateway's word can fit. What they say is not proved.
    pub fn wants_verifying(&self) -> bool {
        let is_asked = matches!(self.outcome, None | Some(Outcome::Verifying));
        is_asked && self.reason.is_none() && self.text.trim().is_empty() && self.test.is_none()
    }

    /// Whether refused messages can fit.
    pub fn wants_refused(&self) -> bool {
        matches!(self.outcome, None | Some(Outcome::Refused)) && self.text.trim().is_empty() && self.test.is_none()
    }
}

/// A message as a line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundRow {
    /// Where it came in; nothing where a person placed a TEST order.
    pub listener: Option<ListenerId>,
    pub message: InboundMessage,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InboundMessage {
    Accepted { row: ReceivedRow, message_id: String, peer: String },
    Refused(RefusalRow),
    Verifying(VerifyingRow),
}

/// A message that waits for its gateway's word: it is acknowledged, and nothing of it counts yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyingRow {
    pub id: VerifyingId,
    pub received_at: Timestamp,
    /// The order that it names, unproven; or empty.
    pub reference: String,
    pub peer: String,
    /// Bytes of the body.
    pub size: u64,
    /// How often the identical message came again meanwhile.
    pub repeats: u32,
    /// How often the gateway was asked.
    pub asked: u32,
    pub asked_at: Option<Timestamp>,
    pub next_at: Timestamp,
    /// Why the last question brought no answer; empty before it.
    pub note: String,
}

/// Such a message, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyingPage {
    pub merchant: MerchantRef,
    pub listener: ListenerRow,
    pub row: VerifyingRow,
    /// Where the gateway is asked.
    pub asked_at: String,
    pub head: String,
    pub body: String,
    pub fields: Vec<(String, String)>,
    /// Whether the viewer may have it asked at once.
    pub may_ask: bool,
}

impl InboundRow {
    /// Its place in the sequence of all.
    pub const fn place(&self) -> NotificationId {
        match &self.message {
            InboundMessage::Accepted { row, .. } => row.id,
            InboundMessage::Refused(row) => NotificationId(row.id.0),
            InboundMessage::Verifying(row) => NotificationId(row.id.0),
        }
    }
}

/// A listener to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerChoice {
    pub id: ListenerId,
    pub label: String,
    pub gateway: Gateway,
    /// The gateway's name for people.
    pub gateway_label: String,
}

/// One page of found messages, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundList {
    pub rows: Vec<InboundRow>,
    /// Where older ones go on; `None` at the end.
    pub next: Option<NotificationId>,
    /// Where newer ones go on; `None` at the newest.
    pub previous: Option<NotificationId>,
    /// Where the page is not full although there is more to look through: back to this moment all were looked at.
    pub looked_back_to: Option<Timestamp>,
    /// The text fits so many orders that only some were looked at; a longer text finds the rest.
    pub truncated: bool,
    /// What can be chosen to filter by.
    pub listeners: Vec<ListenerChoice>,
}

/// A page of messages that were posted to addresses which no listener has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayList {
    pub rows: Vec<RefusalRow>,
    pub next: Option<NotificationId>,
}

/// Such a message, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayPage {
    pub refusal: RefusalRow,
    pub head: String,
    pub body: String,
    pub fields: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse_moment;

    #[test]
    fn a_filter_survives_the_address() {
        let filter = InboundFilter {
            text: "a b&".to_owned(),
            outcome: Some(Outcome::Refused),
            reason: Some(RefusalReason::WrongSignature),
            via: Some(Via::Gateway(Gateway::TwoCheckout)),
            from: parse_moment("2026-11-01"),
            until: parse_moment("2026-11-22"),
            test: Some(true),
            masked: false,
            after: Some(NotificationId(5)),
            before: Some(NotificationId(6)),
        };
        let fields = filter.fields();
        let (read, mistakes) =
            InboundFilter::read(|name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()));
        assert_eq!((read, mistakes), (filter.clone(), Vec::new()));
        assert!(
            filter.query().starts_with("?text=a+b%26&outcome=refused&reason=wrong-signature&listener="),
            "{}",
            filter.query()
        );
        let (read, mistakes) = InboundFilter::read(|_| Some("!".to_owned()));
        assert_eq!(read.whole(), InboundFilter { text: "!".to_owned(), ..InboundFilter::default() });
        assert_eq!(mistakes.len(), 8);
    }

    #[test]
    fn what_is_refused_has_no_order() {
        let wants = |filter: InboundFilter| (filter.wants_accepted(), filter.wants_refused());
        assert_eq!(wants(InboundFilter::default()), (true, true));
        assert_eq!(wants(InboundFilter { text: "1".to_owned(), ..InboundFilter::default() }), (true, false));
        assert_eq!(wants(InboundFilter { test: Some(false), ..InboundFilter::default() }), (true, false));
        assert_eq!(wants(InboundFilter { reason: Some(RefusalReason::TooSlow), ..InboundFilter::default() }), (false, true));
        assert_eq!(wants(InboundFilter { outcome: Some(Outcome::Repeated), ..InboundFilter::default() }), (true, false));
        let verifying = InboundFilter { outcome: Some(Outcome::Verifying), ..InboundFilter::default() };
        assert_eq!((wants(verifying.clone()), verifying.wants_verifying()), ((false, false), true));
    }
}
