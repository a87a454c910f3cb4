//! What both decoders do with a record before and after its rows.

use super::field::Refuse;
use super::read::{Document, Reader};
use super::record::{Record, RecordOutcome, Refusal};
use super::scan::{Fault, Kind};
use crate::engine::event::{Position, RefusalReason};

/// Reads a payload and makes sure that it has rows, if it should.
pub(super) fn accept<'a>(
    reader: &'a mut Reader,
    payload: &'a [u8],
    with_rows: bool,
) -> Result<Document<'a>, Refuse> {
    let document = reader.read(payload).map_err(malformed)?;
    if with_rows && document.rows == 0 {
        let (reason, what) = match document.rows_kind {
            Kind::Array => (RefusalReason::MissingField, "there are no rows: the array is empty"),
            Kind::Missing => (RefusalReason::MissingField, "the array of rows is missing"),
            _ => (RefusalReason::WrongType, "the rows are not an array"),
        };
        return Err(Refuse { reason, message: what.to_owned() });
    }
    Ok(document)
}

#[cold]
fn malformed(fault: Fault) -> Refuse {
    let Fault { reason, at, what } = fault;
    let message = match reason {
        RefusalReason::Malformed => format!("not well-formed JSON at byte {at}: {what}"),
        _ => format!("{what}, at byte {at}"),
    };
    Refuse { reason, message }
}

pub(super) fn place(record: &Record<'_>, row: u32) -> Position {
    Position { partition: record.partition, offset: record.offset, row }
}

#[cold]
pub(super) fn refuse(
    record: &Record<'_>,
    row: u32,
    why: Refuse,
    refusals: &mut Vec<Refusal>,
    outcome: &mut RecordOutcome,
) {
    outcome.refused.add(why.reason);
    let position = place(record, row);
    refusals.push(Refusal { position, reason: why.reason, message: why.message });
}
