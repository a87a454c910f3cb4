//! One attempt to deliver a request, and the task that makes attempts.

use super::retry_after;
use super::signature::{ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER, sign};
use crate::config::Template;
use crate::engine::outbox::{Attempt, Outcome};
use crate::engine::text::clip;
use crate::engine::time::Timestamp;
use crate::io::Now;
use crate::io::telemetry::{
    Counter, Histogram, Telemetry, WEBHOOK_FAILURES, WEBHOOK_REQUESTS, WEBHOOK_SECONDS,
};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Proxy, Response, Url, redirect};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error as ThisError;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tracing::{info, warn};

/// Bytes of an answer that are read, so that the connection can be used again; what follows is not.
pub const RESPONSE_BYTES_MAX: usize = 4 << 10;
/// Attempts at the same time, over all webhooks.
pub const CONCURRENT_MAX: usize = 8;
/// Bounds of a target's timeout.
const TIMEOUT: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(300);
/// Secrets shorter than this are not searched for in error texts.
const REDACT_CHARS_MIN: usize = 4;

/// A declared webhook.
#[derive(Clone)]
pub struct Target {
    pub name: Arc<str>,
    /// http or https. A secret as a whole.
    pub url: String,
    /// The newest first; empty: requests are not signed.
    pub secrets: Vec<SigningSecret>,
    /// Sent with each request, for instance `Authorization`; values are secrets.
    pub headers: Vec<(String, String)>,
    /// For the whole exchange. Standard Webhooks advises 15 to 30 s.
    pub timeout: Duration,
    /// Statuses besides 2xx that mean the request is there, for instance 409 of Airflow.
    pub success_statuses: Vec<u16>,
    /// The body's form, if the target has its own; without one the event is sent as it is.
    pub template: Option<Template>,
    /// `http://user:password@host:port`. Without one, none: where requests go is the
    /// configuration's business alone, and the environment's proxies are not used.
    pub proxy: Option<String>,
    pub tls: TargetTls,
}

/// How a target is known, and how it knows us. PEM texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TargetTls {
    /// The certificates that may have signed the target's; absent: those of the system.
    pub ca: Option<String>,
    /// Our certificate, those that it was signed by, and its key.
    pub identity: Option<String>,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Names the webhook and what is wrong, never a value.
#[derive(Debug, ThisError)]
pub enum DelivererError {
    #[error("webhook `{webhook}`: the URL is not an http or https address")]
    Url { webhook: Arc<str> },
    #[error(
        "webhook `{webhook}`: header {header:?} has a name or a value that HTTP does not allow"
    )]
    Header { webhook: Arc<str>, header: String },
    #[error("webhook `{webhook}`: the timeout must be from 1ms to 5m")]
    Timeout { webhook: Arc<str> },
    #[error("webhook `{webhook}` is declared twice")]
    Twice { webhook: Arc<str> },
    #[error("webhook `{webhook}`: the proxy is not an http or https address")]
    Proxy { webhook: Arc<str> },
    #[error("webhook `{webhook}`: `tls.ca_file` has no certificate in PEM form")]
    Ca { webhook: Arc<str> },
    #[error(
        "webhook `{webhook}`: `tls.cert_file` and `tls.key_file` are not a certificate in PEM form \
         and its key"
    )]
    Identity { webhook: Arc<str> },
    #[error(
        "cannot set up TLS for webhooks: {0}; install the system's certificates (Debian: \
         ca-certificates) or name a file with them in SSL_CERT_FILE"
    )]
    Client(String),
}

struct Endpoint {
    client: Client,
    url: Url,
    target: Target,
    headers: HeaderMap,
    /// Texts that must not appear in an error.
    hidden: Vec<String>,
    requests: Counter,
    failures: Counter,
    seconds: Histogram,
}

/// Sends requests to the declared webhooks. Targets without a proxy or certificates of their own
/// share one HTTP client, whose connections are reused.
pub struct Deliverer {
    endpoints: BTreeMap<Arc<str>, Endpoint>,
}

impl fmt::Debug for Deliverer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliverer").field("webhooks", &self.endpoints.keys()).finish()
    }
}

impl Deliverer {
    pub fn new(targets: Vec<Target>, telemetry: &Telemetry) -> Result<Self, DelivererError> {
        let https = |target: &Target| {
            target.url.starts_with("https") || target.proxy.iter().any(|p| p.starts_with("https"))
        };
        let shared = |target: &Target| target.proxy.is_none() && target.tls == TargetTls::default();
        let needs_tls = targets.iter().any(|target| shared(target) && https(target));
        let common = builder();
        // A machine without certificates can still reach a target inside its own network.
        let common = if needs_tls { common } else { common.tls_certs_only([]) };
        let common = common.build().map_err(|error| DelivererError::Client(root(&error)))?;
        let mut endpoints = BTreeMap::new();
        for target in targets {
            let webhook = target.name.clone();
            let client = match shared(&target) {
                true => common.clone(),
                false => own_client(&target, https(&target))?,
            };
            let endpoint = Endpoint::new(target, client, telemetry)?;
            if endpoints.insert(webhook.clone(), endpoint).is_some() {
                return Err(DelivererError::Twice { webhook });
            }
        }
        Ok(Self { endpoints })
    }

    pub fn has(&self, webhook: &str) -> bool {
        self.endpoints.contains_key(webhook)
    }

    /// Makes one attempt. `now` is the wall clock's time, which is signed.
    pub async fn deliver(&self, attempt: &Attempt, now: Timestamp) -> Outcome {
        let Some(endpoint) = self.endpoints.get(&attempt.webhook) else {
            let error = "no webhook of this name is declared".to_owned();
            return Outcome::Failed { status: None, error, retry_after: None };
        };
        let started_at = tokio::time::Instant::now();
        let outcome = endpoint.attempt(attempt, now).await;
        endpoint.seconds.observe(started_at.elapsed().as_secs_f64());
        endpoint.requests.add(1);
        if !matches!(outcome, Outcome::Delivered { .. }) {
            endpoint.failures.add(1);
        }
        log(attempt, &outcome);
        outcome
    }
}

fn log(attempt: &Attempt, outcome: &Outcome) {
    let Attempt { id, webhook, number, .. } = attempt;
    match outcome {
        Outcome::Delivered { status } => info!(%id, %webhook, number, status, "request delivered"),
        Outcome::Failed { error, .. } => {
            warn!(%id, %webhook, number, %error, "request not delivered, to be tried again");
        }
        Outcome::Gone => {
            warn!(%id, %webhook, number, "the webhook answered 410 and is disabled");
        }
    }
}

impl Endpoint {
    fn new(target: Target, client: Client, telemetry: &Telemetry) -> Result<Self, DelivererError> {
        let webhook = || target.name.clone();
        let url = Url::parse(&target.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| DelivererError::Url { webhook: webhook() })?;
        if !TIMEOUT.contains(&target.timeout) {
            return Err(DelivererError::Timeout { webhook: webhook() });
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &target.headers {
            let wrong = || DelivererError::Header { webhook: webhook(), header: clip(name, 64) };
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.insert(parsed, value);
        }
        let name = &*target.name;
        Ok(Self {
            client,
            hidden: hidden(&url, &target),
            requests: telemetry.counter(&WEBHOOK_REQUESTS, &[name]),
            failures: telemetry.counter(&WEBHOOK_FAILURES, &[name]),
            seconds: telemetry.histogram(&WEBHOOK_SECONDS, &[name]),
            url,
            headers,
            target,
        })
    }

    async fn attempt(&self, attempt: &Attempt, now: Timestamp) -> Outcome {
        let timestamp = now.0.div_euclid(1_000_000);
        let rendered = self.target.template.as_ref();
        let rendered = rendered.map(|template| template.render(&attempt.id, &attempt.body));
        let body = rendered.as_deref().unwrap_or(&attempt.body).as_bytes();
        let mut request = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(ID_HEADER, &*attempt.id)
            .header(TIMESTAMP_HEADER, timestamp)
            .timeout(self.target.timeout)
            .body(body.to_vec());
        if !self.target.secrets.is_empty() {
            let signature = sign(&self.target.secrets, &attempt.id, timestamp, body);
            request = request.header(SIGNATURE_HEADER, signature);
        }
        match request.send().await {
            Ok(response) => self.understand(response, now).await,
            Err(error) => {
                let error = self.describe(&error);
                Outcome::Failed { status: None, error, retry_after: None }
            }
        }
    }

    /// Source: Standard Webhooks 1.0.0, section "Deliverability and reliability".
    async fn understand(&self, response: Response, now: Timestamp) -> Outcome {
        let status = response.status();
        let code = status.as_u16();
        let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = wait.and_then(|value| retry_after(value, now));
        drain(response).await;
        if status.is_success() || self.target.success_statuses.contains(&code) {
            return Outcome::Delivered { status: code };
        }
        if code == 410 {
            return Outcome::Gone;
        }
        let what = status.canonical_reason().unwrap_or("unknown status");
        let error = match code {
            300..400 => format!("status {code} ({what}): redirects are not followed"),
            _ => format!("status {code} ({what})"),
        };
        Outcome::Failed { status: Some(code), error, retry_after: wait }
    }

    /// What went wrong, for the operator, without anything of the URL, the headers or the secrets.
    fn describe(&self, error: &reqwest::Error) -> String {
        let mut text = if error.is_timeout() {
            format!("no answer within {:?}", self.target.timeout)
        } else if error.is_connect() {
            format!("cannot connect: {}", root(error))
        } else {
            root(error)
        };
        for secret in &self.hidden {
            text = text.replace(secret.as_str(), "<secret>");
        }
        clip(&text, 300)
    }
}

/// What every client has.
fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("tidemark/", env!("CARGO_PKG_VERSION")))
        // A signed request must not be sent anywhere but where the configuration says.
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(Duration::from_secs(10))
        .pool_idle_timeout(Duration::from_secs(90))
        .pool_max_idle_per_host(2)
}

/// For a target with a proxy or certificates of its own.
fn own_client(target: &Target, https: bool) -> Result<Client, DelivererError> {
    let webhook = || target.name.clone();
    let mut builder = builder();
    if let Some(proxy) = &target.proxy {
        let proxy = Proxy::all(proxy).map_err(|_| DelivererError::Proxy { webhook: webhook() })?;
        builder = builder.proxy(proxy);
    }
    match &target.tls.ca {
        Some(pem) => {
            let known = Certificate::from_pem_bundle(pem.as_bytes()).unwrap_or_default();
            if known.is_empty() {
                return Err(DelivererError::Ca { webhook: webhook() });
            }
            builder = builder.tls_certs_only(known);
        }
        None if !https => builder = builder.tls_certs_only([]),
        None => {}
    }
    if let Some(pem) = &target.tls.identity {
        let identity = Identity::from_pem(pem.as_bytes());
        let identity = identity.map_err(|_| DelivererError::Identity { webhook: webhook() })?;
        builder = builder.identity(identity);
    }
    builder.build().map_err(|error| match target.tls.identity {
        // The key is looked at only here.
        Some(_) => DelivererError::Identity { webhook: webhook() },
        None => DelivererError::Client(root(&error)),
    })
}

/// The innermost cause; the outer ones repeat the URL.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_builder() => "the request cannot be built".to_owned(),
        Some(_) => "the request failed".to_owned(),
        None => cause.to_string(),
    }
}

/// All parts of the configuration that an error text could repeat, the longest first.
fn hidden(url: &Url, target: &Target) -> Vec<String> {
    let mut hidden = vec![target.url.clone(), url.as_str().to_owned(), url.path().to_owned()];
    hidden.extend(url.path_segments().into_iter().flatten().map(str::to_owned));
    hidden.extend(url.query().map(str::to_owned));
    hidden.extend(url.password().map(str::to_owned));
    hidden.push(url.username().to_owned());
    hidden.extend(target.headers.iter().map(|(_, value)| value.clone()));
    if let Some(proxy) = &target.proxy {
        hidden.push(proxy.clone());
        let proxy = Url::parse(proxy).ok();
        hidden.extend(proxy.and_then(|proxy| proxy.password().map(str::to_owned)));
    }
    hidden.retain(|text| text.chars().count() >= REDACT_CHARS_MIN);
    hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
    hidden
}

/// Reads a short answer to its end and drops a long one. Errors do not matter: the status counts.
async fn drain(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > RESPONSE_BYTES_MAX {
            return;
        }
    }
}

/// Makes the attempts that arrive and reports how each ended, until `attempts` is closed; attempts
/// in progress are finished then (none lasts longer than its timeout).
pub async fn run(
    deliverer: Arc<Deliverer>,
    mut attempts: mpsc::Receiver<Attempt>,
    outcomes: mpsc::Sender<(Arc<str>, Outcome)>,
    now: Now,
) {
    let permits = Arc::new(Semaphore::new(CONCURRENT_MAX));
    let mut running = JoinSet::new();
    while let Some(attempt) = attempts.recv().await {
        while running.try_join_next().is_some() {}
        let permit = permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (deliverer, outcomes, now) = (deliverer.clone(), outcomes.clone(), now.clone());
        running.spawn(async move {
            let outcome = deliverer.deliver(&attempt, now()).await;
            drop(permit);
            // With nobody left to tell, the request is delivered again after the next start.
            let _ = outcomes.send((attempt.id, outcome)).await;
        });
    }
    while running.join_next().await.is_some() {}
}
