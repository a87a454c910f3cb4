//! The quantile sketch of deequ (`analyzers/QuantileNonSample.scala`): compactors that keep every
//! second value. Nothing in it is drawn at random.

use std::collections::BTreeMap;

const SKETCH_SIZE: f64 = 2_048.0;
const SHRINKING: f64 = 0.64;

#[derive(Clone, Debug, Default)]
struct Compactor {
    buffer: Vec<f64>,
    compressions: u32,
    offset: usize,
}

impl Compactor {
    /// Hands every second value on; of an odd number the last one read stays.
    fn compact(&mut self) -> Vec<f64> {
        let paired = self.buffer.len() - self.buffer.len() % 2;
        if self.compressions % 2 == 1 {
            self.offset = 1 - self.offset;
        }
        self.compressions += 1;
        let rest = self.buffer.split_off(paired);
        let mut sorted = std::mem::replace(&mut self.buffer, rest);
        sorted.sort_by(f64::total_cmp);
        sorted.into_iter().skip(self.offset).step_by(2).collect()
    }
}

fn capacity(level: usize) -> usize {
    2 * ((SKETCH_SIZE * SHRINKING.powi(level as i32) / 2.0).ceil() as usize + 1)
}

/// The sketch's ranks of the values it keeps, ascending. As in its source, of several entries with
/// the same value only the last one counts: the value's weight is that of its highest level, once,
/// so that ties are not counted. `rows` in their order, without NaN.
pub fn ranks(rows: &[f64]) -> Vec<(f64, u64)> {
    let mut levels = vec![Compactor::default()];
    let (mut held, mut room) = (0, capacity(0));
    for &value in rows {
        levels[0].buffer.push(value);
        held += 1;
        if held > room {
            condense(&mut levels);
            held = levels.iter().map(|level| level.buffer.len()).sum();
            room = (0..levels.len()).map(capacity).sum();
        }
    }
    let mut weights: BTreeMap<u64, (f64, u64)> = BTreeMap::new();
    for (level, compactor) in levels.iter().enumerate() {
        for &value in &compactor.buffer {
            weights.insert(ordered(value), (value, 1 << level));
        }
    }
    let mut rank = 0;
    let with_rank = |(value, weight): (f64, u64)| {
        rank += weight;
        (value, rank)
    };
    weights.into_values().map(with_rank).collect()
}

fn condense(levels: &mut Vec<Compactor>) {
    let full = (0..levels.len()).find(|level| levels[*level].buffer.len() >= capacity(*level));
    if let Some(level) = full {
        if level + 1 == levels.len() {
            levels.push(Compactor::default());
        }
        let handed_on = levels[level].compact();
        levels[level + 1].buffer.extend(handed_on);
    }
}

/// A key that orders as the numbers do.
fn ordered(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The greatest difference of the two sketches' cumulative shares, and the total weight of each.
/// `None` where one is empty.
pub fn l_infinity(one: &[(f64, u64)], other: &[(f64, u64)]) -> Option<(f64, f64, f64)> {
    let (n, m) = (one.last()?.1 as f64, other.last()?.1 as f64);
    let rank_at = |ranks: &[(f64, u64)], value: f64| {
        let upto = ranks.partition_point(|entry| entry.0 <= value);
        upto.checked_sub(1).map_or(0, |at| ranks[at].1) as f64
    };
    let difference = |value: f64| (rank_at(one, value) / n - rank_at(other, value) / m).abs();
    let values = one.iter().chain(other).map(|entry| entry.0);
    Some((values.map(difference).fold(0.0, f64::max), n, m))
}
