//! How a scrape gets a fresh snapshot from the engine's thread, without waiting for it for ever.

use super::telemetry_snapshot::Snapshot;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Scrapes that can wait for a snapshot; one more is shown the last snapshot.
const WAITING_MAX: usize = 16;

/// The scrapes' end.
#[derive(Clone, Debug)]
pub struct SnapshotClient {
    requests: mpsc::Sender<oneshot::Sender<Arc<Snapshot>>>,
}

/// The engine's end.
#[derive(Debug)]
pub struct SnapshotDesk {
    requests: mpsc::Receiver<oneshot::Sender<Arc<Snapshot>>>,
}

/// Connects scrapes with the engine.
pub fn snapshots() -> (SnapshotClient, SnapshotDesk) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (SnapshotClient { requests: sender }, SnapshotDesk { requests: receiver })
}

impl SnapshotClient {
    /// A snapshot taken after this call; `None` if the engine does not get to it in time.
    pub async fn fresh(&self, within: Duration) -> Option<Arc<Snapshot>> {
        let (answer, snapshot) = oneshot::channel();
        self.requests.try_send(answer).ok()?;
        tokio::time::timeout(within, snapshot).await.ok()?.ok()
    }
}

impl SnapshotDesk {
    /// To be called in the engine's loop. If scrapes are waiting, takes one snapshot for all of
    /// them; those that gave up waiting cost nothing. Says whether one was taken.
    pub fn serve(&mut self, take: impl FnOnce() -> Snapshot) -> bool {
        let mut waiting = Vec::new();
        while let Ok(answer) = self.requests.try_recv() {
            if !answer.is_closed() {
                waiting.push(answer);
            }
        }
        if waiting.is_empty() {
            return false;
        }
        let snapshot = Arc::new(take());
        for answer in waiting {
            // It may have given up in the meantime; then nobody is left to tell.
            let _ = answer.send(snapshot.clone());
        }
        true
    }
}
