//! Who may read, and who may change something.
//!
//! - With `basic_auth_users` every request needs a password.
//! - Whatever changes something (any method but GET, HEAD and OPTIONS) needs a password, a verified
//!   client certificate or, for alerts, their token. Without any of them it must come from this
//!   machine, over the loopback address and under its name: a name of the attacker's that resolves
//!   to 127.0.0.1 does not do (DNS rebinding).
//! - A browser says where a request comes from. If that is another site, nothing is changed,
//!   whatever password the browser remembers (cross-site request forgery).
//!
//! Files are read again when they change, so that certificates and passwords can be renewed. What
//! cannot be read does not take effect.

use super::passwords::Passwords;
use crate::config::{ConfigErrors, Secret, WebConfig, load_web};
use crate::io::clock;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use rustls::ServerConfig;
use sha2::{Digest, Sha256};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// Requests below this path may come with the token of `http.alertmanager`.
pub const ALERTS_PATH: &str = "/api/v1/alertmanager";
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The two ends of a connection; the server puts it into each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    pub remote: SocketAddr,
    pub local: SocketAddr,
    pub tls: bool,
    /// It showed a certificate, and that was verified.
    pub certified: bool,
}

/// The rules of all listeners. See the module.
pub struct Security {
    rules: Mutex<Rules>,
    passwords: Passwords,
}

/// What a configuration says of security, read and checked.
#[derive(Default)]
pub struct Rules {
    web: Option<WebFiles>,
    /// SHA-256 of the token, so that comparing takes the same time for all.
    token: Option<[u8; 32]>,
}

struct WebFiles {
    path: PathBuf,
    config: Arc<WebConfig>,
    stamps: Vec<Stamp>,
    looked_at: Instant,
}

/// Changes when a file is written or replaced. `None` of a file that is not there.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

impl Rules {
    /// # Errors
    /// What is wrong with the web configuration.
    pub fn load(web_config: Option<&Path>, token: Option<&Secret>) -> Result<Self, ConfigErrors> {
        let web = web_config.map(WebFiles::open).transpose()?;
        Ok(Self { web, token: token.map(|token| Sha256::digest(token.expose()).into()) })
    }
}

impl WebFiles {
    fn open(path: &Path) -> Result<Self, ConfigErrors> {
        // Stamps first: a change in between is seen later.
        let before = stamp(path);
        let config = Arc::new(load_web(path)?);
        let mut stamps: Vec<Stamp> = config.files.iter().map(|file| stamp(file)).collect();
        stamps[0] = before;
        Ok(Self { path: path.to_owned(), config, stamps, looked_at: clock::monotonic() })
    }

    /// Reads the files again if one of them changed.
    fn look(&mut self) {
        self.looked_at = clock::monotonic();
        let stamps: Vec<Stamp> = self.config.files.iter().map(|file| stamp(file)).collect();
        if stamps == self.stamps {
            return;
        }
        match Self::open(&self.path) {
            Ok(mut new) => {
                // What changes while it is read is seen the next time.
                if new.config.files == self.config.files {
                    new.stamps = stamps;
                }
                *self = new;
                tracing::info!(file = %self.path.display(), "read the web configuration again");
            }
            Err(errors) => {
                // Said once a change.
                self.stamps = stamps;
                tracing::error!(%errors, "the web configuration changed and cannot be used; what \
                                          was read before stays in force");
            }
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.dev(), data.ino(), data.size(), data.mtime(), data.mtime_nsec()))
}

/// On what grounds a request is allowed.
enum Identity {
    Password,
    Token,
    Certificate,
    Nobody,
}

impl Default for Security {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl Security {
    pub fn new(rules: Rules) -> Self {
        Self { rules: Mutex::new(rules), passwords: Passwords::default() }
    }

    /// Puts other rules in force, from the next request on; for TLS, the next connection.
    pub fn replace(&self, rules: Rules) {
        *self.lock() = rules;
    }

    /// TLS for a new connection; `None`: plain HTTP.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.web()?.tls.clone()
    }

    /// Whether reading needs a password, or a certificate that is verified.
    pub fn guards_reading(&self) -> bool {
        self.web().is_some_and(|web| !web.users.is_empty() || web.clients_verified)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn web(&self) -> Option<Arc<WebConfig>> {
        let mut rules = self.lock();
        let web = rules.web.as_mut()?;
        if clock::monotonic().duration_since(web.looked_at) >= LOOK_EVERY {
            web.look();
        }
        Some(Arc::clone(&web.config))
    }

    /// Says so if everyone on the network may read.
    pub fn warn_if_open(&self, listen: SocketAddr, metrics_listen: Option<SocketAddr>) {
        if self.guards_reading() {
            return;
        }
        for address in [Some(listen), metrics_listen].into_iter().flatten() {
            if !loopback(address.ip()) {
                tracing::warn!(
                    %address,
                    "everyone who can reach this address can read; http.web_config asks for \
                     passwords or client certificates"
                );
            }
        }
    }

    /// Looks at the files now.
    pub fn look(&self) {
        if let Some(web) = &mut self.lock().web {
            web.look();
        }
    }

    /// Lets a request pass, or answers it.
    ///
    /// # Errors
    /// The answer: 401 if a password or token is missing or wrong, 403 if it may not be done so.
    pub async fn admit(&self, request: &Parts) -> Result<(), Response> {
        let peer = request.extensions.get::<Peer>().copied();
        let headers = &request.headers;
        let web = self.web();
        let asks = web.as_ref().is_some_and(|web| !web.users.is_empty());
        let alerts = is_alerts(request.uri.path());
        let token = self.lock().token.filter(|_| alerts);
        let authorization = headers.get(header::AUTHORIZATION).cloned();
        let changes = !matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let origin = if changes { self::origin(headers, peer) } else { Ok(Origin::Foreign) };
        let mut identity = match peer {
            Some(Peer { certified: true, .. }) => Identity::Certificate,
            _ => Identity::Nobody,
        };
        if let Some(value) = authorization {
            if let (Some(token), Some(said)) = (token, bearer(&value)) {
                let said: [u8; 32] = Sha256::digest(said).into();
                if bool::from(said.ct_eq(&token)) {
                    identity = Identity::Token;
                }
            } else if let (true, Some((name, password))) = (asks, basic(&value)) {
                let hash = web.as_ref().and_then(|web| web.users.get(&name)).cloned();
                if self.passwords.verify(&name, &password, hash).await {
                    identity = Identity::Password;
                }
            }
        }
        match identity {
            Identity::Password | Identity::Token => {}
            // With both, both are asked for, as the exporter-toolkit does.
            _ if asks => return Err(unauthorized("Basic realm=\"tidemark\", charset=\"UTF-8\"")),
            Identity::Certificate => {}
            Identity::Nobody if token.is_some() => {
                return Err(unauthorized("Bearer realm=\"tidemark\""));
            }
            Identity::Nobody => {}
        }
        if !changes {
            return Ok(());
        }
        match (origin, identity) {
            (Err(why), _) => Err(forbidden(why)),
            (Ok(Origin::Foreign), Identity::Nobody) => Err(forbidden(
                "this changes something: from other machines it needs a password or a client \
                 certificate (http.web_config), and on this one the address 127.0.0.1, [::1] or \
                 localhost",
            )),
            _ => Ok(()),
        }
    }
}

pub(super) fn is_alerts(path: &str) -> bool {
    let rest = path.strip_prefix(ALERTS_PATH);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// RFC 7617.
fn basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, encoded) = value.as_bytes().split_at_checked(6)?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim_ascii()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (name, password) = text.split_once(':')?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| (name.to_owned(), password.to_owned()))
}

/// Where a request that changes something comes from.
enum Origin {
    /// Over the loopback address, under its name.
    Here,
    Foreign,
}

fn origin(headers: &HeaderMap, peer: Option<Peer>) -> Result<Origin, &'static str> {
    let host = one(headers, "host").ok_or("the request needs one Host header")?;
    let host = host.to_ascii_lowercase();
    let scheme = if peer.is_some_and(|peer| peer.tls) { "https" } else { "http" };
    if headers.contains_key(header::ORIGIN) {
        let said = one(headers, "origin").unwrap_or_default().to_ascii_lowercase();
        if said != format!("{scheme}://{host}") {
            return Err("the request comes from a page of another site (Origin)");
        }
    }
    if headers.contains_key("sec-fetch-site")
        && !matches!(one(headers, "sec-fetch-site"), Some("same-origin" | "none"))
    {
        return Err("the request comes from a page of another site (Sec-Fetch-Site)");
    }
    let ends = peer.is_some_and(|peer| loopback(peer.remote.ip()) && loopback(peer.local.ip()));
    Ok(if ends && names_loopback(&host) { Origin::Here } else { Origin::Foreign })
}

/// A header's value if there is exactly one, and it is text.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let value = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(value)
}

fn loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether `host[:port]` can only mean this machine.
fn names_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(loopback)
}

fn unauthorized(challenge: &'static str) -> Response {
    let text = "this needs a user name and a password, or a token\n";
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], text).into_response()
}

fn forbidden(why: &'static str) -> Response {
    (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_can_mean_no_other_machine_are_this_one() {
        for host in ["localhost", "localhost:9464", "127.0.0.1:1", "127.9.9.9", "[::1]:80", "[::1]"]
        {
            assert!(names_loopback(host), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:80", "10.0.0.1", "0.0.0.0:9464"] {
            assert!(!names_loopback(host), "{host}");
        }
    }

    #[test]
    fn credentials_are_read_as_they_are_written() {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        // Of RFC 7617, section 2.
        let said = basic(&value("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
        assert_eq!(said, Some(("Aladdin".to_owned(), "open sesame".to_owned())));
        let colons = base64::engine::general_purpose::STANDARD.encode("a:b:c");
        let said = basic(&value(&format!("bAsIc {colons}")));
        assert_eq!(said, Some(("a".to_owned(), "b:c".to_owned())));
        assert_eq!(bearer(&value("bearer abc")), Some(&b"abc"[..]));
        for text in ["", "Basic", "Basic !", "Basic YQ==", "Bearer", "Digest YTpi"] {
            assert_eq!(basic(&value(text)), None, "{text}");
            assert_eq!(bearer(&value(text)), None, "{text}");
        }
    }
}
