//! The text format of Prometheus, version 0.0.4.

use super::names::Family;
use std::fmt::{Display, Write as _};

/// What the text says of itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A text under construction.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family: what it is.
    pub fn begin(&mut self, family: Family) {
        let Family { name, kind, help } = family;
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One number. The values of labels are words of ours, which need no escapes.
    pub fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    /// A family of one number.
    pub fn one(&mut self, family: Family, value: impl Display) {
        self.begin(family);
        self.line(family.name, &[], value);
    }

    /// A family whose numbers differ in one label.
    pub fn many<V: Display>(&mut self, family: Family, label: &str, values: impl IntoIterator<Item = (&'static str, V)>) {
        self.begin(family);
        for (word, value) in values {
            self.line(family.name, &[(label, word)], value);
        }
    }

    pub fn finish(self) -> String {
        self.0
    }
}
