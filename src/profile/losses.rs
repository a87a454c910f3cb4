//! Models of losses that come with a profile.

use super::ProfileError;
use super::args::ProfileArgs;
use super::cell::printable;
use crate::engine::dle::LossReference;
use crate::engine::estimate::Estimate;
use crate::engine::metric::interval::Z;
use std::collections::BTreeMap;
use std::fs;

/// A larger file is refused.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The files that were named, checked against the features.
pub(super) fn read(
    args: &ProfileArgs,
    features: &[&str],
    baseline: &BTreeMap<String, Estimate>,
) -> Result<Vec<LossReference>, ProfileError> {
    let mut found: Vec<LossReference> = Vec::new();
    for written in &args.loss_model {
        let wrong = |what: String| ProfileError::Option {
            option: "--loss-model",
            what: format!("`{}`: {}", printable(written, 80), printable(&what, 300)),
        };
        let (metric, file) =
            written.split_once('=').ok_or_else(|| wrong("expected METRIC=FILE".into()))?;
        let bytes = fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(wrong(format!("larger than {FILE_BYTES_MAX} bytes")));
        }
        let model = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let deviation = baseline.get(metric).and_then(deviation);
        let loss = LossReference { metric: metric.to_owned(), model, deviation };
        loss.check(features).map_err(wrong)?;
        if found.iter().any(|known| known.metric == loss.metric) {
            return Err(wrong("there is a model of this loss already".into()));
        }
        found.push(loss);
    }
    Ok(found)
}

/// Of one row's loss, from the interval of the mean.
fn deviation(mean: &Estimate) -> Option<f64> {
    let interval = mean.interval?;
    Some((interval.upper - mean.value) / Z * (mean.support as f64).sqrt())
}
