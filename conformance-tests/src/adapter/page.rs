//! The pages: a path tells the handler what to do, one step after the other.
//!
//! `/put.count.7/get.count/status.404` puts 7 into the session, says it, and answers 404. The body takes the steps
//! after `stream`, while it is sent.

use std::future::Future;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use session_core::{Error, Session};

use crate::adapter::{
    Answer, Body, Request, Site,
    site::{Socket, Stream},
};

/// The session, which is asked for only when a step needs it.
struct Asked<F> {
    asking: Option<F>,
    session: Option<Session>,
}

impl<F, E> Asked<F>
where
    F: Future<Output = Result<Session, E>>,
{
    fn new(asking: F) -> Self {
        Self { asking: Some(asking), session: None }
    }

    async fn session(&mut self) -> Result<Session, E> {
        if let Some(asking) = self.asking.take() {
            self.session = Some(asking.await?);
        }
        Ok(self.session.clone().unwrap())
    }
}

/// The response that the steps have made so far.
struct Page {
    status: StatusCode,
    headers: HeaderMap,
    said: Vec<String>,
}

/// Takes the steps of a request's path.
pub(crate) async fn answer<E: From<Error>>(
    site: &Site,
    request: Request,
    first: impl Future<Output = Result<Session, E>>,
    second: impl Future<Output = Result<Session, E>>,
) -> Result<Answer, E> {
    let (mut first, mut second) = (Asked::new(first), Asked::new(second));
    let mut page = Page { status: StatusCode::OK, headers: HeaderMap::new(), said: Vec::new() };
    let (now, streamed) = match request.path.split_once("/stream/") {
        Some((now, streamed)) => (now, Some(streamed)),
        None => (request.path.as_str(), None),
    };
    let mut is_second = false;
    for step in now.split('/').filter(|step| !step.is_empty()) {
        match step {
            "second" => is_second = true,
            "upgrade" => {
                let socket = Socket::new(site.clone(), first.session().await?);
                let headers = page.switching();
                return Ok(Answer { status: StatusCode::SWITCHING_PROTOCOLS, headers, body: Body::Upgrade(socket) });
            }
            "wait" => site.gate().pass().await,
            step if page.heeds(site, &request, step)? => {}
            step => {
                let session = if is_second { second.session().await? } else { first.session().await? };
                page.said.extend(take(&session, step).await?);
            }
        }
    }
    let body = match streamed {
        None => Body::Whole(page.said.join(" ").into()),
        Some(steps) => {
            let (site, session, steps) = (site.clone(), first.session().await?, steps.to_owned());
            Body::Stream(Stream::new(async move { later(&site, &session, &steps).await }))
        }
    };
    Ok(Answer { status: page.status, headers: page.headers, body })
}

/// Takes steps after the head has left, and returns their words.
pub(crate) async fn later(site: &Site, session: &Session, steps: &str) -> String {
    let mut said = Vec::new();
    for step in steps.split('/') {
        match step {
            "wait" => site.gate().pass().await,
            step => said.extend(take(session, step).await.unwrap_or_else(|error| Some(error.name().to_owned()))),
        }
    }
    said.join(" ")
}

/// Takes a step that needs the session.
async fn take(session: &Session, step: &str) -> Result<Option<String>, Error> {
    let parts: Vec<_> = step.split('.').collect();
    let says = match parts[..] {
        ["session"] => None,
        ["add", key] => Some(session.update(key, |n: &mut u64| *n += 1)?.to_string()),
        ["add_now", key] => Some(session.update_now(key, |n: &mut u64| *n += 1).await?.to_string()),
        ["put", key, number] => {
            session.insert(key, &number.parse::<u64>().unwrap())?;
            None
        }
        ["get", key] => Some(session.get::<u64>(key)?.map_or("none".to_owned(), |n| n.to_string())),
        ["login", owner] => {
            session.login(owner.parse::<u64>().unwrap()).await?;
            None
        }
        ["logout"] => {
            session.logout().await?;
            None
        }
        ["owner"] => Some(session.owner().map_or("nobody".to_owned(), |owner| owner.to_string())),
        ["idle"] => session.idle_timeout().map(|idle| idle.as_secs().to_string()),
        ["save"] => {
            session.save().await?;
            None
        }
        _ => panic!("there is no step {step}"),
    };
    Ok(says)
}

impl Page {
    /// Takes a step that does not need the session; `false` if it is not such a step.
    fn heeds(&mut self, site: &Site, request: &Request, step: &str) -> Result<bool, Error> {
        let parts: Vec<_> = step.split('.').collect();
        match parts[..] {
            ["status", status] => self.status = status.parse().unwrap(),
            ["cookie", name] => self.append(&header::SET_COOKIE, &format!("{name}=1; Path=/")),
            ["vary", name] => self.append(&header::VARY, name),
            ["cache", directive] => self.append(&header::CACHE_CONTROL, directive),
            ["shared", directive] => self.append(&HeaderName::from_static("cdn-cache-control"), directive),
            ["location"] => self.append(&header::LOCATION, "/elsewhere"),
            ["say", word] => self.said.push(word.to_owned()),
            ["method"] => self.said.push(request.method.clone()),
            ["echo"] => self.said.push(String::from_utf8_lossy(&request.body).into_owned()),
            ["fail_writes"] => site.store().fail_writes(true),
            ["error"] => return Err(Error::Contended),
            ["panic"] => panic!("a case of the kit wants to see what becomes of a panic"),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn append(&mut self, name: &HeaderName, value: &str) {
        self.headers.append(name, HeaderValue::try_from(value).unwrap());
    }

    fn switching(mut self) -> HeaderMap {
        self.append(&header::CONNECTION, "upgrade");
        self.append(&header::UPGRADE, "websocket");
        self.headers
    }
}
