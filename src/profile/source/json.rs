//! One JSON object a line. Objects within objects become columns named with a `/`.
//!
//! Read value by value rather than into typed columns: a profile has to tell a missing field, a
//! null and a value of another type apart, as the decoder of live records does.

use super::{COLUMNS_MAX, DEPTH_MAX, Names, Source, Visit};
use crate::profile::ProfileError;
use crate::profile::cell::Cell;
use serde_json::{Map, Value};
use std::io::{BufRead, Read};

/// A longer line is refused.
const LINE_BYTES_MAX: u64 = 16 << 20;

pub(super) fn read(
    source: &Source,
    names: &mut Names,
    visit: &mut Visit,
) -> Result<(), ProfileError> {
    let mut reader = source.text()?;
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let mut limited = (&mut reader).take(LINE_BYTES_MAX + 1);
        let read = limited.read_until(b'\n', &mut line).map_err(|error| source.io(error))?;
        if read == 0 {
            break;
        }
        let wrong = |what: &str| source.malformed(format!("line {number}: {what}"));
        if line.len() as u64 > LINE_BYTES_MAX {
            return Err(wrong(&format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_slice(&line)
            .map_err(|error| wrong(&format!("{error}; expected one JSON object on each line")))?;
        let Value::Object(object) = &value else {
            return Err(wrong("expected one JSON object on each line"));
        };
        let mut cells = vec![Cell::Missing; names.len()];
        flatten(object, "", 1, names, &mut cells).map_err(|what| wrong(&what))?;
        visit(names, &cells)?;
    }
    Ok(())
}

fn flatten<'a>(
    object: &'a Map<String, Value>,
    path: &str,
    depth: usize,
    names: &mut Names,
    cells: &mut Vec<Cell<'a>>,
) -> Result<(), String> {
    for (key, value) in object {
        let nested = if path.is_empty() { None } else { Some(format!("{path}/{key}")) };
        let name = nested.as_deref().unwrap_or(key);
        if let Value::Object(inner) = value
            && depth < DEPTH_MAX
        {
            flatten(inner, name, depth + 1, names, cells)?;
            continue;
        }
        let position = names.position_or_add(name)?;
        debug_assert!(position < COLUMNS_MAX);
        if position >= cells.len() {
            cells.resize(position + 1, Cell::Missing);
        }
        cells[position] = match value {
            Value::Null => Cell::Null,
            Value::Bool(value) => Cell::Bool(*value),
            Value::Number(number) => number.as_f64().map_or(Cell::Unsupported, Cell::Number),
            Value::String(text) => Cell::Text(text),
            Value::Array(_) | Value::Object(_) => Cell::Unsupported,
        };
    }
    Ok(())
}
