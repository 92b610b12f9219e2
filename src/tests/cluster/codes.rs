//! Codes on a cluster: two processes share the requests and budgets.

use std::sync::Arc;

use chrono::TimeDelta;

use super::{Memory, scale};
use crate::AuthKv;
use crate::conformance::{THREADS, at_once};
use crate::models::{CodeCheck, IssuedCode, Visitor};

const ADA: &str = "ada@example.com";

fn processes() -> [AuthKv; 2] {
    let memory = Memory::new();
    [(); 2].map(|()| {
        let options = AuthKv::options().purge_in_background(false);
        options.on_cluster(Arc::new(memory.clone())).unwrap()
    })
}

fn issue(auth: &AuthKv, request: Option<&str>) -> IssuedCode {
    let from = Visitor { request, ..Visitor::default() };
    auth.issue_code("test", ADA, TimeDelta::minutes(10), from).wait().unwrap()
}

fn guess(auth: &AuthKv, issued: &IssuedCode, code: &str) -> CodeCheck {
    let from = Visitor { request: Some(issued.request.reveal()), ..Visitor::default() };
    auth.verify_code("test", code, from).wait().unwrap()
}

#[test]
fn of_many_who_ask_two_processes_no_more_get_short_codes_than_fit() {
    for _ in 0..5 * scale() {
        let auths = processes();
        let issued = at_once(|n| issue(&auths[n % 2], None));
        assert_eq!(issued.iter().filter(|issued| issued.digits == 6).count(), 4);
        let checks = at_once(|n| guess(&auths[(n + 1) % 2], &issued[n], issued[n].code.reveal()));
        assert_eq!(checks, vec![CodeCheck::Right { address: ADA.into() }; THREADS]);
        assert!(auths[0].check().wait().unwrap().is_sound());
    }
}

#[test]
fn guesses_at_two_processes_are_counted_together() {
    for _ in 0..5 * scale() {
        let auths = processes();
        let first = issue(&auths[0], None);
        let checks = at_once(|n| match n {
            0 => {
                // Whether it joins the request or comes too late for it.
                let second = issue(&auths[1], Some(first.request.reveal()));
                assert!(second.digits == 6);
                CodeCheck::NoCode
            }
            n => guess(&auths[n % 2], &first, "a guess"),
        });
        let wrong = checks.iter().filter(|check| matches!(check, CodeCheck::Wrong { .. })).count();
        assert_eq!(wrong, 5, "{checks:?}");
        assert_eq!(guess(&auths[0], &first, first.code.reveal()), CodeCheck::NoCode);
    }
}
