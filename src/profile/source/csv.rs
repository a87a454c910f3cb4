//! Comma- and tab-separated files with a header. Every field is untyped text; an empty one is
//! missing.

use super::{BATCH_ROWS, Names, Source, Visit};
use crate::profile::ProfileError;
use crate::profile::cell::Cell;
use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};
use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Format;
use arrow_schema::{DataType, Field, Schema};
use std::sync::Arc;

pub(super) fn read(
    source: &Source,
    delimiter: u8,
    names: &mut Names,
    visit: &mut Visit,
) -> Result<(), ProfileError> {
    let format = Format::default().with_header(true).with_delimiter(delimiter);
    let header = format.infer_schema(source.text()?, Some(0));
    let header = header.map_err(|error| source.malformed(error))?.0;
    let mut positions = Vec::new();
    for field in header.fields() {
        // A column without a name is the row number that some tools write.
        let name = field.name().trim();
        let position = match name {
            "" => None,
            name => Some(names.position_or_add(name).map_err(|what| source.malformed(what))?),
        };
        if position.is_some() && positions.contains(&position) {
            return Err(source.malformed(format!("two columns are named `{name}`")));
        }
        positions.push(position);
    }
    let texts = header.fields().iter().map(|f| Field::new(f.name(), DataType::Utf8, true));
    let schema = Arc::new(Schema::new(texts.collect::<Vec<_>>()));
    let reader = ReaderBuilder::new(schema)
        .with_header(true)
        .with_delimiter(delimiter)
        .with_batch_size(BATCH_ROWS)
        .build_buffered(source.text()?)
        .map_err(|error| source.malformed(error))?;
    for batch in reader {
        let batch = batch.map_err(|error| source.malformed(error))?;
        let columns: Vec<(usize, &StringArray)> = positions
            .iter()
            .zip(batch.columns())
            .filter_map(|(&position, column)| Some((position?, column.as_string())))
            .collect();
        let mut cells = vec![Cell::Missing; names.len()];
        for row in 0..batch.num_rows() {
            for &(position, column) in &columns {
                cells[position] = match column.is_valid(row) {
                    true if !column.value(row).is_empty() => Cell::Raw(column.value(row)),
                    _ => Cell::Missing,
                };
            }
            visit(names, &cells)?;
        }
    }
    Ok(())
}
