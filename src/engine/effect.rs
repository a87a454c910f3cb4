//! What the engine asks the edge to do, and what it tells.

use super::cbpe::Nowcast;
use super::estimate::Estimate;
use super::metric::Metric;
use super::policy::Decision;
use super::request::Request;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A window was shown for the first time, again, or for good.
    Fired(Firing),
    /// A disjoint window was judged.
    Judged(Judged),
    /// A retraining is asked for: to be put into the outbox, and to leave only when it is durable.
    Request { request: Request },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FiringKind {
    /// The predictions' closing watermark passed its end.
    OnTime,
    /// Something changed it since.
    Late,
    /// Nothing will change it any more.
    Final,
}

impl FiringKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::OnTime => "on_time",
            Self::Late => "late",
            Self::Final => "final",
        }
    }
}

/// One emission of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Firing {
    pub kind: FiringKind,
    /// Final, but the window is kept for less than the horizon: labels that come later do not count
    /// in it.
    pub truncated: bool,
    pub size: Span,
    pub start: Timestamp,
    pub end: Timestamp,
    /// 0 for the first.
    pub revision: u32,
    pub versions: Vec<FiredVersion>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct FiredVersion {
    pub version: String,
    pub predictions: u64,
    pub labeled: u64,
    pub metrics: Vec<(Metric, Estimate)>,
    /// Before all labels are there; empty without a calibration.
    pub nowcasts: Vec<(Metric, Nowcast)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    pub policy: Arc<str>,
    pub version: String,
    pub window_end: Timestamp,
    pub decision: Decision,
    /// One sentence for a person.
    pub reason: String,
}
