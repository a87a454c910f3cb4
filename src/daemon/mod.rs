//! Starts the tasks, owns the channels, carries out every effect, stops in order.

mod durable;
mod engine;
pub mod held;
mod intake;
mod keeper;
mod level;
mod publish;
mod setup;

pub use engine::{NoObserver, Observer};

use crate::config::Plan;
use crate::config::Secret;
use crate::io::checkpoint::{Store, StoreError, StoreOptions};
use crate::io::clock;
use crate::io::dead_letter::{DeadLetterError, DeadLetterOptions, DeadLetters};
use crate::io::http::{self, HttpError, HttpState, Limits, Readiness};
use crate::io::kafka::{KafkaSource, Membership, SourceError, SourceOptions};
use crate::io::telemetry::{
    BUILD_INFO, CONFIG_INFO, CONFIG_RELOAD_SUCCESSFUL, CONFIG_RELOAD_TIMESTAMP, Telemetry,
    snapshots,
};
use crate::io::webhook::{
    self, Deliverer, DelivererError, DelivererOptions, SecretError, SigningSecret, Target,
};
use engine::{Channels, Engine};
use held::Held;
use intake::Intake;
use keeper::{Keeper, RestoreError};
use setup::{Topology, kafka_settings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// Why the daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the state cannot be restored: {0}")]
    Restore(#[from] RestoreError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    DeadLetters(#[from] DeadLetterError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Webhooks(#[from] DelivererError),
    #[error("webhook `{webhook}`: {error}")]
    Secret { webhook: String, error: SecretError },
    #[error("fields of a topic: {0}")]
    Fields(String),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error("the engine's thread panicked; the state up to the last checkpoint is safe")]
    Panicked,
    #[error("{0}")]
    Fatal(String),
    #[error("the last checkpoint did not become durable; it is read again at the next start")]
    NotSaved,
}

/// What is not in the configuration.
pub struct Options {
    pub membership: Membership,
    pub observer: Box<dyn Observer>,
    /// A partition that has records and hands out none for so long makes a new consumer.
    pub stalled_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            membership: Membership::Group,
            observer: Box::new(NoObserver),
            stalled_after: Duration::from_secs(60),
        }
    }
}

/// A daemon that runs.
pub struct Daemon {
    runtime: Runtime,
    engine: std::thread::JoinHandle<Result<(), DaemonError>>,
    stop: Arc<AtomicBool>,
    stop_http: watch::Sender<bool>,
    http: tokio::task::JoinHandle<()>,
    address: SocketAddr,
}

impl Daemon {
    /// Starts everything; returns when HTTP listens and the state of the models is restored.
    ///
    /// # Errors
    /// What cannot be used as it is configured. A broker that is away is not among them.
    pub fn start(plan: Plan, options: Options) -> Result<Self, DaemonError> {
        let plan = Arc::new(plan);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("tidemark-io")
            .enable_all()
            .build()
            .map_err(DaemonError::Thread)?;
        let telemetry = Arc::new(Telemetry::new());
        let build = [env!("CARGO_PKG_VERSION"), "", "", &librdkafka_version()];
        telemetry.info(&BUILD_INFO, &build);
        telemetry.info(&CONFIG_INFO, &[&plan.hash.to_string()]);
        telemetry.gauge(&CONFIG_RELOAD_SUCCESSFUL, &[]).set(1.0);
        telemetry.gauge(&CONFIG_RELOAD_TIMESTAMP, &[]).set(clock::now().as_secs_f64());

        let listener = runtime.block_on(http::bind(plan.http.listen))?;
        let address = listener.local_addr().unwrap_or(plan.http.listen);
        let (client, desk) = snapshots();
        let (readiness, shown) = watch::channel(Readiness::NotReady("starting".to_owned()));
        let limits = Limits::default();
        let now: crate::io::Now = Arc::new(clock::now);
        let state = HttpState::new(Arc::clone(&telemetry), client, shown, Arc::clone(&now), limits);
        let (stop_http, http_stop) = watch::channel(false);
        let router = http::router(state, http::index());
        let http = runtime.spawn(http::serve(listener, router, limits, http_stop));

        let (attempts, to_deliver) = mpsc::channel(1_024);
        let (delivered, outcomes) = mpsc::channel(1_024);
        let deliverer = Deliverer::new(targets(&plan)?, &DelivererOptions::default(), &telemetry)?;
        runtime.spawn(webhook::run(Arc::new(deliverer), to_deliver, delivered, now));

        let store = Store::open(
            &plan.state.url,
            StoreOptions { keep_fulls: plan.state.checkpoints_keep, ..StoreOptions::default() },
        )?;
        let stop = Arc::new(AtomicBool::new(false));
        let channels =
            Channels { snapshots: desk, readiness, attempts, outcomes, stop: Arc::clone(&stop) };
        let keeper = Keeper::new(store, runtime.handle().clone(), &telemetry);
        let engine = engine(&plan, options, keeper, channels, &telemetry)?;
        let engine = std::thread::Builder::new()
            .name("tidemark-engine".to_owned())
            .spawn(move || engine.run())
            .map_err(DaemonError::Thread)?;
        tracing::info!(%address, models = plan.models.len(), "started");
        Ok(Self { runtime, engine, stop, stop_http, http, address })
    }

    /// Where HTTP listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes the daemon stop; `wait` returns soon after. May be set from anywhere.
    pub fn stopper(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Waits until the daemon has stopped, then ends the tasks.
    ///
    /// # Errors
    /// Why it stopped, if it was not told to.
    pub fn wait(self) -> Result<(), DaemonError> {
        let result = self.engine.join().unwrap_or(Err(DaemonError::Panicked));
        let _ = self.stop_http.send(true);
        let http = self.http;
        self.runtime.block_on(async move {
            let _ = http.await;
        });
        self.runtime.shutdown_timeout(Duration::from_secs(2));
        result
    }

    /// Tells the daemon to stop and waits for it.
    ///
    /// # Errors
    /// As `wait`.
    pub fn stop(self) -> Result<(), DaemonError> {
        self.stop.store(true, Ordering::Relaxed);
        self.wait()
    }

    /// A future's result, on the daemon's runtime: for signals.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

fn engine(
    plan: &Arc<Plan>,
    options: Options,
    keeper: Keeper,
    channels: Channels,
    telemetry: &Telemetry,
) -> Result<Engine, DaemonError> {
    let mut topology =
        Topology::new(plan).map_err(|fault| DaemonError::Fields(fault.to_string()))?;
    let settings = kafka_settings(plan);
    let topics = std::mem::take(&mut topology.topics);
    let names: Vec<String> = topics.iter().map(|topic| topic.name.to_string()).collect();
    let dead_letters = match &plan.dead_letters {
        Some(letters) => Some(DeadLetters::new(
            &settings,
            DeadLetterOptions {
                topic: letters.topic.clone(),
                rate_max: letters.rate_max,
                task_id: std::process::id().to_string(),
            },
        )?),
        None => None,
    };
    let held = Held::new(
        Arc::clone(plan),
        topology,
        Intake::new(topics, dead_letters, telemetry),
        keeper,
    )?;
    let source = KafkaSource::new(
        settings,
        names,
        SourceOptions {
            membership: options.membership,
            stalled_after: options.stalled_after,
            ..SourceOptions::default()
        },
    )?;
    Ok(Engine::new(source, held, channels, options.observer, telemetry))
}

fn targets(plan: &Plan) -> Result<Vec<Target>, DaemonError> {
    let secret_error = |webhook: &str| {
        let webhook = webhook.to_owned();
        move |error| DaemonError::Secret { webhook, error }
    };
    plan.webhooks
        .iter()
        .map(|webhook| {
            let secrets = webhook
                .secrets
                .iter()
                .map(|secret: &Secret| SigningSecret::parse(secret.expose()))
                .collect::<Result<Vec<_>, _>>()
                .map_err(secret_error(&webhook.name))?;
            Ok(Target {
                name: Arc::clone(&webhook.name),
                url: webhook.url.expose().to_owned(),
                secrets,
                headers: webhook
                    .headers
                    .iter()
                    .map(|(name, value)| (name.clone(), value.expose().to_owned()))
                    .collect(),
                timeout: Duration::from_micros(webhook.timeout.0.unsigned_abs()),
                success_statuses: webhook.success_statuses.clone(),
                template: None,
            })
        })
        .collect()
}

fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}
