//! One poll: what the client has to say, then the records of the partitions that are not
//! held back.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};

use super::clock;
use super::kafka::{KafkaSource, SourceEvent, SourceHandler, TopicPartition};
use super::kafka_message::MessageHeaders;
use super::kafka_settings::describe;
use crate::decode::record::Record;
use crate::engine::time::Timestamp;

/// A static member that is fenced again within this time has a rival of the same name.
const FENCED_AGAIN: Duration = Duration::from_secs(300);

/// Of a partition that has so many, one poll takes at least this many: large batches cost less.
const SHARE_MIN: usize = 1_024;

impl KafkaSource {
    /// Lets the client do what it has to, and takes what it hands out itself: its errors; records
    /// only if there are no queues.
    pub(super) fn poll_client(
        &mut self,
        wait: Duration,
        max: usize,
        handler: &mut dyn SourceHandler,
    ) -> usize {
        let consumer = Arc::clone(self.consumer());
        let (mut wait, mut count) = (wait, 0);
        while count < max && !self.fenced {
            match consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    count += usize::from(self.hand_out_borrowed(&message, handler))
                }
                Some(Err(error)) => self.take_poll_error(&error, handler),
            }
            wait = Duration::ZERO;
        }
        count
    }

    /// Takes what has come of the partitions that are not held back, each its share.
    pub(super) fn drain_queues(&mut self, max: usize, handler: &mut dyn SourceHandler) -> usize {
        let mut queues = std::mem::take(&mut self.queues);
        let open = self.partitions.iter().filter(|(_, state)| !state.held).count();
        let share = max.div_ceil(open.max(1)).max(SHARE_MIN);
        let (mut count, mut taken, mut all) = (0, 0, true);
        self.turn = self.turn.wrapping_add(1);
        for step in 0..queues.len() {
            let turn = self.turn.wrapping_add(step) % queues.len();
            let queue = &mut queues[turn];
            let at = queue.at;
            let held = self.partitions.get_mut(at).is_some_and(|state| state.held);
            let mut left = if held { 0 } else { share.min(max.saturating_sub(taken)) };
            all &= left > 0 || held;
            while left > 0 {
                let drained = queue.drain(left, |found| match found {
                    Ok(message) => {
                        let record = Record {
                            partition: message.partition(),
                            offset: message.offset(),
                            timestamp: timestamp(message.timestamp_millis()),
                            key: message.key(),
                            payload: message.payload(),
                            headers: &message,
                        };
                        count += usize::from(self.hand_out(at, record, handler));
                    }
                    Err(error) => self.take_poll_error(&error, handler),
                });
                taken += drained;
                left -= drained;
                all &= left > 0;
                if drained == 0 {
                    break;
                }
            }
        }
        self.drained |= all;
        self.shown |= count > 0;
        if all && self.shown {
            // Nothing is left of what has come: it may be all there is.
            (self.shown, self.end_signalled) = (false, true);
        }
        self.queues = queues;
        count
    }

    /// True if the record was one that the handler should see.
    fn hand_out(
        &mut self,
        at: TopicPartition,
        record: Record<'_>,
        handler: &mut dyn SourceHandler,
    ) -> bool {
        let expected = self.partitions.get_mut(at).filter(|state| record.offset >= state.next);
        let Some(state) = expected else {
            self.status.discarded += 1;
            return false;
        };
        state.advance(record.offset + 1, record.timestamp);
        handler.event(SourceEvent::Record { topic: at.topic, record });
        true
    }

    fn hand_out_borrowed(
        &mut self,
        message: &BorrowedMessage<'_>,
        handler: &mut dyn SourceHandler,
    ) -> bool {
        let partition = message.partition();
        let topic = self.topics.iter().position(|topic| topic == message.topic());
        let headers = MessageHeaders(message);
        let record = Record {
            partition,
            offset: message.offset(),
            timestamp: timestamp(message.timestamp().to_millis()),
            key: message.key(),
            payload: message.payload(),
            headers: &headers,
        };
        let at = TopicPartition { topic: topic.unwrap_or(usize::MAX), partition };
        self.hand_out(at, record, handler)
    }

    fn take_poll_error(&mut self, error: &KafkaError, handler: &mut dyn SourceHandler) {
        let code = error.rdkafka_error_code();
        match (error, code) {
            // A commit that was on its way when the session ended comes back like this: it is our
            // own past that was fenced. For librdkafka that is the end; for us once in a while it
            // is not.
            (KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::FencedInstanceId), _)
                if self.may_be_fenced() =>
            {
                tracing::warn!("fenced as a static member of the group, starting a new consumer");
                self.fenced_at = Some(clock::monotonic());
                self.fenced = true;
            }
            (KafkaError::MessageConsumptionFatal(_), _) => {
                let message = describe(error);
                tracing::error!(error = %message, "the kafka consumer cannot go on");
                handler.event(SourceEvent::Fatal { message });
            }
            // Retention has passed a position while we were reading: start over from all
            // positions, which tells which one it was.
            (_, Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange)) => {
                let partitions = self.partitions.iter().map(|(at, _)| at).collect();
                self.start_over(partitions, handler);
            }
            (
                _,
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic),
            ) => {
                self.counts_due = clock::monotonic();
            }
            // The context has the text of every other one.
            _ => {}
        }
    }

    fn may_be_fenced(&self) -> bool {
        let now = clock::monotonic();
        self.fenced_at.is_none_or(|last| now.duration_since(last) >= FENCED_AGAIN)
    }
}

/// Only the oldest message format has no timestamp; then it is as old as its arrival.
fn timestamp(millis: Option<i64>) -> Timestamp {
    millis.map(Timestamp::from_millis).unwrap_or_else(clock::now)
}
