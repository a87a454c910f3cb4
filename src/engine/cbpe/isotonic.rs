//! Isotonic regression by pool-adjacent-violators (Ayer et al. 1955; Barlow et al. 1972), as
//! scikit-learn's `IsotonicRegression(out_of_bounds="clip")` gives it: equal scores are averaged
//! first, between knots the line is straight, beyond the ends it is flat.

use crate::engine::score::{FINE_BINS, fine_bin, fine_edges};
use serde::{Deserialize, Serialize};

/// Scores nearer to each other than this are one, as in scikit-learn.
const SAME_SCORE: f64 = 1e-15;
/// A map with more knots is refused: it would be noise.
pub const KNOTS_MAX: usize = 20_000;

/// A labelled score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelled {
    pub score: f64,
    /// It is of the class that the score is about.
    pub positive: bool,
    /// Above 0.
    pub weight: f64,
}

/// A monotone map from a score to how often it came true: knots with straight lines between them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Isotonic {
    /// Ascending.
    scores: Vec<f64>,
    /// Not descending, from 0 to 1; one a score.
    probabilities: Vec<f64>,
}

/// A stretch of scores with one mean.
#[derive(Clone, Copy)]
struct Block {
    hits: f64,
    weight: f64,
    /// Its first and last point.
    first: usize,
    last: usize,
}

impl Isotonic {
    /// The best monotone map in least squares. `rows` ascend by score. `None` without rows.
    pub fn fit(rows: impl Iterator<Item = Labelled>) -> Option<Self> {
        // (score, weight of the positives, weight)
        let mut points: Vec<(f64, f64, f64)> = Vec::new();
        for row in rows {
            let hit = if row.positive { row.weight } else { 0.0 };
            match points.last_mut() {
                Some((score, hits, weight)) if row.score - *score < SAME_SCORE => {
                    *hits += hit;
                    *weight += row.weight;
                }
                _ => points.push((row.score, hit, row.weight)),
            }
        }
        let mut blocks: Vec<Block> = Vec::new();
        for (at, &(_, hits, weight)) in points.iter().enumerate() {
            let mut block = Block { hits, weight, first: at, last: at };
            while let Some(before) = blocks.last()
                && before.hits * block.weight >= block.hits * before.weight
            {
                block = Block {
                    hits: before.hits + block.hits,
                    weight: before.weight + block.weight,
                    first: before.first,
                    last: block.last,
                };
                blocks.pop();
            }
            blocks.push(block);
        }
        let mut map = Self { scores: Vec::new(), probabilities: Vec::new() };
        for block in &blocks {
            let mean = block.hits / block.weight;
            map.scores.push(points[block.first].0);
            map.probabilities.push(mean);
            if block.last > block.first {
                map.scores.push(points[block.last].0);
                map.probabilities.push(mean);
            }
        }
        (!blocks.is_empty()).then_some(map)
    }

    /// The calibrated probability of a score.
    pub fn at(&self, score: f64) -> f64 {
        self.interpolate(self.scores.partition_point(|knot| *knot < score), score)
    }

    /// `after` is the first knot that is not below the score.
    fn interpolate(&self, after: usize, score: f64) -> f64 {
        let last = self.scores.len() - 1;
        if after == 0 {
            return self.probabilities[0];
        }
        if after > last {
            return self.probabilities[last];
        }
        let (x0, x1) = (self.scores[after - 1], self.scores[after]);
        let (y0, y1) = (self.probabilities[after - 1], self.probabilities[after]);
        if y0 == y1 { y0 } else { y0 + (y1 - y0) / (x1 - x0) * (score - x0) }
    }

    /// Scores and probabilities of the knots.
    pub fn knots(&self) -> impl ExactSizeIterator<Item = (f64, f64)> {
        self.scores.iter().copied().zip(self.probabilities.iter().copied())
    }

    /// What contradicts itself.
    pub fn validate(&self) -> Result<(), String> {
        let knots = self.scores.len();
        if knots == 0 || knots > KNOTS_MAX || self.probabilities.len() != knots {
            return Err(format!("expected 1 to {KNOTS_MAX} scores and as many probabilities"));
        }
        let within = |values: &[f64]| values.iter().all(|value| (0.0..=1.0).contains(value));
        if !within(&self.scores) || !within(&self.probabilities) {
            return Err("scores and probabilities: expected numbers from 0 to 1".into());
        }
        if !self.scores.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err("scores: not ascending".into());
        }
        if !self.probabilities.is_sorted() {
            return Err("probabilities: descending".into());
        }
        Ok(())
    }
}

/// A map made ready for many scores: the knots of each of the 2,048 score bins are known, so a
/// score takes one look into a table and a short search.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// `None`: scores are taken as they are.
    map: Option<(Isotonic, Box<[u16]>)>,
}

impl Calibration {
    pub fn new(map: Option<Isotonic>) -> Self {
        let with_table = |map: Isotonic| {
            let start = |bin: usize| {
                let lowest = fine_edges(bin as u16).0;
                map.scores.partition_point(|knot| *knot < lowest) as u16
            };
            let starts = (0..FINE_BINS).map(start).chain([map.scores.len() as u16]).collect();
            (map, starts)
        };
        Self { map: map.map(with_table) }
    }

    /// The probability that a score stands for; scores outside [0, 1] count as the nearer end.
    pub fn at(&self, score: f64) -> f64 {
        let score = score.clamp(0.0, 1.0);
        let Some((map, starts)) = &self.map else { return score };
        let bin = usize::from(fine_bin(score));
        let (from, to) = (usize::from(starts[bin]), usize::from(starts[bin + 1]));
        let within = map.scores[from..to].partition_point(|knot| *knot < score);
        map.interpolate(from + within, score)
    }

    /// Least and greatest probability of the scores of a fine bin.
    pub fn range(&self, bin: u16) -> (f64, f64) {
        let (lower, upper) = fine_edges(bin);
        (self.at(lower), self.at(upper))
    }

    pub fn is_identity(&self) -> bool {
        self.map.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row((score, positive): (f64, bool)) -> Labelled {
        Labelled { score, positive, weight: 1.0 }
    }

    #[test]
    fn violators_are_pooled_and_the_line_between_blocks_is_straight() {
        let rows = [(0.1, false), (0.2, true), (0.3, false), (0.5, true), (0.5, true), (0.9, true)];
        let map = Isotonic::fit(rows.into_iter().map(row)).unwrap();
        let knots: Vec<_> = map.knots().collect();
        assert_eq!(knots, [(0.1, 0.0), (0.2, 0.5), (0.3, 0.5), (0.5, 1.0), (0.9, 1.0)]);
        for (score, probability) in [(0.0, 0.0), (0.15, 0.25), (0.25, 0.5), (0.4, 0.75), (1.0, 1.0)]
        {
            assert!((map.at(score) - probability).abs() < 1e-12, "{score}");
        }
        assert_eq!(map.validate(), Ok(()));
        assert_eq!(Isotonic::fit([].into_iter()), None);
    }

    #[test]
    fn the_table_finds_what_the_search_finds() {
        let label = |i: u32| (i * 7919) % 1000 < i;
        let rows = (0..1000).map(|i| row((f64::from(i) / 999.0, label(i))));
        let map = Isotonic::fit(rows).unwrap();
        let calibration = Calibration::new(Some(map.clone()));
        for i in 0..=5_000 {
            let score = f64::from(i) / 5_000.0;
            assert_eq!(calibration.at(score), map.at(score), "{score}");
        }
        for score in [1e-12, 0.5, 0.5 - 1e-17, 1.0 - 1e-12, 0.0, 1.0] {
            assert_eq!(calibration.at(score), map.at(score), "{score}");
        }
        assert_eq!((calibration.at(-3.0), calibration.at(7.0)), (map.at(0.0), map.at(1.0)));
    }

    #[test]
    fn weights_count_as_repetitions_do() {
        let rows = [(0.1, false, 1.0), (0.2, true, 2.0), (0.3, false, 3.0), (0.4, true, 1.0)];
        let weighted = rows.map(|(score, positive, weight)| Labelled { score, positive, weight });
        let repeated = weighted.iter().flat_map(|row| {
            std::iter::repeat_n(Labelled { weight: 1.0, ..*row }, row.weight as usize)
        });
        let repeated = Isotonic::fit(repeated);
        assert_eq!(Isotonic::fit(weighted.into_iter()), repeated);
    }
}
