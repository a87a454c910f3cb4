//! From a YAML file to a [`Plan`].
//!
//! ```text
//! bytes -> tree (tree.rs) -> variables (env.rs) -> Config (read.rs) -> Plan (validate/)
//! ```
//!
//! Faults are collected along the whole way. Each knows its path, the tree knows the path's line.

mod bounds;
mod check;
mod defaults;
mod env;
mod expect;
mod fault;
mod layout;
mod plan;
mod read;
mod schema;
mod secret;
mod size;
mod template;
mod tree;
mod validate;
mod value;
mod web;
mod written;

pub use bounds::BOUNDS;
pub use check::check;
pub use defaults::{DEFAULT_FILE, complete_file};
pub use fault::{ConfigErrors, FAULTS_MAX, Fault, Mark};
pub use layout::parts as layout_parts;
pub use plan::{
    DeadLettersPlan, Format, GroupPlan, HttpPlan, KafkaPlan, LabelListener, LabelTopic, Plan,
    PlanHash, PredictionRoute, PredictionTopic, Start, StatePlan, WebhookPlan, WebhookTls,
};
pub use schema::json_schema;
pub use secret::{Secret, SecretOrPlain, SecretUrl};
pub use size::{ModelSize, model_size, pane_size};
pub use template::{PLACEHOLDERS_MAX, TEMPLATE_BYTES_MAX, Template, TemplateError};
pub use validate::OWNED_PROPERTIES;
pub use web::{HASH_COST_MAX, USERS_MAX, WebConfig, load_web};

use crate::engine::reference::Profile;
use std::io::Read;
use std::path::Path;
use written::Config;

/// Value of an environment variable, if it is set.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;
/// Reads and verifies a reference profile.
pub type ReadProfile<'a> = &'a dyn Fn(&Path) -> Result<Profile, String>;

/// Reads, checks and resolves a configuration file, and the secret files and profiles that it names
/// (paths are relative to the file's directory).
///
/// # Errors
/// Every fault that can be seen at once, each with its line, path and what to do.
pub fn load(
    path: &Path,
    env: Environment<'_>,
    read_profile: ReadProfile<'_>,
) -> Result<Plan, ConfigErrors> {
    let bytes = read_file(path).map_err(|error| {
        let message = format!("cannot read the configuration: {error}");
        ConfigErrors {
            file: path.to_owned(),
            faults: vec![Fault { mark: None, path: String::new(), message }],
            more: false,
        }
    })?;
    load_bytes(path, &bytes, env, read_profile)
}

/// One byte more than allowed is enough to know that a file is too long.
fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(tree::FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Like [`load`], for the content of a file; `path` is where it stands.
///
/// # Errors
/// As [`load`].
pub fn load_bytes(
    path: &Path,
    bytes: &[u8],
    env: Environment<'_>,
    read_profile: ReadProfile<'_>,
) -> Result<Plan, ConfigErrors> {
    let errors = |mut faults: Vec<Fault>| {
        faults.sort_by_key(|fault| fault.mark);
        let more = faults.len() > FAULTS_MAX;
        faults.truncate(FAULTS_MAX);
        ConfigErrors { file: path.to_owned(), faults, more }
    };
    let mut faults = Vec::new();
    let mut root = match tree::parse(bytes, &mut faults) {
        Ok(root) => root,
        Err(fault) => {
            faults.push(fault);
            return Err(errors(faults));
        }
    };
    env::substitute(&mut root, env, &mut faults);
    let Some(config) = read::read::<Config>(&root, &mut faults) else {
        return Err(errors(faults));
    };
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut check = validate::Check::new(&root, directory, read_profile, faults);
    let plan = validate::plan(&mut check, &config);
    match plan {
        Some(plan) if check.faults.is_empty() => Ok(plan),
        _ => Err(errors(check.faults)),
    }
}
