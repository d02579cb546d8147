//! What a copy takes along: every table with its columns, in an order in which references point to what is there.
//!
//! tests/it/copy.rs holds this against the tables of both engines, so that a new column cannot be forgotten here.

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

use Kind::{Bytes, Flag, Integer, Node, Page, Rank, Sealed, Text};

/// Everything that is copied row by row.
pub(super) const TABLES: [Table; 26] = [
    Table {
        name: "merchant",
        target: "merchant",
        columns: &[
            ("id", Integer),
            ("name", Text),
            ("slug", Text),
            ("secret_key", Sealed("merchant.secret_key")),
            ("old_key", Sealed("merchant.old_key")),
            ("old_key_until", Integer),
            ("triggers", Integer),
            ("triggers_at", Integer),
            ("tags", Text),
            ("alert_url", Text),
            ("alert_after", Integer),
            ("alert_mail", Text),
            ("alert_certificate", Integer),
            ("alert_outstanding", Integer),
            ("mail", Text),
            ("time_zone", Text),
            ("created_at", Integer),
            ("updated_at", Integer),
            ("version", Integer),
            ("cancelled_before", Integer),
        ],
    },
    Table {
        name: "listener",
        target: "listener",
        columns: &[
            ("id", Integer),
            ("merchant_id", Integer),
            ("gateway", Text),
            ("label", Text),
            ("path_key", Text),
            ("secret", Sealed("listener.secret")),
            ("options", Sealed("listener.options")),
            ("required", Integer),
            ("enabled", Flag),
            ("created_at", Integer),
            ("updated_at", Integer),
            ("version", Integer),
        ],
    },
    Table {
        name: "notification_url",
        target: "notification_url",
        columns: &[
            ("id", Integer),
            ("merchant_id", Integer),
            ("label", Text),
            ("url", Text),
            ("is_default", Flag),
            ("algorithms", Integer),
            ("concurrent", Flag),
            ("order_in_order", Flag),
            ("held", Flag),
            ("held_at", Integer),
            ("held_cause", Text),
            ("max_in_flight", Integer),
            ("rate_per_second", Integer),
            ("retries", Text),
            ("shadow", Flag),
            ("authority", Text),
            ("triggers", Integer),
            ("triggers_at", Integer),
            ("timeout", Integer),
            ("format", Text),
            ("headers", Sealed("notification_url.headers")),
            ("new_key_at", Integer),
            ("check_status", Text),
            ("check_note", Text),
            ("checked_at", Integer),
            ("removed_at", Integer),
            ("created_at", Integer),
            ("updated_at", Integer),
            ("version", Integer),
        ],
    },
    Table {
        name: "url_alert",
        target: "url_alert",
        columns: &[
            ("url_id", Integer),
            ("topic", Text),
            ("kind", Text),
            ("told_at", Integer),
            ("status", Integer),
            ("cause", Text),
            ("note", Text),
        ],
    },
    Table {
        name: "user",
        target: "account",
        columns: &[
            ("id", Integer),
            ("email", Text),
            ("password_hash", Text),
            ("role", Text),
            ("created_at", Integer),
            ("updated_at", Integer),
            ("disabled_at", Integer),
            ("version", Integer),
            ("link_hash", Bytes),
            ("link_expires_at", Integer),
            ("language", Text),
        ],
    },
    Table { name: "membership", target: "membership", columns: &[("user_id", Integer), ("merchant_id", Integer)] },
    Table {
        name: "session",
        target: "session",
        columns: &[
            ("token_hash", Bytes),
            ("user_id", Integer),
            ("created_at", Integer),
            ("seen_at", Integer),
            ("expires_at", Integer),
            ("address", Text),
            ("agent", Text),
        ],
    },
    Table {
        name: "saved_view",
        target: "saved_view",
        columns: &[
            ("id", Integer),
            ("user_id", Integer),
            ("merchant_id", Integer),
            ("list", Text),
            ("name", Text),
            ("query", Text),
        ],
    },
    Table {
        name: "audit",
        target: "audit",
        columns: &[
            ("id", Integer),
            ("at", Integer),
            ("actor", Text),
            ("merchant_id", Integer),
            ("action", Text),
            ("subject", Text),
            ("detail", Text),
            ("address", Text),
            ("subject_id", Integer),
            ("version", Integer),
            ("changes", Text),
        ],
    },
    Table {
        name: "orders",
        target: "orders",
        columns: &[
            ("id", Integer),
            ("merchant_id", Integer),
            ("gateway", Text),
            ("reference", Text),
            ("external", Text),
            ("email", Text),
            ("customer", Text),
            ("status", Text),
            ("status_rank", Rank),
            ("vendor_status", Text),
            ("amount", Integer),
            ("currency", Text),
            ("test", Flag),
            ("event_at", Integer),
            ("event_told", Flag),
            ("refunded", Integer),
            ("refunded_total", Integer),
            ("created_at", Integer),
            ("updated_at", Integer),
        ],
    },
    Table {
        name: "notification",
        target: "notification",
        columns: &[
            ("id", Integer),
            ("merchant_id", Integer),
            ("listener_id", Integer),
            ("order_id", Integer),
            ("received_at", Integer),
            ("event_at", Integer),
            ("digest", Bytes),
            ("status", Text),
            ("vendor_status", Text),
            ("message_id", Text),
            ("signatures", Integer),
            ("test", Flag),
            ("peer", Text),
            ("size", Integer),
            ("segment_id", Integer),
            ("part", Integer),
            ("translated", Flag),
            ("amount", Integer),
            ("currency", Text),
            ("repeats", Integer),
            ("repeated_at", Integer),
        ],
    },
    Table {
        name: "resend",
        target: "resend",
        columns: &[
            ("id", Integer),
            ("order_id", Integer),
            ("at", Integer),
            ("actor", Text),
            ("debug", Flag),
            ("request_key", Text),
        ],
    },
    Table {
        name: "bulk_job",
        target: "bulk_job",
        columns: &[
            ("id", Integer),
            ("merchant_id", Integer),
            ("at", Integer),
            ("actor", Text),
            ("request_key", Text),
            ("filter", Text),
            ("target", Text),
            ("expected", Integer),
            ("ceiling", Integer),
            ("state", Integer),
            ("position", Integer),
            ("swept", Flag),
            ("behind", Text),
            ("made", Integer),
            ("confirmed", Integer),
            ("waiting", Integer),
            ("removed", Integer),
            ("without_bytes", Integer),
            ("turn", Integer),
            ("finished_at", Integer),
            ("starts_at", Integer),
        ],
    },
    Table {
        name: "delivery",
        target: "delivery",
        columns: &[
            ("id", Integer),
            ("notification_id", Integer),
            ("url_id", Integer),
            ("order_id", Integer),
            ("merchant_id", Integer),
            ("origin", Integer),
            ("resend_id", Integer),
            ("node_id", Node),
            ("state", Integer),
            ("attempts", Integer),
            ("window_from", Integer),
            ("due_at", Integer),
            ("last_attempt_at", Integer),
            ("last_cause", Text),
            ("created_at", Integer),
            ("finished_at", Integer),
            ("cancel_id", Integer),
            ("address", Text),
        ],
    },
    Table {
        name: "attempt",
        target: "attempt",
        columns: &[
            ("delivery_id", Integer),
            ("number", Integer),
            ("started_at", Integer),
            ("address", Text),
            ("status", Integer),
            ("cause", Text),
            ("detail", Text),
            ("timings", Text),
            ("segment_id", Integer),
            ("part", Integer),
        ],
    },
    Table { name: "segment", target: "segment", columns: &[("id", Integer), ("bytes", Bytes)] },
    Table {
        name: "url_books",
        target: "url_books",
        columns: &[
            ("url_id", Integer),
            ("page", Page),
            ("accepted", Integer),
            ("queued", Integer),
            ("retrying", Integer),
            ("held", Integer),
            ("confirmed", Integer),
            ("expired", Integer),
            ("cancelled", Integer),
            ("last_confirmed_at", Integer),
            ("last_attempt_at", Integer),
        ],
    },
    Table {
        name: "tally",
        target: "tally",
        columns: &[
            ("merchant_id", Integer),
            ("hour", Integer),
            ("page", Page),
            ("notifications", Integer),
            ("repeats", Integer),
            ("refused", Integer),
            ("confirmed", Integer),
            ("failed", Integer),
            ("expired", Integer),
        ],
    },
    Table {
        name: "url_tally",
        target: "url_tally",
        columns: &[
            ("url_id", Integer),
            ("hour", Integer),
            ("bucket", Integer),
            ("page", Page),
            ("confirmed", Integer),
            ("failed", Integer),
        ],
    },
    Table {
        name: "url_certificate",
        target: "url_certificate",
        columns: &[("url_id", Integer), ("url", Text), ("ends_at", Integer), ("seen_at", Integer)],
    },
    Table {
        name: "verifying",
        target: "verifying",
        columns: &[
            ("id", Integer),
            ("merchant_id", Integer),
            ("listener_id", Integer),
            ("received_at", Integer),
            ("digest", Bytes),
            ("reference", Text),
            ("peer", Text),
            ("size", Integer),
            ("bytes", Bytes),
            ("repeats", Integer),
            ("attempts", Integer),
            ("asked_at", Integer),
            ("due_at", Integer),
            ("taken_until", Integer),
            ("taken_by", Integer),
            ("note", Text),
        ],
    },
    Table {
        name: "refusal",
        target: "refusal",
        columns: &[
            ("id", Integer),
            ("merchant_id", Integer),
            ("listener_id", Integer),
            ("at", Integer),
            ("reason", Text),
            ("detail", Text),
            ("peer", Text),
            ("size", Integer),
            ("bytes", Bytes),
            ("suppressed", Integer),
            ("reference", Text),
        ],
    },
    Table {
        name: "mail",
        target: "mail",
        columns: &[
            ("id", Integer),
            ("merchant_id", Integer),
            ("order_id", Integer),
            ("notification_id", Integer),
            ("status", Text),
            ("recipient", Text),
            ("sender", Text),
            ("sender_name", Text),
            ("subject", Text),
            ("text", Text),
            ("state", Integer),
            ("attempts", Integer),
            ("due_at", Integer),
            ("created_at", Integer),
            ("finished_at", Integer),
            ("cause", Text),
            ("note", Text),
        ],
    },
    Table {
        name: "alert_mail",
        target: "alert_mail",
        columns: &[
            ("id", Integer),
            ("merchant_id", Integer),
            ("url_id", Integer),
            ("topic", Text),
            ("told_at", Integer),
            ("recipient", Text),
            ("subject", Text),
            ("text", Text),
            ("state", Integer),
            ("attempts", Integer),
            ("due_at", Integer),
            ("finished_at", Integer),
            ("cause", Text),
            ("note", Text),
        ],
    },
    Table { name: "journal_stuck", target: "journal_stuck", columns: &[("id", Integer), ("events", Bytes), ("segments", Bytes)] },
    // Small facts: only those that both engines know by the same name.
    Table { name: "meta", target: "meta", columns: &[("key", Text), ("value", Text)] },
];

/// The small facts that go along. The others belong to one database: the proof of its key, what tells it from others, how
/// far its journal is.
pub(super) const FACTS: [&str; 4] = ["settings_version", "setup_token", "bytes_kept_from", "attempts_kept_from"];

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
