//! Starts the tasks, owns the channels, carries out every effect, stops in order.

mod alerts;
mod api;
mod assignment;
mod durable;
mod engine;
mod fleet;
pub mod held;
mod intake;
mod keeper;
mod level;
mod ownership;
mod parts;
mod publish;
mod reload;
mod replaced;
mod saving;
mod setup;

pub use engine::{NoObserver, Observer};
pub use reload::{Loader, Reloader};
pub use setup::expected_layout;

use crate::config::{ConfigErrors, Plan};
use crate::io::checkpoint::StoreError;
use crate::io::clock;
use crate::io::dead_letter::DeadLetterError;
use crate::io::http::api::{self as http_api, ApiState};
use crate::io::http::{
    self, Heartbeat, HttpError, HttpState, Limits, Readiness, Reload, Rules, Security,
};
use crate::io::kafka::{Membership, SourceError};
use crate::io::telemetry::{BUILD_INFO, Telemetry, snapshots};
use crate::io::webhook::{DelivererError, SecretError};
use alerts::Alerts;
use engine::Channels;
use keeper::RestoreError;
use parts::Frame;
use std::net::SocketAddr;
use std::path::PathBuf;
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
    WebConfig(#[from] ConfigErrors),
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

impl DaemonError {
    /// Whether the same may succeed a little later: the state store did not answer.
    fn may_pass(&self) -> bool {
        matches!(self, Self::Restore(error) if error.may_pass())
    }
}

/// What is not in the configuration.
pub struct Options {
    pub membership: Membership,
    pub observer: Box<dyn Observer>,
    /// A partition that has records and hands out none for so long makes a new consumer.
    pub stalled_after: Duration,
    /// The configuration's file, to be named by the API.
    pub config_file: Option<PathBuf>,
    /// Reads the configuration again at a reload; without it there is none.
    pub load: Option<Loader>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            membership: Membership::Group,
            observer: Box::new(NoObserver),
            stalled_after: Duration::from_secs(60),
            config_file: None,
            load: None,
        }
    }
}

/// A daemon that runs.
pub struct Daemon {
    runtime: Runtime,
    engine: std::thread::JoinHandle<Result<(), DaemonError>>,
    stop: Arc<AtomicBool>,
    stop_http: watch::Sender<bool>,
    http: Vec<tokio::task::JoinHandle<()>>,
    /// The first is of everything, the second of metrics alone.
    addresses: Vec<SocketAddr>,
    reloader: Reloader,
}

impl Daemon {
    /// Starts everything; returns when HTTP listens and the state of the models is restored.
    ///
    /// # Errors
    /// What cannot be used as it is configured. A broker or a state store that is away is not among
    /// them: the daemon waits for them and says so.
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

        let rules = &plan.http;
        let rules = Rules::load(rules.web_config.as_deref(), rules.alertmanager_token.as_ref())?;
        let security = Arc::new(Security::new(rules));
        security.warn_if_open(plan.http.listen, plan.http.metrics_listen);
        let (jobs, reloads) = mpsc::channel(1);
        let reloader = Reloader::new(
            &options,
            Arc::clone(&plan),
            jobs,
            Arc::clone(&security),
            Arc::clone(&telemetry),
        );
        let (client, desk) = snapshots();
        let (readiness, shown) = watch::channel(Readiness::NotReady("starting".to_owned()));
        let heartbeat = Heartbeat::default();
        let now: crate::io::Now = Arc::new(clock::now);
        let limits = Limits::default();
        let state = HttpState::new(Arc::clone(&telemetry), client, shown, Arc::clone(&now), limits)
            .secured(Arc::clone(&security))
            .beating(heartbeat.clone());
        let (stop_http, http_stop) = watch::channel(false);
        let own = reloader.clone();
        let reload: Reload = Arc::new(move || {
            let reloader = own.clone();
            Box::pin(async move { reloader.reload().await })
        });
        let (alerts, alert_desk) = http::alerts();
        let (client, api_desk) = http_api::api();
        let facts = reloader.facts();
        let api =
            ApiState { client, readiness: readiness.subscribe(), now: Arc::clone(&now), facts };
        let more = http::page()
            .merge(http::reload_routes(reload))
            .merge(http::alert_routes(alerts))
            .merge(http_api::router(api));
        let mut servers = vec![(plan.http.listen, http::router(state.clone(), more))];
        servers.extend(plan.http.metrics_listen.map(|at| (at, http::metrics_router(state))));
        let mut http = Vec::new();
        let mut addresses = Vec::new();
        for (listen, router) in servers {
            let listener = runtime.block_on(http::bind(listen))?;
            addresses.push(listener.local_addr().unwrap_or(listen));
            let (stop, security) = (http_stop.clone(), Arc::clone(&security));
            http.push(runtime.spawn(http::serve_secured(listener, router, limits, stop, security)));
        }

        let (delivered, outcomes) = mpsc::channel(1_024);
        let handle = runtime.handle().clone();
        let frame = Frame::new(handle, telemetry, delivered, now, &options);
        let parts = match frame.build(&plan) {
            Ok(parts) => Some(parts),
            Err(error) if error.may_pass() => {
                tracing::error!(%error, "the daemon waits for its state");
                readiness.send_replace(Readiness::NotReady(error.to_string()));
                None
            }
            Err(error) => return Err(error),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let channels = Channels {
            snapshots: desk,
            api: api_desk,
            readiness,
            heartbeat,
            outcomes,
            reloads,
            alerts: Alerts::new(alert_desk),
            stop: Arc::clone(&stop),
        };
        let models = plan.models.len();
        let engine = std::thread::Builder::new()
            .name("tidemark-engine".to_owned())
            .spawn(move || reload::supervise(&frame, &plan, parts, channels, options.observer))
            .map_err(DaemonError::Thread)?;
        let address = addresses[0];
        tracing::info!(%address, models, "started");
        if let Some(address) = addresses.get(1) {
            tracing::info!(%address, "metrics have a listener of their own");
        }
        Ok(Self { runtime, engine, stop, stop_http, http, addresses, reloader })
    }

    /// Where HTTP listens.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where metrics have a listener of their own, if they have.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.addresses.get(1).copied()
    }

    /// Loads the configuration again when it is told to.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
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
            for server in http {
                let _ = server.await;
            }
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

fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}
