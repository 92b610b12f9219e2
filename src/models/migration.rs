//! Progress of changing a store to newer models.

/// The progress of a store that is being changed, while it is opened, to newer models or other indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationProgress {
    /// The current step. First all records are tried, and nothing is changed until all of them have passed.
    pub step: MigrationStep,
    /// How many records this step has finished.
    pub records_done: u64,
    /// How many records there are. `None` while they are tried, and when an interrupted change is resumed.
    pub records: Option<u64>,
}

/// The steps of changing a store to newer models or other indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrationStep {
    /// Trying each record without changing anything.
    Trying,
    /// Removing the indexes that are no longer declared or will be rebuilt.
    ClearingIndexes,
    /// Changing the records and building the indexes.
    Changing,
}
