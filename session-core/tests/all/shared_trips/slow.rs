//! Trips that take long, and threads that are busy: callers wait 50 ms at most.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Waker},
    thread,
    time::Duration,
};

use tokio::{
    runtime,
    task::yield_now,
    time::{Instant, sleep},
};

use super::{Trips, one_thread};

#[tokio::test(start_paused = true)]
async fn a_trip_that_hangs_holds_nobody_up() {
    let trips = Trips::new();
    let hanging = trips.ask(1).await;
    let second = trips.ask(2).await;
    sleep(Duration::from_millis(24)).await;
    assert_eq!(trips.begun(), [[1]]);
    sleep(Duration::from_millis(27)).await;
    assert_eq!(trips.begun(), [[1], [2]]);
    // Both are under way, and the next one waits for the later one.
    let third = trips.ask(3).await;
    assert_eq!(trips.begun(), [[1], [2]]);
    trips.end(3).await;
    for (asked, answer) in [hanging, second, third].into_iter().zip([10, 20, 30]) {
        assert_eq!(asked.await.unwrap().unwrap(), answer);
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_a_trip_can_take_need_not_wait_for_one_that_hangs() {
    let trips = Trips::new();
    let mut asked = vec![trips.ask(1).await];
    for question in 2..=6 {
        asked.push(trips.ask(question).await);
    }
    sleep(Duration::from_millis(51)).await;
    assert_eq!(trips.begun(), [vec![1], vec![2, 3, 4], vec![5, 6]]);
    trips.end(3).await;
    for (asked, question) in asked.into_iter().zip(1..) {
        assert_eq!(asked.await.unwrap().unwrap(), question * 10);
    }
}

#[tokio::test(start_paused = true)]
async fn more_than_many_trips_can_take_wait_no_longer() {
    let trips = Arc::new(Trips::new());
    let mut asked = Vec::new();
    for question in 20..=50 {
        asked.push(trips.ask(question).await);
    }
    let of_twenty_milliseconds = Arc::clone(&trips);
    tokio::spawn(async move {
        let mut ended = 0;
        loop {
            sleep(Duration::from_millis(20)).await;
            let begun = of_twenty_milliseconds.begun().len();
            of_twenty_milliseconds.end(begun - ended).await;
            ended = begun;
        }
    });
    let began = Instant::now();
    for (asked, question) in asked.into_iter().zip(20..) {
        assert_eq!(asked.await.unwrap().unwrap(), question * 10);
    }
    let took = began.elapsed();
    assert!(took < Duration::from_millis(95), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_trip_that_took_long_the_others_share_trips_again() {
    let trips = Trips::new();
    let mut asked = vec![trips.ask(1).await, trips.ask(2).await, trips.ask(3).await];
    sleep(Duration::from_millis(51)).await;
    assert_eq!(trips.begun(), [vec![1], vec![2, 3]]);
    for question in 4..=9 {
        asked.push(trips.ask(question).await);
    }
    trips.end(2).await;
    assert_eq!(trips.begun(), [vec![1], vec![2, 3], vec![4, 5, 6]]);
    trips.end(2).await;
    for (asked, question) in asked.into_iter().zip(1..) {
        assert_eq!(asked.await.unwrap().unwrap(), question * 10);
    }
}

/// A `select!` or a stream may leave a future alone for any time.
#[tokio::test(start_paused = true)]
async fn a_caller_that_nobody_polls_holds_nobody_up() {
    let trips = Trips::new();
    let mut left_alone = pin!(trips.shared.ask(1));
    tokio::select! {
        biased;
        _ = &mut left_alone => panic!("it has an answer"),
        () = yield_now() => {}
    }
    let second = trips.ask(2).await;
    sleep(Duration::from_millis(51)).await;
    let third = trips.ask(3).await;
    trips.end(3).await;
    assert_eq!(second.await.unwrap().unwrap(), 20);
    assert_eq!(third.await.unwrap().unwrap(), 30);
    assert_eq!(left_alone.await.unwrap(), 10);
    let next = trips.ask(4).await;
    trips.end(1).await;
    assert_eq!(next.await.unwrap().unwrap(), 40);
}

/// Then the slow trip is no longer the one that they wait for.
#[tokio::test(start_paused = true)]
async fn after_a_caller_that_nobody_polls_and_one_that_gave_up_the_next_goes_at_once() {
    let trips = Trips::new();
    let mut left_alone = pin!(trips.shared.ask(1));
    assert!(left_alone.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    trips.ask(2).await.abort();
    sleep(Duration::from_millis(51)).await;
    let third = trips.ask(3).await;
    assert_eq!(trips.begun(), [[1], [3]]);
    trips.end(2).await;
    assert_eq!(left_alone.await.unwrap(), 10);
    assert_eq!(third.await.unwrap().unwrap(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_trip_took_long_takes_nobody_who_waits_for_a_later_one() {
    let trips = Trips::new();
    let mut asked = vec![trips.ask(1).await, trips.ask(2).await, trips.ask(3).await];
    trips.end(1).await;
    asked.push(trips.ask(4).await);
    sleep(Duration::from_millis(51)).await;
    asked.push(trips.ask(5).await);
    // The first of the two that are under way ends.
    trips.end(1).await;
    assert_eq!(trips.begun(), [vec![1], vec![2, 3], vec![4]]);
    trips.end(2).await;
    assert_eq!(trips.begun().last().unwrap(), &[5]);
    for (asked, question) in asked.into_iter().zip(1..) {
        assert_eq!(asked.await.unwrap().unwrap(), question * 10);
    }
}

/// The task of a shared trip has its first turn on the thread that has ended the trip before. That thread may be busy.
#[test]
fn a_trip_whose_task_does_not_run_holds_nobody_up() {
    let trips = Trips::new();
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (shared, (tell, told)) = (Arc::clone(&trips.shared), mpsc::channel());
    let busy = runtime.spawn(async move {
        shared.ask(1).await.unwrap();
        told.recv_timeout(Duration::from_secs(20))
    });
    let shared = Arc::clone(&trips.shared);
    wait_until(|| trips.begun() == [[1]]);
    runtime.spawn(async move { tell.send(shared.ask(2).await).unwrap() });
    wait_until(|| format!("{:?}", trips.shared).contains("waiting: 1"));
    trips.may_end.add_permits(2);
    assert_eq!(runtime.block_on(busy).unwrap().unwrap().unwrap(), 20);
}

/// The task that looks whether callers wait long has its first turn on the thread of a caller, which may be busy, too.
#[test]
fn a_look_that_does_not_come_holds_nobody_up() {
    let trips = Trips::new();
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (shared, (tell, told)) = (Arc::clone(&trips.shared), mpsc::channel());
    let busy = runtime.spawn(async move {
        let (mut first, mut second) = (pin!(shared.ask(1)), pin!(shared.ask(2)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(first.as_mut().poll(&mut context).is_pending() && second.as_mut().poll(&mut context).is_pending());
        told.recv_timeout(Duration::from_secs(20))
    });
    wait_until(|| format!("{:?}", trips.shared).contains("waiting: 1"));
    trips.may_end.add_permits(2);
    let shared = Arc::clone(&trips.shared);
    runtime.spawn(async move { tell.send(shared.ask(3).await).unwrap() });
    assert_eq!(runtime.block_on(busy).unwrap().unwrap().unwrap(), 30);
}

fn wait_until(holds: impl Fn() -> bool) {
    while !holds() {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn callers_on_another_runtime_neither_wait_nor_are_waited_for() {
    let trips = Trips::new();
    let (busy, other) = (one_thread(), one_thread());
    let _first = busy.block_on(trips.ask(1));
    let _second = busy.block_on(trips.ask(2));
    let third = other.block_on(trips.ask(3));
    assert_eq!(trips.begun(), [[1], [3]]);
    let fourth = other.block_on(trips.ask(4));
    trips.may_end.add_permits(3);
    // Only this runtime is driven.
    assert_eq!(other.block_on(third).unwrap().unwrap(), 30);
    assert_eq!(other.block_on(fourth).unwrap().unwrap(), 40);
    assert_eq!(trips.begun(), [[1], [3], [4]]);
}
