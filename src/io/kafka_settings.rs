//! From what a user writes under `kafka:` to what librdkafka is told.

use crate::config::OWNED_PROPERTIES;
use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::config::{FromClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

/// How to reach Kafka, and as whom.
#[derive(Clone, Default)]
pub struct KafkaSettings {
    pub bootstrap_servers: String,
    pub group_id: String,
    /// librdkafka's own names. Values may be secret and are never printed.
    pub properties: BTreeMap<String, String>,
}

impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("bootstrap_servers", &self.bootstrap_servers)
            .field("group_id", &self.group_id)
            .field("properties", &self.properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// The settings cannot be used; every fault is named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct SettingsError(pub Vec<String>);

/// What we choose differently from librdkafka; a user may choose otherwise.
const DEFAULTS: [(&str, &str); 7] = [
    ("client.id", "tidemark"),
    // 1,000 makes a consumer that is slower than the fetcher stall for a second at a time.
    ("fetch.queue.backoff.ms", "5"),
    // Of each partition, for each has a queue of its own: what waits there is memory.
    ("queued.min.messages", "10000"),
    ("queued.max.messages.kbytes", "4096"),
    // A topic that appears later, and partitions that are added, are seen within this time.
    ("topic.metadata.refresh.interval.ms", "30000"),
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.max.ms", "5000"),
];

/// Fixed for every consumer.
const CONSUMER: [(&str, &str); 7] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    // The batch calls move a partition's position beyond an end that is signalled in the queue, as
    // if it were a record: the one that is written there next would be taken for read.
    ("enable.partition.eof", "false"),
    ("allow.auto.create.topics", "false"),
    ("partition.assignment.strategy", "range"),
    ("group.protocol", "classic"),
];

/// What a producer would complain of.
const CONSUMER_ONLY: [&str; 21] = [
    "fetch.",
    "queued.",
    "group.",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "max.poll.interval.ms",
    "coordinator.query.interval.ms",
    "isolation.level",
    "check.crcs",
    "consume.",
    "max.partition.fetch.bytes",
    "enable.auto",
    "auto.",
    "offset.",
    "partition.assignment",
    "rebalance_cb",
    "receive.message.max.bytes",
    "enable.partition.eof",
    "allow.auto.create.topics",
    "client.rack",
    "statistics.interval.ms",
];

impl KafkaSettings {
    /// Checks the settings without a connection.
    ///
    /// # Errors
    /// All faults at once: properties that are ours, unknown ones, values librdkafka refuses.
    pub fn check(&self) -> Result<(), SettingsError> {
        let mut faults = self.refused();
        for (key, value) in &self.properties {
            let mut alone = ClientConfig::new();
            alone.set(key, value);
            if let Err(KafkaError::ClientConfig(_, reason, key, _)) = alone.create_native_config() {
                faults.push(format!("kafka.properties: `{key}`: {}", reason.to_lowercase()));
            }
        }
        if faults.is_empty() {
            // What only shows together, such as SASL without a user name.
            let mut unconnected = self.consumer();
            unconnected.remove("bootstrap.servers").remove("group.id");
            let _ = BaseConsumer::from_config(&unconnected).inspect_err(|error| {
                faults.push(format!("kafka.properties: {}", self.redacted(&describe(error))));
            });
        }
        if faults.is_empty() { Ok(()) } else { Err(SettingsError(faults)) }
    }

    fn refused(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.bootstrap_servers.trim().is_empty() {
            faults.push("kafka.bootstrap_servers: must not be empty".to_owned());
        }
        if self.group_id.is_empty() {
            faults.push("kafka.group_id: must not be empty".to_owned());
        }
        for key in self.properties.keys() {
            if let Some((_, reason)) = OWNED_PROPERTIES.iter().find(|(owned, _)| owned == key) {
                faults.push(format!("kafka.properties: `{key}` cannot be set: {reason}"));
            }
        }
        faults
    }

    fn common(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.log_level = RDKafkaLogLevel::Info;
        config.set("bootstrap.servers", &self.bootstrap_servers);
        config
    }

    pub(super) fn consumer(&self) -> ClientConfig {
        let mut config = self.common();
        for (key, value) in DEFAULTS {
            config.set(key, value);
        }
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        for (key, value) in CONSUMER {
            config.set(key, value);
        }
        config.set("group.id", &self.group_id);
        config
    }

    pub(super) fn producer(&self, client_id: &str) -> ClientConfig {
        let mut config = self.common();
        let fits = |key: &str| !CONSUMER_ONLY.iter().any(|only| key.starts_with(only));
        for (key, value) in self.properties.iter().filter(|(key, _)| fits(key)) {
            config.set(key, value);
        }
        config.set("client.id", client_id);
        config
    }

    /// Values that must not reach a log.
    pub(super) fn secrets(&self) -> Vec<String> {
        let secret = |key: &str| {
            ["password", "secret", "key.pem", "jaas", "oauthbearer.config", "assertion"]
                .iter()
                .any(|part| key.contains(part))
        };
        // A very short value would blot out ordinary text and protects nothing.
        let secrets = self.properties.iter().filter(|(key, value)| secret(key) && value.len() >= 4);
        secrets.map(|(_, value)| value.clone()).collect()
    }

    fn redacted(&self, text: &str) -> String {
        sanitized(text, &self.secrets())
    }
}

/// An error's text without the value that librdkafka refused.
pub(super) fn describe(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, reason, key, _) => format!("`{key}`: {reason}"),
        KafkaError::ClientCreation(reason) => reason.clone(),
        other => match other.rdkafka_error_code() {
            Some(code) => code.to_string(),
            None => other.to_string(),
        },
    }
}

/// Longest text from librdkafka or a broker that is logged; the rest is cut.
const TEXT_CHARS_MAX: usize = 500;

/// Text from outside, fit for a log: one line, bounded, without secrets.
pub(super) fn sanitized(text: &str, secrets: &[String]) -> String {
    let mut text = text.to_owned();
    for secret in secrets {
        text = text.replace(secret.as_str(), "<secret>");
    }
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(printable).take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(properties: &[(&str, &str)]) -> KafkaSettings {
        KafkaSettings {
            bootstrap_servers: "127.0.0.1:1".into(),
            group_id: "group".into(),
            properties: properties.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
        }
    }

    #[test]
    fn every_fault_of_the_properties_is_named_at_once_without_values() {
        let faulty = settings(&[
            ("auto.offset.reset", "latest"),
            ("no.such.thing", "hush-hush"),
            ("session.timeout.ms", "hush-hush"),
        ]);
        let text = faulty.check().unwrap_err().to_string();
        assert!(text.contains("`auto.offset.reset` cannot be set: set `start`"), "{text}");
        assert!(text.contains("`no.such.thing`: no such configuration property"), "{text}");
        assert!(text.contains("`session.timeout.ms`: invalid value"), "{text}");
        assert!(!text.contains("hush"), "{text}");
        settings(&[]).check().unwrap();
    }

    #[test]
    fn a_fault_that_shows_only_in_company_is_found_too() {
        let faulty = settings(&[("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN")]);
        let text = faulty.check().unwrap_err().to_string();
        assert!(text.contains("sasl.username"), "{text}");
    }

    #[test]
    fn a_user_overrides_our_defaults_and_never_our_promises() {
        let config = settings(&[("fetch.queue.backoff.ms", "77")]).consumer();
        assert_eq!(config.get("fetch.queue.backoff.ms"), Some("77"));
        assert_eq!(config.get("queued.min.messages"), Some("10000"));
        assert_eq!(config.get("auto.offset.reset"), Some("error"));
    }

    #[test]
    fn secrets_reach_neither_debug_output_nor_logs() {
        let settings = settings(&[("sasl.password", "hunter22"), ("client.id", "me")]);
        assert!(!format!("{settings:?}").contains("hunter22"));
        let text = sanitized("bad\npassword hunter22\u{1b}[31m", &settings.secrets());
        assert_eq!(text, "bad password <secret> [31m");
    }

    #[test]
    fn a_producer_gets_no_property_that_only_consumers_have() {
        let settings = settings(&[("fetch.min.bytes", "1"), ("security.protocol", "plaintext")]);
        let config = settings.producer("letters");
        assert_eq!(config.get("fetch.min.bytes"), None);
        assert_eq!(config.get("security.protocol"), Some("plaintext"));
        assert_eq!(config.get("client.id"), Some("letters"));
    }
}
