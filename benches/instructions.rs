//! Hot paths whose instructions are counted: `scripts/instructions` runs this under callgrind.
//!
//! `instructions WHAT COUNT` fills a store in memory with 2,000 users and then repeats one operation `COUNT` times.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;

use authkv::AuthKv;
use authkv::models::{NewSession, NewUser, SessionPatch, UserId};
use chrono::{DateTime, TimeDelta, Utc};

const USERS: usize = 2_000;
/// How many sessions are requested repeatedly.
const HOT: usize = 16;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    // `cargo bench` passes no arguments, and then there is nothing to count.
    let [what, count] = arguments.as_slice() else {
        return;
    };
    let hot_sessions = if what == "get_hot_session" { 64 * HOT } else { 0 };
    let auth = AuthKv::options().clock(now).hot_sessions(hot_sessions).in_memory().unwrap();
    for n in 0..USERS {
        let user = auth.create_user(NewUser { name: Some(format!("User {n}")), ..NewUser::email(email(n)) });
        let user = user.wait().unwrap();
        auth.create_session(NewSession::new(token(n), user.id, tomorrow())).wait().unwrap();
    }
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    counted(&auth, what, count.parse().unwrap(), &ada.id);
}

/// The function that callgrind counts; `scripts/instructions` contains its name.
#[inline(never)]
fn counted(auth: &AuthKv, what: &str, times: usize, ada: &UserId) {
    for n in 0..times {
        let of = n * 7_919 % USERS;
        match what {
            "get_session_and_user" => drop(black_box(auth.get_session_and_user(&token(of)).wait().unwrap().unwrap())),
            "get_hot_session" => drop(black_box(auth.get_session_and_user(&token(of % HOT)).wait().unwrap().unwrap())),
            "get_user_by_email" => drop(black_box(auth.get_user_by_email(&email(of)).wait().unwrap().unwrap())),
            "create_session" => {
                let new = NewSession::new(format!("new-{n}"), ada.clone(), tomorrow());
                drop(black_box(auth.create_session(new).wait().unwrap()));
            }
            "update_session" => {
                let expires = Some(tomorrow() + TimeDelta::milliseconds(1 + n as i64));
                let patch = SessionPatch { expires, ..SessionPatch::new(token(of)) };
                drop(black_box(auth.update_session(patch).wait().unwrap().unwrap()));
            }
            "create_user" => drop(black_box(auth.create_user(NewUser::email(format!("new-{n}"))).wait().unwrap())),
            _ => panic!("nothing is called {what}"),
        }
    }
}

fn token(n: usize) -> String {
    format!("0b2d3f0e-7a51-4f1c-9f00-{n:012}")
}

fn email(n: usize) -> String {
    format!("user-{n}@example.com")
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn tomorrow() -> DateTime<Utc> {
    now() + TimeDelta::days(1)
}
