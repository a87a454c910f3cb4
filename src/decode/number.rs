//! JSON numbers as doubles.

use super::scan::{Kind, Scanner};

/// The nearest double, exactly as the standard library's parser gives it; infinite beyond the
/// largest. `raw` is a checked JSON number; NaN for anything that is none.
pub(super) fn to_f64(raw: &[u8]) -> f64 {
    fast_float2::parse(raw).unwrap_or(f64::NAN)
}

/// The number that a text wholly is, by JSON's grammar: for keys and headers, which have no types.
pub(super) fn from_text(text: &str) -> Option<f64> {
    let mut scan = Scanner::new(text);
    if !matches!(scan.peek(), b'-' | b'0'..=b'9') {
        return None;
    }
    match scan.number_value() {
        Ok((Kind::Number, value)) if scan.at == text.len() => Some(value),
        _ => None,
    }
}
