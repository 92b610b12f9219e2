//! Where a cluster ends: its space, its memory of the past, and the size of its transactions.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authkv::models::{Change, NewSession, NewUser, UserPatch};
use authkv::{AuthKv, Error};
use chrono::{TimeDelta, Utc};

use crate::cluster::Cluster;
use crate::{OwnTest, Test, tests};

pub(crate) const TESTS: &[Test] = tests![
    a_scan_goes_on_while_the_past_is_compacted,
    large_records_are_written_alone_and_together,
    a_namespace_is_a_store_of_its_own,
];

pub(crate) const OWN_TESTS: &[OwnTest] = tests![a_full_cluster_refuses_writes_and_loses_nothing];

fn a_scan_goes_on_while_the_past_is_compacted(cluster: &Cluster) {
    let auth = AuthKv::connect(cluster.url()).unwrap();
    let replies: Vec<_> = (0..1_000).map(|n| auth.create_user(NewUser::email(format!("{n}@example.com")))).collect();
    let users: Vec<_> = replies.into_iter().map(|reply| reply.wait().unwrap()).collect();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let patch = UserPatch { name: Change::to("Ada"), ..UserPatch::new(users[0].id.clone()) };
                auth.update_user(patch).wait().unwrap();
                cluster.compact();
            }
        });
        for _ in 0..10 {
            let report = auth.check().wait().unwrap();
            assert!(report.is_sound() && report.users == 1_000, "{report:?}");
        }
        stop.store(true, Ordering::SeqCst);
    });
}

fn large_records_are_written_alone_and_together(cluster: &Cluster) {
    let auth = AuthKv::connect(cluster.url()).unwrap();
    let image = |n: usize| format!("{n:-<60000}");
    let user = |n| NewUser { image: Some(image(n)), ..NewUser::email(format!("{n}@example.com")) };
    let replies: Vec<_> = (0..60).map(|n| auth.create_user(user(n))).collect();
    for (n, reply) in replies.into_iter().enumerate() {
        let found = auth.get_user(&reply.wait().unwrap().id).wait().unwrap().unwrap();
        assert_eq!(found.image, Some(image(n)));
    }
    assert!(auth.check().wait().unwrap().is_sound());
}

fn a_namespace_is_a_store_of_its_own(cluster: &Cluster) {
    let stores = [(); 2].map(|()| AuthKv::connect(cluster.url()).unwrap());
    for auth in &stores {
        auth.create_user(NewUser { id: Some("ada".into()), ..NewUser::email("ada@example.com") }).wait().unwrap();
    }
    stores[0].delete_user("ada").wait().unwrap().unwrap();
    assert_eq!(stores[0].check().wait().unwrap().users, 0);
    assert_eq!(stores[1].check().wait().unwrap().users, 1);
}

fn a_full_cluster_refuses_writes_and_loses_nothing() {
    let cluster = Cluster::with_options(&["--quota-backend-bytes", "1500000"]);
    let auth = AuthKv::connect(format!("{}?timeout=60s", cluster.url())).unwrap();
    let user = |n: usize| NewUser { image: Some("-".repeat(20_000)), ..NewUser::email(format!("{n}@example.com")) };
    let mut kept = Vec::new();
    let error = loop {
        match auth.create_user(user(kept.len())).wait() {
            Ok(user) => kept.push(user),
            Err(error) => break error,
        }
        assert!(kept.len() < 1_000, "the quota is never met");
    };
    assert!(matches!(error, Error::Storage(_)), "{error}");
    assert!(error.to_string().contains("no space"), "{error}");
    for user in &kept {
        assert_eq!(auth.get_user(&user.id).wait().unwrap().as_ref(), Some(user));
    }
    let session = NewSession::new("token", kept[0].id.clone(), Utc::now() + TimeDelta::days(1));
    let began = Instant::now();
    assert!(matches!(auth.create_session(session).wait(), Err(Error::Storage(_))));
    assert!(began.elapsed() < Duration::from_secs(30), "it is refused at the timeout and not at once");
    assert_eq!(auth.get_session_and_user("token").wait().unwrap(), None);
    assert!(auth.check().wait().unwrap().is_sound());
}
