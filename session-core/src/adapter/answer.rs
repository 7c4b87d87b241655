//! The end of a request: the commit, and the headers of the response.

use std::pin::Pin;

use http::{HeaderMap, HeaderValue, header};

use super::Failure;
use crate::{Error, Exchange, HeaderChange, Outcome};

/// Commits the exchange, before the response head leaves. Afterwards the response gets the [`changes`], whatever this
/// returns.
///
/// `Some` means that nothing was saved, because the session was lost or is withheld. The handler's response stays,
/// because the handler has usually done more than change the session. Put the outcome where middleware can find it,
/// such as the response's extensions.
///
/// # Errors
///
/// The handler's response must not leave. The failure's [`answer`](Failure::answer) takes its place.
pub async fn commit(exchange: &Exchange) -> Result<Option<Outcome>, Failure> {
    answered(exchange, exchange.commit().await)
}

/// The future of a [`begin_commit`].
pub type Commit = Pin<Box<dyn Future<Output = Result<Option<Outcome>, Failure>> + Send>>;

/// [`commit()`], for an adapter that has to keep the future. Most requests have nothing to save and nothing is due. They are
/// committed at once, and there is no future: `None`.
#[must_use]
pub fn begin_commit(exchange: &Exchange) -> Option<Commit> {
    if exchange.inner().commit_unchanged() {
        return None;
    }
    let exchange = exchange.clone();
    Some(Box::pin(async move { answered(&exchange, exchange.inner().commit_changes().await) }))
}

/// What a commit has answered, as an adapter needs it.
fn answered(exchange: &Exchange, committed: Result<Outcome, Error>) -> Result<Option<Outcome>, Failure> {
    let failure = |error| Failure::from(error).with_token_headers(exchange.token_headers_inside());
    let outcome = committed.map_err(failure)?;
    let is_lost = matches!(outcome, Outcome::Gone | Outcome::Superseded | Outcome::Withheld(_) | Outcome::Unreadable);
    Ok(is_lost.then_some(outcome))
}

/// The `Cache-Control` that a layer has set because the handler had set none. Put it into the extensions of the
/// response, for a layer of another cookie outside.
#[derive(Clone, Debug)]
pub struct SaidToCaches(HeaderValue);

/// The [`Exchange::changes`] for a response that may come from a layer of another cookie. `handled` are the headers of
/// that response, in any case of letters, and `inside` is the value that the other layer has left. The second part of
/// the result is for a layer outside. For headers of the `http` crate, take [`apply`].
///
/// If two layers have set `Cache-Control` by themselves, the stricter one stands. A handler's own header always stands
/// against them.
///
/// # Examples
///
/// ```
/// use session_core::{Exchange, HeaderChange, adapter::{self, SaidToCaches}};
///
/// fn finish(exchange: &Exchange, response: &mut http::Response<String>) {
///     let inside = response.extensions_mut().remove::<SaidToCaches>();
///     let handled = response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
///     let (changes, said) = adapter::changes(exchange, handled, inside);
///     for change in changes {
///         match change {
///             HeaderChange::Remove(name) => drop(response.headers_mut().remove(name)),
///             HeaderChange::Append(name, value) => drop(response.headers_mut().append(name, value)),
///         }
///     }
///     if let Some(said) = said {
///         response.extensions_mut().insert(said);
///     }
/// }
/// ```
pub fn changes<'a>(
    exchange: &Exchange,
    handled: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    inside: Option<SaidToCaches>,
) -> (Vec<HeaderChange>, Option<SaidToCaches>) {
    match inside {
        Some(inside) => changes_over(inside, exchange, handled.into_iter().collect()),
        None => {
            let changes = exchange.changes(handled);
            let outward = said_outward(&changes);
            (changes, outward)
        }
    }
}

/// What [`changes`] tells, done to headers of the `http` crate. It returns what is for a layer outside.
pub fn apply(exchange: &Exchange, headers: &mut HeaderMap, inside: Option<SaidToCaches>) -> Option<SaidToCaches> {
    let Some(inside) = inside else { return exchange.change(headers).and_then(weaker_than_no_store) };
    let handled = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let (changes, said) = changes_over(inside, exchange, handled);
    for change in changes {
        match change {
            HeaderChange::Remove(name) => drop(headers.remove(name)),
            HeaderChange::Append(name, value) => drop(headers.append(name, value)),
        }
    }
    said
}

/// The same for a response of which a layer inside has said this to caches.
fn changes_over(
    SaidToCaches(inside): SaidToCaches,
    exchange: &Exchange,
    mut handled: Vec<(&str, &[u8])>,
) -> (Vec<HeaderChange>, Option<SaidToCaches>) {
    let is_caching = |name: &str| name.eq_ignore_ascii_case(header::CACHE_CONTROL.as_str());
    let first = handled.iter().find(|(name, _)| is_caching(name)).map(|(_, value)| *value);
    // If a middleware in between has set another, that one counts as the handler's.
    if first != Some(inside.as_bytes()) {
        return changes(exchange, handled, None);
    }
    handled.retain(|(name, _)| !is_caching(name));
    let mut changes = exchange.changes(handled);
    changes.insert(0, HeaderChange::Remove(header::CACHE_CONTROL));
    if said(&changes).is_none() {
        changes.push(HeaderChange::Append(header::CACHE_CONTROL, inside));
    }
    let outward = said_outward(&changes);
    (changes, outward)
}

/// The `Cache-Control` that these set.
fn said(changes: &[HeaderChange]) -> Option<&HeaderValue> {
    changes.iter().find_map(|change| match change {
        HeaderChange::Append(name, value) if *name == header::CACHE_CONTROL => Some(value),
        _ => None,
    })
}

/// The same where a layer outside may still set a stricter one.
fn said_outward(changes: &[HeaderChange]) -> Option<SaidToCaches> {
    said(changes).cloned().and_then(weaker_than_no_store)
}

/// It is never beside a handler's: over that one an exchange sets `no-store` or nothing.
fn weaker_than_no_store(said: HeaderValue) -> Option<SaidToCaches> {
    (said != "no-store").then_some(SaidToCaches(said))
}
