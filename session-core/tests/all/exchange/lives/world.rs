//! The browsers, what they do, and what has been answered.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use session_core::{Error, EventKind, Outcome, Owner, Session, SessionId};

use crate::support::*;

/// The users. Each may log in from each browser.
pub(super) const USERS: [u64; 2] = [1, 2];

/// What one request does, or a job outside of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Visit,
    Add,
    Save,
    AddNow,
    Login(u64),
    /// A login that ends the user's other sessions, as after a new password.
    LoginAlone(u64),
    Renew,
    Logout,
    RevokeOthers,
    RevokeAll(u64),
}

use Deed::*;

/// Counts what begins and ends, in its order.
type Moment = usize;

/// A browser: its one jar, which its tabs share, and what is known of it.
#[derive(Debug, Default)]
struct Home {
    cookie: Option<String>,
    /// What the jar had when the round began.
    earlier: Option<String>,
    /// The logins that have begun here: when, and whose.
    logins: Vec<(Moment, u64)>,
    /// The tokens that a login or a renewal has killed.
    dead: Vec<String>,
}

/// What has been answered, all in all.
#[derive(Debug, Default)]
struct Book {
    last: Moment,
    homes: Vec<Home>,
    /// The sessions that were ended by a logout, and when that was answered.
    ended: HashMap<SessionId, Moment>,
    revocations: Vec<Revocation>,
}

/// A revocation that was answered.
#[derive(Debug)]
struct Revocation {
    begun: Moment,
    answered: Moment,
    user: u64,
    kept: Option<SessionId>,
}

/// A request that is to come.
#[derive(Clone, Debug)]
pub(super) struct Tab {
    pub(super) home: usize,
    pub(super) deed: Deed,
    /// It has been on its way since the round began, with the cookie of then.
    pub(super) is_delayed: bool,
    pub(super) is_answer_lost: bool,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) site: Site,
    book: Rc<RefCell<Book>>,
    pub(super) what: Rc<str>,
}

/// What became of a request.
#[derive(Debug)]
pub(super) struct Done {
    /// How much it has surely added, and how much perhaps.
    pub(super) added: [i64; 2],
    /// It has done what it was for, and the browser has got its answer.
    pub(super) is_received: bool,
}

impl World {
    pub(super) fn new(site: Site, homes: usize, what: String) -> Self {
        let homes = (0..homes).map(|_| Home::default()).collect();
        Self { site, book: Rc::new(RefCell::new(Book { homes, ..Book::default() })), what: what.into() }
    }

    pub(super) fn homes(&self) -> usize {
        self.book.borrow().homes.len()
    }

    fn now(&self) -> Moment {
        let mut book = self.book.borrow_mut();
        book.last += 1;
        book.last
    }

    fn browser(&self, home: usize, site: &Site) -> Browser {
        Browser { manager: site.manager.clone(), cookie: self.book.borrow().homes[home].cookie.clone() }
    }

    /// A request of this browser, which began then, sees this session.
    fn check(&self, home: usize, begun: Moment, session: &Session) {
        let (book, what) = (self.book.borrow(), &self.what);
        let Some(id) = session.id() else { return };
        let is_over = book.ended.get(&id).is_some_and(|answered| *answered < begun);
        assert!(!is_over, "a session is back after its logout: {what}");
        let Some(owner) = session.owner() else { return };
        let user = USERS.into_iter().find(|user| Owner::from(*user) == owner).unwrap();
        let logins: Vec<_> = book.homes[home].logins.iter().filter(|(_, whose)| *whose == user).collect();
        assert!(!logins.is_empty(), "user {user} has never logged in here: {what}");
        assert!(session.get("user").unwrap().is_none_or(|whose: u64| whose == user), "another user's value: {what}");
        for revoked in book.revocations.iter().filter(|revoked| revoked.user == user && revoked.answered < begun) {
            let is_newer = logins.iter().any(|(login, _)| *login > revoked.begun);
            assert!(is_newer || revoked.kept == Some(id), "a session is back after its revocation: {what}");
        }
    }

    /// One request of a browser, or what comes of a job.
    pub(super) async fn request(self, site: Site, tab: Tab) -> Done {
        let Tab { home, deed, is_delayed, is_answer_lost } = tab;
        let mut done = Done { added: [0, 0], is_received: false };
        if let RevokeAll(user) = deed {
            self.revoke_all(&site, user).await;
            return done;
        }
        let (begun, mut browser) = (self.now(), self.browser(home, &site));
        if is_delayed {
            browser.cookie = self.book.borrow().homes[home].earlier.clone();
        }
        let exchange = browser.open();
        let Ok(session) = exchange.session().await else { return done };
        self.check(home, begun, &session);
        let is_done = self.act(home, deed, browser.cookie.clone(), &session, &mut done).await;
        let committed = exchange.commit().await;
        let has_saved_nothing = matches!(&committed, Ok(outcome) if *outcome != Outcome::Saved);
        if deed == Add && !has_saved_nothing {
            done.note(&committed);
        }
        if !is_answer_lost {
            // Also after an error: a login that has succeeded has a cookie to send.
            let mut jar = Browser { cookie: self.book.borrow().homes[home].cookie.clone(), ..browser };
            jar.receive(&exchange.headers());
            self.book.borrow_mut().homes[home].cookie = jar.cookie;
        }
        done.is_received = is_done && committed.is_ok() && !is_answer_lost;
        done
    }

    /// Returns whether it was answered with a success.
    async fn act(&self, home: usize, deed: Deed, token: Option<String>, session: &Session, done: &mut Done) -> bool {
        let (begun, id) = (self.now(), session.id());
        match deed {
            Visit => true,
            Add => {
                add_one(session);
                true
            }
            Save => {
                add_one(session);
                done.note(&session.save().await)
            }
            AddNow => done.note(&session.update_now("n", |n: &mut i64| *n += 1).await),
            Login(user) | LoginAlone(user) => {
                self.book.borrow_mut().homes[home].logins.push((begun, user));
                let login = session_core::Login::new(user);
                let is_alone = matches!(deed, LoginAlone(_));
                let login = if is_alone { login.ending_others() } else { login };
                let logged_in = session.login(login).await.is_ok();
                if logged_in {
                    session.insert("user", &user).unwrap();
                    self.note_dead(home, token);
                }
                if logged_in && is_alone {
                    self.note_revoked(begun, user, session.id());
                }
                logged_in
            }
            Renew => {
                let is_renewed = session.renew().await.is_ok();
                if is_renewed && session.owner().is_some() {
                    self.note_dead(home, token);
                }
                is_renewed
            }
            Logout => {
                let is_ended = session.logout().await.is_ok();
                let now = self.now();
                if let (true, Some(id)) = (is_ended, id) {
                    self.book.borrow_mut().ended.entry(id).or_insert(now);
                }
                is_ended
            }
            RevokeOthers => {
                let owner = session.owner();
                let is_revoked = session.revoke_others().await.is_ok();
                let user = USERS.into_iter().find(|user| owner == Some(Owner::from(*user)));
                if let (true, Some(user)) = (is_revoked, user) {
                    self.note_revoked(begun, user, id);
                }
                is_revoked
            }
            RevokeAll(_) => unreachable!("a job does this"),
        }
    }

    fn note_dead(&self, home: usize, token: Option<String>) {
        self.book.borrow_mut().homes[home].dead.extend(token);
    }

    fn note_revoked(&self, begun: Moment, user: u64, kept: Option<SessionId>) {
        let answered = self.now();
        self.book.borrow_mut().revocations.push(Revocation { begun, answered, user, kept });
    }

    /// Support ends all sessions of a user.
    async fn revoke_all(&self, site: &Site, user: u64) {
        let begun = self.now();
        if site.manager.revoke_all(&Owner::from(user)).await.is_ok() {
            self.note_revoked(begun, user, None);
        }
    }
}

impl Done {
    /// Notes what was added. Returns whether it was answered with a success.
    fn note<T>(&mut self, saved: &Result<T, Error>) -> bool {
        match saved {
            Ok(_) => self.added[0] = 1,
            Err(error) => self.added[1] = perhaps(error),
        }
        saved.is_ok()
    }
}

/// How much was perhaps added, if this was the answer.
fn perhaps(error: &Error) -> i64 {
    if matches!(error, Error::Gone | Error::Superseded) { 0 } else { 1 }
}

/// A browser while none of its requests is under way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Quiet {
    pub(super) id: Option<SessionId>,
    pub(super) owner: Option<Owner>,
    pub(super) n: i64,
}

impl World {
    pub(super) async fn look(&self, home: usize) -> Quiet {
        let begun = self.now();
        let cookie = self.book.borrow().homes[home].cookie.clone();
        self.book.borrow_mut().homes[home].earlier = cookie;
        let (_, session) = self.browser(home, &self.site).start().await;
        self.check(home, begun, &session);
        Quiet { id: session.id(), owner: session.owner(), n: session.get("n").unwrap().unwrap_or_default() }
    }

    /// The tokens that were killed open nothing.
    pub(super) async fn look_for_dead(&self) {
        let has_failed = |kind: &EventKind| matches!(kind, EventKind::EndFailed(_));
        if self.site.events.count(has_failed) > 0 {
            return;
        }
        let dead: Vec<_> = self.book.borrow().homes.iter().flat_map(|home| home.dead.clone()).collect();
        for token in dead {
            let browser = Browser { manager: self.site.manager.clone(), cookie: Some(token) };
            let (_, session) = browser.start().await;
            assert_eq!(session.id(), None, "a token from before a login or renewal: {}", self.what);
        }
    }
}
