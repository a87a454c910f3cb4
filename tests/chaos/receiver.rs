//! A webhook receiver that is not always well: it keeps what it gets, answers some requests with an
//! error, and some only after it has taken them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Bodies by the id under which they came, each different one once.
type Received = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

pub struct Receiver {
    pub port: u16,
    received: Received,
}

impl Receiver {
    /// `failing`: of so many requests one gets a 503; 0: none.
    pub fn start(failing: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let received = Received::default();
        let kept = Arc::clone(&received);
        // It ends with the test's process.
        std::thread::spawn(move || {
            let streams = listener.incoming().filter_map(Result::ok);
            for (number, stream) in (1..).zip(streams) {
                let fails = failing > 0 && number % failing == 0;
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || answer(stream, &kept, fails));
            }
        });
        Self { port, received }
    }

    pub fn received(&self) -> BTreeMap<String, Vec<String>> {
        self.received.lock().expect("no panic while it is held").clone()
    }
}

/// One request a connection. A client that is killed in the middle has sent nothing.
fn answer(mut stream: TcpStream, kept: &Received, fails: bool) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => id = value.trim().to_owned(),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let mut all = kept.lock().expect("no panic while it is held");
    let bodies = all.entry(id).or_default();
    // A second failure would be waited for five minutes.
    let fails = fails && bodies.is_empty();
    if !bodies.contains(&body) {
        bodies.push(body);
    }
    drop(all);
    let status = if fails { "503 Service Unavailable" } else { "200 OK" };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).ok()
}
