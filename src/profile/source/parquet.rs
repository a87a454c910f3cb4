//! Parquet files. Fields of structs become columns named with a `/`; lists and dates are not
//! described.

use super::{BATCH_ROWS, DEPTH_MAX, Names, Source, Visit};
use crate::profile::ProfileError;
use crate::profile::cell::Cell;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{ArrowError, DataType, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// A column in one of the types that cells have, with where its values are not even null.
struct Column {
    position: usize,
    values: Values,
    /// The structs around it: where one of them is null the field is missing.
    parents: Vec<ArrayRef>,
}

enum Values {
    Numbers(Float64Array),
    Bools(BooleanArray),
    Texts(StringArray),
    Times(Int64Array),
    Unsupported(ArrayRef),
}

pub(super) fn read(
    source: &Source,
    names: &mut Names,
    visit: &mut Visit,
) -> Result<(), ProfileError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(source.file()?);
    let reader = builder.and_then(|builder| builder.with_batch_size(BATCH_ROWS).build());
    for batch in reader.map_err(|error| source.malformed(error))? {
        let batch = batch.map_err(|error| source.malformed(error))?;
        let columns = columns(&batch, names).map_err(|what| source.malformed(what))?;
        let mut cells = vec![Cell::Missing; names.len()];
        for row in 0..batch.num_rows() {
            for column in &columns {
                cells[column.position] = column.cell(row);
            }
            visit(names, &cells)?;
        }
    }
    Ok(())
}

fn columns(batch: &RecordBatch, names: &mut Names) -> Result<Vec<Column>, String> {
    let mut found = Vec::new();
    for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        collect(field.name(), array, &[], names, &mut found)?;
    }
    Ok(found)
}

fn collect(
    name: &str,
    array: &ArrayRef,
    parents: &[ArrayRef],
    names: &mut Names,
    found: &mut Vec<Column>,
) -> Result<(), String> {
    if let DataType::Struct(fields) = array.data_type()
        && parents.len() + 1 < DEPTH_MAX
    {
        let mut inner = parents.to_vec();
        inner.push(array.clone());
        for (field, child) in fields.iter().zip(array.as_struct().columns()) {
            collect(&format!("{name}/{}", field.name()), child, &inner, names, found)?;
        }
        return Ok(());
    }
    let position = names.position_or_add(name)?;
    if found.iter().any(|column| column.position == position) {
        return Err(format!("two columns are named `{name}`"));
    }
    let values = values(array).map_err(|error| format!("column `{name}`: {error}"))?;
    found.push(Column { position, values, parents: parents.to_vec() });
    Ok(())
}

fn values(array: &ArrayRef) -> Result<Values, ArrowError> {
    let kind = match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        kind => kind.clone(),
    };
    let cast = |to| arrow_cast::cast(array, &to);
    Ok(match kind {
        DataType::Boolean => Values::Bools(cast(DataType::Boolean)?.as_boolean().clone()),
        // A column of nulls only has a type of its own; as text all of it is null.
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Values::Texts(cast(DataType::Utf8)?.as_string().clone())
        }
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) => {
            Values::Numbers(cast(DataType::Float64)?.as_primitive::<Float64Type>().clone())
        }
        kind if kind.is_integer() || kind.is_floating() => {
            Values::Numbers(cast(DataType::Float64)?.as_primitive::<Float64Type>().clone())
        }
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            let micros = cast(DataType::Timestamp(TimeUnit::Microsecond, None))?;
            let micros = arrow_cast::cast(&micros, &DataType::Int64)?;
            Values::Times(micros.as_primitive::<Int64Type>().clone())
        }
        _ => Values::Unsupported(array.clone()),
    })
}

impl Column {
    fn cell(&self, row: usize) -> Cell<'_> {
        if self.parents.iter().any(|parent| parent.is_null(row)) {
            return Cell::Missing;
        }
        match &self.values {
            Values::Numbers(column) if column.is_valid(row) => Cell::Number(column.value(row)),
            Values::Bools(column) if column.is_valid(row) => Cell::Bool(column.value(row)),
            Values::Texts(column) if column.is_valid(row) => Cell::Text(column.value(row)),
            Values::Times(column) if column.is_valid(row) => Cell::Time(column.value(row)),
            Values::Unsupported(column) if column.is_valid(row) => Cell::Unsupported,
            _ => Cell::Null,
        }
    }
}
