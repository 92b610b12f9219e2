//! The pages beside the README, one question each.
//!
//! They are the files of the folder `docs`, so they read the same on a code host. There, links go where the last lines of
//! each file say; here, `links.md` comes first and sends them to the items and pages of this documentation.

// Without the links in front, a failing example is reported with the page's own file and line.
macro_rules! page {
    ($name:ident, $file:literal) => {
        #[cfg_attr(not(doctest), doc = include_str!("links.md"))]
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

page!(signing_in, "../docs/signing-in.md");
page!(opening, "../docs/opening.md");
page!(own_fields, "../docs/own-fields.md");
page!(guarantees, "../docs/guarantees.md");
page!(limits, "../docs/limits.md");
page!(speed, "../docs/speed.md");

// The example of this page needs the feature.
#[cfg(any(feature = "etcd", not(doctest)))]
page!(cluster, "../docs/cluster.md");

// The example of this page needs axum, which only the tests in tests/web have: they run it.
#[cfg(not(doctest))]
page!(web_frameworks, "../docs/web-frameworks.md");
