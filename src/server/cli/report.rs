//! What a command prints: one JSON value for scripts, lines or a table for people.

use serde_json::Value;
use std::fmt::Write as _;

/// The result of a command.
#[derive(Debug, Default)]
pub struct Report {
    pub json: Value,
    /// Whole lines.
    pub text: String,
    /// The command did its work, and what it found is bad: what to say of it where errors are said.
    pub failed: Option<String>,
}

/// A table with a head; columns are as wide as what stands in them.
pub fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    let mut line = |cells: [&str; N]| {
        let mut row = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(row, "{cell:width$}  ");
        }
        out.push_str(row.trim_end());
        out.push('\n');
    };
    line(head);
    for row in rows {
        line(std::array::from_fn(|column| row[column].as_str()));
    }
    out
}

/// `yes`, or nothing.
pub fn tick(value: bool) -> String {
    if value { "yes".to_owned() } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_one_another_whatever_the_letters() {
        let rows = [["Łucja".to_owned(), "1".to_owned()], ["A".to_owned(), "22".to_owned()]];
        assert_eq!(table(["NAME", "N"], &rows), "NAME   N\nŁucja  1\nA      22\n");
    }
}
