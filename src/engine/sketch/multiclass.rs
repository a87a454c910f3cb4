//! What labelled predictions of a multiclass model leave behind: the confusion matrix, log losses,
//! hits among the k most probable classes, and bins of the top probability.

use super::calibration::{CALIBRATION_BINS, Calibration, CalibrationBin, CalibrationTerms};
use super::moments::{Clipped, Moments, Spread};
use super::sparse::Sparse;
use super::weighting::{Count, Mass, Plain, Weighted, Weighting};
use super::{Group, Sign, Sketch};
use crate::engine::event::ClassCode;
use serde::{Deserialize, Serialize};

/// Classes with a row and a column of their own; the others share the last ones, `OTHER`.
pub const CLASSES_MAX: usize = 64;

/// A prediction that has met its label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MulticlassOutcome {
    /// Predicted class; a code beyond the cells' classes counts as `OTHER`.
    pub decision: ClassCode,
    /// True class, likewise.
    pub label: ClassCode,
    /// Log loss, if the true class's probability is known.
    pub log_loss: Option<f64>,
    /// Rank of the true class among the probabilities, 1 for the most probable, if known.
    pub rank: Option<u16>,
    /// Probability of the most probable class, if known.
    pub top: Option<f64>,
    /// Sampling weight, above 0; not used by cells without weights.
    pub weight: f64,
}

/// What a row of probabilities says about the true class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProbabilityTerms {
    pub log_loss: Option<f64>,
    pub rank: Option<u16>,
    pub top: Option<f64>,
    /// The most probable class, the first of equals.
    pub top_class: Option<ClassCode>,
}

/// Reads one row of probabilities, one a class by code, NaN where not given.
///
/// Log loss is -ln p with p within [eps, 1 - eps], eps = 2^-52, and without normalising the row, as
/// scikit-learn 1.9 does. Of equal probabilities the higher code ranks first, as in its
/// `top_k_accuracy_score`; the top class is the first of equals, as in numpy's `argmax`. A rank
/// needs all probabilities; the true class must be one of them.
pub fn probability_terms(row: &[f64], label: ClassCode) -> ProbabilityTerms {
    let mut terms = ProbabilityTerms::default();
    let mut complete = true;
    for (class, &p) in row.iter().enumerate() {
        if p.is_nan() {
            complete = false;
        } else if terms.top.is_none_or(|top| p > top) {
            terms.top = Some(p);
            terms.top_class = Some(class as ClassCode);
        }
    }
    let own = row.get(usize::from(label)).copied().filter(|p| !p.is_nan());
    if let Some(own) = own {
        terms.log_loss = Some(-own.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln());
        if complete {
            let ahead =
                |(class, &p): (usize, &f64)| p > own || (p == own && class > usize::from(label));
            terms.rank =
                Some(1 + row.iter().enumerate().filter(|&entry| ahead(entry)).count() as u16);
        }
    }
    terms
}

/// An outcome made ready to be added, once, to the whole model and to each of its slices.
#[derive(Clone, Copy, Debug)]
pub struct MulticlassTerms(AnyTerms);

#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "made once a row, on the stack, and not kept")]
enum AnyTerms {
    Plain(RowTerms<Plain>),
    Weighted(RowTerms<Weighted>),
}

#[derive(Clone, Copy, Debug)]
struct RowTerms<W: Weighting> {
    decision: ClassCode,
    label: ClassCode,
    count: W::Count,
    log_loss: Option<W::Loss>,
    rank: Option<u16>,
    calibration: Option<CalibrationTerms<W>>,
    clipped: Clipped,
}

/// Cells of one stretch of event time, one version, one slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MulticlassCells(AnySums);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum AnySums {
    Plain(Box<Sums<Plain>>),
    Weighted(Box<Sums<Weighted>>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Sums<W: Weighting> {
    /// Classes with a code of their own; `OTHER` comes after them.
    classes: u16,
    /// Key: decision * (classes + 1) + label.
    confusion: Sparse<W::Count>,
    /// Rows whose log loss is known, and their log losses.
    lossy: W::Count,
    log_loss: W::Loss,
    /// Rows whose rank is known, and for each k how many of them ranked at most k.
    ranked: W::Count,
    top_k: Vec<(u16, W::Count)>,
    calibration: Calibration<W>,
    /// Rows with a number that had to be clipped.
    clipped: i64,
}

impl<W: Weighting> RowTerms<W> {
    fn of(outcome: &MulticlassOutcome) -> Self {
        let weight = W::weight(outcome.weight);
        let (count, mut clipped) = W::Count::one(weight);
        let log_loss = outcome.log_loss.filter(|loss| !loss.is_nan()).map(|loss| {
            // No log loss is beyond -ln(2^-52) = 36.04.
            let (moments, loss_clipped) = W::Loss::of(loss.clamp(0.0, 127.0), weight);
            clipped = clipped.max(loss_clipped);
            moments
        });
        let calibration = outcome.top.filter(|top| !top.is_nan()).map(|top| {
            let hit = outcome.decision == outcome.label;
            let (terms, top_clipped) =
                CalibrationTerms::of(top.clamp(0.0, 1.0), hit, count, weight);
            clipped = clipped.max(top_clipped);
            terms
        });
        let (decision, label, rank) = (outcome.decision, outcome.label, outcome.rank);
        Self { decision, label, count, log_loss, rank, calibration, clipped }
    }
}

impl<W: Weighting> Sums<W> {
    fn new(classes: usize, top_k: &[u16]) -> Self {
        let classes = classes.min(CLASSES_MAX) as u16;
        Self {
            classes,
            confusion: Sparse::new((classes + 1) * (classes + 1)),
            lossy: W::Count::default(),
            log_loss: W::Loss::default(),
            ranked: W::Count::default(),
            top_k: top_k.iter().map(|&k| (k, W::Count::default())).collect(),
            calibration: Calibration::default(),
            clipped: 0,
        }
    }

    fn add(&mut self, terms: &RowTerms<W>, sign: Sign) {
        let class = |code: ClassCode| code.min(self.classes);
        let key = class(terms.decision) * (self.classes + 1) + class(terms.label);
        self.confusion.apply(key, &terms.count, sign);
        if let Some(log_loss) = &terms.log_loss {
            self.lossy.apply(&terms.count, sign);
            self.log_loss.apply(log_loss, sign);
        }
        if let Some(rank) = terms.rank {
            self.ranked.apply(&terms.count, sign);
            for (k, hits) in &mut self.top_k {
                if rank <= *k {
                    hits.apply(&terms.count, sign);
                }
            }
        }
        if let Some(calibration) = &terms.calibration {
            self.calibration.apply(calibration, sign);
        }
        self.clipped.apply(&i64::from(terms.clipped != Clipped::Nothing), sign);
    }

    fn merge(&mut self, other: &Self) {
        assert_eq!(self.classes, other.classes, "only cells that were made alike merge");
        assert_eq!(self.top_k.len(), other.top_k.len(), "only cells that were made alike merge");
        self.confusion.merge(&other.confusion);
        self.lossy.plus(&other.lossy);
        self.log_loss.plus(&other.log_loss);
        self.ranked.plus(&other.ranked);
        for ((k, hits), (other_k, other_hits)) in self.top_k.iter_mut().zip(&other.top_k) {
            assert_eq!(k, other_k, "only cells that were made alike merge");
            hits.plus(other_hits);
        }
        self.calibration.merge(&other.calibration);
        self.clipped.plus(&other.clipped);
    }
}

/// Runs an expression on the sums, whichever weighting they have.
macro_rules! sums {
    ($cells:expr, $sums:ident => $body:expr) => {
        match $cells {
            AnySums::Plain($sums) => $body,
            AnySums::Weighted($sums) => $body,
        }
    };
}

impl MulticlassCells {
    /// Empty cells for `classes` classes (at most 64; codes beyond them count as `OTHER`) and these
    /// k of top-k accuracy; with `weighted`, outcomes count by their weights.
    pub fn new(classes: usize, top_k: &[u16], weighted: bool) -> Self {
        Self(if weighted {
            AnySums::Weighted(Box::new(Sums::new(classes, top_k)))
        } else {
            AnySums::Plain(Box::new(Sums::new(classes, top_k)))
        })
    }

    /// Makes an outcome ready for these cells and for all others with the same weighting.
    pub fn terms(&self, outcome: &MulticlassOutcome) -> MulticlassTerms {
        MulticlassTerms(match &self.0 {
            AnySums::Plain(_) => AnyTerms::Plain(RowTerms::of(outcome)),
            AnySums::Weighted(_) => AnyTerms::Weighted(RowTerms::of(outcome)),
        })
    }

    /// Adds or removes a prepared outcome.
    pub fn add_terms(&mut self, terms: &MulticlassTerms, sign: Sign) {
        match (&mut self.0, &terms.0) {
            (AnySums::Plain(sums), AnyTerms::Plain(terms)) => sums.add(terms, sign),
            (AnySums::Weighted(sums), AnyTerms::Weighted(terms)) => sums.add(terms, sign),
            _ => panic!("terms were made for cells with another weighting"),
        }
    }

    /// How many classes have a code of their own; `OTHER` is the one after them.
    pub fn classes(&self) -> u16 {
        sums!(&self.0, sums => sums.classes)
    }

    /// (decision, label, rows), ascending, without empty cells; `OTHER` is `classes()`.
    pub fn confusion(&self) -> Vec<(ClassCode, ClassCode, Mass)> {
        sums!(&self.0, sums => {
            let side = sums.classes + 1;
            let cell = |(key, count): (u16, &_)| (key / side, key % side, Count::mass(count));
            sums.confusion.iter().map(cell).collect()
        })
    }

    /// All rows.
    pub fn rows(&self) -> Mass {
        self.confusion().into_iter().map(|(_, _, mass)| mass).sum()
    }

    /// The rows whose log loss is known, and their log losses.
    pub fn log_loss(&self) -> (Mass, Spread) {
        sums!(&self.0, sums => (sums.lossy.mass(), sums.log_loss.spread()))
    }

    /// The rows whose rank is known, and those of them whose true class is among the `k` most
    /// probable; `None` if this k is not counted.
    pub fn top_k(&self, k: u16) -> Option<(Mass, Mass)> {
        sums!(&self.0, sums => {
            let (_, hits) = sums.top_k.iter().find(|(counted, _)| *counted == k)?;
            Some((sums.ranked.mass(), hits.mass()))
        })
    }

    /// Calibration of the top probability as the probability that the decision is right.
    pub fn calibration(&self) -> [CalibrationBin; CALIBRATION_BINS] {
        sums!(&self.0, sums => sums.calibration.read())
    }

    /// Rows with a weight or a loss beyond what the sums hold.
    pub fn clipped(&self) -> u64 {
        sums!(&self.0, sums => sums.clipped.max(0) as u64)
    }
}

impl Sketch for MulticlassCells {
    type Row = MulticlassOutcome;

    fn add(&mut self, outcome: &MulticlassOutcome, sign: Sign) {
        let terms = self.terms(outcome);
        self.add_terms(&terms, sign);
    }

    fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (AnySums::Plain(sums), AnySums::Plain(other)) => sums.merge(other),
            (AnySums::Weighted(sums), AnySums::Weighted(other)) => sums.merge(other),
            _ => panic!("only cells with the same weighting merge"),
        }
    }

    fn is_empty(&self) -> bool {
        sums!(&self.0, sums => sums.confusion.is_empty())
    }
}
