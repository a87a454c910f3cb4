//! Mergeable bounded summaries.

pub mod feature;
