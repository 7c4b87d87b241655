//! Records of every version, opened as by a browser.

use std::time::Duration;

use session_core::{Entry, Outcome, Owner, Policy, Revision, SessionId, Store, WhenUnreadable};

use crate::support::*;

const DAY: Duration = Duration::from_secs(86_400);

/// The id of each record.
const ID: SessionId = SessionId::from_bytes([5; 16]);

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../records/", $name, ".bin"))
    };
}

/// A browser whose session is this login of user 42, twenty minutes old.
async fn login(site: &Site, payload: &[u8]) -> Browser {
    let owner = Owner::from(42);
    let entry = Entry::new(Revision::from_bytes([9; 8]), payload).with_owner(Some(&owner));
    site.lab.memory.create(&ID, entry, 14 * DAY, 30 * DAY - 20 * MINUTE).await.unwrap();
    Browser { cookie: Some(include_str!("../../records/login.cookie").to_owned()), ..site.browser() }
}

/// A browser whose session is this record without a login.
async fn visitor(site: &Site, payload: &[u8]) -> Browser {
    let entry = Entry::new(Revision::from_bytes([9; 8]), payload);
    site.lab.memory.create(&ID, entry, HOUR, 4 * HOUR).await.unwrap();
    Browser { cookie: Some(include_str!("../../records/visitor.cookie").to_owned()), ..site.browser() }
}

#[tokio::test]
async fn a_login_of_each_version_goes_on() {
    let files: [(&[u8], _, _); 9] = [
        (file!("version-1-login"), 20, None),
        (file!("version-2-login"), 20, None),
        (file!("version-2-proved"), 5, None),
        (file!("version-2-acting"), 20, Some(Owner::from(7))),
        (file!("version-2-later-head"), 20, None),
        (file!("data-2-login"), 20, None),
        (file!("data-2-proved"), 5, None),
        (file!("data-2-acting"), 20, Some(Owner::from(7))),
        (file!("data-2-renamed"), 20, None),
    ];
    for (file, proved, acting_as) in files {
        let site = Site::new();
        let mut browser = login(&site, file).await;
        assert_eq!(browser.owner().await, Some(user()));
        let proved_age = browser.start().await.1.proved_age().unwrap();
        assert_eq!(proved_age.as_secs() / 60, proved, "without a proof of its own the login is one");
        assert_eq!(browser.start().await.1.acting_as(), acting_as);
        assert_eq!(browser.get::<Vec<u8>>("cart").await, Some(vec![1, 2, 3]));
        assert_eq!(browser.get::<String>("name").await.as_deref(), Some("Grüße"));
        // Its successor was sent, and is proven.
        browser.visit(async |_| ()).await;
        browser
            .visit(async |session| {
                add_one(session);
            })
            .await;
        browser.visit(async |session| session.login(USER).await.unwrap()).await;
        assert_eq!(browser.get::<Vec<u8>>("cart").await, Some(vec![1, 2, 3]));
        let payload = site.lab.payload(&ID).await.unwrap();
        assert_eq!(payload[0], 2, "it is written as today's");
        let field = b"a later field";
        let has_field = |payload: &[u8]| payload.windows(field.len()).any(|part| part == field);
        assert_eq!(has_field(&payload), has_field(file), "what a later version has added is kept");
        browser.visit(async |session| session.logout().await.unwrap()).await;
        assert_eq!(site.lab.payload(&ID).await, None);
    }
}

#[tokio::test]
async fn a_session_of_each_version_goes_on() {
    let files: [&[u8]; 3] = [file!("version-1-visitor"), file!("version-2-visitor"), file!("data-2-visitor")];
    for file in files {
        let site = Site::new();
        let mut browser = visitor(&site, file).await;
        browser.visit(async |session| assert_eq!((session.id(), add_one(session)), (Some(ID), 1))).await;
        browser.visit(async |session| session.login(USER).await.unwrap()).await;
        assert_eq!((browser.get::<i64>("n").await, browser.owner().await), (Some(1), Some(user())));
    }
}

#[tokio::test]
async fn a_login_with_data_of_a_later_version_is_judged_and_ended() {
    let policy = Policy::builder().when_unreadable(WhenUnreadable::GoOnWithout).build().unwrap();
    let site = Site::with_policy(policy);
    let files: [&[u8]; 2] = [file!("data-later"), file!("version-2-later-data")];
    for file in files {
        let mut browser = login(&site, file).await;
        let (exchange, session) = browser.start().await;
        assert_eq!((session.owner(), exchange.request_owner()), (None, Some(user())));
        assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
        assert_eq!(site.lab.payload(&ID).await.unwrap(), file);
        browser.visit(async |session| session.login(USER).await.unwrap()).await;
        assert_eq!((site.lab.payload(&ID).await, browser.owner().await), (None, Some(user())));
    }
}

#[tokio::test]
async fn a_counter_that_each_request_adds_to_leaves_the_values_behind_it_where_they_are() {
    let site = Site::new();
    let mut browser = visitor(&site, file!("data-2-visitor")).await;
    browser.visit(async |session| session.insert("a", "a value before the counter").unwrap()).await;
    let text = br#""a value before the counter""#;
    for _ in 0..3 {
        browser.visit(async |session| _ = add_one(session)).await;
        let payload = site.lab.payload(&ID).await.unwrap();
        // Behind the value there is only the second list, which is empty.
        assert!(payload.ends_with(&[&text[..], &[0; 4]].concat()), "{payload:?}");
    }
}
