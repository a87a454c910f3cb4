//! A Kafka record as the decoders see it, and what becomes of it.

use crate::engine::event::{Position, RefusalReason};
use crate::engine::time::Timestamp;

/// A record, borrowed from whatever read it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub partition: i32,
    pub offset: i64,
    /// Kafka's timestamp of the record.
    pub timestamp: Timestamp,
    pub key: Option<&'a [u8]>,
    /// `None` is a tombstone; an empty payload is malformed.
    pub payload: Option<&'a [u8]>,
    pub headers: &'a dyn Headers,
}

/// The headers of a record, in their order. A name may come several times; a value may be null.
pub trait Headers {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Option<&'a [u8]>));
}

impl dyn Headers + '_ {
    /// The value of the last header of this name, as Kafka's own `lastHeader`; `None` if it is
    /// null.
    pub fn last(&self, name: &str) -> Option<&[u8]> {
        let mut found = None;
        self.visit(&mut |candidate, value| {
            if candidate == name {
                found = value;
            }
        });
        found
    }
}

/// A record without headers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn visit<'a>(&'a self, _: &mut dyn FnMut(&'a str, Option<&'a [u8]>)) {}
}

/// Headers held in memory.
impl Headers for Vec<(String, Option<Vec<u8>>)> {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Option<&'a [u8]>)) {
        for (name, value) in self {
            visit(name, value.as_deref());
        }
    }
}

/// A row, or a whole record, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `row` is 0 for a record that is refused as a whole.
    pub position: Position,
    pub reason: RefusalReason,
    /// For a person: which field, what is wrong. It quotes at most the short text of a time, a
    /// class or a number, escaped; never an id or a feature.
    pub message: String,
}

/// How many rows were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RefusalCounts([u32; RefusalReason::ALL.len()]);

impl RefusalCounts {
    pub fn add(&mut self, reason: RefusalReason) {
        self.0[reason as usize] += 1;
    }

    pub fn get(&self, reason: RefusalReason) -> u32 {
        self.0[reason as usize]
    }

    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }
}

/// What became of one record, in rows. A record that yields no row counts one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordOutcome {
    /// Rows that were added to a batch.
    pub appended: u32,
    pub refused: RefusalCounts,
    /// Rows of a model that nobody declared.
    pub undeclared: u32,
    /// 1 if the record has no payload.
    pub tombstone: u32,
}

impl RecordOutcome {
    /// How many rows the record counts; at least 1.
    pub fn rows(&self) -> u32 {
        self.appended + self.refused.total() + self.undeclared + self.tombstone
    }
}
