//! Metrics of a regression before labels: the mean of predicted losses, alone and joined with what
//! has been measured.

use super::LossModels;
use crate::engine::cbpe::Estimates;
use crate::engine::estimate::{Estimate, Interval};
use crate::engine::metric::interval::Z;
use crate::engine::metric::{self, Metric};
use crate::engine::sketch::{PerformanceCells, PredictedLosses};

/// Labelled share from which a window's estimate is graded: the losses of single predictions are
/// not kept, so all of them are compared with those that have a label.
const GRADED_COVERAGE_MIN: f64 = 0.9;
const GRADED_ROWS_MIN: u64 = 20;

/// The metrics that can be estimated where there is a model of their loss; RMSE by that of MSE.
pub const REGRESSION: [Metric; 4] = [Metric::Mae, Metric::Mse, Metric::Rmse, Metric::Mape];

/// One window.
#[derive(Clone, Copy, Debug)]
pub struct LossSums<'a> {
    pub models: &'a LossModels,
    pub predicted: &'a PredictedLosses,
    /// Of the labelled predictions; `None` while there are none.
    pub measured: Option<&'a PerformanceCells>,
    pub predictions: u64,
}

impl LossSums<'_> {
    /// The mean loss over all predictions, and its deviation.
    fn loss(&self, metric: Metric) -> Option<(f64, Option<f64>)> {
        let (at, deviation) = self.models.of(root_of(metric))?;
        Some((self.predicted.mean(at)?, deviation))
    }

    fn labelled(&self) -> u64 {
        self.measured.map_or(0, PerformanceCells::rows)
    }
}

/// The metric whose loss is averaged.
fn root_of(metric: Metric) -> Metric {
    if metric == Metric::Rmse { Metric::Mse } else { metric }
}

/// With the mean loss and its standard error.
fn of_loss(metric: Metric, loss: f64, error: Option<f64>, support: u64) -> Estimate {
    let show =
        |loss: f64| if metric == Metric::Rmse { loss.max(0.0).sqrt() } else { loss.max(0.0) };
    let interval = error
        .map(|error| Interval { lower: show(loss - Z * error), upper: show(loss + Z * error) });
    Estimate::exact(show(loss), interval, support)
}

impl Estimates for LossSums<'_> {
    fn estimated(&self, metric: Metric) -> Option<Estimate> {
        let (loss, deviation) = self.loss(metric)?;
        let rows = self.predicted.rows();
        let error = deviation.map(|deviation| deviation / (rows as f64).sqrt());
        Some(of_loss(metric, loss, error, rows))
    }

    /// The open predictions count with the mean of all: whether a label has come is taken not to
    /// depend on the loss.
    fn combined(&self, metric: Metric) -> Option<Estimate> {
        let (loss, deviation) = self.loss(metric)?;
        let all = self.predictions.max(self.labelled());
        let open = (all - self.labelled()) as f64;
        let measured = match self.measured {
            Some(cells) => metric::estimate(root_of(metric), cells)?.value,
            None => 0.0,
        };
        if all == 0 {
            return None;
        }
        let mean = (measured * self.labelled() as f64 + loss * open) / all as f64;
        let error = deviation.map(|deviation| deviation * open.sqrt() / all as f64);
        Some(of_loss(metric, mean, error, all))
    }

    fn graded(&self, metric: Metric) -> Option<(Estimate, f64)> {
        let measured = self.measured.filter(|cells| cells.rows() >= GRADED_ROWS_MIN)?;
        let covered = measured.rows() as f64 >= GRADED_COVERAGE_MIN * self.predictions as f64;
        let value = metric::estimate(metric, measured).filter(|_| covered)?.value;
        Some((self.estimated(metric)?, value))
    }
}
