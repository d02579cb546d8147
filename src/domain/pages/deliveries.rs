//! The list of deliveries: what to look for, and what was found.

use super::{
    filter::{DAY, write_query},
    inbound::ListenerChoice,
    orders::{DeliveryView, UrlChoice},
    via::Via,
};
use crate::domain::{
    Cause, DeliveryState, Timestamp,
    id::{DeliveryId, OrderId, UrlId},
    time::{date, iso},
};
use serde::{Deserialize, Serialize};

#[cfg(feature = "ssr")]
use {
    super::filter::Reader,
    crate::{
        domain::{FieldError, Zone},
        words::t,
    },
};

/// Which states a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateFilter {
    /// What ended without a receipt: expired ones, and resends for debug that failed.
    Failed,
    Queued,
    Retrying,
    Held,
    Expired,
    Cancelled,
    Confirmed,
}

impl StateFilter {
    /// All choices, what needs somebody first.
    pub const ALL: [Self; 7] =
        [Self::Failed, Self::Expired, Self::Retrying, Self::Queued, Self::Held, Self::Cancelled, Self::Confirmed];

    /// The word in addresses and on the command line.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Queued => "queued",
            Self::Retrying => "retrying",
            Self::Held => "held",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Confirmed => "confirmed",
        }
    }

    /// The choice of a word.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.code() == code)
    }

    /// The words on the page.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failed => "Failed",
            Self::Queued => "Queued",
            Self::Retrying => "Retrying",
            Self::Held => "Held",
            Self::Expired => "Expired",
            Self::Cancelled => "Cancelled",
            Self::Confirmed => "Confirmed",
        }
    }

    /// The one state that is meant; none where several are.
    pub const fn state(self) -> Option<DeliveryState> {
        match self {
            Self::Failed => None,
            Self::Queued => Some(DeliveryState::Queued),
            Self::Retrying => Some(DeliveryState::Retrying),
            Self::Held => Some(DeliveryState::Held),
            Self::Expired => Some(DeliveryState::Expired),
            Self::Cancelled => Some(DeliveryState::Cancelled),
            Self::Confirmed => Some(DeliveryState::Confirmed),
        }
    }
}

/// What to look for. The filter line of the list is this, and so is the address of the page; a bulk resend keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeliveryFilter {
    /// The beginning of an order's reference or external reference.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateFilter>,
    /// Of the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<UrlId>,
    /// Where the notification came in: at which listener, or through which gateway. Lists that were made before gateways could be
    /// chosen say `listener`.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "listener")]
    pub via: Option<Via>,
    /// The first day on which it was made, as its midnight in UTC; the day itself is the merchant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The day after the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Ended (confirmed, expired or cancelled) on or after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Only of TEST orders, or only of real ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<bool>,
    /// The text must be an external reference as a whole: for whoever may not see it, because it may be an e-mail address.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
    /// Continue after this delivery (keyset paging).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<DeliveryId>,
    /// Continue with what was made after this delivery.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<DeliveryId>,
}

impl DeliveryFilter {
    /// Reads a filter from the fields of an address or a form, whose clocks are those of a zone. What cannot be read is left out,
    /// and told.
    #[cfg(feature = "ssr")]
    pub fn read(field: impl Fn(&str) -> Option<String>, zone: &Zone) -> (Self, Vec<FieldError>) {
        let mut reader = Reader::new(&field);
        let filter = Self {
            text: reader.text("text").unwrap_or_default(),
            state: reader.read("state", t!("There is no such state; choose one of the list."), StateFilter::from_code),
            cause: reader.read("cause", t!("There is no such cause; choose one of the list."), Cause::from_code),
            url: reader.read("url", t!("This is no notification URL; choose one of the list."), |id| id.parse().ok()),
            via: reader.read("via", t!("This is no listener; choose one of the list."), |via| via.parse().ok()),
            from: reader.first_day(),
            until: reader.after_last_day(),
            since: reader.moment("since", zone),
            test: reader.test(),
            masked: false,
            after: reader.place("after"),
            before: reader.place("before"),
        };
        (filter, reader.mistakes())
    }

    /// Whether it leaves nothing out.
    pub fn is_everything(&self) -> bool {
        self.whole().fields().is_empty()
    }

    /// The fields of the filter that are set, by the names that `read` knows.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let fields = [
            ("text", self.text.clone()),
            ("state", self.state.map(|state| state.code().to_owned()).unwrap_or_default()),
            ("cause", self.cause.map(|cause| cause.code().to_owned()).unwrap_or_default()),
            ("url", self.url.map(|url| url.to_string()).unwrap_or_default()),
            ("via", self.via.map(|via| via.to_string()).unwrap_or_default()),
            ("from", self.from.map(date).unwrap_or_default()),
            ("until", self.until.map(|until| date(until.minus(DAY))).unwrap_or_default()),
            ("since", self.since.map(iso).unwrap_or_default()),
            ("test", self.test.map_or("", |test| if test { "only" } else { "none" }).to_owned()),
            ("after", self.after.map(|id| id.to_string()).unwrap_or_default()),
            ("before", self.before.map(|id| id.to_string()).unwrap_or_default()),
        ];
        fields.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The query of an address: `?state=expired&since=2026-11-21T09:00:00Z`, or nothing where it is empty.
    pub fn query(&self) -> String {
        write_query(&self.fields())
    }

    /// The same, wherever its list is turned to.
    pub fn whole(&self) -> Self {
        Self { after: None, before: None, ..self.clone() }
    }
}

/// A count that ends somewhere, so that it never scans everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counted {
    pub number: u64,
    /// There are, or may be, more than that.
    pub more: bool,
}

/// One page of found deliveries, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryList {
    pub rows: Vec<DeliveryRow>,
    /// Where the next page goes on; `None` at the end.
    pub next: Option<DeliveryId>,
    /// Where newer ones go on; `None` at the newest.
    pub previous: Option<DeliveryId>,
    /// Where the page is not full although there is more to look through: back to this moment all were looked at.
    pub looked_back_to: Option<Timestamp>,
    /// The text fits so many orders that only some were looked at; a longer text finds the rest.
    pub truncated: bool,
    /// How many fit the filter; `None` where it is empty.
    pub fitting: Option<Counted>,
    /// What can be chosen to filter by.
    pub urls: Vec<UrlChoice>,
    pub listeners: Vec<ListenerChoice>,
    pub may_resend: bool,
}

/// A delivery as a line of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryRow {
    pub delivery: DeliveryView,
    pub order_id: OrderId,
    pub reference: String,
    /// The gateway's word for the status that was sent.
    pub vendor_status: String,
    pub test: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{id::ListenerId, time::parse_moment};

    #[test]
    fn a_filter_survives_the_address() {
        let filter = DeliveryFilter {
            text: "a b@ü&=".to_owned(),
            state: Some(StateFilter::Failed),
            cause: Some(Cause::ServerError),
            url: Some(UrlId(5)),
            via: Some(Via::Listener(ListenerId(6))),
            from: parse_moment("2026-11-01"),
            until: parse_moment("2026-11-22"),
            since: parse_moment("2026-11-20T09:04:07"),
            test: Some(false),
            masked: false,
            after: Some(DeliveryId(77)),
            before: Some(DeliveryId(78)),
        };
        let fields = filter.fields();
        let zone = Zone::parse("Asia/Ho_Chi_Minh").expect("a zone");
        let (read, mistakes) =
            DeliveryFilter::read(|name| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()), &zone);
        assert_eq!((read, mistakes), (filter.clone(), Vec::new()));
        let query = filter.query();
        assert!(query.starts_with("?text=a+b%40%C3%BC%26%3D&state=failed&cause="), "{query}");
        assert!(query.contains("&until=2026-11-21&since=2026-11-20T09:04:07Z&test=none&after="), "{query}");
        assert_eq!(DeliveryFilter::default().query(), "");
        assert!(!filter.is_everything());
        let of_support = DeliveryFilter { masked: true, after: Some(DeliveryId(77)), ..DeliveryFilter::default() };
        assert!(of_support.is_everything(), "who looks, and where he is, leaves nothing out");
    }

    #[test]
    fn a_moment_that_somebody_enters_is_one_of_his_clocks() {
        let zone = Zone::parse("Asia/Ho_Chi_Minh").expect("a zone");
        let (filter, mistakes) = DeliveryFilter::read(|name| (name == "since").then(|| "2026-11-20T03:00".to_owned()), &zone);
        assert_eq!((filter.since, mistakes), (parse_moment("2026-11-19T20:00"), Vec::new()));
        assert_eq!(filter.query(), "?since=2026-11-19T20:00:00Z", "an address means the same everywhere");
    }

    #[test]
    fn what_cannot_be_read_is_told_by_its_field() {
        for name in ["state", "cause", "url", "via", "from", "until", "since", "test", "after", "before"] {
            let (filter, mistakes) = DeliveryFilter::read(|field| (field == name).then(|| "!".to_owned()), &Zone::default());
            assert_eq!(filter, DeliveryFilter::default());
            assert_eq!(mistakes.iter().map(|mistake| mistake.field.as_str()).collect::<Vec<_>>(), [name]);
        }
        assert_eq!(DeliveryFilter::read(|_| Some(String::new()), &Zone::default()), Default::default());
    }

    #[test]
    fn every_choice_has_its_word() {
        for choice in StateFilter::ALL {
            assert_eq!(StateFilter::from_code(choice.code()), Some(choice));
        }
    }
}
