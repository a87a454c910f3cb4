//! What a run gave, against the batch answer.

use super::oracle::{Answer, Cells, WindowId};
use super::run::Run;
use super::world::World;
use std::collections::BTreeMap;
use tidemark::engine::effect::FiringKind;
use tidemark::engine::metric::{Metric, estimate};
use tidemark::engine::model_shard::Partial;
use tidemark::engine::outcome::{LabelOutcome, PredictionOutcome};
use tidemark::engine::shard::Shard;
use tidemark::engine::sketch::{Expected, PerformanceCells};
use tidemark::engine::sum::{self, Range};
use tidemark::engine::time::Timestamp;

/// Predictions, labels and accuracy of a window, and its accuracy as estimated and in the one line.
pub type Shown = (u64, u64, Option<f64>, [Option<f64>; 2]);

impl Run<'_> {
    /// Says where the engine differs from the batch answer.
    pub fn compare(&self, world: &World, expected: &Answer) -> Result<(), String> {
        if !world.group.spread {
            self.compare_rows(expected)?;
        }
        if self.judged != expected.judgements {
            return Err(difference("judgements", &self.judged, &expected.judgements));
        }
        let mut requests = (self.requests.clone(), expected.requests.clone());
        requests.0.sort();
        requests.1.sort();
        if requests.0 != requests.1 {
            return Err(format!("requests {:?}, expected {:?}", requests.0, requests.1));
        }
        let finals: BTreeMap<_, _> = expected
            .windows
            .iter()
            .filter(|((_, _, slice, ..), _)| slice.is_none())
            .filter(|((model, _, _, size, _), _)| {
                let spec = &world.group.models[*model].context.spec;
                let kept = spec.windows.iter().find(|window| window.size == *size);
                kept.is_some_and(|window| window.keep >= spec.join.horizon + spec.join.grace)
            })
            .map(|(id, cells)| {
                let labelled: u64 = cells.confusion.iter().sum();
                let right = cells.confusion[0] + cells.confusion[3];
                let accuracy = (labelled > 0).then(|| right as f64 / labelled as f64);
                let of = |right: f64| Some(right / cells.predictions as f64);
                let [all, open] = cells.expected.map(|right| right as f64 / 1024.0);
                let nowcast = [of(all), of(right as f64 + open)];
                (*id, (cells.predictions, labelled, accuracy, nowcast))
            })
            .collect();
        if self.finals != finals {
            return Err(difference("final windows", &self.finals, &finals));
        }
        self.compare_history(&finals)?;
        if self.releases { Ok(()) } else { self.compare_slices(expected) }
    }

    /// The newest final windows are in history, as they were when they became final.
    fn compare_history(&self, finals: &BTreeMap<WindowId, Shown>) -> Result<(), String> {
        for (model, monitor) in self.monitors.iter().enumerate() {
            let history = &monitor.history;
            for (index, spec) in monitor.context.windows.specs.iter().enumerate() {
                let expected = |id: &WindowId| id.0 == model && id.3 == spec.size;
                let mut ends: Vec<Timestamp> =
                    finals.keys().filter(|id| expected(id)).map(|id| id.4).collect();
                ends.sort();
                ends.dedup();
                let newest = ends.iter().rev().take(history.limit()).min().copied();
                let wanted: BTreeMap<WindowId, Shown> = finals
                    .iter()
                    .filter(|(id, _)| expected(id) && newest.is_some_and(|newest| id.4 >= newest))
                    .map(|(id, shown)| (*id, *shown))
                    .collect();
                let version = |name: &str| name[1..].parse::<u8>().expect("versions are v0 and v1");
                let rows = history
                    .windows(index)
                    .flat_map(|(end, rows)| rows.iter().map(move |(name, row)| (name, end, row)));
                let got: BTreeMap<WindowId, Shown> = rows
                    .filter(|(_, _, row)| row.kind == FiringKind::Final && !row.truncated)
                    .map(|(name, end, row)| {
                        let at = history.metrics().iter().position(|m| *m == Metric::Accuracy);
                        let accuracy = at.and_then(|at| row.metrics[at]).map(|e| e.value);
                        let id = (model, version(name), None, spec.size, end);
                        let nowcast = monitor.nowcasts.row(index as u16, end, name);
                        let nowcast = [
                            nowcast.and_then(|row| row.estimated(0)),
                            nowcast.and_then(|row| row.combined(0)),
                        ];
                        let nowcast = nowcast.map(|estimate| estimate.map(|e| e.value));
                        (id, (row.predictions, row.labeled, accuracy, nowcast))
                    })
                    .collect();
                if got != wanted {
                    return Err(difference("history", &got, &wanted));
                }
            }
        }
        Ok(())
    }

    fn compare_rows(&self, expected: &Answer) -> Result<(), String> {
        for model in 0..self.monitors.len() {
            for outcome in PredictionOutcome::ALL {
                let of = |shard: &Shard| shard.models[model].partial.tally.of(outcome);
                let got: u64 = self.shards.iter().map(of).sum();
                let want = expected.predictions.get(&(model, outcome)).copied().unwrap_or(0);
                if got != want {
                    return Err(format!(
                        "m{model} predictions {outcome:?}: {got}, expected {want}"
                    ));
                }
            }
        }
        for model in 0..self.monitors.len() {
            for outcome in LabelOutcome::ALL {
                let of = |shard: &Shard| shard.models[model].partial.label_tally.of(outcome);
                let got: u64 = self.shards.iter().map(of).sum();
                let want = expected.model_labels.get(&(model, outcome)).copied().unwrap_or(0);
                if got != want {
                    return Err(format!("m{model} labels {outcome:?}: {got}, expected {want}"));
                }
            }
        }
        for outcome in LabelOutcome::ALL {
            let got: u64 = self.shards.iter().map(|s| s.label_tallies[0].of(outcome)).sum();
            let want = expected.labels.get(&outcome).copied().unwrap_or(0);
            if got != want {
                return Err(format!("labels {outcome:?}: {got}, expected {want}"));
            }
        }
        Ok(())
    }

    fn compare_slices(&self, expected: &Answer) -> Result<(), String> {
        let mut got: BTreeMap<WindowId, Cells> = BTreeMap::new();
        for id in expected.windows.keys() {
            let (model, version, slice, size, end) = *id;
            let partials: Vec<&Partial> =
                self.shards.iter().map(|shard| &shard.models[model].partial).collect();
            let version = format!("v{version}");
            let range = Range { version: &version, start: end - size, end };
            for (key, sum) in sum::slices(&partials, range) {
                let slicer = &self.world.group.models[model].context.slicer;
                let category = slicer.describe(key).first().map(|(_, value)| match &**value {
                    "a" => 0,
                    "b" => 1,
                    _ => 2,
                });
                if category == slice {
                    let mut cells = cells(sum.predictions, sum.cells.as_ref());
                    if let Some(expected) =
                        sum::expected(&partials, range).filter(|_| key.is_whole())
                    {
                        cells.expected = [right(&expected.all()), right(&expected.open(1.0))];
                    }
                    got.insert(*id, cells);
                }
            }
        }
        if got != expected.windows {
            return Err(difference("slices", &got, &expected.windows));
        }
        Ok(())
    }
}

/// How many are expected to be right, in 1,024ths.
fn right(expected: &Expected) -> u64 {
    ((expected.of(1, 1) + expected.of(0, 0)) * 1024.0) as u64
}

/// Read back through the metrics, which is all that anybody sees.
fn cells(predictions: u64, cells: Option<&PerformanceCells>) -> Cells {
    let mut confusion = [0; 4];
    if let Some(PerformanceCells::Binary(binary)) = cells {
        for decision in [false, true] {
            for label in [false, true] {
                let slot = [[0, 2], [1, 3]][usize::from(decision)][usize::from(label)];
                confusion[slot] = binary.confusion(decision, label).support();
            }
        }
        let accuracy = estimate(Metric::Accuracy, cells.expect("matched")).map(|e| e.value);
        let right = confusion[0] + confusion[3];
        assert_eq!(accuracy, Some(right as f64 / confusion.iter().sum::<u64>() as f64));
    }
    Cells { predictions, confusion, expected: [0; 2] }
}

fn difference<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    got: &BTreeMap<K, V>,
    want: &BTreeMap<K, V>,
) -> String {
    for (key, value) in want {
        if got.get(key) != Some(value) {
            return format!("{what} {key:?}: {:?}, expected {value:?}", got.get(key));
        }
    }
    let extra = got.iter().find(|(key, _)| !want.contains_key(key));
    format!("{what}: unexpected {extra:?}")
}
