//! All peers give the same answers, so that none is fast because it does less.

use std::path::Path;

use ::authkv::redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

use super::*;
use crate::call::{Call, Found, Outcome};
use crate::load::{self, Timing};
use crate::people::User;
use crate::rows::learn;

const PEOPLE: u64 = 50;
const ADA: Person = Person(7);
const NEWCOMER: Person = Person(PEOPLE);
const NOBODY: Person = Person(1_000);
/// In the years 2096 and 2128, and in the past.
const LATER_MS: i64 = 4_000_000_000_000;
const LATEST_MS: i64 = 5_000_000_000_000;
const PAST_MS: i64 = 1_000_000_000_000;

fn with_people(kind: Kind, test: impl Fn(&Path, &Arc<Shapes>)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let shapes = Arc::new(learn().unwrap());
    let people: Vec<_> = (0..PEOPLE).map(Person).collect();
    kind.fill(&path, &shapes, &people, &mut |_| ()).unwrap();
    test(&path, &shapes);
}

fn create(person: Person, token: &str, expires_ms: i64) -> Call {
    Call::CreateSession { user_id: person.user_id(), token: token.into(), expires_ms }
}

fn extend(token: &str) -> Call {
    Call::ExtendSession { token: token.into(), expires_ms: LATEST_MS }
}

fn read(token: &str) -> Call {
    Call::SessionAndUser { token: token.into() }
}

fn by_email(person: Person) -> Call {
    Call::UserByEmail { email: person.email() }
}

fn found(person: Person, expires_ms: impl Into<Option<i64>>) -> Outcome {
    let (id, name, email, image) = (person.user_id().to_string(), person.name(), person.email(), person.image());
    Outcome::Found(Some(Found { user: User { id, name, email, image }, expires_ms: expires_ms.into() }))
}

/// Calls in order, with the answer that every peer must give.
fn story() -> Vec<(Call, Outcome)> {
    let nothing = || Outcome::Found(None);
    let done = || Outcome::Done(true);
    let not_done = || Outcome::Done(false);
    let use_token = Call::UseToken { identifier: ADA.email(), token: "link".into(), expires_ms: LATER_MS };
    let delete = |person: Person| Call::DeleteUser { user_id: person.user_id() };
    vec![
        (by_email(ADA), found(ADA, None)),
        (by_email(NOBODY), nothing()),
        (read("a"), nothing()),
        (create(ADA, "a", LATER_MS), done()),
        (create(ADA, "b", LATER_MS), done()),
        (create(ADA, "expired", PAST_MS), done()),
        (read("a"), found(ADA, LATER_MS)),
        (read("expired"), nothing()),
        (extend("a"), done()),
        (extend("expired"), not_done()),
        (extend("unknown"), not_done()),
        (read("a"), found(ADA, LATEST_MS)),
        (read("b"), found(ADA, LATER_MS)),
        (Call::SignUp { person: NEWCOMER, token: "c".into(), expires_ms: LATER_MS }, done()),
        (read("c"), found(NEWCOMER, LATER_MS)),
        (by_email(NEWCOMER), found(NEWCOMER, None)),
        (use_token.clone(), done()),
        (use_token, done()),
        (delete(ADA), done()),
        (delete(ADA), not_done()),
        (delete(NOBODY), not_done()),
        (read("a"), nothing()),
        (read("b"), nothing()),
        (read(&ADA.session_token()), nothing()),
        (by_email(ADA), nothing()),
        (read("c"), found(NEWCOMER, LATER_MS)),
        (by_email(Person(8)), found(Person(8), None)),
    ]
}

#[test]
fn every_peer_gives_the_same_answers_and_still_does_when_opened_again() {
    for kind in Kind::ALL {
        with_people(kind, |path, shapes| {
            let peer = kind.open(path, shapes).unwrap();
            for (number, (call, expected)) in story().into_iter().enumerate() {
                assert_eq!(peer.call(&call).wait().unwrap(), expected, "{}: step {number}, {call:?}", kind.name());
            }
            drop(peer);
            let peer = kind.open(path, shapes).unwrap();
            let last_answers = story().into_iter().filter(|(call, _)| call.reads()).skip(9);
            for (call, expected) in last_answers {
                assert_eq!(peer.call(&call).wait().unwrap(), expected, "{}: opened again, {call:?}", kind.name());
            }
        });
    }
}

#[test]
fn bare_redb_has_as_many_rows_as_authkv_after_the_same_calls() {
    // What the store says about itself, and the traces of deleted users, do not count as data.
    let is_data = |name: &&String| !name.ends_with("meta") && !name.ends_with("deleted_users");
    let data = |path: &Path, shapes: &Shapes| redb_rows(path, shapes.tables.iter().filter(is_data));
    let bare = after_the_story(Kind::Redb, data);
    assert!(bare.iter().sum::<u64>() > 7 * PEOPLE);
    assert_eq!(bare, after_the_story(Kind::Authkv, data));
}

#[test]
fn both_files_of_sqlite_have_as_many_records_as_authkv_after_the_same_calls() {
    let tables = ["users", "accounts", "sessions", "verification_tokens"];
    let expected =
        after_the_story(Kind::Authkv, |path, _| redb_rows(path, tables.map(|name| format!("authkv_{name}")).iter()));
    for kind in [Kind::Rusqlite, Kind::Sqlx] {
        let found = after_the_story(kind, |path, _| {
            let connection = ::rusqlite::Connection::open(path).unwrap();
            let count = |name| -> u64 {
                let count = format!("SELECT count(*) FROM {name}");
                connection.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
            };
            tables.map(count).to_vec()
        });
        assert_eq!(found, expected, "{}", kind.name());
    }
}

/// The number of rows in each table, counted when the store is closed again.
fn after_the_story(kind: Kind, count: impl Fn(&Path, &Shapes) -> Vec<u64>) -> Vec<u64> {
    let rows = std::cell::RefCell::new(Vec::new());
    with_people(kind, |path, shapes| {
        let peer = kind.open(path, shapes).unwrap();
        story().iter().for_each(|(call, _)| drop(peer.call(call).wait().unwrap()));
        drop(peer);
        rows.replace(count(path, shapes));
    });
    rows.into_inner()
}

fn redb_rows<'n>(path: &Path, tables: impl Iterator<Item = &'n String>) -> Vec<u64> {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_read().unwrap();
    let count = |name| transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(name)).unwrap().len().unwrap();
    tables.map(|name| count(name)).collect()
}

#[test]
fn every_peer_has_all_that_many_callers_wrote_at_once() {
    for kind in Kind::ALL {
        with_people(kind, |path, shapes| {
            let peer = kind.open(path, shapes).unwrap();
            let token = |caller: usize, number: usize| format!("{caller}-{number}");
            let callers = |call: &dyn Fn(String) -> Call| {
                (0..8).map(|caller| (0..20).map(|number| call(token(caller, number))).collect()).collect()
            };
            let written = load::run(&peer, callers(&|token| create(ADA, &token, LATER_MS)), Timing::Each).unwrap();
            assert_eq!(written.waits.len(), 160, "{}", kind.name());
            load::run(&peer, callers(&|token| read(&token)), Timing::Whole).unwrap();
        });
    }
}
