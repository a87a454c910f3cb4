//! A small receiver of webhooks on a free loopback port: the trainer of the demo.
//!
//! It verifies each request as a real one would, keeps the newest, and counts a repeated id once.

use super::signature::{ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, verify};
use crate::engine::time::Timestamp;
use crate::io::Now;
use crate::io::http::{Limits, serve};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Requests that are kept, the newest.
const KEPT_MAX: usize = 100;
const BODY_BYTES_MAX: usize = 64 << 10;

/// A request that was verified and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub id: String,
    /// When it first came.
    pub at: Timestamp,
    /// How often it came.
    pub times: u32,
    pub body: String,
}

/// Runs until it is dropped or stopped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    received: watch::Receiver<VecDeque<Received>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Desk {
    secret: SigningSecret,
    now: Now,
    received: watch::Sender<VecDeque<Received>>,
}

impl Receiver {
    /// Starts on a free port of the loopback address, within a tokio runtime.
    pub async fn start(secret: SigningSecret, now: Now) -> std::io::Result<Self> {
        Self::start_on((Ipv4Addr::LOCALHOST, 0).into(), secret, now).await
    }

    /// Starts on an address, within a tokio runtime.
    pub async fn start_on(
        address: SocketAddr,
        secret: SigningSecret,
        now: Now,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (sender, received) = watch::channel(VecDeque::new());
        let desk = Arc::new(Desk { secret, now, received: sender });
        let router = Router::new()
            .route("/retrain", post(take))
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .with_state(desk);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(serve(listener, router, Limits::default(), stopped));
        Ok(Self { address, received, stop, task })
    }

    pub fn url(&self) -> String {
        format!("http://{}/retrain", self.address)
    }

    /// The newest requests, oldest first.
    pub fn received(&self) -> Vec<Received> {
        self.received.borrow().iter().cloned().collect()
    }

    /// Waits until that many requests (by id) have come; fewer if the receiver ends.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        let mut received = self.received.clone();
        // An error means that the receiver has ended; what is there is all there will be.
        let _ = received.wait_for(|received| received.len() >= count).await;
        self.received()
    }

    pub async fn stop(self) {
        // It fails only if the task has ended already.
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn take(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(id), Some(timestamp), Some(signature)) =
        (header(ID_HEADER), header(TIMESTAMP_HEADER), header(SIGNATURE_HEADER))
    else {
        return StatusCode::BAD_REQUEST;
    };
    let now = (desk.now)();
    if verify(&desk.secret, id, timestamp, signature, &body, now).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(text) = std::str::from_utf8(&body) else { return StatusCode::BAD_REQUEST };
    desk.received.send_modify(|received| {
        if let Some(known) = received.iter_mut().find(|known| known.id == id) {
            known.times = known.times.saturating_add(1);
            return;
        }
        let (id, body) = (id.to_owned(), text.to_owned());
        received.push_back(Received { id, at: now, times: 1, body });
        while received.len() > KEPT_MAX {
            received.pop_front();
        }
    });
    StatusCode::NO_CONTENT
}
