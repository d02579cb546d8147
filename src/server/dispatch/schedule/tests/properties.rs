//! The lanes against a table played by a plain list, whatever happens in whichever order.

use super::*;
use proptest::prelude::*;

/// A table, what is on its way, and the time.
struct World {
    lanes: Lanes,
    table: Vec<Job>,
    flying: Vec<Job>,
    now: Timestamp,
    /// When what was started at each URL.
    starts: Vec<(i64, Timestamp)>,
}

impl World {
    fn new(setting: &Setting) -> Self {
        let urls = (0..4)
            .map(|id| NotificationUrl {
                merchant_id: MerchantId(id / 3),
                concurrent: setting.concurrent,
                order_in_order: setting.in_order,
                terms: Terms { max_in_flight: setting.max_in_flight, rate_per_second: setting.rate, ..Terms::default() },
                ..url(id)
            })
            .collect();
        let mut lanes = Lanes::default();
        lanes.tick(NOW);
        configure(&mut lanes, urls);
        Self { lanes, table: Vec::new(), flying: Vec::new(), now: NOW, starts: Vec::new() }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now.plus(span);
        self.lanes.tick(self.now);
    }

    fn arrive(&mut self, url: i64, order: i64, id: i64, origin: Origin) {
        let new = Job { merchant_id: MerchantId(url / 3), due_at: self.now, origin, ..job(url, order, id) };
        self.table.push(new.clone());
        self.lanes.push(new);
    }

    /// The oldest attempt on its way ends.
    fn settle(&mut self, ended: Ended, outcome: Next) {
        let done = self.flying.remove(0);
        self.lanes.finished(done.url_id, done.origin, ended);
        match outcome {
            Next::Retry(due) => {
                for job in self.table.iter_mut().filter(|job| job.delivery_id == done.delivery_id) {
                    (job.due_at, job.attempts) = (due, job.attempts + 1);
                }
            }
            _ => self.table.retain(|job| job.delivery_id != done.delivery_id),
        }
        self.lanes.recorded(done.url_id, done.order_id, done.delivery_id, outcome);
    }

    fn load(&mut self) {
        for question in self.lanes.to_ask() {
            let firsts = firsts(&self.table, &question);
            self.lanes.answered(question.url_id, question.number, firsts);
        }
        for load in self.lanes.to_load() {
            let read = read(&self.table, &load, self.now);
            self.lanes.loaded(load.url_id, load.backlog, read);
        }
    }

    fn start(&mut self, setting: &Setting) -> Result<(), TestCaseError> {
        while let Some(started) = self.lanes.next() {
            prop_assert!(self.flying.iter().all(|job| job.delivery_id != started.delivery_id), "twice at a time");
            if started.origin != Origin::Debug {
                let beside = self.flying.iter().filter(|job| job.url_id == started.url_id && job.origin != Origin::Debug).count();
                let most = if setting.concurrent { usize::from(setting.max_in_flight) } else { 1 };
                prop_assert!(beside < most, "{} at a time", beside + 1);
                if matches!(self.lanes.pause(started.url_id), Some(Pause::Probing { .. })) {
                    prop_assert_eq!(beside, 0, "single probes");
                }
                prop_assert!(!matches!(self.lanes.pause(started.url_id), Some(Pause::Told { .. })), "left alone");
                if setting.in_order {
                    let same = |job: &&Job| {
                        job.url_id == started.url_id && job.order_id == started.order_id && job.origin != Origin::Debug
                    };
                    prop_assert!(self.flying.iter().filter(same).count() == 0);
                    let earlier = self.table.iter().filter(same).any(|job| job.delivery_id < started.delivery_id);
                    prop_assert!(!earlier, "an earlier one of the order is unfinished");
                }
                self.starts.push((started.url_id.0, self.now));
            }
            self.flying.push(started);
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
struct Setting {
    concurrent: bool,
    in_order: bool,
    max_in_flight: u16,
    rate: Option<u16>,
}

fn setting() -> impl Strategy<Value = Setting> {
    (any::<bool>(), any::<bool>(), 1_u16..6, proptest::option::of(1_u16..30))
        .prop_map(|(concurrent, in_order, max_in_flight, rate)| Setting { concurrent, in_order, max_in_flight, rate })
}

proptest! {
    /// Everything is delivered, nothing twice at a time, no limit is exceeded, and the counts come out even.
    #[test]
    fn everything_is_delivered_exactly_once_at_a_time(
        steps in proptest::collection::vec((0_u8..9, 0_i64..4, 0_i64..3), 1..300), setting in setting(),
    ) {
        let mut world = World::new(&setting);
        let mut id = 0;
        for (step, url, order) in steps {
            let retry = Next::Retry(world.now.plus(Duration::from_secs(5)));
            match step {
                0..=3 => {
                    id += 1;
                    world.arrive(url, order, id, [Origin::Arrival, Origin::Bulk, Origin::Resend, Origin::Debug][usize::from(step)]);
                }
                4 if !world.flying.is_empty() => world.settle(signal(Signal::Alive), Next::Confirmed),
                5 | 6 if !world.flying.is_empty() => {
                    let outcome = if world.flying[0].origin == Origin::Debug { Next::Closed } else { retry };
                    world.settle(signal(Signal::Down), outcome);
                }
                7 if !world.flying.is_empty() => {
                    let outcome = if world.flying[0].origin == Origin::Debug { Next::Closed } else { retry };
                    let not_before = Some(world.now.plus(Duration::from_secs(7)));
                    world.settle(Ended { signal: Signal::Down, not_before }, outcome);
                }
                _ => world.pass(Duration::from_millis(700)),
            }
            world.load();
            world.start(&setting)?;
        }
        let mut rounds = 0;
        while !world.table.is_empty() {
            rounds += 1;
            prop_assert!(rounds < 3_000, "stuck with {:?}", world.table);
            world.load();
            world.start(&setting)?;
            if world.flying.is_empty() {
                // As the dispatcher does it: it sleeps until it is told to look again.
                let wake_at = world.lanes.wake_at();
                prop_assert!(wake_at.is_some(), "nothing would wake it");
                world.pass(wake_at.map_or(Duration::ZERO, |at| at.since(world.now)));
            }
            while !world.flying.is_empty() {
                world.settle(signal(Signal::Alive), Next::Confirmed);
            }
        }
        let lanes = &world.lanes;
        prop_assert_eq!((lanes.in_memory, lanes.in_flight(), lanes.body_bytes, lanes.loads), (0, 0, 0, 0));
        prop_assert!(lanes.shares.values().all(|share| share.in_flight == 0));
        if let Some(rate) = setting.rate {
            let most = usize::from(rate) + usize::from(rate / 10).max(1);
            for (place, (url, at)) in world.starts.iter().enumerate() {
                let second = at.plus(Duration::from_secs(1));
                let within = world.starts[place..].iter().filter(|(other, start)| other == url && *start < second).count();
                prop_assert!(within <= most, "{within} in a second at {rate}/s");
            }
        }
    }
}
