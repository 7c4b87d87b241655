//! Parts for tests: a store that counts the calls of the store inside, and a page that other sites send forms to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use session_core::{Entry, Error, Expiry, Loaded, Owner, Revision, SessionId, Store, StoreError};
use session_tower::{Session, SessionError};

use crate::fields::COUNTER;

type Calls = BTreeMap<&'static str, u64>;

#[derive(Clone, Debug)]
pub(crate) struct Counting {
    store: Arc<dyn Store>,
    calls: Arc<Mutex<Calls>>,
}

/// `GET /lab/ops`: the store's calls so far, by method.
pub(crate) async fn ops(State(counting): State<Counting>) -> Json<Calls> {
    Json(counting.calls.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// `POST /lab/return`: the page to which a bank sends its customer back. The browser keeps the login's cookie back
/// there. So this redirects to a page of the site, for which the browser sends the cookie, and that page saves.
pub(crate) async fn be_sent_back(session: Session) -> Result<Response, SessionError> {
    COUNTER.update(&session, |count| *count += 1)?;
    match session.save().await {
        Ok(()) => Ok("counted".into_response()),
        Err(Error::Withheld(_)) => Ok(Redirect::to("/lab/return").into_response()),
        Err(error) => Err(error.into()),
    }
}

/// `GET /lab/return`.
pub(crate) async fn come_back(session: Session) -> Result<String, SessionError> {
    let count = COUNTER.update(&session, |count| *count += 1)?;
    let owner = session.owner().map_or_else(|| "nobody".to_owned(), |owner| owner.to_string());
    Ok(format!("counted {count} for {owner}"))
}

impl Counting {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let methods = ["create", "load", "replace", "touch", "delete", "list", "revoke", "purge"];
        Self { store, calls: Arc::new(Mutex::new(methods.map(|method| (method, 0)).into())) }
    }

    fn count(&self, method: &'static str) -> &dyn Store {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(method).or_default() += 1;
        &*self.store
    }
}

#[async_trait]
impl Store for Counting {
    async fn create(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        expires_in: Duration,
        ends_in: Duration,
    ) -> Result<(), StoreError> {
        self.count("create").create(id, entry, expires_in, ends_in).await
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Loaded>, StoreError> {
        self.count("load").load(id).await
    }

    async fn replace(
        &self,
        id: &SessionId,
        expected: Revision,
        entry: Entry<'_>,
        expiry: Expiry,
    ) -> Result<bool, StoreError> {
        self.count("replace").replace(id, expected, entry, expiry).await
    }

    async fn touch(&self, id: &SessionId, expected: Revision, expires_in: Duration) -> Result<bool, StoreError> {
        self.count("touch").touch(id, expected, expires_in).await
    }

    async fn delete(&self, id: &SessionId, expected: Revision) -> Result<bool, StoreError> {
        self.count("delete").delete(id, expected).await
    }

    async fn list(&self, owner: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        self.count("list").list(owner).await
    }

    async fn revoke(&self, owner: &Owner, keep: Option<&SessionId>) -> Result<u64, StoreError> {
        self.count("revoke").revoke(owner, keep).await
    }

    async fn purge(&self, limit: u32) -> Result<u64, StoreError> {
        self.count("purge").purge(limit).await
    }

    fn backend(&self) -> &'static str {
        self.store.backend()
    }
}
