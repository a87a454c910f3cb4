//! The whole program on real parts: Apache Kafka, Prometheus, a webhook receiver.

mod adult;
mod alertmanager;
mod catch_up;
mod census;
pub mod daemon;
mod faults;
mod fleet;
mod golden;
mod partitioning;
mod prometheus;
mod reload;
mod replaced;
mod retraining;
mod state;
mod toy;
