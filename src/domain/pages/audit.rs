//! The audit log: who did what, when, and from where.

use super::{
    dashboard::MerchantRef,
    filter::{DAY, Reader},
};
use crate::{
    domain::{
        FieldError, Timestamp,
        audit::{ACTIONS, FieldChange},
        id::MerchantId,
        time::date,
    },
    words::t,
};
use serde::{Deserialize, Serialize};

/// Lines on one page.
pub const AUDIT_SHOWN: u32 = 100;

/// What to look for. The filter line of the page is this, and so is its address.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuditFilter {
    /// A user's e-mail, or how the command line was called; whole.
    pub actor: Option<String>,
    /// The code of an act.
    pub action: Option<String>,
    /// On or after this day, which is one of the merchant's zone; of UTC where all merchants are shown.
    pub from: Option<Timestamp>,
    /// The day after the last.
    pub until: Option<Timestamp>,
    /// Continue after this line (keyset paging).
    pub after: Option<i64>,
}

impl AuditFilter {
    /// Reads a filter from the fields of an address. What cannot be read is left out, and told.
    pub fn read(field: impl Fn(&str) -> Option<String>) -> (Self, Vec<FieldError>) {
        let mut reader = Reader::new(&field);
        let known = |code: &str| ACTIONS.iter().any(|(known, _)| *known == code).then(|| code.to_owned());
        let filter = Self {
            actor: reader.text("actor").map(|actor| actor.to_lowercase()),
            action: reader.read("action", t!("There is no such choice; choose one of the list."), known),
            from: reader.first_day(),
            until: reader.after_last_day(),
            after: reader.place("after"),
        };
        (filter, reader.mistakes())
    }

    /// The last day as its field shows it.
    pub fn last_day(&self) -> String {
        self.until.map(|until| date(until.minus(DAY))).unwrap_or_default()
    }

    /// The query of an address, or nothing where it is empty.
    pub fn query(&self) -> String {
        let fields = [
            ("actor", self.actor.clone().unwrap_or_default()),
            ("action", self.action.clone().unwrap_or_default()),
            ("from", self.from.map(date).unwrap_or_default()),
            ("until", self.last_day()),
            ("after", self.after.map(|id| id.to_string()).unwrap_or_default()),
        ];
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let parts: Vec<String> = fields.map(|(name, value)| format!("{name}={}", super::encoded(value))).collect();
        if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
    }
}

/// One page of the log, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLog {
    pub rows: Vec<AuditRow>,
    /// There are more after the last of these.
    pub more: bool,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRow {
    pub id: i64,
    pub at: Timestamp,
    pub actor: String,
    /// The client's address as the server knows it; empty where nobody called over the network.
    pub address: String,
    /// The merchant that it is about, where it is shown among others.
    pub merchant: Option<MerchantRef>,
    #[serde(skip)]
    pub merchant_id: Option<MerchantId>,
    pub action: String,
    pub subject: String,
    pub detail: String,
    pub changes: Vec<FieldChange>,
}

/// Somebody changed the same meanwhile: nothing was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The version that it has now. Who saves over this one has seen what is told here.
    pub version: i64,
    /// Who changed what, the oldest first.
    pub changes: Vec<AuditRow>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::parse_moment;

    #[test]
    fn a_filter_survives_the_address() {
        let filter = AuditFilter {
            actor: Some("ana+x@example.com".to_owned()),
            action: Some("url.hold".to_owned()),
            from: parse_moment("2026-11-01"),
            until: parse_moment("2026-11-22"),
            after: Some(77),
        };
        let query = filter.query();
        assert_eq!(query, "?actor=ana%2Bx%40example.com&action=url.hold&from=2026-11-01&until=2026-11-21&after=77");
        let fields: Vec<_> = query[1..].split('&').filter_map(|pair| pair.split_once('=')).collect();
        let decoded = |name: &str| {
            let value = fields.iter().find(|(key, _)| *key == name)?.1;
            Some(value.replace("%2B", "+").replace("%40", "@"))
        };
        assert_eq!(AuditFilter::read(decoded), (filter, Vec::new()));
        assert_eq!(AuditFilter::default().query(), "");
        let (read, mistakes) = AuditFilter::read(|_| Some("nonsense".to_owned()));
        assert_eq!((read.action, read.from), (None, None));
        let fields: Vec<_> = mistakes.iter().map(|mistake| mistake.field.as_str()).collect();
        assert_eq!(fields, ["action", "from", "until", "after"]);
        let days = |first: &'static str, last: &'static str| {
            AuditFilter::read(move |name| match name {
                "from" => Some(first.to_owned()),
                "until" => Some(last.to_owned()),
                _ => None,
            })
        };
        assert_eq!(days("2026-11-21", "2026-11-21").1, Vec::new());
        let (_, mistakes) = days("2026-11-22", "2026-11-21");
        assert_eq!(mistakes.iter().map(|mistake| mistake.field.as_str()).collect::<Vec<_>>(), ["until"]);
    }
}
