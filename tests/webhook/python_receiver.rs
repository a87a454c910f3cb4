//! A receiver written in Python that verifies signatures with another program's library.
//!
//! The library is installed once, into a virtual environment under the target directory.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const LIBRARY: &str = "standardwebhooks==1.1.0";

pub struct PythonReceiver {
    child: Child,
    lines: BufReader<ChildStdout>,
    pub port: u16,
}

impl PythonReceiver {
    /// Starts one that gives these answers in turn; see receiver.py.
    pub fn start(secret: &str, answers: &str) -> Self {
        Self::start_with(&[secret, answers])
    }

    /// Starts one behind TLS, with a certificate of its own making that nobody trusts.
    pub fn start_tls(secret: &str, answers: &str) -> Self {
        let pem = tempfile::NamedTempFile::new().unwrap();
        let path = pem.path().to_str().unwrap();
        run(Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path, "-out", path]));
        // It prints its port when it has read the file.
        Self::start_with(&[secret, answers, path])
    }

    fn start_with(arguments: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/webhook/receiver.py");
        let mut child = Command::new(python())
            .arg(script)
            .args(arguments)
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .expect("the receiver starts");
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut port = String::new();
        lines.read_line(&mut port).unwrap();
        let port = port.trim().parse().expect("the receiver prints its port first");
        Self { child, lines, port }
    }

    pub fn url(&self, path_and_query: &str) -> String {
        format!("http://127.0.0.1:{}{path_and_query}", self.port)
    }

    /// The next request that it got; waits for it.
    pub fn next_request(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// Ends it and returns all further requests.
    pub fn finish(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        let lines = (&mut self.lines).lines().map(|line| line.unwrap());
        lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
    }
}

impl Drop for PythonReceiver {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The virtual environment's interpreter.
fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("standardwebhooks-1.1.0");
        let python = home.join("bin/python");
        if !home.join("ready").exists() {
            // Another process may be at it too: pip copes with files that are there, and the last
            // step is a single one.
            run(Command::new("python3").args(["-m", "venv"]).arg(&home));
            run(Command::new(&python).args(["-m", "pip", "install", "--quiet", LIBRARY]));
            std::fs::write(home.join("ready"), "").unwrap();
        }
        python
    })
}

fn run(command: &mut Command) {
    let advice = "the webhook tests need openssl, python3 with venv and pip (Debian: \
                  python3-venv), and a package index for the first run";
    let output = command.output().unwrap_or_else(|error| panic!("{advice}: {error}"));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{advice}: {command:?}: {text}");
}
