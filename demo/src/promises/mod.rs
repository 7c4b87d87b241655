//! The page on which a visitor sees each promise kept. Who builds a site of their own leaves this folder out.

mod plays;
mod stage;

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use maud::{Markup, html};
use session_core::{Owner, Store};
use session_tower::Session;

use self::{
    plays::{Play, RACING},
    stage::{Answer, Asked, Interrupted, Line, SetCookie, shortened},
};
use crate::page::{self, error, notice};

struct Promise {
    /// Its name in addresses.
    name: &'static str,
    title: &'static str,
    /// What the button does.
    tries: &'static str,
    button: &'static str,
    /// What the answers prove if it is kept.
    proof: &'static str,
    /// How to see it with your own browsers.
    by_hand: Option<&'static str>,
}

const PROMISES: [Promise; 9] = [
    Promise {
        name: "logout",
        title: "A logout stays a logout",
        tries: "A tab has sent a slow request. The user logs out. Then the slow request ends, and saves.",
        button: "Log out under a slow request",
        proof: "The slow request came too late. It set no cookie, and it did not bring the session back.",
        by_hand: Some("Log out, and press the Back button: no page of yours comes back."),
    },
    Promise {
        name: "tabs",
        title: "No update is lost",
        tries: "Two tabs change the session at once, through two servers.",
        button: "Let two tabs race",
        proof: "Each request added one, and the session has them all.",
        by_hand: Some("Open the first page in two tabs, and count in both."),
    },
    Promise {
        name: "planted",
        title: "Only the server makes sessions",
        tries: "An attacker plants a cookie of their own in the victim's browser, and waits for the victim to log in.",
        button: "Plant a cookie",
        proof: "The login made a fresh cookie, and the planted one opens nothing any more. Nor does one that somebody made up. What \
                was counted before the login stays, as a cart does.",
        by_hand: None,
    },
    Promise {
        name: "database",
        title: "A stolen database opens nothing",
        tries: "A thief reads the session's record in the database, and makes a cookie of it.",
        button: "Steal the database",
        proof: "The record has a hash, and no part of the secret itself. A cookie of the hash opens nothing, not even \
                with the site's key.",
        by_hand: None,
    },
    Promise {
        name: "theft",
        title: "A stolen cookie shows",
        tries: "A thief copies a cookie, and uses it again after the browser has got its next one.",
        button: "Steal a cookie",
        proof: "The old cookie came back, so two have it. The session ended for both, and the site was told.",
        by_hand: Some(
            "Start the demo with --rotate 10s --grace 2s, and log in. Copy the cookie from the developer tools into \
             another browser. Wait, reload twice in yours, wait again, and reload in the other.",
        ),
    },
    Promise {
        name: "everywhere",
        title: "Log out everywhere",
        tries: "The user ends all other sessions, while a thief is about to log in with the stolen password.",
        button: "Log out everywhere",
        proof: "The phone is logged out. The login that had begun before was refused, though its password was right.",
        by_hand: Some("Log in with a second browser, and end it under Devices."),
    },
    Promise {
        name: "time",
        title: "Both timeouts hold",
        tries: "A busy browser and an idle one stay logged in for as long as they can. The store's clock is moved.",
        button: "Let hours pass",
        proof: "Use kept the login, but not longer than three hours. Without use it ended after one.",
        by_hand: Some("Start the demo with --idle 2min, log in, and wait. There is a warning first."),
    },
    Promise {
        name: "reads",
        title: "Reading writes nothing",
        tries: "The calls of the store are counted, request by request.",
        button: "Count the calls",
        proof: "A page that asks for no session costs no call, and one that reads it costs one. Looking makes no session.",
        by_hand: None,
    },
    Promise {
        name: "outage",
        title: "An outage is an error",
        tries: "The store fails while somebody is logged in.",
        button: "Stop the store",
        proof: "Each answer said 503. Nobody was taken for logged out, no cookie was lost, and afterwards all is as before.",
        by_hand: Some("Start the demo with --store redis://127.0.0.1:6379, and stop the server."),
    },
];

const TITLE: &str = "Nine promises, and a button for each";

/// The first page's list of the promises.
pub(crate) fn card() -> Markup {
    html! {
        section.card {
            h2 { (TITLE) }
            ol {
                @for promise in &PROMISES {
                    li { a href={ "/promises#" (promise.name) } { (promise.title) } }
                }
            }
        }
    }
}

pub(crate) async fn page(session: Session) -> Html<String> {
    whole(session.owner().as_ref(), &|_| None)
}

/// Plays one promise, and shows how it went.
pub(crate) async fn play(Path(name): Path<String>, State(store): State<Arc<dyn Store>>, session: Session) -> Response {
    let Some(played) = plays::play(&name, store).await else { return StatusCode::NOT_FOUND.into_response() };
    let status = match &played {
        Ok(_) => StatusCode::OK,
        Err(error) => {
            tracing::error!(play = name, error = &**error as &dyn std::error::Error, "a play was interrupted");
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    let page = whole(session.owner().as_ref(), &|promise| (promise.name == name).then(|| result(promise, &played)));
    (status, page).into_response()
}

fn whole(owner: Option<&Owner>, result_of: &dyn Fn(&Promise) -> Option<Markup>) -> Html<String> {
    let content = html! {
        h1 { (TITLE) }
        p.lead {
            "Press one, and this server sends requests to a small site, and shows the answers. The small site has the "
            "session layer and the store of this one. In two of the plays hours pass: there it is a store in memory, "
            "whose clock can be moved. Keys and user are forgotten afterwards, and your own session is not touched."
        }
        @for (number, promise) in (1..).zip(&PROMISES) {
            section.card.promise id=(promise.name) {
                h2 { (number) ". " (promise.title) }
                p { (promise.tries) }
                form method="post" action={ "/promises/" (promise.name) "#" (promise.name) } {
                    button { (promise.button) }
                }
                @if promise.name == "tabs" { (race()) }
                @if let Some(result) = result_of(promise) { (result) }
                @if let Some(by_hand) = promise.by_hand { small { "With your own browser: " (by_hand) } }
            }
        }
    };
    page::whole("Promises", owner, &content)
}

/// The same with the visitor's own session. The script shows it, because it sends the requests.
fn race() -> Markup {
    html! {
        form #race data-requests=(RACING) hidden { button.quiet { "Race with this browser" } }
        p.notice #raced role="status" hidden {}
    }
}

fn result(promise: &Promise, played: &Result<Play, Interrupted>) -> Markup {
    let Ok(Play { script, is_kept }) = played else {
        return error(Some("The store does not answer just now, so nothing could be shown. Try again in a moment."));
    };
    html! {
        ol.rows.play {
            @for line in script { (row(line)) }
        }
        @if *is_kept {
            (notice(Some(&format!("Kept. {}", promise.proof))))
        } @else {
            (error(Some("This promise was broken here. Please report it, with what you see above.")))
        }
    }
}

fn row(line: &Line) -> Markup {
    match line {
        Line::Said(text) => html! { li.said { (text) } },
        Line::Quoted(what, text) => html! { li { (what) " " code { (text) } } },
        Line::Asked(Asked { who, request, sent, answer: Answer { status, body, cookie } }) => html! {
            li {
                strong { (who) } ": " code.short { (request) }
                @match sent { Some(sent) => { " with cookie " code.short { (sent) } }, None => " without a cookie" }
                " → " strong { (status) }
                @if !body.is_empty() { ", “" (body) "”" }
                @match cookie {
                    SetCookie::Nothing => {}
                    SetCookie::Removes => ", removes the cookie",
                    SetCookie::Sets(value) => { ", sets cookie " code.short { (shortened(value)) } }
                }
            }
        },
    }
}
