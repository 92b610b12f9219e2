//! Members are killed and stopped: nothing acknowledged is lost, nothing is done twice, and the service comes back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use authkv::conformance::eventually;
use authkv::models::{NewSession, NewUser, User, VerificationToken};
use authkv::{AuthKv, Error, Result};
use chrono::{TimeDelta, Utc};
use rustix::process::Signal;

use crate::cluster::{Cluster, MEMBERS};
use crate::{OwnTest, tests};

pub(crate) const TESTS: &[OwnTest] = tests![
    a_leader_is_killed_under_load_and_nothing_is_lost_or_done_twice,
    all_members_are_killed_and_nothing_is_lost,
    a_stopped_follower_holds_up_nobody,
    a_stopped_leader_is_left,
    without_a_majority_nothing_is_answered_but_stale_reads,
];

const CALLERS: usize = 16;

/// Callers who each do the same things again and again, and what they have found.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    done: AtomicUsize,
    failed: Mutex<Vec<Error>>,
    kept: Mutex<Vec<(User, String)>>,
    /// When a write was acknowledged.
    acknowledged: Mutex<Vec<Instant>>,
}

impl Load {
    fn run(&self, auth: &AuthKv, caller: usize) {
        for round in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            match self.round(auth, &format!("{caller}-{round}")) {
                Ok(()) => drop(self.done.fetch_add(1, Ordering::SeqCst)),
                Err(error @ (Error::Storage(_) | Error::OutcomeUnknown(_) | Error::Busy)) => {
                    self.failed.lock().unwrap().push(error);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// What would be done twice would be found here: as a conflict with itself, or as what is gone already.
    fn round(&self, auth: &AuthKv, name: &str) -> Result<()> {
        let tomorrow = Utc::now() + TimeDelta::days(1);
        let user = self.acknowledged(auth.create_user(NewUser::email(format!("{name}@example.com"))).wait())?;
        let kept = NewSession::new(format!("kept {name}"), user.id.clone(), tomorrow);
        let gone = NewSession::new(format!("gone {name}"), user.id.clone(), tomorrow);
        self.acknowledged(auth.create_session(kept).wait())?;
        self.kept.lock().unwrap().push((user, format!("kept {name}")));
        self.acknowledged(auth.create_session(gone).wait())?;
        self.acknowledged(auth.create_verification_token(VerificationToken::new(name, "token", tomorrow)).wait())?;
        let used = self.acknowledged(auth.use_verification_token(Some(name), "token").wait())?;
        assert!(used.is_some(), "{name}: the token was used twice");
        let deleted = self.acknowledged(auth.delete_session(&format!("gone {name}")).wait())?;
        assert!(deleted.is_some(), "{name}: the session was deleted twice");
        Ok(())
    }

    fn acknowledged<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_ok() {
            self.acknowledged.lock().unwrap().push(Instant::now());
        }
        result
    }

    /// Runs the callers on two stores while something happens.
    fn while_it(cluster: &mut Cluster, happens: impl FnOnce(&mut Cluster, &Self)) -> (Self, AuthKv) {
        let url = cluster.url();
        let stores = [(); 2].map(|()| AuthKv::connect(url.clone()).unwrap());
        let load = Self::default();
        thread::scope(|scope| {
            for caller in 0..CALLERS {
                let (load, auth) = (&load, &stores[caller % stores.len()]);
                scope.spawn(move || load.run(auth, caller));
            }
            happens(cluster, &load);
            load.stop.store(true, Ordering::SeqCst);
        });
        let [auth, _] = stores;
        (load, auth)
    }

    /// Waits until so many rounds more are done.
    fn goes_on_for(&self, rounds: usize) {
        let until = self.done.load(Ordering::SeqCst) + rounds;
        eventually("the callers go on", || {
            thread::sleep(Duration::from_millis(5));
            self.done.load(Ordering::SeqCst) >= until
        });
    }

    /// The longest time without an acknowledged write.
    fn longest_gap(&self) -> Duration {
        let mut acknowledged = self.acknowledged.lock().unwrap().clone();
        acknowledged.sort();
        acknowledged.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    fn must_be_kept(&self, what: &str, auth: &AuthKv) {
        let kept = self.kept.lock().unwrap();
        let failed = self.failed.lock().unwrap();
        let acknowledged = self.acknowledged.lock().unwrap().len();
        let unknown = failed.iter().filter(|error| matches!(error, Error::OutcomeUnknown(_))).count();
        eprintln!(
            "{what}: {acknowledged} acknowledged writes, {} failed calls ({unknown} unknown), longest gap {:?}",
            failed.len(),
            self.longest_gap(),
        );
        for (user, token) in kept.iter() {
            let found = auth.get_session_and_user(token).wait().unwrap();
            assert_eq!(found.map(|found| found.user).as_ref(), Some(user), "{token} was acknowledged and is lost");
        }
        let report = auth.check().wait().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
    }
}

fn a_leader_is_killed_under_load_and_nothing_is_lost_or_done_twice() {
    let mut cluster = Cluster::start();
    let (load, auth) = Load::while_it(&mut cluster, |cluster, load| {
        for _ in 0..2 {
            load.goes_on_for(100);
            let leader = cluster.leader().expect("there is one");
            cluster.kill(leader);
            load.goes_on_for(100);
            cluster.restart(leader);
            eventually("the member is back", || cluster.ask(leader, "maintenance/status", "{}").is_some());
        }
    });
    load.must_be_kept("leader killed twice", &auth);
}

fn all_members_are_killed_and_nothing_is_lost() {
    let mut cluster = Cluster::start();
    let (load, auth) = Load::while_it(&mut cluster, |cluster, load| {
        load.goes_on_for(100);
        (0..MEMBERS).for_each(|member| cluster.kill(member));
        thread::sleep(Duration::from_millis(500));
        (0..MEMBERS).for_each(|member| cluster.restart(member));
        load.goes_on_for(100);
    });
    load.must_be_kept("all killed and restarted", &auth);
}

fn a_stopped_follower_holds_up_nobody() {
    let mut cluster = Cluster::start();
    let (load, auth) = Load::while_it(&mut cluster, |cluster, load| {
        let leader = cluster.leader().expect("there is one");
        let follower = (leader + 1) % MEMBERS;
        load.goes_on_for(50);
        cluster.signal(follower, Signal::STOP);
        load.goes_on_for(200);
        cluster.signal(follower, Signal::CONT);
        load.goes_on_for(50);
    });
    assert_eq!(load.failed.lock().unwrap().len(), 0);
    load.must_be_kept("follower stopped", &auth);
}

fn a_stopped_leader_is_left() {
    let mut cluster = Cluster::start();
    let (load, auth) = Load::while_it(&mut cluster, |cluster, load| {
        let leader = cluster.leader().expect("there is one");
        load.goes_on_for(50);
        cluster.signal(leader, Signal::STOP);
        load.goes_on_for(100);
        cluster.signal(leader, Signal::CONT);
        load.goes_on_for(50);
    });
    load.must_be_kept("leader stopped", &auth);
}

fn without_a_majority_nothing_is_answered_but_stale_reads() {
    let mut cluster = Cluster::start();
    let url = cluster.url();
    let auth = AuthKv::connect(format!("{url}?timeout=2s")).unwrap();
    let stale = AuthKv::connect(format!("{url}?timeout=2s&read=stale")).unwrap();
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    eventually("all members know", || stale.get_user(&ada.id).wait().unwrap().is_some());
    thread::sleep(Duration::from_millis(500));
    let leader = cluster.leader().unwrap();
    let follower = (leader + 1) % MEMBERS;
    cluster.kill(leader);
    cluster.kill(follower);
    assert!(matches!(auth.get_user(&ada.id).wait(), Err(Error::Storage(_))));
    let write = auth.create_user(NewUser::email("bob@example.com")).wait();
    assert!(matches!(write, Err(Error::Storage(_) | Error::OutcomeUnknown(_))), "{write:?}");
    assert_eq!(stale.get_user(&ada.id).wait().unwrap(), Some(ada.clone()));
    assert!(matches!(AuthKv::connect(format!("{url}?timeout=1s")), Err(Error::Open { .. })));
    cluster.restart(leader);
    eventually("the cluster is back", || auth.get_user(&ada.id).wait().is_ok_and(|user| user.is_some()));
}
