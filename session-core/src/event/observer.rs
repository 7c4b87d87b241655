//! Who is told of events.

use std::{fmt, sync::Arc};

use super::{EventKind, Log, SessionEvent};

/// Gets every [`SessionEvent`]. It is called within the request, so it must not block.
///
/// # Examples
///
/// ```
/// use session_core::{EventKind, Observer, SessionEvent, SessionManager};
/// use session_memory::MemoryStore;
///
/// #[derive(Debug)]
/// struct Alarm;
///
/// impl Observer for Alarm {
///     fn on(&self, event: &SessionEvent) {
///         if let EventKind::TheftDetected = event.kind {
///             eprintln!("session {:?} of {:?} was stolen", event.id, event.owner);
///         }
///     }
/// }
///
/// // `tracing` is told as well.
/// let manager = SessionManager::development(MemoryStore::new()).with_observer(Alarm);
/// ```
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// Is told what has happened.
    fn on(&self, event: &SessionEvent);
}

/// Who is told of a site's events.
#[derive(Clone, Debug)]
pub(crate) struct Observers {
    /// `None`: `tracing` is not told.
    log: Option<Arc<Log>>,
    own: Vec<Arc<dyn Observer>>,
}

impl Observers {
    pub(crate) fn new(log: Log) -> Self {
        Self { log: Some(Arc::new(log)), own: Vec::new() }
    }

    pub(crate) fn push(&mut self, observer: impl Observer) {
        self.own.push(Arc::new(observer));
    }

    pub(crate) fn leave_out_log(&mut self) {
        self.log = None;
    }

    /// A request has come: a flood that has ended has its number told, though nothing else happens.
    pub(crate) fn note_request(&self) {
        if let Some(log) = &self.log {
            log.write_suppressed();
        }
    }

    /// Whether anybody wants to hear of this. If not, the event need not be made.
    pub(crate) fn want(&self, kind: &EventKind) -> bool {
        cfg!(feature = "metrics") || !self.own.is_empty() || self.log.as_ref().is_some_and(|log| log.wants(kind))
    }

    pub(crate) fn tell(&self, event: &SessionEvent) {
        #[cfg(feature = "metrics")]
        crate::numbers::event(event);
        if let Some(log) = &self.log {
            log.write(event);
        }
        for observer in &self.own {
            observer.on(event);
        }
    }
}
