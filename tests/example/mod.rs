//! The program of an example, built now: `cargo test --test NAME` alone would leave an old one beside the tests.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) fn program(example: &str) -> PathBuf {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    if let Some(cargo) = env::var_os("CARGO") {
        let profile = match folder.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            profile => profile,
        };
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--example", example, "--profile", profile, "--target-dir"]);
        build.arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        // What cargo tells this test of its package would have the build scripts of other packages run again.
        let told = env::vars_os().map(|(name, _)| name);
        for name in told
            .filter(|name| ["CARGO_MANIFEST", "CARGO_PKG"].iter().any(|told| name.to_string_lossy().starts_with(told)))
        {
            build.env_remove(name);
        }
        assert!(build.status().unwrap().success(), "the example does not build");
    }
    folder.join("examples").join(example).with_extension(env::consts::EXE_EXTENSION)
}
