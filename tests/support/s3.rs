//! An S3 API server (moto, a program of others), and a proxy before it that makes requests fail.

use crate::support::guarded::Guarded;
use crate::support::python::environment;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tidemark::io::clock::monotonic;

const PACKAGES: [&str; 3] = ["moto[s3]==5.2.5", "flask==3.1.3", "flask-cors==6.0.5"];
/// Longer than the server needs to start on a busy machine.
const START_WITHIN: Duration = Duration::from_secs(60);

/// A server that forgets everything when it ends.
pub struct S3 {
    _process: Guarded,
    port: u16,
}

impl S3 {
    /// The one that tests share, each with buckets of its own.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<S3> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    fn start() -> Self {
        static ONE: Mutex<()> = Mutex::new(());
        let _alone = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let python = environment("moto-5.2.5", &PACKAGES);
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr();
        let port = port.expect("it is bound").port();
        let mut command = Command::new(python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        let process = Guarded::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
        let deadline = monotonic() + START_WITHIN;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(monotonic() < deadline, "moto does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { _process: process, port }
    }

    pub fn create_bucket(&self, name: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let host = format!("Host: 127.0.0.1:{}", self.port);
        write!(stream, "PUT /{name} HTTP/1.0\r\n{host}\r\nContent-Length: 0\r\n\r\n")
            .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.contains(" 200 "), "{answer}");
    }

    /// A proxy before it.
    pub fn proxy(&self) -> Proxy {
        Proxy::start(self.port)
    }

    /// What the environment says to a client of this server.
    pub fn settings(&self) -> Vec<(String, String)> {
        settings(self.port)
    }
}

fn settings(port: u16) -> Vec<(String, String)> {
    let endpoint = format!("http://127.0.0.1:{port}");
    [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ALLOW_HTTP", "true"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The server is never asked; the answer is 503 SlowDown, as a store says that throttles.
    SlowDown,
    /// The server is never asked, and the connection ends.
    Lost,
    /// The server does as it is told, and the connection ends without its answer.
    AnswerLost,
    /// The server is never asked, and nothing happens.
    Hangs,
}

/// Passes requests on, or not.
pub struct Proxy {
    port: u16,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    /// For the next requests of a method, in turn.
    next: VecDeque<(&'static str, Fault)>,
    /// For all requests.
    always: Option<Fault>,
    /// For so many percent of all requests, by a seed.
    random: Option<(fastrand::Rng, u32)>,
    faults: usize,
}

impl Plan {
    fn fault(&mut self, method: &str) -> Option<Fault> {
        let planned = self.next.front().is_some_and(|(wanted, _)| *wanted == method);
        let planned = if planned { self.next.pop_front() } else { None };
        let by_chance = || {
            let (random, percent) = self.random.as_mut()?;
            let kinds = [Fault::SlowDown, Fault::Lost, Fault::AnswerLost];
            (random.u32(0..100) < *percent).then(|| kinds[random.usize(0..kinds.len())])
        };
        let fault = planned.map(|(_, fault)| fault).or(self.always).or_else(by_chance);
        self.faults += usize::from(fault.is_some());
        fault
    }
}

impl Proxy {
    fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let plan = Arc::new(Mutex::new(Plan::default()));
        let shared = Arc::clone(&plan);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let plan = Arc::clone(&shared);
                std::thread::spawn(move || pass_on(stream, upstream, &plan));
            }
        });
        Self { port, plan }
    }

    pub fn settings(&self) -> Vec<(String, String)> {
        settings(self.port)
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().expect("no panic while it is held")
    }

    /// The next request of this method meets this.
    pub fn next(&self, method: &'static str, fault: Fault) {
        self.plan().next.push_back((method, fault));
    }

    pub fn always(&self, fault: Option<Fault>) {
        self.plan().always = fault;
    }

    pub fn at_random(&self, seed: u64, percent: u32) {
        self.plan().random = Some((fastrand::Rng::with_seed(seed), percent));
    }

    /// How many requests have met one.
    pub fn faults(&self) -> usize {
        self.plan().faults
    }
}

/// One request a connection.
fn pass_on(mut client: TcpStream, upstream: u16, plan: &Mutex<Plan>) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "connection" => continue,
                _ => {}
            }
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let method = head.split(' ').next().unwrap_or_default().to_owned();
    let fault = plan.lock().expect("no panic while it is held").fault(&method);
    match fault {
        Some(Fault::Hangs) => {
            // Until the client has had enough.
            let _ = client.read(&mut [0; 1]);
            return None;
        }
        Some(Fault::Lost) => return client.shutdown(Shutdown::Both).ok(),
        Some(Fault::SlowDown) => {
            let text = "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code></Error>";
            let length = text.len();
            let head =
                "HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Type: application/xml";
            return write!(client, "{head}\r\nContent-Length: {length}\r\n\r\n{text}").ok();
        }
        Some(Fault::AnswerLost) | None => {}
    }
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).ok()?;
    write!(server, "{head}Connection: close\r\n\r\n").ok()?;
    server.write_all(&body).ok()?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).ok()?;
    if fault.is_none() {
        client.write_all(&answer).ok()?;
    }
    client.shutdown(Shutdown::Both).ok()
}
