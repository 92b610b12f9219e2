//! Sessions: creating, finding, updating and deleting them. Expiry has a module of its own.

use chrono::TimeDelta;

use super::subject::{Subject, conflict, must_be_unknown_user};
use crate::UniqueKey;
use crate::models::{NewSession, Session, SessionPatch};

cases! {
    a_session_comes_back_with_its_user,
    each_session_has_an_id_of_its_own,
    a_session_needs_a_user,
    a_taken_token_is_a_conflict_and_the_session_is_untouched,
    session_tokens_are_case_sensitive,
    the_session_id_signs_nobody_in,
    an_unknown_session_is_none,
    a_session_shows_the_user_as_it_is_now,
    an_empty_patch_of_a_session_changes_nothing,
    a_patch_changes_the_expiry_of_that_session_only,
    a_session_moves_to_another_user_for_good,
    moving_a_session_to_an_unknown_user_is_an_error_and_changes_nothing,
    updating_a_session_never_creates_one,
    a_deleted_session_is_returned_once,
    a_deleted_sessions_token_is_free,
}

fn a_session_comes_back_with_its_user(on: &Subject) {
    let ada = on.user("ada");
    let expires = on.tomorrow();
    let session = on.auth.create_session(NewSession::new("a-secret", ada.id.clone(), expires)).wait().unwrap();
    assert_eq!(session.session_token.reveal(), "a-secret");
    assert_eq!((&session.user_id, session.expires), (&ada.id, expires));
    let found = on.find_session("a-secret").unwrap();
    assert_eq!((found.session, found.user), (session, ada));
}

fn each_session_has_an_id_of_its_own(on: &Subject) {
    let ada = on.user("ada");
    let (one, two) = (on.session("one", &ada.id), on.session("two", &ada.id));
    assert!(!one.id.as_str().is_empty());
    assert_ne!(one.id, two.id);
    assert_eq!(on.find_session("one").unwrap().session, one);
    assert_eq!(on.find_session("two").unwrap().session, two);
}

fn a_session_needs_a_user(on: &Subject) {
    let orphan = NewSession::new("a-secret", "nobody", on.tomorrow());
    must_be_unknown_user(on.auth.create_session(orphan).wait());
    assert_eq!(on.find_session("a-secret"), None);
    let ada = on.user("ada");
    on.session("a-secret", &ada.id);
}

fn a_taken_token_is_a_conflict_and_the_session_is_untouched(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let session = on.session("a-secret", &ada.id);
    for user in [&ada, &bob] {
        let again = NewSession::new("a-secret", user.id.clone(), on.tomorrow() + TimeDelta::days(9));
        assert_eq!(conflict(on.auth.create_session(again).wait()), UniqueKey::SessionToken);
    }
    let found = on.find_session("a-secret").unwrap();
    assert_eq!((found.session, found.user), (session, ada));
}

fn session_tokens_are_case_sensitive(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    on.session("abc", &ada.id);
    on.session("ABC", &bob.id);
    assert_eq!(on.find_session("abc").unwrap().user, ada);
    assert_eq!(on.find_session("ABC").unwrap().user, bob);
    assert_eq!(on.find_session("Abc"), None);
}

fn the_session_id_signs_nobody_in(on: &Subject) {
    let ada = on.user("ada");
    let session = on.session("a-secret", &ada.id);
    assert_eq!(on.find_session(session.id.as_str()), None);
    assert_eq!(on.auth.delete_session(session.id.as_str()).wait().unwrap(), None);
}

fn an_unknown_session_is_none(on: &Subject) {
    let ada = on.user("ada");
    on.session("a-secret", &ada.id);
    for token in ["", "a-secre", "a-secret ", ada.id.as_str()] {
        assert_eq!(on.find_session(token), None);
        assert_eq!(on.auth.delete_session(token).wait().unwrap(), None);
    }
    assert!(on.find_session("a-secret").is_some());
}

fn a_session_shows_the_user_as_it_is_now(on: &Subject) {
    let ada = on.user("ada");
    on.session("a-secret", &ada.id);
    let patch = crate::models::UserPatch {
        name: crate::models::Change::to("Ada King"),
        ..crate::models::UserPatch::new(ada.id)
    };
    let ada = on.auth.update_user(patch).wait().unwrap();
    assert_eq!(on.find_session("a-secret").unwrap().user, ada);
}

fn an_empty_patch_of_a_session_changes_nothing(on: &Subject) {
    let ada = on.user("ada");
    let session = on.session("a-secret", &ada.id);
    let updated = on.auth.update_session(SessionPatch::new("a-secret")).wait().unwrap();
    assert_eq!(updated.as_ref(), Some(&session));
    assert_eq!(on.find_session("a-secret").unwrap().session, session);
}

fn a_patch_changes_the_expiry_of_that_session_only(on: &Subject) {
    let ada = on.user("ada");
    let (session, other) = (on.session("a-secret", &ada.id), on.session("another", &ada.id));
    let later = on.tomorrow() + TimeDelta::days(30);
    let patch = SessionPatch { expires: Some(later), ..SessionPatch::new("a-secret") };
    let expected = Session { expires: later, ..session };
    assert_eq!(on.auth.update_session(patch).wait().unwrap().as_ref(), Some(&expected));
    assert_eq!(on.find_session("a-secret").unwrap().session, expected);
    assert_eq!(on.find_session("another").unwrap().session, other);
}

fn a_session_moves_to_another_user_for_good(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let session = on.session("a-secret", &ada.id);
    let patch = SessionPatch { user_id: Some(bob.id.clone()), ..SessionPatch::new("a-secret") };
    let expected = Session { user_id: bob.id.clone(), ..session };
    assert_eq!(on.auth.update_session(patch).wait().unwrap().as_ref(), Some(&expected));
    on.auth.delete_user(&ada.id).wait().unwrap().unwrap();
    let found = on.find_session("a-secret").unwrap();
    assert_eq!((&found.session, &found.user), (&expected, &bob));
    on.auth.delete_user(&bob.id).wait().unwrap().unwrap();
    assert_eq!(on.find_session("a-secret"), None);
}

fn moving_a_session_to_an_unknown_user_is_an_error_and_changes_nothing(on: &Subject) {
    let ada = on.user("ada");
    let session = on.session("a-secret", &ada.id);
    let patch = SessionPatch {
        user_id: Some("nobody".into()),
        expires: Some(on.tomorrow() + TimeDelta::days(30)),
        ..SessionPatch::new("a-secret")
    };
    must_be_unknown_user(on.auth.update_session(patch).wait());
    let found = on.find_session("a-secret").unwrap();
    assert_eq!((found.session, found.user), (session, ada));
}

fn updating_a_session_never_creates_one(on: &Subject) {
    let ada = on.user("ada");
    on.session("deleted", &ada.id);
    on.auth.delete_session("deleted").wait().unwrap().unwrap();
    for token in ["unknown", "deleted"] {
        let patch =
            SessionPatch { user_id: Some(ada.id.clone()), expires: Some(on.tomorrow()), ..SessionPatch::new(token) };
        assert_eq!(on.auth.update_session(patch).wait().unwrap(), None);
        assert_eq!(on.find_session(token), None);
        assert_eq!(on.auth.delete_session(token).wait().unwrap(), None);
    }
}

fn a_deleted_session_is_returned_once(on: &Subject) {
    let ada = on.user("ada");
    let (session, other) = (on.session("a-secret", &ada.id), on.session("another", &ada.id));
    assert_eq!(on.auth.delete_session("a-secret").wait().unwrap(), Some(session));
    assert_eq!(on.auth.delete_session("a-secret").wait().unwrap(), None);
    assert_eq!(on.find_session("a-secret"), None);
    assert_eq!(on.find_session("another").unwrap().session, other);
    assert_eq!(on.find_user(&ada.id), Some(ada));
}

fn a_deleted_sessions_token_is_free(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    on.session("a-secret", &ada.id);
    on.auth.delete_session("a-secret").wait().unwrap().unwrap();
    on.session("a-secret", &bob.id);
    on.auth.delete_user(&ada.id).wait().unwrap().unwrap();
    assert_eq!(on.find_session("a-secret").unwrap().user, bob);
}
