//! Authenticators: creating, finding and counting them.

use super::subject::{Subject, authenticator, conflict, must_be_unknown_user, refusal};
use crate::models::Authenticator;
use crate::{Error, UniqueKey};

cases! {
    an_authenticator_comes_back_as_it_was_given,
    an_authenticator_needs_a_user,
    a_credential_id_belongs_to_one_authenticator,
    credential_ids_are_case_sensitive,
    a_list_has_each_authenticator_of_the_user_once,
    nobody_has_authenticators_but_users,
    a_counter_is_set_and_nothing_else_changes,
    a_counter_never_goes_back,
    counting_an_unknown_credential_is_an_error_and_creates_nothing,
}

fn an_authenticator_comes_back_as_it_was_given(on: &Subject) {
    let ada = on.user("ada");
    let full = Authenticator { counter: u32::MAX, ..authenticator("full", &ada.id, "an account") };
    let sparse = Authenticator {
        credential_public_key: String::new(),
        credential_device_type: "singleDevice".to_owned(),
        credential_backed_up: false,
        transports: None,
        ..authenticator("sparse", &ada.id, "an account")
    };
    for given in [full, sparse] {
        assert_eq!(on.auth.create_authenticator(given.clone()).wait().unwrap(), given);
        assert_eq!(on.find_authenticator(given.credential_id.as_str()), Some(given));
    }
}

fn an_authenticator_needs_a_user(on: &Subject) {
    let orphan = authenticator("a-credential", &"nobody".into(), "an account");
    must_be_unknown_user(on.auth.create_authenticator(orphan).wait());
    assert_eq!(on.find_authenticator("a-credential"), None);
    let ada = on.user("ada");
    on.authenticator("a-credential", &ada.id);
}

fn a_credential_id_belongs_to_one_authenticator(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let first = on.authenticator("a-credential", &ada.id);
    for user in [&ada, &bob] {
        let again = Authenticator { counter: 7, ..authenticator("a-credential", &user.id, "another account") };
        assert_eq!(conflict(on.auth.create_authenticator(again).wait()), UniqueKey::CredentialId);
    }
    assert_eq!(on.find_authenticator("a-credential"), Some(first));
    assert!(on.authenticators_of(&bob.id).is_empty());
}

fn credential_ids_are_case_sensitive(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let (lower, upper) = (on.authenticator("abc", &ada.id), on.authenticator("ABC", &bob.id));
    assert_eq!(on.find_authenticator("abc"), Some(lower));
    assert_eq!(on.find_authenticator("ABC"), Some(upper));
    assert_eq!(on.find_authenticator("Abc"), None);
}

fn a_list_has_each_authenticator_of_the_user_once(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let mut expected: Vec<_> = (0..20).map(|n| on.authenticator(&format!("ada-{n:02}"), &ada.id)).collect();
    on.authenticator("bob-1", &bob.id);
    for counter in 1..=3 {
        expected[0] = on.auth.update_authenticator_counter(&"ada-00".into(), counter).wait().unwrap();
    }
    let mut listed = on.auth.list_authenticators_by_user_id(&ada.id).wait().unwrap();
    listed.sort_by(|a, b| a.credential_id.cmp(&b.credential_id));
    assert_eq!(listed, expected);
    assert_eq!(on.authenticators_of(&bob.id), ["bob-1"]);
}

fn nobody_has_authenticators_but_users(on: &Subject) {
    let ada = on.user_with_id("ada");
    on.authenticator("ada-1", &ada.id);
    let bob = on.user("bob");
    for id in [bob.id, "nobody".into(), "ad".into(), "ada-1".into(), "".into()] {
        assert!(on.authenticators_of(&id).is_empty());
    }
}

fn a_counter_is_set_and_nothing_else_changes(on: &Subject) {
    let ada = on.user("ada");
    let (given, other) = (on.authenticator("a-credential", &ada.id), on.authenticator("another", &ada.id));
    for counter in [0, 1, 5, 5, u32::MAX] {
        let expected = Authenticator { counter, ..given.clone() };
        let updated = on.auth.update_authenticator_counter(&given.credential_id, counter).wait().unwrap();
        assert_eq!(updated, expected);
        assert_eq!(on.find_authenticator("a-credential"), Some(expected));
    }
    assert_eq!(on.find_authenticator("another"), Some(other));
}

fn a_counter_never_goes_back(on: &Subject) {
    let ada = on.user("ada");
    let given = on.authenticator("a-credential", &ada.id);
    for counter in [300, u32::MAX] {
        let expected = on.auth.update_authenticator_counter(&given.credential_id, counter).wait().unwrap();
        for lower in [counter - 1, 7, 1, 0] {
            let error = refusal(on.auth.update_authenticator_counter(&given.credential_id, lower).wait());
            assert!(matches!(&error, Error::InvalidArgument { field, .. } if field == "counter"), "{error}");
            assert_eq!(on.find_authenticator("a-credential"), Some(expected.clone()));
        }
        assert_eq!(on.auth.update_authenticator_counter(&given.credential_id, counter).wait().unwrap(), expected);
    }
}

fn counting_an_unknown_credential_is_an_error_and_creates_nothing(on: &Subject) {
    let ada = on.user("ada");
    on.authenticator("a-credential", &ada.id);
    let error = refusal(on.auth.update_authenticator_counter(&"a-credentia".into(), 1).wait());
    assert!(matches!(error, Error::UnknownCredential));
    assert_eq!(on.find_authenticator("a-credentia"), None);
    assert_eq!(on.authenticators_of(&ada.id), ["a-credential"]);
}
