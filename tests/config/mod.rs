//! Configuration files: what loads and into which plan, what is refused and how that is said.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too")]

mod bad;
mod edges;
mod good;
mod profiles;

use std::path::{Path, PathBuf};
use tidemark::config::{self, ConfigErrors, Plan};

/// A file below `tests/config`.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config").join(name)
}

/// The environment of these tests.
fn env(name: &str) -> Option<String> {
    match name {
        "TIDEMARK_PORT" => Some("9999".to_owned()),
        "TIDEMARK_EMPTY" => Some(String::new()),
        "TIDEMARK_PASSWORD" => Some("hunter2-from-env".to_owned()),
        "TIDEMARK_YAML" => Some("x\nmodels: []".to_owned()),
        _ => None,
    }
}

fn load(path: &Path) -> Result<Plan, ConfigErrors> {
    config::load(path, &env, &profiles::read)
}

/// Loads a text as if it stood in `tests/config/memory.yaml`.
fn load_text(text: &str) -> Result<Plan, ConfigErrors> {
    config::load_bytes(&file("memory.yaml"), text.as_bytes(), &env, &profiles::read)
}

/// A small configuration with a place for more in each section that tests change.
fn small(model: &str) -> String {
    format!(
        "kafka: {{ bootstrap_servers: '127.0.0.1:9092' }}
models:
  - name: income
    task: binary
    positive_class: 1
    predictions: {{ topic: p, fields: {{ id: /id, score: /score }} }}
    labels: {{ topic: l, fields: {{ id: /id, label: /label }} }}
{model}"
    )
}

fn plan(text: &str) -> Plan {
    load_text(text).unwrap_or_else(|errors| panic!("{errors}\n---\n{text}"))
}

fn refused(text: &str) -> String {
    match load_text(text) {
        Ok(_) => panic!("this must be refused:\n{text}"),
        Err(errors) => errors.to_string(),
    }
}
