//! Forms and scripts of other sites.

use crate::browser::{
    chromium::{Chromium, address},
    elsewhere::Elsewhere,
    site::{Demo, SQLITE},
    stall::in_a_browser,
};

in_a_browser! {
    a_form_from_another_site_changes_nothing
    a_script_of_another_site_changes_nothing_and_reads_nothing
    a_form_from_another_site_that_is_to_keep_a_value_leaves_the_login_as_it_is
}

/// The hosts of hostile pages. The first is another site. The second is another port of the same host, which browsers
/// take for the same site, so they send the cookie along.
const HOSTS: [&str; 2] = ["elsewhere.test", "127.0.0.1"];

async fn a_form_from_another_site_changes_nothing() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    for action in ["/counter", "/note", "/devices/end-others", "/api/counter", "/logout"] {
        let elsewhere = Elsewhere::serve(&format!(
            "<form method=post action='{}{action}'><input name=note value=forged></form>
             <script>document.forms[0].submit()</script>",
            address(&demo)
        ));
        for host in HOSTS {
            profile.driver.goto(elsewhere.page(host)).await.unwrap();
            profile.sees("this request comes from another site").await;
        }
    }
    profile.open("/").await;
    profile.sees("Hello, user42").await;
    profile.counts("0").await;
    assert_eq!(profile.find("#note").await.value().await.unwrap().as_deref(), Some(""));
}

async fn a_script_of_another_site_changes_nothing_and_reads_nothing() {
    let (demo, chromium) = (Demo::start(SQLITE, &[]), Chromium::start());
    let profile = chromium.profile(&demo).await;
    profile.register("user42").await;
    let elsewhere = Elsewhere::serve(&format!(
        "<p id=read>reading</p><p id=posted>posting</p>
         <script>
         const done = (id) => (what) => document.getElementById(id).textContent = `${{id}} ${{what}}`;
         fetch('{site}/api/me', {{ credentials: 'include' }}).then((answer) => answer.text()).then(done('read'), done('read'));
         fetch('{site}/counter', {{ method: 'POST', mode: 'no-cors', credentials: 'include' }})
             .then((answer) => answer.type).then(done('posted'), done('posted'));
         </script>",
        site = address(&demo)
    ));
    for host in HOSTS {
        profile.driver.goto(elsewhere.page(host)).await.unwrap();
        profile.sees("read TypeError").await;
        profile.sees("posted ").await;
    }
    profile.open("/").await;
    profile.sees("Hello, user42").await;
    profile.counts("0").await;
}

async fn a_form_from_another_site_that_is_to_keep_a_value_leaves_the_login_as_it_is() {
    let (demo, chromium) = (Demo::start(SQLITE, &["--lab"]), Chromium::start());
    // For the first name the browser itself says where the form is from. It trusts the second name less, and sends
    // `Origin` alone.
    for host in ["127.0.0.1", "shop.test"] {
        let profile = chromium.profile(&demo).await.calling_it(host);
        profile.open("/register").await;
        let user = host.replace('.', "_");
        profile.enter(&user, "Register").await;
        let token = profile.session_cookie().await.unwrap().value;
        let elsewhere = Elsewhere::serve(&format!(
            "<form method=post action='{}/lab/return'><input name=paid value=yes></form>
             <script>document.forms[0].submit()</script>",
            address(&demo).replace("127.0.0.1", host)
        ));
        profile.driver.goto(elsewhere.page("elsewhere.test")).await.unwrap();
        // The page that the form was sent to redirects the browser to one that has the session.
        profile.sees(&format!("counted 1 for {user}")).await;
        assert_eq!(profile.session_cookie().await.unwrap().value, token);
        profile.open("/").await;
        profile.sees(&format!("Hello, {user}")).await;
    }
    demo.logs(&["INFO", "session.withheld", "session.reason=\"cross_site\"", "http.route=\"/lab/return\""]);
}
