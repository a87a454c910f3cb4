//! A librdkafka message as a record.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedMessage, Headers as _, Message};

use crate::decode::record::Headers;

/// Headers of a message, read only when somebody asks.
pub(super) struct MessageHeaders<'m, 'c>(pub &'m BorrowedMessage<'c>);

impl Headers for MessageHeaders<'_, '_> {
    fn visit<'a>(&'a self, visit: &mut dyn FnMut(&'a str, Option<&'a [u8]>)) {
        let Some(headers) = self.0.headers() else { return };
        for index in 0..headers.count() {
            // The client panics on a header whose name is not UTF-8. One such record must not end
            // the program, so that header counts as absent: no selector can name it.
            let header = catch_unwind(AssertUnwindSafe(|| headers.get(index)));
            if let Ok(header) = header {
                visit(header.key, header.value);
            }
        }
    }
}
