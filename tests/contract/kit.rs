//! The conformance kit itself: an adapter with one fault fails, in the case that covers the fault.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use authkv::conformance::{self, Clock, Subject};
use authkv::models::{
    Account, AccountKey, Authenticator, Change, CredentialId, NewAccount, NewSession, NewUser, Session, SessionAndUser,
    SessionPatch, User, UserId, UserPatch, VerificationToken,
};
use authkv::{Adapter, AuthKv, Error, Problem, Reply};
use chrono::TimeDelta;
use parking_lot::Mutex;

/// The tests by name.
pub(crate) const TESTS: &[(&str, fn())] = &[
    ("each_fault_is_found_by_the_case_that_is_about_it", each_fault_is_found_by_the_case_that_is_about_it),
    ("running_everything_names_what_failed", running_everything_names_what_failed),
];

/// The fault of an adapter: common mistakes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// A session is valid a millisecond too long.
    LateExpiry,
    /// E-mail addresses are compared exactly.
    ExactEmails,
    /// A token is looked up and then removed, in two separate steps.
    TokensInTwoSteps,
    /// Saving a session creates it if it does not exist.
    RevivedSessions,
    /// A counter is answered but not stored.
    ForgottenCounters,
    /// An empty e-mail address is refused instead of left out.
    RefusedEmptyEmails,
    /// A lower counter is accepted.
    ReturningCounters,
    /// The proof of an address stays when the address is changed or cleared.
    LastingProofs,
    /// A proof that a patch repeats, beside a new address, counts as a new one.
    RepeatedProofs,
}

/// Each fault with the case that covers it.
const FAULTS: [(Fault, &str); 10] = [
    (Fault::LateExpiry, "expiry::a_session_is_valid_up_to_and_at_its_expiry"),
    (Fault::ExactEmails, "emails::the_case_of_ascii_letters_does_not_matter"),
    (Fault::TokensInTwoSteps, "races::a_verification_token_is_taken_by_one"),
    (Fault::RevivedSessions, "races::an_update_never_revives_a_session_that_is_deleted"),
    (Fault::ForgottenCounters, "authenticators::a_counter_is_set_and_nothing_else_changes"),
    (Fault::RefusedEmptyEmails, "emails::an_empty_address_is_none_when_a_user_is_made"),
    (Fault::ReturningCounters, "authenticators::a_counter_never_goes_back"),
    (Fault::LastingProofs, "patches::a_changed_address_is_unproven"),
    (Fault::LastingProofs, "patches::a_cleared_address_leaves_no_proof"),
    (Fault::RepeatedProofs, "patches::a_proof_in_the_patch_proves_the_new_address_unless_it_repeats_the_old_proof"),
];

/// A store behind one fault.
struct Faulty {
    auth: AuthKv,
    fault: Fault,
    tokens: Mutex<Vec<VerificationToken>>,
    owners: Mutex<BTreeMap<String, UserId>>,
}

impl Faulty {
    fn subject(fault: Fault, clock: Clock) -> Subject {
        let (late, now) = (TimeDelta::milliseconds(i64::from(fault == Fault::LateExpiry)), clock.clone());
        let auth = AuthKv::options().clock(move || now.now() - late).in_memory().unwrap();
        let faulty = Self { auth, fault, tokens: Mutex::default(), owners: Mutex::default() };
        Subject::new(Arc::new(faulty), clock)
    }

    fn take_in_two_steps(&self, identifier: Option<&str>, token: &str) -> Option<VerificationToken> {
        let is_it = |other: &VerificationToken| {
            other.token.reveal() == token && identifier.is_none_or(|identifier| identifier == other.identifier)
        };
        let found = self.tokens.lock().iter().find(|other| is_it(other)).cloned();
        thread::yield_now();
        self.tokens.lock().retain(|other| !is_it(other));
        found
    }
}

impl Adapter for Faulty {
    fn create_user(&self, user: NewUser) -> Reply<User> {
        if self.fault == Fault::RefusedEmptyEmails && user.email.as_deref() == Some("") {
            return Reply::ready(Err(Error::InvalidArgument { field: "email".into(), problem: Problem::Empty }));
        }
        self.auth.create_user(user)
    }

    fn get_user(&self, id: &UserId) -> Reply<Option<User>> {
        self.auth.get_user(id)
    }

    fn get_user_by_email(&self, email: &str) -> Reply<Option<User>> {
        let found = self.auth.get_user_by_email(email);
        if self.fault != Fault::ExactEmails {
            return found;
        }
        Reply::ready(found.wait().map(|found| found.filter(|user| user.email.as_deref() == Some(email))))
    }

    fn get_user_by_account(&self, account: &AccountKey) -> Reply<Option<User>> {
        self.auth.get_user_by_account(account)
    }

    fn update_user(&self, patch: UserPatch) -> Reply<User> {
        let old = self.auth.get_user(&patch.id).wait().ok().flatten().and_then(|user| user.email_verified);
        let updated = self.auth.update_user(patch.clone());
        let proof = match (self.fault, patch.email_verified) {
            (Fault::LastingProofs, Change::Keep) => old,
            (Fault::RepeatedProofs, Change::Set(given)) => Some(given),
            _ => None,
        };
        match proof {
            None => updated,
            Some(proof) => {
                drop(updated.wait());
                self.auth.update_user(UserPatch { email_verified: Change::Set(proof), ..UserPatch::new(patch.id) })
            }
        }
    }

    fn delete_user(&self, id: &UserId) -> Reply<Option<User>> {
        self.auth.delete_user(id)
    }

    fn link_account(&self, account: NewAccount) -> Reply<Account> {
        self.auth.link_account(account)
    }

    fn unlink_account(&self, account: &AccountKey) -> Reply<Option<Account>> {
        self.auth.unlink_account(account)
    }

    fn get_account(&self, account: &AccountKey) -> Reply<Option<Account>> {
        self.auth.get_account(account)
    }

    fn create_session(&self, session: NewSession) -> Reply<Session> {
        self.owners.lock().insert(session.session_token.reveal().to_owned(), session.user_id.clone());
        self.auth.create_session(session)
    }

    fn get_session_and_user(&self, session_token: &str) -> Reply<Option<SessionAndUser>> {
        self.auth.get_session_and_user(session_token)
    }

    fn update_session(&self, patch: SessionPatch) -> Reply<Option<Session>> {
        let owner = self.owners.lock().get(patch.session_token.reveal()).cloned();
        let updated = self.auth.update_session(patch.clone()).wait();
        match (&updated, owner, patch.expires) {
            (Ok(None), Some(owner), Some(expires)) if self.fault == Fault::RevivedSessions => {
                let revived = self.auth.create_session(NewSession::new(patch.session_token, owner, expires));
                Reply::ready(revived.wait().map(Some))
            }
            _ => Reply::ready(updated),
        }
    }

    fn delete_session(&self, session_token: &str) -> Reply<Option<Session>> {
        self.auth.delete_session(session_token)
    }

    fn create_verification_token(&self, token: VerificationToken) -> Reply<VerificationToken> {
        let created = self.auth.create_verification_token(token).wait();
        self.tokens.lock().extend(created.clone().ok());
        Reply::ready(created)
    }

    fn use_verification_token(&self, identifier: Option<&str>, token: &str) -> Reply<Option<VerificationToken>> {
        if self.fault == Fault::TokensInTwoSteps {
            return Reply::ready(Ok(self.take_in_two_steps(identifier, token)));
        }
        self.auth.use_verification_token(identifier, token)
    }

    fn create_authenticator(&self, authenticator: Authenticator) -> Reply<Authenticator> {
        self.auth.create_authenticator(authenticator)
    }

    fn get_authenticator(&self, credential_id: &CredentialId) -> Reply<Option<Authenticator>> {
        self.auth.get_authenticator(credential_id)
    }

    fn list_authenticators_by_user_id(&self, user_id: &UserId) -> Reply<Vec<Authenticator>> {
        self.auth.list_authenticators_by_user_id(user_id)
    }

    fn update_authenticator_counter(&self, credential_id: &CredentialId, counter: u32) -> Reply<Authenticator> {
        if self.fault == Fault::ReturningCounters
            && let Ok(Some(found)) = self.auth.get_authenticator(credential_id).wait()
            && counter < found.counter
        {
            return Reply::ready(Ok(Authenticator { counter, ..found }));
        }
        if self.fault != Fault::ForgottenCounters {
            return self.auth.update_authenticator_counter(credential_id, counter);
        }
        let found = self.auth.get_authenticator(credential_id).wait();
        Reply::ready(found.and_then(|found| {
            let found = found.ok_or(Error::UnknownCredential)?;
            Ok(Authenticator { counter, ..found })
        }))
    }
}

fn each_fault_is_found_by_the_case_that_is_about_it() {
    for (fault, name) in FAULTS {
        let case = conformance::cases().find(|case| case.to_string() == name).unwrap();
        let passed = catch_unwind(AssertUnwindSafe(|| case.run(&Faulty::subject(fault, Clock::new()))));
        assert!(passed.is_err(), "{name} does not find {fault:?}");
    }
}

fn running_everything_names_what_failed() {
    let run = || conformance::run(|clock| Faulty::subject(Fault::ForgottenCounters, clock));
    let message = *catch_unwind(AssertUnwindSafe(run)).unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("authenticators::a_counter_is_set_and_nothing_else_changes"), "{message}");
    assert!(!message.contains("tokens::"), "{message}");
}
