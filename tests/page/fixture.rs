//! `fixture.py` as a process: made-up answers of the API, and the page's files as they are on disk.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub struct Fixture {
    child: Child,
    port: u16,
}

impl Fixture {
    pub fn start(arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/fixture.py");
        // It ends when its standard input does, which it does at the latest when this process ends.
        let mut child = Command::new("python3")
            .arg(script)
            .arg("--end-with-input")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is needed: install it (`apt-get install python3`)");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("the fixture says its port");
        Self { child, port }
    }

    pub fn url(&self, hash: &str) -> String {
        format!("http://127.0.0.1:{}/{hash}", self.port)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
