//! What people read: the catalogue is whole, every page speaks through it, and the language is the one that somebody wants.
//!
//! `catalogue` holds the translations against the source, `pages` looks at every page (`marks` reads one), `choice` is whose
//! language it is. Here is where the source lies, and what gateways are called.

mod catalogue;
mod choice;
mod marks;
mod pages;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What gateways are called.
fn gateways() -> &'static [String] {
    static LABELS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let files = fs::read_dir(root("src/server/gateway/presets")).unwrap().map(|entry| entry.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
        let label = |path: PathBuf| {
            let preset: toml::Table = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            preset["label"].as_str().unwrap().to_owned()
        };
        let mut labels: Vec<_> = files.map(label).collect();
        // The longest first: one may begin another.
        labels.sort_by_key(|label| std::cmp::Reverse(label.len()));
        labels
    });
    &LABELS
}
