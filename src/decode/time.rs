//! Times as they are written in payloads.
//!
//! A text is cut to whole microseconds, towards the past. Years 1 to 9999 are read.

use super::canonical::Decimal;
use super::selector::TimeUnit;
use crate::engine::time::Timestamp;

/// 0001-01-01T00:00:00Z, in microseconds.
const FIRST: i64 = -62_135_596_800_000_000;
/// 9999-12-31T23:59:59.999999Z, in microseconds.
const LAST: i64 = 253_402_300_799_999_999;
/// A longer text is no time.
const TEXT_MAX: usize = 64;

/// A time in text: RFC 3339, or for the other units a decimal number.
pub(super) fn from_text(text: &str, unit: TimeUnit) -> Option<Timestamp> {
    match unit {
        TimeUnit::Rfc3339 => from_rfc3339(text),
        _ if super::number::from_text(text).is_some() => from_number(text, unit),
        _ => None,
    }
}

/// A JSON number that counts units since the epoch; `None` for RFC 3339.
pub(super) fn from_number(raw: &str, unit: TimeUnit) -> Option<Timestamp> {
    let shift = match unit {
        TimeUnit::S => 6,
        TimeUnit::Ms => 3,
        TimeUnit::Us => 0,
        TimeUnit::Ns => -3,
        TimeUnit::Rfc3339 => return None,
    };
    let decimal = Decimal::parse(raw)?;
    // How many of its digits are whole microseconds: more than 18 are beyond the year 9999.
    let whole = decimal.magnitude.saturating_add(shift);
    if decimal.len() == 0 {
        return Some(Timestamp(0));
    }
    if whole > 18 {
        return None;
    }
    let whole = whole.max(0) as usize;
    let mut micros: i64 = 0;
    let mut digits = decimal.digits();
    for _ in 0..whole {
        micros = micros * 10 + i64::from(digits.next().map_or(0, |digit| digit - b'0'));
    }
    if decimal.negative {
        micros = -micros - i64::from(digits.next().is_some());
    }
    in_range(micros)
}

fn in_range(micros: i64) -> Option<Timestamp> {
    (FIRST..=LAST).contains(&micros).then_some(Timestamp(micros))
}

/// `YYYY-MM-DD`, then `T`, `t` or a space, `HH:MM:SS`, a fraction if any, and `Z`, `z`, `+HH:MM`,
/// `+HHMM` or `+HH`. A leap second (`:60`) is the second after it. Without an offset it is no
/// time: nobody knows of which zone.
fn from_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() > TEXT_MAX {
        return None;
    }
    let (date, rest) = bytes.split_first_chunk::<10>()?;
    let (clock, rest) = rest.split_first_chunk::<9>()?;
    let year = two(date[0], date[1])? * 100 + two(date[2], date[3])?;
    let (month, day) = (two(date[5], date[6])?, two(date[8], date[9])?);
    let (hour, minute) = (two(clock[1], clock[2])?, two(clock[4], clock[5])?);
    let second = two(clock[7], clock[8])?;
    let separators = date[4] == b'-'
        && date[7] == b'-'
        && matches!(clock[0], b'T' | b't' | b' ')
        && clock[3] == b':'
        && clock[6] == b':';
    let ranges = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if !separators || !ranges {
        return None;
    }
    let (micros, rest) = fraction(rest)?;
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second
        - offset(rest)?;
    in_range(seconds * 1_000_000 + micros)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit())
        .then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Microseconds of a fraction of a second, and what follows it.
fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let [b'.' | b',', rest @ ..] = bytes else { return Some((0, bytes)) };
    let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(length);
    let micros = (0..6).fold(0, |micros, i| {
        micros * 10 + digits.get(i).map_or(0, |digit| i64::from(digit - b'0'))
    });
    (length > 0).then_some((micros, rest))
}

/// Seconds east of UTC.
fn offset(bytes: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *bytes {
        [b'Z' | b'z'] => return Some(0),
        [sign, a, b, b':', c, d] | [sign, a, b, c, d] => (sign, two(a, b)?, two(c, d)?),
        [sign, a, b] => (sign, two(a, b)?, 0),
        _ => return None,
    };
    let seconds = hours * 3_600 + minutes * 60;
    match sign {
        _ if hours > 23 || minutes > 59 => None,
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (`days_from_civil` in Howard Hinnant's
/// "chrono-Compatible Low-Level Date Algorithms"); years from 0 on.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}
