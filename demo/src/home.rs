//! The first page: a counter and a cart for everybody, and a note for users who are logged in.

use std::collections::BTreeMap;

use axum::{
    Form,
    extract::State,
    http::Method,
    response::{Html, IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use session_core::{Field, Owner};
use session_tower::{CurrentOwner, Session};

use crate::{
    account,
    failure::Failure,
    fields::{COUNTER, DRAFT, FLASH, flash},
    page::{self, in_words, notice},
    promises,
    users::Users,
};

/// How many there are of each article.
const CART: Field<BTreeMap<String, u32>> = Field::new("cart");

/// Article, name, price in cents.
const ARTICLES: [(&str, &str, u32); 4] = [
    ("coffee", "Coffee, 250 g", 690),
    ("mug", "Mug, blue", 1250),
    ("filter", "Paper filters, 100", 340),
    ("kettle", "Kettle, steel", 4900),
];

pub(crate) async fn page(
    method: Method,
    State(users): State<Users>,
    session: Session,
) -> Result<Html<String>, Failure> {
    let owner = session.owner();
    let flash = flash(&method, &session).await?;
    let draft = if owner.is_some() && method != Method::HEAD { DRAFT.take(&session).await? } else { None };
    // The JSON side can store any value under these keys.
    let count = COUNTER.get(&session).ok().flatten().unwrap_or_default();
    let cart = CART.get(&session).ok().flatten().unwrap_or_default();
    let note = match &owner {
        Some(owner) => Some(users.note(&owner.to_string()).await?),
        None => None,
    };
    let content = html! {
        (notice(flash.as_deref()))
        @if draft.is_some() { (notice(Some("Your text is back, and not saved yet: look at it, and save it."))) }
        @match &owner {
            Some(owner) => h1 { "Hello, " (owner) },
            None => {
                h1 { "Hello, stranger" }
                p.lead {
                    "Count and fill the cart: it stays yours when you "
                    a href="/login" { "log in" } " or " a href="/register" { "register" } "."
                }
            }
        }
        p.lead {
            "Try it: open a second browser, log in as the same user in both, and end one from the other under Devices. "
            "Or press the buttons of the promises."
        }
        div.cards {
            (promises::card())
            section.card {
                h2 { "Counter" }
                p.number { output #counter data-fresh { (count) } }
                form method="post" action="/counter" data-in-place { button { "Add one" } }
            }
            @if let (Some(owner), Some(note)) = (&owner, &note) {
                (note_card(owner, draft.as_deref().unwrap_or(note)))
            }
            (session_card(&session))
            (cart_card(&cart))
        }
    };
    Ok(page::whole("Home", owner.as_ref(), &content))
}

fn cart_card(cart: &BTreeMap<String, u32>) -> Markup {
    let count = |article: &str| cart.get(article).copied().unwrap_or_default();
    let prices = ARTICLES.iter().map(|(article, _, price)| count(article).saturating_mul(*price));
    let total = prices.fold(0, u32::saturating_add);
    html! {
        section.card {
            h2 { "Cart" }
            ul.rows {
                @for (article, name, price) in ARTICLES {
                    li {
                        span.what { (name) small { (euros(price)) } }
                        form.stepper method="post" action="/cart" data-in-place {
                            input type="hidden" name="article" value=(article);
                            button.quiet name="step" value="less" aria-label={ "One " (name) " less" } { "−" }
                            output id={ "cart-" (article) } data-fresh { (count(article)) }
                            button.quiet name="step" value="more" aria-label={ "One " (name) " more" } { "+" }
                        }
                    }
                }
            }
            p.total { span { "Total" } strong #total data-fresh { (euros(total)) } }
        }
    }
}

fn euros(cents: u32) -> String {
    format!("€ {}.{:02}", cents / 100, cents % 100)
}

fn note_card(owner: &Owner, note: &str) -> Markup {
    html! {
        section.card {
            h2 { label for="note" { "Your note" } }
            form #work method="post" action="/note" {
                // The writer of the note. In a tab that was left open, another user may be logged in by now.
                input type="hidden" name="by" value=(owner);
                // A first line break is not part of the text (HTML, section 13.1.2.5), so one is written before it.
                textarea #note name="note" rows="4" maxlength="10000" aria-describedby="note-hint" { "\n" (note) }
                small #note-hint { "Kept in your account. 10000 characters at most." }
                button { "Save" }
            }
        }
    }
}

fn session_card(session: &Session) -> Markup {
    html! {
        section.card {
            h2 { "This session" }
            @match session.id() {
                None => p { "None yet. Looking costs nothing: it is made when there is something to keep." },
                Some(id) => dl {
                    dt { "Id" } dd { code { (id) } }
                    @if let Some(age) = session.age() { dt { "Age" } dd { (in_words(age)) } }
                    @if let Some(left) = session.expires_in() { dt { "Ends without use" } dd { "in " (in_words(left)) } }
                    @if let Some(left) = session.ends_in() { dt { "Ends in any case" } dd { "in " (in_words(left)) } }
                },
            }
        }
    }
}

pub(crate) async fn count(session: Session) -> Result<Redirect, Failure> {
    COUNTER.update(&session, |count| *count = count.saturating_add(1))?;
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
pub(crate) struct Step {
    article: String,
    step: Direction,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Direction {
    More,
    Less,
}

pub(crate) async fn put_into_cart(session: Session, Form(form): Form<Step>) -> Result<Redirect, Failure> {
    let Step { article, step } = form;
    if ARTICLES.iter().any(|(known, ..)| *known == article) {
        CART.update(&session, move |cart| {
            let count = cart.entry(article.clone()).or_default();
            *count = match step {
                Direction::More => count.saturating_add(1).min(99),
                Direction::Less => count.saturating_sub(1),
            };
            cart.retain(|_, count| *count > 0);
        })?;
    }
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
pub(crate) struct Note {
    note: String,
    /// The user who has written it.
    by: Option<String>,
    /// "Save and leave".
    leave: Option<String>,
}

pub(crate) async fn save_note(
    State(users): State<Users>,
    owner: Option<CurrentOwner>,
    session: Session,
    Form(form): Form<Note>,
) -> Result<Response, Failure> {
    let Some(CurrentOwner(owner)) = owner else { return Ok(account::log_in_first(&form.note)) };
    if form.by.is_some_and(|by| by != owner.to_string()) {
        return Err(Failure::AnothersNote);
    }
    users.set_note(&owner.to_string(), &form.note).await?;
    if form.leave.is_some() {
        session.logout().await?;
        return Ok(Redirect::to("/login?why=saved").into_response());
    }
    FLASH.insert(&session, &"Your note is saved.".to_owned())?;
    Ok(Redirect::to("/").into_response())
}
