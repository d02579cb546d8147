//! Writing the target: an empty database, marked as unfinished until everything in it was counted.

use super::{
    CopyError,
    source::Sums,
    tables::{TABLES, Table},
};
use crate::server::store::{
    StoreError,
    postgres::{PgAddress, UNFINISHED, prepare},
    vault::Vault,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use std::path::Path;

/// Held by whoever copies into the database.
const COPY_LOCK: i64 = 0x7175_6974_7461_6e64;
/// What the node is called that stands for the server of the source.
const NODE_NAME: &str = "sqlite";

/// The database that is being filled.
pub(super) struct Target {
    pub conn: PgConnection,
    pub vault: Vault,
    /// The node that gets the deliveries: the first server takes its place, with all that it has.
    pub node: i64,
}

impl Target {
    /// Makes the database ready: its shape, its key, and nothing in it.
    pub async fn open(address: &PgAddress, key_file: &Path, source: &str) -> Result<Self, CopyError> {
        let refused = CopyError::To;
        let mut conn = address.connect(&address.unlimited().map_err(refused)?).await.map_err(refused)?;
        let foreign: bool = scalar(
            &mut conn,
            "SELECT to_regclass('_sqlx_migrations') IS NULL
                 AND EXISTS (SELECT 1 FROM pg_tables WHERE schemaname = current_schema())",
        )
        .await?;
        if foreign {
            return Err(CopyError::Foreign(address.to_string()));
        }
        let vault = prepare(address, key_file, true).await.map_err(refused)?;
        let locked: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(COPY_LOCK).fetch_one(&mut conn).await.map_err(to)?;
        if !locked {
            return Err(CopyError::UnderWay(address.to_string()));
        }
        let mut target = Self { conn, vault, node: 0 };
        target.claim(address, source).await?;
        target.node = target.begin().await.map_err(to)?;
        Ok(target)
    }

    /// Marks the database as ours to fill, unless somebody uses it. From the mark on no server starts on it.
    async fn claim(&mut self, address: &PgAddress, source: &str) -> Result<(), CopyError> {
        let mut tx = self.conn.begin().await.map_err(to)?;
        let broken_off: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM meta WHERE key = $1)")
            .bind(UNFINISHED)
            .fetch_one(&mut *tx)
            .await
            .map_err(to)?;
        if !broken_off {
            for table in TABLES.iter().filter(|table| table.name != "meta") {
                let query = format!("SELECT EXISTS (SELECT 1 FROM {})", table.target);
                if scalar(&mut tx, query).await? {
                    return Err(CopyError::NotEmpty { address: address.to_string(), table: table.target });
                }
            }
        }
        sqlx::query("INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
            .bind(UNFINISHED)
            .bind(source)
            .execute(&mut *tx)
            .await
            .map_err(to)?;
        tx.commit().await.map_err(to)?;
        // After the mark, because a server that starts looks at it after it has made itself known.
        let served: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM node WHERE ended_at IS NULL AND seen_at > clock_timestamp() - interval '8 seconds')",
        )
        .fetch_one(&mut self.conn)
        .await
        .map_err(to)?;
        if !served {
            return Ok(());
        }
        if !broken_off {
            sqlx::query("DELETE FROM meta WHERE key = $1").bind(UNFINISHED).execute(&mut self.conn).await.map_err(to)?;
        }
        Err(CopyError::TargetServed(address.to_string()))
    }

    /// Empties everything that an earlier copy left, and makes the node; gives its id.
    async fn begin(&mut self) -> Result<i64, sqlx::Error> {
        let names: Vec<_> = TABLES.iter().map(|table| table.target).filter(|name| *name != "meta").collect();
        let statement = format!("TRUNCATE {}, node, line, lease, errand", names.join(", "));
        let mut tx = self.conn.begin().await?;
        sqlx::query(AssertSqlSafe(statement)).execute(&mut *tx).await?;
        // The facts that are about to come; the proof of the key and the name of the installation stay.
        let facts = super::tables::FACTS;
        sqlx::query("DELETE FROM meta WHERE key = ANY($1)").bind(facts.as_slice()).execute(&mut *tx).await?;
        // Runs mark the ids that they make: the first is that of the source, whose server has the mark 1.
        let node = sqlx::query_scalar(
            "INSERT INTO node (run, name, started_at, seen_at, ended_at)
             VALUES (nextval('node_run'), $1, clock_timestamp(), clock_timestamp(), clock_timestamp()) RETURNING id",
        )
        .bind(NODE_NAME)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(node)
    }

    /// What a table comes to.
    pub async fn sums(&mut self, table: &Table) -> Result<Sums, CopyError> {
        let query = sqlx::query_as(AssertSqlSafe(table.counting()));
        let (rows, numbers, bytes): (i64, String, String) = query.fetch_one(&mut self.conn).await.map_err(to)?;
        let odd = || CopyError::To(StoreError::Corrupt(format!("the sums of {} cannot be read", table.target)));
        Ok(Sums {
            rows: u64::try_from(rows).map_err(|_| odd())?,
            numbers: numbers.parse().map_err(|_| odd())?,
            bytes: bytes.parse().map_err(|_| odd())?,
        })
    }

    /// Tells the planner what is there: the first server must not read whole tables because it knows nothing of them.
    pub async fn analyze(&mut self) -> Result<(), CopyError> {
        // Ours alone: of the server's own tables it would say, one by one, that only others may look at them.
        let tables: Vec<&str> = TABLES.iter().map(|table| table.target).collect();
        sqlx::raw_sql(AssertSqlSafe(format!("ANALYZE {}", tables.join(", ")))).execute(&mut self.conn).await.map(drop).map_err(to)
    }

    /// Everything is there: servers may start.
    pub async fn finish(mut self) -> Result<(), CopyError> {
        sqlx::query("DELETE FROM meta WHERE key = $1").bind(UNFINISHED).execute(&mut self.conn).await.map_err(to)?;
        let _ = self.conn.close().await;
        Ok(())
    }
}

async fn scalar(conn: &mut PgConnection, query: impl Into<String>) -> Result<bool, CopyError> {
    sqlx::query_scalar(AssertSqlSafe(query.into())).fetch_one(conn).await.map_err(to)
}

/// A failure of the target. What is there twice was two things to SQLite, which compares otherwise.
pub(super) fn to(error: sqlx::Error) -> CopyError {
    let told = error.as_database_error().filter(|inner| inner.is_unique_violation());
    match told.and_then(|inner| inner.constraint().map(str::to_owned)) {
        Some(index) => CopyError::Twice(index),
        None => CopyError::To(error.into()),
    }
}
