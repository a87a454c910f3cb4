//! The edges: everything that talks to the world.

pub mod checkpoint;
mod checkpoint_format;
mod checkpoint_lineage;
mod checkpoint_restore;
pub mod clock;
pub mod dead_letter;
pub mod kafka;
mod kafka_assignment;
mod kafka_context;
mod kafka_lookup;
mod kafka_message;
mod kafka_partitions;
mod kafka_settings;
mod kafka_source;
