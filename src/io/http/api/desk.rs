//! How a handler gets an answer from the engine's thread, without waiting for it for ever and
//! without keeping it from its work.
//!
//! An answer is made once a second at most: whoever asks the same within that time gets the same
//! struct. The engine works on queries for [`BUDGET`] a round and leaves the rest for the next;
//! only the one it has begun it ends.

use super::dto::Answer;
use super::query::{ApiError, Query};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Queries that can wait; a further one is refused.
const WAITING_MAX: usize = 64;
/// Answers that are kept for those who ask the same.
const KEPT_MAX: usize = 128;
const KEPT_FOR: Duration = Duration::from_secs(1);
/// What a round spends on queries before it goes on with its work.
pub const BUDGET: Duration = Duration::from_millis(20);

pub type Answered = Result<Arc<Answer>, ApiError>;

#[derive(Debug)]
struct Asked {
    query: Query,
    answer: oneshot::Sender<Answered>,
}

/// The handlers' end.
#[derive(Clone, Debug)]
pub struct ApiClient {
    queries: mpsc::Sender<Asked>,
}

/// The engine's end.
#[derive(Debug)]
pub struct ApiDesk {
    queries: mpsc::Receiver<Asked>,
    kept: BTreeMap<Query, (Instant, Answered)>,
}

/// Connects handlers with the engine.
pub fn api() -> (ApiClient, ApiDesk) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (ApiClient { queries: sender }, ApiDesk { queries: receiver, kept: BTreeMap::new() })
}

impl ApiClient {
    /// The engine's answer.
    ///
    /// # Errors
    /// The engine's reason, or that it does not get to it in time.
    pub async fn ask(&self, query: Query, within: Duration) -> Answered {
        let busy =
            |what: &str| ApiError::unavailable(format!("{what}; try again in a few seconds"));
        let (answer, answered) = oneshot::channel();
        self.queries.try_send(Asked { query, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => busy("too many queries wait for the engine"),
            mpsc::error::TrySendError::Closed(_) => busy("the engine is starting or has stopped"),
        })?;
        match tokio::time::timeout(within, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(busy("the engine has stopped")),
            Err(_) => Err(busy("the engine is busy and did not answer in time")),
        }
    }
}

impl ApiDesk {
    /// To be called in the engine's loop, with the monotonic clock. Those that gave up waiting cost
    /// nothing.
    pub fn serve(
        &mut self,
        clock: impl Fn() -> Instant,
        mut make: impl FnMut(&Query) -> Result<Answer, ApiError>,
    ) {
        let started_at = clock();
        let mut now = started_at;
        while now.duration_since(started_at) < BUDGET {
            let Ok(Asked { query, answer }) = self.queries.try_recv() else { return };
            if answer.is_closed() {
                continue;
            }
            let kept = self.kept.get(&query);
            let fresh = kept.filter(|(at, _)| now.duration_since(*at) < KEPT_FOR);
            let made = match fresh {
                Some((_, made)) => made.clone(),
                None => {
                    let made = make(&query).map(Arc::new);
                    now = clock();
                    self.keep(query, now, &made);
                    made
                }
            };
            // It may have given up in the meantime; then nobody is left to tell.
            let _ = answer.send(made);
        }
    }

    fn keep(&mut self, query: Query, now: Instant, made: &Answered) {
        if self.kept.len() >= KEPT_MAX {
            self.kept.retain(|_, (at, _)| now.duration_since(*at) < KEPT_FOR);
        }
        if self.kept.len() >= KEPT_MAX {
            self.kept.clear();
        }
        self.kept.insert(query, (now, made.clone()));
    }
}
