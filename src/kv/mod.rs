//! Tables of typed rows over bytes: keys, values, and transactions that collect changes. Nothing here knows a user.
//!
//! Uses `models` for the types that keys are made of. Start with `txn`.

pub(crate) mod codec;
pub(crate) mod key;
pub(crate) mod txn;
