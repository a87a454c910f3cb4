//! Configurations that are right, and what they become.

use super::{file, load, plan, profiles, small};
use std::path::Path;
use tidemark::config::{self, SecretOrPlain, Start};
use tidemark::decode::label::{LabelDecoder, LabelListener};
use tidemark::decode::prediction::{PredictionDecoder, PredictionSource};
use tidemark::engine::event::{LabelValue, ModelIndex};
use tidemark::engine::spec::{
    Action, Compare, Condition, FeatureKind, Level, ModelSpec, SliceValues, Task,
};
use tidemark::engine::time::{Span, Timestamp};

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn span(text: &str) -> Span {
    text.parse().unwrap()
}

/// The only model of a plan.
fn model(text: &str) -> ModelSpec {
    (*plan(text).models[0]).clone()
}

#[test]
fn the_default_file_loads_and_means_what_an_empty_model_means() {
    let written = load(&repository("config/default.yaml")).unwrap();
    // The same model with nothing but what is required.
    let bare = plan(
        "kafka: { bootstrap_servers: '127.0.0.1:9092' }
models:
  - name: example
    task: binary
    positive_class: 1
    predictions:
      topic: example.predictions
      fields:
        id: /prediction_id
        event_time: { path: /time, unit: rfc3339 }
        version: /model_version
        score: /score
        features: /features
    labels:
      topic: example.labels
      fields:
        id: /prediction_id
        event_time: { path: /time, unit: rfc3339 }
        label: /label
    policies: [{ name: accuracy-fell, metric: accuracy, below: 0.8, window: 1h }]
",
    );
    assert_eq!(format!("{written:#?}"), format!("{bare:#?}"));
    assert_eq!(written.hash, bare.hash);
}

#[test]
fn what_the_default_file_shows_as_absent_is_absent_by_default() {
    let plan = plan(&small(""));
    let model = &plan.models[0];
    assert!(plan.dead_letters.is_none() && plan.webhooks.is_empty());
    assert!(plan.kafka.properties.is_empty());
    assert!(model.reference.is_none() && model.version_references.is_empty());
    assert!(model.slices.is_empty() && model.policies.is_empty() && model.features.is_empty());
    assert_eq!((model.join.silent_after, model.join.absent_after), (None, None));
    assert_eq!(model.join.corrections_for, span("10m30s"));
    assert_eq!((model.weighted, model.join.start), (false, None));
    let Task::Binary { negative_class, .. } = &model.task else { panic!("a binary model") };
    assert_eq!(*negative_class, None);
}

/// Names of the options of a schema with the path to them; list positions are left out.
fn options(schema: &serde_json::Value) -> Vec<String> {
    fn walk(root: &serde_json::Value, at: &serde_json::Value, path: &str, out: &mut Vec<String>) {
        if let Some(reference) = at["$ref"].as_str() {
            walk(root, &root["$defs"][reference.rsplit('/').next().unwrap()], path, out);
        }
        for (name, option) in at["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            walk(root, option, &path, out);
            out.push(path);
        }
        for branch in ["anyOf", "oneOf", "allOf"] {
            for option in at[branch].as_array().into_iter().flatten() {
                walk(root, option, path, out);
            }
        }
        if at["items"].is_object() {
            walk(root, &at["items"], path, out);
        }
    }
    let mut out = Vec::new();
    walk(schema, schema, "", &mut out);
    out.sort();
    out.dedup();
    out
}

/// Every mapping's keys in a YAML text, in the same form.
fn keys(text: &str) -> Vec<String> {
    fn walk(at: &serde_json::Value, path: &str, out: &mut Vec<String>) {
        match at {
            serde_json::Value::Object(entries) => {
                for (name, value) in entries {
                    let path = format!("{path}.{name}");
                    walk(value, &path, out);
                    out.push(path);
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, path, out)),
            _ => {}
        }
    }
    let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    let mut out = Vec::new();
    walk(&value, "", &mut out);
    out
}

#[test]
fn the_default_file_shows_every_option_of_the_schema() {
    let shown = keys(&config::complete_file());
    // These are explained where their short form stands, or they are "not yet".
    let elsewhere = [
        ".models.policies.above",
        ".models.policies.below.value",
        ".models.policies.below.baseline_minus",
        ".models.policies.below.baseline_plus",
        ".models.policies.above.value",
        ".models.policies.above.baseline_minus",
        ".models.policies.above.baseline_plus",
        ".models.predictions.fields.features.name",
        ".models.predictions.fields.features.path",
        ".models.predictions.fields.features.type",
        ".models.reference.learn",
    ];
    let missing: Vec<String> = options(&config::json_schema())
        .into_iter()
        .filter(|option| !shown.contains(option) && !elsewhere.contains(&option.as_str()))
        .collect();
    assert!(missing.is_empty(), "config/default.yaml does not show {missing:#?}");
    assert!(shown.len() > 90, "the keys of the file are there");
}

#[test]
fn the_default_file_states_the_bounds_that_the_code_checks() {
    let text = config::complete_file();
    let lines: Vec<&str> = text.lines().collect();
    for (option, low, high) in config::BOUNDS {
        let name = option.rsplit('.').next().unwrap();
        // `windows.size` stands in a flow mapping.
        let key = if name == "size" { "windows:".to_owned() } else { format!("{name}:") };
        let stated = lines.iter().enumerate().any(|(index, line)| {
            let here = line.trim_start().trim_start_matches("- ");
            here.starts_with(&key) && {
                let comments = lines[..index].iter().rev();
                let comment: Vec<&str> = comments
                    .take_while(|line| line.trim_start().starts_with('#'))
                    .map(|line| line.trim_start().trim_start_matches(['#', ' ']))
                    .collect();
                let comment: Vec<&str> = comment.into_iter().rev().collect();
                comment.join(" ").contains(&format!("{low} to {high}"))
                    || (name == "size" && comment.join(" ").contains(&format!("{low} to {high}")))
            }
        });
        assert!(stated, "config/default.yaml does not say `{low} to {high}` above {option}");
    }
}

#[test]
fn the_schema_file_is_the_schema_of_the_code() {
    let path = repository("config/tidemark.schema.json");
    let schema = serde_json::to_string_pretty(&config::json_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(file == schema, "config/tidemark.schema.json is old; run UPDATE=1 cargo test");
}

#[test]
fn the_examples_load() {
    for name in ["income.yaml", "shared-topics.yaml"] {
        let path = repository("config/examples").join(name);
        let env = |_: &str| None;
        // The secret file of the example does not exist here.
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("/run/secrets/trainer", "../../tests/config/secrets/signing");
        let plan = config::load_bytes(&path, text.as_bytes(), &env, &profiles::read);
        let plan = plan.unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!config::check(&plan).is_empty());
    }
}

#[test]
fn a_plan_can_be_decoded_by() {
    let path = repository("config/examples/shared-topics.yaml");
    let plan = config::load(&path, &|_: &str| None, &profiles::read).unwrap();
    for topic in &plan.prediction_topics {
        let sources: Vec<_> = topic
            .models
            .iter()
            .map(|route| PredictionSource {
                model: route.model,
                spec: plan.model(route.model),
                fields: &route.fields,
                route: route.route.as_deref(),
            })
            .collect();
        PredictionDecoder::new(&sources).unwrap();
    }
    for topic in &plan.label_topics {
        let listeners: Vec<_> = topic
            .models
            .iter()
            .map(|listener| LabelListener {
                model: listener.model,
                task: &plan.model(listener.model).task,
                fields: &listener.fields,
            })
            .collect();
        LabelDecoder::new(&listeners).unwrap();
    }
}

#[test]
fn models_that_share_topics_form_one_group() {
    let path = repository("config/examples/shared-topics.yaml");
    let plan = config::load(&path, &|_: &str| None, &profiles::read).unwrap();
    assert_eq!(plan.groups.len(), 1);
    let group = &plan.groups[0];
    assert_eq!(group.predictions, [0, 1]);
    assert_eq!(group.labels, [0]);
    assert_eq!(group.models, [ModelIndex(0), ModelIndex(1), ModelIndex(2)]);
    assert!(group.name.starts_with("support.handling-times-"), "{}", group.name);
    let names: Vec<&str> = plan.prediction_topics.iter().map(|topic| &*topic.topic).collect();
    assert_eq!(names, ["support.handling-times", "support.intents"]);
    let intents = &plan.prediction_topics[1];
    let routes: Vec<_> = intents.models.iter().map(|route| route.route.as_deref()).collect();
    assert_eq!(routes, [Some("intent"), Some("intent_small_v1")]);
    assert_eq!(plan.prediction_topics[0].models[0].route, None);
    let topics: Vec<_> = plan.topics().iter().map(ToString::to_string).collect();
    assert_eq!(topics, ["support.handling-times", "support.intents", "support.outcomes"]);
}

const TWO: &str = "kafka: { bootstrap_servers: '127.0.0.1:9092' }
models:
  - { name: b, task: binary, positive_class: 1,
      predictions: { topic: b, fields: { id: /id, score: /s } },
      labels: { topic: b.l, fields: { id: /id, label: /l } } }
  - { name: a, task: binary, positive_class: 1,
      predictions: { topic: a, fields: { id: /id, score: /s } },
      labels: { topic: a.l, fields: { id: /id, label: /l } } }
";

#[test]
fn a_groups_name_depends_on_its_topics_alone() {
    let two = plan(TWO);
    let names: Vec<_> = two.groups.iter().map(|group| group.name.clone()).collect();
    assert_eq!(two.groups.len(), 2);
    assert!(names[0].starts_with("a-") && names[1].starts_with("b-"));
    assert_eq!(two.groups[0].models, [ModelIndex(1)]);
    let one = plan(&TWO.replace("name: b", "name: z").replace("task: binary", "task: binary "));
    assert_eq!(names, one.groups.iter().map(|group| group.name.clone()).collect::<Vec<_>>());
    let safe =
        |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    assert!(names.iter().all(safe));
}

#[test]
fn variables_fill_values_of_any_type_and_cannot_change_the_structure() {
    let text = small("").replace(
        "kafka: { bootstrap_servers: '127.0.0.1:9092' }",
        "\
kafka:
  bootstrap_servers: 127.0.0.1:${TIDEMARK_PORT}
  group_id: ${TIDEMARK_EMPTY:-fallback}
  properties:
    client.id: \"${TIDEMARK_YAML}\"
    sasl.username: a$$b$c$${d}
state:
  checkpoints_keep: '${NOT_SET:-7}'
  checkpoint_every: ${NOT_SET:-5}s
  memory_max: ${NOT_SET:-2}GiB
http: { listen: '127.0.0.1:${TIDEMARK_PORT}', series_max: '${TIDEMARK_PORT}' }
",
    );
    let plan = plan(&text);
    assert_eq!(plan.kafka.bootstrap, "127.0.0.1:9999");
    assert_eq!(plan.kafka.group_id, "fallback");
    let plain = |text: &str| SecretOrPlain::Plain(text.to_owned());
    assert_eq!(plan.kafka.properties["client.id"], plain("x\nmodels: []"));
    assert_eq!(plan.kafka.properties["sasl.username"], plain("a$b$c${d}"));
    assert_eq!(plan.state.checkpoints_keep, 7);
    assert_eq!(plan.state.checkpoint_every, span("5s"));
    assert_eq!(plan.state.memory_max_bytes, 2 << 30);
    assert_eq!((plan.http.listen.port(), plan.http.series_max), (9999, 9999));
    assert_eq!(plan.models.len(), 1);
}

#[test]
fn files_are_relative_to_the_configuration_and_lose_their_last_line_break() {
    let text = small("").replace(
        "kafka: { bootstrap_servers: '127.0.0.1:9092' }",
        "\
kafka:
  bootstrap_servers: 127.0.0.1:9092
  properties: { sasl.password_file: secrets/password, ssl.key.password: inline, acks: all }
webhooks:
  - name: trainer
    url_file: secrets/url
    secret_file: secrets/signing
    headers: { Authorization_file: secrets/password, X-Team: fraud }
    success_statuses: [409]
",
    );
    let plan = plan(&text);
    assert_eq!(plan.kafka.properties["sasl.password"].expose(), "hunter2-from-file");
    assert!(matches!(plan.kafka.properties["sasl.password"], SecretOrPlain::Secret(_)));
    assert!(matches!(plan.kafka.properties["ssl.key.password"], SecretOrPlain::Secret(_)));
    assert!(matches!(plan.kafka.properties["acks"], SecretOrPlain::Plain(_)));
    let webhook = &plan.webhooks[0];
    assert_eq!(
        webhook.url.expose(),
        "https://ci.example.com/hooks/token-in-path?key=hunter2-in-url"
    );
    assert_eq!(webhook.secrets.len(), 1);
    assert_eq!(webhook.headers["authorization"].expose(), "hunter2-from-file");
    assert_eq!(webhook.headers["x-team"].expose(), "fraud");
    assert_eq!(webhook.success_statuses, [409]);
    assert_eq!((webhook.timeout, webhook.give_up_after), (span("20s"), span("3d")));
}

#[test]
fn windows_are_sorted_and_kept_for_the_horizon() {
    let model = model(&small(
        "    windows: [{ size: 1d, every: 1h }, 5m, { size: 1h, every: 5m, keep: 2h }]",
    ));
    let windows: Vec<String> =
        model.windows.iter().map(|w| format!("{} {} {}", w.size, w.every, w.keep)).collect();
    assert_eq!(windows, ["5m 5m 7d1h", "1h 5m 2h", "1d 1h 7d1h"]);
    assert_eq!(config::pane_size(&model.windows), Some(span("5m")));
    let odd = self::model(&small("    windows: [90m, { size: 2h, every: 40m }]"));
    assert_eq!(config::pane_size(&odd.windows), Some(span("10m")));
}

#[test]
fn windows_follow_the_standard_time_of_a_zone() {
    let origin = |zone: &str| model(&small(&format!("    time: {{ zone: {zone} }}"))).time.origin;
    assert_eq!(origin("UTC"), Timestamp(0));
    // UTC+1 in winter and UTC+2 in summer: midnight of standard time is 23:00 UTC.
    assert_eq!(origin("Europe/Berlin"), Timestamp::from_secs(-3_600));
    assert_eq!(origin("America/New_York"), Timestamp::from_secs(5 * 3_600));
    // Summer is in January there.
    assert_eq!(origin("Australia/Sydney"), Timestamp::from_secs(-10 * 3_600));
    assert_eq!(origin("Asia/Kolkata"), Timestamp::from_secs(-19_800));
    assert_eq!(origin("'-03:30'"), Timestamp::from_secs(12_600));
    let day = span("1d");
    let noon: Timestamp =
        Timestamp("2026-07-01T12:00:00+02:00".parse::<jiff::Timestamp>().unwrap().as_microsecond());
    let start = noon.floor(day, origin("Europe/Berlin"));
    assert_eq!(start.to_string(), "2026-06-30T23:00:00Z");
}

#[test]
fn where_to_start_can_be_a_time() {
    let at = |start: &str| plan(&small(&format!("    start: {start}")));
    assert_eq!(at("earliest").prediction_topics[0].start, Start::Earliest);
    assert_eq!(at("latest").label_topics[0].start, Start::Latest);
    assert_eq!(at("latest").models[0].join.start, None);
    let time = Timestamp::from_secs(1_769_817_600);
    let plan = at("2026-01-31T01:00:00+01:00");
    assert_eq!(plan.prediction_topics[0].start, Start::At(time));
    assert_eq!(plan.models[0].join.start, Some(time));
}

#[test]
fn absent_labels_are_read_as_the_task_reads_labels() {
    let absent = |text: &str, value: &str| {
        let labels = format!("label: /label }}, absent_after: {{ delay: 30m, value: {value} }} }}");
        let text = text.replace("label: /label } }", &labels);
        model(&text).join.absent_after.unwrap().value
    };
    assert_eq!(absent(&small(""), "1"), LabelValue::Class(1));
    assert_eq!(absent(&small(""), "anything"), LabelValue::Class(0));
    let multiclass = small("    classes: [a, b, c]")
        .replace("binary", "multiclass")
        .replace("    positive_class: 1\n", "")
        .replace("score: /score", "class: /c");
    assert_eq!(absent(&multiclass, "c"), LabelValue::Class(2));
    let regression = small("    center: 5\n    scale: 3")
        .replace("binary", "regression")
        .replace("    positive_class: 1\n", "");
    assert_eq!(absent(&regression, "-2.5"), LabelValue::Number(-2.5));
}

#[test]
fn a_regression_is_scaled_by_its_profile_or_by_hand() {
    let base = small("").replace("binary", "regression").replace("    positive_class: 1\n", "");
    let task = |more: &str| model(&format!("{base}{more}")).task;
    let by_profile = task("    reference: { default: regression.json }\n");
    // 300 lies between 256 and 512, nearer to 256 on a logarithmic scale.
    assert_eq!(by_profile, Task::Regression { center: 1_000.0, scale: 256.0 });
    let by_hand =
        task("    reference: { default: regression.json }\n    center: 3\n    scale: 6\n");
    assert_eq!(by_hand, Task::Regression { center: 3.0, scale: 8.0 });
}

fn with_profile(more: &str) -> String {
    small(&format!("    reference: {{ default: income.json }}\n{more}"))
        .replace("score: /score", "score: /score, features: /features")
}

#[test]
fn features_and_slice_values_come_from_the_profile() {
    let model = model(&with_profile("    slice_values_max: 2\n    slices: [race, [sex, race]]\n"));
    let names: Vec<&str> = model.features.iter().map(|feature| &*feature.name).collect();
    assert_eq!(names, ["age", "sex", "race", "marital-status"]);
    assert!(matches!(model.features[0].kind, FeatureKind::Numeric));
    let FeatureKind::Categorical { dictionary } = &model.features[2].kind else {
        panic!("race is categorical")
    };
    assert_eq!(dictionary.len(), 5);
    let SliceValues::Categories(values) = &model.slices[0].features[0].values else {
        panic!("race is categorical")
    };
    let values: Vec<_> = values.iter().map(|(code, text)| (*code, &**text)).collect();
    assert_eq!(values, [(0, "White"), (1, "Black")]);
    assert_eq!(model.slices[1].features.len(), 2);
}

#[test]
fn a_dictionary_is_the_union_of_all_profiles_and_of_the_configured_values() {
    let text = small(
        "    reference: { default: income.json, versions: { v8: income-v8.json } }
    slices:
      - features: [{ name: sex, values: [Unknown, Female] }]
",
    )
    .replace("score: /score", "score: /score, features: /features");
    let model = model(&text);
    let FeatureKind::Categorical { dictionary } = &model.features[1].kind else {
        panic!("sex is categorical")
    };
    assert_eq!(**dictionary, ["Male", "Female", "Other", "Unknown"].map(str::to_owned));
    let SliceValues::Categories(values) = &model.slices[0].features[0].values else {
        panic!("sex is categorical")
    };
    let codes: Vec<u32> = values.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes, [3, 1]);
    assert_eq!(model.version_references.len(), 1);
}

#[test]
fn without_a_profile_the_features_are_those_that_are_listed_or_sliced_with_values() {
    let text = small(
        "    slices:
      - features: [{ name: age, edges: [30, 50] }, { name: sex, values: [Male, Female] }]
",
    );
    let by_slices = model(&text.replace("score: /score", "score: /score, features: /features"));
    let names: Vec<&str> = by_slices.features.iter().map(|feature| &*feature.name).collect();
    assert_eq!(names, ["age", "sex"]);
    let list = "score: /score, features: [{ name: x, path: /x, type: numeric }, \
                { name: sex, path: /s }, { name: age, path: /a }]";
    let by_list = model(&text.replace("score: /score", list));
    let names: Vec<&str> = by_list.features.iter().map(|feature| &*feature.name).collect();
    assert_eq!(names, ["x", "sex", "age"]);
    assert_eq!(by_list.slices[0].features[0].feature, 2);
}

#[test]
fn policies_take_their_defaults_from_the_default_file() {
    let model = model(&with_profile(
        "    policies:
      - { name: a, metric: accuracy, below: { baseline_minus: 0.03 } }
      - { name: b, drift: { features: [age], above: { ks: 0.2 } }, window: 5m, for: 3 }
",
    ));
    let Condition::Performance { bound, compare, label_age, min_labels, .. } =
        &model.policies[0].condition
    else {
        panic!("a policy on a metric")
    };
    use tidemark::engine::spec::Bound;
    assert_eq!(*bound, Bound::Below(Level::BaselineMinus(0.03)));
    // The largest window is judged after the horizon.
    assert_eq!((*compare, *label_age, *min_labels), (Compare::Sure, span("7d"), 100));
    assert_eq!((model.policies[0].window, model.policies[0].for_windows), (span("1d"), 1));
    assert_eq!(model.policies[0].action, Action::Alert);
    let Condition::Drift { features, above, features_min, min_predictions, .. } =
        &model.policies[1].condition
    else {
        panic!("a policy on drift")
    };
    assert_eq!((features.as_slice(), *above), ([0].as_slice(), 0.2));
    assert_eq!((*features_min, *min_predictions), (1, 1_000));
}

#[test]
fn policies_without_a_bound_of_their_own_share_the_budget() {
    let model = model(&with_profile(
        "    alerts: { episodes_per_week: 2 }
    versions_max: 4
    policies:
      - { name: a, metric: accuracy, window: 1h }
      - { name: b, drift: {}, window: 1d }
      - { name: c, drift: { features: [age], material: 0.05 }, window: 1h }
      - { name: d, metric: accuracy, below: 0.5 }
",
    ));
    let of =
        |at: usize| (&model.policies[at].condition, model.policies[at].condition.episodes_a_week());
    let (Condition::PerformanceAlarm(alarm), Some(part)) = of(0) else { panic!("an alarm") };
    assert_eq!((part, alarm.margin), (1.0, 0.02));
    assert_eq!(alarm.run_length, 168.0 * 4.0);
    let (Condition::DriftAlarm(alarm), Some(part)) = of(1) else { panic!("an alarm") };
    assert_eq!((part, alarm.terms.material, alarm.terms.share_margin), (0.5, 0.01, 0.01));
    // Four features, the score and the class, four tests each, four versions, seven days.
    assert_eq!(alarm.terms.alpha, 0.5 / (6.0 * 4.0 * 4.0 * 7.0));
    let (Condition::DriftAlarm(alarm), Some(_)) = of(2) else { panic!("an alarm") };
    assert_eq!((alarm.features.as_slice(), alarm.terms.material), ([0].as_slice(), 0.05));
    assert_eq!(alarm.terms.alpha, 0.5 / (4.0 * 4.0 * 168.0));
    assert_eq!(of(3).1, None);
}

#[test]
fn a_retraining_takes_its_cooldown_from_the_default_file() {
    let text = small(
        "    policies:
      - { name: a, metric: accuracy, below: 0.5, action: { retrain: trainer, cooldown: 1h } }
webhooks: [{ name: trainer, url: 'http://127.0.0.1:1/x' }]
",
    );
    let action = model(&text).policies[0].action.clone();
    let expected =
        Action::Retrain { webhook: "trainer".into(), cooldown: span("1h"), act_within: span("4h") };
    assert_eq!(action, expected);
}

#[test]
fn a_layout_changes_with_what_shapes_state_and_with_nothing_else() {
    let slices = "    slices: [sex]\n";
    let base = plan(&with_profile(slices));
    let same = [
        with_profile(slices).replace("127.0.0.1:9092", "127.0.0.1:9093"),
        with_profile(&format!("{slices}    show: {{ support_min: 7 }}\n")),
        with_profile(&format!(
            "{slices}    policies: [{{ name: a, drift: {{ above: {{ psi: 0.5 }} }} }}]\n"
        )),
        with_profile(slices).replace("topic: p", "topic: other"),
        with_profile(slices).replace("/score", "/output/score"),
    ];
    for text in &same {
        let plan = plan(text);
        assert_eq!(plan.layouts, base.layouts, "{text}");
        assert_ne!(plan.hash, base.hash, "{text}");
    }
    let other = [
        with_profile("    slices: [race]\n"),
        with_profile(&format!(
            "{slices}    policies: [{{ name: a, metric: accuracy, below: 0.5 }}]\n"
        )),
        with_profile(&format!("{slices}    windows: [1h]\n")),
        with_profile(&format!("{slices}    threshold: 0.4\n")),
        with_profile(&format!("{slices}    time: {{ allowed_lateness: 1m }}\n")),
        with_profile(slices).replace("label: /label }", "label: /label }, horizon: 1d"),
        with_profile(slices).replace("income.json", "income-v8.json"),
        with_profile(slices).replace("name: income", "name: income2"),
    ];
    for text in &other {
        assert_ne!(plan(text).layouts, base.layouts, "{text}");
    }
    assert_eq!(plan(&with_profile(slices)).hash, base.hash);
}

#[test]
fn the_check_says_what_will_run() {
    let path = repository("config/examples/shared-topics.yaml");
    let plan = config::load(&path, &|_: &str| None, &profiles::read).unwrap();
    // The plan's hash is over everything, so it may change with any release.
    let text = config::check(&plan).replace(&plan.hash.to_string(), "HASH");
    let golden = file("shared-topics.check.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&golden, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&golden).unwrap_or_default(), text);
}

#[test]
fn a_feature_that_slices_share_is_packed_once() {
    let bits = |slices: &str| {
        let text = with_profile(&format!("    slices: {slices}\n"));
        let text = config::check(&plan(&text));
        text.lines().find(|line| line.contains("bits of slice codes")).unwrap().to_owned()
    };
    // 2 values, OTHER and missing: 2 bits; 5 values and those: 3 bits.
    assert!(bits("[sex]").contains("(2 of 128 bits"), "{}", bits("[sex]"));
    assert!(bits("[sex, [sex, race]]").contains("(5 of 128 bits"));
}

#[test]
fn aliases_and_merges_work() {
    let text = small("").replace("{ id: /id, score: /score }", "&f { id: /id, score: /score }");
    let text = format!(
        "{text}  - {{ name: b, task: binary, positive_class: 1,
      predictions: {{ topic: q, fields: {{ <<: *f, score: /other }} }},
      labels: {{ topic: m, fields: {{ id: /id, label: /l }} }} }}
"
    );
    let plan = plan(&text);
    let score = plan.prediction_topics[1].models[0].fields.score.as_ref().unwrap();
    assert_eq!(score.to_string(), "/other");
}
