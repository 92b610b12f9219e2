//! What holds of either version of tower-sessions, which `ts` names.

use super::ts;

mod browsers;
mod records;
mod site;
mod surprises;
