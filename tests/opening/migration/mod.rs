//! Own fields that change over the years. Goal: a file that any earlier shape of an application's models wrote is opened
//! by every later one, nothing is lost whenever the process dies meanwhile, and a file that cannot be changed stays as it
//! is. Method: models of several versions on the same file; a child process that is aborted at each step of a change.

mod aborted;
mod indexes;
mod models;
mod shapes;
mod versions;

use std::path::PathBuf;

use authkv::models::Models;
use authkv::{AuthKv, Error, OpenProblem};
use tempfile::TempDir;

/// A path in a folder of its own, which is removed when it is dropped.
fn new_path() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("auth.redb");
    (folder, path)
}

fn open<M: Models>(path: &PathBuf) -> AuthKv<M> {
    AuthKv::options().models::<M>().open(path).unwrap()
}

/// Why a file is not opened with these models.
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
