//! How many sessions per second are created and looked up on a cluster of three etcd processes on this machine, by authkv
//! and by hand with etcd-client, with 1, 16 and 64 callers.
//!
//! `cargo run --release -p authkv-bench-etcd [seconds for each figure]`

mod by_hand;
#[path = "../../../tests/etcd/cluster.rs"]
#[allow(dead_code)] // the tests do more to it
mod cluster;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use authkv::models::{NewSession, NewUser};
use authkv::{Adapter, AuthKv};
use by_hand::ByHand;
use chrono::{TimeDelta, Utc};
use cluster::Cluster;

const CALLERS: [usize; 3] = [1, 16, 64];
const USERS: usize = 1_000;
const SECONDS: f64 = 3.0;

#[tokio::main]
async fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(SECONDS), |text| text.parse()).context("seconds are a number")?;
    let time = Duration::from_secs_f64(seconds);
    let cluster = Cluster::start();
    // Both talk to the leader.
    let leader = cluster.leader().context("the cluster has no leader")?;
    let auth = AuthKv::connect(cluster.url())?;
    let by_hand = ByHand::connect(&format!("http://{}", cluster.host(leader))).await?;
    fill(&auth, &by_hand).await?;

    println!("{:<24} {:>8} {:>12} {:>12} {:>8}", "per second", "callers", "by hand", "authkv", "ratio");
    let sessions = Arc::new(AtomicUsize::new(USERS));
    for callers in CALLERS {
        let hand = {
            let (store, sessions) = (by_hand.clone(), Arc::clone(&sessions));
            rate(callers, time, move || {
                let (store, session) = (store.clone(), sessions.fetch_add(1, Ordering::Relaxed));
                async move { store.create_session(session % USERS, session).await }
            })
            .await?
        };
        let ours = {
            let (store, sessions) = (auth.clone(), Arc::clone(&sessions));
            rate(callers, time, move || {
                let (store, session) = (store.clone(), sessions.fetch_add(1, Ordering::Relaxed));
                async move { create_session(&store, session % USERS, session).await }
            })
            .await?
        };
        print("sessions created", callers, hand, ours);
    }
    for callers in CALLERS {
        let hand = {
            let store = by_hand.clone();
            rate(callers, time, move || {
                let store = store.clone();
                async move { store.session_and_user(fastrand::usize(..USERS)).await.map(drop) }
            })
            .await?
        };
        let ours = {
            let store = auth.clone();
            rate(callers, time, move || {
                let store = store.clone();
                async move {
                    let found = store.get_session_and_user(&token(fastrand::usize(..USERS))).await?;
                    found.map(drop).context("there is no such session")
                }
            })
            .await?
        };
        print("sessions with users read", callers, hand, ours);
    }
    Ok(())
}

/// The same users and sessions for both.
async fn fill(auth: &AuthKv, by_hand: &ByHand) -> Result<()> {
    let users: Vec<_> =
        (0..USERS).map(|user| auth.create_user(NewUser { id: Some(id(user)), ..NewUser::default() })).collect();
    for user in users {
        user.await?;
    }
    for user in 0..USERS {
        create_session(auth, user, user).await?;
        by_hand.create_user(user).await?;
        by_hand.create_session(user, user).await?;
    }
    Ok(())
}

async fn create_session(auth: &AuthKv, user: usize, session: usize) -> Result<()> {
    auth.create_session(NewSession::new(token(session), id(user), Utc::now() + TimeDelta::days(1))).await?;
    Ok(())
}

fn id(user: usize) -> authkv::models::UserId {
    format!("{user:016}").into()
}

fn token(session: usize) -> String {
    format!("{session:032}")
}

fn print(what: &str, callers: usize, hand: f64, ours: f64) {
    println!("{what:<24} {callers:>8} {hand:>12.0} {ours:>12.0} {:>8.2}", ours / hand);
}

/// How often per second so many callers do something together.
async fn rate<F>(callers: usize, time: Duration, call: impl Fn() -> F + Clone + Send + 'static) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send,
{
    let began = Instant::now();
    let until = began + time;
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move {
                let mut done = 0_usize;
                while Instant::now() < until {
                    call().await?;
                    done += 1;
                }
                anyhow::Ok(done)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(done as f64 / began.elapsed().as_secs_f64())
}
