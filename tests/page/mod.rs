//! The page in a real Chromium: on the demo, and on made-up answers with many and hostile names.
//!
//! `PAGE_PICTURES=DIRECTORY` keeps pictures of what was looked at.

mod browser;
mod fixture;
mod story;

use browser::{Browser, Look};
use fixture::Fixture;
use serde_json::Value;

const WIDE: Look = Look { width: 1440, height: 900, theme: "light" };
const WIDE_DARK: Look = Look { theme: "dark", ..WIDE };
const PHONE: Look = Look { width: 390, height: 844, theme: "light" };
const PHONE_DARK: Look = Look { theme: "dark", ..PHONE };

/// Seconds until something must have been seen, also on a machine that has much else to do.
const SOON: u32 = 60;

/// Finds faults of accessibility: <https://github.com/dequelabs/axe-core>.
const AXE: &str = include_str!("axe.min.js");

/// Nothing went wrong, nothing sticks out, everything has a name, no markup came from data.
fn assert_sound(browser: &mut Browser, place: &str) {
    let wide = browser.evaluate(
        "(() => {
            const width = document.documentElement.clientWidth;
            if (document.documentElement.scrollWidth <= width) return [];
            return [...document.querySelectorAll('body *')]
                .filter((one) => one.getBoundingClientRect().right > width + 1)
                .slice(0, 5).map((one) => one.outerHTML.slice(0, 160));
        })()",
    );
    assert_eq!(wide, Value::Array(vec![]), "{place}: wider than the window");
    let foreign = browser.evaluate(
        "document.querySelectorAll('script:not([src]), main img, iframe, main [onerror]').length",
    );
    assert_eq!(foreign, 0, "{place}: markup from data");
    browser.evaluate(&format!("if (window.axe === undefined) {{\n{AXE}\n}}"));
    let faults = browser.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations
            .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.slice(0, 3)
                .map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`)}`))",
    );
    assert_eq!(faults, Value::Array(vec![]), "{place}: accessibility");
    let problems = browser.problems();
    assert!(problems.is_empty(), "{place}: {problems:#?}");
}

/// An expression: the page's content has this text.
fn shows(text: &str) -> String {
    let quoted = serde_json::json!(text);
    format!("document.querySelector('main').innerText.includes({quoted})")
}

#[test]
fn with_fifty_models_two_hundred_features_and_hostile_names_every_view_is_whole() {
    let fixture = Fixture::start(&["--models", "50", "--features", "200", "--slices", "500"]);
    let mut browser = Browser::start();
    let script = "<script>alert(1)</script>";
    let views = [
        ("overview", "#/", "model-09"),
        ("page-two", "#/?page=2", "26–50 of 50"),
        ("model", "#/models/income", script),
        ("model-slice", "#/models/income?slice=name%3D%3Cscript%3Ealert(1)%3C%2Fscript%3E", script),
        ("model-fresh", "#/models/model-03", "the first 1m window"),
        ("drift", "#/models/income/drift", script),
        ("drift-last", "#/models/income/drift?page=5", "feature_199"),
        ("feature", "#/models/income/features/hours-per-week", "Median"),
        (
            "feature-hostile",
            "#/models/income/features/%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(2)%3E",
            "onerror=",
        ),
        (
            "feature-slashes",
            "#/models/income/features/a%26b%3Dc%3Fd%23e%2Ff%252Fg",
            "a&b=c?d#e/f%2Fg",
        ),
        ("feature-values", "#/models/income/features/education", script),
        ("feature-unknown", "#/models/income/features/nothing", "nothing is at"),
        ("slices", "#/models/income/slices", script),
        ("slices-last", "#/models/income/slices?page=10", "zip=499"),
        ("labels", "#/models/income/labels", "Where every row ended"),
        ("policies", "#/models/income/policies", "cooldown"),
        ("requests", "#/requests", "given up"),
        ("pipeline", "#/pipeline", "Checkpoints"),
        ("unknown-model", "#/models/nobody", "nothing is at"),
        ("nowhere", "#/nowhere", "Nothing is here"),
    ];
    for look in [WIDE, PHONE_DARK] {
        browser.look(look);
        for (name, hash, text) in views {
            browser.open(&fixture.url(hash));
            browser.wait(&shows(text), SOON);
            // A picture first, so that there is one of what is wrong.
            browser.picture(&format!("fixture-{name}-{}-{}", look.width, look.theme));
            let problems = browser.problems();
            let expected = problems.iter().all(|problem| problem.contains("404"));
            assert!(expected, "{name}: {problems:#?}");
            assert_sound(&mut browser, &format!("{name} {look:?}"));
        }
    }
}

#[test]
fn an_update_changes_what_is_new_and_keeps_the_rest_and_the_focus() {
    let fixture = Fixture::start(&["--models", "50"]);
    let mut browser = Browser::start();
    browser.look(WIDE_DARK);
    browser.open(&fixture.url("#/"));
    browser.wait("document.querySelectorAll('.model').length === 25", SOON);
    // A phrase that a person is typing, an element, and how often anything was added or removed.
    browser.evaluate(
        "(() => {
            document.querySelector('input[type=search]').focus();
            window.kept = document.querySelector('.model h2');
            window.added = 0;
            new MutationObserver((all) => { window.added += all.length; })
                .observe(document.querySelector('main'), { childList: true, subtree: true });
            window.answers = 0;
            const fetched = window.fetch;
            window.fetch = async (...all) => {
                const one = await fetched(...all);
                window.answers += 1;
                return one;
            };
        })()",
    );
    browser.wait("window.answers >= 6", SOON);
    let same = browser.evaluate("window.kept === document.querySelector('.model h2')");
    assert_eq!(same, true, "the list was made anew");
    assert_eq!(browser.evaluate("document.activeElement.type"), "search");
    let added = browser.evaluate("window.added").as_u64().unwrap();
    assert!(added < 60, "{added} changes of the tree in three updates");
    browser.send("Input.insertText", serde_json::json!({ "text": "model-1" }));
    browser.wait("document.querySelectorAll('.model').length === 10", SOON);
    assert_eq!(browser.evaluate("location.hash"), "#/?q=model-1");
    assert_sound(&mut browser, "search");
}

#[test]
fn the_keyboard_reaches_what_the_mouse_does() {
    let fixture = Fixture::start(&[]);
    let mut browser = Browser::start();
    browser.look(WIDE);
    browser.open(&fixture.url("#/models/income/drift"));
    browser.wait(&shows("hours-per-week"), SOON);
    browser.evaluate("document.activeElement.blur(), document.body.focus()");
    browser.press("Tab");
    assert_eq!(browser.evaluate("document.activeElement.id"), "skip");
    browser.press("Enter");
    assert_eq!(browser.evaluate("document.activeElement.id"), "main");
    browser.evaluate("document.querySelector('.heat').focus()");
    for key in ["ArrowLeft", "ArrowDown", "ArrowLeft"] {
        browser.press(key);
    }
    let readout = "document.querySelector('.readout').textContent";
    browser.wait(&format!("{readout}.startsWith('education  ·  ')"), 20);
    browser.press("Enter");
    browser.wait("location.hash === '#/models/income/features/education?window=1m'", 20);
    browser.wait(&shows("HS-grad"), SOON);

    browser.open(&fixture.url("#/models/income"));
    browser.wait("document.querySelectorAll('.plot canvas').length === 2", SOON);
    let newest = browser.evaluate("document.querySelector('.readout').textContent");
    browser.evaluate("document.querySelector('.plot').focus()");
    browser.press("ArrowLeft");
    browser.press("ArrowLeft");
    let before = browser.evaluate("document.querySelector('.readout').textContent");
    assert_ne!(before, newest);
    assert!(before.as_str().unwrap().contains("v7 7"), "{before}");
}

#[test]
fn a_theme_is_kept_and_a_daemon_that_is_gone_is_said() {
    let fixture = Fixture::start(&["--models", "3"]);
    let mut browser = Browser::start();
    browser.look(WIDE);
    browser.open(&fixture.url("#/"));
    browser.wait(&shows("income"), SOON);
    let theme = "document.documentElement.dataset.theme";
    assert_eq!(browser.evaluate(theme), "light");
    browser.evaluate("document.querySelector('button.theme').click()");
    assert_eq!(browser.evaluate(theme), "dark");
    browser.open(&fixture.url("#/models/income"));
    browser.wait(&shows("Below its baseline"), SOON);
    assert_eq!(browser.evaluate(theme), "dark");
    // What was chosen again is what the system prefers: from now on that is followed.
    browser.evaluate("document.querySelector('button.theme').click()");
    browser.look(PHONE_DARK);
    browser.wait(&format!("{theme} === 'dark'"), 20);
    assert!(browser.problems().is_empty());

    drop(fixture);
    browser.wait(&shows("Disconnected since"), SOON);
    browser.wait(&shows("Below its baseline"), 20);
    browser.picture("fixture-disconnected");
}
