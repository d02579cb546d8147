//! Order search with many orders stored.

use super::pages;
use crate::{
    figures::Latencies,
    filling::{FIRST_REFERENCE, created_at, fill, id, reference},
    generator::Connection,
    message,
    receiver::Receiver,
    site::{Engine, Shop, Site},
};
use quittance::{
    domain::{
        OrderStatus, Timestamp,
        id::{MerchantId, OrderId},
        pages::orders::OrderFilter,
    },
    server::store::{OpenAs, Store},
};
use std::time::Instant;

const QUERIES: u64 = 300;

/// `sizes`: how many orders; they are added up, so in growing order.
pub async fn run(sizes: &[u64]) {
    println!(
        "search: an order list of 50 rows with its summaries, by kind of search, and pages; one merchant has all the orders"
    );
    for engine in [Engine::Sqlite, Engine::Postgres { nodes: 1 }] {
        let receiver = Receiver::start();
        let shop = Shop { url: Some(receiver.url("shop", 0)), concurrent: true };
        let (mut site, paths) = Site::new(engine, &[shop]).await;
        let mut stored = 0;
        let mut first = None;
        for size in sizes {
            let begin = Instant::now();
            fill(&site, stored, *size).await;
            stored = *size;
            println!("  {engine}: {size} orders ({:.0} s to fill)", begin.elapsed().as_secs_f64());
            let store = site.store(OpenAs::Tool { create: false }).await;
            let merchant_id = store.settings().merchants().first().map(|merchant| merchant.id).expect("a merchant");
            let p99s = measure(&store, merchant_id, stored).await;
            store.close().await;
            let numbers: Vec<_> = (0..50).map(|number| number * (stored / 50)).collect();
            post(&mut site, &paths[0], &receiver, &numbers).await;
            let references: Vec<_> = numbers.into_iter().map(reference).collect();
            pages::measure(&mut site, &references).await;
            match &first {
                None => first = Some(p99s),
                Some(first) => {
                    let worst = first.iter().zip(&p99s).map(|((kind, few), (_, many))| (many / few, *kind));
                    let worst = worst.max_by(|a, b| a.0.total_cmp(&b.0)).expect("some kinds");
                    let all = p99s.iter().map(|(_, many)| many).sum::<f64>() / first.iter().map(|(_, few)| few).sum::<f64>();
                    println!("    p99 against {} orders: all kinds {all:.2}, worst {:.2} ({})", sizes[0], worst.0, worst.1);
                }
            }
        }
    }
}

/// The p99 of every kind of search, in milliseconds.
async fn measure(store: &Store, merchant_id: MerchantId, orders: u64) -> Vec<(&'static str, f64)> {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut any = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % orders
    };
    let plain =
        || OrderFilter { text: String::new(), status: None, from: None, until: None, test: None, after: None, masked: false };
    let text = |text: String| OrderFilter { text, ..plain() };
    let moment = |number: u64| Timestamp(created_at(number));
    type Make<'a> = Box<dyn FnMut(u64) -> OrderFilter + 'a>;
    let kinds: Vec<(&'static str, Make<'_>)> = vec![
        ("newest", Box::new(|_| plain())),
        ("reference", Box::new(|number| text(reference(number)))),
        ("beginning of a reference", Box::new(|number| text(reference(number)[..7].to_owned()))),
        ("external reference", Box::new(|number| text(format!("cart-{number}")))),
        ("e-mail", Box::new(|number| text(format!("buyer{number}@")))),
        ("status", Box::new(|_| OrderFilter { status: Some(OrderStatus::Refunded), ..plain() })),
        ("dates", Box::new(|number| OrderFilter { from: Some(moment(number)), until: Some(moment(number + 500)), ..plain() })),
        ("TEST only", Box::new(|_| OrderFilter { test: Some(true), ..plain() })),
        ("status and TEST only", Box::new(|_| OrderFilter { status: Some(OrderStatus::Refunded), test: Some(true), ..plain() })),
        (
            "status and dates",
            Box::new(|number| OrderFilter {
                status: Some(OrderStatus::Refunded),
                from: Some(moment(number / 2)),
                until: Some(moment(number)),
                ..plain()
            }),
        ),
        ("a page far back", Box::new(|number| OrderFilter { after: Some(OrderId(id(number))), ..plain() })),
    ];
    let mut p99s = Vec::new();
    for (kind, mut make) in kinds {
        let mut latencies = Latencies::default();
        // The first answers read pages of the file that later ones find in memory.
        for round in 0..QUERIES + 20 {
            let filter = make(any());
            let begin = Instant::now();
            store.find_orders(merchant_id, &filter).await.expect("an answer");
            if round >= 20 {
                latencies.add(begin.elapsed());
            }
        }
        println!("    {kind}: {:.2} / {:.2} ms (p50 / p99)", latencies.percentile(50.0), latencies.percentile(99.0));
        p99s.push((kind, latencies.percentile(99.0)));
    }
    p99s
}

/// Has a message of each of these orders come and be delivered: what `fill` makes has neither bytes nor attempts, and its pages
/// tell that they were removed.
async fn post(site: &mut Site, path: &str, receiver: &Receiver, numbers: &[u64]) {
    receiver.take();
    site.start();
    let port = site.ports()[0];
    // All at once: under load, too, several lie in a segment, which is unpacked as a whole.
    let posted = numbers.iter().map(|number| async move {
        let mut connection = Connection::open(port).await;
        connection.exchange(&message::request(path, FIRST_REFERENCE + number)).await;
    });
    futures::future::join_all(posted).await;
    receiver.wait_for(numbers.len() as u64).await;
    site.stop();
}
