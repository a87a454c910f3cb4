//! Mergeable bounded summaries.
