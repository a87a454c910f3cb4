//! What tidemark costs beside a consumer that only counts, on the same broker in the same run.
//!
//! `tests/bench/run [--pairs N] [--runs N]`. Apache Kafka holds two topics of 4 partitions (lz4,
//! keyed): predictions of 723 bytes with 15 numbers and 5 strings, and their labels of 92 bytes,
//! spread over an hour. Both are drained from the start by processes of their own: by
//! `BaseConsumer::poll` and nothing but counting, and by the daemon doing all its work (20 profiled
//! features, the join, two slices, a policy, a checkpoint and a scrape each second). CPU seconds
//! are user plus system of the whole process, from its start to its end. Only the ratio means
//! something from machine to machine.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // A benchmark reads the clock.

#[allow(dead_code)] // The broker has more than is used here.
#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code)] // Shuffled members are for the other benchmark.
mod payload;

use payload::{CATEGORIES, NUMBERS, Random, category, category_name, number, number_name};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::kafka_broker::{BrokerOptions, KafkaBroker};

const PARTITIONS: i32 = 4;
const PREDICTIONS: &str = "bench.predictions";
const LABELS: &str = "bench.labels";
/// Event times are spread over this stretch, which ends a few minutes ago.
const SPREAD_MS: i64 = 3_600_000;
const ENDED_MS_AGO: i64 = 300_000;
/// A label follows its prediction within this.
const DELAY_MS_MAX: u64 = 60_000;
const PROFILE_ROWS: usize = 20_000;
const PATIENCE: Duration = Duration::from_secs(600);
/// As the design measured them. (The daemon sets less: it has a queue for each partition.)
const FETCH: [(&str, &str); 3] = [
    ("fetch.queue.backoff.ms", "5"),
    ("queued.min.messages", "100000"),
    ("queued.max.messages.kbytes", "65536"),
];

struct Arguments {
    pairs: u64,
    runs: usize,
    /// What the daemon runs under: a profiler with its options.
    under: Option<String>,
}

/// What one process needed.
#[derive(Clone, Copy)]
struct Cost {
    cpu_seconds: f64,
    wall_seconds: f64,
    peak_mib: f64,
    /// Predictions without a label, and labels that wait, at the most: as scraped each second.
    peak_pending: f64,
    peak_waiting: f64,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "raw") {
        count_records(&words[1], words[2].parse().unwrap());
        return;
    }
    let arguments = arguments(&words);
    let broker = KafkaBroker::start(BrokerOptions { heap: "1g".into(), ..Default::default() });
    let folder = tempfile::tempdir().unwrap();
    eprintln!("writing {} pairs", arguments.pairs);
    fill(&broker, arguments.pairs);
    make_profile(folder.path());
    let (mut raws, mut daemons) = (Vec::new(), Vec::new());
    for run in 1..=arguments.runs {
        raws.push(raw(&broker, arguments.pairs));
        daemons.push(daemon(&broker, folder.path(), run, &arguments));
    }
    report(arguments.pairs, &raws, &daemons);
}

fn arguments(words: &[String]) -> Arguments {
    let mut arguments = Arguments { pairs: 1_000_000, runs: 3, under: None };
    let mut words = words.iter().filter(|word| *word != "--bench");
    while let Some(word) = words.next() {
        let value = words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--pairs" => arguments.pairs = value.parse().unwrap(),
            "--runs" => arguments.runs = value.parse().unwrap(),
            "--under" => arguments.under = Some(value.clone()),
            _ => panic!("{word} is not --pairs, --runs or --under"),
        }
    }
    arguments
}

fn report(pairs: u64, raws: &[Cost], daemons: &[Cost]) {
    let millions = pairs as f64 / 1e6;
    println!("{pairs} pairs; CPU seconds a million pairs, pairs a second, peak memory:");
    for (name, costs) in [("raw consumer", raws), ("tidemark", daemons)] {
        for cost in costs {
            println!(
                "  {name:14} {:6.2} CPU s/M {:9.0} pairs/s {:6.0} MiB",
                cost.cpu_seconds / millions,
                pairs as f64 / cost.wall_seconds,
                cost.peak_mib,
            );
        }
    }
    println!("peaks of pending predictions and of waiting labels, as scraped each second:");
    for cost in daemons {
        println!("  {:9.0} {:9.0}", cost.peak_pending, cost.peak_waiting);
    }
    let median = |costs: &[Cost]| {
        let mut seconds: Vec<f64> = costs.iter().map(|cost| cost.cpu_seconds).collect();
        seconds.sort_by(f64::total_cmp);
        seconds[seconds.len() / 2]
    };
    let (raw, daemon) = (median(raws), median(daemons));
    println!("median: tidemark needs {:.2} times the CPU of the raw consumer", daemon / raw);
}

/// Identity of a pair: a bijection, so that no two are the same.
fn id(pair: u64) -> u64 {
    let mut x = pair.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The score of a pair, and what a model with that score should see.
fn truth(pair: u64) -> (f64, bool) {
    let mut random = Random(id(pair) | 1);
    random.next();
    let score = random.unit();
    (score, random.unit() < score)
}

fn fill(broker: &KafkaBroker, pairs: u64) {
    broker.create_topic(PREDICTIONS, PARTITIONS);
    broker.create_topic(LABELS, PARTITIONS);
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let start_ms = now_ms - ENDED_MS_AGO - SPREAD_MS;
    let predicted_ms = |pair: u64| start_ms + (pair as i64) * SPREAD_MS / (pairs as i64);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", broker.bootstrap())
        .set("partitioner", "murmur2_random")
        .set("compression.codec", "lz4")
        .set("linger.ms", "20")
        .set("enable.idempotence", "true")
        .create()
        .unwrap();
    let send = |topic: &str, key: u64, time_ms: i64, payload: &str| {
        let key = format!("{key:016x}");
        let mut record = BaseRecord::to(topic).key(&key).payload(payload).timestamp(time_ms);
        while let Err((_, same)) = producer.send(record) {
            producer.poll(Duration::from_millis(10));
            record = same;
        }
        producer.poll(Duration::ZERO);
    };
    let mut random = Random(0x5eed);
    let mut labels = Vec::new();
    for pair in 0..pairs {
        let (id, time_ms, (score, _)) = (id(pair), predicted_ms(pair), truth(pair));
        let time = tidemark::engine::time::Timestamp::from_millis(time_ms).to_string();
        let payload = payload::prediction(&mut random, id, &time, score, false);
        send(PREDICTIONS, id, time_ms, &payload);
        labels.push((time_ms + (random.next() % DELAY_MS_MAX) as i64, pair));
    }
    labels.sort_unstable();
    for (time_ms, pair) in labels {
        let id = id(pair);
        send(LABELS, id, time_ms, &payload::label(id, time_ms, truth(pair).1));
    }
    producer.flush(PATIENCE).unwrap();
}

/// A profile of rows like those in the topic, by the command that users have.
fn make_profile(folder: &Path) {
    let mut random = Random(0xfeed);
    let names = (0..NUMBERS).map(number_name).chain((0..CATEGORIES).map(category_name));
    let mut text = names.collect::<Vec<_>>().join(",") + ",score,label\n";
    for row in 0..PROFILE_ROWS as u64 {
        for i in 0..NUMBERS {
            write!(text, "{},", number(&mut random, i)).unwrap();
        }
        for _ in 0..CATEGORIES {
            write!(text, "{},", category(&mut random)).unwrap();
        }
        let (score, positive) = truth(row + (1 << 40));
        writeln!(text, "{score:.4},{}", u8::from(positive)).unwrap();
    }
    std::fs::write(folder.join("reference.csv"), text).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .current_dir(folder)
        .args(["profile", "reference.csv", "-o", "profile.json", "--model", "bench"])
        .args(["--score", "score", "--label", "label"])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "tidemark profile: {status}");
}

fn configuration(broker: &KafkaBroker, run: usize, port: u16) -> String {
    let bootstrap = broker.bootstrap();
    format!(
        "kafka: {{ bootstrap_servers: '{bootstrap}', group_id: bench-{run} }}
state: {{ url: 'file://./state-{run}', checkpoint_every: 1s, memory_max: 16GiB }}
http: {{ listen: '127.0.0.1:{port}' }}
models:
  - name: bench
    task: binary
    positive_class: 1
    start: earliest
    predictions:
      topic: {PREDICTIONS}
      fields:
        id: /prediction_id
        event_time: {{ path: /time, unit: rfc3339 }}
        version: /model_version
        score: /output/score
        class: /output/class
        features: /features
    labels:
      topic: {LABELS}
      fields: {{ id: /prediction_id, event_time: {{ path: /time, unit: ms }}, label: /label }}
      horizon: 1d
    windows: [5m, {{ size: 1h, every: 5m }}]
    reference: {{ default: profile.json }}
    slices: [category_0, [category_1, category_2]]
    policies:
      - {{ name: fell, metric: accuracy, window: 1h, below: 0.5, label_age: 1h, action: alert }}
"
    )
}

/// Drains both topics with the daemon: until every pair is counted and durable.
fn daemon(broker: &KafkaBroker, folder: &Path, run: usize, arguments: &Arguments) -> Cost {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = configuration(broker, run, port)
        .replace("file://.", &format!("file://{}", folder.display()));
    std::fs::write(folder.join("tidemark.yaml"), text).unwrap();
    let started_at = Instant::now();
    let mut words: Vec<&str> = arguments.under.iter().flat_map(|it| it.split(' ')).collect();
    words.extend([env!("CARGO_BIN_EXE_tidemark"), "run", "-c", "tidemark.yaml", "--log", "warn"]);
    let mut child = Command::new(words[0]).args(&words[1..]).current_dir(folder).spawn().unwrap();
    let counted = |page: &str| sum(page, "tidemark_labeled_predictions_total{");
    let mut page = String::new();
    let (mut peak_pending, mut peak_waiting) = (0.0f64, 0.0f64);
    while counted(&page) < arguments.pairs as f64 {
        assert!(started_at.elapsed() < PATIENCE, "not drained:\n{page}");
        assert!(child.try_wait().unwrap().is_none(), "the daemon has ended");
        std::thread::sleep(Duration::from_secs(1));
        page = scrape(port).unwrap_or_default();
        peak_pending = peak_pending.max(sum(&page, "tidemark_pending_predictions{"));
        peak_waiting = peak_waiting.max(sum(&page, "tidemark_waiting_labels{"));
    }
    let wall_seconds = started_at.elapsed().as_secs_f64();
    let peak_mib = peak_mib(&child);
    let stopped = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(stopped.success());
    let cpu_seconds = cpu_until_its_end(&mut child);
    let matched = "tidemark_prediction_rows_total{topic=\"bench.predictions\",\
                   model=\"bench\",outcome=\"matched\"}";
    assert_eq!(sum(&page, matched), arguments.pairs as f64, "{page}");
    Cost { cpu_seconds, wall_seconds, peak_mib, peak_pending, peak_waiting }
}

/// Drains both topics with a process that only counts: this program with other arguments.
fn raw(broker: &KafkaBroker, pairs: u64) -> Cost {
    let started_at = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["raw", &broker.bootstrap(), &(pairs * 2).to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut done = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut done).unwrap();
    let wall_seconds = started_at.elapsed().as_secs_f64();
    let peak_mib = peak_mib(&child);
    let cpu_seconds = cpu_until_its_end(&mut child);
    Cost { cpu_seconds, wall_seconds, peak_mib, peak_pending: 0.0, peak_waiting: 0.0 }
}

fn count_records(bootstrap: &str, expected: u64) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("group.id", "not-joined");
    config.set("enable.auto.commit", "false");
    for (key, value) in FETCH {
        config.set(key, value);
    }
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for topic in [PREDICTIONS, LABELS] {
        for partition in 0..PARTITIONS {
            list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
        }
    }
    consumer.assign(&list).unwrap();
    let (mut records, mut bytes) = (0, 0);
    while records < expected {
        let message = consumer.poll(PATIENCE).expect("the topics hold more").unwrap();
        records += 1;
        bytes += message.payload_len();
    }
    assert!(bytes > 0);
    let mut out = std::io::stdout();
    out.write_all(b".").and_then(|()| out.flush()).unwrap();
    // The other side looks at our memory before it lets us go.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// User and system seconds of a process that is about to end. As getrusage for children says: only
/// those that have been waited for count.
fn cpu_until_its_end(child: &mut Child) -> f64 {
    let before = children_cpu_seconds();
    let status = child.wait().unwrap();
    assert!(status.success(), "{status}");
    children_cpu_seconds() - before
}

fn children_cpu_seconds() -> f64 {
    // Linux counts them in hundredths of a second (proc(5): cutime and cstime).
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, after_name) = text.rsplit_once(") ").unwrap();
    let fields: Vec<&str> = after_name.split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(13) + ticks(14)) / 100.0
}

fn peak_mib(child: &Child) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

fn scrape(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    Some(page)
}

/// The sum over the series that begin so.
fn sum(page: &str, series: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(series));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
