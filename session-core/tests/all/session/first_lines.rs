//! The first lines that people write compile, and do what they say.

use session_core::{Error, Field, Login, Owner, SessionId};

use crate::support::*;

const NAME: Field<String> = Field::new("name");
const TAGS: Field<Vec<u8>> = Field::new("tags");
const COUNT: Field<u64> = Field::new("count");

#[tokio::test]
async fn a_field_takes_what_its_type_borrows_as() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser
        .visit(async |session| {
            NAME.insert(session, "Zoë").unwrap();
            TAGS.insert(session, [1, 2].as_slice()).unwrap();
            COUNT.insert(session, &7).unwrap();
        })
        .await;
    let (_, session) = browser.start().await;
    assert_eq!(NAME.get(&session).unwrap().as_deref(), Some("Zoë"));
    assert_eq!((TAGS.get(&session).unwrap(), COUNT.get(&session).unwrap()), (Some(vec![1, 2]), Some(7)));
    NAME.insert(&session, &"Zoë".to_owned()).unwrap();
    TAGS.insert(&session, &vec![1, 2]).unwrap();
    assert_eq!(site.lab.calls().len(), 3, "a load, a save, a load");
}

#[tokio::test]
async fn a_user_logs_in_by_text_as_by_number() {
    let name = "Zoë".to_owned();
    let owner = Owner::try_from("Zoë").unwrap();
    let logins: [Login; 7] = [
        name.clone().into(),
        (&name).into(),
        "Zoë".into(),
        "Zoë".as_bytes().into(),
        owner.clone().into(),
        Login::new(name.clone()).remembered(true),
        Login::new("Zoë").ending_others(),
    ];
    for login in logins {
        let mut browser = Site::new().browser();
        browser.visit(async |session| session.login(login).await.unwrap()).await;
        assert_eq!(browser.owner().await, Some(owner.clone()));
    }
    let mut browser = Site::new().browser();
    browser.visit(async |session| session.login(name).await.unwrap()).await;
    assert_eq!(browser.owner().await, Some(owner));
}

#[cfg(feature = "uuid")]
#[tokio::test]
async fn a_user_logs_in_by_uuid() {
    let id = uuid::Uuid::from_u128(42);
    let mut browser = Site::new().browser();
    browser.visit(async |session| session.login(id).await.unwrap()).await;
    assert_eq!(uuid::Uuid::try_from(browser.owner().await.unwrap()), Ok(id));
}

#[tokio::test]
async fn a_name_that_no_owner_can_have_is_refused_before_anything_is_done() {
    let site = Site::new();
    let browser = site.visitor().await;
    let (_, session) = browser.start().await;
    site.lab.calls();
    for name in [String::new(), "x".repeat(256)] {
        let refused = session.login(name).await.unwrap_err();
        assert!(matches!(refused, Error::Owner(_)), "{refused:?}");
        assert_eq!(refused.status(), http::StatusCode::BAD_REQUEST);
    }
    assert!(site.lab.calls().is_empty());
    assert_eq!(browser.get::<i64>("n").await, Some(0), "the visitor's session goes on");
}

#[test]
fn a_session_id_is_its_text_for_serde_and_another_text_is_an_error() {
    let id = SessionId::from_bytes([7; 16]);
    let text = format!("\"{id}\"");
    assert_eq!(serde_json::to_string(&id).unwrap(), text);
    assert_eq!(serde_json::from_str::<SessionId>(&text).unwrap(), id);
    for other in ["\"\"", "\"BwcHBwcHBwcHBwcHBwcHBw==\"", "\"BwcHBwcHBwcHBwcHBwcHBx\"", "7", "[7]"] {
        let error = serde_json::from_str::<SessionId>(other).unwrap_err();
        assert!(other.starts_with(['7', '[']) || error.to_string().contains("22 characters of base64url"), "{error}");
    }
}

#[tokio::test]
async fn a_session_id_can_be_kept_in_a_session() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    let id = browser.start().await.1.id().unwrap();
    browser.visit(async |session| session.insert("id", &id).unwrap()).await;
    assert_eq!(browser.get::<SessionId>("id").await, Some(id));
}
