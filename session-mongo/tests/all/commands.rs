//! The commands that reach the server: one for each operation, with the concerns that the contract needs, whatever the
//! client's settings are.

use std::sync::{Arc, Mutex};

use session_conformance::servers;
use session_core::{Expiry, Owner, SessionId, Store};
use session_mongo::{
    MongoStore,
    mongodb::{
        Client,
        bson::{Bson, Document},
        event::{EventHandler, command::CommandEvent},
        options::{ClientOptions, ReadConcern, WriteConcern},
    },
};

use crate::support::{HOUR, ID, NEW, OLD, entry};

type Commands = Arc<Mutex<Vec<Document>>>;

/// A store whose commands are recorded, in a client with settings that are no good for sessions.
async fn listened_to(database: &str) -> (MongoStore, Commands) {
    let commands = Commands::default();
    let mut options = ClientOptions::parse(servers::mongodb().url()).await.unwrap();
    options.read_concern = Some(ReadConcern::majority());
    options.write_concern = Some(WriteConcern::nodes(1));
    let heard = commands.clone();
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(started) = event {
            heard.lock().unwrap().push(started.command);
        }
    }));
    let store = MongoStore::new(Client::with_options(options).unwrap().database(database));
    store.migrate().await.unwrap();
    // The server's time is known from now on.
    store.create(&SessionId::from_bytes([1; 16]), entry(OLD), HOUR, HOUR).await.unwrap();
    commands.lock().unwrap().clear();
    (store, commands)
}

#[tokio::test]
async fn each_operation_is_one_command() {
    let (store, commands) = listened_to("counted").await;
    let owner = Owner::from(42);
    let restart = Expiry::Restart { expires_in: HOUR, ends_in: HOUR };
    macro_rules! costs {
        ($names:expr, $operation:expr) => {
            assert!($operation.await.is_ok(), stringify!($operation));
            let commands: Vec<_> = commands.lock().unwrap().drain(..).collect();
            let names: Vec<_> = commands.iter().map(|command| command.keys().next().unwrap().as_str()).collect();
            assert_eq!(names, $names, stringify!($operation));
        };
    }
    costs!(["update"], store.create(&ID, entry(OLD).with_owner(Some(&owner)), HOUR, HOUR));
    costs!(["aggregate"], store.load(&ID));
    costs!(["update"], store.replace(&ID, OLD, entry(NEW), Expiry::Keep));
    costs!(["update"], store.replace(&ID, NEW, entry(OLD), Expiry::Extend(HOUR)));
    costs!(["update"], store.replace(&ID, OLD, entry(NEW).with_owner(Some(&owner)), restart));
    costs!(["update"], store.touch(&ID, NEW, HOUR));
    costs!(["aggregate"], store.list(&owner));
    costs!(["delete"], store.delete(&ID, NEW));
    costs!(["aggregate"], store.load(&ID));
    costs!(["delete"], store.revoke(&owner, None));
    costs!(["find"], store.purge(10));
    costs!([""; 0], store.purge(0));
}

#[tokio::test]
async fn reads_are_local_and_writes_are_confirmed_by_a_majority_with_its_journal() {
    let (store, commands) = listened_to("concerned").await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    assert!(store.replace(&ID, OLD, entry(NEW), Expiry::Keep).await.unwrap());
    assert!(store.touch(&ID, NEW, HOUR).await.unwrap());
    store.load(&ID).await.unwrap().unwrap();
    store.list(&Owner::from(42)).await.unwrap();
    store.purge(10).await.unwrap();
    store.revoke(&Owner::from(42), None).await.unwrap();
    assert!(store.delete(&ID, NEW).await.unwrap());
    let commands: Vec<_> = commands.lock().unwrap().drain(..).collect();
    assert_eq!(commands.len(), 8);
    for command in &commands {
        let name = command.keys().next().unwrap();
        if ["aggregate", "find"].contains(&name.as_str()) {
            assert_eq!(command.get_document("readConcern").unwrap().get_str("level").unwrap(), "local", "{command}");
            assert!(command.contains_key("maxTimeMS"), "{command}");
        } else {
            let concern = command.get_document("writeConcern").unwrap();
            assert_eq!(concern.get_str("w").unwrap(), "majority", "{command}");
            assert!(concern.get_bool("j").unwrap(), "{command}");
            assert!(concern.contains_key("wtimeout"), "{command}");
        }
    }
}

/// A server refuses `$expr` in an upsert. The stand-in does not, so this test looks at the commands.
#[tokio::test]
async fn no_upsert_asks_what_a_server_refuses_there() {
    let (store, commands) = listened_to("upserted").await;
    store.create(&ID, entry(OLD), HOUR, HOUR).await.unwrap();
    store.create(&ID, entry(NEW), HOUR, HOUR).await.unwrap_err();
    let commands: Vec<_> = commands.lock().unwrap().drain(..).collect();
    let mut upserts = 0;
    for update in commands.iter().flat_map(|command| command.get_array("updates").unwrap()) {
        let Bson::Document(update) = update else { panic!("{update}") };
        let asks = update.get_document("q").unwrap().contains_key("$expr");
        if update.get_bool("upsert").unwrap_or_default() {
            assert!(!asks, "{update}");
            upserts += 1;
        } else {
            assert!(asks, "{update}");
        }
    }
    // The first create is one upsert. The second tries both steps twice.
    assert_eq!((upserts, commands.len()), (3, 5));
}

#[tokio::test]
async fn the_servers_time_is_asked_for_once() {
    let (store, commands) = listened_to("timed").await;
    for number in 2..5 {
        store.create(&SessionId::from_bytes([number; 16]), entry(OLD), HOUR, HOUR).await.unwrap();
    }
    let asked = |command: &&Document| command.contains_key("hello") || command.contains_key("isMaster");
    assert_eq!(commands.lock().unwrap().iter().filter(asked).count(), 0);
    assert_eq!(commands.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn many_processes_may_make_the_indexes_at_once() {
    let migrations: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn(async {
                let store = MongoStore::builder().with_collection("migrated").unwrap();
                let store = store.connect(servers::mongodb().url()).await.unwrap();
                store.migrate().await.unwrap();
                store.migrate().await.unwrap();
            })
        })
        .collect();
    for migration in migrations {
        migration.await.unwrap();
    }
}

#[test]
fn the_name_of_a_collection_cannot_smuggle_anything_in() {
    for name in ["", "Sessions", "4two", "a b", "$a", "system.users", "a.b", "é", "a-b", "a\0", &"a".repeat(49)] {
        assert!(MongoStore::builder().with_collection(name).is_err(), "{name}");
    }
}
