//! Somebody else's alert asks for a retraining: once, however often it is told and whatever
//! crashes.

use crate::e2e::daemon::{Installation, PATIENCE};
use crate::e2e::toy::{MODEL, Toy};
use crate::support::guarded::Guarded;
use crate::support::http_client::{get, post};
use crate::support::kafka_broker::shared;
use crate::support::scrape::Scrape;
use crate::webhook::python_receiver::{PythonReceiver, SECRET};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;
use tidemark::io::clock::{self, monotonic};

const TOKEN: &str = "s3cr3t-token";

fn config(toy: &Toy, receiver: &PythonReceiver, cooldown: &str) -> String {
    let url = receiver.url("/hooks/retrain");
    let top = format!("webhooks: [{{ name: trainer, url: \"{url}\", secret: {SECRET} }}]");
    let policy = format!(
        "    policies: [{{ name: on-alert, alertmanager: AccuracyTooLow, \
         action: {{ retrain: trainer, cooldown: {cooldown} }} }}]"
    );
    toy.config(&top, &policy).replace(
        "http: { listen: \"@LISTEN\" }",
        "http: { listen: \"@LISTEN\", alertmanager: { token_file: \"@HOME/token\" } }",
    )
}

fn installation(toy: &Toy, receiver: &PythonReceiver, cooldown: &str) -> Installation {
    let installation = Installation::new("");
    std::fs::write(installation.home().join("token"), format!("{TOKEN}\n")).unwrap();
    installation.configure(&config(toy, receiver, cooldown));
    installation
}

/// A notification with one alert.
fn told(fingerprint: &str, starts_at: &str) -> String {
    json!({
        "version": "4", "status": "firing", "receiver": "tidemark", "truncatedAlerts": 0,
        "alerts": [{
            "status": "firing",
            "labels": { "alertname": "AccuracyTooLow", "model": MODEL, "version": "v1" },
            "annotations": { "summary": "accuracy is <b>low</b>" },
            "startsAt": starts_at, "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "", "fingerprint": fingerprint,
        }],
    })
    .to_string()
}

fn head() -> String {
    format!("Content-Type: application/json\r\nAuthorization: Bearer {TOKEN}\r\n")
}

fn delivered(scrape: &Scrape) -> f64 {
    scrape.sum("tidemark_outbox_delivered_total", &[])
}

fn outcome(answer: &(u16, String)) -> (u16, String, String) {
    let said: Value = serde_json::from_str(&answer.1).unwrap();
    let policy = &said["alerts"][0]["policies"][0];
    let of = |name: &str| policy[name].as_str().unwrap_or_default().to_owned();
    (answer.0, of("outcome"), of("id"))
}

#[test]
fn an_alert_is_one_request_over_repetitions_and_a_crash_right_after_the_answer() {
    let toy = Toy::create(shared(), 1);
    let receiver = PythonReceiver::start(SECRET, "503:1,200,200");
    let mut installation = installation(&toy, &receiver, "0s");
    let daemon = installation.start();
    let tell = |fingerprint: &str| {
        daemon.post("/api/v1/alertmanager", &head(), &told(fingerprint, "2026-01-31T10:00:00.5Z"))
    };
    let (status, _) = daemon.post("/api/v1/alertmanager", "", &told("f1", "2026-01-31T10:00:00Z"));
    assert_eq!(status, 401, "without the token");
    let (status, first, id) = outcome(&tell("f1"));
    assert_eq!((status, first.as_str()), (200, "requested"));
    // The answer was given: so it is durable.
    daemon.kill9();
    let daemon = installation.start();
    let tell = |path: &str, fingerprint: &str| {
        daemon.post(path, &head(), &told(fingerprint, "2026-01-31T10:00:00.5Z"))
    };
    let again = outcome(&tell("/api/v1/alertmanager/on-alert", "f1"));
    assert_eq!(again, (200, "repeated".to_owned(), id.clone()));
    daemon.wait_for("the request is delivered", |scrape| delivered(scrape) == 1.0);
    assert_eq!(
        outcome(&tell("/api/v1/alertmanager", "f1")),
        (200, "repeated".to_owned(), id.clone())
    );
    let (status, second, other) = outcome(&tell("/api/v1/alertmanager", "f2"));
    assert_eq!((status, second.as_str(), other == id), (200, "requested", false));
    daemon.wait_for("the second is delivered", |scrape| delivered(scrape) == 2.0);
    assert_eq!(tell("/api/v1/alertmanager/another", "f1").0, 422);
    let decided = [("policy", "on-alert"), ("decision", "retrain")];
    assert_eq!(daemon.metrics().sum("tidemark_policy_decisions_total", &decided), 2.0);
    assert!(daemon.stop().success());
    let requests = receiver.finish();
    let first: Vec<&Value> =
        requests.iter().filter(|request| request["headers"]["webhook-id"] == id).collect();
    assert!(!first.is_empty() && requests.len() <= 4, "{requests:?}");
    for request in first {
        assert!(request["error"].is_null(), "{request}");
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        let data = &body["data"];
        assert_eq!(data["id"], id);
        assert_eq!((&data["model"], &data["version"]), (&json!(MODEL), &json!("v1")));
        assert_eq!(data["alert"]["name"], "AccuracyTooLow");
        assert_eq!(data["alert"]["fingerprint"], "f1");
        assert_eq!(data["alert"]["starts_at"], "2026-01-31T10:00:00.5Z");
        assert_eq!(
            data["reason"],
            "alert AccuracyTooLow is firing since 2026-01-31T10:00:00.5Z: accuracy is <b>low</b>"
        );
    }
}

#[test]
fn nothing_is_answered_before_it_is_durable_and_the_cooldown_holds() {
    let toy = Toy::create(shared(), 1);
    let receiver = PythonReceiver::start(SECRET, "200");
    let mut installation = installation(&toy, &receiver, "6h");
    let models = installation.home().join("state/models");
    let away = installation.home().join("models-away");
    let daemon = installation.start();
    daemon.wait_until_ready();
    std::fs::rename(&models, &away).expect("the state is there");
    std::fs::write(&models, "no directory").expect("our own directory");
    let tell = |fingerprint: &str| {
        daemon.post("/api/v1/alertmanager", &head(), &told(fingerprint, "2026-01-31T10:00:00Z"))
    };
    let answer = std::thread::scope(|scope| {
        let telling = scope.spawn(|| tell("f1"));
        daemon.wait_until_log_says("retraining requested");
        daemon.wait_until_log_says("checkpoint failed");
        assert!(!telling.is_finished());
        std::fs::remove_file(&models).expect("our own file");
        std::fs::rename(&away, &models).expect("our own directory");
        telling.join().unwrap()
    });
    assert_eq!(outcome(&answer).0, 200, "{answer:?}");
    daemon.wait_for("the request is delivered", |scrape| delivered(scrape) == 1.0);
    let (status, text) = tell("f2");
    let said: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status, 200);
    assert_eq!(
        said["alerts"][0]["policies"][0],
        json!({ "policy": "on-alert", "outcome": "held", "reason": "in_cooldown" })
    );
    assert!(daemon.stop().success());
    assert_eq!(receiver.finish().len(), 1);
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn a_real_alertmanager_that_repeats_itself_asks_for_one_retraining() {
    let toy = Toy::create(shared(), 1);
    let receiver = PythonReceiver::start(SECRET, "200");
    let mut installation = installation(&toy, &receiver, "0s");
    let daemon = installation.start();
    let home = installation.home().join("alertmanager");
    std::fs::create_dir(&home).unwrap();
    let config = home.join("alertmanager.yml");
    let text = format!(
        "route:\n  receiver: tidemark\n  group_wait: 10ms\n  group_interval: 100ms\n  \
         repeat_interval: 200ms\nreceivers:\n- name: tidemark\n  webhook_configs:\n  - url: \
         http://127.0.0.1:{}/api/v1/alertmanager\n    http_config:\n      authorization: \
         {{ credentials_file: {} }}\n",
        daemon.port,
        installation.home().join("token").display()
    );
    std::fs::write(&config, text).unwrap();
    let port = free_port();
    let mut command = Command::new("prometheus-alertmanager");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", home.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(home.join("log")).unwrap());
    let mut alertmanager = Guarded::spawn(&mut command);
    let log = || std::fs::read_to_string(home.join("log")).unwrap_or_default();
    let deadline = monotonic() + PATIENCE;
    while !matches!(get(port, "/-/ready"), Ok((200, _))) {
        assert!(!alertmanager.has_ended() && monotonic() < deadline, "{}", log());
        std::thread::sleep(Duration::from_millis(30));
    }
    let alerts = json!([{
        "labels": { "alertname": "AccuracyTooLow", "model": MODEL, "version": "v1" },
        "annotations": { "summary": "accuracy is low" },
        "startsAt": clock::now().to_string(),
    }]);
    let head = "Content-Type: application/json\r\n";
    let (status, text) = post(port, "/api/v2/alerts", head, &alerts.to_string()).unwrap();
    assert_eq!(status, 200, "{text}");
    daemon.wait_for("it was told again and again", |scrape| {
        let endpoint = [("endpoint", "/api/v1/alertmanager")];
        let told = scrape.sum("tidemark_http_requests_total", &endpoint);
        assert!(!log().contains("Notify for alerts failed"), "{}", log());
        told >= 3.0 && delivered(scrape) == 1.0
    });
    alertmanager.terminate();
    assert!(daemon.stop().success());
    assert_eq!(receiver.finish().len(), 1);
}
