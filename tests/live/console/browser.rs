//! Chromium, told what to do over WebDriver by Debian's `chromium-driver`: clicks and keys are those of a person, and
//! whatever can be waited for is waited for.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::Server;

/// The name by which WebDriver's answers carry the number of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// Far beyond what anything here takes, containers too; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);
/// Height of the window, and the most of a page that a picture has.
const HEIGHT: u64 = 1000;
const HIGHEST: u64 = 6000;

/// Keys that have no character.
pub const BACKSPACE: &str = "\u{e003}";
pub const RIGHT: &str = "\u{e014}";
/// Control held, `a`, and let go: selects everything.
const ALL: &str = "\u{e009}a\u{e000}";

/// A browser with a profile of its own; both go with it.
pub struct Browser {
    agent: ureq::Agent,
    session: String,
    _driver: Server,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory");
        let driver = Server::start("127.0.0.1", |address| {
            let mut command = Command::new("chromedriver");
            command.arg(format!("--port={}", address.port()));
            command.stdout(Stdio::null());
            command
        });
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE));
        let mut browser = Self {
            agent: config.build().into(),
            session: format!("http://{}/session", driver.address),
            _driver: driver,
            _profile: profile,
        };
        let profile = browser._profile.path().display();
        let asked = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {
                "binary": "/usr/bin/chromium",
                "args": [
                    "--headless=new",
                    // Chromium's sandbox is not for root, and containers' /dev/shm is small.
                    "--no-sandbox",
                    "--disable-dev-shm-usage",
                    format!("--user-data-dir={profile}"),
                    "--force-device-scale-factor=1",
                    "--hide-scrollbars",
                    "--window-size=1440,1000",
                ],
            },
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let begun = browser.call("POST", "", &asked).expect("Chromium starts");
        let id = begun["sessionId"].as_str().expect("a session");
        let _ = write!(browser.session, "/{id}");
        // The browser's own first page asks for parts of itself.
        browser.go("about:blank");
        browser.requests();
        browser
    }

    /// A command of WebDriver: what it answers, or why it could not be done.
    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        let answer = match method {
            "GET" => self.agent.get(&url).call(),
            "DELETE" => self.agent.delete(&url).call(),
            _ => self
                .agent
                .post(&url)
                .header("content-type", "application/json")
                .send(body.to_string()),
        };
        let mut answer = answer.map_err(|error| format!("{path}: {error}"))?;
        let is_done = answer.status().is_success();
        // A screenshot may be larger than what is read unless told otherwise.
        let body = answer.body_mut().with_config().limit(64 << 20);
        let text = body.read_to_string().map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let value = answer["value"].take();
        match is_done {
            true => Ok(value),
            false => Err(format!("{path}: {}: {}", value["error"], value["message"])),
        }
    }

    /// A command of Chromium's own protocol, for what WebDriver has none for.
    fn devtools(&self, command: &str, parameters: &Value) {
        let body = json!({"cmd": command, "params": parameters});
        let done = self.call("POST", "/goog/cdp/execute", &body);
        done.unwrap_or_else(|problem| panic!("{problem}"));
    }

    pub fn go(&self, url: &str) {
        let gone = self.call("POST", "/url", &json!({"url": url}));
        gone.unwrap_or_else(|problem| panic!("{url}: {problem}"));
    }

    /// The value of a body of JavaScript.
    pub fn script(&self, body: &str) -> Value {
        let value = self.try_script(body);
        value.unwrap_or_else(|problem| panic!("{problem}: {body:.200}"))
    }

    fn try_script(&self, body: &str) -> Result<Value, String> {
        self.call(
            "POST",
            "/execute/sync",
            &json!({"script": body, "args": []}),
        )
    }

    /// The value that the promise of a JavaScript expression resolves to.
    pub fn resolved(&self, promise: &str) -> Value {
        let body = format!(
            "const done = arguments[0]; ({promise}).then((value) => done({{value}}), (error) => done({{error: String(error)}}))"
        );
        let value = self.call(
            "POST",
            "/execute/async",
            &json!({"script": body, "args": []}),
        );
        let mut value = value.unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(value["error"], Value::Null, "{promise:.200}");
        value["value"].take()
    }

    /// Waits until a JavaScript expression is true.
    #[track_caller]
    pub fn wait(&self, what: &str, expression: &str) {
        let body = format!("return Boolean({expression})");
        self.until(what, || match self.try_script(&body) {
            Ok(Value::Bool(true)) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// Whether a JavaScript expression becomes true in a time.
    pub fn comes_within(&self, time: Duration, expression: &str) -> bool {
        let began = Instant::now();
        let body = format!("return Boolean({expression})");
        loop {
            if self.script(&body) == Value::Bool(true) {
                return true;
            }
            if began.elapsed() >= time {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Tries something until it can be done.
    #[track_caller]
    fn until<T>(&self, what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
        let began = Instant::now();
        loop {
            let problem = match attempt() {
                Ok(value) => return value,
                Err(problem) => problem,
            };
            if began.elapsed() >= PATIENCE {
                self.shot("failed");
                let shown = self.script("return location.hash + '\\n' + document.body.innerText");
                let shown = shown.as_str().unwrap_or_default();
                panic!(
                    "{what}: not within {PATIENCE:?}: {problem}\n{:?}\n{shown}",
                    self.log()
                );
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn find(&self, css: &str) -> Result<String, String> {
        let body = json!({"using": "css selector", "value": css});
        let found = self.call("POST", "/element", &body)?;
        let element = found[ELEMENT].as_str().expect("a number");
        Ok(format!("/element/{element}"))
    }

    /// Clicks an element, as soon as a pointer reaches it.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.until(css, || {
            self.call("POST", &format!("{}/click", self.find(css)?), &json!({}))
        });
    }

    /// Presses keys where the caret is in an element.
    #[track_caller]
    pub fn keys(&self, css: &str, keys: &str) {
        self.until(css, || {
            let path = format!("{}/value", self.find(css)?);
            self.call("POST", &path, &json!({"text": keys}))
        });
    }

    /// Writes something in place of what a field has.
    #[track_caller]
    pub fn write(&self, css: &str, text: &str) {
        self.keys(css, &format!("{ALL}{text}"));
    }

    /// Chooses one of the values of a list.
    #[track_caller]
    pub fn choose(&self, css: &str, value: &str) {
        self.click(&format!("{css} option[value='{value}']"));
    }

    /// Text of an element, once it has any.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        let text = format!("document.querySelector({})?.textContent", json!(css));
        self.wait(css, &text);
        let text = self.script(&format!("return {text}"));
        text.as_str().expect("a text").to_owned()
    }

    /// What scripts and the browser have written to its console since it was read last.
    pub fn log(&self) -> Vec<String> {
        let entries = self.entries("browser");
        let messages = entries.iter().filter_map(|entry| entry["message"].as_str());
        messages.map(str::to_owned).collect()
    }

    /// Addresses that pages have asked for since they were read last.
    pub fn requests(&self) -> Vec<String> {
        let entries = self.entries("performance");
        let asked = entries.iter().filter_map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let event = &event["message"];
            let is_request = event["method"] == "Network.requestWillBeSent";
            let url = event["params"]["request"]["url"].as_str()?;
            is_request.then(|| url.to_owned())
        });
        asked.collect()
    }

    fn entries(&self, log: &str) -> Vec<Value> {
        let entries = self.call("POST", "/se/log", &json!({"type": log}));
        let entries = entries.unwrap_or_else(|problem| panic!("{problem}"));
        entries.as_array().expect("a list").clone()
    }

    /// Shows pages in a window of this width.
    pub fn widen(&self, width: u64) {
        self.fit(width, HEIGHT);
    }

    fn fit(&self, width: u64, height: u64) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Shows pages as in a dark room, or a light one.
    pub fn darken(&self, is_dark: bool) {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// A picture of a whole page of this width, for people.
    pub fn shot_page(&self, width: u64, name: &str) {
        let high = self.script("return document.documentElement.scrollHeight");
        self.fit(width, high.as_u64().expect("a number").min(HIGHEST));
        self.shot(name);
        self.fit(width, HEIGHT);
    }

    /// A picture of what is seen, for people: `tmp/console/NAME.png` in the target directory.
    pub fn shot(&self, name: &str) {
        let Ok(picture) = self.call("GET", "/screenshot", &json!({})) else {
            return;
        };
        let picture = picture.as_str().unwrap_or_default();
        let picture = BASE64_STANDARD.decode(picture).expect("base64");
        std::fs::create_dir_all(pictures()).expect("a directory in target/");
        std::fs::write(pictures().join(format!("{name}.png")), picture).expect("a file in target/");
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("console")
}

/// The browser ends before its driver does, which would leave it behind.
impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.call("DELETE", "", &json!({}));
    }
}
