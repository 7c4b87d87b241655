//! The pages that say why something failed.

use axum::{
    extract::Request,
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use session_core::is_local_target;
use session_tower::Exchange;

use crate::{
    page::{self, login_with},
    sent::Typed,
};

/// Turns an error into a page, if a person asked. The page has the text that the person had typed. The status, the
/// cookies and the other headers stay as they are. Programs get the error as it is: a status, and a line of text or
/// nothing.
pub(crate) async fn apologise(request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_person = accept.is_some_and(|accept| accept.contains("text/html"));
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&[][..], |kind| kind.as_bytes());
    if !is_person || kind.starts_with(b"text/html") || response.status().as_u16() < 400 {
        return response;
    }
    let (mut answered, _) = response.into_parts();
    let typed = answered.extensions.get::<Typed>().cloned().unwrap_or_default();
    let session = answered.extensions.get::<Exchange>().and_then(|exchange| exchange.loaded());
    let owner = session.and_then(|session| session.owner());
    let is_of_session = answered.extensions.get::<session_core::Error>().is_some();
    let content = sorry(answered.status, is_of_session, &typed);
    let (mut head, body) = page::whole("Sorry", owner.as_ref(), &content).into_response().into_parts();
    answered.headers.remove(header::CONTENT_TYPE);
    answered.headers.remove(header::CONTENT_LENGTH);
    head.headers.extend(answered.headers);
    head.status = answered.status;
    head.extensions = answered.extensions;
    Response::from_parts(head, body)
}

fn sorry(status: StatusCode, is_of_session: bool, typed: &Typed) -> Markup {
    let (title, text) = words(status, is_of_session);
    // A form of another site must not become one of ours that asks to be sent.
    let is_shown = status != StatusCode::FORBIDDEN && is_local_target(&typed.action);
    html! {
        section.card.narrow {
            h1 { (title) }
            p.error role="alert" { (text) }
            @if is_shown { (form(typed, is_worth_another_try(status, is_of_session))) }
            @if status == StatusCode::UNAUTHORIZED {
                p { a href=(login_with("/")) { "Log in" } }
            } @else {
                p { a href="/" { "To the first page" } }
            }
        }
    }
}

fn words(status: StatusCode, is_of_session: bool) -> (&'static str, &'static str) {
    match status {
        StatusCode::UNAUTHORIZED => ("Please log in", "You are not logged in, or not any more."),
        StatusCode::FORBIDDEN => ("Refused", "Nothing was changed: this request comes from another site."),
        StatusCode::NOT_FOUND => ("Not found", "There is no page at this address."),
        StatusCode::METHOD_NOT_ALLOWED => ("Not a page", "This address takes a form, and shows nothing by itself."),
        StatusCode::REQUEST_TIMEOUT => ("Too slow", "The form took too long to arrive. Nothing was changed."),
        StatusCode::CONFLICT if is_of_session => {
            ("Try again", "Your session was ended or renewed while we worked on this. Please try again.")
        }
        StatusCode::CONFLICT => {
            ("Not saved", "You are logged in as another user now, or something else is stored. Nothing was changed.")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ("Too long", "This is more than we can keep. Nothing was changed."),
        StatusCode::SERVICE_UNAVAILABLE => {
            ("Sorry", "We cannot reach your session just now. Nothing is lost: try again in a moment.")
        }
        status if status.is_client_error() => {
            ("Not understood", "The form is not one that we can read. Nothing was changed.")
        }
        _ => ("Sorry", "Something went wrong on our side."),
    }
}

/// Whether the same form may succeed if it is sent again.
fn is_worth_another_try(status: StatusCode, is_of_session: bool) -> bool {
    status.is_server_error() || (status == StatusCode::CONFLICT && is_of_session)
}

/// A form with all that was typed, except passwords. It can be sent again, or its text can be copied.
fn form(typed: &Typed, again: bool) -> Markup {
    let has_text = typed.fields.iter().any(|(name, _)| matches!(&**name, "note" | "draft" | "user"));
    let has_password = typed.fields.iter().any(|(name, _)| name == "password");
    html! {
        @if again || has_text {
            form.stack method="post" action=(typed.action) {
                @for (name, value) in &typed.fields {
                    @match &**name {
                        "note" | "draft" => label { "What you typed" textarea name=(name) rows="4" { "\n" (value) } },
                        "user" => label { "Name" input name="user" value=(value) autocomplete="username" required; },
                        "password" => {}
                        _ => input type="hidden" name=(name) value=(value);
                    }
                }
                @if again {
                    @if has_password { label { "Password" input type="password" name="password" required; } }
                    button { "Send again" }
                }
            }
        }
    }
}
