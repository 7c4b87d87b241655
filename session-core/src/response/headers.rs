//! What an exchange changes in the headers of its response.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    Exchange, SiteData,
    exchange::Answer,
    request::CarrierKind,
    response::{Privacy, caching},
};

static CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// One thing to do to the headers of a response. See [`Exchange::changes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderChange {
    /// Every header of this name goes.
    Remove(HeaderName),
    /// This header comes to those of its name that are there.
    Append(HeaderName, HeaderValue),
}

impl Exchange {
    /// The headers for a response whose handler has set none: to be asked for after the commit, whatever it answered. For one
    /// with headers of its own take [`apply`](Self::apply) or [`changes`](Self::changes).
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.apply(&mut headers);
        headers
    }

    /// Adds what the exchange has to say to the headers of the handler's response: to be called after the commit, whatever it
    /// answered.
    ///
    /// - `Set-Cookie`: at most one of the cookie's name and scope, after those that remove what is in its [former
    ///   scopes](crate::CookieConfig#moving-the-cookie).
    /// - `Vary: Cookie`, if the session was asked for, and the site's [`TokenHeader`](crate::TokenHeader) if it has one.
    /// - That header, for a client that sends it: with a new token, or empty where the session is over.
    /// - `Cache-Control`:
    ///
    ///   | the response | says | over the handler's |
    ///   | --- | --- | --- |
    ///   | has a `Set-Cookie` of ours, a removal included | `no-store` | yes |
    ///   | has read a session with an owner | `no-store` | no |
    ///   | has read an anonymous session | `private, no-cache` | no |
    ///   | has asked for the session, and there was none | nothing | |
    ///   | has not asked | nothing | |
    ///
    ///   With a `Set-Cookie` of ours, no header stays that some shared cache obeys in place of `Cache-Control`: no
    ///   `CDN-Cache-Control` or any other `*-Cache-Control` (RFC 9213, section 2.2), no `Surrogate-Control`, `Edge-Control` or
    ///   `X-Accel-Expires`. Without one the handler's stand, but where they let shared caches keep a response that has read a
    ///   session, an event tells: [`EventKind::SharedCacheAllowed`](crate::EventKind::SharedCacheAllowed).
    /// - `Clear-Site-Data`, with a logout, if the site [wants it](crate::SessionManager::with_clear_site_data).
    ///
    /// A response counts as one that has read a session with an owner, too, where nobody can tell: the store failed and the
    /// handler went on, the token was late or stolen, the session was lost on the way, is withheld because of other cookies
    /// beside it, or cannot be read. So does the response of a logout. Such a page is right for one moment only.
    ///
    /// The status makes no difference: a 304 gets what its 200 would, as RFC 9110, section 15.4.5 wants it.
    ///
    /// Of two exchanges of one response, for two cookies, the second takes for the handler's what the first has put there. So
    /// where the handler had set no `Cache-Control`, take out the first one's `private, no-cache` before, and put it back
    /// where the second puts none.
    ///
    /// What a handler does after the head has left is not seen here. A stream that first asks for the session in its body
    /// leaves as one that has not asked: let its handler ask before, or set `Cache-Control` itself.
    pub fn apply(&self, headers: &mut HeaderMap) {
        self.change(headers);
    }

    /// What [`apply`](Self::apply) does, one change after the other: for a framework whose header types are not those of the
    /// `http` crate. `handled` are the headers of the handler's response, in any case of letters.
    ///
    /// # Examples
    ///
    /// ```
    /// use session_core::{Exchange, HeaderChange};
    ///
    /// /// Headers as this framework keeps them.
    /// fn apply(exchange: &Exchange, headers: &mut Vec<(String, String)>) {
    ///     let handled = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    ///     for change in exchange.changes(handled) {
    ///         match change {
    ///             HeaderChange::Remove(name) => headers.retain(|(there, _)| !there.eq_ignore_ascii_case(name.as_str())),
    ///             HeaderChange::Append(name, value) => {
    ///                 // What an exchange says is visible ASCII.
    ///                 headers.push((name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    ///             }
    ///         }
    ///     }
    /// }
    /// # let manager = session_core::SessionManager::development(session_memory::MemoryStore::new());
    /// # let exchange = manager.open(&http::Request::new(()));
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    /// # runtime.block_on(async { exchange.session().await.unwrap().login(42).await.unwrap() });
    /// # let mut headers = vec![("Cache-Control".to_owned(), "public".to_owned())];
    /// # apply(&exchange, &mut headers);
    /// # assert_eq!(headers[0], ("cache-control".to_owned(), "no-store".to_owned()));
    /// # assert_eq!(headers.len(), 3);
    /// ```
    #[must_use]
    pub fn changes<'a>(&self, handled: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<HeaderChange> {
        let mut listed = Listed { handled: handled.into_iter().collect(), changes: Vec::new() };
        self.change(&mut listed);
        listed.changes
    }

    /// Changes the headers, and returns the `Cache-Control` if it has put one there because the handler had set none.
    pub(crate) fn change(&self, headers: &mut impl Headers) -> Option<HeaderValue> {
        let inner = self.inner();
        let (privacy, answer, clears_site_data) = {
            let state = inner.state();
            (inner.privacy(&state), state.answer.clone(), inner.clears_site_data(&state))
        };
        if privacy == Privacy::NotAsked {
            return None;
        }
        let (cookie, removals) = self.set_cookies(&answer);
        let mut said = None;
        // A client without cookies gets its token by another way, but gets it with this response.
        if cookie.is_some() || matches!(answer, Answer::Token { .. }) {
            headers.forbid_caches();
        } else {
            if privacy.has_read()
                && let Some(header) = caching::shared_cache_header(|| headers.lines())
            {
                inner.tell_shared_caches(header);
            }
            said = privacy.cache_control().filter(|_| !headers.has(&header::CACHE_CONTROL));
            if let Some(said) = &said {
                headers.append(header::CACHE_CONTROL, said.clone());
            }
        }
        // The removals first: a browser may take a domain that is this very host for no domain, and what comes last stands.
        for cookie in removals.into_iter().chain(cookie) {
            headers.append_once(header::SET_COOKIE, cookie);
        }
        if let Some(header) = &inner.site().token_header {
            if let Some(token) = self.token_header_value(&answer) {
                headers.replace(header.response_name().clone(), token);
            }
            headers.append_once(header::VARY, HeaderValue::from_name(header.request_name().clone()));
        }
        // Where a header decides whether cookies count, each answer depends on both.
        if !inner.header_client || inner.site().token_header.is_some() {
            headers.append_once(header::VARY, HeaderValue::from_static("Cookie"));
        }
        if clears_site_data {
            let keeps_cookies = matches!(answer, Answer::Token { .. });
            if let Some(cleared) = SiteData::header(&inner.site().cleared, keeps_cookies) {
                headers.append_once(CLEAR_SITE_DATA.clone(), cleared);
            }
        }
        said
    }

    /// What the header of a client without cookies says, if it says anything: a token, or that the session is over.
    fn token_header_value(&self, answer: &Answer) -> Option<HeaderValue> {
        match answer {
            _ if !self.inner().header_client => None,
            Answer::Nothing | Answer::Silence => None,
            Answer::Token { .. } => {
                let mut value = HeaderValue::try_from(self.token()?.expose()).ok()?;
                value.set_sensitive(true);
                Some(value)
            }
            Answer::Removal => Some(HeaderValue::from_static("")),
        }
    }

    /// The `Set-Cookie` header, and those that remove cookies of former scopes.
    fn set_cookies(&self, answer: &Answer) -> (Option<HeaderValue>, Vec<HeaderValue>) {
        let cookie = &self.inner().site().cookie;
        let ours = match answer {
            _ if self.inner().header_client => None,
            Answer::Nothing | Answer::Silence => None,
            Answer::Token { token, max_age } => {
                self.sign(CarrierKind::Cookie, token).and_then(|signed| cookie.set(&signed, *max_age))
            }
            Answer::Removal => cookie.remove(),
        };
        let removals = match ours {
            Some(_) => cookie.remove_former(|scope| self.inner().removes_from(scope)).collect(),
            None => Vec::new(),
        };
        (ours, removals)
    }
}

/// The headers of a response while they are changed.
pub(crate) trait Headers {
    /// Those of the handler, perhaps with ours among them.
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])>;
    fn remove(&mut self, name: HeaderName);
    fn append(&mut self, name: HeaderName, value: HeaderValue);

    fn has(&self, name: &HeaderName) -> bool {
        self.lines().any(|(there, _)| there.eq_ignore_ascii_case(name.as_str()))
    }

    /// Appends a line unless the handler has set the same.
    fn append_once(&mut self, name: HeaderName, value: HeaderValue) {
        let is_there = |(there, of): (&str, &[u8])| there.eq_ignore_ascii_case(name.as_str()) && value == *of;
        if !self.lines().any(is_there) {
            self.append(name, value);
        }
    }

    /// Puts this value in the place of all that the handler has set.
    fn replace(&mut self, name: HeaderName, value: HeaderValue) {
        if self.has(&name) {
            self.remove(name.clone());
        }
        self.append(name, value);
    }

    /// Puts `no-store` in the place of all that caches obey.
    fn forbid_caches(&mut self) {
        let obeyed = self.lines().map(|(name, _)| name).filter(|name| caching::is_obeyed(name));
        let names: Vec<_> = obeyed.filter_map(|name| HeaderName::try_from(name).ok()).collect();
        names.into_iter().for_each(|name| self.remove(name));
        self.append(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

impl Headers for HeaderMap {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
    }

    fn remove(&mut self, name: HeaderName) {
        Self::remove(self, name);
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) {
        Self::append(self, name, value);
    }
}

/// The handler's headers, and the changes to them as a list.
struct Listed<'a> {
    handled: Vec<(&'a str, &'a [u8])>,
    changes: Vec<HeaderChange>,
}

impl Headers for Listed<'_> {
    fn lines(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.handled.iter().copied()
    }

    fn remove(&mut self, name: HeaderName) {
        self.changes.push(HeaderChange::Remove(name));
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.changes.push(HeaderChange::Append(name, value));
    }
}
