//! How names, times and lengths of time are written.

use crate::engine::time::{Span, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

/// Characters of a name or a value from the stream.
pub const NAME_CHARS_MAX: usize = 200;
const HASH_CHARS: usize = 8;

/// A name as it is; a long one cut, with an ellipsis and a hash of the whole, so that two names
/// stay two and can be asked for in this form.
pub fn name(text: &str) -> String {
    if text.chars().count() <= NAME_CHARS_MAX {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(NAME_CHARS_MAX - HASH_CHARS - 1).collect();
    cut.push_str(&format!("…{:08x}", xxh3_64(text.as_bytes()) >> 32));
    cut
}

/// Unix seconds; `None` for the ends of time that stand for "nothing yet" and "never".
pub fn seconds(at: Timestamp) -> Option<f64> {
    (at > Timestamp::MIN && at < Timestamp::MAX).then(|| at.as_secs_f64())
}

pub fn stretch(span: Span) -> f64 {
    span.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn a_long_name_is_cut_and_two_of_them_stay_two() {
        assert_eq!(name("<script>\n\"é"), "<script>\n\"é");
        let (one, other) = (name(&"é".repeat(10_000)), name(&"é".repeat(10_001)));
        assert_eq!(one.chars().count(), 200);
        assert_ne!(one, other);
        assert_eq!(name(&one), one);
    }
}
