//! Delivery over HTTP, to receivers that verify with another program's library.

use super::outbox::request;
use super::python_receiver::{PythonReceiver, SECRET};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use tidemark::engine::outbox::{
    Attempt, Enqueued, GIVE_UP_AFTER, Outbox, Outcome, Recorded, State,
};
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::Now;
use tidemark::io::telemetry::Telemetry;
use tidemark::io::webhook::{
    Deliverer, DelivererError, Receiver, SigningSecret, Target, TargetTls, Template, run,
};

/// Signatures carry the real time: the library allows five minutes.
#[allow(clippy::disallowed_methods)]
fn wall_clock() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(since_epoch.as_micros() as i64)
}

pub fn target(url: String) -> Target {
    Target {
        name: "trainer".into(),
        url,
        secrets: SigningSecret::parse_all(SECRET).unwrap(),
        headers: vec![("Authorization".into(), "Bearer hunter2hunter2".into())],
        timeout: Duration::from_secs(20),
        success_statuses: Vec::new(),
        template: None,
        proxy: None,
        tls: TargetTls::default(),
    }
}

fn deliverer(target: Target) -> Deliverer {
    Deliverer::new(vec![target], &Telemetry::new()).unwrap()
}

fn attempt() -> Attempt {
    let request = request("trainer", 1);
    Attempt { id: request.id, webhook: request.webhook, body: request.body, number: 1 }
}

pub async fn attempt_at(target: Target) -> Outcome {
    deliverer(target).deliver(&attempt(), wall_clock()).await
}

pub fn error_of(outcome: Outcome) -> String {
    let Outcome::Failed { error, .. } = outcome else { panic!("{outcome:?} is no failure") };
    error
}

#[tokio::test]
async fn a_request_is_retried_until_a_receiver_that_verifies_takes_it() {
    let mut receiver = PythonReceiver::start(SECRET, "500,429:1,200");
    let telemetry = Telemetry::new();
    let targets = vec![target(receiver.url("/hooks/retrain"))];
    let deliverer = Deliverer::new(targets, &telemetry).unwrap();

    let mut now = wall_clock();
    let mut outbox = Outbox::new();
    assert_eq!(outbox.enqueue(request("trainer", 1), now, GIVE_UP_AFTER), Enqueued::New);
    outbox.confirm(outbox.mark());
    let mut waits = Vec::new();
    while let Some(next) = outbox.next_due() {
        waits.push(next - now);
        now = next;
        for attempt in outbox.due(now) {
            let outcome = deliverer.deliver(&attempt, now).await;
            outbox.record(&attempt.id, outcome, now);
        }
    }
    let seen: Vec<Value> = (0..3).map(|_| receiver.next_request()).collect();
    assert!(receiver.finish().is_empty());
    assert!(seen.iter().all(|request| request["error"].is_null()), "{seen:?}");
    let header =
        |request: &Value, name: &str| request["headers"][name].as_str().unwrap().to_owned();
    let ids: BTreeSet<String> = seen.iter().map(|seen| header(seen, "webhook-id")).collect();
    assert_eq!(ids.len(), 1, "one logical request");
    let times: BTreeSet<String> =
        seen.iter().map(|seen| header(seen, "webhook-timestamp")).collect();
    assert_eq!(times.len(), 3, "each attempt is signed with its own time");
    assert!(seen.iter().all(|request| request["body"] == "{\"hour\":1}"));
    assert_eq!(header(&seen[0], "content-type"), "application/json");
    assert_eq!(header(&seen[0], "authorization"), "Bearer hunter2hunter2");
    assert!(header(&seen[0], "user-agent").starts_with("tidemark/"));
    let peers: BTreeSet<u64> = seen.iter().map(|seen| seen["peer"].as_u64().unwrap()).collect();
    assert_eq!(peers.len(), 1, "the connection is used again");

    assert_eq!(waits[0], Span::ZERO);
    assert!(waits[1] >= Span::from_secs(5), "the schedule after a 500: {waits:?}");
    assert!(waits[2] >= Span::from_secs(1) && waits[2] < Span::from_secs(2), "{waits:?}");
    let state = &outbox.finished().next().unwrap().state;
    assert!(matches!(state, State::Sent { status: 200, .. }), "{state:?}");
    let text = telemetry.encode();
    assert!(text.contains("tidemark_webhook_requests_total{webhook=\"trainer\"} 3"), "{text}");
    assert!(text.contains("tidemark_webhook_failures_total{webhook=\"trainer\"} 2"), "{text}");
}

#[tokio::test]
async fn a_receiver_with_another_secret_refuses_and_rotation_satisfies_both() {
    let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let mut receiver = PythonReceiver::start(other, "204");
    let mut target = target(receiver.url("/"));
    assert_eq!(error_of(attempt_at(target.clone()).await), "status 401 (Unauthorized)");
    assert!(!receiver.next_request()["error"].is_null());
    target.secrets = SigningSecret::parse_all(&format!("{SECRET}\n{other}")).unwrap();
    assert_eq!(attempt_at(target).await, Outcome::Delivered { status: 204 });
}

#[tokio::test]
async fn a_template_gives_the_body_that_is_sent_and_signed() {
    let mut receiver = PythonReceiver::start(SECRET, "204");
    let mut target = target(receiver.url("/api/v2/dags/retrain/dagRuns"));
    let text = r#"{"dag_run_id":"{{id}}","conf":{"event":"{{event}}"}}"#;
    target.template = Some(Template::parse(text).unwrap());
    assert_eq!(attempt_at(target).await, Outcome::Delivered { status: 204 });
    let request = receiver.next_request();
    assert!(request["error"].is_null(), "{request}");
    let id = attempt().id;
    let body = format!(r#"{{"dag_run_id":"{id}","conf":{{"event":{{"hour":1}}}}}}"#);
    assert_eq!(request["body"], body);
    assert_eq!(request["headers"]["webhook-id"], *id);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let receiver = PythonReceiver::start(SECRET, "redirect");
    let outcome = attempt_at(target(receiver.url("/retrain"))).await;
    assert!(error_of(outcome).contains("redirects are not followed"));
    let seen = receiver.finish();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0]["path"], "/retrain");
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_refused() {
    let receiver = PythonReceiver::start_tls(SECRET, "204");
    let url = format!("https://127.0.0.1:{}/retrain", receiver.port);
    let error = error_of(attempt_at(target(url)).await);
    assert!(error.contains("certificate"), "{error}");
    assert!(receiver.finish().is_empty());
}

#[tokio::test]
async fn a_receiver_that_never_answers_is_given_up_after_the_timeout() {
    let receiver = PythonReceiver::start(SECRET, "hang");
    let mut target = target(receiver.url("/retrain"));
    target.timeout = Duration::from_millis(300);
    assert_eq!(error_of(attempt_at(target).await), "no answer within 300ms");
}

#[tokio::test]
async fn answers_are_understood() {
    let receiver = PythonReceiver::start(SECRET, "409,409,410,503:120,long,close,418");
    let mut airflow = target(receiver.url("/retrain"));
    airflow.success_statuses = vec![409];
    assert_eq!(attempt_at(airflow).await, Outcome::Delivered { status: 409 });
    let deliverer = deliverer(target(receiver.url("/retrain")));
    let mut outcomes = Vec::new();
    for _ in 0..6 {
        outcomes.push(deliverer.deliver(&attempt(), wall_clock()).await);
    }
    assert_eq!(error_of(outcomes[0].clone()), "status 409 (Conflict)");
    assert_eq!(outcomes[1], Outcome::Gone);
    assert_eq!(
        outcomes[2],
        Outcome::Failed {
            status: Some(503),
            error: "status 503 (Service Unavailable)".into(),
            retry_after: Some(Span::from_secs(120)),
        }
    );
    assert_eq!(outcomes[3], Outcome::Delivered { status: 200 }, "a long answer is not read");
    assert!(matches!(outcomes[4], Outcome::Failed { status: None, .. }), "{outcomes:?}");
    assert_eq!(error_of(outcomes[5].clone()), "status 418 (I'm a teapot)");
}

#[tokio::test]
async fn an_error_shows_nothing_of_the_url_or_of_a_secret() {
    // Nothing listens on port 1; the name does not resolve (RFC 6761).
    let urls = [
        "http://alice:s3cr3tpass@127.0.0.1:1/hooks/T0K3N-in-path?token=t0k3n-in-query",
        "https://alice:s3cr3tpass@nowhere.invalid/hooks/T0K3N-in-path?token=t0k3n-in-query",
    ];
    for url in urls {
        let target = target(url.to_owned());
        let shown = format!("{target:?}");
        let deliverer = deliverer(target);
        let shown = format!("{shown} {deliverer:?}");
        let error = error_of(deliverer.deliver(&attempt(), wall_clock()).await);
        assert!(error.starts_with("cannot connect: "), "{error}");
        for secret in ["alice", "s3cr3t", "T0K3N", "t0k3n", "hunter2", "MfKQ"] {
            assert!(!error.contains(secret), "{error}");
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}

#[test]
fn a_faulty_target_is_refused_with_the_webhooks_name_and_without_its_values() {
    let with = |change: &dyn Fn(&mut Target)| {
        let mut target = target("http://127.0.0.1/s3cr3t".into());
        change(&mut target);
        Deliverer::new(vec![target], &Telemetry::new()).unwrap_err()
    };
    let errors: Vec<DelivererError> = vec![
        with(&|target| target.url = "ftp://example.com/s3cr3t".into()),
        with(&|target| target.url = "s3cr3t".into()),
        with(&|target| target.url = "http://".into()),
        with(&|target| target.timeout = Duration::ZERO),
        with(&|target| target.headers = vec![("a b".into(), "s3cr3t".into())]),
        with(&|target| target.headers = vec![("a".into(), "s3cr3t\n".into())]),
    ];
    for error in errors {
        let text = format!("{error} {error:?}");
        assert!(text.contains("trainer") && !text.contains("s3cr3t"), "{text}");
    }
    let twice = vec![target("http://127.0.0.1/".into()); 2];
    let error = Deliverer::new(twice, &Telemetry::new());
    assert!(matches!(error, Err(DelivererError::Twice { .. })));
}

#[tokio::test]
async fn the_demo_receiver_takes_each_request_once_and_no_forged_one() {
    let now: Now = Arc::new(wall_clock);
    let secret = SigningSecret::parse(SECRET).unwrap();
    let receiver = Receiver::start(secret, now.clone()).await.unwrap();
    let deliverer = Arc::new(deliverer(target(receiver.url())));

    let (attempts, to_make) = tokio::sync::mpsc::channel(8);
    let (made, mut outcomes) = tokio::sync::mpsc::channel(8);
    let task = tokio::spawn(run(deliverer, to_make, made, now.clone()));
    let mut outbox = Outbox::new();
    for hour in [1, 2] {
        outbox.enqueue(request("trainer", hour), wall_clock(), GIVE_UP_AFTER);
    }
    outbox.confirm(outbox.mark());
    for attempt in outbox.due(wall_clock()) {
        attempts.send(attempt).await.unwrap();
    }
    for _ in 0..2 {
        let (id, outcome) = outcomes.recv().await.unwrap();
        assert_eq!(outbox.record(&id, outcome, wall_clock()), Recorded::Sent);
    }
    attempts.send(attempt()).await.unwrap();
    outcomes.recv().await.unwrap();
    drop(attempts);
    task.await.unwrap();

    let received = receiver.wait_for(2).await;
    let mut times: Vec<u32> = received.iter().map(|received| received.times).collect();
    times.sort_unstable();
    assert_eq!(times, [1, 2]);
    assert!(received.iter().any(|received| received.body == "{\"hour\":1}"));

    let mut forged = target(receiver.url());
    forged.secrets = SigningSecret::parse_all("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
    assert_eq!(error_of(attempt_at(forged).await), "status 401 (Unauthorized)");
    let mut unsigned = target(receiver.url());
    unsigned.secrets.clear();
    assert_eq!(error_of(attempt_at(unsigned).await), "status 400 (Bad Request)");
    assert_eq!(receiver.received().len(), 2);
    receiver.stop().await;
}

#[tokio::test]
async fn attempts_in_progress_are_finished_when_the_daemon_stops() {
    let receiver = PythonReceiver::start(SECRET, "204");
    let deliverer = Arc::new(deliverer(target(receiver.url("/"))));
    let (attempts, to_make) = tokio::sync::mpsc::channel(20);
    let (made, mut outcomes) = tokio::sync::mpsc::channel(20);
    for _ in 0..20 {
        attempts.send(attempt()).await.unwrap();
    }
    drop(attempts);
    run(deliverer, to_make, made, Arc::new(wall_clock)).await;
    for _ in 0..20 {
        let (_, outcome) = outcomes.recv().await.unwrap();
        assert_eq!(outcome, Outcome::Delivered { status: 204 });
    }
    assert_eq!(receiver.finish().len(), 20);
}
