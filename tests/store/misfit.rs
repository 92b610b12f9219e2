//! Records that do not fit the application's models, because a field was added without a default or got another type.
//! Goal: such a record is named, a call that would make or change one writes nothing, and one that removes or uses one up
//! is done. Method: a store is filled with one version of the models and opened with another of the same number.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use authkv::models::{
    AccountKey, AccountPatch, AccountType, Change, EmailSignIn, FieldPatch, Models, MustLeave, NewAccount, NewUser,
    NotProven, Proof, ProviderAccount, SIGN_IN, SessionPatch, UserId, UserPatch, VerificationToken, Visitor,
};
use authkv::redb::Database;
use authkv::redb::backends::InMemoryBackend;
use authkv::{AuthKv, Error, Problem};
use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::stores::new_path;
use authkv::conformance::invalid;

macro_rules! own {
    ($name:ident { $($field:ident: $type:ty),+ }) => {
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        struct $name {
            $($field: $type),+
        }
    };
}

own!(Profile { phone: String });
own!(ProfileWithPlan { phone: String, plan: String });
own!(Text { note: String });
own!(Number { note: u32 });

macro_rules! models {
    ($name:ident, $user:ty, $other:ty) => {
        struct $name;

        impl Models for $name {
            const NAME: &'static str = "app";
            const VERSION: u32 = 1;
            type User = $user;
            type Account = $other;
            type Session = $other;
            type VerificationToken = $other;
        }
    };
}

models!(Before, Profile, Text);
models!(After, ProfileWithPlan, Number);

/// A place that a store can be opened at again.
enum Place {
    File { _folder: TempDir, path: PathBuf },
    Memory(Arc<Database>),
}

impl Place {
    fn both() -> [Self; 2] {
        let (folder, path) = new_path();
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        [Self::File { _folder: folder, path }, Self::Memory(Arc::new(database))]
    }

    fn open<M: Models>(&self) -> AuthKv<M> {
        let options = AuthKv::options().models::<M>();
        match self {
            Self::File { path, .. } => options.open(path).unwrap(),
            Self::Memory(database) => options.on_database(Arc::clone(database)).unwrap(),
        }
    }
}

const ADA: &str = "ada@example.com";
const PHONE: &str = "+44 20 7946 0018";

fn text() -> Text {
    Text { note: "hushhush".to_owned() }
}

fn github() -> AccountKey {
    AccountKey::new("github", "7")
}

/// Makes a user with a record of each kind that has own fields, and returns their ids and the sessions' tokens.
fn fill(place: &Place) -> (UserId, [String; 3]) {
    let auth = place.open::<Before>();
    let extra = Profile { phone: PHONE.to_owned() };
    let ada = auth.create_user(NewUser { extra, ..NewUser::email(ADA) }).wait().unwrap();
    for id in ["7", "8"] {
        let account = NewAccount::new(ada.id.clone(), AccountType::Oauth, "github", id);
        auth.link_account(NewAccount { extra: text(), ..account }).wait().unwrap();
    }
    let tokens = [(); 3].map(|()| {
        let session = auth.start_session_with(ada.id.clone(), text()).wait().unwrap();
        session.session_token.reveal().to_owned()
    });
    (ada.id, tokens)
}

/// Expects an error about a record, and returns its name, its field and serde's text.
#[track_caller]
fn misfit<T: std::fmt::Debug>(result: Result<T, Error>, was_done: bool) -> (String, String, String) {
    let error = result.expect_err("the record does not fit");
    for printed in [error.to_string(), format!("{error:?}")] {
        assert!(!printed.contains("hushhush") && !printed.contains("7946"), "{printed}");
    }
    match error {
        Error::Misfit { record, field, why, done, .. } if done == was_done => (record, field.unwrap(), why),
        error => panic!("{error:?}"),
    }
}

fn missing_plan(id: &UserId) -> (String, String, String) {
    (format!("user {id}"), "plan".to_owned(), "missing field `plan`".to_owned())
}

#[track_caller]
fn must_be_a_text(found: &(String, String, String), kind: &str) {
    assert!(found.0.starts_with(kind), "{found:?}");
    assert_eq!((found.1.as_str(), found.2.as_str()), ("note", "invalid type: string, expected u32"));
}

#[test]
fn a_read_names_the_record_and_the_field_that_do_not_fit() {
    for place in Place::both() {
        let (ada, [token, ..]) = fill(&place);
        let auth = place.open::<After>();
        assert_eq!(misfit(auth.get_user(&ada).wait(), false), missing_plan(&ada));
        assert_eq!(misfit(auth.get_user_by_email(ADA).wait(), false), missing_plan(&ada));
        must_be_a_text(&misfit(auth.get_account(github()).wait(), false), "account ");
        must_be_a_text(&misfit(auth.list_accounts(&ada, None, 10).wait(), false), "account ");
        must_be_a_text(&misfit(auth.get_session_and_user(&token).wait(), false), "session ");
        must_be_a_text(&misfit(auth.authenticate(&token).wait(), false), "session ");
        must_be_a_text(&misfit(auth.list_sessions(&ada, None, 10).wait(), false), "session ");
        let said = auth.get_user(&ada).wait().unwrap_err().to_string();
        assert!(said.contains("migrate_user") && said.contains("#[serde(default)]"), "{said}");
    }
}

#[test]
fn sign_ins_that_cannot_be_answered_leave_no_session() {
    for place in Place::both() {
        let (ada, _) = fill(&place);
        let auth = place.open::<After>();
        for _ in 0..3 {
            let signed_in =
                auth.sign_in_with_email(Proof::Own { address: ADA }, NewUser::default(), Visitor::default()).wait();
            assert_eq!(misfit(signed_in, false), missing_plan(&ada));
            let account = ProviderAccount::new(AccountType::Oauth, "github", "7");
            let signed_in = auth.sign_in_with_account(account, NewUser::email(ADA)).wait();
            assert_eq!(misfit(signed_in, false), missing_plan(&ada));
        }
        drop(auth);
        let auth = place.open::<Before>();
        assert_eq!(auth.check().wait().unwrap().sessions, 3);
        assert_eq!(auth.get_user(&ada).wait().unwrap().unwrap().email_verified, None);
        // Somebody new is no obstacle.
        drop(auth);
        let auth = place.open::<After>();
        let bob = Proof::Own { address: "bob@example.com" };
        let signed_in = auth.sign_in_with_email(bob, NewUser::with(ProfileWithPlan::default()), Visitor::default());
        assert!(signed_in.wait().unwrap().done().unwrap().is_new_user);
    }
}

#[test]
fn a_proof_of_who_cannot_be_shown_is_left_and_a_wrong_guess_counts_once() {
    for place in Place::both() {
        let (ada, _) = fill(&place);
        let auth = place.open::<After>();
        let minutes = TimeDelta::minutes(9);
        let issued = auth.issue_code(SIGN_IN, ADA, minutes, Visitor::default()).wait().unwrap();
        let enter = |code: &str| {
            let from = Visitor { request: Some(issued.request.reveal()), ..Visitor::default() };
            auth.sign_in_with_email(Proof::Code { code }, NewUser::with(ProfileWithPlan::default()), from).wait()
        };
        let link = auth.issue_link_token(SIGN_IN, ADA, minutes).wait().unwrap();
        let follow = || {
            let proof = Proof::Link { address: ADA, token: link.token.reveal() };
            auth.sign_in_with_email(proof, NewUser::with(ProfileWithPlan::default()), Visitor::default()).wait()
        };
        for guesses_left in [4, 3] {
            let wrong = NotProven::WrongCode { guesses_left };
            assert_eq!(enter("a guess").unwrap(), EmailSignIn::NotProven(wrong));
            assert_eq!(misfit(enter(issued.code.reveal()), false), missing_plan(&ada));
            assert_eq!(misfit(follow(), false), missing_plan(&ada));
        }
        assert_eq!(auth.stats().wrong_guesses, 2_000_000);
        auth.delete_user(&ada).wait().expect_err("it is done, and cannot be shown");
        assert!(enter(issued.code.reveal()).unwrap().done().unwrap().is_new_user);
        assert!(!follow().unwrap().done().unwrap().is_new_user);
    }
}

#[test]
fn a_change_of_a_record_that_does_not_fit_is_refused_unless_it_makes_it_fit() {
    for place in Place::both() {
        let (ada, [token, ..]) = fill(&place);
        let auth = place.open::<After>();
        let name = || UserPatch { name: Change::to("Ada"), ..UserPatch::new(ada.clone()) };
        assert_eq!(misfit(auth.update_user(name()).wait(), false), missing_plan(&ada));
        let phone = UserPatch { extra: FieldPatch::new().set("phone", "1"), ..name() };
        assert_eq!(misfit(auth.update_user(phone).wait(), false), missing_plan(&ada));
        let scope = || AccountPatch { scope: Change::to("all"), ..AccountPatch::new(github()) };
        must_be_a_text(&misfit(auth.update_account(scope()).wait(), false), "account ");
        let expires = || SessionPatch { expires: Some(Utc::now()), ..SessionPatch::new(token.as_str()) };
        must_be_a_text(&misfit(auth.update_session(expires()).wait(), false), "session ");
        drop(auth);

        let auth = place.open::<Before>();
        let user = auth.get_user(&ada).wait().unwrap().unwrap();
        assert_eq!((user.name, user.extra.phone.as_str()), (None, PHONE));
        assert_eq!(auth.get_account(github()).wait().unwrap().unwrap().scope, None);
        assert!(auth.get_session_and_user(&token).wait().unwrap().is_some());
        drop(auth);

        let auth = place.open::<After>();
        let plan = UserPatch { extra: FieldPatch::new().set("plan", "free"), ..name() };
        assert_eq!(auth.update_user(plan).wait().unwrap().extra.plan, "free");
        let number = || FieldPatch::new().set("note", 7);
        assert_eq!(
            auth.update_account(AccountPatch { extra: number(), ..scope() }).wait().unwrap().unwrap().extra.note,
            7
        );
        assert_eq!(
            auth.update_session(SessionPatch { extra: number(), ..expires() }).wait().unwrap().unwrap().extra.note,
            7
        );
    }
}

#[test]
fn what_removes_or_uses_up_a_record_that_does_not_fit_is_done_and_says_so() {
    for place in Place::both() {
        let (ada, [first, second, _]) = fill(&place);
        let auth = place.open::<Before>();
        let link = auth.issue_link_token_with("a purpose", "ada", TimeDelta::minutes(9), text()).wait().unwrap();
        let link = link.token.reveal();
        for token in ["one", "other"] {
            let expires = auth.now() + TimeDelta::minutes(9);
            let token = VerificationToken::new_with("ada", token, expires, text());
            auth.create_verification_token(token).wait().unwrap();
        }
        let second = auth.get_session_and_user(&second).wait().unwrap().unwrap().session.id;
        drop(auth);
        let auth = place.open::<After>();
        let of_token = "a verification token";
        must_be_a_text(&misfit(auth.find_verification_token("ada", "one").wait(), false), of_token);
        must_be_a_text(&misfit(auth.verify_link_token("a purpose", "ada", link).wait(), true), of_token);
        must_be_a_text(&misfit(auth.use_verification_token(Some("ada"), "one").wait(), true), of_token);
        must_be_a_text(&misfit(auth.use_verification_token(None, "other").wait(), true), of_token);
        must_be_a_text(&misfit(auth.delete_session(&first).wait(), true), "session ");
        must_be_a_text(&misfit(auth.end_session(&ada, &second).wait(), true), "session ");
        must_be_a_text(&misfit(auth.unlink_account(github()).wait(), true), "account ");
        let other = AccountKey::new("github", "8");
        must_be_a_text(&misfit(auth.unlink_account_of(&ada, &other, MustLeave::Nothing).wait(), true), "account ");
        let report = auth.check().wait().unwrap();
        assert_eq!((report.verification_tokens, report.sessions, report.accounts), (0, 1, 0));
        assert_eq!(misfit(auth.delete_user(&ada).wait(), true), missing_plan(&ada));
        let report = auth.check().wait().unwrap();
        assert_eq!((report.users, report.sessions, report.problems), (0, 0, Vec::new()));
        assert!(auth.verify_link_token("a purpose", "ada", link).wait().unwrap().passed().is_none());
    }
}

#[test]
fn a_check_reports_each_record_that_does_not_fit() {
    for place in Place::both() {
        let (ada, _) = fill(&place);
        assert!(place.open::<Before>().check().wait().unwrap().is_sound());
        let report = place.open::<After>().check().wait().unwrap();
        assert_eq!(report.problem_count, 6, "{:?}", report.problems);
        let of_ada = format!("authkv_users: user {ada} does not fit the application's model: missing field `plan`");
        assert!(report.problems[0].starts_with(&of_ada), "{:?}", report.problems);
        assert!(report.problems[1].contains("note: invalid type: string, expected u32"), "{:?}", report.problems);
        assert!(!format!("{report:?}").contains("hushhush"));
    }
}

#[test]
fn a_patch_that_does_not_fit_names_its_field_and_gives_serdes_text() {
    let auth = AuthKv::options().models::<Before>().in_memory().unwrap();
    let ada = auth.create_user(NewUser::default()).wait().unwrap();
    let refused = |extra| invalid(auth.update_user(UserPatch { extra, ..UserPatch::new(ada.id.clone()) }).wait());
    let misfit = |why: &str| ("phone".to_owned(), Problem::Misfit(why.to_owned()));
    assert_eq!(refused(FieldPatch::new().set("phone", 7)), misfit("invalid type: integer, expected a string"));
    assert_eq!(refused(FieldPatch::new().clear("phone")), misfit("missing field `phone`"));
}

#[test]
fn calls_at_once_on_one_record_are_all_done() {
    const UPDATES: usize = 20;
    for place in Place::both() {
        let auth = place.open::<After>();
        let extra = ProfileWithPlan { phone: PHONE.to_owned(), plan: "0".to_owned() };
        let ada = auth.create_user(NewUser { extra, ..NewUser::email(ADA) }).wait().unwrap().id;
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    for _ in 0..UPDATES {
                        let patch = UserPatch { name: Change::to("Ada"), ..UserPatch::new(ada.clone()) };
                        assert_eq!(auth.update_user(patch).wait().unwrap().name.as_deref(), Some("Ada"));
                    }
                });
            }
            for plan in 1..=UPDATES {
                let extra = FieldPatch::new().set("plan", plan.to_string());
                let patch = UserPatch { extra, ..UserPatch::new(ada.clone()) };
                assert_eq!(auth.update_user(patch).wait().unwrap().extra.plan, plan.to_string());
            }
        });
        let user = auth.get_user(&ada).wait().unwrap().unwrap();
        assert_eq!((user.extra.phone.as_str(), user.extra.plan), (PHONE, UPDATES.to_string()));
        assert_eq!(user.name.as_deref(), Some("Ada"));
        assert!(auth.check().wait().unwrap().is_sound());
    }
}

/// Two numbers of which the first is never the greater one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Numbers", into = "Numbers")]
struct Ascending(Numbers);

own!(Numbers { low: u32, high: u32 });

impl TryFrom<Numbers> for Ascending {
    type Error = &'static str;

    fn try_from(numbers: Numbers) -> Result<Self, &'static str> {
        if numbers.low <= numbers.high { Ok(Self(numbers)) } else { Err("the numbers descend") }
    }
}

impl From<Ascending> for Numbers {
    fn from(ascending: Ascending) -> Self {
        ascending.0
    }
}

models!(Dependent, Ascending, ());

#[test]
fn patches_that_fit_alone_and_not_together_are_not_both_made() {
    for place in Place::both() {
        let auth = place.open::<Dependent>();
        for _ in 0..50 {
            let extra = Ascending(Numbers { low: 1, high: 9 });
            let id = auth.create_user(NewUser { extra, ..NewUser::default() }).wait().unwrap().id;
            let set = |field, value| {
                let extra = FieldPatch::new().set(field, value);
                auth.update_user(UserPatch { extra, ..UserPatch::new(id.clone()) })
            };
            // Both are tried before one of them is made.
            let (raised, lowered) = (set("low", 7), set("high", 3));
            let made = [lowered.wait(), raised.wait()].map(|result| match result {
                Ok(_) => true,
                Err(Error::InvalidArgument { problem: Problem::Misfit(why), .. }) => {
                    assert_eq!(why, "the numbers descend");
                    false
                }
                Err(error) => panic!("{error}"),
            });
            assert_ne!(made[0], made[1]);
            assert!(auth.get_user(&id).wait().unwrap().is_some());
        }
    }
}

#[test]
fn a_state_that_is_taken_as_another_type_stays_where_it_is() {
    for place in Place::both() {
        let auth = place.open::<()>();
        let handle = auth.put_state("sign-in", "hushhush", TimeDelta::minutes(9)).wait().unwrap();
        let error = auth.take_state::<Number>("sign-in", handle.reveal()).wait().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hushhush"));
        let Error::Misfit { record, why, done: false, .. } = error else { panic!("{error:?}") };
        assert_eq!((record.as_str(), why.as_str()), ("the state", "invalid type: string, expected struct Number"));
        assert_eq!(auth.take_state("sign-in", handle.reveal()).wait().unwrap().passed(), Some("hushhush".to_owned()));
        assert_eq!(auth.take_state::<String>("sign-in", handle.reveal()).wait().unwrap().passed(), None);
    }
}

#[test]
fn changes_are_made_whose_replies_nobody_waits_for() {
    for place in Place::both() {
        let auth = place.open::<After>();
        let extra = ProfileWithPlan { phone: PHONE.to_owned(), plan: "0".to_owned() };
        let ada = auth.create_user(NewUser { extra, ..NewUser::email(ADA) }).wait().unwrap().id;
        for round in 1..=50 {
            let set = |field, value: &str| {
                let extra = FieldPatch::new().set(field, value);
                auth.update_user(UserPatch { extra, ..UserPatch::new(ada.clone()) })
            };
            // Each is tried on the fields as they were before the others.
            let (plan, phone) = (format!("plan {round}"), format!("phone {round}"));
            let replies = [set("plan", &plan), set("phone", &phone), set("phone", &phone), set("plan", &plan)];
            match round % 3 {
                0 => replies.into_iter().for_each(drop),
                // The writer may be in the middle of any of them.
                1 => replies.into_iter().for_each(|reply| {
                    thread::yield_now();
                    drop(reply);
                }),
                _ => replies.into_iter().rev().for_each(|reply| {
                    thread::sleep(std::time::Duration::from_micros(50 * round));
                    drop(reply);
                }),
            }
            auth.settle().wait().unwrap();
            let user = auth.get_user(&ada).wait().unwrap().unwrap();
            assert_eq!((user.extra.plan, user.extra.phone), (plan, phone), "round {round}");
        }
    }
}

#[test]
fn a_dropped_call_writes_nothing_of_which_the_answer_could_not_be_shown() {
    for place in Place::both() {
        fill(&place);
        let auth = place.open::<After>();
        for _ in 0..10 {
            let (ada, user) = (Proof::Own { address: ADA }, NewUser::with(ProfileWithPlan::default()));
            drop(auth.sign_in_with_email_with(ada, user, Number::default(), Visitor::default()));
        }
        auth.settle().wait().unwrap();
        assert_eq!(auth.count_sessions().wait().unwrap(), 3);
    }
}

#[test]
fn a_change_right_behind_the_creation_of_its_record_needs_nobody_who_waits() {
    for place in Place::both() {
        let auth = place.open::<After>();
        for round in 0..20 {
            let extra = ProfileWithPlan { phone: PHONE.to_owned(), plan: "0".to_owned() };
            let id = UserId::from(format!("user {round}"));
            drop(auth.create_user(NewUser { id: Some(id.clone()), ..NewUser::with(extra) }));
            drop(auth.update_user(UserPatch { extra: FieldPatch::new().set("plan", "1"), ..UserPatch::new(&id) }));
            auth.settle().wait().unwrap();
            assert_eq!(auth.get_user(&id).wait().unwrap().unwrap().extra.plan, "1");
        }
    }
}
