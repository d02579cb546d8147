//! Which indexes a database must have: those that its migrations make, and that no later one takes away.

use sqlx::migrate::Migrator;
use std::collections::BTreeSet;

/// The names of the indexes after all migrations.
pub(super) fn declared(migrator: &Migrator) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for migration in migrator.iter() {
        follow(migration.sql.as_str(), &mut names);
    }
    names
}

/// Follows what a migration makes and takes away.
fn follow(sql: &str, names: &mut BTreeSet<String>) {
    let plain: Vec<&str> = sql.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
    let plain = plain.join(" ");
    for statement in plain.split(';') {
        let words: Vec<&str> = statement.split_whitespace().collect();
        match words.as_slice() {
            ["CREATE", "INDEX", name, ..] | ["CREATE", "UNIQUE", "INDEX", name, ..] => names.insert((*name).to_owned()),
            ["DROP", "INDEX", name, ..] => names.remove(*name),
            _ => false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_and_taken_away_is_followed() {
        let mut names = BTreeSet::new();
        follow(
            "CREATE TABLE t (a); -- CREATE INDEX no ON t (a);\nCREATE INDEX a ON t (a);\nCREATE UNIQUE INDEX b ON t (a)",
            &mut names,
        );
        follow("DROP INDEX a;\nCREATE INDEX\n    c ON t (a);", &mut names);
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["b", "c"]);
    }
}
