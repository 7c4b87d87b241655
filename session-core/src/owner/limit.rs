//! The limit of sessions where the oldest ones end.

use std::{cmp::Reverse, future::poll_fn, task::Poll};

use tokio::time::Instant;

use crate::{
    EndReason, Error, EventKind, Loaded, Owner, Revision, SessionId, StoreError,
    record::Found,
    site::{Caller, Whose},
    store::Patience,
};

/// How many sessions are ended at once where an owner has too many.
const ENDED_AT_ONCE: usize = 32;

/// Whose sessions were one too many.
pub(crate) enum Eviction {
    /// The own one stays.
    OfOthers,
    /// The own one was among the oldest, or another login has ended it.
    OfOwn,
}

/// A session of the owner's, as it was listed.
pub(crate) struct Listed {
    revision: Revision,
    acting_as: Option<Owner>,
}

/// Whether sessions still had the revisions by which they were to be ended.
#[derive(Clone, Copy)]
enum Ended {
    All,
    /// Another login has ended some of them, or they have moved.
    NotAll,
}

/// Ends the owner's oldest sessions until no more than the limit are left, exempting none: so parallel logins agree.
pub(crate) async fn evict(caller: Caller<'_>, owner: &Owner, limit: u32, own: SessionId) -> Result<Eviction, Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut patience = Patience::new();
    loop {
        patience.attempt()?;
        let asked = Instant::now();
        let mut listed = oldest_first(caller.store.list(owner).await?, asked);
        if listed.iter().all(|(id, _)| *id != own) {
            return Ok(Eviction::OfOwn);
        }
        listed.truncate(listed.len().saturating_sub(limit));
        let is_own = |(id, _): &(SessionId, Listed)| *id == own;
        let (of_own, others): (Vec<_>, Vec<_>) = listed.into_iter().partition(is_own);
        let deletion = end_all(caller, owner, &others).await;
        // Whether the others could be ended or not, there are enough sessions that are younger than this one.
        if !of_own.is_empty() {
            end_all(caller, owner, &of_own).await?;
            return Ok(Eviction::OfOwn);
        }
        match deletion {
            Ok(Ended::All) => return Ok(Eviction::OfOthers),
            Ok(Ended::NotAll) => {}
            Err(error) => patience.bear(error)?,
        }
        patience.pause().await;
    }
}

/// Ends the sessions that still have these revisions, some at once.
async fn end_all(caller: Caller<'_>, owner: &Owner, sessions: &[(SessionId, Listed)]) -> Result<Ended, StoreError> {
    let mut ended = Ok(Ended::All);
    for batch in sessions.chunks(ENDED_AT_ONCE) {
        let deletions = batch.iter().map(|(id, listed)| caller.store.delete(id, listed.revision));
        for ((id, listed), deleted) in batch.iter().zip(join(deletions).await) {
            match deleted {
                Ok(true) => {
                    let whose = Whose { owner: Some(owner), acting_as: listed.acting_as.as_ref() };
                    caller.tell(EventKind::Ended(EndReason::TooManySessions), Some(*id), whose);
                }
                Ok(false) => ended = ended.map(|_| Ended::NotAll),
                Err(error) => ended = Err(error),
            }
        }
        // Where one deletion has failed, the next would fail, too.
        if ended.is_err() {
            break;
        }
    }
    ended
}

/// Runs all of them at once. The outcomes are in the order of the futures.
async fn join<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        for (future, outcome) in running.iter_mut().filter(|(_, outcome)| outcome.is_none()) {
            if let Poll::Ready(done) = future.as_mut().poll(context) {
                *outcome = Some(done);
            }
        }
        if running.iter().all(|(_, outcome)| outcome.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, outcome)| outcome).collect()
}

/// All readers put the same sessions in the same order, whenever each of them asked.
pub(crate) fn oldest_first(listed: Vec<(SessionId, Loaded)>, asked: Instant) -> Vec<(SessionId, Listed)> {
    let age = |(id, loaded): (SessionId, Loaded)| {
        let revision = loaded.revision;
        let found = Found::decode(id, loaded, asked).ok();
        // What cannot be read counts as the oldest.
        let age = found.as_ref().map_or(i128::MAX, Found::exact_age_when_asked);
        let acting_as = found.and_then(|found| found.header().acting_as().cloned());
        (Reverse(age), id, Listed { revision, acting_as })
    };
    let mut aged: Vec<_> = listed.into_iter().map(age).collect();
    aged.sort_unstable_by_key(|(age, id, _)| (*age, *id));
    aged.into_iter().map(|(_, id, listed)| (id, listed)).collect()
}

#[cfg(test)]
mod tests;
