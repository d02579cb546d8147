//! What a copy takes along: every table with its columns, in an order in which references point to what is there.
//!
//! The tables themselves stand in `list`; here is what a column may be, and the statements that are made of a table.
//! tests/it/copy holds this against the tables of both engines, so that a new column cannot be forgotten here.

mod list;

pub(super) use list::TABLES;

use Kind::{Bytes, Flag, Integer, Node, Page, Rank, Sealed, Text};

/// How a column's values come over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// 0 or 1 there, a boolean here.
    Flag,
    Text,
    Bytes,
    /// Sealed for a place: this word and the row's id, which is its first column. Sealed anew with the key of the target.
    Sealed(&'static str),
    /// How far along the order's status is.
    Rank,
    /// The node that has the deliveries of the source.
    Node,
    /// The page of the books that no node writes.
    Page,
}

/// One table.
pub(super) struct Table {
    /// Its name in SQLite, which is also how people are shown it.
    pub name: &'static str,
    /// Its name in PostgreSQL.
    pub target: &'static str,
    pub columns: &'static [(&'static str, Kind)],
}

/// The small facts that go along. The others are the proof of its key, what tells it from others, how far its journal is.
pub(super) const FACTS: [&str; 6] = [
    "settings_version",
    "setup_token",
    "bytes_kept_from",
    "attempts_kept_from",
    // Without these a server whose clock is wrong would believe it at once, and remove what is not old.
    "retained_at",
    "clock_doubted_since",
];

/// Facts that stay behind: they belong to one database.
const FACTS_LEFT_OUT: [&str; 6] = ["copy_unfinished", "installation", "journal_applied", "key_check", "settle_wanted", "settled"];

/// Tables that are not copied, because they tell of processes, of the database itself, or of forms that are open in browsers.
const LEFT_OUT: [&str; 8] =
    ["_sqlx_migrations", "node", "line", "lease", "errand", "segment_anew", "sqlite_sequence", "form_key"];

impl Table {
    /// What a row is read with, and how many there are.
    pub fn reading(&self) -> (String, String) {
        let columns: Vec<String> = self.columns.iter().map(|(name, kind)| kind.source(name)).collect();
        let from = format!("FROM \"{}\" {}", self.name, self.only());
        (format!("SELECT {} {from}", columns.join(", ")), format!("SELECT count(*) {from}"))
    }

    /// What rows are written with.
    pub fn writing(&self) -> String {
        let columns: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        format!("COPY {} ({}) FROM STDIN (FORMAT binary)", self.target, columns.join(", "))
    }

    /// What the target is counted with: rows, the sum of all numbers, bytes of all texts and blobs.
    pub fn counting(&self) -> String {
        let sums = |of: fn(Kind) -> Option<(&'static str, &'static str)>| {
            let terms = self.columns.iter().filter_map(|(name, kind)| {
                let (before, after) = of(*kind)?;
                Some(format!("coalesce(sum({before}{name}{after}), 0)"))
            });
            terms.chain(["0".to_owned()]).collect::<Vec<_>>().join(" + ")
        };
        let numbers = sums(|kind| match kind {
            Integer | Rank | Node | Page => Some(("", "::numeric")),
            Flag => Some(("", "::int::numeric")),
            Text | Bytes | Sealed(_) => None,
        });
        let bytes = sums(|kind| match kind {
            Text | Bytes | Sealed(_) => Some(("octet_length(", ")")),
            Integer | Flag | Rank | Node | Page => None,
        });
        format!("SELECT count(*), ({numbers})::text, ({bytes})::text FROM {} {}", self.target, self.only())
    }

    fn only(&self) -> String {
        if self.name == "meta" { format!("WHERE key IN ('{}')", FACTS.join("', '")) } else { String::new() }
    }
}

impl Kind {
    /// The column or value that it is made of in the source.
    fn source(self, name: &str) -> String {
        match self {
            Integer | Flag | Text | Bytes | Sealed(_) => format!("\"{name}\""),
            Rank => "coalesce(status_rank, status)".to_owned(),
            Node | Page => "0".to_owned(),
        }
    }

    /// Whether the column is in the tables of SQLite, too.
    const fn is_in_source(self) -> bool {
        !matches!(self, Page)
    }
}

/// Table and column, for each column that is copied or known to be left out: those of SQLite, or those of PostgreSQL. A table
/// that is left out as a whole has no column here.
pub fn known_columns(of_sqlite: bool) -> Vec<(&'static str, &'static str)> {
    let mut known: Vec<_> = LEFT_OUT.into_iter().map(|table| (table, "")).collect();
    for table in &TABLES {
        let columns = table.columns.iter().filter(|(_, kind)| !of_sqlite || kind.is_in_source());
        known.extend(columns.map(|(column, _)| (if of_sqlite { table.name } else { table.target }, *column)));
    }
    known
}

/// The keys of `meta` that are copied or known to be left out.
pub fn known_facts() -> impl Iterator<Item = &'static str> {
    FACTS.into_iter().chain(FACTS_LEFT_OUT)
}
