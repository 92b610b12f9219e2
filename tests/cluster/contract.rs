//! The contract and the model on a cluster.

use std::sync::Arc;
use std::time::Duration;

use authkv::conformance::model::{AuthKvTarget, Comparison, OPERATION_BYTES, Operation};
use authkv::conformance::{self, Clock, Subject, at_once};
use authkv::models::{NewSession, NewUser, WebSessionData};
use authkv::{AuthKv, Error, Etcd, WebSessions};
use chrono::{TimeDelta, Utc};
use libtest_mimic::Trial;

use crate::cluster::Cluster;
use crate::{Shared, Test, tests, trial};

pub(crate) const TESTS: &[Test] = tests![
    a_cluster_does_what_the_model_does,
    a_key_is_used_once_by_all_processes,
    a_user_with_thousands_of_sessions_is_gone_at_once_for_every_process,
    requests_of_several_processes_that_overlap_keep_each_others_changes,
];

/// A test for each case, named by it.
pub(crate) fn trials(shared: &Shared) -> Vec<Trial> {
    let trial = |case: conformance::Case| {
        let shared = shared.clone();
        trial(format!("contract::{case}"), move || case.run(&subject(shared.get(), Clock::new())))
    };
    conformance::cases().map(trial).collect()
}

fn subject(cluster: &Cluster, clock: Clock) -> Subject {
    let now = clock.clone();
    let auth = AuthKv::options().clock(move || now.now()).connect(cluster.url()).unwrap();
    Subject::new(Arc::new(auth.clone()), clock).described_by(move || {
        let report = auth.check().wait().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        format!("{report:?}")
    })
}

fn a_cluster_does_what_the_model_does(cluster: &Cluster) {
    let scale = std::env::var("AUTHKV_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1_u64);
    for seed in 0..5 * scale {
        eprintln!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let url = cluster.url();
        let target = AuthKvTarget::new(move |options| options.connect(url.clone())).unwrap();
        let mut comparison = Comparison::new(target);
        for _ in 0..60 {
            let bytes: [u8; OPERATION_BYTES] = std::array::from_fn(|_| random.u8(..));
            comparison.step(&Operation::from_bytes(bytes));
        }
        comparison.read_back();
    }
}

fn a_key_is_used_once_by_all_processes(cluster: &Cluster) {
    let url = cluster.url();
    let stores = [(); 2].map(|()| AuthKv::connect(url.as_str()).unwrap());
    for round in 0..5 {
        let key = round.to_string();
        let passed = at_once(|n| stores[n % 2].use_once("logout token", &key, TimeDelta::minutes(2)).wait().unwrap());
        assert_eq!(passed.iter().filter(|check| check.has_passed()).count(), 1);
    }
}

fn a_user_with_thousands_of_sessions_is_gone_at_once_for_every_process(cluster: &Cluster) {
    const SESSIONS: usize = 5_000;
    let url = cluster.url();
    // A thousand calls at once wait for each other, on a busy machine for long.
    let patient = || url.parse::<Etcd>().unwrap().timeout(Duration::from_secs(60));
    let stores = [(); 2].map(|()| AuthKv::connect(patient()).unwrap());
    let ada = stores[0].create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let session = |number: usize| NewSession::new(format!("token {number}"), ada.id.clone(), tomorrow);
    for some in (0..SESSIONS).collect::<Vec<_>>().chunks(1_000) {
        let replies: Vec<_> = some.iter().map(|number| stores[0].create_session(session(*number))).collect();
        replies.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    }
    // One deletes; the others add sessions and look for them all the while.
    let answers = at_once(|number| {
        let auth = &stores[number % 2];
        if number == 0 {
            return auth.delete_user(&ada.id).wait().map(|user| usize::from(user.is_some()));
        }
        for round in 0.. {
            match auth.create_session(session(SESSIONS + number * 1_000 + round)).wait() {
                Ok(_) => {}
                Err(Error::UnknownUser) => break,
                Err(error) => return Err(error),
            }
        }
        for old in (number * 100..number * 100 + 20).chain([SESSIONS + number * 1_000]) {
            let found = auth.get_session_and_user(&format!("token {old}")).wait()?;
            assert_eq!(found, None, "a session of a deleted user is found");
        }
        Ok(0)
    });
    assert_eq!(answers.into_iter().map(Result::unwrap).sum::<usize>(), 1);
    conformance::eventually("all are swept", || {
        let report = stores[1].check().wait().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        report.waiting_to_be_swept == 0 && report.sessions == 0
    });
}

fn requests_of_several_processes_that_overlap_keep_each_others_changes(cluster: &Cluster) {
    let url = cluster.url();
    let stores = [(); 2].map(|()| WebSessions::new(AuthKv::connect(url.clone()).unwrap()));
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let data = |key: &str, value: i32| WebSessionData::from([(key.to_owned(), value.into())]);
    stores[0].create_session("token", &data("first", 0), tomorrow).wait().unwrap();
    let loaded = std::sync::Barrier::new(conformance::THREADS);
    let saved = at_once(|number| {
        let sessions = &stores[number % 2];
        let mut session = sessions.load_session("token").wait()?.unwrap();
        loaded.wait();
        session.data.extend(data(&number.to_string(), 1));
        sessions.save_session("token", &session.data, tomorrow).wait()
    });
    assert!(saved.into_iter().all(|saved| saved.unwrap()));
    let found = stores[1].find_session("token").wait().unwrap().unwrap();
    assert_eq!(found.data.len(), 1 + conformance::THREADS, "a request undid what another had saved");
}
