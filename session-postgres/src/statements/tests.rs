use std::collections::BTreeSet;

use session_conformance::servers;
use sqlx::{Connection, PgConnection, Row};

use super::*;

/// A statement by the name of its text, and the types of its parameters.
type Named = (&'static str, SqlStr, &'static str);

fn statements(table: &str, mode: Mode) -> Statements {
    Statements::of(&table.try_into().unwrap(), mode)
}

/// Every statement of the file.
fn every() -> Vec<Named> {
    let Statements {
        columns,
        migrate,
        create,
        load,
        keep,
        extend,
        restart,
        touch,
        delete,
        list,
        revoke,
        purge,
        load_all,
    } = statements("devices", Mode::Prepared);
    let pooled = statements("devices", Mode::Pooled);
    let named = |name, statement: Statement, types| (name, statement.sql, types);
    vec![
        named("COLUMNS", columns, "bigint"),
        named("MIGRATE", migrate, "bigint"),
        named("CREATE", create, "bigint, bytea, bigint, bytea, bytea, bigint, bigint"),
        named("LOAD", load, "bigint, bytea"),
        named("LOAD_ALL", load_all, "bigint, bytea[]"),
        named("LIST", list, "bigint, bytea"),
        named("POOLED", pooled.load, "bigint, bytea"),
        named("POOLED", pooled.list, "bigint, bytea"),
        named("POOLED", pooled.load_all, "bigint, bytea[]"),
        named("KEEP", keep, "bigint, bytea, bigint, bigint, bytea"),
        named("EXTEND", extend, "bigint, bytea, bigint, bigint, bytea, bigint"),
        named("RESTART", restart, "bigint, bytea, bigint, bigint, bytea, bigint, bigint, bytea"),
        named("TOUCH", touch, "bigint, bytea, bigint, bigint"),
        named("DELETE", delete, "bigint, bytea, bigint"),
        named("REVOKE", revoke, "bigint, bytea, bytea"),
        named("PURGE", purge, "bigint, bigint"),
        ("HURRY", HURRY.into_sql_str(), "text"),
    ]
}

/// The statements of these texts.
fn some(names: &[&str]) -> Vec<Named> {
    every().into_iter().filter(|(name, ..)| names.contains(name)).collect()
}

/// A table of 20000 sessions of 2000 owners, half of them expired, which nobody else sees.
async fn fill() -> PgConnection {
    let mut connection = PgConnection::connect(servers::postgres().url()).await.unwrap();
    let schema = SCHEMA.replace("\"sessions", "\"devices");
    let fill = r#"
        INSERT INTO "devices" (id, revision, payload, owner, expires_at, ends_at, sweep_at)
        SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), n, '', (n / 10)::text::bytea, at, at, at
        FROM generate_series(1, 20000) n, LATERAL (SELECT now() + (n - 10000) * interval '1 second' AS at) t;
        ANALYZE "devices"
    "#;
    let text = ["SET search_path = pg_temp; ", &schema, fill].concat();
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    connection
}

/// The plan for any values, as a prepared statement has it after its first few runs. A text that is not a single query
/// has no plan, so it is run.
async fn plan(connection: &mut PgConnection, (name, sql, types): &Named) -> String {
    if *name == "MIGRATE" {
        let text = sql.as_str().replace("$1", "0");
        return format!("{:?}", sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.unwrap());
    }
    let values = vec!["NULL"; types.split(',').count()].join(", ");
    let text = format!(
        "SET plan_cache_mode = force_generic_plan; PREPARE it ({types}) AS {}; EXPLAIN EXECUTE it ({values})",
        sql.as_str()
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(&mut *connection).await.unwrap();
    sqlx::raw_sql("DEALLOCATE it").execute(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect()
}

#[tokio::test]
async fn the_server_can_plan_every_statement_of_the_file() {
    let mut connection = fill().await;
    for named in every() {
        let plan = plan(&mut connection, &named).await;
        assert!(!named.1.as_str().contains(['{', '}']), "{} has a gap left", named.0);
        println!("-- {} ({})\n{};\n\n{plan}", named.0, named.2, named.1.as_str());
    }
}

/// This fails if a text is added to the file and is not planned above.
#[test]
fn every_text_of_the_file_is_among_the_statements_that_are_planned() {
    let lines = include_str!("../statements.rs").lines();
    let texts = lines.filter_map(|line| line.trim_start_matches("pub(crate) ").strip_prefix("const "));
    let texts: BTreeSet<&str> = texts.filter_map(|text| text.split_once(": &str")).map(|(name, _)| name).collect();
    assert_eq!(texts, every().iter().map(|(name, ..)| *name).collect());
}

#[tokio::test]
async fn load_and_each_write_of_one_session_find_it_by_its_id() {
    let mut connection = fill().await;
    let pooled = some(&["POOLED"]);
    let statements = some(&["LOAD", "LOAD_ALL", "KEEP", "EXTEND", "RESTART", "TOUCH", "DELETE"]);
    for named in statements.iter().chain([&pooled[0], &pooled[2]]) {
        let plan = plan(&mut connection, named).await;
        assert!(plan.contains("Index Scan using devices_pkey"), "{plan}");
        assert!(!plan.contains("Seq Scan") && !plan.contains("Subquery Scan"), "{plan}");
    }
}

#[tokio::test]
async fn list_and_revoke_find_the_owners_sessions_by_their_index() {
    let mut connection = fill().await;
    let pooled_list = some(&["POOLED"]).remove(1);
    for named in some(&["LIST", "REVOKE"]).iter().chain([&pooled_list]) {
        let plan = plan(&mut connection, named).await;
        assert!(plan.contains("devices_owner"), "{plan}");
        assert!(!plan.contains("Seq Scan") && !plan.contains("Subquery Scan"), "{plan}");
    }
}

#[tokio::test]
async fn purge_finds_the_expired_sessions_by_their_index() {
    let mut connection = fill().await;
    let plan = plan(&mut connection, &some(&["PURGE"])[0]).await;
    assert!(plan.contains("Index Scan using devices_sweep_at"), "{plan}");
    assert!(plan.contains("Index Cond: (sweep_at <= "), "{plan}");
    assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
}

#[test]
fn no_two_statements_have_one_tag() {
    let tags: Vec<_> = [statements("sessions", Mode::Prepared), statements("devices", Mode::Prepared)]
        .iter()
        .flat_map(|sql| {
            [&sql.create, &sql.load, &sql.load_all, &sql.keep, &sql.extend, &sql.restart, &sql.touch, &sql.list]
        })
        .map(|statement| statement.tag)
        .collect();
    let different: BTreeSet<_> = tags.iter().collect();
    assert_eq!(different.len(), tags.len());
}
