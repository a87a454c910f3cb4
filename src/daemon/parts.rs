//! What the engine runs on under one plan: made at the start and again at each reload.

use super::fleet::Fleet;
use super::held::Held;
use super::intake::Intake;
use super::keeper::Keeper;
use super::replaced::Replaced;
use super::setup::{Topology, kafka_settings};
use super::{DaemonError, Options};
use crate::config::{Plan, Secret};
use crate::engine::outbox::{Attempt, Outcome};
use crate::io::Now;
use crate::io::checkpoint::{Store, StoreOptions};
use crate::io::dead_letter::{DeadLetterOptions, DeadLetters};
use crate::io::kafka::{KafkaSource, Membership, SourceOptions};
use crate::io::telemetry::{CONFIG_INFO, Telemetry};
use crate::io::webhook::{self, Deliverer, SigningSecret, Target, TargetTls};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// What stays while plans come and go.
pub struct Frame {
    pub handle: Handle,
    pub telemetry: Arc<Telemetry>,
    /// Where every deliverer reports, also one of an older plan that is not done yet.
    pub delivered: mpsc::Sender<(Arc<str>, Outcome)>,
    pub now: Now,
    membership: Membership,
    stalled_after: Duration,
}

/// The engine's parts under one plan.
pub struct Parts {
    pub source: KafkaSource,
    pub held: Held,
    pub attempts: mpsc::Sender<Attempt>,
}

/// Attempts that wait for the task that delivers.
const ATTEMPTS_MAX: usize = 1_024;

impl Frame {
    pub fn new(
        handle: Handle,
        telemetry: Arc<Telemetry>,
        delivered: mpsc::Sender<(Arc<str>, Outcome)>,
        now: Now,
        options: &Options,
    ) -> Self {
        let Options { membership, stalled_after, .. } = *options;
        Self { handle, telemetry, delivered, now, membership, stalled_after }
    }

    /// Opens everything that a plan names, claims its state and starts its tasks.
    ///
    /// # Errors
    /// What cannot be used as it is configured. A broker that is away is not among them.
    pub fn build(&self, plan: &Arc<Plan>) -> Result<Parts, DaemonError> {
        let deliverer = deliverer(plan, &self.telemetry)?;
        let (mut topology, names) = topology(plan)?;
        let store = open_store(plan)?;
        let settings = kafka_settings(plan);
        let topics = std::mem::take(&mut topology.topics);
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
        let intake = Intake::new(topics, dead_letters, &self.telemetry);
        let replaced = Replaced::new(&intake, &self.telemetry);
        let every = Duration::from_micros(plan.state.checkpoint_every.0.unsigned_abs());
        let fleet = Fleet::new(store.clone(), &self.handle, every);
        let keeper = Keeper::new(store, self.handle.clone(), &self.telemetry);
        let held = Held::new(Arc::clone(plan), topology, intake, keeper, replaced, fleet)?;
        let source = KafkaSource::new(
            settings,
            names,
            SourceOptions {
                membership: self.membership,
                stalled_after: self.stalled_after,
                ..SourceOptions::default()
            },
        )?;
        let (attempts, to_deliver) = mpsc::channel(ATTEMPTS_MAX);
        let (delivered, now) = (self.delivered.clone(), Arc::clone(&self.now));
        self.handle.spawn(webhook::run(Arc::new(deliverer), to_deliver, delivered, now));
        self.telemetry.info(&CONFIG_INFO, &[&plan.hash.to_string()]);
        Ok(Parts { source, held, attempts })
    }
}

pub fn open_store(plan: &Plan) -> Result<Store, DaemonError> {
    let options =
        StoreOptions { keep_fulls: plan.state.checkpoints_keep, ..StoreOptions::default() };
    Ok(Store::open(&plan.state.url, options)?)
}

/// With the topics' names, in order.
fn topology(plan: &Plan) -> Result<(Topology, Vec<String>), DaemonError> {
    let topology = Topology::new(plan).map_err(|fault| DaemonError::Fields(fault.to_string()))?;
    let names = topology.topics.iter().map(|topic| topic.name.to_string()).collect();
    Ok((topology, names))
}

/// What [`Frame::build`] would find wrong, as far as that can be seen beforehand.
///
/// # Errors
/// As [`Frame::build`].
pub fn rehearse(plan: &Plan, telemetry: &Telemetry) -> Result<(), DaemonError> {
    deliverer(plan, telemetry)?;
    topology(plan)?;
    kafka_settings(plan).check().map_err(crate::io::kafka::SourceError::from)?;
    open_store(plan)?;
    Ok(())
}

fn deliverer(plan: &Plan, telemetry: &Telemetry) -> Result<Deliverer, DaemonError> {
    Ok(Deliverer::new(targets(plan)?, telemetry)?)
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
                template: webhook.template.clone(),
                proxy: webhook.proxy.as_ref().map(|proxy| proxy.expose().to_owned()),
                tls: TargetTls {
                    ca: webhook.tls.ca.clone(),
                    identity: webhook.tls.identity.as_ref().map(|pem| pem.expose().to_owned()),
                },
            })
        })
        .collect()
}
