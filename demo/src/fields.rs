//! What more than one page keeps in the session.

use axum::http::Method;
use session_core::Field;
use session_tower::{Session, SessionError};

pub(crate) const COUNTER: Field<u64> = Field::new("counter");

/// A message that the next page shows, once. Only the pages use keys that begin with `_`: `/api/data` leaves them out.
pub(crate) const FLASH: Field<String> = Field::new("_flash");

/// A note that could not be saved before the login. It is shown once, for the user to save.
pub(crate) const DRAFT: Field<String> = Field::new("_draft");

/// The name of the device in the list, noted at its login.
pub(crate) const LABEL: Field<String> = Field::new("_label");

/// The address from which the login came.
pub(crate) const ADDRESS: Field<String> = Field::new("_address");

/// Takes the message for this page, unless only the head of the page was asked for.
pub(crate) async fn flash(method: &Method, session: &Session) -> Result<Option<String>, SessionError> {
    if *method == Method::HEAD { Ok(None) } else { Ok(FLASH.take(session).await?) }
}
