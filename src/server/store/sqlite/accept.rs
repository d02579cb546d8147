//! Accepting notifications: the one transaction that holds the message, its order's new standing and one delivery
//! per URL.

use super::writer::WriterContext;
use crate::domain::attempt::Origin;
use crate::domain::{
    DeliveryState, OrderStatus, Timestamp,
    id::{DeliveryId, ListenerId, MerchantId, NotificationId, OrderId, UrlId},
    money::Currency,
    order::Standing,
};
use crate::server::store::{Acceptance, Change, Commit, Job, NewNotification, StoreError, pack::pack};
use sha2::{Digest as _, Sha256};
use sqlx::{Row as _, SqliteConnection};
use std::collections::{BTreeMap, HashMap};

/// Length of the digest that tells identical messages.
const DIGEST_BYTES: usize = 16;

/// A notification with everything computed that can be computed outside the writer.
pub(in crate::server::store) struct PreparedAccept {
    pub new: NewNotification,
    pub id: NotificationId,
    pub digest: [u8; DIGEST_BYTES],
    /// Head and body, packed.
    pub bytes: Vec<u8>,
}

impl PreparedAccept {
    pub fn new(new: NewNotification, id: NotificationId) -> Self {
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&Sha256::digest(&new.body)[..DIGEST_BYTES]);
        let bytes = pack(&[new.head.as_bytes(), &new.body]);
        Self { new, id, digest, bytes }
    }

    /// What the message itself says of its time; part of what makes it unique, so never the time of arrival.
    fn said_at(&self) -> i64 {
        self.new.facts.event_at.map_or(0, Timestamp::micros)
    }

    fn standing(&self) -> Standing {
        Standing { status: self.new.facts.status, event_at: self.new.facts.event_at.unwrap_or(self.new.received_at) }
    }
}

/// Writes a batch within the running transaction; gives one acceptance each, in order.
pub(super) async fn write(
    conn: &mut SqliteConnection,
    accepts: &[&PreparedAccept],
    context: &WriterContext,
    commit: &mut Commit,
) -> Result<Vec<Acceptance>, StoreError> {
    let known = find_repeated(conn, accepts).await?;
    let mut rows = Rows::default();
    let mut acceptances = Vec::with_capacity(accepts.len());
    let mut fresh = Vec::with_capacity(accepts.len());
    let mut seen: HashMap<(ListenerId, i64, [u8; DIGEST_BYTES]), NotificationId> = HashMap::new();
    for (index, accept) in accepts.iter().enumerate() {
        // A TEST order placed by a person has no listener and is new each time.
        let key = accept.new.listener_id.map(|listener| (listener, accept.said_at(), accept.digest));
        let earlier = known.get(&index).or_else(|| seen.get(key.as_ref()?)).copied();
        let tally = rows.tally.entry((accept.new.merchant_id, accept.new.received_at.hour())).or_default();
        if let Some(notification_id) = earlier {
            let (count, at) = rows.repeats.entry(notification_id).or_insert((0, accept.new.received_at));
            *count += 1;
            *at = (*at).max(accept.new.received_at);
            tally.1 += 1;
            acceptances.push(Acceptance { notification_id, repeated: true });
        } else {
            seen.extend(key.map(|key| (key, accept.id)));
            tally.0 += 1;
            fresh.push(*accept);
            acceptances.push(Acceptance { notification_id: accept.id, repeated: false });
        }
    }
    let order_ids = rows.add_orders(conn, &fresh, context).await?;
    rows.add_fresh(&fresh, &order_ids, context, commit);
    rows.write(conn, context.node).await?;
    Ok(acceptances)
}

/// Which of the batch are in the table already: index in the batch → the notification stored then.
async fn find_repeated(
    conn: &mut SqliteConnection,
    accepts: &[&PreparedAccept],
) -> Result<HashMap<usize, NotificationId>, StoreError> {
    let keys: Vec<_> = accepts.iter().map(|accept| (accept.new.listener_id.map(|id| id.0), accept.said_at())).collect();
    let digests: Vec<u8> = accepts.iter().flat_map(|accept| accept.digest).collect();
    let found = sqlx::query(
        "SELECT incoming.key, notification.id
         FROM json_each(?) AS incoming
         CROSS JOIN notification ON notification.listener_id = incoming.value ->> 0
             AND notification.event_at = incoming.value ->> 1
             AND notification.digest = substr(?, incoming.key * 16 + 1, 16)",
    )
    .bind(json(&keys)?)
    .bind(digests)
    .fetch_all(conn)
    .await?;
    found
        .iter()
        .map(|row| {
            let index: i64 = row.try_get(0)?;
            Ok((usize::try_from(index).unwrap_or_default(), NotificationId(row.try_get(1)?)))
        })
        .collect()
}

type OrderRow<'a> = (
    (i64, i64, &'static str, &'a str, &'a str, &'a str, &'a str),
    (&'static str, &'a str, Option<i64>, Option<Currency>, i64, i64, i64),
);
type NotificationRow<'a> = (i64, i64, Option<i64>, i64, i64, i64, &'static str, &'a str, &'a str, i64, i64, &'a str, usize);
type DeliveryRow = (i64, i64, i64, i64, i64, i64, Option<i64>, i64);

/// The rows of a batch, table by table.
#[derive(Default)]
struct Rows<'a> {
    orders: Vec<OrderRow<'a>>,
    /// Orders with a message that does not change their standing.
    touched: Vec<(i64, i64)>,
    notifications: Vec<NotificationRow<'a>>,
    digests: Vec<u8>,
    /// Notification, where its bytes begin in `bytes` (from 1), how many there are.
    spans: Vec<(i64, usize, usize)>,
    bytes: Vec<u8>,
    deliveries: Vec<DeliveryRow>,
    /// Queued and held, by URL.
    books: BTreeMap<UrlId, (i64, i64)>,
    repeats: BTreeMap<NotificationId, (i64, Timestamp)>,
    /// New and repeated, by merchant and hour.
    tally: BTreeMap<(MerchantId, i64), (i64, i64)>,
}

impl<'a> Rows<'a> {
    /// New orders, and known ones with their new standing; gives the order of each message.
    async fn add_orders(
        &mut self,
        conn: &mut SqliteConnection,
        fresh: &[&'a PreparedAccept],
        context: &WriterContext,
    ) -> Result<Vec<OrderId>, StoreError> {
        let keys: Vec<_> = fresh
            .iter()
            .map(|accept| (accept.new.merchant_id.0, accept.new.facts.reference.as_str(), accept.new.gateway.name()))
            .collect();
        let found = sqlx::query(
            "SELECT incoming.key, orders.id, orders.status, orders.event_at
             FROM json_each(?) AS incoming
             CROSS JOIN orders ON orders.merchant_id = incoming.value ->> 0
                 AND orders.reference = incoming.value ->> 1 AND orders.gateway = incoming.value ->> 2",
        )
        .bind(json(&keys)?)
        .fetch_all(&mut *conn)
        .await?;
        let mut known: HashMap<(i64, &str, &str), (OrderId, Option<Standing>)> = HashMap::new();
        for row in &found {
            let index: i64 = row.try_get(0)?;
            let standing = Standing { status: OrderStatus::from_code(row.try_get(2)?), event_at: Timestamp(row.try_get(3)?) };
            if let Some(key) = usize::try_from(index).ok().and_then(|index| keys.get(index)) {
                known.insert(*key, (OrderId(row.try_get(1)?), Some(standing)));
            }
        }
        let mut order_ids = Vec::with_capacity(fresh.len());
        // The message of the batch that sets the standing of each order, if one does.
        let mut setting: BTreeMap<OrderId, &'a PreparedAccept> = BTreeMap::new();
        let mut touched: BTreeMap<OrderId, Timestamp> = BTreeMap::new();
        for (accept, key) in fresh.iter().zip(&keys) {
            let (order_id, standing) = known.entry(*key).or_insert_with(|| (OrderId(context.ids.next()), None));
            if standing.is_none_or(|standing| standing.is_replaced_by(accept.standing())) {
                *standing = Some(accept.standing());
                setting.insert(*order_id, accept);
            } else {
                touched.insert(*order_id, accept.new.received_at);
            }
            order_ids.push(*order_id);
        }
        self.touched = touched.iter().filter(|(id, _)| !setting.contains_key(id)).map(|(id, at)| (id.0, at.0)).collect();
        self.orders = setting
            .into_iter()
            .map(|(id, accept)| {
                let (new, facts) = (&accept.new, &accept.new.facts);
                let who = (
                    id.0,
                    new.merchant_id.0,
                    new.gateway.name(),
                    facts.reference.as_str(),
                    facts.external.as_str(),
                    facts.email.as_str(),
                    facts.customer.as_str(),
                );
                let what = (
                    facts.status.code(),
                    facts.vendor_status.as_str(),
                    facts.amount.map(|money| money.minor),
                    facts.amount.map(|money| money.currency),
                    i64::from(facts.test),
                    accept.standing().event_at.0,
                    new.received_at.0,
                );
                (who, what)
            })
            .collect();
        Ok(order_ids)
    }

    /// The messages, their bytes, and one delivery for each URL of their merchants.
    fn add_fresh(&mut self, fresh: &[&'a PreparedAccept], order_ids: &[OrderId], context: &WriterContext, commit: &mut Commit) {
        let directory = context.directory.borrow().clone();
        for (accept, order_id) in fresh.iter().zip(order_ids) {
            let (new, facts) = (&accept.new, &accept.new.facts);
            self.notifications.push((
                accept.id.0,
                new.merchant_id.0,
                new.listener_id.map(|id| id.0),
                order_id.0,
                new.received_at.0,
                accept.said_at(),
                facts.status.code(),
                &facts.vendor_status,
                &facts.message_id,
                new.signatures.bits(),
                i64::from(facts.test),
                &new.peer,
                new.body.len(),
            ));
            self.digests.extend_from_slice(&accept.digest);
            self.spans.push((accept.id.0, self.bytes.len() + 1, accept.bytes.len()));
            self.bytes.extend_from_slice(&accept.bytes);
            for url in directory.urls_of(new.merchant_id) {
                let delivery_id = DeliveryId(context.ids.next());
                let (queued, held) = self.books.entry(url.id).or_default();
                let (state, due_at) = if url.held {
                    *held += 1;
                    (DeliveryState::Held, None)
                } else {
                    *queued += 1;
                    (DeliveryState::Queued, Some(new.received_at.0))
                };
                self.deliveries.push((
                    delivery_id.0,
                    accept.id.0,
                    url.id.0,
                    order_id.0,
                    new.merchant_id.0,
                    state.code(),
                    due_at,
                    new.received_at.0,
                ));
                if !url.held && context.node.is_some() {
                    commit.jobs.push(Job {
                        delivery_id,
                        notification_id: accept.id,
                        order_id: *order_id,
                        merchant_id: new.merchant_id,
                        url_id: url.id,
                        origin: Origin::Arrival,
                        attempts: 0,
                        window_from: None,
                        due_at: new.received_at,
                        body: Some(new.body.clone()),
                    });
                }
            }
            commit.changes.push(Change::Order(new.merchant_id, *order_id));
        }
    }

    /// One call for all tables: the way to SQLite's thread and back costs more than a statement without rows.
    async fn write(self, conn: &mut SqliteConnection, node: Option<i64>) -> Result<(), StoreError> {
        let books: Vec<_> = self.books.iter().map(|(url, (queued, held))| (url.0, queued + held, queued, held)).collect();
        let repeats: Vec<_> = self.repeats.iter().map(|(id, (count, at))| (id.0, count, at.0)).collect();
        let tally: Vec<_> = self.tally.iter().map(|((merchant, hour), (new, again))| (merchant.0, hour, new, again)).collect();
        // A later message may come without tags that an earlier one had: what is known of an order stays known.
        sqlx::query(
            "INSERT INTO orders (id, merchant_id, gateway, reference, external, email, customer, status, vendor_status,
                 amount, currency, test, event_at, created_at, updated_at)
             SELECT value ->> '$[0][0]', value ->> '$[0][1]', value ->> '$[0][2]', value ->> '$[0][3]', value ->> '$[0][4]',
                 value ->> '$[0][5]', value ->> '$[0][6]', value ->> '$[1][0]', value ->> '$[1][1]', value ->> '$[1][2]',
                 value ->> '$[1][3]', value ->> '$[1][4]', value ->> '$[1][5]', value ->> '$[1][6]', value ->> '$[1][6]'
             FROM json_each(?) WHERE true
             ON CONFLICT (id) DO UPDATE SET
                 external = CASE WHEN excluded.external = '' THEN external ELSE excluded.external END,
                 email = CASE WHEN excluded.email = '' THEN email ELSE excluded.email END,
                 customer = CASE WHEN excluded.customer = '' THEN customer ELSE excluded.customer END,
                 status = excluded.status, vendor_status = excluded.vendor_status,
                 amount = coalesce(excluded.amount, amount), currency = coalesce(excluded.currency, currency),
                 test = excluded.test, event_at = excluded.event_at, updated_at = excluded.updated_at;
             UPDATE orders SET updated_at = touched.value ->> 1
             FROM json_each(?) AS touched WHERE orders.id = touched.value ->> 0;
             INSERT INTO notification (id, merchant_id, listener_id, order_id, received_at, event_at, digest,
                 status, vendor_status, message_id, signatures, test, peer, size)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, substr(?, key * 16 + 1, 16),
                 value ->> 6, value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12
             FROM json_each(?);
             INSERT INTO notification_bytes (notification_id, bytes)
             SELECT value ->> 0, substr(?, value ->> 1, value ->> 2) FROM json_each(?);
             INSERT INTO delivery (node_id, origin, id, notification_id, url_id, order_id, merchant_id, state, due_at, created_at)
             SELECT ?, 0, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
             FROM json_each(?);
             INSERT INTO url_books (url_id, accepted, queued, held)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?) WHERE true
             ON CONFLICT (url_id) DO UPDATE SET accepted = accepted + excluded.accepted,
                 queued = queued + excluded.queued, held = held + excluded.held;
             UPDATE notification SET repeats = repeats + (again.value ->> 1), repeated_at = again.value ->> 2
             FROM json_each(?) AS again WHERE notification.id = again.value ->> 0;
             INSERT INTO tally (merchant_id, hour, notifications, repeats)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?) WHERE true
             ON CONFLICT (merchant_id, hour) DO UPDATE SET notifications = notifications + excluded.notifications,
                 repeats = repeats + excluded.repeats",
        )
        .bind(json(&self.orders)?)
        .bind(json(&self.touched)?)
        .bind(self.digests)
        .bind(json(&self.notifications)?)
        .bind(self.bytes)
        .bind(json(&self.spans)?)
        .bind(node)
        .bind(json(&self.deliveries)?)
        .bind(json(&books)?)
        .bind(json(&repeats)?)
        .bind(json(&tally)?)
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// A batch as the text that `json_each` takes. Statements of several parts use plain `?`, because sqlx counts
/// numbered parameters wrongly across the parts.
pub(super) fn json<T: serde::Serialize>(rows: &T) -> Result<String, StoreError> {
    serde_json::to_string(rows).map_err(|error| StoreError::Corrupt(error.to_string()))
}
