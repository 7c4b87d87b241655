//! The plays: each shows one promise, by requests and their answers.
//!
//! Each returns whether the promise was kept, as the answers and the store tell.

use std::{future::Future, sync::Arc, time::Duration};

use axum::http::{Method, StatusCode};
use base64ct::{Base64UrlUnpadded, Encoding};
use session_core::{EventKind, Lifetime, Policy, Store};
use session_memory::MemoryStore;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;

use super::stage::{Answer, Client, Interrupted, Line, SetCookie, Stage};

/// How long a play may take. It waits for nothing but the store.
const LONGEST: Duration = Duration::from_secs(10);

const MINUTE: Duration = Duration::from_secs(60);

/// What was played.
pub(crate) struct Play {
    pub(crate) script: Vec<Line>,
    pub(crate) is_kept: bool,
}

/// Plays it over the store of the site. `None` if there is no such play.
pub(crate) async fn play(name: &str, store: Arc<dyn Store>) -> Option<Result<Play, Interrupted>> {
    // A play in which hours pass has a store whose clock can be moved.
    let clock = MemoryStore::with_capacity(100);
    let over_the_clock = |policy: &Policy| Stage::over(Arc::new(clock.clone()), policy);
    let stage = match name {
        "logout" | "tabs" | "planted" | "database" | "everywhere" | "reads" | "outage" => Stage::over_the_sites(store),
        "theft" => over_the_clock(&Policy::default()),
        "time" => Policy::builder()
            .logged_in(Lifetime::new(60 * MINUTE, 180 * MINUTE))
            .rotation(180 * MINUTE)
            .build()
            .map_err(Into::into)
            .and_then(|policy| over_the_clock(&policy)),
        _ => return None,
    };
    let stage = match stage {
        Ok(stage) => stage,
        Err(error) => return Some(Err(error)),
    };
    let playing = async {
        match name {
            "logout" => logout(&stage).await,
            "tabs" => tabs(&stage).await,
            "planted" => planted(&stage).await,
            "database" => database(&stage).await,
            "theft" => theft(&stage, &clock).await,
            "everywhere" => everywhere(&stage).await,
            "time" => time(&stage, &clock).await,
            "reads" => reads(&stage).await,
            _ => outage(&stage).await,
        }
    };
    let played = match tokio::time::timeout(LONGEST, playing).await {
        Ok(played) => played,
        Err(late) => Err(late.into()),
    };
    Some(played.map(|is_kept| Play { script: stage.script(), is_kept }))
}

async fn logout(stage: &Stage) -> Result<bool, Interrupted> {
    let mut browser = Client::new("The browser");
    stage.post(&mut browser, "/login").await?;
    let (mut tab, id) = (browser.copied_by("The slow tab"), browser.session()?);
    let (late, out) = tokio::join!(stage.post(&mut tab, "/add/slowly"), async {
        stage.gate.reached.notified().await;
        stage.say("The slow tab asks the site to add one. The site has read the session, and has not saved it yet.");
        let out = stage.post(&mut browser, "/logout").await;
        stage.say("Now the slow request ends, and saves.");
        stage.gate.open.notify_one();
        out
    });
    let (late, out) = (late?, out?);
    let is_in_store = stage.store.load(&id).await?.is_some();
    let after = stage.get(&mut tab, "/account").await?;
    stage.say(format!("The store {} session.", if is_in_store { "has the" } else { "has no such" }));
    let is_silent = late.cookie == SetCookie::Nothing;
    Ok(out.status == StatusCode::OK && is_silent && !is_in_store && after.status == StatusCode::UNAUTHORIZED)
}

/// How many requests race.
pub(crate) const RACING: u64 = 20;

async fn tabs(stage: &Stage) -> Result<bool, Interrupted> {
    let mut browser = Client::new("The browser");
    stage.post(&mut browser, "/login").await?;
    let mut racing = JoinSet::new();
    for tab in 0..2 {
        for _ in 0..RACING / 2 {
            let (stage, mut tab) = (stage.clone(), browser.clone().at_node(tab));
            racing.spawn(async move { stage.send(&mut tab, Method::POST, "/add").await });
        }
    }
    let mut saved = 0;
    for answer in racing.join_all().await {
        saved += u64::from(answer?.status == StatusCode::OK);
    }
    stage.say(format!(
        "Two tabs send {RACING} times POST /add at once, each tab to a server of its own. {saved} are answered 200 OK."
    ));
    let after = stage.get(&mut browser, "/account").await?;
    Ok(saved == RACING && after.body.ends_with(&format!("counted to {RACING}")))
}

async fn planted(stage: &Stage) -> Result<bool, Interrupted> {
    let mut attacker = Client::new("The attacker");
    stage.post(&mut attacker, "/add").await?;
    let mut victim = attacker.copied_by("The victim");
    stage.say("The attacker has got a cookie from the site, and plants it in the victim's browser.");
    stage.post(&mut victim, "/login").await?;
    let inside = stage.get(&mut victim, "/account").await?;
    let outside = stage.get(&mut attacker, "/account").await?;

    let mut inventor = Client::new("An inventor").with_cookie("A".repeat(114));
    stage.say("Somebody else makes a cookie up.");
    let before = stage.store.calls();
    let refused = stage.get(&mut inventor, "/account").await?;
    let is_asked = stage.store.calls() != before;
    stage.say(if is_asked { "The store was asked." } else { "The store was not even asked." });
    let nobody = StatusCode::UNAUTHORIZED;
    Ok(inside.status == StatusCode::OK && outside.status == nobody && refused.status == nobody && !is_asked)
}

async fn database(stage: &Stage) -> Result<bool, Interrupted> {
    let mut browser = Client::new("The browser");
    stage.post(&mut browser, "/login").await?;
    let (token, cookie) = (browser.token()?, browser.cookie.clone().unwrap_or_default());
    let (head, secret) = token.split_at_checked(20).ok_or("a short token")?;
    let loaded = stage.store.load(&browser.session()?).await?.ok_or("the session is gone")?;
    let record = loaded.payload;
    stage.quote("The browser's cookie:", &cookie);
    stage.quote("What the database has under the session's id:", &record.escape_ascii());
    let has = |part: &[u8]| record.windows(part.len()).any(|window| window == part);
    // The first 27 characters are the id and the generation, which are no secrets.
    let text = cookie.as_bytes().get(27..).unwrap_or_default();
    let shows = secret.windows(8).any(has) || text.windows(8).any(has);

    let hash = Sha256::digest(secret);
    let Some(stored) = record.windows(32).find(|part| *part == hash.as_slice()) else {
        stage.say("The record has no hash of the secret.");
        return Ok(false);
    };

    stage.say("The thief finds the hash of the secret in the record, and makes a cookie of it.");
    let token = [head, stored].concat();
    let before = stage.store.calls();
    let mut thief = Client::new("The thief").with_cookie(unsigned(&token));
    let unsigned = stage.get(&mut thief, "/account").await?;
    let is_asked = stage.store.calls() != before;
    stage.say(if is_asked { "The store was asked." } else { "It is not signed, so the store was not even asked." });
    let inside = stage.get(&mut browser, "/account").await?;

    stage.say("The thief has stolen the site's key, too, and signs the cookie.");
    let mut thief = thief.with_cookie(stage.sign(&token)?);
    let signed = stage.get(&mut thief, "/account").await?;
    let shows_theft = stage.was_told(&EventKind::TheftDetected);
    stage.say(if shows_theft { "The site gets the event session.theft." } else { "The site gets no event." });
    let is_refused = [unsigned, signed].iter().all(|answer| answer.status == StatusCode::UNAUTHORIZED);
    Ok(!shows && is_refused && !is_asked && shows_theft && inside.status == StatusCode::OK)
}

/// A cookie of this token with a signature that nobody made.
fn unsigned(token: &[u8]) -> String {
    format!("{}.{}", Base64UrlUnpadded::encode_string(token), "A".repeat(43))
}

async fn theft(stage: &Stage, clock: &MemoryStore) -> Result<bool, Interrupted> {
    let mut browser = Client::new("The browser");
    stage.post(&mut browser, "/login").await?;
    let mut thief = browser.copied_by("The thief");
    stage.say("The thief has copied the cookie. Nobody can tell the two apart yet.");
    stage.get(&mut thief, "/account").await?;
    clock.advance(15 * MINUTE);
    stage.say("Fifteen minutes later the token is due to be replaced.");
    stage.get(&mut browser, "/account").await?;
    let proven = stage.get(&mut browser, "/account").await?;
    clock.advance(2 * MINUTE);
    stage.say("The browser has shown that it has the new cookie. Two minutes later, the old one comes back.");
    let stolen = stage.get(&mut thief, "/account").await?;
    let shows = stage.was_told(&EventKind::TheftDetected);
    stage.say(if shows { "The site gets the event session.theft." } else { "The site gets no event." });
    let after = stage.get(&mut browser, "/account").await?;
    let is_over = [&stolen, &after].iter().all(|answer| answer.status == StatusCode::UNAUTHORIZED);
    Ok(proven.status == StatusCode::OK && shows && is_over)
}

async fn everywhere(stage: &Stage) -> Result<bool, Interrupted> {
    let (mut laptop, mut phone) = (Client::new("The laptop"), Client::new("The phone"));
    stage.post(&mut laptop, "/login").await?;
    stage.post(&mut phone, "/login").await?;
    let mut thief = Client::new("The thief");
    let (late, ended) = tokio::join!(stage.post(&mut thief, "/login/slowly"), async {
        stage.gate.reached.notified().await;
        stage.say("The thief knows the password, and logs in. The site is still checking it.");
        let ended = stage.post(&mut laptop, "/end-others").await;
        stage.say("Now the password is checked, and it is right.");
        stage.gate.open.notify_one();
        ended
    });
    let (late, ended) = (late?, ended?);
    let out = stage.get(&mut phone, "/account").await?;
    let inside = stage.get(&mut laptop, "/account").await?;
    let is_refused = late.status == StatusCode::CONFLICT && thief.cookie.is_none();
    Ok(ended.status == StatusCode::OK
        && is_refused
        && out.status == StatusCode::UNAUTHORIZED
        && inside.status == StatusCode::OK)
}

async fn time(stage: &Stage, clock: &MemoryStore) -> Result<bool, Interrupted> {
    let mut browser = Client::new("The busy browser");
    stage.say("Here a login ends after an hour without use, and after three hours in any case.");
    stage.post(&mut browser, "/login").await?;
    let mut is_kept = true;
    for minutes in [50, 100, 150] {
        clock.advance(50 * MINUTE);
        stage.say(format!("{minutes} minutes after the login:"));
        is_kept &= stage.get(&mut browser, "/account").await?.status == StatusCode::OK;
    }
    clock.advance(35 * MINUTE);
    stage.say("185 minutes after the login:");
    is_kept &= stage.get(&mut browser, "/account").await?.status == StatusCode::UNAUTHORIZED;
    let mut idle = Client::new("The idle browser");
    stage.post(&mut idle, "/login").await?;
    clock.advance(61 * MINUTE);
    stage.say("61 minutes after this login:");
    is_kept &= stage.get(&mut idle, "/account").await?.status == StatusCode::UNAUTHORIZED;
    Ok(is_kept)
}

async fn reads(stage: &Stage) -> Result<bool, Interrupted> {
    let (mut stranger, mut browser) = (Client::new("A stranger"), Client::new("The browser"));
    let looks = calls(stage, stage.get(&mut stranger, "/account")).await?;
    stage.post(&mut browser, "/login").await?;
    let asks_nothing = calls(stage, stage.get(&mut browser, "/ping")).await?;
    let reads = calls(stage, stage.get(&mut browser, "/account")).await?;
    let reads_again = calls(stage, stage.get(&mut browser, "/account")).await?;
    let writes = calls(stage, stage.post(&mut browser, "/add")).await?;
    let load = ["load"];
    Ok(looks.is_empty() && asks_nothing.is_empty() && reads == load && reads_again == load && writes.len() == 2)
}

/// The calls of the store that the request makes.
async fn calls(
    stage: &Stage,
    request: impl Future<Output = Result<Answer, Interrupted>>,
) -> Result<Vec<&'static str>, Interrupted> {
    let before = stage.store.calls();
    request.await?;
    let mut calls = Vec::new();
    for (method, count) in stage.store.calls() {
        let more = count.saturating_sub(before.get(method).copied().unwrap_or_default());
        calls.extend((0..more).map(|_| method));
    }
    let named = if calls.is_empty() { "none".to_owned() } else { calls.join(", ") };
    stage.say(format!("Calls of the store: {named}."));
    Ok(calls)
}

async fn outage(stage: &Stage) -> Result<bool, Interrupted> {
    let mut browser = Client::new("The browser");
    stage.post(&mut browser, "/login").await?;
    stage.post(&mut browser, "/add").await?;
    let cookie = browser.cookie.clone();
    stage.store.cut(true);
    stage.say("Now the store fails at each call.");
    let read = stage.get(&mut browser, "/account").await?;
    let save = stage.post(&mut browser, "/add").await?;
    stage.store.cut(false);
    stage.say("The store is back.");
    let after = stage.get(&mut browser, "/account").await?;
    let says_so = [read, save].iter().all(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE);
    Ok(says_so && browser.cookie == cookie && after.body.ends_with("counted to 1"))
}
