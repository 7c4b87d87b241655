//! How long sessions last, when tokens rotate, how many sessions a user may have.

use std::{fmt::Write, time::Duration};

use crate::{ConfigError, Error, record::Data};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest lifetime: what browsers keep a cookie for (RFC 6265bis, section 5.5).
const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// An idle and an absolute timeout that hold together.
///
/// # Examples
///
/// ```
/// use session_core::Lifetime;
/// use std::time::Duration;
///
/// let shift = Lifetime::new(Duration::from_secs(15 * 60), Duration::from_secs(8 * 60 * 60));
/// ```
#[doc(alias("expiry", "max_age", "cookie_age"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
    pub(crate) persistent: bool,
}

impl Lifetime {
    /// Ends after `idle` without use, and `absolute` after it began, whatever happens.
    #[must_use]
    pub const fn new(idle: Duration, absolute: Duration) -> Self {
        Self { idle, absolute, persistent: false }
    }

    /// The same with a cookie that survives the end of the browser.
    #[must_use]
    pub const fn persistent(self) -> Self {
        Self { persistent: true, ..self }
    }

    pub(crate) fn judge(self, name: &'static str) -> Result<(), ConfigError> {
        judge_duration(self.idle, name)?;
        judge_duration(self.absolute, name)?;
        if self.idle > self.absolute { Err(ConfigError::IdleAboveAbsolute { name }) } else { Ok(()) }
    }
}

fn judge_duration(duration: Duration, name: &'static str) -> Result<(), ConfigError> {
    let range = Duration::from_millis(1)..=LONGEST;
    if range.contains(&duration) { Ok(()) } else { Err(ConfigError::Duration { name }) }
}

/// What a page gets if its session is stored and cannot be read. For example, the site was rolled back, and a later version
/// has written the values. Or the key that sealed the session is gone.
///
/// In either case [`Session::login`](crate::Session::login) makes a new session,
/// [`Session::logout`](crate::Session::logout) ends the one that cannot be read, and what is stored is never overwritten.
/// Both read the head of what is stored, which every version can read. If not even that can be read, a login still makes a new
/// session, a logout is an error, and what is stored stays until it expires. Each such request is an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenUnreadable {
    /// An error. Methods that read a value answer [`StoreError::Corrupt`](crate::StoreError::Corrupt). So does the commit,
    /// unless the handler has logged in or out. Methods that have no error to answer, such as
    /// [`Session::owner`](crate::Session::owner), answer as for an empty session. A handler that must know before the commit
    /// asks [`Session::readable`](crate::Session::readable).
    #[default]
    Fail,
    /// No session: nobody is logged in, there are no values, and none are saved
    /// ([`Outcome::Unreadable`](crate::Outcome::Unreadable)). No session is created and no cookie leaves, because the cookie
    /// would replace a login that another version of the application can read.
    GoOnWithout,
}

/// What happens to a login of a user who has as many sessions as the policy allows.
///
/// # Examples
///
/// ```
/// use session_core::{AtLimit, Policy};
///
/// let policy = Policy::builder().sessions_per_owner(3).at_limit(AtLimit::RefuseLogin).build()?;
/// # Ok::<(), session_core::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AtLimit {
    /// The oldest session ends.
    #[default]
    EndOldest,
    /// The login is refused: [`Error::TooManySessions`](crate::Error::TooManySessions). Nothing has changed, and the user can
    /// end a session (from a list that the login's page makes by [`devices`](crate::SessionManager::devices)) and log in again.
    ///
    /// The limit is never exceeded. If several logins want the last place at once, one of them gets it; rarely, none does. A
    /// login that is refused so late has ended its anonymous session. A login in the user's own session needs no further
    /// place, nor does one that [ends the others](crate::Login::ending_others). Each login lists the user's sessions twice.
    RefuseLogin,
}

/// What holds for the sessions of a site.
///
/// The default follows NIST SP 800-63B-4 at AAL2 for a login without "remember me".
///
/// # How long a request may take
///
/// A request takes until the browser has stored its answer. While that is less than the rotation interval **and** less than
/// half the grace, an honest request is never taken for a thief's. The defaults allow 30 seconds.
///
/// # Examples
///
/// ```
/// use session_core::{Lifetime, Policy};
/// use std::time::Duration;
///
/// let minutes = |n: u64| Duration::from_secs(n * 60);
/// let policy = Policy::builder()
///     .logged_in(Lifetime::new(minutes(10), minutes(8 * 60)))
///     .sessions_per_owner(5)
///     .build()?;
/// println!("{}", policy.describe());
/// # Ok::<(), session_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(crate) before_login: Lifetime,
    pub(crate) logged_in: Lifetime,
    pub(crate) remembered: Lifetime,
    pub(crate) rotation: Duration,
    pub(crate) grace: Duration,
    pub(crate) sessions_per_owner: Option<u32>,
    pub(crate) at_limit: AtLimit,
    pub(crate) size_limit: usize,
    pub(crate) when_unreadable: WhenUnreadable,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            before_login: Lifetime::new(HOUR, HOUR.saturating_mul(4)),
            logged_in: Lifetime::new(HOUR, DAY),
            remembered: Lifetime::new(DAY.saturating_mul(14), DAY.saturating_mul(30)).persistent(),
            rotation: MINUTE.saturating_mul(15),
            grace: MINUTE,
            sessions_per_owner: None,
            at_limit: AtLimit::EndOldest,
            size_limit: 1 << 20,
            when_unreadable: WhenUnreadable::Fail,
        }
    }
}

impl Policy {
    /// The default policy, to be changed.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder(Self::default())
    }

    /// NIST SP 800-63B-4, section 2.1.3: a login lasts 30 days at most. Here it also ends after 14 days without use.
    #[must_use]
    pub fn aal1() -> Self {
        let month = Self::default().remembered;
        Self { logged_in: Lifetime { persistent: false, ..month }, remembered: month, ..Self::default() }
    }

    /// NIST SP 800-63B-4, section 2.2.3: a login lasts 24 hours at most, and one hour without use. "Remember me" gives no more
    /// time. It only keeps the cookie when the browser is closed.
    #[must_use]
    pub fn aal2() -> Self {
        let day = Lifetime::new(HOUR, DAY);
        Self { logged_in: day, remembered: day.persistent(), ..Self::default() }
    }

    /// NIST SP 800-63B-4, section 2.3.3: a login lasts 12 hours at most, and 15 minutes without use. It ends when the
    /// browser is closed.
    #[must_use]
    pub fn aal3() -> Self {
        let half_day = Lifetime::new(MINUTE.saturating_mul(15), HOUR.saturating_mul(12));
        Self {
            before_login: Lifetime::new(MINUTE.saturating_mul(15), HOUR),
            logged_in: half_day,
            remembered: half_day,
            rotation: MINUTE.saturating_mul(5),
            ..Self::default()
        }
    }

    /// A sheet that a security reviewer can read.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut sheet = String::new();
        let mut line = |what: &str, value: String| {
            // Writing to a string does not fail.
            let _ = writeln!(sheet, "{what:<38} {value}");
        };
        for (name, lifetime) in
            [("before login", self.before_login), ("logged in", self.logged_in), ("remembered", self.remembered)]
        {
            line(&format!("{name}: ends without use after"), in_words(lifetime.idle));
            line(&format!("{name}: ends in any case after"), in_words(lifetime.absolute));
            let cookie = if lifetime.persistent { "until the session's end" } else { "until the browser is closed" };
            line(&format!("{name}: the browser keeps it"), cookie.to_owned());
        }
        line("a login's token rotates every", in_words(self.rotation));
        line("a replaced token is accepted for", in_words(self.grace));
        let half_grace = in_words(self.rotation.min(self.grace / 2));
        line("a request is safe while shorter than", half_grace);
        line("a key that signs no more is needed for", in_words(self.longest_under_one_key()));
        let further = match self.at_limit {
            AtLimit::EndOldest => "a further login ends the oldest",
            AtLimit::RefuseLogin => "a further login is refused",
        };
        let limit = self.sessions_per_owner.map_or("no limit".to_owned(), |limit| format!("{limit}, {further}"));
        line("sessions per user", limit);
        line("largest session", format!("{} bytes", self.size_limit));
        let pages = match self.when_unreadable {
            WhenUnreadable::Fail => "its pages fail",
            WhenUnreadable::GoOnWithout => "its pages go on without one",
        };
        line("if a stored session cannot be read", pages.to_owned());
        sheet
    }

    /// No session grows beyond the limit. One that is larger, because the limit was lowered, may stay so.
    pub(crate) fn judge_size(&self, data: &Data, before: &Data) -> Result<(), Error> {
        let (size, limit) = (data.length(), self.size_limit);
        if size > limit && size > before.length() { Err(Error::TooLarge { size, limit }) } else { Ok(()) }
    }

    /// How long a key is still needed after it has signed its last token.
    ///
    /// A login's token is replaced at the first use after the grace. Each use may come an idle timeout after the one before.
    /// An anonymous token is never signed again. The lifetimes of [`Login::lasting`](crate::Login::lasting) are not known here.
    fn longest_under_one_key(&self) -> Duration {
        let idle = self.logged_in.idle.max(self.remembered.idle);
        idle.saturating_add(self.grace).max(self.before_login.absolute)
    }
}

/// A duration as a person writes it, exact to the millisecond.
fn in_words(duration: Duration) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")];
    let mut rest = duration.as_millis();
    let mut words = Vec::new();
    for (length, unit) in units {
        if rest >= length {
            words.push(format!("{} {unit}", rest / length));
            rest %= length;
        }
    }
    words.join(" ")
}

/// Collects the parts of a [`Policy`] and judges them together.
#[derive(Clone, Debug)]
pub struct PolicyBuilder(Policy);

impl PolicyBuilder {
    /// How long a session without a login lasts. Default: idle 1 h, absolute 4 h.
    #[must_use]
    pub fn before_login(mut self, lifetime: Lifetime) -> Self {
        self.0.before_login = lifetime;
        self
    }

    /// How long a login lasts. Default: idle 1 h, absolute 24 h.
    #[must_use]
    pub fn logged_in(mut self, lifetime: Lifetime) -> Self {
        self.0.logged_in = lifetime;
        self
    }

    /// How long a login with "remember me" lasts. Default: idle 14 days, absolute 30, persistent.
    ///
    /// **A lifetime of your own needs [`persistent`](Lifetime::persistent), too.** Without it browsers drop the cookie when
    /// they are closed, and no error tells of it: the session lasts on the server, and nobody comes back to it.
    /// [`Policy::describe`] says which it is.
    #[must_use]
    pub fn remembered(mut self, lifetime: Lifetime) -> Self {
        self.0.remembered = lifetime;
        self
    }

    /// How long after the last rotation a login's token gets a successor. Default: 15 min. A token that is used after
    /// its successor was proven, and after the [grace](Self::grace), ends the session. One under a [retired
    /// key](crate::Keyring::and_retire) gets its successor as soon as the grace is over.
    #[must_use]
    pub fn rotation(mut self, interval: Duration) -> Self {
        self.0.rotation = interval;
        self
    }

    /// How long a replaced token is still accepted, for requests that were on their way. Default: 60 s.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Self {
        self.0.grace = grace;
        self
    }

    /// How many sessions an owner may have. [`at_limit`](Self::at_limit) says what a further login does. Default: no limit.
    #[must_use]
    pub fn sessions_per_owner(mut self, limit: u32) -> Self {
        self.0.sessions_per_owner = Some(limit);
        self
    }

    /// What happens to a login of a user who has that many sessions. Default: it ends the oldest.
    #[must_use]
    pub fn at_limit(mut self, at_limit: AtLimit) -> Self {
        self.0.at_limit = at_limit;
        self
    }

    /// How many bytes an encoded session may take. Default and most: 1 MiB. Least: 1 KiB, of which 912 count as the session's
    /// own, and the rest is for values.
    #[must_use]
    pub fn size_limit(mut self, bytes: usize) -> Self {
        self.0.size_limit = bytes;
        self
    }

    /// What a page gets if its session is stored and cannot be read. Default: an error.
    #[must_use]
    pub fn when_unreadable(mut self, pages: WhenUnreadable) -> Self {
        self.0.when_unreadable = pages;
        self
    }

    /// Judges the whole.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names what does not fit together.
    pub fn build(self) -> Result<Policy, ConfigError> {
        let policy = self.0;
        policy.before_login.judge("before_login")?;
        policy.logged_in.judge("logged_in")?;
        policy.remembered.judge("remembered")?;
        judge_duration(policy.rotation, "rotation")?;
        judge_duration(policy.grace, "grace")?;
        if policy.rotation <= policy.grace {
            return Err(ConfigError::RotationWithinGrace);
        }
        if policy.sessions_per_owner == Some(0) {
            return Err(ConfigError::NoSessions);
        }
        if !(1024..=1 << 20).contains(&policy.size_limit) {
            return Err(ConfigError::SizeLimit);
        }
        Ok(policy)
    }
}
