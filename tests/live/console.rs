//! The web console in a browser, as a person uses it. Pictures of its pages are left in `tmp/console` of the
//! target directory.

mod axe;
mod browser;
mod containers;
mod pages;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Stdio};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use self::browser::{BACKSPACE, Browser, RIGHT};
use crate::support::{Live, live_without_containers};

/// A console on the directories of a test; it ends with it.
struct Console {
    child: Child,
    /// What leads a browser in.
    link: String,
    /// Open for as long as the process may write to it.
    _stderr: BufReader<ChildStderr>,
}

impl Console {
    /// One with a token that nobody knows but who reads its link.
    fn start(live: &Live) -> Self {
        Self::start_at(live, "127.0.0.1:0", None)
    }

    /// One at an address, with a token of the environment where there is one.
    fn start_at(live: &Live, address: &str, token: Option<&str>) -> Self {
        let mut command = live.command(&["console", "--no-open", "--listen", address]);
        command.env("CUTTLEFISH_DATA_DIR", live.path("data"));
        command.env_remove("CUTTLEFISH_CONSOLE_TOKEN");
        if let Some(token) = token {
            command.env("CUTTLEFISH_CONSOLE_TOKEN", token);
        }
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let stderr = child.stderr.take().expect("it is piped");
        let mut stderr = BufReader::new(stderr);
        let mut line = String::new();
        stderr.read_line(&mut line).expect("a line");
        let (_, link) = line.split_once("console on ").expect(&line);
        let link = link.trim_end().replace("...", token.unwrap_or("..."));
        Self {
            child,
            link,
            _stderr: stderr,
        }
    }

    /// The address of its first page.
    fn page(&self) -> &str {
        self.link.split('?').next().expect("a part")
    }

    /// Kills it as nothing that could say goodbye.
    fn kill(&mut self) {
        self.child.kill().expect("a process");
        self.child.wait().expect("a process");
    }

    /// A request as a script sends it.
    fn post(&self, path: &str) {
        let (page, token) = self.link.split_once("?token=").expect("a link");
        let url = format!("{page}api/v1{path}");
        let request = ureq::post(&url).header("authorization", format!("Bearer {token}"));
        let _ = request.send_empty();
    }
}

/// Runs outlive their console, but not a test that failed before it could remove them.
impl Drop for Console {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for run in ["flowers", "digits", "long"] {
                self.post(&format!("/runs/{run}/stop"));
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A table of 600 flowers of three kinds that a small network tells apart: their kind is how long they are.
fn flowers() -> String {
    let row = |i: usize| {
        let kind = ["aster", "crocus", "tulip"][i % 3];
        let long = (i % 3) as f32 * 2.0 + (i % 7) as f32 / 10.0;
        format!("{long},{},{kind}\n", i % 5)
    };
    "long,wide,kind\n".to_owned() + &(0..600).map(row).collect::<String>()
}

/// Brings a table to a data set by way of a page's form, which is folded away on some.
fn upload(browser: &Browser, file: &std::path::Path) {
    browser.keys("#upload-files", file.to_str().expect("a plain path"));
    browser.click("#upload-send");
}

/// Presses the button that removes the run of the page, and says yes.
fn remove(browser: &Browser) {
    browser.click("#remove");
    browser.wait(
        "it asks",
        "document.querySelector('#confirm')?.matches(':modal')",
    );
    browser.click("#confirm-yes");
    browser.wait("the runs are shown", "location.hash === '#/'");
}

/// Whether the topology may be trained, in JavaScript.
const MAY_TRAIN: &str = "document.querySelector('#train')?.disabled === false";

/// Notes how long curves were drawn, however briefly.
const NOTE_CURVES: &str = "
    window.lengths = new Set();
    new MutationObserver(() => {
      const line = document.querySelector('#curves polyline.train');
      if (line) lengths.add(line.dataset.points);
    }).observe(document.body, {subtree: true, childList: true});
";

#[test]
fn a_person_trains_a_table_from_its_upload_to_its_removal() {
    let Some(live) = live_without_containers() else {
        return;
    };
    let console = Console::start(&live);
    let browser = Browser::start();
    browser.go(&console.link);
    let page = console.page();
    let address = browser.script("return [location.href, document.cookie]");
    assert_eq!(address, json!([page, ""]), "no token is to be seen");

    let table = live.path("flowers.csv");
    std::fs::write(&table, flowers()).expect("a file");
    browser.click("#nav-new");
    browser.click("#upload > summary");
    upload(&browser, &table);
    let problems = browser.text("#problems");
    assert!(problems.contains("target"), "{problems}");
    assert_eq!(
        browser.script(&format!("return {MAY_TRAIN}")),
        json!(false),
        "without a target"
    );
    browser.choose("#table-target", "kind");
    browser.wait(
        "it is a table of classes",
        "document.querySelector('#table').textContent.includes('task: 3 classes')",
    );
    browser.wait("it can be trained", MAY_TRAIN);
    // Many, so that the page is there before they have ended, on a fast machine too.
    browser.write("#training-epochs", "30000");
    browser.wait(
        "the form is in the file",
        "document.querySelector('#topology-text').value.includes('epochs: 30000')",
    );
    a_mistake_is_marked_until_it_is_mended(&browser);

    browser.script(NOTE_CURVES);
    browser.click("#train");
    browser.wait("the run is shown", "location.hash === '#/run/flowers'");
    browser.wait("the curve grows", "lengths.size >= 2");
    browser.wait(
        "it is complete",
        "document.querySelector('h1 .status')?.textContent === 'complete'",
    );
    let shown = browser.text("#weights-sha256");
    a_neuron_is_opened(&browser);
    the_network_answers(&browser);
    what_is_downloaded_is_what_is_exported(&browser, &live);

    let file = browser.resolved(
        "fetch(document.querySelector('#download-topology').href).then((answer) => answer.text())",
    );
    let path = live.path("shown.yaml");
    std::fs::write(&path, file.as_str().expect("a text")).expect("a file");
    let path = path.to_str().expect("a plain path");
    assert_eq!(shown, live.local_digest(path, &[]), "the bits");

    remove(&browser);
    browser.wait(
        "it is gone",
        "document.querySelector('#runs table') && !document.querySelector('[data-run=flowers]')",
    );
    assert_eq!(browser.log(), [""; 0], "the browser's console");
    let asked = browser.requests();
    assert!(asked.iter().any(|url| url.ends_with("/api/v1/runs")));
    let mut outside = asked.iter().filter(|url| !url.starts_with(page));
    assert_eq!(outside.next(), None, "only the console is asked");
}

/// Types one letter too many into the file, and takes it away again.
fn a_mistake_is_marked_until_it_is_mended(browser: &Browser) {
    browser.script(
        "const area = document.querySelector('#topology-text');
         const at = area.value.indexOf('activation: relu') + 'activation: rel'.length;
         area.focus();
         area.setSelectionRange(at, at);",
    );
    browser.keys("#topology-text", "l");
    browser.wait(
        "the mistake is marked",
        "document.querySelector('.mark')?.textContent.includes('rellu')",
    );
    let locked = browser.script(&format!(
        "return [{MAY_TRAIN}, document.querySelector('#topology-form').disabled]"
    ));
    assert_eq!(locked, json!([false, true]), "neither trained nor edited");
    browser.keys("#topology-text", BACKSPACE);
    browser.wait("it can be trained again", MAY_TRAIN);
    let marks = browser.script("return document.querySelectorAll('.mark').length");
    assert_eq!(marks, 0);
}

fn a_neuron_is_opened(browser: &Browser) {
    browser.keys("#network", &RIGHT.repeat(2));
    browser.click("#open-neuron");
    browser.wait(
        "its weights are drawn",
        "location.hash === '#/run/flowers/hidden/1' && document.querySelector('#weights')?.width > 0 \
         && document.querySelector('#weights').ariaLabel.startsWith('2 weights')",
    );
    assert_eq!(browser.text("#neuron-state"), "committed");
    browser.click(".trail a");
}

fn the_network_answers(browser: &Browser) {
    browser.keys("#predict-long", "4.3");
    browser.keys("#predict-wide", "2");
    browser.click("#predict-row");
    let answer = browser.text("#predictions tbody td");
    assert_eq!(answer, "tulip");
    browser.click("#evaluate");
    let found = browser.text("#evaluation .facts");
    assert!(found.contains("accuracy"), "{found}");
    let test = browser.text("#test .facts");
    assert!(
        test.starts_with(&found),
        "{test} is the training's, {found}"
    );
}

fn what_is_downloaded_is_what_is_exported(browser: &Browser, live: &Live) {
    for (link, layout) in [
        ("download-safetensors", "keras"),
        ("download-torch", "torch"),
    ] {
        let bytes = browser.resolved(&format!(
            "fetch(document.querySelector('#{link}').href).then((answer) => answer.bytes()).then((bytes) => bytes.toBase64())"
        ));
        let bytes = BASE64_STANDARD.decode(bytes.as_str().expect("base64"));
        let file = live.path(&format!("{layout}.safetensors"));
        let path = file.to_str().expect("a plain path");
        live.ok(&[
            "export",
            "flowers",
            "--format",
            "safetensors",
            "--layout",
            layout,
            "-o",
            path,
        ]);
        let exported = std::fs::read(file).expect("a file");
        assert!(!exported.is_empty());
        assert!(bytes.expect("base64") == exported, "{layout}: other bytes");
    }
}

#[test]
fn a_page_waits_for_its_console_and_goes_on() {
    const TOKEN: &str = "a-token-that-stays";
    let Some(live) = live_without_containers() else {
        return;
    };
    // One that does not end meanwhile.
    let file = live.file("long", "");
    let text = std::fs::read_to_string(&file).expect("a file");
    let text = text
        .replace("epochs: 4", "epochs: 100000")
        .replace("batch_size: 64", "batch_size: 4");
    let mut console = Console::start_at(&live, "127.0.0.1:0", Some(TOKEN));
    let browser = Browser::start();
    browser.go(&console.link);
    let created = browser.resolved(&format!(
        "fetch('/api/v1/runs', {{method: 'POST', headers: {{'Content-Type': 'application/json'}}, body: JSON.stringify({})}})\
         .then((answer) => answer.status)",
        json!({"topology": text, "target": "local"})
    ));
    assert_eq!(created, 202);
    browser.script("window.isSame = true; location.hash = '#/run/long'");
    browser.wait("it is live", "document.querySelector('#freshness')?.textContent.startsWith('Live') && document.querySelector('#curves polyline')");
    assert_eq!(browser.script(CONNECTION), "");

    console.kill();
    browser.wait(
        "the page says so",
        "document.querySelector('#connection').textContent.startsWith('Connection lost')",
    );
    let before = browser.script(TICKS);
    browser.shot("run-lost");
    let address = console.page().trim_start_matches("http://");
    let address = address.trim_end_matches('/').to_owned();
    let _again = Console::start_at(&live, &address, Some(TOKEN));
    browser.wait(
        "the console is there",
        "document.querySelector('#connection').textContent === ''",
    );
    for (index, what) in ["the network", "the summary", "the curves"]
        .iter()
        .enumerate()
    {
        let then = &before[index];
        assert!(then.as_u64() > Some(0), "{before}");
        browser.wait(
            &format!("{what} goes on after {then}"),
            &format!("(() => {{ {TICKS} }})()[{index}] > {then}"),
        );
    }
    assert_eq!(
        browser.script("return window.isSame"),
        Value::Bool(true),
        "it was not loaded anew"
    );
    browser.click("#stop");
    browser.wait(
        "it has stopped",
        "document.querySelector('h1 .status')?.textContent === 'stopped'",
    );
    remove(&browser);
}

const CONNECTION: &str = "return document.querySelector('#connection').textContent";

/// The tick of the network, that of the summary, and the last epoch of the curve: numbers that grow.
const TICKS: &str = "
    const number = (text) => Number((text ?? '').replace(/\\D/g, ''));
    const tiles = [...document.querySelectorAll('#summary .tile')];
    return [
      number(document.querySelector('#freshness').textContent.split(':')[0]),
      number(tiles.find((tile) => tile.querySelector('dt').textContent === 'tick')?.querySelector('strong').textContent),
      number(/after epoch (\\d+)/.exec(document.querySelector('#curves svg')?.ariaLabel)?.[1]),
    ];
";
