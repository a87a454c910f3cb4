use super::{file, load, load_text, plan, profiles, refused, small};
use std::collections::BTreeSet;
use std::path::Path;
use tidemark::config::{self, SecretOrPlain, Start};
use tidemark::engine::event::LabelValue;
use tidemark::engine::spec::{Action, Condition, FeatureKind, SliceValues, Task};
use tidemark::engine::time::{Span, Timestamp};

#[test]
fn the_default_file_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default.yaml");
    let plan = load(&path).unwrap_or_else(|errors| panic!("{errors}"));
    println!("{}", config::check(&plan));
    println!("{plan:#?}");
}
