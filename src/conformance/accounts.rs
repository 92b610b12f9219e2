//! Accounts: linking, finding and unlinking them.

use super::subject::{Subject, authenticator, conflict, must_be_unknown_user};
use crate::UniqueKey;
use crate::models::{AccountKey, AccountType, NewAccount, ProviderAccountId, UserId};

cases! {
    an_account_comes_back_as_it_was_given,
    nothing_is_invented_for_an_account,
    each_type_of_account_comes_back,
    an_account_needs_a_user,
    a_pair_is_linked_once_even_by_the_same_user,
    a_taken_account_id_is_a_conflict,
    get_account_takes_the_id_first,
    one_id_at_two_providers_is_two_accounts,
    provider_parts_are_case_sensitive,
    a_number_is_its_decimal_text,
    unlinking_removes_that_account_only,
    an_unlinked_pair_can_be_linked_by_another_user,
    sessions_stay_when_an_account_is_unlinked,
    unlinking_a_webauthn_account_removes_its_authenticators,
    unlinking_another_account_leaves_authenticators,
}

fn full_account(user_id: &UserId) -> NewAccount {
    NewAccount {
        id: Some("an-account".into()),
        access_token: Some("an access token".into()),
        refresh_token: Some("a refresh token".into()),
        id_token: Some("an id token".into()),
        expires_at: Some(-1),
        token_type: Some("bearer".into()),
        scope: Some("read:user".into()),
        session_state: Some("a state".into()),
        ..NewAccount::new(user_id.clone(), AccountType::Oidc, "github", "583231")
    }
}

fn an_account_comes_back_as_it_was_given(on: &Subject) {
    let ada = on.user("ada");
    let given = full_account(&ada.id);
    let account = on.auth.link_account(given.clone()).wait().unwrap();
    assert_eq!(Some(&account.id), given.id.as_ref());
    assert_eq!((&account.user_id, account.account_type), (&ada.id, AccountType::Oidc));
    assert_eq!((account.provider.as_str(), account.provider_account_id.as_str()), ("github", "583231"));
    assert_eq!(account.access_token, given.access_token);
    assert_eq!(account.refresh_token, given.refresh_token);
    assert_eq!(account.id_token, given.id_token);
    assert_eq!(account.expires_at, Some(-1));
    assert_eq!(account.token_type, given.token_type);
    assert_eq!(account.scope, given.scope);
    assert_eq!(account.session_state, given.session_state);
    assert_eq!(on.find_account("github", "583231"), Some(account));
}

fn nothing_is_invented_for_an_account(on: &Subject) {
    let ada = on.user("ada");
    let (one, two) = (on.account("github", "1", &ada.id), on.account("github", "2", &ada.id));
    assert!(!one.id.as_str().is_empty());
    assert_ne!(one.id, two.id);
    assert_eq!((&one.access_token, &one.refresh_token, &one.id_token, one.expires_at), (&None, &None, &None, None));
    assert_eq!((&one.token_type, &one.scope, &one.session_state), (&None, &None, &None));
    assert_eq!(on.find_account("github", "1"), Some(one));
}

fn each_type_of_account_comes_back(on: &Subject) {
    let ada = on.user("ada");
    let types = [AccountType::Oauth, AccountType::Oidc, AccountType::Email, AccountType::Webauthn];
    for (number, account_type) in (1_u64..).zip(types) {
        let expires_at = Some(i64::MAX);
        let account = NewAccount::new(ada.id.clone(), account_type, "provider", number);
        on.auth.link_account(NewAccount { expires_at, ..account }).wait().unwrap();
        let found = on.find_account("provider", &number.to_string()).unwrap();
        assert_eq!((found.account_type, found.expires_at), (account_type, expires_at));
    }
}

fn an_account_needs_a_user(on: &Subject) {
    let account = NewAccount::new("nobody", AccountType::Oauth, "github", "1");
    must_be_unknown_user(on.auth.link_account(account).wait());
    assert_eq!(on.find_account("github", "1"), None);
    let ada = on.user("ada");
    on.account("github", "1", &ada.id);
}

fn a_pair_is_linked_once_even_by_the_same_user(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let account = on.auth.link_account(full_account(&ada.id)).wait().unwrap();
    for user in [&ada, &bob] {
        let again = NewAccount::new(user.id.clone(), AccountType::Oauth, "github", "583231");
        assert_eq!(conflict(on.auth.link_account(again).wait()), UniqueKey::ProviderAccount);
    }
    assert_eq!(on.find_account("github", "583231"), Some(account));
    let holder = on.auth.get_user_by_account(&AccountKey::new("github", "583231")).wait().unwrap();
    assert_eq!(holder, Some(ada));
}

fn a_taken_account_id_is_a_conflict(on: &Subject) {
    let ada = on.user("ada");
    let account = on.auth.link_account(full_account(&ada.id)).wait().unwrap();
    let other = NewAccount { provider: "google".into(), ..full_account(&ada.id) };
    assert_eq!(conflict(on.auth.link_account(other).wait()), UniqueKey::AccountId);
    assert_eq!(on.find_account("google", "583231"), None);
    assert_eq!(on.find_account("github", "583231"), Some(account));
}

fn get_account_takes_the_id_first(on: &Subject) {
    let ada = on.user("ada");
    let account = on.account("github", "google", &ada.id);
    assert_eq!(on.auth.get_account(&AccountKey::new("github", "google")).wait().unwrap(), Some(account));
    assert_eq!(on.auth.get_account(&AccountKey::new("google", "github")).wait().unwrap(), None);
}

fn one_id_at_two_providers_is_two_accounts(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let (github, google) = (on.account("github", "1", &ada.id), on.account("google", "1", &bob.id));
    assert_eq!(on.find_account("github", "1"), Some(github));
    assert_eq!(on.find_account("google", "1"), Some(google));
}

fn provider_parts_are_case_sensitive(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let (lower, upper) = (on.account("github", "abc", &ada.id), on.account("github", "ABC", &bob.id));
    assert_eq!(on.find_account("github", "abc"), Some(lower));
    assert_eq!(on.find_account("github", "ABC"), Some(upper));
    assert_eq!(on.find_account("GitHub", "abc"), None);
    assert_eq!(on.find_account("github", "Abc"), None);
}

fn a_number_is_its_decimal_text(on: &Subject) {
    let ada = on.user("ada");
    let numbers: [(ProviderAccountId, &str); 5] = [
        (0_u64.into(), "0"),
        (583_231_u64.into(), "583231"),
        (u64::MAX.into(), "18446744073709551615"),
        ((-1_i64).into(), "-1"),
        (9_007_199_254_740_993_i64.into(), "9007199254740993"),
    ];
    for (number, text) in numbers {
        let account = on.account("by-number", number.clone(), &ada.id);
        assert_eq!(account.provider_account_id.as_str(), text);
        assert_eq!(on.find_account("by-number", text), Some(account));
        let account = on.account("by-text", text, &ada.id);
        assert_eq!(on.auth.get_account(&AccountKey::new("by-text", number)).wait().unwrap(), Some(account));
    }
    for text in ["00", "0583231", "583231.0", "+583231", " 583231"] {
        assert_eq!(on.find_account("by-number", text), None);
    }
}

fn unlinking_removes_that_account_only(on: &Subject) {
    let ada = on.user("ada");
    let accounts = ["1", "2", "3"].map(|id| on.account("github", id, &ada.id));
    let [one, two, three] = accounts;
    let key = AccountKey::new("github", "2");
    assert_eq!(on.auth.unlink_account(&key).wait().unwrap(), Some(two));
    assert_eq!(on.auth.unlink_account(&key).wait().unwrap(), None);
    assert_eq!(on.find_account("github", "2"), None);
    assert_eq!(on.auth.get_user_by_account(&key).wait().unwrap(), None);
    assert_eq!(on.find_account("github", "1"), Some(one));
    assert_eq!(on.find_account("github", "3"), Some(three));
    assert_eq!(on.find_user(&ada.id), Some(ada));
}

fn an_unlinked_pair_can_be_linked_by_another_user(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    on.auth.link_account(full_account(&ada.id)).wait().unwrap();
    on.auth.unlink_account(&AccountKey::new("github", "583231")).wait().unwrap().unwrap();
    let account = on.auth.link_account(full_account(&bob.id)).wait().unwrap();
    on.auth.delete_user(&ada.id).wait().unwrap().unwrap();
    assert_eq!(on.find_account("github", "583231"), Some(account));
}

fn sessions_stay_when_an_account_is_unlinked(on: &Subject) {
    let ada = on.user("ada");
    on.account("github", "1", &ada.id);
    let session = on.session("a-secret", &ada.id);
    on.auth.unlink_account(&AccountKey::new("github", "1")).wait().unwrap().unwrap();
    assert_eq!(on.find_session("a-secret").unwrap().session, session);
}

/// Two users, each with a WebAuthn account and with authenticators of the provider account ids `one` and `two`.
fn with_passkeys(on: &Subject) -> [UserId; 2] {
    ["ada", "bob"].map(|name| {
        let user = on.user(name);
        let account = NewAccount::new(user.id.clone(), AccountType::Webauthn, format!("passkey-{name}"), "one");
        on.auth.link_account(account).wait().unwrap();
        for (credential, account_id) in [("1", "one"), ("2", "one"), ("3", "two")] {
            let credential = authenticator(&format!("{name}-{credential}"), &user.id, account_id);
            on.auth.create_authenticator(credential).wait().unwrap();
        }
        user.id
    })
}

fn unlinking_a_webauthn_account_removes_its_authenticators(on: &Subject) {
    let [ada, bob] = with_passkeys(on);
    on.auth.unlink_account(&AccountKey::new("passkey-ada", "one")).wait().unwrap().unwrap();
    assert_eq!(on.authenticators_of(&ada), ["ada-3"]);
    assert_eq!(on.find_authenticator("ada-1"), None);
    assert_eq!(on.find_authenticator("ada-2"), None);
    assert_eq!(on.authenticators_of(&bob), ["bob-1", "bob-2", "bob-3"]);
    on.authenticator("ada-1", &bob);
}

fn unlinking_another_account_leaves_authenticators(on: &Subject) {
    let [ada, _] = with_passkeys(on);
    on.account("github", "one", &ada);
    on.auth.unlink_account(&AccountKey::new("github", "one")).wait().unwrap().unwrap();
    assert_eq!(on.authenticators_of(&ada), ["ada-1", "ada-2", "ada-3"]);
    assert!(on.find_account("passkey-ada", "one").is_some());
}
