//! Tables of typed rows over bytes: keys, values, and transactions that collect changes.
//!
//! It uses `models` for the types that keys are made of, the largest record, and the declared indexes that a transaction
//! carries; beyond ids it knows nothing of users. Start with `txn`.

pub(crate) mod codec;
pub(crate) mod key;
pub(crate) mod table;
pub(crate) mod txn;
pub(crate) mod view;
