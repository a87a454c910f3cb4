//! What librdkafka calls back with, kept until the source comes to look at it.
//!
//! No decision is taken in a callback. Rebalances in particular are only noted: librdkafka waits
//! until the source assigns or unassigns, which it does when it has asked where to start.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use rdkafka::ClientContext;
use rdkafka::TopicPartitionList;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;

use super::kafka_settings::sanitized;

/// A rebalance that the source has not yet acted upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rebalance {
    Assign(Vec<(String, i32)>),
    /// With the eager protocol always all partitions.
    Revoke,
}

#[derive(Default)]
struct Noted {
    rebalances: Vec<Rebalance>,
    /// The last reason why a connection failed, for the one line that says so.
    connection_failure: Option<String>,
    /// The last error that is not about connections.
    error: Option<String>,
}

pub(super) struct Context {
    secrets: Vec<String>,
    noted: Mutex<Noted>,
    all_brokers_down: AtomicBool,
    commit_failures: AtomicU64,
    /// Nobody polls any more but the thread that closes the consumer.
    closing: AtomicBool,
}

impl Context {
    pub fn new(secrets: Vec<String>) -> Self {
        Self {
            secrets,
            noted: Mutex::default(),
            all_brokers_down: AtomicBool::new(false),
            commit_failures: AtomicU64::new(0),
            closing: AtomicBool::new(false),
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        // Nothing panics while it is held; if something did, the notes are still whole.
        self.noted.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub fn take_rebalances(&self) -> Vec<Rebalance> {
        std::mem::take(&mut self.noted().rebalances)
    }

    /// Whether librdkafka has lost its last connection since this was last asked.
    pub fn take_all_brokers_down(&self) -> bool {
        self.all_brokers_down.swap(false, Ordering::AcqRel)
    }

    pub fn take_connection_failure(&self) -> Option<String> {
        self.noted().connection_failure.take()
    }

    pub fn take_error(&self) -> Option<String> {
        self.noted().error.take()
    }

    pub fn take_commit_failures(&self) -> u64 {
        self.commit_failures.swap(0, Ordering::AcqRel)
    }

    pub fn sanitized(&self, text: &str) -> String {
        sanitized(text, &self.secrets)
    }
}

/// Whether an error says that brokers cannot be reached; librdkafka tries again by itself.
pub(super) fn is_unreachable(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::MessageTimedOut
    )
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let message = self.sanitized(message);
        log_line(level, facility, &message);
        if facility == "FAIL" {
            self.noted().connection_failure = Some(message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        match code {
            RDKafkaErrorCode::PartitionEOF => {}
            RDKafkaErrorCode::AllBrokersDown => {
                self.all_brokers_down.store(true, Ordering::Release);
            }
            code if is_unreachable(code) => {
                self.noted().connection_failure = Some(self.sanitized(reason));
            }
            code => self.noted().error = Some(format!("{code}: {}", self.sanitized(reason))),
        }
    }

    fn stats_raw(&self, _: &[u8]) {}
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assigns = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            // Acknowledged, so that the consumer can leave.
            if let Err(error) = consumer.unassign() {
                tracing::debug!(%error, "cannot unassign while closing");
            }
        } else if assigns {
            let list = partitions.elements();
            let list = list.iter().map(|one| (one.topic().to_owned(), one.partition())).collect();
            self.noted().rebalances.push(Rebalance::Assign(list));
        } else {
            self.noted().rebalances.push(Rebalance::Revoke);
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            self.commit_failures.fetch_add(1, Ordering::AcqRel);
            tracing::debug!(%error, "kafka did not take the offsets of a checkpoint");
        }
    }
}

/// librdkafka's log in ours. That a broker cannot be reached is said once by the source, with the
/// last reason; here it is detail.
pub(super) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        _ if matches!(facility, "FAIL" | "ERROR") => {
            tracing::debug!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}
