//! What several tests need: a real broker, scratch topics, other programs, a look at metrics.

pub mod certs;
pub mod guarded;
pub mod http_client;
pub mod kafka_broker;
pub mod kafka_client;
pub mod prometheus;
pub mod python;
pub mod s3;
pub mod scrape;
