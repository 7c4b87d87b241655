//! The login of a new visitor is one call, which the store may make one trip of.

use std::{sync::Arc, time::Duration};

use session_core::{
    Entry, Expiry, Keyring, Loaded, Owner, Revision, SessionId, SessionManager, Store, StoreError, async_trait,
};

use crate::support::*;

/// A store that only `create_then_load` makes a session in.
#[derive(Clone, Debug)]
struct OneTrip(Lab);

fn too_many_trips() -> StoreError {
    StoreError::backend("one trip", std::io::Error::other("this takes more than one trip"))
}

#[async_trait]
impl Store for OneTrip {
    async fn create(&self, _: &SessionId, _: Entry<'_>, _: Duration, _: Duration) -> Result<(), StoreError> {
        Err(too_many_trips())
    }

    async fn load(&self, _: &SessionId) -> Result<Option<Loaded>, StoreError> {
        Err(too_many_trips())
    }

    async fn replace(&self, _: &SessionId, _: Revision, _: Entry<'_>, _: Expiry) -> Result<bool, StoreError> {
        Err(too_many_trips())
    }

    async fn touch(&self, _: &SessionId, _: Revision, _: Duration) -> Result<bool, StoreError> {
        Err(too_many_trips())
    }

    async fn delete(&self, _: &SessionId, _: Revision) -> Result<bool, StoreError> {
        Err(too_many_trips())
    }

    async fn list(&self, _: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        Err(too_many_trips())
    }

    async fn revoke(&self, _: &Owner, _: Option<&SessionId>) -> Result<u64, StoreError> {
        Err(too_many_trips())
    }

    async fn purge(&self, _: u32) -> Result<u64, StoreError> {
        Err(too_many_trips())
    }

    async fn create_then_load(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
        then: &SessionId,
    ) -> Result<Result<Option<Loaded>, StoreError>, StoreError> {
        self.0.create_then_load(id, entry, expires_in, ends_in, then).await
    }
}

#[tokio::test]
async fn a_login_reaches_the_store_s_own_method_through_all_that_is_around_it() {
    let lab = Lab::new();
    let store = OneTrip(lab.clone());
    let around: [Box<dyn Store>; 3] =
        [Box::new(store.clone()), Box::new(Arc::new(store.clone())), Box::new(Box::new(store) as Box<dyn Store>)];
    for store in around {
        let manager = SessionManager::new(store, Keyring::new(session_core::Key::generate().unwrap()));
        for manager in [manager.clone(), manager.with_store_spans()] {
            manager.login_for_tests(USER).await.unwrap();
            assert_eq!(lab.calls(), [Call::Create, Call::Load]);
        }
    }
}
