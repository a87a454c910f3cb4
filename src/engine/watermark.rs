//! How far each partition has come in event time.
//!
//! The *own* watermark is a function of the log prefix alone and decides lateness; it never goes
//! back. The *closing* watermark may also advance because the broker confirmed that we stand at the
//! log end; it closes windows and expires state, and never makes a record late.

use super::spec::TimeSpec;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// The event-time progress of one partition, or of one model within a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Greatest event time seen in the log so far.
    pub newest: Option<Timestamp>,
}

impl Progress {
    pub fn observe(&mut self, event_time: Timestamp) {
        self.newest = self.newest.max(Some(event_time));
    }

    /// No record older than this is expected in order.
    pub fn own(&self, out_of_orderness: Span) -> Timestamp {
        self.newest.map_or(Timestamp::MIN, |newest| newest - out_of_orderness)
    }
}

/// When the broker last said that our position is at the log end while we had not paused it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed(pub Option<Timestamp>);

impl Confirmed {
    pub fn at(&mut self, time: Timestamp) {
        self.0 = self.0.max(Some(time));
    }

    /// Up to where an input that stands at its log end holds nobody back.
    fn idle_watermark(&self, time: &TimeSpec) -> Timestamp {
        self.0.map_or(Timestamp::MIN, |at| at - time.out_of_orderness - time.idle_after)
    }
}

/// The closing watermark of one partition for one model.
///
/// `partition` is the progress over all records of the partition; on a topic that carries several
/// models a quiet model follows it at a distance of `idle_after`.
pub fn closing(
    own: &Progress,
    partition: Option<&Progress>,
    confirmed: &Confirmed,
    time: &TimeSpec,
) -> Timestamp {
    let followed =
        partition.map_or(Timestamp::MIN, |all| all.own(time.out_of_orderness) - time.idle_after);
    own.own(time.out_of_orderness).max(followed).max(confirmed.idle_watermark(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time() -> TimeSpec {
        TimeSpec {
            out_of_orderness: Span::from_secs(30),
            allowed_lateness: Span::from_mins(10),
            idle_after: Span::from_mins(1),
            future_tolerance: Span::from_mins(5),
            origin: Timestamp(0),
        }
    }

    #[test]
    fn an_unconfirmed_silence_advances_nothing() {
        let own = Progress { newest: Some(Timestamp::from_secs(1_000)) };
        assert_eq!(closing(&own, None, &Confirmed::default(), &time()), Timestamp::from_secs(970));
    }

    #[test]
    fn a_confirmed_log_end_advances_at_a_distance() {
        let own = Progress { newest: Some(Timestamp::from_secs(1_000)) };
        let confirmed = Confirmed(Some(Timestamp::from_secs(5_000)));
        assert_eq!(closing(&own, None, &confirmed, &time()), Timestamp::from_secs(4_910));
        let early = Confirmed(Some(Timestamp::from_secs(1_010)));
        assert_eq!(closing(&own, None, &early, &time()), Timestamp::from_secs(970));
    }

    #[test]
    fn a_quiet_model_follows_its_partition_at_a_distance() {
        let own = Progress { newest: Some(Timestamp::from_secs(1_000)) };
        let all = Progress { newest: Some(Timestamp::from_secs(2_000)) };
        assert_eq!(
            closing(&own, Some(&all), &Confirmed::default(), &time()),
            Timestamp::from_secs(1_910)
        );
    }
}
