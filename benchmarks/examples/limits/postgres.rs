//! What the processes of PostgreSQL compute for a statement, as a pool sends it. The disk is not in it. And what loads and writes
//! cost on both sides.

use std::process;

use benchmarks::cpu_of;
use session_conformance::servers;
use session_postgres::{
    PostgresStore,
    sqlx::{
        self, Executor, PgPool, Postgres, Row,
        postgres::{PgArguments, PgPoolOptions},
        query::Query,
    },
};

use crate::{HOUR, ID, PAYLOAD, Session, lines, measure_loads, print, print_goal};

/// tower-sessions' table, and its statement for a write.
const PEER: &str = "
    CREATE TABLE peer (id text PRIMARY KEY, data bytea NOT NULL, expiry_date timestamptz NOT NULL);
    INSERT INTO peer VALUES ('an-id-of-22-characters', '', now());
";
const PEER_WRITE: &str = "
    INSERT INTO peer (id, data, expiry_date) VALUES ('an-id-of-22-characters', $1, now() + interval '1 hour')
    ON CONFLICT (id) DO UPDATE SET data = excluded.data, expiry_date = excluded.expiry_date
";

const CHECKS: &str = "
    ALTER TABLE checked
        ADD CHECK (octet_length(id) = 16),
        ADD CHECK (octet_length(owner) <= 255),
        ADD CHECK (ends_at < 'infinity'),
        ADD CHECK (sweep_at <= expires_at AND expires_at <= ends_at)
";

const READ: &str = "SELECT payload FROM sessions WHERE id = $1";
const READ_LIVE: &str = "
    SELECT $2::bigint # 7 AS nonce, id, revision, payload, expires_at, ends_at, statement_timestamp()
    FROM sessions WHERE id = $1 AND expires_at > statement_timestamp()
";
/// The least that tells a live session and its age, and that proves a miss: an answer without a row may be that to another
/// question.
const READ_LEAST: &str = "
    SELECT nonce, payload, revision, expires_at, ends_at, statement_timestamp()
    FROM (SELECT $1::bigint AS nonce) AS message
    LEFT JOIN sessions ON id = $2 AND expires_at > statement_timestamp()
";
const WRITE: &str = "UPDATE sessions SET payload = $2 WHERE id = $1";
const WRITE_LIVE: &str = "
    UPDATE sessions SET revision = $3, payload = $2, expires_at = LEAST(now() + interval '1 hour', ends_at)
    WHERE id = $1 AND revision = $3 AND expires_at > clock_timestamp()
";
/// The least that also holds if the write had to wait for its row, and that proves what it answers. The values go in as the store
/// sends them.
const WRITE_LEAST: &str = "
    WITH written AS (
        UPDATE sessions SET
            revision = $4, payload = $2, previous_expires_at = expires_at,
            expires_at = LEAST(now() + $5 * interval '1 microsecond', ends_at)
        WHERE id = $1 AND revision = $4 AND expires_at > clock_timestamp()
        RETURNING 1 / (previous_expires_at > clock_timestamp())::int AS done
    )
    SELECT $3::bigint AS nonce, (SELECT done FROM written) AS done
";

pub(crate) async fn measure(rounds: usize) {
    let server = servers::own_postgres(&["fsync=off"]);
    let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false).connect(server.url()).await.unwrap();
    let mut session = session_in(&pool, "sessions").await;
    let mut checked = session_in(&pool, "checked").await;
    pool.execute(sqlx::raw_sql(CHECKS)).await.unwrap();
    pool.execute(sqlx::raw_sql(PEER)).await.unwrap();
    let mut reads = lines(["the payload by its id", "the row alone, without a proof of a miss", "the store's load"]);
    let mut writes = lines([
        "tower-sessions",
        "the payload by its id",
        "a live session by its id and revision",
        "the store's replace",
        "the store's replace, with four CHECKs in the table",
    ]);
    let processes = server.process_ids();
    let clock = || cpu_of(&processes);
    let id = || ID.as_bytes().to_vec();
    for _ in 0..rounds {
        reads[0].window(clock, async || one(&pool, sqlx::query(READ).bind(id())).await).await;
        reads[1].window(clock, async || one(&pool, sqlx::query(READ_LIVE).bind(id()).bind(7_i64)).await).await;
        reads[2].window(clock, async || session.load().await).await;
        let write = |sql| sqlx::query(sql).bind(id()).bind(&PAYLOAD[..]);
        writes[0].window(clock, async || run(&pool, sqlx::query(PEER_WRITE).bind(&PAYLOAD[..])).await).await;
        writes[1].window(clock, async || run(&pool, write(WRITE)).await).await;
        let revision = session.revision;
        writes[2].window(clock, async || run(&pool, write(WRITE_LIVE).bind(revision)).await).await;
        writes[3].window(clock, async || session.replace().await).await;
        writes[4].window(clock, async || checked.replace().await).await;
    }
    print("PostgreSQL: the server's CPU of a load, in parts of the plainest", &reads);
    print("PostgreSQL: the server's CPU of a replace, in parts of tower-sessions'", &writes);
    let plain = async || drop(read(&pool).await);
    let least = async || drop(read_least(&pool).await);
    measure_loads("PostgreSQL", 0.95, rounds, &processes, &session, plain, least).await;
    measure_writes(rounds, &processes, &pool, &mut session).await;
}

async fn measure_writes(rounds: usize, server: &[u32], pool: &PgPool, session: &mut Session<PostgresStore>) {
    let processes = [server, &[process::id()]].concat();
    let clock = || cpu_of(&processes);
    let mut writes = lines([
        "the payload by its id",
        "a live session by its revision, also after waiting, with a proof",
        "the store's replace",
    ]);
    let plain = || sqlx::query(WRITE).bind(ID.as_bytes().to_vec()).bind(&PAYLOAD[..]);
    let hour = HOUR.as_micros() as i64;
    for _ in 0..rounds {
        let revision = session.revision;
        let least = || {
            sqlx::query(WRITE_LEAST)
                .bind(ID.as_bytes().to_vec())
                .bind(&PAYLOAD[..])
                .bind(7_i64)
                .bind(revision)
                .bind(hour)
        };
        writes[0].window(clock, async || run(pool, plain()).await).await;
        writes[1]
            .window(clock, async || {
                let row = least().fetch_one(pool).await.unwrap();
                assert_eq!((row.get::<i64, _>(0), row.get::<Option<i32>, _>(1)), (7, Some(1)));
            })
            .await;
        writes[2].window(clock, async || session.replace().await).await;
    }
    print("PostgreSQL, one client: CPU of process and server of a replace, in parts of the plainest", &writes);
    print_goal(0.9);
}

async fn read(pool: &PgPool) -> Vec<u8> {
    sqlx::query(READ).bind(&ID.as_bytes()[..]).fetch_one(pool).await.unwrap().get(0)
}

/// A time is sent as microseconds.
async fn read_least(pool: &PgPool) -> (Vec<u8>, [i64; 4]) {
    let row = sqlx::query(READ_LEAST).bind(7_i64).bind(&ID.as_bytes()[..]).fetch_one(pool).await.unwrap();
    assert_eq!(row.get::<i64, _>(0), 7);
    (row.get(1), [2, 3, 4, 5].map(|column| row.get_unchecked(column)))
}

async fn session_in(pool: &PgPool, table: &str) -> Session<PostgresStore> {
    let store = PostgresStore::builder().with_table(table).unwrap().with_pool(pool.clone());
    store.migrate().await.unwrap();
    Session::new(store).await
}

type Statement = Query<'static, Postgres, PgArguments>;

async fn one(pool: &PgPool, statement: Statement) {
    statement.fetch_one(pool).await.unwrap();
}

async fn run(pool: &PgPool, statement: Statement) {
    assert_eq!(statement.execute(pool).await.unwrap().rows_affected(), 1);
}
