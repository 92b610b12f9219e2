//! What any [`Adapter`](crate::Adapter) can be tested with; behind the feature `conformance`.

pub mod model;
