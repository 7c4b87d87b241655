//! Registering, logging in, logging out.

use axum::{
    Extension, Form,
    extract::{FromRequestParts, Query, State},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use session_core::{Login, Owner, is_local_target};
use session_tower::{CurrentOwner, Exchange, Session, SessionError};

use crate::{
    devices,
    failure::Failure,
    fields::{ADDRESS, DRAFT, LABEL},
    page::{self, error, leading_to, login_with, notice},
    users::{Users, UsersError},
};

#[derive(Deserialize)]
pub(crate) struct Credentials {
    user: String,
    password: String,
    /// The checkbox "remember me".
    remember: Option<String>,
    /// A note that could not be saved, because nobody was logged in.
    draft: Option<String>,
}

/// The query of a page with a login form.
#[derive(Default, Deserialize)]
pub(crate) struct Asked {
    why: Option<String>,
    /// Where the user wanted to go.
    next: Option<String>,
}

impl Asked {
    /// The page that the login leads to. It is checked each time, because anybody can write the query.
    fn target(&self) -> &str {
        self.next.as_deref().filter(|next| is_page(next)).unwrap_or("/")
    }
}

/// The pages that a login may lead to: those that a `GET` shows.
const PAGES: [&str; 4] = ["/", "/devices", "/devices/end", "/devices/end-others"];

fn is_page(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    is_local_target(target) && PAGES.contains(&path)
}

pub(crate) async fn login_page(owner: Option<CurrentOwner>, Query(asked): Query<Asked>) -> Response {
    if owner.is_some() {
        return Redirect::to(asked.target()).into_response();
    }
    let why = asked.why.as_deref().and_then(|why| match why {
        "ended" => Some("Your session has ended. Please log in again."),
        "saved" => Some("Your work is saved, and you are logged out."),
        "left" => Some("You are logged out."),
        _ => None,
    });
    Page { why, ..Page::new(Purpose::Login, asked.target()) }.show().into_response()
}

pub(crate) async fn register_page(owner: Option<CurrentOwner>, Query(asked): Query<Asked>) -> Response {
    if owner.is_some() {
        return Redirect::to(asked.target()).into_response();
    }
    Page::new(Purpose::Register, asked.target()).show().into_response()
}

/// The answer to a note that was sent without a login: a login form with the text in it.
pub(crate) fn log_in_first(note: &str) -> Response {
    let wrong = Some("You are not logged in any more, and your text is not saved yet. Log in to save it.");
    let page = Page { wrong, draft: Some(note), ..Page::new(Purpose::Login, "/") };
    (StatusCode::UNAUTHORIZED, page.show()).into_response()
}

pub(crate) async fn login(
    State(users): State<Users>,
    Query(asked): Query<Asked>,
    entrance: Entrance,
    Form(form): Form<Credentials>,
) -> Result<Response, Failure> {
    let Some(name) = users.judge(&form.user, form.password.clone()).await? else {
        let wrong = Some("The name or the password is wrong.");
        let page = Page { wrong, ..Page::again(Purpose::Login, &asked, &form) };
        return Ok((StatusCode::UNAUTHORIZED, page.show()).into_response());
    };
    entrance.enter(&name, &form, asked.target()).await
}

pub(crate) async fn register(
    State(users): State<Users>,
    Query(asked): Query<Asked>,
    entrance: Entrance,
    Form(form): Form<Credentials>,
) -> Result<Response, Failure> {
    let (status, wrong) = match users.register(&form.user, form.password.clone()).await {
        Ok(name) => return entrance.enter(&name, &form, asked.target()).await,
        Err(UsersError::Unfit(wrong)) => (StatusCode::UNPROCESSABLE_ENTITY, wrong),
        Err(UsersError::Taken) => (StatusCode::CONFLICT, "This name is taken."),
        Err(failed) => return Err(failed.into()),
    };
    let page = Page { wrong: Some(wrong), ..Page::again(Purpose::Register, &asked, &form) };
    Ok((status, page.show()).into_response())
}

/// The parts of a request that a login needs.
#[derive(FromRequestParts)]
pub(crate) struct Entrance {
    session: Session,
    exchange: Extension<Exchange>,
    headers: HeaderMap,
}

impl Entrance {
    /// Logs in the user, who has proven their password.
    async fn enter(&self, name: &str, form: &Credentials, target: &str) -> Result<Response, Failure> {
        let owner = Owner::try_from(name).map_err(|error| UsersError::Failed(error.into()))?;
        self.describe_device()?;
        self.session.login(Login::new(owner).remembered(form.remember.is_some())).await?;
        // The login keeps what was changed before it, with one exception: over another user's session it drops all
        // values. So the device is described again. Values that are already stored cost no write.
        self.describe_device()?;
        if let Some(draft) = form.draft.as_ref().filter(|draft| !draft.is_empty()) {
            DRAFT.insert(&self.session, draft)?;
            return Ok(Redirect::to("/").into_response());
        }
        Ok(Redirect::to(target).into_response())
    }

    /// Notes the name and the address that the list of devices shows for this one.
    fn describe_device(&self) -> Result<(), session_core::Error> {
        LABEL.insert(&self.session, &devices::label(&self.headers))?;
        if let Some(address) = self.exchange.peer() {
            ADDRESS.insert(&self.session, &address.to_string())?;
        }
        Ok(())
    }
}

pub(crate) async fn logout(session: Session) -> Result<Redirect, SessionError> {
    session.logout().await?;
    Ok(Redirect::to("/login?why=left"))
}

#[derive(Clone, Copy, PartialEq)]
enum Purpose {
    Login,
    Register,
}

/// A page with the form.
struct Page<'a> {
    purpose: Purpose,
    /// The page that it leads to.
    target: &'a str,
    why: Option<&'a str>,
    wrong: Option<&'a str>,
    /// The name that was typed before.
    user: &'a str,
    draft: Option<&'a str>,
}

/// How long a form may stand before it is to be loaded again, in seconds: as long as `begin_login` lasts.
const STANDS: u32 = 3600;

impl<'a> Page<'a> {
    fn new(purpose: Purpose, target: &'a str) -> Self {
        Self { purpose, target, why: None, wrong: None, user: "", draft: None }
    }

    fn again(purpose: Purpose, asked: &'a Asked, form: &'a Credentials) -> Self {
        Self { user: &form.user, draft: form.draft.as_deref(), ..Self::new(purpose, asked.target()) }
    }

    fn show(&self) -> Html<String> {
        let (title, action) = match self.purpose {
            Purpose::Login => ("Log in", "/login"),
            Purpose::Register => ("Register", "/register"),
        };
        let content = html! {
            section.card.narrow {
                h1 { (title) }
                (notice(self.why))
                (error(self.wrong))
                p.error #stood role="alert" hidden {
                    "This form is more than an hour old. "
                    a href=(leading_to(action, self.target)) { "Load it again" }
                    " before you type."
                }
                form.stack method="post" action=(leading_to(action, self.target)) data-stands=(STANDS) {
                    (self.fields())
                    button { (title) }
                }
                @match self.purpose {
                    Purpose::Login => p { "New here? " a href=(leading_to("/register", self.target)) { "Register" } "." },
                    Purpose::Register => p { "Have an account? " a href=(login_with(self.target)) { "Log in" } "." },
                }
            }
        };
        page::whole(title, None, &content)
    }

    fn fields(&self) -> Markup {
        let registers = self.purpose == Purpose::Register;
        let autocomplete = if registers { "new-password" } else { "current-password" };
        let invalid = self.wrong.filter(|_| self.draft.is_none() || !self.user.is_empty()).map(|_| "true");
        html! {
            label {
                "Name"
                @if registers { small #name-rule { "1 to 64 letters, digits, or . _ @ + -" } }
                input name="user" value=(self.user) autocomplete="username" autocapitalize="none" required
                    maxlength=[registers.then_some("64")] aria-describedby=[registers.then_some("name-rule")]
                    aria-invalid=[invalid];
            }
            label {
                "Password"
                @if registers { small #password-rule { "8 characters or more" } }
                input type="password" name="password" autocomplete=(autocomplete) required
                    minlength=[registers.then_some("8")] aria-describedby=[registers.then_some("password-rule")]
                    aria-invalid=[invalid];
            }
            label.check { input type="checkbox" name="remember"; " Remember me on this device" }
            @if let Some(draft) = self.draft {
                label { "Your text, not saved yet" textarea name="draft" rows="4" { "\n" (draft) } }
            }
        }
    }
}
