//! Behaviour as text: every file in `tests/scenarios` tells one rule in lines that read without
//! Rust, and what the engine answers in lines that begin with `>`.
//!
//! `UPDATE=1 cargo test scenarios` rewrites the `>` lines; read the difference before you keep it.
//! A file opens with its rule as a comment, then come settings (`header.rs` lists them), then
//! steps:
//!
//! ```text
//! predict ID at TIME [class C] [score S] [value V] [probabilities P ...] [version V] [model M]
//!                    [partition N] [recorded TIME] [weight W] [FEATURE VALUE]
//! label ID at TIME class C | value V [partition N] [recorded TIME] [topic T] [only MODEL]
//! confirm predictions|labels at TIME [partition N] [topic T]     we stand at the log's end
//! now TIME        our own clock
//! advance         move the watermarks on, and print what fires, is judged and is asked for
//! checkpoint      make everything so far durable; then old panes may go
//! crash           lose what is not durable, restore, and read the logs again from there
//! tally           print how rows ended, and how many are held
//! gauges          print what is exported: windows, drift, policies
//! grades          print how estimates did
//! watermarks      print the closing watermarks
//! ```
//!
//! Times count from a window boundary, `0m`. A model is called `m` and a version `v1` unless told
//! otherwise, and these two names are not printed.

mod header;
mod play;
mod policies;
mod show;
mod words;

use header::Draft;
use play::Play;
use std::fs;
use std::path::{Path, PathBuf};

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let entries = fs::read_dir(directory).expect("the scenarios are part of the sources");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
}

/// The scenario's text with the answers that the engine gives now.
fn played(text: &str) -> Result<String, (usize, String)> {
    let mut out = String::new();
    let mut draft = Some(Draft::default());
    let mut play: Option<Play> = None;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with('>') {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at_line = |message: String| (number + 1, message);
        if let Some(settings) = &mut draft
            && settings.take(line).map_err(at_line)?
        {
            continue;
        }
        if let Some(settings) = draft.take() {
            play = Some(Play::new(settings.build().map_err(at_line)?));
        }
        let play = play.as_mut().expect("made when the settings ended");
        for answer in play.step(line).map_err(at_line)? {
            out.push_str("> ");
            out.push_str(&answer);
            out.push('\n');
        }
    }
    Ok(out)
}

/// Where two texts differ first: line, what is there, what should be.
fn difference(text: &str, played: &str) -> Option<(usize, String, String)> {
    let (mut left, mut right) = (text.lines(), played.lines());
    let mut number = 0;
    loop {
        number += 1;
        let (was, is) = (left.next(), right.next());
        if was != is {
            let show = |line: Option<&str>| line.unwrap_or("(end of file)").to_owned();
            return Some((number, show(was), show(is)));
        }
        was?;
    }
}

#[test]
fn every_scenario_is_what_the_engine_does() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut wrong = Vec::new();
    let files = files();
    assert!(files.len() > 40, "only {} scenarios were found", files.len());
    for path in files {
        let name = path.file_name().expect("it has an extension").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a scenario is text");
        if !text.starts_with("# ") {
            wrong.push(format!("tests/scenarios/{name}:1: does not open with its rule"));
        }
        match played(&text) {
            Err((line, message)) => wrong.push(format!("tests/scenarios/{name}:{line}: {message}")),
            Ok(now) if update => fs::write(&path, now).expect("the scenario can be rewritten"),
            Ok(now) => {
                if let Some((line, was, is)) = difference(&text, &now) {
                    wrong.push(format!(
                        "tests/scenarios/{name}:{line}:\n  expected {was}\n  but got  {is}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ (UPDATE=1 rewrites):\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_difference_is_told_by_its_line() {
    let text = "# r\ntally\n> predictions: none\n";
    assert_eq!(difference(text, text), None);
    let other = "# r\ntally\n> predictions: matched 1\n";
    let (line, was, is) = difference(text, other).expect("they differ");
    assert_eq!((line, &*was, &*is), (3, "> predictions: none", "> predictions: matched 1"));
    assert_eq!(difference("# r\n", text).expect("longer").0, 2);
    assert_eq!(played("# r\nhorizon 1h\nfly 1\n").unwrap_err().0, 3);
}
