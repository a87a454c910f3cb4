//! Drift statistics: how far a window's distribution lies from the reference.

use serde::{Deserialize, Serialize};

/// A drift statistic, named as users write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    Psi,
}
