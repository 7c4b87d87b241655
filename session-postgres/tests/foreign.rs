//! Answers that belong to another statement are refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use session_conformance::servers;
use session_core::{Entry, Owner, Revision, SessionId, Store, StoreError};
use session_postgres::{ForeignAnswer, PostgresStore};

const HOUR: Duration = Duration::from_secs(3600);
const ID: SessionId = SessionId::from_bytes([42; 16]);

fn entry() -> Entry<'static> {
    Entry::new(Revision::from_bytes([1; 8]), b"payload")
}

fn is_foreign(error: &StoreError) -> bool {
    matches!(error, StoreError::Backend { source, .. } if source.is::<ForeignAnswer>())
}

/// What a server answers to everything that it is asked.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// A row under this nonce: as if it were another statement's.
    Nonce(i64),
    /// No row at all: as if the other statement had none.
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

/// Reads a message, and tells what it is. The first one says nothing of that.
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
        // No table, no column of one, int8, 8 bytes, no modifier, as text.
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

/// The store is not told of PgBouncer: the driver mixes answers up, and none of them is believed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_a_pooler_that_nobody_told_of_no_wrong_answer_is_believed() {
    let url = servers::pgbouncer().url();
    let table = "untold";
    let pooled = PostgresStore::builder().with_table(table).unwrap().connect(url).await.unwrap();
    pooled.migrate().await.unwrap();
    let id = |number: u8| SessionId::from_bytes([number; 16]);
    for number in 0..12 {
        let _there_from_an_earlier_run =
            pooled.create(&id(number), Entry::new(entry().revision, &[number]), HOUR, HOUR).await;
    }
    let plain = PostgresStore::builder().with_table(table).unwrap().with_connections(12);
    let plain = plain.connect(&url.replace("postgres+pooled", "postgres")).await;
    // PgBouncer refuses a connection that wants its own time-out, which is the better alarm.
    let error = plain.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::Backend { .. }), "{error:?}");

    let options: session_postgres::sqlx::postgres::PgConnectOptions =
        url.replace("postgres+pooled", "postgres").parse().unwrap();
    let pool = session_postgres::sqlx::postgres::PgPoolOptions::new().max_connections(12);
    let pool = pool.connect_with(options.extra_float_digits(None)).await.unwrap();
    let plain = PostgresStore::builder().with_table(table).unwrap().with_pool(pool);
    let tasks: Vec<_> = (0..12)
        .map(|number| {
            let plain = plain.clone();
            tokio::spawn(async move {
                let mut refused = 0;
                for _ in 0..100 {
                    match plain.load(&id(number)).await {
                        Ok(loaded) => assert_eq!(loaded.unwrap().payload[..], [number], "another session's answer"),
                        Err(_) => refused += 1,
                    }
                }
                refused
            })
        })
        .collect();
    let mut refused = 0;
    for task in tasks {
        refused += task.await.unwrap();
    }
    println!("{refused} of 1200 were refused");
}
