//! Private pages over https. There Chromium keeps a page with `no-store`, too, in its memory for the way back (bfcache), for
//! three minutes. It drops the page when a cookie changes. But it miscounts the changes if redirects that set cookies have
//! led to the page, as at each login.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    http::{StatusCode, Uri},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
    serve::Listener,
};
use session_core::{Key, Keyring, SessionManager, SiteData};
use session_memory::MemoryStore;
use session_tower::{Session, SessionError, SessionLayer};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
    server::TlsStream,
};

use crate::browser::{
    chromium::{Chromium, Profile},
    stall::in_a_browser,
};

in_a_browser! {
    a_page_without_the_script_comes_back_although_its_session_was_ended_elsewhere
    a_page_with_the_script_does_not_come_back_after_its_session_was_ended_elsewhere
    a_page_with_the_script_does_not_come_back_after_a_logout
    a_logout_that_clears_the_cache_leaves_no_page_to_come_back
}

const SWITCHES: [&str; 1] = ["--ignore-certificate-errors"];
/// The private page that the login redirects to, and one that is opened again.
const REDIRECTED: [&str; 1] = ["/login"];
const OPENED: [&str; 2] = ["/login", "/private"];

const USER_S: &str = "the page of user 42";
const NOBODY_S: &str = "the page of nobody";

/// What the guide gives for private pages.
const SCRIPT: &str = "
    addEventListener('pagehide', (event) => { if (event.persisted) document.body.hidden = true; });
    addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });";

fn manager() -> SessionManager {
    SessionManager::new(MemoryStore::new(), Keyring::new(Key::generate().unwrap()))
}

async fn answer(script: &str, uri: Uri, session: Session) -> Result<Response, SessionError> {
    match uri.path() {
        "/login" => {
            session.login(42).await?;
            return Ok(Redirect::to("/private").into_response());
        }
        "/logout" => session.logout().await?,
        _ => {}
    }
    let user = session.owner().map_or("nobody".to_owned(), |owner| format!("user {owner}"));
    let title = "addEventListener('pageshow', (event) => { document.title = event.persisted; });";
    Ok(Html(format!("<body><p>the page of {user}</p><a href=/other></a><script>{title}{script}</script>"))
        .into_response())
}

/// Accepts connections over TLS.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Tls {
    /// With a certificate that nobody has signed: the browser is told to ignore that.
    async fn listen() -> Self {
        let made = rcgen::generate_simple_self_signed(["shop.test".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { listener, acceptor: Arc::new(config).into() }
    }
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (connection, address) = Listener::accept(&mut self.listener).await;
            // A browser may open a connection and think better of it.
            if let Ok(connection) = self.acceptor.accept(connection).await {
                return (connection, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A browser whose user has gone through these pages, and then on by a link.
async fn browser(chromium: &Chromium, manager: SessionManager, script: &'static str, pages: &[&str]) -> Profile {
    let tls = Tls::listen().await;
    let address = format!("https://shop.test:{}", tls.listener.local_addr().unwrap().port());
    let site = Router::new()
        .fallback(async move |uri: Uri, session: Session| answer(script, uri, session).await)
        // Chromium does not keep a page whose icon came with `no-store`.
        .route("/favicon.ico", get(async || StatusCode::NOT_FOUND))
        .layer(SessionLayer::new(manager));
    tokio::spawn(async move { axum::serve(tls, site).await });
    let profile = chromium.profile_with(Arc::new(TempDir::new().unwrap()), address, &SWITCHES).await;
    for page in pages {
        profile.open(page).await;
        profile.is_at("/private").await;
    }
    profile.driver.execute("document.querySelector('a').click()", Vec::new()).await.unwrap();
    profile.is_at("/other").await;
    profile
}

impl Profile {
    /// Logs out by a script of the page, as a single-page app does.
    async fn logs_out(&self) {
        let script = "const [done] = arguments; fetch('/logout', { method: 'POST' }).then(() => done());";
        self.driver.execute_async(script, Vec::new()).await.unwrap();
    }

    async fn goes_back_and_never_sees_the_private_page(&self) {
        self.driver.back().await.unwrap();
        self.is_at("/private").await;
        // This holds from the first moment on, not only once the page has been loaded again.
        assert!(!self.seen().await.contains(USER_S));
        self.sees(NOBODY_S).await;
    }
}

/// This shows that the tests below can fail. If Chromium has changed its mind, the guide may say less.
async fn a_page_without_the_script_comes_back_although_its_session_was_ended_elsewhere() {
    let (chromium, manager) = (Chromium::start(), manager());
    let profile = browser(&chromium, manager.clone(), "", &OPENED).await;
    assert_eq!(manager.revoke_all(&42.into()).await.unwrap(), 1);
    assert_eq!(profile.goes_back_to("/private").await, (USER_S.to_owned(), true));
}

async fn a_page_with_the_script_does_not_come_back_after_its_session_was_ended_elsewhere() {
    let (chromium, manager) = (Chromium::start(), manager());
    let profile = browser(&chromium, manager.clone(), SCRIPT, &OPENED).await;
    assert_eq!(manager.revoke_all(&42.into()).await.unwrap(), 1);
    profile.goes_back_and_never_sees_the_private_page().await;
}

async fn a_page_with_the_script_does_not_come_back_after_a_logout() {
    let chromium = Chromium::start();
    let profile = browser(&chromium, manager(), SCRIPT, &REDIRECTED).await;
    profile.logs_out().await;
    profile.goes_back_and_never_sees_the_private_page().await;
}

async fn a_logout_that_clears_the_cache_leaves_no_page_to_come_back() {
    let chromium = Chromium::start();
    let profile = browser(&chromium, manager().with_clear_site_data([SiteData::Cache]), "", &REDIRECTED).await;
    profile.logs_out().await;
    assert_eq!(profile.goes_back_to("/private").await, (NOBODY_S.to_owned(), false));
}
