//! A session as a string: `revision(8) ‖ expiry(8) ‖ end(8) ‖ binding(8) ‖ length of the owner(1) ‖ owner ‖ payload`.
//!
//! Expiry and end are in milliseconds since 1970, on the server's clock. The server fills them in.
//!
//! The binding is the second half of the session's entry in its owner's index: it says when the session was bound to that
//! owner. Without an owner it has no meaning.
//!
//! The key expires by itself at the same expiry, so that the server removes it. The frame has it too, so that one `GET`
//! reads the session and its expiry at the same instant.

use std::time::Duration;

use bytes::{Buf, Bytes};
use session_core::{Entry, Owner, Revision, StoreError};

use crate::error::foreign_value;

/// How many bytes come before the owner.
const FIXED: usize = 33;

/// A session as the server holds it.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) revision: Revision,
    /// In milliseconds since 1970, as the end is.
    pub(crate) expires_at: u64,
    pub(crate) ends_at: u64,
    pub(crate) binding: [u8; 8],
    value: Vec<u8>,
    /// Where the payload begins in it.
    payload: usize,
}

/// The frame that is sent for an entry, in two parts. A payload can be long, and goes into the command without another copy.
pub(crate) struct NewFrame<'a> {
    head: Vec<u8>,
    payload: &'a [u8],
}

impl<'a> NewFrame<'a> {
    /// The server fills in the expiry and the end.
    pub(crate) fn of(entry: Entry<'a>) -> Self {
        let owner = entry.owner.map_or(&[][..], Owner::as_bytes);
        let mut head = Vec::with_capacity(FIXED + owner.len());
        head.extend(entry.revision.as_bytes());
        head.extend([0; 16]);
        head.extend(entry.revision.as_bytes());
        // An owner is never longer, and never empty.
        head.push(u8::try_from(owner.len()).unwrap_or(u8::MAX));
        head.extend(owner);
        Self { head, payload: entry.payload }
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.payload.len()
    }

    /// All of it.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        [&self.head, self.payload]
    }

    pub(crate) fn revision(&self) -> &[u8] {
        self.head.get(..8).unwrap_or_default()
    }

    /// What a script writes as it is: all from the owner's length on. Without the payload, if that is staged.
    pub(crate) fn rest(&self, is_staged: bool) -> [&[u8]; 2] {
        [self.head.get(FIXED - 1..).unwrap_or_default(), if is_staged { &[] } else { self.payload }]
    }
}

impl Frame {
    pub(crate) fn decode(value: Vec<u8>) -> Result<Self, StoreError> {
        let too_short = || foreign_value("a value is shorter than a session");
        let (revision, rest) = value.split_first_chunk::<8>().ok_or_else(too_short)?;
        let (expires_at, rest) = rest.split_first_chunk::<8>().ok_or_else(too_short)?;
        let (ends_at, rest) = rest.split_first_chunk::<8>().ok_or_else(too_short)?;
        let (&binding, rest) = rest.split_first_chunk::<8>().ok_or_else(too_short)?;
        let (&length, rest) = rest.split_first().ok_or_else(too_short)?;
        let payload = FIXED + usize::from(length);
        if rest.len() < usize::from(length) {
            return Err(too_short());
        }
        Ok(Self {
            revision: Revision::from_bytes(*revision),
            expires_at: u64::from_be_bytes(*expires_at),
            ends_at: u64::from_be_bytes(*ends_at),
            binding,
            payload,
            value,
        })
    }

    pub(crate) fn owner(&self) -> &[u8] {
        self.value.get(FIXED..self.payload).unwrap_or_default()
    }

    /// The payload, without a copy.
    pub(crate) fn into_payload(self) -> Bytes {
        let mut value = Bytes::from(self.value);
        value.advance(self.payload);
        value
    }
}

/// How long the frame of this entry is, in bytes.
pub(crate) fn length(entry: &Entry<'_>) -> usize {
    FIXED + entry.owner.map_or(0, |owner| owner.as_bytes().len()) + entry.payload.len()
}

/// Whole milliseconds, at most 2^43 of them (279 years), so that adding them to any instant never overflows.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    const LONGEST: u64 = 1 << 43;
    u64::try_from(time.as_millis()).unwrap_or(LONGEST).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let owner = Owner::from(42);
        for owner in [None, Some(&owner)] {
            let entry = Entry::new(Revision::from_bytes([1; 8]), b"\0payload").with_owner(owner);
            let frame = Frame::decode(NewFrame::of(entry).parts().concat()).unwrap();
            assert_eq!(frame.revision, entry.revision);
            assert_eq!((frame.expires_at, frame.ends_at), (0, 0));
            assert_eq!(frame.owner(), owner.map_or(&[][..], Owner::as_bytes));
            assert_eq!(&frame.into_payload()[..], entry.payload);
        }
    }

    #[test]
    fn every_value_that_is_too_short_is_corrupt() {
        let owner = Owner::from(42);
        let frame = NewFrame::of(Entry::new(Revision::from_bytes([1; 8]), b"").with_owner(Some(&owner))).head;
        for length in 0..frame.len() {
            let error = Frame::decode(frame[..length].to_vec()).unwrap_err();
            assert!(matches!(error, StoreError::Corrupt { .. }), "{length}: {error:?}");
        }
    }
}
