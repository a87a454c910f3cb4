//! The edges: Kafka, files, HTTP, the clock.

pub mod checkpoint;
mod checkpoint_collect;
mod checkpoint_follow;
mod checkpoint_format;
mod checkpoint_lineage;
mod checkpoint_look;
mod checkpoint_restore;
pub mod clock;
pub mod dead_letter;
pub mod http;
pub mod kafka;
mod kafka_assignment;
mod kafka_context;
mod kafka_lookup;
mod kafka_message;
pub mod kafka_partitioner;
mod kafka_partitions;
mod kafka_poll;
mod kafka_queue;
mod kafka_settings;
mod kafka_source;
pub mod telemetry;
mod telemetry_families;
mod telemetry_refresh;
mod telemetry_snapshot;
pub mod webhook;

use crate::engine::time::Timestamp;
use std::sync::Arc;

/// Where a task that runs by itself gets the wall clock from: `clock::now`, or a test's own.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;
