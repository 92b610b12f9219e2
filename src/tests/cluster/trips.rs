//! How many requests each operation takes without conflicts.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};

use super::Memory;
use crate::AuthKv;
use crate::models::{
    AccountType, Change, NewAccount, NewSession, NewUser, Proof, SIGN_IN, UserPatch, VerificationToken, Visitor,
};

#[test]
fn operations_take_as_many_requests_as_they_have_to() {
    let memory = Memory::new();
    let auth = AuthKv::options().purge_in_background(false).on_cluster(Arc::new(memory.clone())).unwrap();
    auth.create_user(NewUser::default()).wait().unwrap();
    let trips = |what: &str, most: usize, call: &dyn Fn()| {
        let before = memory.requests();
        call();
        let trips = memory.requests() - before;
        eprintln!("{what}: {trips}");
        assert!(trips <= most, "{what} took {trips} requests");
    };
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let ada = auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    let id = &ada.id;
    trips("create_user", 1, &|| drop(auth.create_user(NewUser::email("bob@example.com")).wait().unwrap()));
    trips("get_user", 1, &|| drop(auth.get_user(id).wait().unwrap().unwrap()));
    trips("get_user_by_email", 2, &|| drop(auth.get_user_by_email("ada@example.com").wait().unwrap().unwrap()));
    trips("update_user", 2, &|| {
        let patch = UserPatch { name: Change::to("Ada"), ..UserPatch::new(id.clone()) };
        auth.update_user(patch).wait().unwrap();
    });
    trips("link_account", 1, &|| {
        auth.link_account(NewAccount::new(id.clone(), AccountType::Oauth, "github", "1")).wait().unwrap();
    });
    trips("get_user_by_account", 2, &|| {
        auth.get_user_by_account(crate::models::AccountKey::new("github", "1")).wait().unwrap().unwrap();
    });
    trips("create_session", 1, &|| {
        auth.create_session(NewSession::new("token", id.clone(), tomorrow)).wait().unwrap();
    });
    trips("get_session_and_user", 2, &|| drop(auth.get_session_and_user("token").wait().unwrap().unwrap()));
    trips("delete_session", 3, &|| drop(auth.delete_session("token").wait().unwrap().unwrap()));
    trips("create_verification_token", 1, &|| {
        auth.create_verification_token(VerificationToken::new("ada", "token", tomorrow)).wait().unwrap();
    });
    trips("use_verification_token", 2, &|| {
        auth.use_verification_token(Some("ada"), "token").wait().unwrap().unwrap();
    });
    let link = auth.issue_link_token(SIGN_IN, "bob@example.com", TimeDelta::hours(1)).wait().unwrap();
    trips("sign_in_with_email", 3, &|| {
        let proof = Proof::Link { address: "bob@example.com", token: link.token.reveal() };
        let signed_in = auth.sign_in_with_email(proof, NewUser::default(), Visitor::default());
        assert!(signed_in.wait().unwrap().done().is_some());
    });
    let issued = std::cell::RefCell::new(Vec::new());
    let issue = |most| {
        trips("issue_code", most, &|| {
            let issue = auth.issue_code("test", "ada", TimeDelta::minutes(10), Visitor::default());
            issued.borrow_mut().push(issue.wait().unwrap());
        });
    };
    issue(1);
    // The budget is there.
    issue(2);
    for issued in issued.take() {
        trips("verify_code", 3, &|| {
            let from = Visitor { request: Some(issued.request.reveal()), ..Visitor::default() };
            assert!(auth.verify_code("test", issued.code.reveal(), from).wait().unwrap().address().is_some());
        });
    }
    for number in 0..10 {
        let account = NewAccount::new(id.clone(), AccountType::Oauth, "gitlab", format!("{number}"));
        auth.link_account(account).wait().unwrap();
        auth.start_session(id.clone()).wait().unwrap();
        auth.create_session(NewSession::new(format!("old {number}"), id.clone(), tomorrow - TimeDelta::days(9)))
            .wait()
            .unwrap();
    }
    trips("list_accounts", 2, &|| assert_eq!(auth.list_accounts(id, None, 1_000).wait().unwrap().items.len(), 11));
    trips("list_sessions", 1, &|| assert_eq!(auth.list_sessions(id, None, 1_000).wait().unwrap().items.len(), 10));
    trips("count_expired", 2, &|| assert_eq!(auth.count_expired().wait().unwrap().sessions, 10));
    trips("purge_expired", 3, &|| assert_eq!(auth.purge_expired().wait().unwrap().sessions, 10));
    // Listing finds its accounts.
    trips("delete_user", 3, &|| drop(auth.delete_user(id).wait().unwrap().unwrap()));
}
