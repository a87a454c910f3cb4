//! What is told of a lineage, for people and for programs.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use tidemark::config::Plan;
use tidemark::daemon::expected_layout;
use tidemark::engine::monitor::MonitorState;
use tidemark::engine::outbox::State;
use tidemark::engine::outcome::PredictionOutcome;
use tidemark::engine::shard::Side;
use tidemark::engine::state::{Part, Section, SectionName, StateError, read};
use tidemark::engine::state_summary::{ShardSummary, refused};
use tidemark::engine::time::Timestamp;
use tidemark::io::checkpoint::{
    Checkpoint, File, Kind, Lineage, LineagePath, OpenError, Restored, Store, look, outline,
};

/// A line of `ls`.
#[derive(Serialize)]
pub struct Summary {
    pub lineage: String,
    pub files: usize,
    pub bytes: u64,
    pub newest_seq: Option<u64>,
    /// Of the newest checkpoint that is none of a claim.
    pub epoch: Option<u64>,
    pub kind: Option<&'static str>,
    pub created_at: Option<String>,
}

impl Summary {
    pub async fn of(store: &Store, path: &LineagePath, files: &[File]) -> Result<Self, OpenError> {
        let mut summary = Self {
            lineage: path.to_string(),
            files: files.len(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            newest_seq: None,
            epoch: None,
            kind: None,
            created_at: None,
        };
        for file in files.iter().rev() {
            let Some(found) = outline(store, path, *file).await? else { continue };
            if found.kind != Kind::Claim {
                summary.newest_seq = Some(file.seq);
                summary.epoch = Some(found.epoch);
                summary.kind = Some(kind_name(found.kind));
                summary.created_at = moment(found.created_at);
                break;
            }
        }
        Ok(summary)
    }
}

/// What a restore would take, and why not something newer.
#[derive(Serialize)]
pub struct Choice {
    /// The full checkpoint and the deltas on it, in order.
    pub chain: Vec<ChainFile>,
    pub skipped: Vec<Skipped>,
    /// In a sentence.
    pub why: String,
    /// Whether it fits the configuration; null if none was given, or none of its models is meant.
    pub fits: Option<bool>,
}

#[derive(Serialize)]
pub struct ChainFile {
    pub seq: u64,
    pub kind: &'static str,
    pub epoch: u64,
    pub bytes: u64,
    pub created_at: Option<String>,
}

#[derive(Serialize)]
pub struct Skipped {
    pub file: String,
    pub seq: u64,
    pub reason: String,
}

/// The choice, and the sections chosen.
async fn choose(
    store: &Store,
    path: &LineagePath,
    plan: Option<&Plan>,
) -> Result<(Choice, Vec<Vec<Section>>), OpenError> {
    let restored = match Lineage::read(store, path).await {
        Err(error @ OpenError::TooNew { .. }) => {
            let why = format!("a restore refuses: {error}");
            return Ok((Choice { chain: vec![], skipped: vec![], why, fits: None }, Vec::new()));
        }
        other => other?,
    };
    let expected = plan.and_then(|plan| expected_layout(plan, path));
    let hashes = || restored.chain.iter().map(|one| one.header.plan_hash);
    let choice = Choice {
        chain: restored.chain.iter().map(chain_file).collect(),
        skipped: restored
            .warnings
            .iter()
            .map(|warning| Skipped {
                file: warning.file.clone(),
                seq: warning.seq,
                reason: warning.damage.to_string(),
            })
            .collect(),
        why: why(&restored),
        fits: expected.map(|expected| hashes().all(|hash| hash == expected)),
    };
    let sections = restored.chain.iter().map(sections).collect();
    Ok((choice, sections))
}

fn why(restored: &Restored) -> String {
    let bad = restored.warnings.len();
    match (restored.chain.as_slice(), bad) {
        ([], 0) => {
            "nothing was ever saved: a daemon begins where the configuration says".to_owned()
        }
        ([], bad) => format!(
            "none of its {bad} checkpoints is whole: a daemon begins where the configuration says"
        ),
        ([full], _) => format!("full checkpoint {}{}", full.header.seq, passed_over(bad)),
        ([full, .., tip], _) => format!(
            "full checkpoint {} and {} on it up to {}{}",
            full.header.seq,
            counted(restored.chain.len() - 1, "delta"),
            tip.header.seq,
            passed_over(bad)
        ),
    }
}

fn passed_over(bad: usize) -> String {
    match bad {
        0 => ": the newest, and whole".to_owned(),
        bad => format!(": the newest that is whole, {} passed over", counted(bad, "newer file")),
    }
}

pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn chain_file(checkpoint: &Checkpoint) -> ChainFile {
    let header = &checkpoint.header;
    ChainFile {
        seq: header.seq,
        kind: kind_name(header.kind),
        epoch: header.epoch,
        bytes: checkpoint.bytes,
        created_at: moment(header.created_at),
    }
}

fn sections(checkpoint: &Checkpoint) -> Vec<Section> {
    let known = checkpoint.sections.iter().filter_map(|(id, bytes)| {
        Some(Section { id: SectionName::from_number(id.0)?, bytes: bytes.to_vec() })
    });
    known.collect()
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Full => "full",
        Kind::Delta => "delta",
        Kind::Claim => "claim",
    }
}

/// `None` for the times before all and after all others.
fn moment(at: Timestamp) -> Option<String> {
    (at > Timestamp::MIN && at < Timestamp::MAX).then(|| at.to_string())
}

/// What `show` tells.
#[derive(Serialize)]
pub struct Details {
    pub lineage: String,
    pub files: usize,
    pub bytes: u64,
    pub restore: Choice,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Model>,
    /// Why what is chosen cannot be read.
    pub fault: Option<String>,
}

#[derive(Serialize)]
pub struct Shard {
    pub inputs: Vec<Input>,
    pub models: Vec<ShardModel>,
    /// By label topic: labels that wait for their prediction.
    pub waiting_labels: Vec<u64>,
}

#[derive(Serialize)]
pub struct Input {
    pub side: &'static str,
    pub topic: u16,
    pub partition: i32,
    /// The offset to continue from.
    pub next_offset: Option<i64>,
    /// The newest event time: the own watermark lies out_of_orderness before it.
    pub newest: Option<String>,
    pub rows_read: u64,
    pub rows_refused: u64,
}

#[derive(Serialize)]
pub struct ShardModel {
    pub model: String,
    pub versions: Vec<String>,
    pub pending: u64,
    pub labelled: u64,
    pub panes: u64,
    pub first_pane: Option<String>,
    pub last_pane: Option<String>,
    pub predictions_closing: Option<String>,
    pub labels_closing: Option<String>,
    pub outcomes: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
pub struct Model {
    /// By kind of window: up to where windows have closed, and are final.
    pub closed_through: Vec<Option<String>>,
    pub final_through: Vec<Option<String>>,
    pub firings: u64,
    pub policies: Vec<Policy>,
    pub requests: Vec<Request>,
}

#[derive(Serialize)]
pub struct Policy {
    pub name: String,
    pub judged_through: Option<String>,
    pub firing: Vec<String>,
}

#[derive(Serialize)]
pub struct Request {
    pub id: String,
    pub webhook: String,
    pub window_end: String,
    pub state: String,
}

impl Details {
    pub async fn of(
        store: &Store,
        path: &LineagePath,
        files: &[File],
        plan: Option<&Plan>,
    ) -> Result<Self, OpenError> {
        let (restore, chain) = choose(store, path, plan).await?;
        let mut details = Self {
            lineage: path.to_string(),
            files: files.len(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            restore,
            shard: None,
            model: None,
            fault: None,
        };
        let Some(newest) = chain.last() else { return Ok(details) };
        let read = if path.is_model() {
            Model::of(newest).map(|model| details.model = Some(model))
        } else {
            ShardSummary::of(&chain).map(|shard| details.shard = Some(Shard::of(&shard)))
        };
        details.fault = read.err().map(|error| error.to_string());
        Ok(details)
    }
}

impl Shard {
    fn of(shard: &ShardSummary) -> Self {
        let inputs = shard.inputs.iter().map(|(key, input)| Input {
            side: match key.side {
                Side::Predictions => "predictions",
                Side::Labels => "labels",
            },
            topic: key.topic,
            partition: key.partition,
            next_offset: input.next_offset,
            newest: input.progress.newest.and_then(moment),
            rows_read: input.tally.read,
            rows_refused: refused(&input.tally),
        });
        let models = shard.models.iter().map(|model| ShardModel {
            model: model.name.clone(),
            versions: model.versions.clone(),
            pending: model.pending,
            labelled: model.labelled,
            panes: model.panes,
            first_pane: model.pane_range.and_then(|range| moment(range.0)),
            last_pane: model.pane_range.and_then(|range| moment(range.1)),
            predictions_closing: moment(model.predictions_closing),
            labels_closing: moment(model.labels_closing),
            outcomes: PredictionOutcome::ALL
                .into_iter()
                .map(|outcome| (outcome.name(), model.tally.of(outcome)))
                .filter(|(_, count)| *count > 0)
                .collect(),
        });
        Self {
            inputs: inputs.collect(),
            models: models.collect(),
            waiting_labels: shard.labels.iter().map(|labels| labels.waiting).collect(),
        }
    }
}

/// As `daemon::held` numbers it.
const POLICY_NAMES: SectionName = Part::Monitor.at(16);

impl Model {
    fn of(sections: &[Section]) -> Result<Self, StateError> {
        let state: MonitorState = read(sections, Part::Monitor.at(0))?;
        let names: Vec<String> = read(sections, POLICY_NAMES).unwrap_or_default();
        let moments = |all: &[Timestamp]| all.iter().map(|&at| moment(at)).collect();
        let policies = state.policies.iter().enumerate().map(|(at, policy)| Policy {
            name: names.get(at).cloned().unwrap_or_else(|| format!("policy {at}")),
            judged_through: moment(policy.judged_through),
            firing: policy.firing.keys().cloned().collect(),
        });
        let entries = state.outbox.pending().into_iter().chain(state.outbox.finished());
        let requests = entries.map(|entry| Request {
            id: entry.request.id.to_string(),
            webhook: entry.request.webhook.to_string(),
            window_end: entry.request.window_end.to_string(),
            state: match &entry.state {
                State::Pending { attempts, .. } => format!("pending, {attempts} attempts"),
                State::Sent { status, .. } => format!("delivered ({status})"),
                State::GivenUp { reason, .. } => format!("given up ({reason:?})"),
            },
        });
        Ok(Self {
            closed_through: moments(&state.closed_through),
            final_through: moments(&state.final_through),
            firings: state.firings.values().sum(),
            policies: policies.collect(),
            requests: requests.collect(),
        })
    }
}

/// What `verify` tells.
#[derive(Serialize)]
pub struct Verdict {
    pub lineage: String,
    pub files: usize,
    pub bytes: u64,
    pub damaged: Vec<Skipped>,
    pub restore: Choice,
    /// Why what is chosen cannot be read.
    pub fault: Option<String>,
}

impl Verdict {
    pub async fn of(
        store: &Store,
        path: &LineagePath,
        files: &[File],
        plan: Option<&Plan>,
    ) -> Result<Self, OpenError> {
        let details = Details::of(store, path, files, plan).await?;
        let mut damaged = Vec::new();
        // What was chosen has been read already.
        let chosen: BTreeSet<u64> = details.restore.chain.iter().map(|file| file.seq).collect();
        for file in files.iter().filter(|file| !chosen.contains(&file.seq)) {
            match look(store, path, file.seq).await? {
                Ok(_) => {}
                // A daemon that runs has collected it since.
                Err(tidemark::io::checkpoint::Damage::Vanished) => {}
                Err(damage) => damaged.push(Skipped {
                    file: format!("{path}/{:020}", file.seq),
                    seq: file.seq,
                    reason: damage.to_string(),
                }),
            }
        }
        Ok(Self {
            lineage: details.lineage,
            files: details.files,
            bytes: details.bytes,
            damaged,
            restore: details.restore,
            fault: details.fault,
        })
    }

    /// No file is damaged, and what a restore chooses can be read.
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty() && self.fault.is_none() && self.restore.skipped.is_empty()
    }
}
