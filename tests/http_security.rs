//! Who may read and who may change something, over real sockets and real TLS.

use crate::support::certs::{Authority, Signed};
use axum::Router;
use axum::routing::post;
use reqwest::{Certificate, Client, ClientBuilder, Identity, StatusCode};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tidemark::config::{Secret, load_web};
use tidemark::engine::time::Timestamp;
use tidemark::io::http::{
    HttpState, Limits, Readiness, Rules, Security, bind, metrics_router, router, serve_secured,
};
use tidemark::io::telemetry::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Cost 4, of "open sesame".
fn hash(password: &str) -> String {
    bcrypt::hash(password, 4).unwrap()
}

/// A directory with the files of a web configuration.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        // Replaced as a whole, so that nobody reads half of it.
        std::fs::write(self.path("new"), text).unwrap();
        std::fs::rename(self.path("new"), self.path(name)).unwrap();
        self
    }

    fn certificate(&self, Signed { cert, key }: &Signed) -> &Self {
        self.write("server.pem", cert).write("server.key", key)
    }

    fn rules(&self) -> Rules {
        Rules::load(Some(&self.path("web.yaml")), None).unwrap()
    }
}

struct Server {
    address: SocketAddr,
    security: Arc<Security>,
    _stop: watch::Sender<bool>,
    _ready: watch::Sender<Readiness>,
}

impl Server {
    async fn start(rules: Rules) -> Self {
        Self::listening(rules, Ipv4Addr::LOCALHOST).await
    }

    async fn listening(rules: Rules, ip: Ipv4Addr) -> Self {
        let listener = bind(SocketAddr::from((ip, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (ready, readiness) = watch::channel(Readiness::Ready);
        let (stop, stopped) = watch::channel(false);
        let (client, _) = snapshots();
        let limits = Limits { snapshot_timeout: Duration::from_millis(1), ..Limits::default() };
        let security = Arc::new(Security::new(rules));
        let now = Arc::new(|| Timestamp::from_secs(1_800_000_000));
        let state = HttpState::new(Arc::new(Telemetry::new()), client, readiness, now, limits)
            .secured(Arc::clone(&security));
        let more = Router::new()
            .route("/-/reload", post(async || "changed\n"))
            .route("/api/v1/alertmanager", post(async || "changed\n"));
        let router = router(state, more);
        tokio::spawn(serve_secured(listener, router, limits, stopped, Arc::clone(&security)));
        Self { address, security, _stop: stop, _ready: ready }
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.address)
    }

    /// A request with these lines in its head; the status.
    async fn raw(&self, head: &str) -> u16 {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!("{head}\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0)
    }

    async fn reload_with(&self, lines: &str) -> u16 {
        let port = self.address.port();
        let lines = lines.replace("@PORT", &port.to_string());
        self.raw(&format!("POST /-/reload HTTP/1.1\r\n{lines}")).await
    }
}

fn client() -> ClientBuilder {
    Client::builder().no_proxy().tls_certs_only([])
}

fn trusting(authority: &Authority) -> ClientBuilder {
    let pem = authority.pem();
    Client::builder().no_proxy().tls_certs_only([Certificate::from_pem(pem.as_bytes()).unwrap()])
}

#[tokio::test]
async fn what_changes_something_needs_a_request_from_this_machine_under_its_name() {
    let server = Server::start(Rules::default()).await;
    for host in ["127.0.0.1:@PORT", "localhost:@PORT", "[::1]", "LOCALHOST"] {
        assert_eq!(server.reload_with(&format!("host: {host}")).await, 200, "{host}");
    }
    // DNS rebinding: the browser believes that 127.0.0.1 is the attacker's.
    for host in ["evil.example", "evil.example:@PORT", "localhost.evil.example", "10.0.0.1"] {
        assert_eq!(server.reload_with(&format!("host: {host}")).await, 403, "{host}");
    }
    assert_eq!(server.reload_with("host: localhost\r\nhost: localhost").await, 403);
    // Reading is for everyone.
    assert_eq!(server.raw("GET /-/ready HTTP/1.1\r\nhost: evil.example").await, 200);
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing() {
    let server = Server::start(Rules::default()).await;
    let here = "host: localhost:@PORT\r\n";
    for line in [
        "origin: http://localhost:@PORT",
        "origin: http://localhost:@PORT\r\nsec-fetch-site: same-origin",
        "sec-fetch-site: none",
    ] {
        assert_eq!(server.reload_with(&format!("{here}{line}")).await, 200, "{line}");
    }
    for line in [
        "origin: http://evil.example",
        "origin: https://localhost:@PORT",
        "origin: http://localhost:1",
        "origin: null",
        "origin: ",
        "sec-fetch-site: cross-site",
        "sec-fetch-site: same-site",
    ] {
        assert_eq!(server.reload_with(&format!("{here}{line}")).await, 403, "{line}");
    }
}

/// An address of this machine that is not loopback.
fn own_address() -> Ipv4Addr {
    let socket = std::net::UdpSocket::bind(("0.0.0.0", 0)).unwrap();
    // Nothing is sent: this only asks which address would be used.
    socket.connect(("192.0.2.1", 9)).expect("this test needs a network interface");
    match socket.local_addr().unwrap() {
        SocketAddr::V4(address) => *address.ip(),
        other => panic!("{other} is no IPv4 address"),
    }
}

#[tokio::test]
async fn from_another_address_reading_is_free_and_changing_needs_a_password() {
    let files = Files::new();
    let mut server = Server::listening(Rules::default(), Ipv4Addr::UNSPECIFIED).await;
    server.address.set_ip(own_address().into());
    let http = client().build().unwrap();
    let read = http.get(server.url("http", "/-/ready")).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::OK);
    let change = || http.post(server.url("http", "/-/reload"));
    let refused = change().send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().await.unwrap().contains("http.web_config"));
    let spoofed = change().header("host", "localhost").send().await.unwrap();
    assert_eq!(spoofed.status(), StatusCode::FORBIDDEN);

    let users = format!("basic_auth_users:\n  ali: {}\n", hash("open sesame"));
    files.write("web.yaml", &users);
    server.security.replace(files.rules());
    let read = http.get(server.url("http", "/-/ready")).send().await.unwrap();
    assert_eq!(read.status(), StatusCode::UNAUTHORIZED);
    let challenge = read.headers()["www-authenticate"].to_str().unwrap();
    assert_eq!(challenge, "Basic realm=\"tidemark\", charset=\"UTF-8\"");
    assert_eq!(read.headers()["x-content-type-options"], "nosniff");
    for (name, password, status) in [
        ("ali", "open sesame", StatusCode::OK),
        ("ali", "open barley", StatusCode::UNAUTHORIZED),
        ("ali", "", StatusCode::UNAUTHORIZED),
        ("baba", "open sesame", StatusCode::UNAUTHORIZED),
    ] {
        for request in [change(), http.get(server.url("http", "/metrics"))] {
            let answer = request.basic_auth(name, Some(password)).send().await.unwrap();
            assert_eq!(answer.status(), status, "{name} {password}");
        }
    }
    // A browser sends the password that it remembers.
    let forged = change().basic_auth("ali", Some("open sesame"));
    let forged = forged.header("origin", "http://evil.example").send().await.unwrap();
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_token_of_alertmanager_opens_its_endpoint_and_nothing_else() {
    let files = Files::new();
    let token = Secret::new("s3cr3t-token");
    let rules = Rules::load(None, Some(&token)).unwrap();
    let server = Server::start(rules).await;
    let http = client().build().unwrap();
    let alerts = || http.post(server.url("http", "/api/v1/alertmanager"));
    let without = alerts().send().await.unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED, "although it is loopback");
    assert_eq!(without.headers()["www-authenticate"], "Bearer realm=\"tidemark\"");
    let wrong = alerts().bearer_auth("s3cr3t-tokeN").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let right = alerts().bearer_auth("s3cr3t-token");
    assert_eq!(right.send().await.unwrap().status(), StatusCode::OK);

    files.write("web.yaml", &format!("basic_auth_users: {{ ali: {} }}", hash("open sesame")));
    let path = files.path("web.yaml");
    server.security.replace(Rules::load(Some(&path), Some(&token)).unwrap());
    let right = alerts().bearer_auth("s3cr3t-token").header("host", "tidemark.example:9464");
    assert_eq!(right.send().await.unwrap().status(), StatusCode::OK);
    let password = alerts().basic_auth("ali", Some("open sesame"));
    assert_eq!(password.send().await.unwrap().status(), StatusCode::OK);
    for path in ["/-/reload", "/api/v1/alertmanagers", "/metrics"] {
        let other = http.post(server.url("http", path)).bearer_auth("s3cr3t-token");
        assert_eq!(other.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn tls_asks_for_what_the_file_says_and_follows_it_when_it_changes() {
    let (old, new) = (Authority::new(), Authority::new());
    let files = Files::new();
    files.certificate(&old.sign()).write("clients.pem", &old.pem());
    let plain = "tls_server_config: { cert_file: server.pem, key_file: server.key }";
    files.write("web.yaml", plain);
    let server = Server::start(files.rules()).await;
    let get = async |client: ClientBuilder| {
        let sent = client.build().unwrap().get(server.url("https", "/-/healthy")).send().await;
        sent.map(|answer| answer.status().as_u16()).ok()
    };
    assert_eq!(get(trusting(&old)).await, Some(200));
    assert_eq!(get(trusting(&new)).await, None, "signed by somebody else");
    assert_eq!(server.raw("GET /-/healthy HTTP/1.1\r\nhost: localhost").await, 0, "no plain HTTP");

    // A renewed certificate.
    files.certificate(&new.sign());
    server.security.look();
    assert_eq!(get(trusting(&new)).await, Some(200));
    assert_eq!(get(trusting(&old)).await, None);
    // One that cannot be used does not take effect.
    files.write("server.pem", "no certificate");
    server.security.look();
    assert_eq!(get(trusting(&new)).await, Some(200));
    files.certificate(&new.sign());

    let client = old.sign();
    let identity = Identity::from_pem(format!("{}{}", client.cert, client.key).as_bytes()).unwrap();
    let stranger = new.sign();
    let stranger =
        Identity::from_pem(format!("{}{}", stranger.cert, stranger.key).as_bytes()).unwrap();
    files.write(
        "web.yaml",
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  \
         client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n  \
         min_version: TLS13\n",
    );
    server.security.look();
    assert!(server.security.guards_reading());
    assert_eq!(get(trusting(&new)).await, None, "without a certificate");
    assert_eq!(get(trusting(&new).identity(stranger)).await, None, "with a stranger's");
    assert_eq!(get(trusting(&new).identity(identity.clone())).await, Some(200));
    let old_tls =
        trusting(&new).identity(identity.clone()).tls_version_max(reqwest::tls::Version::TLS_1_2);
    assert_eq!(get(old_tls).await, None);
    // A verified certificate is as good as a password, under any name.
    let known = trusting(&new).identity(identity).build().unwrap();
    let change = known.post(server.url("https", "/-/reload")).header("host", "tidemark.example");
    assert_eq!(change.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_listener_for_metrics_serves_nothing_else() {
    let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_ready, readiness) = watch::channel(Readiness::Ready);
    let (_stop, stopped) = watch::channel(false);
    let (client, _) = snapshots();
    let limits = Limits { snapshot_timeout: Duration::from_millis(1), ..Limits::default() };
    let now = Arc::new(|| Timestamp::from_secs(1_800_000_000));
    let state = HttpState::new(Arc::new(Telemetry::new()), client, readiness, now, limits);
    let router = metrics_router(state);
    tokio::spawn(serve_secured(listener, router, limits, stopped, Arc::default()));
    let http = self::client().build().unwrap();
    for (path, status) in [("/metrics", 200), ("/-/ready", 404), ("/", 404), ("/-/reload", 404)] {
        let answer = http.get(format!("http://{address}{path}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}

#[test]
fn a_faulty_web_configuration_is_refused_with_all_its_faults_and_no_secret() {
    let files = Files::new();
    let authority = Authority::new();
    files.certificate(&authority.sign()).write("other.key", &authority.sign().key);
    let faults = |text: &str| {
        files.write("web.yaml", text);
        load_web(&files.path("web.yaml"))
            .unwrap_err()
            .to_string()
            .replace(&files.path("web.yaml").display().to_string(), "web.yaml")
    };
    let text = "tls_server_config:\n  cert_file: none.pem\n  key_file: server.pem\n  \
                min_version: TLS11\n  client_auth_type: RequestClientCert\n  cipher_suites: []\n\
                basic_auth_users:\n  ali: hunter2\n  \"b:c\": $2b$04$short\n  baba:\n\
                auth_excluded_paths: [/metrics]\n";
    let said = faults(text);
    for (place, part) in [
        ("2:14: tls_server_config.cert_file", "cannot read the file `none.pem`: No such file"),
        ("3:13: tls_server_config.key_file", "has no private key in PEM form"),
        ("4:16: tls_server_config.min_version", "`TLS11` is not TLS12 or TLS13"),
        ("5:21: tls_server_config.client_auth_type", "a certificate that nobody verifies"),
        ("6:3: tls_server_config.cipher_suites", "unknown option `cipher_suites`"),
        ("8:8: basic_auth_users.ali", "is not a bcrypt hash"),
        ("9:10: basic_auth_users[\"b:c\"]", "a name must not be empty or contain a colon"),
        ("basic_auth_users.baba", "has no value"),
        ("auth_excluded_paths", "unknown option `auth_excluded_paths`"),
    ] {
        let found = said.lines().any(|line| line.contains(place) && line.contains(part));
        assert!(found, "{place}: {part}\n{said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let tls = |more: &str| format!("tls_server_config: {{ cert_file: server.pem, {more} }}");
    assert!(faults(&tls("key_file: other.key")).contains("the certificate and its key do not fit"));
    assert!(faults(&tls("min_version: TLS12")).contains("`key_file` is missing"));
    let both = "key_file: server.key, min_version: TLS13, max_version: TLS12";
    assert!(faults(&tls(both)).contains("is below min_version"));
    let ca = "key_file: server.key, client_ca_file: server.pem";
    assert!(faults(&tls(ca)).contains("clients are not asked for a certificate"));
    let no_ca = "key_file: server.key, client_auth_type: VerifyClientCertIfGiven";
    assert!(faults(&tls(no_ca)).contains("`client_ca_file` is missing"));
    let dear = hash("x").replace("$04$", "$17$");
    assert!(faults(&format!("basic_auth_users: {{ ali: {dear} }}")).contains("cost is more than"));
}
