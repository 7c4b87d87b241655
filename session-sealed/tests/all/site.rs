//! A whole site over sealed payloads.

use session_conformance::FaultyStore;
use session_core::{Error, Incoming, Owner, Policy, Session, SessionManager, Store, StoreError, WhenUnreadable};
use session_memory::MemoryStore;
use session_sealed::{OpenError, SealKeys, SealedStore};

use crate::{key, overwrite, raw, sealed};

/// A site, its database, and the cookie of user 42, who is logged in.
struct Site {
    manager: SessionManager,
    database: MemoryStore,
    cookie: String,
}

impl Site {
    async fn new(policy: Policy) -> Self {
        let database = MemoryStore::new();
        let store = sealed(&database, "shop", SealKeys::new(key("2026-11", 1)));
        let manager = SessionManager::development(store).with_policy(policy);
        let mut site = Self { manager, database, cookie: String::new() };
        site.cookie = site.login(Vec::new()).await;
        site
    }

    /// Logs user 42 in with a value of their own, and returns the cookie.
    async fn login(&self, secret: Vec<u8>) -> String {
        let exchange = self.manager.open(Incoming::default());
        let session = exchange.session().await.unwrap();
        session.insert("secret", &secret).unwrap();
        session.login(42).await.unwrap();
        exchange.commit().await.unwrap();
        let headers = exchange.headers();
        headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    async fn session(&self) -> Result<Session, Error> {
        self.manager.open(Incoming::new([self.cookie.as_bytes()])).session().await
    }
}

#[test]
fn numbers_name_the_database_within() {
    let database = MemoryStore::new();
    assert_eq!(database.backend(), "memory");
    assert_eq!(sealed(&database, "shop", SealKeys::new(key("2026-11", 1))).backend(), "memory");
}

#[tokio::test]
async fn a_login_is_one_call_of_the_database_too() {
    let database = FaultyStore::default();
    let store = SealedStore::new(database.clone(), "shop", SealKeys::new(key("2026-11", 1))).unwrap();
    SessionManager::development(store).login_for_tests(42).await.unwrap();
    assert_eq!(database.calls(), 1);
}

#[tokio::test]
async fn a_session_of_the_largest_size_goes_through() {
    let site = Site::new(Policy::default()).await;
    let session = site.session().await.unwrap();
    let Err(Error::TooLarge { size, limit }) = session.insert("secret", &vec![1_u8; 1 << 20]) else { panic!() };
    // In JSON each of the numbers has two bytes, with its comma.
    let most = (1 << 20) - (size - limit).div_ceil(2);
    let cookie = site.login(vec![1; most]).await;
    let site = Site { cookie, ..site };
    let session = site.session().await.unwrap();
    assert_eq!(session.get::<Vec<u8>>("secret").unwrap().map(|secret| secret.len()), Some(most));
    let stored = raw(&site.database, session.id().unwrap()).await.payload.len();
    assert!(stored > limit - 1000, "{stored} bytes are stored");
}

#[tokio::test]
async fn a_session_that_does_not_open_is_no_session_of_anybody_and_a_login_makes_a_new_one() {
    for policy in [WhenUnreadable::Fail, WhenUnreadable::GoOnWithout] {
        let site = Site::new(Policy::builder().when_unreadable(policy).build().unwrap()).await;
        let session = site.session().await.unwrap();
        assert_eq!(session.owner(), Some(Owner::from(42)));
        let id = session.id().unwrap();
        let revision = raw(&site.database, id).await.revision;
        overwrite(&site.database, id, revision, b"rubbish").await;

        let session = site.session().await.unwrap();
        assert_eq!(session.owner(), None);
        if policy == WhenUnreadable::Fail {
            let Err(Error::Store(StoreError::Corrupt { source, .. })) = session.readable() else { panic!() };
            assert_eq!(source.downcast_ref(), Some(&OpenError::NotSealed));
        }
        let cookie = site.login(Vec::new()).await;
        let site = Site { cookie, ..site };
        let session = site.session().await.unwrap();
        assert_eq!(session.owner(), Some(Owner::from(42)));
        assert_eq!(session.devices().await.unwrap().len(), 1, "the broken one is left out");
        assert_eq!(raw(&site.database, id).await.payload, "rubbish", "and stays as it is");
    }
}

#[tokio::test]
async fn at_the_limit_of_sessions_the_one_that_does_not_open_ends_first() {
    let policy = Policy::builder().sessions_per_owner(2).build().unwrap();
    let site = Site::new(policy).await;
    let id = site.session().await.unwrap().id().unwrap();
    let younger = site.login(Vec::new()).await;
    let younger = Site { cookie: younger, manager: site.manager.clone(), database: site.database.clone() };
    let broken = younger.session().await.unwrap().id().unwrap();
    let revision = raw(&site.database, broken).await.revision;
    overwrite(&site.database, broken, revision, b"rubbish").await;
    site.login(Vec::new()).await;
    assert!(site.database.load(&broken).await.unwrap().is_none());
    assert!(site.database.load(&id).await.unwrap().is_some());
}

#[tokio::test]
async fn no_value_and_no_hash_of_a_secret_is_stored_in_the_clear() {
    let database = MemoryStore::new();
    let clear = SessionManager::development(database.clone());
    let site = Site { manager: clear, database: database.clone(), cookie: String::new() };
    let cookie = site.login(b"a word".to_vec()).await;
    let site = Site { cookie, ..site };
    let id = site.session().await.unwrap().id().unwrap();
    let record = raw(&database, id).await;
    let store: SealedStore<_> = sealed(&database, "shop", SealKeys::new(key("2026-11", 1)));
    let entry = session_core::Entry::new(crate::SECOND, &record.payload);
    assert!(store.replace(&id, record.revision, entry, session_core::Expiry::Keep).await.unwrap());
    let stored = raw(&database, id).await.payload;
    let is_part = |part: &[u8]| stored.windows(part.len()).any(|window| window == part);
    assert!(record.payload.windows(8).all(|part| !is_part(part)), "a part of the record is stored in the clear");
}
