//! Signing in with a proven e-mail address, in one step.

use authkv::models::{
    Change, CodeCheck, EmailSignIn, IssuedCode, NewUser, NotProven, Proof, ProvedEmail, SIGN_IN, SignedInWithEmail,
    Token, User, UserId, UserPatch, VerificationToken, Visitor,
};
use authkv::{Problem, UniqueKey};
use chrono::TimeDelta;

use crate::stores::Store;
use authkv::conformance::{THREADS, at_once, conflict, invalid};

cases! {
    a_first_sign_in_creates_a_verified_user_and_a_session,
    a_later_sign_in_is_of_the_same_user_as_they_are_now,
    an_address_that_was_not_verified_is_from_then_on,
    an_address_is_the_same_in_other_case,
    what_cannot_be_stored_is_refused_and_nothing_is_written,
    a_link_signs_in_once_and_for_its_address_only,
    a_link_for_something_else_signs_nobody_in,
    a_sign_in_that_is_refused_leaves_the_link,
    a_first_proof_in_a_session_of_the_user_comes_from_inside,
    an_address_is_proven_by_who_is_signed_in_as_its_user_only,
    an_address_that_was_proven_before_keeps_its_instant,
    a_code_signs_in_where_it_was_asked_for_and_once,
    a_wrong_code_is_counted_whatever_it_is_entered_for,
    of_many_who_follow_one_link_one_is_signed_in,
    of_many_who_enter_one_code_one_is_signed_in,
    of_many_first_sign_ins_with_one_address_one_creates_the_user,
    a_sign_in_while_its_user_is_deleted_leaves_nothing_behind,
}

const ADA: &str = "ada@example.com";
const ROUNDS: usize = 20;

/// Signs in with an address that the application has proven.
fn sign_in_as(on: &Store, address: &str, user: NewUser) -> SignedInWithEmail {
    let signed_in = on.kv.sign_in_with_email(Proof::Own { address }, user, Visitor::default());
    signed_in.wait().unwrap().done().unwrap()
}

fn sign_in(on: &Store, address: &str) -> SignedInWithEmail {
    sign_in_as(on, address, NewUser::default())
}

fn follow(on: &Store, address: &str, link: &VerificationToken, from: Visitor<'_>) -> EmailSignIn {
    let proof = Proof::Link { address, token: link.token.reveal() };
    on.kv.sign_in_with_email(proof, NewUser::default(), from).wait().unwrap()
}

/// Asserts that the store contains the session and the user that were answered.
#[track_caller]
fn must_be_there(on: &Store, done: &SignedInWithEmail) {
    let found = on.find_session(done.session.session_token.reveal()).unwrap();
    assert_eq!((&found.session, &found.user), (&done.session, &done.user));
}

fn a_first_sign_in_creates_a_verified_user_and_a_session(on: &Store) {
    let done = sign_in_as(
        on,
        ADA,
        NewUser { name: Some("Ada".into()), image: Some("a-picture".into()), ..NewUser::default() },
    );
    assert!(done.is_new_user && !done.was_unverified);
    must_be_there(on, &done);
    let expected = User {
        id: done.user.id.clone(),
        name: Some("Ada".into()),
        email: Some(ADA.into()),
        email_verified: Some(on.clock.now()),
        image: Some("a-picture".into()),
        created: on.clock.now(),
        extra: (),
    };
    assert_eq!(on.find_by_email(ADA), Some(expected));
    assert_eq!(done.session.expires, on.clock.now() + TimeDelta::days(30));
    assert_eq!(done.session.session_token.reveal().len(), 64);
}

fn a_later_sign_in_is_of_the_same_user_as_they_are_now(on: &Store) {
    let first = sign_in(on, ADA);
    let patch = UserPatch { name: Change::to("Countess"), ..UserPatch::new(first.user.id.clone()) };
    let ada = on.auth.update_user(patch).wait().unwrap();
    on.clock.set(on.clock.now() + TimeDelta::days(1));
    let named = NewUser { id: Some("another".into()), name: Some("Ada".into()), ..NewUser::default() };
    for user in [NewUser::default(), named] {
        let again = sign_in_as(on, ADA, user);
        assert!(!again.is_new_user && !again.was_unverified);
        assert_eq!(again.user, ada);
        must_be_there(on, &again);
    }
    let report = on.sound_report();
    assert_eq!((report.users, report.sessions), (1, 3));
}

fn an_address_that_was_not_verified_is_from_then_on(on: &Store) {
    let ada = on.auth.create_user(NewUser { name: Some("Ada".into()), ..NewUser::email(ADA) }).wait().unwrap();
    let session = on.kv.start_session(ada.id.clone()).wait().unwrap();
    on.find_session(session.session_token.reveal()).unwrap();
    let first_proof = on.clock.now();
    for was_unverified in [true, false] {
        let done = sign_in(on, ADA);
        assert_eq!((done.is_new_user, done.was_unverified), (false, was_unverified));
        assert_eq!(done.user, User { email_verified: Some(first_proof), ..ada.clone() });
        must_be_there(on, &done);
        assert_eq!(on.find_session(session.session_token.reveal()).unwrap().user, done.user);
        on.clock.set(on.clock.now() + TimeDelta::seconds(1));
    }
}

fn an_address_is_the_same_in_other_case(on: &Store) {
    let ada = sign_in(on, "Ada@example.com").user;
    assert_eq!(sign_in(on, "aDA@Example.com").user, ada);
    assert_eq!(ada.email.as_deref(), Some("Ada@example.com"));
    let patch = UserPatch { email: Change::to("ADA@example.com"), ..UserPatch::new(ada.id) };
    let spelt_anew = on.auth.update_user(patch).wait().unwrap();
    assert_eq!(spelt_anew.email_verified, ada.email_verified, "another spelling of a proven address stays proven");
    assert!(sign_in(on, "ada@example.co").is_new_user);
}

fn what_cannot_be_stored_is_refused_and_nothing_is_written(on: &Store) {
    sign_in_as(on, ADA, NewUser { id: Some("ada".into()), ..NewUser::default() });
    let before = on.sound_report();
    let refused =
        |address: &str, user| on.kv.sign_in_with_email(Proof::Own { address }, user, Visitor::default()).wait();
    let too_long = |bytes, limit| Problem::TooLong { bytes, limit };
    for (address, user, field, problem) in [
        ("", NewUser::default(), "address", Problem::Empty),
        (&*"x".repeat(513), NewUser::default(), "address", too_long(513, 512)),
        ("new@example.com", NewUser { id: Some("".into()), ..NewUser::default() }, "id", Problem::Empty),
        (ADA, NewUser { name: Some("x".repeat(65_537)), ..NewUser::default() }, "name", too_long(65_537, 65_536)),
        (ADA, NewUser::email(ADA), "email", Problem::LeftToProof),
    ] {
        assert_eq!(invalid(refused(address, user)), (field.to_owned(), problem));
    }
    let taken = NewUser { id: Some("ada".into()), ..NewUser::default() };
    assert_eq!(conflict(refused("new@example.com", taken)), UniqueKey::UserId);
    assert_eq!(on.sound_report(), before);
}

fn link(on: &Store, purpose: &str) -> VerificationToken {
    on.kv.issue_link_token(purpose, ADA, TimeDelta::minutes(10)).wait().unwrap()
}

const NO_LINK: EmailSignIn = EmailSignIn::NotProven(NotProven::NoLink);

fn a_link_signs_in_once_and_for_its_address_only(on: &Store) {
    let [first, second, late] = [(); 3].map(|()| link(on, SIGN_IN));
    let nowhere = Visitor::default();
    assert_eq!(follow(on, "ada@example.co", &first, nowhere), NO_LINK);
    assert_eq!(on.sound_report().users, 0);
    let done = follow(on, " Ada@Example.com", &first, nowhere).done().unwrap();
    assert!(done.is_new_user && done.user.email_verified == Some(on.clock.now()));
    assert_eq!(done.user.email.as_deref(), Some("Ada@Example.com"));
    must_be_there(on, &done);
    assert_eq!(follow(on, ADA, &first, nowhere), NO_LINK);
    on.clock.set(second.expires);
    assert_eq!(follow(on, ADA, &second, nowhere).done().unwrap().user, done.user);
    on.clock.set(late.expires + TimeDelta::milliseconds(1));
    assert_eq!(follow(on, ADA, &late, nowhere), NO_LINK);
    let report = on.sound_report();
    assert_eq!((report.users, report.sessions, report.verification_tokens), (1, 2, 0));
}

fn a_link_for_something_else_signs_nobody_in(on: &Store) {
    let expires = on.clock.now() + TimeDelta::minutes(10);
    let token = VerificationToken::new(ADA, "a-secret", expires);
    let token = on.auth.create_verification_token(token).wait().unwrap();
    for other in [link(on, "unsubscribe"), link(on, ""), token] {
        assert_eq!(follow(on, ADA, &other, Visitor::default()), NO_LINK);
    }
    let report = on.sound_report();
    assert_eq!((report.users, report.verification_tokens), (0, 3));
}

fn a_sign_in_that_is_refused_leaves_the_link(on: &Store) {
    on.auth.create_user(NewUser { id: Some("taken".into()), ..NewUser::default() }).wait().unwrap();
    let link = link(on, SIGN_IN);
    let proof = Proof::Link { address: ADA, token: link.token.reveal() };
    let taken = NewUser { id: Some("taken".into()), ..NewUser::default() };
    assert_eq!(conflict(on.kv.sign_in_with_email(proof, taken, Visitor::default()).wait()), UniqueKey::UserId);
    assert!(follow(on, ADA, &link, Visitor::default()).done().is_some());
}

fn a_first_proof_in_a_session_of_the_user_comes_from_inside(on: &Store) {
    let unproven = || on.auth.create_user(NewUser::email(ADA)).wait().unwrap().id;
    let bob = sign_in(on, "bob@example.com");
    let first_proof = |session: Option<&str>| {
        let done = follow(on, ADA, &link(on, SIGN_IN), Visitor { session, ..Visitor::default() }).done().unwrap();
        on.auth.delete_user(&done.user.id).wait().unwrap();
        done.was_unverified
    };
    let start = |user: &UserId| on.kv.start_session(user).wait().unwrap().session_token;

    let token = start(&unproven());
    assert!(!first_proof(Some(token.reveal())));
    unproven();
    assert!(first_proof(None));
    unproven();
    assert!(first_proof(Some(bob.session.session_token.reveal())), "a session of somebody else");
    let ended = start(&unproven());
    on.kv.sign_out(ended.reveal()).wait().unwrap();
    assert!(first_proof(Some(ended.reveal())), "a session that was ended");
    let expired = start(&unproven());
    on.clock.set(on.clock.now() + TimeDelta::days(31));
    assert!(first_proof(Some(expired.reveal())), "a session that has expired");
}

fn an_address_is_proven_by_who_is_signed_in_as_its_user_only(on: &Store) {
    let ada = on.auth.create_user(NewUser::email(ADA)).wait().unwrap();
    let bob = sign_in(on, "bob@example.com");
    let nobody = on.auth.create_user(NewUser::default()).wait().unwrap();
    let start = |user: &UserId| on.kv.start_session(user).wait().unwrap().session_token;
    let [of_ada, of_nobody, ended] = [&ada, &nobody, &ada].map(|user| start(&user.id));
    on.kv.sign_out(ended.reveal()).wait().unwrap();
    let link = link(on, SIGN_IN);
    let prove = |session: Option<&Token>| {
        let proof = Proof::Link { address: "Ada@example.com", token: link.token.reveal() };
        let from = Visitor { session: session.map(Token::reveal), ..Visitor::default() };
        on.kv.prove_email(proof, from).wait().unwrap()
    };
    let before = on.sound_report();
    for token in [None, Some(&ended)] {
        assert_eq!(prove(token), ProvedEmail::NoSession);
    }
    for token in [&bob.session.session_token, &of_nobody] {
        assert_eq!(prove(Some(token)), ProvedEmail::NotTheirs);
    }
    assert_eq!(on.sound_report(), before, "the link is as it was");
    let proven = User { email_verified: Some(on.clock.now()), ..ada };
    assert_eq!(prove(Some(&of_ada)), ProvedEmail::Done(proven.clone()));
    assert_eq!(prove(Some(&of_ada)), ProvedEmail::NotProven(NotProven::NoLink));
    assert_eq!(on.find_by_email(ADA), Some(proven));
    assert!(on.find_session(of_ada.reveal()).is_some(), "nothing ends");
}

fn an_address_that_was_proven_before_keeps_its_instant(on: &Store) {
    let ada = sign_in(on, ADA);
    on.clock.set(on.clock.now() + TimeDelta::hours(1));
    let from = Visitor { session: Some(ada.session.session_token.reveal()), ..Visitor::default() };
    let proved = on.kv.prove_email(Proof::Own { address: ADA }, from).wait().unwrap();
    assert_eq!(proved, ProvedEmail::Done(ada.user));
}

fn ask_for_code(on: &Store, purpose: &str) -> IssuedCode {
    on.kv.issue_code(purpose, " Ada@Example.com", TimeDelta::minutes(10), Visitor::default()).wait().unwrap()
}

fn enter(on: &Store, code: &str, request: &Token) -> EmailSignIn {
    let from = Visitor { request: Some(request.reveal()), ..Visitor::default() };
    on.kv.sign_in_with_email(Proof::Code { code }, NewUser::default(), from).wait().unwrap()
}

const NO_CODE: EmailSignIn = EmailSignIn::NotProven(NotProven::NoCode);

fn a_code_signs_in_where_it_was_asked_for_and_once(on: &Store) {
    let issued = ask_for_code(on, SIGN_IN);
    let code = issued.code.reveal();
    let signed_in = on.kv.sign_in_with_email(Proof::Code { code }, NewUser::default(), Visitor::default());
    assert_eq!(signed_in.wait().unwrap(), NO_CODE, "in another browser");
    let other = ask_for_code(on, "delete the account");
    assert_eq!(enter(on, other.code.reveal(), &other.request), NO_CODE, "for another purpose");
    let (first, rest) = code.split_at(3);
    let done = enter(on, &format!(" {first}-{rest}"), &issued.request).done().unwrap();
    assert!(done.is_new_user && done.user.email_verified == Some(on.clock.now()));
    assert_eq!(done.user.email.as_deref(), Some("Ada@Example.com"));
    must_be_there(on, &done);
    assert_eq!(enter(on, code, &issued.request), NO_CODE);
    assert_eq!(on.sound_report().sessions, 1);
}

fn a_wrong_code_is_counted_whatever_it_is_entered_for(on: &Store) {
    let issued = ask_for_code(on, SIGN_IN);
    let ada = on.auth.create_user(NewUser::email(ADA)).wait().unwrap();
    let session = on.kv.start_session(&ada.id).wait().unwrap().session_token;
    let from = Visitor { session: Some(session.reveal()), request: Some(issued.request.reveal()) };
    let wrong = |guesses_left| NotProven::WrongCode { guesses_left };
    let prove = |code: &str| on.kv.prove_email(Proof::Code { code }, from).wait().unwrap();
    assert_eq!(enter(on, "a guess", &issued.request), EmailSignIn::NotProven(wrong(4)));
    assert_eq!(prove("a guess"), ProvedEmail::NotProven(wrong(3)));
    let checked = on.kv.verify_code(SIGN_IN, "a guess", from).wait().unwrap();
    assert_eq!(checked, CodeCheck::Wrong { guesses_left: 2 });
    assert_eq!(on.kv.stats().wrong_guesses, 3_000_000, "each once");
    assert!(matches!(prove(issued.code.reveal()), ProvedEmail::Done(user) if user.id == ada.id));
    assert_eq!(prove(issued.code.reveal()), ProvedEmail::NotProven(NotProven::NoCode));
    assert_eq!(on.kv.stats().wrong_guesses, 3_000_000);
}

fn of_many_who_enter_one_code_one_is_signed_in(on: &Store) {
    for round in 1..=ROUNDS {
        let issued = ask_for_code(on, SIGN_IN);
        let done = at_once(|_| enter(on, issued.code.reveal(), &issued.request).done());
        assert_eq!(done.iter().flatten().count(), 1);
        assert_eq!(on.sound_report().sessions, round as u64);
    }
}

fn of_many_who_follow_one_link_one_is_signed_in(on: &Store) {
    for round in 1..=ROUNDS {
        let link = link(on, SIGN_IN);
        let done = at_once(|_| follow(on, ADA, &link, Visitor::default()).done());
        assert_eq!(done.iter().flatten().count(), 1);
        assert_eq!(on.sound_report().sessions, round as u64);
    }
}

fn of_many_first_sign_ins_with_one_address_one_creates_the_user(on: &Store) {
    for round in 0..ROUNDS {
        let email = format!("ada-{round}@example.com");
        let all = at_once(|_| sign_in(on, &email));
        assert_eq!(all.iter().filter(|done| done.is_new_user).count(), 1);
        let holder = on.find_by_email(&email).unwrap();
        assert!(all.iter().all(|done| done.user == holder && !done.was_unverified));
    }
    let report = on.sound_report();
    assert_eq!((report.users, report.sessions), (ROUNDS as u64, (ROUNDS * THREADS) as u64));
}

fn a_sign_in_while_its_user_is_deleted_leaves_nothing_behind(on: &Store) {
    for _ in 0..ROUNDS {
        let ada = sign_in(on, ADA).user;
        let results = at_once(|n| {
            if n == THREADS / 2 {
                assert!(on.auth.delete_user(&ada.id).wait().unwrap().is_some());
                return None;
            }
            Some(sign_in(on, ADA))
        });
        let holder = on.find_by_email(ADA);
        for done in results.into_iter().flatten() {
            let found = on.find_session(done.session.session_token.reveal());
            assert_eq!(found.is_some(), Some(&done.user.id) == holder.as_ref().map(|holder| &holder.id));
        }
        if let Some(again) = holder {
            on.auth.delete_user(&again.id).wait().unwrap();
        }
    }
    let report = on.sound_report();
    assert_eq!((report.users, report.sessions), (0, 0));
}
