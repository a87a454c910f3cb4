//! The edges: Kafka, files, HTTP, the clock.

pub mod http;
pub mod telemetry;
mod telemetry_families;
mod telemetry_refresh;
mod telemetry_snapshot;
pub mod webhook;

use crate::engine::time::Timestamp;
use std::sync::Arc;

/// Where a task that runs by itself gets the wall clock from: `clock::now`, or a test's own.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;
