//! Population stability index.

use super::Comparison;

/// sum over bins of (q - p) * ln(q / p), p and q being the reference's and the window's shares
/// after 0.5 was added to every bin's count. Bins that are empty on both sides say nothing and are
/// left out.
///
/// From 0 up. The added half (Jeffreys' prior) keeps an empty bin from deciding the value, as the
/// tiny constants of other tools do; theirs differ by orders of magnitude on such data.
pub(super) fn psi(comparison: &Comparison) -> f64 {
    let used = || comparison.bins.iter().filter(|bin| bin.0 + bin.1 > 0);
    let added = 0.5 * used().count() as f64;
    let reference_rows = comparison.reference_rows as f64 + added;
    let current_rows = comparison.current_rows as f64 + added;
    let term = |bin: &(u64, u64)| {
        let p = (bin.0 as f64 + 0.5) / reference_rows;
        let q = (bin.1 as f64 + 0.5) / current_rows;
        (q - p) * (q / p).ln()
    };
    used().map(term).sum()
}
