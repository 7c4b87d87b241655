use std::collections::BTreeSet;

use session_conformance::servers;
use sqlx::{Connection, MySqlConnection, Row};

use super::*;

const ID: &str = "UNHEX('0000000000000000000000000000002A')";

/// A statement by the name of its text, and values for its parameters.
type Named = (&'static str, SqlStr, &'static [&'static str]);

fn statements(table: &str) -> Statements {
    Statements::of(&table.try_into().unwrap())
}

/// Every statement of the file.
fn every(table: &str) -> Vec<Named> {
    let Statements {
        columns,
        schema,
        create,
        load,
        mut load_all,
        clock,
        keep,
        extend,
        restart,
        touch,
        delete,
        list,
        revoke,
        window,
        purge,
        move_on,
    } = statements(table);
    vec![
        ("COLUMNS", columns, &[]),
        ("SCHEMA", schema, &[]),
        ("CREATE", create, &[ID, "1", "''", "NULL", "1", "1", "1"]),
        ("LOAD", load, &[ID]),
        ("LOAD_ALL", load_all.remove(1), &[ID, "UNHEX('01')", "UNHEX('02')", "UNHEX('03')"]),
        ("CLOCK", clock, &[]),
        ("LIST", list, &["'42'"]),
        ("KEEP", keep, &["1", "''", ID, "1"]),
        ("EXTEND", extend, &["1", "''", "1", "1", ID, "1"]),
        ("RESTART", restart, &["1", "''", "NULL", "1", "1", "1", ID, "1"]),
        ("TOUCH", touch, &["1", "1", ID, "1"]),
        ("DELETE", delete, &[ID, "1"]),
        ("REVOKE", revoke, &["'42'", "NULL"]),
        ("WINDOW", window, &[]),
        ("PURGE", purge, &["1000000000000000", "10"]),
        ("MOVE", move_on, &["1000000000000000"]),
        ("SETTINGS", SETTINGS.into_sql_str(), &["2000", "2000", "2000", "2000"]),
        ("CLUSTER", CLUSTER.into_sql_str(), &[]),
        ("POOL", POOL.into_sql_str(), &[]),
        ("PATIENCE", PATIENCE.into_sql_str(), &[]),
        ("ENDS_WRITES", ENDS_WRITES.into_sql_str(), &[]),
        ("LOCK", LOCK.into_sql_str(), &[]),
    ]
}

/// A table of which each statement would rather not read all. Of its 2000 sessions less than a hundred are due.
async fn fill(table: &str) -> MySqlConnection {
    let mut connection = MySqlConnection::connect(servers::mysql().url()).await.unwrap();
    let row = |seq| format!("(UNHEX('{seq:032x}'), {seq}, '', '{seq}', 4e16 + {seq}, 4e16 + {seq}, {seq} * 2e13)");
    let rows: Vec<_> = (1..=2000).map(row).collect();
    let fill = format!(
        "DROP TABLE IF EXISTS {table}; {}; INSERT INTO {table} VALUES {}; ANALYZE TABLE {table}",
        statements(table).schema.as_str(),
        rows.join(", ")
    );
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut connection).await.unwrap();
    connection
}

/// How the server would go about it: the kind of access and the index, for each table that is read. What has no plan, such
/// as a setting, is run.
async fn plan(connection: &mut MySqlConnection, (name, sql, parameters): &Named) -> Vec<(String, String)> {
    let has_a_plan = !["SCHEMA", "SETTINGS", "CLUSTER", "POOL", "PATIENCE"].contains(name);
    let mut text = format!("{}{}", if has_a_plan { "EXPLAIN FORMAT=TRADITIONAL " } else { "" }, sql.as_str());
    for parameter in *parameters {
        text = text.replacen('?', parameter, 1);
    }
    assert!(!text.contains('?'), "{text}");
    let rows = match sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await {
        // Where there are no such clusters.
        Err(sqlx::Error::Database(_)) if *name == "CLUSTER" => Vec::new(),
        rows => rows.unwrap(),
    };
    if !has_a_plan {
        return Vec::new();
    }
    let column = |row: &sqlx::mysql::MySqlRow, name| row.get::<Option<String>, _>(name).unwrap_or_default();
    let rows = rows.iter().map(|row| (column(row, "type"), column(row, "key")));
    rows.filter(|(access, _)| !access.is_empty()).collect()
}

/// How the server would go about these statements.
async fn plans(table: &str, names: &[&str]) -> Vec<Vec<(String, String)>> {
    let mut connection = fill(table).await;
    let mut plans = Vec::new();
    for named in every(table).iter().filter(|(name, ..)| names.contains(name)) {
        plans.push(plan(&mut connection, named).await);
    }
    assert_eq!(plans.len(), names.len());
    plans
}

fn uses(access: &str, key: &str) -> Vec<(String, String)> {
    vec![(access.into(), key.into())]
}

#[tokio::test]
async fn the_server_can_plan_every_statement_of_the_file() {
    let mut connection = fill("planned").await;
    for named in every("planned") {
        let plan = plan(&mut connection, &named).await;
        assert!(!named.1.as_str().contains(['{', '}']), "{} has a gap left", named.0);
        println!("-- {} {:?}\n{};\n\n{plan:?}\n", named.0, named.2, named.1.as_str());
    }
}

/// A text that is added to the file, and is not planned above, fails here.
#[test]
fn every_text_of_the_file_is_among_the_statements_that_are_planned() {
    let lines = include_str!("../statements.rs").lines();
    let texts = lines.filter_map(|line| line.trim_start_matches("pub(crate) ").strip_prefix("const "));
    let texts: BTreeSet<&str> = texts.filter_map(|text| text.split_once(": &str")).map(|(name, _)| name).collect();
    let planned = every("sessions").into_iter().map(|(name, ..)| name);
    assert_eq!(texts, planned.filter(|name| *name != "SCHEMA").collect());
}

#[tokio::test]
async fn load_and_each_write_of_one_session_find_it_by_its_id() {
    assert_eq!(plans("planned_by_id", &["LOAD"]).await, [uses("const", "PRIMARY")]);
    assert_eq!(plans("planned_by_id", &["LOAD_ALL"]).await, [uses("range", "PRIMARY")]);
    let writes = ["KEEP", "EXTEND", "RESTART", "TOUCH", "DELETE"];
    assert_eq!(plans("planned_by_id", &writes).await, [(); 5].map(|()| uses("range", "PRIMARY")));
}

#[tokio::test]
async fn list_and_revoke_find_the_owners_sessions_by_their_index() {
    let plans = plans("planned_by_owner", &["LIST", "REVOKE"]).await;
    assert_eq!(plans, [uses("ref", "owner"), uses("range", "owner")]);
}

#[tokio::test]
async fn purge_finds_the_expired_sessions_by_their_index() {
    let plans = plans("planned_by_sweep", &["WINDOW", "PURGE", "MOVE"]).await;
    assert_eq!(plans, [(); 3].map(|()| uses("range", "sweep_at")));
}
