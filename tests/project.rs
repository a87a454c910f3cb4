//! What the project's own files say: the README's commands and configuration work, the metrics that
//! it names exist, and the dependencies are what they should be.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use tidemark::io::telemetry::families;

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn readme() -> String {
    std::fs::read_to_string(root("README.md")).unwrap()
}

/// The README's blocks of code in a language.
fn blocks(readme: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    let starts = readme.split(&opening).skip(1);
    starts.map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// The block that begins so.
fn block(language: &str, start: &str) -> String {
    let readme = readme();
    let found = blocks(&readme, language).into_iter().find(|block| block.starts_with(start));
    found.unwrap_or_else(|| panic!("the README has no {language} block that begins with {start}"))
}

/// Runs a command line of the README in a folder; returns what it printed.
fn run(line: &str, folder: &Path) -> String {
    let mut words = line.split_whitespace();
    let program = match words.next() {
        Some("tidemark") => env!("CARGO_BIN_EXE_tidemark"),
        Some(other) => other,
        None => panic!("an empty command"),
    };
    let output = Command::new(program).args(words).current_dir(folder).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{line}: {said}");
    said
}

#[test]
fn the_readmes_profile_and_configuration_pass_its_own_check() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let mut data = flate2::read::GzDecoder::new(
        std::fs::File::open(root("tests/data/adult_sample.csv.gz")).unwrap(),
    );
    std::io::copy(&mut data, &mut std::fs::File::create(place("reference.csv")).unwrap()).unwrap();
    run(block("sh", "tidemark profile").trim(), folder.path());
    std::fs::write(place("tidemark.yaml"), block("yaml", "kafka:")).unwrap();
    std::fs::write(place("trainer.key"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
    let plan = run(block("sh", "tidemark check").trim(), folder.path());
    for part in ["model income (binary", "policy    accuracy-fell", "slice     `sex` [2 values"] {
        assert!(plan.contains(part), "no `{part}` in:\n{plan}");
    }
}

#[test]
fn promtool_accepts_the_readmes_scrape_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prometheus.yml");
    std::fs::write(path, block("yaml", "scrape_configs:")).unwrap();
    run("promtool check config prometheus.yml", folder.path());
}

#[test]
fn the_commands_that_the_readme_shows_have_the_options_that_it_gives_them() {
    let help = |command: &str| run(&format!("tidemark help {command}"), &root(""));
    let readme = readme();
    let lines = blocks(&readme, "sh");
    let lines = lines.iter().flat_map(|block| block.lines());
    let mut seen = BTreeSet::new();
    for line in lines.filter_map(|line| line.strip_prefix("tidemark ")) {
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        seen.insert(command.to_owned());
        let help = help(command);
        for option in rest.split_whitespace().filter(|word| word.starts_with('-')) {
            let mut words = help.split([' ', ',', '\n']);
            assert!(words.any(|word| word == option), "tidemark {command} has no {option}");
        }
    }
    let expected = ["check", "compare", "inspect", "profile", "run"].map(str::to_owned);
    assert_eq!(seen, BTreeSet::from(expected));
}

#[test]
fn every_metric_that_the_readme_names_is_exported() {
    let known: BTreeSet<&str> = families().iter().map(|family| family.name).collect();
    let readme = readme();
    let mut named = BTreeSet::new();
    for quoted in readme.split('`').skip(1).step_by(2) {
        let name = quoted.split('{').next().unwrap();
        if name.starts_with("tidemark_") && !name.ends_with("...") {
            assert!(known.contains(name), "README.md names {name}, which does not exist");
            named.insert(name);
        }
    }
    assert!(named.len() > 20, "{named:?}");
}

/// Packages of Cargo.lock with the names of what they depend on.
fn locked() -> Vec<(String, Vec<String>)> {
    let text = std::fs::read_to_string(root("Cargo.lock")).unwrap();
    let packages = text.split("[[package]]").skip(1).map(|package| {
        let name = package.split('"').nth(1).unwrap().to_owned();
        let list = package.split_once("dependencies = [").map_or("", |(_, rest)| rest);
        let quoted = list.split('"').skip(1).step_by(2);
        let names = quoted.map(|entry| entry.split(' ').next().unwrap().to_owned());
        (name, names.collect())
    });
    packages.collect()
}

#[test]
fn openssl_serves_kafka_alone_and_nothing_links_the_systems_tls() {
    let packages = locked();
    let users_of = |wanted: &str| -> Vec<&str> {
        let uses = |list: &[String]| list.iter().any(|name| name == wanted);
        packages.iter().filter(|(_, list)| uses(list)).map(|(name, _)| name.as_str()).collect()
    };
    assert_eq!(users_of("openssl-sys"), ["rdkafka-sys"]);
    assert_eq!(users_of("rdkafka-sys"), ["rdkafka"]);
    assert!(users_of("serde").len() > 5, "Cargo.lock is read");
    let unwanted = ["native-tls", "openssl"];
    assert!(packages.iter().all(|(name, _)| !unwanted.contains(&name.as_str())));
}
