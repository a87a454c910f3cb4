//! Which reference profile each version's windows are compared with, and the bins it gives.

use super::cbpe::Estimator;
use super::dle::LossModels;
use super::reference::Profile;
use super::sketch::feature::FeatureLayout;
use super::spec::{ModelSpec, Task};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The bins of one profile, for the features of one model.
#[derive(Debug)]
pub struct ProfileLayout {
    pub profile: Option<Arc<Profile>>,
    /// One a feature of the model; `None` where the profile has no such feature.
    pub features: Vec<Option<FeatureLayout>>,
    pub score: Option<FeatureLayout>,
    pub classes: Option<FeatureLayout>,
    /// `None` where the profile has no calibration for the model's task.
    pub estimator: Option<Estimator>,
    /// `None` where the profile has no models of losses.
    pub losses: Option<LossModels>,
}

/// A model's layouts: its default profile's, and those of versions with a profile of their own.
#[derive(Clone, Debug)]
pub struct Layouts {
    default: Arc<ProfileLayout>,
    versions: BTreeMap<String, Arc<ProfileLayout>>,
}

impl Layouts {
    pub fn new(model: &ModelSpec) -> Self {
        Self {
            default: Arc::new(ProfileLayout::new(model, model.reference.as_ref())),
            versions: model
                .version_references
                .iter()
                .map(|(version, profile)| {
                    (version.clone(), Arc::new(ProfileLayout::new(model, Some(profile))))
                })
                .collect(),
        }
    }

    /// The layout of a version, and whether its profile is its own rather than the model's.
    pub fn of(&self, version: &str) -> (&Arc<ProfileLayout>, bool) {
        match self.versions.get(version) {
            Some(layout) => (layout, true),
            None => (&self.default, self.versions.is_empty()),
        }
    }
}

impl Layouts {
    /// What a version's estimates before labels are made with. Another version's calibration says
    /// nothing of this one's scores.
    pub fn estimator(&self, version: &str) -> Option<&Estimator> {
        let (layout, own) = self.of(version);
        layout.estimator.as_ref().filter(|_| own)
    }

    /// The same for a regression.
    pub fn losses(&self, version: &str) -> Option<&LossModels> {
        let (layout, own) = self.of(version);
        layout.losses.as_ref().filter(|_| own)
    }
}

impl ProfileLayout {
    fn new(model: &ModelSpec, profile: Option<&Arc<Profile>>) -> Self {
        let Some(profile) = profile else {
            return Self {
                profile: None,
                features: model.features.iter().map(|_| None).collect(),
                score: None,
                classes: None,
                estimator: None,
                losses: None,
            };
        };
        let features = model
            .features
            .iter()
            .map(|feature| {
                let reference = profile.features.iter().find(|f| *f.name == *feature.name)?;
                FeatureLayout::new(&feature.kind, reference)
            })
            .collect();
        let score = match model.task {
            Task::Multiclass { .. } => None,
            _ => profile.score.as_ref().and_then(FeatureLayout::numeric),
        };
        let classes = profile
            .predicted_classes
            .as_ref()
            .and_then(|reference| FeatureLayout::classes(reference, &model.task));
        let estimator = Estimator::new(profile, &model.task);
        let regression = matches!(model.task, Task::Regression { .. });
        let losses = regression.then(|| LossModels::new(profile, &model.features)).flatten();
        Self { profile: Some(Arc::clone(profile)), features, score, classes, estimator, losses }
    }
}
