//! A session as a document, and what is asked of it.
//!
//! The server writes instants (`$currentDate`), the store durations, so that no decision needs the application's clock. A
//! session expires at the earlier of `touched_at + idle_ms` and its end, `began_at + life_ms`. `sweep_at` is for the index
//! by which the server deletes what has expired: an estimate, an hour late, and nothing else reads it.

use std::time::Duration;

use bytes::Bytes;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc, spec::BinarySubtype};
use session_core::{Entry, Expiry, Loaded, Revision, SessionId, StoreError};

use crate::error::foreign_document;

/// How long after its expiry a session may be swept: what the estimate of the server's clock may be wrong by.
const BEYOND_THE_EXPIRY: i64 = 3_600_000;

/// The longest duration, in milliseconds (279 years): adding it to any instant never overflows.
const LONGEST: i64 = 1 << 43;

/// No server's clock says so, in milliseconds since 1970.
const LAST_INSTANT: i64 = 1 << 53;

/// The session with this id and this revision, if it is live.
pub(crate) fn live(id: &SessionId, revision: Revision) -> Document {
    doc! { "_id": id.to_string(), "revision": binary(revision.as_bytes()), "$expr": is_live() }
}

/// The session with this id, if it has expired.
pub(crate) fn expired(id: &SessionId) -> Document {
    doc! { "_id": id.to_string(), "$expr": has_expired() }
}

/// The session with this id and no other, for an upsert: it inserts, or finds the id taken. A server refuses `$expr` here.
pub(crate) fn absent(id: &SessionId, revision: Revision) -> Document {
    // Whatever is there has an instant at which it began.
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

/// What has expired. No index knows it: an expiry that is moved nearer leaves `sweep_at` where it is.
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

/// Both instants are dates and both durations numbers that this store may have written: any other document is neither live
/// nor expired, and nothing in it is added that cannot be, which would end the whole command.
fn if_ours(question: Document) -> Document {
    // Values of all types have one order, in which only dates are between two dates, and only numbers between two numbers.
    let date = |field| between(field, DateTime::from_millis(0).into(), DateTime::from_millis(LAST_INSTANT).into());
    let number = |field| between(field, 0_i64.into(), LONGEST.into());
    let ours = [date("$touched_at"), date("$began_at"), number("$idle_ms"), number("$life_ms")].concat();
    doc! { "$and": [{ "$cond": [{ "$and": ours }, question, false] }] }
}

fn between(field: &str, first: Bson, last: Bson) -> Vec<Bson> {
    vec![doc! { "$gte": [field, first] }.into(), doc! { "$lte": [field, last] }.into()]
}

/// A new session, for an upsert over [`absent`], whose revision goes into it.
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

/// A new session in place of one that has expired.
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

/// Another entry, with what it does to expiry and end.
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
            // Never earlier: another server's word of the time may have been later.
            if let Ok(Some(sweep_at)) = update.get_document_mut("$set").map(|fields| fields.remove("sweep_at")) {
                update.insert("$max", doc! { "sweep_at": sweep_at });
            }
            update
        }
    }
}

/// Another expiry.
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
        number.ok_or_else(|| foreign_document("a duration is missing or none of this store's"))
    };
    let touched = date(document, "touched_at")?.saturating_add(number("idle_ms")?);
    let ends = date(document, "began_at")?.saturating_add(number("life_ms")?);
    let revision = bytes(document, "revision")?;
    let revision = <[u8; 8]>::try_from(revision).map_err(|_| foreign_document("a revision is not of 8 bytes"))?;
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

/// Whose document it is.
pub(crate) fn id(document: &Document) -> Result<SessionId, StoreError> {
    let text = document.get_str("_id").ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| foreign_document("an id is no session's"))
}

fn date(document: &Document, name: &str) -> Result<i64, StoreError> {
    let date = document.get_datetime(name).ok().map(|date| date.timestamp_millis());
    let date = date.filter(|date| (0..=LAST_INSTANT).contains(date));
    date.ok_or_else(|| foreign_document("an instant is missing or none of this store's"))
}

/// Takes them out of the document: a payload may be large.
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
