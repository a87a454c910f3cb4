//! Checks of the sections that are not about a model: Kafka, state, HTTP, dead letters, webhooks.

use super::super::bounds::{
    GROUP_ID_CHARS_MAX, SECRET_FILE_BYTES_MAX, WEBHOOK_HEADERS_MAX, WEBHOOK_SECRETS_MAX,
    WEBHOOKS_MAX,
};
use super::super::defaults::defaults;
use super::super::fault::quoted;
use super::super::plan::{DeadLettersPlan, HttpPlan, KafkaPlan, StatePlan, WebhookPlan};
use super::super::secret::{Secret, SecretOrPlain, SecretUrl};
use super::super::tree::{item_path, key_path};
use super::super::value::Text;
use super::super::written::{Config, WebhookConfig};
use super::Check;
use super::topics;
use base64::Engine as _;
use std::collections::BTreeMap;
use std::io::Read;

/// librdkafka properties that the daemon sets itself, and why.
pub const OWNED_PROPERTIES: &[(&str, &str)] = &[
    ("bootstrap.servers", "set `kafka.bootstrap_servers`"),
    ("metadata.broker.list", "set `kafka.bootstrap_servers`"),
    ("group.id", "set `kafka.group_id`"),
    ("enable.auto.commit", "offsets belong to the checkpoints"),
    ("auto.commit.enable", "offsets belong to the checkpoints"),
    ("auto.commit.interval.ms", "offsets belong to the checkpoints"),
    ("enable.auto.offset.store", "offsets belong to the checkpoints"),
    ("offset.store.method", "offsets belong to the checkpoints"),
    ("offset.store.path", "offsets belong to the checkpoints"),
    ("auto.offset.reset", "a gap is reported and never skipped; set `start` of a model"),
    (
        "enable.partition.eof",
        "librdkafka takes the end for a record when it hands out many at once",
    ),
    ("allow.auto.create.topics", "a misspelt topic would be created"),
    ("partition.assignment.strategy", "only `range` gives one member both topics' partitions"),
    ("group.protocol", "only `classic` keeps the partitions of several topics together"),
    ("group.remote.assignor", "only `range` keeps the partitions of several topics together"),
    ("enable.idempotence", "dead letters need it"),
];

pub fn kafka(check: &mut Check<'_>, config: &Config) -> Option<KafkaPlan> {
    let section = check.required("", "kafka", config.kafka.as_ref())?;
    let default = defaults().config.kafka.as_ref()?;
    let bootstrap = check.required("kafka", "bootstrap_servers", section.bootstrap_servers.clone());
    if let Some(Text(servers)) = &bootstrap {
        for server in servers.split(',') {
            let port = server.trim().rsplit_once(':').and_then(|(host, port)| {
                if host.is_empty() { None } else { port.parse::<u16>().ok() }
            });
            if port.is_none() {
                let message = format!("{} is not host:port; write 127.0.0.1:9092", quoted(server));
                check.fault("kafka.bootstrap_servers", message);
            }
        }
    }
    let Text(group_id) = section.group_id.clone().or_else(|| default.group_id.clone())?;
    if group_id.is_empty() || group_id.len() > GROUP_ID_CHARS_MAX {
        let message = format!("must have 1 to {GROUP_ID_CHARS_MAX} characters");
        check.fault("kafka.group_id", message);
    }
    let co_partitioned = section.co_partitioned.or(default.co_partitioned)?;
    let mut properties = BTreeMap::new();
    for (written, value) in section.properties.iter().flatten() {
        let path = key_path("kafka.properties", written);
        let Some(Text(value)) = value else {
            check.fault(path, "has no value; write one, or \"\" for an empty text");
            continue;
        };
        let (name, value) = match written.strip_suffix("_file") {
            Some(name) => match secret_file(check, &path, value) {
                Some(secret) => (name, SecretOrPlain::Secret(secret)),
                None => continue,
            },
            None if is_secret(written) => {
                (written.as_str(), SecretOrPlain::Secret(Secret::new(value)))
            }
            None => (written.as_str(), SecretOrPlain::Plain(value.clone())),
        };
        if let Some((_, why)) = OWNED_PROPERTIES.iter().find(|(owned, _)| *owned == name) {
            check.fault(path, format!("tidemark sets `{name}` itself: {why}"));
        } else if properties.insert(name.to_owned(), value).is_some() {
            let message = format!("both `{name}` and `{name}_file` are set; keep one");
            check.fault(path, message);
        }
    }
    Some(KafkaPlan { bootstrap: bootstrap?.0, group_id, co_partitioned, properties })
}

/// Whether a property or header holds a secret, by its name.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "sasl.jaas.config"
        || name == "sasl.oauthbearer.config"
        || ["password", "secret", "passphrase", "key.pem", "token.value", "assertion"]
            .iter()
            .any(|part| name.contains(part))
}

pub fn state(check: &mut Check<'_>, config: &Config) -> Option<StatePlan> {
    let section = config.state.clone().unwrap_or_default();
    let default = defaults().config.state.as_ref()?;
    let Text(url) = section.url.or_else(|| default.url.clone())?;
    match url.strip_prefix("file://") {
        Some(path) if path.starts_with('/') && path.len() > 1 => {}
        Some(_) => check.fault("state.url", "must be file:// and an absolute path: file:///dir"),
        None if ["s3://", "gs://", "az://"].iter().any(|scheme| url.starts_with(scheme)) => {
            let message = "not yet: only local directories so far; write file:///directory";
            check.fault("state.url", message);
        }
        None => {
            let message = format!("{} is not a store; write file:///directory", quoted(&url));
            check.fault("state.url", message);
        }
    }
    let checkpoint_every = check.bounded(
        "state",
        "checkpoint_every",
        section.checkpoint_every,
        default.checkpoint_every,
    );
    let keep: u64 = check.bounded(
        "state",
        "checkpoints_keep",
        section.checkpoints_keep,
        default.checkpoints_keep,
    );
    let memory = check.bounded("state", "memory_max", section.memory_max, default.memory_max);
    Some(StatePlan {
        url,
        checkpoint_every,
        checkpoints_keep: usize::try_from(keep).ok()?,
        memory_max_bytes: memory,
    })
}

pub fn http(check: &mut Check<'_>, config: &Config) -> Option<HttpPlan> {
    let section = config.http.clone().unwrap_or_default();
    let default = defaults().config.http.as_ref()?;
    let Text(listen) = section.listen.or_else(|| default.listen.clone())?;
    let address = listen.parse().ok();
    if address.is_none() {
        let message =
            format!("{} is not IP:PORT; write for example 127.0.0.1:9464", quoted(&listen));
        check.fault("http.listen", message);
    }
    let series: u64 = check.bounded("http", "series_max", section.series_max, default.series_max);
    Some(HttpPlan { listen: address?, series_max: usize::try_from(series).ok()? })
}

/// The outer `None` is a fault, the inner one an absent section.
pub fn dead_letters(check: &mut Check<'_>, config: &Config) -> Option<Option<DeadLettersPlan>> {
    let Some(section) = &config.dead_letters else { return Some(None) };
    let default = defaults().config.dead_letters.as_ref()?;
    let topic = topics::name(check, "dead_letters", section.topic.as_ref());
    let rate: u64 = check.bounded("dead_letters", "rate_max", section.rate_max, default.rate_max);
    let rate_max = u32::try_from(rate).ok()?;
    Some(Some(DeadLettersPlan { topic: topic?.to_string(), rate_max }))
}

/// One a written webhook; `None` where it has faults.
pub fn webhooks(check: &mut Check<'_>, config: &Config) -> Vec<Option<WebhookPlan>> {
    let Some(list) = &config.webhooks else { return Vec::new() };
    check.at_most("webhooks", list.len(), WEBHOOKS_MAX, "webhooks");
    let mut names = Vec::new();
    let mut plans = Vec::new();
    for (index, section) in list.iter().take(WEBHOOKS_MAX) {
        let path = item_path("webhooks", index);
        let name = check.name(&path, section.name.as_ref());
        let plan = webhook(check, &path, section);
        plans.push(name.clone().map(|name| WebhookPlan { name, ..plan }));
        names.push((path, name));
    }
    check.unique(names.iter().map(|(path, name)| (path.clone(), name.as_ref())), "webhook");
    plans
}

/// The webhook without its name. What has faults is replaced by something harmless: a policy can
/// still refer to it.
fn webhook(check: &mut Check<'_>, path: &str, section: &WebhookConfig) -> WebhookPlan {
    let defaults = defaults().config.webhooks.as_ref().and_then(|list| list.get(0));
    let default = defaults.expect("the default file has a webhook");
    let url = one_of(check, path, "url", section.url.as_ref(), section.url_file.as_ref());
    if url.is_none() && !check.is_faulty(&key_path(path, "url")) && section.url_file.is_none() {
        check.fault(path, "`url` is missing; add it, or `url_file`");
    }
    let url = url.unwrap_or_else(|| Secret::new("http://127.0.0.1/"));
    let parsed = url.expose().parse::<SecretUrl>();
    let url = parsed.unwrap_or_else(|message| {
        check.fault(key_path(path, "url"), message);
        "http://127.0.0.1/".parse().expect("a constant URL")
    });
    let secret =
        one_of(check, path, "secret", section.secret.as_ref(), section.secret_file.as_ref());
    let mut success_statuses = Vec::new();
    for (index, &status) in section.success_statuses.iter().flat_map(|list| list.iter()) {
        if !(300..600).contains(&status) {
            let path = item_path(&key_path(path, "success_statuses"), index);
            check.fault(path, "must be an HTTP status from 300 to 599 (2xx always is success)");
        }
        success_statuses.push(status);
    }
    WebhookPlan {
        name: "".into(),
        url,
        secrets: signing_secrets(check, path, secret),
        headers: headers(check, path, section),
        timeout: check.bounded(path, "timeout", section.timeout, default.timeout),
        give_up_after: check.bounded(
            path,
            "give_up_after",
            section.give_up_after,
            default.give_up_after,
        ),
        success_statuses,
    }
}

/// One key or several, separated by white space.
fn signing_secrets(check: &mut Check<'_>, path: &str, written: Option<Secret>) -> Vec<Secret> {
    let Some(written) = written else { return Vec::new() };
    let secrets: Vec<Secret> = written.expose().split_whitespace().map(Secret::new).collect();
    let path = key_path(path, "secret");
    check.at_most(&path, secrets.len(), WEBHOOK_SECRETS_MAX, "secrets");
    for (index, secret) in secrets.iter().enumerate() {
        let key = secret.expose().strip_prefix("whsec_");
        let bytes = key.and_then(|key| base64::engine::general_purpose::STANDARD.decode(key).ok());
        if !bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len())) {
            let message = format!(
                "key {} is not a Standard Webhooks secret: `whsec_` and 24 to 64 bytes in base64",
                index + 1
            );
            check.fault(path.clone(), message);
        }
    }
    secrets
}

fn headers(check: &mut Check<'_>, path: &str, section: &WebhookConfig) -> BTreeMap<String, Secret> {
    let mut headers: BTreeMap<String, Secret> = BTreeMap::new();
    let parent = key_path(path, "headers");
    let count = section.headers.as_ref().map_or(0, BTreeMap::len);
    check.at_most(&parent, count, WEBHOOK_HEADERS_MAX, "headers");
    for (written, value) in section.headers.iter().flatten() {
        let path = key_path(&parent, written);
        let Some(Text(value)) = value else {
            check.fault(path, "has no value");
            continue;
        };
        let (name, value) = match written.strip_suffix("_file") {
            Some(name) => match secret_file(check, &path, value) {
                Some(secret) => (name, secret),
                None => continue,
            },
            None => (written.as_str(), Secret::new(value)),
        };
        let name_valid = reqwest::header::HeaderName::from_bytes(name.as_bytes()).is_ok();
        let value_valid = reqwest::header::HeaderValue::from_str(value.expose()).is_ok();
        if !name_valid || !value_valid {
            check.fault(path.clone(), "is not a valid HTTP header");
        } else if name.to_ascii_lowercase().starts_with("webhook-") {
            check.fault(path.clone(), "headers that start with `webhook-` are the signature's");
        }
        if headers.insert(name.to_ascii_lowercase(), value).is_some() {
            check.fault(path, "this header is set twice; keep one");
        }
    }
    headers
}

/// A value that is written here or in a file, not both.
fn one_of(
    check: &mut Check<'_>,
    parent: &str,
    name: &str,
    inline: Option<&Text>,
    file: Option<&Text>,
) -> Option<Secret> {
    let file_name = format!("{name}_file");
    let path = key_path(parent, &file_name);
    match (inline, file) {
        (Some(_), Some(_)) => {
            check.fault(path, format!("both `{name}` and `{file_name}` are set; keep one"));
            None
        }
        (Some(Text(value)), None) if value.is_empty() => {
            check.fault(key_path(parent, name), "is empty; remove it or give it a value");
            None
        }
        (Some(Text(value)), None) => Some(Secret::new(value)),
        (None, Some(Text(file))) => secret_file(check, &path, file),
        (None, None) => None,
    }
}

/// The content of a file without the line breaks at its end.
fn secret_file(check: &mut Check<'_>, path: &str, file: &str) -> Option<Secret> {
    match read_secret(&check.file(file)) {
        Ok(secret) => Some(secret),
        Err(why) => {
            check.fault(path, format!("cannot use the file {}: {why}", quoted(file)));
            None
        }
    }
}

fn read_secret(file: &std::path::Path) -> Result<Secret, String> {
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    let mut text = String::new();
    opened
        .take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(format!("it is longer than {SECRET_FILE_BYTES_MAX} bytes"));
    }
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("it is empty".to_owned()),
        secret => Ok(Secret::new(secret)),
    }
}
