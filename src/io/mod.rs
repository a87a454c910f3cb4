//! The edges: Kafka, files, HTTP, the clock.

pub mod telemetry;
mod telemetry_families;
mod telemetry_refresh;
mod telemetry_snapshot;
