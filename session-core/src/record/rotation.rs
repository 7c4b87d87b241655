//! Rotation and theft: judge, derive, prove, retire. Pure functions over the header.
//!
//! A due token gets a successor that is *derived* from it, so that parallel requests derive the same one. The old token
//! stays good until the successor is presented, which *proves* that the client has it; only then the old one is
//! *retired*. A token that is used after that, and after the grace, is in two hands: theft.

use std::time::Duration;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::{
    Policy, RandomnessError,
    record::{Age, Header, Pending},
    request::{SessionSecret, SessionToken, random},
};

/// What a genuine token is to the session that it names. The best one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// The successor, seen for the first time.
    Pending,
    /// The session's token.
    Current,
    /// The predecessor, within the grace.
    Retired,
    /// Of an earlier generation, within the grace after the present one began.
    Late,
    /// Of the present generation of somebody's login, but none of its tokens any more.
    Theft,
    /// Anything else: as if there were no token.
    Stranger,
}

/// Judges the tokens of one session in one request. They are one client's, so the best one counts. Example: the cookie has
/// moved to another scope, and the browser keeps the old token beside the present one for ever.
pub(crate) fn judge_best<'a>(
    header: &Header,
    tokens: impl Iterator<Item = &'a SessionToken>,
    age: Age,
    grace: Duration,
) -> Option<(Verdict, &'a SessionToken)> {
    tokens
        .map(|token| (judge(header, token, age, grace), token))
        .min_by_key(|(verdict, token)| (*verdict, token.under_old_key))
}

/// Judges a genuine token by the session's header and age.
fn judge(header: &Header, token: &SessionToken, age: Age, grace: Duration) -> Verdict {
    let within_grace = |since: Age| age.since(since) <= Age::of(grace);
    if token.generation < header.generation {
        return if within_grace(header.generation_began) { Verdict::Late } else { Verdict::Stranger };
    }
    if token.generation > header.generation {
        return Verdict::Stranger;
    }
    let presented = token.secret.hash();
    if presented == header.secret {
        Verdict::Current
    } else if header.pending.is_some_and(|pending| presented == pending.secret) {
        Verdict::Pending
    } else if header.retired == Some(presented) && within_grace(header.rotated) {
        Verdict::Retired
    } else if header.owner.is_some() {
        Verdict::Theft
    } else {
        Verdict::Stranger
    }
}

/// How long after its last promotion or change of generation a token gets a successor.
///
/// For one that came under an old key that is as soon as the grace is over, and no sooner: two promotions within the grace
/// would make an honest late request look like theft.
pub(crate) fn interval(policy: &Policy, under_old_key: bool) -> Duration {
    let after_grace = policy.grace.saturating_add(Duration::from_millis(1));
    if under_old_key { policy.rotation.min(after_grace) } else { policy.rotation }
}

/// Whether the token should get a successor: only a login's does, and a pending one is never replaced.
pub(crate) fn is_due(header: &Header, age: impl FnOnce() -> Age, interval: Duration) -> bool {
    header.owner.is_some() && header.pending.is_none() && age().since(header.rotated) >= Age::of(interval)
}

/// Notes a successor of the current secret in the header.
pub(crate) fn propose(header: &mut Header, current: &SessionSecret) -> Result<(), RandomnessError> {
    let salt = random()?;
    header.pending = derive(current, &salt).map(|successor| Pending { salt, secret: successor.hash() });
    Ok(())
}

/// The successor that the salt makes of a secret.
pub(crate) fn derive(secret: &SessionSecret, salt: &[u8; 16]) -> Option<SessionSecret> {
    let mut successor = Zeroizing::new([0; 32]);
    // RFC 5869. It refuses only lengths above 8160 bytes.
    Hkdf::<Sha256>::new(Some(salt), secret.as_bytes()).expand(b"session/rotate/v1", &mut *successor).ok()?;
    Some(SessionSecret::from_bytes(*successor))
}

/// The successor was presented: it becomes the current secret, and the old one is retired.
pub(crate) fn promote(header: &mut Header, age: Age) {
    if let Some(proven) = header.pending.take() {
        header.retired = Some(header.secret);
        header.secret = proven.secret;
        header.rotated = age;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lifetime, Owner, SessionId};

    #[test]
    fn a_token_under_an_old_key_is_due_when_its_predecessor_is_accepted_no_longer() {
        let policy = Policy::default();
        let [own, before] = [1, 2].map(|byte| SessionSecret::from_bytes([byte; 32]));
        let header = Header::new(own.hash(), policy.logged_in);
        let header = Header { owner: Some(Owner::from(42)), retired: Some(before.hash()), ..header };
        let late =
            SessionToken { id: SessionId::from_bytes([7; 16]), generation: 0, secret: before, under_old_key: false };
        let at_last = Age::of(policy.grace);
        for (age, verdict, due) in
            [(at_last, Verdict::Retired, false), (at_last.after(Duration::from_millis(1)), Verdict::Theft, true)]
        {
            assert_eq!(judge(&header, &late, age, policy.grace), verdict);
            assert_eq!(is_due(&header, || age, interval(&policy, true)), due);
            assert!(!is_due(&header, || age, interval(&policy, false)));
        }
        let close = Policy { rotation: policy.grace + Duration::from_nanos(1), ..policy };
        assert_eq!(interval(&close, true), close.rotation, "never later than without an old key");
    }

    #[test]
    fn a_secret_that_is_none_of_the_session_s_is_theft_of_a_login_and_a_stranger_s_without_one() {
        let [own, other] = [1, 2].map(|byte| SessionSecret::from_bytes([byte; 32]));
        let hour = Duration::from_secs(3600);
        let anonymous = Header::new(own.hash(), Lifetime::new(hour, hour));
        let login = Header { owner: Some(Owner::from(42)), ..anonymous.clone() };
        let token =
            SessionToken { id: SessionId::from_bytes([7; 16]), generation: 0, secret: other, under_old_key: false };
        assert_eq!(judge(&login, &token, Age::START, hour), Verdict::Theft);
        assert_eq!(judge(&anonymous, &token, Age::START, hour), Verdict::Stranger);
    }
}
