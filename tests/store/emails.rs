//! E-mail addresses: exact matching is an option that becomes part of the store.

use std::sync::Arc;

use authkv::models::NewUser;
use authkv::redb::Database;
use authkv::{Adapter, AuthKv, EmailMatching, Error, OpenProblem};

use crate::stores::new_path;

fn must_match_exactly(auth: &dyn Adapter) {
    let lower = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    assert_eq!(auth.get_user_by_email("Ada@example.com").wait().unwrap(), None);
    let upper = auth.create_user(NewUser::email("Ada@example.com")).wait().unwrap();
    assert_eq!(auth.get_user_by_email("ada@example.com").wait().unwrap(), Some(lower));
    assert_eq!(auth.get_user_by_email("Ada@example.com").wait().unwrap(), Some(upper));
}

#[test]
fn exact_matching_is_an_option_in_memory() {
    must_match_exactly(&AuthKv::options().email_matching(EmailMatching::Exact).in_memory().unwrap());
}

#[test]
fn exact_matching_is_written_into_the_file() {
    let (_folder, path) = new_path();
    let exact = || AuthKv::options().email_matching(EmailMatching::Exact);
    must_match_exactly(&exact().open(&path).unwrap());
    let other = AuthKv::options().open(&path);
    assert!(matches!(other, Err(Error::Open { problem: OpenProblem::OtherEmailMatching { .. }, .. })));
    let auth = exact().open(&path).unwrap();
    assert!(auth.get_user_by_email("Ada@example.com").wait().unwrap().is_some());
    assert_eq!(auth.get_user_by_email("ADA@example.com").wait().unwrap(), None);
}

#[test]
fn exact_matching_is_written_into_a_shared_database() {
    let (_folder, path) = new_path();
    let database = Arc::new(Database::create(path).unwrap());
    let exact = |matching| AuthKv::options().email_matching(matching).on_database(Arc::clone(&database));
    must_match_exactly(&exact(EmailMatching::Exact).unwrap());
    let other = exact(EmailMatching::AsciiCaseInsensitive);
    assert!(matches!(other, Err(Error::Open { problem: OpenProblem::OtherEmailMatching { .. }, .. })));
    exact(EmailMatching::Exact).unwrap();
}
