//! The columns of both engines against the list of what is copied.

use super::target;
use crate::support::{postgres, stores};
use quittance::server::store::{Feed, OpenAs, Store, StoreSettings, known_columns};

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
