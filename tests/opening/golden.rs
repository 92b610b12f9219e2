//! Files written by an earlier version. Goal: every version reads them completely and can continue to write them.
//! Method: each file in `tests/golden` is copied, opened, and compared record by record with what
//! `examples/make_golden.rs` put into it.
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};

use authkv::models::{
    Account, AccountKey, FieldRange, Models, NewAccount, NewSession, NewUser, Session, SessionPatch, User, UserPatch,
    Visitor,
};
use authkv::redb::{Database, ReadableDatabase, TableDefinition};
use authkv::{AuthKv, Error, OpenProblem, Options, WebSessions};
use chrono::{DateTime, TimeDelta, Utc};
use content::{DELETED, EMOJI, FILES, MADE_FOR, Numbered, Profile, Shop, UUID};
use tempfile::TempDir;

#[path = "../golden/content.rs"]
pub(crate) mod content;

const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("authkv_meta");

/// A copy of a golden file, opened at an instant.
struct Opened<M: Models> {
    auth: AuthKv<M>,
    _folder: TempDir,
}

fn open<M: Models>(file: &str, options: Options<M>, now: DateTime<Utc>) -> Opened<M> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    fs::copy(golden(file), &path).unwrap();
    Opened { auth: options.clock(move || now).open(&path).unwrap(), _folder: folder }
}

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

/// Before every instant in the files, so that nothing has expired.
fn early() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH - TimeDelta::days(2)
}

#[test]
fn every_record_of_a_file_is_what_was_written() {
    for (format, [file, _]) in formats() {
        let opened = open(file, AuthKv::options(), early());
        must_have_what_was_added(&opened.auth, format);
        must_have_the_content(&opened.auth, format);
    }
}

#[test]
fn every_record_with_own_fields_is_what_was_written() {
    for (format, [_, file]) in formats() {
        let opened = open(file, AuthKv::options().models::<Shop>(), early());
        must_have_what_was_added(&opened.auth, format);
        must_have_the_content(&opened.auth, format);
    }
}

#[test]
fn every_index_on_own_fields_leads_to_its_records() {
    for (format, [_, file]) in formats() {
        let opened = open(file, AuthKv::options().models::<Shop>(), early());
        let auth = &opened.auth;
        for expected in users::<Profile>(format) {
            let (id, own) = (&expected.id, &expected.extra);
            if let Some(number) = own.phone_number.as_deref() {
                assert_same(auth.get_user_by("phoneNumber", number).wait().unwrap(), &expected);
            }
            for (field, range) in [("logins", FieldRange::only(own.logins)), ("balance", FieldRange::only(own.balance))]
            {
                let page = auth.list_users_by(field, range, None, 10).wait().unwrap();
                assert!(page.items.iter().any(|user| user.id == *id), "{field} does not lead to {id}");
            }
        }
        let account = auth.get_account_by("__proto__2", "éé").wait().unwrap().unwrap();
        assert_eq!(account.provider, "passkey");
    }
}

#[test]
fn a_file_can_be_written_on() {
    for (format, [file, _]) in formats() {
        let opened = open(file, AuthKv::options().purge_in_background(false), content::now());
        must_have_what_was_added(&opened.auth, format);
        must_be_writable(&opened.auth);
    }
}

#[test]
fn a_file_with_own_fields_can_be_written_on() {
    for (format, [_, file]) in formats() {
        let opened = open(file, AuthKv::options().models::<Shop>().purge_in_background(false), content::now());
        must_have_what_was_added(&opened.auth, format);
        must_be_writable(&opened.auth);
    }
}

#[test]
fn an_older_file_gets_the_number_of_this_format_and_is_refused_where_nothing_may_be_changed() {
    let [[oldest, _], ..] = FILES;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(oldest);
    fs::copy(golden(oldest), &path).unwrap();
    let open = |synchronize| AuthKv::options().synchronize(synchronize).open(&path);
    let refused = open(false).unwrap_err();
    let Error::Open { problem: OpenProblem::OlderFormat { found: 1, known }, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(fs::read(&path).unwrap(), fs::read(golden(oldest)).unwrap());
    drop(open(true).unwrap());
    let number = || {
        let database = Database::open(&path).unwrap();
        let table = database.begin_read().unwrap().open_table(META).unwrap();
        table.get(&b"format\0\0"[..]).unwrap().unwrap().value().to_vec()
    };
    // A version, a checksum of 4 bytes, and a text of one digit.
    assert_eq!(number()[5..], *format!("\u{1}{known}").as_bytes());
    drop(open(false).unwrap());
}

#[test]
fn sessions_of_format_1_are_loaded_and_saved_by_overlapping_requests() {
    let [[oldest, _], ..] = FILES;
    let auth = open(oldest, AuthKv::options(), early()).auth;
    let sessions = WebSessions::new(auth.clone());
    let [(token, data, expires), ..] = content::web_sessions();
    let load = || sessions.load_session(token).wait().unwrap().unwrap().data;
    let (mut one, mut other) = (load(), load());
    one.insert("one".to_owned(), 1.into());
    other.insert("other".to_owned(), 2.into());
    for changed in [one, other] {
        assert!(sessions.save_session(token, &changed, expires).wait().unwrap());
    }
    let found = sessions.find_session(token).wait().unwrap().unwrap();
    assert_eq!((found.data.len(), found.user_id), (data.len() + 2, Some(UUID.into())));
    assert!(auth.check().wait().unwrap().is_sound());
}

#[cfg(feature = "etcd")]
#[test]
fn an_older_file_is_copied_once_it_was_opened() {
    use authkv::{Place, copy};
    let [[oldest, _], ..] = FILES;
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["from.redb", "to.redb"].map(|name| folder.path().join(name));
    fs::copy(golden(oldest), &from).unwrap();
    let copied = || copy(&Place::File(from.clone()), &Place::File(to.clone()), |_| {});
    let refused = copied().unwrap_err();
    assert!(matches!(refused, Error::Open { problem: OpenProblem::OlderFormat { found: 1, .. }, .. }), "{refused}");
    drop(AuthKv::options().clock(early).open(&from).unwrap());
    copied().unwrap();
    must_have_the_content(&AuthKv::options().clock(early).open(&to).unwrap(), 1);
}

/// The files of each format, with its number.
fn formats() -> impl Iterator<Item = (usize, [&'static str; 2])> {
    FILES.into_iter().enumerate().map(|(place, files)| (place + 1, files))
}

/// What the files of later formats have more than those of the first. It is removed, so that all have the same.
fn must_have_what_was_added<M: Models>(auth: &AuthKv<M>, format: usize)
where
    M::Session: PartialEq,
{
    let sessions = WebSessions::new(auth.clone());
    let stranger = sessions.delete_session("stranger").wait().unwrap();
    assert_eq!(stranger.is_some(), format >= 2);
    if let Some(stranger) = stranger {
        assert_eq!((stranger.user_id, stranger.data), (None, content::naming("stranger")));
    }
    let made = auth.list_sessions(MADE_FOR, None, 10).wait().unwrap().items;
    let made = made.into_iter().find(|session| session.created == content::now() && session.expires > content::now());
    assert_eq!(made.is_some(), format >= 3);
    if let Some(made) = made {
        assert_eq!((made.extended, made.expires), (content::now(), content::now() + TimeDelta::days(30)));
        assert_same(auth.end_session(MADE_FOR, &made.id).wait().unwrap(), &made);
    }
    let late = content::now() + TimeDelta::days(9);
    let refused = sessions.create_session("new", &content::naming(DELETED), late).wait();
    assert_eq!(refused.is_err(), format >= 2, "{refused:?}");
    drop(sessions.delete_session("new").wait().unwrap());
}

fn must_have_the_content<M: Models>(auth: &AuthKv<M>, format: usize)
where
    M::User: Numbered + PartialEq,
    M::Account: Numbered + PartialEq,
    M::Session: Numbered + PartialEq,
    M::VerificationToken: Numbered + PartialEq,
{
    must_be_sound(auth, [5, 4, 3, 3, 2, 2, 2, 3]);
    for expected in users(format) {
        assert_same(auth.get_user(&expected.id).wait().unwrap(), &expected);
        if let Some(email) = &expected.email {
            assert_same(auth.get_user_by_email(&email.to_ascii_uppercase()).wait().unwrap(), &expected);
        }
    }
    for expected in content::accounts().into_iter().map(account) {
        let key = AccountKey::new(expected.provider.clone(), expected.provider_account_id.clone());
        assert_same(auth.get_account(&key).wait().unwrap(), &expected);
        let owner = auth.get_user_by_account(&key).wait().unwrap();
        assert_eq!(owner.map(|owner| owner.id), Some(expected.user_id));
    }
    for new in content::sessions() {
        let found = auth.get_session_and_user(new.session_token.reveal()).wait().unwrap().unwrap();
        let owner = users(format).into_iter().find(|user| user.id == found.user.id);
        assert_same(owner, &found.user);
        let expected = session(new, &found.session);
        assert_same(Some(found.session), &expected);
        assert_same(auth.delete_session(expected.session_token.reveal()).wait().unwrap(), &expected);
    }
    for expected in content::verification_tokens() {
        let taken = auth.use_verification_token(Some(&expected.identifier), expected.token.reveal()).wait();
        assert_same(taken.unwrap(), &expected);
    }
    for expected in content::authenticators() {
        assert_same(auth.get_authenticator(&expected.credential_id).wait().unwrap(), &expected);
    }
    // The codes of these formats work no longer, and lock nobody out.
    for (address, _) in content::codes() {
        let issued = auth.issue_code("test", address, TimeDelta::hours(1), Visitor::default()).wait().unwrap();
        let from = Visitor { request: Some(issued.request.reveal()), ..Visitor::default() };
        let check = auth.verify_code("test", issued.code.reveal(), from).wait().unwrap();
        assert_eq!((issued.digits, check.address().as_deref()), (6, Some(address)));
    }
    let listed = auth.list_authenticators_by_user_id(EMOJI).wait().unwrap();
    assert_eq!(listed.len(), content::authenticators().len());
    let web_sessions = WebSessions::new(auth.clone());
    for (token, data, expires) in content::web_sessions() {
        let found = web_sessions.delete_session(token).wait().unwrap().unwrap();
        let user_id = data.contains_key("axum-login.data").then(|| UUID.into());
        assert_eq!((found.data, found.expires, found.user_id), (data, expires, user_id));
        assert_eq!((found.created, found.saved), (content::now(), content::now()));
    }
    must_be_sound(auth, [5, 4, 0, 0, 2, 2, 2, 0]);
}

#[test]
fn the_maximum_age_binds_what_was_made_since_format_3() {
    let day = TimeDelta::days(1);
    for (format, [file, _]) in formats() {
        let clock = content::now() + day + TimeDelta::milliseconds(1);
        let auth = open(file, AuthKv::options().session_max_age(day), clock).auth;
        assert!(auth.get_session_and_user("session-token").wait().unwrap().is_some(), "its caller chose its expiry");
        let listed = auth.list_sessions(MADE_FOR, None, 10).wait().unwrap();
        assert_eq!(listed.items, [], "format {format}");
        assert_eq!(auth.check().wait().unwrap().sessions, if format < 3 { 3 } else { 4 }, "it is not removed");
    }
}

fn must_be_writable<M: Models>(auth: &AuthKv<M>)
where
    M::User: Numbered,
    M::Account: Numbered,
    M::Session: Numbered,
{
    let purged = auth.purge_expired().wait().unwrap();
    let counts = [purged.sessions, purged.verification_tokens, purged.codes, purged.states, purged.web_sessions];
    assert_eq!(counts, [2, 1, 1, 1, 1]);
    let ada = auth.get_user_by_email("ada@example.com").wait().unwrap().unwrap();
    auth.create_user(content::users().swap_remove(0)).wait().expect_err("her id and address are taken");
    auth.link_account(content::accounts().swap_remove(0)).wait().expect_err("her account is linked");
    auth.create_session(content::sessions().swap_remove(0)).wait().expect_err("her token is in use");
    auth.create_session(content::sessions().swap_remove(1)).wait().unwrap();
    let patch = UserPatch { email: authkv::models::Change::to("new@example.com"), ..UserPatch::new(ada.id.clone()) };
    assert_eq!(auth.update_user(patch).wait().unwrap().name, ada.name);
    let patch = SessionPatch { user_id: Some(EMOJI.into()), ..SessionPatch::new("session-token") };
    auth.update_session(patch).wait().unwrap().unwrap();
    assert_eq!(auth.update_authenticator_counter(UUID, 8).wait().unwrap().counter, 8);
    auth.unlink_account(AccountKey::new("passkey", "credential")).wait().unwrap().unwrap();
    must_be_sound(auth, [5, 3, 2, 2, 0, 1, 1, 2]);
    for user in content::users::<M::User>() {
        auth.delete_user(user.id.unwrap()).wait().unwrap().unwrap();
    }
    must_be_sound(auth, [0, 0, 0, 2, 0, 1, 1, 1]);
}

/// `counts` are the numbers of users, accounts, sessions, verification tokens, authenticators, codes, states and web
/// sessions.
#[track_caller]
fn must_be_sound<M: Models>(auth: &AuthKv<M>, counts: [u64; 8]) {
    let report = auth.check().wait().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    let of_users = [report.users, report.accounts, report.sessions];
    let others = [report.verification_tokens, report.authenticators, report.codes, report.states, report.web_sessions];
    assert_eq!([&of_users[..], &others].concat(), counts);
}

#[track_caller]
fn assert_same<T: PartialEq + Debug>(found: Option<T>, expected: &T) {
    assert!(found.as_ref() == Some(expected), "{found:?} is not {expected:?}");
}

/// The users in a file. One has an empty name, which counts as none when a user is made since format 3.
fn users<X: Numbered>(format: usize) -> Vec<User<X>> {
    let user = |new| {
        let NewUser { id, name, email, email_verified, image, extra } = new;
        let name = name.filter(|name| format < 3 || !name.is_empty());
        User { id: id.unwrap(), name, email, email_verified, image, created: content::now(), extra }
    };
    content::users().into_iter().map(user).collect()
}

fn account<X>(new: NewAccount<X>) -> Account<X> {
    Account {
        id: new.id.unwrap(),
        user_id: new.user_id,
        account_type: new.account_type,
        provider: new.provider,
        provider_account_id: new.provider_account_id,
        access_token: new.access_token,
        refresh_token: new.refresh_token,
        id_token: new.id_token,
        expires_at: new.expires_at,
        token_type: new.token_type,
        scope: new.scope,
        session_state: new.session_state,
        extra: new.extra,
    }
}

/// The expected session, with the id that the store chose for it.
fn session<X>(new: NewSession<X>, found: &Session<X>) -> Session<X> {
    assert_eq!(found.id.as_str().len(), UUID.len());
    let NewSession { session_token, user_id, expires, extra } = new;
    Session { id: found.id.clone(), session_token, user_id, expires, extra }
}
