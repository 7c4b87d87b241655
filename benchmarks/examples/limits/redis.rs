//! What loads and writes cost with Redis, on both sides.

use std::process;

use benchmarks::cpu_of;
use redis::{Client, Script, aio::ConnectionManager, cmd, pipe};
use session_conformance::servers::{self, Server};
use session_core::{Owner, SessionId, Store};
use session_redis::RedisStore;

use crate::{DAY, HOUR, PAYLOAD, Session, entry, lines, measure_loads, print, print_goal};

/// The least that compares and sets: eight bytes of the value are its revision.
const COMPARE_AND_SET: &str = "
    if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
    return 1
";

/// The same for several values. For each there is a revision and a new value.
const COMPARE_AND_SET_EACH: &str = "
    local answers = {}
    for at, key in ipairs(KEYS) do
        answers[at] = 0
        if redis.call('GETRANGE', key, 0, 7) == ARGV[2 * at] then
            redis.call('SET', key, ARGV[2 * at + 1], 'PX', ARGV[1])
            answers[at] = 1
        end
    end
    return answers
";

/// The least that compares, and takes over a value that was sent before it.
const COMPARE_AND_RENAME: &str = "
    if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
    redis.call('RENAME', KEYS[2], KEYS[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return 1
";

/// The least that makes a session and an entry of it in its owner's index.
const MAKE_AND_ENTER: &str = "
    if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
    redis.call('ZADD', KEYS[2], ARGV[2], KEYS[1])
    redis.call('PEXPIRE', KEYS[2], ARGV[2])
    return 1
";

static LARGE: [u8; 8 << 10] = [b'x'; 8 << 10];

/// How many writes are sent together.
const TOGETHER: usize = 16;

pub(crate) async fn measure(rounds: usize) {
    let server = servers::own_redis(&[]);
    let client = Client::open(server.url()).unwrap();
    let mut connection = client.get_connection_manager().await.unwrap();
    let mut session = Session::new(RedisStore::connect(server.url()).await.unwrap()).await;
    set(&mut connection).await;
    let (mut to_get, mut to_time) = (connection.clone(), connection.clone());
    let plain = async || get(&mut to_get).await;
    let least = async || time_and_get(&mut to_time).await;
    measure_loads("Redis", 0.9, rounds, &server.process_ids(), &session, plain, least).await;
    measure_writes(rounds, &server, &mut session, &mut connection).await;
    measure_together(rounds, &server, &mut connection).await;
    measure_large(rounds, &server, &mut connection).await;
    measure_logins(rounds, &server, &mut connection).await;
}

async fn measure_writes(
    rounds: usize,
    server: &Server,
    session: &mut Session<RedisStore>,
    connection: &mut ConnectionManager,
) {
    let processes = [server.process_ids(), vec![process::id()]].concat();
    let clock = || cpu_of(&processes);
    let script = Script::new(COMPARE_AND_SET);
    let mut writes = lines(["SET", "a script that compares and sets", "the store's replace"]);
    for _ in 0..rounds {
        writes[0].window(clock, async || set(connection).await).await;
        writes[1].window(clock, async || compare_and_set(&script, connection).await).await;
        writes[2].window(clock, async || session.replace().await).await;
    }
    print("Redis, one client: CPU of process and server of a replace, in parts of SET", &writes);
}

/// Writes of several sessions that are sent together: by a command each, and by one script.
async fn measure_together(rounds: usize, server: &Server, connection: &mut ConnectionManager) {
    let processes = [server.process_ids(), vec![process::id()]].concat();
    let clock = || cpu_of(&processes);
    let script = Script::new(COMPARE_AND_SET_EACH);
    let keys: Vec<_> = (0..TOGETHER).map(|number| format!("plain {number}")).collect();
    set_each(&keys, connection).await;
    let mut writes = lines(["SET", "one script that compares and sets each"]);
    for _ in 0..rounds {
        writes[0].window(clock, async || set_each(&keys, connection).await).await;
        writes[1].window(clock, async || compare_and_set_each(&script, &keys, connection).await).await;
    }
    print("Redis, 16 writes sent together: CPU of process and server, in parts of SET", &writes);
    print_goal(0.75);
}

async fn measure_large(rounds: usize, server: &Server, connection: &mut ConnectionManager) {
    let processes = server.process_ids();
    let clock = || cpu_of(&processes);
    let script = Script::new(COMPARE_AND_RENAME);
    let store = RedisStore::builder().with_prefix("large").unwrap().connect(server.url()).await.unwrap();
    let mut session = Session::with(store, &LARGE).await;
    let mut writes = lines(["SET", "SET, and a script that compares and renames", "the store's replace"]);
    for _ in 0..rounds {
        writes[0].window(clock, async || set_large("plain large", connection).await).await;
        writes[1]
            .window(clock, async || {
                set_large("staged", connection).await;
                let mut call = script.key("plain large");
                call.key("staged").arg(&LARGE[..8]).arg(HOUR.as_secs() * 1000);
                assert_eq!(call.invoke_async::<i64>(connection).await.unwrap(), 1);
            })
            .await;
        writes[2].window(clock, async || session.replace().await).await;
    }
    print("Redis, 8 KiB: the server's CPU of a replace, in parts of SET", &writes);
}

async fn measure_logins(rounds: usize, server: &Server, connection: &mut ConnectionManager) {
    let processes = [server.process_ids(), vec![process::id()]].concat();
    let clock = || cpu_of(&processes);
    let script = Script::new(MAKE_AND_ENTER);
    let store = RedisStore::connect(server.url()).await.unwrap();
    let mut logins = lines([
        "SET NX and SET XX, one after the other, as tower-sessions does",
        "a script that makes a session, and its entry in the owner's index",
        "the store's create, with an owner",
    ]);
    let mut number = 0_u64;
    for _ in 0..rounds {
        logins[0].window(clock, async || set_twice(next(&mut number), connection).await).await;
        logins[1]
            .window(clock, async || {
                let number = next(&mut number);
                let mut call = script.key(format!("session {number}"));
                call.key(format!("index {number}")).arg(&PAYLOAD).arg(HOUR.as_secs() * 1000);
                assert_eq!(call.invoke_async::<i64>(connection).await.unwrap(), 1);
            })
            .await;
        logins[2]
            .window(clock, async || {
                let number = next(&mut number);
                let (id, owner) = (SessionId::from_bytes(u128::from(number).to_be_bytes()), Owner::from(number));
                store.create(&id, entry(0, &PAYLOAD).with_owner(Some(&owner)), HOUR, DAY).await.unwrap();
            })
            .await;
    }
    print("Redis: CPU of process and server of a login of a new user, in parts of tower-sessions'", &logins);
}

fn next(number: &mut u64) -> u64 {
    *number += 1;
    *number
}

async fn set_twice(number: u64, connection: &mut ConnectionManager) {
    for existing in ["NX", "XX"] {
        let mut set = cmd("SET");
        set.arg(format!("twice {number}")).arg(&PAYLOAD).arg("PX").arg(HOUR.as_secs() * 1000).arg(existing);
        let () = set.query_async(connection).await.unwrap();
    }
}

async fn set_large(key: &str, connection: &mut ConnectionManager) {
    let () =
        cmd("SET").arg(key).arg(&LARGE).arg("PX").arg(HOUR.as_secs() * 1000).query_async(connection).await.unwrap();
}

async fn get(connection: &mut ConnectionManager) {
    let value: Vec<u8> = cmd("GET").arg("plain").query_async(connection).await.unwrap();
    assert_eq!(value, PAYLOAD);
}

async fn time_and_get(connection: &mut ConnectionManager) {
    let both = pipe().cmd("TIME").cmd("GET").arg("plain").query_async(connection).await;
    let (_, value): ((u64, u64), Vec<u8>) = both.unwrap();
    assert_eq!(value, PAYLOAD);
}

async fn set(connection: &mut ConnectionManager) {
    let () = cmd("SET").arg("plain").arg(&PAYLOAD).query_async(connection).await.unwrap();
}

async fn compare_and_set(script: &Script, connection: &mut ConnectionManager) {
    let mut call = script.key("plain");
    call.arg(&PAYLOAD[..8]).arg(&PAYLOAD).arg(HOUR.as_secs() * 1000);
    assert_eq!(call.invoke_async::<i64>(connection).await.unwrap(), 1);
}

async fn set_each(keys: &[String], connection: &mut ConnectionManager) {
    let mut all = pipe();
    for key in keys {
        all.cmd("SET").arg(key).arg(&PAYLOAD).arg("PX").arg(HOUR.as_secs() * 1000).ignore();
    }
    let () = all.query_async(connection).await.unwrap();
}

async fn compare_and_set_each(script: &Script, keys: &[String], connection: &mut ConnectionManager) {
    let mut call = script.prepare_invoke();
    call.arg(HOUR.as_secs() * 1000);
    for key in keys {
        call.key(key).arg(&PAYLOAD[..8]).arg(&PAYLOAD);
    }
    assert_eq!(call.invoke_async::<Vec<i64>>(connection).await.unwrap(), [1; TOGETHER]);
}
