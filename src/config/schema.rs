//! The JSON schema of a configuration, for editors.

use super::written::Config;

/// JSON Schema (2020-12) of the file; `config/tidemark.schema.json` is a copy.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Config).to_value()
}
