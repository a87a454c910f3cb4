//! The HTTP server, over real sockets.

use reqwest::{Client, Method, Response, StatusCode};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::http::{Heartbeat, HttpState, Limits, Readiness, bind, page, router, serve};
use tidemark::io::telemetry::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

struct Server {
    address: SocketAddr,
    readiness: watch::Sender<Readiness>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    desk: Option<SnapshotDesk>,
    now: Arc<AtomicI64>,
    client: Client,
}

impl Server {
    async fn start(limits: Limits) -> Self {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (readiness, ready) = watch::channel(Readiness::NotReady("restoring".into()));
        let (stop, stopped) = watch::channel(false);
        let (snapshot_client, desk) = snapshots();
        let now = Arc::new(AtomicI64::new(NOW.0));
        let clock = now.clone();
        let state = HttpState::new(
            Arc::new(Telemetry::new()),
            snapshot_client,
            ready,
            Arc::new(move || Timestamp(clock.load(Ordering::SeqCst))),
            limits,
        );
        let task = tokio::spawn(serve(listener, router(state, page()), limits, stopped));
        let client = Client::builder().no_proxy().build().unwrap();
        Self { address, readiness, stop, task, desk: Some(desk), now, client }
    }

    async fn ask(&self, method: Method, path: &str) -> Response {
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url).send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.ask(Method::GET, path).await;
        (response.status(), response.text().await.unwrap())
    }
}

/// The engine's thread: answers scrapes with a snapshot in which all gauges have the same value.
struct Engine {
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<SnapshotDesk>>,
}

impl Engine {
    fn start(mut desk: SnapshotDesk) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut taken = 0;
            while !stopped.load(Ordering::SeqCst) {
                if desk.serve(|| numbered_snapshot(taken)) {
                    taken += 1;
                }
                std::thread::park_timeout(Duration::from_millis(1));
            }
            desk
        });
        Self { stop, thread: Some(thread) }
    }

    fn stop(mut self) -> SnapshotDesk {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

fn numbered_snapshot(number: i64) -> Snapshot {
    let mut builder = SnapshotBuilder::new(NOW + Span(number));
    builder.model("income", 1_000);
    for slice in 0..100 {
        let labels = ["income", "v1", "1h", &format!("slice={slice:03}")];
        builder.sample(&SLICE_WINDOW_PREDICTIONS, &labels, number as f64);
    }
    builder.finish()
}

fn quick() -> Limits {
    Limits { snapshot_timeout: Duration::from_millis(50), ..Limits::default() }
}

#[tokio::test]
async fn health_and_readiness_are_told_apart() {
    let server = Server::start(quick()).await;
    assert_eq!(server.get("/-/healthy").await, (StatusCode::OK, "healthy\n".into()));
    let not_ready = (StatusCode::SERVICE_UNAVAILABLE, "not ready: restoring\n".to_owned());
    assert_eq!(server.get("/-/ready").await, not_ready);
    server.readiness.send(Readiness::Ready).unwrap();
    assert_eq!(server.get("/-/ready").await, (StatusCode::OK, "ready\n".into()));
    server.readiness.send(Readiness::NotReady("a\nb".into())).unwrap();
    assert_eq!(server.get("/-/ready").await.1, "not ready: ab\n");
}

#[tokio::test]
async fn an_unknown_path_lists_what_there_is() {
    let server = Server::start(quick()).await;
    let (status, text) = server.get("/nowhere").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    for path in ["/metrics", "/-/healthy", "/-/ready"] {
        assert!(text.contains(path), "{text}");
    }
    let refused = server.ask(Method::POST, "/metrics").await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn the_page_is_served_whole_may_load_only_what_is_here_and_is_sent_once() {
    let server = Server::start(quick()).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page/app.js", "text/javascript; charset=utf-8"),
        ("/page/views/model.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ] {
        let response = server.ask(Method::GET, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let headers = response.headers().clone();
        assert_eq!(headers["content-type"], kind);
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-cache");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!response.text().await.unwrap().is_empty());

        let again = server
            .client
            .get(format!("http://{}{path}", server.address))
            .header("if-none-match", format!("\"other\", W/{}", headers["etag"].to_str().unwrap()));
        let again = again.send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()["etag"], headers["etag"]);
        assert_eq!(again.text().await.unwrap(), "");
    }
    for path in ["/page/", "/page/nothing.js", "/page/../Cargo.toml", "/page/%2e%2e/lib.rs"] {
        assert_eq!(server.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn every_answer_has_safe_headers_and_head_has_no_body() {
    let server = Server::start(quick()).await;
    for (method, path) in [
        (Method::GET, "/metrics"),
        (Method::HEAD, "/metrics"),
        (Method::HEAD, "/-/healthy"),
        (Method::GET, "/nowhere"),
        (Method::DELETE, "/-/ready"),
    ] {
        let response = server.ask(method.clone(), path).await;
        let headers = response.headers().clone();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
        assert!(headers.contains_key("content-security-policy"), "{path}");
        if path == "/metrics" {
            assert_eq!(headers["content-type"], CONTENT_TYPE);
        }
        if method == Method::HEAD {
            assert_eq!(response.status(), StatusCode::OK);
            assert!(headers["content-length"].to_str().unwrap().parse::<u64>().unwrap() > 0);
            assert!(response.bytes().await.unwrap().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_is_one_consistent_snapshot_however_many_ask() {
    let mut server = Server::start(Limits::default()).await;
    let engine = Engine::start(server.desk.take().unwrap());
    let server = Arc::new(server);
    let scrapes: Vec<_> = (0..10)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move { server.get("/metrics").await.1 })
        })
        .collect();
    for scrape in scrapes {
        let text = scrape.await.unwrap();
        let values: std::collections::BTreeSet<&str> = text
            .lines()
            .filter(|line| line.starts_with("tidemark_slice_window_predictions{"))
            .map(|line| line.rsplit(' ').next().unwrap())
            .collect();
        assert_eq!(values.len(), 1, "{values:?}");
    }
    engine.stop();
}

#[tokio::test]
async fn a_busy_engine_makes_a_scrape_stale_and_a_stuck_one_empty() {
    let mut server = Server::start(quick()).await;
    let (_, text) = server.get("/metrics").await;
    assert!(!text.contains("tidemark_snapshot_timestamp_seconds"), "no snapshot yet: {text}");
    let patient = Limits { snapshot_timeout: Duration::from_secs(20), ..Limits::default() };
    let fresh = Server::start(patient).await;
    drop(std::mem::replace(&mut server, fresh));
    let engine = Engine::start(server.desk.take().unwrap());
    let (_, text) = server.get("/metrics").await;
    assert!(text.contains("tidemark_snapshot_timestamp_seconds 1800000000\n"), "{text}");
    assert!(text.contains("tidemark_snapshots_stale_total 0\n"), "{text}");

    // Without its end of the channel the engine answers nobody, at once.
    drop(engine.stop());
    let (status, text) = server.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("tidemark_snapshot_timestamp_seconds 1800000000\n"), "{text}");
    assert!(text.contains("tidemark_snapshots_stale_total 1\n"), "{text}");
    server.now.fetch_add(SNAPSHOT_AGE_MAX.0 + 1, Ordering::SeqCst);
    let (_, text) = server.get("/metrics").await;
    assert!(!text.contains("tidemark_slice_window_predictions"), "{text}");
    assert!(text.contains("tidemark_snapshots_stale_total 2\n"), "{text}");
    assert!(text.contains("tidemark_http_requests_total{endpoint=\"/metrics\"} 3\n"), "{text}");
}

#[tokio::test]
async fn an_engine_that_does_not_answer_holds_a_scrape_only_for_a_moment() {
    let server = Server::start(quick()).await;
    let (status, text) = server.get("/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("tidemark_snapshots_stale_total 1\n"), "{text}");
}

async fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset says the same as an end here.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_client_that_never_finishes_its_request_is_cut_off() {
    let limits = Limits { head_timeout: Duration::from_millis(100), ..quick() };
    let server = Server::start(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(20), read_all(stream)).await.unwrap();
    assert!(!answer.contains("healthy"), "{answer}");
    let idle = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), read_all(idle)).await.unwrap(), "");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::start(quick()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("GET /-/healthy HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(40_000));
    // The server may hang up before it has read all of it.
    let _ = stream.write_all(head.as_bytes()).await;
    let answer = read_all(stream).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn beyond_the_maximum_a_connection_waits_its_turn() {
    let limits = Limits { connections_max: 1, ..quick() };
    let server = Server::start(limits).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut part = [0; 12];
    first.read_exact(&mut part).await.unwrap();
    assert_eq!(&part, b"HTTP/1.1 200");
    let mut second = TcpStream::connect(server.address).await.unwrap();
    second
        .write_all(b"GET /-/healthy HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0; 1];
    let waits =
        tokio::time::timeout(Duration::from_millis(100), second.read_exact(&mut byte)).await;
    assert!(waits.is_err(), "the second connection is served although the first is open");
    drop(first);
    assert!(read_all(second).await.contains("healthy"));
}

#[tokio::test]
async fn stopping_answers_what_is_in_progress_and_frees_the_port() {
    let limits = Limits { snapshot_timeout: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start(limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let idle = TcpStream::connect(server.address).await.unwrap();
    // The scrape is in progress when it has asked the desk (which never answers).
    let mut desk = server.desk.unwrap();
    while !desk.serve(|| {
        server.stop.send(true).unwrap();
        numbered_snapshot(0)
    }) {
        tokio::task::yield_now().await;
    }
    let answer = tokio::time::timeout(Duration::from_secs(20), read_all(stream)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("tidemark_snapshot_timestamp_seconds 1800000000"), "{answer}");
    tokio::time::timeout(Duration::from_secs(20), server.task).await.unwrap().unwrap();
    assert_eq!(read_all(idle).await, "");
    assert!(bind(server.address).await.is_ok());
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_with_its_address() {
    let server = Server::start(quick()).await;
    let error = bind(server.address).await.unwrap_err().to_string();
    assert!(
        error.contains(&server.address.to_string()) && error.contains("http.listen"),
        "{error}"
    );
}

#[tokio::test]
async fn an_engine_that_is_stuck_or_has_ended_is_not_ready() {
    let start = async |silent_max: Duration| {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}/-/ready", listener.local_addr().unwrap());
        let (ready, readiness) = watch::channel(Readiness::Ready);
        let (stop, stopped) = watch::channel(false);
        let limits = Limits { silent_max, ..Limits::default() };
        let now = Arc::new(|| NOW);
        let (client, _) = snapshots();
        let heartbeat = Heartbeat::default();
        heartbeat.beat();
        let state = HttpState::new(Arc::new(Telemetry::new()), client, readiness, now, limits);
        let router = router(state.beating(heartbeat), axum::Router::new());
        tokio::spawn(serve(listener, router, limits, stopped));
        (url, ready, stop)
    };
    let ask = async |url: &str| {
        let answer = Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let (url, ready, _stop) = start(Duration::from_secs(3_600)).await;
    assert_eq!(ask(&url).await, (200, "ready\n".to_owned()));
    drop(ready);
    assert_eq!(ask(&url).await, (503, "not ready: the engine has ended\n".to_owned()));
    let (url, _ready, _stop) = start(Duration::ZERO).await;
    let (status, text) = ask(&url).await;
    assert!(status == 503 && text.contains("the engine has not answered for "), "{text}");
}
