//! The one text form of ids and classes, so that `"123"` meets `123`.
//!
//! | value | canonical text |
//! |---|---|
//! | string | as it is, escapes resolved; the string `"1.0"` stays `1.0` |
//! | integral number (`123`, `123.0`, `1.23e2`) | all its decimal digits: `123` |
//! | other number | shortest decimal text of the nearest double: `0.5`, `0.0000001` |
//! | `true`, `false` | `true`, `false` |
//! | null, array, object, number beyond a double | none |

use std::fmt::Write;

/// Between the texts of a joined selector.
pub const JOIN_SEPARATOR: char = '\u{1F}';

/// The join's hash of an id, over its canonical text: XXH3, 128 bits, seed 0.
pub fn id_hash(canonical: &str) -> u128 {
    xxhash_rust::xxh3::xxh3_128(canonical.as_bytes())
}

/// Appends the canonical text of a number that is held as a double (as in a Parquet file); false,
/// and nothing appended, if it is not finite.
pub fn push_f64(value: f64, out: &mut String) -> bool {
    if value.is_finite() {
        let value = if value == 0.0 { 0.0 } else { value };
        write!(out, "{value}").expect("writing to a string cannot fail");
    }
    value.is_finite()
}

/// Appends the canonical text of a JSON number; false, and nothing appended, if it lies beyond a
/// double.
pub(super) fn push_number(raw: &str, out: &mut String) -> bool {
    let Some(decimal) = Decimal::parse(raw) else { return false };
    let nearest = super::number::to_f64(raw.as_bytes());
    if decimal.magnitude > MAGNITUDE_MAX || !nearest.is_finite() {
        return false;
    }
    if !decimal.is_integral() {
        return push_f64(nearest, out);
    }
    if decimal.negative && decimal.magnitude > 0 {
        out.push('-');
    }
    let start = out.len();
    out.extend(decimal.digits().take(decimal.magnitude.max(0) as usize).map(char::from));
    while out.len() - start < decimal.magnitude.max(1) as usize {
        out.push('0');
    }
    true
}

/// No double has more digits before its point.
const MAGNITUDE_MAX: i64 = 309;

/// A JSON number as written: 0.DIGITS * 10^magnitude, the first digit not 0.
pub(super) struct Decimal<'a> {
    pub negative: bool,
    /// Digits before and behind the point, from the first that is not 0 to the last that is not 0.
    whole: &'a [u8],
    fraction: &'a [u8],
    /// How many digits stand before the point when written without exponent; not positive below
    /// 0.1. 0 for zero.
    pub magnitude: i64,
}

impl<'a> Decimal<'a> {
    /// `raw` must be a JSON number; `None` if it is not.
    pub fn parse(raw: &'a str) -> Option<Self> {
        let (negative, unsigned) = match raw.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, raw),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let mut magnitude = exponent.saturating_add(whole.len() as i64);
        let (mut first, mut second) = (whole.as_bytes(), fraction.as_bytes());
        if second.is_empty() {
            first = whole.trim_end_matches('0').as_bytes();
        }
        while let [b'0', rest @ ..] = first {
            first = rest;
            magnitude -= 1;
        }
        if first.is_empty() {
            while let [b'0', rest @ ..] = second {
                second = rest;
                magnitude = magnitude.saturating_sub(1);
            }
        }
        if first.is_empty() && second.is_empty() {
            magnitude = 0;
        }
        first.iter().chain(second).all(u8::is_ascii_digit).then_some(Self {
            negative,
            whole: first,
            fraction: second,
            magnitude,
        })
    }

    /// Significant digits, as ASCII.
    pub fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.whole.iter().chain(self.fraction).copied()
    }

    pub fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    fn is_integral(&self) -> bool {
        self.len() as i64 <= self.magnitude
    }
}

/// An exponent beyond what counts saturates.
fn exponent(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let mut value: i64 = 0;
    for digit in digits {
        let digit = char::from(*digit).to_digit(10)?;
        value = (value * 10 + i64::from(digit)).min(1_000_000_000_000);
    }
    Some(if negative { -value } else { value })
}
