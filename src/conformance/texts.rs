//! Odd texts: no text, however odd, finds a record of another kind or with another key.

use super::subject::{Subject, must_be_unknown_user, refusal};
use crate::Error;
use crate::models::{AccountKey, AccountType, Change, NewAccount, NewUser, SessionPatch, UserPatch};

cases! {
    odd_lookups_find_nothing_and_change_nothing,
    odd_keys_lead_to_their_own_records,
    odd_fields_come_back,
    the_parts_of_an_account_key_are_compared_one_by_one,
    the_parts_of_a_verification_token_are_compared_one_by_one,
    a_user_is_not_reached_through_an_id_that_starts_alike,
    spellings_of_one_uuid_are_different_ids,
    one_text_can_be_every_kind_of_key,
}

const ODD: [&str; 26] = [
    "\0",
    "\0\0",
    "a\0",
    "a\0b",
    "\0\u{1}",
    "\u{1}",
    "\u{7F}",
    "\u{FF}",
    "\0\u{FF}",
    "\u{FFFF}",
    "\u{10FFFF}",
    "a:b",
    "a/b",
    "a|b\\c",
    "a\u{1F}b",
    "../../etc",
    " ",
    "\n",
    "__proto__",
    "constructor",
    "null",
    "undefined",
    "👩‍👩‍👧",
    "e\u{301}",
    "\u{E9}",
    "'; DROP TABLE users; --",
];

/// A user with one record of each kind, whose keys are all `ada`.
fn filled(on: &Subject) -> NewUser {
    let user = NewUser { id: Some("ada".into()), ..NewUser::email("ada") };
    let ada = on.auth.create_user(user.clone()).wait().unwrap();
    on.account("ada", "ada", &ada.id);
    on.session("ada", &ada.id);
    on.authenticator("ada", &ada.id);
    on.token("ada", "ada");
    user
}

fn odd_lookups_find_nothing_and_change_nothing(on: &Subject) {
    filled(on);
    let before = on.contents();
    let huge = ["x".repeat(64 << 10), "ada\0".repeat(16 << 10), "👩‍👩‍👧".repeat(4_000), "y".repeat(513)];
    let more = ["", "ADA", "ada\0", "\0ada", "ada ", "ad", "adaa"];
    for text in ODD.into_iter().chain(more).chain(huge.iter().map(String::as_str)) {
        // E-mail addresses are the only keys in which case and blanks around do not matter.
        if !text.trim().eq_ignore_ascii_case("ada") {
            assert_eq!(on.find_by_email(text), None);
        }
        must_be_unknown_as_a_user(on, text);
        must_be_unknown_as_a_key(on, text);
        for key in [AccountKey::new(text, "ada"), AccountKey::new("ada", text), AccountKey::new(text, text)] {
            assert_eq!(on.auth.get_account(&key).wait().unwrap(), None);
            assert_eq!(on.auth.get_user_by_account(&key).wait().unwrap(), None);
            assert_eq!(on.auth.unlink_account(&key).wait().unwrap(), None);
        }
        for (identifier, token) in [(text, "ada"), ("ada", text), (text, text)] {
            assert_eq!(on.take(identifier, token), None);
        }
        assert_eq!(on.take_by_token(text), None);
    }
    assert_eq!(on.contents(), before);
}

fn must_be_unknown_as_a_user(on: &Subject, id: &str) {
    assert_eq!(on.find_user(&id.into()), None);
    assert!(on.authenticators_of(&id.into()).is_empty());
    must_be_unknown_user(on.auth.update_user(UserPatch::new(id)).wait());
    assert_eq!(on.auth.delete_user(&id.into()).wait().unwrap(), None);
}

fn must_be_unknown_as_a_key(on: &Subject, text: &str) {
    assert_eq!(on.find_session(text), None);
    assert_eq!(on.auth.update_session(SessionPatch::new(text)).wait().unwrap(), None);
    assert_eq!(on.auth.delete_session(text).wait().unwrap(), None);
    assert_eq!(on.find_authenticator(text), None);
    let counted = refusal(on.auth.update_authenticator_counter(&text.into(), 1).wait());
    assert!(matches!(counted, Error::UnknownCredential));
}

fn odd_keys_lead_to_their_own_records(on: &Subject) {
    for text in ODD {
        let user = NewUser { id: Some(text.into()), ..NewUser::email(address(text)) };
        let user = on.auth.create_user(user).wait().unwrap();
        on.account(text, text, &user.id);
        on.session(text, &user.id);
        on.authenticator(text, &user.id);
        on.token(text, text);
    }
    for (place, text) in ODD.into_iter().enumerate() {
        for left in &ODD[place..] {
            must_have_its_own_records(on, left);
        }
        let deleted = on.auth.delete_user(&text.into()).wait().unwrap().unwrap();
        assert_eq!(deleted.email, Some(address(text)));
        assert_eq!(on.take(text, text).unwrap().identifier, text);
        must_be_unknown_as_a_user(on, text);
        must_be_unknown_as_a_key(on, text);
    }
}

/// An address with an odd text in it, which may have blanks around it.
fn address(text: &str) -> String {
    format!("<{text}>")
}

fn must_have_its_own_records(on: &Subject, text: &str) {
    let user = on.find_user(&text.into()).unwrap();
    assert_eq!((user.id.as_str(), user.email), (text, Some(address(text))));
    assert_eq!(on.find_by_email(&address(text)).as_ref(), on.find_user(&text.into()).as_ref());
    let account = on.find_account(text, text).unwrap();
    assert_eq!((account.provider.as_str(), account.user_id.as_str()), (text, text));
    assert_eq!(on.find_session(text).unwrap().user.id, user.id);
    assert_eq!(on.find_authenticator(text).unwrap().user_id.as_str(), text);
    assert_eq!(on.authenticators_of(&user.id), [text]);
}

fn odd_fields_come_back(on: &Subject) {
    for text in ODD.into_iter().chain([""]) {
        let user = NewUser { name: Some(text.into()), image: Some(text.into()), ..NewUser::default() };
        let user = on.auth.create_user(user).wait().unwrap();
        let given = Some(text).filter(|text| !text.is_empty());
        assert_eq!((user.name.as_deref(), user.image.as_deref()), (given, given));
        assert_eq!(on.find_user(&user.id).as_ref(), Some(&user));
        let patch = UserPatch { name: Change::to(text), image: Change::to(text), ..UserPatch::new(user.id.clone()) };
        let user = on.auth.update_user(patch).wait().unwrap();
        assert_eq!((user.name.as_deref(), user.image.as_deref()), (Some(text), Some(text)));
        assert_eq!(on.find_user(&user.id).as_ref(), Some(&user));
        let account = NewAccount {
            access_token: Some(text.into()),
            scope: Some(text.into()),
            ..NewAccount::new(user.id.clone(), AccountType::Oauth, "github", user.id.as_str())
        };
        on.auth.link_account(account).wait().unwrap();
        let found = on.find_account("github", user.id.as_str()).unwrap();
        assert_eq!(found.access_token.unwrap().reveal(), text);
        assert_eq!(found.scope.as_deref(), Some(text));
    }
}

/// Texts that give equal pairs when they are joined carelessly.
const PARTS: [&str; 12] = ["a", "a:", "b", ":b", "a:b", "b:c", "a\0", "\0b", "\0", "\0\u{1}", "\u{1}", "aa"];

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    PARTS.into_iter().flat_map(|first| PARTS.map(|second| (first, second)))
}

fn the_parts_of_an_account_key_are_compared_one_by_one(on: &Subject) {
    let ada = on.user("ada");
    let accounts: Vec<_> = pairs().map(|(provider, id)| on.account(provider, id, &ada.id)).collect();
    for (account, (provider, id)) in accounts.iter().zip(pairs()) {
        assert_eq!((account.provider.as_str(), account.provider_account_id.as_str()), (provider, id));
        assert_eq!(on.find_account(provider, id).as_ref(), Some(account));
    }
    for (account, (provider, id)) in accounts.into_iter().zip(pairs()) {
        assert_eq!(on.auth.unlink_account(&AccountKey::new(provider, id)).wait().unwrap(), Some(account));
        assert_eq!(on.find_account(provider, id), None);
    }
}

fn the_parts_of_a_verification_token_are_compared_one_by_one(on: &Subject) {
    let tokens: Vec<_> = pairs().map(|(identifier, token)| on.token(identifier, token)).collect();
    for (token, (identifier, text)) in tokens.into_iter().zip(pairs()) {
        assert_eq!((token.identifier.as_str(), token.token.reveal()), (identifier, text));
        assert_eq!(on.take(identifier, text), Some(token));
        assert_eq!(on.take(identifier, text), None);
    }
}

fn a_user_is_not_reached_through_an_id_that_starts_alike(on: &Subject) {
    let ids = ["a", "a\0", "a\0b", "ab", "a\u{1}", "a\u{FF}"];
    for id in ids {
        let user = on.user_with_id(id);
        on.account("github", id, &user.id);
        on.session(id, &user.id);
        on.authenticator(id, &user.id);
    }
    for (place, id) in ids.into_iter().enumerate() {
        assert_eq!(on.authenticators_of(&id.into()), [id]);
        on.auth.delete_user(&id.into()).wait().unwrap().unwrap();
        for other in &ids[place + 1..] {
            assert_eq!(on.find_session(other).unwrap().user.id.as_str(), *other, "after {id:?}");
            assert!(on.find_account("github", other).is_some() && on.find_authenticator(other).is_some());
        }
    }
}

fn spellings_of_one_uuid_are_different_ids(on: &Subject) {
    let canonical = "01890a5d-ac96-774b-bcce-b302099a8057";
    let [upper, simple] = [canonical.to_uppercase(), canonical.replace('-', "")];
    let spellings = [canonical, &upper, &simple, &format!("{{{canonical}}}"), &format!("urn:uuid:{canonical}")];
    for id in spellings {
        let user = on.user_with_id(id);
        on.session(id, &user.id);
        on.authenticator(id, &user.id);
    }
    for id in spellings {
        assert_eq!(on.find_session(id).unwrap().user.id.as_str(), id);
        assert_eq!(on.authenticators_of(&id.into()), [id]);
    }
}

fn one_text_can_be_every_kind_of_key(on: &Subject) {
    let user = filled(on);
    let everything = on.contents();
    assert!(on.auth.delete_session("ada").wait().unwrap().is_some());
    assert!(on.take("ada", "ada").is_some());
    assert!(on.auth.unlink_account(&AccountKey::new("ada", "ada")).wait().unwrap().is_some());
    assert!(on.find_authenticator("ada").is_some());
    assert!(on.auth.delete_user(&"ada".into()).wait().unwrap().is_some());
    must_be_unknown_as_a_user(on, "ada");
    must_be_unknown_as_a_key(on, "ada");
    assert_eq!(filled(on), user);
    assert_eq!(on.contents(), everything);
}
