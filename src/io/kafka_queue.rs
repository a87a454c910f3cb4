//! Queues of librdkafka's that hold the records of one partition, taken out many at a time.
//!
//! The only unsafe code of this program. The client library hands records out one by one, with a
//! lock, two looks at the clock and an allocation each; many at a time they cost a third of that.
//! And with a queue for each partition the source decides which of them goes on: what is not taken
//! out stays where it is, and librdkafka stops fetching when it holds enough. (Pausing a partition
//! instead throws away what was fetched.)
//!
//! Invariants: a queue is gone before its client is, for it holds the client; a message is
//! destroyed exactly once, when the loop over its batch moves on or unwinds; nothing borrowed from
//! a message outlives the call that it was handed to.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr::{NonNull, null, null_mut};
use std::slice;
use std::sync::Arc;

use rdkafka::bindings as native;
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::kafka::TopicPartition;
use super::kafka_lookup::Client;
use crate::decode::record::Headers;

/// Records that are taken out at a time.
const BATCH: usize = 256;

/// The records of one partition.
pub(super) struct PartitionQueue {
    pub at: TopicPartition,
    queue: NonNull<native::rd_kafka_queue_t>,
    topic: CString,
    client: Arc<Client>,
}

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for PartitionQueue {}

impl PartitionQueue {
    /// A queue that the partition flows into from now on. `None` if there can be none: then the
    /// client hands the records out.
    pub fn new(client: &Arc<Client>, topic: &str, at: TopicPartition) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        // SAFETY: the client's handle is alive, we have a reference to the client.
        let queue = unsafe { native::rd_kafka_queue_new(client.client().native_ptr()) };
        let queue = Self { at, queue: NonNull::new(queue)?, topic, client: Arc::clone(client) };
        queue.take_over();
        Some(queue)
    }

    /// Lets the partition flow into this queue, with what it holds already. May be repeated.
    pub fn take_over(&self) {
        let handle = self.client.client().native_ptr();
        // SAFETY: the handle is alive; the name ends with a zero; the partition's queue is ours to
        // destroy, which gives up our reference to it and not the queue.
        unsafe {
            let from = native::rd_kafka_queue_get_partition(
                handle,
                self.topic.as_ptr(),
                self.at.partition,
            );
            if let Some(from) = NonNull::new(from) {
                native::rd_kafka_queue_forward(from.as_ptr(), self.queue.as_ptr());
                native::rd_kafka_queue_destroy(from.as_ptr());
            }
        }
    }

    /// Takes out what is there, up to `max` records, without waiting. An error is of a partition.
    /// Returns how many there were, errors and all.
    pub fn drain(
        &mut self,
        max: usize,
        mut each: impl FnMut(Result<Taken<'_>, KafkaError>),
    ) -> usize {
        // SAFETY: the queue is alive.
        if unsafe { native::rd_kafka_queue_length(self.queue.as_ptr()) } == 0 {
            return 0;
        }
        let mut room = [null_mut(); BATCH];
        // SAFETY: the queue is alive, and `room` has place for so many pointers.
        let count = unsafe {
            native::rd_kafka_consume_batch_queue(
                self.queue.as_ptr(),
                0,
                room.as_mut_ptr(),
                max.min(BATCH),
            )
        };
        // Less than none: there was an error, which librdkafka tells in another way too.
        let count = usize::try_from(count).unwrap_or(0);
        let mut left = Left(&room[..count]);
        while let Some(message) = left.next() {
            each(self.look_at(message.0));
        }
        count
    }

    fn look_at<'m>(
        &self,
        message: &'m native::rd_kafka_message_t,
    ) -> Result<Taken<'m>, KafkaError> {
        let code = RDKafkaErrorCode::from(message.err);
        match code {
            RDKafkaErrorCode::NoError => Ok(Taken(message)),
            code => {
                // SAFETY: the text is part of the message, and ends with a zero.
                let reason = unsafe {
                    let text = native::rd_kafka_message_errstr(message);
                    if text.is_null() { c"" } else { CStr::from_ptr(text) }
                };
                // The client would have told the context.
                let error = KafkaError::Global(code);
                rdkafka::ClientContext::error(
                    &**self.client.context(),
                    error,
                    reason.to_string_lossy().trim(),
                );
                Err(KafkaError::MessageConsumption(code))
            }
        }
    }
}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // SAFETY: it is ours, and its client is still there.
        unsafe { native::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// Messages of a batch that nobody has looked at yet.
struct Left<'q>(&'q [*mut native::rd_kafka_message_t]);

/// One that somebody looks at.
struct Message<'q>(&'q native::rd_kafka_message_t);

impl<'q> Left<'q> {
    fn next(&mut self) -> Option<Message<'q>> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        // SAFETY: librdkafka has just given us this message, and it is alive until the `Message` is
        // dropped.
        Some(Message(unsafe { &*first }))
    }
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        // Only when something panicked.
        while self.next().is_some() {}
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        let message: *const native::rd_kafka_message_t = self.0;
        // SAFETY: the message is ours and this is its end; whoever looked at it borrowed it from
        // us.
        unsafe { native::rd_kafka_message_destroy(message.cast_mut()) }
    }
}

/// A record as librdkafka holds it.
pub(super) struct Taken<'m>(&'m native::rd_kafka_message_t);

impl<'m> Taken<'m> {
    pub fn partition(&self) -> i32 {
        self.0.partition
    }

    pub fn offset(&self) -> i64 {
        self.0.offset
    }

    /// Milliseconds since the epoch; `None` if the record has none.
    pub fn timestamp_millis(&self) -> Option<i64> {
        let mut kind = native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both live through the call.
        let millis = unsafe { native::rd_kafka_message_timestamp(self.0, &mut kind) };
        let known = kind != native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        (known && millis != -1).then_some(millis)
    }

    pub fn key(&self) -> Option<&'m [u8]> {
        // SAFETY: the message has so many bytes there, and lives as long as 'm.
        unsafe { bytes(self.0.key, self.0.key_len) }
    }

    pub fn payload(&self) -> Option<&'m [u8]> {
        // SAFETY: as for the key.
        unsafe { bytes(self.0.payload, self.0.len) }
    }
}

/// Headers, read only when somebody asks. One whose name is not UTF-8 counts as absent: no selector
/// can name it.
impl Headers for Taken<'_> {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Option<&'a [u8]>)) {
        let mut headers = null_mut();
        // SAFETY: both live through the call; the headers stay the message's.
        let found = unsafe { native::rd_kafka_message_headers(self.0, &mut headers) };
        if RDKafkaErrorCode::from(found) != RDKafkaErrorCode::NoError {
            return;
        }
        for index in 0.. {
            let (mut name, mut value, mut len) = (null::<c_char>(), null::<c_void>(), 0);
            // SAFETY: the headers are alive, and all three places are ours.
            let found = unsafe {
                native::rd_kafka_header_get_all(headers, index, &mut name, &mut value, &mut len)
            };
            if RDKafkaErrorCode::from(found) != RDKafkaErrorCode::NoError || name.is_null() {
                return;
            }
            // SAFETY: a header's name ends with a zero, its value has so many bytes, and both live
            // as long as the message.
            let (name, value) = unsafe { (CStr::from_ptr::<'a>(name), bytes::<'a>(value, len)) };
            if let Ok(name) = name.to_str() {
                visit(name, value);
            }
        }
    }
}

/// `None` for no value, which is not the same as an empty one.
///
/// # Safety
/// `len` bytes must be there for as long as 'm, unless `start` is null.
unsafe fn bytes<'m>(start: *const c_void, len: usize) -> Option<&'m [u8]> {
    // SAFETY: as promised by the caller.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), len) })
}
