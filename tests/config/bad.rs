//! Files that are refused. In `bad/*.yaml` a comment `# ! path: message` stands on each line that
//! has a fault; there must be these faults and no other.

use super::{file, load, load_text, refused, small};
use std::fmt::Write;
use std::path::Path;

/// (line, part of `path: message`)
fn expected(text: &str) -> Vec<(usize, String)> {
    let mut expected = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for part in line.split(" # ! ").skip(1) {
            expected.push((index + 1, part.trim().to_owned()));
        }
    }
    expected
}

/// Differences between what a file expects and what is found; empty if there are none.
fn differences(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let mut found: Vec<(usize, String)> = match load(path) {
        Ok(_) => Vec::new(),
        Err(errors) => errors
            .faults
            .iter()
            .map(|fault| {
                let line = fault.mark.map_or(0, |mark| mark.line);
                let place = if fault.path.is_empty() { "" } else { ": " };
                (line, format!("{}{place}{}", fault.path, fault.message))
            })
            .collect(),
    };
    let mut out = String::new();
    for (line, part) in expected(&text) {
        let position = found.iter().position(|(at, fault)| *at == line && fault.starts_with(&part));
        match position {
            Some(position) => drop(found.remove(position)),
            None => writeln!(out, "{}:{line}: not found: {part}", path.display()).unwrap(),
        }
    }
    for (line, fault) in found {
        writeln!(out, "{}:{line}: not expected: {fault}", path.display()).unwrap();
    }
    out
}

#[test]
fn each_bad_file_gets_all_its_faults_and_no_other() {
    let mut files: Vec<_> = std::fs::read_dir(file("bad"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() > 10, "the corpus is there");
    let out: String = files.iter().map(|path| differences(path)).collect();
    assert!(out.is_empty(), "\n{out}");
}

#[test]
fn a_fault_is_shown_with_file_line_column_path_and_what_to_do() {
    let text = small("    windows: [5m, { size: 1h, every: 7m }]");
    let shown = refused(&text);
    let file = file("memory.yaml");
    let expected = format!(
        "{}:8:38: models[0].windows[1].every: 7m does not divide 1h; choose one that does",
        file.display()
    );
    assert_eq!(shown, expected);
}

#[test]
fn a_missing_file_is_said_in_one_line() {
    let errors = load(Path::new("/no/such/tidemark.yaml")).unwrap_err().to_string();
    assert!(errors.starts_with("/no/such/tidemark.yaml: cannot read the configuration: No such"));
    assert_eq!(errors.lines().count(), 1);
    let directory = load(&file("bad")).unwrap_err().to_string();
    assert!(directory.contains("cannot read the configuration"), "{directory}");
}

#[test]
fn an_empty_file_is_refused() {
    for text in ["", "# nothing\n", "---\n", "~\n"] {
        assert!(refused(text).contains("the file is empty"), "{text:?}");
    }
    assert!(refused("just text").contains("this is a single value, but must be a mapping"));
    assert!(refused("- a\n").contains("this is a list, but must be a mapping"));
}

#[test]
fn bytes_that_are_not_utf_8_are_refused_with_their_line() {
    let bytes = b"kafka:\n  group_id: caf\xe9\n";
    let path = file("memory.yaml");
    let errors = tidemark::config::load_bytes(&path, bytes, &super::env, &super::profiles::read)
        .unwrap_err();
    assert!(errors.to_string().contains(":2:16: this byte is not UTF-8"), "{errors}");
}

#[test]
fn a_bomb_of_aliases_is_refused_quickly() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ('b'..='z').zip('a'..) {
        let items = vec![format!("*{before}"); 9].join(", ");
        writeln!(bomb, "{name}: &{name} [{items}]").unwrap();
    }
    assert!(refused(&bomb).contains("with its aliases expanded"));
    let long = "x".repeat(100_000);
    let items = vec!["*a"; 1_000].join(", ");
    assert!(
        refused(&format!("a: &a {long}\nb: [{items}]\n")).contains("with its aliases expanded")
    );
    assert!(refused("a: &a [*a]\n").contains("inside what it refers to"));
    // Each alias doubles the depth.
    let mut deep = "a0: &a0 [[[[x]]]]\n".to_owned();
    for level in 1..12 {
        writeln!(deep, "a{level}: &a{level} [[[[*a{}]]]]", level - 1).unwrap();
    }
    assert!(refused(&deep).contains("nested deeper than 32 levels"));
}

#[test]
fn huge_and_deep_files_are_refused() {
    assert!(refused(&"# comment\n".repeat(200_000)).contains("larger than 1048576 bytes"));
    let deep = format!("a: {}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(refused(&deep).lines().count() <= 2);
    let wide = format!("a: [{}]", "1, ".repeat(100_000));
    assert!(refused(&wide).contains("more than 50000 values"));
}

#[test]
fn broken_yaml_is_refused_with_its_line() {
    let cases = [
        ("kafka: {\n", ":1:8: not valid YAML: unclosed bracket"),
        ("kafka:\n  a: 1\n b: 2\n", ":3:"),
        ("kafka: *unknown\n", ":1:"),
        ("kafka: \"open\n", ":"),
        ("a: 1\n---\nb: 2\n", ":2:1: a second document"),
        ("? [a, b]\n: 1\n", ":1:3: a name must be a text, but this is a list"),
        ("%TAG ! tag:example.com,2000:\n---\na: 1\n", ":1:1: not valid YAML"),
        ("a: 'x\u{0}'\n", ":1:"),
    ];
    for (text, place) in cases {
        let shown = refused(text);
        assert!(shown.contains(&format!("memory.yaml{place}")), "{text:?}: {shown}");
    }
}

#[test]
fn no_cut_and_no_changed_byte_of_a_good_file_panics() {
    let text = std::fs::read(file("../../config/examples/income.yaml")).unwrap();
    let path = file("memory.yaml");
    let load = |bytes: &[u8]| {
        let _ = tidemark::config::load_bytes(&path, bytes, &super::env, &super::profiles::read);
    };
    for end in (0..text.len()).step_by(7) {
        load(&text[..end]);
    }
    for (position, byte) in
        (0..text.len()).step_by(5).zip(b"{}[]:&*!|>'\"#-,\t\n\0\xff$~".iter().cycle())
    {
        let mut changed = text.clone();
        changed[position] = *byte;
        load(&changed);
    }
}

#[test]
fn more_faults_than_a_person_reads_are_counted() {
    let mut text = "kafka:\n".to_owned();
    for index in 0..300 {
        writeln!(text, "  unknown_{index}: 1").unwrap();
    }
    let errors = load_text(&text).unwrap_err();
    assert_eq!(errors.faults.len(), 100);
    assert!(errors.more && errors.to_string().ends_with(": and more"), "{errors}");
    assert!(!errors.to_string().contains("`models` is missing"));
}

#[test]
fn the_codes_and_the_cells_of_slices_are_bounded() {
    let values: Vec<String> = (0..900).map(|value| value.to_string()).collect();
    let values = values.join(", ");
    let features = |names: &[&str]| {
        let list: Vec<String> =
            names.iter().map(|name| format!("{{ name: {name}, values: [{values}] }}")).collect();
        format!("      - features: [{}]\n", list.join(", "))
    };
    let slices = |lines: &str| {
        small(&format!("    slice_values_max: 1000\n    slices:\n{lines}"))
            .replace("score: /score", "score: /score, features: /features")
    };
    let cross = refused(&slices(&features(&["a", "b", "c"])));
    assert!(
        cross.contains("models[0].slices[0]: has 733870808 cells; at most 16777216"),
        "{cross}"
    );
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"];
    let many: String = names.iter().map(|name| features(&[name])).collect();
    let many = refused(&slices(&many));
    assert!(
        many.contains("models[0].slices: the codes of the sliced features take 130 bits"),
        "{many}"
    );
}

#[test]
fn secrets_are_never_shown() {
    let text = small(
        "    policies: [{ name: a, metric: accuracy, below: 0.5, action: { retrain: trainer } }]",
    )
    .replace(
        "kafka: { bootstrap_servers: '127.0.0.1:9092' }",
        "kafka:
  bootstrap_servers: 127.0.0.1:9092
  properties:
    sasl.password: hunter2-inline
    ssl.key.password: ${TIDEMARK_PASSWORD}
    ssl.keystore.password_file: secrets/password
webhooks:
  - name: trainer
    url: https://hunter2-user:hunter2-pass@ci.example.com/hunter2-path?hunter2-query
    secret_file: secrets/signing
    headers: { Authorization: Bearer hunter2-header }
",
    );
    let plan = super::plan(&text);
    let mut shown = format!("{plan:?}{plan:#?}{}", tidemark::config::check(&plan));
    for webhook in &plan.webhooks {
        shown +=
            &serde_json::to_string(&(&webhook.url, &webhook.secrets, &webhook.headers)).unwrap();
    }
    for value in plan.kafka.properties.values() {
        write!(shown, "{value}{value:?}{}", serde_json::to_string(value).unwrap()).unwrap();
    }
    let secrets = ["hunter2", "dGlkZW1hcms"];
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret} is shown");
    }
    assert!(shown.contains("https://ci.example.com/..."));
    // Nor when something is wrong with them or around them.
    let wrong = [
        ("url: https", "url: ftp"),
        ("url: https://hunter2-user:hunter2-pass@ci.example.com", "url: https://hunter2 bad host"),
        ("secret_file: secrets/signing", "secret: whsec_hunter2"),
        ("secret_file: secrets/signing", "secret: [hunter2]"),
        ("secret_file: secrets/signing", "secret: \"hunter2"),
        ("secret_file: secrets/signing", "secret: hunter2: x"),
        ("secret_file: secrets/signing", "secret: *hunter2x"),
        ("secret_file: secrets/signing", "secret: @hunter2x"),
        ("Authorization: Bearer hunter2-header", "Authorization: \"hunter2\\nX: y\""),
        ("sasl.password: hunter2-inline", "sasl.password: { hunter2: hunter2 }"),
        ("secret_file: secrets/signing", "timeout: ${TIDEMARK_PASSWORD}"),
        (
            "secret_file: secrets/signing",
            "secret_file: secrets/signing\n    success_statuses: '${TIDEMARK_PASSWORD}'",
        ),
        ("127.0.0.1:9092", "${TIDEMARK_PASSWORD}"),
        ("task: binary", "task: ${TIDEMARK_PASSWORD}"),
        ("name: income", "name: ${TIDEMARK_PASSWORD} x"),
    ];
    for (from, to) in wrong {
        assert!(text.contains(from), "{from}");
        let shown = refused(&text.replace(from, to));
        assert!(!shown.contains("hunter2"), "{to}: {shown}");
    }
    // The plan does not change with a secret's value.
    let rotated = super::plan(&text.replace("hunter2", "hunter3"));
    assert_eq!(plan.hash, rotated.hash);
}
