//! Asking for a retraining: once, with a signature that another program's library accepts, whatever
//! happens to the receiver and to the daemon.

use crate::e2e::daemon::{Installation, Running};
use crate::e2e::toy::{Rows, Toy, WINDOW};
use crate::support::kafka_broker::shared;
use crate::support::scrape::Scrape;
use crate::webhook::python_receiver::{PythonReceiver, SECRET};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

/// The start of the window that holds what happened so long ago.
fn ago(span: Span) -> Timestamp {
    (clock::now() - span).floor(WINDOW, Timestamp(0))
}

/// Windows in a row; the one with this number is bad.
fn windows(toy: &Toy, start: Timestamp, count: i64, bad: Option<i64>) -> Rows {
    let mut rows = Rows::default();
    for at in 0..count {
        let wrong = (bad == Some(at)).then_some(3);
        rows.add(toy.window(start + Span(WINDOW.0 * at), 100, wrong));
    }
    rows
}

fn installation(toy: &Toy, receiver: &PythonReceiver) -> Installation {
    Installation::new(&config(toy, receiver))
}

/// A policy that asks for a retraining when the accuracy of a window falls.
pub fn config(toy: &Toy, receiver: &PythonReceiver) -> String {
    let url = receiver.url("/hooks/retrain");
    let top = format!("webhooks: [{{ name: trainer, url: \"{url}\", secret: {SECRET} }}]");
    let model = r#"
    policies:
      - name: accuracy-fell
        metric: accuracy
        below: 0.95
        label_age: 2s
        min_labels: 50
        action: { retrain: trainer, cooldown: 0s, act_within: 10m }
"#;
    toy.config(&top, model)
}

fn decided(scrape: &Scrape, decision: &str) -> f64 {
    scrape.sum("tidemark_policy_decisions_total", &[("decision", decision)])
}

fn delivered(scrape: &Scrape) -> f64 {
    scrape.sum("tidemark_outbox_delivered_total", &[])
}

fn header<'a>(request: &'a Value, name: &str) -> &'a str {
    request["headers"][name].as_str().unwrap_or_default()
}

/// All of them are the one request for this window, rightly signed.
fn assert_one_request(requests: &[Value], window_end: Timestamp) {
    for request in requests {
        assert!(request["error"].is_null(), "{request}");
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        let data = &body["data"];
        assert_eq!(body["type"], "model.retraining.requested");
        assert_eq!(data["id"], header(request, "webhook-id"));
        assert_eq!(data["window"]["end"], window_end.to_string());
        assert_eq!(data["metric"]["value"], 0.66);
        assert_eq!(data["labeled_predictions"], 100);
        assert_eq!(data["offsets"][0]["partitions"].as_array().unwrap().len(), 2);
    }
    let ids: BTreeSet<&str> = requests.iter().map(|one| header(one, "webhook-id")).collect();
    assert_eq!(ids.len(), 1, "{requests:?}");
}

#[test]
fn a_bad_window_asks_once_and_goes_on_asking_until_the_receiver_takes_it() {
    let toy = Toy::create(shared(), 2);
    let start = ago(Span::from_mins(5));
    toy.produce(shared(), &windows(&toy, start, 6, Some(3)));
    let receiver = PythonReceiver::start(SECRET, "503:1,503:1,200");
    let mut installation = installation(&toy, &receiver);
    let daemon = installation.start();
    let scrape = daemon.wait_for("the request is delivered", |scrape| {
        delivered(scrape) == 1.0 && decided(scrape, "hold") == 5.0
    });
    assert_eq!(decided(&scrape, "retrain"), 1.0);
    assert_eq!(scrape.get("tidemark_webhook_failures_total", &[]), Some(2.0));
    assert!(daemon.stop().success());
    let requests = receiver.finish();
    assert_eq!(requests.len(), 3);
    assert_one_request(&requests, start + Span(WINDOW.0 * 4));
}

#[test]
fn killed_again_and_again_around_the_decision_it_asks_for_one_retraining() {
    let toy = Toy::create(shared(), 2);
    let start = ago(Span::from_mins(5));
    toy.produce(shared(), &windows(&toy, start, 6, Some(3)));
    let mut receiver = PythonReceiver::start(SECRET, "503:1,503:1,200");
    let mut installation = installation(&toy, &receiver);
    let daemon = installation.start();
    let first = receiver.next_request();
    daemon.kill9();
    let mut random = fastrand::Rng::with_seed(20_250_711);
    for _ in 0..5 {
        let daemon = installation.start();
        run_for(&daemon, Duration::from_millis(random.u64(50..1_500)));
        daemon.kill9();
    }
    let daemon = installation.start();
    let scrape = daemon.wait_for("the request is delivered", |scrape| {
        delivered(scrape) == 1.0 && decided(scrape, "hold") == 5.0
    });
    assert_eq!(decided(&scrape, "retrain"), 1.0);
    assert!(daemon.stop().success());
    let mut requests = receiver.finish();
    requests.push(first);
    assert!(requests.len() >= 3, "{requests:?}");
    assert_one_request(&requests, start + Span(WINDOW.0 * 4));
}

#[test]
fn no_request_leaves_before_the_checkpoint_that_holds_it_is_durable() {
    let toy = Toy::create(shared(), 2);
    // The window is judged 18 seconds after its end: there is time to take the store away before.
    let start = ago(WINDOW);
    toy.produce(shared(), &windows(&toy, start, 1, Some(0)));
    let receiver = PythonReceiver::start(SECRET, "200");
    let late = config(&toy, &receiver).replace("idle_after: 1s", "idle_after: 15s");
    let mut installation = Installation::new(&late);
    let models = installation.home().join("state/models");
    let away = installation.home().join("models-away");
    let daemon = installation.start();
    // By then the model is its own.
    daemon.wait_until_ready();
    std::fs::rename(&models, &away).expect("the state is there");
    std::fs::write(&models, "no directory").expect("our own directory");
    daemon.wait_until_log_says("retraining requested");
    daemon.wait_until_log_says("checkpoint failed");
    assert_eq!(daemon.metrics().get("tidemark_webhook_requests_total", &[]), Some(0.0));
    std::fs::remove_file(&models).expect("our own file");
    std::fs::rename(&away, &models).expect("our own directory");
    daemon.wait_for("the request is delivered", |scrape| delivered(scrape) == 1.0);
    assert!(daemon.stop().success());
    let requests = receiver.finish();
    assert_eq!(requests.len(), 1);
    assert_one_request(&requests, start + WINDOW);
}

/// Scrapes until so much time has passed: a point in time is what the test is about.
fn run_for(daemon: &Running, time: Duration) {
    let until = clock::monotonic() + time;
    while clock::monotonic() < until {
        daemon.metrics();
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_backlog_asks_for_nothing_and_what_is_recent_asks_once() {
    let toy = Toy::create(shared(), 2);
    toy.produce(shared(), &windows(&toy, ago(Span::from_hours(1)), 6, Some(2)));
    let receiver = PythonReceiver::start(SECRET, "200");
    let historical = |scrape: &Scrape| {
        scrape.sum("tidemark_policy_decisions_total", &[("reason", "historical")])
    };
    let mut first = installation(&toy, &receiver);
    let daemon = first.start();
    let scrape = daemon.wait_for("the backlog is judged", |scrape| decided(scrape, "hold") == 6.0);
    assert_eq!(historical(&scrape), 1.0);
    assert!(daemon.stop().success());

    let recent = ago(Span::from_mins(3));
    toy.produce(shared(), &windows(&toy, recent, 3, Some(1)));
    let mut second = installation(&toy, &receiver);
    let daemon = second.start();
    let scrape = daemon.wait_for("all is judged and what is recent acted on", |scrape| {
        delivered(scrape) == 1.0 && decided(scrape, "hold") == 8.0
    });
    assert_eq!((decided(&scrape, "retrain"), historical(&scrape)), (1.0, 1.0));
    assert!(daemon.stop().success());
    assert_one_request(&receiver.finish(), recent + WINDOW + WINDOW);
}
