//! Users: creating, finding, updating and deleting them.

use chrono::{DateTime, Utc};

use super::subject::{Subject, conflict, must_be_unknown_user};
use crate::models::{AccountKey, NewUser, UserPatch};
use crate::{Error, UniqueKey};

cases! {
    a_user_comes_back_as_it_was_given,
    nothing_is_invented_for_a_user,
    an_empty_text_of_a_new_user_is_absent,
    a_user_without_an_id_gets_a_fresh_one,
    a_taken_id_is_a_conflict_and_changes_nothing,
    an_email_belongs_to_one_user,
    users_without_email_are_many,
    an_unknown_user_is_none,
    a_user_is_found_by_each_account,
    updating_an_unknown_user_is_an_error_and_creates_nothing,
    a_deleted_user_is_returned_once,
    deleting_a_user_removes_all_that_was_theirs,
    deleting_a_user_leaves_others_alone,
    a_deleted_users_keys_are_free,
    verification_tokens_outlive_the_user,
    instants_are_kept_to_the_millisecond,
    instants_at_the_ends_of_the_calendar_come_back,
}

fn a_user_comes_back_as_it_was_given(on: &Subject) {
    let verified = on.clock.now();
    let given = NewUser {
        id: Some("ada".into()),
        name: Some("Ada Lovelace".into()),
        email_verified: Some(verified),
        image: Some("https://example.com/ada.png".into()),
        ..NewUser::email("Ada@Example.com")
    };
    let ada = on.auth.create_user(given).wait().unwrap();
    assert_eq!(ada.id.as_str(), "ada");
    assert_eq!(ada.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(ada.email.as_deref(), Some("Ada@Example.com"));
    assert_eq!((ada.email_verified, ada.created), (Some(verified), verified));
    assert_eq!(ada.image.as_deref(), Some("https://example.com/ada.png"));
    assert_eq!(on.find_user(&ada.id).as_ref(), Some(&ada));
    assert_eq!(on.find_by_email("Ada@Example.com").as_ref(), Some(&ada));
}

fn nothing_is_invented_for_a_user(on: &Subject) {
    let user = on.auth.create_user(NewUser::default()).wait().unwrap();
    assert_eq!((&user.name, &user.email, user.email_verified, &user.image), (&None, &None, None, &None));
    assert_eq!(on.find_user(&user.id), Some(user));
}

fn an_empty_text_of_a_new_user_is_absent(on: &Subject) {
    let empty = || Some(String::new());
    let user = NewUser { name: empty(), email: empty(), image: empty(), ..NewUser::default() };
    let user = on.auth.create_user(user).wait().unwrap();
    assert_eq!((&user.name, &user.email, &user.image), (&None, &None, &None));
    assert_eq!(on.find_user(&user.id), Some(user));
}

fn a_user_without_an_id_gets_a_fresh_one(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    assert!(!ada.id.as_str().is_empty());
    assert_ne!(ada.id, bob.id);
    assert_eq!(on.find_user(&ada.id), Some(ada));
    assert_eq!(on.find_user(&bob.id), Some(bob));
}

fn a_taken_id_is_a_conflict_and_changes_nothing(on: &Subject) {
    let ada = on.user("ada");
    let other = NewUser { id: Some(ada.id.clone()), ..NewUser::email("other@example.com") };
    assert_eq!(conflict(on.auth.create_user(other).wait()), UniqueKey::UserId);
    assert_eq!(on.find_user(&ada.id).as_ref(), Some(&ada));
    assert_eq!(on.find_by_email("ada@example.com"), Some(ada));
    assert_eq!(on.find_by_email("other@example.com"), None);
}

fn an_email_belongs_to_one_user(on: &Subject) {
    let ada = on.user("ada");
    let other = NewUser { id: Some("other".into()), ..NewUser::email("ADA@example.COM") };
    assert_eq!(conflict(on.auth.create_user(other).wait()), UniqueKey::Email);
    assert_eq!(on.find_user(&"other".into()), None);
    assert_eq!(on.find_by_email("ada@example.com"), Some(ada));
}

fn users_without_email_are_many(on: &Subject) {
    let users = [(); 3].map(|()| on.auth.create_user(NewUser::default()).wait().unwrap());
    for email in ["", "null", "undefined", "none"] {
        assert_eq!(on.find_by_email(email), None);
    }
    for user in users {
        assert_eq!(on.find_user(&user.id), Some(user));
    }
}

fn an_unknown_user_is_none(on: &Subject) {
    let ada = on.user("ada");
    on.account("github", "1", &ada.id);
    assert_eq!(on.find_user(&"nobody".into()), None);
    assert_eq!(on.find_by_email("nobody@example.com"), None);
    assert_eq!(on.find_by_email(ada.id.as_str()), None);
    assert_eq!(on.auth.get_user_by_account(&AccountKey::new("github", "2")).wait().unwrap(), None);
    assert_eq!(on.auth.delete_user(&"nobody".into()).wait().unwrap(), None);
}

fn a_user_is_found_by_each_account(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    on.account("github", "1", &ada.id);
    on.account("google", "1", &ada.id);
    on.account("github", "2", &bob.id);
    let by_account = |provider, id: &str| on.auth.get_user_by_account(&AccountKey::new(provider, id)).wait().unwrap();
    assert_eq!(by_account("github", "1").as_ref(), Some(&ada));
    assert_eq!(by_account("google", "1"), Some(ada));
    assert_eq!(by_account("github", "2"), Some(bob));
    assert_eq!(by_account("google", "2"), None);
}

fn updating_an_unknown_user_is_an_error_and_creates_nothing(on: &Subject) {
    let patch = UserPatch { email: crate::models::Change::to("nobody@example.com"), ..UserPatch::new("nobody") };
    must_be_unknown_user(on.auth.update_user(patch).wait());
    assert_eq!(on.find_user(&"nobody".into()), None);
    assert_eq!(on.find_by_email("nobody@example.com"), None);
}

fn a_deleted_user_is_returned_once(on: &Subject) {
    let ada = on.user("ada");
    assert_eq!(on.auth.delete_user(&ada.id).wait().unwrap().as_ref(), Some(&ada));
    assert_eq!(on.auth.delete_user(&ada.id).wait().unwrap(), None);
    assert_eq!(on.find_user(&ada.id), None);
    assert_eq!(on.find_by_email("ada@example.com"), None);
    assert!(matches!(on.auth.update_user(UserPatch::new(ada.id)).wait(), Err(Error::UnknownUser)));
}

/// A user with two records of each kind, whose keys start with the user's name.
fn with_two_of_everything(on: &Subject, name: &str) -> crate::models::User {
    let user = on.user(name);
    for n in ["1", "2"] {
        on.account("github", format!("{name}-{n}").as_str(), &user.id);
        on.session(&format!("{name}-{n}"), &user.id);
        on.authenticator(&format!("{name}-{n}"), &user.id);
    }
    user
}

fn deleting_a_user_removes_all_that_was_theirs(on: &Subject) {
    let ada = with_two_of_everything(on, "ada");
    on.auth.delete_user(&ada.id).wait().unwrap().unwrap();
    for key in ["ada-1", "ada-2"] {
        assert_eq!(on.find_session(key), None);
        assert_eq!(on.auth.delete_session(key).wait().unwrap(), None);
        assert_eq!(on.find_account("github", key), None);
        assert_eq!(on.auth.get_user_by_account(&AccountKey::new("github", key)).wait().unwrap(), None);
        assert_eq!(on.auth.unlink_account(&AccountKey::new("github", key)).wait().unwrap(), None);
        assert_eq!(on.find_authenticator(key), None);
        let counted = on.auth.update_authenticator_counter(&key.into(), 1).wait();
        assert!(matches!(counted, Err(Error::UnknownCredential)));
    }
    assert!(on.authenticators_of(&ada.id).is_empty());
}

fn deleting_a_user_leaves_others_alone(on: &Subject) {
    let (ada, bob) = (with_two_of_everything(on, "ada"), with_two_of_everything(on, "bob"));
    on.auth.delete_user(&ada.id).wait().unwrap().unwrap();
    assert_eq!(on.find_by_email("bob@example.com").as_ref(), Some(&bob));
    assert_eq!(on.authenticators_of(&bob.id), ["bob-1", "bob-2"]);
    for key in ["bob-1", "bob-2"] {
        assert_eq!(on.find_session(key).unwrap().user, bob);
        assert_eq!(on.find_account("github", key).unwrap().user_id, bob.id);
        assert_eq!(on.find_authenticator(key).unwrap().user_id, bob.id);
    }
}

fn a_deleted_users_keys_are_free(on: &Subject) {
    let ada = with_two_of_everything(on, "ada");
    on.auth.delete_user(&ada.id).wait().unwrap().unwrap();
    let bob = on.user("bob");
    on.session("ada-1", &bob.id);
    on.account("github", "ada-1", &bob.id);
    on.authenticator("ada-1", &bob.id);
    let again = on.auth.create_user(NewUser { id: Some(ada.id.clone()), ..NewUser::email("ada@example.com") });
    let again = again.wait().unwrap();
    assert_eq!(again.id, ada.id);
    assert_eq!(on.find_session("ada-1").unwrap().user, bob);
    assert_eq!(on.find_session("ada-2"), None);
    assert!(on.authenticators_of(&again.id).is_empty());
}

fn verification_tokens_outlive_the_user(on: &Subject) {
    let ada = on.user("ada");
    let token = on.token("ada@example.com", "a-secret");
    on.auth.delete_user(&ada.id).wait().unwrap().unwrap();
    assert_eq!(on.take("ada@example.com", "a-secret"), Some(token));
}

fn instants_are_kept_to_the_millisecond(on: &Subject) {
    for (given, kept_ms) in [(1_999_999, 1), (2_000_000, 2), (0, 0), (-1, -1), (-1_000_000, -1), (-1_000_001, -2)] {
        let given = DateTime::from_timestamp_nanos(given);
        let user = NewUser { email_verified: Some(given), ..NewUser::default() };
        let user = on.auth.create_user(user).wait().unwrap();
        assert_eq!(user.email_verified, DateTime::from_timestamp_millis(kept_ms));
        assert_eq!(on.find_user(&user.id), Some(user));
    }
}

fn instants_at_the_ends_of_the_calendar_come_back(on: &Subject) {
    for given in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let user = NewUser { email_verified: Some(given), ..NewUser::default() };
        let user = on.auth.create_user(user).wait().unwrap();
        let kept = on.find_user(&user.id).unwrap().email_verified.unwrap();
        assert_eq!(kept.timestamp_millis(), given.timestamp_millis());
    }
}
