//! Nothing lost, nothing counted twice: the daemon on a real broker, killed, stopped and paused at
//! random moments, must say in the end what a batch answer says that another program computed from
//! the whole logs (`answer.py`), and what an undisturbed run says, bit for bit.
//!
//! `tests/chaos/run --kills N --seed S` runs more than the test does: with a broker of its own that
//! is stopped, killed and frozen too.

mod compare;
mod receiver;
mod traffic;

use crate::e2e::daemon::{Installation, Running};
use crate::support::guarded::Guarded;
use crate::support::kafka_broker::{BrokerOptions, KafkaBroker, shared};
use crate::support::kafka_client::{Outgoing, unique};
use compare::Outcome;
use receiver::Receiver;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tidemark::io::clock::{self, monotonic};
use traffic::{Extent, HOUR, MINUTE, Sent, traffic};

pub const MODEL: &str = "chaos";
const POLICY: &str = "accuracy-fell";
const POLICY_WINDOW: i64 = 5 * MINUTE;
const LABEL_AGE: i64 = 10 * MINUTE;
const COOLDOWN: i64 = 10 * MINUTE;
const MIN_LABELS: u64 = 20;
const BELOW: f64 = 0.75;
const FOR: u32 = 2;
/// How long the last daemon may take to say what it should.
const SETTLES_WITHIN: Duration = Duration::from_secs(90);
/// Longer than the session's time-out: the broker gives the partitions up.
const LONG_PAUSE: Duration = Duration::from_millis(7_500);

struct Settings {
    kills: usize,
    seed: u64,
    /// A broker that nobody else uses, so that it can be stopped too.
    own_broker: bool,
}

impl Settings {
    fn from_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().expect(name));
        Self {
            kills: number("CHAOS_KILLS").unwrap_or(10) as usize,
            seed: number("CHAOS_SEED").unwrap_or(1),
            own_broker: std::env::var_os("CHAOS_OWN_BROKER").is_some(),
        }
    }
}

/// Two topics that fill while the daemon is ill-treated.
struct Topics {
    predictions: String,
    labels: String,
    chunks: std::vec::IntoIter<Vec<Sent>>,
    sent: usize,
}

impl Topics {
    fn create(broker: &KafkaBroker, traffic: &[Sent], chunks: usize) -> Self {
        let topics = [unique("chaos-predictions"), unique("chaos-labels")];
        for topic in &topics {
            broker.create_topic(topic, traffic::PARTITIONS);
        }
        let [predictions, labels] = topics;
        let size = traffic.len().div_ceil(chunks.max(1));
        let chunks: Vec<_> = traffic.chunks(size).map(<[Sent]>::to_vec).collect();
        Self { predictions, labels, chunks: chunks.into_iter(), sent: 0 }
    }

    fn send_next(&mut self, broker: &KafkaBroker) -> bool {
        let Some(chunk) = self.chunks.next() else { return false };
        for (topic, is_label) in [(&self.predictions, false), (&self.labels, true)] {
            let of_topic = chunk.iter().filter(|sent| sent.is_label == is_label);
            let records: Vec<Outgoing> = of_topic.map(|sent| sent.record.clone()).collect();
            broker.produce(topic, &records);
        }
        self.sent += chunk.len();
        true
    }

    fn config(&self, broker: &KafkaBroker, receiver: &Receiver) -> String {
        let Self { predictions, labels, .. } = self;
        let minutes = |millis: i64| format!("{}s", millis / 1_000);
        format!(
            r#"
kafka:
  bootstrap_servers: {bootstrap}
  group_id: {group}
  properties:
    # A member that comes back under its name gets its partitions back at once.
    group.instance.id: one
    session.timeout.ms: "6000"
    heartbeat.interval.ms: "500"
    reconnect.backoff.max.ms: "500"
state: {{ url: "file://@HOME/state", checkpoint_every: 100ms }}
http: {{ listen: "@LISTEN", series_max: 100000 }}
webhooks: [{{ name: trainer, url: "http://127.0.0.1:{port}/" }}]
models:
  - name: {MODEL}
    task: binary
    positive_class: "1"
    start: earliest
    predictions:
      topic: {predictions}
      fields:
        id: /id
        event_time: {{ path: /time_ms, unit: ms }}
        version: /version
        score: /score
        features: [{{ name: country, path: /country, type: categorical }}]
    labels:
      topic: {labels}
      fields: {{ id: /id, event_time: {{ path: /time_ms, unit: ms }}, label: /label }}
      horizon: {horizon}
      lead: {lead}
      grace: {grace}
      corrections_for: {corrections}
    time:
      out_of_orderness: {disorder}
      allowed_lateness: {lateness}
      future_tolerance: {future}
      # What idleness decides is outside the promise.
      idle_after: 7d
    windows: [1m, {{ size: 5m, every: 1m }}]
    slices: [{{ features: [{{ name: country, values: [DE, FR, IT] }}] }}]
    show:
      coverage_min: 0
      support_min: 1
      revise_every: 1s
      history_windows: 10000
      version_gone_after: 400d
    policies:
      - name: {POLICY}
        metric: accuracy
        window: 5m
        below: {BELOW}
        compare: value
        label_age: {label_age}
        min_labels: {MIN_LABELS}
        for: {FOR}
        action: {{ retrain: trainer, cooldown: {cooldown}, act_within: 400d }}
"#,
            bootstrap = broker.bootstrap(),
            group = unique("chaos"),
            port = receiver.port,
            horizon = minutes(traffic::HORIZON),
            lead = minutes(traffic::LEAD),
            grace = minutes(traffic::GRACE),
            corrections = minutes(traffic::CORRECTIONS_FOR),
            disorder = minutes(traffic::OUT_OF_ORDERNESS),
            lateness = minutes(traffic::ALLOWED_LATENESS),
            future = minutes(traffic::FUTURE_TOLERANCE),
            label_age = minutes(LABEL_AGE),
            cooldown = minutes(COOLDOWN),
        )
    }

    /// What the other program says of all that is in the logs.
    fn answer(&self, broker: &KafkaBroker, folder: &Path) -> Value {
        let (rules, logs) = (folder.join("rules.json"), folder.join("logs.jsonl"));
        let mut out = std::io::BufWriter::new(std::fs::File::create(&logs).expect("our folder"));
        for (side, topic) in [("predictions", &self.predictions), ("labels", &self.labels)] {
            for record in broker.consume_all(topic) {
                let payload =
                    record.payload.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                let line = json!({
                    "side": side,
                    "partition": record.partition,
                    "offset": record.offset,
                    "timestamp_ms": record.timestamp_ms,
                    "payload": payload,
                });
                writeln!(out, "{line}").expect("our file");
            }
        }
        out.flush().expect("our file");
        drop(out);
        std::fs::write(&rules, rules_of_the_configuration().to_string()).expect("our folder");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/answer.py");
        let output = Command::new("python3").arg(script).args([&rules, &logs]).output();
        let output = output.expect("the chaos tests need python3");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("the program prints JSON")
    }
}

fn rules_of_the_configuration() -> Value {
    json!({
        "model": MODEL,
        "out_of_orderness": traffic::OUT_OF_ORDERNESS,
        "allowed_lateness": traffic::ALLOWED_LATENESS,
        "future_tolerance": traffic::FUTURE_TOLERANCE,
        "horizon": traffic::HORIZON,
        "grace": traffic::GRACE,
        "lead": traffic::LEAD,
        "corrections_for": traffic::CORRECTIONS_FOR,
        "windows": [[MINUTE, MINUTE], [5 * MINUTE, MINUTE]],
        "policy": {
            "name": POLICY,
            "window": POLICY_WINDOW,
            "label_age": LABEL_AGE,
            "cooldown": COOLDOWN,
            "min_labels": MIN_LABELS,
            "below": BELOW,
            "for": FOR,
            "reason": "bad_window",
        },
    })
}

/// One that does things to the daemon and to the broker, at moments that a seed decides.
struct Trouble<'a> {
    random: fastrand::Rng,
    broker: &'a mut dyn Broker,
    kills: usize,
    /// Daemons that ended by themselves, which none should.
    faults: Vec<String>,
}

/// The broker, which may be one that others use too.
trait Broker {
    fn broker(&self) -> &KafkaBroker;
    /// One that may be stopped.
    fn own(&mut self) -> Option<&mut KafkaBroker>;
}

impl Broker for &'static KafkaBroker {
    fn broker(&self) -> &KafkaBroker {
        self
    }

    fn own(&mut self) -> Option<&mut KafkaBroker> {
        None
    }
}

impl Broker for KafkaBroker {
    fn broker(&self) -> &KafkaBroker {
        self
    }

    fn own(&mut self) -> Option<&mut KafkaBroker> {
        Some(self)
    }
}

impl Trouble<'_> {
    /// Starts the daemon, lets it live for a moment in which things happen, and kills it.
    fn one_life(&mut self, installation: &mut Installation, topics: &mut Topics) {
        let (mut daemon, log) = installation.spawn();
        if self.random.u32(0..3) > 0 {
            topics.send_next(self.broker.broker());
        }
        self.pause(20..2_000);
        match self.random.u32(0..20) {
            0..5 => self.stop_and_go(&daemon),
            5 => self.break_broker(),
            6 => {
                topics.send_next(self.broker.broker());
                self.pause(20..1_500);
            }
            7 => {
                daemon.terminate();
                let ended = daemon.wait(Duration::from_secs(30));
                let status = ended.map(|status| status.code());
                // Before it listens for signals it ends by this one, as by any other.
                let starting = status == Some(None)
                    && !std::fs::read_to_string(&log).unwrap_or_default().contains("started");
                if status != Some(Some(0)) && !starting {
                    self.fault(&log, &format!("asked to stop, it ended with {status:?}"));
                }
                return;
            }
            _ => {}
        }
        if daemon.kill9() {
            self.kills += 1;
        } else {
            self.fault(&log, "it ended by itself");
        }
    }

    fn pause(&mut self, millis: std::ops::Range<u64>) {
        std::thread::sleep(Duration::from_millis(self.random.u64(millis)));
    }

    /// SIGSTOP and SIGCONT, sometimes after the broker has given its partitions up.
    fn stop_and_go(&mut self, daemon: &Guarded) {
        daemon.signal("STOP");
        if self.random.u32(0..4) == 0 {
            std::thread::sleep(LONG_PAUSE);
        } else {
            self.pause(100..1_000);
        }
        daemon.signal("CONT");
        self.pause(20..1_000);
    }

    fn break_broker(&mut self) {
        let how = self.random.u32(0..3);
        let Some(broker) = self.broker.own() else { return };
        match how {
            0 => broker.kill9(),
            1 => broker.stop(),
            _ => {
                broker.freeze();
                std::thread::sleep(Duration::from_secs(2));
                broker.thaw();
                return;
            }
        }
        broker.restart();
        self.pause(20..2_000);
    }

    fn fault(&mut self, log: &Path, what: &str) {
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(12).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        self.faults.push(format!("{what}:\n{}", tail.join("\n")));
    }
}

/// Runs a daemon until it says what it should, or for as long as it may take.
fn settle(installation: &mut Installation, receiver: &Receiver, answer: &Value) -> Outcome {
    let daemon = installation.start();
    let deadline = monotonic() + SETTLES_WITHIN;
    let outcome = loop {
        let outcome = observe(&daemon, receiver);
        if outcome.against(answer).is_empty() || monotonic() > deadline {
            break outcome;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    assert!(daemon.stop().success());
    outcome
}

fn observe(daemon: &Running, receiver: &Receiver) -> Outcome {
    let history = ["1m", "5m"].map(|window| {
        let path = format!("/api/v1/models/{MODEL}/history?window={window}");
        let (status, text) = daemon.get(&path);
        let answer = if status == 200 { serde_json::from_str(&text).ok() } else { None };
        (window, answer.unwrap_or(Value::Null))
    });
    Outcome::of(&daemon.metrics(), &history, receiver.received())
}

/// All that differs, each in a line.
fn run(settings: &Settings) -> (usize, Vec<String>) {
    let mut own;
    let mut common;
    let broker: &mut dyn Broker = if settings.own_broker {
        own = KafkaBroker::start(BrokerOptions::default());
        &mut own
    } else {
        common = shared();
        &mut common
    };
    let start = (clock::now().0 / 1_000 - 60 * HOUR) / HOUR * HOUR;
    // More of it for more kills, so that there is always something going on.
    let minutes = 120 + 6 * settings.kills as i64;
    let extent = Extent { start, minutes, predictions: 40 * minutes as usize };
    let traffic = traffic(settings.seed, extent);
    let mut topics = Topics::create(broker.broker(), &traffic, settings.kills + 2);
    let receiver = Receiver::start(4);
    let mut installation = Installation::new(&topics.config(broker.broker(), &receiver));
    let random = fastrand::Rng::with_seed(settings.seed);
    let mut trouble = Trouble { random, broker, kills: 0, faults: Vec::new() };
    while trouble.kills < settings.kills && trouble.faults.len() < 5 {
        trouble.one_life(&mut installation, &mut topics);
        if trouble.kills.is_multiple_of(20) {
            eprintln!("{} kills, {} of {} records", trouble.kills, topics.sent, traffic.len());
        }
    }
    let Trouble { broker, kills, faults: mut differences, .. } = trouble;
    while topics.send_next(broker.broker()) {}
    let answer = topics.answer(broker.broker(), installation.home());
    let sizes = ["windows", "requests", "prediction_rows", "label_rows"]
        .map(|section| answer[section].as_object().map_or(0, serde_json::Map::len));
    eprintln!("the answer has {sizes:?} windows, requests, outcomes of either side");
    let enough = sizes[0] > 400 && sizes[1] > 3 && sizes[2] >= 7 && sizes[3] >= 7;
    assert!(enough, "too little happens in this traffic: {sizes:?}");
    let disturbed = settle(&mut installation, &receiver, &answer);
    let calm_receiver = Receiver::start(0);
    let mut calm = Installation::new(&topics.config(broker.broker(), &calm_receiver));
    let undisturbed = settle(&mut calm, &calm_receiver, &answer);
    let named = |name: &str, lines: Vec<String>| -> Vec<String> {
        lines.into_iter().map(|line| format!("{name}: {line}")).collect()
    };
    differences.extend(named("undisturbed", undisturbed.against(&answer)));
    differences.extend(named("disturbed", disturbed.against(&answer)));
    differences.extend(named("disturbed, not as undisturbed", disturbed.differs(&undisturbed)));
    (kills, differences)
}

#[test]
fn after_kills_at_random_moments_all_numbers_are_those_of_a_batch_answer() {
    let settings = Settings::from_environment();
    let (kills, differences) = run(&settings);
    for difference in &differences {
        eprintln!("{difference}");
    }
    println!("kills {kills}, mismatches {}", differences.len());
    assert!(differences.is_empty(), "seed {}: {}", settings.seed, differences[0]);
}
