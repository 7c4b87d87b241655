//! A value that is put into a session comes out the same, or is refused.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Serialize, de::DeserializeOwned};
use session_core::{Entry, Error, Expiry, Outcome, Owner, Session, Store};

use crate::support::*;

/// Longitudes, spread over the globe.
fn longitudes() -> impl Iterator<Item = f64> {
    (0..1000).map(|n| f64::from(n) * 0.361_803_398_874_989_5 - 180.0)
}

/// An empty list, nested this deep.
#[derive(Clone, Debug, PartialEq, Serialize, serde::Deserialize)]
struct Nested(Vec<Self>);

fn nested(depth: usize) -> Nested {
    (1..depth).fold(Nested(Vec::new()), |inner, _| Nested(vec![inner]))
}

fn is_refused<T: Serialize + ?Sized>(session: &Session, value: &T) -> bool {
    matches!(session.insert("value", value), Err(Error::Encode(source)) if source.to_string().contains("\"value\""))
}

async fn comes_back<T: Serialize + DeserializeOwned + PartialEq>(browser: &mut Browser, value: T) -> bool {
    browser.visit(async |session| session.insert("value", &value).unwrap()).await;
    browser.get::<T>("value").await == Some(value)
}

#[tokio::test]
async fn a_float_comes_back_to_the_last_bit() {
    let mut browser = Site::new().browser();
    let bits = |numbers: &[f64]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
    let numbers: Vec<_> = longitudes().chain([-0.0, 0.1, 1e300, f64::MIN_POSITIVE, f64::MAX]).collect();
    browser.visit(async |session| session.insert("numbers", &numbers).unwrap()).await;
    assert_eq!(bits(&browser.get::<Vec<f64>>("numbers").await.unwrap()), bits(&numbers));
}

#[tokio::test]
async fn to_insert_what_get_returned_is_no_change() {
    let site = Site::new();
    let mut browser = site.browser();
    let value = BTreeMap::from_iter(longitudes().map(|longitude| (longitude.to_string(), longitude)));
    browser.visit(async |session| session.insert("value", &value).unwrap()).await;
    site.lab.calls();
    let (exchange, session) = browser.start().await;
    let value: BTreeMap<String, f64> = session.get("value").unwrap().unwrap();
    session.insert("value", &value).unwrap();
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn a_value_that_could_not_be_read_back_is_refused_and_nothing_is_changed() {
    let site = Site::new();
    let mut browser = site.visitor().await;
    browser.visit(async |session| session.insert("value", "stays").unwrap()).await;
    site.lab.calls();
    let (exchange, session) = browser.start().await;
    assert!(is_refused(&session, &f64::NAN));
    assert!(is_refused(&session, &[f32::INFINITY]));
    assert!(is_refused(&session, &Some(-f64::INFINITY)));
    assert!(is_refused(&session, &Some(())));
    assert!(is_refused(&session, &Some(None::<u8>)));
    assert!(is_refused(&session, &BTreeMap::from([("key", Some(Some(None::<u8>)))])));
    assert!(is_refused(&session, &BTreeMap::from([((1, 2), "a pair is no key")])));
    assert!(is_refused(&session, &nested(101)));
    let update = |value: f64| session.update("n", move |n: &mut f64| *n = value);
    assert!(matches!(update(f64::NAN), Err(Error::Encode(source)) if source.to_string().contains("\"n\"")));
    assert_eq!(session.get::<String>("value").unwrap().unwrap(), "stays");
    assert_eq!(exchange.commit().await.unwrap(), Outcome::Unchanged);
    assert_eq!(site.lab.calls(), [Call::Load]);
}

#[tokio::test]
async fn what_is_accepted_comes_back_equal() {
    let mut browser = Site::new().browser();
    assert!(comes_back(&mut browser, nested(100)).await);
    assert!(comes_back(&mut browser, (Some(Some(5)), None::<Option<u8>>)).await);
    assert!(comes_back(&mut browser, (i128::MIN, u128::MAX, u64::MAX, i64::MIN)).await);
    assert!(comes_back(&mut browser, BTreeMap::from([(true, 'a'), (false, '\0')])).await);
    assert!(comes_back(&mut browser, BTreeMap::from([(i128::MIN, ()), (0, ())])).await);
    assert!(comes_back(&mut browser, BTreeMap::from([('"', "\u{1f980}\u{0}\u{2028}\\\"".to_owned())])).await);
}

#[tokio::test]
async fn a_type_that_is_text_in_a_readable_format_comes_back() {
    let mut browser = Site::new().browser();
    assert!(comes_back(&mut browser, IpAddr::from([203, 0, 113, 5])).await);
}

/// A login whose value `later` is in a format of a later version.
async fn with_a_later_value(site: &Site) -> Browser {
    let mut browser = site.logged_in(USER).await;
    browser.visit(async |session| session.insert("later", "0").unwrap()).await;
    let id = browser.start().await.1.id().unwrap();
    let loaded = site.lab.memory.load(&id).await.unwrap().unwrap();
    let mut payload = loaded.payload.to_vec();
    let at = payload.windows(4).position(|value| value == b"\x01\"0\"").unwrap();
    payload[at] = 0xee;
    let owner = Owner::from(USER);
    let entry = Entry::new(loaded.revision, &payload).with_owner(Some(&owner));
    assert!(site.lab.memory.replace(&id, loaded.revision, entry, Expiry::Keep).await.unwrap());
    site.lab.calls();
    browser
}

/// Whether the answer is the error of this key.
fn is_unreadable<T>(answer: Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Decode(source)) if source.to_string().contains("\"later\""))
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_the_trouble_of_its_key_alone() {
    let site = Site::new();
    let mut browser = with_a_later_value(&site).await;
    browser
        .visit(async |session| {
            assert!(is_unreadable(session.get::<String>("later")));
            assert!(is_unreadable(session.update("later", |value: &mut String| value.push('!'))));
            assert!(is_unreadable(session.take::<String>("later").await));
            assert_eq!((session.keys(), session.contains("later")), (vec!["later".into(), "n".into()], true));
            assert_eq!(session.get::<i64>("n").unwrap(), Some(0));
            session.insert("other", &7).unwrap();
            assert_eq!(add_one(session), 1);
        })
        .await;
    let id = browser.start().await.1.id().unwrap();
    let payload = site.lab.payload(&id).await.unwrap();
    assert!(payload.windows(4).any(|value| value == b"\xee\"0\""), "it stays as it is");
    browser.visit(async |session| session.login(USER).await.unwrap()).await;
    assert_eq!(browser.get::<i64>("n").await, Some(1));
    browser.visit(async |session| assert!(session.devices().await.unwrap()[0].get::<String>("later").is_err())).await;
    browser.visit(async |session| session.insert("later", "now").unwrap()).await;
    assert_eq!(browser.get::<String>("later").await.as_deref(), Some("now"));
}

#[tokio::test]
async fn a_value_that_cannot_be_read_can_be_removed_and_its_session_ended() {
    let site = Site::new();
    let mut browser = with_a_later_value(&site).await;
    browser.visit(async |session| assert!(session.remove("later"))).await;
    assert_eq!(browser.get::<String>("later").await, None);
    let mut browser = with_a_later_value(&site).await;
    browser.visit(async |session| session.logout().await.unwrap()).await;
    assert_eq!(browser.cookie, None);
}

#[tokio::test]
async fn many_keys_cost_no_square() {
    let site = Site::new();
    let (_, session) = site.browser().start().await;
    // The time of each hundred. The quickest hundred counts, because the machine may have interrupted the others.
    let insert = |from: u32, to: u32| {
        let hundreds = (from..to).step_by(100).map(|first| {
            let began = std::time::Instant::now();
            for n in first..first + 100 {
                session.insert(&format!("key {n}"), &n).unwrap();
            }
            began.elapsed()
        });
        hundreds.min().unwrap()
    };
    let first = insert(0, 1000);
    let _ = insert(1000, 7000);
    let last = insert(7000, 8000);
    assert!(last < 10 * first, "of the first 1000 the quickest hundred took {first:?}, of the last {last:?}");
}
