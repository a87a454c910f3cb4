//! Bytes of records become typed columns: by hand-written cases, and by `serde_json` as the judge.

// The helpers are tests, too.
#![allow(clippy::unwrap_used)]

mod differential;
mod fields;
mod generate;
mod inspected;
mod judge;
mod judge_times;
mod labels;
mod selectors;
mod support;
mod times;
