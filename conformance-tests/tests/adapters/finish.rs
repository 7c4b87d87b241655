//! The end of a request in the same adapter: how it finishes a response.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use session_core::{
    Exchange, HeaderChange, Outcome, Session, SessionManager,
    adapter::{self, Failure, SaidToCaches},
};
use tokio::time::timeout;

use super::{
    fault::Fault::*,
    server::{Broken, Page, status},
};

impl Broken {
    /// Finishes the response of a handler for all of its exchanges, the innermost first.
    pub(crate) async fn finish_all(
        self,
        manager: &SessionManager,
        mut exchanges: Vec<Exchange>,
        head: &Parts,
        mut response: Response<Page>,
    ) -> Response<Page> {
        if self.is(CommitsOutsideFirst) {
            exchanges.reverse();
        }
        let handled = response.status();
        for exchange in exchanges {
            response = self.finish(manager, exchange, head, response).await;
            if self.is(EndsAtTheFirstFailedCommit) && response.status() != handled {
                break;
            }
        }
        response
    }

    /// Answers a panic. Nothing is committed.
    pub(crate) async fn finish_panic(
        self,
        manager: &SessionManager,
        exchanges: Vec<Exchange>,
        head: &Parts,
    ) -> Response<Page> {
        let mut response = status(StatusCode::INTERNAL_SERVER_ERROR);
        match self.0 {
            CommitsPanics => return self.finish_all(manager, exchanges, head, response).await,
            SaysNothingWithAPanic => {}
            _ => exchanges.iter().for_each(|exchange| self.apply(exchange, head, &mut response)),
        }
        response
    }

    /// Commits, and adds the headers of the exchange.
    async fn finish(
        self,
        manager: &SessionManager,
        exchange: Exchange,
        head: &Parts,
        mut response: Response<Page>,
    ) -> Response<Page> {
        if self.skips(head, response.status()) {
            return response;
        }
        if self.is(CommitsAfterTheBody) || self.is(CommitsAfterTheStream) {
            return committed_at_the_end(exchange, response);
        }
        if let Some(session) = exchange.loaded().filter(|_| self.is(ReloadsBeforeTheCommit)) {
            drop(session.reload().await);
        }
        if let Some(owner) = exchange.loaded().and_then(|session| session.owner()).filter(|_| self.is(CountsTheDevices))
        {
            drop(manager.session_count(&owner).await);
        }
        if let Some(session) = exchange.loaded().filter(|_| self.is(CommitsInTwoWrites)) {
            save_apart(&session).await;
        }
        match self.commit(&exchange).await {
            Ok(Some(_)) if self.is(AnswersALostSessionWith409) => return status(StatusCode::CONFLICT),
            Ok(_) => {}
            Err(_) if self.is(IgnoresAFailedSave) => {}
            Err(_) if self.is(TellsAFailedSaveOfSuccessesOnly) && !response.status().is_success() => {}
            Err(failure) => response = self.failed(&failure, response),
        }
        let has_owner = exchange.loaded().is_some_and(|session| session.owner().is_some());
        let is_failed = response.status() == StatusCode::SERVICE_UNAVAILABLE;
        let is_204 = response.status() == StatusCode::NO_CONTENT;
        let is_silent = match self.0 {
            SaysNothingWithAFailedSave => is_failed,
            SaysNothingWithAFailedSaveAfterALogout => is_failed && !has_owner,
            SaysNothingToAHeaderClientWithAFailedSave => is_failed && exchange.is_header_client(),
            SendsNoHeadersWithA204 => is_204,
            SendsNoHeadersWithThe204OfALogout => is_204 && !has_owner && exchange.presented_id().is_some(),
            _ => false,
        };
        if is_silent {
            return response;
        }
        self.apply(&exchange, head, &mut response);
        response
    }

    async fn commit(self, exchange: &Exchange) -> Result<Option<Outcome>, Failure> {
        let commit = adapter::commit(exchange);
        match self.is(GivesUpASlowCommit) {
            true => timeout(Duration::from_millis(20), commit).await.unwrap_or(Ok(None)),
            false => commit.await,
        }
    }

    /// Whether such a response leaves without a commit.
    fn skips(self, head: &Parts, status: StatusCode) -> bool {
        match self.0 {
            CommitsSuccessesOnly => !status.is_success(),
            LeavesOut304 => status == StatusCode::NOT_MODIFIED,
            LeavesOut204 => status == StatusCode::NO_CONTENT,
            LeavesOut101 => status == StatusCode::SWITCHING_PROTOCOLS,
            CommitsNoFailures => status == StatusCode::SERVICE_UNAVAILABLE,
            LeavesOutHead => head.method == Method::HEAD,
            LeavesOutOptions => head.method == Method::OPTIONS,
            CommitsGetAndPostOnly => !is_get_or_post(&head.method),
            _ => false,
        }
    }

    /// The response that takes the place of one whose session could not be saved.
    fn failed(self, failure: &Failure, mut handled: Response<Page>) -> Response<Page> {
        match self.0 {
            KeepsTheHeadersOfAFailedSave => {
                *handled.status_mut() = failure.status();
                return handled.map(|_| Page::default());
            }
            DropsTheCookiesOfOthers | LosesTheCookieInside => drop(handled.headers_mut().remove(header::SET_COOKIE)),
            // The headers of the failure go with an upgrade that stays.
            UpgradesThoughTheSaveFailed if handled.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let mut answer = failure.answer([]).map(|()| Page::default());
                *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                return answer;
            }
            DropsTheVaryOfOthers => drop(handled.headers_mut().remove(header::VARY)),
            _ => {}
        }
        let mut answer = failure.answer(pairs(&handled)).map(|()| Page::default());
        match self.0 {
            SendsTheBodyOfAFailedSave => *answer.body_mut() = handled.into_body(),
            AnswersAFailedSaveWith500 => *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
            ForgetsRetryAfter => drop(answer.headers_mut().remove(header::RETRY_AFTER)),
            _ => {}
        }
        answer
    }

    /// Adds the headers of the exchange, which may have been committed or not.
    fn apply(self, exchange: &Exchange, head: &Parts, response: &mut Response<Page>) {
        let inside = response.extensions_mut().remove::<SaidToCaches>().filter(|_| !self.is(HearsTheMiddlewareInside));
        if self.is(SpeaksOverTheHandler) {
            response.headers_mut().remove(header::CACHE_CONTROL);
        }
        let (changes, said) = adapter::changes(exchange, pairs(response), inside);
        for change in changes {
            let (HeaderChange::Remove(name) | HeaderChange::Append(name, _)) = &change;
            let is_there = response.headers().contains_key(name);
            match change {
                HeaderChange::Remove(_) if self.is(LeavesTheHandlersWordBesideACookie) => {}
                HeaderChange::Remove(name) => drop(response.headers_mut().remove(name)),
                HeaderChange::Append(name, value) if self.leaves_out(&name, &value, head, is_there) => {}
                HeaderChange::Append(name, value) => self.append(response.headers_mut(), name, value),
            }
        }
        if let Some(said) = said {
            response.extensions_mut().insert(said);
        }
    }

    fn append(self, headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
        match self.0 {
            ReplacesTheCookiesOfOthers if name == header::SET_COOKIE => drop(headers.insert(name, value)),
            JoinsCookieLines if name == header::SET_COOKIE => {
                let lines: Vec<_> = headers.get_all(&name).iter().chain([&value]).map(HeaderValue::as_bytes).collect();
                let joined = HeaderValue::from_bytes(&lines.join(&b", "[..])).unwrap();
                drop(headers.insert(name, joined));
            }
            StripsPath | StripsHttpOnly | StripsSameSite | StripsSecure | SendsNoAttributesButPath
                if name == header::SET_COOKIE =>
            {
                headers.append(name, self.strip(&value));
            }
            KeepsTheLastVaryOfOthers if name == header::VARY => {
                let last = headers.get_all(&name).iter().next_back().cloned();
                headers.insert(&name, value);
                headers.extend(last.map(|last| (name, last)));
            }
            _ => {
                headers.append(name, value);
            }
        }
    }

    /// The cookie without the attributes that the fault leaves out.
    fn strip(self, cookie: &HeaderValue) -> HeaderValue {
        let (mut parts, mut kept) = (cookie.to_str().unwrap().split("; "), Vec::new());
        kept.extend(parts.next());
        kept.extend(parts.filter(|attribute| match self.0 {
            StripsPath => !attribute.starts_with("Path="),
            StripsHttpOnly => *attribute != "HttpOnly",
            StripsSameSite => !attribute.starts_with("SameSite="),
            StripsSecure => *attribute != "Secure",
            _ => ["Path=", "Max-Age=", "Expires="].iter().any(|known| attribute.starts_with(known)),
        }));
        HeaderValue::try_from(kept.join("; ")).unwrap()
    }

    fn leaves_out(self, name: &HeaderName, value: &HeaderValue, head: &Parts, is_there: bool) -> bool {
        let is_removal = || value.as_bytes().windows(9).any(|bytes| bytes == b"Max-Age=0");
        let is_cookie = *name == header::SET_COOKIE;
        match self.0 {
            SendsNoCookies => is_cookie,
            SendsCookiesWithGetAndPostOnly => is_cookie && !is_get_or_post(&head.method),
            KeepsTheTokenOfBefore => is_cookie && head.headers.contains_key(header::COOKIE),
            ClearsNothing => name.as_str() == "clear-site-data",
            RemovesNoCookies => is_cookie && is_removal(),
            LeavesCachesUntold => *name == header::CACHE_CONTROL,
            LeavesTheHandlersWordBesideACookie => *name == header::CACHE_CONTROL && is_there,
            VariesWithNothing => *name == header::VARY,
            _ => false,
        }
    }
}

/// Saves all values but the one named `second`, which is left for the next save.
async fn save_apart(session: &Session) {
    if let Ok(Some(second)) = session.get::<u64>("second") {
        session.remove("second");
        drop(session.save().await);
        drop(session.insert("second", &second));
    }
}

/// The response with a body that commits once it was sent.
fn committed_at_the_end(exchange: Exchange, response: Response<Page>) -> Response<Page> {
    let commit = async move {
        drop(exchange.commit().await);
        Ok(Frame::data(Bytes::new()))
    };
    response.map(|body| {
        StreamBody::new(body.into_data_stream().map_ok(Frame::data).chain(stream::once(commit))).boxed_unsync()
    })
}

fn is_get_or_post(method: &Method) -> bool {
    [Method::GET, Method::POST].contains(method)
}

fn pairs(response: &Response<Page>) -> impl Iterator<Item = (&str, &[u8])> {
    response.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}
