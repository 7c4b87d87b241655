//! The envelope: how a record is kept in a store.
//!
//! All integers are big endian, all times are ages in signed milliseconds: how old the current lifetime was.
//!
//! ```text
//! envelope         1      2
//! head             2+n    length, and then
//!   flags            1      pending 1, retired 2, owner 4, persistent 8, login note 16, acting 32, proof 64
//!   generation       4
//!   generation began 8      an age
//!   rotated          8      an age: the last promotion or change of generation
//!   secret           32     SHA-256
//!   pending          48     if flagged: salt of 16 bytes, SHA-256 of the successor
//!   retired          32     if flagged: SHA-256
//!   owner            1+n    if flagged: length, bytes
//!   idle, absolute   16     milliseconds
//!   login note       8      if flagged: an age
//!   revisions        1+8n   n at most 8, the newest first
//!   proof            12     if flagged: the generation that it is of, and an age: the user's last proof since the login
//!   acting           5+n    if flagged: the generation that it is of, and as whom the owner acts: length, bytes
//!   later fields     n      what a later version has added
//! data             1      2, its version, and then
//!   recent           4, at most 8, then for each: 4+n key (UTF-8), 4+n value (first byte: its format)
//!   others           4, then for each: the same, in the ascending order of the keys
//! ```
//!
//! Recent are the values that were changed last, the newest first. If more than 8 were changed at once, none is recent. Who
//! changes no value leaves both lists as they are. No key is there twice.
//!
//! Data 1 was the second of these lists alone. It is read, and no longer written.
//!
//! Envelope 1 had no length of its head: after the envelope's byte came the flags, and after the revisions the values.
//! It is read, and no longer written.
//!
//! The proof has come after the other fields, and acting after the proof. A version from before one of them keeps it as one of
//! the later fields. If such a version renews the session, or logs in over it, the generation that the field names is over: the
//! login counts as the last proof, and the owner acts as nobody else. Such a version does not see the acting either, and takes
//! the session for the owner's own, which it is.
//!
//! # The rules for a change
//!
//! While a site is upgraded or rolled back, two versions read and write the same records. Every version from envelope 2
//! on can judge every record, end it, and write its head. So:
//!
//! 1. **The first byte stays 2**, and the head stays behind its length.
//! 2. **The known fields of the head stay as they are**, in meaning and place. A new field is added at the end; a free
//!    flag may be used, but must not move another field. An older version keeps both as they are.
//! 3. **A new field must bear that.** It has to be true, or be recognised as outdated, after an older version has saved,
//!    promoted, renewed or logged in over it. A field that is about one generation names that generation.
//! 4. **A new field must not take back what the known fields grant.** An older version does not see it.
//! 5. **A head is never longer than 900 bytes**, all its fields at their longest. It was 640 until two owners had to fit in,
//!    and no such version was published.
//! 6. **The data part may change freely, under a new version of its own.** Older versions cannot read it, and leave it as it
//!    is. Newer ones read all older data parts. It is kind to read a new version one release before it is written.
//! 7. **Each version that was ever written is a file in `tests/records`** that a test reads. The present one is also
//!    written by a test, and compared byte for byte.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};

use super::{Acting, Age, Data, Header, LaterFields, Pending, Proof, REVISIONS, Record, Values};
use crate::{Lifetime, Owner, Revision, request::SecretHash};

/// The envelope whose head has no length of its own.
const ENVELOPE_1: u8 = 1;
const ENVELOPE_2: u8 = 2;
/// All values in one list.
const DATA_1: u8 = 1;
const DATA_2: u8 = 2;

const PENDING: u8 = 1;
const RETIRED: u8 = 2;
const OWNER: u8 = 4;
const PERSISTENT: u8 = 8;
const LOGIN_NOTE: u8 = 16;
const ACTING: u8 = 32;
const PROOF: u8 = 64;
const KNOWN_FLAGS: u8 = PENDING | RETIRED | OWNER | PERSISTENT | LOGIN_NOTE | ACTING | PROOF;

/// No version writes a longer head.
const LONGEST_HEAD: usize = 900;
/// This many of them are for the fields that this version knows: 70, pending, retired, owner, note, revisions, proof, acting.
const LONGEST_KNOWN: usize = 70 + 48 + 32 + 256 + 8 + 8 * REVISIONS + 12 + 260;

impl Record {
    pub(crate) fn encode(&self) -> Bytes {
        // Exactly: a store may keep this memory.
        let mut out = Vec::with_capacity(self.encoded_length());
        out.put_u8(ENVELOPE_2);
        out.put_u16(0);
        let before = out.len();
        put_head(&mut out, &self.header);
        // The longest head is far shorter than this.
        let head = u16::try_from(out.len() - before).unwrap_or(u16::MAX);
        out[before - 2..before].copy_from_slice(&head.to_be_bytes());
        match &self.data {
            Data::Values(values) => {
                out.put_u8(DATA_2);
                values.put(&mut out);
            }
            Data::Unread(part) => out.put_slice(part),
        }
        out.into()
    }

    pub(crate) fn encoded_length(&self) -> usize {
        let data = match &self.data {
            Data::Values(values) => 1 + values.encoded_length(),
            Data::Unread(part) => part.len(),
        };
        1 + 2 + head_length(&self.header) + data
    }

    /// Reads an envelope. The values stay encoded. They share the payload's memory, but for those of data 1.
    #[inline]
    pub(crate) fn decode(mut payload: Bytes) -> Option<Self> {
        let mut input = &*payload;
        match input.try_get_u8().ok()? {
            ENVELOPE_1 => {
                let header = take_head(&mut input)?;
                if header.later.flags != 0 {
                    return None;
                }
                Some(Self { header, data: read_data([&[DATA_1], input].concat().into()) })
            }
            ENVELOPE_2 => {
                let length = input.try_get_u16().ok()?;
                let mut head = input.split_off(..length.into())?;
                let mut header = take_head(&mut head)?;
                if head.len() > LONGEST_HEAD - LONGEST_KNOWN {
                    return None;
                }
                header.later.fields = payload.slice_ref(head);
                payload.advance(payload.len() - input.len());
                Some(Self { header, data: read_data(payload) })
            }
            _ => None,
        }
    }
}

fn put_head(out: &mut Vec<u8>, header: &Header) {
    let Header { pending, retired, owner, lifetime, login_note, revisions, proof, acting, later, .. } = header;
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.put_u8(
        flag(pending.is_some(), PENDING)
            | flag(retired.is_some(), RETIRED)
            | flag(owner.is_some(), OWNER)
            | flag(lifetime.persistent, PERSISTENT)
            | flag(login_note.is_some(), LOGIN_NOTE)
            | flag(acting.is_some(), ACTING)
            | flag(proof.is_some(), PROOF)
            | later.flags,
    );
    out.put_u32(header.generation);
    out.put_i64(header.generation_began.0);
    out.put_i64(header.rotated.0);
    out.put_slice(&header.secret.0);
    if let Some(pending) = pending {
        out.put_slice(&pending.salt);
        out.put_slice(&pending.secret.0);
    }
    if let Some(retired) = retired {
        out.put_slice(&retired.0);
    }
    if let Some(owner) = owner {
        put_owner(out, owner);
    }
    out.put_i64(Age::of(lifetime.idle).0);
    out.put_i64(Age::of(lifetime.absolute).0);
    if let Some(note) = login_note {
        out.put_i64(note.0);
    }
    out.put_u8(u8::try_from(revisions.len()).unwrap_or(u8::MAX));
    for revision in revisions.iter() {
        out.put_slice(revision.as_bytes());
    }
    if let Some(proof) = proof {
        out.put_u32(proof.generation);
        out.put_i64(proof.age.0);
    }
    if let Some(acting) = acting {
        out.put_u32(acting.generation);
        put_owner(out, &acting.as_owner);
    }
    out.put_slice(&later.fields);
}

fn head_length(header: &Header) -> usize {
    let Header { pending, retired, owner, login_note, revisions, proof, acting, later, .. } = header;
    let if_flagged = |is_set: bool, length: usize| if is_set { length } else { 0 };
    let owner_length = |owner: &Owner| 1 + owner.as_bytes().len();
    1 + 4
        + 8
        + 8
        + 32
        + if_flagged(pending.is_some(), 48)
        + if_flagged(retired.is_some(), 32)
        + owner.as_ref().map_or(0, owner_length)
        + 16
        + if_flagged(login_note.is_some(), 8)
        + (1 + 8 * revisions.len())
        + if_flagged(proof.is_some(), 12)
        + acting.as_ref().map_or(0, |acting| 4 + owner_length(&acting.as_owner))
        + later.fields.len()
}

/// Takes the known fields; what follows them is left.
#[inline]
fn take_head(input: &mut &[u8]) -> Option<Header> {
    let flags = input.try_get_u8().ok()?;
    let has = |flag: u8| flags & flag != 0;
    Some(Header {
        generation: input.try_get_u32().ok()?,
        generation_began: Age(input.try_get_i64().ok()?),
        rotated: Age(input.try_get_i64().ok()?),
        secret: SecretHash(array(input)?),
        pending: if has(PENDING) {
            Some(Pending { salt: array(input)?, secret: SecretHash(array(input)?) })
        } else {
            None
        },
        retired: if has(RETIRED) { Some(SecretHash(array(input)?)) } else { None },
        owner: if has(OWNER) { Some(take_owner(input)?) } else { None },
        lifetime: Lifetime { idle: duration(input)?, absolute: duration(input)?, persistent: has(PERSISTENT) },
        login_note: if has(LOGIN_NOTE) { Some(Age(input.try_get_i64().ok()?)) } else { None },
        revisions: {
            let count = input.try_get_u8().ok()?;
            if usize::from(count) > REVISIONS {
                return None;
            }
            (0..count).map(|_| array(input).map(Revision::from_bytes)).collect::<Option<_>>()?
        },
        proof: if has(PROOF) {
            Some(Proof { generation: input.try_get_u32().ok()?, age: Age(input.try_get_i64().ok()?) })
        } else {
            None
        },
        acting: if has(ACTING) {
            Some(Acting { generation: input.try_get_u32().ok()?, as_owner: take_owner(input)? })
        } else {
            None
        },
        later: LaterFields { flags: flags & !KNOWN_FLAGS, fields: Bytes::new() },
    })
}

fn put_owner(out: &mut Vec<u8>, owner: &Owner) {
    // An owner has at most 255 bytes.
    out.put_u8(u8::try_from(owner.as_bytes().len()).unwrap_or(u8::MAX));
    out.put_slice(owner.as_bytes());
}

fn take_owner(input: &mut &[u8]) -> Option<Owner> {
    let length = input.try_get_u8().ok()?;
    Owner::try_from(input.split_off(..length.into())?).ok()
}

fn read_data(part: Bytes) -> Data {
    let values = match part.first() {
        // An empty list before it makes data 2 of it.
        Some(&DATA_1) => Values::read([&[0; 4], &part[1..]].concat().into()),
        Some(&DATA_2) => Values::read(part.slice(1..)),
        _ => None,
    };
    values.map_or(Data::Unread(part), Data::Values)
}

/// How many bytes an envelope with these values takes at most: rotation never makes a session too large.
pub(crate) fn length(values: usize) -> usize {
    let without_values = 1 + 2 + LONGEST_HEAD + 1;
    without_values + values
}

/// How many bytes a value takes in an envelope.
pub(crate) fn value_length(key: &[u8], value: &[u8]) -> usize {
    8 + key.len() + value.len()
}

/// The same of a value that may not be there.
pub(crate) fn length_if_any(key: &[u8], value: Option<&Bytes>) -> usize {
    value.map_or(0, |value| value_length(key, value))
}

fn array<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let mut array = [0; N];
    input.try_copy_to_slice(&mut array).ok()?;
    Some(array)
}

fn duration(input: &mut &[u8]) -> Option<Duration> {
    input.try_get_i64().ok()?.try_into().ok().map(Duration::from_millis)
}
