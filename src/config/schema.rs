//! The JSON schema of a configuration, for editors.

use super::written::Config;
use schemars::Schema;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::{Value, json};

/// JSON Schema (2020-12) of the file; `config/tidemark.schema.json` is a copy.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Config);
    RecursiveTransform(allow_variable).transform(&mut schema);
    schema.to_value()
}

/// A number may also come from a variable: then it is a text in the file.
fn allow_variable(schema: &mut Schema) {
    let Some(written) = schema.get_mut("type") else { return };
    let mut types = match written.take() {
        Value::Array(types) => types,
        one => vec![one],
    };
    let number = types.iter().any(|one| one == "integer" || one == "number" || one == "boolean");
    let variable = number && !types.iter().any(|one| one == "string");
    if variable {
        types.push(json!("string"));
    }
    *written = if types.len() == 1 { types.remove(0) } else { Value::Array(types) };
    if variable {
        schema.insert("pattern".to_owned(), json!(r"\$\{"));
    }
}
