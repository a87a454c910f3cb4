//! `tidemark inspect`: a few records of a topic, and the fields that they seem to have.

use super::config::load;
use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tidemark::decode::inspect::propose;
use tidemark::decode::record::{Headers, Record};
use tidemark::engine::time::Timestamp;
use tidemark::io::clock;
use tidemark::io::kafka::{
    KafkaSettings, KafkaSource, Membership, OutOfRange, Resume, SourceEvent, SourceHandler,
    SourceOptions, StartOffset, TopicPartition,
};

#[derive(Args)]
pub struct InspectArgs {
    /// The topic to look at.
    topic: String,
    /// Brokers, as `host:port,host:port`.
    #[arg(short, long, value_name = "HOSTS", conflicts_with = "config")]
    bootstrap: Option<String>,
    /// Takes brokers and properties from a configuration file.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A librdkafka property, such as `security.protocol=SSL`; may be repeated.
    #[arg(short = 'X', long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// How many records to look at.
    #[arg(short = 'n', long, default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=10_000))]
    records: u16,
    /// How long to wait for records, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
}

/// A record of its own.
struct Sample {
    partition: i32,
    offset: i64,
    timestamp: Timestamp,
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    headers: OwnedHeaders,
}

/// Headers of a record, copied.
struct OwnedHeaders(Vec<(String, Option<Vec<u8>>)>);

impl Headers for OwnedHeaders {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Option<&'a [u8]>)) {
        for (name, value) in &self.0 {
            visit(name, value.as_deref());
        }
    }
}

struct Collector {
    samples: Vec<Sample>,
    max: usize,
    ended: usize,
    fatal: Option<String>,
}

impl SourceHandler for Collector {
    fn start_offset(&mut self, _: TopicPartition) -> StartOffset {
        StartOffset::Earliest
    }

    fn out_of_range(&mut self, _: OutOfRange) -> Resume {
        Resume::LogStart
    }

    fn event(&mut self, event: SourceEvent<'_>) {
        match event {
            SourceEvent::Record { record, .. } if self.samples.len() < self.max => {
                let mut headers = Vec::new();
                record.headers.visit(&mut |name, value| {
                    headers.push((name.to_owned(), value.map(<[u8]>::to_vec)));
                });
                self.samples.push(Sample {
                    partition: record.partition,
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key.map(<[u8]>::to_vec),
                    payload: record.payload.map(<[u8]>::to_vec),
                    headers: OwnedHeaders(headers),
                });
            }
            SourceEvent::EndReached { .. } => self.ended += 1,
            SourceEvent::Fatal { message } => self.fatal = Some(message),
            _ => {}
        }
    }
}

pub fn inspect(args: &InspectArgs) -> ExitCode {
    let settings = match settings(args) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let options = SourceOptions { membership: Membership::All, ..SourceOptions::default() };
    let mut source = match KafkaSource::new(settings, vec![args.topic.clone()], options) {
        Ok(source) => source,
        Err(error) => return super::fail(&error),
    };
    let mut collector =
        Collector { samples: Vec::new(), max: args.records.into(), ended: 0, fatal: None };
    let deadline = clock::monotonic() + Duration::from_secs(args.seconds.into());
    while clock::monotonic() < deadline
        && collector.samples.len() < collector.max
        && collector.fatal.is_none()
    {
        source.poll(Duration::from_millis(200), 500, &mut collector);
        let partitions = source.status().partition_counts.first().copied().flatten();
        let all_ended = partitions.is_some_and(|count| collector.ended >= count as usize);
        if all_ended && !collector.samples.is_empty() {
            break;
        }
    }
    let status = source.status().clone();
    source.close(Duration::from_secs(2));
    if let Some(message) = collector.fatal {
        eprintln!("tidemark: {message}");
        return ExitCode::FAILURE;
    }
    if collector.samples.is_empty() {
        let reason = match (status.connected, status.missing.is_empty()) {
            (Some(true), true) => "the topic has no records".to_owned(),
            (Some(true), false) => "the topic does not exist".to_owned(),
            _ => format!("no broker answers: {}", status.last_error.unwrap_or_default()),
        };
        eprintln!("tidemark: {}: {reason}", args.topic);
        return ExitCode::FAILURE;
    }
    show(&args.topic, &collector.samples);
    ExitCode::SUCCESS
}

fn show(topic: &str, samples: &[Sample]) {
    let records: Vec<Record<'_>> = samples
        .iter()
        .map(|sample| Record {
            partition: sample.partition,
            offset: sample.offset,
            timestamp: sample.timestamp,
            key: sample.key.as_deref(),
            payload: sample.payload.as_deref(),
            headers: &sample.headers,
        })
        .collect();
    let proposal = propose(&records);
    println!("# from {} records of {topic}", records.len());
    print!("{}", proposal.to_yaml(topic));
}

fn settings(args: &InspectArgs) -> Result<KafkaSettings, ExitCode> {
    let mut properties = BTreeMap::new();
    let mut bootstrap = args.bootstrap.clone().unwrap_or_else(|| "127.0.0.1:9092".to_owned());
    if let Some(path) = &args.config {
        let plan = load(path)?;
        bootstrap = plan.kafka.bootstrap.clone();
        for (name, value) in &plan.kafka.properties {
            properties.insert(name.clone(), value.expose().to_owned());
        }
    }
    for property in &args.properties {
        let Some((name, value)) = property.split_once('=') else {
            eprintln!("tidemark: -X {property}: write NAME=VALUE");
            return Err(ExitCode::from(2));
        };
        properties.insert(name.to_owned(), value.to_owned());
    }
    Ok(KafkaSettings {
        bootstrap_servers: bootstrap,
        group_id: "tidemark-inspect".to_owned(),
        properties,
    })
}
