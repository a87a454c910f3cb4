//! Files and options that are refused, each with what is wrong and what to do.

use super::Bench;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::path::Path;
use tidemark::engine::reference::{Distribution, NumericReference, Profile};
use tidemark::profile::{check_model, read};

fn refused(path: &Path) -> String {
    let error = read(path).unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    error
}

#[test]
fn an_edited_a_cut_off_a_newer_and_a_foreign_file_are_refused_with_what_to_do() {
    let bench = Bench::new();
    bench.of_csv("x,y\n1,a\n2,b\n", &["--model", "income"]).unwrap();
    let good = std::fs::read_to_string(bench.path("p.json")).unwrap();

    let edited = bench.file("edited.json", good.replacen("\"rows\": 2", "\"rows\": 3", 1));
    let error = refused(&edited);
    assert!(
        error.contains("content_hash is sha256:") && error.contains("make it again"),
        "{error}"
    );
    let unhashed = bench.file("unhashed.json", good.replace("content_hash", "content_hush"));
    assert!(refused(&unhashed).contains("content_hash is missing"));

    let cut = bench.file("cut.json", &good[..good.len() / 2]);
    assert!(refused(&cut).contains("cut off"));
    for (name, content) in [("empty.json", ""), ("list.json", "[]"), ("binary.json", "\u{0}\u{1}")]
    {
        assert!(refused(&bench.file(name, content)).contains("not a profile"), "{name}");
    }
    let newer = bench.file("newer.json", good.replacen("\"version\": 1", "\"version\": 2", 1));
    let error = refused(&newer);
    assert!(
        error.contains("version 2 is newer than 1") && error.contains("use a newer"),
        "{error}"
    );
    let other = bench.file("other.json", good.replacen("tidemark/profile", "other", 1));
    assert!(refused(&other).contains("expected `tidemark/profile`"));
    assert!(refused(&bench.path("none.json")).contains("none.json"));

    let profile = read(&bench.path("p.json")).unwrap();
    assert!(check_model(&profile, "income").is_ok());
    let error = check_model(&profile, "churn").unwrap_err().to_string();
    assert!(error.contains("`income`") && error.contains("--model churn"), "{error}");
}

/// Writes the profile with a change that its hash covers.
fn rehashed(bench: &Bench, change: impl Fn(&mut Profile)) -> String {
    let mut profile = read(&bench.path("p.json")).unwrap();
    change(&mut profile);
    let path = bench.path("changed.json");
    tidemark::profile::write(&path, &profile).unwrap();
    refused(&path)
}

#[test]
fn a_profile_that_contradicts_itself_is_refused_naming_the_field() {
    let bench = Bench::new();
    bench.of_csv("x,y\n1,a\n2,b\n4,a\n", &[]).unwrap();
    let numeric = |change: fn(&mut NumericReference)| {
        rehashed(&bench, |profile| match &mut profile.features[0].distribution {
            Distribution::Numeric(reference) => change(reference),
            Distribution::Categorical(_) => panic!("categorical"),
        })
    };
    type Change = fn(&mut NumericReference);
    let cases: [(&str, Change); 8] = [
        ("edges[1]: not above", |x| x.edges[1] = x.edges[0]),
        ("edges: 5 edges for 5 bins", |x| x.edges.truncate(5)),
        ("sums: expected 5", |x| x.sums.truncate(4)),
        ("counts: 0 bins", |x| x.counts.clear()),
        ("coarse: expected ascending", |x| x.coarse = vec![0, 2, 2]),
        ("coarse: expected 1 to 32", |x| x.coarse = vec![1]),
        ("not within the edges", |x| x.max = 1e9),
        ("do not add up to the profile's 3 rows", |x| x.counts[0] += 1),
    ];
    for (expected, change) in cases {
        let error = numeric(change);
        assert!(error.contains("features[0] (`x`)") && error.contains(expected), "{error}");
    }
    let error = rehashed(&bench, |profile| profile.features[1].name = "x".into());
    assert!(error.contains("features: `x` is there twice"), "{error}");
    let error = rehashed(&bench, |profile| profile.positive_class = Some("1".into()));
    assert!(error.contains("positive_class: not among"), "{error}");
    let error = rehashed(&bench, |profile| {
        if let Distribution::Categorical(reference) = &mut profile.features[1].distribution {
            reference.categories[1].value = "a".into();
        }
    });
    assert!(error.contains("(`y`).categories: a value is listed twice"), "{error}");
}

#[test]
fn wrong_options_and_files_are_refused_with_the_reason() {
    let bench = Bench::new();
    let data = bench.file("data.csv", "x,y\n1,a\n2,b\n");
    let error = |data: &Path, options: &[&str]| {
        assert!(!bench.path("p.json").exists());
        bench.profile(&[data], options).unwrap_err().to_string()
    };
    let cases: [(&[&str], &str); 8] = [
        (&["--label", "z"], "--label: the data has no column `z`; it has `x`, `y`"),
        (&["--ignore", "x,z"], "--ignore: the data has no column `z`"),
        (&["--where", "y"], "--where: `y`: expected COLUMN=VALUE"),
        (&["--where", "z=1"], "--where: the data has no column `z`"),
        (&["--where", "y=c"], "no rows: --where lets none through"),
        (&["--numeric=x", "--categorical=x"], "--numeric: `x` is in --categorical too"),
        (&["--categories-max", "0"], "--categories-max: expected 1 to"),
        (&["--threshold", "2"], "--threshold: expected a number from 0 to 1"),
    ];
    for (options, expected) in cases {
        let error = error(&data, options);
        assert!(error.contains(expected), "{error}");
    }
    let cases = [
        ("data.txt", "", "the name says no format"),
        ("empty.csv", "", "no rows: the files are empty"),
        ("header.csv", "a,b\n", "no rows: the files are empty"),
        ("twice.csv", "a,a\n1,2\n", "two columns are named `a`"),
        ("ragged.csv", "a,b\n1,2\n1,2,3\n", "line 3"),
        ("half.jsonl", "{\"a\": 1}\n{\"a\": ", "line 2"),
        ("array.json", "[{\"a\": 1}]", "line 1: expected one JSON object on each line"),
        ("not.parquet", "PAR1", "not.parquet"),
        ("not.csv.gz", "a,b\n1,2\n", "not.csv.gz"),
    ];
    for (name, content, expected) in cases {
        let error = error(&bench.file(name, content), &[]);
        assert!(error.contains(expected), "{name}: {error}");
    }
    // A packed file that ends too early.
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all("a,b\n".repeat(5_000).as_bytes()).unwrap();
    let packed = packer.finish().unwrap();
    let cut = bench.file("cut.csv.gz", &packed[..packed.len() - 12]);
    assert!(error(&cut, &[]).contains("cut.csv.gz"));
    assert!(error(&bench.path("none.csv"), &[]).contains("none.csv"));
}
