//! Values in several formats, in one session.

use serde::{Deserialize, Serialize};
use session_core::{Error, Format};

use crate::support::*;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<(u64, String)>,
    discount: Option<f64>,
}

fn cart() -> Cart {
    Cart { items: vec![(7, "tea".to_owned()), (9, "Grüße".to_owned())], discount: Some(0.5) }
}

const FORMATS: [Format; 3] = [Format::Json, Format::MessagePack, Format::Bincode];

#[tokio::test]
async fn values_of_every_format_live_in_one_session_while_the_format_is_changed() {
    let site = Site::new();
    let mut browser = site.logged_in(USER).await;
    for format in FORMATS {
        browser.manager = site.manager.clone().with_format(format);
        browser.visit(async |session| session.insert(&format!("{format:?}"), &cart()).unwrap()).await;
    }
    // Nodes with the old and the new setting read and change what the others have written.
    for format in FORMATS {
        browser.manager = site.manager.clone().with_format(format);
        for written in FORMATS {
            assert_eq!(browser.get::<Cart>(&format!("{written:?}")).await, Some(cart()), "{written:?} by {format:?}");
        }
        browser.visit(async |session| _ = session.update("n", |n: &mut i64| *n += 1).unwrap()).await;
    }
    assert_eq!(browser.get::<i64>("n").await, Some(3));
}

#[tokio::test]
async fn what_a_format_does_not_keep_is_refused_and_changes_nothing() {
    let site = Site::new();
    for format in FORMATS {
        let mut browser = site.logged_in(USER).await;
        browser.manager = site.manager.clone().with_format(format);
        browser
            .visit(async |session| {
                let nothing_inside = session.insert("n", &Some(()));
                assert_eq!(nothing_inside.is_ok(), format == Format::Bincode, "{format:?}");
                let not_a_number = session.insert("n", &f64::NAN);
                assert_eq!(not_a_number.is_ok(), format != Format::Json, "{format:?}");
                assert!(matches!(session.get::<String>("n"), Err(Error::Decode(_))), "{format:?}");
            })
            .await;
    }
}
