//! Races: when many threads want the same thing at once, exactly one gets it.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::subject::{Subject, THREADS, at_once, authenticator};
use crate::models::{
    AccountKey, AccountType, Change, NewAccount, NewSession, NewUser, SessionPatch, User, UserId, UserPatch,
};
use crate::{Error, Result, UniqueKey};

cases! {
    of_many_users_with_one_email_one_is_created,
    of_many_users_with_one_id_one_is_created,
    of_updates_and_creations_with_one_email_one_gets_it,
    of_many_links_of_one_pair_one_is_made,
    of_many_sessions_with_one_token_one_is_created,
    of_many_replacements_of_an_expired_session_one_is_made,
    a_verification_token_is_taken_by_one,
    of_many_deletions_of_a_user_one_returns_it,
    what_is_added_while_its_user_is_deleted_is_never_orphaned,
    an_update_never_revives_a_session_that_is_deleted,
    concurrent_patches_of_different_fields_all_survive,
    of_many_changes_of_an_address_each_has_its_own_proof_or_none,
    of_many_authenticators_with_one_credential_id_one_is_created,
}

const ROUNDS: usize = 20;

/// Returns the only result that was accepted. All others must have been refused because of this key.
#[track_caller]
fn only_winner<T>(results: Vec<Result<T>>, taken: UniqueKey) -> T {
    let mut winners = Vec::new();
    for result in results {
        match result {
            Ok(winner) => winners.push(winner),
            Err(Error::Conflict(key)) => assert_eq!(key, taken),
            Err(error) => panic!("neither won nor refused: {error}"),
        }
    }
    assert_eq!(winners.len(), 1, "winners");
    winners.remove(0)
}

/// Returns the only result that found what all threads wanted.
#[track_caller]
fn only_finder<T>(results: Vec<Result<Option<T>>>) -> T {
    let mut found: Vec<T> = results.into_iter().filter_map(|result| result.unwrap()).collect();
    assert_eq!(found.len(), 1, "finders");
    found.remove(0)
}

fn of_many_users_with_one_email_one_is_created(on: &Subject) {
    for round in 0..ROUNDS {
        let emails = [format!("ada-{round}@example.com"), format!("ADA-{round}@example.com")];
        let id = |n| format!("{round}-{n}");
        let winner = only_winner(
            at_once(|n| {
                let user = NewUser { id: Some(id(n).into()), ..NewUser::email(emails[n % 2].as_str()) };
                on.auth.create_user(user).wait()
            }),
            UniqueKey::Email,
        );
        assert_eq!(on.find_by_email(&emails[0]).as_ref(), Some(&winner));
        let exist = (0..THREADS).filter(|n| on.find_user(&id(*n).into()).is_some());
        assert_eq!(exist.count(), 1);
    }
}

fn of_many_users_with_one_id_one_is_created(on: &Subject) {
    for round in 0..ROUNDS {
        let email = |n| format!("{round}-{n}@example.com");
        let id: UserId = format!("ada-{round}").into();
        let results =
            at_once(|n| on.auth.create_user(NewUser { id: Some(id.clone()), ..NewUser::email(email(n)) }).wait());
        let winner = only_winner(results, UniqueKey::UserId);
        assert_eq!(on.find_user(&id).as_ref(), Some(&winner));
        let found: Vec<_> = (0..THREADS).filter_map(|n| on.find_by_email(&email(n))).collect();
        assert_eq!(found, [winner]);
    }
}

fn of_updates_and_creations_with_one_email_one_gets_it(on: &Subject) {
    let users: Vec<User> = (0..THREADS).map(|n| on.user(&format!("user-{n}"))).collect();
    for round in 0..ROUNDS {
        let wanted = format!("wanted-{round}@example.com");
        let results = at_once(|n| match n % 2 {
            0 => on.auth.create_user(NewUser::email(wanted.as_str())).wait(),
            _ => {
                let email = Change::to(wanted.as_str());
                on.auth.update_user(UserPatch { email, ..UserPatch::new(users[n].id.clone()) }).wait()
            }
        });
        let winner = only_winner(results, UniqueKey::Email);
        assert_eq!(on.find_by_email(&wanted), Some(winner.clone()));
        for user in &users {
            let expected = if user.id == winner.id { &winner } else { user };
            assert_eq!(on.find_user(&user.id).as_ref(), Some(expected));
            let email = Change::Set(user.email.clone().unwrap());
            on.auth.update_user(UserPatch { email, ..UserPatch::new(user.id.clone()) }).wait().unwrap();
        }
    }
}

fn of_many_links_of_one_pair_one_is_made(on: &Subject) {
    let users: Vec<User> = (0..THREADS).map(|n| on.user(&format!("user-{n}"))).collect();
    for round in 0..ROUNDS as u64 {
        let results = at_once(|n| {
            let user_id = users[n / 2].id.clone();
            on.auth.link_account(NewAccount::new(user_id, AccountType::Oauth, "github", round)).wait()
        });
        let winner = only_winner(results, UniqueKey::ProviderAccount);
        let holder = on.auth.get_user_by_account(&AccountKey::new("github", round)).wait().unwrap();
        assert_eq!(holder.unwrap().id, winner.user_id);
        assert_eq!(on.find_account("github", &round.to_string()), Some(winner));
    }
}

fn of_many_sessions_with_one_token_one_is_created(on: &Subject) {
    let users: Vec<User> = (0..THREADS).map(|n| on.user(&format!("user-{n}"))).collect();
    for round in 0..ROUNDS {
        let token = format!("secret-{round}");
        let results = at_once(|n| {
            let session = NewSession::new(token.as_str(), users[n / 2].id.clone(), on.tomorrow());
            on.auth.create_session(session).wait()
        });
        let winner = only_winner(results, UniqueKey::SessionToken);
        assert_eq!(on.find_session(&token).unwrap().session, winner);
    }
}

fn of_many_replacements_of_an_expired_session_one_is_made(on: &Subject) {
    let ada = on.user("ada");
    let expired = on.clock.now() - TimeDelta::milliseconds(1);
    for round in 0..ROUNDS {
        let token = format!("secret-{round}");
        let create = |expires| on.auth.create_session(NewSession::new(token.as_str(), ada.id.clone(), expires));
        create(expired).wait().unwrap();
        let winner = only_winner(at_once(|_| create(on.tomorrow()).wait()), UniqueKey::SessionToken);
        assert_eq!(on.find_session(&token).unwrap().session, winner);
        assert_eq!(on.auth.delete_session(&token).wait().unwrap(), Some(winner));
        assert_eq!(on.auth.delete_session(&token).wait().unwrap(), None);
    }
}

fn a_verification_token_is_taken_by_one(on: &Subject) {
    for round in 0..ROUNDS {
        let token = on.token("ada", &format!("secret-{round}"));
        let results = at_once(|n| {
            let identifier = (n % 2 == 0).then_some("ada");
            on.auth.use_verification_token(identifier, token.token.reveal()).wait()
        });
        assert_eq!(only_finder(results), token);
    }
}

fn of_many_deletions_of_a_user_one_returns_it(on: &Subject) {
    for round in 0..ROUNDS {
        let user = on.user(&format!("user-{round}"));
        assert_eq!(only_finder(at_once(|_| on.auth.delete_user(&user.id).wait())), user);
    }
}

fn what_is_added_while_its_user_is_deleted_is_never_orphaned(on: &Subject) {
    let bob = on.user("bob");
    for round in 0..ROUNDS {
        let user = on.user(&format!("user-{round}"));
        let key = |n| format!("{round}-{n}");
        let results = at_once(|n| match n % 4 {
            _ if n == THREADS / 2 => on.auth.delete_user(&user.id).wait().map(|deleted| assert!(deleted.is_some())),
            0 => on.auth.create_authenticator(authenticator(&key(n), &user.id, "passkey")).wait().map(drop),
            1 => {
                let account = NewAccount::new(user.id.clone(), AccountType::Oauth, "github", key(n));
                on.auth.link_account(account).wait().map(drop)
            }
            _ => on.auth.create_session(NewSession::new(key(n), user.id.clone(), on.tomorrow())).wait().map(drop),
        });
        for result in results {
            assert!(matches!(result, Ok(()) | Err(Error::UnknownUser)), "{result:?}");
        }
        for key in (0..THREADS).map(key) {
            assert_eq!(on.find_session(&key), None);
            assert_eq!(on.find_account("github", &key), None);
            assert_eq!(on.find_authenticator(&key), None);
        }
        for key in (0..THREADS).map(key) {
            on.session(&key, &bob.id);
        }
    }
}

fn an_update_never_revives_a_session_that_is_deleted(on: &Subject) {
    let ada = on.user("ada");
    for round in 0..ROUNDS {
        let token = format!("secret-{round}");
        on.session(&token, &ada.id);
        let later = Some(on.tomorrow() + TimeDelta::days(1));
        let results = at_once(|n| match n % 4 {
            0 => on.auth.delete_session(&token).wait(),
            _ => {
                let updated =
                    on.auth.update_session(SessionPatch { expires: later, ..SessionPatch::new(token.as_str()) });
                updated.wait().map(|_| None)
            }
        });
        only_finder(results);
        assert_eq!(on.find_session(&token), None);
        assert_eq!(on.auth.update_session(SessionPatch::new(token.as_str())).wait().unwrap(), None);
        assert_eq!(on.auth.delete_session(&token).wait().unwrap(), None);
    }
}

fn concurrent_patches_of_different_fields_all_survive(on: &Subject) {
    let user = on.user("ada");
    for round in 0..ROUNDS {
        let text = |field| Change::Set(format!("{field}-{round}"));
        let verified = on.clock.now() + TimeDelta::seconds(round as i64);
        at_once(|n| {
            let nothing = UserPatch::new(user.id.clone());
            let patch = match n % 3 {
                0 => UserPatch { name: text("name"), ..nothing },
                1 => UserPatch { email: text("email"), email_verified: Change::Set(verified), ..nothing },
                _ => UserPatch { image: text("image"), ..nothing },
            };
            on.auth.update_user(patch).wait().unwrap();
        });
        let expected = User {
            id: user.id.clone(),
            name: Some(format!("name-{round}")),
            email: Some(format!("email-{round}")),
            email_verified: Some(verified),
            image: Some(format!("image-{round}")),
            created: user.created,
            extra: (),
        };
        assert_eq!(on.find_user(&user.id), Some(expected));
    }
}

fn of_many_changes_of_an_address_each_has_its_own_proof_or_none(on: &Subject) {
    let user = on.user("ada");
    for round in 0..ROUNDS {
        let email = |n: usize| format!("{round}-{n}@example.com");
        let proof = |n: usize| on.clock.now() + TimeDelta::milliseconds((round * THREADS + n) as i64);
        let patched = at_once(|n| {
            let patch = UserPatch { email: Change::Set(email(n)), ..UserPatch::new(user.id.clone()) };
            let email_verified = if n % 2 == 0 { Change::Set(proof(n)) } else { Change::Keep };
            on.auth.update_user(UserPatch { email_verified, ..patch }).wait().unwrap()
        });
        for (n, patched) in patched.iter().enumerate() {
            assert_eq!((&patched.email, patched.email_verified), (&Some(email(n)), (n % 2 == 0).then(|| proof(n))));
        }
        assert!(patched.contains(&on.find_user(&user.id).unwrap()));
    }
}

fn of_many_authenticators_with_one_credential_id_one_is_created(on: &Subject) {
    let users: Vec<User> = (0..THREADS).map(|n| on.user(&format!("user-{n}"))).collect();
    for round in 0..ROUNDS {
        let credential = format!("credential-{round}");
        let results =
            at_once(|n| on.auth.create_authenticator(authenticator(&credential, &users[n / 2].id, "passkey")).wait());
        let winner = only_winner(results, UniqueKey::CredentialId);
        assert_eq!(on.find_authenticator(&credential), Some(winner));
    }
    let listed: Vec<_> = users.iter().flat_map(|user| on.authenticators_of(&user.id)).collect();
    assert_eq!(listed.iter().collect::<BTreeSet<_>>().len(), ROUNDS);
    assert_eq!(listed.len(), ROUNDS);
}
