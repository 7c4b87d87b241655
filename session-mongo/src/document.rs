//! A session as a document, and the filters and updates that work on it.
//!
//! The server writes the instants (`$currentDate`) and the store writes the durations, so no decision needs the
//! application's clock. A session expires at the earlier of `touched_at + idle_ms` and its end, `began_at + life_ms`.
//!
//! The server deletes expired sessions by an index on `sweep_at`. That instant is an estimate, an hour late, and
//! nothing else reads it.

use std::time::Duration;

use bytes::Bytes;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype};
use session_core::{Entry, Expiry, Loaded, Revision, SessionId, StoreError};

use crate::error::foreign_document;

/// How long after its expiry a session may be swept, in milliseconds. The estimate of the server's clock may be wrong
/// by as much.
const BEYOND_THE_EXPIRY: i64 = 3_600_000;

/// The longest duration, in milliseconds (279 years): adding it to any instant never overflows.
const LONGEST: i64 = 1 << 43;

/// An instant that no server's clock reaches, in milliseconds since 1970. A later one was not written by this store.
const LAST_INSTANT: i64 = 1 << 53;

/// The session with this id and this revision, if it is live.
pub(crate) fn live(id: &SessionId, revision: Revision) -> Document {
    doc! { "_id": id.to_string(), "revision": binary(revision.as_bytes()), "$expr": is_live() }
}

/// The session with this id, if it has expired.
pub(crate) fn expired(id: &SessionId) -> Document {
    doc! { "_id": id.to_string(), "$expr": has_expired() }
}

/// A filter for an upsert that inserts this id, or fails because the id is taken. It cannot ask whether the session is
/// live, because a server refuses `$expr` in an upsert.
pub(crate) fn absent(id: &SessionId, revision: Revision) -> Document {
    // Each document has a `began_at`, so the filter never matches one that is there.
    doc! { "_id": id.to_string(), "revision": binary(revision.as_bytes()), "began_at": { "$exists": false } }
}

/// The owner's live sessions but this one.
pub(crate) fn owned(owner: &[u8], keep: Option<&SessionId>) -> Document {
    let mut filter = doc! { "owner": binary(owner), "$expr": is_live() };
    if let Some(keep) = keep {
        filter.insert("_id", doc! { "$ne": keep.to_string() });
    }
    filter
}

/// The owner's sessions, live or not.
pub(crate) fn of(owner: &[u8]) -> Document {
    doc! { "owner": binary(owner) }
}

/// The sessions that have expired. No index finds them: where an expiry moves nearer, `sweep_at` stays as it is.
pub(crate) fn all_expired() -> Document {
    doc! { "$expr": has_expired() }
}

/// Those of these sessions that have expired.
pub(crate) fn expired_among(ids: Vec<Bson>) -> Document {
    doc! { "_id": { "$in": ids }, "$expr": has_expired() }
}

/// The sessions that this matches, each with the one instant at which they were read.
pub(crate) fn read(matching: Document) -> [Document; 2] {
    [doc! { "$match": matching }, doc! { "$addFields": { "now": "$$NOW" } }]
}

fn is_live() -> Document {
    if_ours(doc! { "$and": [
        { "$gt": [{ "$add": ["$touched_at", "$idle_ms"] }, "$$NOW"] },
        { "$gt": [{ "$add": ["$began_at", "$life_ms"] }, "$$NOW"] },
    ] })
}

fn has_expired() -> Document {
    if_ours(doc! { "$or": [
        { "$lte": [{ "$add": ["$touched_at", "$idle_ms"] }, "$$NOW"] },
        { "$lte": [{ "$add": ["$began_at", "$life_ms"] }, "$$NOW"] },
    ] })
}

/// The question, asked only of documents whose instants are dates and whose durations are numbers that this store may
/// have written. Any other document is neither live nor expired. The check comes first because adding, say, a text to a
/// date would fail the whole command.
fn if_ours(question: Document) -> Document {
    // MongoDB orders values of all types. Between two dates there are only dates, and between two numbers only numbers.
    let date = |field| between(field, DateTime::from_millis(0).into(), DateTime::from_millis(LAST_INSTANT).into());
    let number = |field| between(field, 0_i64.into(), LONGEST.into());
    let ours = [date("$touched_at"), date("$began_at"), number("$idle_ms"), number("$life_ms")].concat();
    doc! { "$and": [{ "$cond": [{ "$and": ours }, question, false] }] }
}

fn between(field: &str, first: Bson, last: Bson) -> Vec<Bson> {
    vec![doc! { "$gte": [field, first] }.into(), doc! { "$lte": [field, last] }.into()]
}

/// A new session, for an upsert over [`absent`]. The revision is not in here: an upsert takes it from the filter.
pub(crate) fn insertion(entry: Entry<'_>, expires_in: Duration, ends_in: Duration, now: i64) -> Document {
    let mut fields = doc! {
        "payload": binary(entry.payload),
        "idle_ms": milliseconds(expires_in),
        "life_ms": milliseconds(ends_in),
        "sweep_at": sweep_at(now, expires_in.min(ends_in)),
    };
    if let Some(owner) = entry.owner {
        fields.insert("owner", binary(owner.as_bytes()));
    }
    doc! { "$set": fields, "$currentDate": { "touched_at": true, "began_at": true } }
}

/// A new session in place of an expired one.
pub(crate) fn succession(entry: Entry<'_>, expires_in: Duration, ends_in: Duration, now: i64) -> Document {
    let mut update = insertion(entry, expires_in, ends_in, now);
    if let Ok(fields) = update.get_document_mut("$set") {
        fields.insert("revision", binary(entry.revision.as_bytes()));
    }
    if entry.owner.is_none() {
        update.insert("$unset", doc! { "owner": "" });
    }
    update
}

/// A new entry in place of the old one, and the change of expiry and end that comes with it.
pub(crate) fn replacement(entry: Entry<'_>, expiry: Expiry, now: i64) -> Document {
    let mut fields = doc! { "revision": binary(entry.revision.as_bytes()), "payload": binary(entry.payload) };
    match expiry {
        Expiry::Keep => doc! { "$set": fields },
        Expiry::Extend(expires_in) => {
            fields.insert("idle_ms", milliseconds(expires_in));
            doc! {
                "$set": fields,
                "$currentDate": { "touched_at": true },
                "$max": { "sweep_at": sweep_at(now, expires_in) },
            }
        }
        Expiry::Restart { expires_in, ends_in } => {
            let mut update = succession(entry, expires_in, ends_in, now);
            // Never earlier: the estimate of another process may have been later.
            if let Ok(Some(sweep_at)) = update.get_document_mut("$set").map(|fields| fields.remove("sweep_at")) {
                update.insert("$max", doc! { "sweep_at": sweep_at });
            }
            update
        }
    }
}

/// A new expiry.
pub(crate) fn touching(expires_in: Duration, now: i64) -> Document {
    doc! {
        "$set": { "idle_ms": milliseconds(expires_in) },
        "$currentDate": { "touched_at": true },
        "$max": { "sweep_at": sweep_at(now, expires_in) },
    }
}

/// The instant at which the server read this document, in milliseconds since 1970.
pub(crate) fn instant(document: &Document) -> Result<i64, StoreError> {
    date(document, "now")
}

/// What the document holds, if it is live at this instant.
pub(crate) fn loaded(document: &mut Document, now: i64) -> Result<Option<Loaded>, StoreError> {
    let number = |name| {
        let number = document.get_i64(name).ok().filter(|number| (0..=LONGEST).contains(number));
        number.ok_or_else(|| foreign_document("a duration is missing, or this store cannot have written it"))
    };
    let touched = date(document, "touched_at")?.saturating_add(number("idle_ms")?);
    let ends = date(document, "began_at")?.saturating_add(number("life_ms")?);
    let revision = bytes(document, "revision")?;
    let revision = <[u8; 8]>::try_from(revision).map_err(|_| foreign_document("the revision does not have 8 bytes"))?;
    let payload = bytes(document, "payload")?;
    let left = |at: i64| u64::try_from(at.saturating_sub(now)).unwrap_or_default();
    let (expires_in, ends_in) = (left(touched.min(ends)), left(ends));
    Ok((expires_in > 0).then(|| {
        Loaded::new(
            Revision::from_bytes(revision),
            Bytes::from(payload),
            Duration::from_millis(expires_in),
            Duration::from_millis(ends_in),
        )
    }))
}

/// The id of the session that the document holds.
pub(crate) fn id(document: &Document) -> Result<SessionId, StoreError> {
    let text = document.get_str("_id").ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| foreign_document("the id is not that of a session"))
}

fn date(document: &Document, name: &str) -> Result<i64, StoreError> {
    let date = document.get_datetime(name).ok().map(|date| date.timestamp_millis());
    let date = date.filter(|date| (0..=LAST_INSTANT).contains(date));
    date.ok_or_else(|| foreign_document("an instant is missing, or this store cannot have written it"))
}

/// Takes the bytes out of the document instead of copying them: a payload may be large.
fn bytes(document: &mut Document, name: &str) -> Result<Vec<u8>, StoreError> {
    match document.remove(name) {
        Some(Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes })) => Ok(bytes),
        _ => Err(foreign_document("bytes are missing or of another type")),
    }
}

fn binary(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

fn sweep_at(now: i64, expires_in: Duration) -> DateTime {
    DateTime::from_millis(now.saturating_add(milliseconds(expires_in)).saturating_add(BEYOND_THE_EXPIRY))
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(LONGEST).min(LONGEST)
}
