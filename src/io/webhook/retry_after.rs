//! The header `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).

use crate::engine::time::{Span, Timestamp};
use std::time::UNIX_EPOCH;

/// How long to wait from `now`; `None` if the value is neither. A date in the past is no wait. The
/// outbox bounds what comes out.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Span> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let secs: i64 = value.parse().unwrap_or(i64::MAX);
        return Some(Span(secs.saturating_mul(1_000_000)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).ok()?;
    let at = Timestamp::from_secs(i64::try_from(since_epoch.as_secs()).ok()?);
    Some((at - now).max(Span::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_the_three_forms_of_a_date_are_read() {
        // The example date of RFC 9110, section 5.6.7, in its three forms: 784111777.
        let now = Timestamp::from_secs(784_111_770);
        let seven = Some(Span::from_secs(7));
        assert_eq!(retry_after(" 7 ", now), seven);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), seven);
        assert_eq!(retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now), seven);
        assert_eq!(retry_after("Sun Nov  6 08:49:37 1994", now), seven);
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Span::ZERO));
        assert!(retry_after("99999999999999999999999", now).is_some_and(|wait| wait.0 > 0));
        for nonsense in ["", "soon", "-1", "1.5", "Sun, 06 Foo 1994 08:49:37 GMT"] {
            assert_eq!(retry_after(nonsense, now), None, "{nonsense}");
        }
    }
}
