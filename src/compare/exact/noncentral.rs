//! The noncentral chi-square law.

use statrs::distribution::{ChiSquared, ContinuousCDF};
use statrs::function::gamma::ln_gamma;

/// Terms of the Poisson mixture beyond this share of its weight are left out.
const WEIGHT_MIN: f64 = 1e-18;

/// P(X > x) with `degrees` and noncentrality `shift`: a Poisson mixture of central laws, summed
/// outwards from its greatest weight.
pub fn survival(x: f64, degrees: f64, shift: f64) -> f64 {
    let half = shift / 2.0;
    let central = |j: f64| match ChiSquared::new(degrees + 2.0 * j) {
        Ok(law) => law.sf(x),
        Err(_) => f64::NAN,
    };
    if half <= 0.0 {
        return central(0.0);
    }
    let weight = |j: f64| (j * half.ln() - half - ln_gamma(j + 1.0)).exp();
    let mode = half.floor();
    let mut total = 0.0;
    let mut j = mode;
    while j >= 0.0 && weight(j) > WEIGHT_MIN {
        total += weight(j) * central(j);
        j -= 1.0;
    }
    let mut j = mode + 1.0;
    while weight(j) > WEIGHT_MIN {
        total += weight(j) * central(j);
        j += 1.0;
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
