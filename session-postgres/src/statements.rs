//! The statements, word for word.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::schema::SCHEMA;

// The statements share some habits. `$1` is the nonce, and each answers at least one row that begins with it: also "not
// done" and "not there" prove that they belong to this message. See `Statement` for the other half of the proof. A write
// locks its row first and then reads the clock, in a step of its own: a clock that is read before the wait for a lock would
// let a write through that waited until after the expiry. Durations are microseconds, and adding them is exact also where
// a day has 23 hours.

/// What a write of one session begins with: the locked row `l`, and `n`, its id with the instant after the wait.
macro_rules! locked {
    ($strength:literal) => {
        concat!(
            r#"WITH l AS MATERIALIZED (SELECT id FROM "sessions" WHERE id = $2 AND revision = $3 FOR "#,
            $strength,
            "), n AS MATERIALIZED (SELECT id, clock_timestamp() AS now FROM l), ",
        )
    };
}

/// Which row is written: the locked one, if it is live and was not changed meanwhile.
macro_rules! live {
    () => {
        " WHERE s.id = n.id AND s.revision = $3 AND s.expires_at > n.now RETURNING 1) "
    };
}

macro_rules! written {
    () => {
        "SELECT $1::bigint AS nonce, count(*) AS written FROM w"
    };
}

const CREATE: &str = concat!(
    "WITH n AS MATERIALIZED (SELECT clock_timestamp() AS now), w AS (",
    r#"INSERT INTO "sessions" AS s (id, revision, payload, owner, expires_at, ends_at, sweep_at) "#,
    "SELECT $2, $3, $4, $5, now + LEAST($6, $7) * interval '1 microsecond', now + $7 * interval '1 microsecond', ",
    "now + LEAST($6, $7) * interval '1 microsecond' FROM n ON CONFLICT (id) DO UPDATE SET ",
    "revision = EXCLUDED.revision, payload = EXCLUDED.payload, owner = EXCLUDED.owner, ",
    "expires_at = EXCLUDED.expires_at, ends_at = EXCLUDED.ends_at, sweep_at = EXCLUDED.sweep_at ",
    "WHERE s.expires_at <= clock_timestamp() RETURNING 1) ",
    written!(),
);

/// What a load answers for each row: instants as the server has them, since to reckon with them there would take it as long
/// as to find the row.
macro_rules! loaded {
    ($wanted:literal) => {
        concat!(
            "SELECT a.nonce, s.id AS id, s.revision AS revision, s.payload AS payload, ",
            "s.expires_at AS expires_at, s.ends_at AS ends_at, statement_timestamp() AS now ",
            r#"FROM (SELECT $1::bigint AS nonce) AS a LEFT JOIN "sessions" AS s ON "#,
            $wanted,
            " AND s.expires_at > statement_timestamp()",
        )
    };
}

const LOAD: &str = loaded!("s.id = $2");

const LIST: &str = loaded!("s.owner = $2");

const KEEP: &str = concat!(
    locked!("NO KEY UPDATE"),
    r#"w AS (UPDATE "sessions" AS s SET revision = $4, payload = $5 FROM n"#,
    live!(),
    written!(),
);

const EXTEND: &str = concat!(
    locked!("NO KEY UPDATE"),
    r#"w AS (UPDATE "sessions" AS s SET revision = $4, payload = $5, "#,
    "expires_at = LEAST(n.now + $6 * interval '1 microsecond', s.ends_at), ",
    "sweep_at = LEAST(n.now + $6 * interval '1 microsecond', s.sweep_at) FROM n",
    live!(),
    written!(),
);

const RESTART: &str = concat!(
    locked!("NO KEY UPDATE"),
    r#"w AS (UPDATE "sessions" AS s SET revision = $4, payload = $5, owner = $8, "#,
    "expires_at = n.now + LEAST($6, $7) * interval '1 microsecond', ",
    "ends_at = n.now + $7 * interval '1 microsecond', ",
    "sweep_at = LEAST(n.now + LEAST($6, $7) * interval '1 microsecond', s.sweep_at) FROM n",
    live!(),
    written!(),
);

const TOUCH: &str = concat!(
    locked!("NO KEY UPDATE"),
    r#"w AS (UPDATE "sessions" AS s SET expires_at = LEAST(n.now + $4 * interval '1 microsecond', s.ends_at), "#,
    "sweep_at = LEAST(n.now + $4 * interval '1 microsecond', s.sweep_at) FROM n",
    live!(),
    written!(),
);

const DELETE: &str = concat!(locked!("UPDATE"), r#"w AS (DELETE FROM "sessions" AS s USING n"#, live!(), written!());

// In the order of the ids, so that two of them never wait for each other.
const REVOKE: &str = concat!(
    r#"WITH l AS MATERIALIZED (SELECT id FROM "sessions" WHERE owner = $2 AND id IS DISTINCT FROM $3 "#,
    "ORDER BY id FOR UPDATE), ",
    r#"w AS (DELETE FROM "sessions" AS s USING l WHERE s.id = l.id AND s.owner = $2 "#,
    "RETURNING s.expires_at > clock_timestamp() AS live) ",
    "SELECT $1::bigint AS nonce, count(*) FILTER (WHERE live) AS written FROM w",
);

// A row whose `sweep_at` has come may have been touched since: it is moved to where it expires now. However many of them
// there are, one statement takes up no more than 500 rows, or the limit. Nothing here waits, so its instant is not stale.
// Arrays, because the server would read a table of some thousand rows as a whole to join it with 500.
const PURGE: &str = concat!(
    "WITH l AS MATERIALIZED (SELECT id, expires_at <= statement_timestamp() AS expired ",
    r#"FROM "sessions" WHERE sweep_at <= statement_timestamp() "#,
    "ORDER BY sweep_at LIMIT GREATEST($2, 500) FOR UPDATE SKIP LOCKED), ",
    r#"w AS (DELETE FROM "sessions" WHERE id = ANY (ARRAY(SELECT id FROM l WHERE expired LIMIT $2)) RETURNING 1), "#,
    r#"m AS (UPDATE "sessions" SET sweep_at = expires_at "#,
    "WHERE id = ANY (ARRAY(SELECT id FROM l WHERE NOT expired)) RETURNING 1) ",
    "SELECT $1::bigint AS nonce, (SELECT count(*) FROM w) AS written, (SELECT count(*) FROM m) AS moved",
);

/// One row without a name if there is no such table.
const COLUMNS: &str = concat!(
    "SELECT $1::bigint AS nonce, a.attname::text AS name, format_type(a.atttypid, NULL) AS type ",
    r#"FROM (SELECT to_regclass('"sessions"') AS oid) AS t "#,
    "LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped",
);

/// Whoever makes the table holds this lock: `CREATE TABLE IF NOT EXISTS` by two at once fails.
const LOCK: &str = "SELECT pg_advisory_xact_lock(8315168207168892787); ";

/// A statement, and what its answer begins with.
///
/// Behind a pooler that nobody told the store of, a message may run what another client has prepared under the same name,
/// with this message's values, the nonce included. So each statement has a tag of its own in its text, and answers the
/// nonce XOR the tag: the proof that it is this statement that was run.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) sql: SqlStr,
    pub(crate) tag: i64,
}

impl Statement {
    fn new(text: &str) -> Self {
        let tag = tag_of(text);
        let text = text.replace("$1::bigint AS nonce", &format!("$1::bigint # ({tag})::bigint AS nonce"));
        Self { sql: AssertSqlSafe(text).into_sql_str(), tag }
    }
}

/// FNV-1a: the same in each process, so that they share what the server has prepared.
fn tag_of(text: &str) -> i64 {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    hash.cast_signed()
}

/// The statements for one table.
#[derive(Debug)]
pub(crate) struct Statements {
    pub(crate) columns: Statement,
    pub(crate) schema: Statement,
    pub(crate) create: Statement,
    pub(crate) load: Statement,
    pub(crate) keep: Statement,
    pub(crate) extend: Statement,
    pub(crate) restart: Statement,
    pub(crate) touch: Statement,
    pub(crate) delete: Statement,
    pub(crate) list: Statement,
    pub(crate) revoke: Statement,
    pub(crate) purge: Statement,
}

impl Statements {
    /// The statements for the table of this name, which has been checked: letters, digits and `_`.
    pub(crate) fn of(table: &str, pooled: bool) -> Self {
        let text = |text: &str| {
            let mut text = text.replace("\"sessions", &format!("\"{table}"));
            if pooled {
                // As text, whatever the server's `bytea_output` is.
                text = text.replace("s.payload AS", "encode(s.payload, 'hex') AS");
                text = text.replace("s.id AS", "encode(s.id, 'hex') AS");
                // Whole microseconds from now, never rounded up.
                for column in ["expires_at", "ends_at"] {
                    let left = format!("extract(epoch FROM s.{column} - statement_timestamp()) * 1000000");
                    text =
                        text.replace(&format!("s.{column} AS {column}"), &format!("floor({left})::bigint AS {column}"));
                }
                text = text.replace("statement_timestamp() AS now", "0::bigint AS now");
            }
            Statement::new(&text)
        };
        Self {
            columns: text(COLUMNS),
            schema: text(&[LOCK, SCHEMA, "SELECT $1::bigint AS nonce"].concat()),
            create: text(CREATE),
            load: text(LOAD),
            keep: text(KEEP),
            extend: text(EXTEND),
            restart: text(RESTART),
            touch: text(TOUCH),
            delete: text(DELETE),
            list: text(LIST),
            revoke: text(REVOKE),
            purge: text(PURGE),
        }
    }
}

#[cfg(test)]
mod tests {
    use session_conformance::servers;
    use sqlx::{Connection, PgConnection, Row};

    use super::*;

    /// How the server would go about it, with 20000 sessions of 2000 owners, half of them expired.
    async fn plans(statements: &[(&Statement, &str)]) -> Vec<String> {
        let mut connection = PgConnection::connect(servers::postgres().url()).await.unwrap();
        let fill = "SET search_path = pg_temp; INSERT INTO \"devices\" SELECT decode(lpad(to_hex(n), 32, '0'), 'hex'), n, \
            '', (n / 10)::text::bytea, at, at, at FROM generate_series(1, 20000) n, \
            LATERAL (SELECT now() + (n - 10000) * interval '1 second' AS at) t; ANALYZE \"devices\"";
        let schema = SCHEMA.replace("\"sessions", "\"devices");
        sqlx::raw_sql(AssertSqlSafe(["SET search_path = pg_temp; ", &schema, fill].concat()))
            .execute(&mut connection)
            .await
            .unwrap();
        let mut plans = Vec::new();
        for (statement, types) in statements {
            // The plan for any values, as a prepared statement has it after its first few runs.
            let values = vec!["NULL"; types.split(',').count()].join(", ");
            let sql = format!(
                "SET plan_cache_mode = force_generic_plan; PREPARE it ({types}) AS {}; EXPLAIN EXECUTE it ({values})",
                statement.sql.as_str()
            );
            let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await.unwrap();
            plans.push(rows.iter().map(|row| row.get::<String, _>(0) + "\n").collect());
            sqlx::raw_sql("DEALLOCATE it").execute(&mut connection).await.unwrap();
        }
        plans
    }

    #[tokio::test]
    async fn load_and_each_write_of_one_session_find_it_by_its_id() {
        let sql = Statements::of("devices", false);
        let statements = [
            (&sql.load, "bigint, bytea"),
            (&sql.keep, "bigint, bytea, bigint, bigint, bytea"),
            (&sql.extend, "bigint, bytea, bigint, bigint, bytea, bigint"),
            (&sql.restart, "bigint, bytea, bigint, bigint, bytea, bigint, bigint, bytea"),
            (&sql.touch, "bigint, bytea, bigint, bigint"),
            (&sql.delete, "bigint, bytea, bigint"),
        ];
        for plan in plans(&statements).await {
            assert!(plan.contains("Index Scan using devices_pkey"), "{plan}");
            assert!(!plan.contains("Seq Scan"), "{plan}");
        }
    }

    #[tokio::test]
    async fn list_and_revoke_find_the_owners_sessions_by_their_index() {
        let sql = Statements::of("devices", false);
        for plan in plans(&[(&sql.list, "bigint, bytea"), (&sql.revoke, "bigint, bytea, bytea")]).await {
            assert!(plan.contains("devices_owner"), "{plan}");
            assert!(!plan.contains("Seq Scan"), "{plan}");
        }
    }

    #[tokio::test]
    async fn purge_finds_the_expired_sessions_by_their_index() {
        let sql = Statements::of("devices", false);
        let plan = plans(&[(&sql.purge, "bigint, bigint")]).await.remove(0);
        assert!(plan.contains("Index Scan using devices_sweep_at"), "{plan}");
        assert!(plan.contains("Index Cond: (sweep_at <= "), "{plan}");
        assert!(!plan.contains("Seq Scan") && !plan.contains("Sort"), "{plan}");
    }

    #[test]
    fn no_two_statements_have_one_tag() {
        let tags: Vec<_> = [Statements::of("sessions", false), Statements::of("devices", false)]
            .iter()
            .flat_map(|sql| [&sql.create, &sql.load, &sql.keep, &sql.extend, &sql.restart, &sql.touch, &sql.list])
            .map(|statement| statement.tag)
            .collect();
        let different: std::collections::BTreeSet<_> = tags.iter().collect();
        assert_eq!(different.len(), tags.len());
    }
}
