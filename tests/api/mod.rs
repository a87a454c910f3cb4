//! The JSON API over HTTP, on a daemon that reads from a mock cluster: each answer against the
//! document's schema, names that mean harm, history over a restart.

mod world;

use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use tidemark::daemon::Daemon;
use tidemark::io::clock::monotonic;
use tidemark::io::http::api::openapi;
use world::{FEATURE, LONG, SCRIPT, World};

const PATIENCE: Duration = Duration::from_secs(60);

/// The API of a daemon.
struct Api {
    base: String,
    client: Client,
    runtime: tokio::runtime::Runtime,
    document: Value,
}

/// An answer, read to its end.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Api {
    fn of(daemon: &Daemon) -> Self {
        let client = Client::builder().no_proxy().build().unwrap();
        let base = format!("http://{}", daemon.address());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut api = Self { document: Value::Null, base, client, runtime };
        api.document = api.fetch("/openapi.json").json();
        api
    }

    fn send(&self, request: RequestBuilder) -> Reply {
        self.runtime.block_on(async {
            let response = request.send().await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            Reply { status, headers, text: response.text().await.unwrap() }
        })
    }

    fn request(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}/api/v1{path}", self.base))
    }

    fn fetch(&self, path: &str) -> Reply {
        self.send(self.request(path))
    }

    fn ask(&self, path: &str) -> (StatusCode, Value) {
        let reply = self.fetch(path);
        assert_eq!(reply.headers["content-type"], "application/json");
        assert_eq!(reply.headers["cache-control"], "no-cache");
        assert_eq!(reply.headers["x-content-type-options"], "nosniff");
        (reply.status, reply.json())
    }

    /// A good answer, after a look at whether the document describes every member of it.
    fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(path);
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        self.check(path, "200", &answer);
        answer
    }

    fn refused(&self, path: &str, status: u16, part: &str) {
        let (got, answer) = self.ask(path);
        assert_eq!(got.as_u16(), status, "{path}: {answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(message.contains(part), "{path}: {message}");
        assert!(message.len() < 2_000 && !message.contains('\n'), "{path}: {message}");
        if status != 404 || openapi::ALL.iter().any(|endpoint| matches(endpoint.path, path)) {
            self.check(path, &status.to_string(), &answer);
        }
    }

    fn check(&self, path: &str, status: &str, answer: &Value) {
        let endpoint = openapi::ALL.iter().find(|endpoint| matches(endpoint.path, path));
        let endpoint = endpoint.unwrap_or_else(|| panic!("{path} is not documented"));
        let operation = &self.document["paths"][endpoint.path]["get"];
        let content = &operation["responses"][status]["content"]["application/json"];
        let mut schema = content["schema"].clone();
        assert!(schema.is_object(), "{path}: {status} is not documented");
        schema["components"] = self.document["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let faults: Vec<String> = validator
            .iter_errors(answer)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{path}: {faults:#?}\n{answer:#}");
    }

    fn wait_for(&self, what: &str, path: &str, there: impl Fn(&Value) -> bool) -> Value {
        let deadline = monotonic() + PATIENCE;
        loop {
            let (status, answer) = self.ask(path);
            if status == StatusCode::OK && there(&answer) {
                return answer;
            }
            assert!(monotonic() < deadline, "{what}: not within {PATIENCE:?}\n{answer:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Whether a path is one of a template.
fn matches(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let path = format!("/api/v1{path}");
    let (mut parts, mut wanted) = (path.split('/'), template.split('/'));
    loop {
        match (parts.next(), wanted.next()) {
            (None, None) => return true,
            (Some(_), Some(wanted)) if wanted.starts_with('{') => {}
            (Some(part), Some(wanted)) if part == wanted => {}
            _ => return false,
        }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// One good question for each documented path and more.
fn questions() -> Vec<String> {
    let feature = encoded(FEATURE);
    let version = encoded(SCRIPT);
    let mut questions: Vec<String> = [
        "/status",
        "/models",
        "/models?limit=1&offset=1",
        "/models/income",
        "/models/income/history",
        "/models/income/history?window=1h&metric=accuracy,recall&from=0&to=4000000000.5",
        "/models/income/drift?limit=1",
        "/models/income/drift?window=1h&offset=1000",
        "/models/income/features/score",
        "/models/income/slices",
        "/models/income/slices?metric=recall&limit=2",
        "/models/income/labels",
        "/models/income/policies",
        "/requests",
        "/requests?model=income",
        "/pipeline",
        "/openapi.json",
    ]
    .map(str::to_owned)
    .into();
    questions.push(format!("/models/income/features/{feature}?window=5m"));
    questions.push(format!("/models/income/history?version={version}"));
    questions
}

fn versions(answer: &Value) -> Vec<String> {
    let series = answer["series"].as_array().unwrap();
    series.iter().map(|series| series["version"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn every_answer_is_what_the_document_says_and_every_path_is_there() {
    let world = World::new();
    let daemon = world.start();
    let api = Api::of(&daemon);
    let questions = questions();
    for endpoint in openapi::ALL {
        let asked = questions.iter().any(|question| matches(endpoint.path, question));
        assert!(asked, "nobody asks {}", endpoint.path);
        assert!(api.document["paths"][endpoint.path]["get"].is_object(), "{}", endpoint.path);
    }
    assert_eq!(api.document["paths"].as_object().unwrap().len(), openapi::ALL.len());
    // Before anything was read, and when everything was.
    questions.iter().filter(|question| !question.contains("version")).for_each(|question| {
        api.get(question);
    });
    world.produce();
    api.wait_for("requests end", "/requests", |answer| {
        answer["requests"][0]["attempts"].as_array().is_some_and(|all| !all.is_empty())
    });
    for question in &questions {
        api.get(question);
    }

    let summary = &api.get("/models")["models"][0];
    assert_eq!(summary["headline"]["metric"], "accuracy", "{summary:#}");
    assert_eq!(summary["health"], "bad");
    let drift = api.get("/models/income/drift");
    assert_eq!(drift["total"], 4, "{drift:#}");
    let pipeline = api.get("/pipeline");
    assert_eq!(pipeline["topics"][0]["partitions"][0]["lag_records"], 0, "{pipeline:#}");
    let marks = api.get("/models/income/history")["marks"].clone();
    let kinds: Vec<&str> =
        marks.as_array().unwrap().iter().map(|mark| mark["kind"].as_str().unwrap()).collect();
    for kind in ["version", "firing", "request"] {
        assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
    }
    daemon.stop().unwrap();
}

#[test]
fn names_that_mean_harm_are_names() {
    let world = World::new();
    let daemon = world.start();
    let api = Api::of(&daemon);
    world.produce();
    let history = api.wait_for("both versions", "/models/income/history?window=5m", |answer| {
        versions(answer).len() == 3
    });
    let versions = versions(&history);
    assert!(versions.contains(&SCRIPT.to_owned()), "{versions:?}");
    let long = versions.iter().find(|version| version.contains('…')).unwrap();
    assert_eq!(long.chars().count(), 200);
    assert!(LONG.starts_with(&long[..50]));
    let at = format!("/models/income/history?window=5m&version={}", encoded(long));
    assert_eq!(api.get(&at)["series"].as_array().unwrap().len(), 1);
    // The text on the wire is JSON of one line, whatever the names hold.
    let text = api.fetch("/models/income/history").text;
    assert!(!text.contains('\n') && text.contains(r"\n"), "{text}");
    // Values are not shown, because nobody said so.
    let feature = api.get(&format!("/models/income/features/{}", encoded(FEATURE)));
    assert_eq!(feature["feature"], FEATURE);
    assert!(!feature["reference"].to_string().contains("Married"), "{feature:#}");
    // The names of slices are declared.
    let slices = api.get("/models/income/slices");
    let conditions = &slices["slices"][0]["slice"]["conditions"][0];
    assert_eq!(conditions["feature"], FEATURE, "{slices:#}");
    daemon.stop().unwrap();
}

#[test]
fn what_is_asked_wrongly_is_refused_with_what_is_allowed() {
    let world = World::new();
    let daemon = world.start();
    let api = Api::of(&daemon);
    api.wait_for("the engine", "/models", |_| true);
    let long = "x".repeat(5_000);
    let refusals: [(&str, u16, &str); 16] = [
        ("/models/nothing", 404, "known: income"),
        ("/models/%3Cscript%3E%0A", 404, "`<script>` is not configured"),
        ("/models/%FF", 400, "the path cannot be read"),
        ("/models?limit=0", 400, "from 1 to 1000"),
        ("/models?limit=1&limit=2", 400, "`limit` is there twice"),
        ("/models?page=2", 400, "there are limit, offset"),
        ("/status?x", 400, "this takes none"),
        ("/models/income/history?window=2h", 400, "there are 5m, 1h"),
        ("/models/income/history?window=soon", 400, "is not a duration"),
        ("/models/income/history?metric=acuracy", 400, "is not a metric"),
        ("/models/income/history?metric=mae", 400, "a binary model has no mae"),
        ("/models/income/history?from=yesterday", 400, "is not a time"),
        ("/models/income/slices?metric=accuracy,recall", 400, "only one"),
        ("/models/income/features/nothing", 404, "there are"),
        ("/requests?model=nothing", 404, "known: income"),
        ("/nothing", 404, "/api/v1/models/{model}"),
    ];
    for (path, status, part) in refusals {
        api.refused(path, status, part);
    }
    api.refused(&format!("/models/income/history?slice={long}"), 400, "longer than");
    let post = api.send(api.client.post(format!("{}/api/v1/models", api.base)));
    assert_eq!(post.status, StatusCode::METHOD_NOT_ALLOWED);

    let status = api.fetch("/status");
    let tag = &status.headers["etag"];
    assert_eq!(status.json()["show_values"], json!(false));
    let with_tag = |tag: &[u8]| api.send(api.request("/openapi.json").header("if-none-match", tag));
    let tag_of_document = &api.fetch("/openapi.json").headers["etag"];
    assert_ne!(tag, tag_of_document);
    let again = with_tag(tag_of_document.as_bytes());
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert_eq!(&again.headers["etag"], tag_of_document);
    assert_eq!(again.text, "");
    assert_eq!(with_tag(tag.as_bytes()).status, StatusCode::OK);
    // The moment of the answer does not count.
    let settled = |reply: &Reply| reply.headers["etag"].clone();
    let deadline = monotonic() + PATIENCE;
    while settled(&api.fetch("/status")) != settled(&api.fetch("/status")) {
        assert!(monotonic() < deadline, "the tag changes with every answer");
    }
    daemon.stop().unwrap();
}

#[test]
fn history_and_requests_are_there_after_a_restart() {
    let world = World::new();
    let daemon = world.start();
    let api = Api::of(&daemon);
    world.produce();
    let path = "/models/income/history?window=5m&metric=accuracy";
    let before = api.wait_for("all is final", path, |answer| {
        let series = answer["series"].as_array().unwrap();
        let last = |series: &Value| series["state"].as_array().unwrap().last().cloned();
        series.len() == 3 && series.iter().all(|series| last(series) == Some(json!("final")))
    });
    daemon.stop().unwrap();
    let daemon = world.start();
    let api = Api::of(&daemon);
    let after = api.get(path);
    assert_eq!(after["series"], before["series"]);
    assert_eq!(after["marks"].as_array().unwrap()[..3], before["marks"].as_array().unwrap()[..3]);
    assert!(api.get("/requests")["total"].as_u64() >= Some(1));
    daemon.stop().unwrap();
}
