//! The page of an order: its story, and how its messages stand at each URL.

use super::{ServiceResult, Services, merchant_ref};
use crate::domain::{
    AppError, OrderStatus, RefusalReason,
    id::{DeliveryId, NotificationId, OrderId, RefusalId, VerifyingId},
    mail::{MailCause, MailState},
    pages::{
        orders::{AttemptRow, DeliverySummary, DeliveryView, NotificationView, OrderRow},
        story::{Concern, Entry, Happening, STORY_SIZE, StoryPage, StoryTurn, UrlStanding},
    },
};
use crate::server::store::{Directory, Merchant, StandingRow, StoryEvent, StoryPart, StoryScope, UrlBooks};
use std::{collections::HashMap, time::Duration};

/// Changes of a URL's settings are part of the story until so long after the last delivery ended.
const AFTERMATH: Duration = Duration::from_secs(3_600);

impl Services {
    /// One order of a merchant.
    pub(super) async fn order_row(&self, merchant: &Merchant, id: OrderId) -> ServiceResult<OrderRow> {
        Ok(self.store.bare_order(merchant.id, id).await?.ok_or(AppError::NotFound)?)
    }

    /// A page of the story of an order.
    pub async fn story(&self, merchant: &Merchant, id: OrderId, turn: StoryTurn, may_resend: bool) -> ServiceResult<StoryPage> {
        let standings = async { Ok(self.store.standings(id, None).await?) };
        let (mut order, standings) = tokio::try_join!(self.order_row(merchant, id), standings)?;
        let settings = self.store.settings();
        let scope = StoryScope {
            merchant_id: merchant.id,
            order_id: id,
            reference: order.reference.clone(),
            urls: standings.iter().map(|standing| standing.url_id).collect(),
            since: order.created_at,
            aftermath: AFTERMATH,
        };
        let limit = u32::try_from(STORY_SIZE + 1).unwrap_or(u32::MAX);
        let mut events = self.store.story_events(&scope, turn, limit).await?;
        let more = events.len() > STORY_SIZE;
        events.truncate(STORY_SIZE);
        let rows = self.store.story_rows(&part(id, &events, &standings)).await?;
        let urls = url_standings(&standings, &rows.deliveries, &settings);
        let entries = Entries {
            notifications: rows.notifications.into_iter().map(|(view, before, own)| (view.id, (view, before, own))).collect(),
            at_once: at_once(&rows.deliveries),
            deliveries: rows.deliveries.into_iter().map(|delivery| (delivery.id, delivery)).collect(),
            attempts: rows.attempts.into_iter().map(|(id, attempt)| ((id, i64::from(attempt.number)), attempt)).collect(),
        };
        let entries: Vec<Entry> = events.into_iter().filter_map(|event| entries.entry(event)).collect();
        order.deliveries = summary(&standings, &urls);
        let attempts: i64 = standings.iter().map(|standing| standing.attempts).sum();
        let has_attempts = entries.iter().any(|entry| matches!(entry.what, Happening::Attempted { .. }));
        let attempts_removed = attempts > 0 && !has_attempts && !more && turn.after.is_none();
        Ok(StoryPage {
            merchant: merchant_ref(merchant),
            concern: concern(&order, &urls),
            gateway: self.gateways.label(order.gateway),
            order,
            urls,
            turn,
            entries,
            more,
            attempts_removed,
            may_resend,
            has_urls: !settings.urls_of(merchant.id).is_empty(),
        })
    }
}

/// What to read for a page, and for how messages stand.
fn part(order_id: OrderId, events: &[StoryEvent], standings: &[StandingRow]) -> StoryPart {
    let of = |kind: i64| events.iter().filter(move |event| event.place.kind == kind).map(|event| event.place);
    let attempts: Vec<_> = of(Happening::ATTEMPTED).map(|place| (DeliveryId(place.id), place.number)).collect();
    let others = of(Happening::RESENT).chain(of(Happening::ENDED)).map(|place| DeliveryId(place.id));
    let mut deliveries: Vec<_> = standings.iter().map(|standing| standing.latest).collect();
    deliveries.extend(attempts.iter().map(|(id, _)| *id).chain(others));
    deliveries.sort_unstable();
    deliveries.dedup();
    let notifications = of(Happening::RECEIVED).map(|place| NotificationId(place.id)).collect();
    StoryPart { order_id, notifications, deliveries, attempts }
}

/// How messages stand at each URL, in words' reach. The latest message of all is the latest that any of them got.
fn url_standings(standings: &[StandingRow], deliveries: &[DeliveryView], settings: &Directory) -> Vec<UrlStanding> {
    let current = standings.iter().map(|standing| standing.newest).max();
    let standing = |row: &StandingRow| {
        let latest = deliveries.iter().find(|delivery| delivery.id == row.latest)?.clone();
        let url = settings.url(row.url_id);
        Some(UrlStanding {
            messages: row.messages,
            confirmed: row.confirmed,
            waiting: row.waiting,
            latest,
            is_current: Some(row.newest) == current,
            removed: url.is_none(),
            held: url.is_some_and(|url| url.held),
        })
    };
    standings.iter().filter_map(standing).collect()
}

/// Deliveries by state; those to shadow URLs count nowhere.
fn summary(standings: &[StandingRow], urls: &[UrlStanding]) -> DeliverySummary {
    let mut summary = DeliverySummary::default();
    for row in standings {
        if urls.iter().any(|url| url.latest.url_id == row.url_id && !url.latest.shadow) {
            for (state, count) in UrlBooks::STATES.into_iter().zip(row.states) {
                *summary.slot(state) += count;
            }
        }
    }
    summary
}

fn concern(order: &OrderRow, urls: &[UrlStanding]) -> Option<Concern> {
    if order.status != OrderStatus::Paid {
        return None;
    }
    let mut asked = urls.iter().filter(|url| !url.latest.shadow).peekable();
    if asked.peek().is_none() {
        return Some(Concern::PaidSentNowhere);
    }
    asked.all(|url| url.confirmed == 0).then_some(Concern::PaidUnconfirmed)
}

/// The deliveries that were made of each notification when it came.
fn at_once(deliveries: &[DeliveryView]) -> HashMap<NotificationId, Vec<DeliveryView>> {
    let mut by_notification: HashMap<_, Vec<DeliveryView>> = HashMap::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.origin == crate::domain::attempt::Origin::Arrival) {
        by_notification.entry(delivery.notification_id).or_default().push(delivery.clone());
    }
    by_notification
}

/// What the entries of a page are made of.
struct Entries {
    notifications: HashMap<NotificationId, (NotificationView, Option<i64>, i64)>,
    at_once: HashMap<NotificationId, Vec<DeliveryView>>,
    deliveries: HashMap<DeliveryId, DeliveryView>,
    attempts: HashMap<(DeliveryId, i64), AttemptRow>,
}

impl Entries {
    /// `None` where the row has gone between the two readings.
    fn entry(&self, event: StoryEvent) -> Option<Entry> {
        let StoryEvent { place, texts: [first, second, third, fourth] } = event;
        let delivery = || self.deliveries.get(&DeliveryId(place.id)).cloned();
        let what = match place.kind {
            Happening::REFUSED => Happening::Refused {
                id: RefusalId(place.id),
                reason: RefusalReason::from_code(&first)?,
                detail: second,
                peer: third,
            },
            Happening::RECEIVED => {
                let (view, before, own) = self.notifications.get(&NotificationId(place.id))?;
                let deliveries = self.at_once.get(&view.id).cloned().unwrap_or_default();
                Happening::Received {
                    notification: NotificationView { deliveries, ..view.clone() },
                    before: before.map(status_of),
                    counted: before.is_none_or(|before| *own >= before),
                }
            }
            Happening::RESENT => Happening::Resent(delivery()?),
            Happening::ATTEMPTED => {
                let attempt = self.attempts.get(&(DeliveryId(place.id), place.number))?.clone();
                Happening::Attempted { delivery: delivery()?, attempt }
            }
            Happening::REPEATED => Happening::Repeated {
                notification: NotificationId(place.id),
                vendor_status: first,
                times: second.parse().unwrap_or(1),
            },
            Happening::VERIFYING => {
                Happening::Verifying { id: VerifyingId(place.id), peer: first, asked: second.parse().unwrap_or_default() }
            }
            Happening::ENDED => Happening::Ended(delivery()?),
            Happening::URL_CHANGED => Happening::UrlChanged { actor: first, action: second, url: third, detail: fourth },
            Happening::MAILED => {
                let (cause, note) = fourth.split_once(' ').unwrap_or((&fourth, ""));
                Happening::Mailed {
                    status: OrderStatus::from_code(&second),
                    recipient: third,
                    state: MailState::from_code(first.parse().unwrap_or_default()),
                    cause: MailCause::from_code(cause),
                    note: note.to_owned(),
                }
            }
            _ => return None,
        };
        Some(Entry { place, what })
    }
}

/// The status of a standing, which ends with its rank.
fn status_of(standing: i64) -> OrderStatus {
    let rank = standing.rem_euclid(16);
    OrderStatus::ALL.into_iter().find(|status| i64::from(status.rank()) == rank).unwrap_or(OrderStatus::Unmapped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_comes_back_from_its_standing() {
        for status in OrderStatus::ALL {
            for event_at in [-8, 0, 1_772_366_400_000_000] {
                assert_eq!(status_of(event_at * 16 + i64::from(status.rank())), status);
            }
        }
    }
}
