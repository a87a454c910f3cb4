//! What a comparison says of one statistic of one feature.

use clap::ValueEnum;
use serde::{Serialize, Serializer};

/// A statistic by the name that all dialects use for it, whatever their tool calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Statistic {
    Psi,
    Kl,
    Js,
    Ks,
    Wasserstein,
    Hellinger,
    ChiSquare,
    G,
    LInfinity,
    TotalVariation,
    Energy,
    CramersV,
    Z,
    FisherExact,
    AndersonDarling,
    CramerVonMises,
    MannWhitney,
    TTest,
    EppsSingleton,
}

impl Statistic {
    pub fn name(self) -> &'static str {
        match self {
            Self::Psi => "psi",
            Self::Kl => "kl",
            Self::Js => "js",
            Self::Ks => "ks",
            Self::Wasserstein => "wasserstein",
            Self::Hellinger => "hellinger",
            Self::ChiSquare => "chi_square",
            Self::G => "g",
            Self::LInfinity => "l_infinity",
            Self::TotalVariation => "total_variation",
            Self::Energy => "energy",
            Self::CramersV => "cramers_v",
            Self::Z => "z",
            Self::FisherExact => "fisher_exact",
            Self::AndersonDarling => "anderson_darling",
            Self::CramerVonMises => "cramer_von_mises",
            Self::MannWhitney => "mann_whitney",
            Self::TTest => "t_test",
            Self::EppsSingleton => "epps_singleton",
        }
    }
}

/// A number that the dialect's tool would show, with its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Finding {
    /// The tool's own number: for a tool that shows p-values as scores, p. `None` where the tool
    /// has none (it fails, or its number is not a number).
    #[serde(serialize_with = "finite")]
    pub value: Option<f64>,
    #[serde(serialize_with = "finite")]
    pub p_value: Option<f64>,
    /// `None` where the tool has none by default.
    #[serde(serialize_with = "finite")]
    pub threshold: Option<f64>,
    /// `None` without a value or a threshold.
    pub drifted: Option<bool>,
}

/// JSON has no word for what is not finite: the greatest double stands for infinity.
fn finite<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let shown = value.filter(|value| !value.is_nan());
    shown.map(|value| value.clamp(f64::MIN, f64::MAX)).serialize(serializer)
}

/// Which side of the threshold is drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alarm {
    Above,
    AtLeast,
    Below,
    AtMost,
}

impl Finding {
    /// A distance: `value` against `threshold`.
    pub fn distance(value: Option<f64>, alarm: Alarm, threshold: Option<f64>) -> Self {
        let value = value.filter(|value| !value.is_nan());
        let drifted = value.zip(threshold).map(|(value, threshold)| alarm.at(value, threshold));
        Self { value, p_value: None, threshold, drifted }
    }

    /// A score that is itself a p-value. Without a number the tool shows NaN and no drift.
    pub fn p_score(p: Option<f64>, alarm: Alarm, threshold: f64) -> Self {
        let p = p.filter(|p| !p.is_nan());
        let drifted = p.map(|p| alarm.at(p, threshold));
        Self { value: p, p_value: p, threshold: Some(threshold), drifted }
    }
}

impl Alarm {
    fn at(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::AtLeast => value >= threshold,
            Self::Below => value < threshold,
            Self::AtMost => value <= threshold,
        }
    }
}

/// All that a dialect says of one feature.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureFindings {
    pub name: String,
    /// "numeric" or "categorical".
    pub kind: &'static str,
    /// Rows with a value: (reference, current).
    pub rows: (u64, u64),
    /// In the dialect's order; `None` where a statistic does not apply to this feature.
    pub statistics: Vec<(Statistic, Option<Finding>)>,
    /// The statistic whose verdict is the feature's.
    pub decisive: Option<Statistic>,
    /// What the reader should know of this feature's numbers.
    pub notes: Vec<String>,
}

impl FeatureFindings {
    pub fn finding(&self, statistic: Statistic) -> Option<&Finding> {
        self.statistics.iter().find(|(which, _)| *which == statistic)?.1.as_ref()
    }

    /// The feature's verdict.
    pub fn drifted(&self) -> Option<bool> {
        self.finding(self.decisive?)?.drifted
    }
}
