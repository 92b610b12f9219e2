//! The effects of damage to a file: what opening reports, what can be read, and that writing and closing end.

use std::fmt;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use authkv::models::{Change, CodeCheck, IssuedCode, NewSession, SessionPatch, UserPatch, Visitor, WebSessionData};
use authkv::{Error, OpenProblem, Result};
use chrono::TimeDelta;

use super::damage::Damage;
use super::sample::{self, Answer, DOOMED, NOBODY, Question, Store, USERS, options};

/// How many damages there were, and their effects.
#[derive(Debug, Default)]
pub(crate) struct Harm {
    damages: u64,
    /// Opening with verification reported the damage.
    reported: u64,
    /// Opening without verification reported the damage.
    refused: u64,
    /// A lookup returned a storage error.
    errors: u64,
    /// A lookup did not find an existing record.
    absent: u64,
    /// Everything was as before, without verification.
    harmless: u64,
    lookups: u64,
    lookups_failed: u64,
    lookups_absent: u64,
}

impl Harm {
    fn numbers(&mut self) -> [&mut u64; 9] {
        let Self { damages, reported, refused, errors, absent, harmless, lookups, lookups_failed, lookups_absent } =
            self;
        [damages, reported, refused, errors, absent, harmless, lookups, lookups_failed, lookups_absent]
    }

    /// Adds a line that a child has printed.
    pub(crate) fn add(&mut self, line: &str) {
        for (number, more) in self.numbers().into_iter().zip(line.split(' ').skip(1)) {
            *number += more.parse::<u64>().unwrap();
        }
    }

    /// The tests prove nothing if the damage does not reach what is in use.
    pub(crate) fn must_be_telling(&self) {
        let Self { damages, reported, refused, errors, .. } = *self;
        assert!(reported > damages / 2 && reported < damages, "{self}");
        assert!(refused > damages / 20 && errors > damages / 20, "{self}");
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { damages, reported, refused, errors, absent, harmless, lookups, lookups_failed, lookups_absent } =
            self;
        write!(
            f,
            "{damages} damages: {reported} reported on opening with verification. Without: {refused} refused on \
             opening, {errors} met by a lookup as an error, {absent} by one as absence, {harmless} by none; of {lookups} \
             lookups {lookups_failed} were errors and {lookups_absent} found nothing"
        )
    }
}

/// The work of a child: damages a copy of the file for each of its seeds, and prints the effect.
pub(crate) fn suffer(task: &str) {
    let mut words = task.splitn(3, ' ');
    let mut word = || words.next().unwrap();
    let seeds = word().parse::<u64>().unwrap()..word().parse::<u64>().unwrap();
    let whole = Path::new(word());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.redb");
    fs::copy(whole, &path).unwrap();
    let store = options().open(&path).unwrap();
    let known = Known::of(&store);
    assert!(store.check().wait().unwrap().is_sound());
    drop(store);
    let whole = fs::read(whole).unwrap();
    // Messages of caught panics would hide the output.
    panic::set_hook(Box::new(|_| {}));
    for seed in seeds {
        let damage = Damage::random(seed, &whole);
        eprintln!("seed {seed} ({damage:?})");
        let damaged = damage.done_to(&whole);
        let mut harm = Harm { damages: 1, ..Harm::default() };
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            fs::write(&path, &damaged).unwrap();
            known.must_hold_if_verified(&path, &mut harm)?;
            if harm.reported > 0 && fs::read(&path).unwrap() != damaged {
                return Err("opening refused the file and changed it".to_owned());
            }
            fs::write(&path, &damaged).unwrap();
            known.must_not_be_contradicted(&path, &mut harm)
        }));
        match result {
            Ok(Ok(())) => {}
            Ok(Err(wrong)) => fail(&wrong),
            Err(_) => fail("a panic reached the caller"),
        }
        let numbers = harm.numbers().map(|number| number.to_string());
        eprintln!("harm {}", numbers.join(" "));
    }
    std::process::exit(0);
}

fn fail(what: &str) -> ! {
    eprintln!("{what}");
    std::process::exit(1)
}

type Found = Result<(), String>;

/// All answers of the undamaged file.
struct Known(Vec<(Question, Answer)>);

impl Known {
    fn of(store: &Store) -> Self {
        let questions = Question::about(0..USERS).into_iter().chain(Question::about(NOBODY + 1..NOBODY + 6));
        let answered = |question: Question| {
            let answer = question.ask(store).unwrap();
            (question, answer)
        };
        let known = Self(questions.map(answered).collect());
        let found = known.0.iter().filter(|(_, answer)| !answer.is_nothing()).count();
        assert_eq!(found, Question::about(0..USERS).len());
        known
    }

    /// With verification: opening reports the damage, or it has no effect.
    fn must_hold_if_verified(&self, path: &Path, harm: &mut Harm) -> Found {
        match options().verify(true).open(path) {
            Err(error) => {
                harm.reported += 1;
                must_be_of_opening(&error)
            }
            Ok(store) => {
                let mut unseen = Harm::default();
                self.ask(1, &store, &mut unseen)?;
                let report = store.check().wait().map_err(|error| format!("verified, but check says {error}"))?;
                if unseen.lookups_failed + unseen.lookups_absent > 0 || !report.is_sound() {
                    return Err(format!("verified, but {unseen:?} {:?}", report.problems));
                }
                for (what, did) in write(&store) {
                    if !did.map_err(|error| format!("verified, but to {what} was answered with {error}"))? {
                        return Err(format!("verified, but to {what} did nothing or had a wrong answer"));
                    }
                }
                store.close().wait().map_err(|error| format!("verified, but closing answers {error}"))
            }
        }
    }

    /// Without verification: no value is wrong, and if one is missing, a check reports that.
    fn must_not_be_contradicted(&self, path: &Path, harm: &mut Harm) -> Found {
        let store = match options().open(path) {
            Ok(store) => store,
            Err(error) => {
                harm.refused += 1;
                return must_be_of_opening(&error);
            }
        };
        self.ask(1, &store, harm)?;
        harm.errors = u64::from(harm.lookups_failed > 0);
        harm.absent = u64::from(harm.lookups_absent > 0);
        harm.harmless = u64::from(harm.lookups_failed + harm.lookups_absent == 0);
        let sound = store.check().wait().is_ok_and(|report| report.is_sound());
        if sound && harm.harmless == 0 {
            return Err(format!("a check sees nothing, but {harm:?}"));
        }
        for (what, did) in write(&store) {
            match did {
                // A record that is not found cannot be changed.
                Ok(_) | Err(Error::UnknownUser | Error::UnknownCredential | Error::Conflict(_)) => {}
                Err(error) => must_be_of_storage(&error).map_err(|wrong| format!("to {what}: {wrong}"))?,
            }
        }
        self.ask_some(&store)?;
        let _ = store.close().wait();
        drop(store);
        if let Ok(store) = options().open(path) {
            self.ask_some(&store)?;
        }
        Ok(())
    }

    fn ask_some(&self, store: &Store) -> Found {
        self.ask(5, store, &mut Harm::default())
    }

    /// Asks every n-th question. The answer may be right, say less, or be a storage error.
    fn ask(&self, every: usize, store: &Store, harm: &mut Harm) -> Found {
        for (question, right) in self.0.iter().step_by(every) {
            harm.lookups += 1;
            match question.ask(store) {
                Ok(answer) if answer == *right => {}
                Ok(answer) if answer.lacks_some_of(right) => harm.lookups_absent += 1,
                Ok(answer) => return Err(format!("{question:?} was answered with {answer:?}")),
                Err(error) => {
                    harm.lookups_failed += 1;
                    must_be_of_storage(&error)?;
                }
            }
        }
        Ok(())
    }
}

fn must_be_of_opening(error: &Error) -> Found {
    use OpenProblem::{CutOff, NotRedb, Storage};
    let text = error.to_string();
    match error {
        Error::Open { problem: CutOff | NotRedb | Storage(_), path: Some(_) } if !text.contains('\n') => Ok(()),
        error => Err(format!("opening answers {error}")),
    }
}

fn must_be_of_storage(error: &Error) -> Found {
    match error {
        Error::Storage(_) | Error::OutcomeUnknown(_) if !error.to_string().contains("nobody answered") => Ok(()),
        error => Err(format!("a call answers {error}")),
    }
}

fn is_guessed_at(store: &Store, issued: &IssuedCode) -> Result<bool> {
    let from = Visitor { request: Some(issued.request.reveal()), ..Visitor::default() };
    let check = store.verify_code("test", "a guess", from).wait()?;
    Ok(issued.digits == 6 && check == CodeCheck::Wrong { guesses_left: 4 })
}

/// Every writing call, on records that are not asked for or without changing them; each with whether it answered
/// correctly.
fn write(store: &Store) -> Vec<(&'static str, Result<bool>)> {
    let mut did = Vec::new();
    for number in (0..USERS).step_by(8) {
        let (key, token) = (sample::authenticator(number, number), sample::token(number));
        let name = Change::Set(sample::name(number));
        let user = store.update_user(UserPatch { name, ..UserPatch::new(sample::user_id(number)) });
        let expires = Some(sample::late());
        let session = store.update_session(SessionPatch { expires, ..SessionPatch::new(sample::session(number)) });
        let counted = store.update_authenticator_counter(&key.credential_id, key.counter);
        let used = store.use_verification_token(Some(&token.identifier), token.token.reveal());
        let issued = store.issue_code("test", &sample::email(number), TimeDelta::hours(1), Visitor::default());
        did.push(("issue and guess a code", issued.wait().and_then(|issued| is_guessed_at(store, &issued))));
        did.push(("change a user", user.wait().map(|user| user.email == Some(sample::email(number)))));
        did.push(("change a session", session.wait().map(|session| session.is_some())));
        did.push(("count", counted.wait().map(|counted| counted == key)));
        did.push(("use a token", used.wait().map(|used| used == Some(token))));
    }
    let new = DOOMED + 1;
    let id = sample::user_id(new);
    did.push(("create a user", store.create_user(sample::user(new)).wait().map(|_| true)));
    did.push(("link an account", store.link_account(sample::linked(new)).wait().map(|_| true)));
    let session = NewSession::new(sample::session(NOBODY), id, sample::late());
    did.push(("create a session", store.create_session(session).wait().map(|_| true)));
    did.push(("create a token", store.create_verification_token(sample::token(new)).wait().map(|_| true)));
    let (web_sessions, web_session) = (sample::web_sessions(store), sample::web_token(DOOMED));
    let (token, data) = (sample::web_token(new), sample::web_data(new));
    let created = web_sessions.create_session(token, &data, sample::late());
    did.push(("create a web session", created.wait().map(|()| true)));
    let saved = web_sessions.save_session(web_session.as_str(), &WebSessionData::new(), sample::late());
    did.push(("save a web session", saved.wait()));
    let ended = web_sessions.delete_session(&web_session).wait();
    did.push(("delete a web session", ended.map(|session| session.is_some())));
    did.push(("add a key", store.create_authenticator(sample::authenticator(new, new)).wait().map(|_| true)));
    let ended = store.delete_session(&sample::session(DOOMED + 1)).wait();
    did.push(("delete a session", ended.map(|session| session.is_some())));
    let unlinked = store.unlink_account(sample::account(DOOMED)).wait();
    did.push(("unlink an account", unlinked.map(|account| account.is_some())));
    let deleted = store.delete_user(sample::user_id(DOOMED)).wait();
    did.push(("delete a user", deleted.map(|user| user.is_some())));
    did.push((
        "purge",
        store.purge_expired().wait().map(|purged| purged.sessions + purged.verification_tokens + purged.damaged > 0),
    ));
    did.push(("synchronize", store.synchronize().wait().map(|()| true)));
    did
}
