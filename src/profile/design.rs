//! How much rows repeat each other over time: a further pass over the data, if a column says when.
//!
//! Counts of each column are kept by stretches of the shortest length for which there are at most
//! `BLOCKS_MAX` of them; longer stretches are sums of those. Memory: about 40 counters of 4 bytes a
//! column and stretch.

use super::baseline::Baseline;
use super::build::TargetColumns;
use super::cell::Cell;
use super::column::ColumnScan;
use crate::engine::alarm::design::{BLOCKS_MIN, Design, Effects, Scale, effect};
use crate::engine::alarm::shift::{Order, groups};
use crate::engine::reference::{Distribution, FeatureReference, Profile};
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Lengths of stretches, each a multiple of the one before it: 5 and 15 minutes, an hour, a day, a
/// week.
const SECONDS: [u64; 5] = [300, 900, 3_600, 86_400, 604_800];
/// Beyond this many stretches the next length is the shortest.
const BLOCKS_MAX: usize = 4_032;

/// Counts by stretch, while the rows are read.
pub(super) struct Meter {
    time: usize,
    columns: Vec<Column>,
    cells: usize,
    /// Position in `SECONDS` of the shortest length.
    shortest: usize,
    blocks: BTreeMap<i64, Vec<u32>>,
    rows: u64,
    /// Rows whose time could not be read.
    pub without_time: u64,
    /// They reach over more stretches than can be kept.
    beyond: bool,
}

/// A column whose distribution is followed.
struct Column {
    name: String,
    is_output: bool,
    position: usize,
    kind: Kind,
    groups: usize,
    /// Where its cells begin: its groups, then missing and invalid.
    first: usize,
}

enum Kind {
    Numbers { edges: Vec<f64>, group: Vec<usize> },
    Categories { groups: HashMap<String, usize>, other: usize, only_numbers: bool },
}

/// Cells of being right and wrong, after those of all columns.
const ERROR_CELLS: usize = 2;

impl Meter {
    /// `features`: the position of each feature of the profile.
    pub(super) fn new(
        profile: &Profile,
        features: &BTreeMap<&str, usize>,
        targets: TargetColumns,
        scans: &[ColumnScan],
        time: usize,
    ) -> Self {
        let mut meter = Self {
            time,
            columns: Vec::new(),
            cells: 0,
            shortest: 0,
            blocks: BTreeMap::new(),
            rows: 0,
            without_time: 0,
            beyond: false,
        };
        for FeatureReference { name, distribution, .. } in &profile.features {
            if let Some(&position) = features.get(name.as_str()) {
                meter.follow(name, false, position, distribution, scans);
            }
        }
        let score = profile.score.clone().map(Distribution::Numeric);
        if let (Some(position), Some(score)) = (targets.predicted_value(), score) {
            meter.follow("score", true, position, &score, scans);
        }
        let classes = profile.predicted_classes.clone().map(Distribution::Categorical);
        if let (Some(position), Some(classes)) = (targets.prediction, classes) {
            meter.follow("predicted_class", true, position, &classes, scans);
        }
        meter
    }

    fn follow(
        &mut self,
        name: &str,
        is_output: bool,
        position: usize,
        distribution: &Distribution,
        scans: &[ColumnScan],
    ) {
        let (kind, count) = match distribution {
            Distribution::Numeric(numbers) => {
                let starts = &numbers.coarse;
                let of = |bin: usize| starts.partition_point(|&s| usize::from(s) <= bin) - 1;
                let group = (0..numbers.counts.len()).map(of).collect();
                (Kind::Numbers { edges: numbers.edges.clone(), group }, starts.len())
            }
            Distribution::Categorical(found) => {
                let mut counts: Vec<u64> = found.categories.iter().map(|c| c.count).collect();
                counts.push(found.other);
                let group = groups(&counts, Order::Unordered);
                let other = group[group.len() - 1];
                let named = found.categories.iter().map(|category| category.value.clone());
                let only_numbers = scans[position].only_numbers();
                let count = group.iter().max().map_or(0, |last| last + 1);
                let groups = named.zip(group).collect();
                (Kind::Categories { groups, other, only_numbers }, count)
            }
        };
        let name = name.to_owned();
        let first = self.cells;
        self.columns.push(Column { name, is_output, position, kind, groups: count, first });
        self.cells += count + 2;
    }

    /// Counts one row.
    pub(super) fn add<'c>(
        &mut self,
        cell: &dyn Fn(usize) -> Cell<'c>,
        baseline: Option<&Baseline>,
        targets: TargetColumns,
    ) {
        let Some(seconds) = seconds(cell(self.time)) else {
            self.without_time += 1;
            return;
        };
        if self.beyond {
            return;
        }
        self.rows += 1;
        let at = seconds.div_euclid(SECONDS[self.shortest] as i64);
        let cells = self.cells + ERROR_CELLS;
        let block = self.blocks.entry(at).or_insert_with(|| vec![0; cells]);
        for column in &self.columns {
            block[column.first + column.cell(cell(column.position))] += 1;
        }
        if let Some(wrong) = baseline.and_then(|baseline| baseline.is_wrong(cell, targets)) {
            block[self.cells + usize::from(wrong)] += 1;
        }
        if self.blocks.len() > BLOCKS_MAX {
            match self.shortest + 1 < SECONDS.len() {
                true => {
                    self.blocks =
                        merged(&self.blocks, SECONDS[self.shortest], SECONDS[self.shortest + 1]);
                    self.shortest += 1;
                }
                false => {
                    self.beyond = true;
                    self.blocks.clear();
                }
            }
        }
    }

    /// The design effects at every length with enough stretches; `None` if there is none.
    pub(super) fn finish(self) -> Option<Design> {
        let mut scales = Vec::new();
        let mut blocks = self.blocks.clone();
        for at in self.shortest..SECONDS.len() {
            if at > self.shortest {
                blocks = merged(&blocks, SECONDS[at - 1], SECONDS[at]);
            }
            if blocks.len() >= BLOCKS_MIN {
                scales.push(self.scale(SECONDS[at], &blocks));
            }
        }
        (!scales.is_empty()).then_some(Design { scales })
    }

    fn scale(&self, seconds: u64, blocks: &BTreeMap<i64, Vec<u32>>) -> Scale {
        let cells = |from: usize, count: usize| -> Vec<Vec<u32>> {
            blocks.values().map(|block| block[from..from + count].to_vec()).collect()
        };
        // One cell against all others of the column.
        let against = |column: &Column, at: usize| -> f64 {
            let split = |block: &Vec<u32>| {
                let all = &block[column.first..column.first + column.groups + 2];
                let hits = all[column.groups + at];
                vec![all.iter().sum::<u32>() - hits, hits]
            };
            effect(&blocks.values().map(split).collect::<Vec<_>>())
        };
        let mut scale = Scale {
            seconds,
            blocks: blocks.len() as u64,
            rows: self.rows as f64 / blocks.len() as f64,
            features: BTreeMap::new(),
            outputs: BTreeMap::new(),
            errors: effect(&cells(self.cells, ERROR_CELLS)),
        };
        for column in &self.columns {
            let effects = Effects {
                values: effect(&cells(column.first, column.groups)),
                missing: against(column, 0),
                invalid: against(column, 1),
            };
            let into = if column.is_output { &mut scale.outputs } else { &mut scale.features };
            into.insert(column.name.clone(), effects);
        }
        // Classes that follow from the score repeat themselves as it does.
        if let (Some(&score), false) =
            (scale.outputs.get("score"), scale.outputs.contains_key("predicted_class"))
        {
            scale.outputs.insert("predicted_class".to_owned(), score);
        }
        scale
    }
}

impl Column {
    fn cell(&self, cell: Cell<'_>) -> usize {
        let (missing, invalid) = (self.groups, self.groups + 1);
        if matches!(cell, Cell::Missing | Cell::Null) {
            return missing;
        }
        match &self.kind {
            Kind::Numbers { edges, group } => match cell.number().filter(|n| n.is_finite()) {
                Some(number) => {
                    let bin = edges.partition_point(|edge| *edge <= number).saturating_sub(1);
                    group[bin.min(group.len() - 1)]
                }
                None => invalid,
            },
            Kind::Categories { groups, other, only_numbers } => {
                match cell.category(*only_numbers) {
                    Some(category) => groups.get(&category).copied().unwrap_or(*other),
                    None => invalid,
                }
            }
        }
    }
}

/// Stretches of `from` seconds put together to stretches of `to`.
fn merged(blocks: &BTreeMap<i64, Vec<u32>>, from: u64, to: u64) -> BTreeMap<i64, Vec<u32>> {
    let times = (to / from) as i64;
    let mut sums: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (at, block) in blocks {
        let sum = sums.entry(at.div_euclid(times)).or_insert_with(|| vec![0; block.len()]);
        sum.iter_mut().zip(block).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
    }
    sums
}

/// Unix seconds of a cell: a time of a file with types, a text by RFC 3339 or without a zone (then
/// UTC), or a number whose size says whether it counts seconds, milli-, micro- or nanoseconds.
fn seconds(cell: Cell<'_>) -> Option<i64> {
    let of_number = |number: f64| {
        let unit = match number.abs() {
            size if size < 1e11 => 1.0,
            size if size < 1e14 => 1e3,
            size if size < 1e17 => 1e6,
            size if size < 1e20 => 1e9,
            _ => return None,
        };
        Some((number / unit).floor() as i64)
    };
    match cell {
        Cell::Time(micros) => Some(micros.div_euclid(1_000_000)),
        Cell::Number(number) => of_number(number),
        Cell::Raw(text) | Cell::Text(text) => match cell.number() {
            Some(number) => of_number(number),
            None => of_text(text.trim()),
        },
        Cell::Missing | Cell::Null | Cell::Bool(_) | Cell::Unsupported => None,
    }
}

fn of_text(text: &str) -> Option<i64> {
    let zoned = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    zoned.or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_the_forms_that_files_have() {
        let at = 1_769_855_400;
        for text in [
            "2026-01-31T10:30:00Z",
            "2026-01-31T11:30:00+01:00",
            "2026-01-31 10:30:00",
            "2026-01-31T10:30:00.999",
            "1769855400",
            "1769855400123",
            "1.7698554e18",
        ] {
            assert_eq!(seconds(Cell::Raw(text)), Some(at), "{text}");
        }
        assert_eq!(seconds(Cell::Time(at * 1_000_000 + 5)), Some(at));
        assert_eq!(seconds(Cell::Number(at as f64 * 1e6)), Some(at));
        assert_eq!(seconds(Cell::Text("yesterday")), None);
        assert_eq!(seconds(Cell::Number(f64::NAN)), None);
        assert_eq!(seconds(Cell::Null), None);
    }
}
