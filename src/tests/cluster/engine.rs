//! The engine itself on a cluster: a write happens exactly once, and other processes' changes are seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Fault, Faulty, Memory, config, scale};
use crate::conformance::eventually;
use crate::engine::remote::Config;
use crate::engine::remote::cluster::{Cluster, Op, Txn as Request};
use crate::error::OpenProblem;
use crate::kv::txn::Txn;
use crate::models::{AccountType, Models, NewAccount, NewSession, NewUser};
use crate::ops::upkeep;
use crate::records::schema::{META, STATES, USER_BY_EMAIL};
use crate::{AuthKv, Error, Result};

fn store(cluster: Arc<dyn Cluster>) -> AuthKv {
    AuthKv::options().on_cluster(cluster).unwrap()
}

/// A row with a counter.
fn count(txn: &Txn<'_>) -> Result<u64> {
    Ok(txn.get(&META, &"count".to_owned())?.map_or(0, |count| count.parse().unwrap()))
}

fn add_one(txn: &mut Txn<'_>) -> Result<u64> {
    let next = count(txn)? + 1;
    txn.put(&META, &"count".to_owned(), &next.to_string())?;
    Ok(next)
}

#[test]
fn what_is_acknowledged_was_done_once_whatever_is_lost() {
    for seed in 0..5 * u64::from(scale()) {
        let cluster = Faulty::one_in(&Memory::new(), 3, seed);
        let stores: Vec<_> = (0..3).map(|_| store(cluster.clone())).collect();
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            for number in 0..12 {
                let (auth, done) = (&stores[number % 3], &done);
                scope.spawn(move || {
                    for _ in 0..4 {
                        auth.write(add_one, Ok).wait().unwrap();
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let counted = stores[0].read(count, Ok).wait().unwrap();
        assert_eq!(counted, done.load(Ordering::SeqCst), "seed {seed}: {:?}", cluster.met());
    }
}

#[test]
fn each_fault_of_a_write_is_resolved() {
    for fault in
        [Fault::RequestLost, Fault::AnswerLost, Fault::RequestLate, Fault::AnswerLate, Fault::Repeated, Fault::FullDone]
    {
        let mut left = 1;
        let cluster = Faulty::new(&Memory::new(), move |request| {
            let meets = left > 0 && sets_count_to(request, b'1');
            left -= usize::from(meets);
            meets.then_some(fault)
        });
        let auth = store(cluster.clone());
        assert_eq!(auth.write(add_one, Ok).wait().unwrap(), 1, "{fault:?}");
        assert_eq!(cluster.met(), [fault]);
        thread::sleep(Duration::from_millis(10));
        assert_eq!(auth.read(count, Ok).wait().unwrap(), 1, "{fault:?}");
    }
}

/// A cluster refuses a transaction that changes a key twice, as etcd does.
#[test]
fn a_write_that_removes_and_puts_a_row_sends_it_once() {
    let auth = store(Arc::new(Memory::new()));
    let [kept, gone] = ["kept", "gone"].map(str::to_owned);
    let op = move |txn: &mut Txn<'_>| {
        txn.remove(&META, &kept);
        txn.put(&META, &kept, &"new".to_owned())?;
        txn.put(&META, &gone, &"new".to_owned())?;
        txn.remove(&META, &gone);
        Ok(())
    };
    for _ in 0..2 {
        auth.write(op.clone(), Ok).wait().unwrap();
        let read = |txn: &Txn<'_>| Ok(["kept", "gone"].map(|row| txn.get(&META, &row.to_owned()).unwrap()));
        assert_eq!(auth.read(read, Ok).wait().unwrap(), [Some("new".to_owned()), None]);
    }
}

#[test]
fn a_cluster_without_space_refuses_at_once_and_takes_writes_when_it_has_some() {
    let is_full = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&is_full);
    let cluster = Faulty::new(&Memory::new(), move |request| {
        (now.load(Ordering::SeqCst) && !request.is_read_only()).then_some(Fault::FullUndone)
    });
    let config = Config { timeout: Duration::from_secs(60 * 60), ..config() };
    let auth = AuthKv::options().on_cluster_with(cluster, config).unwrap();
    auth.write(add_one, Ok).wait().unwrap();
    is_full.store(true, Ordering::SeqCst);
    // The second write has no receipt any more.
    for _ in 0..2 {
        assert!(matches!(auth.write(add_one, Ok).wait(), Err(Error::Storage(_))));
        assert_eq!(auth.read(count, Ok).wait().unwrap(), 1);
    }
    is_full.store(false, Ordering::SeqCst);
    assert_eq!(auth.write(add_one, Ok).wait().unwrap(), 2);
}

fn sets_count_to(request: &Request, digit: u8) -> bool {
    request.then.iter().any(|op| match op {
        Op::Put { key, value } => key.windows(5).any(|part| part == b"count") && value.last() == Some(&digit),
        Op::Txn(txn) => sets_count_to(txn, digit),
        _ => false,
    })
}

#[test]
fn a_write_is_unknown_when_nothing_more_is_heard_and_only_then() {
    let memory = Memory::new();
    let silent = Arc::new(AtomicUsize::new(0));
    let now = Arc::clone(&silent);
    let cluster = Faulty::new(&memory, move |request| match now.load(Ordering::SeqCst) {
        1 if sets_count_to(request, b'2') => {
            now.store(2, Ordering::SeqCst);
            Some(Fault::AnswerLost)
        }
        2 => Some(Fault::RequestLost),
        3 => Some(Fault::RequestLost),
        _ => None,
    });
    let config = Config { timeout: Duration::from_millis(300), ..config() };
    let auth = AuthKv::options().on_cluster_with(cluster, config).unwrap();
    auth.write(add_one, Ok).wait().unwrap();
    silent.store(1, Ordering::SeqCst);
    assert!(matches!(auth.write(add_one, Ok).wait(), Err(Error::OutcomeUnknown(_))));
    // A request that never left has written nothing.
    silent.store(3, Ordering::SeqCst);
    assert!(matches!(auth.read(count, Ok).wait(), Err(Error::Storage(_))));
    assert!(matches!(auth.write(add_one, Ok).wait(), Err(Error::Storage(_))));
    silent.store(0, Ordering::SeqCst);
    assert_eq!(auth.write(add_one, Ok).wait().unwrap(), 3);
}

#[test]
fn two_who_each_write_what_the_other_reads_are_never_both_right() {
    fn claim(mine: &'static str, other: &'static str) -> impl Fn(&mut Txn<'_>) -> Result<bool> {
        move |txn| {
            let is_free = txn.get(&META, &other.to_owned())?.is_none();
            if is_free {
                txn.put(&META, &mine.to_owned(), &"claimed".to_owned())?;
            }
            Ok(is_free)
        }
    }

    fn claim_if_first(mine: &'static str) -> impl Fn(&mut Txn<'_>) -> Result<bool> {
        move |txn| {
            let is_free = !txn.first(&META, usize::MAX)?.into_iter().any(|(_, value)| value == "claimed");
            if is_free {
                txn.put(&META, &mine.to_owned(), &"claimed".to_owned())?;
            }
            Ok(is_free)
        }
    }

    for _ in 0..50 {
        let auth = store(Arc::new(Memory::new()));
        let looked_up = [auth.write(claim("x", "y"), Ok), auth.write(claim("y", "x"), Ok)];
        let claimed = looked_up.map(|reply| usize::from(reply.wait().unwrap()));
        assert_eq!(claimed.iter().sum::<usize>(), 1);
        let auth = store(Arc::new(Memory::new()));
        let scanned = ["x", "y", "z"].map(|mine| auth.write(claim_if_first(mine), Ok));
        let claimed = scanned.map(|reply| usize::from(reply.wait().unwrap()));
        assert_eq!(claimed.iter().sum::<usize>(), 1);
    }
}

#[test]
fn those_who_wait_share_a_transaction() {
    let memory = Memory::new();
    let auth = store(Arc::new(memory.clone()));
    let before = memory.requests();
    let replies: Vec<_> = (0..200).map(|n| auth.create_user(NewUser::email(format!("{n}@example.com")))).collect();
    for reply in replies {
        reply.wait().unwrap();
    }
    let requests = memory.requests() - before;
    assert!(requests < 40, "{requests} requests for 200 users");
}

#[test]
fn a_user_with_thousands_of_sessions_is_gone_at_once_and_swept_in_steps() {
    let memory = Memory::new();
    let (auth, other) = (store(Arc::new(memory.clone())), store(Arc::new(memory.clone())));
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let tomorrow = chrono::Utc::now() + chrono::TimeDelta::days(1);
    let session = |number: usize| NewSession::new(format!("token {number}"), ada.id.clone(), tomorrow);
    let replies: Vec<_> = (0..2_000).map(|number| auth.create_session(session(number))).collect();
    replies.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
    assert_eq!(auth.delete_user(&ada.id).wait().unwrap(), Some(ada.clone()));
    assert_eq!(other.get_user(&ada.id).wait().unwrap(), None);
    for number in [0, 1_000, 1_999] {
        let token = format!("token {number}");
        assert_eq!(other.get_session_and_user(&token).wait().unwrap(), None);
        assert!(matches!(other.create_session(session(number)).wait(), Err(Error::UnknownUser)));
    }
    eventually("all are swept", || !auth.read(upkeep::must_sweep, Ok).wait().unwrap());
    let report = other.check().wait().unwrap();
    assert!(report.is_sound() && report.sessions == 0, "{report:?}");
}

#[test]
fn a_damaged_row_stops_neither_sweep_nor_purge() {
    for seed in 0..10 * u64::from(scale()) {
        eprintln!("seed {seed}");
        let auth = store(Arc::new(Memory::new()));
        crate::tests::upkeep::damaged_rows_hold_up_no_sweep(&auth, &mut fastrand::Rng::with_seed(seed));
    }
    let auth = store(Arc::new(Memory::new()));
    for number in 0..100 {
        drop(auth.put_state("test", &number, chrono::TimeDelta::milliseconds(1)).wait().unwrap());
    }
    let lose = |txn: &mut Txn<'_>| {
        for (hash, _) in txn.first(&STATES, 3)? {
            txn.remove(&STATES, &hash);
        }
        Ok(())
    };
    auth.write_alone(lose, Ok).wait().unwrap();
    thread::sleep(Duration::from_millis(5));
    let (mut states, mut damaged) = (0, 0);
    loop {
        let purged = auth.purge_expired().wait().unwrap();
        (states, damaged) = (states + purged.states, damaged + purged.damaged);
        if !purged.more {
            break;
        }
    }
    assert_eq!((states, damaged, auth.stats().damaged_entries), (97, 3, 3));
}

#[test]
fn a_repair_goes_in_steps_that_the_cluster_takes() {
    let auth = store(Arc::new(Memory::new()));
    let names = (0..100).map(|number| format!("{number}@example.com"));
    names.for_each(|name| drop(auth.create_user(NewUser::email(name)).wait().unwrap()));
    let lose = |txn: &mut Txn<'_>| {
        for (email, _) in txn.first(&USER_BY_EMAIL, 100)? {
            txn.remove(&USER_BY_EMAIL, &email);
        }
        Ok(())
    };
    auth.write_alone(lose, Ok).wait().unwrap();
    let repair = auth.repair().wait().unwrap();
    assert_eq!(repair.steps.len(), 100);
    assert_eq!(auth.carry_out(repair).wait().unwrap().done, 100);
    assert!(auth.check().wait().unwrap().is_sound());
}

#[test]
fn all_sessions_are_ended_in_steps_that_the_cluster_takes() {
    let auth = store(Arc::new(Memory::new()));
    let ada = auth.create_user(NewUser::default()).wait().unwrap();
    let mut sessions = Vec::new();
    for _ in 0..100 {
        sessions.push(auth.start_session(ada.id.clone()).wait().unwrap());
    }
    assert_eq!(auth.end_other_sessions(&ada.id, &sessions[50].id).wait().unwrap(), 99);
    assert_eq!(auth.list_sessions(&ada.id, None, 1_000).wait().unwrap().items.len(), 1);
    assert_eq!(auth.end_all_sessions(&ada.id).wait().unwrap(), 1);
}

#[test]
fn accounts_with_many_indexes_are_deleted_in_steps_that_fit() {
    let auth = AuthKv::options().models::<Indexed>().on_cluster(Arc::new(Memory::new())).unwrap();
    let ada = auth.create_user(NewUser::default()).wait().unwrap();
    for number in 0..40_u64 {
        let extra = ["a", "b", "c", "d"].map(|field| (field.to_owned(), number)).into();
        let account = NewAccount { extra, ..NewAccount::new(ada.id.clone(), AccountType::Oauth, "a", number) };
        auth.link_account(account).wait().unwrap();
    }
    auth.delete_user(&ada.id).wait().unwrap();
    eventually("all are swept", || !auth.read(upkeep::must_sweep, Ok).wait().unwrap());
    let report = auth.check().wait().unwrap();
    assert!(report.is_sound() && report.accounts == 0, "{report:?}");
}

struct Indexed;

impl Models for Indexed {
    const NAME: &'static str = "indexed";
    const VERSION: u32 = 1;
    type User = ();
    type Account = std::collections::BTreeMap<String, u64>;
    type Session = ();
    type VerificationToken = ();
    const ACCOUNT_INDEXES: &'static [crate::models::Index] = &[
        crate::models::Index::new("a"),
        crate::models::Index::new("b"),
        crate::models::Index::new("c"),
        crate::models::Index::new("d"),
    ];
}

#[test]
fn a_store_that_another_process_has_changed_to_newer_models_is_refused() {
    let memory = Memory::new();
    let old = store(Arc::new(memory.clone()));
    let ada = old.create_user(NewUser::default()).wait().unwrap();
    let new = AuthKv::options().models::<Indexed>().on_cluster(Arc::new(memory.clone())).unwrap();
    let write = old.create_user(NewUser::default()).wait();
    assert!(matches!(write, Err(Error::Open { problem: OpenProblem::ChangedElsewhere, .. })), "{write:?}");
    assert!(matches!(old.get_user(&ada.id).wait(), Err(Error::Open { .. })));
    assert!(new.get_user(&ada.id).wait().unwrap().is_some());
    let refused = AuthKv::options().on_cluster(Arc::new(memory)).unwrap_err();
    assert!(matches!(refused, Error::Open { problem: OpenProblem::OtherModels { .. }, .. }), "{refused}");
}

#[test]
fn many_who_open_a_new_store_at_once_make_one() {
    for _ in 0..20 {
        let memory = Memory::new();
        let stores: Vec<AuthKv<Indexed>> = thread::scope(|scope| {
            let open = || AuthKv::options().models::<Indexed>().on_cluster(Arc::new(memory.clone())).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for auth in &stores {
            auth.create_user(NewUser::default()).wait().unwrap();
        }
        assert_eq!(stores[0].check().wait().unwrap().users, 8);
    }
}

#[test]
fn many_who_change_a_store_to_newer_models_at_once_change_it_once() {
    for _ in 0..10 {
        let memory = Memory::new();
        let old = store(Arc::new(memory.clone()));
        for number in 0..200 {
            drop(old.create_user(NewUser::email(format!("{number}@example.com"))));
        }
        old.close().wait().unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let auth = AuthKv::options().models::<Indexed>().on_cluster(Arc::new(memory.clone())).unwrap();
                    auth.create_user(NewUser::default()).wait().unwrap();
                });
            }
        });
        let auth = AuthKv::options().models::<Indexed>().on_cluster(Arc::new(memory)).unwrap();
        let report = auth.check().wait().unwrap();
        assert!(report.is_sound() && report.users == 204, "{report:?}");
    }
}

#[test]
fn without_synchronize_a_store_is_missing_until_somebody_makes_it() {
    let memory = Memory::new();
    let auth = AuthKv::options()
        .synchronize(false)
        .on_cluster_with(Arc::new(memory.clone()), Config { synchronize: false, ..config() })
        .unwrap();
    assert!(matches!(auth.create_user(NewUser::default()).wait(), Err(Error::MissingTable(_))));
    drop(store(Arc::new(memory)));
    auth.create_user(NewUser::default()).wait().unwrap();
}

#[test]
fn a_scan_goes_on_when_what_it_began_with_is_compacted() {
    let memory = Memory::new();
    let auth = store(Arc::new(memory.clone()));
    for number in 0..300 {
        auth.create_user(NewUser::email(format!("{number}@example.com"))).wait().unwrap();
    }
    let mut left = 3;
    let compacting = memory.clone();
    let reader = store(Faulty::new(&memory, move |request| {
        if left > 0 && matches!(request.then.first(), Some(Op::Range(range)) if range.revision > 0) {
            left -= 1;
            compacting.put(b"elsewhere", b"");
            compacting.compact();
        }
        None
    }));
    let report = reader.check().wait().unwrap();
    assert!(report.is_sound() && report.users == 300, "{report:?}");
}

#[test]
fn what_was_accepted_is_carried_out_before_the_store_is_closed() {
    let memory = Memory::new();
    let auth = store(Faulty::one_in(&memory, 5, 7));
    let replies: Vec<_> = (0..50).map(|n| auth.create_user(NewUser::email(format!("{n}@example.com")))).collect();
    auth.close().wait().unwrap();
    for reply in replies {
        reply.wait().unwrap();
    }
    assert!(matches!(auth.create_user(NewUser::default()).wait(), Err(Error::Closed)));
    assert!(matches!(auth.close().wait(), Err(Error::Closed)));
    assert_eq!(store(Arc::new(memory)).check().wait().unwrap().users, 50);
}

#[test]
fn late_copies_of_what_a_closed_store_has_sent_do_nothing() {
    fn set_to(count: u64) -> impl Fn(&mut Txn<'_>) -> Result<()> {
        move |txn| txn.put(&META, &"count".to_owned(), &count.to_string())
    }

    let memory = Memory::new();
    let other = store(Arc::new(memory.clone()));
    let sent = Arc::new(Mutex::new(Vec::new()));
    let sending = Arc::clone(&sent);
    let auth = store(Faulty::new(&memory, move |request| {
        sending.lock().push(request.clone());
        None
    }));
    for count in 1..4 {
        auth.write(set_to(count), Ok).wait().unwrap();
    }
    auth.close().wait().unwrap();
    other.write(set_to(4), Ok).wait().unwrap();
    for request in sent.lock().iter() {
        memory.carry_out(request).unwrap();
    }
    assert_eq!(other.read(count, Ok).wait().unwrap(), 4);
}

#[test]
fn too_many_calls_at_once_are_refused() {
    let config = Config { in_flight_max: 2, ..config() };
    let auth = AuthKv::options().on_cluster_with(Arc::new(Memory::new()), config).unwrap();
    let replies: Vec<_> = (0..200).map(|_| auth.create_user(NewUser::default())).collect();
    let busy = replies.into_iter().filter_map(|reply| reply.wait().err()).inspect(|error| {
        assert!(matches!(error, Error::Busy), "{error}");
    });
    assert!(busy.count() > 0);
    auth.create_user(NewUser::default()).wait().unwrap();
}

#[test]
fn replies_come_in_async_code_and_whether_awaited_or_not() {
    let memory = Memory::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ada = runtime.block_on(async {
        let auth = store(Arc::new(memory.clone()));
        let ada = auth.create_user(NewUser::email("ada@example.com")).await.unwrap();
        drop(auth.update_user(crate::models::UserPatch {
            name: crate::models::Change::to("Ada"),
            ..crate::models::UserPatch::new(ada.id.clone())
        }));
        ada
    });
    let auth = store(Arc::new(memory));
    assert_eq!(auth.get_user(&ada.id).wait().unwrap().unwrap().name.as_deref(), Some("Ada"));
}

#[test]
fn the_receipts_of_processes_that_are_long_gone_are_removed() {
    let memory = Memory::new();
    let receipt = |id: &str, written: u64| {
        let key = format!("test/receipts/{id}").into_bytes();
        memory.put(&key, &[&[0; 9][..], &written.to_be_bytes()].concat());
        key
    };
    let now = u64::try_from(chrono::Utc::now().timestamp_millis()).unwrap();
    let (old, fresh) = (receipt("old", now - 25 * 3_600_000), receipt("fresh", now - 23 * 3_600_000));
    let _auth = store(Arc::new(memory.clone()));
    eventually("it is removed", || !memory.keys().contains(&old));
    assert!(memory.keys().contains(&fresh));
}

#[test]
fn of_those_who_share_a_store_one_removes_what_has_expired() {
    let memory = Memory::new();
    let clock = crate::conformance::Clock::new();
    let open = || {
        let clock = clock.clone();
        AuthKv::options().clock(move || clock.now()).on_cluster(Arc::new(memory.clone())).unwrap()
    };
    let stores = [open(), open(), open()];
    let ada = stores[0].create_user(NewUser::default()).wait().unwrap();
    for number in 0..100 {
        let session = NewSession::new(format!("token {number}"), ada.id.clone(), clock.now());
        stores[0].create_session(session).wait().unwrap();
    }
    clock.set(clock.now() + chrono::TimeDelta::days(2));
    // Each store purges together with its next writes. The test is that they do not conflict.
    eventually("all are removed", || {
        for auth in &stores {
            auth.create_user(NewUser::default()).wait().unwrap();
        }
        stores[1].count_expired().wait().unwrap().sessions == 0
    });
    let claims = memory.changes(b"test/meta/purged\0\0");
    assert!((4..=8).contains(&claims), "{claims} claims to remove 100 sessions in steps of 32");
}

#[test]
fn what_the_cluster_does_not_take_fails_alone() {
    let cluster = Faulty::new(&Memory::new(), |request| sets_count_to(request, b'1').then_some(Fault::Refused));
    let auth = store(cluster.clone());
    let users = (0..20).map(|n| auth.create_user(NewUser::email(format!("{n}@example.com")))).collect::<Vec<_>>();
    let refused = auth.write(add_one, Ok);
    let more = (20..40).map(|n| auth.create_user(NewUser::email(format!("{n}@example.com")))).collect::<Vec<_>>();
    assert!(matches!(refused.wait(), Err(Error::Storage(_))));
    for user in users.into_iter().chain(more) {
        user.wait().unwrap();
    }
    assert!(cluster.met().len() > 1, "it was never refused together with others");
}
