//! `quittance copy`: an installation moved from SQLite to PostgreSQL.

use super::{
    CliError,
    args::CopyArgs,
    report::{Report, table, tick},
    tool::address,
};
use crate::server::{
    clock::Clock,
    store::{self, Copied, CopyError, CopySettings, Progress, Sums},
};
use serde_json::{Value, json};
use std::io::{IsTerminal as _, Write as _};

/// Copies everything and compares both sides.
pub async fn run(args: &CopyArgs) -> Result<Report, CliError> {
    let (from, to) = (address("--from", &args.from), address("--to", &args.to));
    let shown = (from.to_string(), to.to_string());
    let settings = CopySettings {
        from,
        from_key_file: args.from_key_file.clone(),
        to,
        to_key_file: args.to_key_file.clone(),
        clock: Clock::system(),
    };
    let mut line = Line::new();
    let copied = store::copy(settings, |progress| line.show(progress)).await;
    line.clear();
    Ok(report(&copied.map_err(failure)?, &shown))
}

/// The error with the flags of this command.
fn failure(error: CopyError) -> CliError {
    let text = error.to_string();
    CliError::Copy(match error {
        CopyError::From(_) => text.replace("--key-file", "--from-key-file").replace("--database", "--from"),
        CopyError::To(_) => text.replace("--key-file", "--to-key-file").replace("--database", "--to"),
        _ => text,
    })
}

fn report(copied: &Copied, (from, to): &(String, String)) -> Report {
    let rows: Vec<_> = copied
        .tables
        .iter()
        .map(|table| {
            [
                table.name.to_owned(),
                table.source.rows.to_string(),
                table.target.rows.to_string(),
                table.source.bytes.to_string(),
                table.target.bytes.to_string(),
                tick(table.is_equal()),
            ]
        })
        .collect();
    let mut text = table(["TABLE", "ROWS", "COPIED", "BYTES", "COPIED", "EQUAL"], &rows);
    let equal = copied.is_equal();
    text.push_str(&if equal {
        format!(
            "\nCopied {from} to {to}: both sides are equal.\nIts secrets open with {} only; each node needs that file.\n\
             From now on run the server on the copy alone: one on the source would deliver what is outstanding, too.\n",
            copied.key_file.display()
        )
    } else {
        format!("\nThe sides differ, and no server starts on {to}. Run the same command again: it begins anew.\n")
    });
    let json = json!({
        "equal": equal, "from": from, "to": to, "key_file": copied.key_file,
        "tables": copied.tables.iter().map(|table| json!({
            "table": table.name, "source": sums(table.source), "target": sums(table.target), "equal": table.is_equal(),
        })).collect::<Vec<_>>(),
    });
    let failed = (!equal).then(|| format!("the copy in {to} differs from {from}; run the same command again"));
    Report { json, text, failed }
}

/// The sum of numbers as text: it may be larger than numbers of JSON are read.
fn sums(sums: Sums) -> Value {
    json!({ "rows": sums.rows, "bytes": sums.bytes, "numbers": sums.numbers.to_string() })
}

/// One line on a terminal that tells how far it is; nothing elsewhere.
struct Line {
    shows: bool,
}

impl Line {
    fn new() -> Self {
        Self { shows: std::io::stderr().is_terminal() }
    }

    fn show(&mut self, progress: Progress) {
        self.write(&format!("{}: {} of {} rows", progress.table, progress.rows, progress.of));
    }

    fn clear(&mut self) {
        self.write("");
    }

    fn write(&self, text: &str) {
        if self.shows {
            // Nobody is harmed where it cannot be shown.
            let _ = write!(std::io::stderr(), "\r\u{1b}[K{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::{CopiedTable, StoreError};

    fn copied(rows: u64, numbers: i128) -> Copied {
        let source = Sums { rows: 3, numbers: 7, bytes: 9 };
        let tables = vec![CopiedTable { name: "orders", source, target: Sums { rows, numbers, bytes: 9 } }];
        Copied { tables, key_file: "a.key".into() }
    }

    #[test]
    fn one_difference_is_enough_to_fail() {
        let shown = ("a.db".to_owned(), "postgres://b".to_owned());
        let well = report(&copied(3, 7), &shown);
        assert!(well.failed.is_none() && well.json["equal"] == true && well.text.contains("both sides are equal"));
        for (rows, numbers) in [(2, 7), (3, 8)] {
            let bad = report(&copied(rows, numbers), &shown);
            assert!(bad.failed.is_some() && bad.json["tables"][0]["equal"] == false, "{:?}", bad.json);
            assert!(bad.text.contains("no server starts on postgres://b"));
        }
    }

    #[test]
    fn errors_name_the_flag_of_their_side() {
        let missing = || StoreError::KeyMissing("k".into());
        assert!(failure(CopyError::From(missing())).to_string().contains("--from-key-file"));
        assert!(failure(CopyError::To(missing())).to_string().contains("--to-key-file"));
    }
}
