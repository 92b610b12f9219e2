//! How far a store has come that is changed to newer models.

/// How far a store has come that is changed, when it is opened, to newer models or other indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationProgress {
    /// What is being done: first all records are tried, and nothing is changed before all of them can be.
    pub step: MigrationStep,
    /// How many records this step has done.
    pub records_done: u64,
    /// How many records there are; not known while they are tried, nor when a change is taken up again.
    pub records: Option<u64>,
}

/// What is being done to a store that is changed to newer models or other indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrationStep {
    /// Each record is tried, without changing anything.
    Trying,
    /// Indexes that are no longer declared, or that are to be built anew, are removed.
    ClearingIndexes,
    /// The records are changed and the indexes built.
    Changing,
}
