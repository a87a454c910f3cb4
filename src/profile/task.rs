//! What the model predicts: from the options, else from the label's values.

use super::ProfileError;
use super::args::{ProfileArgs, TaskName};
use super::cell::printable;
use super::column::ColumnScan;
use crate::engine::spec::Task;

/// The most classes that a model can have.
const CLASSES_MAX: usize = 64;
/// How many classes an error message names.
const CLASSES_SHOWN: usize = 8;

/// The columns that are not features, after the first pass.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Targets<'a> {
    pub score: Option<&'a ColumnScan>,
    pub prediction: Option<&'a ColumnScan>,
    pub label: Option<&'a ColumnScan>,
}

/// The task with its classes; `None` if the data has neither labels nor predictions.
/// The centre and scale of a regression are set after the second pass.
pub(super) fn task(args: &ProfileArgs, targets: Targets) -> Result<Option<Task>, ProfileError> {
    let Some(name) = name(args, targets)? else { return Ok(None) };
    Ok(Some(match name {
        TaskName::Regression => Task::Regression { center: 0.0, scale: 1.0 },
        TaskName::Multiclass => Task::Multiclass { classes: classes(targets)?, top_k: Vec::new() },
        TaskName::Binary => binary(args, classes(targets)?)?,
    }))
}

fn name(args: &ProfileArgs, targets: Targets) -> Result<Option<TaskName>, ProfileError> {
    if args.task.is_some() {
        return Ok(args.task);
    }
    if args.positive_class.is_some() {
        return Ok(Some(TaskName::Binary));
    }
    if let Some(values) = targets.label.or(targets.prediction).filter(|scan| scan.values() > 0) {
        let distinct = values.candidates().len();
        let whole = |bits: &u64| f64::from_bits(*bits).fract() == 0.0;
        let whole = values.frequent_numbers.sorted().iter().all(|(bits, _)| whole(bits));
        return match (values.only_numbers(), distinct) {
            (_, 0..=2) => Ok(Some(TaskName::Binary)),
            (false, _) => Ok(Some(TaskName::Multiclass)),
            (true, _) if !whole || distinct > CLASSES_MAX => Ok(Some(TaskName::Regression)),
            (true, _) => Err(ProfileError::Option {
                option: "--task",
                what: format!(
                    "the labels are {distinct} whole numbers; say multiclass if they are classes, \
                     regression if they are amounts"
                ),
            }),
        };
    }
    Ok(targets.score.filter(|scan| scan.numbers > 0).map(|scan| {
        let probabilities = scan.min >= 0.0 && scan.max <= 1.0;
        if probabilities { TaskName::Binary } else { TaskName::Regression }
    }))
}

/// All classes of labels and predictions in ascending order.
fn classes(targets: Targets) -> Result<Vec<String>, ProfileError> {
    let scans = [targets.label, targets.prediction];
    let mut classes: Vec<String> =
        scans.into_iter().flatten().flat_map(ColumnScan::candidates).collect();
    classes.sort_unstable();
    classes.dedup();
    if classes.len() > CLASSES_MAX {
        return Err(ProfileError::Option {
            option: "--task",
            what: format!(
                "{} classes, at most {CLASSES_MAX} are possible: {}, ...",
                classes.len(),
                named(&classes)
            ),
        });
    }
    Ok(classes)
}

fn binary(args: &ProfileArgs, mut classes: Vec<String>) -> Result<Task, ProfileError> {
    let wrong = |what: String| ProfileError::Option { option: "--positive-class", what };
    let within = |known: [&str; 2]| classes.iter().all(|class| known.contains(&class.as_str()));
    let positive_class = match &args.positive_class {
        Some(class) => class.clone(),
        None if within(["0", "1"]) || within(["-1", "1"]) => "1".into(),
        None if within(["false", "true"]) => "true".into(),
        None => return Err(wrong(format!("say which class is positive: {}", named(&classes)))),
    };
    if args.positive_class.is_some() && !classes.is_empty() && !classes.contains(&positive_class) {
        let (class, known) = (printable(&positive_class, 80), named(&classes));
        return Err(wrong(format!("`{class}` does not occur; the classes are {known}")));
    }
    classes.retain(|class| *class != positive_class);
    if classes.is_empty() && positive_class == "1" {
        classes.push("0".into());
    }
    // With several others there is no one name for what is not positive.
    let negative_class = if classes.len() == 1 { classes.pop() } else { None };
    Ok(Task::Binary { positive_class, negative_class, threshold: args.threshold })
}

fn named(classes: &[String]) -> String {
    let shown = classes.iter().take(CLASSES_SHOWN);
    shown.map(|class| format!("`{}`", printable(class, 40))).collect::<Vec<_>>().join(", ")
}
