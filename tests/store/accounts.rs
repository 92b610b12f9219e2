//! The accounts of a user: patched, listed and unlinked.

use std::collections::BTreeMap;

use authkv::models::{
    Account, AccountKey, AccountPatch, AccountType, Change, FieldPatch, Index, Models, MustLeave, NewAccount, NewUser,
    Token, UserId, UserPatch,
};
use authkv::{AuthKv, Error, Problem, UniqueKey};

use crate::stores::Store;
use authkv::conformance::{THREADS, at_once, conflict, invalid};

cases! {
    a_patch_changes_what_it_names_and_nothing_else,
    an_account_that_is_not_there_is_not_patched,
    a_patch_is_limited_as_an_account_is,
    patches_of_different_fields_at_once_all_survive,
    accounts_are_listed_for_their_user_only,
    the_last_account_is_unlinked_only_by_force,
    a_verified_address_counts_where_it_is_signed_in_with,
    a_passkey_counts_unless_it_goes_with_the_account,
    nobody_unlinks_the_account_of_somebody_else,
    of_all_accounts_unlinked_at_once_one_stays,
}

const ROUNDS: usize = 20;

fn key(id: &str) -> AccountKey {
    AccountKey::new("github", id)
}

fn full(user_id: &UserId, text: &str) -> NewAccount {
    NewAccount {
        access_token: Some(text.into()),
        refresh_token: Some(text.into()),
        id_token: Some(text.into()),
        expires_at: Some(7),
        token_type: Some(text.into()),
        scope: Some(text.into()),
        session_state: Some(text.into()),
        ..NewAccount::new(user_id.clone(), AccountType::Oauth, "github", "1")
    }
}

fn update(on: &Store, patch: AccountPatch) -> Option<Account> {
    on.kv.update_account(patch).wait().unwrap()
}

fn unlink(on: &Store, user_id: &UserId, account: &Account, must_leave: MustLeave) -> Result<Option<Account>, Error> {
    let key = AccountKey::new(account.provider.clone(), account.provider_account_id.clone());
    on.kv.unlink_account_of(user_id, &key, must_leave).wait()
}

#[track_caller]
fn must_be_the_last<T>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::LastWayToSignIn)));
}

fn a_patch_changes_what_it_names_and_nothing_else(on: &Store) {
    type Edit = (fn(&mut AccountPatch), fn(&mut Account));
    let ada = on.user("ada");
    on.account("google", "1", &ada.id);
    let mut expected = on.auth.link_account(full(&ada.id, "old")).wait().unwrap();
    let edits: [Edit; 10] = [
        (|_| {}, |_| {}),
        (|patch| patch.access_token = Change::to("new"), |account| account.access_token = Some("new".into())),
        (|patch| patch.refresh_token = Change::to("new"), |account| account.refresh_token = Some("new".into())),
        (|patch| patch.id_token = Change::Clear, |account| account.id_token = None),
        (|patch| patch.expires_at = Change::Set(-1), |account| account.expires_at = Some(-1)),
        (|patch| patch.expires_at = Change::Clear, |account| account.expires_at = None),
        (|patch| patch.token_type = Change::to(""), |account| account.token_type = Some(String::new())),
        (|patch| patch.scope = Change::Clear, |account| account.scope = None),
        (|patch| patch.session_state = Change::to("new"), |account| account.session_state = Some("new".into())),
        (|patch| patch.access_token = Change::Clear, |account| account.access_token = None),
    ];
    for (edit_patch, edit_account) in edits {
        let mut patch = AccountPatch::new(key("1"));
        edit_patch(&mut patch);
        edit_account(&mut expected);
        assert_eq!(update(on, patch).as_ref(), Some(&expected));
        assert_eq!(on.find_account("github", "1").as_ref(), Some(&expected));
    }
    assert_eq!(on.find_account("google", "1").unwrap().access_token, None);
}

fn an_account_that_is_not_there_is_not_patched(on: &Store) {
    let ada = on.user("ada");
    on.account("github", "1", &ada.id);
    let patch = |id| AccountPatch { scope: Change::to("new"), ..AccountPatch::new(key(id)) };
    for id in ["2", "", "1\0"] {
        assert_eq!(update(on, patch(id)), None);
    }
    on.auth.delete_user(&ada.id).wait().unwrap();
    assert_eq!(update(on, patch("1")), None);
    assert_eq!(on.sound_report().accounts, 0);
}

fn a_patch_is_limited_as_an_account_is(on: &Store) {
    let ada = on.user("ada");
    let account = on.auth.link_account(full(&ada.id, "old")).wait().unwrap();
    let long = || "x".repeat(65_537);
    let (token, text) = (|| Change::<Token>::to(long()), || Change::<String>::to(long()));
    for (name, patch) in [
        ("access_token", AccountPatch { access_token: token(), ..AccountPatch::new(key("1")) }),
        ("refresh_token", AccountPatch { refresh_token: token(), ..AccountPatch::new(key("1")) }),
        ("id_token", AccountPatch { id_token: token(), ..AccountPatch::new(key("1")) }),
        ("token_type", AccountPatch { token_type: text(), ..AccountPatch::new(key("1")) }),
        ("scope", AccountPatch { scope: text(), ..AccountPatch::new(key("1")) }),
        ("session_state", AccountPatch { session_state: text(), ..AccountPatch::new(key("1")) }),
    ] {
        let refused = on.kv.update_account(AccountPatch { expires_at: Change::Clear, ..patch }).wait();
        assert_eq!(invalid(refused), (name.to_owned(), Problem::TooLong { bytes: 65_537, limit: 65_536 }));
    }
    assert_eq!(on.find_account("github", "1"), Some(account));
}

fn patches_of_different_fields_at_once_all_survive(on: &Store) {
    let ada = on.user("ada");
    on.auth.link_account(full(&ada.id, "old")).wait().unwrap();
    for round in 0..ROUNDS {
        let text = round.to_string();
        at_once(|n| {
            let nothing = AccountPatch::new(key("1"));
            let patch = match n % 3 {
                0 => AccountPatch { access_token: Change::to(&*text), ..nothing },
                1 => AccountPatch { refresh_token: Change::to(&*text), ..nothing },
                _ => AccountPatch { scope: Change::to(&*text), ..nothing },
            };
            assert!(update(on, patch).is_some());
        });
        let Account { access_token, refresh_token, scope, .. } = on.find_account("github", "1").unwrap();
        let token = Some(Token::from(&*text));
        assert_eq!((&access_token, &refresh_token, scope), (&token, &token, Some(text)));
    }
}

fn accounts_are_listed_for_their_user_only(on: &Store) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let listed = |user_id: &UserId| on.kv.list_accounts(user_id, None, 1_000).wait().unwrap().items;
    assert_eq!(listed(&ada.id), []);
    let accounts = ["1", "2", "3"].map(|id| on.account("github", id, &ada.id));
    let of_bob = on.account("google", "1", &bob.id);
    assert_eq!(listed(&ada.id), accounts);
    assert_eq!(listed(&bob.id), [of_bob]);
    on.auth.unlink_account(&key("2")).wait().unwrap();
    assert_eq!(listed(&ada.id), [accounts[0].clone(), accounts[2].clone()]);
    assert_eq!(listed(&"nobody".into()), []);
    on.auth.delete_user(&ada.id).wait().unwrap();
    assert_eq!(listed(&ada.id), []);
}

fn the_last_account_is_unlinked_only_by_force(on: &Store) {
    let ada = on.user("ada");
    let [one, other] = ["1", "2"].map(|id| on.account("github", id, &ada.id));
    assert_eq!(unlink(on, &ada.id, &one, MustLeave::Account).unwrap(), Some(one.clone()));
    assert_eq!(unlink(on, &ada.id, &one, MustLeave::Account).unwrap(), None);
    let before = on.sound_report();
    for must_leave in [MustLeave::Account, MustLeave::AccountOrEmail] {
        must_be_the_last(unlink(on, &ada.id, &other, must_leave));
    }
    assert_eq!(on.sound_report(), before);
    assert_eq!(on.find_account("github", "2").as_ref(), Some(&other));
    assert_eq!(unlink(on, &ada.id, &other, MustLeave::Nothing).unwrap(), Some(other));
    assert_eq!(on.kv.list_accounts(&ada.id, None, 1_000).wait().unwrap().items, []);
    assert_eq!(on.find_user(&ada.id), Some(ada));
}

fn a_verified_address_counts_where_it_is_signed_in_with(on: &Store) {
    let ada = on.user("ada");
    let account = on.account("github", "1", &ada.id);
    let set = |patch: UserPatch| on.auth.update_user(patch).wait().unwrap();
    let unlink = |must_leave| unlink(on, &ada.id, &account, must_leave);
    must_be_the_last(unlink(MustLeave::AccountOrEmail));
    let email_verified = Change::Set(on.clock.now());
    set(UserPatch { email: Change::Clear, ..UserPatch::new(ada.id.clone()) });
    set(UserPatch { email_verified: email_verified.clone(), ..UserPatch::new(ada.id.clone()) });
    must_be_the_last(unlink(MustLeave::AccountOrEmail));
    set(UserPatch { email: Change::to("ada@example.com"), ..UserPatch::new(ada.id.clone()) });
    must_be_the_last(unlink(MustLeave::AccountOrEmail));
    set(UserPatch { email_verified, ..UserPatch::new(ada.id.clone()) });
    must_be_the_last(unlink(MustLeave::Account));
    assert!(unlink(MustLeave::AccountOrEmail).unwrap().is_some());
}

fn a_passkey_counts_unless_it_goes_with_the_account(on: &Store) {
    let ada = on.user("ada");
    let github = on.account("github", "1", &ada.id);
    let link = NewAccount::new(ada.id.clone(), AccountType::Webauthn, "webauthn", "passkey");
    let webauthn = on.auth.link_account(link).wait().unwrap();
    on.authenticator("a credential of the account", &ada.id);
    assert!(unlink(on, &ada.id, &github, MustLeave::Account).unwrap().is_some());
    must_be_the_last(unlink(on, &ada.id, &webauthn, MustLeave::Account));
    assert_eq!(on.authenticators_of(&ada.id).len(), 1);
    let another = authkv::conformance::authenticator("a credential of its own", &ada.id, "none");
    on.auth.create_authenticator(another).wait().unwrap();
    assert!(unlink(on, &ada.id, &webauthn, MustLeave::Account).unwrap().is_some());
    assert_eq!(on.authenticators_of(&ada.id), ["a credential of its own"]);
}

fn nobody_unlinks_the_account_of_somebody_else(on: &Store) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let account = on.account("github", "1", &ada.id);
    for user_id in [&bob.id, &"nobody".into()] {
        assert_eq!(unlink(on, user_id, &account, MustLeave::Nothing).unwrap(), None);
    }
    assert_eq!(on.find_account("github", "1"), Some(account));
}

fn of_all_accounts_unlinked_at_once_one_stays(on: &Store) {
    for round in 0..ROUNDS {
        let ada = on.user(&format!("ada-{round}"));
        let accounts: Vec<_> =
            (0..THREADS / 2).map(|n| on.account("github", format!("{round}-{n}").as_str(), &ada.id)).collect();
        let results = at_once(|n| unlink(on, &ada.id, &accounts[n / 2], MustLeave::Account));
        let mut unlinked = 0;
        for result in results {
            match result {
                Ok(account) => unlinked += usize::from(account.is_some()),
                result => must_be_the_last(result),
            }
        }
        assert_eq!(unlinked, accounts.len() - 1);
        assert_eq!(on.kv.list_accounts(&ada.id, None, 1_000).wait().unwrap().items.len(), 1);
    }
}

struct App;

impl Models for App {
    const NAME: &'static str = "app";
    const VERSION: u32 = 1;
    type User = ();
    type Account = BTreeMap<String, u8>;
    type Session = ();
    type VerificationToken = ();
    const ACCOUNT_INDEXES: &'static [Index] = &[Index::unique("number")];
}

#[test]
fn own_fields_are_patched_by_name_and_refused_like_those_of_users() {
    let auth = AuthKv::options().models::<App>().in_memory().unwrap();
    let users = ["ada", "bob"].map(|id| auth.create_user(NewUser { id: Some(id.into()), ..NewUser::default() }).wait());
    for (user, number) in users.into_iter().zip(1..) {
        let account = NewAccount::new(user.unwrap().id, AccountType::Oauth, "github", u64::from(number));
        let extra = [("number".to_owned(), number), ("other".to_owned(), 0)].into();
        auth.link_account(NewAccount { extra, ..account }).wait().unwrap();
    }
    let patch =
        |extra| auth.update_account(AccountPatch { extra, scope: Change::to("new"), ..AccountPatch::new(key("1")) });
    let account = || auth.get_account(AccountKey::new("github", "1")).wait().unwrap().unwrap();
    let before = account();
    assert_eq!(conflict(patch(FieldPatch::new().set("number", 2)).wait()), UniqueKey::Field("number".into()));
    let misfit = Problem::Misfit("invalid type: string, expected u8".to_owned());
    assert_eq!(invalid(patch(FieldPatch::new().set("number", "two")).wait()), ("number".to_owned(), misfit));
    assert_eq!(invalid(patch(FieldPatch::new().set("scope", 2)).wait()), ("scope".to_owned(), Problem::ReservedName));
    assert_eq!(account(), before);
    auth.delete_user("bob").wait().unwrap();
    let patched = patch(FieldPatch::new().set("number", 2).clear("other")).wait().unwrap().unwrap();
    assert_eq!((patched.extra, patched.scope.as_deref()), ([("number".to_owned(), 2)].into(), Some("new")));
    assert_eq!(auth.get_account_by("number", 2).wait().unwrap().unwrap().id, before.id);
    assert_eq!(auth.get_account_by("number", 1).wait().unwrap(), None);
    assert!(auth.check().wait().unwrap().is_sound());
}
