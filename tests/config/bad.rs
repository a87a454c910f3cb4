//! Files that are refused. In `bad/*.yaml` a comment `# ! path: message` stands on each line that has a
//! fault; there must be these faults and no other.

use super::{file, load, load_text, refused, small};
use std::fmt::Write;
use std::path::Path;

/// (line, part of `path: message`)
fn expected(text: &str) -> Vec<(usize, String)> {
    let mut expected = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for part in line.split(" # ! ").skip(1) {
            expected.push((index + 1, part.trim().to_owned()));
        }
    }
    expected
}

/// Differences between what a file expects and what is found; empty if there are none.
fn differences(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let mut found: Vec<(usize, String)> = match load(path) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .faults
            .iter()
            .map(|fault| {
                let line = fault.mark.map_or(0, |mark| mark.line);
                let place = if fault.path.is_empty() { "" } else { ": " };
                (line, format!("{}{place}{}", fault.path, fault.message))
            })
            .collect(),
    };
    let mut out = String::new();
    for (line, part) in expected(&text) {
        let position = found.iter().position(|(at, fault)| *at == line && fault.starts_with(&part));
        match position {
            Some(position) => drop(found.remove(position)),
            None => writeln!(out, "{}:{line}: not found: {part}", path.display()).unwrap(),
        }
    }
    for (line, fault) in found {
        writeln!(out, "{}:{line}: not expected: {fault}", path.display()).unwrap();
    }
    out
}

#[test]
fn each_bad_file_gets_all_its_faults_and_no_other() {
    let mut files: Vec<_> = std::fs::read_dir(file("bad"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "the corpus is there");
    let out: String = files.iter().map(|path| differences(path)).collect();
    assert!(out.is_empty(), "\n{out}");
}
