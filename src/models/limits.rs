//! The limits on length and depth of what is stored.

/// The longest id, e-mail address, provider part, token or identifier, in bytes.
pub(crate) const KEY_BYTES_MAX: usize = 512;
/// The longest other field, in bytes.
pub(crate) const FIELD_BYTES_MAX: usize = 64 << 10;
/// The number of levels to which lists and maps may be nested in an application's own fields.
pub(crate) const FIELD_DEPTH_MAX: usize = 32;
/// The longest record as it is stored, in bytes.
pub(crate) const RECORD_BYTES_MAX: usize = 512 << 10;
