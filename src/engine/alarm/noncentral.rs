//! The noncentral chi-square law: a Poisson mixture of central ones.

use statrs::function::gamma::{gamma_ur, ln_gamma};

/// Below this logarithm a number is carried on as a logarithm, so that it does not vanish.
const LN_TINY: f64 = -600.0;

/// P(X > x) with `degrees` (above 0) and noncentrality `shift` (0 or more).
///
/// The sum over j of Poisson(j; shift / 2) times the central law's tail with degrees + 2j (Johnson,
/// Kotz & Balakrishnan 1995, chapter 29). The tails follow from one incomplete gamma function by
/// Q(a + 1, y) = Q(a, y) + y^a e^-y / gamma(a + 1), upwards, where nothing cancels. Terms whose
/// weights add up to less than e^-70 are left out.
pub fn survival(x: f64, degrees: f64, shift: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let (y, half, a) = (x / 2.0, (shift / 2.0).max(0.0), degrees / 2.0);
    if half == 0.0 {
        return gamma_ur(a, y).clamp(0.0, 1.0);
    }
    // Chernoff: a Poisson variable lies this far from its mean with less than e^-72.
    let reach = 12.0 * half.sqrt() + 50.0;
    let first = (half - reach).max(0.0).floor();
    let last = (half + reach).ceil();
    let mut weight = (first * half.ln() - half - ln_gamma(first + 1.0)).exp();
    let mut tail = gamma_ur(a + first, y);
    let mut ln_step = (a + first) * y.ln() - y - ln_gamma(a + first + 1.0);
    let mut step = ln_step.exp();
    let (mut total, mut j) = (0.0, first);
    while j <= last {
        total += weight * tail;
        tail += step;
        j += 1.0;
        weight *= half / j;
        let factor = y / (a + j);
        if ln_step < LN_TINY {
            ln_step += factor.ln();
            step = ln_step.exp();
        } else {
            step *= factor;
        }
    }
    total.clamp(0.0, 1.0)
}

/// The x with P(X > x) = `alpha`, to 1e-10 of it. `None` without degrees of freedom or for an
/// `alpha` that is no probability.
pub fn upper_quantile(alpha: f64, degrees: f64, shift: f64) -> Option<f64> {
    if degrees <= 0.0 || alpha <= 0.0 || alpha >= 1.0 || !shift.is_finite() {
        return None;
    }
    let (mut low, mut high) = (0.0, degrees + shift + 10.0);
    while survival(high, degrees, shift) > alpha {
        (low, high) = (high, 2.0 * high);
    }
    while high - low > 1e-10 * high {
        let middle = (low + high) / 2.0;
        match survival(middle, degrees, shift) > alpha {
            true => low = middle,
            false => high = middle,
        }
    }
    Some(high)
}
