//! What `serde_json` says of a payload, turned into the rows that a decoder should give. Written
//! for clarity, not speed, and shares nothing with the decoder but the configuration and the id's
//! hash.
//!
//! `serde_json::Value` cannot hold a number beyond a double, nor Python's `NaN`; those are swapped
//! for `STAND_IN` before it reads. Nor does it keep the digits of a long number: where a canonical
//! text would need them, the judge abstains.

use super::judge_times::{counted, rfc3339};
use serde_json::Value;
use std::ops::Range;
use tidemark::decode::canonical::id_hash;
use tidemark::decode::selector::{JsonPointer, Selector, TimeSelector, TimeUnit};
use tidemark::decode::spec::{FeatureFields, LabelFields, PredictionFields};
use tidemark::decode::{ID_BYTES_MAX, Record, VERSION_BYTES_MAX};
use tidemark::engine::event::{CLASS_NONE, CellState, ClassCode, LabelValue, RefusalReason};
use tidemark::engine::spec::{FeatureKind, ModelSpec, Task};
use tidemark::engine::time::Timestamp;

/// Stands for a number that is not finite. No generated payload has it.
pub const STAND_IN: f64 = -1.234_567_890_123_456_7e-300;

/// A row as the judge sees it.
#[derive(Debug, PartialEq)]
pub enum Verdict {
    Refused(RefusalReason),
    Undeclared,
    Row(Box<Expected>),
    /// It depends on digits that the judge does not have.
    Unknown,
}

#[derive(Debug, Default, PartialEq)]
pub struct Expected {
    pub model: usize,
    pub row: u32,
    pub id: u128,
    pub event_time: Timestamp,
    pub version: String,
    pub score: Option<f64>,
    pub class: ClassCode,
    pub probabilities: Vec<f64>,
    pub weight: f64,
    /// State, and number or code where present.
    pub cells: Vec<(CellState, Option<f64>)>,
    pub labels: Vec<Option<LabelValue>>,
}

/// Why the judge gives no row.
pub(super) enum Stop {
    Refuse(RefusalReason),
    Unknown,
}

pub(super) type Judged<T> = Result<T, Stop>;

fn refuse<T>(reason: RefusalReason) -> Judged<T> {
    Err(Stop::Refuse(reason))
}

/// Whether `serde_json` accepts the payload, and as what.
pub fn parse(payload: &[u8]) -> Option<Value> {
    let mut text = payload.to_vec();
    let stand_in = format!("{STAND_IN:e}");
    for token in not_finite(payload).into_iter().rev() {
        text.splice(token, stand_in.bytes());
    }
    serde_json::from_slice(&text).ok()
}

/// Tokens outside strings that are numbers beyond a double, `NaN`, `Infinity` or `-Infinity`.
fn not_finite(payload: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        match payload[at] {
            b'"' => {
                at += 1;
                while at < payload.len() && payload[at] != b'"' {
                    at += if payload[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            byte if is_token(byte) => {
                let start = at;
                while at < payload.len() && is_token(payload[at]) {
                    at += 1;
                }
                let token = std::str::from_utf8(&payload[start..at]).unwrap();
                let infinite = is_json_number(token) && token.parse::<f64>().unwrap().is_infinite();
                if infinite || ["NaN", "Infinity", "-Infinity"].contains(&token) {
                    found.push(start..at);
                }
            }
            _ => at += 1,
        }
    }
    found
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

fn is_json_number(token: &str) -> bool {
    let unsigned = token.strip_prefix('-').unwrap_or(token);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

/// A row of a record, as the judge reaches it.
struct Row<'a> {
    top: &'a Value,
    row: &'a Value,
    record: &'a Record<'a>,
}

impl Row<'_> {
    fn pointer(&self, pointer: &JsonPointer) -> Option<Value> {
        let from = if pointer.is_from_row() { self.row } else { self.top };
        let text = pointer.to_string();
        from.pointer(text.strip_prefix('.').unwrap_or(&text)).cloned()
    }

    /// The value; `None` if missing. Keys and headers are strings.
    fn value(&self, selector: &Selector) -> Judged<Option<Value>> {
        let bytes = match selector {
            Selector::Pointer(pointer) => return Ok(self.pointer(pointer)),
            Selector::Key => self.record.key,
            Selector::Header(name) => self.record.headers.last(name),
            Selector::Joined(_) => unreachable!("joined selectors are for texts"),
        };
        let Some(bytes) = bytes else { return Ok(None) };
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(Value::from(text))),
            Err(_) => refuse(RefusalReason::WrongType),
        }
    }

    fn scalar(&self, selector: &Selector) -> Judged<Value> {
        match self.value(selector)? {
            None => refuse(RefusalReason::MissingField),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) => {
                refuse(RefusalReason::WrongType)
            }
            Some(Value::Number(number)) if number.as_f64() == Some(STAND_IN) => {
                refuse(RefusalReason::OutOfRange)
            }
            Some(value) => Ok(value),
        }
    }

    fn text(&self, selector: &Selector) -> Judged<String> {
        let parts: Judged<Vec<String>> =
            selector.singles().iter().map(|part| canonical(&self.scalar(part)?)).collect();
        Ok(parts?.join("\u{1f}"))
    }

    fn number(&self, selector: &Selector) -> Judged<f64> {
        let untyped = !matches!(selector, Selector::Pointer(_));
        match self.scalar(selector)? {
            Value::Number(number) => Ok(number.as_f64().unwrap()),
            Value::String(text) if untyped && is_json_number(&text) => {
                match text.parse::<f64>().unwrap() {
                    number if number.is_finite() => Ok(number),
                    _ => refuse(RefusalReason::OutOfRange),
                }
            }
            _ => match self.value(selector)? {
                Some(_) => refuse(RefusalReason::WrongType),
                None => refuse(RefusalReason::MissingField),
            },
        }
    }

    fn time(&self, selector: Option<&TimeSelector>) -> Judged<Timestamp> {
        let Some(TimeSelector { path, unit }) = selector else { return Ok(self.record.timestamp) };
        let value = match self.scalar(path) {
            Err(Stop::Refuse(RefusalReason::OutOfRange)) => {
                return refuse(RefusalReason::InvalidTime);
            }
            other => other?,
        };
        let micros = match (value, unit) {
            (Value::String(text), TimeUnit::Rfc3339) => rfc3339(&text),
            (Value::String(text), unit) if is_json_number(&text) => counted(&text, *unit)?,
            (Value::Number(_), TimeUnit::Rfc3339) | (Value::String(_), _) => None,
            (Value::Number(number), unit) => {
                let text = number.to_string();
                // More digits than these, or a larger number, and a double may be another time.
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                let large = number.as_f64().is_some_and(|number| number.abs() > 1e10);
                if number.is_f64() && (digits > 15 || large) {
                    return Err(Stop::Unknown);
                }
                counted(&text, *unit)?
            }
            _ => return refuse(RefusalReason::WrongType),
        };
        let (first, last) = (-62_135_596_800_000_000, 253_402_300_799_999_999);
        match micros.filter(|micros| (first..=last).contains(micros)) {
            Some(micros) => Ok(Timestamp(micros)),
            None => refuse(RefusalReason::InvalidTime),
        }
    }

    fn class(&self, selector: &Selector, task: &Task) -> Judged<ClassCode> {
        let value = self.scalar(selector)?;
        let text = canonical(&value)?;
        match task {
            Task::Binary { positive_class, .. } if text == *positive_class => Ok(1),
            Task::Binary { negative_class: Some(negative), .. } if text == *negative => Ok(0),
            Task::Binary { negative_class: Some(_), .. } => refuse(RefusalReason::UnknownClass),
            Task::Binary { positive_class, .. } if value.is_boolean() => {
                match positive_class.as_str() {
                    "true" | "false" => Ok(0),
                    _ => refuse(RefusalReason::UnknownClass),
                }
            }
            Task::Binary { .. } => Ok(0),
            Task::Multiclass { classes, .. } => code_of(classes, &text),
            Task::Regression { .. } => unreachable!("regression has no classes"),
        }
    }

    fn probabilities(&self, selector: &Selector, classes: &[String]) -> Judged<Vec<f64>> {
        let mut found = vec![Value::Null; classes.len()];
        match self.value(selector)? {
            None => return refuse(RefusalReason::MissingField),
            Some(Value::Array(list)) if list.len() == found.len() => found = list,
            Some(Value::Object(map)) => {
                for (name, value) in map {
                    found[code_of(classes, &name)? as usize] = value;
                }
            }
            Some(_) => return refuse(RefusalReason::WrongType),
        }
        let mut given = false;
        let read = found.iter().map(|value| match value {
            Value::Null => Ok(f64::NAN),
            Value::Number(number) => {
                given = true;
                match number.as_f64().unwrap() {
                    number if (0.0..=1.0).contains(&number) => Ok(number),
                    _ => refuse(RefusalReason::OutOfRange),
                }
            }
            _ => refuse(RefusalReason::WrongType),
        });
        let read = read.collect::<Judged<Vec<_>>>()?;
        if given { Ok(read) } else { refuse(RefusalReason::MissingField) }
    }

    fn cell(&self, selector: &Selector, kind: &FeatureKind) -> Judged<(CellState, Option<f64>)> {
        let untyped = !matches!(selector, Selector::Pointer(_));
        let value = match self.value(selector) {
            Ok(value) => value,
            Err(_) => return Ok((CellState::Invalid, None)),
        };
        let state = match (value, kind) {
            (None, _) => CellState::Missing,
            (Some(Value::Null), _) => CellState::Null,
            (Some(Value::Number(number)), _) if number.as_f64() == Some(STAND_IN) => {
                CellState::NonFinite
            }
            (Some(Value::Number(number)), FeatureKind::Numeric) => {
                return Ok((CellState::Present, number.as_f64()));
            }
            (Some(Value::String(text)), FeatureKind::Numeric)
                if untyped && is_json_number(&text) =>
            {
                let number: f64 = text.parse().unwrap();
                return Ok(match number.is_finite() {
                    true => (CellState::Present, Some(number)),
                    false => (CellState::NonFinite, None),
                });
            }
            (Some(_), FeatureKind::Numeric) => CellState::Invalid,
            (Some(Value::Array(_) | Value::Object(_)), _) => CellState::Invalid,
            (Some(value), FeatureKind::Categorical { dictionary }) => {
                let text = canonical(&value)?;
                match dictionary.iter().position(|known| *known == text) {
                    Some(code) => return Ok((CellState::Present, Some(code as f64))),
                    None => CellState::New,
                }
            }
        };
        Ok((state, None))
    }

    fn id(&self, selector: &Selector, rows: bool, row: u32) -> Judged<u128> {
        let text = self.text(selector)?;
        if text.len() > ID_BYTES_MAX {
            return refuse(RefusalReason::TooLarge);
        }
        if text.replace('\u{1f}', "").is_empty() {
            return refuse(RefusalReason::MissingField);
        }
        let numbered = rows && !selector.is_from_row();
        Ok(id_hash(&if numbered { format!("{text}#{row}") } else { text }))
    }
}

fn code_of(classes: &[String], text: &str) -> Judged<ClassCode> {
    match classes.iter().position(|class| class == text) {
        Some(code) => Ok(code as ClassCode),
        None => refuse(RefusalReason::UnknownClass),
    }
}

/// Whether a double's own shortest digits are certainly those that were written, or mean the same.
fn is_short(number: f64) -> bool {
    number.abs() < 1e15
}

fn canonical(value: &Value) -> Judged<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        Value::Number(number) => match number.as_f64().unwrap() {
            0.0 => "0".to_owned(),
            number if is_short(number) => number.to_string(),
            _ => return Err(Stop::Unknown),
        },
        _ => return refuse(RefusalReason::WrongType),
    })
}

/// The rows of a payload, or why there are none; an empty list if there should be rows and are
/// not.
fn rows_of<'a>(top: &'a Value, rows: Option<&JsonPointer>) -> Judged<Vec<&'a Value>> {
    let Some(rows) = rows else { return Ok(vec![top]) };
    match top.pointer(&rows.to_string()) {
        None => refuse(RefusalReason::MissingField),
        Some(Value::Array(list)) if list.is_empty() => refuse(RefusalReason::MissingField),
        Some(Value::Array(list)) => Ok(list.iter().collect()),
        Some(_) => refuse(RefusalReason::WrongType),
    }
}

/// Turns the outcome of every row into a verdict.
fn verdicts(
    record: &Record<'_>,
    top: &Value,
    rows: Option<&JsonPointer>,
    judge: impl Fn(&Row<'_>, u32) -> Judged<Verdict>,
) -> Vec<Verdict> {
    let settle = |judged: Judged<Verdict>| match judged {
        Ok(verdict) => verdict,
        Err(Stop::Refuse(reason)) => Verdict::Refused(reason),
        Err(Stop::Unknown) => Verdict::Unknown,
    };
    match rows_of(top, rows) {
        Err(stop) => vec![settle(Err(stop))],
        Ok(list) => list
            .iter()
            .zip(0..)
            .map(|(&value, i)| settle(judge(&Row { top, row: value, record }, i)))
            .collect(),
    }
}

/// One model of a topic, for the judge.
pub struct Source {
    pub spec: ModelSpec,
    pub fields: PredictionFields,
    pub route: Option<String>,
}

/// What should come of a record of predictions.
pub fn predictions(sources: &[Source], record: &Record<'_>, top: &Value) -> Vec<Verdict> {
    let with_rows = sources[0].fields.rows.as_ref();
    verdicts(record, top, with_rows, |row, i| {
        let mut model = 0;
        if let Some(selector) = &sources[0].fields.model {
            let text = row.text(selector)?;
            match sources.iter().position(|source| source.route.as_ref() == Some(&text)) {
                Some(found) => model = found,
                None => return Ok(Verdict::Undeclared),
            }
        }
        prediction(&sources[model], model, row, i).map(|found| Verdict::Row(Box::new(found)))
    })
}

fn prediction(source: &Source, model: usize, row: &Row<'_>, i: u32) -> Judged<Expected> {
    let (fields, task) = (&source.fields, &source.spec.task);
    let mut found =
        Expected { model, row: i, weight: 1.0, class: CLASS_NONE, ..Expected::default() };
    found.id = row.id(&fields.id, fields.rows.is_some(), i)?;
    found.event_time = row.time(fields.event_time.as_ref())?;
    if let Some(selector) = &fields.score {
        let score = row.number(selector)?;
        if matches!(task, Task::Binary { .. }) && !(0.0..=1.0).contains(&score) {
            return refuse(RefusalReason::OutOfRange);
        }
        found.score = Some(score);
    }
    if let Some(selector) = &fields.class {
        found.class = row.class(selector, task)?;
    }
    if let Some(selector) = &fields.weight {
        found.weight = row.number(selector)?;
        if found.weight <= 0.0 {
            return refuse(RefusalReason::OutOfRange);
        }
    }
    if let Some(FeatureFields::Object(pointer)) = &fields.features {
        match row.pointer(pointer) {
            None | Some(Value::Null | Value::Object(_)) => {}
            Some(_) => return refuse(RefusalReason::WrongType),
        }
    }
    if let Some(selector) = &fields.version {
        found.version = row.text(selector)?;
        if found.version.len() > VERSION_BYTES_MAX {
            return refuse(RefusalReason::TooLarge);
        }
    }
    if let Task::Multiclass { classes, .. } = task {
        found.probabilities = match &fields.probabilities {
            Some(selector) => row.probabilities(selector, classes)?,
            None => vec![f64::NAN; classes.len()],
        };
    }
    for feature in &source.spec.features {
        let selector = match &fields.features {
            Some(FeatureFields::Object(pointer)) => Selector::Pointer(pointer.child(&feature.name)),
            Some(FeatureFields::List(list)) => {
                list.iter().find(|field| field.name == *feature.name).unwrap().path.clone()
            }
            None => unreachable!("the test's models say where features are"),
        };
        found.cells.push(row.cell(&selector, &feature.kind)?);
    }
    Ok(found)
}

/// What should come of a record of labels, each task reading its own field.
pub fn labels(listeners: &[(Task, LabelFields)], record: &Record<'_>, top: &Value) -> Vec<Verdict> {
    let fields = &listeners[0].1;
    verdicts(record, top, fields.rows.as_ref(), |row, i| {
        let mut found = Expected { row: i, ..Expected::default() };
        found.id = row.id(&fields.id, fields.rows.is_some(), i)?;
        found.event_time = row.time(fields.event_time.as_ref())?;
        let mut first = None;
        for (task, fields) in listeners {
            let value = match task {
                Task::Regression { .. } => row.number(&fields.label).map(LabelValue::Number),
                task => row.class(&fields.label, task).map(LabelValue::Class),
            };
            match value {
                Err(Stop::Unknown) => return Err(Stop::Unknown),
                Err(stop) => {
                    found.labels.push(None);
                    first.get_or_insert(stop);
                }
                Ok(value) => found.labels.push(Some(value)),
            }
        }
        match first {
            Some(stop) if found.labels.iter().all(Option::is_none) => Err(stop),
            _ => Ok(Verdict::Row(Box::new(found))),
        }
    })
}
