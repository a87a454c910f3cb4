//! Times for the judge: `jiff` reads texts, whole-number arithmetic reads numbers.

use super::judge::{Judged, Stop};
use tidemark::decode::selector::TimeUnit;

/// Only texts that the decoder's grammar has: `jiff` reads more.
pub fn rfc3339(text: &str) -> Option<i64> {
    let shape: String =
        text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).take(19).collect();
    let fits = ["0000-00-00T00:00:00", "0000-00-00t00:00:00", "0000-00-00 00:00:00"];
    if !fits.contains(&shape.as_str()) || text.len() > 64 {
        return None;
    }
    let rest = &text[19..];
    let offset = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == ',');
    let fraction = &rest[..rest.len() - offset.len()];
    let digits = fraction.get(1..).unwrap_or("");
    if !fraction.is_empty() && (digits.is_empty() || digits.contains(['.', ','])) {
        return None;
    }
    if fraction.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let plain: String = offset.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if !["Z", "z", "+00:00", "-00:00", "+0000", "-0000", "+00", "-00"].contains(&plain.as_str()) {
        return None;
    }
    let second = &text[17..19];
    let leap = i64::from(second == "60");
    let clock = if leap == 1 { "59" } else { second };
    let digits: String = digits.chars().chain("000000".chars()).take(6).collect();
    let again = format!("{}T{}{clock}.{digits}{offset}", &text[..10], &text[11..17]);
    let parsed: jiff::Timestamp = again.parse().ok()?;
    Some(parsed.as_microsecond() + leap * 1_000_000)
}

/// A decimal number of units, in microseconds towards the past, by whole-number arithmetic on
/// digits.
pub fn counted(text: &str, unit: TimeUnit) -> Judged<Option<i64>> {
    let shift = match unit {
        TimeUnit::S => 6,
        TimeUnit::Ms => 3,
        TimeUnit::Us => 0,
        TimeUnit::Ns => -3,
        TimeUnit::Rfc3339 => return Ok(None),
    };
    let lower = text.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let exponent: i64 = exponent.trim_start_matches('+').parse().map_err(|_| Stop::Unknown)?;
    let negative = mantissa.starts_with('-');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Some(0));
    }
    let power = exponent - fraction.len() as i64 + shift;
    if digits.len() > 30 || power.abs() > 40 {
        return Err(Stop::Unknown);
    }
    let mantissa: i128 = digits.parse().unwrap();
    let scaled = match power {
        0.. => 10i128.checked_pow(power as u32).and_then(|scale| mantissa.checked_mul(scale)),
        _ => match 10i128.checked_pow(power.unsigned_abs() as u32) {
            Some(scale) if negative => Some((mantissa + scale - 1) / scale),
            Some(scale) => Some(mantissa / scale),
            None => return Err(Stop::Unknown),
        },
    };
    let scaled = scaled.map(|micros| if negative { -micros } else { micros });
    Ok(scaled.and_then(|micros| i64::try_from(micros).ok()))
}
