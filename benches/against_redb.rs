//! What the adapter costs on top of bare redb: `cargo bench --bench against_redb [-- USERS]`.
//!
//! Both sides work on the same rows, in turns within one run, and each figure is the median of the ratios of the turns,
//! so that it holds on a noisy machine. Times are printed for orientation only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use authkv::models::NewSession;
use authkv::models::NewUser;
use authkv::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use authkv::{Adapter, AuthKv};
use chrono::{DateTime, Days, Utc};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const TURNS: usize = 41;
const READS: usize = 5_000;
const WRITES: usize = 64;

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;
const SESSION_BY_TOKEN: Rows = TableDefinition::new("authkv_session_by_token");
const SESSIONS: Rows = TableDefinition::new("authkv_sessions");
const BY_EXPIRY: Rows = TableDefinition::new("authkv_by_expiry");
const USERS: Rows = TableDefinition::new("authkv_users");

fn main() {
    let users = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let folder = tempfile::tempdir().unwrap();
    let (ours, bare) = (folder.path().join("authkv.redb"), folder.path().join("bare.redb"));
    println!("{users} users with a session each, {TURNS} turns");
    let keys = fill(&ours, users);
    fs::copy(&ours, &bare).unwrap();
    let auth = AuthKv::options().hot_sessions(0).open(&ours).unwrap();
    let bare = Database::open(&bare).unwrap();

    reads(&auth, &bare, &keys);
    writes(&auth, &bare, &keys);
    in_memory();
}

/// The keys under which a session and its user are found.
struct Keys {
    token: String,
    token_key: Vec<u8>,
    user_id: String,
    user_key: Vec<u8>,
}

fn expires() -> DateTime<Utc> {
    Utc::now() + Days::new(30)
}

fn fill(path: &Path, users: usize) -> Vec<Keys> {
    let auth = AuthKv::open(path).unwrap();
    let mut keys = Vec::with_capacity(users);
    for first in (0..users).step_by(4_096) {
        let replies: Vec<_> = (first..users.min(first + 4_096))
            .map(|number| {
                let id = Uuid::now_v7();
                let user = NewUser {
                    id: Some(id.to_string().into()),
                    name: Some(format!("User {number}")),
                    ..NewUser::email(format!("user-{number}@example.com"))
                };
                let token = Uuid::new_v4().to_string();
                keys.push(Keys {
                    token_key: Sha256::digest(&token).to_vec(),
                    user_id: id.to_string(),
                    user_key: [&[1][..], id.as_bytes()].concat(),
                    token: token.clone(),
                });
                let user = auth.create_user(user);
                (user, auth.create_session(NewSession::new(token, id.to_string(), expires())))
            })
            .collect();
        for (user, session) in replies {
            user.wait().unwrap();
            session.wait().unwrap();
        }
    }
    keys
}

/// Runs both sides in turns, the first one first in every other turn, and prints the median ratio.
fn compare(what: &str, count: usize, mut ours: impl FnMut(usize), mut bare: impl FnMut(usize)) {
    let mut ratios = Vec::new();
    let mut total = [Duration::ZERO; 2];
    for turn in 0..TURNS {
        let mut spent = [Duration::ZERO; 2];
        for side in [turn % 2, (turn + 1) % 2] {
            let start = Instant::now();
            if side == 0 {
                ours(turn)
            } else {
                bare(turn)
            }
            spent[side] = start.elapsed();
        }
        // The first turn warms up.
        if turn > 0 {
            ratios.push(spent[0].as_secs_f64() / spent[1].as_secs_f64());
            total = [total[0] + spent[0], total[1] + spent[1]];
        }
    }
    ratios.sort_by(f64::total_cmp);
    let each = total.map(|total| total.as_secs_f64() * 1e6 / ((TURNS - 1) * count) as f64);
    let median = ratios[ratios.len() / 2];
    println!("{what}: {median:.2} times bare redb ({:.2} µs and {:.2} µs each)", each[0], each[1]);
}

fn reads(auth: &AuthKv, bare: &Database, keys: &[Keys]) {
    let transaction = bare.begin_read().unwrap();
    let by_token = transaction.open_table(SESSION_BY_TOKEN).unwrap();
    let users = transaction.open_table(USERS).unwrap();
    // Both sides read other keys than before in each turn, spread over all.
    let pick = |side: usize, turn: usize, n: usize| &keys[((side * TURNS + turn) * READS + n) * 7_919 % keys.len()];
    compare(
        "get_session_and_user",
        READS,
        |turn| {
            for n in 0..READS {
                black_box(auth.get_session_and_user(&pick(0, turn, n).token).wait().unwrap().unwrap());
            }
        },
        |turn| {
            for n in 0..READS {
                let keys = pick(1, turn, n);
                black_box(ReadableTable::get(&by_token, &*keys.token_key).unwrap().unwrap().value());
                black_box(ReadableTable::get(&users, &*keys.user_key).unwrap().unwrap().value());
            }
        },
    );
}

fn writes(auth: &AuthKv, bare: &Database, keys: &[Keys]) {
    let session =
        |n: usize| NewSession::new(Uuid::new_v4().to_string(), keys[n % keys.len()].user_id.as_str(), expires());
    compare(
        "create_session, 1 caller",
        WRITES,
        |_| (0..WRITES).for_each(|n| drop(auth.create_session(session(n)).wait().unwrap())),
        |_| (0..WRITES).for_each(|n| insert_session(bare, &keys[n % keys.len()])),
    );
    compare(
        "create_session, 64 callers",
        WRITES,
        |_| {
            let replies: Vec<_> = (0..WRITES).map(|n| auth.create_session(session(n))).collect();
            replies.into_iter().for_each(|reply| drop(reply.wait().unwrap()));
        },
        |_| (0..WRITES).for_each(|n| insert_session(bare, &keys[n % keys.len()])),
    );
}

/// The three rows of a session in a durable two-phase commit of their own.
fn insert_session(bare: &Database, keys: &Keys) {
    let id = [&[1][..], Uuid::now_v7().as_bytes()].concat();
    let hash = Sha256::digest(Uuid::new_v4().to_string());
    let mut transaction = bare.begin_write().unwrap();
    transaction.set_two_phase_commit(true);
    {
        let expires = expires().timestamp_millis().to_be_bytes();
        let insert = |rows, key: &[u8], value: &[u8]| {
            transaction.open_table::<&[u8], &[u8]>(rows).unwrap().insert(key, value).unwrap();
        };
        insert(SESSIONS, &[&*keys.user_key, &id].concat(), &[7; 108]);
        insert(SESSION_BY_TOKEN, &hash, &[7; 49]);
        insert(BY_EXPIRY, &[&expires[..], &[1], &*keys.user_key, &id].concat(), &[7; 5]);
    }
    transaction.commit().unwrap();
}

fn in_memory() {
    let backend = || {
        Database::builder()
            .set_cache_size(32 << 20)
            .create_with_backend(redb::backends::InMemoryBackend::new())
            .unwrap()
    };
    let auth = AuthKv::in_memory().unwrap();
    let bare = backend();
    compare(
        "create_user in memory",
        WRITES,
        |turn| (0..WRITES).for_each(|n| drop(auth.create_user(NewUser::email(format!("{turn}-{n}"))).wait().unwrap())),
        |turn| {
            for n in 0..WRITES {
                let transaction = bare.begin_write().unwrap();
                let insert = |rows: Rows, key: &[u8], value: &[u8]| {
                    transaction.open_table(rows).unwrap().insert(key, value).unwrap();
                };
                insert(USERS, Uuid::now_v7().as_bytes(), &[7; 60]);
                insert(SESSION_BY_TOKEN, format!("{turn}-{n}").as_bytes(), &[7; 22]);
                transaction.commit().unwrap();
            }
        },
    );
    compare(
        "opening in memory",
        WRITES,
        |_| (0..WRITES).for_each(|_| drop(AuthKv::in_memory().unwrap())),
        |_| {
            for _ in 0..WRITES {
                let database = backend();
                let transaction = database.begin_write().unwrap();
                for name in (0..15).map(|n| format!("table_with_a_longer_name_{n}")) {
                    transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(&name)).unwrap();
                }
                transaction.commit().unwrap();
            }
        },
    );
}
