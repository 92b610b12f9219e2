//! An interrupted migration: the process is aborted at each step, and the next process continues.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use authkv::models::{Dynamic, FieldRange, MigrationProgress, MigrationStep, Models};
use authkv::{AuthKv, Error, OpenProblem};

use super::models::{First, Indexed, Second};
use super::versions::{fill, must_be_migrated};
use super::{must_be_sound, new_path, open, refusal};

const USERS: usize = 10_000;

/// The child: aborts its process after this many steps of the migration. The beginning of a stage is not a step.
#[test]
fn child_that_aborts() {
    let (Ok(path), Ok(steps)) = (env::var("AUTHKV_ABORT_PATH"), env::var("AUTHKV_ABORT_AFTER")) else {
        return;
    };
    let (mut left, mut stage): (usize, _) = (steps.parse().unwrap(), MigrationStep::Trying);
    let abort = move |progress: MigrationProgress| {
        if progress.step == stage && stage != MigrationStep::Trying {
            left -= 1;
            if left == 0 {
                std::process::abort();
            }
        }
        stage = progress.step;
    };
    match env::var("AUTHKV_ABORT_MODELS").unwrap().as_str() {
        "second" => drop(AuthKv::options().models::<Second>().on_migration(abort).open(path).unwrap()),
        _ => drop(AuthKv::options().models::<Indexed>().on_migration(abort).open(path).unwrap()),
    }
}

/// Runs the migration to these models in a child that is aborted after this many steps. Returns whether it was aborted.
fn change(path: &PathBuf, models: &str, steps: usize) -> bool {
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "migration::aborted::child_that_aborts"])
        .env("AUTHKV_ABORT_PATH", path)
        .env("AUTHKV_ABORT_AFTER", steps.to_string())
        .env("AUTHKV_ABORT_MODELS", models)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    !child.success()
}

#[test]
fn a_change_that_dies_at_every_step_is_finished_by_the_next_process() {
    let (_folder, path) = new_path();
    let auth = open::<First>(&path);
    for start in (0..USERS).step_by(1_000) {
        fill(&auth, start..start + 1_000);
    }
    drop(auth);
    let mut aborted = 0;
    // Each child dies after one step, so together they die after every step.
    while change(&path, "second", 1) {
        aborted += 1;
        assert!(aborted < 1_000, "it never ends");
    }
    println!("{aborted} processes were aborted");
    assert!(aborted > 4 * USERS / 256, "only {aborted} processes were aborted");
    must_be_migrated(&open::<Second>(&path), USERS);
}

#[test]
fn a_file_that_is_half_changed_is_for_the_new_models_only() {
    let (_folder, path) = new_path();
    fill(&open::<First>(&path), 0..1_000);
    assert!(change(&path, "second", 8));
    for problem in [refusal::<First>(&path), refusal::<Dynamic>(&path), refusal::<()>(&path)] {
        let OpenProblem::ChangeUnfinished { to } = problem else { panic!("{problem}") };
        assert_eq!(to, (Second::NAME.to_owned(), Second::VERSION));
    }
    let off = AuthKv::options().models::<Second>().synchronize(false).open(&path);
    assert!(matches!(off, Err(Error::Open { problem: OpenProblem::ModelsNotSynchronized { .. }, .. })), "{off:?}");
    must_be_migrated(&open::<Second>(&path), 1_000);
}

#[test]
fn a_file_whose_indexes_are_half_built_is_for_whoever_it_was_for() {
    for steps in [1, 2, 5, 9] {
        let (_folder, path) = new_path();
        fill(&open::<First>(&path), 0..1_000);
        assert!(change(&path, "indexed", steps));
        match steps {
            1 => must_have_phones(&open::<First>(&path)),
            2 => must_have_phones(&open::<Dynamic>(&path)),
            5 => must_be_migrated(&open::<Second>(&path), 1_000),
            _ => must_have_phones(&open::<Indexed>(&path)),
        }
    }
}

fn must_have_phones<M: Models>(auth: &AuthKv<M>) {
    let page = auth.list_users_by("phone", FieldRange::prefix("+44 "), None, 1_000).wait().unwrap();
    assert_eq!(page.items.len(), 1_000);
    must_be_sound(auth);
}
