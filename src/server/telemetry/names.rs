//! The metrics by name: what is told, in the order in which it is told.

/// One metric, or several of one name that differ in a label.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    pub name: &'static str,
    pub kind: &'static str,
    pub help: &'static str,
}

const fn family(name: &'static str, kind: &'static str, help: &'static str) -> Family {
    Family { name, kind, help }
}

pub const BUILD_INFO: Family =
    family("quittance_build_info", "gauge", "Always 1; its labels tell the version and the engine of the database.");
pub const MESSAGES: Family = family(
    "quittance_messages_total",
    "counter",
    "Messages posted to listener pages, by outcome: accepted, repeated (the identical one was there), refused, or not stored (the gateway was asked to come again).",
);
pub const REFUSALS: Family = family("quittance_refusals_total", "counter", "Messages refused, by reason.");
pub const ACKNOWLEDGE: Family = family(
    "quittance_acknowledge_seconds",
    "histogram",
    "From the head of an accepted or repeated message to its acknowledgement, with reading it and its commit.",
);
pub const COMMIT: Family =
    family("quittance_commit_seconds", "histogram", "Commits that hold messages or results of attempts; many share one.");
pub const ATTEMPTS: Family =
    family("quittance_attempts_total", "counter", "Attempts that have ended, by cause; the cause of a success is confirmed.");
pub const IN_FLIGHT: Family = family("quittance_in_flight", "gauge", "Attempts on their way now.");
pub const DELIVERIES: Family = family(
    "quittance_deliveries",
    "gauge",
    "Deliveries in the books of the whole installation by state, at the last check; without what retention has removed.",
);
pub const OUTSTANDING: Family = family(
    "quittance_outstanding",
    "gauge",
    "Deliveries of the whole installation that are queued or to be tried again, at the last check.",
);
pub const BOOKS_DIFFERENCE: Family = family(
    "quittance_books_difference",
    "gauge",
    "Must be 0. By check: sums is accepted deliveries against the sum over the states, rows the books against the deliveries themselves; both without signs, over all URLs.",
);
pub const BOOKS_CHECKED: Family =
    family("quittance_books_checked_timestamp_seconds", "gauge", "When the books were last checked, by check.");
pub const BOOKS_CHECKS: Family = family(
    "quittance_books_checks_total",
    "counter",
    "Checks of the books, by check; of rows one URL is checked at a time, in turns.",
);
pub const RESIDENT_MEMORY: Family =
    family("process_resident_memory_bytes", "gauge", "Memory of this process that is in the machine's.");
pub const START_TIME: Family = family("process_start_time_seconds", "gauge", "When this server started.");
