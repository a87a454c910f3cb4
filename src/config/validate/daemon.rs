//! Checks of the sections that are not about a model: Kafka, state, dead letters.

use super::super::bounds::{GROUP_ID_CHARS_MAX, SECRET_FILE_BYTES_MAX};
use super::super::defaults::defaults;
use super::super::fault::quoted;
use super::super::plan::{DeadLettersPlan, KafkaPlan, StatePlan};
use super::super::secret::{Secret, SecretOrPlain};
use super::super::tree::key_path;
use super::super::value::Text;
use super::super::written::Config;
use super::Check;
use super::topics;
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
    ("auto.offset.reset", "set `start` of a model; a gap is reported and never skipped"),
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

/// Stores that are not of this machine.
const REMOTE: [&str; 3] = ["s3://", "gs://", "az://"];

/// What follows a scheme: a bucket, and what is before the lineages' names in it.
fn is_bucket(rest: &str) -> bool {
    let bucket = rest.split('/').next().unwrap_or_default();
    !bucket.is_empty() && !rest.contains(['?', '#', '@', ' '])
}

pub fn state(check: &mut Check<'_>, config: &Config) -> Option<StatePlan> {
    let section = config.state.clone().unwrap_or_default();
    let default = defaults().config.state.as_ref()?;
    let Text(url) = section.url.or_else(|| default.url.clone())?;
    match url.strip_prefix("file://") {
        Some(path) if path.starts_with('/') && path.len() > 1 => {}
        Some(_) => check.fault("state.url", "must be file:// and an absolute path: file:///dir"),
        None if REMOTE.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(is_bucket)) => {}
        None => {
            let message = format!(
                "{} is not a store; write file:///directory, s3://bucket/prefix, \
                 gs://bucket/prefix or az://container/prefix",
                quoted(&url)
            );
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

/// The outer `None` is a fault, the inner one an absent section.
pub fn dead_letters(check: &mut Check<'_>, config: &Config) -> Option<Option<DeadLettersPlan>> {
    let Some(section) = &config.dead_letters else { return Some(None) };
    let default = defaults().config.dead_letters.as_ref()?;
    let topic = topics::name(check, "dead_letters", section.topic.as_ref());
    let rate: u64 = check.bounded("dead_letters", "rate_max", section.rate_max, default.rate_max);
    let rate_max = u32::try_from(rate).ok()?;
    Some(Some(DeadLettersPlan { topic: topic?.to_string(), rate_max }))
}

/// A value that is written here or in a file, not both.
pub(super) fn one_of(
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
pub(super) fn secret_file(check: &mut Check<'_>, path: &str, file: &str) -> Option<Secret> {
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
