//! One value of a data file, and the text by which it is known as a category.

use crate::decode::canonical::push_f64;

/// A value as its file gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// The row has no such field, or nothing stands in it.
    Missing,
    Null,
    Number(f64),
    Bool(bool),
    Text(&'a str),
    /// From a file without types (CSV): a number if the column turns out to be one.
    Raw(&'a str),
    /// A time of a file with types, in microseconds since 1970; no feature either.
    Time(i64),
    /// A list, a date: what a profile does not describe.
    Unsupported,
}

impl Cell<'_> {
    /// The number that this cell holds in a numeric column, finite or not.
    pub fn number(self) -> Option<f64> {
        match self {
            Cell::Number(number) => Some(number),
            Cell::Raw(text) => raw_number(text),
            _ => None,
        }
    }

    /// The category that this cell is in a categorical column; `None` if it has no value of that
    /// kind. `numbers`: all untyped values of the column are numbers, so that 1.0 in it is the
    /// category 1.
    pub fn category(self, numbers: bool) -> Option<String> {
        match self {
            Cell::Text(text) => Some(text.to_owned()),
            Cell::Raw(text) if numbers => {
                Some(raw_number(text).map_or_else(|| text.to_owned(), canonical_number))
            }
            Cell::Raw(text) => Some(raw_bool(text).unwrap_or(text).to_owned()),
            Cell::Bool(value) => Some(value.to_string()),
            Cell::Number(number) if number.is_finite() => Some(canonical_number(number)),
            Cell::Number(_) | Cell::Missing | Cell::Null | Cell::Time(_) | Cell::Unsupported => {
                None
            }
        }
    }
}

/// A number in a file without types. `007` is a code, not a number.
fn raw_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.trim_start_matches(['+', '-']).as_bytes();
    if digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit() {
        return None;
    }
    text.parse().ok()
}

/// Python writes True where a live record has true.
fn raw_bool(text: &str) -> Option<&'static str> {
    match text {
        "True" | "TRUE" => Some("true"),
        "False" | "FALSE" => Some("false"),
        _ => None,
    }
}

/// The text by which the decoder of live records knows a finite number as a category.
fn canonical_number(number: f64) -> String {
    let mut text = String::new();
    push_f64(number, &mut text);
    text
}

/// At most `chars_max` characters of untrusted text that a terminal shows and does not obey.
pub fn printable(text: &str, chars_max: usize) -> String {
    let harmless = |c: char| match c {
        // Marks and overrides of the direction of writing could make a text read as another one.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    let mut shown: String = text.chars().take(chars_max).map(harmless).collect();
    if text.chars().nth(chars_max).is_some() {
        shown.pop();
        shown.push('\u{2026}');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_meet_as_categories_however_they_are_written() {
        for raw in ["1", "1.0", "1e0", " +1 "] {
            assert_eq!(Cell::Raw(raw).category(true).unwrap(), "1");
        }
        assert_eq!(Cell::Raw("1.0").category(false).unwrap(), "1.0");
        assert_eq!(Cell::Number(-0.0).category(true).unwrap(), "0");
        assert_eq!(Cell::Number(0.1).category(true).unwrap(), "0.1");
        assert_eq!(Cell::Raw("True").category(false), Cell::Bool(true).category(false));
        assert_eq!(Cell::Raw("007").number(), None);
        assert_eq!(Cell::Raw("0.5").number(), Some(0.5));
        assert_eq!(Cell::Raw("-0").number(), Some(0.0));
    }

    #[test]
    fn untrusted_text_cannot_command_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{202e}c", 20), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c");
        assert_eq!(printable("abcdef", 4), "abc\u{2026}");
        assert_eq!(printable("abcd", 4), "abcd");
    }
}
