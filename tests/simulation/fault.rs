//! Faults that are planted to see them caught.

/// A mistake that the comparison must notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// A checkpoint's offsets are one record ahead of its state.
    SkipsARecordAfterARestore,
    /// A restore forgets the changes since the last whole snapshot.
    LosesADelta,
    /// Records are applied again after a restore although the state has them.
    AppliesARecordTwice,
    /// The monitor forgets what it has judged.
    LosesTheMonitor,
    /// Alarms forget the evidence that they have gathered.
    ForgetsEvidence,
    /// A restore forgets what the last checkpoint added to history.
    LosesAHistoryDelta,
    /// A restore forgets what panes expected of their predictions.
    LosesExpectations,
    /// Panes go before the monitor's state that no longer needs them is durable.
    ReleasesTooEarly,
    /// Two stretches of a partition are read the wrong way round.
    ReadsOutOfOrder,
    /// Now and then a prediction, and so its label, counts for another version.
    MistakesAVersion,
    /// A restore forgets how far partitions had come.
    ForgetsWatermarks,
    /// A log end is confirmed before it is reached.
    ConfirmsTooEarly,
    /// Windows close although a shard has not reported.
    ClosesWithoutAShard,
    /// Models read each other's column of a label.
    SwapsColumns,
}

impl Fault {
    pub const PLANTED: [Self; 14] = [
        Self::LosesExpectations,
        Self::SkipsARecordAfterARestore,
        Self::LosesADelta,
        Self::AppliesARecordTwice,
        Self::LosesTheMonitor,
        Self::ForgetsEvidence,
        Self::LosesAHistoryDelta,
        Self::ReleasesTooEarly,
        Self::ReadsOutOfOrder,
        Self::MistakesAVersion,
        Self::ForgetsWatermarks,
        Self::ConfirmsTooEarly,
        Self::ClosesWithoutAShard,
        Self::SwapsColumns,
    ];
}
