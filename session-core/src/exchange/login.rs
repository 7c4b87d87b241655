//! What moves the generation: login, renewal, proof, and acting as another user.

use std::sync::Arc;

use crate::{
    Error, EventKind, Expiry, Login, Owner, Purpose,
    exchange::{Attempted, Began, Edit, Inner, Live, Loss, Standing, Turn, Unread, View, Written, commit::Made},
    owner::{Kept, epoch},
    record::{Age, Data, Found, Header},
    request::SessionSecret,
    session::JudgedLogin,
    store::{MERGES, Patience},
};

/// What a login in a new session takes from before.
struct Before<'a> {
    began: Began,
    /// What this request has seen of the session that it loaded.
    seen: Option<&'a Found>,
    replaced: Option<Kept>,
}

/// What a session gets beside its fresh token.
#[derive(Clone, Copy)]
enum Renewal<'a> {
    /// Nothing.
    Token,
    /// The user's last proof is now.
    Proof,
    /// Its owner acts as this one from now on.
    ActAs(&'a Owner),
    /// Its owner acts as nobody else.
    StopActing,
}

impl Renewal<'_> {
    fn needs_login(self) -> bool {
        matches!(self, Self::Proof | Self::ActAs(_))
    }

    /// The head with what the renewal changes, and the event. `None` if nothing changes: then there is no fresh token either.
    fn apply(self, now: &Header, next: Header, age: Age) -> Option<(Header, EventKind)> {
        match self {
            Self::Token => Some((next, EventKind::Renewed)),
            Self::Proof => Some((next.proved(age), EventKind::Proved)),
            Self::ActAs(owner) if now.owner.as_ref() != Some(owner) => {
                Some((next.with_acting_as(Some(owner)), EventKind::ActingBegan))
            }
            // Nobody acts as themselves.
            Self::ActAs(_) | Self::StopActing => {
                now.acting_as().map(|_| (next.with_acting_as(None), EventKind::ActingEnded))
            }
        }
    }
}

/// What a login in place has come to.
enum InPlace {
    Done,
    /// The same form was sent twice, and the other request was quicker. Either answer logs in, whichever the browser keeps.
    Doubled(Began),
    Again,
}

impl Inner {
    pub(crate) async fn login(&self, login: Login) -> Result<(), Error> {
        let login = login.judge(&self.site().policy)?;
        let mut place = self.place().await;
        let mut turn = place.resolve_for_token().await?;
        turn.judge_limit(&login).await?;
        let logged_in = turn.login(&login).await;
        if let Err(Error::Gone | Error::Superseded) = logged_in {
            turn.site().tell(&turn.resource, EventKind::LoginOvertaken, None, Some(&login.owner));
        }
        logged_in?;
        turn.end_others_after_login().await;
        Ok(())
    }

    pub(crate) async fn renew(&self) -> Result<(), Error> {
        self.place().await.resolve_for_token().await?.renew(Renewal::Token).await
    }

    pub(crate) async fn proved(&self) -> Result<(), Error> {
        self.place().await.resolve_for_token().await?.renew(Renewal::Proof).await
    }

    pub(crate) async fn act_as(&self, owner: &Owner) -> Result<(), Error> {
        self.place().await.resolve_for_token().await?.renew(Renewal::ActAs(owner)).await
    }

    pub(crate) async fn stop_acting(&self) -> Result<(), Error> {
        self.place().await.resolve_for_token().await?.renew(Renewal::StopActing).await
    }
}

impl Turn<'_, '_> {
    async fn login(&mut self, login: &JudgedLogin) -> Result<(), Error> {
        let mut patience = Patience::new();
        loop {
            patience.attempt()?;
            let view = self.view();
            let live = match &view.standing {
                Standing::Live(live) => live,
                Standing::Lost(loss) => return Err((*loss).into()),
                Standing::Failed(error) => return Err(error.clone()),
                Standing::Unread(unread) => return self.login_beside(login, Some(unread)).await,
                Standing::Unasked | Standing::Absent | Standing::Barred(_) => {
                    return self.login_beside(login, None).await;
                }
            };
            // Boxed, as is a login in a new session: each is large, and a handler's future would have room for both.
            match Box::pin(self.login_in_place(login, live, &view, &mut patience)).await? {
                InPlace::Done => return Ok(()),
                InPlace::Doubled(began) => {
                    let before = Before { began, seen: Some(&live.found), replaced: None };
                    return Box::pin(self.login_in_new_session(login, before)).await;
                }
                InPlace::Again => {}
            }
        }
    }

    /// One attempt to log in in the session that is there.
    async fn login_in_place(
        &mut self,
        login: &JudgedLogin,
        live: &Live,
        view: &View,
        patience: &mut Patience,
    ) -> Result<InPlace, Error> {
        let (found, was) = (&live.found, live.found.header());
        let began = self.began(Some(found));
        if was.owner.as_ref() != Some(&login.owner) && !began.is_within_window() {
            self.refuse_expired(found, &began).await?;
            return Err(Error::LoginExpired);
        }
        let secret = self.mint()?;
        let edit = login_edit(login, found, &secret, view)?;
        let attempted = self.attempt_generation(edit, patience).await?;
        match attempted {
            Attempted::Done(written) => {
                let replaced = Some(Kept::of(found));
                let epoch = epoch::read(&self.store, &login.owner).await;
                self.admit(Written { found: written, secret, replaced, began }, epoch, login).await?;
                Ok(InPlace::Done)
            }
            Attempted::Beaten => Ok(InPlace::Again),
            Attempted::Overtaken(now) if login.was_overtaken_by_its_like(found, &now) => Ok(InPlace::Doubled(began)),
            Attempted::Overtaken(_) => Err(self.lose(Loss::Superseded).into()),
        }
    }

    /// A login where there is no session to log in in. It takes the place of one that cannot be read.
    async fn login_beside(&mut self, login: &JudgedLogin, unread: Option<&Unread>) -> Result<(), Error> {
        let seen = unread.and_then(Unread::seen);
        let unread = unread.and_then(|unread| unread.found.as_ref());
        let began = self.began(unread.map(|found| &**found));
        let owner = unread.and_then(|found| found.header().owner.as_ref());
        if owner != Some(&login.owner) && !began.is_within_window() {
            if let Some(found) = unread {
                Box::pin(self.refuse_expired(found, &began)).await?;
            }
            return Err(Error::LoginExpired);
        }
        let replaced = unread.map(|found| Kept::of(found));
        Box::pin(self.login_in_new_session(login, Before { began, seen, replaced })).await?;
        if let Some(found) = unread {
            Box::pin(self.end_replaced(found)).await;
        }
        Ok(())
    }

    /// A login under a fresh id, with nothing but what this request has changed: what is in the session that it loaded
    /// may have been taken out of it by now.
    async fn login_in_new_session(&mut self, login: &JudgedLogin, before: Before<'_>) -> Result<(), Error> {
        let header = |secret| {
            let first = Header::new(secret, login.lifetime);
            Header { owner: Some(login.owner.clone()), ..first.next_generation(secret, Age::START) }
        };
        for _ in 0..MERGES {
            let (data, version) = self.data_of_new_login(login, before.seen)?;
            let made = self.create(data, Purpose::Login, version, header).await?;
            if let Attempted::Done(Made { found, secret, epoch }) = made {
                let Before { began, replaced, .. } = before;
                return self.admit(Written { found, secret, replaced, began }, epoch, login).await;
            }
        }
        Err(Error::Contended)
    }

    /// The changes of this request, if the login keeps them, and the version of the state that they are of.
    fn data_of_new_login(&self, login: &JudgedLogin, seen: Option<&Found>) -> Result<(Data, u64), Error> {
        let View { pending, version, .. } = self.view();
        let keeps_changes = seen.is_none_or(|found| login.keeps_data_of(found));
        Ok((if keeps_changes { pending.apply(&Data::new())? } else { Data::new() }, version))
    }

    async fn renew(&mut self, renewal: Renewal<'_>) -> Result<(), Error> {
        if self.state().only_login_may_answer {
            return Err(Error::Superseded);
        }
        let mut patience = Patience::new();
        loop {
            patience.attempt()?;
            let view = self.view();
            let live = view.standing.to_write()?;
            if renewal.needs_login() && live.is_none_or(|live| live.found.header().owner.is_none()) {
                return Err(Error::NotLoggedIn);
            }
            let Some(live) = live else { return Ok(()) };
            let (secret, now, age) = (self.mint()?, live.found.header(), live.found.age());
            let next = now.next_generation(secret.hash(), age);
            let Some((header, event)) = renewal.apply(now, next, age) else { return Ok(()) };
            let edit = view.edit(&live.found, header, view.merged()?, view.use_of(&live.found))?;
            match self.attempt_generation(edit, &mut patience).await? {
                Attempted::Done(found) => {
                    let told = if matches!(event, EventKind::ActingEnded) { &live.found } else { &found };
                    self.tell(event, Some(told));
                    self.enter(found, secret);
                    return self.rebase();
                }
                Attempted::Beaten => {}
                Attempted::Overtaken(_) => return Err(self.lose(Loss::Superseded).into()),
            }
        }
    }
}

/// What a login writes in the place of this session.
fn login_edit(login: &JudgedLogin, found: &Arc<Found>, secret: &SessionSecret, view: &View) -> Result<Edit, Error> {
    let data = if login.keeps_data_of(found) { view.merged()? } else { Data::new() };
    let (owner, lifetime) = (Some(login.owner.clone()), login.lifetime);
    let next = found.header().next_generation(secret.hash(), Age::START);
    let header = Header { owner, lifetime, login_note: None, proof: None, acting: None, ..next };
    view.edit(found, header, data, Expiry::Restart { expires_in: lifetime.idle, ends_in: lifetime.absolute })
}
