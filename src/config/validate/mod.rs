//! From what is written to a plan: defaults, bounds, references between the parts. Every check adds
//! its faults and goes on with something harmless, so that all of them are seen at once.

mod budget;
mod daemon;
mod features;
mod http;
mod join;
mod limit;
mod model;
mod policies;
mod slices;
mod topics;
mod webhooks;
mod windows;

pub use daemon::OWNED_PROPERTIES;

use super::bounds::{Bounded, MODELS_MAX, NAME_CHARS_MAX, bounds};
use super::fault::{Fault, quoted};
use super::layout;
use super::plan::{Plan, PlanHash};
use super::tree::{Node, item_path, key_path};
use super::value::Text;
use super::written::Config;
use super::{ReadProfile, size};
use crate::engine::event::ModelIndex;
use crate::engine::reference::Profile;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the checks share.
pub struct Check<'a> {
    root: &'a Node,
    /// Paths in the configuration are relative to this.
    directory: &'a Path,
    read_profile: ReadProfile<'a>,
    /// A file that several versions name is read once.
    profiles: BTreeMap<PathBuf, Result<Arc<Profile>, String>>,
    pub faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    pub fn new(
        root: &'a Node,
        directory: &'a Path,
        read_profile: ReadProfile<'a>,
        faults: Vec<Fault>,
    ) -> Self {
        Self { root, directory, read_profile, profiles: BTreeMap::new(), faults }
    }

    fn fault(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        let node = self.root.locate(&path);
        let message = node.hide_value(message.into());
        self.faults.push(Fault { mark: Some(node.mark), path, message });
    }

    /// Whether something at `path` or below is known to be wrong, so that its absence is not news.
    fn is_faulty(&self, path: &str) -> bool {
        self.faults.iter().any(|fault| {
            fault
                .path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// What must be written. `parent` is the section's path, empty for the file.
    fn required<T>(&mut self, parent: &str, name: &str, written: Option<T>) -> Option<T> {
        if written.is_none() && !self.is_faulty(&key_path(parent, name)) {
            self.fault(parent, format!("`{name}` is missing; add it"));
        }
        written
    }

    /// What is written, or else the default, within the option's bounds.
    fn bounded<W, T>(
        &mut self,
        parent: &str,
        name: &str,
        written: Option<W>,
        default: Option<W>,
    ) -> T
    where
        W: Into<T>,
        T: Bounded,
    {
        let default: T = default.map(Into::into).expect("the default file states this option");
        let Some(value) = written.map(Into::into) else { return default };
        if self.within(&key_path(parent, name), value) { value } else { default }
    }

    /// Adds a fault unless the value lies within the bounds of the option at `path`.
    fn within<T: Bounded>(&mut self, path: &str, value: T) -> bool {
        let Some((low, high)) = bounds(path) else { return true };
        let parsed = T::parse(low).zip(T::parse(high));
        let (least, greatest) = parsed.expect("the table of bounds is tested");
        let inside = least <= value && value <= greatest;
        if !inside {
            self.fault(path, format!("must be from {low} to {high}"));
        }
        inside
    }

    /// A name that appears in metrics, paths and messages.
    fn name(&mut self, parent: &str, written: Option<&Text>) -> Option<Arc<str>> {
        let Text(name) = self.required(parent, "name", written)?;
        let valid = !name.is_empty()
            && name.len() <= NAME_CHARS_MAX
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
            && !name.starts_with('.');
        if !valid {
            let message = format!(
                "{} is not a name; use 1 to {NAME_CHARS_MAX} letters, digits, `_`, `-` and `.` \
                 (not first)",
                quoted(name)
            );
            self.fault(key_path(parent, "name"), message);
        }
        Some(Arc::from(name.as_str()))
    }

    /// Refuses the names that were there before.
    fn unique<'n>(
        &mut self,
        names: impl IntoIterator<Item = (String, Option<&'n Arc<str>>)>,
        what: &str,
    ) {
        let mut seen: BTreeMap<&str, String> = BTreeMap::new();
        for (path, name) in names {
            let Some(name) = name else { continue };
            match seen.get(&**name) {
                Some(first) => {
                    let message = format!("{first} is a {what} {} already", quoted(name));
                    self.fault(key_path(&path, "name"), message);
                }
                None => {
                    seen.insert(name, path);
                }
            }
        }
    }

    fn at_most(&mut self, path: &str, count: usize, max: usize, what: &str) {
        if count > max {
            self.fault(path, format!("{count} {what}, but at most {max} are allowed"));
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Checks everything; `None` only if there are faults.
pub fn plan(check: &mut Check<'_>, config: &Config) -> Option<Plan> {
    let kafka = daemon::kafka(check, config);
    let state = daemon::state(check, config);
    let http = http::http(check, config);
    let dead_letters = daemon::dead_letters(check, config);
    let webhooks = webhooks::webhooks(check, config);
    let webhook_names: Vec<Arc<str>> =
        webhooks.iter().flatten().map(|webhook| webhook.name.clone()).collect();
    let written = check.required("", "models", config.models.as_ref());
    let mut drafts = Vec::new();
    if let Some(models) = written {
        if models.is_empty() {
            check.fault("models", "the list is empty; declare at least one model");
        }
        check.at_most("models", models.len(), MODELS_MAX, "models");
        for (index, model) in models.iter().take(MODELS_MAX) {
            let path = item_path("models", index);
            drafts.push(model::draft(check, &path, model, &webhook_names));
        }
    }
    check.unique(drafts.iter().map(|draft| (draft.path.clone(), draft.name.as_ref())), "model");
    let topics = topics::topics(check, &drafts);
    let dead_topic = dead_letters.as_ref().and_then(|section| section.as_ref());
    if let Some(dead) = dead_topic
        && topics.reads(&dead.topic)
    {
        check.fault("dead_letters.topic", "predictions or labels are read from this topic");
    }
    let models: Option<Vec<_>> = drafts.into_iter().map(|draft| draft.spec.map(Arc::new)).collect();
    let (models, state) = (models?, state?);
    let mut plan = Plan {
        kafka: kafka?,
        state,
        http: http?,
        dead_letters: dead_letters?,
        webhooks: webhooks.into_iter().collect::<Option<_>>()?,
        prediction_topics: topics.predictions,
        label_topics: topics.labels,
        layouts: models.iter().map(|model| layout::hash(model)).collect(),
        models,
        groups: topics.groups,
        hash: PlanHash(0),
    };
    if check.faults.is_empty() {
        size::refuse(&plan).into_iter().for_each(|(path, message)| check.fault(path, message));
    }
    for group in &mut plan.groups {
        group.spread = !plan.kafka.co_partitioned;
    }
    // Secrets print as `<secret>`, so this neither shows them nor changes with them.
    plan.hash = PlanHash::of(&format!("{plan:?}"));
    Some(plan)
}

/// Position of a model that passed its checks.
fn model_index(position: usize) -> ModelIndex {
    ModelIndex(u16::try_from(position).expect("the number of models is bounded"))
}
