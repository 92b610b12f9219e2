//! How long and how deep what is stored may be.

/// Longest id, e-mail address, provider part, token and identifier, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 512;
/// Longest other field, in bytes.
pub(crate) const FIELD_BYTES_MAX: usize = 64 << 10;
/// How deeply lists and maps may be nested in an application's own fields.
pub(crate) const FIELD_DEPTH_MAX: usize = 32;
/// Longest record as it is stored, in bytes.
pub(crate) const RECORD_BYTES_MAX: usize = 512 << 10;
