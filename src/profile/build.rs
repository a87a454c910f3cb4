//! The two passes over the data and what is made of them.

mod repeats;

use super::args::ProfileArgs;
use super::baseline::Baseline;
use super::calibrate::Fitted;
use super::cell::{Cell, printable};
use super::column::{ColumnScan, Kind};
use super::count::ColumnCount;
use super::design::Meter;
use super::report::{LeftOut, Report, warnings};
use super::source::{Names, Source, Visit};
use super::task::{Targets, task};
use super::{ProfileError, file, losses};
use crate::engine::reference::{
    CATEGORIES_MAX, CategoricalReference, Distribution, NumericReference, PROFILE_VERSION, Profile,
};
use crate::engine::spec::Task;
use std::collections::BTreeMap;

/// Rows between two calls of the progress callback.
const PROGRESS_ROWS: u64 = 50_000;

/// How far it has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// 1: kinds and bins; 2: counts; 3, if asked for: counts over time.
    pub pass: u8,
    /// The file that is being read, without its directory.
    pub file: String,
    /// Rows of this pass so far.
    pub rows: u64,
}

/// Makes a profile of the data and writes it. Nothing is written if anything is wrong.
pub fn run(args: ProfileArgs, progress: &mut dyn FnMut(Progress)) -> Result<Report, ProfileError> {
    check(&args)?;
    let sources = args.data.iter().map(|path| Source::new(path)).collect::<Result<Vec<_>, _>>()?;
    let filters = filters(&args)?;
    let mut input = Input { sources, filters, names: Names::default(), progress };
    let mut scan = scan(&args, &mut input)?;
    let targets = TargetColumns::find(&args, &input.names)?;
    let mut task = task(&args, targets.scans(&scan.columns))?;
    targets.force_kinds(task.as_ref(), &mut scan.columns);
    if let (Some(Task::Regression { center, scale }), Some(label)) = (&mut task, targets.label) {
        (*center, *scale) = scan.columns[label].center_and_scale();
    }
    let probabilities = probabilities(&args, &input.names, task.as_ref())?;
    let features = features(&args, &input, &targets, &probabilities, &scan)?;
    let told = Told { targets, probabilities, task: task.as_ref() };
    let counted = count(&args, &mut input, &scan, &features, told)?;
    let baseline = counted.baseline.clone();
    let (mut profile, left_out) = assemble(&args, &input, &scan, &features, counted, task);
    let names: Vec<&str> = profile.features.iter().map(|f| f.name.as_str()).collect();
    profile.losses = losses::read(&args, &names, &profile.baseline)?;
    let mut warnings = warnings(&args, &profile, &left_out);
    if let Some(time) = targets.time {
        let meter = Meter::new(&profile, &positions(&features), targets, &scan.columns, time);
        let known = scan.columns.len();
        profile.design =
            repeats::measure(&mut input, meter, baseline.as_ref(), targets, known, &mut warnings)?;
    }
    let profile = file::write(&args.output, &profile)?;
    Ok(Report { profile, warnings, output: args.output })
}

fn check(args: &ProfileArgs) -> Result<(), ProfileError> {
    let wrong = |option, what: String| Err(ProfileError::Option { option, what });
    if args.categories_max == 0 || args.categories_max > CATEGORIES_MAX {
        return wrong("--categories-max", format!("expected 1 to {CATEGORIES_MAX}"));
    }
    if !(0.0..=1.0).contains(&args.threshold) {
        return wrong("--threshold", "expected a number from 0 to 1".into());
    }
    if let Some(name) = args.numeric.iter().find(|name| args.categorical.contains(name)) {
        return wrong("--numeric", format!("`{}` is in --categorical too", printable(name, 80)));
    }
    Ok(())
}

/// The files, the rows that are wanted of them, and the columns' names.
struct Input<'a> {
    sources: Vec<Source>,
    filters: Vec<(String, String)>,
    names: Names,
    progress: &'a mut dyn FnMut(Progress),
}

fn filters(args: &ProfileArgs) -> Result<Vec<(String, String)>, ProfileError> {
    let parse = |filter: &String| match filter.split_once('=') {
        Some((column, value)) => Ok((column.to_owned(), value.to_owned())),
        None => Err(ProfileError::Option {
            option: "--where",
            what: format!("`{}`: expected COLUMN=VALUE", printable(filter, 80)),
        }),
    };
    args.filters.iter().map(parse).collect()
}

impl Input<'_> {
    /// Visits the wanted rows of all files.
    fn read(&mut self, pass: u8, visit: &mut Visit) -> Result<(), ProfileError> {
        let mut rows = 0u64;
        for source in &self.sources {
            let mut wanted = |names: &Names, cells: &[Cell]| {
                rows += 1;
                if rows.is_multiple_of(PROGRESS_ROWS) {
                    (self.progress)(Progress { pass, file: source.name(), rows });
                }
                if self.filters.iter().all(|filter| passes(filter, names, cells)) {
                    visit(names, cells)?;
                }
                Ok(())
            };
            source.read(&mut self.names, &mut wanted)?;
            (self.progress)(Progress { pass, file: source.name(), rows });
        }
        Ok(())
    }
}

fn passes((column, value): &(String, String), names: &Names, cells: &[Cell]) -> bool {
    let cell = names.position(column).and_then(|at| cells.get(at)).copied();
    let Some(cell) = cell else { return false };
    [true, false].iter().any(|&numbers| cell.category(numbers).is_some_and(|text| text == *value))
}

/// The first pass.
struct Scan {
    rows: u64,
    columns: Vec<ColumnScan>,
}

fn scan(args: &ProfileArgs, input: &mut Input) -> Result<Scan, ProfileError> {
    let mut scan = Scan { rows: 0, columns: Vec::new() };
    let forced = |name: &str| {
        let listed = |list: &[String]| list.iter().any(|listed| listed == name);
        match (listed(&args.numeric), listed(&args.categorical)) {
            (true, _) => Some(Kind::Numeric),
            (_, true) => Some(Kind::Categorical),
            _ if args.score.as_deref() == Some(name) => Some(Kind::Numeric),
            _ => None,
        }
    };
    let features_under = args.features_under.as_deref();
    input.read(1, &mut |names, cells| {
        scan.rows += 1;
        while scan.columns.len() < cells.len() {
            let name = names.get(scan.columns.len());
            let forced = forced(feature_name(name, features_under).unwrap_or(name));
            scan.columns.push(ColumnScan::new(forced, args.categories_max));
        }
        for (column, cell) in scan.columns.iter_mut().zip(cells) {
            column.add(*cell);
        }
        Ok(())
    })?;
    for (column, _) in &input.filters {
        known("--where", column, &input.names, None)?;
    }
    for (option, columns) in [
        ("--numeric", &args.numeric),
        ("--categorical", &args.categorical),
        ("--ignore", &args.ignore),
    ] {
        for column in columns {
            known(option, column, &input.names, features_under)?;
        }
    }
    if scan.rows == 0 {
        let filters = input.filters.is_empty();
        let why = if filters { "the files are empty" } else { "--where lets none through" };
        return Err(ProfileError::NoRows(why.into()));
    }
    // Columns of a file without any row.
    while scan.columns.len() < input.names.len() {
        scan.columns.push(ColumnScan::new(None, args.categories_max));
    }
    Ok(scan)
}

/// Where a column is, by its own name or by a feature's.
fn known(
    option: &'static str,
    column: &str,
    names: &Names,
    features_under: Option<&str>,
) -> Result<usize, ProfileError> {
    let nested = features_under.map(|object| format!("{object}/{column}"));
    let found = names.position(column).or_else(|| names.position(nested.as_deref()?));
    found.ok_or_else(|| {
        const SHOWN: usize = 20;
        let mut columns: Vec<String> =
            names.iter().take(SHOWN).map(|name| format!("`{}`", printable(name, 40))).collect();
        if names.len() > SHOWN {
            columns.push("...".into());
        }
        let column = printable(column, 80);
        ProfileError::UnknownColumn { option, column, columns: columns.join(", ") }
    })
}

/// The name under which a column is a feature; `None` if it is outside the object that holds them.
fn feature_name<'n>(name: &'n str, features_under: Option<&str>) -> Option<&'n str> {
    match features_under {
        Some(object) => name.strip_prefix(object)?.strip_prefix('/'),
        None => Some(name),
    }
}

/// Where the columns are that are not features.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TargetColumns {
    pub score: Option<usize>,
    pub prediction: Option<usize>,
    pub label: Option<usize>,
    pub weight: Option<usize>,
    pub time: Option<usize>,
}

impl TargetColumns {
    fn find(args: &ProfileArgs, names: &Names) -> Result<Self, ProfileError> {
        let find = |option, column: &Option<String>| {
            column.as_deref().map(|column| known(option, column, names, None)).transpose()
        };
        Ok(Self {
            score: find("--score", &args.score)?,
            prediction: find("--prediction", &args.prediction)?,
            label: find("--label", &args.label)?,
            weight: find("--weight", &args.weight)?,
            time: find("--time", &args.time)?,
        })
    }

    fn scans(self, columns: &[ColumnScan]) -> Targets<'_> {
        let scan = |at: Option<usize>| at.map(|at| &columns[at]);
        Targets {
            score: scan(self.score),
            prediction: scan(self.prediction),
            label: scan(self.label),
        }
    }

    /// Labels and predictions are classes or numbers, whatever their values look like.
    fn force_kinds(self, task: Option<&Task>, columns: &mut [ColumnScan]) {
        let kind = match task {
            Some(Task::Regression { .. }) => Kind::Numeric,
            _ => Kind::Categorical,
        };
        for at in [self.prediction, self.label].into_iter().flatten() {
            columns[at].forced = Some(kind);
        }
    }

    /// Regression: the predicted values may be called a score or a prediction.
    pub(super) fn predicted_value(self) -> Option<usize> {
        self.score.or(self.prediction)
    }
}

/// A column that is a feature, and its name as one.
struct Feature {
    column: usize,
    name: String,
}

fn features(
    args: &ProfileArgs,
    input: &Input,
    targets: &TargetColumns,
    probabilities: &[usize],
    scan: &Scan,
) -> Result<Vec<Feature>, ProfileError> {
    let targets = [targets.score, targets.prediction, targets.label, targets.weight, targets.time];
    let mut features = Vec::new();
    for (column, full_name) in input.names.iter().enumerate() {
        let filtered = input.filters.iter().any(|(filter, _)| filter == full_name);
        let Some(name) = feature_name(full_name, args.features_under.as_deref()) else { continue };
        let ignored = args.ignore.iter().any(|ignored| ignored == name || ignored == full_name);
        let only_unsupported = {
            let scan = &scan.columns[column];
            scan.unsupported > 0 && scan.values() == 0
        };
        let target = targets.contains(&Some(column)) || probabilities.contains(&column);
        if filtered || ignored || only_unsupported || target {
            continue;
        }
        features.push(Feature { column, name: name.to_owned() });
    }
    if features.is_empty() && args.features_under.is_some() {
        let object = args.features_under.as_deref().unwrap_or_default();
        known("--features-under", object, &input.names, None)?;
    }
    Ok(features)
}

/// What is known of the columns that are not features.
struct Told<'a> {
    targets: TargetColumns,
    /// One a class of the task, in its order; empty where none are given.
    probabilities: Vec<usize>,
    task: Option<&'a Task>,
}

/// The columns of `--probability`, in the order of the task's classes.
fn probabilities(
    args: &ProfileArgs,
    names: &Names,
    task: Option<&Task>,
) -> Result<Vec<usize>, ProfileError> {
    const OPTION: &str = "--probability";
    if args.probability.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = |what: String| Err(ProfileError::Option { option: OPTION, what });
    let Some(Task::Multiclass { classes, .. }) = task else {
        return wrong("it is for several classes; a binary model has --score".into());
    };
    let mut columns = vec![None; classes.len()];
    for written in &args.probability {
        let shown = printable(written, 80);
        let Some((class, column)) = written.split_once('=') else {
            return wrong(format!("`{shown}`: expected CLASS=COLUMN"));
        };
        match classes.iter().position(|known| known == class) {
            Some(at) => columns[at] = Some(known(OPTION, column, names, None)?),
            None => return wrong(format!("`{shown}`: the class does not occur in the data")),
        }
    }
    match columns.iter().position(Option::is_none) {
        None => Ok(columns.into_iter().flatten().collect()),
        Some(at) => wrong(format!("the class `{}` has none", printable(&classes[at], 80))),
    }
}

/// What the second pass counted.
struct Counted {
    features: Vec<ColumnCount>,
    score: Option<ColumnCount>,
    prediction: Option<ColumnCount>,
    label: Option<ColumnCount>,
    baseline: Option<Baseline>,
}

fn count(
    args: &ProfileArgs,
    input: &mut Input,
    scan: &Scan,
    features: &[Feature],
    told: Told<'_>,
) -> Result<Counted, ProfileError> {
    let Told { targets, probabilities, task } = told;
    let columns = &scan.columns;
    let column_count = |at: Option<usize>| at.map(|at| ColumnCount::new(&columns[at]));
    let regression = matches!(task, Some(Task::Regression { .. }));
    let score = if regression { targets.predicted_value() } else { targets.score };
    let prediction = targets.prediction.filter(|_| !regression);
    let mut counted = Counted {
        features: features.iter().map(|f| ColumnCount::new(&columns[f.column])).collect(),
        score: column_count(score),
        prediction: column_count(prediction),
        label: column_count(targets.label),
        baseline: task
            .map(|task| Baseline::new(task, targets.scans(columns), args.weight.is_some()))
            .map(|baseline| baseline.with_probabilities(probabilities)),
    };
    let columns_known = columns.len();
    let mut rows = 0u64;
    input.read(2, &mut |_, cells| {
        rows += 1;
        if cells.len() > columns_known {
            return Err(ProfileError::Changed);
        }
        let cell = |at: usize| cells.get(at).copied().unwrap_or(Cell::Missing);
        for (count, feature) in counted.features.iter_mut().zip(features) {
            count.add(cell(feature.column));
        }
        let others = [
            (&mut counted.score, score),
            (&mut counted.prediction, prediction),
            (&mut counted.label, targets.label),
        ];
        for (count, at) in others {
            if let (Some(count), Some(at)) = (count, at) {
                count.add(cell(at));
            }
        }
        if let Some(baseline) = &mut counted.baseline {
            baseline.add(&cell, targets);
        }
        Ok(())
    })?;
    if rows != scan.rows {
        return Err(ProfileError::Changed);
    }
    Ok(counted)
}

fn positions(features: &[Feature]) -> BTreeMap<&str, usize> {
    features.iter().map(|feature| (feature.name.as_str(), feature.column)).collect()
}

/// The profile, and what could not enter it.
fn assemble(
    args: &ProfileArgs,
    input: &Input,
    scan: &Scan,
    features: &[Feature],
    mut counted: Counted,
    task: Option<Task>,
) -> (Profile, LeftOut) {
    let calibration = match &mut counted.baseline {
        Some(baseline) => baseline.calibration(),
        None => Fitted::Nothing,
    };
    let mut left_out = LeftOut {
        columns: Vec::new(),
        calibration: match &calibration {
            Fitted::Refused(why) => Some(why.clone()),
            Fitted::Nothing | Fitted::Reference(_) => None,
        },
        rows: counted.baseline.as_ref().map_or(0, |baseline| baseline.left_out),
    };
    for (column, name) in input.names.iter().enumerate() {
        let scan = &scan.columns[column];
        let inside = feature_name(name, args.features_under.as_deref());
        if let Some(name) = inside.filter(|_| scan.unsupported > 0 && scan.values() == 0) {
            left_out.columns.push((name.to_owned(), "lists, dates and the like are not described"));
        }
    }
    let mut described = Vec::new();
    for (feature, count) in features.iter().zip(counted.features) {
        match count.finish(&feature.name, args.categories_max) {
            Some(reference) => described.push(reference),
            None => {
                left_out.columns.push((feature.name.clone(), "its numbers are too large to square"))
            }
        }
    }
    let distribution = |count: Option<ColumnCount>| {
        count.and_then(|count| count.finish("", args.categories_max)).map(|f| f.distribution)
    };
    let score = distribution(counted.score);
    let label = distribution(counted.label);
    let by_threshold = || counted.baseline.as_ref().and_then(Baseline::classes_by_threshold);
    let predicted = distribution(counted.prediction).or_else(by_threshold);
    let classes = match &task {
        Some(Task::Binary { .. }) | Some(Task::Multiclass { .. }) => {
            classes(task.as_ref(), [label.as_ref(), predicted.as_ref()])
        }
        _ => Vec::new(),
    };
    let profile = Profile {
        format: file::FORMAT.into(),
        version: PROFILE_VERSION,
        model: args.model.clone(),
        task: task.as_ref().map(|task| task.name().to_owned()),
        rows: scan.rows,
        sources: input.sources.iter().map(Source::name).collect(),
        trained_on: args.trained_on,
        classes,
        positive_class: match &task {
            Some(Task::Binary { positive_class, .. }) => Some(positive_class.clone()),
            _ => None,
        },
        features: described,
        score: score.and_then(numeric),
        predicted_classes: predicted.and_then(categorical),
        label_classes: label.clone().and_then(categorical),
        label_values: label.and_then(numeric),
        baseline: counted.baseline.as_ref().map(Baseline::finish).unwrap_or_default(),
        design: None,
        calibration: match calibration {
            Fitted::Reference(reference) => Some(reference),
            Fitted::Nothing | Fitted::Refused(_) => None,
        },
        losses: Vec::new(),
        content_hash: String::new(),
    };
    (profile, left_out)
}

/// All classes that occur or that the task names, sorted.
fn classes(task: Option<&Task>, found: [Option<&Distribution>; 2]) -> Vec<String> {
    let mut classes = match task {
        Some(Task::Binary { positive_class, negative_class, .. }) => {
            negative_class.iter().chain([positive_class]).cloned().collect()
        }
        Some(Task::Multiclass { classes, .. }) => classes.clone(),
        _ => Vec::new(),
    };
    for distribution in found.into_iter().flatten() {
        if let Distribution::Categorical(reference) = distribution {
            classes.extend(reference.categories.iter().map(|category| category.value.clone()));
        }
    }
    classes.sort_unstable();
    classes.dedup();
    classes
}

fn numeric(distribution: Distribution) -> Option<NumericReference> {
    match distribution {
        Distribution::Numeric(reference) => Some(reference),
        Distribution::Categorical(_) => None,
    }
}

fn categorical(distribution: Distribution) -> Option<CategoricalReference> {
    match distribution {
        Distribution::Categorical(reference) => Some(reference),
        Distribution::Numeric(_) => None,
    }
}
