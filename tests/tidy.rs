//! House rules that no compiler checks: who may import whom, what the engine never names, how long
//! files and lines are, and that every file says what it is.

use std::fs;
use std::path::Path;

/// Each part and the parts of ours that it may name. Pure decisions know nothing of the edges.
const MAY_IMPORT: [(&str, &[&str]); 6] = [
    ("engine", &["engine"]),
    ("decode", &["decode", "engine"]),
    ("profile", &["profile", "decode", "engine"]),
    ("compare", &["compare", "profile", "decode", "engine"]),
    ("config", &["config", "decode", "engine", "profile"]),
    ("io", &["io", "config", "decode", "engine"]),
];

/// What the engine never names, as words: I/O, clocks, threads, and maps whose order is random.
const NOT_IN_ENGINE: [&str; 15] = [
    "tokio",
    "rdkafka",
    "reqwest",
    "object_store",
    "async",
    "await",
    "SystemTime",
    "Instant",
    "HashMap",
    "HashSet",
    "RandomState",
    "std::fs",
    "std::net",
    "std::io",
    "std::thread",
];

/// Places in the engine that may, with the reason.
const ENGINE_EXCEPTIONS: [(&str, &str, &str); 1] = [(
    "src/engine/sketch/feature/layout.rs",
    "HashMap",
    "a lookup while a layout is built; it is never iterated",
)];

/// About 500.
const LINES_MAX: usize = 520;
const COLUMNS_MAX: usize = 100;

/// Longer files, with the reason.
const LONG_FILES: [(&str, &str); 1] = [("tests/config/good.rs", "an example each of every option")];

struct File {
    /// Relative to the package.
    path: String,
    text: String,
}

fn sources() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut directories = vec![root.join("src"), root.join("tests")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of the sources") {
            let path = entry.expect("a readable directory").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source is text");
                let path = path.strip_prefix(root).expect("below the root");
                files.push(File { path: path.to_string_lossy().into_owned(), text });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The code of a line: what stands before a comment.
fn code(line: &str) -> &str {
    let comment = line.find("//").filter(|at| !line[..*at].ends_with(':'));
    comment.map_or(line, |at| &line[..at])
}

/// Whether a word, or a path of words, stands in some code by itself.
fn names(code: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(inside) && !code[at + word.len()..].starts_with(inside)
    })
}

/// Modules that follow `prefix` in some code, also within braces: `crate::{config, io::clock}`.
fn following<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => found.push(rest.split(|c| !inside(c)).next().unwrap_or_default()),
            Some(list) => {
                let list = list.split('}').next().unwrap_or_default();
                let first = |item: &'a str| item.trim().split(|c| !inside(c)).next();
                found.extend(list.split(',').filter_map(first).filter(|word| !word.is_empty()));
            }
        }
    }
    found
}

/// What is wrong with the imports of one file of a part.
fn import_faults(file: &File, allowed: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    // A path may go on over lines.
    let all: String = file.text.lines().map(code).flat_map(|line| [line.trim(), " "]).collect();
    let all = all.replace(":: ", "::").replace("{ ", "{");
    let ours: Vec<&str> = MAY_IMPORT.iter().map(|(part, _)| *part).chain(["daemon"]).collect();
    for root in ["crate::", "tidemark::"] {
        for part in following(&all, root) {
            if ours.contains(&part) && !allowed.contains(&part) {
                faults.push(format!("{}: names {root}{part}", file.path));
            }
        }
    }
    // `super` from a file must not climb to the crate's root: there it could go anywhere.
    let climb = file.path.trim_end_matches("/mod.rs").matches('/').count();
    let tests = file.text.contains("mod tests");
    let reaches = "super::".repeat(climb + usize::from(tests));
    if climb > 0 && following(&all, &reaches).iter().any(|part| ours.contains(part)) {
        faults.push(format!("{}: `{reaches}` leaves its part", file.path));
    }
    faults
}

/// What one file of the engine names that it must not.
fn engine_faults(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let code = code(line);
        let mut named: Vec<&str> =
            NOT_IN_ENGINE.into_iter().filter(|word| names(code, word)).collect();
        let std = following(code, "std::");
        named.extend(std.into_iter().filter(|m| ["fs", "net", "io", "env", "thread"].contains(m)));
        named.retain(|word| {
            !ENGINE_EXCEPTIONS.iter().any(|(path, name, _)| *path == file.path && name == word)
        });
        faults.extend(named.iter().map(|w| format!("{}:{}: names {w}", file.path, number + 1)));
    }
    faults
}

fn shape_faults(file: &File) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |line: usize, what: String| {
        faults.push(format!("{}:{line}: {what}", file.path));
    };
    let lines = file.text.lines().count();
    let long = LONG_FILES.iter().any(|(path, _)| *path == file.path);
    if lines > LINES_MAX && !long {
        fault(lines, format!("more than {LINES_MAX} lines; split it, or give a reason in tidy.rs"));
    }
    if lines <= LINES_MAX && long {
        fault(lines, "is short now: take it off the list of long files".to_owned());
    }
    // A stub of one line has nothing to say yet.
    let says_what = ["//!", "#![doc ="].iter().any(|start| file.text.starts_with(start));
    if lines > 1 && !says_what {
        fault(1, "does not open with a `//!` line that says what it is".to_owned());
    }
    // In pieces, so that this file does not hold what it looks for.
    let forbidden =
        [["tod", "o!"], ["unimplemente", "d!"], ["db", "g!"], ["#[ignor", "e"]].map(|p| p.concat());
    for (number, line) in file.text.lines().enumerate() {
        if line.chars().count() > COLUMNS_MAX {
            fault(number + 1, format!("more than {COLUMNS_MAX} columns"));
        }
        for word in forbidden.iter().filter(|word| code(line).contains(&***word)) {
            fault(number + 1, format!("`{word}` is unfinished work"));
        }
    }
    faults
}

#[test]
fn every_part_imports_only_what_it_may() {
    let files = sources();
    let mut faults = Vec::new();
    for (part, allowed) in MAY_IMPORT {
        let prefix = format!("src/{part}/");
        let mut of_part = files.iter().filter(|file| file.path.starts_with(&prefix)).peekable();
        assert!(of_part.peek().is_some(), "there is no {prefix}");
        faults.extend(of_part.flat_map(|file| import_faults(file, allowed)));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn the_engine_does_no_io_and_reads_no_clock() {
    let files = sources();
    let engine: Vec<&File> =
        files.iter().filter(|file| file.path.starts_with("src/engine/")).collect();
    assert!(engine.len() > 40, "only {} files were found", engine.len());
    let faults: Vec<String> = engine.into_iter().flat_map(engine_faults).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_are_short_finished_and_say_what_they_are() {
    let files = sources();
    assert!(files.len() > 100, "only {} files were found", files.len());
    let faults: Vec<String> = files.iter().flat_map(shape_faults).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    for (path, _) in LONG_FILES {
        assert!(files.iter().any(|file| file.path == path), "{path} is gone: take it off the list");
    }
}

#[test]
fn each_rule_notices_what_it_forbids() {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let engine = |text: &str| {
        let file = file("src/engine/sketch/x.rs", text);
        import_faults(&file, &["engine"]).len() + engine_faults(&file).len()
    };
    let wrong = [
        "use crate::config::Plan;",
        "use crate::{engine::time, io::clock};",
        "use crate::{\n    config,\n};",
        "fn f() { tidemark::io::clock() }",
        "use super::super::super::config::Plan;",
        "use std::fs;",
        "use std::{fs, fmt};",
        "use std::collections::HashSet;",
        "let now = Instant::now();",
        "async fn f() {}",
        "use tokio::time;",
    ];
    for text in wrong {
        assert_eq!(engine(text).min(1), 1, "{text}");
    }
    let right = [
        "use crate::engine::time::Span;",
        "// as in crate::config",
        "let fetched = refs;",
        "use super::super::time::Span;",
        "struct InstantNoodles;",
        "use std::{fmt, sync::Arc};",
    ];
    for text in right {
        assert_eq!(engine(text), 0, "{text}");
    }
    let shape = |text: &str| shape_faults(&file("src/x.rs", text)).len();
    assert_eq!(shape("//! A file.\nfn f() {}\n"), 0);
    assert_eq!(shape("fn f() {}\nfn g() {}\n"), 1);
    assert_eq!(shape(&format!("//! A file.\n// {}\n", "é".repeat(97))), 0);
    assert_eq!(shape(&format!("//! A file.\n// {}\n", "é".repeat(98))), 1);
    assert_eq!(shape(&["//! A file.\nfn f() { tod", "o!() }\n"].concat()), 1);
    assert_eq!(shape(&["//! A file.\n#[ignor", "e]\n"].concat()), 1);
    assert_eq!(shape(&format!("//! A file.{}", "\n".repeat(521))), 1);
}
