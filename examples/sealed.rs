//! Sealed payloads: what the database holds of a session, and how the key is changed while the user stays logged in:
//! `cargo run -p examples --bin sealed`.

use std::error::Error;

use session_memory::MemoryStore;
use session_sealed::{SealKey, SealKeys, SealedStore};
use session_tower::{
    SessionManager,
    session_core::{Incoming, SessionId, Store},
};

const SECRET: &str = "a word that must not stand in the database";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // In production: SealKey::from_base64("2026-05", &env::var("SESSION_SEAL_KEY")?)?
    let (old, new) = (SealKey::generate("2026-05")?, SealKey::generate("2026-11")?);
    let database = MemoryStore::new(); // any store
    let store = SealedStore::new(database.clone(), "shop.example, sessions", SealKeys::new(old.clone()))?;
    let manager = SessionManager::development(store.clone()); // in production: SessionManager::new(store, cookie_keys)

    // User 42 logs in, and the application keeps something that is nobody else's business.
    let exchange = manager.open(Incoming::default());
    let session = exchange.session().await?;
    session.insert("secret", SECRET)?;
    session.login(42).await?;
    exchange.commit().await?;
    let headers = exchange.headers();
    let cookie = headers["set-cookie"].as_bytes();
    let id = session.id().ok_or("it is stored")?;

    let stored = stored(&database, &id).await?;
    assert!(!holds(&stored, "word"));
    println!("the database has {} bytes, sealed with {}", stored.len(), key_of(&stored));

    // The key is changed. What was sealed with the old one still opens, and the next write seals it with the new one.
    store.set_keys(SealKeys::new(new.clone()).and_open(old))?;
    let exchange = manager.open(Incoming::new([cookie]));
    let session = exchange.session().await?;
    assert_eq!(session.get::<String>("secret")?.as_deref(), Some(SECRET));
    session.insert("visits", &2)?;
    exchange.commit().await?;
    println!("user {} is still logged in", session.owner().ok_or("nobody is")?);
    println!("after the next write it is sealed with {}", key_of(&self::stored(&database, &id).await?));

    // Under another name of the context nothing opens, also with the right key.
    let elsewhere = SealedStore::new(database, "admin.example, sessions", SealKeys::new(new))?;
    let error = elsewhere.load(&id).await.err().ok_or("it has opened")?;
    println!("in another context: {}", error.source().ok_or("it has a source")?);
    Ok(())
}

async fn stored(database: &MemoryStore, id: &SessionId) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(database.load(id).await?.ok_or("it is stored")?.payload.to_vec())
}

fn holds(stored: &[u8], text: &str) -> bool {
    stored.windows(text.len()).any(|part| part == text.as_bytes())
}

/// The id of the key stands in each payload.
fn key_of(stored: &[u8]) -> &'static str {
    if holds(stored, "2026-11") { "2026-11" } else { "2026-05" }
}
