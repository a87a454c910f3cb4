//! `tidemark demo`: the daemon as it is, with a broker, a world and a trainer in the same process.
//!
//! The world is replayed census data (`people.rs`, `story.rs`, `stream.rs`), the broker is
//! librdkafka's own mock cluster, the trainer a webhook receiver (`feed.rs`). Configuration,
//! engine, checkpoints, metrics and delivery are those of `tidemark run`. The mock keeps about 5 MB
//! a partition and drops what is older, so the feed never runs far ahead of the daemon.

mod chronicle;
mod feed;
mod news;
mod outside;
mod people;
mod place;
mod screen;
mod show;
mod story;
mod stream;
mod summary;
mod text;

use crate::config::ConfigErrors;
use crate::daemon::{Daemon, DaemonError, Options as DaemonOptions};
use crate::engine::time::{Span, Timestamp};
use crate::io::clock;
use crate::io::kafka::Membership;
use crate::io::webhook::{Receiver, SecretError, SigningSecret};
use chronicle::Chronicle;
use feed::{Feed, LABELS, PREDICTIONS, Pace};
use news::{NEWS_MAX, News, Progress, Watch};
use place::{Place, Variables, listen, random_secret};
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use show::Show;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;
use stream::Stream;

pub use outside::{Outside, produce};

/// The configuration that the demo runs.
pub const CONFIG: &str = include_str!("../../config/examples/demo.yaml");
/// Where HTTP listens if nobody says where, and nobody else listens there.
pub const PORT: u16 = 9464;
/// What requests are signed with if the configuration gets no other secret.
pub const SECRET: &str = "whsec_bm90IGEgc2VjcmV0LCBqdXN0IGFuIGV4YW1wbGU=";
/// Of both topics.
const PARTITIONS: i32 = 2;
/// The replay reaches back no farther, and so far if it has no end; the configuration's
/// `idle_after` is longer.
const REACH: Span = Span::from_hours(6 * 24);
const MINUTE: Span = Span::from_mins(1);
const SEED: u64 = 7;

/// What the audience asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Absent: until it is told to stop.
    pub length: Option<Duration>,
    /// Event time runs so many times as fast as ours.
    pub speed: u32,
    /// Absent: `PORT`, or a free one if it is taken.
    pub port: Option<u16>,
    /// Where configuration, profiles and state go, and stay; empty or not there yet. Absent: a
    /// directory that is removed in the end.
    pub state: Option<PathBuf>,
    /// The output is a terminal.
    pub terminal: bool,
    pub colors: bool,
}

/// The demo cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    #[error("{0} is not empty; the demo begins anew and needs an empty directory")]
    NotEmpty(PathBuf),
    #[error("the demo's data is damaged: {0}")]
    Data(String),
    #[error("the demo's configuration does not load:\n{0}")]
    Config(#[from] ConfigErrors),
    #[error("the demo's broker: {0}")]
    Kafka(#[from] KafkaError),
    #[error("the demo's trainer: {0}")]
    Trainer(std::io::Error),
    #[error("the trainer's secret: {0}")]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error("{0}")]
    Incomplete(String),
}

/// Plays the demo and prints to `out`, until its length is over or `stop` is set. Where the webhook
/// receiver runs is up to the caller: `runtime`.
///
/// # Errors
/// What keeps it from running; and [`DemoError::Incomplete`] if it was long enough for the whole
/// story and a part of it did not happen.
pub fn run(
    options: &Options,
    runtime: &tokio::runtime::Handle,
    stop: &AtomicBool,
    out: &mut dyn Write,
) -> Result<(), DemoError> {
    let place = Place::new(options.state.as_deref())?;
    let cluster = MockCluster::new(1)?;
    for topic in [PREDICTIONS, LABELS] {
        cluster.create_topic(topic, PARTITIONS, 1)?;
    }
    let secret = random_secret()?;
    let signing = SigningSecret::parse(&secret)?;
    let now: crate::io::Now = Arc::new(clock::now);
    let trainer = runtime.block_on(Receiver::start(signing, now)).map_err(DemoError::Trainer)?;
    let trainer = Arc::new(trainer);
    let variables = Variables {
        bootstrap: cluster.bootstrap_servers(),
        state: format!("file://{}", place.path.join("state").display()),
        listen: listen(options.port),
        trainer: trainer.url(),
        secret,
    };
    let plan = variables.plan(&place.path)?;

    let (news, audience) = sync_channel(NEWS_MAX);
    let progress = Arc::new(Progress::default());
    let pace = Pace::new(begin(options), options.speed, options.length);
    progress.set_event_time(pace.begins_at);
    let stream = Stream::new(people::people()?, pace.begins_at, SEED);
    let bootstrap = &variables.bootstrap;
    let feed = Feed::new(bootstrap, stream, pace.clone(), trainer, news.clone(), progress.clone())?;
    let daemon = Daemon::start(
        plan,
        DaemonOptions {
            membership: Membership::All,
            observer: Box::new(Watch::new(news.clone(), Arc::clone(&progress))),
            ..DaemonOptions::default()
        },
    )?;
    let feeding = std::thread::Builder::new()
        .name("demo-feed".to_owned())
        .spawn(move || {
            let result = feed.run();
            // It fails when the audience has gone.
            let _ = news.send(News::FeedEnded(result));
        })
        .map_err(DemoError::Thread)?;
    let mut show = Show {
        options,
        url: daemon.address().to_string(),
        progress: &progress,
        chronicle: Chronicle::new(pace.begins_at),
        pace,
        told: 0,
        drawn_at: None,
        out,
    };
    let end = show.watch(&audience, stop);
    progress.stop();
    // What is still to come must not keep the feed waiting; the engine never waits.
    let stopped = daemon.stop();
    for news in audience.try_iter() {
        show.chronicle.take(news, progress.event_time());
    }
    drop(audience);
    let _ = feeding.join();
    show.close();
    end?;
    stopped?;
    show.verdict(stop.load(Ordering::Relaxed))
}

/// Event times begin so that they end now; at a whole minute, as windows do.
fn begin(options: &Options) -> Timestamp {
    let now = clock::now();
    let Some(length) = options.length else {
        return (now - REACH).floor(MINUTE, Timestamp(0));
    };
    let length = i64::try_from(length.as_micros()).unwrap_or(REACH.0);
    let back = length.saturating_mul(i64::from(options.speed) - 1);
    (now - Span::from_micros(back.min(REACH.0))).floor(MINUTE, Timestamp(0))
}
