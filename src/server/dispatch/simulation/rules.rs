//! What must hold whatever happens. Each rule is looked at when something begins, is sent, is recorded, and at the end.

use super::world::{Facts, Row, World};
use crate::domain::{
    DeliveryState, RetrySchedule, Timestamp,
    attempt::Origin,
    id::{DeliveryId, NotificationId, UrlId},
    pages::dashboard::Pause,
};
use crate::server::{
    dispatch::Board,
    store::{AttemptRecord, Job, Next},
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// A delivery whose message could not be read is looked at again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// A URL that has something due may be left alone for so long where nothing stands in the way.
const IDLE: Duration = Duration::from_millis(1_500);

/// A delivery was promised to somebody.
pub fn accepted(world: &mut World, row: &Row) {
    let id = row.job.delivery_id;
    world.accepted += 1;
    world.facts.insert(id, Facts::default());
    if !row.is_for_debug() {
        world.of_order.entry((row.job.url_id, row.job.order_id)).or_default().push(id);
    }
    let (url, order, state) = (row.job.url_id.0, row.job.order_id.0, row.state);
    world.note(format_args!("{} of order {order} for url {url} is {state:?}", id.0));
}

/// An attempt begins.
pub fn begins(world: &mut World, job: &Job) {
    let (id, now) = (job.delivery_id, world.now());
    world.attempts += 1;
    world.note(format_args!("{} begins attempt {} at url {}", id.0, job.attempts + 1, job.url_id.0));
    if let Some(broken) = broken_at_begin(world, job, now) {
        world.is_wrong(format!("{} at url {}: {broken}", id.0, job.url_id.0));
    }
    let site = world.sites.get_mut(&job.url_id).expect("a URL");
    site.stirred_at = now;
    // What is changed in this very moment may be heard of a moment later.
    let schedule = (site.changed_at < now).then(|| site.url.terms.retries.clone());
    if job.origin != Origin::Debug {
        site.open.push((id, now));
        site.starts.push_back(now);
        while site.starts.front().is_some_and(|start| now.since(*start) > SECOND * 2) {
            site.starts.pop_front();
        }
    }
    let facts = world.facts.entry(id).or_default();
    (facts.begun_at, facts.schedule) = (Some(now), schedule);
}

fn broken_at_begin(world: &World, job: &Job, now: Timestamp) -> Option<String> {
    let id = job.delivery_id;
    let Some(row) = world.committed(id) else { return Some("it was never accepted".to_owned()) };
    let (site, facts) = (&world.sites[&job.url_id], &world.facts[&id]);
    if facts.begun_at.is_some() {
        return Some("two attempts at a time".to_owned());
    }
    // What is changed in this very moment may be heard of a moment later.
    if site.changed_at == now {
        return None;
    }
    if site.removed || (site.url.held && job.origin != Origin::Debug) {
        return Some(format!("on hold or removed since {:?}", now.since(site.changed_at)));
    }
    if row.state.is_final() {
        return Some(format!("it is {:?}", row.state));
    }
    if let Some(due) = row.due_at.filter(|due| now < *due) {
        return Some(format!("it is not due for {:?}", due.since(now)));
    }
    if job.attempts != row.job.attempts {
        return Some(format!("it has {} attempts behind it, not {}", row.job.attempts, job.attempts));
    }
    if job.origin == Origin::Debug {
        return None;
    }
    let is_changed = site.open.iter().any(|(_, begun)| *begun <= site.changed_at);
    if site.open.len() >= site.limit() && !is_changed {
        return Some(format!("{} are on their way already", site.open.len()));
    }
    if site.url.order_in_order
        && let Some(other) = waits_for(world, job)
    {
        return Some(format!("{} of its order was there before and is not finished", other.0));
    }
    if let Some(rate) = site.url.terms.rate_per_second.filter(|_| now.since(site.changed_at) > SECOND) {
        let most = usize::from(rate + (rate / 10).max(1));
        let within = 1 + site.starts.iter().filter(|start| now.since(**start) < SECOND).count();
        if within > most {
            return Some(format!("{within} in a second, {rate} are allowed"));
        }
    }
    None
}

/// An earlier delivery of the same order that is not finished. What was tried in the time before order was switched on
/// does not wait for what was not.
fn waits_for(world: &World, job: &Job) -> Option<DeliveryId> {
    let unfinished = |other: &DeliveryId| {
        let waits_for = |row: &Row| !row.state.is_final() && (job.attempts == 0 || row.job.attempts > 0);
        world.committed(*other).as_ref().is_some_and(waits_for)
    };
    let earlier = world.of_order.get(&(job.url_id, job.order_id))?.iter();
    earlier.take_while(|other| **other != job.delivery_id).copied().find(unfinished)
}

/// Messages could not be read. Attempts that wanted them are given up for now.
pub fn unread(world: &mut World, ids: &[NotificationId]) {
    let [notification] = ids else { return };
    let now = world.now();
    let wants = |id: &DeliveryId| world.committed(*id).is_some_and(|row| row.job.notification_id == *notification);
    let begun: Vec<DeliveryId> = world
        .facts
        .iter()
        .filter(|(_, facts)| facts.begun_at.is_some_and(|begun| begun <= now))
        .map(|(id, _)| *id)
        .filter(wants)
        .collect();
    for id in begun {
        ends(world, id);
        if let Some(facts) = world.facts.get_mut(&id) {
            facts.put_back_until = now.plus(AGAIN_AFTER);
        }
    }
}

/// A request goes out.
pub fn sends(world: &mut World, id: DeliveryId, number: u32) {
    world.note(format_args!("{} sends attempt {number}", id.0));
    let facts = world.facts.entry(id).or_default();
    let is_again = facts.sent.contains(&number);
    let is_confirmed = facts.confirmed;
    facts.sent.push(number);
    if is_again {
        world.is_wrong(format!("{}: attempt {number} was sent before in this life", id.0));
    }
    if is_confirmed {
        world.is_wrong(format!("{}: was confirmed before in this life", id.0));
    }
}

/// An attempt has ended, or was given up.
pub fn ends(world: &mut World, id: DeliveryId) {
    let now = world.now();
    if let Some(facts) = world.facts.get_mut(&id) {
        facts.begun_at = None;
    }
    let Some(url_id) = world.committed(id).map(|row| row.job.url_id) else { return };
    if let Some(site) = world.sites.get_mut(&url_id) {
        site.open.retain(|(open, _)| *open != id);
        site.stirred_at = now;
    }
}

/// A result is recorded.
pub fn recorded(world: &mut World, record: &AttemptRecord) {
    let id = record.delivery_id;
    world.note(format_args!("{} is recorded: {:?}, {:?}", id.0, record.cause, record.next));
    let Some(facts) = world.facts.get_mut(&id) else { return world.is_wrong(format!("{} was never accepted", id.0)) };
    let is_again = facts.recorded.contains(&record.started_at);
    facts.recorded.push(record.started_at);
    let schedule = facts.schedule.clone();
    if is_again {
        world.is_wrong(format!("{}: an attempt is booked twice", id.0));
    }
    if let Some(broken) = schedule.and_then(|schedule| broken_plan(record, &schedule)) {
        world.is_wrong(format!("{}: {broken}", id.0));
    }
    let url_id = record.url_id;
    let now = world.now();
    if let Some(site) = world.sites.get_mut(&url_id) {
        site.stirred_at = now;
    }
}

/// What comes after an attempt, told from the schedule's delays alone.
fn broken_plan(record: &AttemptRecord, schedule: &RetrySchedule) -> Option<String> {
    let delays = schedule.delays();
    let mut offset = 0;
    // Each moment with the most that it may deviate.
    let moments: Vec<(Timestamp, Duration)> = delays
        .iter()
        .map(|delay| {
            offset += u64::from(*delay);
            let is_exact = *schedule == RetrySchedule::TwoCheckout && offset <= 300;
            let most = if is_exact { 0 } else { u64::from(*delay) * 100 };
            (record.window_from.plus(Duration::from_secs(offset)), Duration::from_millis(most))
        })
        .collect();
    let (started, ended) = (record.started_at, record.finished_at);
    match record.next {
        Next::Retry(due) if due < ended || due <= started => Some(format!("it is due again {:?} too early", ended.since(due))),
        Next::Retry(due) => {
            let told = record.detail.note.contains("asks to be left alone");
            let fits = |(moment, most): &(Timestamp, Duration)| due >= moment.minus(*most) && due <= moment.plus(*most);
            if !(moments.iter().any(fits) || due == ended || told) {
                return Some("it is due again at no moment of its schedule".to_owned());
            }
            let next = moments.iter().find(|(moment, most)| moment.minus(*most) > started);
            let latest = next.map(|(moment, most)| moment.plus(*most).max(ended));
            let skips = latest.is_some_and(|latest| due > latest) && !told;
            skips.then(|| "a moment of its schedule is skipped".to_owned())
        }
        Next::Expired => {
            let left = moments.last().filter(|(moment, most)| moment.minus(*most) > started);
            left.map(|(moment, _)| format!("it expires {:?} before its last attempt", moment.since(started)))
        }
        Next::Confirmed | Next::Closed => None,
    }
}

/// While nothing but time passes: no URL that could get something is left alone.
pub fn nothing_is_forgotten(world: &mut World, board: &Board) {
    let now = world.now();
    let ids: Vec<UrlId> = world.sites.keys().copied().collect();
    for url_id in ids {
        let site = &world.sites[&url_id];
        if site.is_off() || !site.open.is_empty() {
            continue;
        }
        let between = site.url.terms.rate_per_second.map_or(Duration::ZERO, |rate| SECOND / u32::from(rate));
        let pause = match board.pause(url_id, now) {
            Some(Pause::Told { .. }) => continue,
            Some(Pause::Probing { every, .. }) => Duration::from_secs(every),
            None => Duration::ZERO,
        };
        let quiet_since = site.stirred_at.max(world.life_began);
        let patience = IDLE + between + pause;
        if now.since(quiet_since) <= patience {
            continue;
        }
        let waits = |row: &&Row| {
            let is_due = row.due_at.is_some_and(|due| now.since(due) > patience);
            let is_back = world.facts[&row.job.delivery_id].put_back_until.plus(patience) < now;
            let is_first = || !site.url.order_in_order || row.is_for_debug() || waits_for(world, &row.job).is_none();
            row.job.url_id == url_id && row.is_open() && is_due && is_back && is_first()
        };
        if let Some(row) = world.rows.values().find(waits) {
            let late = now.since(row.due_at.unwrap_or(now));
            let what = format!("{} at url {} is due for {late:?} and nothing happens", row.job.delivery_id.0, url_id.0);
            world.is_wrong(what);
        }
    }
}

/// When something is due next.
pub fn next_due(world: &World, now: Timestamp) -> Option<Timestamp> {
    world.rows.values().filter(|row| row.is_open()).filter_map(|row| row.due_at).filter(|due| *due > now).min()
}

/// Whether every delivery has come to its end, or is held.
pub fn is_done(world: &World) -> bool {
    let has_ended = |row: &Row| {
        let site = &world.sites[&row.job.url_id];
        row.state.is_final() || (row.state == DeliveryState::Held && site.url.held && !site.removed)
    };
    world.ledger.is_empty() && world.rows.values().all(has_ended)
}

/// At the end: nothing is lost, and every delivery is what its attempts have made of it.
pub fn at_the_end(world: &mut World) {
    let mut wrong = Vec::new();
    if world.rows.len() != world.accepted {
        wrong.push(format!("{} deliveries were accepted, {} are there", world.accepted, world.rows.len()));
    }
    for (id, row) in &world.rows {
        let site = &world.sites[&row.job.url_id];
        let facts = &world.facts[id];
        match row.state {
            DeliveryState::Held if site.url.held && !site.removed => {}
            DeliveryState::Cancelled if site.removed || row.is_for_debug() => {}
            DeliveryState::Confirmed | DeliveryState::Expired if !facts.recorded.is_empty() => {}
            state => wrong.push(format!("{} at url {} ends as {state:?}, due at {:?}", id.0, row.job.url_id.0, row.due_at)),
        }
        if row.job.attempts as usize != facts.recorded.len() {
            wrong.push(format!("{}: {} attempts, {} recorded", id.0, row.job.attempts, facts.recorded.len()));
        }
    }
    for what in wrong {
        world.is_wrong(what);
    }
}
