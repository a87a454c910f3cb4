//! Two-sample chi-square test of homogeneity.

use super::Comparison;
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// The outcome of the test. `p_value` assumes independent rows and is poor where expected counts
/// are below about 5; it is 1 where there is only one bin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChiSquareTest {
    pub statistic: f64,
    pub degrees: u64,
    pub p_value: f64,
}

/// Pearson's statistic of the 2 x k table of counts, without Yates' correction, as
/// `scipy.stats.chi2_contingency(table, correction=False)`. Bins empty on both sides are left out.
pub(super) fn test(comparison: &Comparison) -> ChiSquareTest {
    let (reference, current) = (comparison.reference_rows as f64, comparison.current_rows as f64);
    let rows = reference + current;
    let mut statistic = 0.0;
    let mut bins = 0u64;
    for bin in comparison.bins.iter().filter(|bin| bin.0 + bin.1 > 0) {
        let share = (bin.0 as f64 + bin.1 as f64) / rows;
        for (count, side) in [(bin.0, reference), (bin.1, current)] {
            let expected = share * side;
            statistic += (count as f64 - expected).powi(2) / expected;
        }
        bins += 1;
    }
    let degrees = bins - 1;
    let p_value = match ChiSquared::new(degrees as f64) {
        Ok(law) => law.sf(statistic),
        Err(_) => 1.0,
    };
    ChiSquareTest { statistic, degrees, p_value }
}
