use redis::{AsyncConnectionConfig, Value, aio::MultiplexedConnection};
use session_conformance::servers;

use super::*;

const SESSION: &str = "sessions:s:one";
const INDEX_OF_42: &str = "sessions:o:42";
const ID: &[u8] = &[42; 16];
const REVISION: &[u8] = &[1; 8];

/// A script's name, its text, its key, its arguments and its answer.
type Run = (&'static str, &'static str, &'static str, Vec<Vec<u8>>, Expected);

/// Every script, with arguments and the expected answer. Each works on what the scripts before it have left.
fn every(binding: &[u8]) -> Vec<Run> {
    let rest = b"\x0242payload";
    let entry = [ID, binding].concat();
    let bytes = |arguments: &[&[u8]]| arguments.iter().map(|argument| argument.to_vec()).collect();
    let hour = &b"3600000"[..];
    vec![
        #[cfg(feature = "cluster")]
        ("index", INDEX, INDEX_OF_42, bytes(&[ID, hour]), Expected::Bytes(8)),
        ("create", CREATE, SESSION, bytes(&[REVISION, rest, hour, hour]), Expected::Is(Value::Int(1))),
        ("touch", UPDATE, SESSION, bytes(&[REVISION, b"", b"", hour]), Expected::Is(Value::Int(1))),
        ("update", UPDATE, SESSION, bytes(&[REVISION, REVISION, b"payload", b""]), Expected::Is(Value::Int(1))),
        ("replace", REPLACE, SESSION, bytes(&[REVISION, rest, REVISION, hour]), Expected::Is(Value::Int(1))),
        #[cfg(feature = "cluster")]
        ("load", LOAD, SESSION, vec![], Expected::Pair),
        #[cfg(feature = "cluster")]
        ("range", RANGE, INDEX_OF_42, vec![], Expected::Pair),
        ("prune", PRUNE, INDEX_OF_42, bytes(&[b"sessions:s:two", &entry]), Expected::Is(Value::Int(1))),
        ("delete", DELETE, SESSION, bytes(&[REVISION, b"42"]), Expected::Bytes(10)),
    ]
}

enum Expected {
    Is(Value),
    /// A string of this length.
    Bytes(usize),
    /// The clock, and what was read.
    #[cfg(feature = "cluster")]
    Pair,
}

async fn connect(url: &str) -> MultiplexedConnection {
    // By default the driver gives up after half a second, which a busy machine may need.
    let patient = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    redis::Client::open(url).unwrap().get_multiplexed_async_connection_with_config(&patient).await.unwrap()
}

#[tokio::test]
async fn the_server_loads_and_runs_every_script_as_it_stands_in_its_file() {
    let server = servers::own_redis(&[]);
    let mut connection = connect(server.url()).await;
    for (name, text, key, arguments, expected) in every(b"at=\0\0\0\0\0") {
        println!("-- {name}\n{text}");
        let hash: String = redis::cmd("SCRIPT").arg("LOAD").arg(text).query_async(&mut connection).await.unwrap();
        assert_eq!(hash, Lua::new(text).hash, "{name}");
        let mut run = redis::cmd("EVALSHA");
        run.arg(hash).arg(1).arg(key).arg(arguments);
        let answer: Value = run.query_async(&mut connection).await.unwrap();
        let is_expected = match (&expected, &answer) {
            (Expected::Is(expected), answer) => expected == answer,
            (Expected::Bytes(length), Value::BulkString(bytes)) => bytes.len() == *length,
            #[cfg(feature = "cluster")]
            (Expected::Pair, Value::Array(parts)) => {
                matches!(&parts[..], [Value::Array(_), read] if *read != Value::Nil)
            }
            _ => false,
        };
        assert!(is_expected, "{name}: {answer:?}");
    }
}

#[test]
fn scripts_are_written_in_whole_words() {
    for (name, text, ..) in every(b"at=\0\0\0\0\0") {
        let code = text.lines().map(|line| line.split("--").next().unwrap_or_default());
        let code: String = code.flat_map(|line| [line, "\n"]).collect();
        // Text between quotes is a command's name or a format, so it is not checked.
        let outside = code.split('\'').step_by(2).collect::<Vec<_>>().join(" ");
        let letters: Vec<_> = outside
            .split(|character: char| !character.is_alphanumeric() && character != '_')
            .filter(|word| word.len() == 1 && word.chars().all(char::is_alphabetic))
            .collect();
        assert_eq!(letters, Vec::<&str>::new(), "{name}");
    }
}
