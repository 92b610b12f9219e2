//! Runs the example of `docs/web-frameworks.md`, which needs axum and the middleware that the tests here have. The crate
//! shows the same page as `authkv::guide::web_frameworks`, and its own tests need neither.

#[cfg(doctest)]
#[doc = include_str!("../../../docs/web-frameworks.md")]
struct Page;
