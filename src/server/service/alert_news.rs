//! What a merchant is told of a URL, when, and in which words. Whom, and how it gets there, is in `alerts`.

use super::alerts::rfc3339;
use crate::{
    domain::{
        Cause, Timestamp,
        pages::settings::{AlertKind, AlertRow, AlertTopic, Thresholds},
    },
    server::store::UrlState,
};
use serde_json::{Value, json};
use std::time::Duration;

/// A certificate is told of once more when it ends within so many days.
const LAST_DAYS: u32 = 3;
const DAY: Duration = Duration::from_secs(86_400);

/// Finds what is to be told now, after what was told last on its topic.
type Check = fn(&Seen<'_>, Option<&AlertRow>) -> Option<News>;

/// What there is to tell of, in the order of pages.
pub(super) const TOPICS: [(AlertTopic, Check); 3] =
    [(AlertTopic::Deliveries, deliveries), (AlertTopic::Certificate, certificate), (AlertTopic::Outstanding, outstanding)];

/// How a URL was found.
pub(super) struct Seen<'a> {
    pub state: &'a UrlState,
    /// Deliveries given up since deliveries were told of last.
    pub expired: u64,
    pub thresholds: Thresholds,
    pub now: Timestamp,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct News {
    pub kind: AlertKind,
    /// It was told, and the address for JSON did not take it.
    pub is_again: bool,
}

/// What is told in words.
pub(super) struct Words {
    pub subject: String,
    pub news: String,
    /// Why, and what to do, where there is something to do.
    cure: Option<(String, String)>,
}

impl Words {
    /// Why, and what to do, as lines of a mail.
    pub(super) fn why(&self) -> String {
        self.cure.as_ref().map(|(sentence, cure)| format!("{sentence}\nWhat to do: {cure}\n\n")).unwrap_or_default()
    }
}

impl Seen<'_> {
    pub(super) fn words(&self, kind: AlertKind, label: &str) -> Words {
        let (outstanding, limit) = (self.state.outstanding(), self.thresholds.outstanding);
        let (subject, news) = match kind {
            AlertKind::Failing => (
                format!("{label} is failing"),
                format!("The notification URL {label} has failed since {}.", told(self.state.failing_since)),
            ),
            AlertKind::Expired => {
                (format!("deliveries to {label} expired"), format!("Deliveries to the notification URL {label} were given up."))
            }
            AlertKind::Recovered => {
                (format!("{label} takes deliveries again"), format!("The notification URL {label} takes deliveries again."))
            }
            AlertKind::CertificateEnds => {
                let left = self.state.certificate_ends_at.map_or(Duration::ZERO, |ends_at| ends_at.since(self.now));
                let days = match left.as_secs().div_ceil(DAY.as_secs()) {
                    1 => "1 day".to_owned(),
                    days => format!("{days} days"),
                };
                (
                    format!("the certificate of {label} ends in {days}"),
                    format!(
                        "The certificate that the server of the notification URL {label} showed last ends on {}.",
                        told(self.state.certificate_ends_at)
                    ),
                )
            }
            AlertKind::CertificateEnded => (
                format!("the certificate of {label} has ended"),
                format!(
                    "The certificate that the server of the notification URL {label} showed last ended on {}.",
                    told(self.state.certificate_ends_at)
                ),
            ),
            AlertKind::Outstanding => (
                if outstanding == 1 {
                    format!("1 delivery waits for {label}")
                } else {
                    format!("{outstanding} deliveries wait for {label}")
                },
                format!("From {} outstanding deliveries on the notification URL {label} is told.", limit.unwrap_or_default()),
            ),
            AlertKind::Eased => (
                format!("few deliveries wait for {label} again"),
                format!("Fewer than half of {} deliveries wait for the notification URL {label}.", limit.unwrap_or_default()),
            ),
            AlertKind::Test => (String::new(), String::new()),
        };
        Words { subject, news, cure: self.cure(kind) }
    }

    /// What belongs to the topic of an alert, for its JSON.
    pub(super) fn facts(&self, kind: AlertKind) -> Vec<(&'static str, Value)> {
        let cure = self.cure(kind);
        let (sentence, cure) = cure.unzip();
        let mut facts = vec![("sentence", json!(sentence)), ("cure", json!(cure))];
        match kind.topic() {
            AlertTopic::Deliveries => facts.extend([
                ("since", json!(self.state.failing_since.map(rfc3339))),
                ("cause", json!(self.state.failing_cause.map(Cause::code))),
                ("expired", json!(self.expired)),
            ]),
            AlertTopic::Certificate => {
                facts.push(("certificate_ends_at", json!(self.state.certificate_ends_at.map(rfc3339))));
            }
            AlertTopic::Outstanding => facts.push(("threshold", json!(self.thresholds.outstanding))),
        }
        facts
    }

    /// Why, and what to do.
    fn cure(&self, kind: AlertKind) -> Option<(String, String)> {
        let of_failure = |cause: Cause| (cause.sentence().to_owned(), cause.cure().to_owned());
        let (sentence, cure) = match kind {
            AlertKind::Failing | AlertKind::Expired => return self.state.failing_cause.map(of_failure),
            AlertKind::CertificateEnds => (
                "When a certificate has ended nothing can be delivered to its server.",
                "Renew it on that server before then. Where that was done already, the next delivery shows it.",
            ),
            AlertKind::CertificateEnded => (
                "Nothing can be delivered to a server whose certificate has ended.",
                "Renew it on that server. Where that was done already, the next delivery shows it.",
            ),
            // What fails waits because of that.
            AlertKind::Outstanding if self.state.retrying > 0 && self.state.failing_cause.is_some() => {
                return self.state.failing_cause.map(of_failure);
            }
            AlertKind::Outstanding => (
                "They come faster than the script takes them.",
                "Let the script answer sooner, or allow it more requests at a time in the settings of the URL.",
            ),
            AlertKind::Recovered | AlertKind::Eased | AlertKind::Test => return None,
        };
        Some((sentence.to_owned(), cure.to_owned()))
    }
}

fn told(at: Option<Timestamp>) -> String {
    at.map(rfc3339).unwrap_or_default()
}

/// What was told last, where that arrived.
fn arrived(last: Option<&AlertRow>) -> Option<AlertKind> {
    last.filter(|row| row.cause.is_none()).map(|row| row.kind)
}

/// Whether deliveries arrive.
fn deliveries(seen: &Seen<'_>, last: Option<&AlertRow>) -> Option<News> {
    let Seen { state, expired, thresholds, now } = *seen;
    let threshold = Duration::from_secs(u64::from(thresholds.after));
    let fails_long = state.retrying > 0 && state.failing_since.is_some_and(|since| now.since(since) >= threshold);
    let news = |kind| News { kind, is_again: last.is_some_and(|last| last.kind == kind && last.cause.is_some()) };
    if expired > 0 && (!fails_long || arrived(last) == Some(AlertKind::Failing)) {
        // Others were given up than those that were told of.
        return Some(News { kind: AlertKind::Expired, is_again: false });
    }
    if fails_long {
        let was_told = matches!(arrived(last), Some(AlertKind::Failing | AlertKind::Expired));
        return (!was_told).then(|| news(AlertKind::Failing));
    }
    // It is back when something was confirmed after what was told, and nothing waits for another attempt.
    let last = last?;
    let is_back = state.retrying == 0 && state.last_confirmed_at.is_some_and(|at| at > last.told_at);
    let was_told = match last.kind {
        AlertKind::Failing | AlertKind::Expired => true,
        AlertKind::Recovered => last.cause.is_some(),
        _ => false,
    };
    (is_back && was_told).then(|| news(AlertKind::Recovered))
}

/// How near the end of a certificate is: it is told when that is reached for the first time.
fn nearness(ends_at: Timestamp, days: u32, at: Timestamp) -> u8 {
    let within = |days: u32| ends_at.minus(DAY * days) <= at;
    // Who wants to know later than usual is told once less.
    let last_days = LAST_DAYS.min(days);
    u8::from(within(days)) + u8::from(within(last_days)) + u8::from(within(0))
}

/// How long the certificate is valid: told once for each certificate, again in its last days, and when it has ended. That it was
/// renewed is not told: of two servers behind one name one may have the old certificate still, and the other the new one.
fn certificate(seen: &Seen<'_>, last: Option<&AlertRow>) -> Option<News> {
    let (days, ends_at) = seen.thresholds.certificate.zip(seen.state.certificate_ends_at)?;
    let near = nearness(ends_at, days, seen.now);
    let told = last.map_or(0, |last| nearness(ends_at, days, last.told_at));
    let kind = if ends_at <= seen.now { AlertKind::CertificateEnded } else { AlertKind::CertificateEnds };
    let is_lost = last.is_some_and(|last| last.cause.is_some()) && near > 0;
    (near > told || is_lost).then_some(News { kind, is_again: near == told })
}

/// How many deliveries wait. What is told from a number on has ended below half of it, so that a number which goes up and down there
/// is not told again and again.
fn outstanding(seen: &Seen<'_>, last: Option<&AlertRow>) -> Option<News> {
    let threshold = u64::from(seen.thresholds.outstanding?);
    let count = seen.state.outstanding();
    let news = |kind| News { kind, is_again: last.is_some_and(|last| last.kind == kind && last.cause.is_some()) };
    let was_many = last.is_some_and(|last| last.kind == AlertKind::Outstanding);
    let is_few = count * 2 < threshold;
    if count >= threshold || was_many && !is_few {
        return (arrived(last) != Some(AlertKind::Outstanding)).then(|| news(AlertKind::Outstanding));
    }
    let is_lost = last.is_some_and(|last| last.kind == AlertKind::Eased && last.cause.is_some());
    (is_few && (was_many || is_lost)).then(|| news(AlertKind::Eased))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(100_000_000);
    const APART: Duration = Duration::from_secs(3_600);
    const USUAL: Thresholds = Thresholds { after: 900, certificate: Some(14), outstanding: Some(100) };

    fn seen(state: &UrlState, expired: u64) -> Seen<'_> {
        Seen { state, expired, thresholds: USUAL, now: NOW }
    }

    fn failing(seconds: u64) -> UrlState {
        UrlState { retrying: 1, failing_since: Some(NOW.minus(Duration::from_secs(seconds))), ..UrlState::default() }
    }

    fn told(kind: AlertKind, cause: Option<Cause>) -> AlertRow {
        AlertRow { kind, told_at: NOW.minus(APART), status: None, cause, note: String::new() }
    }

    #[test]
    fn each_trouble_is_told_once() {
        let kind =
            |state: &UrlState, expired, last: Option<&AlertRow>| deliveries(&seen(state, expired), last).map(|news| news.kind);
        let failing_told = told(AlertKind::Failing, None);
        assert_eq!(kind(&failing(899), 0, None), None, "not yet");
        assert_eq!(kind(&failing(900), 0, None), Some(AlertKind::Failing));
        assert_eq!(kind(&failing(9_000), 0, Some(&failing_told)), None, "told already");
        let lost = told(AlertKind::Failing, Some(Cause::Refused));
        assert_eq!(kind(&failing(9_000), 0, Some(&lost)), Some(AlertKind::Failing), "it never arrived");
        assert!(deliveries(&seen(&failing(9_000), 0), Some(&lost)).unwrap().is_again);
        assert_eq!(kind(&failing(9_000), 2, Some(&failing_told)), Some(AlertKind::Expired));
        let well = UrlState { last_confirmed_at: Some(NOW), ..UrlState::default() };
        assert_eq!(kind(&well, 0, None), None);
        assert_eq!(kind(&well, 1, None), Some(AlertKind::Expired));
        assert_eq!(kind(&well, 0, Some(&failing_told)), Some(AlertKind::Recovered));
        assert_eq!(kind(&well, 0, Some(&told(AlertKind::Recovered, None))), None);
        assert_eq!(kind(&UrlState::default(), 0, Some(&failing_told)), None, "nothing shows that it is back");
    }

    /// What is told of a certificate that ends after so many hours, when something was told so many hours ago.
    fn of_certificate(ends_in: i64, told_ago: Option<(u32, AlertKind, Option<Cause>)>) -> Option<(AlertKind, bool)> {
        let state = UrlState { certificate_ends_at: Some(Timestamp(NOW.0 + ends_in * 3_600_000_000)), ..UrlState::default() };
        let last = told_ago.map(|(hours, kind, cause)| AlertRow { told_at: NOW.minus(APART * hours), ..told(kind, cause) });
        certificate(&seen(&state, 0), last.as_ref()).map(|news| (news.kind, news.is_again))
    }

    #[test]
    fn a_certificate_is_told_of_once_and_in_its_last_days_and_when_it_has_ended() {
        use AlertKind::{CertificateEnded as Ended, CertificateEnds as Ends};
        const DAYS: i64 = 24;
        assert_eq!(of_certificate(14 * DAYS + 1, None), None, "not yet");
        assert_eq!(of_certificate(14 * DAYS, None), Some((Ends, false)));
        assert_eq!(of_certificate(14 * DAYS - 5, Some((5, Ends, None))), None, "told already");
        assert_eq!(of_certificate(3 * DAYS + 1, Some((11 * 24 - 1, Ends, None))), None);
        assert_eq!(of_certificate(3 * DAYS, Some((11 * 24, Ends, None))), Some((Ends, false)));
        assert_eq!(of_certificate(2 * DAYS, Some((24, Ends, None))), None);
        assert_eq!(of_certificate(0, Some((3 * 24, Ends, None))), Some((Ended, false)));
        assert_eq!(of_certificate(-100 * DAYS, Some((2_400, Ended, None))), None);
        assert_eq!(of_certificate(-100 * DAYS, None), Some((Ended, false)));
        // The address took nothing: told there again, and mailed again only where there is more to tell.
        let lost = Some(Cause::Refused);
        assert_eq!(of_certificate(10 * DAYS, Some((1, Ends, lost))), Some((Ends, true)));
        assert_eq!(of_certificate(3 * DAYS, Some((1, Ends, lost))), Some((Ends, false)));
        assert_eq!(of_certificate(0, Some((1, Ends, lost))), Some((Ended, false)));
        // A new one: it was not told of, however near the end of the one before was.
        assert_eq!(of_certificate(90 * DAYS, Some((1, Ended, None))), None);
        assert_eq!(of_certificate(90 * DAYS, Some((1, Ends, lost))), None, "nothing to tell any more");
        assert_eq!(of_certificate(14 * DAYS, Some((76 * 24, Ended, None))), Some((Ends, false)));
    }

    #[test]
    fn who_wants_to_know_of_a_certificate_late_or_not_at_all_is_heard() {
        let state =
            |hours: i64| UrlState { certificate_ends_at: Some(Timestamp(NOW.0 + hours * 3_600_000_000)), ..UrlState::default() };
        let kind = |days, hours| {
            let thresholds = Thresholds { certificate: days, ..USUAL };
            certificate(&Seen { thresholds, ..seen(&state(hours), 0) }, None).map(|news| news.kind)
        };
        assert_eq!((kind(Some(1), 25), kind(Some(1), 24)), (None, Some(AlertKind::CertificateEnds)));
        assert_eq!((kind(None, 1), kind(None, -1)), (None, None));
        let unknown = UrlState::default();
        assert_eq!(certificate(&seen(&unknown, 0), None), None);
    }

    #[test]
    fn what_waits_is_told_from_the_threshold_on_and_ends_below_half_of_it() {
        let news = |count: u64, last: Option<&AlertRow>| {
            let state = UrlState { queued: count - count / 3, retrying: count / 3, held_back: 1_000, ..UrlState::default() };
            outstanding(&seen(&state, 0), last).map(|news| (news.kind, news.is_again))
        };
        let (many, eased) = (told(AlertKind::Outstanding, None), told(AlertKind::Eased, None));
        assert_eq!(news(99, None), None);
        assert_eq!(news(100, None), Some((AlertKind::Outstanding, false)));
        assert_eq!((news(5_000, Some(&many)), news(99, Some(&many)), news(50, Some(&many))), (None, None, None));
        assert_eq!(news(49, Some(&many)), Some((AlertKind::Eased, false)));
        assert_eq!((news(0, Some(&eased)), news(99, Some(&eased)), news(0, None)), (None, None, None));
        assert_eq!(news(100, Some(&eased)), Some((AlertKind::Outstanding, false)));
        let lost = |kind| told(kind, Some(Cause::Refused));
        assert_eq!(news(60, Some(&lost(AlertKind::Outstanding))), Some((AlertKind::Outstanding, true)));
        assert_eq!(news(49, Some(&lost(AlertKind::Eased))), Some((AlertKind::Eased, true)));
        assert_eq!(news(60, Some(&lost(AlertKind::Eased))), None, "nothing to tell any more");
        let state = UrlState { queued: 1_000, ..UrlState::default() };
        let thresholds = Thresholds { outstanding: None, ..USUAL };
        assert_eq!(outstanding(&Seen { thresholds, ..seen(&state, 0) }, Some(&many)), None);
    }
}
