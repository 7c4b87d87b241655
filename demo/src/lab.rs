//! Parts for tests: the counts of the store's calls, and a page that other sites send forms to.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use session_core::Error;
use session_tower::{Session, SessionError};

use crate::{
    counting::{Calls, Counting},
    fields::COUNTER,
};

/// `GET /lab/ops`: the store's calls so far, by method.
pub(crate) async fn ops(State(counting): State<Counting>) -> Json<Calls> {
    Json(counting.calls())
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
