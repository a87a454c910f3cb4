//! Whether scores are better calibrated or left as they are: NannyML's gate (0.13,
//! `calibration.py`).
//!
//! Ten times a tenth of the rows is held out, a map is fitted on the others, and the expected
//! calibration error of all that was held out is compared with and without it. The draws are our
//! own, so a verdict can differ from NannyML's where the two errors are almost equal.

use super::isotonic::{Isotonic, Labelled};
use std::fmt;

const SPLITS: u64 = 10;
const BINS: usize = 10;
/// Scores that order the classes as well as this are left alone.
const AUC_MAX: f64 = 0.999;
/// Below this many rows of a class nothing is fitted and nothing is estimated.
pub const CLASS_ROWS_MIN: usize = 20;

/// What the gate found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// The mean calibration error without and with the map.
    Calibrate {
        before: f64,
        after: f64,
    },
    Leave {
        before: f64,
        after: f64,
    },
    /// The scores separate the classes nearly perfectly.
    Separated,
}

/// Why there can be no estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Fewer than [`CLASS_ROWS_MIN`] rows of one class.
    TooFew { positives: usize, negatives: usize },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::TooFew { positives, negatives } = self;
        write!(
            f,
            "{positives} labelled rows are of the class and {negatives} are not; it takes \
             {CLASS_ROWS_MIN} of each"
        )
    }
}

/// Decides about rows that ascend by score.
pub fn verdict(rows: &[Labelled]) -> Result<Verdict, Refusal> {
    let positives = rows.iter().filter(|row| row.positive).count();
    let negatives = rows.len() - positives;
    if positives.min(negatives) < CLASS_ROWS_MIN {
        return Err(Refusal::TooFew { positives, negatives });
    }
    if auc(rows) > AUC_MAX {
        return Ok(Verdict::Separated);
    }
    let mut raw: Vec<Labelled> = Vec::new();
    let mut calibrated: Vec<Labelled> = Vec::new();
    for split in 0..SPLITS {
        let held_out = held_out(rows, split);
        let train = rows.iter().zip(&held_out).filter(|(_, out)| !**out).map(|(row, _)| *row);
        let Some(map) = Isotonic::fit(train) else { continue };
        for (row, _) in rows.iter().zip(&held_out).filter(|(_, out)| **out) {
            raw.push(*row);
            calibrated.push(Labelled { score: map.at(row.score), ..*row });
        }
    }
    let (before, after) = (calibration_error(&mut raw), calibration_error(&mut calibrated));
    Ok(if before > after {
        Verdict::Calibrate { before, after }
    } else {
        Verdict::Leave { before, after }
    })
}

/// A tenth of each class, drawn by a hash of position and split (SplitMix64, Steele et al. 2014).
fn held_out(rows: &[Labelled], split: u64) -> Vec<bool> {
    let draw = |at: usize| {
        let mut z = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (42 + split) << 56;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut held_out = vec![false; rows.len()];
    for class in [false, true] {
        let of_class = rows.iter().enumerate().filter(|(_, row)| row.positive == class);
        let mut draws: Vec<(u64, usize)> = of_class.map(|(at, _)| (draw(at), at)).collect();
        let wanted = (draws.len().div_ceil(10)).min(draws.len() - 1).max(1);
        draws.select_nth_unstable(wanted - 1);
        draws[..wanted].iter().for_each(|(_, at)| held_out[*at] = true);
    }
    held_out
}

/// Expected calibration error over ten bins of equally many rows, the last with the remainder.
fn calibration_error(rows: &mut [Labelled]) -> f64 {
    rows.sort_by(|a, b| a.score.total_cmp(&b.score));
    let bins = if rows.len() <= 2 * BINS { (rows.len() / 2).max(1) } else { BINS };
    let width = rows.len() / bins;
    let error = |bin: usize| {
        let to = if bin + 1 == bins { rows.len() } else { (bin + 1) * width };
        let gap = |row: &Labelled| row.score - f64::from(u8::from(row.positive));
        rows[bin * width..to].iter().map(gap).sum::<f64>().abs()
    };
    (0..bins).map(error).sum::<f64>() / rows.len() as f64
}

/// The chance that a positive scores above a negative, ties counting half.
fn auc(rows: &[Labelled]) -> f64 {
    let (mut below, mut ordered, mut positives) = (0.0, 0.0, 0.0);
    for tied in rows.chunk_by(|a, b| a.score == b.score) {
        let hits = tied.iter().filter(|row| row.positive).count() as f64;
        let misses = tied.len() as f64 - hits;
        ordered += hits * (below + misses / 2.0);
        below += misses;
        positives += hits;
    }
    ordered / (positives * below)
}
