//! Tables of typed rows over bytes: keys, values, and transactions that collect changes. This layer does not know what
//! a user is.
//!
//! It uses `models` only for the types that keys are made of. Start with `txn`.

pub(crate) mod codec;
pub(crate) mod key;
pub(crate) mod table;
pub(crate) mod txn;
pub(crate) mod view;
