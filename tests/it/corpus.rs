//! The committed corpus of the fuzzer, and what was found once: every target with every input, also those of the others.

#[path = "../../fuzz/src/targets.rs"]
mod targets;

use quittance::server::gateway::{Confirm, Gateways};
use std::{fs, path::Path};

#[test]
fn every_target_takes_every_input_of_the_corpus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut inputs = Vec::new();
    for (name, _) in targets::TARGETS {
        let before = inputs.len();
        for entry in fs::read_dir(root.join(name)).unwrap() {
            let path = entry.unwrap().path();
            inputs.push((path.clone(), fs::read(&path).unwrap()));
        }
        assert!(inputs.len() - before >= 5, "the corpus of {name} is small");
    }
    let folders = fs::read_dir(&root).unwrap().count();
    assert_eq!(folders, targets::TARGETS.len(), "a folder for each target, and none besides");
    for (name, target) in targets::TARGETS {
        for (path, bytes) in &inputs {
            let caught = std::panic::catch_unwind(|| target(bytes));
            assert!(caught.is_ok(), "the target {name} with {}", path.display());
        }
    }
}

/// What follows a right signature is fuzzed, too: of each gateway that tells something by itself there are inputs that get there.
#[test]
fn inputs_that_are_signed_are_read_at_every_gateway() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for preset in Gateways::shared().all() {
        if preset.confirm.as_ref().is_some_and(Confirm::is_fetched) {
            continue;
        }
        let folders = ["form", "query", "json"].into_iter().flat_map(|name| fs::read_dir(root.join(name)).unwrap());
        let read = folders.filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            targets::offer_signed(preset, &fs::read(path).unwrap()) > 0
        });
        assert!(read.count() >= 1, "{}: no input of the corpus is read", preset.id);
    }
}
