//! One configured field of a row: found in the payload, key or headers, and read as what it is
//! for.
//!
//! | use | read | else |
//! |---|---|---|
//! | id, model, version, class | string, number, boolean, by canonical text | `wrong_type` |
//! | score, weight, probability, regression label | number | `wrong_type` |
//! | event time in rfc3339 | string | number: `invalid_time`; else `wrong_type` |
//! | event time in s, ms, us, ns | number, or string that is one | as above |
//! | numeric feature | number | `Invalid`, a numeric string too |
//! | categorical feature | string, number, boolean, by canonical text | `Invalid` |
//!
//! A key or header has no types: its text is a number if it is one by JSON's grammar.
//!
//! A field that is not there refuses the row as `missing_field`, one that is null as `wrong_type`;
//! a feature's cell becomes `Missing` or `Null`. A number beyond a double (or Python's `NaN`)
//! refuses as `out_of_range`; a feature's cell becomes `NonFinite`.

use super::canonical::{JOIN_SEPARATOR, id_hash, push_number};
use super::read::{Document, Value};
use super::record::Record;
use super::scan::{Kind, unescape};
use super::selector::{Selector, TimeSelector, TimeUnit};
use super::shape::{Place, Shape};
use super::{number, time};
use crate::engine::event::RefusalReason;
use crate::engine::time::Timestamp;
use std::fmt::Write;

/// A longer id is refused as `TooLarge`. In bytes of canonical text.
pub const ID_BYTES_MAX: usize = 1024;
/// A longer version is refused as `TooLarge`. In bytes of canonical text.
pub const VERSION_BYTES_MAX: usize = 256;
/// A message quotes at most this many characters of a payload.
const QUOTED_CHARS_MAX: usize = 40;

/// Why a row is refused.
#[derive(Debug)]
pub(super) struct Refuse {
    pub reason: RefusalReason,
    pub message: String,
}

/// A row of a record, with all that selectors can reach.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub document: Document<'a>,
    pub record: &'a Record<'a>,
    pub row: u32,
}

enum Source {
    Payload(Place),
    Key,
    Header(String),
}

/// A configured field.
pub(super) struct Field {
    /// As the configuration calls it, for messages.
    name: &'static str,
    selector: Selector,
    sources: Vec<Source>,
}

impl Field {
    pub fn new(name: &'static str, selector: &Selector, shape: &mut Shape) -> Self {
        let sources = selector.singles().iter().filter_map(|part| match part {
            Selector::Pointer(pointer) => Some(Source::Payload(shape.want(pointer))),
            Selector::Key => Some(Source::Key),
            Selector::Header(name) => Some(Source::Header(name.clone())),
            // The check of the fields has refused nested ones.
            Selector::Joined(_) => None,
        });
        let sources = sources.collect();
        Self { name, selector: selector.clone(), sources }
    }

    #[cold]
    pub fn refuse(&self, reason: RefusalReason, what: &str) -> Refuse {
        Refuse { reason, message: format!("`{}` at `{}` {what}", self.name, self.selector) }
    }

    /// For a field that must be an array or an object.
    #[cold]
    pub fn refuse_scalar(&self, kind: Kind) -> Refuse {
        match kind {
            Kind::Number | Kind::NotFinite => self.refuse(RefusalReason::WrongType, "is a number"),
            other => self.refuse_kind(other),
        }
    }

    /// For a field that must be a scalar: why a value of this kind is none.
    #[cold]
    pub fn refuse_kind(&self, kind: Kind) -> Refuse {
        let (reason, what) = match kind {
            Kind::Missing => (RefusalReason::MissingField, "is missing"),
            Kind::Null => (RefusalReason::WrongType, "is null"),
            Kind::True | Kind::False => (RefusalReason::WrongType, "is a boolean"),
            Kind::Number => (RefusalReason::OutOfRange, "is a number beyond a double"),
            Kind::NotFinite => (RefusalReason::OutOfRange, "is not a finite number"),
            Kind::Text | Kind::Escaped => (RefusalReason::WrongType, "is a string"),
            Kind::Array => (RefusalReason::WrongType, "is an array"),
            Kind::Object => (RefusalReason::WrongType, "is an object"),
        };
        self.refuse(reason, what)
    }

    /// The value of a field that is not joined.
    #[inline]
    pub fn value<'a>(&self, row: &Row<'a>) -> Result<Value<'a>, Refuse> {
        match self.sources.first() {
            Some(source) => self.source_value(source, row),
            None => Ok(Value::MISSING),
        }
    }

    #[inline]
    fn source_value<'a>(&self, source: &Source, row: &Row<'a>) -> Result<Value<'a>, Refuse> {
        let bytes = match source {
            Source::Payload(place) => return Ok(row.document.get(*place, row.row)),
            Source::Key => row.record.key,
            Source::Header(name) => row.record.headers.last(name),
        };
        let Some(bytes) = bytes else { return Ok(Value::MISSING) };
        match std::str::from_utf8(bytes) {
            Ok(raw) => Ok(Value { kind: Kind::Text, raw, number: f64::NAN }),
            Err(_) => Err(self.refuse(RefusalReason::WrongType, "is not UTF-8 text")),
        }
    }

    /// Whether its text comes from a key or header, where a number cannot be told from a string.
    fn is_untyped(&self) -> bool {
        !matches!(self.sources.first(), Some(Source::Payload(_)))
    }

    /// The canonical text. It may be in `scratch`, whose content is lost.
    #[inline]
    pub fn text<'s>(&self, row: &Row<'s>, scratch: &'s mut String) -> Result<&'s str, Refuse> {
        if let [source] = self.sources.as_slice() {
            let value = self.source_value(source, row)?;
            return canonical(value, scratch).ok_or_else(|| self.refuse_kind(value.kind));
        }
        scratch.clear();
        self.push_text(row, scratch)?;
        Ok(scratch)
    }

    /// Appends the canonical text.
    fn push_text(&self, row: &Row<'_>, out: &mut String) -> Result<(), Refuse> {
        for (i, source) in self.sources.iter().enumerate() {
            if i > 0 {
                out.push(JOIN_SEPARATOR);
            }
            let value = self.source_value(source, row)?;
            if !push_canonical(value, out) {
                return Err(self.refuse_kind(value.kind));
            }
        }
        Ok(())
    }

    /// A finite number.
    #[inline]
    pub fn number(&self, row: &Row<'_>) -> Result<f64, Refuse> {
        let value = self.value(row)?;
        match number_of(value, self.is_untyped()) {
            Some(number) if number.is_finite() => Ok(number),
            Some(_) => Err(self.refuse(RefusalReason::OutOfRange, "is not a finite number")),
            None => Err(self.refuse_kind(value.kind)),
        }
    }

    /// Where it stands in the payload; `None` if it is not there, or joined.
    pub fn place(&self) -> Option<Place> {
        match self.sources.as_slice() {
            [Source::Payload(place)] => Some(*place),
            _ => None,
        }
    }

    /// The value of a numeric or categorical cell, and whether it has no types.
    pub fn cell<'a>(&self, row: &Row<'a>) -> (Value<'a>, bool) {
        // A key or header that is not text is a value of another type.
        let invalid = Value { kind: Kind::Array, ..Value::MISSING };
        (self.value(row).unwrap_or(invalid), self.is_untyped())
    }
}

/// The canonical text of a scalar, borrowed where possible; `None` if it has none.
#[inline]
pub(super) fn canonical<'s>(value: Value<'s>, scratch: &'s mut String) -> Option<&'s str> {
    if value.kind == Kind::Text || is_plain_integer(value) {
        return Some(value.raw);
    }
    scratch.clear();
    push_canonical(value, scratch).then_some(scratch)
}

/// Whether a number's text is its canonical form already.
fn is_plain_integer(value: Value<'_>) -> bool {
    value.kind == Kind::Number
        && value.raw.len() < 300
        && value.raw != "-0"
        && !value.raw.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

fn push_canonical(value: Value<'_>, out: &mut String) -> bool {
    match value.kind {
        Kind::Text => out.push_str(value.raw),
        Kind::Escaped => unescape(value.raw, out),
        Kind::True => out.push_str("true"),
        Kind::False => out.push_str("false"),
        Kind::Number => return push_number(value.raw, out),
        _ => return false,
    }
    true
}

/// A number, which may be infinite or NaN; `None` if the value is no number.
#[inline]
pub(super) fn number_of(value: Value<'_>, untyped: bool) -> Option<f64> {
    match value.kind {
        Kind::Number | Kind::NotFinite => Some(value.number),
        Kind::Text if untyped => number::from_text(value.raw),
        _ => None,
    }
}

/// A short text of a payload, safe to log.
pub(super) fn quoted(text: &str) -> String {
    let mut out: String =
        text.chars().take(QUOTED_CHARS_MAX).flat_map(char::escape_debug).collect();
    if text.chars().nth(QUOTED_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

/// The id's canonical text becomes its hash. An id that takes nothing from the row of a record
/// that carries several is made one by `#` and the row's position.
pub(super) struct IdField {
    field: Field,
    numbered: bool,
}

impl IdField {
    pub fn new(selector: &Selector, with_rows: bool, shape: &mut Shape) -> Self {
        let numbered = with_rows && !selector.is_from_row();
        Self { field: Field::new("id", selector, shape), numbered }
    }

    #[inline]
    pub fn read(&self, row: &Row<'_>, scratch: &mut String) -> Result<u128, Refuse> {
        if !self.numbered {
            let text = self.field.text(row, scratch)?;
            self.check(text)?;
            return Ok(id_hash(text));
        }
        scratch.clear();
        self.field.push_text(row, scratch)?;
        self.check(scratch)?;
        write!(scratch, "#{}", row.row).expect("writing to a string cannot fail");
        Ok(id_hash(scratch))
    }

    fn check(&self, text: &str) -> Result<(), Refuse> {
        if text.len() > ID_BYTES_MAX {
            return Err(self.field.refuse(RefusalReason::TooLarge, "is longer than 1024 bytes"));
        }
        if text.bytes().all(|byte| byte == JOIN_SEPARATOR as u8) {
            return Err(self.field.refuse(RefusalReason::MissingField, "is empty"));
        }
        Ok(())
    }
}

/// The event time: a field, or the record's own time.
pub(super) struct TimeField(Option<(Field, TimeUnit)>);

impl TimeField {
    pub fn new(time: Option<&TimeSelector>, shape: &mut Shape) -> Self {
        Self(time.map(|time| (Field::new("event_time", &time.path, shape), time.unit)))
    }

    #[inline]
    pub fn read(&self, row: &Row<'_>, scratch: &mut String) -> Result<Timestamp, Refuse> {
        let Some((field, unit)) = &self.0 else { return Ok(row.record.timestamp) };
        let value = field.value(row)?;
        let found = match value.kind {
            Kind::Text => time::from_text(value.raw, *unit),
            Kind::Escaped => {
                scratch.clear();
                unescape(value.raw, scratch);
                time::from_text(scratch, *unit)
            }
            Kind::Number if *unit == TimeUnit::Rfc3339 => {
                let what = "is a number, not RFC 3339 text; set its `unit` to s, ms, us or ns";
                return Err(field.refuse(RefusalReason::InvalidTime, what));
            }
            Kind::Number => time::from_number(value.raw, *unit),
            Kind::NotFinite => None,
            other => return Err(field.refuse_kind(other)),
        };
        found.ok_or_else(|| refuse_time(field, *unit, value.raw))
    }
}

#[cold]
fn refuse_time(field: &Field, unit: TimeUnit, raw: &str) -> Refuse {
    let why = match unit {
        TimeUnit::Rfc3339 if time::from_text(&format!("{raw}Z"), unit).is_some() => {
            "has no offset from UTC (such as `Z`)".to_owned()
        }
        TimeUnit::Rfc3339 => "is not an RFC 3339 time in years 1 to 9999".to_owned(),
        unit => format!("is not a time in `{unit}` in years 1 to 9999"),
    };
    field.refuse(RefusalReason::InvalidTime, &format!("{why}: `{}`", quoted(raw)))
}
