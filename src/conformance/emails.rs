//! E-mail addresses: when two of them are the same, and when one is none.

use super::subject::{Subject, invalid};
use crate::Problem;
use crate::models::{Change, NewUser, UserPatch};

cases! {
    the_case_of_ascii_letters_does_not_matter,
    the_spelling_that_was_given_comes_back,
    no_letter_beyond_ascii_is_folded,
    nothing_else_about_an_address_is_changed,
    blanks_around_an_address_are_refused_and_in_a_lookup_ignored,
    an_empty_address_is_none_when_a_user_is_made,
    an_empty_address_in_a_patch_is_refused_and_the_error_says_to_clear,
}

fn the_case_of_ascii_letters_does_not_matter(on: &Subject) {
    let user = on.auth.create_user(NewUser::email("abcXYZ019@Example.Com")).wait().unwrap();
    for email in ["abcxyz019@example.com", "ABCXYZ019@EXAMPLE.COM", "abcXYZ019@Example.Com"] {
        assert_eq!(on.find_by_email(email).as_ref(), Some(&user));
    }
    // These characters are next to the letters in ASCII, and differ in the same bit.
    on.auth.create_user(NewUser::email("@[`{")).wait().unwrap();
    for email in ["`[`{", "@{`{", "@[@{", "@[`["] {
        assert_eq!(on.find_by_email(email), None);
    }
}

fn the_spelling_that_was_given_comes_back(on: &Subject) {
    let spelling = "Ada.LOVELACE@Example.com";
    let user = on.auth.create_user(NewUser::email(spelling)).wait().unwrap();
    assert_eq!(user.email.as_deref(), Some(spelling));
    on.session("a-secret", &user.id);
    let found = [
        on.find_user(&user.id),
        on.find_by_email(&spelling.to_lowercase()),
        on.find_session("a-secret").map(|found| found.user),
        on.auth.delete_user(&user.id).wait().unwrap(),
    ];
    for user in found {
        assert_eq!(user.unwrap().email.as_deref(), Some(spelling));
    }
}

/// Pairs that some Unicode folds treat as equal.
const LOOK_ALIKES: [(&str, &str); 8] = [
    ("i@example.com", "İ@example.com"),
    ("i@example.net", "ı@example.net"),
    ("k@example.com", "\u{212A}@example.com"),
    ("s@example.com", "ſ@example.com"),
    ("ss@example.com", "ß@example.com"),
    ("é@example.com", "É@example.com"),
    ("fi@example.com", "ﬁ@example.com"),
    ("a@example.com", "ａ@example.com"),
];

fn no_letter_beyond_ascii_is_folded(on: &Subject) {
    for (victim, attacker) in LOOK_ALIKES {
        let user = on.auth.create_user(NewUser::email(victim)).wait().unwrap();
        assert_eq!(on.find_by_email(attacker), None, "{attacker} finds {victim}");
        let other = on.auth.create_user(NewUser::email(attacker)).wait().unwrap();
        assert_eq!(on.find_by_email(victim), Some(user));
        assert_eq!(on.find_by_email(attacker), Some(other));
    }
}

fn nothing_else_about_an_address_is_changed(on: &Subject) {
    let emails = ["ada@a.example", "a da@a.example", "a.da@a.example", "ada+1@a.example", "ada"];
    // The same letter, composed and decomposed.
    let emails = emails.into_iter().chain(["\u{E9}@a.example", "e\u{301}@a.example"]);
    let users: Vec<_> = emails.map(|email| on.auth.create_user(NewUser::email(email)).wait().unwrap()).collect();
    for user in users {
        assert_eq!(on.find_by_email(&user.email.clone().unwrap()), Some(user));
    }
}

fn blanks_around_an_address_are_refused_and_in_a_lookup_ignored(on: &Subject) {
    let ada = on.user("ada");
    for blank in [" ", "\t", "\r\n", "\u{A0}", "\u{3000}"] {
        for address in [format!("{blank}bob@example.com"), format!("bob@example.com{blank}"), blank.to_owned()] {
            let refused = on.auth.create_user(NewUser::email(&*address)).wait();
            assert_eq!(invalid(refused), ("email".to_owned(), Problem::Blanks));
            let patch = UserPatch { email: Change::Set(address), ..UserPatch::new(ada.id.clone()) };
            assert_eq!(invalid(on.auth.update_user(patch).wait()), ("email".to_owned(), Problem::Blanks));
        }
        assert_eq!(on.find_by_email(&format!("{blank}ADA@example.com{blank}")).as_ref(), Some(&ada));
    }
    assert_eq!(on.find_by_email("bob@example.com"), None);
}

fn an_empty_address_is_none_when_a_user_is_made(on: &Subject) {
    for id in ["ada", "bob"] {
        let user = NewUser { id: Some(id.into()), ..NewUser::email("") };
        let user = on.auth.create_user(user).wait().unwrap();
        assert_eq!((user.id.as_str(), &user.email), (id, &None));
        assert_eq!(on.find_user(&user.id), Some(user));
    }
    assert_eq!(on.find_by_email(""), None);
}

fn an_empty_address_in_a_patch_is_refused_and_the_error_says_to_clear(on: &Subject) {
    let ada = on.user("ada");
    let patch = |email| UserPatch { email, name: Change::to("Ada"), ..UserPatch::new(ada.id.clone()) };
    let refused = on.auth.update_user(patch(Change::to(""))).wait();
    assert_eq!(invalid(refused), ("email".to_owned(), Problem::ClearInstead));
    assert_eq!(on.find_user(&ada.id).as_ref(), Some(&ada));
    assert_eq!(on.find_by_email("ada@example.com").as_ref(), Some(&ada));
    assert_eq!(on.auth.update_user(patch(Change::Clear)).wait().unwrap().email, None);
}
