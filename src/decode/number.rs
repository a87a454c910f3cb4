//! JSON numbers as doubles.

use super::scan::{Kind, Scanner};

/// The nearest double, exactly as the standard library's parser gives it; infinite beyond the largest.
/// `raw` is a checked JSON number; NaN for anything that is none.
pub(super) fn to_f64(raw: &str) -> f64 {
    fast_float2::parse(raw).unwrap_or(f64::NAN)
}

/// A text (of a key or a header, which have no types) that is wholly a JSON number.
pub(super) fn is_number(text: &str) -> bool {
    let mut scan = Scanner::new(text);
    matches!(scan.peek(), b'-' | b'0'..=b'9')
        && scan.number() == Ok(Kind::Number)
        && scan.at == text.len()
}
