//! Signing in with a provider's account, in one step.

use std::collections::BTreeMap;

use authkv::models::{
    Account, AccountKey, AccountType, Change, EmailInUse, Index, Models, NewUser, ProviderAccount, SignIn, SignedIn,
    User, UserPatch,
};
use authkv::{AuthKv, Problem, UniqueKey};
use chrono::TimeDelta;

use crate::stores::Store;
use authkv::conformance::{THREADS, at_once, conflict, invalid};

cases! {
    a_first_sign_in_creates_user_account_and_session,
    a_later_sign_in_is_of_the_same_user_as_they_are_now,
    tokens_that_are_given_replace_and_others_stay,
    an_address_that_somebody_has_is_refused_and_nothing_is_written,
    the_account_says_who_it_is_and_not_the_address,
    who_was_refused_is_signed_in_once_the_account_is_linked,
    without_an_address_everybody_is_somebody_else,
    what_cannot_be_stored_is_refused_and_nothing_is_written,
    an_account_of_somebody_who_was_deleted_is_free,
    of_many_first_sign_ins_with_one_account_one_creates_the_user,
    of_many_first_sign_ins_with_one_address_one_creates_the_user,
    a_sign_in_while_its_user_is_deleted_leaves_nothing_behind,
}

const TICK: TimeDelta = TimeDelta::milliseconds(1);
const ROUNDS: usize = 20;

fn github(id: &str) -> ProviderAccount {
    ProviderAccount::new(AccountType::Oauth, "github", id)
}

fn google(id: &str) -> ProviderAccount {
    ProviderAccount::new(AccountType::Oidc, "google", id)
}

fn with_email(name: &str) -> NewUser {
    NewUser { name: Some(name.into()), ..NewUser::email(format!("{name}@example.com")) }
}

fn sign_in(on: &Store, account: ProviderAccount, user: NewUser) -> SignIn {
    on.kv.sign_in_with_account(account, user).wait().unwrap()
}

#[track_caller]
fn signed_in(outcome: SignIn) -> SignedIn {
    match outcome {
        SignIn::Done(done) => done,
        SignIn::EmailInUse(held) => panic!("{held:?}"),
    }
}

#[track_caller]
fn refused(outcome: SignIn) -> EmailInUse {
    match outcome {
        SignIn::EmailInUse(held) => held,
        SignIn::Done(done) => panic!("{done:?}"),
    }
}

/// Asserts that the store contains the session and the user that were answered.
#[track_caller]
fn must_be_there(on: &Store, done: &SignedIn) {
    let found = on.find_session(done.session.session_token.reveal()).unwrap();
    assert_eq!((&found.session, &found.user), (&done.session, &done.user));
    assert_eq!(
        on.find_account(&done.account.provider, done.account.provider_account_id.as_str()).as_ref(),
        Some(&done.account)
    );
    assert_eq!((&done.account.user_id, &done.session.user_id), (&done.user.id, &done.user.id));
}

fn a_first_sign_in_creates_user_account_and_session(on: &Store) {
    let account = ProviderAccount { access_token: Some("a-token".into()), scope: Some("user".into()), ..github("1") };
    let user = NewUser { email_verified: Some(on.clock.now()), image: Some("a-picture".into()), ..with_email("ada") };
    let done = signed_in(sign_in(on, account, user));
    assert!(done.is_new_user);
    must_be_there(on, &done);
    let expected = User {
        id: done.user.id.clone(),
        name: Some("ada".into()),
        email: Some("ada@example.com".into()),
        email_verified: Some(on.clock.now()),
        image: Some("a-picture".into()),
        created: on.clock.now(),
        extra: (),
    };
    assert_eq!(done.user, expected);
    assert_eq!(on.find_by_email("ada@example.com"), Some(expected));
    let Account { account_type, provider, provider_account_id, access_token, scope, .. } = &done.account;
    assert_eq!((*account_type, provider.as_str(), provider_account_id.as_str()), (AccountType::Oauth, "github", "1"));
    assert_eq!((access_token, scope.as_deref()), (&Some("a-token".into()), Some("user")));
    assert_eq!(done.session.expires, on.clock.now() + TimeDelta::days(30));
    assert_eq!(done.session.session_token.reveal().len(), 64);
}

fn a_later_sign_in_is_of_the_same_user_as_they_are_now(on: &Store) {
    let first = signed_in(sign_in(on, github("1"), with_email("ada")));
    let patch = UserPatch { name: Change::to("Countess"), ..UserPatch::new(first.user.id.clone()) };
    let ada = on.auth.update_user(patch).wait().unwrap();
    for user in [with_email("ada"), with_email("new-address"), NewUser::default()] {
        let again = signed_in(sign_in(on, github("1"), user));
        assert!(!again.is_new_user);
        assert_eq!((&again.user, &again.account), (&ada, &first.account));
        must_be_there(on, &again);
    }
    let report = on.sound_report();
    assert_eq!((report.users, report.accounts, report.sessions), (1, 1, 4));
}

fn tokens_that_are_given_replace_and_others_stay(on: &Store) {
    let given = |name: &str| ProviderAccount {
        access_token: Some(name.into()),
        refresh_token: Some(name.into()),
        id_token: Some(name.into()),
        expires_at: Some(7),
        token_type: Some(name.into()),
        scope: Some(name.into()),
        session_state: Some(name.into()),
        ..github("1")
    };
    let tokens = |account: Account| {
        let Account { access_token, refresh_token, id_token, token_type, scope, session_state, .. } = account;
        ([access_token, refresh_token, id_token], [token_type, scope, session_state], account.expires_at)
    };
    let all = |name: &str| ([(); 3].map(|()| Some(name.into())), [(); 3].map(|()| Some(name.to_owned())), Some(7));
    let sign_in = |account| signed_in(sign_in(on, account, NewUser::default())).account;
    assert_eq!(tokens(sign_in(given("first"))), all("first"));
    assert_eq!(tokens(sign_in(github("1"))), all("first"));
    assert_eq!(tokens(sign_in(given("second"))), all("second"));
    let account = sign_in(ProviderAccount { access_token: Some("third".into()), ..github("1") });
    let expected = ([Some("third".into()), Some("second".into()), Some("second".into())], all("second").1, None);
    assert_eq!(tokens(account), expected, "the old expiry is not that of the new token");
    assert_eq!(sign_in(ProviderAccount { expires_at: Some(9), ..github("1") }).expires_at, Some(9));
}

fn an_address_that_somebody_has_is_refused_and_nothing_is_written(on: &Store) {
    let ada = on.user("ada");
    let verified = NewUser { email_verified: Some(on.clock.now()), ..with_email("bob") };
    let bob = on.auth.create_user(verified).wait().unwrap();
    let before = on.sound_report();
    for user in
        [with_email("ada"), NewUser::email("ADA@Example.com"), NewUser { id: Some("new".into()), ..with_email("ada") }]
    {
        for email_verified in [None, Some(on.clock.now())] {
            let outcome = sign_in(on, github("1"), NewUser { email_verified, ..user.clone() });
            assert_eq!(refused(outcome), EmailInUse { user_id: ada.id.clone(), email_verified: false });
        }
    }
    let outcome = sign_in(on, github("1"), with_email("bob"));
    assert_eq!(refused(outcome), EmailInUse { user_id: bob.id.clone(), email_verified: true });
    assert_eq!(on.sound_report(), before);
    assert_eq!((on.find_user(&ada.id), on.find_user(&bob.id)), (Some(ada), Some(bob)));
    assert_eq!(on.find_account("github", "1"), None);
}

fn the_account_says_who_it_is_and_not_the_address(on: &Store) {
    let ada = signed_in(sign_in(on, github("1"), with_email("ada"))).user;
    let bob = signed_in(sign_in(on, google("1"), with_email("bob"))).user;
    assert_ne!(ada.id, bob.id);
    assert_eq!(signed_in(sign_in(on, github("1"), with_email("bob"))).user, ada);
    assert_eq!(signed_in(sign_in(on, google("1"), with_email("ada"))).user, bob);
}

fn who_was_refused_is_signed_in_once_the_account_is_linked(on: &Store) {
    let ada = signed_in(sign_in(on, github("1"), with_email("ada"))).user;
    let held = refused(sign_in(on, google("1"), with_email("ada")));
    let again = signed_in(sign_in(on, github("1"), NewUser::default())).user;
    assert_eq!(again.id, held.user_id);
    on.auth.link_account(google("1").of_user(again.id)).wait().unwrap();
    let done = signed_in(sign_in(on, google("1"), with_email("ada")));
    assert_eq!((&done.user, done.is_new_user), (&ada, false));
    must_be_there(on, &done);
    assert_eq!(conflict(on.auth.link_account(google("1").of_user(ada.id)).wait()), UniqueKey::ProviderAccount);
}

fn without_an_address_everybody_is_somebody_else(on: &Store) {
    let users = ["1", "2", "3"].map(|id| signed_in(sign_in(on, github(id), NewUser::default())));
    assert!(users.iter().all(|done| done.is_new_user));
    assert_eq!(on.sound_report().users, 3);
    let users = ["4", "5"].map(|id| signed_in(sign_in(on, github(id), NewUser::email(""))).user);
    for (id, user) in ["4", "5"].into_iter().zip(users) {
        assert_eq!(user.email, None);
        let again = signed_in(sign_in(on, github(id), NewUser::email("")));
        assert_eq!((again.user, again.is_new_user), (user, false));
    }
    assert_eq!(on.sound_report().users, 5);
}

fn what_cannot_be_stored_is_refused_and_nothing_is_written(on: &Store) {
    signed_in(sign_in(on, github("1"), NewUser { id: Some("ada".into()), ..with_email("ada") }));
    let before = on.sound_report();
    let long = "x".repeat(513);
    for (account, user, field) in [
        (github(""), with_email("new"), "provider_account_id"),
        (github(&long), with_email("new"), "provider_account_id"),
        (ProviderAccount { provider: String::new(), ..github("2") }, with_email("new"), "provider"),
        (ProviderAccount { scope: Some("x".repeat(65_537)), ..github("2") }, with_email("new"), "scope"),
        (github("2"), with_email(&long), "email"),
        (github("2"), NewUser { id: Some("".into()), ..with_email("new") }, "id"),
        (github("1"), with_email(&long), "email"),
    ] {
        let (named, problem) = invalid(on.kv.sign_in_with_account(account, user).wait());
        assert_eq!(named, field);
        assert!(matches!(problem, Problem::Empty | Problem::TooLong { .. }), "{problem:?}");
    }
    let taken = NewUser { id: Some("ada".into()), ..with_email("new") };
    assert_eq!(conflict(on.kv.sign_in_with_account(github("2"), taken).wait()), UniqueKey::UserId);
    assert_eq!(on.sound_report(), before);
    assert_eq!(on.find_by_email("new@example.com"), None);
}

fn an_account_of_somebody_who_was_deleted_is_free(on: &Store) {
    const ACCOUNTS: usize = 600;
    let ada = signed_in(sign_in(on, google("1"), with_email("ada"))).user;
    let links: Vec<_> =
        (0..ACCOUNTS).map(|n| on.auth.link_account(github(&n.to_string()).of_user(ada.id.clone()))).collect();
    links.into_iter().for_each(|link| drop(link.wait().unwrap()));
    // Some accounts still wait to be removed when the other calls run.
    let deleted = on.auth.delete_user(&ada.id);
    let outcomes: Vec<_> = (0..ACCOUNTS)
        .step_by(100)
        .map(|n| on.kv.sign_in_with_account(github(&n.to_string()), NewUser::default()))
        .collect();
    assert!(deleted.wait().unwrap().is_some());
    for outcome in outcomes {
        let done = signed_in(outcome.wait().unwrap());
        assert!(done.is_new_user && done.user.id != ada.id);
        must_be_there(on, &done);
    }
}

fn of_many_first_sign_ins_with_one_account_one_creates_the_user(on: &Store) {
    for round in 0..ROUNDS {
        let id = round.to_string();
        let outcomes = at_once(|n| match n % 2 {
            0 => sign_in(on, github(&id), with_email(&format!("ada-{round}"))),
            _ => sign_in(on, github(&id), NewUser::default()),
        });
        let done: Vec<_> = outcomes.into_iter().map(signed_in).collect();
        assert_eq!(done.iter().filter(|done| done.is_new_user).count(), 1);
        done.iter().for_each(|each| {
            assert_eq!(each.user, done[0].user);
            must_be_there(on, each);
        });
    }
    let report = on.sound_report();
    assert_eq!([report.users, report.accounts, report.sessions], [ROUNDS, ROUNDS, ROUNDS * THREADS].map(|n| n as u64));
}

fn of_many_first_sign_ins_with_one_address_one_creates_the_user(on: &Store) {
    for round in 0..ROUNDS {
        let (name, id) = (format!("ada-{round}"), round.to_string());
        let accounts = [github(&id), google(&id)];
        let outcomes = at_once(|n| sign_in(on, accounts[n % 2].clone(), with_email(&name)));
        let holder = on.find_by_email(&format!("{name}@example.com")).unwrap();
        let mut news = 0;
        for (n, outcome) in outcomes.into_iter().enumerate() {
            let account = &accounts[n % 2];
            let key = AccountKey::new(account.provider.clone(), account.provider_account_id.clone());
            let is_linked = on.auth.get_user_by_account(&key).wait().unwrap().is_some();
            match outcome {
                SignIn::Done(done) => {
                    assert!(is_linked);
                    assert_eq!(done.user, holder);
                    news += usize::from(done.is_new_user);
                }
                SignIn::EmailInUse(held) => {
                    assert!(!is_linked);
                    assert_eq!(held.user_id, holder.id);
                }
            }
        }
        assert_eq!(news, 1);
    }
    let report = on.sound_report();
    assert_eq!([report.users, report.accounts], [ROUNDS as u64; 2]);
    assert_eq!(report.sessions, (ROUNDS * THREADS / 2) as u64);
}

fn a_sign_in_while_its_user_is_deleted_leaves_nothing_behind(on: &Store) {
    for round in 0..ROUNDS {
        let id = round.to_string();
        let ada = signed_in(sign_in(on, github(&id), with_email("ada"))).user;
        let results = at_once(|n| {
            if n == THREADS / 2 {
                assert!(on.auth.delete_user(&ada.id).wait().unwrap().is_some());
                return None;
            }
            Some(signed_in(sign_in(on, github(&id), with_email("ada"))))
        });
        let holder = on.find_by_email("ada@example.com");
        for done in results.into_iter().flatten() {
            let found = on.find_session(done.session.session_token.reveal());
            assert_eq!(found.is_some(), Some(&done.user) == holder.as_ref());
            assert!(done.user.id == ada.id || Some(&done.user) == holder.as_ref());
        }
        if let Some(again) = holder {
            on.auth.delete_user(&again.id).wait().unwrap();
        }
        on.clock.set(on.clock.now() + TICK);
    }
    let report = on.sound_report();
    assert_eq!([report.users, report.accounts, report.sessions], [0; 3]);
}

struct App;

impl Models for App {
    const NAME: &'static str = "app";
    const VERSION: u32 = 1;
    type User = Texts;
    type Account = Texts;
    type Session = Texts;
    type VerificationToken = ();
    const USER_INDEXES: &'static [Index] = &[Index::unique("phone")];
    const ACCOUNT_INDEXES: &'static [Index] = &[Index::unique("login")];
}

type Texts = BTreeMap<String, String>;

fn own(name: &str, value: &str) -> Texts {
    [(name.to_owned(), value.to_owned())].into()
}

#[test]
fn own_fields_are_those_of_the_first_sign_in_but_for_the_sessions() {
    let auth = AuthKv::options().models::<App>().in_memory().unwrap();
    let sign_in = |account: &str, login: &str, phone: &str, device: &str| {
        let account = ProviderAccount {
            extra: own("login", login),
            ..ProviderAccount::new(AccountType::Oauth, "github", account)
        };
        auth.sign_in_with_account_with(
            account,
            NewUser { extra: own("phone", phone), ..NewUser::default() },
            own("device", device),
        )
        .wait()
    };
    for (device, is_new_user) in [("desktop", true), ("phone", false)] {
        let SignIn::Done(done) = sign_in("1", &format!("ada on {device}"), &format!("7 on {device}"), device).unwrap()
        else {
            panic!("nobody has an address")
        };
        assert_eq!(done.is_new_user, is_new_user);
        assert_eq!(done.user.extra, own("phone", "7 on desktop"));
        assert_eq!(done.account.extra, own("login", "ada on desktop"));
        assert_eq!(done.session.extra, own("device", device));
        let found = auth.authenticate(done.session.session_token.reveal()).wait().unwrap().passed().unwrap();
        assert_eq!((found.user, found.session), (done.user, done.session));
    }
    let before = auth.check().wait().unwrap();
    assert_eq!(conflict(sign_in("2", "bob", "7 on desktop", "")), UniqueKey::Field("phone".into()));
    assert_eq!(conflict(sign_in("2", "ada on desktop", "8", "")), UniqueKey::Field("login".into()));
    assert_eq!(auth.check().wait().unwrap(), before);
}
