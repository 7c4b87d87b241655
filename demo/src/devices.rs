//! "Your devices": lists the user's sessions, and ends them.

use axum::{
    Form,
    extract::Query,
    http::{HeaderMap, Method, header},
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use session_core::{Device, Owner, SessionId};
use session_tower::{Session, SessionError};

use crate::{
    fields::{ADDRESS, FLASH, LABEL, flash},
    page::{self, in_words, login_with, notice},
};

/// A name for the browser. It is good enough for users to tell their own devices apart.
pub(crate) fn label(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let first = |names: &[(&str, &str)]| {
        let found = names.iter().find(|(sign, _)| agent.contains(sign));
        found.map(|(_, name)| (*name).to_owned())
    };
    // Most browsers also name others, as which they pretend. In this order the first that fits is the true one.
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

/// The label of the session. A session without a label is an unknown device.
pub(crate) fn label_of(device: &Device) -> String {
    device.get(LABEL.key()).ok().flatten().unwrap_or_else(|| "Unknown device".to_owned())
}

pub(crate) fn address_of(device: &Device) -> Option<String> {
    device.get(ADDRESS.key()).ok().flatten()
}

/// The device in words that its user can act on: "Chrome on Linux, from 203.0.113.5".
fn name_of(device: &Device) -> String {
    let label = label_of(device);
    address_of(device).map_or_else(|| label.clone(), |address| format!("{label}, from {address}"))
}

/// The user's devices, the one that asks first, then the one that was used last.
async fn devices_of(session: &Session) -> Result<Vec<Device>, SessionError> {
    let mut devices = session.devices().await?;
    devices.sort_by_key(|device| (!device.is_current, device.idle_for));
    Ok(devices)
}

pub(crate) async fn page(method: Method, session: Session) -> Result<Response, SessionError> {
    let Some(owner) = session.owner() else { return Ok(Redirect::to(&login_with("/devices")).into_response()) };
    let flash = flash(&method, &session).await?;
    let devices = devices_of(&session).await?;
    let content = html! {
        (notice(flash.as_deref()))
        h1 { "Your devices" }
        p.lead { "You are logged in on these devices. End those that you do not know." }
        section.card {
            ul.rows {
                @for device in &devices { (row(device)) }
            }
        }
        @if devices.len() > 1 {
            form action="/devices/end-others" { button.danger { "End all others" } }
        }
    };
    Ok(page::whole("Your devices", Some(&owner), &content).into_response())
}

fn row(device: &Device) -> Markup {
    html! {
        li {
            span.what {
                (name_of(device))
                @if device.is_current { span.badge { "this one" } }
                small {
                    @if device.is_current { "active now" } @else { "active " (in_words(device.idle_for)) " ago" }
                    ", logged in " (in_words(device.age)) " ago"
                }
            }
            @if !device.is_current {
                form action="/devices/end" {
                    input type="hidden" name="id" value=(device.id);
                    button.quiet aria-label={ "End " (name_of(device)) } { "End" }
                }
            }
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Ended {
    id: String,
}

/// Asks before a session is ended.
pub(crate) async fn ask_to_end(session: Session, Query(Ended { id }): Query<Ended>) -> Result<Response, SessionError> {
    let Some(owner) = session.owner() else {
        return Ok(Redirect::to(&login_with(&format!("/devices/end?id={}", encoded(&id)))).into_response());
    };
    let devices = devices_of(&session).await?;
    let Some(device) = devices.iter().find(|device| device.id.to_string() == id) else {
        FLASH.insert(&session, &"This session has ended already.".to_owned())?;
        return Ok(Redirect::to("/devices").into_response());
    };
    let name = name_of(device);
    let fields = html! { input type="hidden" name="id" value=(device.id); };
    let question = format!("{name} will have to log in again.");
    Ok(confirmation(&owner, "End this session?", &question, "/devices/end", &fields))
}

pub(crate) async fn ask_to_end_others(session: Session) -> Result<Response, SessionError> {
    let Some(owner) = session.owner() else {
        return Ok(Redirect::to(&login_with("/devices")).into_response());
    };
    let question = "All your devices but this one will have to log in again.";
    Ok(confirmation(&owner, "End all others?", question, "/devices/end-others", &html! {}))
}

fn confirmation(owner: &Owner, title: &str, question: &str, action: &str, fields: &Markup) -> Response {
    let content = html! {
        section.card.narrow {
            h1 { (title) }
            p { (question) }
            form.actions method="post" action=(action) { (fields) button.danger { "Yes, end" } }
            p { a href="/devices" { "No, back to the devices" } }
        }
    };
    page::whole(title, Some(owner), &content).into_response()
}

/// The text as the value of a query.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

pub(crate) async fn end(session: Session, Form(Ended { id }): Form<Ended>) -> Result<Redirect, SessionError> {
    // A text that is no id is not one of the user's sessions.
    let is_ended = match id.parse::<SessionId>() {
        Ok(id) => session.end(&id).await?,
        Err(_) => false,
    };
    if is_ended && session.owner().is_some() {
        FLASH.insert(&session, &"The session is ended.".to_owned())?;
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
