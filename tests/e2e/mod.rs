//! The whole program on real parts: Apache Kafka, Prometheus, a webhook receiver.

mod adult;
mod catch_up;
mod census;
mod daemon;
mod faults;
mod prometheus;
mod retraining;
mod toy;
