//! Time zones: exact times, days of filters and charts of a merchant are told in his.
//!
//! Only the server knows the rules of zones. A moment in a zone is that moment moved by the zone's distance from UTC, so that
//! whatever writes moments in UTC writes it as clocks show it there.

use super::Timestamp;

/// A time zone by its name in the IANA database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: String,
    #[cfg(feature = "ssr")]
    rules: jiff::tz::TimeZone,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            name: "UTC".to_owned(),
            #[cfg(feature = "ssr")]
            rules: jiff::tz::TimeZone::UTC,
        }
    }
}

impl Zone {
    /// Its name: `Europe/Bucharest`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(feature = "ssr")]
impl Zone {
    /// The zone of a name; `None` where there is none, or none that its moments could be told in for sure (`Local`).
    pub fn parse(name: &str) -> Option<Self> {
        let name = name.trim();
        if name.eq_ignore_ascii_case("utc") {
            return Some(Self::default());
        }
        let rules = jiff::tz::db().get(name).ok()?;
        let name = rules.iana_name()?.to_owned();
        Some(Self { name, rules })
    }

    /// The names to choose from.
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> =
            jiff::tz::db().available().map(|name| name.as_str().to_owned()).filter(|name| is_place(name)).collect();
        names.push("UTC".to_owned());
        names.sort();
        names.dedup();
        names
    }

    /// Seconds that clocks are ahead of UTC there at a moment.
    pub fn ahead(&self, moment: Timestamp) -> i64 {
        let at = jiff::Timestamp::from_microsecond(moment.micros()).unwrap_or_default();
        i64::from(self.rules.to_offset(at).seconds())
    }

    /// What clocks show at a moment, as the moment at which clocks in UTC show it.
    pub fn local(&self, moment: Timestamp) -> Timestamp {
        Timestamp(moment.micros().saturating_add(self.ahead(moment) * 1_000_000))
    }

    /// The moment at which clocks show this. What they show twice is meant the first time; what they skip is as much later.
    pub fn instant(&self, local: Timestamp) -> Timestamp {
        let shown = jiff::Timestamp::from_microsecond(local.micros()).map(|at| at.to_zoned(jiff::tz::TimeZone::UTC).datetime());
        let meant = shown.and_then(|shown| self.rules.to_ambiguous_timestamp(shown).compatible());
        meant.map_or(local, |at| Timestamp(at.as_microsecond()))
    }

    /// The beginning of a moment's day.
    pub fn start_of_day(&self, moment: Timestamp) -> Timestamp {
        self.instant(self.local(moment).start_of_day())
    }

    /// What stands behind a time so that nobody takes it for another: `UTC`, or `+07:00`.
    pub fn short(&self, moment: Timestamp) -> String {
        if self.name == "UTC" { self.name.clone() } else { self.offset(moment) }
    }

    /// `+07:00`
    pub fn offset(&self, moment: Timestamp) -> String {
        let ahead = self.ahead(moment);
        let sign = if ahead < 0 { '-' } else { '+' };
        let minutes = ahead.abs() / 60;
        format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(not(feature = "ssr"))]
impl Zone {
    /// `UTC`
    pub fn short(&self, _: Timestamp) -> String {
        self.name.clone()
    }

    /// What clocks show at a moment; in the browser nothing is told in another zone than UTC.
    pub const fn local(&self, moment: Timestamp) -> Timestamp {
        moment
    }
}

/// Names of places; the database also has old names and offsets, which nobody looks for.
#[cfg(feature = "ssr")]
fn is_place(name: &str) -> bool {
    const AREAS: [&str; 10] =
        ["Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"];
    name.split_once('/').is_some_and(|(area, _)| AREAS.contains(&area))
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;
    use crate::domain::time::{iso, parse_moment};

    fn at(text: &str) -> Timestamp {
        parse_moment(text).unwrap()
    }

    #[test]
    fn moments_are_told_as_clocks_show_them() {
        let saigon = Zone::parse("Asia/Ho_Chi_Minh").unwrap();
        assert_eq!(iso(saigon.local(at("2026-11-20T17:30:00Z"))), "2026-11-21T00:30:00Z");
        assert_eq!(saigon.start_of_day(at("2026-11-20T17:30:00Z")), at("2026-11-20T17:00:00Z"));
        assert_eq!(saigon.start_of_day(at("2026-11-20T16:30:00Z")), at("2026-11-19T17:00:00Z"));
        assert_eq!(saigon.offset(at("2026-11-20")), "+07:00");
        assert_eq!(Zone::parse("America/St_Johns").unwrap().offset(at("2026-01-20")), "-03:30");
    }

    #[test]
    fn hours_that_come_twice_or_never_are_meant_somehow() {
        let bucharest = Zone::parse("Europe/Bucharest").unwrap();
        // The clock goes from 03:00 to 04:00, and in autumn back again.
        assert_eq!(bucharest.instant(at("2026-03-29T03:30:00Z")), at("2026-03-29T01:30:00Z"));
        assert_eq!(bucharest.instant(at("2026-10-25T03:30:00Z")), at("2026-10-25T00:30:00Z"));
        let days = [at("2026-03-29T12:00:00Z"), at("2026-03-30T12:00:00Z")].map(|noon| bucharest.start_of_day(noon));
        assert_eq!(days[1].since(days[0]).as_secs(), 23 * 3_600, "a day of 23 hours");
    }

    #[test]
    fn names_are_checked_and_offered() {
        assert_eq!(Zone::parse(" europe/bucharest ").unwrap().name(), "Europe/Bucharest");
        assert_eq!(Zone::parse("utc"), Some(Zone::default()));
        for wrong in ["", "Mars/Phobos", "+07:00", "../etc/passwd", "Local"] {
            assert_eq!(Zone::parse(wrong), None, "{wrong}");
        }
        let names = Zone::names();
        assert!(names.len() > 300 && names.iter().any(|name| name == "Asia/Ho_Chi_Minh"), "{}", names.len());
        for name in names {
            assert!(Zone::parse(&name).is_some(), "{name}");
        }
    }
}
