//! The source and the dead letters against Apache Kafka itself.

use crate::support::kafka_broker::{BrokerOptions, KafkaBroker, shared};
use crate::support::kafka_client::{Outgoing, unique};

#[test]
fn the_broker_keeps_its_records_when_it_is_stopped_or_killed() {
    let mut broker = KafkaBroker::start(BrokerOptions::default());
    broker.create_topic("kept", 2);
    let written = broker.produce("kept", &[Outgoing::new("one").to(0).at_ms(5)]);
    assert_eq!(written, [(0, 0)]);
    broker.stop();
    broker.restart();
    broker.produce("kept", &[Outgoing::new("two").to(1).keyed("k").header("h", "v")]);
    broker.kill9();
    broker.restart();
    let read = broker.consume_all("kept");
    assert_eq!(read.len(), 2);
    assert_eq!(read[0].timestamp_ms, Some(5));
    assert_eq!((read[1].partition, read[1].header("h")), (1, Some("v")));
}

#[test]
fn the_shared_broker_serves_topics_of_unique_names() {
    let topic = unique("shared");
    shared().create_topic(&topic, 1);
    assert_eq!(shared().consume_all(&topic), []);
}
