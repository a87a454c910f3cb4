//! What a shard's sections hold, read without the plan they were written under: for people.

use super::event::RefusalReason;
use super::outcome::{InputTally, LabelTally, PredictionTally};
use super::pane::{Pane, PaneKey};
use super::shard::{Input, InputKey};
use super::state::{Head, IdBytes, IdLabels, IdRows, ModelHead, Part, Section, StateError, read};
use super::time::Timestamp;
use std::collections::BTreeMap;

/// One shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardSummary {
    pub inputs: Vec<(InputKey, Input)>,
    pub models: Vec<ModelSummary>,
    /// By label topic.
    pub labels: Vec<LabelsSummary>,
}

/// One model in a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSummary {
    pub name: String,
    pub versions: Vec<String>,
    pub predictions_closing: Timestamp,
    pub labels_closing: Timestamp,
    /// Predictions held without a label, and with one or more.
    pub pending: u64,
    pub labelled: u64,
    pub tally: PredictionTally,
    pub panes: u64,
    /// Starts of the oldest and the newest pane.
    pub pane_range: Option<(Timestamp, Timestamp)>,
}

/// One label topic in a shard.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelsSummary {
    pub waiting: u64,
    pub tally: LabelTally,
}

impl ShardSummary {
    /// Reads a whole snapshot and the deltas after it.
    ///
    /// # Errors
    /// The section that is missing or is not what it should be.
    pub fn of(chain: &[Vec<Section>]) -> Result<Self, StateError> {
        let Some(newest) = chain.last() else { return Ok(Self::default()) };
        let head: Head = read(newest, Part::Inputs.at(0))?;
        let mut models = Vec::new();
        for (at, name) in head.models.into_iter().enumerate() {
            models.push(model(chain, at, name)?);
        }
        let mut labels = Vec::new();
        for (at, tally) in head.label_tallies.into_iter().enumerate() {
            labels.push(LabelsSummary { waiting: waiting(chain, at)?, tally });
        }
        Ok(Self { inputs: head.inputs, models, labels })
    }

    /// Rows read, over all inputs.
    pub fn rows_read(&self) -> u64 {
        self.inputs.iter().map(|(_, input)| input.tally.read).sum()
    }
}

/// Rows of an input that could not be used.
pub fn refused(tally: &InputTally) -> u64 {
    RefusalReason::ALL.iter().map(|&reason| tally.refused[reason as usize]).sum()
}

fn model(chain: &[Vec<Section>], at: usize, name: String) -> Result<ModelSummary, StateError> {
    let mut rows: BTreeMap<IdBytes, (u64, u64)> = BTreeMap::new();
    let mut panes: BTreeMap<PaneKey, ()> = BTreeMap::new();
    for sections in chain {
        for row in read::<Vec<IdRows>>(sections, Part::Join.at(at))? {
            let held = (row.pending.len() as u64, row.matched.len() as u64);
            if held == (0, 0) {
                rows.remove(&row.id);
            } else {
                rows.insert(row.id, held);
            }
        }
        for (key, pane) in read::<Vec<(PaneKey, Option<Pane>)>>(sections, Part::Panes.at(at))? {
            match pane {
                Some(_) => panes.insert(key, ()),
                None => panes.remove(&key),
            };
        }
    }
    let newest = chain.last().expect("the caller saw that there is one");
    let head: ModelHead = read(newest, Part::Model.at(at))?;
    let starts = || panes.keys().map(|key| key.start);
    Ok(ModelSummary {
        name,
        versions: head.versions,
        predictions_closing: head.predictions_closing,
        labels_closing: head.labels_closing,
        pending: rows.values().map(|held| held.0).sum(),
        labelled: rows.values().map(|held| held.1).sum(),
        tally: head.tally,
        panes: panes.len() as u64,
        pane_range: starts().min().zip(starts().max()),
    })
}

fn waiting(chain: &[Vec<Section>], at: usize) -> Result<u64, StateError> {
    let mut rows: BTreeMap<IdBytes, u64> = BTreeMap::new();
    for sections in chain {
        for row in read::<Vec<IdLabels>>(sections, Part::Waiting.at(at))? {
            rows.insert(row.id, row.labels.len() as u64);
        }
    }
    Ok(rows.into_values().sum())
}
