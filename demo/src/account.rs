//! Registering, logging in, logging out.

use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Redirect, Response},
};
use maud::html;
use serde::Deserialize;
use session_core::{Login, Owner};
use session_tower::{CurrentOwner, Session, SessionError};

use crate::{
    devices::{self, LABEL},
    page::{self, notice},
    site::Failure,
    users::{Users, UsersError},
};

#[derive(Deserialize)]
pub(crate) struct Credentials {
    user: String,
    password: String,
    /// The checkbox "remember me".
    remember: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Why {
    why: Option<String>,
}

pub(crate) async fn login_page(owner: Option<CurrentOwner>, Query(Why { why }): Query<Why>) -> Response {
    if owner.is_some() {
        return Redirect::to("/").into_response();
    }
    let why = why.as_deref().and_then(|why| match why {
        "ended" => Some("Your session has ended. Please log in again."),
        "saved" => Some("Your work is saved, and you are logged out."),
        "left" => Some("You are logged out."),
        _ => None,
    });
    credentials_page(Purpose::Login, why, "").into_response()
}

pub(crate) async fn register_page(owner: Option<CurrentOwner>) -> Response {
    if owner.is_some() {
        return Redirect::to("/").into_response();
    }
    credentials_page(Purpose::Register, None, "").into_response()
}

pub(crate) async fn login(
    State(users): State<Users>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Result<Response, Failure> {
    let Some(name) = users.judge(&form.user, form.password).await? else {
        let page = credentials_page(Purpose::Login, Some("The name or the password is wrong."), &form.user);
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    };
    enter(&session, &headers, &name, form.remember.is_some()).await
}

pub(crate) async fn register(
    State(users): State<Users>,
    session: Session,
    headers: HeaderMap,
    Form(form): Form<Credentials>,
) -> Result<Response, Failure> {
    let (status, why) = match users.register(&form.user, form.password).await {
        Ok(name) => return enter(&session, &headers, &name, form.remember.is_some()).await,
        Err(UsersError::Unfit(why)) => (StatusCode::UNPROCESSABLE_ENTITY, why),
        Err(UsersError::Taken) => (StatusCode::CONFLICT, "This name is taken."),
        Err(failed) => return Err(failed.into()),
    };
    Ok((status, credentials_page(Purpose::Register, Some(why), &form.user)).into_response())
}

/// The user has proven who he is.
async fn enter(session: &Session, headers: &HeaderMap, name: &str, remembered: bool) -> Result<Response, Failure> {
    let owner = Owner::try_from(name).map_err(|error| UsersError::Failed(error.into()))?;
    let label = devices::label(headers);
    LABEL.insert(session, &label)?;
    session.login(Login::new(owner).remembered(remembered)).await?;
    // The login has carried the label along, unless it took over another user's session: then it dropped that user's
    // values, and what was changed before, too. What is stored already writes nothing.
    LABEL.insert(session, &label)?;
    Ok(Redirect::to("/").into_response())
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

fn credentials_page(purpose: Purpose, why: Option<&str>, user: &str) -> Html<String> {
    let (title, action, autocomplete) = match purpose {
        Purpose::Login => ("Log in", "/login", "current-password"),
        Purpose::Register => ("Register", "/register", "new-password"),
    };
    let content = html! {
        section.card.narrow {
            h1 { (title) }
            (notice(why))
            form.stack method="post" action=(action) {
                label { "Name" input name="user" value=(user) autocomplete="username" autocapitalize="none" required; }
                label { "Password" input type="password" name="password" autocomplete=(autocomplete) required; }
                label.check { input type="checkbox" name="remember"; " Remember me on this device" }
                button { (title) }
            }
            @match purpose {
                Purpose::Login => p { "New here? " a href="/register" { "Register" } "." },
                Purpose::Register => p { "You have an account? " a href="/login" { "Log in" } "." },
            }
        }
    };
    page::whole(title, None, &content)
}
