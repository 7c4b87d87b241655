use std::{
    future::{Future, pending},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use super::*;
use crate::{
    Entry, Expiry, Lifetime, Loaded, Owner, Store, StoreError, async_trait,
    moment::TimeLeft,
    record::{Data, Header, Record},
    request::SecretHash,
    store::{Patience, PatientStore, Settled, Write},
};

const ID: SessionId = SessionId::from_bytes([1; 16]);

fn revision(number: u8) -> Revision {
    Revision::from_bytes([number; 8])
}

fn written(number: u8) -> Arc<Found> {
    let hour = Duration::from_secs(3600);
    let record = Record { header: Header::new(SecretHash([0; 32]), Lifetime::new(hour, hour)), data: Data::new() };
    let left = TimeLeft { asked: Instant::now(), expires_in: hour, ends_in: hour };
    Arc::new(Found { id: ID, record, revision: revision(number), left })
}

/// What it does next, if it need not wait.
fn at_once(writer: &mut Writer, base: u8) -> Option<Next> {
    match pin!(writer.next(revision(base), Joins::No)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(next) => Some(next),
        Poll::Pending => None,
    }
}

fn writes(writer: &mut Writer, base: u8) -> bool {
    matches!(at_once(writer, base), Some(Next::Write))
}

/// Waits for its turn.
fn in_line<'a>(writer: &'a mut Writer, base: u8) -> Pin<Box<dyn Future<Output = Next> + 'a>> {
    let mut waiting: Pin<Box<dyn Future<Output = Next> + 'a>> = Box::pin(writer.next(revision(base), Joins::No));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    waiting
}

fn is_empty(writers: &Writers) -> bool {
    writers.lines().is_empty()
}

#[tokio::test(start_paused = true)]
async fn nobody_is_left_in_the_map() {
    let writers = Arc::new(Writers::default());
    let [mut one, mut two, three] = [(); 3].map(|()| writers.writer(ID));
    assert!(is_empty(&writers), "who has not asked is not there");
    assert!(writes(&mut one, 0));
    one.end(Some(&written(1)));
    assert!(is_empty(&writers), "a lone writer leaves with its turn");
    assert!(writes(&mut one, 1) && at_once(&mut two, 1).is_none());
    drop(one);
    assert!(matches!(at_once(&mut two, 1), Some(Next::Look(None))));
    drop((two, three));
    assert!(is_empty(&writers));
}

#[tokio::test(start_paused = true)]
async fn what_was_written_after_a_writer_came_is_handed_to_it_and_nothing_older() {
    let writers = Arc::new(Writers::default());
    let [mut one, mut two, mut three] = [(); 3].map(|()| writers.writer(ID));
    assert!(writes(&mut one, 0));
    assert!(at_once(&mut two, 0).is_none() && at_once(&mut three, 0).is_none());
    one.end(Some(&written(1)));
    // Its turn had begun when they came. What it has written may have been written over before that.
    assert!(matches!(at_once(&mut two, 0), Some(Next::Look(None))));
    assert!(writes(&mut two, 1));
    two.end(Some(&written(2)));
    assert!(matches!(at_once(&mut three, 0), Some(Next::Look(Some(now))) if now.revision == revision(2)));
    assert!(writes(&mut three, 2));
    three.end(None);
    let mut four = writers.writer(ID);
    assert!(matches!(at_once(&mut four, 2), Some(Next::Look(None))), "nobody knows what the store has");
    assert!(writes(&mut four, 2), "it has looked");
}

#[tokio::test(start_paused = true)]
async fn who_has_it_already_need_not_look() {
    let writers = Arc::new(Writers::default());
    let [mut one, mut two, mut three] = [(); 3].map(|()| writers.writer(ID));
    assert!(writes(&mut one, 0) && at_once(&mut two, 0).is_none());
    one.end(Some(&written(1)));
    assert!(writes(&mut three, 1), "it has loaded what was written");
}

#[tokio::test(start_paused = true)]
async fn who_works_out_its_changes_again_has_no_turn() {
    let writers = Arc::new(Writers::default());
    let [mut one, mut two, mut three] = [(); 3].map(|()| writers.writer(ID));
    assert!(writes(&mut one, 0) && at_once(&mut two, 0).is_none());
    one.end(Some(&written(1)));
    assert!(matches!(at_once(&mut two, 0), Some(Next::Look(_))));
    assert!(writes(&mut three, 1), "the application's closures of the second run now, however long");
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_was_taken_over_ends_once_and_hands_nothing_on() {
    let writers = Arc::new(Writers::default());
    let [mut one, mut two, mut three] = [(); 3].map(|()| writers.writer(ID));
    assert!(writes(&mut one, 0));
    assert!(matches!(two.next(revision(0), Joins::No).await, Next::Write), "after 50 ms");
    one.end(Some(&written(1)));
    assert!(at_once(&mut three, 0).is_none(), "the second has the turn");
    two.end(Some(&written(2)));
    assert!(matches!(at_once(&mut three, 2), Some(Next::Write)), "the last that was written is the second's");
}

#[tokio::test(start_paused = true)]
async fn who_is_called_and_writes_nothing_calls_the_next_one() {
    for is_polled in [false, true] {
        let writers = Arc::new(Writers::default());
        let [mut one, mut two, mut three] = [(); 3].map(|()| writers.writer(ID));
        let begun = Instant::now();
        assert!(writes(&mut one, 0));
        let mut second = Box::pin(async move {
            let _ = two.next(revision(0), Joins::No).await;
            pending::<()>().await;
        });
        let context = &mut Context::from_waker(Waker::noop());
        assert!(second.as_mut().poll(context).is_pending());
        let mut third = in_line(&mut three, 0);
        one.end(Some(&written(1)));
        assert!(third.as_mut().poll(context).is_pending());
        if is_polled {
            assert!(second.as_mut().poll(context).is_pending());
        }
        drop(second);
        assert!(matches!(third.await, Next::Look(None)));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_called_and_came_second_is_still_the_first_in_line() {
    let writers = Arc::new(Writers::default());
    let [mut one, mut two, mut three, mut four] = [(); 4].map(|()| writers.writer(ID));
    assert!(writes(&mut one, 0));
    let second = in_line(&mut two, 0);
    let mut third = in_line(&mut three, 0);
    one.end(None);
    assert!(matches!(second.await, Next::Look(None)));
    assert!(matches!(at_once(&mut four, 1), Some(Next::Look(None))) && writes(&mut four, 1));
    let mut second = in_line(&mut two, 1);
    four.end(Some(&written(2)));
    assert!(third.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
}

#[tokio::test(start_paused = true)]
async fn sessions_do_not_wait_for_one_another() {
    let writers = Arc::new(Writers::default());
    let [mut one, mut two] = [ID, SessionId::from_bytes([2; 16])].map(|id| writers.writer(id));
    assert!(writes(&mut one, 0) && writes(&mut two, 0));
}

/// It has no sessions. Nobody may write to it.
#[derive(Debug)]
struct Empty;

#[async_trait]
impl Store for Empty {
    async fn create(&self, _: &SessionId, _: Entry<'_>, _: Duration, _: Duration) -> Result<(), StoreError> {
        unreachable!()
    }

    async fn load(&self, _: &SessionId) -> Result<Option<Loaded>, StoreError> {
        Ok(None)
    }

    async fn replace(&self, _: &SessionId, _: Revision, _: Entry<'_>, _: Expiry) -> Result<bool, StoreError> {
        unreachable!("it was planned on what was never sent")
    }

    async fn touch(&self, _: &SessionId, _: Revision, _: Duration) -> Result<bool, StoreError> {
        unreachable!()
    }

    async fn delete(&self, _: &SessionId, _: Revision) -> Result<bool, StoreError> {
        unreachable!()
    }

    async fn list(&self, _: &Owner) -> Result<Vec<(SessionId, Loaded)>, StoreError> {
        unreachable!()
    }

    async fn revoke(&self, _: &Owner, _: Option<&SessionId>) -> Result<u64, StoreError> {
        unreachable!()
    }

    async fn purge(&self, _: u32) -> Result<u64, StoreError> {
        unreachable!()
    }
}

/// Others were about to write what it was planned on, and have set out without it.
#[tokio::test(start_paused = true)]
async fn who_has_missed_those_that_its_write_was_planned_on_does_not_send_it_and_ends_its_turn() {
    let (writers, store) = (Arc::new(Writers::default()), PatientStore::new(Arc::new(Empty)));
    let [mut one, mut two] = [(); 2].map(|()| writers.writer(ID));
    let base = written(1);
    let mut write = Write::new(&base, base.record.clone(), Expiry::Keep).unwrap();
    write.unsent = 1;
    assert!(writes(&mut one, 1) && at_once(&mut two, 1).is_none());
    let settled = write.settle(&store, &Patience::new(), &mut one).await.unwrap();
    assert!(matches!(settled, Settled::Gone), "it looks");
    assert!(matches!(at_once(&mut two, 1), Some(Next::Look(None))), "the turn is free");
}
