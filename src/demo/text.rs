//! How numbers, times and names look to the audience.

use crate::engine::estimate::Estimate;
use crate::engine::metric::Metric;
use crate::engine::monitor::SliceReport;
use crate::engine::time::Timestamp;
use crate::profile::printable;

const NAME_CHARS_MAX: usize = 60;
const TEXT_CHARS_MAX: usize = 160;

/// Text that came with data: the terminal shows it and does not obey it.
pub fn printed(text: &str) -> String {
    printable(text, TEXT_CHARS_MAX)
}

pub fn accuracy(slice: &SliceReport) -> Option<Estimate> {
    slice.metrics.iter().find(|(metric, _)| *metric == Metric::Accuracy).map(|(_, value)| *value)
}

/// `0.851 [0.829, 0.871]`
pub fn estimate(estimate: Estimate) -> String {
    match estimate.interval {
        Some(interval) => {
            format!("{:.3} [{:.3}, {:.3}]", estimate.value, interval.lower, interval.upper)
        }
        None => format!("{:.3}", estimate.value),
    }
}

/// `sex=Male`
pub fn slice_name(slice: &SliceReport) -> String {
    let parts: Vec<String> =
        slice.conditions.iter().map(|(feature, value)| format!("{feature}={value}")).collect();
    printable(&parts.join(", "), NAME_CHARS_MAX)
}

/// The start of a request's id.
pub fn short_id(id: &str) -> String {
    printable(id, 17)
}

/// `12,345`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Hours, minutes and seconds in UTC.
pub fn time_of_day(at: Timestamp) -> String {
    let seconds = at.0.div_euclid(1_000_000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// `2026-01-31`, in UTC
pub fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

/// `97.1%`, or nothing of nothing.
pub fn percent(part: u64, of: u64) -> String {
    if of == 0 { String::new() } else { format!("{:.1}%", 100.0 * part as f64 / of as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(time_of_day(Timestamp::from_secs(86_400 + 3_723)), "01:02:03");
        assert_eq!(date(Timestamp::from_secs(86_400 + 3_723)), "1970-01-02");
        assert_eq!(percent(1, 3), "33.3%");
        assert_eq!(percent(0, 0), "");
    }
}
