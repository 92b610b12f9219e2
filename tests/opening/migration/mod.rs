//! Own fields that change over the years. Goal: every later version of an application's models opens a file written by
//! any earlier one, nothing is lost when the process dies at any moment, and a file that cannot be migrated stays as it
//! is. Method: models of several versions on the same file; a child process that is aborted at each step of a
//! migration.

mod aborted;
mod indexes;
mod models;
mod shapes;
mod versions;

use std::path::PathBuf;

use authkv::models::Models;
use authkv::{AuthKv, Error, OpenProblem};
use tempfile::TempDir;

/// A path in a new folder, which is removed when it is dropped.
fn new_path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.redb");
    (folder, path)
}

fn open<M: Models>(path: &PathBuf) -> AuthKv<M> {
    AuthKv::options().models::<M>().open(path).unwrap()
}

/// Why a file cannot be opened with these models.
#[track_caller]
fn refusal<M: Models>(path: &PathBuf) -> OpenProblem {
    match AuthKv::options().models::<M>().open(path) {
        Err(Error::Open { problem, .. }) => problem,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[track_caller]
fn must_be_sound<M: Models>(auth: &AuthKv<M>) {
    let report = auth.check().wait().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}
