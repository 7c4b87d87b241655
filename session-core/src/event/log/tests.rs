#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use super::*;
use crate::{EndReason, PlainHttp};

#[test]
fn the_table_of_names_and_levels_is_the_truth() {
    let source = include_str!("../mod.rs");
    let failed = || Error::Contended;
    let kinds = [
        EventKind::Created,
        EventKind::BadCookie { count: 1 },
        EventKind::UnknownKey { count: 1 },
        EventKind::StaleCookie,
        EventKind::SessionGone,
        EventKind::DuplicateSessions { count: 2 },
        EventKind::ConflictingLogins { count: 2 },
        EventKind::TooManyCookies { ids: 5 },
        EventKind::EndFailed(failed()),
        EventKind::InsecureTransport(PlainHttp::Page),
        EventKind::SharedCacheAllowed { header: http::header::CACHE_CONTROL },
        EventKind::SuccessorIssued,
        EventKind::Rotated,
        EventKind::LoggedIn,
        EventKind::CrossSiteLogin,
        EventKind::Withheld(WithheldReason::CrossSite),
        EventKind::Withheld(WithheldReason::Refused),
        EventKind::LoginRevoked { cause: None },
        EventKind::LoginRevoked { cause: Some(failed()) },
        EventKind::LoginRefused { limit: 2 },
        EventKind::LoginOvertaken,
        EventKind::Renewed,
        EventKind::Proved,
        EventKind::ActingBegan,
        EventKind::ActingEnded,
        EventKind::Ended(EndReason::Logout),
        EventKind::Revoked { count: 1 },
        EventKind::TheftDetected,
        EventKind::TouchFailed(failed()),
        EventKind::SuccessorFailed(failed()),
        EventKind::Unreadable(failed()),
        EventKind::Purged { count: 1 },
        EventKind::PurgeFailed(failed()),
    ];
    for kind in &kinds {
        let debug = format!("{kind:?}");
        let variant = debug.split(|character: char| !character.is_alphanumeric()).next().unwrap();
        let (name, level) = (kind.name(), kind.level());
        let row = format!("/// | [`{variant}`](Self::{variant}) | `{name}` | ");
        let row = source.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        assert!(row.contains(&format!("`{level}`")), "{level}: {row}");
    }
    let rows = source.lines().filter(|line| line.starts_with("/// | [`") && line.contains("](Self::"));
    let names = rows.filter(|line| line.contains("| `session.") && !line.contains("| `session.id`")).count();
    assert_eq!(names, kinds.len() - 2, "two of the names have two levels");
}

#[test]
fn only_methods_that_http_defines_are_named() {
    assert_eq!(["GET", "QUERY", "get", "GETT", ""].map(method_name), ["GET", "QUERY", "_OTHER", "_OTHER", "_OTHER"]);
}
