//! How many sessions per second are created and looked up on a cluster of three etcd processes on this machine, by
//! authkv and by hand with etcd-client, with 1, 16 and 64 callers; and how much processor time the members spend on
//! each.
//!
//! `cargo run --release -p authkv-bench-etcd [seconds for each round]`

mod by_hand;
#[path = "../../../tests/cluster/cluster.rs"]
#[allow(dead_code)] // the tests do more to it
mod cluster;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use authkv::models::{NewSession, NewUser, UserId};
use authkv::{Adapter, AuthKv};
use by_hand::ByHand;
use chrono::{TimeDelta, Utc};
use cluster::{Cluster, MEMBERS};

const CALLERS: [usize; 3] = [1, 16, 64];
const USERS: usize = 1_000;
/// In each round the contenders work one after the other, so that other load on the machine affects all of them.
const ROUNDS: usize = 5;
const SECONDS: f64 = 1.0;
/// How many sessions are created in one transaction by a caller who has all of them at hand.
const TOGETHER: usize = 64;

#[tokio::main]
async fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(SECONDS), |text| text.parse()).context("seconds are a number")?;
    let time = Duration::try_from_secs_f64(seconds).context("seconds are a number")?;
    // One cluster for each, so that the writes of one do not slow down the others.
    let clusters = [(); 3].map(|()| Cluster::start());
    let [of_hand, of_ours, of_together] = &clusters;
    let (hand, ours, together) =
        (by_hand_on(of_hand).await?, AuthKv::connect(of_ours.url())?, by_hand_on(of_together).await?);
    fill(&ours).await?;

    println!("{:<26}{:>7}  {:<16}{:>10}{:>9}  {:>17}", "", "callers", "", "per second", "by hand", "µs of the members");
    // Reads come first: the more rows were ever written within a tenth of a second, the longer etcd 3.4 takes for a
    // read.
    let sessions = Arc::new(AtomicUsize::new(USERS));
    for callers in CALLERS {
        let store = hand.clone();
        let hand = Contender::new("by hand", of_hand, callers, move || {
            let store = store.clone();
            async move { store.session_and_user(fastrand::usize(..USERS)).await.map(drop) }
        });
        let store = ours.clone();
        let ours = Contender::new("authkv", of_ours, callers, move || {
            let store = store.clone();
            async move {
                let found = store.get_session_and_user(&token(fastrand::usize(..USERS))).await?;
                found.map(drop).context("there is no such session")
            }
        });
        compare("sessions with users read", &[hand, ours], callers, time).await?;
    }
    for callers in CALLERS {
        let (store, counter) = (hand.clone(), Arc::clone(&sessions));
        let hand = Contender::new("by hand", of_hand, callers, move || {
            let (store, session) = (store.clone(), counter.fetch_add(1, Ordering::Relaxed));
            async move { store.create_session(session % USERS, session).await }
        });
        let (store, counter) = (ours.clone(), Arc::clone(&sessions));
        let ours = Contender::new("authkv", of_ours, callers, move || {
            let (store, session) = (store.clone(), counter.fetch_add(1, Ordering::Relaxed));
            async move { create_session(&store, session % USERS, session).await }
        });
        let mut contenders = vec![hand, ours];
        if callers == TOGETHER {
            // The upper limit of what sharing transactions can gain, because it costs these callers nothing.
            let (store, counter) = (together.clone(), Arc::clone(&sessions));
            let together = Contender::new("64 sent as one", of_together, 1, move || {
                let (store, first) = (store.clone(), counter.fetch_add(TOGETHER, Ordering::Relaxed));
                let all = (first..first + TOGETHER).map(|session| (session % USERS, session));
                async move { store.create_sessions(all).await }
            });
            contenders.push(Contender { each: TOGETHER, ..together });
        }
        compare("sessions created", &contenders, callers, time).await?;
    }
    Ok(())
}

/// A hand-written store with users and sessions.
async fn by_hand_on(cluster: &Cluster) -> Result<ByHand> {
    // It talks to the leader, as authkv does.
    let leader = cluster.leader().context("the cluster has no leader")?;
    let store = ByHand::connect(&format!("http://{}", cluster.host(leader))).await?;
    for user in 0..USERS {
        store.create_user(user).await?;
        store.create_session(user, user).await?;
    }
    Ok(store)
}

/// Creates the same users and sessions.
async fn fill(auth: &AuthKv) -> Result<()> {
    for user in 0..USERS {
        auth.create_user(NewUser { id: Some(id(user)), ..NewUser::default() }).await?;
        create_session(auth, user, user).await?;
    }
    Ok(())
}

async fn create_session(auth: &AuthKv, user: usize, session: usize) -> Result<()> {
    auth.create_session(NewSession::new(token(session), id(user), Utc::now() + TimeDelta::days(1))).await?;
    Ok(())
}

fn id(user: usize) -> UserId {
    format!("{user:016}").into()
}

fn token(session: usize) -> String {
    format!("{session:032}")
}

type Call = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<()>> + Send>> + Send + Sync>;

/// Callers that repeat one call.
struct Contender<'c> {
    name: &'static str,
    cluster: &'c Cluster,
    callers: usize,
    call: Call,
    /// How many operations a call does.
    each: usize,
}

impl<'c> Contender<'c> {
    fn new<F>(
        name: &'static str,
        cluster: &'c Cluster,
        callers: usize,
        call: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        Self { name, cluster, callers, call: Arc::new(move || Box::pin(call())), each: 1 }
    }

    async fn run(&self, time: Duration) -> Result<Round> {
        let worked = processor_time(self.cluster)?;
        let began = Instant::now();
        let until = began + time;
        let tasks: Vec<_> = (0..self.callers)
            .map(|_| {
                let call = Arc::clone(&self.call);
                tokio::spawn(async move {
                    let mut calls = 0_usize;
                    while Instant::now() < until {
                        call().await?;
                        calls += 1;
                    }
                    anyhow::Ok(calls)
                })
            })
            .collect();
        let mut calls = 0;
        for task in tasks {
            calls += task.await??;
        }
        let done = (calls * self.each) as f64;
        Ok(Round {
            per_second: done / began.elapsed().as_secs_f64(),
            members: (processor_time(self.cluster)? - worked).as_secs_f64() / done,
        })
    }
}

/// The processor time of the members, to a hundredth of a second.
fn processor_time(cluster: &Cluster) -> Result<Duration> {
    let mut ticks = 0;
    for member in 0..MEMBERS {
        let process = cluster.process(member).as_raw_nonzero();
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).context("only Linux tells how long")?;
        // User and system time are the 14th and 15th field; the second one, in parentheses, may contain spaces.
        let (_, fields) = stat.rsplit_once(") ").context("the system tells it in another way")?;
        for field in fields.split(' ').skip(11).take(2) {
            ticks += field.parse::<u64>()?;
        }
    }
    Ok(Duration::from_millis(10 * ticks))
}

struct Round {
    per_second: f64,
    /// The processor time of all members together per operation, in seconds.
    members: f64,
}

/// Prints the medians of all rounds: operations per second, the ratio to the first contender in the same round, and the
/// members' processor time.
async fn compare(what: &str, contenders: &[Contender<'_>], callers: usize, time: Duration) -> Result<()> {
    let mut all: Vec<Vec<Round>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (contender, rounds) in contenders.iter().zip(&mut all) {
            rounds.push(contender.run(time).await?);
        }
    }
    let first: Vec<_> = all.first().into_iter().flatten().map(|round| round.per_second).collect();
    for (contender, rounds) in contenders.iter().zip(&all) {
        let per_second = median(rounds.iter().map(|round| round.per_second));
        let ratio = median(rounds.iter().zip(&first).map(|(round, first)| round.per_second / first));
        let members = median(rounds.iter().map(|round| round.members * 1e6));
        println!("{what:<26}{callers:>7}  {:<16}{per_second:>10.0}{ratio:>8.2}x  {members:>17.0}", contender.name);
    }
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
