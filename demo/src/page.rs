//! What all pages have in common.

use std::time::Duration;

use axum::{
    extract::{Path, Request},
    http::{StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, html};
use session_core::Owner;

/// The whole page around its content. `maud` escapes whatever is put in.
pub(crate) fn whole(title: &str, owner: Option<&Owner>, content: &Markup) -> Html<String> {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Sessions" }
                link rel="icon" href="/assets/icon.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/site.css";
                script src="/assets/site.js" defer {}
            }
            body data-owner=[owner] {
                header {
                    nav {
                        a.brand href="/" { img src="/assets/icon.svg" alt="" width="28" height="28"; "Sessions" }
                        @if let Some(owner) = owner {
                            a href="/devices" { "Devices" }
                            form method="post" action="/logout" {
                                button.quiet title={ "Logged in as " (owner) } { "Log out" }
                            }
                        } @else {
                            a href="/login" { "Log in" }
                            a href="/register" { "Register" }
                        }
                    }
                }
                main { (content) }
                @if owner.is_some() { (warning()) }
                footer {
                    @if owner.is_some() {
                        label hidden { input #tab-option type="checkbox"; " Log out when this tab closes" }
                    }
                    p { "Sessions live on the server. The cookie is only the key to one." }
                }
            }
        }
    };
    Html(page.into_string())
}

/// Shown by the script when the session is about to expire. What is to be saved is in the form `work`, if the page has
/// one.
fn warning() -> Markup {
    html! {
        dialog #warning aria-labelledby="warning-title" {
            h2 #warning-title { "Are you still there?" }
            p { "You will be logged out in " strong #seconds { "a few" } " seconds." }
            div.actions {
                button #stay type="button" { "Stay logged in" }
                button.quiet #leave type="button" { "Save and leave" }
            }
        }
    }
}

pub(crate) fn notice(text: Option<&str>) -> Markup {
    html! { @if let Some(text) = text { p.notice role="status" { (text) } } }
}

/// A duration as people say it.
pub(crate) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86400 => (seconds / 3600, "hour"),
        _ => (seconds / 86400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// An error of the session is answered with an empty body. A person gets a page with it; the status and the cookies
/// stay as they are.
pub(crate) async fn apologise(request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_person = accept.is_some_and(|accept| accept.contains("text/html"));
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<session_core::Error>().filter(|_| is_person) else {
        return response;
    };
    let text = match error.status() {
        StatusCode::SERVICE_UNAVAILABLE => {
            "We cannot reach your session just now. Nothing is lost: try again in a moment."
        }
        StatusCode::CONFLICT => "Your session was ended or renewed while we worked on this. Please try again.",
        _ => "Something went wrong on our side.",
    };
    let content = html! {
        section.card.narrow { h1 { "Sorry" } p { (text) } p { a href="/" { "To the first page" } } }
    };
    let (mut head, body) = whole("Sorry", None, &content).into_response().into_parts();
    let (answered, _) = response.into_parts();
    head.status = answered.status;
    head.headers.extend(answered.headers);
    head.extensions = answered.extensions;
    Response::from_parts(head, body)
}

pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "site.css" => ("text/css; charset=utf-8", include_str!("assets/site.css")),
        "site.js" => ("text/javascript; charset=utf-8", include_str!("assets/site.js")),
        "icon.svg" => ("image/svg+xml", include_str!("assets/icon.svg")),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=300")], text).into_response()
}
