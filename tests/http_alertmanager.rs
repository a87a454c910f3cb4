//! Notifications of Alertmanager over HTTP, with an engine that only notes what it is told.

use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use tidemark::engine::monitor::{AlertOutcome, ExternalAlert};
use tidemark::engine::policy::{Decision, Hold};
use tidemark::engine::time::Timestamp;
use tidemark::io::http::*;
use tidemark::io::telemetry::{Telemetry, snapshots};
use tokio::sync::watch;

/// The policy that was named, and the alerts.
type Seen = (Option<String>, Vec<ExternalAlert>);

struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    http: Client,
    _stop: watch::Sender<bool>,
}

impl Server {
    /// The engine answers each alert by its model's name.
    async fn start() -> Self {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let url = format!("http://{}{ALERTS_PATH}", listener.local_addr().unwrap());
        let (_, readiness) = watch::channel(Readiness::Ready);
        let (stop, stopped) = watch::channel(false);
        let (client, mut desk) = alerts();
        let now = Arc::new(|| Timestamp(0));
        let limits = Limits::default();
        let telemetry = Arc::new(Telemetry::new());
        let state = HttpState::new(telemetry, snapshots().0, readiness, now, limits);
        tokio::spawn(serve(listener, router(state, alert_routes(client)), limits, stopped));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                while let Some(job) = desk.take() {
                    let answers = job.alerts.iter().map(answer).collect();
                    let alerts = job.alerts.into_iter().map(|told| told.alert).collect();
                    notes.lock().unwrap().push((job.policy, alerts));
                    let _ = job.answer.send(answers);
                }
                tokio::task::yield_now().await;
            }
        });
        let http = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { url, seen, http, _stop: stop }
    }

    async fn tell(&self, payload: &Value) -> (u16, Value) {
        sent(self.http.post(&self.url).json(payload)).await
    }
}

async fn sent(request: RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

fn answer(told: &ToldAlert) -> AlertAnswer {
    let outcome = match (told.model.as_str(), told.firing) {
        ("unknown", _) => return Err("there is no model of that name".to_owned()),
        ("full", _) => AlertOutcome::Full,
        ("cool", true) => AlertOutcome::Held(Decision::Hold(Hold::InCooldown)),
        (_, true) => AlertOutcome::Requested { id: "retrain-1".into() },
        (_, false) => AlertOutcome::Resolved,
    };
    Ok(vec![("on-alert".to_owned(), outcome)])
}

fn alert(model: &str) -> Value {
    json!({
        "status": "firing",
        "labels": { "alertname": "Low", "model": model, "version": "v7", "severity": "page" },
        "annotations": { "description": "a\nb", "runbook": "x" },
        "startsAt": "2026-01-31T11:00:00.123456789+01:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "8b1cdd1b8e1b3c5f",
    })
}

fn notification(alerts: &[Value]) -> Value {
    json!({
        "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing",
        "receiver": "tidemark", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager", "alerts": alerts,
    })
}

#[tokio::test]
async fn an_alert_is_read_as_alertmanager_writes_it() {
    let server = Server::start().await;
    let (status, said) = server.tell(&notification(&[alert("income")])).await;
    assert_eq!(status, 200, "{said}");
    let policies = json!([{ "policy": "on-alert", "outcome": "requested", "id": "retrain-1" }]);
    let line = json!({
        "alertname": "Low", "fingerprint": "8b1cdd1b8e1b3c5f", "model": "income",
        "policies": policies,
    });
    assert_eq!(said, json!({ "alerts": [line] }));
    let url = format!("{}/on-alert", server.url);
    let payload = notification(&[alert("income")]);
    assert_eq!(sent(server.http.post(url).json(&payload)).await.0, 200);
    let seen = server.seen.lock().unwrap().clone();
    let expected = ExternalAlert {
        name: "Low".into(),
        fingerprint: "8b1cdd1b8e1b3c5f".into(),
        // 2026-01-31T10:00:00.123456Z
        starts_at: Timestamp(1_769_853_600_123_456),
        version: "v7".into(),
        summary: "ab".into(),
    };
    assert_eq!(seen[0], (None, vec![expected.clone()]));
    assert_eq!(seen[1], (Some("on-alert".to_owned()), vec![expected]));
}

#[tokio::test]
async fn what_can_never_be_carried_out_is_told_and_the_rest_is_carried_out() {
    let server = Server::start().await;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut alert = alert("income");
        change(&mut alert);
        alert
    };
    let remove = |alert: &mut Value, name: &str| {
        alert["labels"].as_object_mut().unwrap().remove(name).unwrap();
    };
    let faulty = [
        (with(&|alert| remove(alert, "model")), "no label `model`"),
        (with(&|alert| remove(alert, "alertname")), "no label `alertname`"),
        (with(&|alert| alert["labels"]["model"] = json!("")), "no label `model`"),
        (with(&|alert| alert["startsAt"] = json!("yesterday")), "`yesterday` is not a time"),
        (with(&|alert| alert["fingerprint"] = json!("")), "no fingerprint"),
        (with(&|alert| alert["fingerprint"] = json!("x".repeat(200))), "longer than 128"),
        (with(&|alert| alert["labels"]["version"] = json!("x".repeat(200))), "longer than 128"),
        (with(&|alert| alert["status"] = json!("pending")), "status `pending`"),
        (alert("unknown"), "there is no model of that name"),
    ];
    let mut alerts: Vec<Value> = faulty.iter().map(|(alert, _)| alert.clone()).collect();
    alerts.push(alert("income"));
    let (status, said) = server.tell(&notification(&alerts)).await;
    assert_eq!(status, 422);
    for (at, (_, part)) in faulty.iter().enumerate() {
        let error = said["alerts"][at]["error"].as_str().unwrap_or_default();
        assert!(error.contains(part), "{part}: {said}");
    }
    assert_eq!(said["alerts"][faulty.len()]["policies"][0]["outcome"], "requested");

    let resolved = with(&|alert| alert["status"] = json!("resolved"));
    let (status, said) = server.tell(&notification(&[resolved, alert("cool")])).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(said["alerts"][0]["policies"][0]["outcome"], "resolved");
    assert_eq!(said["alerts"][1]["policies"][0]["reason"], "in_cooldown");
    // It may be told again.
    assert_eq!(server.tell(&notification(&[alert("full"), alert("unknown")])).await.0, 503);
}

#[tokio::test]
async fn what_is_no_notification_is_refused() {
    let server = Server::start().await;
    let change = |name: &str, value: Value| {
        let mut payload = notification(&[alert("income")]);
        payload[name] = value;
        payload
    };
    for (payload, part) in [
        (change("version", json!("3")), "the payload's version must be \"4\", and it is \"3\""),
        (change("version", json!(4)), "and it is 4"),
        (change("version", Value::Null), "and it is null"),
        (change("alerts", json!("none")), "no notification of Alertmanager"),
        (change("alerts", json!([{ "status": "firing" }])), "missing field `labels`"),
        (change("alerts", vec![alert("income"); ALERTS_MAX + 1].into()), "set max_alerts"),
        (json!([]), "and it is none"),
    ] {
        let (status, said) = server.tell(&payload).await;
        let message = said["error"]["message"].as_str().unwrap_or_default();
        assert!(status == 400 && message.contains(part), "{part}: {status} {message}");
    }
    let post = |body: Vec<u8>, content_type: &str| {
        let request = server.http.post(&server.url).header("content-type", content_type);
        sent(request.body(body))
    };
    let good = notification(&[alert("income")]).to_string().into_bytes();
    assert_eq!(post(good.clone(), "application/json; charset=utf-8").await.0, 200);
    assert_eq!(post(good, "application/x-www-form-urlencoded").await.0, 415);
    assert_eq!(post(b"{\"version\":\"4\"\xff".to_vec(), "application/json").await.0, 400);
    assert_eq!(post(vec![b' '; NOTIFICATION_BYTES_MAX + 1], "application/json").await.0, 413);
    assert_eq!(server.http.get(&server.url).send().await.unwrap().status().as_u16(), 405);
}
