//! Pure decisions: no async, no I/O, no clock, no randomness; imports nothing else of ours.

pub mod drift;
pub mod estimate;
pub mod event;
pub mod fixed;
pub mod metric;
pub mod reference;
pub mod score;
pub mod sketch;
pub mod spec;
pub mod time;
