//! `fuzz TARGET [libFuzzer's arguments]`: the target is named first, everything else is libFuzzer's.
#![no_main]

#[path = "targets.rs"]
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// The target that the environment names: libFuzzer owns the arguments.
static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = targets::TARGETS.into_iter().find(|(name, _)| *name == wanted);
    let known = targets::TARGETS.map(|(name, _)| name).join(", ");
    found.unwrap_or_else(|| panic!("FUZZ_TARGET={wanted:?}; there are {known}")).1
});

fuzz_target!(|data: &[u8]| TARGET(data));
