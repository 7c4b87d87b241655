//! "Your devices": the user's sessions, and ending them.

use axum::{
    Form,
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use session_core::{Device, Field, SessionId};
use session_tower::{Session, SessionError};

use crate::{
    home::{FLASH, flash},
    page::{self, in_words, notice},
};

/// What the device is called in the list, noted at its login.
pub(crate) const LABEL: Field<String> = Field::new("_label");

/// A name for the browser: good enough to tell one's own apart.
pub(crate) fn label(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let first = |names: &[(&str, &str)]| {
        let found = names.iter().find(|(sign, _)| agent.contains(sign));
        found.map(|(_, name)| (*name).to_owned())
    };
    // Most pretend to be others: the first that fits is the true one.
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(name), None) | (None, Some(name)) => name,
        (None, None) => {
            let program = agent.split(['/', ' ']).next().filter(|program| !program.is_empty());
            program.unwrap_or("Unknown device").chars().take(40).collect()
        }
    }
}

/// The label that the session bears; a session without one is unknown.
pub(crate) fn label_of(device: &Device) -> String {
    device.get(LABEL.key()).ok().flatten().unwrap_or_else(|| "Unknown device".to_owned())
}

pub(crate) async fn page(method: Method, session: Session) -> Result<Response, SessionError> {
    let Some(owner) = session.owner() else { return Ok(Redirect::to("/login").into_response()) };
    let flash = flash(&method, &session).await?;
    let devices = session.devices().await?;
    let content = html! {
        (notice(flash.as_deref()))
        h1 { "Your devices" }
        p.lead { "Where you are logged in. End what you do not know." }
        section.card {
            ul.rows {
                @for device in &devices { (row(device)) }
            }
        }
        @if devices.len() > 1 {
            form method="post" action="/devices/end-others" { button.danger { "End all others" } }
        }
    };
    Ok(page::whole("Your devices", Some(&owner), &content).into_response())
}

fn row(device: &Device) -> Markup {
    html! {
        li {
            span.what {
                (label_of(device))
                @if device.is_current { span.badge { "this one" } }
                small {
                    @if device.is_current { "in use now" } @else { "last seen " (in_words(device.last_seen)) " ago" }
                    ", logged in " (in_words(device.age)) " ago"
                }
            }
            @if !device.is_current {
                form method="post" action="/devices/end" {
                    input type="hidden" name="id" value=(device.id);
                    button.quiet aria-label={ "End " (label_of(device)) } { "End" }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Ended {
    id: String,
}

pub(crate) async fn end(session: Session, Form(Ended { id }): Form<Ended>) -> Result<Redirect, SessionError> {
    // Not an id: none of his.
    if let Ok(id) = id.parse::<SessionId>() {
        session.end(&id).await?;
    }
    Ok(Redirect::to("/devices"))
}

pub(crate) async fn end_others(session: Session) -> Result<Redirect, SessionError> {
    let count = session.revoke_others().await?;
    if session.owner().is_some() {
        let sessions = if count == 1 { "session is" } else { "sessions are" };
        FLASH.insert(&session, &format!("{count} other {sessions} ended."))?;
    }
    Ok(Redirect::to("/devices"))
}
