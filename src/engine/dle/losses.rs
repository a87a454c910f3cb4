//! A profile's models of losses, made ready for the rows of a batch.

use super::{Input, ParseError, Trees};
use crate::engine::event::{CellState, FeatureColumn, PredictionBatch};
use crate::engine::metric::Metric;
use crate::engine::reference::Profile;
use crate::engine::spec::{FeatureKind, FeatureSpec};
use serde::{Deserialize, Serialize};

/// What the predicted value may be called among a model's inputs.
const PREDICTION: [&str; 2] = ["prediction", "y_pred"];

/// A model of one loss, in a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossReference {
    /// `mae`, `mse` or `mape`: the loss of a row is |e|, e^2, |e| / |label|.
    pub metric: String,
    /// LightGBM's text.
    pub model: String,
    /// Standard deviation of the loss over held-out rows; absent where it is not known.
    pub deviation: Option<f64>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct LossModels {
    models: Vec<LossModel>,
}

#[derive(Clone, Debug)]
struct LossModel {
    metric: Metric,
    trees: Trees,
    sources: Vec<Source>,
    deviation: Option<f64>,
}

/// Where an input's value comes from.
#[derive(Clone, Debug)]
enum Source {
    Prediction,
    Number {
        feature: usize,
    },
    /// The code of each category of the feature's dictionary.
    Category {
        feature: usize,
        codes: Vec<f64>,
    },
}

/// The losses that models may be of.
pub fn is_loss(metric: Metric) -> bool {
    matches!(metric, Metric::Mae | Metric::Mse | Metric::Mape)
}

impl LossReference {
    /// What is wrong with it, given the names of the features.
    pub fn check(&self, features: &[&str]) -> Result<(), String> {
        let metric: Option<Metric> = self.metric.parse().ok();
        if !metric.is_some_and(is_loss) {
            return Err(format!("`{}`: expected mae, mse or mape", self.metric));
        }
        let trees = Trees::parse(&self.model).map_err(|error: ParseError| error.to_string())?;
        let known =
            |input: &&Input| features.contains(&&*input.name) || PREDICTION.contains(&&*input.name);
        match trees.inputs().iter().find(|input| !known(input)) {
            None => Ok(()),
            Some(input) => Err(format!(
                "its input `{}` is no feature; the predicted value is called `prediction`",
                input.name
            )),
        }
    }
}

impl LossModels {
    /// `None` without a model, or if one has an input that is no feature of the model.
    pub fn new(profile: &Profile, features: &[FeatureSpec]) -> Option<Self> {
        let source = |input: &Input| {
            let feature = features.iter().position(|feature| *feature.name == *input.name);
            Some(match feature.map(|at| (at, &features[at].kind)) {
                Some((feature, FeatureKind::Numeric)) => Source::Number { feature },
                Some((feature, FeatureKind::Categorical { dictionary })) => {
                    let codes = dictionary.iter().map(|text| input.code(Some(text))).collect();
                    Source::Category { feature, codes }
                }
                None if PREDICTION.contains(&&*input.name) => Source::Prediction,
                None => return None,
            })
        };
        let model = |reference: &LossReference| {
            let trees = Trees::parse(&reference.model).ok()?;
            let sources = trees.inputs().iter().map(source).collect::<Option<Vec<_>>>()?;
            let metric = reference.metric.parse().ok().filter(|metric| is_loss(*metric))?;
            Some(LossModel { metric, trees, sources, deviation: reference.deviation })
        };
        let models = profile.losses.iter().map(model).collect::<Option<Vec<_>>>()?;
        (!models.is_empty()).then_some(Self { models })
    }

    /// The position of a metric's loss, and the loss's standard deviation.
    pub fn of(&self, metric: Metric) -> Option<(usize, Option<f64>)> {
        let at = self.models.iter().position(|model| model.metric == metric)?;
        Some((at, self.models[at].deviation))
    }

    /// The losses expected of a row, in place of what `out` held: none is negative.
    pub fn losses(&self, batch: &PredictionBatch, row: usize, out: &mut Vec<f64>) {
        out.clear();
        let mut values = Vec::new();
        for model in &self.models {
            values.clear();
            values.extend(model.sources.iter().map(|source| source.value(batch, row)));
            let loss = model.trees.predict(&values);
            out.push(if loss.is_finite() { loss.max(0.0) } else { 0.0 });
        }
    }
}

impl Source {
    fn value(&self, batch: &PredictionBatch, row: usize) -> f64 {
        let present = |states: &[CellState]| states[row] == CellState::Present;
        match self {
            Self::Prediction => batch.scores.get(row).copied().unwrap_or(f64::NAN),
            Self::Number { feature } => match batch.features.get(*feature) {
                Some(FeatureColumn::Numeric(column)) if present(&column.states) => {
                    column.values[row]
                }
                _ => f64::NAN,
            },
            Self::Category { feature, codes } => match batch.features.get(*feature) {
                Some(FeatureColumn::Categorical(column)) if present(&column.states) => {
                    codes.get(column.codes[row] as usize).copied().unwrap_or(f64::NAN)
                }
                _ => f64::NAN,
            },
        }
    }
}
