//! A reload is a restart without a process: the state becomes durable, everything is closed, and
//! the new plan opens it again. Only HTTP and its port, the counters of the process and deliveries
//! under way stay.
//!
//! What a restart would refuse is refused before anything is closed, and the old plan goes on:
//!
//! - a model or a group of topics whose layout changed (windows, features, slices, profile, join
//!   times, the moments at which policies judge): its state does not fit;
//! - `state.url` and the addresses that HTTP listens on: they need a real restart.
//!
//! What may change: policies, webhooks, `show`, bounds, Kafka's settings, fields, models added or
//! removed. State of a model that is removed stays in the store. If opening fails all the same, the
//! old plan is opened again.

use super::engine::{Channels, Drained, Ended, Engine};
use super::keeper::changed_parts;
use super::parts::{Frame, Parts, open_store, rehearse};
use super::setup::group_layout;
use super::{DaemonError, Observer, Options};
use crate::config::{ConfigErrors, Plan, layout_parts};
use crate::engine::outbox::InFlight;
use crate::engine::spec::ModelSpec;
use crate::engine::text::clip;
use crate::io::checkpoint::{Lineage, LineagePath};
use crate::io::clock;
use crate::io::http::api::Facts;
use crate::io::http::api::dto::LastReload;
use crate::io::http::{Readiness, ReloadFault, Rules, Security};
use crate::io::telemetry::{CONFIG_RELOAD_SUCCESSFUL, CONFIG_RELOAD_TIMESTAMP, Gauge, Telemetry};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

/// Characters of a fault that the API shows.
const ERROR_MAX: usize = 2_000;

/// Reads and checks the configuration anew.
pub type Loader = Arc<dyn Fn() -> Result<Plan, ConfigErrors> + Send + Sync>;

/// A plan that passed its checks, for the engine's thread.
pub struct ReloadJob {
    pub plan: Arc<Plan>,
    pub answer: oneshot::Sender<Result<(), String>>,
}

/// Carries out reloads, one at a time. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    shared: Arc<Shared>,
}

struct Shared {
    load: Option<Loader>,
    /// The plan in force; locked during a reload.
    plan: Mutex<Arc<Plan>>,
    jobs: mpsc::Sender<ReloadJob>,
    security: Arc<Security>,
    telemetry: Arc<Telemetry>,
    successful: Gauge,
    loaded_at: Gauge,
    facts: watch::Sender<Facts>,
}

impl Reloader {
    pub fn new(
        options: &Options,
        plan: Arc<Plan>,
        jobs: mpsc::Sender<ReloadJob>,
        security: Arc<Security>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let successful = telemetry.gauge(&CONFIG_RELOAD_SUCCESSFUL, &[]);
        let loaded_at = telemetry.gauge(&CONFIG_RELOAD_TIMESTAMP, &[]);
        let now = clock::now();
        successful.set(1.0);
        loaded_at.set(now.as_secs_f64());
        let load = options.load.clone();
        let file = options.config_file.as_ref().and_then(|path| path.file_name());
        let facts = watch::Sender::new(Facts {
            started_at: now,
            config_file: file.map(|name| name.to_string_lossy().into_owned()),
            config_hash: plan.hash.to_string(),
            loaded_at: now,
            last_reload: None,
            show_values: plan.http.show_values,
        });
        let plan = Mutex::new(plan);
        let shared = Shared { load, plan, jobs, security, telemetry, successful, loaded_at, facts };
        Self { shared: Arc::new(shared) }
    }

    /// What the API says of the configuration.
    pub fn facts(&self) -> watch::Receiver<Facts> {
        self.shared.facts.subscribe()
    }

    /// Loads the configuration and puts it in force; returns its hash. A second call waits for the
    /// first.
    ///
    /// # Errors
    /// What is wrong with it, all that can be seen at once, or why it cannot be done; the plan
    /// before stays in force.
    pub async fn reload(&self) -> Result<String, ReloadFault> {
        let shared = &self.shared;
        let Some(load) = shared.load.clone() else {
            let message = "this daemon was started without a configuration file".to_owned();
            return Err(ReloadFault::Unable(message));
        };
        let mut current = shared.plan.lock().await;
        tracing::info!("loading the configuration again");
        let result = shared.change(load, &current).await;
        shared.successful.set(f64::from(u8::from(result.is_ok())));
        shared.note(&result);
        match result {
            Ok(plan) => {
                shared.loaded_at.set(clock::now().as_secs_f64());
                let (before, hash) = (current.hash, plan.hash.to_string());
                tracing::info!(%before, %hash, "the new configuration is in force");
                *current = plan;
                Ok(hash)
            }
            Err(fault) => {
                tracing::error!(%fault, "the configuration is not changed");
                Err(fault)
            }
        }
    }
}

impl Shared {
    fn note(&self, result: &Result<Arc<Plan>, ReloadFault>) {
        let now = clock::now();
        self.facts.send_modify(|facts| {
            let error = result.as_ref().err().map(|fault| clip(&fault.to_string(), ERROR_MAX));
            facts.last_reload =
                Some(LastReload { ok: result.is_ok(), at: now.as_secs_f64(), error });
            if let Ok(plan) = result {
                facts.config_hash = plan.hash.to_string();
                facts.loaded_at = now;
                facts.show_values = plan.http.show_values;
            }
        });
    }

    async fn change(&self, load: Loader, old: &Arc<Plan>) -> Result<Arc<Plan>, ReloadFault> {
        let plan = tokio::task::spawn_blocking(move || load()).await;
        let plan = plan.map_err(|_| ReloadFault::Unable("loading panicked".to_owned()))??;
        let http = &plan.http;
        let rules = Rules::load(http.web_config.as_deref(), http.alertmanager_token.as_ref())?;
        let mut faults = refused(old, &plan);
        if let Err(error) = rehearse(&plan, &self.telemetry) {
            faults.push(error.to_string());
        }
        if faults.is_empty() {
            faults.extend(unfit(old, &plan).await);
        }
        if !faults.is_empty() {
            return Err(ReloadFault::Refused(faults));
        }
        let plan = Arc::new(plan);
        let (answer, done) = oneshot::channel();
        let job = ReloadJob { plan: Arc::clone(&plan), answer };
        let stopping = || ReloadFault::Unable("the daemon is stopping".to_owned());
        self.jobs.send(job).await.map_err(|_| stopping())?;
        done.await.map_err(|_| stopping())?.map_err(ReloadFault::Unable)?;
        self.security.replace(rules);
        self.security.warn_if_open(plan.http.listen, plan.http.metrics_listen);
        Ok(plan)
    }
}

/// What only a real restart can change, or not even that.
fn refused(old: &Plan, new: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    let mut restart = |option: &str, same: bool| {
        if !same {
            faults.push(format!("{option}: changes only at a restart; put it back, or restart"));
        }
    };
    restart("state.url", old.state.url == new.state.url);
    restart("http.listen", old.http.listen == new.http.listen);
    restart("http.metrics_listen", old.http.metrics_listen == new.http.metrics_listen);
    for (index, model) in new.models.iter().enumerate() {
        let before = old.models.iter().position(|other| other.name == model.name);
        if before.is_some_and(|before| old.layouts[before] != new.layouts[index]) {
            faults.push(format!(
                "models[{index}] ({}): the layout changed ({}), and its state does not fit; put \
                 it back, or give it another name",
                model.name,
                before.map(|before| changed(&old.models[before], model)).unwrap_or_default()
            ));
        }
    }
    if !faults.is_empty() {
        return faults;
    }
    for (index, group) in new.groups.iter().enumerate() {
        let before = old.groups.iter().position(|other| other.name == group.name);
        if before.is_some_and(|before| group_layout(old, before) != group_layout(new, index)) {
            faults.push(format!(
                "the models on the topics of group {} are others than before, and the state of \
                 the group does not fit; give them topics of their own",
                group.name
            ));
        }
    }
    faults
}

/// What of a layout is different.
fn changed(before: &ModelSpec, now: &ModelSpec) -> String {
    changed_parts(&layout_parts(before), &layout_parts(now)).join(", ")
}

/// State in the store, of models and groups that the old plan does not have, that does not fit.
async fn unfit(old: &Plan, new: &Plan) -> Vec<String> {
    let mut wanted: Vec<(LineagePath, u128)> = Vec::new();
    for (model, layout) in new.models.iter().zip(&new.layouts) {
        if !old.models.iter().any(|other| other.name == model.name) {
            wanted.push((LineagePath::model(&model.name), layout.0));
        }
    }
    for (index, group) in new.groups.iter().enumerate() {
        if !old.groups.iter().any(|other| other.name == group.name) {
            // Every partition has the same.
            wanted.push((LineagePath::shard(&group.name, 0), group_layout(new, index)));
        }
    }
    let Ok(store) = open_store(new) else { return Vec::new() };
    let mut faults = Vec::new();
    for (path, layout) in wanted {
        match Lineage::read(&store, &path).await {
            Ok(restored) if restored.chain.iter().any(|one| one.header.plan_hash != layout) => {
                faults.push(super::keeper::RestoreError::other_layout(&path, None).to_string());
            }
            Ok(_) => {}
            Err(error) => faults.push(error.to_string()),
        }
    }
    faults
}

/// The engine's thread: one engine after the other, each with its plan.
///
/// Without parts the state store did not answer at the start, and is asked until it does.
pub fn supervise(
    frame: &Frame,
    plan: &Arc<Plan>,
    parts: Option<Parts>,
    channels: Channels,
    observer: Box<dyn Observer>,
) -> Result<(), DaemonError> {
    let parts = match parts {
        Some(parts) => parts,
        None => match build_when_possible(frame, plan, &channels)? {
            Some(parts) => parts,
            None => return Ok(()),
        },
    };
    let mut engine = Engine::new(parts, channels, observer, &frame.telemetry);
    loop {
        let drained = match engine.run() {
            Ended::Stopped(result) => return result,
            Ended::Drained(drained) => *drained,
        };
        let Drained { channels, observer, job, old, in_flight } = drained;
        let (mut parts, result) = match frame.build(&job.plan) {
            Ok(parts) => (parts, Ok(())),
            Err(error) => {
                tracing::error!(%error, "the new plan cannot be opened; going back to the old one");
                match build_when_possible(frame, &old, &channels)? {
                    Some(parts) => (parts, Err(error.to_string())),
                    None => return Ok(()),
                }
            }
        };
        take_over(&mut parts, &old, in_flight);
        // Whoever asked may have gone.
        let _ = job.answer.send(result);
        engine = Engine::new(parts, channels, observer, &frame.telemetry);
    }
}

/// Opens a plan's parts; while the state store fails, says so and tries again. `None`: the daemon
/// was told to stop meanwhile.
fn build_when_possible(
    frame: &Frame,
    plan: &Arc<Plan>,
    channels: &Channels,
) -> Result<Option<Parts>, DaemonError> {
    let mut pause = BUILD_PAUSE;
    loop {
        match frame.build(plan) {
            Ok(parts) => return Ok(Some(parts)),
            Err(error) if error.may_pass() => {
                tracing::error!(%error, "trying again in {pause:?}");
                channels.readiness.send_replace(Readiness::NotReady(error.to_string()));
            }
            Err(error) => return Err(error),
        }
        let until = clock::monotonic() + pause;
        while clock::monotonic() < until {
            if channels.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            channels.heartbeat.beat();
            std::thread::sleep(STOP_EVERY);
        }
        pause = (pause * 2).min(BUILD_PAUSE_MAX);
    }
}

/// Between attempts to open a state store that fails: at first, and at most.
const BUILD_PAUSE: Duration = Duration::from_secs(1);
const BUILD_PAUSE_MAX: Duration = Duration::from_secs(30);
/// How often a stop is looked for meanwhile.
const STOP_EVERY: Duration = Duration::from_millis(50);

/// Deliveries under way are not begun again, and a webhook that moved may have requests again.
fn take_over(parts: &mut Parts, old: &Plan, mut in_flight: BTreeMap<Arc<str>, InFlight>) {
    let plan = Arc::clone(&parts.held.plan);
    let moved: Vec<&str> = plan
        .webhooks
        .iter()
        .filter(|new| {
            let before = old.webhooks.iter().find(|before| before.name == new.name);
            before.is_some_and(|before| before.url != new.url)
        })
        .map(|webhook| &*webhook.name)
        .collect();
    for (model, spec) in plan.models.iter().enumerate() {
        let outbox = &mut parts.held.monitors[model].monitor.state.outbox;
        if let Some(in_flight) = in_flight.remove(&spec.name) {
            outbox.resume(in_flight);
        }
        for webhook in &moved {
            outbox.enable(webhook);
        }
    }
}
