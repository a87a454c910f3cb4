//! How a row ends. Every row read ends in exactly one counted outcome, or is still pending or
//! waiting.

use super::event::RefusalReason;
use serde::{Deserialize, Serialize};

/// How the row of a prediction ended, once its model is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum PredictionOutcome {
    /// A label came.
    Matched,
    /// No label came in time, and the plan says what that means.
    Implicit,
    /// Same model, version and id as an accepted prediction.
    Duplicate,
    /// Behind its partition's own watermark by more than the allowed lateness.
    Late,
    /// Event time beyond the record's own time plus the tolerance.
    TooFarInFuture,
    /// Before the configured start.
    BeforeStart,
    /// No label within the horizon.
    ExpiredUnlabelled,
    /// As above, while the label topic was silent.
    ExpiredLabelsSilent,
    /// The state was full.
    Shed,
    /// The model has no labels: counted for drift only.
    NotJoined,
}

/// How the row of a label ended. The order is the rank: a row that meets several predictions ends
/// as the first of these that any of them gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(usize)]
pub enum LabelOutcome {
    /// The first label of a prediction.
    Matched,
    /// Another value than the one a prediction already had.
    Corrected,
    /// The value that a prediction already had.
    Duplicate,
    /// Within the grace, but beyond the horizon of its prediction.
    BeyondHorizon,
    /// No prediction to meet.
    NoPrediction,
    /// Event time beyond the record's own time plus the tolerance.
    TooFarInFuture,
    /// The state was full.
    Shed,
}

impl PredictionOutcome {
    pub const ALL: [Self; 10] = [
        Self::Matched,
        Self::Implicit,
        Self::Duplicate,
        Self::Late,
        Self::TooFarInFuture,
        Self::BeforeStart,
        Self::ExpiredUnlabelled,
        Self::ExpiredLabelsSilent,
        Self::Shed,
        Self::NotJoined,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Implicit => "implicit",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::TooFarInFuture => "too_far_in_future",
            Self::BeforeStart => "before_start",
            Self::ExpiredUnlabelled => "expired_unlabelled",
            Self::ExpiredLabelsSilent => "expired_labels_silent",
            Self::Shed => "shed",
            Self::NotJoined => "not_joined",
        }
    }
}

impl LabelOutcome {
    pub const ALL: [Self; 7] = [
        Self::Matched,
        Self::Corrected,
        Self::Duplicate,
        Self::BeyondHorizon,
        Self::NoPrediction,
        Self::TooFarInFuture,
        Self::Shed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Corrected => "corrected",
            Self::Duplicate => "duplicate",
            Self::BeyondHorizon => "beyond_horizon",
            Self::NoPrediction => "no_prediction",
            Self::TooFarInFuture => "too_far_in_future",
            Self::Shed => "shed",
        }
    }
}

/// Rows of a topic's partitions that ended before a model or a join was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputTally {
    /// Rows; a record that yields no row counts one.
    pub read: u64,
    pub refused: [u64; RefusalReason::ALL.len()],
    pub undeclared_model: u64,
    pub tombstone: u64,
}

impl InputTally {
    pub fn terminal(&self) -> u64 {
        self.refused.iter().sum::<u64>() + self.undeclared_model + self.tombstone
    }

    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        for (mine, theirs) in self.refused.iter_mut().zip(other.refused) {
            *mine += theirs;
        }
        self.undeclared_model += other.undeclared_model;
        self.tombstone += other.tombstone;
    }
}

/// Rows of one model's predictions by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictionTally(pub [u64; PredictionOutcome::ALL.len()]);

/// Rows of a label topic by outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelTally(pub [u64; LabelOutcome::ALL.len()]);

impl PredictionTally {
    pub fn count(&mut self, outcome: PredictionOutcome) {
        self.0[outcome as usize] += 1;
    }

    pub fn of(&self, outcome: PredictionOutcome) -> u64 {
        self.0[outcome as usize]
    }

    pub fn terminal(&self) -> u64 {
        self.0.iter().sum()
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

impl LabelTally {
    pub fn count(&mut self, outcome: LabelOutcome) {
        self.0[outcome as usize] += 1;
    }

    pub fn of(&self, outcome: LabelOutcome) -> u64 {
        self.0[outcome as usize]
    }

    pub fn terminal(&self) -> u64 {
        self.0.iter().sum()
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}
