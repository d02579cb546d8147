//! The columns of both engines against the list of what is copied.

use super::target;
use crate::support::{postgres, stores};
use quittance::server::store::{Feed, OpenAs, Store, StoreSettings, known_columns, known_facts};
use std::{collections::BTreeSet, path::Path};

/// Every column of both engines is copied, or is known to be left out.
#[tokio::test(flavor = "multi_thread")]
async fn no_column_is_forgotten() {
    let sqlite = stores::sqlite().await;
    sqlite.store.close().await;
    let conn = rusqlite::Connection::open(sqlite.folder.path().join("quittance.db")).unwrap();
    let query = "SELECT tables.name, columns.name FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns
        WHERE tables.type = 'table'";
    let mut statement = conn.prepare(query).unwrap();
    let columns: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    assert_known(&columns, true);
    let name = postgres::database().await;
    let target = Store::open(
        &target(&name),
        StoreSettings {
            open_as: OpenAs::Tool { create: true },
            key_file: Some(sqlite.folder.path().join("quittance.key")),
            clock: sqlite.clock.clone(),
        },
        Feed::default(),
    )
    .await
    .unwrap();
    let mut conn = postgres::connect(&name).await;
    let query = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'";
    let columns: Vec<(String, String)> = sqlx::query_as(query).fetch_all(&mut conn).await.unwrap();
    assert_known(&columns, false);
    target.close().await;
}

fn assert_known(columns: &[(String, String)], of_sqlite: bool) {
    let known = known_columns(of_sqlite);
    let is_known = |table: &str, column: &str| known.iter().any(|(name, of)| *name == table && (of.is_empty() || *of == column));
    assert!(columns.len() > 100);
    let forgotten: Vec<_> = columns.iter().filter(|(table, column)| !is_known(table, column)).collect();
    assert!(forgotten.is_empty(), "neither copied nor left out: {forgotten:?}");
    let gone: Vec<_> = known
        .iter()
        .filter(|(table, column)| !column.is_empty() && !columns.iter().any(|(name, of)| name == table && of == column))
        .collect();
    assert!(gone.is_empty(), "copied, but in no table: {gone:?}");
}

/// Every small fact that the store keeps is copied, or is known to be left out.
#[test]
fn no_fact_is_forgotten() {
    let mut found = BTreeSet::new();
    read_facts(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/store").as_path(), &mut found);
    let known: BTreeSet<_> = known_facts().map(str::to_owned).collect();
    assert_eq!(found, known);
}

/// The keys of `meta` that statements name.
fn read_facts(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_facts(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            if path.ends_with("copy/target.rs") {
                found.insert("copy_unfinished".to_owned());
            }
            for line in text.lines().filter(|line| line.contains("meta") || line.contains("key = '") || line.contains("'), ('")) {
                let keys = line.split('\'').skip(1).step_by(2).filter(|_| line.contains("key = '") || line.contains("VALUES ('"));
                let is_key = |key: &&str| key.len() > 5 && key.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
                found.extend(keys.filter(is_key).map(str::to_owned));
            }
        }
    }
}
