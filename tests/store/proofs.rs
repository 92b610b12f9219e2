//! The proof of an e-mail address: it belongs to one address, whoever changes that and however.

use std::sync::Arc;

use authkv::conformance::{at_once, conflict};
use authkv::models::{
    Change, Dynamic, DynamicFields, FieldPatch, NewUser, Proof, SIGN_IN, SignedInWithEmail, User, UserPatch, Visitor,
};
use authkv::redb::Database;
use authkv::{AuthKv, UniqueKey};
use chrono::TimeDelta;

use crate::stores::{Store, new_path};

cases! {
    the_owner_of_an_address_that_somebody_changed_theirs_to_is_the_first_to_prove_it,
    a_refused_change_of_address_leaves_the_proof,
    a_proof_that_arrives_while_the_address_is_changed_never_proves_the_new_one,
}

const ADA: &str = "ada@example.com";
const VICTIM: &str = "victim@example.com";
const ROUNDS: usize = 20;

fn changed_to(email: &str, user: &User) -> UserPatch {
    UserPatch { email: Change::to(email), ..UserPatch::new(user.id.clone()) }
}

fn sign_in(auth: &AuthKv, proof: Proof<'_>) -> SignedInWithEmail {
    auth.sign_in_with_email(proof, NewUser::default(), Visitor::default()).wait().unwrap().done().unwrap()
}

/// A user with a proven address.
fn ada(auth: &AuthKv) -> User {
    sign_in(auth, Proof::Own { address: ADA }).user
}

fn the_owner_of_an_address_that_somebody_changed_theirs_to_is_the_first_to_prove_it(on: &Store) {
    let stranger = ada(&on.kv);
    assert_eq!(stranger.email_verified, Some(on.clock.now()));
    let patch = UserPatch { email_verified: Change::Set(on.clock.now()), ..changed_to(VICTIM, &stranger) };
    let stranger = on.auth.update_user(patch).wait().unwrap();
    assert_eq!((stranger.email.as_deref(), stranger.email_verified), (Some(VICTIM), None));

    let link = on.kv.issue_link_token(SIGN_IN, VICTIM, TimeDelta::minutes(10)).wait().unwrap();
    let done = sign_in(&on.kv, Proof::Link { address: VICTIM, token: link.token.reveal() });
    assert!(done.was_unverified, "nobody has proven the address before");
}

fn a_refused_change_of_address_leaves_the_proof(on: &Store) {
    let ada = ada(&on.kv);
    on.user("victim");
    assert_eq!(conflict(on.auth.update_user(changed_to(VICTIM, &ada)).wait()), UniqueKey::Email);
    assert_eq!(on.find_user(&ada.id), Some(ada));
}

fn a_proof_that_arrives_while_the_address_is_changed_never_proves_the_new_one(on: &Store) {
    for round in 0..ROUNDS {
        let [old, new] = ["old", "new"].map(|which| format!("{which}-{round}@example.com"));
        let user = on.auth.create_user(NewUser::email(old.as_str())).wait().unwrap();
        at_once(|n| match n % 4 {
            0 => drop(on.auth.update_user(changed_to(&new, &user)).wait().unwrap()),
            _ => drop(sign_in(&on.kv, Proof::Own { address: &old })),
        });
        let changed = on.find_user(&user.id).unwrap();
        assert_eq!((changed.email, changed.email_verified), (Some(new), None));
        let holder = on.find_by_email(&old);
        assert!(holder.is_none_or(|holder| holder.id != user.id && holder.email_verified.is_some()));
    }
}

#[test]
fn a_change_in_the_callers_own_transaction_unproves_the_address_too() {
    let (_folder, path) = new_path();
    let database = Arc::new(Database::create(path).unwrap());
    let auth = AuthKv::options().on_database(Arc::clone(&database)).unwrap();
    let ada = ada(&auth);
    let own = database.begin_write().unwrap();
    let respelt = auth.update_user_in(&own, changed_to("ADA@example.com", &ada)).unwrap();
    assert_eq!(respelt.email_verified, ada.email_verified);
    let changed = auth.update_user_in(&own, changed_to(VICTIM, &ada)).unwrap();
    assert_eq!(changed.email_verified, None);
    own.commit().unwrap();
    assert_eq!(auth.get_user(&ada.id).wait().unwrap(), Some(changed));
}

#[test]
fn a_change_beside_own_fields_that_are_known_at_run_time_unproves_the_address_too() {
    let auth = AuthKv::options().models::<Dynamic>().in_memory().unwrap();
    let new = NewUser { email_verified: Some(auth.now()), ..NewUser::email_with(ADA, DynamicFields::new()) };
    let ada = auth.create_user(new).wait().unwrap();
    let extra = FieldPatch::new().set("phone", "+44 20 7946 0018");
    let patch = |email| UserPatch { email, extra: extra.clone(), ..UserPatch::new(ada.id.clone()) };
    assert_eq!(auth.update_user(patch(Change::Keep)).wait().unwrap().email_verified, ada.email_verified);
    assert_eq!(auth.update_user(patch(Change::to(VICTIM))).wait().unwrap().email_verified, None);
}

#[test]
fn where_addresses_are_compared_exactly_another_spelling_is_another_address() {
    let auth = AuthKv::options().email_matching(authkv::EmailMatching::Exact).in_memory().unwrap();
    let ada = ada(&auth);
    let same = auth.update_user(changed_to(ADA, &ada)).wait().unwrap();
    assert_eq!(same.email_verified, ada.email_verified);
    assert_eq!(auth.update_user(changed_to("Ada@example.com", &ada)).wait().unwrap().email_verified, None);
}
