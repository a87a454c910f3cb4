//! Python programs of others, each in a virtual environment under the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The interpreter of an environment that has these packages, installed at the first use. `name`
/// changes when they do.
pub fn environment(name: &str, packages: &[&str]) -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let python = home.join("bin/python");
    if !home.join("ready").exists() {
        // Another process may be at it too: pip copes with files that are there, and the last step
        // is a single one.
        run(Command::new("python3").args(["-m", "venv"]).arg(&home));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages));
        std::fs::write(home.join("ready"), "").expect("our own directory");
    }
    python
}

fn run(command: &mut Command) {
    let advice = "these tests need python3 with venv and pip (Debian: python3-venv), and a \
                  package index for the first run";
    let output = command.output().unwrap_or_else(|error| panic!("{advice}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{advice}: {command:?}: {text}");
}
