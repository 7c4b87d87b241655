//! Random orders: the same for the same seed.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::task::yield_now;

/// Xorshift. It gives the same numbers for the same seed.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }

    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    pub(crate) fn some<T: Copy>(&mut self, most: usize, of: &[T]) -> Vec<T> {
        (0..=self.below(most)).map(|_| self.one(of)).collect()
    }
}

/// A task in a random order: it runs when it was woken, and the dice say that it is its turn.
pub(crate) struct Task<T> {
    running: Option<Pin<Box<dyn Future<Output = T>>>>,
    is_woken: Arc<Flag>,
    /// `None`: it was dropped.
    pub(crate) answer: Option<T>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl<T> Task<T> {
    pub(crate) fn new(running: impl Future<Output = T> + 'static) -> Self {
        let is_woken = Arc::new(Flag(AtomicBool::new(true)));
        Self { running: Some(Box::pin(running)), is_woken, answer: None }
    }

    fn can_run(&self) -> bool {
        self.running.is_some() && self.is_woken.0.load(Ordering::SeqCst)
    }

    fn run(&mut self) {
        self.is_woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.is_woken));
        let Some(running) = &mut self.running else { return };
        if let Poll::Ready(answer) = running.as_mut().poll(&mut Context::from_waker(&waker)) {
            (self.running, self.answer) = (None, Some(answer));
        }
    }
}

/// Runs the tasks in the order of the dice. One in `drops` steps drops a task. The clock of the runtime is paused.
pub(crate) async fn run<T>(dice: &mut Dice, tasks: &mut [Task<T>], drops: Option<usize>) {
    let mut idle = 0;
    while tasks.iter().any(|task| task.running.is_some()) {
        let ready: Vec<_> = (0..tasks.len()).filter(|number| tasks[*number].can_run()).collect();
        if ready.is_empty() {
            // The runtime wakes a task that has yielded. If it wakes none, all tasks wait for the clock.
            yield_now().await;
            idle += 1;
            if idle > 3 {
                tokio::time::advance(Duration::from_millis(1)).await;
            }
            continue;
        }
        idle = 0;
        // The tasks of core run when this one yields.
        if dice.below(4) == 0 {
            yield_now().await;
        }
        let task = &mut tasks[dice.one(&ready)];
        match drops {
            Some(drops) if dice.below(drops) == 0 => task.running = None,
            _ => task.run(),
        }
    }
}
