//! The pages of the control panel, read from their source, so that a new one cannot be forgotten by the tests that walk them all.

use std::{fs, path::Path};

/// The address of every page, with `:name` where something must be put.
pub fn all() -> Vec<String> {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ui/routes.rs")).unwrap();
    let routes: Vec<_> = source.split("path!(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert!(routes.len() > 30, "the pages were not found");
    routes
}

/// The address with what its names stand for; nothing where one of them is not known.
pub fn filled<'v>(route: &str, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let parts = route.split('/').map(|part| match part.strip_prefix(':') {
        Some(name) => value(name).map(str::to_owned),
        None => Some(part.to_owned()),
    });
    Some(parts.collect::<Option<Vec<_>>>()?.join("/"))
}
