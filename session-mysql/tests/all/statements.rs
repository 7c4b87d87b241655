//! The statements that reach the server, and settings that must not change their outcome.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use session_conformance::servers;
use session_core::{Entry, Expiry, Owner, Revision, SessionId, Store, StoreError};
use session_mysql::{
    MysqlStore,
    sqlx::{self, AssertSqlSafe, Connection, MySqlConnection, MySqlPool, Row, mysql::MySqlPoolOptions},
};

use crate::words::{is_mariadb, number};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);

fn revision(number: u8) -> Revision {
    Revision::from_bytes([number; 8])
}

/// A pool of one connection, with these settings, and a fresh table.
async fn open(url: &str, table: &str, settings: &'static str) -> (MySqlPool, MysqlStore) {
    let pool = MySqlPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(drop) })
        })
        .connect(url)
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("DROP TABLE IF EXISTS {table}"))).execute(&pool).await.unwrap();
    let builder = MysqlStore::builder().with_table(table).unwrap().with_timeout(Duration::from_secs(10));
    let store = builder.with_pool(pool.clone());
    store.migrate().await.unwrap();
    (pool, store)
}

/// The statements that this connection has sent, and how often.
async fn asked(pool: &MySqlPool) -> BTreeMap<String, i64> {
    let sql = "SHOW SESSION STATUS WHERE variable_name LIKE 'Com\\_%' OR variable_name = 'Questions'";
    let rows = sqlx::raw_sql(sql).fetch_all(pool).await.unwrap();
    rows.iter().map(|row| (row.get::<String, _>(0), row.get::<String, _>(1).parse().unwrap())).collect()
}

#[tokio::test]
async fn each_operation_is_one_statement_and_one_round_trip() {
    let (pool, store) = open(servers::mysql().url(), "counted", "DO 0").await;
    let user = Owner::from(42);
    let entry = |number| Entry::new(revision(number), b"payload").with_owner(Some(&user));
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    // In the first round each statement is prepared. The driver remembers that.
    for round in 0..2 {
        for (what, command) in [
            ("create", "Com_insert"),
            ("load", "Com_select"),
            ("keep", "Com_update"),
            ("extend", "Com_update"),
            ("restart", "Com_update"),
            ("touch", "Com_update"),
            ("list", "Com_select"),
            ("delete", "Com_delete"),
            ("revoke", "Com_delete"),
        ] {
            let before = asked(&pool).await;
            match what {
                "create" => store.create(&ID, entry(1), HOUR, HOUR).await.unwrap(),
                "load" => assert!(store.load(&ID).await.unwrap().is_some()),
                "keep" => assert!(store.replace(&ID, revision(1), entry(2), Expiry::Keep).await.unwrap()),
                "extend" => assert!(store.replace(&ID, revision(2), entry(3), Expiry::Extend(HOUR)).await.unwrap()),
                "restart" => assert!(store.replace(&ID, revision(3), entry(4), restart).await.unwrap()),
                "touch" => assert!(store.touch(&ID, revision(4), HOUR).await.unwrap()),
                "list" => assert_eq!(store.list(&user).await.unwrap().len(), 1),
                "delete" => assert!(store.delete(&ID, revision(4)).await.unwrap()),
                _ => assert_eq!(store.revoke(&user, None).await.unwrap(), 0),
            }
            let after = asked(&pool).await;
            let mut more: BTreeMap<_, _> = after.iter().map(|(name, count)| (&**name, count - before[name])).collect();
            // The driver sends a ping in the background when it takes a connection back.
            more.remove("Com_admin_commands");
            // `asked` itself sends a statement, too.
            *more.get_mut("Com_show_status").unwrap() -= 1;
            *more.get_mut("Questions").unwrap() -= 1;
            more.retain(|_, count| *count != 0);
            let mut expected = BTreeMap::from([(command, 1), ("Com_stmt_execute", 1), ("Questions", 1)]);
            if round == 0 {
                // MySQL prepares it again by itself if it has taken a parameter for another type.
                let again = more.remove("Com_stmt_reprepare").unwrap_or_default();
                expected.insert("Com_stmt_prepare", 1 + again);
            }
            assert_eq!(more, expected, "{what}");
        }
    }
}

/// A replica may lack a session. So who has none is asked whether it is one.
#[tokio::test]
async fn a_read_that_finds_nothing_is_one_statement_more() {
    let (pool, store) = open(servers::mysql().url(), "missed", "DO 0").await;
    for round in 0..2 {
        let before = asked(&pool).await["Com_stmt_execute"];
        assert!(store.load(&ID).await.unwrap().is_none() && store.list(&Owner::from(42)).await.unwrap().is_empty());
        assert_eq!(asked(&pool).await["Com_stmt_execute"] - before, 4, "round {round}");
    }
}

/// A server that is no node of such a cluster takes it, and does nothing.
#[tokio::test]
async fn each_connection_of_the_stores_own_lets_a_node_of_a_cluster_catch_up() {
    let server = servers::own_mysql(&["--log-output=TABLE", "--general-log=1"]);
    let store = MysqlStore::builder().with_connections(2).connect(server.url()).await.unwrap();
    store.migrate().await.unwrap();
    let mut other = MySqlConnection::connect(server.url()).await.unwrap();
    // MySQL does not know the setting, and has no such clusters. There the store does without.
    assert_eq!(store.load(&ID).await.unwrap(), None);
    if is_mariadb(&mut other).await {
        let logged = "SELECT COUNT(*) FROM mysql.general_log WHERE argument LIKE 'SET wsrep\\_sync\\_wait = 3'";
        assert!(number(&mut other, logged).await > 0);
    }
}

#[tokio::test]
async fn loads_that_wait_at_the_same_moment_are_one_statement() {
    let (pool, store) = open(servers::mysql().url(), "shared", "DO 0").await;
    let [first, expired, missing, last] = [1, 2, 3, 4].map(|id| SessionId::from_bytes([id; 16]));
    for id in [&first, &last] {
        store.create(id, Entry::new(revision(1), id.as_bytes()), HOUR, HOUR).await.unwrap();
    }
    store.create(&expired, Entry::new(revision(1), b"over"), Duration::ZERO, HOUR).await.unwrap();
    let mut others = Vec::new();
    // Each number of ids up to eight, for each of which one of the statements has to do.
    for count in 1..=8 {
        let asked_for = [&first, &expired, &missing, &last, &last, &first, &missing, &expired, &last];
        let asked_for = &asked_for[..=count];
        // The first goes alone. The others come while it is under way, unless this process has stood still for long.
        for round in 1.. {
            let before = asked(&pool).await["Com_select"];
            let answers = join_all(asked_for.iter().map(|id| store.load(id))).await;
            for (id, answer) in asked_for.iter().zip(answers) {
                match answer.unwrap() {
                    Some(loaded) => assert_eq!(loaded.payload, id.as_bytes()[..]),
                    None => assert!([&expired, &missing].contains(id), "{id}"),
                }
            }
            let statements = asked(&pool).await["Com_select"] - before;
            if statements == 2 {
                break;
            }
            others.push(statements);
            assert!(round < 100, "they were {others:?} statements");
        }
    }
}

/// An index keeps what it has held, marked as deleted, while a transaction is open that might still look at it.
#[tokio::test]
async fn a_thousand_touches_and_extensions_leave_every_index_alone() {
    let server = servers::own_mysql(&[]);
    let (pool, store) = open(server.url(), "touched", "DO 0").await;
    let user = Owner::from(42);
    let entry = Entry::new(revision(1), b"payload").with_owner(Some(&user));
    store.create(&ID, entry, HOUR, 3 * HOUR).await.unwrap();
    let mut looking = MySqlConnection::connect(server.url()).await.unwrap();
    sqlx::raw_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT").execute(&mut looking).await.unwrap();
    let held = async |index: &str| -> u64 {
        let sql = "SELECT CAST(SUM(number_records) AS UNSIGNED) FROM information_schema.innodb_buffer_page \
            WHERE table_name LIKE '%touched_' AND index_name = ?";
        sqlx::query(sql).bind(index).fetch_one(&pool).await.unwrap().get(0)
    };
    for _ in 0..500 {
        assert!(store.touch(&ID, revision(1), 2 * HOUR).await.unwrap());
        assert!(store.replace(&ID, revision(1), entry, Expiry::Extend(2 * HOUR)).await.unwrap());
    }
    assert_eq!((held("sweep_at").await, held("owner").await), (1, 1));
    // A session that now expires sooner than ever before has to be found sooner.
    assert!(store.touch(&ID, revision(1), HOUR / 2).await.unwrap());
    assert_eq!((held("sweep_at").await, held("owner").await), (2, 1));
}

/// Plays every outcome, and checks that the answer tells it.
async fn every_outcome(store: &MysqlStore, settings: &str) {
    let user = Owner::from(42);
    let entry = |number| Entry::new(revision(number), b"\\'\"`\0 payload").with_owner(Some(&user));
    let [now, short, restart] = [
        Duration::ZERO,
        Duration::from_micros(1),
        // This is more than the longest time, and the store cuts it to that.
        Duration::from_secs(1 << 60),
    ];
    let restart = Expiry::Restart { expires_in: restart, ends_in: restart };
    for ends_at_once in [now, short] {
        store.create(&ID, entry(1), ends_at_once, HOUR).await.unwrap();
        assert_eq!(store.load(&ID).await.unwrap(), None, "{settings}");
    }
    store.create(&ID, entry(1), HOUR, HOUR).await.unwrap();
    for _ in 0..2 {
        let again = store.create(&ID, entry(1), 2 * HOUR, 2 * HOUR).await;
        assert!(matches!(again, Err(StoreError::AlreadyExists)), "{settings}: {again:?}");
    }
    let loaded = store.load(&ID).await.unwrap().unwrap();
    assert_eq!((loaded.revision, &*loaded.payload), (revision(1), &b"\\'\"`\0 payload"[..]), "{settings}");
    assert!(loaded.ends_in <= HOUR, "{settings}");
    // The same write again changes nothing, and still counts as done.
    for expiry in [Expiry::Keep, Expiry::Keep, Expiry::Extend(2 * HOUR), Expiry::Extend(2 * HOUR), restart] {
        assert!(store.replace(&ID, revision(1), entry(1), expiry).await.unwrap(), "{settings}: {expiry:?}");
        assert!(!store.replace(&ID, revision(9), entry(9), expiry).await.unwrap(), "{settings}: {expiry:?}");
    }
    let over = store.replace(&ID, revision(1), entry(2), Expiry::Restart { expires_in: HOUR, ends_in: HOUR }).await;
    assert!(over.unwrap(), "{settings}");
    for _ in 0..2 {
        assert!(store.touch(&ID, revision(2), 2 * HOUR).await.unwrap(), "{settings}: at the end");
        assert!(!store.touch(&ID, revision(9), 2 * HOUR).await.unwrap(), "{settings}");
    }
    let loaded = store.load(&ID).await.unwrap().unwrap();
    assert_eq!(loaded.expires_in, loaded.ends_in, "{settings}");
    assert!(!store.delete(&ID, revision(9)).await.unwrap(), "{settings}");
    assert_eq!(store.revoke(&user, Some(&ID)).await.unwrap(), 0, "{settings}");
    assert_eq!(store.revoke(&user, None).await.unwrap(), 1, "{settings}");
    store.create(&ID, entry(3), HOUR, HOUR).await.unwrap();
    assert!(store.delete(&ID, revision(3)).await.unwrap(), "{settings}");
    assert!(!store.delete(&ID, revision(3)).await.unwrap(), "{settings}");
    store.create(&ID, entry(3), now, HOUR).await.unwrap();
    assert_eq!(store.purge(10).await.unwrap(), 1, "{settings}");
}

#[tokio::test]
async fn no_sql_mode_changes_an_outcome() {
    let mut connection = MySqlConnection::connect(servers::mysql().url()).await.unwrap();
    let modes: &[_] = if is_mariadb(&mut connection).await { &MODES_OF_MARIADB } else { &[] };
    for settings in [
        "SET sql_mode = ''",
        "SET sql_mode = 'TRADITIONAL,ONLY_FULL_GROUP_BY,NO_UNSIGNED_SUBTRACTION,PAD_CHAR_TO_FULL_LENGTH'",
        "SET sql_mode = 'ANSI,NO_BACKSLASH_ESCAPES,HIGH_NOT_PRECEDENCE,IGNORE_SPACE'",
    ]
    .iter()
    .chain(modes)
    {
        let (_, store) = open(servers::mysql().url(), "modes", settings).await;
        every_outcome(&store, settings).await;
    }
}

const MODES_OF_MARIADB: [&str; 5] = [
    "SET sql_mode = 'SIMULTANEOUS_ASSIGNMENT'",
    "SET sql_mode = 'SIMULTANEOUS_ASSIGNMENT,TRADITIONAL'",
    "SET sql_mode = 'ORACLE,SIMULTANEOUS_ASSIGNMENT'",
    "SET sql_mode = 'MSSQL,TIME_ROUND_FRACTIONAL,REAL_AS_FLOAT'",
    "SET sql_mode = 'MYSQL40,NO_ZERO_DATE,NO_ZERO_IN_DATE'",
];

/// The answer would lack sessions that are there.
#[tokio::test]
async fn a_limit_for_the_rows_of_an_answer_cuts_off_no_session() {
    let (_, store) = open(servers::mysql().url(), "cut_off", "SET sql_select_limit = 1").await;
    let user = Owner::from(42);
    let ids = [1, 2, 3, 4].map(|id| SessionId::from_bytes([id; 16]));
    for id in &ids {
        let entry = Entry::new(revision(1), b"payload").with_owner(Some(&user));
        store.create(id, entry, HOUR, HOUR).await.unwrap();
    }
    assert_eq!(store.list(&user).await.unwrap().len(), 4);
    for answer in join_all(ids.iter().map(|id| store.load(id))).await {
        assert!(answer.unwrap().is_some(), "a load among others has not found its session");
    }
}

/// The zones at both ends of the day, one that is half an hour off, and the machine's.
#[tokio::test]
async fn no_time_zone_changes_an_outcome_or_the_time_that_is_left() {
    for settings in [
        "SET time_zone = '+13:00'",
        "SET time_zone = '-12:59'",
        "SET time_zone = '+05:30'",
        "SET time_zone = 'SYSTEM', character_set_connection = ucs2",
    ] {
        let (_, store) = open(servers::mysql().url(), "zones", settings).await;
        every_outcome(&store, settings).await;
    }
    // The server has another zone of its own. One pool is in it, the other in UTC.
    let server = servers::own_mysql(&["--default-time-zone=-08:00", "--character-set-server=utf16"]);
    let (_, in_the_servers_zone) = open(server.url(), "zones", "SET time_zone = DEFAULT").await;
    every_outcome(&in_the_servers_zone, "the server's zone").await;
    let utc = MysqlStore::builder().with_table("zones").unwrap().connect(server.url()).await.unwrap();
    utc.create(&ID, Entry::new(revision(1), b""), HOUR, 2 * HOUR).await.unwrap();
    let loaded = in_the_servers_zone.load(&ID).await.unwrap().unwrap();
    assert!(loaded.expires_in <= HOUR && loaded.expires_in > HOUR - Duration::from_secs(30), "{loaded:?}");
    assert!(loaded.ends_in <= 2 * HOUR && loaded.ends_in > 2 * HOUR - Duration::from_secs(30), "{loaded:?}");
}

/// The server has other settings for everybody else.
#[tokio::test]
async fn connections_of_the_stores_own_have_its_settings() {
    let server = servers::own_mysql(&[
        "--autocommit=0",
        "--sql-mode=EMPTY_STRING_IS_NULL,ORACLE",
        "--default-time-zone=+03:00",
        "--transaction-isolation=SERIALIZABLE",
        "--innodb-lock-wait-timeout=50",
    ]);
    let mut root = MySqlConnection::connect(server.url()).await.unwrap();
    sqlx::raw_sql("SET GLOBAL max_join_size = 1").execute(&mut root).await.unwrap();
    let builder = MysqlStore::builder().with_timeout(Duration::from_millis(1500));
    let store = builder.connect(server.url()).await.unwrap();
    store.migrate().await.unwrap();
    let entry = Entry::new(revision(1), b"");
    store.create(&ID, entry, HOUR, HOUR).await.unwrap();
    drop(store);
    let store = MysqlStore::connect(server.url()).await.unwrap();
    assert!(store.load(&ID).await.unwrap().is_some(), "a write that was answered was not kept");

    // The server has no `autocommit`, so this is a transaction. The store waits for its lock by its own timeout, and not for
    // 50 seconds.
    let mut other = MySqlConnection::connect(server.url()).await.unwrap();
    sqlx::raw_sql("SET sql_big_selects = 1; SELECT id FROM sessions FOR UPDATE").execute(&mut other).await.unwrap();
    let error = store.touch(&ID, revision(1), HOUR).await.unwrap_err();
    assert!(matches!(error, StoreError::TimedOut { .. }), "{error:?}");
}
