//! `tidemark demo`: the daemon as it is, with a broker, a world and a trainer in the same process.
//!
//! The world is replayed census data (`people.rs`, `story.rs`, `stream.rs`), the broker is librdkafka's own
//! mock cluster, the trainer a webhook receiver (`feed.rs`). Configuration, engine, checkpoints, metrics and
//! delivery are those of `tidemark run`. The mock keeps about 5 MB a partition and drops what is older, so the
//! feed never runs far ahead of the daemon.

mod chronicle;
mod feed;
mod news;
mod people;
mod screen;
mod story;
mod stream;
mod summary;
mod text;

use crate::config::{self, ConfigErrors, Plan};
use crate::daemon::{Daemon, DaemonError, Options as DaemonOptions};
use crate::engine::time::{Span, Timestamp};
use crate::io::clock;
use crate::io::kafka::Membership;
use crate::io::webhook::{Receiver, SecretError, SigningSecret};
use crate::profile;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chronicle::Chronicle;
use feed::{Feed, LABELS, PREDICTIONS, Pace};
use news::{NEWS_MAX, News, Progress, Watch};
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use screen::Scene;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver as NewsReceiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};
use stream::Stream;

/// The configuration that the demo runs.
pub const CONFIG: &str = include_str!("../../config/examples/demo.yaml");
/// Where HTTP listens if nobody says where, and nobody else listens there.
pub const PORT: u16 = 9464;
/// Of both topics.
const PARTITIONS: i32 = 2;
/// The replay reaches back no farther; the configuration's `idle_after` is longer.
const REACH: Span = Span::from_hours(6 * 24);
/// How far an endless demo begins in the past.
const MINUTE: Span = Span::from_mins(1);
/// Event time in which the whole story fits: shorter demos need not have all of it.
const STORY: Duration = Duration::from_secs(20 * 60);
/// A screen is redrawn, or a line written, so often.
const REDRAW_EVERY: Duration = Duration::from_millis(250);
const LINE_EVERY: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// On a machine that is too busy the demo takes longer than was asked for, but not longer than this many times,
/// and a while for the start.
const PATIENCE: u32 = 4;
const PATIENCE_START: Duration = Duration::from_secs(30);
/// At the end: for the last records to be read.
const DRAIN_WITHIN: Duration = Duration::from_secs(3);
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
    /// Where configuration, profiles and state go, and stay; empty or not there yet. Absent: a directory that
    /// is removed in the end.
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

/// Plays the demo and prints to `out`, until its length is over or `stop` is set. Where the webhook receiver runs
/// is up to the caller: `runtime`.
///
/// # Errors
/// What keeps it from running; and [`DemoError::Incomplete`] if it was long enough for the whole story and a part
/// of it did not happen.
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
    show.verdict()
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

/// The wanted port; or `PORT` if it is free, else any.
fn listen(port: Option<u16>) -> String {
    let port = port.unwrap_or_else(|| {
        // Somebody may take it in between: then the daemon says so.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).is_ok();
        if free { PORT } else { 0 }
    });
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string()
}

/// A new secret for every demo: 32 bytes, as Standard Webhooks write them.
fn random_secret() -> Result<String, DemoError> {
    let mut bytes = [0; 32];
    let source = Path::new("/dev/urandom");
    fs::File::open(source)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| DemoError::File(source.into(), error))?;
    Ok(format!("whsec_{}", STANDARD.encode(bytes)))
}

/// What the configuration leaves open.
struct Variables {
    bootstrap: String,
    state: String,
    listen: String,
    trainer: String,
    secret: String,
}

impl Variables {
    fn plan(&self, directory: &Path) -> Result<Plan, DemoError> {
        let environment = |name: &str| {
            let value = match name {
                "KAFKA_BOOTSTRAP" => &self.bootstrap,
                "DEMO_STATE" => &self.state,
                "DEMO_LISTEN" => &self.listen,
                "TRAINER_URL" => &self.trainer,
                "TRAINER_SECRET" => &self.secret,
                _ => return None,
            };
            Some(value.clone())
        };
        let read = |path: &Path| profile::read(path).map_err(|error| error.to_string());
        let path = directory.join("demo.yaml");
        Ok(config::load_bytes(&path, CONFIG.as_bytes(), &environment, &read)?)
    }
}

/// The directory with the demo's files.
struct Place {
    path: PathBuf,
    kept: bool,
}

impl Place {
    fn new(wanted: Option<&Path>) -> Result<Self, DemoError> {
        let path = match wanted {
            Some(path) => {
                std::path::absolute(path).map_err(|error| DemoError::File(path.into(), error))?
            }
            None => {
                let name = format!("tidemark-demo-{}-{}", std::process::id(), clock::now().0);
                std::env::temp_dir().join(name)
            }
        };
        let file = |error| DemoError::File(path.clone(), error);
        fs::DirBuilder::new()
            .recursive(wanted.is_some())
            .mode(0o700)
            .create(&path)
            .map_err(file)?;
        if fs::read_dir(&path).map_err(file)?.next().is_some() {
            return Err(DemoError::NotEmpty(path));
        }
        let place = Self { path, kept: wanted.is_some() };
        place.write("demo.yaml", CONFIG.as_bytes())?;
        for (name, packed) in people::PROFILES {
            place.write(name, &people::unpack(packed)?)?;
        }
        Ok(place)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DemoError> {
        let path = self.path.join(name);
        fs::write(&path, bytes).map_err(|error| DemoError::File(path, error))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::error!(path = %self.path.display(), %error, "cannot remove the demo's files");
        }
    }
}

/// What the audience sees.
struct Show<'a> {
    options: &'a Options,
    pace: Pace,
    url: String,
    progress: &'a Progress,
    chronicle: Chronicle,
    /// Moments that have been printed.
    told: usize,
    drawn_at: Option<Instant>,
    out: &'a mut dyn Write,
}

impl Show<'_> {
    /// Shows what happens until it is over.
    fn watch(&mut self, audience: &NewsReceiver<News>, stop: &AtomicBool) -> Result<(), DemoError> {
        let began_at = clock::monotonic();
        let length = self.options.length;
        let patience = length.map(|length| length * PATIENCE + PATIENCE_START);
        loop {
            let news = match audience.recv_timeout(LOOK_EVERY) {
                Ok(news) => Some(news),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            match news {
                Some(News::FeedEnded(result)) => {
                    return self.drain(audience, result?);
                }
                // The daemon says itself why.
                Some(News::EngineEnded) => return Ok(()),
                Some(news) => self.chronicle.take(news, self.progress.event_time()),
                None => {}
            }
            let now = clock::monotonic();
            let patient = patience.is_none_or(|patience| now.duration_since(began_at) < patience);
            if stop.load(Ordering::Relaxed) || !patient || !self.draw(now) {
                return Ok(());
            }
        }
    }

    /// Waits until the daemon has read all records that were sent.
    fn drain(&mut self, audience: &NewsReceiver<News>, sent: u64) -> Result<(), DemoError> {
        let deadline = clock::monotonic() + DRAIN_WITHIN;
        while clock::monotonic() < deadline {
            let Ok(news) = audience.recv_timeout(LOOK_EVERY) else { continue };
            let done = matches!(&news, News::Frame(frame) if frame.records >= sent);
            let ended = matches!(&news, News::EngineEnded);
            self.chronicle.take(news, self.progress.event_time());
            if done || ended {
                break;
            }
        }
        Ok(())
    }

    fn scene(&self) -> Scene {
        let event_time = self.progress.event_time();
        let passed = (event_time - self.pace.begins_at).0.max(0).unsigned_abs();
        Scene {
            passed: Duration::from_micros(passed / u64::from(self.pace.speed)),
            length: self.options.length,
            speed: self.pace.speed,
            event_time,
            begins_at: self.pace.begins_at,
            url: self.url.clone(),
            colors: self.options.colors,
        }
    }

    /// False if there is nobody to show it to.
    fn draw(&mut self, now: Instant) -> bool {
        let every = if self.options.terminal { REDRAW_EVERY } else { LINE_EVERY };
        let due = self.drawn_at.is_none_or(|last| now.duration_since(last) >= every);
        let scene = self.scene();
        let mut text = String::new();
        if self.options.terminal {
            if due {
                text = redrawn(&screen::screen(&scene, &self.chronicle), self.drawn_at.is_none());
            }
        } else {
            for one in &self.chronicle.moments[self.told..] {
                text += &screen::moment(&scene, one.at, &one.text);
                text.push('\n');
            }
            self.told = self.chronicle.moments.len();
            if due && self.chronicle.frame.is_some() {
                text += &screen::line(&scene, &self.chronicle);
                text.push('\n');
            }
        }
        if due {
            self.drawn_at = Some(now);
        }
        text.is_empty() || self.write(&text)
    }

    fn write(&mut self, text: &str) -> bool {
        self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()).is_ok()
    }

    /// The report.
    fn close(&mut self) {
        let mut text = summary::summary(&self.scene(), &self.chronicle);
        if let Some(directory) = &self.options.state {
            text +=
                &format!("\nConfiguration, profiles and state are in {}.\n", directory.display());
        }
        self.write(&text);
    }

    /// Whether a demo that was long enough told the whole story.
    fn verdict(&self) -> Result<(), DemoError> {
        let long = self.options.length.is_some_and(|length| length * self.pace.speed >= STORY);
        let scene = self.scene();
        let over = self.options.length.is_some_and(|length| scene.passed >= length);
        match summary::missing(&self.chronicle) {
            Some(what) if long && over => Err(DemoError::Incomplete(what)),
            _ => Ok(()),
        }
    }
}

/// The lines from the upper left corner on. Lines that are too long are cut by the terminal, not broken.
fn redrawn(lines: &[String], first: bool) -> String {
    let mut text = String::from(if first { "\x1b[2J\x1b[H\x1b[?7l" } else { "\x1b[H\x1b[?7l" });
    for line in lines {
        text += line;
        text += "\x1b[K\n";
    }
    text += "\x1b[J\x1b[?7h";
    text
}
