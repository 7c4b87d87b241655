//! Answers that belong to another statement are refused.

use std::{
    error::Error,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use session_conformance::servers;
use session_core::{Entry, Owner, Revision, SessionId, Store, StoreError};
use session_postgres::{
    ForeignAnswer, PostgresStore,
    sqlx::{
        self, AssertSqlSafe, ConnectOptions, Row,
        postgres::{PgConnectOptions, PgPoolOptions},
    },
};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);
const CLIENTS: u8 = 12;

fn entry() -> Entry<'static> {
    Entry::new(Revision::from_bytes([1; 8]), b"payload")
}

fn is_foreign(error: &StoreError) -> bool {
    matches!(error, StoreError::Backend { source, .. } if source.is::<ForeignAnswer>())
}

/// The one answer that a server gives to every question.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// A row with this nonce, as if the answer were another statement's.
    Nonce(i64),
    /// No row at all, as if the other statement had none.
    Nothing,
}

/// A server that speaks as much PostgreSQL as the pooled mode needs, and answers as a mixed-up pooler would.
fn mixed_up_server(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(stream, answer));
        }
    });
    format!("postgres+pooled://postgres@127.0.0.1:{port}/postgres?sslmode=disable")
}

fn serve(mut stream: TcpStream, answer: Answer) -> Option<()> {
    let ready = message(b'Z', b"I");
    read(&mut stream, 0)?;
    stream.write_all(&[message(b'R', &[0; 4]), ready.clone()].concat()).ok()?;
    loop {
        match read(&mut stream, 1)? {
            b'Q' => {
                let mut said = message(b'C', b"SET\0");
                if let Answer::Nonce(nonce) = answer {
                    said.extend(row(&[("nonce", nonce), ("written", 1), ("found", 0)]));
                }
                said.extend(message(b'C', b"SELECT 1\0"));
                said.extend(&ready);
                stream.write_all(&said).ok()?;
            }
            b'S' => stream.write_all(&ready).ok()?,
            _ => return None,
        }
    }
}

/// Reads a message, and returns its type. The first message of a connection has none.
fn read(stream: &mut TcpStream, word: usize) -> Option<u8> {
    let mut head = vec![0; word + 4];
    stream.read_exact(&mut head).ok()?;
    let length = u32::from_be_bytes(head[word..].try_into().unwrap());
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).ok()?;
    Some(head[0])
}

fn message(word: u8, body: &[u8]) -> Vec<u8> {
    [&[word], &u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()
}

/// Columns of integers, and a row of them.
fn row(columns: &[(&str, i64)]) -> Vec<u8> {
    let count = u16::try_from(columns.len()).unwrap().to_be_bytes();
    let (mut names, mut values) = (count.to_vec(), count.to_vec());
    for (name, value) in columns {
        names.extend(name.as_bytes());
        // A column without a table and without a number in one. Its type is int8 of 8 bytes, without a modifier, as
        // text.
        names.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 8, 255, 255, 255, 255, 0, 0]);
        let text = value.to_string();
        values.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        values.extend(text.as_bytes());
    }
    [message(b'T', &names), message(b'D', &values)].concat()
}

#[tokio::test]
async fn an_answer_under_another_nonce_is_refused() {
    for answer in [Answer::Nonce(-42), Answer::Nothing] {
        let store = PostgresStore::connect(&mixed_up_server(answer)).await.unwrap();
        let user = Owner::from(42);
        let errors = [
            store.create(&ID, entry(), HOUR, HOUR).await.unwrap_err(),
            store.load(&ID).await.unwrap_err(),
            store.touch(&ID, entry().revision, HOUR).await.unwrap_err(),
            store.delete(&ID, entry().revision).await.unwrap_err(),
            store.list(&user).await.unwrap_err(),
            store.revoke(&user, None).await.unwrap_err(),
            store.purge(1).await.unwrap_err(),
            store.migrate().await.unwrap_err(),
        ];
        for error in errors {
            assert!(is_foreign(&error), "{answer:?}: {error:?}");
        }
    }
}

/// Behind a pooler, two clients may have prepared different statements under one name. A message then runs the other
/// client's statement with its own values, and so with its own nonce.
#[tokio::test]
async fn an_answer_of_another_statement_under_our_name_and_nonce_is_refused() {
    let options: PgConnectOptions = servers::postgres().url().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
    let store = PostgresStore::builder().with_table("impostor").unwrap().with_pool(pool.clone());
    store.migrate().await.unwrap();
    // The first statement of this connection was that of `migrate`.
    assert_eq!(store.load(&ID).await.unwrap(), None);
    let names = sqlx::query(
        "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%message.nonce%' AND statement NOT LIKE '%prepared%'",
    );
    let name: String = names.fetch_one(&pool).await.unwrap().get(0);
    let impostor = "AS SELECT $1 AS nonce, $2 IS NULL AS found";
    let replace = format!("DEALLOCATE {name}; PREPARE {name} (bigint, bytea) {impostor}");
    sqlx::raw_sql(AssertSqlSafe(replace)).execute(&pool).await.unwrap();
    let error = store.load(&ID).await.unwrap_err();
    assert!(is_foreign(&error), "{error:?}");
    assert_eq!(store.load(&ID).await.unwrap(), None, "the connection was kept");
}

/// Loads or lists the session of this number. Returns how many answers were refused, and how many of them as foreign.
async fn ask_a_hundred_times(untold: &PostgresStore, number: u8) -> (u32, u32) {
    let (mut refused, mut foreign) = (0, 0);
    for _ in 0..100 {
        let answer = if number.is_multiple_of(2) {
            untold.load(&SessionId::from_bytes([number; 16])).await.map(Vec::from_iter)
        } else {
            let listed = untold.list(&Owner::from(u32::from(number))).await;
            listed.map(|listed| listed.into_iter().map(|(_, loaded)| loaded).collect())
        };
        match answer {
            Ok(loaded) => {
                assert_eq!(loaded.len(), 1, "a session that is there was not found");
                assert_eq!(loaded[0].payload[..], [number], "another session's answer");
            }
            Err(error) => {
                refused += 1;
                foreign += u32::from(is_foreign(&error));
            }
        }
    }
    (refused, foreign)
}

/// The store is not told of PgBouncer, and there are fewer connections to the server than clients. Each client gives
/// its first statement the same name. For half of the clients that is `load`, for the others `list`, with values of the
/// same types.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_a_pooler_that_nobody_told_of_no_wrong_answer_is_believed() {
    let url = servers::pgbouncer().url();
    let builder = || PostgresStore::builder().with_table("untold").unwrap();
    let told = builder().connect(url).await.unwrap();
    told.migrate().await.unwrap();
    let id = |number: u8| SessionId::from_bytes([number; 16]);
    for number in 0..CLIENTS {
        let (user, payload) = (Owner::from(u32::from(number)), [number]);
        let entry = Entry::new(entry().revision, &payload).with_owner(Some(&user));
        match told.create(&id(number), entry, HOUR, HOUR).await {
            Ok(()) | Err(StoreError::AlreadyExists) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    let options: PgConnectOptions = url.replace("postgres+pooled", "postgres").parse().unwrap();
    let options = options.extra_float_digits(None).disable_statement_logging();
    let tasks: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (options, builder) = (options.clone(), builder());
            tokio::spawn(async move {
                let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await.unwrap();
                ask_a_hundred_times(&builder.with_pool(pool), number).await
            })
        })
        .collect();
    let (mut refused, mut foreign) = (0, 0);
    for task in tasks {
        let (more, of_them) = task.await.unwrap();
        refused += more;
        foreign += of_them;
    }
    println!("{refused} of {} were refused, {foreign} of them as foreign", u32::from(CLIENTS) * 100);
    assert!(refused > 0, "the pooler has mixed nothing up, so this proves nothing");
}

/// A clearer error comes first: PgBouncer refuses a connection with a `statement_timeout`. In the pooled mode the store
/// connects without one.
#[tokio::test]
async fn pgbouncer_refuses_a_store_that_nobody_told_of_it() {
    let url = servers::pgbouncer().url().replace("postgres+pooled", "postgres");
    let error = PostgresStore::connect(&url).await.unwrap_err();
    let StoreError::Backend { backend: "postgres", source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("postgres+pooled://"), "{source}");
    assert!(source.source().unwrap().to_string().contains("options"), "{source:?}");
}
