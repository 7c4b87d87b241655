//! A token that was minted.

use std::{fmt, time::Duration};

use zeroize::Zeroizing;

/// A token that was minted. **Secret:** who has it is the user, for as long as it lasts.
#[derive(Clone)]
pub struct AccessToken {
    text: Zeroizing<String>,
    expires_in: Duration,
}

impl AccessToken {
    pub(crate) fn new(text: String, expires_in: Duration) -> Self {
        Self { text: Zeroizing::new(text), expires_in }
    }

    /// The text to send to the client, and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// How long it was good for when it was minted.
    #[must_use]
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// The body of a response that hands it out (RFC 6749, section 5.1). `expires_in` is in whole seconds.
    ///
    /// Its `Content-Type` is `application/json`. The response has `Cache-Control: no-store` already, because it has read
    /// the session of a user.
    ///
    /// ```json
    /// {"access_token":"v4.public.…","token_type":"Bearer","expires_in":59}
    /// ```
    #[must_use]
    pub fn to_json(&self) -> String {
        // A token is made of letters, digits, `-`, `_` and `.`: none is escaped in JSON.
        let (token, seconds) = (self.expose(), self.expires_in.as_secs());
        format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{seconds}}}"#)
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken(.., {:?})", self.expires_in)
    }
}
