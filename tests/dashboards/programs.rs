//! What the tests run beside Prometheus and Alertmanager: a demo whose lines are read as they come,
//! a receiver of notifications, and the rules with their durations divided.

use crate::support::guarded::Guarded;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidemark::engine::time::Timestamp;
use tidemark::io::clock;

/// Longer than any story takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// A `tidemark` that tells what happens, line by line.
pub struct Told {
    pub process: Guarded,
    lines: Receiver<(Timestamp, String)>,
    /// What was told so far, and when it was read.
    pub told: Vec<(Timestamp, String)>,
}

impl Told {
    /// `output` is where its standard output goes; a named pipe, so that it is read as it comes.
    pub fn start(command: &mut Command, home: &Path) -> Self {
        let pipe = home.join("told");
        let made = Command::new("mkfifo").arg(&pipe).status().expect("mkfifo");
        assert!(made.success());
        // A pipe opens when both ends do.
        let (sender, lines) = channel();
        let reading = pipe.clone();
        std::thread::spawn(move || {
            let file = std::fs::File::open(reading).expect("our own pipe");
            for line in BufReader::new(file).lines().map_while(Result::ok) {
                if sender.send((clock::now(), line)).is_err() {
                    break;
                }
            }
        });
        let output = std::fs::File::options().write(true).open(&pipe).expect("our own pipe");
        let process = Guarded::spawn(command.stdout(output).stderr(Stdio::inherit()));
        // The command holds the writing end; without this the pipe would not end with the process.
        command.stdout(Stdio::null());
        Self { process, lines, told: Vec::new() }
    }

    /// When the line with this text was told; waits for it.
    pub fn at(&mut self, with: &str) -> (Timestamp, String) {
        if let Some(found) = self.told.iter().find(|(_, line)| line.contains(with)) {
            return found.clone();
        }
        loop {
            let next = self.lines.recv_timeout(PATIENCE);
            let next = next.unwrap_or_else(|_| panic!("no line with {with:?}:\n{}", self.text()));
            self.told.push(next.clone());
            if next.1.contains(with) {
                return next;
            }
        }
    }

    fn text(&self) -> String {
        self.told.iter().map(|(_, line)| format!("{line}\n")).collect()
    }
}

/// An alert as Alertmanager's webhook tells it.
#[derive(Clone, Debug)]
pub struct Notified {
    pub receiver: String,
    pub firing: bool,
    pub labels: Value,
    pub annotations: Value,
    pub starts_at: Timestamp,
    /// Meaningless while it fires.
    pub ends_at: Timestamp,
}

impl Notified {
    pub fn name(&self) -> &str {
        self.labels["alertname"].as_str().unwrap_or_default()
    }
}

/// Takes Alertmanager's notifications on a free port of loopback.
pub struct Inbox {
    pub port: u16,
    seen: Arc<Mutex<Vec<Notified>>>,
}

impl Inbox {
    pub fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("a bound port").port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let inbox = Self { port, seen: Arc::clone(&seen) };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let notified = take(stream).expect("a notification");
                seen.lock().expect("nobody panics with it").extend(notified);
            }
        });
        inbox
    }

    pub fn seen(&self) -> Vec<Notified> {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

fn take(mut stream: TcpStream) -> std::io::Result<Vec<Notified>> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(std::io::Error::other)?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let body: Value = serde_json::from_slice(&body)?;
    assert_eq!(body["version"], "4");
    let time = |value: &Value| {
        let text = value.as_str().expect("a time");
        let time: jiff::Timestamp = text.parse().expect("RFC 3339");
        Timestamp(time.as_microsecond())
    };
    let alerts = body["alerts"].as_array().expect("alerts");
    let one = |alert: &Value| Notified {
        receiver: body["receiver"].as_str().unwrap_or_default().to_owned(),
        firing: alert["status"] == "firing",
        labels: alert["labels"].clone(),
        annotations: alert["annotations"].clone(),
        starts_at: time(&alert["startsAt"]),
        ends_at: time(&alert["endsAt"]),
    };
    Ok(alerts.iter().map(one).collect())
}

/// Rules whose durations are divided: ranges, offsets, `for`, and numbers of seconds. Event time is
/// not divided: it is the story's own.
pub fn divided(rules: &str, by: u32) -> String {
    let mut out = String::new();
    for line in rules.lines() {
        out += &match line.split_once("# seconds") {
            // Only the last number before the comment is one of seconds.
            Some((code, _)) if !code.starts_with('#') => divide_last_number(code, by),
            _ => divide_durations(line, by),
        };
        out.push('\n');
    }
    out
}

fn divide_last_number(code: &str, by: u32) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let end = code.rfind(is_digit).expect("a number of seconds") + 1;
    let start = code[..end].rfind(|c| !is_digit(c)).map_or(0, |at| at + 1);
    let seconds: f64 = code[start..end].parse().expect("digits");
    let head = divide_durations(&code[..start], by);
    format!("{head}{}{}", seconds / f64::from(by), &code[end..])
}

fn divide_durations(line: &str, by: u32) -> String {
    let mut out = String::new();
    let mut rest = line;
    let marks = ["[", "offset ", "for: "];
    while let Some((at, mark)) =
        marks.iter().filter_map(|mark| Some((rest.find(mark)?, *mark))).min()
    {
        let (before, after) = rest.split_at(at + mark.len());
        out += before;
        let end = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
        let (duration, tail) = after.split_at(end);
        match milliseconds(duration) {
            Some(whole) => out += &format!("{}ms", whole / u64::from(by)),
            None => out += duration,
        }
        rest = tail;
    }
    out + rest
}

/// Of a number and one unit; `None` of other text.
fn milliseconds(duration: &str) -> Option<u64> {
    let (number, unit) = duration.split_at_checked(duration.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(number.parse::<u64>().ok()? * seconds * 1_000)
}

#[test]
fn durations_are_divided_and_event_time_is_not() {
    for (rule, expected) in [
        ("rate(x[5m]) > 3", "rate(x[5000ms]) > 3"),
        ("x offset 1d", "x offset 1440000ms"),
        ("for: 1h", "for: 60000ms"),
        ("time() - x > 900 # seconds", "time() - x > 15 "),
        ("(time() - rate(x[1m]) < 120) # seconds", "(time() - rate(x[1000ms]) < 2) "),
        ("model_version:tidemark_behind_newest:seconds < 900", ""),
        ("summary: for what it is [here]", ""),
        ("# A number before `# seconds` is divided.", ""),
    ] {
        let expected = if expected.is_empty() { rule } else { expected };
        assert_eq!(divided(rule, 60), format!("{expected}\n"));
    }
}
