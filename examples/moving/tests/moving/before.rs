//! A site over tower-sessions and axum-login. `after.rs` is the same site over this library.

// ANCHOR: site
use std::convert::Infallible;

use axum::{
    Router,
    extract::Path,
    routing::{get, post},
};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required};
use tower_sessions::{MemoryStore, SessionManagerLayer};

#[derive(Clone, Debug)]
struct User {
    id: u64,
    password_hash: Vec<u8>,
}

impl AuthUser for User {
    type Id = u64;

    fn id(&self) -> u64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        &self.password_hash
    }
}

#[derive(Clone)]
struct Users; // your database

impl AuthnBackend for Users {
    type User = User;
    type Credentials = u64;
    type Error = Infallible;

    async fn authenticate(&self, id: u64) -> Result<Option<User>, Infallible> {
        self.get_user(&id).await // and compare the password
    }

    async fn get_user(&self, id: &u64) -> Result<Option<User>, Infallible> {
        Ok(Some(User { id: *id, password_hash: vec![1] }))
    }
}

async fn log_in(mut auth: AuthSession<Users>, Path(id): Path<u64>) {
    let user = auth.authenticate(id).await.unwrap().unwrap();
    auth.login(&user).await.unwrap();
}

async fn log_out(mut auth: AuthSession<Users>) {
    auth.logout().await.unwrap();
}

async fn account(auth: AuthSession<Users>) -> String {
    format!("the account of {}", auth.user.unwrap().id)
}

pub fn site() -> Router {
    let sessions = SessionManagerLayer::new(MemoryStore::default());
    Router::new()
        .route("/account", get(account))
        .route_layer(login_required!(Users))
        .route("/login/{id}", post(log_in))
        .route("/logout", post(log_out))
        .layer(AuthManagerLayerBuilder::new(Users, sessions).build())
}
// ANCHOR_END: site
