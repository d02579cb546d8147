//! What is written for a batch of messages: notifications, orders, deliveries, bytes and books in one statement, which is one
//! transaction. Made so that it can be offered again after a connection broke in the middle of its commit: every row has
//! its id before, and what is there already is looked up first.

use super::{Core, Place, rows::text, segments::Segments};
use crate::domain::{
    Gateway, OrderStatus, Timestamp,
    attempt::Origin,
    id::{DeliveryId, MerchantId, NotificationId, OrderId, UrlId},
    order::{Refunds, Standing},
};
use crate::server::store::{
    Directory, Job, NewNotification, NotificationUrl,
    identity::{self, Digest},
    ids::IdSource,
};
use bytes::Bytes;
use compact_str::CompactString;
use sqlx::{PgConnection, Row as _};
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// Whether the message in `excluded` sets the order's status: the rule of `Standing::is_replaced_by`.
macro_rules! newer {
    () => {
        "CASE WHEN excluded.status_rank = 0 THEN orders.status_rank = 0 AND excluded.event_at >= orders.event_at
              WHEN orders.status_rank = 0 THEN true
              WHEN excluded.event_told
                  THEN (excluded.event_at, excluded.status_rank) >= (orders.event_at, orders.status_rank)
              ELSE excluded.status_rank >= orders.status_rank END"
    };
}

/// What was told before, as `OrderStatus::rank` counts it: refunds may have made another status of it.
macro_rules! told_before {
    () => {
        "(ARRAY['unmapped', 'created', 'pending', 'authorized', 'failed', 'cancelled', 'paid', 'partially-refunded', 'refunded',
             'reversed'])[orders.status_rank + 1]"
    };
}

/// What the message in `excluded` tells.
macro_rules! told_now {
    () => {
        "(ARRAY['unmapped', 'created', 'pending', 'authorized', 'failed', 'cancelled', 'paid', 'partially-refunded', 'refunded',
             'reversed'])[excluded.status_rank + 1]"
    };
}

/// What was given back after the message in `excluded`: the rule of `Refunds`. The sum is that of `added_up!`, written out because
/// the test of all statements reads macros one deep.
macro_rules! given_back {
    () => {
        "greatest((CASE excluded.refunded WHEN 0 THEN orders.refunded ELSE greatest(least(orders.refunded::numeric + excluded.refunded,
             9223372036854775807), -9223372036854775808)::bigint END), orders.refunded_total, excluded.refunded_total)"
    };
}

/// Refunds add up no further than to what the column holds: a message that is signed is stored, whatever sum it tells.
macro_rules! added_up {
    () => {
        "(CASE excluded.refunded WHEN 0 THEN orders.refunded ELSE greatest(least(orders.refunded::numeric + excluded.refunded,
             9223372036854775807), -9223372036854775808)::bigint END)"
    };
}

/// The messages that are the same. What came in at no listener is known by its id alone.
pub(super) const LOOK_UP: &str = "SELECT CASE WHEN k.listener_id IS NULL
             THEN (SELECT id FROM notification WHERE id = k.id AND listener_id IS NULL)
             ELSE (SELECT id FROM notification
                 WHERE listener_id = k.listener_id AND event_at = k.event_at AND digest = k.digest) END
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])
             WITH ORDINALITY AS k (id, listener_id, event_at, digest, number)
         ORDER BY k.number";

/// What makes a message unique: where it came in, the time it names, its bytes.
pub(super) type MessageKey = (i64, i64, Digest);

/// What makes an order one: whose it is, from which gateway, its reference.
pub(super) type OrderKey = (MerchantId, Gateway, CompactString);

/// A notification with what can be computed before it queues.
pub(super) struct Prepared {
    pub new: NewNotification,
    pub id: NotificationId,
    digest: Digest,
}

impl Prepared {
    pub fn new(new: NewNotification, id: NotificationId) -> Self {
        let digest = identity::digest(&new);
        Self { new, id, digest }
    }

    /// What the message itself says of its time, or 0. Never the time of arrival: it is part of what makes it unique.
    fn said_at(&self) -> i64 {
        self.new.facts.event_at.map_or(0, Timestamp::micros)
    }

    pub fn order_key(&self) -> OrderKey {
        (self.new.merchant_id, self.new.gateway, self.new.facts.reference.clone())
    }

    /// `None` for a TEST order placed by a person: each is new.
    pub fn key(&self) -> Option<MessageKey> {
        Some((self.new.listener_id?.0, self.said_at(), self.digest))
    }
}

/// Whether a URL is served by one node at a time.
pub(super) fn is_exclusive(url: &NotificationUrl) -> bool {
    !url.concurrent || url.order_in_order
}

/// A message's order, as it is where nothing is known of it yet.
struct Order<'a> {
    /// Where it is new.
    id: i64,
    reference: Cow<'a, str>,
    new: &'a NewNotification,
    standing: Standing,
    refunds: Refunds,
}

impl<'a> Order<'a> {
    fn of(new: &'a NewNotification, id: i64) -> Self {
        let facts = &new.facts;
        Self {
            id,
            reference: text(&facts.reference),
            new,
            standing: Standing::of(facts, new.received_at),
            refunds: Refunds::default().and(facts.refund),
        }
    }

    /// What is one order for the table.
    fn key(&self) -> (MerchantId, &str, Gateway) {
        (self.new.merchant_id, &self.reference, self.new.gateway)
    }

    fn status(&self) -> OrderStatus {
        self.refunds.settle(self.standing.status, self.new.facts.amount.map(|money| money.minor))
    }
}

/// A delivery to make.
struct Planned {
    id: DeliveryId,
    notification_id: NotificationId,
    url_id: UrlId,
    exclusive: bool,
    held: bool,
}

/// A batch ready to be written, as often as it takes.
pub(super) struct Draft {
    messages: Vec<Prepared>,
    deliveries: Vec<Planned>,
    order_ids: Vec<i64>,
    places: Vec<(i64, i64)>,
    segments: (Vec<i64>, Vec<Vec<u8>>),
}

/// What became of the messages of a draft.
#[derive(Default)]
pub(super) struct Written {
    /// The notifications that are new.
    pub fresh: HashMap<NotificationId, OrderId>,
    /// Deliveries that this node serves.
    pub jobs: Vec<Job>,
    /// Nodes that got deliveries of URLs which they serve.
    pub errands: Vec<i64>,
}

impl Draft {
    /// Gives everything of a batch its ids and packs its bytes.
    pub fn new(messages: Vec<Prepared>, directory: &Directory, ids: &IdSource) -> Self {
        let mut segments = Segments::default();
        let mut places = Vec::with_capacity(messages.len());
        let mut deliveries = Vec::new();
        for message in &messages {
            let new = &message.new;
            let parts = [Some(Bytes::from(new.head.clone())), Some(new.body.clone()), new.outgoing.clone()];
            places.push(segments.place(ids, parts.into_iter().flatten()));
            let takers = directory.takers(new.merchant_id, &new.facts).filter(|_| !new.quiet);
            deliveries.extend(takers.map(|url| Planned {
                id: DeliveryId(ids.next()),
                notification_id: message.id,
                url_id: url.id,
                exclusive: is_exclusive(url),
                held: url.held,
            }));
        }
        let order_ids = messages.iter().map(|_| ids.next()).collect();
        Self { messages, deliveries, order_ids, places, segments: segments.finish() }
    }

    /// URLs of the draft that one node at a time serves.
    pub fn exclusive_urls(&self) -> Vec<UrlId> {
        let mut urls: Vec<_> = self.deliveries.iter().filter(|one| one.exclusive).map(|one| one.url_id).collect();
        urls.sort_unstable();
        urls.dedup();
        urls
    }

    /// URLs that the messages with these ids go to.
    pub fn urls_of<'a>(&'a self, ids: &'a [NotificationId]) -> impl Iterator<Item = UrlId> + 'a {
        self.deliveries.iter().filter(|one| ids.contains(&one.notification_id)).map(|one| one.url_id)
    }

    pub fn messages(&self) -> &[Prepared] {
        &self.messages
    }

    /// The orders of some messages, of which a batch holds one each; sorted, so that two batches lock them in the same order.
    fn orders(&self, included: &[bool]) -> Vec<Order<'_>> {
        let rows = self.messages.iter().zip(&self.order_ids).zip(included).filter(|(_, included)| **included);
        let mut orders: Vec<_> = rows.map(|((message, id), _)| Order::of(&message.new, *id)).collect();
        orders.sort_unstable_by(|one, other| one.key().cmp(&other.key()));
        orders
    }

    /// Writes the messages that are included. `None` where this run of the node was declared dead: nothing was written.
    pub async fn write(
        &self,
        conn: &mut PgConnection,
        place: Place,
        page: i64,
        included: &[bool],
    ) -> Result<Option<Written>, sqlx::Error> {
        let orders = self.orders(included);
        let messages: Vec<_> =
            self.messages.iter().zip(&self.places).zip(included).filter(|(_, included)| **included).map(|(row, _)| row).collect();
        let planned: Vec<_> = {
            let ids: HashSet<_> = messages.iter().map(|(message, _)| message.id).collect();
            self.deliveries.iter().filter(|one| ids.contains(&one.notification_id)).collect()
        };
        let told: Vec<_> = messages.iter().map(|(message, _)| message.new.facts.told(message.new.facts.refund)).collect();
        let rows = sqlx::query(
            concat!("WITH mine AS (
                 UPDATE line SET batch = batch + 1 WHERE page = $1 AND open RETURNING page
             ), subject AS (
                 INSERT INTO orders (id, merchant_id, gateway, reference, external, email, customer, status, status_rank,
                     vendor_status, amount, currency, test, event_at, created_at, updated_at, event_told, refunded, refunded_total)
                 SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
                     $10::text[], $11::smallint[], $12::text[], $13::bigint[], $14::text[], $15::boolean[], $16::bigint[],
                     $17::bigint[], $18::bigint[], $43::boolean[], $44::bigint[], $45::bigint[])
                 WHERE (SELECT count(*) FROM mine) = 1
                 ON CONFLICT (merchant_id, reference, gateway) DO UPDATE SET
                     external = CASE WHEN ", newer!(), "
                         AND excluded.external <> '' THEN excluded.external ELSE orders.external END,
                     email = CASE WHEN ", newer!(), "
                         AND excluded.email <> '' THEN excluded.email ELSE orders.email END,
                     customer = CASE WHEN ", newer!(), "
                         AND excluded.customer <> '' THEN excluded.customer ELSE orders.customer END,
                     amount = CASE WHEN ", newer!(), "
                         THEN coalesce(excluded.amount, orders.amount) ELSE orders.amount END,
                     currency = CASE WHEN ", newer!(), "
                         THEN coalesce(excluded.currency, orders.currency) ELSE orders.currency END,
                     status = CASE
                         WHEN (CASE WHEN ", newer!(), " THEN ", told_now!(), " ELSE ", told_before!(), " END)
                                 IN ('refunded', 'partially-refunded')
                             AND ", given_back!(), " > 0
                             AND (CASE WHEN ", newer!(), " THEN coalesce(excluded.amount, orders.amount)
                                 ELSE orders.amount END) > 0
                         THEN CASE WHEN ", given_back!(), " >= (CASE WHEN ", newer!(), " THEN
                                 coalesce(excluded.amount, orders.amount) ELSE orders.amount END)
                             THEN 'refunded' ELSE 'partially-refunded' END
                         WHEN (CASE WHEN ", newer!(), " THEN ", told_now!(), " ELSE ", told_before!(), " END) = 'paid'
                             AND ", added_up!(), " > 0
                             AND (CASE WHEN ", newer!(), " THEN coalesce(excluded.amount, orders.amount)
                                 ELSE orders.amount END) > 0
                         THEN CASE WHEN ", added_up!(), " >= (CASE WHEN ", newer!(), " THEN
                                 coalesce(excluded.amount, orders.amount) ELSE orders.amount END)
                             THEN 'refunded' ELSE 'partially-refunded' END
                         WHEN ", newer!(), " THEN ", told_now!(), " ELSE ", told_before!(), " END,
                     vendor_status = CASE WHEN ", newer!(), "
                         THEN excluded.vendor_status ELSE orders.vendor_status END,
                     test = CASE WHEN ", newer!(), "
                         THEN excluded.test ELSE orders.test END,
                     status_rank = CASE WHEN ", newer!(), "
                         THEN excluded.status_rank ELSE orders.status_rank END,
                     event_told = CASE WHEN ", newer!(), "
                         THEN excluded.event_told ELSE orders.event_told END,
                     event_at = CASE WHEN NOT (", newer!(), ") THEN orders.event_at
                         WHEN excluded.event_told THEN excluded.event_at ELSE greatest(excluded.event_at, orders.event_at) END,
                     refunded = ", added_up!(), ",
                     refunded_total = greatest(orders.refunded_total, excluded.refunded_total),
                     updated_at = greatest(excluded.updated_at, orders.updated_at)
                 RETURNING id, merchant_id, reference, gateway
             ), message AS (
                 INSERT INTO notification (id, merchant_id, listener_id, order_id, received_at, event_at, digest, status,
                     vendor_status, message_id, signatures, test, peer, size, segment_id, part, translated, amount, currency)
                 SELECT m.id, m.merchant_id, m.listener_id, subject.id, m.received_at, m.event_at, m.digest, m.status,
                     m.vendor_status, m.message_id, m.signatures, m.test, m.peer, m.size, m.segment_id, m.part, m.translated,
                     m.amount, m.currency
                 FROM unnest($19::bigint[], $20::bigint[], $21::text[], $22::text[], $23::bigint[], $24::bigint[], $25::bigint[],
                     $26::bytea[], $27::text[], $28::text[], $29::text[], $30::bigint[], $31::boolean[], $32::text[],
                     $33::bigint[], $34::bigint[], $35::bigint[], $46::boolean[], $47::bigint[], $48::text[])
                     AS m (id, merchant_id, gateway, reference, listener_id, received_at, event_at, digest, status, vendor_status,
                         message_id, signatures, test, peer, size, segment_id, part, translated, amount, currency)
                 JOIN subject ON subject.merchant_id = m.merchant_id AND subject.reference = m.reference
                     AND subject.gateway = m.gateway
                 RETURNING id, order_id, merchant_id, received_at
             ), job AS (
                 INSERT INTO delivery (id, notification_id, url_id, order_id, merchant_id, origin, node_id, state, due_at,
                     created_at)
                 SELECT d.id, message.id, d.url_id, message.order_id, message.merchant_id, 0,
                     CASE WHEN d.exclusive THEN coalesce(lease.node_id, 0) ELSE $2 END,
                     CASE WHEN d.held THEN 3 ELSE 0 END, CASE WHEN d.held THEN NULL ELSE message.received_at END,
                     message.received_at
                 FROM unnest($36::bigint[], $37::bigint[], $38::bigint[], $39::boolean[], $40::boolean[])
                     AS d (id, notification_id, url_id, exclusive, held)
                 JOIN message ON message.id = d.notification_id
                 LEFT JOIN lease ON lease.url_id = d.url_id
                 RETURNING id, notification_id, url_id, node_id, state, due_at
             ), stored AS (
                 INSERT INTO segment (id, bytes) SELECT * FROM unnest($41::bigint[], $42::bytea[])
                 WHERE (SELECT count(*) FROM mine) = 1
                 ON CONFLICT (id) DO NOTHING
             ), booked AS (
                 INSERT INTO url_books (url_id, page, accepted, queued, held)
                 SELECT url_id, $1, count(*), count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 3)
                 FROM job GROUP BY url_id
                 ON CONFLICT (url_id, page) DO UPDATE SET accepted = url_books.accepted + excluded.accepted,
                     queued = url_books.queued + excluded.queued, held = url_books.held + excluded.held
             ), counted AS (
                 INSERT INTO tally (merchant_id, hour, page, notifications)
                 SELECT merchant_id, received_at / 3600000000, $1, count(*) FROM message GROUP BY 1, 2
                 ON CONFLICT (merchant_id, hour, page) DO UPDATE SET notifications = tally.notifications + excluded.notifications
             ), sent AS (
                 INSERT INTO errand (url_id, page, node_id, due_at)
                 SELECT url_id, $1::bigint, node_id, min(due_at) FROM job
                 WHERE state = 0 AND node_id <> $2 AND node_id <> 0 GROUP BY url_id, node_id
                 ON CONFLICT (url_id, page) DO UPDATE SET node_id = excluded.node_id,
                     due_at = least(errand.due_at, excluded.due_at)
             )
             SELECT message.id, message.order_id, job.id, job.url_id, job.node_id, job.state
             FROM mine LEFT JOIN (message LEFT JOIN job ON job.notification_id = message.id) ON true"),
        )
        .bind(page)
        .bind(place.node)
        .bind(orders.iter().map(|order| order.id).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.new.merchant_id.0).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.new.gateway.name()).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| &*order.reference).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| text(&order.new.facts.external)).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| text(&order.new.facts.email)).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| text(&order.new.facts.customer)).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.status().code()).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| i16::from(order.standing.status.rank())).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| text(&order.new.facts.vendor_status)).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.new.facts.amount.map(|money| money.minor)).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.new.facts.amount.map(|money| money.currency.code().to_owned())).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.new.facts.test).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.standing.event_at.0).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.new.received_at.0).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.new.received_at.0).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.id.0).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.new.merchant_id.0).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.new.gateway.name()).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| text(&message.new.facts.reference)).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.new.listener_id.map(|id| id.0)).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.new.received_at.0).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.said_at()).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| &message.digest[..]).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.new.facts.status.code()).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| text(&message.new.facts.vendor_status)).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| text(&message.new.facts.message_id)).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.new.signatures.bits()).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.new.facts.test).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| text(&message.new.peer)).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.new.body.len() as i64).collect::<Vec<_>>())
        .bind(messages.iter().map(|(_, (segment, _))| *segment).collect::<Vec<_>>())
        .bind(messages.iter().map(|(_, (_, part))| *part).collect::<Vec<_>>())
        .bind(planned.iter().map(|one| one.id.0).collect::<Vec<_>>())
        .bind(planned.iter().map(|one| one.notification_id.0).collect::<Vec<_>>())
        .bind(planned.iter().map(|one| one.url_id.0).collect::<Vec<_>>())
        .bind(planned.iter().map(|one| one.exclusive).collect::<Vec<_>>())
        .bind(planned.iter().map(|one| one.held).collect::<Vec<_>>())
        .bind(&self.segments.0)
        .bind(&self.segments.1)
        .bind(orders.iter().map(|order| order.standing.told).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.refunds.parts).collect::<Vec<_>>())
        .bind(orders.iter().map(|order| order.refunds.total).collect::<Vec<_>>())
        .bind(messages.iter().map(|(message, _)| message.new.outgoing.is_some()).collect::<Vec<_>>())
        .bind(told.iter().map(|told| told.map(|(minor, _)| minor)).collect::<Vec<_>>())
        .bind(told.iter().map(|told| told.and_then(|(_, currency)| currency).map(|currency| currency.code().to_owned())).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let by_id: HashMap<i64, &NewNotification> = messages.iter().map(|(message, _)| (message.id.0, &message.new)).collect();
        let mut written = Written::default();
        for row in &rows {
            let Some(id) = row.try_get::<Option<i64>, _>(0)? else { continue };
            let order_id = OrderId(row.try_get(1)?);
            written.fresh.insert(NotificationId(id), order_id);
            let Some(delivery_id) = row.try_get::<Option<i64>, _>(2)? else { continue };
            let (url_id, node, state): (i64, i64, i64) = (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
            if state != 0 {
                continue;
            }
            if node != place.node {
                written.errands.push(node);
            } else if let Some(new) = by_id.get(&id) {
                written.jobs.push(Job {
                    delivery_id: DeliveryId(delivery_id),
                    notification_id: NotificationId(id),
                    order_id,
                    merchant_id: new.merchant_id,
                    url_id: UrlId(url_id),
                    origin: Origin::Arrival,
                    attempts: 0,
                    window_from: None,
                    due_at: new.received_at,
                    body: Some(new.leaves().clone()),
                });
            }
        }
        // Rows come back in any order; what came first is sent first.
        written.jobs.sort_unstable_by_key(|job| job.delivery_id);
        written.errands.sort_unstable();
        written.errands.dedup();
        Ok(Some(written))
    }
}

/// Which messages are in the table already: their ids, in the order of the keys. Without a key: by its own id.
pub(super) async fn look_up(conn: &mut PgConnection, messages: &[Prepared]) -> Result<Vec<Option<NotificationId>>, sqlx::Error> {
    let keys: Vec<Option<MessageKey>> = messages.iter().map(Prepared::key).collect();
    // As sub-selects, so that each is one look-up in the index however many there are.
    let found: Vec<Option<i64>> = sqlx::query_scalar(LOOK_UP)
        .bind(messages.iter().map(|message| message.id.0).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.map(|(listener, ..)| listener)).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.map(|(_, at, _)| at)).collect::<Vec<_>>())
        .bind(keys.iter().map(|key| key.as_ref().map(|(.., digest)| digest.to_vec())).collect::<Vec<_>>())
        .fetch_all(conn)
        .await?;
    Ok(found.into_iter().map(|id| id.map(NotificationId)).collect())
}

/// Counts messages that came again: which, whose, when. The index gives their rows in the order of ids, so that two who count the
/// same ones wait for each other and do not block each other.
pub(super) async fn count_repeats(
    conn: &mut PgConnection,
    page: i64,
    repeats: &[(NotificationId, MerchantId, Timestamp)],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH again AS (
             SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS r (id, merchant_id, at)
         ), counted AS (
             UPDATE notification SET repeats = repeats + (SELECT count(*) FROM again WHERE again.id = notification.id),
                 repeated_at = (SELECT max(at) FROM again WHERE again.id = notification.id)
             WHERE id = ANY($2)
         )
         INSERT INTO tally (merchant_id, hour, page, repeats)
         SELECT merchant_id, at / 3600000000, $1, count(*) FROM again GROUP BY 1, 2
         ON CONFLICT (merchant_id, hour, page) DO UPDATE SET repeats = tally.repeats + excluded.repeats",
    )
    .bind(page)
    .bind(repeats.iter().map(|(id, ..)| id.0).collect::<Vec<_>>())
    .bind(repeats.iter().map(|(_, merchant, _)| merchant.0).collect::<Vec<_>>())
    .bind(repeats.iter().map(|(.., at)| at.0).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

impl Core {
    /// Tells pages of new notifications, and the nodes concerned of their errands.
    pub(super) fn tell_accepted(&self, draft: &Draft, written: Written) {
        use crate::server::store::{Change, Commit};
        let changes = draft.messages.iter().filter_map(|message| {
            let order_id = written.fresh.get(&message.id)?;
            Some(Change::Order(message.new.merchant_id, *order_id))
        });
        let changes: Vec<_> = changes.collect();
        self.bus.errands(&written.errands);
        self.announce(Commit { jobs: written.jobs, changes, ..Commit::default() });
    }
}
