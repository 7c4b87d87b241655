//! A login over three requests: the password, a one-time code, the page behind them.
//!
//! ```text
//! cargo run -p session-core --example two_factor
//! ```

use std::error::Error;

use http::{HeaderMap, header};
use session_core::{Exchange, Field, Incoming, Owner, Session, SessionManager};
use session_memory::MemoryStore;

/// The user who has proven their password, and nothing else yet. This opens no page.
const HALFWAY: Field<u64> = Field::new("halfway");
/// The code that was sent to them.
const CODE: Field<String> = Field::new("code");

/// `POST /password`
async fn password(session: &Session) -> Result<(), session_core::Error> {
    // This comes before anything is proven, so a revocation from here on beats this login.
    session.begin_login().await?;
    // A real site checks the password here, and sends a random code.
    HALFWAY.insert(session, &42)?;
    CODE.insert(session, &"123456".to_owned())?;
    // The user may now do more than before, so the token changes, too.
    session.renew().await
}

/// `POST /code`
async fn code(session: &Session, code: &str) -> Result<bool, session_core::Error> {
    // Of many attempts at once, only one gets the code.
    let is_right = CODE.take(session).await?.as_deref() == Some(code);
    let Some(user) = HALFWAY.get(session)?.filter(|_| is_right) else { return Ok(false) };
    HALFWAY.remove(session);
    session.login(user).await?;
    Ok(true)
}

/// `GET /account`
fn account(session: &Session) -> Option<Owner> {
    session.owner()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let manager = SessionManager::development(MemoryStore::default());
    let mut jar = None;

    let exchange = open(&manager, &jar);
    password(&exchange.session().await?).await?;
    close(&exchange, &mut jar).await?;

    let exchange = open(&manager, &jar);
    assert_eq!(account(&exchange.session().await?), None, "halfway is not logged in");
    close(&exchange, &mut jar).await?;

    let exchange = open(&manager, &jar);
    assert!(code(&exchange.session().await?, "123456").await?);
    close(&exchange, &mut jar).await?;

    let exchange = open(&manager, &jar);
    let owner = account(&exchange.session().await?);
    println!("logged in: {owner:?}");
    assert_eq!(owner, Some(Owner::from(42)));
    Ok(())
}

/// The part of an adapter before the handler. The jar holds the browser's cookies.
fn open(manager: &SessionManager, jar: &Option<String>) -> Exchange {
    manager.open(Incoming::new(jar.as_ref().map(|cookie| cookie.as_bytes())))
}

/// The part of an adapter after the handler.
async fn close(exchange: &Exchange, jar: &mut Option<String>) -> Result<(), Box<dyn Error>> {
    exchange.commit().await?;
    let headers: HeaderMap = exchange.headers();
    if let Some(cookie) = headers.get(header::SET_COOKIE) {
        *jar = cookie.to_str()?.split(';').next().map(str::to_owned);
    }
    Ok(())
}
