//! Chromium: its driver, and profiles that share nothing.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{
    By, ChromiumLikeCapabilities, Cookie, DesiredCapabilities, WebDriver, WebElement, WindowHandle,
    extensions::query::{ElementPollerWithTimeout, ElementQueryable},
};

use crate::browser::{site::Demo, stall};

const MISSING: &str = "the browser tests need Chromium and its driver: `cargo xtask test` installs them on Debian as \
                       root; else `sudo apt-get install chromium chromium-driver`, or put `chromium` and \
                       `chromedriver` on the PATH";

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(50);

/// Some switches are for containers, where there is neither a sandbox nor a GPU. Others keep the browser from calling
/// its maker, and from asking for https where a test says http. Every name that ends in `.test` leads to this machine.
/// It is another site than 127.0.0.1, and browsers do not trust it as they trust their own machine.
const SWITCHES: [&str; 12] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
    "--window-size=1000,1000",
    "--password-store=basic",
];

/// Chromium's driver. Its browsers end with it, even if the test fails.
pub(crate) struct Chromium {
    driver: Child,
    address: String,
    /// The folder of the driver and its browsers, with their profiles.
    folder: TempDir,
}

impl Chromium {
    /// It takes a port of IPv4, and then the same one of IPv6. If another program has that one, it ends, and is started again.
    pub(crate) fn start() -> Self {
        (0..5).find_map(|_| Self::try_start()).expect("chromedriver starts, and names its port")
    }

    /// `None`: it has ended before it named its port.
    fn try_start() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mut driver = Command::new("chromedriver");
        driver.arg("--port=0").env("TMPDIR", folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let driver = driver.spawn();
        let mut driver = driver.unwrap_or_else(|error| panic!("{MISSING} (chromedriver: {error})"));
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let Some(port) = port else {
            driver.wait().unwrap();
            return None;
        };
        // Its output is read to the end. Otherwise it would wait for a reader.
        thread::spawn(move || lines.for_each(drop));
        Some(Self { driver, address: format!("127.0.0.1:{port}"), folder })
    }

    /// A new folder for the profile of a browser.
    pub(crate) fn new_folder(&self) -> Arc<TempDir> {
        Arc::new(TempDir::new_in(&self.folder).unwrap())
    }

    /// A browser with a new profile of its own.
    pub(crate) async fn profile(&self, demo: &Demo) -> Profile {
        self.profile_in(self.new_folder(), demo).await
    }

    /// A browser with the profile in this folder.
    pub(crate) async fn profile_in(&self, folder: Arc<TempDir>, demo: &Demo) -> Profile {
        self.profile_at(folder, address(demo)).await
    }

    /// A browser that shows the site at this address.
    pub(crate) async fn profile_at(&self, folder: Arc<TempDir>, site: String) -> Profile {
        self.profile_with(folder, site, &[]).await
    }

    /// A browser with further switches.
    pub(crate) async fn profile_with(&self, folder: Arc<TempDir>, site: String, switches: &[&str]) -> Profile {
        let mut wishes = DesiredCapabilities::chrome();
        for switch in SWITCHES.iter().chain(switches) {
            wishes.add_arg(switch).unwrap();
        }
        wishes.add_arg(&format!("--user-data-dir={}", folder.path().display())).unwrap();
        let driver = WebDriver::new(format!("http://{}", self.address), wishes).await;
        let driver = driver.unwrap_or_else(|error| panic!("{MISSING} ({error})"));
        driver.set_poller(Arc::new(ElementPollerWithTimeout::new(PATIENCE, INTERVAL)));
        // It is never dropped. Dropping would end the session over a connection that only this thread serves, and the
        // thread would wait for ever.
        driver.clone().leak().unwrap();
        Profile { driver, folder, driven_by: self.address.clone(), site }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The driver ends its browsers when it is told to shut down, but not when it is killed.
        let _ = tell(&self.address, "GET", "/shutdown");
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // A browser that is about to end may write files again that were removed.
        let began = Instant::now();
        while fs::remove_dir_all(&self.folder).is_err() && self.folder.path().exists() && began.elapsed() < PATIENCE {
            thread::sleep(INTERVAL);
        }
        let is_gone = !self.folder.path().exists();
        // A test that has already failed has its own reason.
        assert!(is_gone || thread::panicking(), "the browser leaves {} behind", self.folder.path().display());
    }
}

/// Sends the driver a request that must not be left undone, and waits until it is done.
fn tell(driver: &str, method: &str, path: &str) -> io::Result<usize> {
    let mut connection = TcpStream::connect(driver)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    write!(connection, "{method} {path} HTTP/1.1\r\nHost: {driver}\r\nConnection: close\r\n\r\n")?;
    connection.read(&mut [0; 1])
}

/// The address where the demo says that it listens.
pub(crate) fn address(demo: &Demo) -> String {
    let log = demo.log();
    let line = log.iter().find_map(|line| line.split_once("listening on "));
    line.expect("the demo says where it listens").1.trim().to_owned()
}

/// Waits until it holds.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    until_done(async || if holds().await { Ok(()) } else { Err(what.to_owned()) }).await;
}

/// Waits until it is done. The error says for what it waits.
async fn until_done(mut attempt: impl AsyncFnMut() -> Result<(), String>) {
    let began = Instant::now();
    while let Err(what) = attempt().await {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// A browser with its own cookies, which shows the site.
pub(crate) struct Profile {
    pub(crate) driver: WebDriver,
    folder: Arc<TempDir>,
    driven_by: String,
    site: String,
}

impl Profile {
    /// The same browser, calling the site by another name.
    pub(crate) fn calling_it(mut self, host: &str) -> Self {
        self.site = self.site.replace("127.0.0.1", host);
        self
    }

    /// Ends the browser as a user does. Returns the folder of the profile.
    pub(crate) fn quit(self) -> Arc<TempDir> {
        tell(&self.driven_by, "DELETE", &format!("/session/{}", self.driver.session_id())).unwrap();
        self.folder
    }

    pub(crate) async fn open(&self, path: &str) {
        self.driver.goto(format!("{}{path}", self.site)).await.unwrap();
    }

    /// The element, as soon as it is there.
    pub(crate) async fn find(&self, css: &str) -> WebElement {
        self.driver.query(By::Css(css)).first().await.unwrap()
    }

    pub(crate) async fn is_gone(&self, css: &str) {
        self.driver.query(By::Css(css)).wait_until_gone().await.unwrap();
    }

    /// Waits until the counter shows this.
    pub(crate) async fn counts(&self, count: &str) {
        self.driver.query(By::Css(".number")).with_text(count.to_owned()).first().await.unwrap();
    }

    pub(crate) async fn click(&self, css: &str) {
        self.driver.query(By::Css(css)).and_clickable().first().await.unwrap().click().await.unwrap();
    }

    pub(crate) async fn press(&self, button: &str) {
        let button = By::XPath(format!("//button[normalize-space()='{button}']"));
        self.driver.query(button).and_clickable().first().await.unwrap().click().await.unwrap();
    }

    /// Tells the browser, by a command of its DevTools protocol.
    pub(crate) async fn command(&self, command: &str, parameters: Value) {
        self.driver.cdp().send_raw(command, parameters).await.unwrap();
    }

    /// Makes the page this wide, in CSS pixels. That may be narrower than the browser's narrowest window.
    pub(crate) async fn is_wide(&self, width: u32) {
        let size = json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// What a script in the page returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    pub(crate) async fn type_into(&self, css: &str, text: &str) {
        self.find(css).await.send_keys(text).await.unwrap();
    }

    /// The visible text of the page. It is empty while there is no page.
    pub(crate) async fn seen(&self) -> String {
        // The root is asked, because a hidden body would still tell its text.
        let text = self.driver.execute("return document.documentElement.innerText", Vec::new()).await;
        if let Err(error) = &text {
            let error = error.to_string();
            assert!(!stall::is_told_by(&error), "{error}");
        }
        text.ok().and_then(|text| text.convert().ok()).unwrap_or_default()
    }

    /// Waits until the page shows this.
    pub(crate) async fn sees(&self, text: &str) {
        let is_shown = async || {
            let seen = self.seen().await;
            if seen.contains(text) { Ok(()) } else { Err(format!("the page shows {text:?}; it shows {seen:?}")) }
        };
        until_done(is_shown).await;
    }

    pub(crate) async fn is_at(&self, path_and_query: &str) {
        let url = format!("{}{path_and_query}", self.site);
        until(&format!("the page is {url}"), async || {
            self.driver.current_url().await.is_ok_and(|at| at.as_str() == url)
        })
        .await;
    }

    pub(crate) async fn register(&self, user: &str) {
        self.open("/register").await;
        self.enter(user, "Register").await;
    }

    pub(crate) async fn log_in(&self, user: &str) {
        self.open("/login").await;
        self.enter(user, "Log in").await;
    }

    pub(crate) async fn enter(&self, user: &str, button: &str) {
        self.send_form(user, button).await;
        self.sees(&format!("Hello, {user}")).await;
    }

    /// Fills in the form that is shown, and sends it.
    pub(crate) async fn send_form(&self, user: &str, button: &str) {
        self.type_into("input[name=user]", user).await;
        self.type_into("input[name=password]", "correct horse").await;
        self.press(button).await;
    }

    /// The answer of the site's JSON side to this browser.
    pub(crate) async fn api(&self, path: &str) -> Value {
        self.apis(path, 1).await[0].clone()
    }

    /// Its answers to this many requests at once.
    pub(crate) async fn apis(&self, path: &str, requests: usize) -> Vec<Value> {
        let script = "const [path, requests, done] = arguments;
                      const ask = () => fetch(path, { cache: 'no-store' }).then((answer) => answer.json());
                      Promise.all(Array.from({ length: requests }, ask)).then(done, (error) => done([String(error)]));";
        let answers = self.driver.execute_async(script, vec![Value::from(path), requests.into()]).await.unwrap();
        answers.convert().unwrap()
    }

    pub(crate) async fn owner(&self) -> Value {
        self.api("/api/status").await["owner"].clone()
    }

    /// The cookie of the development mode. Its name depends on the program's path.
    pub(crate) async fn session_cookie(&self) -> Option<Cookie> {
        let cookies = self.driver.get_all_cookies().await.unwrap();
        cookies.into_iter().find(|cookie| cookie.name.starts_with("session-"))
    }

    pub(crate) async fn cookie(&self, name: &str) -> Option<Cookie> {
        self.driver.get_all_cookies().await.unwrap().into_iter().find(|cookie| cookie.name == name)
    }

    /// Opens another tab and turns to it. Returns the tab that was left.
    pub(crate) async fn new_tab(&self) -> WindowHandle {
        let left = self.driver.window().await.unwrap();
        let tab = self.driver.new_tab().await.unwrap();
        self.turn_to(tab).await;
        left
    }

    pub(crate) async fn turn_to(&self, tab: WindowHandle) {
        self.driver.switch_to_window(tab).await.unwrap();
    }
}
