//! Making profiles and reading them back.

mod calibration;
mod refusals;

use clap::Parser;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tidemark::engine::reference::{
    CATEGORY_BYTES_MAX, CategoricalReference, Distribution, FeatureReference, NumericReference,
    Profile,
};
use tidemark::profile::{ProfileArgs, ProfileError, Report, read, run};

/// The options as the command line gives them.
#[derive(Parser)]
pub struct Cli {
    #[command(flatten)]
    pub args: ProfileArgs,
}

/// A folder that is gone after the test, with the data files and the profile.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// `tidemark profile DATA -o p.json OPTIONS`.
    fn profile(&self, data: &[&Path], options: &[&str]) -> Result<Report, ProfileError> {
        let mut words = vec!["profile".to_owned()];
        words.extend(data.iter().map(|path| path.display().to_string()));
        words.extend(["-o".into(), self.path("p.json").display().to_string()]);
        words.extend(options.iter().map(|&option| option.to_owned()));
        run(Cli::try_parse_from(words).unwrap().args, &mut |_| {})
    }

    fn of_csv(&self, content: &str, options: &[&str]) -> Result<Report, ProfileError> {
        let data = self.file("data.csv", content);
        self.profile(&[&data], options)
    }
}

fn tests(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn pandas() -> Value {
    let text = std::fs::read_to_string(tests("oracle/profile/adult_sample.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

const ADULT: [&str; 8] = [
    "--label",
    "label",
    "--score",
    "score",
    "--prediction",
    "prediction",
    "--where",
    "split=reference",
];

fn feature<'p>(profile: &'p Profile, name: &str) -> &'p FeatureReference {
    profile.features.iter().find(|feature| feature.name == name).unwrap()
}

fn numbers(distribution: &Distribution) -> &NumericReference {
    match distribution {
        Distribution::Numeric(reference) => reference,
        Distribution::Categorical(_) => panic!("categorical"),
    }
}

fn categories(distribution: &Distribution) -> &CategoricalReference {
    match distribution {
        Distribution::Categorical(reference) => reference,
        Distribution::Numeric(_) => panic!("numeric"),
    }
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * b.abs().max(1.0)
}

#[test]
fn the_profile_of_the_adult_sample_has_the_counts_that_pandas_has() {
    let bench = Bench::new();
    let report = bench.profile(&[&tests("data/adult_sample.csv.gz")], &ADULT).unwrap();
    let (profile, expected) = (&report.profile, pandas());
    assert_eq!(profile.rows, expected["rows"].as_u64().unwrap());
    assert_eq!(profile.features.len(), 13);
    assert_eq!(profile.sources, ["adult_sample.csv.gz"]);
    for (name, expected) in expected["numeric"].as_object().unwrap() {
        let score = profile.score.as_ref().unwrap();
        let of_feature = |name| numbers(&feature(profile, name).distribution);
        let found = if name == "score" { score } else { of_feature(name) };
        for (key, found) in
            [("mean", found.mean), ("std", found.std), ("min", found.min), ("max", found.max)]
        {
            let expected = expected[key].as_f64().unwrap();
            assert!(close(found, expected), "{name} {key}: {expected}, found {found}");
        }
        let Some(counts) = expected["counts"].as_array() else { continue };
        let filled = found.counts.iter().filter(|&&count| count > 0).count();
        assert_eq!(filled, counts.len(), "{name}");
        for pair in counts {
            let (value, count) = (pair[0].as_f64().unwrap(), pair[1].as_u64().unwrap());
            let bin = found.edges.iter().position(|&edge| edge == value).unwrap();
            assert_eq!(found.counts[bin], count, "{name} = {value}");
            assert_eq!(found.sums[bin], value * count as f64, "{name} = {value}");
        }
    }
    for (name, expected) in expected["categorical"].as_object().unwrap() {
        let found = categories(&feature(profile, name).distribution);
        assert_eq!(found.categories.len(), expected.as_object().unwrap().len(), "{name}");
        for category in &found.categories {
            assert_eq!(expected[&category.value], category.count, "{name} {}", category.value);
        }
        let order: Vec<_> =
            found.categories.iter().map(|c| (std::cmp::Reverse(c.count), &c.value)).collect();
        assert!(order.is_sorted(), "{name}");
    }
}

#[test]
fn the_baseline_of_the_adult_sample_is_what_pandas_and_scipy_compute() {
    let bench = Bench::new();
    let profile = bench.profile(&[&tests("data/adult_sample.csv.gz")], &ADULT).unwrap().profile;
    assert_eq!(profile.task.as_deref(), Some("binary"));
    assert_eq!(profile.classes, ["0", "1"]);
    assert_eq!(profile.positive_class.as_deref(), Some("1"));
    for (name, expected) in pandas()["baseline"].as_object().unwrap() {
        let (found, expected) = (&profile.baseline[name], expected.as_f64().unwrap());
        let allowed = found.error_max + 1e-9;
        assert!((found.value - expected).abs() <= allowed, "{name}: {expected}, found {found:?}");
    }
    assert_eq!(profile.baseline["accuracy"].support, 2036);

    let weighted = [&ADULT[..], &["--weight", "hours-per-week"]].concat();
    let profile = bench.profile(&[&tests("data/adult_sample.csv.gz")], &weighted).unwrap().profile;
    let expected = pandas()["weighted_accuracy"].as_f64().unwrap();
    assert!((profile.baseline["accuracy"].value - expected).abs() < 1e-9);
    assert!(profile.features.iter().all(|feature| feature.name != "hours-per-week"));
}

#[test]
fn a_regression_has_label_values_and_errors_as_its_baseline() {
    let bench = Bench::new();
    let options = ["--label", "age", "--prediction", "hours-per-week", "--task", "regression"];
    let options = [&options[..], &["--where", "split=reference"]].concat();
    let profile = bench.profile(&[&tests("data/adult_sample.csv.gz")], &options).unwrap().profile;
    let expected = pandas();
    let values = profile.label_values.as_ref().unwrap();
    assert!(close(values.mean, expected["numeric"]["age"]["mean"].as_f64().unwrap()));
    assert!(close(values.std, expected["numeric"]["age"]["std"].as_f64().unwrap()));
    assert_eq!(profile.score.as_ref().unwrap().max, 99.0);
    assert_eq!((&profile.label_classes, &profile.predicted_classes), (&None, &None));
    for name in ["mae", "bias"] {
        let expected = expected["regression_age_on_hours"][name].as_f64().unwrap();
        assert!((profile.baseline[name].value - expected).abs() < 1e-9, "{name}");
    }
}

#[test]
fn the_same_rows_give_the_same_profile_from_csv_json_lines_and_parquet() {
    let bench = Bench::new();
    let mut profiles = Vec::new();
    let plain = bench.path("adult_sample.csv");
    let mut unpacked = String::new();
    let packed = std::fs::File::open(tests("data/adult_sample.csv.gz")).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed), &mut unpacked)
        .unwrap();
    std::fs::write(&plain, &unpacked).unwrap();
    let tabbed = bench.file("adult_sample.tsv", unpacked.replace(',', "\t"));
    // In parts, so that batches end elsewhere.
    let (header, body) = unpacked.split_once('\n').unwrap();
    let lines: Vec<&str> = body.lines().collect();
    let part =
        |name: &str, lines: &[&str]| bench.file(name, format!("{header}\n{}\n", lines.join("\n")));
    let parts = [
        part("1.csv", &lines[..700]),
        part("2.csv", &lines[700..701]),
        part("3.csv", &lines[701..]),
    ];
    for data in [
        vec![tests("data/adult_sample.csv.gz")],
        vec![plain],
        vec![tabbed],
        parts.to_vec(),
        vec![tests("data/adult_sample.jsonl.gz")],
        vec![tests("data/adult_sample.parquet")],
    ] {
        let data: Vec<&Path> = data.iter().map(PathBuf::as_path).collect();
        let mut profile = bench.profile(&data, &ADULT).unwrap().profile;
        profile.sources.clear();
        profile.content_hash.clear();
        profiles.push(profile);
    }
    for profile in &profiles[1..] {
        assert_eq!(profile, &profiles[0]);
    }
}

#[test]
fn a_profile_is_the_same_file_each_time_and_reads_back_as_it_was() {
    let bench = Bench::new();
    let mut files = Vec::new();
    for _ in 0..2 {
        let report = bench.profile(&[&tests("data/adult_sample.parquet")], &ADULT).unwrap();
        files.push(std::fs::read(bench.path("p.json")).unwrap());
        assert_eq!(read(&bench.path("p.json")).unwrap(), report.profile);
    }
    assert_eq!(files[0], files[1]);
    // Written anew by another program, with members in another order, it is still the same profile.
    let mut value: Value = serde_json::from_slice(&files[0]).unwrap();
    value.sort_all_objects();
    let other = bench.file("other.json", value.to_string());
    assert_eq!(read(&other).unwrap(), read(&bench.path("p.json")).unwrap());
    assert!(!bench.path("p.json.partial").exists());
}

#[test]
fn one_row_is_enough_for_a_profile_with_a_warning() {
    let bench = Bench::new();
    let report = bench.of_csv("x,c,label,p\n1.5,red,1,0.7\n", &["--label=label", "--score=p"]);
    let report = report.unwrap();
    let x = numbers(&feature(&report.profile, "x").distribution);
    assert_eq!((x.mean, x.std, x.min, x.max), (1.5, 0.0, 1.5, 1.5));
    assert_eq!((&x.edges, &x.counts), (&vec![1.5, 1.5f64.next_up()], &vec![1]));
    assert_eq!(report.profile.baseline["accuracy"].value, 1.0);
    assert!(report.warnings.iter().any(|w| w.starts_with("only 1 rows")), "{:?}", report.warnings);
    assert!(report.warnings.iter().any(|w| w.contains("one value only: `x`, `c`")));
    read(&bench.path("p.json")).unwrap();
}

#[test]
fn a_column_that_is_always_missing_is_kept_without_categories_and_warned_of() {
    let bench = Bench::new();
    let report = bench.of_csv("x,empty,void\n1,,\n2,,\n", &["--numeric", "empty"]).unwrap();
    for name in ["empty", "void"] {
        let empty = feature(&report.profile, name);
        assert_eq!((empty.missing, empty.rows()), (2, 2));
        assert_eq!(categories(&empty.distribution).categories, []);
    }
    let warned = |text: &str| report.warnings.iter().any(|warning| warning.contains(text));
    assert!(warned("no value at all: `empty`, `void`"), "{:?}", report.warnings);
}

#[test]
fn missing_null_invalid_and_not_finite_values_are_counted_apart() {
    let bench = Bench::new();
    let mut lines = String::new();
    for i in 0..20 {
        writeln!(lines, r#"{{"x": {i}, "c": "a", "nested": {{"deep": {{"z": {i}}}}}}}"#).unwrap();
    }
    lines.push_str("{\"x\": null, \"c\": null}\n\n{\"c\": true}\n{\"x\": \"7\", \"c\": 1.0}\n");
    lines.push_str("{\"x\": [1], \"c\": [1], \"list\": [1, 2]}\n");
    let data = bench.file("data.jsonl", lines);
    let report = bench.profile(&[&data], &[]).unwrap();
    let x = feature(&report.profile, "x");
    // A number in a string is no number: the daemon reads it the same way.
    assert_eq!((x.missing, x.null, x.invalid, x.distribution.rows()), (1, 1, 2, 20));
    let c = feature(&report.profile, "c");
    assert_eq!((c.null, c.invalid), (1, 1));
    let listed: Vec<_> = categories(&c.distribution)
        .categories
        .iter()
        .map(|c| (c.value.as_str(), c.count))
        .collect();
    assert_eq!(listed, [("a", 20), ("1", 1), ("true", 1)]);
    assert_eq!(feature(&report.profile, "nested/deep/z").missing, 4);
    assert!(report.profile.features.iter().all(|feature| feature.name != "list"));
    let warned = |text: &str| report.warnings.iter().any(|warning| warning.contains(text));
    assert!(warned("column `list` is left out"), "{:?}", report.warnings);
    assert!(warned("another type, counted as invalid: `x`, `c`"), "{:?}", report.warnings);

    let csv = "x,y\n1,1\nNaN,1\ninf,1\n-Infinity,1\n2,1\n1e999,1\n";
    let report = bench.of_csv(csv, &[]).unwrap();
    let x = feature(&report.profile, "x");
    assert_eq!((x.non_finite, x.distribution.rows()), (4, 2));
    assert_eq!(numbers(&x.distribution).max, 2.0);
}

#[test]
fn only_members_of_the_features_object_are_features_if_asked_for() {
    let bench = Bench::new();
    let lines = r#"{"id": 1, "features": {"age": 30, "sex": "f"}, "out": {"p": 0.5}, "y": 0}
{"id": 2, "features": {"age": 40, "sex": "m"}, "out": {"p": 0.25}, "y": 1}"#;
    let data = bench.file("data.ndjson", lines);
    let options = ["--features-under=features", "--score=out/p", "--label=y", "--categorical=age"];
    let profile = bench.profile(&[&data], &options).unwrap().profile;
    let names: Vec<_> = profile.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["age", "sex"]);
    categories(&profile.features[0].distribution);
    assert_eq!(profile.score.unwrap().max, 0.5);
    let error = bench.profile(&[&data], &["--features-under", "feature"]).unwrap_err().to_string();
    assert!(error.contains("--features-under: the data has no column `feature`"), "{error}");
}

#[test]
fn categories_beyond_the_maximum_and_very_long_ones_count_as_other() {
    let bench = Bench::new();
    let mut csv = String::from("c,d\n");
    for i in 0..300 {
        // Value v300 comes most often, v1 least.
        for _ in 0..=i / 3 {
            writeln!(csv, "v{},1", i + 1).unwrap();
        }
    }
    writeln!(csv, "{},1", "x".repeat(CATEGORY_BYTES_MAX)).unwrap();
    writeln!(csv, "{},1", "x".repeat(CATEGORY_BYTES_MAX + 1)).unwrap();
    let rows = csv.lines().count() as u64 - 1;
    let all = bench.of_csv(&csv, &[]).unwrap().profile;
    let found = categories(&feature(&all, "c").distribution).clone();
    assert_eq!((found.categories.len(), found.other, found.rows()), (301, 1, rows));
    let few = bench.of_csv(&csv, &["--categories-max", "10"]).unwrap().profile;
    let few = categories(&feature(&few, "c").distribution).clone();
    assert_eq!(few.categories, found.categories[..10]);
    assert_eq!(few.rows(), rows);
    assert_eq!(few.categories[0].count, 100);
    read(&bench.path("p.json")).unwrap();
}

#[test]
fn frequent_categories_are_counted_exactly_among_more_than_there_is_room_for() {
    let bench = Bench::new();
    let mut csv = String::from("c,d\n");
    for i in 0..30_000 {
        let value = if i % 10 == 3 { "often".into() } else { format!("u{i}") };
        writeln!(csv, "{value},{i}").unwrap();
    }
    let report = bench.of_csv(&csv, &["--categories-max", "5"]).unwrap();
    let found = categories(&feature(&report.profile, "c").distribution).clone();
    assert_eq!((found.categories[0].value.as_str(), found.categories[0].count), ("often", 3_000));
    assert_eq!(found.rows(), 30_000);
}

#[test]
fn quantile_bins_of_a_long_column_hold_nearly_equal_shares_and_atoms_stand_alone() {
    let bench = Bench::new();
    let mut csv = String::from("x,d\n");
    let rows = 60_000u64;
    for i in 0..rows {
        // Spread over [0, 1) in a scrambled order; every fifth value is 0.25.
        let x = if i % 5 == 0 { 0.25 } else { (i * 48_271 % rows) as f64 / rows as f64 };
        writeln!(csv, "{x},{i}").unwrap();
    }
    let profile = bench.of_csv(&csv, &[]).unwrap().profile;
    let x = numbers(&feature(&profile, "x").distribution);
    let at = x.edges.iter().position(|&edge| edge == 0.25).unwrap();
    assert_eq!(x.edges[at + 1], 0.25f64.next_up());
    assert!(x.counts[at] >= rows / 5 && x.counts[at] <= rows / 5 + 1);
    assert_eq!(x.rows(), rows);
    let share = (rows * 4 / 5) as f64 / 253.0;
    for (bin, &count) in x.counts.iter().enumerate().filter(|(bin, _)| *bin != at) {
        // The atom parts one bin in two.
        let beside = bin + 1 == at || bin == at + 1;
        let near = (count as f64 - share).abs() <= 0.25 * share;
        assert!(near || (beside && (count as f64) < share), "bin {bin}: {count} of {share}");
    }
    assert!((8..=12).contains(&x.coarse.len()), "{:?}", x.coarse);
    assert!(x.coarse.contains(&(at as u16)) && x.coarse.contains(&(at as u16 + 1)));
}

#[test]
fn a_task_is_found_from_the_labels_or_asked_for() {
    let bench = Bench::new();
    let task = |labels: &[&str], options: &[&str]| {
        let mut csv = String::from("x,label,p\n");
        for (i, label) in labels.iter().cycle().take(200).enumerate() {
            writeln!(csv, "{i},{},{label}", label.replace('#', &i.to_string())).unwrap();
        }
        let options = [&["--label", "label", "--prediction", "p"], options].concat();
        bench.of_csv(&csv, &options).map(|report| report.profile)
    };
    let profile = task(&["0", "1"], &[]).unwrap();
    assert_eq!(profile.positive_class.as_deref(), Some("1"));
    let profile = task(&["True", "False"], &[]).unwrap();
    assert_eq!(profile.positive_class.as_deref(), Some("true"));
    assert_eq!(profile.baseline["accuracy"].value, 1.0);
    let error = task(&["yes", "no"], &[]).unwrap_err().to_string();
    assert!(
        error.contains("--positive-class: say which class is positive: `no`, `yes`"),
        "{error}"
    );
    let profile = task(&["yes", "no"], &["--positive-class", "yes"]).unwrap();
    assert_eq!(profile.classes, ["no", "yes"]);
    let error = task(&["yes", "no"], &["--positive-class", "Yes"]).unwrap_err().to_string();
    assert!(error.contains("`Yes` does not occur; the classes are `no`, `yes`"), "{error}");

    let profile = task(&["cat", "dog", "cow"], &[]).unwrap();
    assert_eq!(profile.task.as_deref(), Some("multiclass"));
    assert_eq!(profile.classes, ["cat", "cow", "dog"]);
    assert_eq!(profile.baseline["accuracy"].value, 1.0);
    let error = task(&["1", "2", "3"], &[]).unwrap_err().to_string();
    assert!(error.contains("--task: the labels are 3 whole numbers"), "{error}");
    assert_eq!(task(&["1", "2", "3"], &["--task", "multiclass"]).unwrap().classes.len(), 3);
    assert_eq!(task(&["0.5", "1", "2"], &[]).unwrap().task.as_deref(), Some("regression"));
    let error = task(&["c#"], &["--task", "multiclass"]).unwrap_err().to_string();
    assert!(error.contains("classes, at most 64"), "{error}");
}

#[test]
fn the_report_is_aligned_and_shows_no_control_characters_of_the_data() {
    let bench = Bench::new();
    let lines =
        "{\"age\u{1b}[31m\": 1, \"colour\": \"red\\u001b[2J\"}\n".replace('\u{1b}', "\\u001b");
    let data = bench.file("data.jsonl", lines);
    let report = bench.profile(&[&data], &["--trained-on"]).unwrap();
    assert!(report.profile.trained_on);
    let text = report.to_string();
    assert!(!text.contains('\u{1b}') && text.contains("age\u{fffd}[31m"), "{text}");
    assert!(text.contains("warning: the model was trained on this data"), "{text}");
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("feature")).collect();
    let column = lines[0].find("kind").unwrap();
    let kind = |line: &str| line.chars().skip(column).take(7).collect::<String>();
    assert_eq!(kind(lines[1]), "numeric");
    assert_eq!(kind(lines[2]), "categor");
}

#[test]
fn progress_is_told_for_both_passes() {
    let bench = Bench::new();
    let data = bench.file("data.csv", "x,y\n1,a\n");
    let output = bench.path("p.json").display().to_string();
    let words = ["profile", &data.display().to_string(), "-o", &output];
    let mut told = Vec::new();
    run(Cli::parse_from(words).args, &mut |progress| told.push((progress.pass, progress.rows)))
        .unwrap();
    assert_eq!(told, [(1, 1), (2, 1)]);
}

/// Two weeks of rows, four an hour; every other hour `colour` is red, and `size` comes twice.
fn rows_over_time(times: usize) -> String {
    let mut random = fastrand::Rng::with_seed(5);
    let mut csv = String::from("at,size,colour,label,score\n");
    for hour in 0..14 * 24 {
        for row in 0..20 {
            let size = random.u32(0..1_000);
            let colour = if hour % 2 == 0 { "red" } else { ["red", "blue"][row % 2] };
            let score = random.f64();
            let label = u8::from(random.f64() < score);
            for _ in 0..times {
                let at = 1_769_904_000 + hour * 3_600 + row * 180;
                writeln!(csv, "{at},{size},{colour},{label},{score}").unwrap();
            }
        }
    }
    csv
}

#[test]
fn rows_that_repeat_each_other_over_time_are_measured() {
    let bench = Bench::new();
    let options = ["--time", "at", "--label", "label", "--score", "score"];
    let report = bench.of_csv(&rows_over_time(3), &options).unwrap();
    assert_eq!(report.profile.features.len(), 2, "the time is no feature");
    let design = report.profile.design.as_ref().unwrap();
    let lengths: Vec<(u64, u64)> = design.scales.iter().map(|s| (s.seconds, s.blocks)).collect();
    // There are only two weeks.
    assert_eq!(lengths, [(300, 14 * 24 * 12), (900, 14 * 96), (3_600, 14 * 24), (86_400, 14)]);
    let hour = &design.scales[2];
    assert_eq!(hour.rows, 60.0);
    let (size, colour) = (hour.features["size"], hour.features["colour"]);
    assert!((2.8..3.5).contains(&size.values), "every row three times: {size:?}");
    // 60 rows that are all red or half red: far from three quarters with a chance of its own.
    assert!(colour.values > 15.0, "{colour:?}");
    assert!((2.8..3.6).contains(&hour.errors) && hour.outputs["score"].values > 2.8, "{hour:?}");
    assert_eq!((size.missing, size.invalid), (1.0, 1.0), "none is missing");
    // Days are alike, but for what repeats.
    assert!(design.scales[3].features["colour"].values < 5.0);
    let read = read(&bench.path("p.json")).unwrap();
    assert_eq!(read, report.profile);
}

#[test]
fn a_profile_without_times_says_nothing_of_them_and_reads_as_before() {
    let bench = Bench::new();
    let csv = rows_over_time(1);
    let report = bench.of_csv(&csv, &["--ignore", "at,label,score"]).unwrap();
    assert_eq!(report.profile.design, None);
    let text = std::fs::read_to_string(bench.path("p.json")).unwrap();
    assert!(!text.contains("design"), "an old program reads it too");
    let few: String = csv.lines().take(10).map(|line| format!("{line}\n")).collect();
    let report = bench.of_csv(&few, &["--time", "at", "--ignore", "label,score"]).unwrap();
    assert_eq!(report.profile.design, None);
    assert!(report.warnings.iter().any(|w| w.contains("--time: fewer than 8")), "{report:?}");
    let wrong = csv.replacen("1769904000", "yesterday", 1);
    let report = bench.of_csv(&wrong, &["--time", "at", "--ignore", "label,score"]).unwrap();
    assert!(report.warnings.iter().any(|w| w.starts_with("1 rows have no time")), "{report:?}");
}
