//! What happens in a simulation: thrown with the dice, in one life of the dispatcher after the other; at the end a time
//! in which nothing but time passes, and everything that can be delivered has to be.

use super::{
    rules,
    shops::{Mood, Shops},
    table::SimTable,
    world::{Health, Shared, World},
};
use crate::domain::{
    RetrySchedule, Terms, Timestamp,
    attempt::Origin,
    id::{MerchantId, NotificationId, OrderId, UrlId},
};
use crate::server::{
    clock::Clock,
    dispatch::{Dispatcher, Places, Workshop},
};
use std::{sync::Arc, time::Duration};
use tokio::runtime::Builder;

const MINUTE: Duration = Duration::from_secs(60);
/// What is left of the storm (deliveries put back, reads that failed) is over after this.
const CALM_AFTER: Duration = Duration::from_secs(65);

/// Servers that never come back have shorter schedules than this, in seconds.
const BAD_WINDOW: u32 = 5_000;

/// How one life ended.
enum End {
    Crashed,
    Stopped,
    /// Everything has come to its end.
    Done,
}

/// The plan of one simulation.
struct Script {
    steps: u64,
    /// On average from one step to the next.
    pace: Duration,
    /// Messages that come at a time, at most.
    burst: u64,
    /// Orders of each merchant.
    orders: u64,
}

/// Runs a simulation to its end.
pub fn play(seed: u64, tells: bool) -> World {
    let mut world = World::new(seed, tells);
    let mut script = Script::new(&mut world);
    let world = Shared::new(world);
    loop {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let end = runtime.block_on(live(&world, &mut script));
        let is_over = {
            // Whatever time it is when the dispatcher goes.
            let _inside = runtime.enter();
            let mut world = world.lock();
            let away = Duration::from_secs(*world.dice.pick(&[0, 1, 20, 600, 10_000]));
            world.end_life(away);
            matches!(end, End::Done) || !world.wrong.is_empty()
        };
        drop(runtime);
        if is_over {
            return world.into_inner();
        }
    }
}

impl Script {
    fn new(world: &mut World) -> Self {
        let is_wide = world.dice.percent(6);
        let is_flood = world.dice.percent(4);
        world.announces_urls = world.dice.percent(30);
        let merchants = if is_wide { 30 } else { world.dice.within(1..=3) };
        for _ in 0..merchants {
            let id = MerchantId(world.next_id());
            world.merchants.push(id);
            let urls = if is_wide || is_flood { 1..=3 } else { 1..=2 };
            for _ in 0..world.dice.within(urls) {
                add_site(world, id);
            }
        }
        let spans = [20, 200, 2_000, 10_000, 200_000];
        let steps = world.dice.within(10..=60);
        let span = *world.dice.pick(&spans);
        let burst = if is_flood { 800 } else { *world.dice.pick(&[1, 3, 10]) };
        Self { steps, pace: Duration::from_secs(span) / 40, burst, orders: world.dice.within(1..=12) }
    }
}

fn terms(world: &mut World) -> Terms {
    let retries = match world.dice.within(0..=9) {
        0 => RetrySchedule::TwoCheckout,
        1 => RetrySchedule::StandardWebhooks,
        2 => RetrySchedule::PayPal,
        3 | 4 => RetrySchedule::Own([5, 5, 5].into()),
        5 | 6 => RetrySchedule::Own([600, 10, 3_600].into()),
        _ => {
            let delays: Vec<u32> = (0..world.dice.within(1..=8)).map(|_| world.dice.within(5..=900) as u32).collect();
            RetrySchedule::Own(delays.into())
        }
    };
    Terms {
        max_in_flight: *world.dice.pick(&[1, 2, 5, 64]),
        rate_per_second: *world.dice.pick(&[None, None, None, Some(1), Some(7), Some(40)]),
        retries,
        shadow: world.dice.percent(10),
        ..Terms::default()
    }
}

fn mood(world: &mut World) -> Mood {
    match world.dice.within(0..=9) {
        0..=3 => Mood::Well(*world.dice.pick(&[0, 50, 3_000])),
        4 => Mood::Any,
        _ => *world.dice.pick(&Mood::ALL[..]),
    }
}

fn add_site(world: &mut World, merchant: MerchantId) {
    let (terms, mood) = (terms(world), mood(world));
    let (concurrent, in_order) = (world.dice.percent(50), world.dice.percent(40));
    world.add_site(merchant, terms, concurrent, in_order, mood);
}

/// One life of the dispatcher.
async fn live(world: &Shared, script: &mut Script) -> End {
    let clock = {
        let mut world = world.lock();
        let clock = Clock::of_runtime(world.life_began);
        world.clock = Some(clock.clone());
        let life = world.life;
        world.note(format_args!("life {life} begins"));
        clock
    };
    let (table, ears) = SimTable::open(world);
    let client = Arc::new(Shops(world.clone()));
    let workshop = Workshop {
        store: table.clone(),
        client,
        clock: clock.clone(),
        metrics: Arc::default(),
        places: Places::default(),
        certificates: Default::default(),
        guesses: Default::default(),
        unread: Default::default(),
    };
    let mut dispatcher = Dispatcher::start(Arc::new(workshop), ears.jobs, ears.due);
    while script.steps > 0 {
        script.steps -= 1;
        let (wait, dice) = {
            let mut world = world.lock();
            let wait = script.pace.mul_f64(world.dice.within(0..=2_000) as f64 / 1_000.0);
            (if world.dice.percent(25) { Duration::ZERO } else { wait }, world.dice.within(0..=99))
        };
        tokio::time::sleep(wait).await;
        has_not_ended(world, &mut dispatcher);
        if !world.lock().wrong.is_empty() {
            return End::Done;
        }
        match dice {
            0..=6 => return End::Crashed,
            7..=10 => {
                world.lock().note(format_args!("an orderly stop"));
                dispatcher.stop().await;
                return End::Stopped;
            }
            _ => happens(world, &table, script, dice),
        }
    }
    calm(world, &table).await;
    let end = quiet(world, &mut dispatcher).await;
    dispatcher.stop().await;
    rules::at_the_end(&mut world.lock());
    end
}

fn has_not_ended(world: &Shared, dispatcher: &mut Dispatcher) {
    if futures::FutureExt::now_or_never(dispatcher.ended()).is_some() {
        world.lock().is_wrong("the dispatcher has ended by itself".to_owned());
    }
}

/// Something happens.
fn happens(shared: &Shared, table: &SimTable, script: &Script, dice: u64) {
    let mut world = shared.lock();
    let world = &mut *world;
    let table = table.clone();
    let sites: Vec<UrlId> = world.sites.iter().filter(|(_, site)| !site.removed).map(|(id, _)| *id).collect();
    let merchants = world.merchants.clone();
    let merchant = *world.dice.pick(&merchants);
    if dice < 52 || sites.is_empty() {
        let count = if world.dice.percent(30) { world.dice.within(1..=script.burst) } else { 1 };
        for _ in 0..count {
            let order = OrderId(merchant.0 * 1_000 + world.dice.within(0..=script.orders) as i64);
            tokio::spawn(table.clone().accept(merchant, order));
        }
        return;
    }
    let id = *world.dice.pick(&sites);
    match dice {
        52..=63 => {
            let mood = mood(world);
            world.note(format_args!("url {} is {mood:?}", id.0));
            if let Some(site) = world.sites.get_mut(&id) {
                site.mood = mood;
            }
        }
        64..=69 => {
            let health = *world.dice.pick(&[Health::Slow(300), Health::Slow(3_000), Health::Down]);
            let span = Duration::from_secs(*world.dice.pick(&[1, 8, 60]));
            world.fall_ill(health, span);
        }
        70..=80 => {
            // Often put on hold and released in the same breath.
            let again = world.dice.percent(50);
            let span = Duration::from_millis(*world.dice.pick(&[0, 10, 1_000, 100_000]));
            tokio::spawn(async move {
                let _ = table.set(move |world, now| turn(world, id, now)).await;
                if again {
                    tokio::time::sleep(span).await;
                    let _ = table.set(move |world, now| turn(world, id, now)).await;
                }
            });
        }
        81..=90 => {
            let (terms, changes) = (terms(world), world.dice.throw());
            let change = move |world: &mut World, now| {
                let Some(site) = world.sites.get_mut(&id) else { return };
                site.changed_at = now;
                match changes % 6 {
                    0 => site.url.concurrent = !site.url.concurrent,
                    1 => site.url.order_in_order = !site.url.order_in_order,
                    2 => site.url.url.push_str("?moved"),
                    3 if changes % 5 == 0 => site.removed = true,
                    _ => site.url.terms = terms,
                }
                world.note(format_args!("url {} is changed in {}", id.0, changes % 6));
            };
            tokio::spawn(async move { table.set(change).await });
        }
        91..=92 => {
            tokio::spawn(async move { table.set(move |world, _| add_site(world, merchant)).await });
        }
        _ => {
            let origin = if world.dice.percent(40) { Origin::Debug } else { Origin::Resend };
            let ids: Vec<NotificationId> = world.rows.values().map(|row| row.job.notification_id).collect();
            if !ids.is_empty() {
                let notification = *world.dice.pick(&ids);
                let belongs = world.rows.values().any(|row| {
                    row.job.notification_id == notification
                        && world.sites.get(&id).is_some_and(|site| site.url.merchant_id == row.job.merchant_id)
                });
                if belongs {
                    tokio::spawn(table.resend(notification, id, origin));
                }
            }
        }
    }
}

/// Puts a URL on hold, or releases it.
fn turn(world: &mut World, id: UrlId, now: Timestamp) {
    let Some(site) = world.sites.get_mut(&id) else { return };
    (site.url.held, site.changed_at) = (!site.url.held, now);
    let held = site.url.held;
    world.note(format_args!("url {} is {}", id.0, if held { "on hold" } else { "released" }));
}

/// The storm ends: servers are well again, but for a few that never will be; most URLs are released.
async fn calm(shared: &Shared, table: &SimTable) {
    {
        let mut world = shared.lock();
        let world = &mut *world;
        world.note(format_args!("calm"));
        world.fall_ill(Health::Well, Duration::ZERO);
        for (id, site) in &mut world.sites {
            let few = world.rows.values().filter(|row| row.job.url_id == *id).count() < 40;
            // In order, one after the other needs its whole schedule.
            let window: u32 = site.url.terms.retries.delays().iter().sum();
            let stays_bad = few && world.dice.percent(12) && window < BAD_WINDOW;
            let well = Mood::Well(*world.dice.pick(&[0, 30, 300]));
            let bad = *world.dice.pick(&[Mood::SaysOk, Mood::Refuses, Mood::Silent, Mood::Breaks]);
            site.mood = if stays_bad { bad } else { well };
        }
    }
    let held: Vec<UrlId> = shared.lock().sites.iter().filter(|(_, site)| site.url.held).map(|(id, _)| *id).collect();
    for id in held {
        let released = shared.lock().dice.percent(80);
        if released {
            // An earlier trouble of the store may have an end that comes only now.
            while table.set(move |world, now| turn(world, id, now)).await.is_err() {
                tokio::time::sleep(MINUTE).await;
            }
        }
    }
}

/// Nothing but time passes until all is done.
async fn quiet(shared: &Shared, dispatcher: &mut Dispatcher) -> End {
    let begun = shared.lock().now();
    let board = dispatcher.board();
    shared.lock().note(format_args!("quiet"));
    // The longest schedule, the longest pause that a server may ask for, and probes of what is dead.
    let probes = Duration::from_secs(61 + u64::from(BAD_WINDOW)) * u32::try_from(shared.lock().rows.len()).unwrap_or(u32::MAX);
    let longest = Duration::from_secs(5 * 24 * 3_600) + probes;
    loop {
        has_not_ended(shared, dispatcher);
        let step = {
            let mut world = shared.lock();
            let now = world.now();
            if now.since(begun) > CALM_AFTER {
                rules::nothing_is_forgotten(&mut world, &board);
            }
            if now.since(begun) > CALM_AFTER && rules::is_done(&world) {
                return End::Done;
            }
            if now.since(begun) > longest {
                world.is_wrong("it does not come to an end".to_owned());
            }
            if !world.wrong.is_empty() {
                return End::Done;
            }
            rules::next_due(&world, now).map_or(MINUTE, |next| next.since(now))
        };
        // Looked at soon after something is due.
        tokio::time::sleep(step.min(MINUTE) + Duration::from_millis(1_700)).await;
    }
}
