//! The bytes of a Kafka record become rows of typed columns, by the selectors of a configuration.

pub mod label;
pub mod prediction;
pub mod record;
pub mod selector;
pub mod spec;
