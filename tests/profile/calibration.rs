//! What profiles know for estimates before labels.

use super::{ADULT, Bench, tests};
use crate::cbpe;
use flate2::read::GzDecoder;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use tidemark::engine::cbpe::{Estimator, Isotonic};
use tidemark::engine::metric::Metric;
use tidemark::engine::spec::Task;
use tidemark::profile::read;

#[test]
fn a_profile_with_labels_and_scores_has_the_map_that_scikit_learn_fits() {
    let bench = Bench::new();
    let data = tests("data/adult_scored.csv.gz");
    let report = bench.profile(&[&data], &ADULT).unwrap();
    let profile = read(&bench.path("p.json")).unwrap();
    let calibration = profile.calibration.as_ref().expect("it has labels and scores");
    assert_eq!((calibration.rows, &*calibration.classes), (32_561, &["1".to_owned()][..]));
    let (reference, current) = cbpe::adult();
    assert_eq!(calibration.maps, [Isotonic::fit(reference.into_iter())]);
    assert!(report.to_string().contains("estimates before labels: 32561 rows, calibrated by"));
    let task = Task::Binary { positive_class: "1".into(), negative_class: None, threshold: 0.5 };
    let estimator = Estimator::new(&profile, &task).expect("it is of this class");
    let whole = &cbpe::oracle("adult.json.gz")["whole"];
    let mut cells = estimator.cells(false);
    for (score, positive, _) in current {
        use tidemark::engine::sketch::{Sign, Sketch};
        cells.add(&estimator.binary(score, positive, 1.0), Sign::Add);
    }
    let found = tidemark::engine::cbpe::estimated(Metric::F1, &estimator, &cells).unwrap();
    assert!((found.value - whole["f1"].as_f64().unwrap()).abs() < 1e-7);
    assert!(found.interval.is_some());
    let other = Task::Binary { positive_class: "0".into(), negative_class: None, threshold: 0.5 };
    assert!(Estimator::new(&profile, &other).is_none());
}

#[test]
fn without_enough_rows_of_a_class_there_is_no_calibration_and_the_reason_is_told() {
    let bench = Bench::new();
    let mut rows = String::from("x,label,score\n");
    for i in 0..200 {
        writeln!(rows, "{i},{},0.{:02}", u8::from(i < 7), i % 90).unwrap();
    }
    let report = bench.of_csv(&rows, &["--label", "label", "--score", "score"]).unwrap();
    assert_eq!(report.profile.calibration, None);
    let why = report.warnings.iter().find(|warning| warning.contains("before labels")).unwrap();
    assert!(why.contains("7 labelled rows are of the class"), "{why}");
    let written = std::fs::read_to_string(bench.path("p.json")).unwrap();
    assert!(!written.contains("\"calibration\":") && !written.contains("\"losses\":"));
}

#[test]
fn several_classes_have_a_map_each_from_columns_of_their_own() {
    let bench = Bench::new();
    let oracle = cbpe::oracle("multiclass.json.gz");
    let mut rows = String::from("x,p_a,p_b,p_c,said,label\n");
    for (at, row) in oracle["reference"].as_array().unwrap().iter().enumerate() {
        let text = |at: usize| row[at].as_str().unwrap();
        let (a, b, c) = (&row[0], &row[1], &row[2]);
        writeln!(rows, "{},{a},{b},{c},{},{}", at % 7, text(3), text(4)).unwrap();
    }
    let told = ["--label", "label", "--prediction", "said"];
    let columns = ["a=p_a", "b=p_b", "c=p_c"].map(|column| ["--probability", column]);
    let mut options = told.to_vec();
    options.extend(columns.iter().flatten());
    let report = bench.of_csv(&rows, &options).unwrap();
    let calibration = report.profile.calibration.expect("there are probabilities");
    assert_eq!(calibration.classes, ["a", "b", "c"]);
    assert!(calibration.maps.iter().all(Option::is_some), "NannyML calibrates all three");
    assert_eq!(report.profile.features.len(), 1, "probabilities are no features");
    options.truncate(options.len() - 2);
    let error = bench.of_csv(&rows, &options).unwrap_err().to_string();
    assert!(error.contains("--probability") && error.contains("the class `c` has none"), "{error}");
    options.extend(["--probability", "d=p_c"]);
    let error = bench.of_csv(&rows, &options).unwrap_err().to_string();
    assert!(error.contains("`d=p_c`: the class does not occur"), "{error}");
}

#[test]
fn a_regressions_models_of_losses_are_kept_and_checked() {
    let bench = Bench::new();
    let mut model = String::new();
    let file = File::open("tests/oracle/dle/mae.txt.gz").unwrap();
    GzDecoder::new(file).read_to_string(&mut model).unwrap();
    let file = bench.file("mae.txt", &model);
    let header = "car_age,km_driven,price_new,accident_count,door_count,fuel,transmission,p,y\n";
    let mut rows = String::from(header);
    for i in 0..60 {
        let y = 1_000 + 10 * i;
        writeln!(rows, "{i},{i}000,20000,1,3,1,2,{},{y}.5", y + i % 5).unwrap();
    }
    let path = file.display();
    let told = |model: String| -> Vec<String> {
        let words = ["--label", "y", "--prediction", "p", "--task", "regression", "--loss-model"];
        words.iter().map(|&word| word.to_owned()).chain([model]).collect()
    };
    let run = |rows: &str, model: String| {
        let options = told(model);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        bench.of_csv(rows, &options)
    };
    run(&rows, format!("mae={path}")).unwrap();
    let profile = read(&bench.path("p.json")).unwrap();
    assert_eq!(profile.losses.len(), 1);
    assert_eq!((&*profile.losses[0].metric, &*profile.losses[0].model), ("mae", &*model));
    // |e| is 0.5, 0.5, 1.5, 2.5 or 3.5, each 12 times.
    let deviation = profile.losses[0].deviation.unwrap();
    assert!((deviation - 1.176_03).abs() < 1e-5, "{deviation}");
    let error = run(&rows, format!("rmse={path}")).unwrap_err().to_string();
    assert!(error.contains("expected mae, mse or mape"), "{error}");
    let error = run(&rows.replace("fuel", "oil"), format!("mae={path}")).unwrap_err().to_string();
    assert!(error.contains("its input `fuel` is no feature"), "{error}");
}
