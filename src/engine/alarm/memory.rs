//! What alarms remember: evidence so far, what fires since when, and how near it is to being clear.
//!
//! A test fires once, however long it stays bad: going from quiet to firing is an episode, and the
//! budget counts those. It is clear again after `CALM` looks in a row at which nothing is to be
//! seen at a level of 5%; a look is made when enough rows have been pooled, so that few rows are
//! not taken for good news.

use super::budget::ALPHA_MAX;
use super::detector::Detector;
use crate::engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Looks in a row that clear what fires.
pub const CALM: u8 = 3;
/// The level at which they look.
pub const CALM_LEVEL: f64 = ALPHA_MAX;
/// Versions that a policy remembers; beyond, the one judged longest ago is forgotten.
pub const VERSIONS_MAX: usize = 256;

/// All alarms of a model, by policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub policies: BTreeMap<String, PolicyMemory>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PolicyMemory {
    /// What was measured, and against what: under another the versions begin anew.
    pub setting: String,
    /// How often a test went from quiet to firing.
    pub episodes: u64,
    pub versions: BTreeMap<String, VersionMemory>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionMemory {
    /// End of the last window that was judged.
    pub judged: Timestamp,
    pub detector: Detector,
    /// Evidence of the last window over what an alarm takes, both as logarithms: from 1 on it
    /// fires. `None`: the last window had too little to say anything.
    pub evidence: Option<f64>,
    /// By (feature, test); the feature is empty where the test is about the model.
    pub firing: BTreeMap<(String, Test), Firing>,
}

/// What is asked of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Test {
    /// The distribution moved.
    Shift,
    /// Shares: missing or null; of another type or not finite; not in the reference's range or
    /// list.
    Missing,
    Invalid,
    Unknown,
    /// The loss rose; the AUC fell.
    Loss,
    Ranking,
}

/// A test that fires.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    /// End of the window that set it off.
    pub since: Timestamp,
    /// Looks in a row at which nothing was to be seen.
    pub calm: u8,
    /// Counts since the last look.
    pub pool: Vec<f64>,
}

/// What became of a test that fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calming {
    Firing,
    Cleared,
}

impl Test {
    pub fn name(self) -> &'static str {
        match self {
            Self::Shift => "distribution",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown_values",
            Self::Loss => "loss",
            Self::Ranking => "ranking",
        }
    }
}

impl Default for VersionMemory {
    fn default() -> Self {
        Self {
            judged: Timestamp::MIN,
            detector: Detector::default(),
            evidence: None,
            firing: BTreeMap::new(),
        }
    }
}

impl Memory {
    /// A version's memory under a policy with this setting.
    pub fn version(&mut self, policy: &str, setting: &str, version: &str) -> &mut VersionMemory {
        if !self.policies.contains_key(policy) {
            self.policies.insert(policy.to_owned(), PolicyMemory::default());
        }
        let memory = self.policies.get_mut(policy).expect("it was just put there");
        if memory.setting != setting {
            memory.versions.clear();
            setting.clone_into(&mut memory.setting);
        }
        let versions = &mut memory.versions;
        if !versions.contains_key(version) && versions.len() >= VERSIONS_MAX {
            let oldest = versions.iter().min_by_key(|(_, memory)| memory.judged);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                versions.remove(&oldest);
            }
        }
        versions.entry(version.to_owned()).or_default()
    }

    /// Counts tests that went from quiet to firing.
    pub fn began(&mut self, policy: &str, episodes: u64) {
        if let Some(memory) = self.policies.get_mut(policy) {
            memory.episodes += episodes;
        }
    }

    /// Forgets policies that are not there any more.
    pub fn retain(&mut self, is_declared: impl Fn(&str) -> bool) {
        self.policies.retain(|policy, _| is_declared(policy));
    }
}

impl Firing {
    pub fn new(since: Timestamp) -> Self {
        Self { since, calm: 0, pool: Vec::new() }
    }

    /// It was set off again: whatever calm there was is over.
    pub fn again(&mut self) {
        self.calm = 0;
        self.pool.clear();
    }

    /// Pools a window's counts. `look` says of the pool how likely it is if nothing is wrong;
    /// `None` while it has not enough rows.
    pub fn calm(&mut self, counts: &[f64], look: impl FnOnce(&[f64]) -> Option<f64>) -> Calming {
        if self.pool.len() != counts.len() {
            self.pool = vec![0.0; counts.len()];
        }
        self.pool.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        let Some(p_value) = look(&self.pool) else { return Calming::Firing };
        self.pool.clear();
        self.calm = if p_value > CALM_LEVEL { self.calm + 1 } else { 0 };
        if self.calm >= CALM { Calming::Cleared } else { Calming::Firing }
    }
}
