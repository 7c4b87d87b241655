//! The envelope is binary and versioned. All integers are big endian, all times are ages in signed milliseconds: how
//! old the current lifetime was.
//!
//! ```text
//! version 1        1 byte
//! flags            1   pending 1, retired 2, owner 4, persistent 8, login note 16
//! generation       4
//! generation began 8   an age
//! rotated          8   an age: the last promotion or change of generation
//! secret           32  SHA-256
//! pending          48  if flagged: salt of 16 bytes, SHA-256 of the successor
//! retired          32  if flagged: SHA-256
//! owner            1+n if flagged: length, bytes
//! idle, absolute   16  milliseconds
//! login note       8   if flagged: an age
//! revisions        1+8n, n at most 8, the newest first
//! values           4, then for each: 4+n key (UTF-8, ascending), 4+n value (first byte: its format)
//! ```

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};

use super::{Data, Header, Pending, REVISIONS, Record, millis};
use crate::{Lifetime, Owner, Revision, token::SecretHash};

const VERSION: u8 = 1;

const PENDING: u8 = 1;
const RETIRED: u8 = 2;
const OWNER: u8 = 4;
const PERSISTENT: u8 = 8;
const LOGIN_NOTE: u8 = 16;

impl Record {
    pub(crate) fn encode(&self) -> Bytes {
        let Header { pending, retired, owner, lifetime, login_note, revisions, .. } = &self.header;
        let mut out = Vec::with_capacity(length(self.data.iter()));
        let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        out.put_u8(VERSION);
        out.put_u8(
            flag(pending.is_some(), PENDING)
                | flag(retired.is_some(), RETIRED)
                | flag(owner.is_some(), OWNER)
                | flag(lifetime.persistent, PERSISTENT)
                | flag(login_note.is_some(), LOGIN_NOTE),
        );
        out.put_u32(self.header.generation);
        out.put_i64(self.header.generation_began);
        out.put_i64(self.header.rotated);
        out.put_slice(&self.header.secret.0);
        if let Some(pending) = pending {
            out.put_slice(&pending.salt);
            out.put_slice(&pending.secret.0);
        }
        if let Some(retired) = retired {
            out.put_slice(&retired.0);
        }
        if let Some(owner) = owner {
            // An owner has at most 255 bytes.
            out.put_u8(u8::try_from(owner.as_bytes().len()).unwrap_or(u8::MAX));
            out.put_slice(owner.as_bytes());
        }
        out.put_i64(millis(lifetime.idle));
        out.put_i64(millis(lifetime.absolute));
        if let Some(note) = login_note {
            out.put_i64(*note);
        }
        out.put_u8(u8::try_from(revisions.len()).unwrap_or(u8::MAX));
        for revision in revisions {
            out.put_slice(revision.as_bytes());
        }
        put_length(&mut out, self.data.len());
        for (key, value) in &self.data {
            put_length(&mut out, key.len());
            out.put_slice(key);
            put_length(&mut out, value.len());
            out.put_slice(value);
        }
        out.into()
    }

    /// Reads an envelope. The values share the payload's memory and stay encoded.
    pub(crate) fn decode(mut payload: Bytes) -> Option<Self> {
        let input = &mut payload;
        if input.try_get_u8().ok()? != VERSION {
            return None;
        }
        let flags = input.try_get_u8().ok()?;
        if flags & !(PENDING | RETIRED | OWNER | PERSISTENT | LOGIN_NOTE) != 0 {
            return None;
        }
        let has = |flag: u8| flags & flag != 0;
        let header = Header {
            generation: input.try_get_u32().ok()?,
            generation_began: input.try_get_i64().ok()?,
            rotated: input.try_get_i64().ok()?,
            secret: SecretHash(array(input)?),
            pending: if has(PENDING) {
                Some(Pending { salt: array(input)?, secret: SecretHash(array(input)?) })
            } else {
                None
            },
            retired: if has(RETIRED) { Some(SecretHash(array(input)?)) } else { None },
            owner: if has(OWNER) {
                let length = input.try_get_u8().ok()?;
                Some(Owner::try_from(&*take(input, length.into())?).ok()?)
            } else {
                None
            },
            lifetime: Lifetime { idle: duration(input)?, absolute: duration(input)?, persistent: has(PERSISTENT) },
            login_note: if has(LOGIN_NOTE) { Some(input.try_get_i64().ok()?) } else { None },
            revisions: {
                let count = input.try_get_u8().ok()?;
                if usize::from(count) > REVISIONS {
                    return None;
                }
                (0..count).map(|_| array(input).map(Revision::from_bytes)).collect::<Option<_>>()?
            },
        };
        let count = input.try_get_u32().ok()?;
        let mut data = Data::new();
        for _ in 0..count {
            let key = take_counted(input)?;
            let value = take_counted(input)?;
            let ascends = data.last_key_value().is_none_or(|(last, _)| *last < key);
            if !ascends || std::str::from_utf8(&key).is_err() {
                return None;
            }
            data.insert(key, value);
        }
        input.is_empty().then_some(Self { header, data })
    }
}

/// The longest header: 71 bytes, pending, retired, owner, note, revisions, and the number of values.
const LONGEST_HEADER: usize = 71 + 48 + 32 + 256 + 8 + 8 * REVISIONS + 4;

/// How many bytes an envelope with these values takes at most: rotation never makes a session too large.
pub(crate) fn length<'a>(values: impl Iterator<Item = (&'a Bytes, &'a Bytes)>) -> usize {
    LONGEST_HEADER + values.map(|(key, value)| value_length(key, value)).sum::<usize>()
}

/// How many bytes a value takes in an envelope.
pub(crate) fn value_length(key: &[u8], value: &[u8]) -> usize {
    8 + key.len() + value.len()
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // The size limit keeps every length far below this.
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

fn take(input: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= input.len()).then(|| input.split_to(length))
}

fn take_counted(input: &mut Bytes) -> Option<Bytes> {
    let length = input.try_get_u32().ok()?;
    take(input, usize::try_from(length).ok()?)
}

fn array<const N: usize>(input: &mut Bytes) -> Option<[u8; N]> {
    let mut array = [0; N];
    input.try_copy_to_slice(&mut array).ok()?;
    Some(array)
}

fn duration(input: &mut Bytes) -> Option<Duration> {
    input.try_get_i64().ok()?.try_into().ok().map(Duration::from_millis)
}
