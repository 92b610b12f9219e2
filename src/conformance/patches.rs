//! Patches of users: an absent field keeps, a null clears, a value replaces.

use chrono::{DateTime, TimeDelta, Utc};

use super::subject::{Subject, conflict};
use crate::UniqueKey;
use crate::models::{Change, NewUser, User, UserPatch};

cases! {
    an_empty_patch_changes_nothing,
    each_field_is_replaced_and_cleared_alone,
    patches_of_different_fields_both_survive,
    a_patch_changes_one_user_only,
    a_patched_email_is_taken_and_the_old_one_is_free,
    a_cleared_email_is_free,
    an_email_of_another_user_is_refused_and_nothing_changes,
    a_user_can_respell_the_email,
    a_changed_address_is_unproven,
    a_proof_in_the_patch_proves_the_new_address_unless_it_repeats_the_old_proof,
    another_spelling_of_an_address_keeps_its_proof,
    a_cleared_address_leaves_no_proof,
    patched_instants_are_kept_to_the_millisecond,
}

fn full_user(on: &Subject) -> User {
    let user = NewUser {
        name: Some("Ada".into()),
        email_verified: Some(on.clock.now()),
        image: Some("ada.png".into()),
        ..NewUser::email("ada@example.com")
    };
    on.auth.create_user(user).wait().unwrap()
}

fn an_empty_patch_changes_nothing(on: &Subject) {
    let ada = full_user(on);
    assert_eq!(on.auth.update_user(UserPatch::new(ada.id.clone())).wait().unwrap(), ada);
    assert_eq!(on.find_user(&ada.id).as_ref(), Some(&ada));
    assert_eq!(on.find_by_email("ada@example.com"), Some(ada));
}

fn each_field_is_replaced_and_cleared_alone(on: &Subject) {
    let ada = full_user(on);
    let later = on.clock.now() + TimeDelta::hours(1);
    let nothing = || UserPatch::new(ada.id.clone());
    let unproven = || User { email_verified: None, ..ada.clone() };
    let steps: [(UserPatch, User); 8] = [
        (UserPatch { name: Change::to("A"), ..nothing() }, User { name: Some("A".into()), ..ada.clone() }),
        (UserPatch { name: Change::Clear, ..nothing() }, User { name: None, ..ada.clone() }),
        (UserPatch { email: Change::to("a@b"), ..nothing() }, User { email: Some("a@b".into()), ..unproven() }),
        (UserPatch { email: Change::Clear, ..nothing() }, User { email: None, ..unproven() }),
        (
            UserPatch { email_verified: Change::to(later), ..nothing() },
            User { email_verified: Some(later), ..ada.clone() },
        ),
        (UserPatch { email_verified: Change::Clear, ..nothing() }, unproven()),
        (UserPatch { image: Change::to("b.png"), ..nothing() }, User { image: Some("b.png".into()), ..ada.clone() }),
        (UserPatch { image: Change::Clear, ..nothing() }, User { image: None, ..ada.clone() }),
    ];
    for (patch, expected) in steps {
        assert_eq!(on.auth.update_user(patch).wait().unwrap(), expected);
        assert_eq!(on.find_user(&ada.id), Some(expected));
        assert_eq!(on.auth.update_user(back_to(&ada)).wait().unwrap(), ada);
    }
}

fn back_to(user: &User) -> UserPatch {
    UserPatch {
        name: Change::Set(user.name.clone().unwrap()),
        email: Change::Set(user.email.clone().unwrap()),
        email_verified: Change::Set(user.email_verified.unwrap()),
        image: Change::Set(user.image.clone().unwrap()),
        ..UserPatch::new(user.id.clone())
    }
}

fn patches_of_different_fields_both_survive(on: &Subject) {
    let ada = full_user(on);
    let name = UserPatch { name: Change::to("Ada King"), ..UserPatch::new(ada.id.clone()) };
    let image = UserPatch { image: Change::Clear, ..UserPatch::new(ada.id.clone()) };
    let replies = (on.auth.update_user(name), on.auth.update_user(image));
    replies.0.wait().unwrap();
    replies.1.wait().unwrap();
    let expected = User { name: Some("Ada King".into()), image: None, ..ada.clone() };
    assert_eq!(on.find_user(&ada.id), Some(expected));
}

fn a_patch_changes_one_user_only(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    on.auth.update_user(UserPatch { name: Change::Clear, ..UserPatch::new(ada.id) }).wait().unwrap();
    assert_eq!(on.find_user(&bob.id), Some(bob));
}

fn a_patched_email_is_taken_and_the_old_one_is_free(on: &Subject) {
    let ada = on.user("ada");
    let patch = UserPatch { email: Change::to("New@example.com"), ..UserPatch::new(ada.id.clone()) };
    let ada = on.auth.update_user(patch).wait().unwrap();
    assert_eq!(on.find_by_email("new@example.com"), Some(ada.clone()));
    assert_eq!(on.find_by_email("ada@example.com"), None);
    assert_eq!(conflict(on.auth.create_user(NewUser::email("new@example.com")).wait()), UniqueKey::Email);
    let other = on.auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    assert_eq!(on.find_by_email("ada@example.com"), Some(other));
    assert_eq!(on.find_by_email("new@example.com"), Some(ada));
}

fn a_cleared_email_is_free(on: &Subject) {
    let ada = on.user("ada");
    on.auth.update_user(UserPatch { email: Change::Clear, ..UserPatch::new(ada.id.clone()) }).wait().unwrap();
    assert_eq!(on.find_by_email("ada@example.com"), None);
    let other = on.auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
    assert_eq!(on.find_by_email("ada@example.com"), Some(other));
    assert_eq!(on.find_user(&ada.id).unwrap().email, None);
}

fn an_email_of_another_user_is_refused_and_nothing_changes(on: &Subject) {
    let (ada, bob) = (on.user("ada"), on.user("bob"));
    let patch =
        UserPatch { name: Change::to("Eve"), email: Change::to("ADA@example.com"), ..UserPatch::new(bob.id.clone()) };
    assert_eq!(conflict(on.auth.update_user(patch).wait()), UniqueKey::Email);
    assert_eq!(on.find_user(&bob.id).as_ref(), Some(&bob));
    assert_eq!(on.find_by_email("bob@example.com"), Some(bob));
    assert_eq!(on.find_by_email("ada@example.com"), Some(ada));
}

fn a_user_can_respell_the_email(on: &Subject) {
    let ada = on.user("ada");
    let patch = UserPatch { email: Change::to("ADA@example.com"), ..UserPatch::new(ada.id.clone()) };
    assert_eq!(on.auth.update_user(patch).wait().unwrap().email.as_deref(), Some("ADA@example.com"));
    let found = on.find_by_email("ada@example.com").unwrap();
    assert_eq!((found.id, found.email.as_deref()), (ada.id, Some("ADA@example.com")));
}

/// The proof that the user has after a patch.
fn proof_after(on: &Subject, patch: UserPatch) -> Option<DateTime<Utc>> {
    let id = patch.id.clone();
    let patched = on.auth.update_user(patch).wait().unwrap();
    assert_eq!(on.find_user(&id).as_ref(), Some(&patched));
    patched.email_verified
}

fn a_changed_address_is_unproven(on: &Subject) {
    let ada = full_user(on);
    let changed = |email: &str| UserPatch { email: Change::to(email), ..UserPatch::new(ada.id.clone()) };
    assert_eq!(proof_after(on, changed("eve@example.com")), None);
    assert_eq!(proof_after(on, changed("ada@example.com")), None, "the old proof does not come back");
    assert_eq!(proof_after(on, back_to(&ada)), ada.email_verified);
    // Only ASCII letters are the same in other case.
    assert_eq!(proof_after(on, UserPatch { email_verified: Change::Clear, ..changed("äda@example.com") }), None);
    let later = on.clock.now() + TimeDelta::hours(1);
    let proven = UserPatch { email_verified: Change::to(later), ..UserPatch::new(ada.id.clone()) };
    assert_eq!(proof_after(on, proven), Some(later));
    assert_eq!(proof_after(on, changed("ÄDA@example.com")), None);
    // A proof that was there without an address does not prove the first one.
    let proven = NewUser { email_verified: Some(later), ..NewUser::default() };
    let bob = on.auth.create_user(proven).wait().unwrap();
    assert_eq!(bob.email_verified, Some(later));
    assert_eq!(proof_after(on, UserPatch { email: Change::to("bob@example.com"), ..UserPatch::new(bob.id) }), None);
}

fn a_proof_in_the_patch_proves_the_new_address_unless_it_repeats_the_old_proof(on: &Subject) {
    let ada = full_user(on);
    let old = ada.email_verified.unwrap();
    let changed = |email: &str, proof| UserPatch {
        email: Change::to(email),
        email_verified: Change::Set(proof),
        ..UserPatch::new(ada.id.clone())
    };
    let new = old + TimeDelta::milliseconds(1);
    assert_eq!(proof_after(on, changed("a@example.com", new)), Some(new));
    // Instants are compared as they are stored, to the millisecond.
    for repeated in [new, new + TimeDelta::nanoseconds(999_999)] {
        assert_eq!(proof_after(on, changed("a@example.com", new)), Some(new));
        assert_eq!(proof_after(on, changed("b@example.com", repeated)), None);
        assert_eq!(
            proof_after(on, changed("a@example.com", old)),
            Some(old),
            "of an unproven address every proof is new"
        );
    }
    assert_eq!(proof_after(on, changed("a@example.com", old)), Some(old), "the address is the same");
}

fn another_spelling_of_an_address_keeps_its_proof(on: &Subject) {
    let ada = full_user(on);
    let spelt = |email: &str| UserPatch { email: Change::to(email), ..UserPatch::new(ada.id.clone()) };
    assert_eq!(proof_after(on, spelt("ADA@Example.com")), ada.email_verified);
    let repeated = Change::Set(ada.email_verified.unwrap());
    assert_eq!(proof_after(on, UserPatch { email_verified: repeated, ..spelt("ada@Example.com") }), ada.email_verified);
    assert_eq!(proof_after(on, UserPatch { email_verified: Change::Clear, ..spelt("Ada@example.com") }), None);
}

fn a_cleared_address_leaves_no_proof(on: &Subject) {
    let ada = full_user(on);
    let cleared = || UserPatch { email: Change::Clear, ..UserPatch::new(ada.id.clone()) };
    let later = Change::Set(on.clock.now() + TimeDelta::hours(1));
    assert_eq!(proof_after(on, cleared()), None);
    assert_eq!(proof_after(on, back_to(&ada)), ada.email_verified);
    assert_eq!(proof_after(on, UserPatch { email_verified: later, ..cleared() }), None, "what is it a proof of?");
}

fn patched_instants_are_kept_to_the_millisecond(on: &Subject) {
    let ada = on.user("ada");
    let verified = on.clock.now() + TimeDelta::nanoseconds(1_999_999);
    let patch = UserPatch { email_verified: Change::to(verified), ..UserPatch::new(ada.id.clone()) };
    let kept = Some(on.clock.now() + TimeDelta::milliseconds(1));
    assert_eq!(on.auth.update_user(patch).wait().unwrap().email_verified, kept);
    assert_eq!(on.find_user(&ada.id).unwrap().email_verified, kept);
}
