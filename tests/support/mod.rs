//! What several tests need: a real broker, scratch topics.

pub mod kafka_broker;
pub mod kafka_client;
