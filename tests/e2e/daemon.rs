//! The daemon itself, as a process of its own: started, scraped, stopped and killed as users and
//! fate do.

use crate::support::guarded::Guarded;
use crate::support::http_client::{get, post};
use crate::support::scrape::Scrape;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tidemark::io::clock::monotonic;

/// Longer than anything takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(30);
/// How long an orderly stop may take: "a few seconds".
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// A directory with a configuration, the state and the logs of its runs.
pub struct Installation {
    home: TempDir,
    /// Where HTTP listens; 0: on a free port at each start.
    port: u16,
    runs: u32,
    /// Added to the environment of each start.
    environment: Vec<(String, String)>,
}

/// A daemon that runs.
pub struct Running {
    process: Guarded,
    log: PathBuf,
    pub port: u16,
}

impl Installation {
    /// Writes the configuration. `@HOME` in it is the installation's directory, `@LISTEN` where
    /// HTTP listens.
    pub fn new(config: &str) -> Self {
        let home = tempfile::Builder::new().prefix("tidemark-").tempdir().expect("a scratch dir");
        let installation = Self { home, port: 0, runs: 0, environment: Vec::new() };
        installation.configure(config);
        installation
    }

    pub fn with_environment(mut self, environment: Vec<(String, String)>) -> Self {
        self.environment = environment;
        self
    }

    pub fn configure(&self, config: &str) {
        let text = config.replace("@HOME", &self.home().display().to_string());
        std::fs::write(self.template(), text).expect("a file in our directory");
    }

    pub fn configured(&mut self, config: &str) -> &mut Self {
        self.configure(config);
        self
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Lets every start listen on the same port, so that a scraper finds the next run too. It is
    /// none of those that the system gives to connections, which could take it in between.
    pub fn keep_port(&mut self) {
        let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let first = 20_000 + (std::process::id() % 10_000) as u16;
        self.port = (first..32_000).find(free).expect("a free port");
    }

    fn template(&self) -> PathBuf {
        self.home().join("template.yaml")
    }

    pub fn config_file(&self) -> PathBuf {
        self.home().join("tidemark.yaml")
    }

    /// Writes the configuration for a daemon that runs or is about to.
    pub fn render(&self) {
        let text = std::fs::read_to_string(self.template()).expect("it was written");
        let listen = format!("127.0.0.1:{}", self.port);
        std::fs::write(self.config_file(), text.replace("@LISTEN", &listen)).expect("our file");
    }

    fn command(&mut self) -> (Command, PathBuf) {
        self.render();
        self.runs += 1;
        let log = self.home().join(format!("run-{}.log", self.runs));
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command.args(["--log", "info", "run", "-c"]).arg(self.config_file());
        command.envs(self.environment.iter().cloned());
        (command, log)
    }

    /// Starts the daemon and waits for nothing. With the place of its log.
    pub fn spawn(&mut self) -> (Guarded, PathBuf) {
        let (mut command, log) = self.command();
        let file = std::fs::File::create(&log).expect("our own file");
        command.stdout(Stdio::null()).stderr(file);
        (Guarded::spawn(&mut command), log)
    }

    /// Starts the daemon and waits until it says where it listens.
    pub fn start(&mut self) -> Running {
        let (mut process, log) = self.spawn();
        let deadline = monotonic() + PATIENCE;
        let port = loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if let Some(port) = listening_port(&text) {
                break port;
            }
            assert!(!process.has_ended(), "the daemon ended:\n{text}");
            assert!(monotonic() < deadline, "the daemon does not start:\n{text}");
            std::thread::sleep(POLL_EVERY);
        };
        Running { process, log, port }
    }

    /// Runs the daemon in the expectation that it ends by itself.
    pub fn run_to_end(&mut self) -> Output {
        let (mut command, _) = self.command();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the daemon's program");
        let deadline = monotonic() + PATIENCE;
        while child.try_wait().expect("our child").is_none() {
            if monotonic() > deadline {
                let _ = child.kill();
                panic!("the daemon does not end: {:?}", child.wait_with_output());
            }
            std::thread::sleep(POLL_EVERY);
        }
        child.wait_with_output().expect("our child")
    }
}

/// From `... started address=127.0.0.1:4711 ...`
fn listening_port(log: &str) -> Option<u16> {
    let line = log.lines().find(|line| line.contains("started address="))?;
    let (_, rest) = line.split_once("address=127.0.0.1:")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    // The line may not be written to its end yet.
    rest.contains(' ').then(|| digits.parse().ok()).flatten()
}

impl Running {
    pub fn get(&self, path: &str) -> (u16, String) {
        get(self.port, path).unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log()))
    }

    pub fn post(&self, path: &str, head: &str, body: &str) -> (u16, String) {
        post(self.port, path, head, body)
            .unwrap_or_else(|error| panic!("{path}: {error}\n{}", self.log()))
    }

    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    /// STOP puts it to sleep, CONT wakes it.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    pub fn metrics(&self) -> Scrape {
        let (status, text) = self.get("/metrics");
        assert_eq!(status, 200, "{text}");
        Scrape::parse(&text)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn wait_until_log_says(&self, part: &str) {
        let deadline = monotonic() + PATIENCE;
        while !self.log().contains(part) {
            assert!(monotonic() < deadline, "the log does not say {part}:\n{}", self.log());
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Scrapes until the metrics are as they should be.
    pub fn wait_for(&self, what: &str, mut there: impl FnMut(&Scrape) -> bool) -> Scrape {
        let deadline = monotonic() + PATIENCE;
        loop {
            let scrape = self.metrics();
            if there(&scrape) {
                return scrape;
            }
            if monotonic() > deadline {
                let (text, log) = (&scrape.text, self.log());
                panic!("{what}: not within {PATIENCE:?}\n{text}\n{log}");
            }
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Asks until `/-/ready` answers like this.
    pub fn wait_until_ready_says(&self, status: u16, part: &str) {
        let deadline = monotonic() + PATIENCE;
        loop {
            let answer = self.get("/-/ready");
            if answer.0 == status && answer.1.contains(part) {
                return;
            }
            let log = self.log();
            assert!(monotonic() < deadline, "/-/ready says {answer:?}, not {part}\n{log}");
            std::thread::sleep(POLL_EVERY);
        }
    }

    pub fn wait_until_ready(&self) {
        self.wait_until_ready_says(200, "ready");
    }

    /// Waits until it ends by itself.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let status = self.process.wait(PATIENCE);
        status.unwrap_or_else(|| panic!("no end within {PATIENCE:?}:\n{}", self.log()))
    }

    /// As a power cut does.
    pub fn kill9(mut self) {
        assert!(self.process.kill9(), "it had ended before:\n{}", self.log());
    }

    /// SIGTERM, and the exit status.
    pub fn stop(mut self) -> ExitStatus {
        self.process.terminate();
        let status = self.process.wait(STOP_WITHIN);
        status.unwrap_or_else(|| panic!("no end within {STOP_WITHIN:?}:\n{}", self.log()))
    }
}
