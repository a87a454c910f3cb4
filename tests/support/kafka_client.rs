//! Topics, records in and records out, for tests that have a broker.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};

use super::kafka_broker::KafkaBroker;

/// How long anything here may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A record to write. What is `None` is left to Kafka.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    pub partition: Option<i32>,
    pub timestamp_ms: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Outgoing {
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: Some(payload.into()), ..Self::default() }
    }

    pub fn to(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    pub fn at_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    pub fn keyed(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), Some(value.into())));
        self
    }
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub payload: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Incoming {
    /// The value of a header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }
}

/// A topic name that no other test and no other run on the same broker has.
pub fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{stem}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Where the delivery reports of [`KafkaBroker::produce`] end up, by the record's position.
#[derive(Default)]
struct Delivered(Mutex<BTreeMap<usize, Report>>);

/// Partition and offset, or what went wrong.
type Report = Result<(i32, i64), String>;

impl ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, index: Self::DeliveryOpaque) {
        let outcome = match result {
            Ok(message) => Ok((message.partition(), message.offset())),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.lock().expect("no panic while it is held").insert(*index, outcome);
    }
}

impl KafkaBroker {
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.bootstrap())
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .set("log_level", "0");
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("a valid configuration")
    }

    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.create_topic_with(name, partitions, &[]);
    }

    /// Creates a topic with settings such as `retention.ms`, and waits until it can be used.
    pub fn create_topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            topic = topic.set(key, value);
        }
        let admin = self.admin();
        let done = admin.create_topics([&topic], &AdminOptions::new());
        let results = block_on(done).expect("the broker answers");
        results[0].as_ref().unwrap_or_else(|(topic, error)| panic!("{topic}: {error}"));
        let client = admin.inner();
        let deadline = tidemark::io::clock::monotonic() + PATIENCE;
        loop {
            let metadata = client.fetch_metadata(Some(name), PATIENCE).expect("the broker answers");
            let usable = metadata.topics()[0].partitions().iter().filter(|one| one.leader() > 0);
            if usable.count() == partitions as usize {
                return;
            }
            assert!(tidemark::io::clock::monotonic() < deadline, "{name} has no leaders");
        }
    }

    pub fn add_partitions(&self, name: &str, count: usize) {
        let more = NewPartitions::new(name, count);
        let admin = self.admin();
        let results = block_on(admin.create_partitions([&more], &AdminOptions::new()));
        results.expect("the broker answers")[0].as_ref().expect("more partitions than before");
    }

    /// Deletes the records before `offset`, as retention does.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before)).expect("an offset");
        let admin = self.admin();
        block_on(admin.delete_records(&list, &AdminOptions::new())).expect("the broker answers");
    }

    pub fn delete_topic(&self, name: &str) {
        let admin = self.admin();
        let results = block_on(admin.delete_topics(&[name], &AdminOptions::new()));
        results.expect("the broker answers")[0].as_ref().expect("a topic that is there");
    }

    /// What a group has committed for a partition.
    pub fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let consumer: BaseConsumer =
            self.client().set("group.id", group).create().expect("a valid configuration");
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let found = consumer.committed_offsets(list, PATIENCE).expect("the broker answers");
        match found.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }

    /// Writes records in order and waits until all are acknowledged. Returns where each went.
    pub fn produce(&self, topic: &str, records: &[Outgoing]) -> Vec<(i32, i64)> {
        let producer = self.producer(&[("enable.idempotence", "true")]);
        send(&producer, topic, records);
        collect(&producer, records.len())
    }

    /// As [`Self::produce`], in batches of at most so many records.
    pub fn produce_in_batches(&self, topic: &str, records: &[Outgoing], batch: usize) {
        let size = batch.to_string();
        let settings = [("enable.idempotence", "true"), ("batch.num.messages", &size)];
        let producer = self.producer(&settings);
        send(&producer, topic, records);
        collect(&producer, records.len());
    }

    /// Writes records in one transaction, which ends as told.
    pub fn produce_in_transaction(&self, topic: &str, records: &[Outgoing], commit: bool) {
        let producer = self.producer(&[("transactional.id", &unique("transaction"))]);
        producer.init_transactions(PATIENCE).expect("a transactional producer");
        producer.begin_transaction().expect("a transaction");
        send(&producer, topic, records);
        collect(&producer, records.len());
        if commit {
            producer.commit_transaction(PATIENCE).expect("a commit");
        } else {
            producer.abort_transaction(PATIENCE).expect("an abort");
        }
    }

    fn producer(&self, settings: &[(&str, &str)]) -> BaseProducer<Delivered> {
        let mut config = self.client();
        config.set("linger.ms", "5");
        for (key, value) in settings {
            config.set(*key, *value);
        }
        config.create_with_context(Delivered::default()).expect("a valid configuration")
    }

    /// Everything that is in a topic now, by partition and offset.
    pub fn consume_all(&self, topic: &str) -> Vec<Incoming> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", "not-joined")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .create()
            .expect("a valid configuration");
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).expect("an answer");
        let partitions = metadata.topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics()[0].partitions() {
            list.add_partition_offset(topic, partition.id(), Offset::Beginning).expect("an offset");
        }
        consumer.assign(&list).expect("an assignment");
        let mut records = Vec::new();
        let mut ended = 0;
        while ended < partitions {
            match consumer.poll(PATIENCE).expect("records, or their end") {
                Ok(message) => records.push(incoming(&message)),
                Err(rdkafka::error::KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("{topic}: {error}"),
            }
        }
        records.sort_by_key(|record| (record.partition, record.offset));
        records
    }
}

fn send(producer: &BaseProducer<Delivered>, topic: &str, records: &[Outgoing]) {
    for (index, record) in records.iter().enumerate() {
        let mut headers = OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let mut next = BaseRecord::<[u8], [u8], Box<usize>>::with_opaque_to(topic, Box::new(index));
        next = next.headers(headers);
        next.partition = record.partition;
        next.timestamp = record.timestamp_ms;
        next.key = record.key.as_deref();
        next.payload = record.payload.as_deref();
        while let Err((error, same)) = producer.send(next) {
            let full = rdkafka::types::RDKafkaErrorCode::QueueFull;
            assert_eq!(error.rdkafka_error_code(), Some(full), "{error}");
            producer.poll(Duration::from_millis(10));
            next = same;
        }
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).expect("the broker acknowledges");
}

fn collect(producer: &BaseProducer<Delivered>, count: usize) -> Vec<(i32, i64)> {
    let delivered = producer.context().0.lock().expect("no panic while it is held");
    assert_eq!(delivered.len(), count, "one report a record");
    delivered.values().map(|outcome| *outcome.as_ref().expect("a record is delivered")).collect()
}

fn incoming(message: &rdkafka::message::BorrowedMessage<'_>) -> Incoming {
    let headers = message.headers().map(|headers| headers.iter().collect()).unwrap_or_default();
    let headers: Vec<Header<'_, &[u8]>> = headers;
    Incoming {
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis(),
        key: message.key().map(<[u8]>::to_vec),
        payload: message.payload().map(<[u8]>::to_vec),
        headers: headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
            .collect(),
    }
}

/// Admin calls are futures that need no reactor.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(future)
}
