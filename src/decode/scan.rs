//! The grammar of JSON (RFC 8259), one token at a time, without recursion and without a tree.
//!
//! The text is known to be UTF-8. Everything is checked, also what nobody asked for. One
//! deliberate difference to the RFC: `NaN`, `Infinity` and `-Infinity` are numbers that are not
//! finite, because that is what Python's `json` writes for them; a feature in that state is data
//! about the feature.

use super::number::to_f64;
use crate::engine::event::RefusalReason;

/// Arrays and objects nested deeper refuse the record as `TooDeep` (as deep as `serde_json` goes).
pub const DEPTH_MAX: usize = 127;

/// Why a text is not JSON, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub reason: RefusalReason,
    pub at: usize,
    pub what: &'static str,
}

/// The scanner has noted a fault. It is noted there, not carried here, so that the result of every
/// small step fits a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

pub(super) type Scanned<T> = Result<T, Broken>;

/// What kind of value stands somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Missing,
    Null,
    True,
    False,
    Number,
    /// `NaN`, `Infinity` or `-Infinity`.
    NotFinite,
    /// A string without escapes.
    Text,
    /// A string with escapes.
    Escaped,
    Array,
    Object,
}

/// What a number's digits say: mantissa * 10^exponent, if there are not too many of them.
#[derive(Default)]
struct Parts {
    negative: bool,
    mantissa: u64,
    /// How many digits the mantissa was read from; of 19 it holds every one.
    digits: usize,
    exponent: i64,
}

impl Parts {
    const INEXACT: Self = Self { negative: false, mantissa: 0, digits: usize::MAX, exponent: 0 };

    /// The double, where one rounding is all it takes: a mantissa up to 2^53 and a power of ten up
    /// to 10^22 are doubles, so their product or quotient is the nearest one (Clinger, "How to
    /// read floating point numbers accurately", 1990).
    #[inline]
    fn exact(&self) -> Option<f64> {
        const POWERS: [f64; 23] = [
            1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
            1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
        ];
        if self.digits > 19 || self.mantissa > 1 << 53 {
            return None;
        }
        let power = *POWERS.get(usize::try_from(self.exponent.unsigned_abs()).ok()?)?;
        let mantissa = self.mantissa as f64;
        let value = if self.exponent < 0 { mantissa / power } else { mantissa * power };
        Some(if self.negative { -value } else { value })
    }
}

/// The number that eight ASCII digits stand for, the first in the lowest byte; `None` if one is no
/// digit. (Lemire, "Quickly parsing eight digits", 2022.)
#[inline]
fn eight_digits(word: u64) -> Option<u64> {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let wrong = word.wrapping_add(0x4646_4646_4646_4646) | word.wrapping_sub(ZEROS);
    if wrong & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let digits = word - ZEROS;
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let high = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let low = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    Some(high.wrapping_add(low) >> 32)
}

pub(super) struct Scanner<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    fault: Option<Fault>,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0, fault: None }
    }

    #[cold]
    pub fn fault<T>(&mut self, what: &'static str) -> Scanned<T> {
        let what = if self.at >= self.bytes.len() { "it ends too early" } else { what };
        self.stop(RefusalReason::Malformed, what)
    }

    #[cold]
    pub fn too_deep<T>(&mut self) -> Scanned<T> {
        self.stop(RefusalReason::TooDeep, "nested deeper than allowed")
    }

    /// Ends the scan here, for any reason.
    #[cold]
    pub fn stop<T>(&mut self, reason: RefusalReason, what: &'static str) -> Scanned<T> {
        self.fault = Some(Fault { reason, at: self.at, what });
        Err(Broken)
    }

    /// Why the scan broke.
    #[cold]
    pub fn why(&self) -> Fault {
        let unknown = Fault { reason: RefusalReason::Malformed, at: self.at, what: "no JSON" };
        self.fault.unwrap_or(unknown)
    }

    /// The byte here, or 0 at the end: no token starts with it.
    #[inline]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// Behind a member's name: the colon and the space around it.
    #[inline]
    pub fn colon(&mut self) -> Scanned<()> {
        self.skip_space();
        if self.peek() != b':' {
            return self.fault("expected `:`");
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// At a `"`: the string up to and with its closing one. Whether it has escapes.
    #[inline]
    pub fn string(&mut self) -> Scanned<bool> {
        if self.peek() != b'"' {
            return self.fault("expected `\"`");
        }
        self.at += 1;
        self.skip_plain();
        if self.peek() == b'"' {
            self.at += 1;
            return Ok(false);
        }
        self.string_with_escapes()
    }

    fn string_with_escapes(&mut self) -> Scanned<bool> {
        loop {
            match self.peek() {
                b'"' => {
                    self.at += 1;
                    return Ok(true);
                }
                b'\\' => self.escape()?,
                _ => return self.fault("a control character in a string"),
            }
            self.skip_plain();
        }
    }

    /// To the next quote, backslash or control character, eight bytes at a time.
    #[inline]
    fn skip_plain(&mut self) {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let word = u64::from_le_bytes(*chunk);
            let quote = word ^ (ONES * b'"' as u64);
            let backslash = word ^ (ONES * b'\\' as u64);
            // The lowest set bit marks the first byte that is zero, or below 0x20; see "Determine
            // if a word has a zero byte" in Anderson's Bit Twiddling Hacks. Higher ones may be
            // false.
            let stops = (quote.wrapping_sub(ONES) & !quote)
                | (backslash.wrapping_sub(ONES) & !backslash)
                | (word.wrapping_sub(ONES * 0x20) & !word);
            let stops = stops & HIGH;
            if stops != 0 {
                self.at += (stops.trailing_zeros() / 8) as usize;
                return;
            }
            self.at += 8;
        }
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return;
            }
            self.at += 1;
        }
    }

    /// At a backslash.
    fn escape(&mut self) -> Scanned<()> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {
                self.at += 1;
                Ok(())
            }
            b'u' => self.unicode_escape(),
            _ => self.fault("an escape that JSON does not have"),
        }
    }

    /// At the `u` of an escape. Half of a surrogate pair alone is no character.
    fn unicode_escape(&mut self) -> Scanned<()> {
        match self.four_digits()? {
            0xD800..=0xDBFF => {
                if !self.bytes[self.at..].starts_with(b"\\u") {
                    return self.fault("a lone surrogate");
                }
                self.at += 1;
                match self.four_digits()? {
                    0xDC00..=0xDFFF => Ok(()),
                    _ => self.fault("a lone surrogate"),
                }
            }
            0xDC00..=0xDFFF => self.fault("a lone surrogate"),
            _ => Ok(()),
        }
    }

    fn four_digits(&mut self) -> Scanned<u32> {
        self.at += 1;
        let mut value = 0;
        for _ in 0..4 {
            let Some(digit) = char::from(self.peek()).to_digit(16) else {
                return self.fault("expected four hexadecimal digits");
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    /// At a digit or a minus: a number, and the nearest double (infinite beyond the largest, NaN
    /// for one that is `NotFinite`).
    #[inline]
    pub fn number_value(&mut self) -> Scanned<(Kind, f64)> {
        let start = self.at;
        let (kind, decimal) = self.decimal()?;
        let value = match decimal.exact() {
            Some(value) => value,
            None if kind == Kind::NotFinite => f64::NAN,
            None => to_f64(&self.bytes[start..self.at]),
        };
        Ok((kind, value))
    }

    #[inline(always)]
    fn decimal(&mut self) -> Scanned<(Kind, Parts)> {
        let mut parts = Parts::default();
        if self.peek() == b'-' {
            self.at += 1;
            parts.negative = true;
            if self.peek() == b'I' {
                let kind = self.literal(b"Infinity", Kind::NotFinite)?;
                return Ok((kind, Parts::INEXACT));
            }
        }
        let start = self.at;
        if self.peek() == b'0' {
            self.at += 1;
        } else {
            self.digits(&mut parts)?;
        }
        parts.digits = self.at - start;
        if self.peek() == b'.' {
            self.at += 1;
            let point = self.at;
            self.digits(&mut parts)?;
            let fraction = self.at - point;
            parts.digits += fraction;
            parts.exponent = -(fraction as i64);
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            self.exponent(&mut parts)?;
        }
        Ok((Kind::Number, parts))
    }

    /// One digit or more, eight at a time where they stand.
    #[inline(always)]
    fn digits(&mut self, parts: &mut Parts) -> Scanned<()> {
        if !self.peek().is_ascii_digit() {
            return self.fault("expected a digit");
        }
        while let Some(chunk) = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk::<8>) {
            let Some(eight) = eight_digits(u64::from_le_bytes(*chunk)) else { break };
            parts.mantissa = parts.mantissa.wrapping_mul(100_000_000).wrapping_add(eight);
            self.at += 8;
        }
        loop {
            let digit = self.peek().wrapping_sub(b'0');
            if digit > 9 {
                return Ok(());
            }
            parts.mantissa = parts.mantissa.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
    }

    fn exponent(&mut self, parts: &mut Parts) -> Scanned<()> {
        let negative = self.peek() == b'-';
        if matches!(self.peek(), b'+' | b'-') {
            self.at += 1;
        }
        let mut exponent = Parts::default();
        let start = self.at;
        self.digits(&mut exponent)?;
        // A longer one may be no small number: the slow way knows.
        if self.at - start > 4 {
            *parts = Parts::INEXACT;
            return Ok(());
        }
        let value = exponent.mantissa as i64;
        parts.exponent += if negative { -value } else { value };
        Ok(())
    }

    fn literal(&mut self, text: &'static [u8], kind: Kind) -> Scanned<Kind> {
        if !self.bytes[self.at..].starts_with(text) {
            return self.fault("expected a value");
        }
        self.at += text.len();
        Ok(kind)
    }

    /// A value that is neither array nor object.
    #[inline]
    pub fn scalar(&mut self) -> Scanned<Kind> {
        match self.peek() {
            b'"' => {
                let escaped = self.string()?;
                Ok(if escaped { Kind::Escaped } else { Kind::Text })
            }
            b'-' | b'0'..=b'9' => Ok(self.number_value()?.0),
            b't' => self.literal(b"true", Kind::True),
            b'f' => self.literal(b"false", Kind::False),
            b'n' => self.literal(b"null", Kind::Null),
            b'N' => self.literal(b"NaN", Kind::NotFinite),
            b'I' => self.literal(b"Infinity", Kind::NotFinite),
            _ => self.fault("expected a value"),
        }
    }

    /// As `value`, for a value that somebody asks for: the double too, if it is a number.
    #[inline]
    pub fn wanted(&mut self, depth: usize) -> Scanned<(Kind, f64)> {
        match self.peek() {
            b'-' | b'0'..=b'9' => self.number_value(),
            _ => Ok((self.value(depth)?, f64::NAN)),
        }
    }

    /// Any value, at its first byte, `depth` containers being open already.
    pub fn value(&mut self, depth: usize) -> Scanned<Kind> {
        let kind = match self.peek() {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            _ => return self.scalar(),
        };
        self.container(depth)?;
        Ok(kind)
    }

    /// An array or object with everything in it. Bit i of `objects` tells whether the i-th
    /// innermost open container is an object; `DEPTH_MAX` of them fit.
    fn container(&mut self, depth: usize) -> Scanned<()> {
        let mut open = 0;
        let mut objects: u128 = 0;
        loop {
            let byte = self.peek();
            let mut ended = true;
            if byte == b'{' || byte == b'[' {
                if depth + open == DEPTH_MAX {
                    return self.too_deep();
                }
                let object = byte == b'{';
                self.at += 1;
                open += 1;
                objects = objects << 1 | u128::from(object);
                self.skip_space();
                if self.peek() != if object { b'}' } else { b']' } {
                    if object {
                        self.string()?;
                        self.colon()?;
                    }
                    ended = false;
                }
            } else {
                self.scalar()?;
            }
            while ended {
                self.skip_space();
                let object = objects & 1 == 1;
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        self.skip_space();
                        if object {
                            self.string()?;
                            self.colon()?;
                        }
                        ended = false;
                    }
                    b'}' if object => self.close(&mut open, &mut objects),
                    b']' if !object => self.close(&mut open, &mut objects),
                    _ if object => return self.fault("expected `,` or `}`"),
                    _ => return self.fault("expected `,` or `]`"),
                }
                if open == 0 {
                    return Ok(());
                }
            }
        }
    }

    fn close(&mut self, open: &mut usize, objects: &mut u128) {
        self.at += 1;
        *open -= 1;
        *objects >>= 1;
    }
}

/// Appends the text that a checked string with escapes stands for.
pub(super) fn unescape(raw: &str, out: &mut String) {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or("");
        match escape {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let mut unit = hexadecimal(rest);
                rest = rest.get(4..).unwrap_or("");
                if (0xD800..0xDC00).contains(&unit) {
                    let low = hexadecimal(rest.get(2..).unwrap_or(""));
                    unit = 0x10000 + ((unit - 0xD800) << 10) + (low.wrapping_sub(0xDC00) & 0x3FF);
                    rest = rest.get(6..).unwrap_or("");
                }
                out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            plain => out.push(char::from(plain)),
        }
    }
    out.push_str(rest);
}

fn hexadecimal(text: &str) -> u32 {
    text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}
