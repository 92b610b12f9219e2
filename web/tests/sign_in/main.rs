//! The program over real HTTP, in a process of its own: what a visitor, an attacker and an operator see.
//!
//! Without the feature `providers` it is the program with links by e-mail only; `scripts/check` runs these tests on both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

#[cfg_attr(not(feature = "providers"), allow(dead_code))]
mod browser;
#[cfg(feature = "providers")]
mod chromium;
mod devices;
#[cfg(feature = "providers")]
mod driver;
#[cfg(feature = "providers")]
mod forgery;
mod links;
mod operator;
mod protection;
#[cfg(feature = "providers")]
mod providers;
#[cfg_attr(not(feature = "providers"), allow(dead_code))]
mod server;
#[path = "../../src/site.rs"]
mod site;
mod staying;
#[cfg(feature = "providers")]
mod stub;
#[cfg(not(feature = "providers"))]
mod without_providers;

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
