use std::collections::BTreeSet;

use sqlx::{Connection, Row, SqliteConnection};

use super::*;

fn statements() -> Statements {
    Statements::of(&"devices".try_into().unwrap())
}

/// Every statement of the file, by the name of its text.
fn every() -> Vec<(&'static str, SqlStr)> {
    let Statements {
        columns,
        schema,
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
        move_on,
    } = statements();
    vec![
        ("COLUMNS", columns),
        ("SCHEMA", schema),
        ("CREATE", create),
        ("LOAD", load),
        ("LIST", list),
        ("KEEP", keep),
        ("EXTEND", extend),
        ("RESTART", restart),
        ("TOUCH", touch),
        ("DELETE", delete),
        ("REVOKE", revoke),
        ("PURGE", purge),
        ("MOVE", move_on),
    ]
}

/// How SQLite would run the statement, one step a line. The text that makes the table has no plan, so it is run.
async fn plan((name, sql): &(&str, SqlStr)) -> String {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    sqlx::raw_sql(statements().schema).execute(&mut connection).await.unwrap();
    if *name == "SCHEMA" {
        return "is made".into();
    }
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", sql.as_str()));
    let rows = sqlx::query(explain).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail") + "\n").collect()
}

/// The plans of these statements.
async fn plans(names: &[&str]) -> Vec<String> {
    let mut plans = Vec::new();
    for named in every().iter().filter(|(name, _)| names.contains(name)) {
        plans.push(plan(named).await);
    }
    assert_eq!(plans.len(), names.len());
    plans
}

#[tokio::test]
async fn the_database_can_plan_every_statement_of_the_file() {
    for named in every() {
        let plan = plan(&named).await;
        assert!(!named.1.as_str().contains(['{', '}']), "{} has a gap left", named.0);
        println!("-- {}\n{};\n\n{plan}", named.0, named.1.as_str());
    }
}

/// This fails if a text is added to the file and is not planned above.
#[test]
fn every_text_of_the_file_is_among_the_statements_that_are_planned() {
    let lines = include_str!("../statements.rs").lines();
    let texts = lines.filter_map(|line| line.trim_start_matches("pub(crate) ").strip_prefix("const "));
    let texts: BTreeSet<&str> = texts.filter_map(|text| text.split_once(": &str")).map(|(name, _)| name).collect();
    assert_eq!(texts, every().iter().map(|(name, _)| *name).filter(|name| *name != "SCHEMA").collect());
}

#[tokio::test]
async fn load_and_each_write_of_one_session_find_it_by_its_id() {
    for plan in plans(&["LOAD", "KEEP", "EXTEND", "RESTART", "TOUCH", "DELETE"]).await {
        assert!(plan.contains("USING INDEX sqlite_autoindex_devices_1 (id=?)"), "{plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
    }
}

#[tokio::test]
async fn list_and_revoke_find_the_owners_sessions_by_their_index() {
    for plan in plans(&["LIST", "REVOKE"]).await {
        assert!(plan.contains("USING INDEX devices_owner (owner=?)"), "{plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
    }
}

#[tokio::test]
async fn purge_finds_the_expired_sessions_by_their_index() {
    for (plan, indexes) in plans(&["PURGE", "MOVE"]).await.iter().zip([2, 1]) {
        assert!(plan.contains("USING INDEX devices_sweep_at (sweep_at<?)"), "{plan}");
        assert_eq!(plan.contains("USING INDEX devices_early (expires_at<?)"), indexes == 2, "{plan}");
        assert!(!plan.contains("SCAN devices") && !plan.contains("TEMP B-TREE"), "{plan}");
    }
}
