//! What the demo's threads tell its audience: the feed about the world, the daemon about what it
//! found.

use super::DemoError;
use super::story::Beat;
use crate::daemon::Observer;
use crate::daemon::held::Held;
use crate::engine::effect::{Effect, Judged};
use crate::engine::monitor::ModelReport;
use crate::engine::outbox::{Entry, State};
use crate::engine::outcome::PredictionOutcome;
use crate::engine::request::Request;
use crate::engine::time::Timestamp;
use crate::io::clock;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

/// How many may wait; what the engine tells beyond is lost, the feed waits.
pub const NEWS_MAX: usize = 1_000;
/// How often the engine tells everything it knows.
const FRAME_EVERY: Duration = Duration::from_millis(200);
/// A rate is that of so many frames.
const RATE_FRAMES: usize = 10;
/// Requests that are shown, the newest.
const REQUESTS_MAX: usize = 3;

pub enum News {
    /// The world, at this event time.
    Beat {
        at: Timestamp,
        beat: Beat,
    },
    /// The trainer has got a request, and its signature is right.
    Asked {
        id: String,
        bytes: usize,
    },
    Judged(Judged),
    Requested(Request),
    Frame(Box<Frame>),
    /// All records have been sent, or none can be.
    FeedEnded(Result<u64, DemoError>),
    /// The daemon has stopped, or is about to.
    EngineEnded,
}

/// Everything that the engine knows at one moment.
pub struct Frame {
    pub report: ModelReport,
    /// Records read since the start, and a second.
    pub records: u64,
    pub rate: Option<f64>,
    pub predictions: u64,
    /// Predictions by what became of them.
    pub joined: u64,
    pub pending: u64,
    pub unlabeled: u64,
    pub elsewhere: u64,
    pub requests: Vec<Sent>,
}

/// A request and what became of it.
pub struct Sent {
    pub id: String,
    pub state: String,
    /// The receiver has taken it, with this status.
    pub status: Option<u16>,
}

/// What the threads share.
#[derive(Default)]
pub struct Progress {
    event_time: AtomicI64,
    read: AtomicU64,
    stopped: AtomicBool,
}

impl Progress {
    pub fn event_time(&self) -> Timestamp {
        Timestamp(self.event_time.load(Ordering::Relaxed))
    }

    pub fn set_event_time(&self, at: Timestamp) {
        self.event_time.store(at.0, Ordering::Relaxed);
    }

    /// Records that the daemon has read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Watches the engine. It never makes it wait.
pub struct Watch {
    news: SyncSender<News>,
    progress: Arc<Progress>,
    /// When frames were made, and the records read by then; the newest last.
    frames: VecDeque<(Instant, u64)>,
}

impl Watch {
    pub fn new(news: SyncSender<News>, progress: Arc<Progress>) -> Self {
        Self { news, progress, frames: VecDeque::new() }
    }

    fn tell(&self, news: News) {
        // When nobody listens, or not fast enough, the engine goes on.
        let _ = self.news.try_send(news);
    }

    fn rate(&mut self, now: Instant, records: u64) -> Option<f64> {
        self.frames.push_back((now, records));
        if self.frames.len() > RATE_FRAMES {
            self.frames.pop_front();
        }
        let &(first, before) = self.frames.front()?;
        let seconds = now.duration_since(first).as_secs_f64();
        (seconds > 0.0).then(|| records.saturating_sub(before) as f64 / seconds)
    }
}

impl Observer for Watch {
    fn effect(&mut self, _: &str, effect: &Effect) {
        match effect {
            Effect::Judged(judged) => self.tell(News::Judged(judged.clone())),
            Effect::Request { request } => self.tell(News::Requested(request.clone())),
            Effect::Fired(_) => {}
        }
    }

    fn tick(&mut self, held: &mut Held) {
        self.progress.read.store(held.records, Ordering::Relaxed);
        let now = clock::monotonic();
        let due =
            self.frames.back().is_none_or(|(last, _)| now.duration_since(*last) >= FRAME_EVERY);
        if due {
            let rate = self.rate(now, held.records);
            self.tell(News::Frame(Box::new(frame(held, rate))));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tell(News::EngineEnded);
    }
}

/// The demo has one model.
fn frame(held: &mut Held, rate: Option<f64>) -> Frame {
    let report = held.report(0);
    let mut counts = Frame {
        report,
        records: held.records,
        rate,
        predictions: 0,
        joined: 0,
        pending: 0,
        unlabeled: 0,
        elsewhere: 0,
        requests: Vec::new(),
    };
    for partial in held.partials(0) {
        let of = |outcome| partial.tally.of(outcome);
        let (joined, unlabeled) =
            (of(PredictionOutcome::Matched), of(PredictionOutcome::ExpiredUnlabelled));
        counts.predictions += partial.tally.terminal() + partial.pending;
        counts.joined += joined;
        counts.pending += partial.pending;
        counts.unlabeled += unlabeled;
        counts.elsewhere += partial.tally.terminal() - joined - unlabeled;
    }
    let outbox = &held.monitors[0].monitor.state.outbox;
    let mut requests: Vec<&Entry> = outbox.finished().chain(outbox.pending()).collect();
    requests.sort_by_key(|entry| entry.sequence);
    let newest = requests.iter().rev().take(REQUESTS_MAX);
    counts.requests = newest.map(|entry| sent(entry)).collect();
    counts
}

fn sent(entry: &Entry) -> Sent {
    let (state, status) = match &entry.state {
        State::Pending { attempts: 0, .. } => ("leaves when it is durable".to_owned(), None),
        State::Pending { attempts, last_error, .. } => {
            let error = last_error.as_deref().unwrap_or("no answer");
            (format!("tried {attempts} times: {error}"), None)
        }
        State::Sent { status, .. } => (format!("delivered, status {status}"), Some(*status)),
        State::GivenUp { reason, .. } => (format!("given up: {reason:?}"), None),
    };
    Sent { id: entry.request.id.to_string(), state, status }
}
