//! Several members of one group: the numbers of one process, one owner, one request.

use crate::e2e::daemon::{Installation, PATIENCE, Running};
use crate::e2e::retraining;
use crate::e2e::toy::{Rows, Toy, WINDOW};
use crate::support::kafka_broker::shared;
use crate::support::scrape::Scrape;
use crate::webhook::python_receiver::{PythonReceiver, SECRET};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tempfile::TempDir;
use tidemark::engine::time::{Span, Timestamp};
use tidemark::io::clock;

const PARTITIONS: i32 = 8;
const DELIVERED: &str = "tidemark_outbox_delivered_total";

/// Members that share a group, a state and a receiver.
struct Fleet {
    members: Vec<Installation>,
    _state: TempDir,
}

fn config(toy: &Toy, receiver: &PythonReceiver) -> String {
    // Time passes by records alone: what idleness decides depends on when a member looked.
    retraining::config(toy, receiver)
        .replace("idle_after: 1s", "idle_after: 1h")
        .replace("act_within: 10m", "act_within: 30m")
}

impl Fleet {
    fn new(toy: &Toy, receiver: &PythonReceiver, members: usize) -> Self {
        let state = tempfile::Builder::new().prefix("tidemark-").tempdir().expect("a scratch dir");
        let shared = config(toy, receiver).replace("@HOME/state", &state.path().to_string_lossy());
        let member = |at: usize| {
            let name = format!("group.instance.id: member-{at}");
            Installation::new(&shared.replace("group.instance.id: one", &name))
        };
        Self { members: (0..members).map(member).collect(), _state: state }
    }

    fn start(&mut self) -> Vec<Running> {
        self.members.iter_mut().map(Installation::start).collect()
    }
}

/// Windows in a row; the one with this number is bad.
fn windows(toy: &Toy, start: Timestamp, range: std::ops::Range<i64>, bad: i64) -> Rows {
    let mut rows = Rows::default();
    for at in range {
        let wrong = (bad == at).then_some(3);
        rows.add(toy.window(start + Span(WINDOW.0 * at), 400, wrong));
    }
    rows
}

/// What depends on the records alone: counters and the newest window's values.
fn numbers(scrape: &Scrape) -> BTreeMap<String, String> {
    let families = [
        "tidemark_predictions_total",
        "tidemark_labeled_predictions_total",
        "tidemark_log_loss_sum",
        "tidemark_brier_sum",
        "tidemark_prediction_rows_total",
        "tidemark_label_rows_total",
        "tidemark_rows_read_total",
        "tidemark_policy_decisions_total",
        "tidemark_accuracy",
        "tidemark_label_coverage",
        "tidemark_window_end",
    ];
    let ours = |line: &&str| families.iter().any(|family| line.starts_with(family));
    let pair = |line: &str| line.rsplit_once(' ').map(|(key, value)| (key.into(), value.into()));
    scrape.text.lines().filter(ours).filter_map(pair).collect()
}

fn labelled(scrape: &Scrape) -> f64 {
    scrape.sum("tidemark_labeled_predictions_total", &[("model", "toy")])
}

fn owns(member: &Running) -> bool {
    member.metrics().sum("tidemark_predictions_total", &[("model", "toy")]) > 0.0
}

/// The numbers of whoever has them, when `there` says that they are complete. There is never more
/// than one such member.
fn wait_for(members: &[&Running], there: impl Fn(&Scrape) -> bool) -> BTreeMap<String, String> {
    let deadline = clock::monotonic() + PATIENCE;
    loop {
        let scrapes: Vec<Scrape> = members.iter().map(|member| member.metrics()).collect();
        let owners: Vec<&Scrape> = scrapes.iter().filter(|scrape| labelled(scrape) > 0.0).collect();
        assert!(owners.len() <= 1, "two members tell the model's numbers");
        if let [owner] = owners[..]
            && there(owner)
        {
            return numbers(owner);
        }
        if clock::monotonic() > deadline {
            for (member, scrape) in members.iter().zip(&scrapes) {
                let lines = scrape.text.lines();
                let time =
                    lines.filter(|line| line.contains("watermark") && !line.starts_with('#'));
                println!("{}\n{}", time.collect::<Vec<_>>().join("\n"), member.log());
            }
            let told = |owner: &&Scrape| {
                let sum = |family| owner.sum(family, &[]);
                (labelled(owner), sum("tidemark_policy_decisions_total"), sum(DELIVERED))
            };
            let told: Vec<_> = owners.iter().map(told).collect();
            panic!("the numbers never came: labels, decisions and requests are {told:?}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// All windows but the last are judged, and all rows are counted.
fn complete(count: i64) -> impl Fn(&Scrape) -> bool {
    move |scrape| {
        labelled(scrape) == 400.0 * count as f64
            && scrape.sum("tidemark_policy_decisions_total", &[]) == (count - 1) as f64
            && scrape.sum(DELIVERED, &[]) == 1.0
    }
}

fn assert_asked_once(requests: &[Value], window_end: Timestamp) {
    assert!(!requests.is_empty());
    let mut ids = BTreeSet::new();
    for request in requests {
        assert!(request["error"].is_null(), "{request}");
        let body: Value = serde_json::from_str(request["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["data"]["window"]["end"], window_end.to_string());
        assert_eq!(body["data"]["metric"]["value"], 0.665);
        ids.insert(body["data"]["id"].to_string());
    }
    assert_eq!(ids.len(), 1, "{ids:?}");
}

/// The numbers of one process that reads everything at once.
fn alone(toy: &Toy, count: i64) -> BTreeMap<String, String> {
    let receiver = PythonReceiver::start(SECRET, "200");
    let config = config(toy, &receiver);
    let group = format!("group_id: {}", toy.group);
    let mut installation = Installation::new(&config.replace(&group, &format!("{group}-alone")));
    let daemon = installation.start();
    let numbers = wait_for(&[&daemon], complete(count));
    assert!(daemon.stop().success());
    numbers
}

#[test]
fn three_members_give_the_numbers_of_one_also_when_the_models_owner_is_killed() {
    let toy = Toy::create(shared(), PARTITIONS);
    let start = (clock::now() - Span::from_mins(5)).floor(WINDOW, Timestamp(0));
    let receiver = PythonReceiver::start(SECRET, "503:1,200");
    let mut fleet = Fleet::new(&toy, &receiver, 3);
    let mut members = fleet.start();
    members.iter().for_each(Running::wait_until_ready);
    toy.produce(shared(), &windows(&toy, start, 0..4, 6));
    wait_for(&members.iter().collect::<Vec<_>>(), |scrape| labelled(scrape) == 1_600.0);
    let owner = members.iter().position(owns).expect("one of them");
    members.remove(owner).kill9();
    toy.produce(shared(), &windows(&toy, start, 4..8, 6));
    let together = wait_for(&members.iter().collect::<Vec<_>>(), complete(8));
    assert!(members.into_iter().all(|member| member.stop().success()));
    assert_asked_once(&receiver.finish(), start + Span(WINDOW.0 * 7));
    assert_eq!(together, alone(&toy, 8));
}

#[test]
fn an_owner_that_slept_through_its_session_asks_for_nothing_twice_and_goes_on_as_a_member() {
    let toy = Toy::create(shared(), PARTITIONS);
    let start = (clock::now() - Span::from_mins(5)).floor(WINDOW, Timestamp(0));
    let receiver = PythonReceiver::start(SECRET, "200");
    let mut fleet = Fleet::new(&toy, &receiver, 2);
    let mut members = fleet.start();
    members.iter().for_each(Running::wait_until_ready);
    toy.produce(shared(), &windows(&toy, start, 0..4, 6));
    wait_for(&members.iter().collect::<Vec<_>>(), |scrape| labelled(scrape) == 1_600.0);
    let owner = members.iter().position(owns).expect("one of them");
    let sleeper = members.remove(owner);
    sleeper.signal("STOP");
    toy.produce(shared(), &windows(&toy, start, 4..8, 6));
    let other = members.remove(0);
    wait_for(&[&other], complete(8));
    sleeper.signal("CONT");
    // It sees that it lost its partitions, and comes back.
    sleeper.wait_until_ready();
    toy.produce(shared(), &windows(&toy, start, 8..9, 6));
    let together = wait_for(&[&other, &sleeper], complete(9));
    assert!(other.stop().success() && sleeper.stop().success());
    assert_asked_once(&receiver.finish(), start + Span(WINDOW.0 * 7));
    assert_eq!(together, alone(&toy, 9));
}
