//! Performance metrics: each a pure function of mergeable cells.

use serde::{Deserialize, Serialize};

/// A performance metric, named as users write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    Accuracy,
}

impl Metric {
    pub const ALL: [Self; 1] = [Self::Accuracy];

    pub fn name(self) -> &'static str {
        "accuracy"
    }

    pub fn help(self) -> &'static str {
        "The share of labelled predictions that were right."
    }
}
