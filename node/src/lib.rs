//! The Node addon: the methods of `AuthKv`, with arguments and results as JSON text, which the JavaScript half of the
//! package makes and reads.

mod failure;
mod input;
mod output;
mod records;

mod options;
mod registry;

mod answer;
mod slow;
mod store;
