//! The example `sign_in` over real HTTP, in a process of its own: what a visitor, an attacker and an operator see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod browser;
mod chromium;
mod devices;
mod driver;
#[path = "../example/mod.rs"]
mod example;
mod forgery;
mod links;
mod operator;
mod protection;
mod providers;
mod server;
#[path = "../../examples/sign_in/site.rs"]
mod site;
mod staying;
mod stub;

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
