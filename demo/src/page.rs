//! The parts that all pages have in common.

use std::time::Duration;

use axum::{
    extract::Path,
    http::{StatusCode, header},
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

/// The warning that the script shows when the session is about to expire. Text to be saved is in the form `work`, if
/// the page has one.
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

/// A notice that something is wrong.
pub(crate) fn error(text: Option<&str>) -> Markup {
    html! { @if let Some(text) = text { p.error role="alert" { (text) } } }
}

/// A duration as people say it, rounded to the nearest unit.
pub(crate) fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let nearest = |unit: u64| (seconds + unit / 2) / unit;
    let (count, unit) = match seconds {
        0..60 => return "less than a minute".to_owned(),
        _ if nearest(60) < 60 => (nearest(60), "minute"),
        _ if nearest(3600) < 24 => (nearest(3600), "hour"),
        _ => (nearest(86400), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// The address of a page with a form. The form then leads to the target.
pub(crate) fn leading_to(form: &str, target: &str) -> String {
    if target == "/" {
        return form.to_owned();
    }
    format!("{form}?next={}", form_urlencoded::byte_serialize(target.as_bytes()).collect::<String>())
}

/// The address of the login page, which then leads to the target.
pub(crate) fn login_with(target: &str) -> String {
    leading_to("/login", target)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::in_words;

    #[test]
    fn durations_are_rounded_to_the_nearest_unit() {
        let cases = [
            (0, "less than a minute"),
            (59, "less than a minute"),
            (60, "1 minute"),
            (91, "2 minutes"),
            (3569, "59 minutes"),
            (3599, "1 hour"),
            (5401, "2 hours"),
            (86_399, "1 day"),
            (30 * 86_400 - 1, "30 days"),
        ];
        for (seconds, words) in cases {
            assert_eq!(in_words(Duration::from_secs(seconds)), words, "{seconds}");
        }
    }
}
