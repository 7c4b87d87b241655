//! A small correct store that can be broken in one clause at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use session_conformance::{Subject, async_trait};
use session_core::{Entry, Expiry, Loaded, Owner, Revision, SessionId, StoreError};

use super::{
    clock::Clock,
    failing::Trouble,
    fault::Fault::{self, *},
    process::Process,
    removal::Writing,
    shared::Shared,
};

/// Opens stores that are broken in this way.
pub(crate) struct Broken {
    fault: Fault,
    clock: Arc<Clock>,
    namespaces: Mutex<BTreeMap<String, Arc<Mutex<Rows>>>>,
    losing: Arc<Mutex<BTreeSet<SessionId>>>,
}

impl Broken {
    async fn rows(&self, namespace: &str) -> Arc<Mutex<Rows>> {
        let namespaces = || self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        let found = namespaces().get(namespace).cloned();
        match (self.fault, found) {
            (OpenEmptiesTheNamespace, Some(rows)) => {
                rows.lock().unwrap_or_else(PoisonError::into_inner).live.clear();
                rows
            }
            (OpenChecksThenMakes, None) => {
                // To make a table takes a while.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let rows = Arc::default();
                namespaces().insert(namespace.to_owned(), Arc::clone(&rows));
                rows
            }
            (_, Some(rows)) => rows,
            (_, None) => Arc::clone(namespaces().entry(namespace.to_owned()).or_default()),
        }
    }

    pub(crate) fn by(fault: Fault) -> Self {
        Self { fault, clock: Arc::new(Clock::new()), namespaces: Mutex::default(), losing: Arc::default() }
    }
}

#[async_trait]
impl Subject for Broken {
    type Store = Small;

    async fn open(&self, namespace: &str) -> Small {
        let rows = self.rows(if self.fault == NamespacesMeet { "" } else { namespace }).await;
        let (clock, losing) = (Arc::clone(&self.clock), Arc::clone(&self.losing));
        let process = Process::starting(self.fault, &clock);
        Small { fault: self.fault, trouble: Trouble::None, clock, rows, losing, process }
    }

    async fn open_unanswered(&self, namespace: &str) -> Result<Small, &'static str> {
        Ok(Small { trouble: Trouble::NoAnswer, ..self.open(namespace).await })
    }

    async fn open_with_little_room(&self, namespace: &str) -> Result<Small, &'static str> {
        Ok(Small { trouble: Trouble::LittleRoom, ..self.open(namespace).await })
    }

    /// It is a fault of one store that the case waits for this.
    fn deadline(&self) -> Duration {
        Duration::from_secs(if self.fault == ACallWaitsForEver { 8 } else { 60 })
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    async fn lose_the_answer(&self, to: &SessionId) -> Result<(), &'static str> {
        self.losing.lock().unwrap_or_else(PoisonError::into_inner).insert(*to);
        Ok(())
    }
}

/// One map behind one lock. Each process has the same map.
#[derive(Debug)]
pub(crate) struct Small {
    pub(crate) fault: Fault,
    pub(crate) trouble: Trouble,
    pub(crate) process: Process,
    clock: Arc<Clock>,
    rows: Arc<Mutex<Rows>>,
    /// The sessions whose next answer is lost.
    losing: Arc<Mutex<BTreeSet<SessionId>>>,
}

#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) live: BTreeMap<Vec<u8>, Row>,
    /// Rows that are gone. Like the copy that lags behind and the connections in use, only faults need them.
    pub(crate) graves: BTreeMap<Vec<u8>, Row>,
    pub(crate) replica: BTreeMap<Vec<u8>, Row>,
    pub(crate) connections: u32,
    /// What is left of an answer whose caller is gone.
    pub(crate) unread: Option<Loaded>,
    /// When the server removes the index of an owner.
    pub(crate) indexes: BTreeMap<Vec<u8>, u64>,
    /// Versions that are covered by a later one, or by the marker of a deletion.
    pub(crate) covered: BTreeMap<Vec<u8>, Row>,
    pub(crate) shared: Shared,
}

#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: SessionId,
    pub(crate) revision: Revision,
    pub(crate) payload: Vec<u8>,
    pub(crate) owner: Option<Vec<u8>>,
    /// The owner whose list shows the session. It is the session's owner, unless a fault makes them differ.
    pub(crate) listed: Option<Vec<u8>>,
    pub(crate) expires_at: u64,
    pub(crate) ends_at: u64,
    /// The expiry of the first write. The next two are that of the last write, and the longest of all.
    pub(crate) first: u64,
    pub(crate) written: u64,
    pub(crate) longest: u64,
    /// How many times the row was written.
    pub(crate) version: u64,
    /// When the server removes the row by itself. Only faults let that happen.
    pub(crate) removed_at: u64,
}

impl Row {
    pub(crate) fn expire(&mut self, expires_at: u64) {
        self.expires_at = expires_at;
        self.longest = self.longest.max(expires_at);
    }
}

impl Small {
    pub(crate) fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// Whether the answer about this session is lost, which happens once.
    pub(crate) fn loses_the_answer(&self, id: &SessionId) -> bool {
        self.losing.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    pub(crate) fn lock(&self) -> (MutexGuard<'_, Rows>, u64) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now() - self.process.started;
        rows.uncover(now);
        (rows, now)
    }

    pub(crate) fn key(&self, id: &SessionId) -> Vec<u8> {
        let mut key = id.as_bytes().to_vec();
        match self.fault {
            IdFoldedInCase => return id.to_string().to_lowercase().into(),
            IdLosesABit => key[15] &= 0xfe,
            _ => {}
        }
        key
    }

    pub(crate) fn owner(&self, owner: Option<&Owner>) -> Option<Vec<u8>> {
        let bytes = owner?.as_bytes();
        Some(match self.fault {
            OwnerFoldedInCase => bytes.to_ascii_lowercase(),
            OwnerTrimmed => bytes.trim_ascii_end().to_vec(),
            OwnerIsText => String::from_utf8_lossy(bytes).into_owned().into_bytes(),
            OwnerCutAt254 => bytes[..bytes.len().min(254)].to_vec(),
            _ => bytes.to_vec(),
        })
    }

    pub(crate) fn payload(&self, payload: &[u8]) -> Vec<u8> {
        match self.fault {
            PayloadCutAt64KiB => payload[..payload.len().min(64 * 1024 - 1)].to_vec(),
            PayloadIsText => String::from_utf8_lossy(payload).into_owned().into_bytes(),
            PayloadEndsAtZero => payload.split(|byte| *byte == 0).next().unwrap_or_default().to_vec(),
            _ => payload.to_vec(),
        }
    }

    pub(crate) fn revision(&self, revision: Revision) -> Revision {
        let mut bytes = *revision.as_bytes();
        if self.is(RevisionLosesItsSign) {
            bytes[0] &= 0x7f;
        }
        Revision::from_bytes(bytes)
    }

    pub(crate) fn row(
        &self,
        id: &SessionId,
        entry: Entry<'_>,
        [expires_in, ends_in]: [Duration; 2],
        now: u64,
    ) -> Result<Row, StoreError> {
        if self.is(FractionsOfAMillisecondFail) && !expires_in.subsec_nanos().is_multiple_of(1_000_000) {
            return Err(failure());
        }
        let ends_at = self.fault.after(now, ends_in);
        let capped = self.fault.capped(self.fault.after(now, expires_in), ends_at, CreatePastTheEnd);
        let expires_at = if self.is(CreateIgnoresTheExpiry) { ends_at } else { capped };
        let owner = self.owner(entry.owner);
        let mut row = Row {
            id: *id,
            revision: self.revision(entry.revision),
            payload: self.payload(entry.payload),
            listed: owner.clone().filter(|_| !self.is(TheIndexEndsTooEarly) || id.as_bytes()[0] < u8::MAX),
            owner,
            expires_at,
            ends_at,
            first: expires_at,
            written: expires_at,
            longest: expires_at,
            version: 0,
            removed_at: u64::MAX,
        };
        self.set_ttl(&mut row, Writing::Create, now);
        Ok(row)
    }

    pub(crate) fn is_live(&self, row: &Row, now: u64) -> bool {
        let there = !(self.is(EmptyPayloadIsMissing) && row.payload.is_empty());
        let there = there && now < row.removed_at;
        there && self.fault.is_before(now, if self.is(TheLongestExpiryCounts) { row.longest } else { row.expires_at })
    }

    pub(crate) fn is_at(&self, row: &Row, expected: Revision, now: u64, ignoring: Fault, reviving: Fault) -> bool {
        (self.is(ignoring) || row.revision == self.revision(expected)) && (self.is(reviving) || self.is_live(row, now))
    }

    pub(crate) fn loaded(&self, row: &Row, now: u64) -> Loaded {
        let left = |at: u64| Duration::from_millis(at.saturating_sub(now));
        let late = if self.is(LoadAnswersAnExpiryPastTheEnd) { 1000 } else { 0 };
        Loaded::new(row.revision, Bytes::copy_from_slice(&row.payload), left(row.expires_at + late), left(row.ends_at))
    }

    /// Does the work of a `replace`, on a row that is live and has the expected revision.
    pub(crate) fn rewrite(&self, row: &mut Row, entry: Entry<'_>, expiry: Expiry, now: u64) {
        let fault = self.fault;
        if !self.is(ReplaceKeepsTheRevision) {
            row.revision = self.revision(entry.revision);
        }
        if !self.is(ReplaceWritesThePayloadLater) || !matches!(expiry, Expiry::Restart { .. }) {
            row.payload = self.payload(entry.payload);
        }
        if self.is(ReplacedPayloadIsText) {
            row.payload = String::from_utf8_lossy(entry.payload).into_owned().into_bytes();
        }
        match expiry {
            Expiry::Keep => match fault {
                KeepExtends => row.expire((now + 3_600_000).min(row.ends_at)),
                KeepRestoresTheExpiryOfTheLastWrite => row.expire(row.written),
                KeepChangesTheOwner => (row.owner, row.listed) = (self.owner(entry.owner), self.owner(entry.owner)),
                _ => {}
            },
            Expiry::Extend(time) => {
                if self.is(ExtendMovesTheEnd) {
                    row.ends_at = row.ends_at.max(fault.after(now, time));
                }
                let at = fault.capped(fault.after(now, time), row.ends_at, ExtendPastTheEnd);
                row.expire(if self.is(ExtendOnlyLengthens) { at.max(row.expires_at) } else { at });
            }
            Expiry::Restart { expires_in, ends_in } => self.restart(row, entry, [expires_in, ends_in], now),
        }
        row.written = row.expires_at;
        row.version += 1;
        self.set_ttl(row, expiry.into(), now);
    }

    fn restart(&self, row: &mut Row, entry: Entry<'_>, [expires_in, ends_in]: [Duration; 2], now: u64) {
        let (fault, old_end) = (self.fault, row.ends_at);
        if !self.is(RestartKeepsTheEnd) {
            row.ends_at = fault.after(now, ends_in);
        }
        row.expire(fault.capped(fault.after(now, expires_in), row.ends_at, RestartPastTheEnd));
        if self.is(RestartCapsByTheOldEnd) {
            row.expire(row.expires_at.min(old_end));
        }
        let owner = self.owner(entry.owner);
        match fault {
            RestartKeepsTheOwner => {}
            RestartWithoutAnOwnerKeepsIt if owner.is_none() => {}
            RestartMovesTheListEntryOnly => row.listed = owner,
            ReplaceMovesTheListEntryLater => (row.owner, row.listed) = (owner, None),
            _ => (row.owner, row.listed) = (owner.clone(), owner),
        }
    }
}

/// Any error.
pub(crate) fn failure() -> StoreError {
    StoreError::backend("small", io::Error::other("as the fault demands"))
}
