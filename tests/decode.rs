//! Bytes of records become typed columns: by hand-written cases, and by `serde_json` as the judge.

mod differential;
mod fields;
mod generate;
mod inspected;
mod judge;
mod labels;
mod selectors;
mod support;
mod times;
