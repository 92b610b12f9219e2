//! The pages beside the README, one question each.
//!
//! They are the files of the folder `docs`, so they read the same on a code host. There, links go where the last lines of
//! each file say; here, `links.md` comes first and sends them to the items and pages of this documentation.

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/signing-in.md")]
pub mod signing_in {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/opening.md")]
pub mod opening {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/own-fields.md")]
pub mod own_fields {}

// Its example needs axum, which only the tests in tests/web have: they run it.
#[doc = include_str!("links.md")]
#[cfg_attr(not(doctest), doc = include_str!("../docs/web-frameworks.md"))]
pub mod web_frameworks {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/cluster.md")]
pub mod cluster {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/limits.md")]
pub mod limits {}

#[doc = include_str!("links.md")]
#[doc = include_str!("../docs/speed.md")]
pub mod speed {}
