//! What the contents of a file are recognised by.

/// The rows of `meta` by which an engine recognises the contents of a file that it reopens. A row that the file does
/// not have yet is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// A random id, made with the store.
    pub(crate) store: Option<String>,
    /// A random text, which the first write after each opening replaces.
    pub(crate) mark: Option<String>,
}
