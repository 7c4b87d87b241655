//! axe-core, which judges whether everybody can use a page. It is Deque's, under the MPL 2.0.

use std::{fs, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::Value;

use crate::browser::chromium::Profile;

/// Deque's package of it for Java. Maven fetches it, because the tests have Maven for the stand-in of MongoDB.
const PACKAGE: &str = "com.deque.html.axe-core:selenium";
const VERSION: &str = "4.11.0";

const MISSING: &str = "axe-core cannot be fetched: `cargo xtask test` installs what fetches it on Debian as root; else \
                       `sudo apt-get install default-jdk-headless maven`";

/// Its script, fetched once and kept in cargo's target folder.
fn script() -> &'static str {
    static SCRIPT: OnceLock<String> = OnceLock::new();
    SCRIPT.get_or_init(|| {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("axe-core-{VERSION}"));
        let script = folder.join("axe.min.js");
        if !script.is_file() {
            fs::create_dir_all(&folder).unwrap();
            let artifact = format!("-Dartifact={PACKAGE}:{VERSION}");
            let maven = ["--batch-mode", "--quiet", "dependency:copy", &artifact, "-DoutputDirectory=."];
            let archive = format!("selenium-{VERSION}.jar");
            for (program, arguments) in [("mvn", &maven[..]), ("jar", &["--extract", "--file", &archive, "axe.min.js"])]
            {
                let ran = Command::new(program).args(arguments).current_dir(&folder).status();
                assert!(ran.as_ref().is_ok_and(|status| status.success()), "{MISSING} ({program}: {ran:?})");
            }
        }
        fs::read_to_string(script).unwrap()
    })
}

impl Profile {
    /// Asserts that axe-core finds nothing on the page that is shown.
    pub(crate) async fn is_accessible(&self, state: &str) {
        self.driver.execute(script(), Vec::new()).await.unwrap();
        let judge = "const done = arguments[0];
                     axe.run().then(({ violations }) => done(violations.flatMap((rule) =>
                         rule.nodes.map((node) => `${rule.id}: ${node.html}: ${node.failureSummary}`))), String).then(done);";
        let found = self.driver.execute_async(judge, Vec::new()).await.unwrap();
        assert_eq!(found.json(), &Value::Array(Vec::new()), "{state}");
    }
}
