//! The endpoints in one table, and the OpenAPI 3.1 document that is made from it and from the
//! structs of the answers.

use super::dto;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

/// One path below the server's address.
pub struct Endpoint {
    /// With `{parameters}`.
    pub path: &'static str,
    pub summary: &'static str,
    /// What may stand after the `?`; each is explained in `PARAMETERS`.
    pub query: &'static [&'static str],
    /// The answer's schema; `None` for the document itself.
    schema: Option<fn(&mut SchemaGenerator) -> Schema>,
}

macro_rules! endpoints {
    ($($name:ident $path:literal [$($query:literal),*] $schema:expr, $summary:literal;)*) => {
        $(pub const $name: Endpoint = Endpoint {
            path: $path, summary: $summary, query: &[$($query),*], schema: $schema,
        };)*
        /// All of them.
        pub const ALL: &[Endpoint] = &[$($name),*];
    };
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

endpoints! {
    STATUS "/api/v1/status" [] Some(of::<dto::Status>),
        "The daemon: version, readiness, configuration.";
    MODELS "/api/v1/models" ["limit", "offset"] Some(of::<dto::Models>),
        "All models, the worst first.";
    MODEL "/api/v1/models/{model}" [] Some(of::<dto::ModelPage>),
        "One model: what it is, and its newest numbers.";
    HISTORY "/api/v1/models/{model}/history"
        ["window", "version", "metric", "slice", "from", "to"] Some(of::<dto::HistoryAnswer>),
        "The windows of one size over time, in columns, with what happened.";
    DRIFT "/api/v1/models/{model}/drift" ["window", "version", "limit", "offset"]
        Some(of::<dto::DriftAnswer>),
        "How far each feature lies from the reference, the farthest first, and over time.";
    FEATURE "/api/v1/models/{model}/features/{feature}" ["window", "version"]
        Some(of::<dto::FeatureAnswer>),
        "One feature: its distribution in the reference and now, and over time.";
    SLICES "/api/v1/models/{model}/slices" ["window", "version", "metric", "limit", "offset"]
        Some(of::<dto::SlicesAnswer>),
        "The slices of the newest window against the rest, the surest worse first.";
    LABELS "/api/v1/models/{model}/labels" [] Some(of::<dto::LabelsAnswer>),
        "How labels come in: delay, coverage, outcomes.";
    POLICIES "/api/v1/models/{model}/policies" [] Some(of::<dto::PoliciesAnswer>),
        "The model's policies with their state and their last decisions.";
    REQUESTS "/api/v1/requests" ["model", "limit", "offset"] Some(of::<dto::RequestsAnswer>),
        "Requests for a retraining with every attempt to deliver them, the newest first.";
    PIPELINE "/api/v1/pipeline" [] Some(of::<dto::PipelineAnswer>),
        "What is read, where it stands, what is saved.";
    OPENAPI "/api/v1/openapi.json" [] None, "This document.";
}

/// (name, what it is, schema)
const PARAMETERS: &[(&str, &str, &str)] = &[
    ("model", "Name of the model, as configured.", r#"{"type": "string"}"#),
    ("feature", "Name of the feature, or `score` or `predicted_class`.", r#"{"type": "string"}"#),
    (
        "window",
        "Size of the windows, as configured: `1h`. Absent: the size of the headline.",
        r#"{"type": "string", "examples": ["5m", "1h", "1d"]}"#,
    ),
    (
        "version",
        "Version of the model. Absent: the newest one with numbers; in /history all of them.",
        r#"{"type": "string"}"#,
    ),
    (
        "metric",
        "Metrics, separated by commas; in /slices one. Absent: all of the task's, in /slices the \
         headline's.",
        r#"{"type": "string", "examples": ["accuracy", "accuracy,recall"]}"#,
    ),
    (
        "slice",
        "Name of a slice, as /slices lists them. Absent: the whole model.",
        r#"{"type": "string", "examples": ["sex=Male,race=OTHER"]}"#,
    ),
    ("from", "First window end, in Unix seconds.", r#"{"type": "number"}"#),
    ("to", "Last window end, in Unix seconds.", r#"{"type": "number"}"#),
    (
        "limit",
        "Items of the list that are sent.",
        r#"{"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}"#,
    ),
    (
        "offset",
        "Items of the list that are left out before them.",
        r#"{"type": "integer", "minimum": 0, "default": 0}"#,
    ),
];

const DESCRIPTION: &str = "Everything that the page shows. Read only. Times are Unix seconds, \
    lengths of time seconds; what there is no data for is null, never 0. Names from the stream are \
    sent as they are; one longer than 200 characters is cut and ends in an ellipsis and eight \
    hexadecimal digits, and can be asked for in this form. Every answer has an ETag, for which \
    `generated_at` does not count. An answer may be a second old. Unknown parameters are refused. \
    New members may be added; those that are there keep their names and meanings within /api/v1.";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| document().to_string());

/// The document as it is served.
pub fn text() -> &'static str {
    &DOCUMENT
}

/// The document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for endpoint in ALL {
        let operation = operation(endpoint, &mut generator);
        paths.insert(endpoint.path.to_owned(), json!({ "get": operation }));
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Error".to_owned(), error_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tidemark",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(endpoint: &Endpoint, generator: &mut SchemaGenerator) -> Value {
    let in_path = endpoint.path.split('/').filter_map(|part| {
        part.strip_prefix('{')?.strip_suffix('}').map(|name| parameter(name, "path"))
    });
    let in_query = endpoint.query.iter().map(|name| parameter(name, "query"));
    let parameters: Vec<Value> = in_path.chain(in_query).collect();
    let answer = match endpoint.schema {
        Some(schema) => json!({
            "allOf": [schema(generator), generated_at()],
            "unevaluatedProperties": false,
        }),
        None => json!({ "type": "object" }),
    };
    let id = endpoint.path.trim_start_matches("/api/v1/").replace(['/', '.'], "_");
    let refused = |what: &str| {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        json!({ "description": what, "content": { "application/json": { "schema": schema } } })
    };
    let etag = json!({ "description": "For If-None-Match.", "schema": { "type": "string" } });
    json!({
        "operationId": id.replace(['{', '}'], ""),
        "summary": endpoint.summary,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": { "ETag": etag },
                "content": { "application/json": { "schema": answer } },
            },
            "304": { "description": "It has not changed since the ETag of If-None-Match." },
            "400": refused("A parameter is not known, or its value is not allowed."),
            "404": refused("There is no such model, version, feature or slice."),
            "503": refused("The engine is busy or starting; ask again."),
        },
    })
}

fn generated_at() -> Value {
    json!({
        "type": "object",
        "properties": {
            "generated_at": { "type": "number", "description": "When it was sent." },
        },
        "required": ["generated_at"],
    })
}

fn parameter(name: &str, place: &str) -> Value {
    let (_, what, schema) = PARAMETERS
        .iter()
        .find(|(known, ..)| *known == name)
        .expect("a test asks for every parameter of the table");
    let schema: Value = serde_json::from_str(schema).expect("a test reads every schema");
    json!({
        "name": name,
        "in": place,
        "required": place == "path",
        "description": what,
        "schema": schema,
    })
}

fn error_schema() -> Value {
    let text = |what: &str| json!({ "type": "string", "description": what });
    let detail = json!({
        "type": "object",
        "properties": {
            "code": { "type": "string", "enum": ["bad_request", "not_found", "unavailable"] },
            "message": text("One sentence that says what is allowed, or what to do."),
        },
        "required": ["code", "message"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "properties": { "error": detail },
        "required": ["error"],
        "additionalProperties": false,
    })
}
