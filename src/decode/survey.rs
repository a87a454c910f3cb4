//! What sample payloads look like: every place with what stands there. For `inspect`.

use super::record::Record;
use super::selector::{JsonPointer, Selector, TimeUnit};
use super::time;
use crate::engine::time::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Places beyond this many are not looked at.
const PLACES_MAX: usize = 2_000;
/// Rows of one sample beyond this many are not looked at.
const ROWS_MAX: usize = 100;
/// Objects nested deeper are not looked into.
const DEPTH_MAX: usize = 8;

/// What all samples have at one place.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Rows in which it is there and not null.
    pub present: usize,
    pub strings: usize,
    pub numbers: usize,
    pub integers: usize,
    pub booleans: usize,
    /// Arrays and objects that are no scalar.
    pub containers: usize,
    /// Distinct scalars, in JSON.
    pub distinct: BTreeSet<String>,
    pub smallest: f64,
    pub largest: f64,
    /// How many values are a time, in the unit of this position in `UNITS`.
    times: [usize; UNITS.len()],
}

const UNITS: [TimeUnit; 5] =
    [TimeUnit::Rfc3339, TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns];

/// All places of all samples.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Where the array of rows is, if records carry several.
    pub rows: Option<JsonPointer>,
    /// How many rows were looked at.
    pub count: usize,
    pub records: usize,
    /// Payloads that are not JSON.
    pub malformed: usize,
    pub tombstones: usize,
    /// In the order in which they first came.
    pub places: Vec<(JsonPointer, Place)>,
    pub key: Place,
    pub headers: BTreeMap<String, Place>,
    /// Place -> in how many rows its text is the record's key.
    pub equals_key: BTreeMap<JsonPointer, usize>,
    index: BTreeMap<JsonPointer, usize>,
}

impl Place {
    fn add(&mut self, value: &Value, near: Timestamp) {
        match value {
            Value::Null => return,
            Value::String(text) => {
                self.strings += 1;
                for (count, unit) in self.times.iter_mut().zip(UNITS) {
                    *count += usize::from(is_near(time::from_text(text, unit), near));
                }
            }
            Value::Number(number) => {
                self.numbers += 1;
                self.integers += usize::from(!number.is_f64());
                let value = number.as_f64().unwrap_or(f64::NAN);
                self.smallest = if self.numbers == 1 { value } else { self.smallest.min(value) };
                self.largest = if self.numbers == 1 { value } else { self.largest.max(value) };
                for (count, unit) in self.times.iter_mut().zip(UNITS) {
                    *count +=
                        usize::from(is_near(time::from_number(&number.to_string(), unit), near));
                }
            }
            Value::Bool(_) => self.booleans += 1,
            Value::Array(_) | Value::Object(_) => {
                self.containers += 1;
                self.present += 1;
                return;
            }
        }
        self.present += 1;
        self.distinct.insert(value.to_string());
    }

    /// The unit in which every value is a time near the record's own.
    pub fn time_unit(&self) -> Option<TimeUnit> {
        let found = self.times.iter().position(|&count| count > 0 && count == self.present);
        found.map(|i| UNITS[i])
    }

    pub fn is_scalar(&self) -> bool {
        self.present > 0 && self.containers == 0
    }

    pub fn is_unique(&self) -> bool {
        self.is_scalar() && self.distinct.len() == self.present
    }
}

/// Within 20 years: units lie a factor of 1000 apart, so one fits at most.
fn is_near(time: Option<Timestamp>, near: Timestamp) -> bool {
    const YEARS_20: i64 = 20 * 365 * 86_400 * 1_000_000;
    time.is_some_and(|time| (time - near).0.abs() <= YEARS_20)
}

impl Survey {
    pub fn of(records: &[Record<'_>]) -> Self {
        let mut survey = Self { records: records.len(), ..Self::default() };
        let parsed: Vec<_> = records.iter().map(|record| survey.parse(record)).collect();
        survey.rows = find_rows(parsed.iter().flatten());
        for (record, value) in records.iter().zip(&parsed) {
            if let Some(value) = value {
                survey.add(record, value);
            }
        }
        survey
    }

    fn parse(&mut self, record: &Record<'_>) -> Option<Value> {
        let Some(payload) = record.payload else {
            self.tombstones += 1;
            return None;
        };
        let value = serde_json::from_slice(&without_nan(payload)).ok();
        self.malformed += usize::from(value.is_none());
        value
    }

    fn add(&mut self, record: &Record<'_>, top: &Value) {
        let key = record.key.and_then(|key| std::str::from_utf8(key).ok());
        if let Some(key) = key {
            self.key.add(&Value::from(key), record.timestamp);
        }
        record.headers.visit(&mut |name, value| {
            if let Some(text) = value.and_then(|value| std::str::from_utf8(value).ok())
                && (self.headers.len() < PLACES_MAX || self.headers.contains_key(name))
            {
                let place = self.headers.entry(name.to_owned()).or_default();
                place.add(&Value::from(text), record.timestamp);
            }
        });
        let context = (record.timestamp, key);
        let rows = self.rows.clone();
        let list = rows.as_ref().and_then(|rows| top.pointer(&rows.to_string())?.as_array());
        match list {
            None => {
                self.count += 1;
                self.walk(JsonPointer::root(), top, context, 0);
            }
            Some(list) => {
                for row in list.iter().take(ROWS_MAX) {
                    self.count += 1;
                    self.walk(JsonPointer::row(), row, context, 0);
                    self.walk(JsonPointer::root(), top, context, 0);
                }
            }
        }
    }

    fn walk(
        &mut self,
        at: JsonPointer,
        value: &Value,
        context: (Timestamp, Option<&str>),
        depth: usize,
    ) {
        if self.rows.as_ref() == Some(&at) {
            return;
        }
        if let Value::Object(members) = value
            && depth < DEPTH_MAX
            && !members.is_empty()
        {
            for (name, member) in members {
                self.walk(at.child(name), member, context, depth + 1);
            }
            return;
        }
        let known = self.index.get(&at).copied();
        let i = match known {
            Some(i) => i,
            None if self.places.len() < PLACES_MAX => {
                self.places.push((at.clone(), Place::default()));
                self.index.insert(at.clone(), self.places.len() - 1);
                self.places.len() - 1
            }
            None => return,
        };
        self.places[i].1.add(value, context.0);
        let text = match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if context.1 == Some(text.as_str()) {
            *self.equals_key.entry(at).or_default() += 1;
        }
    }

    /// Every place that a selector can name and that holds scalars.
    pub fn scalars(&self) -> impl Iterator<Item = (Selector, &Place)> {
        let payload = self.places.iter().map(|(at, place)| (Selector::Pointer(at.clone()), place));
        let headers =
            self.headers.iter().map(|(name, place)| (Selector::Header(name.clone()), place));
        payload
            .chain(std::iter::once((Selector::Key, &self.key)))
            .chain(headers)
            .filter(|(_, place)| place.is_scalar())
    }
}

/// Python writes `NaN` and `Infinity`, which `serde_json` does not read: they become null here.
fn without_nan(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len());
    let mut rest = payload;
    let (mut in_string, mut escaped) = (false, false);
    while let Some((&byte, after)) = rest.split_first() {
        if !in_string {
            let found = ["NaN", "-Infinity", "Infinity"]
                .into_iter()
                .find_map(|word| rest.strip_prefix(word.as_bytes()));
            if let Some(after) = found {
                out.extend_from_slice(b"null");
                rest = after;
                continue;
            }
        }
        in_string ^= byte == b'"' && !escaped;
        escaped = in_string && byte == b'\\' && !escaped;
        out.push(byte);
        rest = after;
    }
    out
}

/// The array of rows: the payload itself, or the longest array of objects at most two members
/// down, if most payloads have it.
fn find_rows<'a>(payloads: impl Iterator<Item = &'a Value> + Clone) -> Option<JsonPointer> {
    let total = payloads.clone().count();
    let mut found = BTreeMap::<JsonPointer, (usize, usize)>::new();
    for payload in payloads {
        let mut open = vec![(JsonPointer::root(), payload, 0)];
        while let Some((at, value, depth)) = open.pop() {
            match value {
                Value::Array(list) if !list.is_empty() && list.iter().all(Value::is_object) => {
                    let (payloads, rows) = found.entry(at).or_default();
                    *payloads += 1;
                    *rows += list.len();
                }
                Value::Object(members) if depth < 2 => {
                    let members = members.iter().take(PLACES_MAX);
                    open.extend(members.map(|(name, value)| (at.child(name), value, depth + 1)));
                }
                _ => {}
            }
        }
    }
    found
        .into_iter()
        .filter(|(_, (payloads, _))| payloads * 2 > total)
        .max_by_key(|(_, (_, rows))| *rows)
        .map(|(at, _)| at)
}
