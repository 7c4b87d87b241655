//! The seal: how a payload is kept in the store, and what it is bound to.
//!
//! ```text
//! format     1     1
//! key        1+n   length, and the id of the key
//! nonce      24    random, a new one for each write
//! payload    n     encrypted with XChaCha20
//! tag        16    Poly1305 over the payload and what it is bound to
//! ```
//!
//! It is bound to five parts, each behind its length in four bytes, big endian: the format, the id of the key, the context,
//! the id of the session, and the revision. A format that needs another layout gets another first byte.

use bytes::Bytes;
use chacha20poly1305::{
    XNonce,
    aead::{Aead, Payload},
};
use session_core::{Loaded, Revision, SessionId, StoreError};

use crate::{KeyId, OpenError, SealKeys, error::TooLong, key::random};

/// The first byte. It is none of those that core's payloads begin with, so a payload in the clear is recognised.
const FORMAT: u8 = 0x51;

const NONCE_LENGTH: usize = 24;
const TAG_LENGTH: usize = 16;

/// How many bytes a seal adds at most.
pub(crate) const OVERHEAD: usize = 1 + 1 + KeyId::LONGEST + NONCE_LENGTH + TAG_LENGTH;

/// The name of this store in errors.
const BACKEND: &str = "the sealed store";

/// Where a payload belongs.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) context: &'a str,
    pub(crate) id: &'a SessionId,
    pub(crate) revision: Revision,
}

impl Place<'_> {
    /// What the seal is bound to. The lengths keep two places apart: `a` and `bc` are not `ab` and `c`.
    fn bound(&self, key: &KeyId) -> Vec<u8> {
        let format = [FORMAT];
        let parts: [&[u8]; 5] =
            [&format, key.as_str().as_bytes(), self.context.as_bytes(), self.id.as_bytes(), self.revision.as_bytes()];
        let mut bound = Vec::new();
        for part in parts {
            bound.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bound.extend(part);
        }
        bound
    }

    pub(crate) fn seal(&self, keys: &SealKeys, payload: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce = random::<NONCE_LENGTH>().map_err(|error| StoreError::backend(BACKEND, error))?;
        self.seal_with(keys, nonce, payload)
    }

    fn seal_with(&self, keys: &SealKeys, nonce: [u8; NONCE_LENGTH], payload: &[u8]) -> Result<Vec<u8>, StoreError> {
        let key = keys.sealing();
        let id = key.id().as_str().as_bytes();
        let input = Payload { msg: payload, aad: &self.bound(key.id()) };
        let encrypted = key.cipher.encrypt(&XNonce::from(nonce), input);
        let encrypted = encrypted.map_err(|_| StoreError::backend(BACKEND, TooLong))?;
        // An id has at most 32 bytes.
        let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
        Ok([&[FORMAT, length], id, &nonce, &encrypted].concat())
    }

    fn open(&self, keys: &SealKeys, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (id, nonce, encrypted) = split(sealed).ok_or(OpenError::NotSealed)?;
        let Some(key) = keys.find(&id) else { return Err(OpenError::UnknownKey { id }) };
        let input = Payload { msg: encrypted, aad: &self.bound(&id) };
        key.cipher.decrypt(&XNonce::from(nonce), input).map_err(|_| OpenError::Broken { id })
    }
}

/// The same session with its payload in the clear.
pub(crate) fn open(keys: &SealKeys, context: &str, id: &SessionId, loaded: Loaded) -> Result<Loaded, StoreError> {
    let place = Place { context, id, revision: loaded.revision };
    let payload = place.open(keys, &loaded.payload).map_err(|error| StoreError::corrupt(BACKEND, error))?;
    Ok(loaded.with_payload(Bytes::from(payload)))
}

/// The id of the key, the nonce, and what is encrypted.
fn split(sealed: &[u8]) -> Option<(KeyId, [u8; NONCE_LENGTH], &[u8])> {
    let (&[format, length], rest) = sealed.split_first_chunk()?;
    let (id, rest) = rest.split_at_checked(length.into())?;
    let (nonce, encrypted) = rest.split_first_chunk()?;
    (format == FORMAT).then_some((KeyId::from_bytes(id)?, *nonce, encrypted))
}

#[cfg(test)]
mod tests;
