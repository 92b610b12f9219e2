//! A store moves between a file and a cluster.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use authkv::models::{Change, NewSession, NewUser, UserPatch};
use authkv::{AuthKv, Error, OpenProblem, Place, copy};
use chrono::{DateTime, TimeDelta, Utc};

use crate::cluster::Cluster;
use crate::{Test, tests};

pub(crate) const TESTS: &[Test] = tests![
    a_store_moves_to_a_cluster_and_back_and_is_the_same,
    an_interrupted_copy_is_no_store_and_goes_on,
    what_changes_while_it_is_copied_is_copied_again,
    a_copy_replaces_nothing,
];

const USERS: usize = 350;

fn fill(auth: &AuthKv) {
    let users = (0..USERS).map(|n| auth.create_user(NewUser::email(format!("{n}@example.com")))).collect::<Vec<_>>();
    let tomorrow = Utc::now() + TimeDelta::days(1);
    for (n, user) in users.into_iter().enumerate() {
        drop(auth.create_session(NewSession::new(format!("token {n}"), user.wait().unwrap().id, tomorrow)));
    }
}

fn new_file(folder: &Path) -> PathBuf {
    let path = folder.join("app.redb");
    let auth = AuthKv::open(&path).unwrap();
    fill(&auth);
    auth.close().wait().unwrap();
    path
}

fn must_be_filled(auth: &AuthKv) {
    let report = auth.check().wait().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!((report.users, report.sessions), (USERS as u64, USERS as u64));
    let found = auth.get_session_and_user("token 7").wait().unwrap().expect("it was copied");
    assert_eq!(found.user.email.as_deref(), Some("7@example.com"));
}

fn refusal<T>(result: authkv::Result<T>) -> OpenProblem {
    match result {
        Err(Error::Open { problem, .. }) => problem,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was accepted"),
    }
}

fn a_store_moves_to_a_cluster_and_back_and_is_the_same(cluster: &Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let file = Place::File(new_file(folder.path()));
    let (cluster, back): (Place, _) = (cluster.url().parse().unwrap(), Place::File(folder.path().join("back.redb")));
    let mut passes = Vec::new();
    let rows =
        copy(&file, &cluster, |progress| passes.push((progress.pass, progress.rows_done, progress.rows))).unwrap();
    // Users with addresses, sessions with tokens and expiries.
    assert_eq!(rows, 5 * USERS as u64);
    assert_eq!(passes.first(), Some(&(1, 0, rows)));
    assert_eq!(passes.last(), Some(&(2, rows, rows)));
    let Place::Cluster(etcd) = &cluster else { unreachable!() };
    must_be_filled(&AuthKv::connect(etcd.clone()).unwrap());
    assert_eq!(copy(&cluster, &back, |_| ()).unwrap(), rows);
    must_be_filled(&AuthKv::open(folder.path().join("back.redb")).unwrap());
}

fn an_interrupted_copy_is_no_store_and_goes_on(cluster: &Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let file = Place::File(new_file(folder.path()));
    let url = cluster.url();
    let to: Place = url.parse().unwrap();
    let interrupted = catch_unwind(AssertUnwindSafe(|| {
        copy(&file, &to, |progress| assert!(progress.rows_done < 500, "it is interrupted"))
    }));
    assert!(interrupted.is_err());
    assert!(matches!(refusal(AuthKv::connect(url.clone())), OpenProblem::CopyUnfinished { .. }));
    let other = Place::File(new_file(tempfile::tempdir().unwrap().path()));
    assert!(copy(&other, &to, |_| ()).is_err(), "it is the copy of another file");
    copy(&file, &to, |_| ()).unwrap();
    must_be_filled(&AuthKv::connect(url).unwrap());
}

fn what_changes_while_it_is_copied_is_copied_again(cluster: &Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let url = cluster.url();
    let auth = AuthKv::connect(url.clone()).unwrap();
    fill(&auth);
    let gone = auth.get_user_by_email("1@example.com").wait().unwrap().unwrap();
    let renamed = auth.get_user_by_email("2@example.com").wait().unwrap().unwrap();
    let from: Place = url.parse().unwrap();
    let mut passes = 0;
    copy(&from, &Place::File(folder.path().join("copy.redb")), |progress| {
        if progress.pass == 2 && passes == 1 {
            auth.delete_user(&gone.id).wait().unwrap();
            let patch = UserPatch { name: Change::to("Ada"), ..UserPatch::new(renamed.id.clone()) };
            auth.update_user(patch).wait().unwrap();
        }
        passes = progress.pass;
    })
    .unwrap();
    assert_eq!(passes, 3);
    let copied = AuthKv::open(folder.path().join("copy.redb")).unwrap();
    let report = copied.check().wait().unwrap();
    assert!(report.is_sound() && report.users == USERS as u64 - 1, "{report:?}");
    assert_eq!(copied.get_user(&renamed.id).wait().unwrap().unwrap().name.as_deref(), Some("Ada"));
    let refused = copy(&from, &Place::File(folder.path().join("never.redb")), |_| {
        let patch = UserPatch { email_verified: Change::Set(now()), ..UserPatch::new(renamed.id.clone()) };
        auth.update_user(patch).wait().unwrap();
    });
    assert!(matches!(refusal(refused), OpenProblem::KeepsChanging));
}

/// Another instant each time.
fn now() -> DateTime<Utc> {
    std::thread::sleep(std::time::Duration::from_millis(2));
    Utc::now()
}

fn a_copy_replaces_nothing(cluster: &Cluster) {
    let folder = tempfile::tempdir().unwrap();
    let file = Place::File(new_file(folder.path()));
    let url = cluster.url();
    let used: Place = url.parse().unwrap();
    AuthKv::connect(url).unwrap().create_user(NewUser::email("ada@example.com")).wait().unwrap();
    assert!(matches!(refusal(copy(&file, &used, |_| ())), OpenProblem::NotEmpty));
    assert!(matches!(refusal(copy(&used, &file, |_| ())), OpenProblem::NotEmpty));
    assert!(matches!(refusal(copy(&used, &used, |_| ())), OpenProblem::NotEmpty));
    let empty: Place = cluster.url().parse().unwrap();
    assert!(matches!(refusal(copy(&empty, &Place::File(folder.path().join("new")), |_| ())), OpenProblem::NoStore));
    assert!(copy(&Place::File(folder.path().join("missing")), &empty, |_| ()).is_err());
    assert!(!folder.path().join("missing").exists());
    must_be_filled(&AuthKv::open(folder.path().join("app.redb")).unwrap());
}
