//! The index of an owner's sessions: how an entry gets there before its session, and when it may be removed.
//!
//! An entry is `id(16) ‖ binding(8)`, and its session has the same binding. On a cluster the index and the session are on
//! different servers. So there a login takes two steps: the entry is written first, and then the session. Elsewhere one script
//! writes both. An entry without a session may belong to a login whose second step is still on its way, and must stay.
//!
//! It need not stay for ever, because the binding says when the entry was written: `at=` and the seconds since 1970 on the
//! clock of the index's server. The second step does nothing if its entry is more than a minute old. The clocks of two
//! servers may differ by an hour. So an entry without a session is dead after an hour and a minute.
//!
//! Earlier versions wrote a random binding. Such an entry tells no time, and stays until the session's end.

use std::collections::BTreeSet;

#[cfg(feature = "cluster")]
use redis::{RedisResult, Value};
use session_core::SessionId;

#[cfg(feature = "cluster")]
use crate::call::{Call, Message};

/// After this time the second step does nothing, in milliseconds. `create.lua` and `replace.lua` say the same.
const LATE: u64 = 60_000;

/// How much two servers' clocks may differ, in milliseconds.
pub(crate) const SKEW: u64 = 3_600_000;

/// An entry of the index: the session's id and binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member([u8; 24]);

impl Member {
    pub(crate) fn new(id: &SessionId, binding: [u8; 8]) -> Self {
        let mut member = [0; 24];
        let (of_id, of_binding) = member.split_at_mut(16);
        of_id.copy_from_slice(id.as_bytes());
        of_binding.copy_from_slice(&binding);
        Self(member)
    }

    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    pub(crate) fn id(&self) -> SessionId {
        SessionId::from_bytes(std::array::from_fn(|at| self.0[at]))
    }

    pub(crate) fn binding(&self) -> [u8; 8] {
        std::array::from_fn(|at| self.0[16 + at])
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// When it was written, in milliseconds since 1970.
    fn written_at(&self) -> Option<u64> {
        match self.binding() {
            [b'a', b't', b'=', a, b, c, d, e] => {
                Some(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]).saturating_mul(1000))
            }
            _ => None,
        }
    }
}

/// The entries of an owner, as they were at this instant on the clock of one of the store's servers.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) members: Vec<Member>,
    pub(crate) now: u64,
}

impl Index {
    /// Each id once. Some of the sessions may be gone, or may belong to another owner by now.
    pub(crate) fn ids(&self) -> BTreeSet<SessionId> {
        self.members.iter().map(Member::id).collect()
    }

    /// The entries whose second step can no longer do anything. If the session of such an entry is missing when it is looked
    /// for after this reading, it will never exist.
    pub(crate) fn settled(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| {
            member.written_at().is_some_and(|written_at| written_at.saturating_add(LATE + SKEW) < self.now)
        })
    }
}

/// The two steps of a write that binds a session to an owner, on a cluster.
#[cfg(feature = "cluster")]
#[derive(Clone, Copy)]
pub(crate) struct Steps<'a> {
    /// Adds the entry.
    pub(crate) index: Call<'a>,
    /// Writes the session.
    pub(crate) session: Call<'a>,
}

#[cfg(feature = "cluster")]
impl Steps<'_> {
    /// Runs both steps, and returns the answer of the second.
    ///
    /// If the second step came too late, it has done nothing, and both are sent once more. Perhaps nothing was late: the
    /// session's server may have a clock that is ahead of the index's. So this time the age of the entry is measured on the
    /// session's server alone, from an instant before the entry was written. Clocks that differ then refuse no login.
    pub(crate) async fn evaluate<F: Future<Output = RedisResult<Value>>>(
        &self,
        send: impl Fn(Message) -> F,
    ) -> RedisResult<Value> {
        let refused = match self.once(&send, None).await? {
            Value::Array(refused) => refused,
            answer => return Ok(answer),
        };
        match refused.as_slice() {
            [Value::Int(clock)] => self.once(&send, Some(clock.to_string().as_bytes())).await,
            _ => Ok(Value::Array(refused)),
        }
    }

    async fn once<F: Future<Output = RedisResult<Value>>>(
        &self,
        send: impl Fn(Message) -> F,
        since: Option<&[u8]>,
    ) -> RedisResult<Value> {
        let binding = match self.index.evaluate(&send).await? {
            Value::BulkString(binding) => binding,
            // The second step never answers this, so the caller reports a foreign answer.
            _ => return Ok(Value::Nil),
        };
        let mut arguments = self.session.arguments.to_vec();
        arguments.push(&binding);
        arguments.extend(since);
        Call { arguments: &arguments, ..self.session }.evaluate(&send).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled_at(binding: [u8; 8], now: u64) -> bool {
        let member = Member::new(&SessionId::from_bytes([7; 16]), binding);
        Index { members: vec![member], now }.settled().next().is_some()
    }

    #[test]
    fn an_entry_is_settled_after_the_minute_and_the_hour_and_not_before() {
        // 1,000,000 seconds.
        let binding = *b"at=\0\0\x0f\x42\x40";
        for (milliseconds_later, is_settled) in [(0, false), (60_001, false), (3_660_000, false), (3_660_001, true)] {
            assert_eq!(settled_at(binding, 1_000_000_000 + milliseconds_later), is_settled, "{milliseconds_later}");
        }
        assert!(!settled_at(binding, 0), "of a clock that is behind");
    }

    #[test]
    fn an_entry_that_tells_no_time_is_never_settled() {
        for binding in [[0; 8], [0xff; 8], *b"At=\0\0\0\0\0", *b"aT=\0\0\0\0\0", *b"at:\0\0\0\0\0"] {
            assert!(!settled_at(binding, u64::MAX), "{binding:?}");
        }
        assert!(settled_at(*b"at=\0\0\0\0\0", u64::MAX));
    }

    #[test]
    fn an_entry_is_the_id_and_then_the_bound() {
        let (id, binding) =
            (SessionId::from_bytes(std::array::from_fn(|at| at as u8)), [16, 17, 18, 19, 20, 21, 22, 23]);
        let member = Member::new(&id, binding);
        assert_eq!(member.as_bytes(), (0..24).collect::<Vec<u8>>());
        assert_eq!((member.id(), member.binding()), (id, binding));
        assert_eq!(Member::read(member.as_bytes()), Some(member));
        assert_eq!((Member::read(&[0; 23]), Member::read(&[0; 25])), (None, None));
    }
}
