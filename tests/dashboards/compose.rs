//! docker-compose.yml and the Dockerfile. No container engine is needed: the file is checked
//! against the compose specification's schema, and what the containers would run is run here, with
//! this machine's addresses and folders in place of theirs.

use super::files::{list, string, text, yaml};
use super::programs::Told;
use super::rules::root;
use crate::support::http_client::get;
use crate::support::kafka_broker::{BrokerOptions, KafkaBroker, jars};
use crate::support::prometheus::{Alertmanager, Prometheus, wait_for};
use serde_json::{Map, Value};
use std::path::Path;
use std::process::{Command, Stdio};

fn compose() -> Value {
    yaml(&root("docker-compose.yml"))
}

fn services(compose: &Value) -> &Map<String, Value> {
    compose["services"].as_object().unwrap()
}

/// Sources and targets of bind mounts.
fn mounts(service: &Value) -> Vec<(String, String)> {
    let volumes = list(&service["volumes"]).iter().map(string);
    let parts = volumes.map(|volume| {
        let parts: Vec<&str> = volume.split(':').collect();
        assert_eq!(parts.get(2), Some(&"ro"), "{volume}: containers change no file of ours");
        (parts[0].to_owned(), parts[1].to_owned())
    });
    parts.collect()
}

#[test]
fn the_compose_file_keeps_the_specification() {
    let schema = text(&root("tests/dashboards/schema/compose-spec.json"));
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let faults = |compose: &Value| -> Vec<String> {
        schema.iter_errors(compose).map(|e| format!("{}: {e}", e.instance_path())).collect()
    };
    let mut compose = compose();
    assert_eq!(faults(&compose), Vec::<String>::new());
    compose["services"]["kafka"]["imagine"] = "x".into();
    assert_eq!(faults(&compose).len(), 1, "the schema sees what it should not");
}

#[test]
fn images_are_pinned_ports_are_of_loopback_and_services_say_whether_they_are_well() {
    let compose = compose();
    let mut built = 0;
    for (name, service) in services(&compose) {
        let image = string(&service["image"]);
        if image == "tidemark" {
            built += usize::from(service["build"] == ".");
        } else {
            let tag = image.split_once(':').map_or("", |(_, tag)| tag);
            assert!(tag.split('.').count() == 3, "{name}: {image} is not pinned");
        }
        for port in list(&service["ports"]) {
            assert!(string(port).starts_with("127.0.0.1:"), "{name}: {port}");
        }
        // A job ends, and nothing waits for the generator.
        let needs = !["topics", "generator"].contains(&name.as_str());
        assert_eq!(service["healthcheck"].is_object(), needs, "{name}");
        let dependencies: Vec<&str> = match &service["depends_on"] {
            Value::Array(names) => names.iter().map(string).collect(),
            Value::Object(map) => map.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        assert!(dependencies.iter().all(|one| services(&compose).contains_key(*one)), "{name}");
        for (source, target) in mounts(service) {
            assert!(root(&source).exists(), "{name}: there is no {source}");
            assert!(target.starts_with('/'), "{name}: {target}");
        }
    }
    assert_eq!(built, 1, "the image is built once and used twice");
    // The broker is the one that the tests run.
    let pom = text(&root("tests/support/kafka/pom.xml"));
    let version = string(&services(&compose)["kafka"]["image"]).split(':').nth(1).unwrap();
    assert!(pom.contains(&format!("<version>{version}</version>")));
}

#[test]
fn grafana_finds_what_is_provisioned() {
    let compose = compose();
    let grafana = &services(&compose)["grafana"];
    let mounts = mounts(grafana);
    let folder = "/var/lib/grafana/dashboards";
    for name in super::files::DASHBOARDS {
        let source = format!("./dashboards/grafana/{name}.json");
        let target = format!("{folder}/{name}.json");
        assert!(mounts.contains(&(source, target)), "{name}");
    }
    let provisioning = ("./dashboards/grafana/provisioning", "/etc/grafana/provisioning");
    assert!(mounts.iter().any(|(s, t)| (&**s, &**t) == provisioning));
    let provider = yaml(&root("dashboards/grafana/provisioning/dashboards/tidemark.yml"));
    assert_eq!(provider["providers"][0]["options"]["path"], folder);
    let home = &grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    assert!(mounts.iter().any(|(_, target)| target == string(home)));
    let source = text(&root("dashboards/grafana/provisioning/datasources/prometheus.yml"));
    for variable in source.split("${").skip(1).map(|rest| rest.split('}').next().unwrap()) {
        assert!(grafana["environment"][variable].is_string(), "{variable} is not set");
    }
}

#[test]
fn the_image_is_built_from_what_is_there_and_runs_without_root() {
    let dockerfile = text(&root("Dockerfile"));
    let stages: Vec<&str> = dockerfile.lines().filter(|line| line.starts_with("FROM ")).collect();
    assert_eq!(stages.len(), 2);
    let rust = string(&Value::from(env!("CARGO_PKG_RUST_VERSION"))).to_owned();
    assert!(stages[0].starts_with(&format!("FROM rust:{rust}-")), "{}", stages[0]);
    assert!(!dockerfile.contains(":latest") && dockerfile.contains("\nUSER 10001\n"));
    for name in ["config/examples/demo.yaml", "src/demo/data/census-$version.json.gz"] {
        assert!(dockerfile.contains(name), "{name}");
        for version in ["v7", "v8"] {
            assert!(root(&name.replace("$version", version)).exists(), "{name}");
        }
    }
    let ignored = text(&root(".dockerignore"));
    assert!(ignored.lines().all(|line| !line.starts_with("src") && !line.starts_with("config")));
    // The user of the image owns the directory of the state.
    let tmpfs = &compose()["services"]["tidemark"]["tmpfs"][0];
    assert!(string(tmpfs).starts_with("/var/lib/tidemark:uid=10001,"), "{tmpfs}");
}

/// Names and folders of containers, and what stands for them here.
struct Here(Vec<(String, String)>);

impl Here {
    fn text(&self, text: &str) -> String {
        let mut text = text.replace("$$", "$");
        for (there, here) in &self.0 {
            text = text.replace(there, here);
        }
        // `${NAME:-default}`, as compose puts it in.
        while let Some((before, rest)) = text.split_once("${") {
            let (variable, after) = rest.split_once('}').expect("a closing brace");
            let (name, default) = variable.split_once(":-").expect("a default");
            let value = if name == "STORY_SPEED" { SPEED } else { default };
            text = [before, value, after].concat();
        }
        text
    }

    fn arguments(&self, service: &Value, key: &str) -> Vec<String> {
        list(&service[key]).iter().map(|one| self.text(string(one))).collect()
    }

    fn environment(&self, service: &Value) -> Vec<(String, String)> {
        let all = service["environment"].as_object().into_iter().flatten();
        all.map(|(name, value)| (name.clone(), self.text(string(value)))).collect()
    }

    fn copy(&self, from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            std::fs::write(to, self.text(&text(&entry.path()))).unwrap();
        }
    }
}

/// Faster than the file's default, so that the test does not last as long.
const SPEED: &str = "30";

/// The broker's properties as its image makes them of the environment: KAFKA_A_B is a.b.
fn properties(kafka: &Value) -> Vec<(String, String)> {
    let here = ["LISTENERS", "ADVERTISED", "QUORUM", "NODE_ID", "ROLES", "PROTOCOL_MAP", "HEAP"];
    let all = kafka["environment"].as_object().unwrap().iter();
    let of_us = all.filter(|(name, _)| !here.iter().any(|word| name.contains(word)));
    of_us
        .map(|(name, value)| {
            let name = name.strip_prefix("KAFKA_").unwrap().to_lowercase().replace('_', ".");
            (name, string(value).to_owned())
        })
        .collect()
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn tidemark(here: &Here, service: &Value) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    command.args(here.arguments(service, "command")).envs(here.environment(service));
    command
}

/// What the job does with the broker's own tool, in a shell.
fn make_topics(here: &Here, service: &Value, folder: &Path) {
    let words = here.arguments(service, "command");
    let wrapper = folder.join("kafka-topics.sh");
    let class = "org.apache.kafka.tools.TopicCommand";
    let script = format!("#!/bin/sh\nexec java -cp '{}/*' {class} \"$@\"\n", jars().display());
    std::fs::write(&wrapper, script).unwrap();
    let script =
        words[2].replace("/opt/kafka/bin/kafka-topics.sh", &format!("sh {}", wrapper.display()));
    let output = Command::new(&words[0]).args([&words[1], &script]).stdin(Stdio::null()).output();
    let output = output.unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success() && said.contains("Created topic census.labels"), "{said}");
}

#[test]
fn what_the_containers_run_plays_the_story_to_its_end() {
    let compose = compose();
    let services = services(&compose);
    let folder = tempfile::Builder::new().prefix("compose-").tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let options =
        BrokerOptions { properties: properties(&services["kafka"]), ..BrokerOptions::default() };
    let broker = KafkaBroker::start(options);
    let (daemon, trainer) = (free_port(), free_port());
    let mut here = Here(vec![
        ("kafka:9092".to_owned(), broker.bootstrap()),
        ("0.0.0.0:9464".to_owned(), format!("127.0.0.1:{daemon}")),
        ("127.0.0.1/9464".to_owned(), format!("127.0.0.1/{daemon}")),
        ("tidemark:9464".to_owned(), format!("127.0.0.1:{daemon}")),
        ("0.0.0.0:8080".to_owned(), format!("127.0.0.1:{trainer}")),
        ("generator:8080".to_owned(), format!("127.0.0.1:{trainer}")),
        ("/etc/alertmanager".to_owned(), root("dashboards/alertmanager").display().to_string()),
        ("/etc/tidemark".to_owned(), place("config").display().to_string()),
        ("/var/lib/tidemark".to_owned(), place("state").display().to_string()),
    ]);
    make_topics(&here, &services["topics"], folder.path());
    // As the image has it.
    std::fs::create_dir(place("config")).unwrap();
    std::fs::copy(root("config/examples/demo.yaml"), place("config/demo.yaml")).unwrap();
    for (source, target) in mounts(&services["tidemark"]) {
        std::fs::copy(root(&source), here.text(&target)).unwrap();
    }
    for version in ["v7", "v8"] {
        let packed = std::fs::File::open(root(&format!("src/demo/data/census-{version}.json.gz")));
        let mut profile = flate2::read::GzDecoder::new(packed.unwrap());
        let path = place(&format!("config/census-{version}.json"));
        std::io::copy(&mut profile, &mut std::fs::File::create(path).unwrap()).unwrap();
    }

    let mut run = tidemark(&here, &services["tidemark"]);
    let log = std::fs::File::create(place("log")).unwrap();
    let mut run = crate::support::guarded::Guarded::spawn(run.stderr(log));
    wait_for("tidemark is ready", || {
        assert!(!run.has_ended(), "{}", text(&place("log")));
        matches!(get(daemon, "/-/ready"), Ok((200, _))).then_some(())
    });
    let check = here.arguments(&services["tidemark"]["healthcheck"], "test");
    let healthy = Command::new(&check[1]).args(&check[2..]).status().unwrap();
    assert!(healthy.success(), "{check:?}");

    let alerts = text(&root("dashboards/alertmanager/alertmanager.yml"));
    let alertmanager = Alertmanager::start(&here.text(&alerts));
    let address = format!("127.0.0.1:{}", alertmanager.port());
    here.0.push(("alertmanager:9093".to_owned(), address));
    // Of Prometheus itself the file and its folder; where it listens and stores is the test's.
    let config = place("prometheus");
    here.copy(&root("dashboards/prometheus"), &config);
    let prometheus = text(&config.join("prometheus.yml"));
    let rules = format!("{}/", config.display());
    let prometheus = prometheus.replace("- recording", &format!("- {rules}recording"));
    let prometheus = prometheus.replace("- alerts", &format!("- {rules}alerts"));
    let prometheus = Prometheus::start(&prometheus, &[]);

    let mut generator = tidemark(&here, &services["generator"]);
    generator.stderr(Stdio::inherit());
    let mut story = Told::start(&mut generator, folder.path());
    story.at("v7 is live");
    story.at("married people begin to earn more");
    let (_, asked) = story.at("the trainer has retrain-");
    assert!(asked.contains("bytes"), "{asked}");
    story.at("v8 is live");
    wait_for("prometheus sees the delivery", || {
        (prometheus.sum("tidemark_outbox_delivered_total") == 1.0).then_some(())
    });
    wait_for("prometheus sees the new version", || {
        (prometheus.sum("tidemark_model_info{version=\"v8\"}") == 1.0).then_some(())
    });
    // Without a `for`, and evaluated every 5 seconds.
    let firing = "ALERTS{alertname=\"TidemarkPolicyFiring\",alertstate=\"firing\"}";
    wait_for("the policy's alert fires", || (!prometheus.query(firing).is_empty()).then_some(()));
    // As a person would try it: an alert that Alertmanager gets asks for a retraining, too.
    let url = format!("--alertmanager.url=http://127.0.0.1:{}", alertmanager.port());
    let add = [&*url, "alert", "add", "alertname=TidemarkFeatureDrift", "model=census"];
    assert!(Command::new("amtool").args(add).status().unwrap().success());
    wait_for("the alert's request is delivered", || {
        (prometheus.sum("tidemark_outbox_delivered_total") == 2.0).then_some(())
    });
    story.process.terminate();
    let ended = story.process.wait(std::time::Duration::from_secs(20));
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    run.terminate();
    let ended = run.wait(std::time::Duration::from_secs(20));
    assert!(ended.is_some_and(|status| status.success()), "{}", text(&place("log")));
}
