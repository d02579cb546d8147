//! What a browser loads that comes for the first time: the dashboard, and every file that it names.

use super::{Contents, House};
use crate::support::gateway::Reply;
use std::collections::BTreeSet;

/// Most bytes of a first visit on their way (brotli), everything together.
const MOST_BYTES: usize = 200_000;

/// The bytes of an answer on their way.
fn bytes(reply: &Reply) -> usize {
    let head: usize = reply.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    head + reply.body.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_visit_is_small() {
    let contents = Contents { merchants: ["Shop", "Other"], label: "Script", fields: &[], said: "", orders: 60 };
    let mut house = House::full(contents).await;
    let plain = house.browser.get("/m/shop").await.text();
    let files: BTreeSet<String> = plain
        .split("/pkg/")
        .skip(1)
        .map(|rest| rest.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter)).collect())
        .collect();
    for ending in [".css", ".js", "_bg.wasm", ".svg"] {
        assert!(files.iter().any(|file| file.ends_with(ending)), "no {ending} among {files:?}: make target/site/manifest.json");
    }
    house.browser.headers.retain(|(name, _)| *name != "accept-encoding");
    house.browser.headers.push(("accept-encoding", "br".to_owned()));
    let page = house.browser.get("/m/shop").await;
    let mut sizes = vec![(bytes(&page), "/m/shop".to_owned())];
    assert_eq!(page.header("content-encoding"), "br");
    for file in files {
        let address = format!("/pkg/{file}");
        let reply = house.browser.get(&address).await;
        assert_eq!((reply.status, reply.header("content-encoding")), (200, "br"), "{address}");
        assert!(reply.header("cache-control").contains("immutable"), "{address} is loaded anew each time: {reply:?}");
        sizes.push((bytes(&reply), address));
    }
    let all: usize = sizes.iter().map(|(bytes, _)| bytes).sum();
    assert!(all <= MOST_BYTES, "the first visit takes {all} bytes: {sizes:?}");
}
