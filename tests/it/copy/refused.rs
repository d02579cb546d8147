//! What is not copied, or not served: it would lose or mix something, it is half a copy, or both sides differ.

use super::{Full, target};
use crate::support::{gateway, postgres, program::Program};
use quittance::server::store::{CopyError, Feed, OpenAs, Store, StoreError, StoreSettings};

#[tokio::test(flavor = "multi_thread")]
async fn what_would_lose_or_mix_something_is_refused() {
    let program = Program::new();
    program.shop("http://127.0.0.1:9/");
    let from = format!("sqlite:{}", program.database().display());
    let to = postgres::address(&postgres::database().await);
    let copy = |from: &str, to: &str, code| program.run(&["copy", "--from", from, "--to", to]).failed(code);
    let server = program.serve();
    let error = copy(&from, &to, 1);
    assert!(error.contains("a server runs on the database") && error.contains("would be lost"), "{error}");
    server.terminate();
    let missing = copy("sqlite:/nowhere/quittance.db", &to, 1);
    assert!(missing.contains("there is no database at /nowhere/quittance.db"), "{missing}");
    assert!(copy("mysql:x", &to, 2).contains("--from"));
    assert!(copy(&from, "postgres", 2).contains("--to"));
    assert!(copy(&to, &from, 1).contains("there is no way back"));
    assert!(copy(&from, &from, 1).contains("quittance backup"));
    assert!(copy(&to, &to, 1).contains("pg_dump"));
    let wrong_key = program.folder().join("other.key");
    std::fs::write(&wrong_key, format!("{}\n", "ab".repeat(32))).unwrap();
    let wrong_key = wrong_key.to_str().unwrap();
    let error = program.run(&["copy", "--from", &from, "--to", &to, "--from-key-file", wrong_key]).failed(1);
    assert!(error.contains("does not belong to this database") && error.contains("--from-key-file"), "{error}");
    // A server that runs on the target, and one that ran there and left nothing.
    let mut target = Program::on(to.clone());
    target.use_key_file(program.key_file());
    let server = target.serve();
    let error = copy(&from, &to, 1);
    assert!(error.contains("a server runs on the database postgres://"), "{error}");
    assert_eq!(gateway::get(server.address, "/healthz").await.status, 200);
    server.terminate();
    let server = target.serve();
    server.terminate();
    let error = program.run(&["copy", "--from", &from, "--to", &to, "--to-key-file", wrong_key]).failed(1);
    assert!(error.contains("--to-key-file"), "{error}");
    let text = program.run(&["copy", "--from", &from, "--to", &to]).done();
    assert!(text.contains("both sides are equal") && text.contains("notification_url"), "{text}");
    let error = copy(&from, &to, 1);
    assert!(error.contains("is not empty") && error.contains("merchant"), "{error}");
    // Another program's database.
    let foreign = postgres::database().await;
    let mut conn = postgres::connect(&foreign).await;
    sqlx::raw_sql("CREATE TABLE theirs (id int)").execute(&mut conn).await.unwrap();
    let error = copy(&from, &postgres::address(&foreign), 1);
    assert!(error.contains("tables of another program"), "{error}");
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetch_one(&mut conn).await.unwrap();
    assert_eq!(tables, 1, "nothing was made there");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_copy_is_not_served_and_is_begun_anew() {
    let full = Full::new().await;
    full.test.store.close().await;
    // Two keys to SQLite, one to PostgreSQL, which knows no zero characters.
    full.test
        .sql(
            "INSERT INTO resend (id, order_id, at, actor, debug, request_key)
             SELECT id + 1, order_id, at, actor, debug, 'a' || char(0) FROM resend LIMIT 1;
             INSERT INTO resend (id, order_id, at, actor, debug, request_key)
             SELECT id + 2, order_id, at, actor, debug, 'a' || char(65533) FROM resend LIMIT 1",
        )
        .await;
    let name = postgres::database().await;
    let error = full.copy_to(&name).await.unwrap_err();
    assert!(matches!(&error, CopyError::Twice(index) if index.contains("resend")), "{error}");
    let mut conn = postgres::connect(&name).await;
    let merchants: i64 = sqlx::query_scalar("SELECT count(*) FROM merchant").fetch_one(&mut conn).await.unwrap();
    assert_eq!(merchants, 1, "a part of it is there");
    assert!(matches!(full.target(&name).await, Err(StoreError::HalfCopied(_))));
    let mut program = Program::on(postgres::address(&name));
    program.use_key_file(full.key_file());
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["merchant", "add", "Other"], &["doctor"]] {
        let error = program.run(arguments).failed(1);
        assert!(error.contains("is not finished") && error.contains("quittance copy"), "{arguments:?}: {error}");
    }
    full.test.sql("DELETE FROM resend WHERE request_key = 'a' || char(0)").await;
    let copied = full.copy_to(&name).await.unwrap();
    assert!(copied.is_equal(), "{copied:#?}");
    full.target(&name).await.unwrap().close().await;
    let nodes: i64 = sqlx::query_scalar("SELECT count(*) FROM node").fetch_one(&mut conn).await.unwrap();
    assert_eq!(nodes, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merchant_whose_name_is_there_twice_to_the_target_is_told() {
    let full = Full::new().await;
    for name in ["Łódź", "łódź"] {
        full.test.merchant(name).await;
    }
    full.test.store.close().await;
    let error = full.copy_to(&postgres::database().await).await.unwrap_err();
    assert!(
        error.to_string().contains("differ in the case of a letter") && error.to_string().contains("merchant_name"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_is_found_and_nobody_serves_it() {
    let full = Full::new().await;
    full.test.store.close().await;
    let name = postgres::database().await;
    let settings =
        StoreSettings { open_as: OpenAs::Tool { create: true }, key_file: Some(full.key_file()), clock: full.test.clock.clone() };
    Store::open(&target(&name), settings, Feed::default()).await.unwrap().close().await;
    let mut conn = postgres::connect(&name).await;
    for (body, table) in [
        ("NEW.attempts := NEW.attempts + 1; RETURN NEW;", "delivery"),
        ("RETURN CASE WHEN NEW.origin = 1 THEN NULL ELSE NEW END;", "delivery"),
        ("NEW.detail := NEW.detail || '.'; RETURN NEW;", "audit"),
    ] {
        let trigger = format!(
            "DROP TRIGGER IF EXISTS alter_row ON delivery;
             CREATE OR REPLACE FUNCTION alter_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;
             CREATE TRIGGER alter_row BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION alter_row()"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(&mut conn).await.unwrap();
        let copied = full.copy_to(&name).await.unwrap();
        let differ: Vec<_> = copied.tables.iter().filter(|copied| !copied.is_equal()).map(|copied| copied.name).collect();
        assert_eq!(differ, [table], "{body}");
        assert!(matches!(full.target(&name).await, Err(StoreError::HalfCopied(_))));
    }
}
