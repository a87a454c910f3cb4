//! The smallest HTTP client that does.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A server that accepts and says nothing would otherwise stop a test for good.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Status and body of a GET on loopback; an error if nobody answers.
pub fn get(port: u16, path_and_query: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let host = format!("Host: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    // In HTTP/1.0 an answer is not cut into chunks and ends with the connection.
    write!(stream, "GET {path_and_query} HTTP/1.0\r\n{host}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    split(&answer)
}

/// Status and body of a POST on loopback; `head` are further lines, each with its end.
pub fn post(port: u16, path: &str, head: &str, body: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let length = body.len();
    let own =
        format!("Host: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: {length}\r\n");
    write!(stream, "POST {path} HTTP/1.0\r\n{own}{head}\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    split(&answer)
}

fn split(answer: &str) -> std::io::Result<(u16, String)> {
    let bad = || std::io::Error::other(format!("no HTTP: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(bad)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(bad)?;
    Ok((status, body.to_owned()))
}

/// Text for a query's value.
pub fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => (byte as char).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
