//! The demo's page, as a visitor goes through it: for whom, why, and what was done about it.

use super::browser::{Browser, Look};
use super::{PHONE, SOON, WIDE, WIDE_DARK, assert_sound, shows};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tidemark::io::clock::monotonic;

struct Demo {
    child: Child,
    url: String,
    _scratch: TempDir,
}

impl Demo {
    fn start() -> Self {
        let scratch = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command.args(["demo", "--port", "0"]).env("TMPDIR", scratch.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = |line: String| {
            let rest = line.split("http://").nth(1)?.to_owned();
            Some(
                rest.split(|c: char| c != '.' && c != ':' && !c.is_ascii_digit())
                    .next()?
                    .to_owned(),
            )
        };
        let address = lines.by_ref().find_map(|line| address(line.unwrap())).unwrap();
        // Nobody may keep it waiting.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url: format!("http://{address}/"), _scratch: scratch }
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SLICE: &str = "marital-status=Married-civ-spouse";
const FEATURE: &str = "hours-per-week";

#[test]
fn a_visitor_finds_the_slice_the_drifted_feature_and_the_webhook_by_clicking() {
    let mut browser = Browser::start();
    browser.look(WIDE);
    let started_at = monotonic();
    let demo = Demo::start();
    browser.open(&demo.url);
    browser.wait("document.querySelector('.model .big').textContent.endsWith('%')", SOON);
    println!("first picture after {:?}", monotonic().duration_since(started_at));
    browser.wait("document.querySelector('.model .spark-line') !== null", SOON);
    browser.picture("demo-first");
    assert_sound(&mut browser, "first picture");

    // The model falls; its line on the overview says so and leads on.
    browser.wait("document.querySelector('.model.bad') !== null", SOON);
    browser.wait(&shows("hours-per-week has drifted"), SOON);
    browser.picture("demo-bad");
    assert_sound(&mut browser, "overview");
    browser.click("hours-per-week has drifted");
    feature(&mut browser, WIDE);
    for look in [WIDE, WIDE_DARK, PHONE] {
        browser.look(look);
        slice(&mut browser, look);
        webhook(&mut browser, look);
        browser.click("census");
        browser.wait(&shows("over time"), SOON);
        browser.click("Drift");
        browser.click(FEATURE);
        feature(&mut browser, look);
        for section in ["Slices", "Labels", "Policies", "Pipeline"] {
            browser.click(section);
            let loaded = "!document.querySelector('main').innerText.includes('Loading')";
            browser.wait(&format!("{loaded} && document.querySelector('.panel') !== null"), SOON);
            browser.picture(&format!("demo-{section}-{}-{}", look.width, look.theme));
            assert_sound(&mut browser, section);
        }
    }
}

/// From anywhere to the slice that fell, by the overview.
fn slice(browser: &mut Browser, look: Look) {
    browser.click("Models");
    browser.wait("document.querySelector('.model .big') !== null", SOON);
    browser.click(SLICE);
    browser.wait(&format!("document.querySelector('.chip').textContent.includes('{SLICE}')"), SOON);
    browser.wait("document.querySelectorAll('.plot canvas').length === 2", SOON);
    browser
        .wait(&format!("document.querySelector('.readout').textContent.includes('{SLICE}')"), 20);
    browser.picture(&format!("demo-model-{}-{}", look.width, look.theme));
    assert_sound(browser, "the slice");
}

fn feature(browser: &mut Browser, look: Look) {
    browser
        .wait(&format!("document.querySelector('.sub-title').textContent === '{FEATURE}'"), SOON);
    browser.wait("document.querySelectorAll('.column .main').length > 5", SOON);
    browser.wait(&shows("Median"), SOON);
    browser.picture(&format!("demo-feature-{}-{}", look.width, look.theme));
    assert_sound(browser, "the feature");
}

fn webhook(browser: &mut Browser, look: Look) {
    browser.click("Requests");
    browser.wait(&shows("Requests for a retraining"), SOON);
    browser.click("retrain-");
    browser.wait(&shows("status 204"), SOON);
    browser.wait(&shows("bad in a row"), SOON);
    browser.picture(&format!("demo-request-{}-{}", look.width, look.theme));
    assert_sound(browser, "the webhook");
}
