//! Custom models: an application's own fields are created, patched by name, read back and limited like all other
//! fields.

use std::collections::BTreeMap;

use authkv::models::NewUser;
use authkv::models::{FieldPatch, Models, NewSession, SessionPatch, User, UserPatch, Value};
use authkv::{AuthKv, Error, OpenProblem, Problem};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::stores::new_path;
use authkv::conformance::invalid;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Profile {
    phone: Option<String>,
    #[serde(default)]
    logins: u64,
}

type Texts = BTreeMap<String, String>;

/// Defines a set of models by the own fields of its users and sessions.
macro_rules! models {
    ($models:ident, $name:literal, $version:literal, $user:ty) => {
        struct $models;

        impl Models for $models {
            const NAME: &'static str = $name;
            const VERSION: u32 = $version;
            type User = $user;
            type Account = ();
            type Session = Texts;
            type VerificationToken = ();
        }
    };
}

models!(App, "app", 1, Profile);
models!(NewerApp, "app", 2, Profile);
models!(OtherApp, "other", 1, Profile);
models!(Dynamic, "dynamic", 1, Texts);

fn ada() -> NewUser<Profile> {
    let extra = Profile { phone: Some("+44 20 7946 0018".to_owned()), logins: u64::MAX };
    NewUser { extra, ..NewUser::email("ada@example.com") }
}

#[test]
fn own_fields_are_patched_by_name_and_outlast_the_process() {
    let (_folder, path) = new_path();
    let auth = AuthKv::options().models::<App>().open(&path).unwrap();
    let user = auth.create_user(ada()).wait().unwrap();
    assert_eq!(user.extra, ada().extra);
    let patches = [FieldPatch::new().set("logins", 7), FieldPatch::new().clear("phone"), FieldPatch::new()];
    for extra in patches {
        auth.update_user(UserPatch { extra, ..UserPatch::new(user.id.clone()) }).wait().unwrap();
    }
    let expected = User { extra: Profile { phone: None, logins: 7 }, ..user };
    assert_eq!(auth.get_user(&expected.id).wait().unwrap().as_ref(), Some(&expected));
    drop(auth);
    let auth = AuthKv::options().models::<App>().open(&path).unwrap();
    assert_eq!(auth.get_user_by_email("ada@example.com").wait().unwrap(), Some(expected));
}

#[test]
fn own_fields_of_a_session_come_back_with_the_user() {
    let auth = AuthKv::options().models::<App>().in_memory().unwrap();
    let user = auth.create_user(ada()).wait().unwrap();
    let extra: Texts = [("__proto__", "1"), ("constructor", "2"), ("👩‍👩‍👧", "")].map(|(k, v)| (k.into(), v.into())).into();
    let new = NewSession { extra, ..NewSession::new("a-secret", user.id.clone(), DateTime::<Utc>::MAX_UTC) };
    let mut session = auth.create_session(new).wait().unwrap();
    assert_eq!(session.extra.len(), 3);
    let found = auth.get_session_and_user("a-secret").wait().unwrap().unwrap();
    assert_eq!((&found.session, &found.user), (&session, &user));
    session.extra.remove("constructor");
    session.extra.insert("device".into(), "phone".into());
    let extra = FieldPatch::new().clear("constructor").set("device", "phone");
    let updated = auth.update_session(SessionPatch { extra, ..SessionPatch::new("a-secret") }).wait().unwrap();
    assert_eq!(updated.as_ref(), Some(&session));
    assert_eq!(auth.get_session_and_user("a-secret").wait().unwrap().unwrap().session, session);
    assert_eq!(auth.delete_session("a-secret").wait().unwrap(), Some(session));
}

#[test]
fn a_file_with_other_or_newer_models_is_refused() {
    let (_folder, path) = new_path();
    AuthKv::options().models::<App>().open(&path).unwrap().create_user(ada()).wait().unwrap();
    let refused = [
        AuthKv::options().models::<OtherApp>().open(&path).err(),
        AuthKv::options().models::<Dynamic>().open(&path).err(),
        AuthKv::options().open(&path).err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::Open { problem: OpenProblem::OtherModels { .. }, .. })), "{error:?}");
    }
    AuthKv::options().models::<NewerApp>().open(&path).unwrap();
    let older = AuthKv::options().models::<App>().open(&path).err();
    assert!(matches!(older, Some(Error::Open { problem: OpenProblem::OtherModels { .. }, .. })), "{older:?}");
    let auth = AuthKv::options().models::<NewerApp>().open(&path).unwrap();
    assert_eq!(auth.get_user_by_email("ada@example.com").wait().unwrap().unwrap().extra, ada().extra);
}

#[test]
fn names_of_the_records_own_fields_are_refused() {
    let auth = AuthKv::options().models::<Dynamic>().in_memory().unwrap();
    for name in ["id", "name", "email", "emailVerified", "image"] {
        let extra: Texts = [(name.to_owned(), "x".to_owned())].into();
        let created = auth.create_user(NewUser { extra, ..NewUser::default() }).wait();
        assert_eq!(invalid(created), (name.to_owned(), Problem::ReservedName));
        let extra = FieldPatch::new().set(name, "x");
        let updated = auth.update_user(UserPatch { extra, ..UserPatch::new("nobody") }).wait();
        assert_eq!(invalid(updated), (name.to_owned(), Problem::ReservedName));
    }
    assert_eq!(auth.check().wait().unwrap().users, 0);
}

#[test]
fn names_that_only_rust_has_for_a_field_are_free() {
    let auth = AuthKv::options().models::<Dynamic>().in_memory().unwrap();
    let extra: Texts = [("email_verified".to_owned(), "x".to_owned())].into();
    let user = auth.create_user(NewUser { extra: extra.clone(), ..NewUser::default() }).wait().unwrap();
    assert!(user.extra == extra && user.email_verified.is_none());
}

/// Own fields with exactly this many bytes of text, none longer than the limit of a field.
fn texts(bytes: usize) -> Texts {
    const EACH: usize = 60_000;
    let field = |n: usize| (format!("field-{n:02}"), "x".repeat(EACH.min(bytes - n * EACH)));
    (0..bytes.div_ceil(EACH)).map(field).collect()
}

#[test]
fn a_record_of_any_accepted_size_can_be_read() {
    const RECORD_BYTES_MAX: usize = 512 << 10;
    let auth = AuthKv::options().models::<Dynamic>().in_memory().unwrap();
    let (mut accepted, mut refused) = (0, 0);
    // Names, quotes and lengths take a few hundred bytes.
    for bytes in RECORD_BYTES_MAX - 400..RECORD_BYTES_MAX {
        let before = auth.check().wait().unwrap();
        match auth.create_user(NewUser { extra: texts(bytes), ..NewUser::default() }).wait() {
            Ok(user) => {
                accepted += 1;
                let found = auth.get_user(&user.id).wait();
                let found = found.unwrap_or_else(|error| panic!("accepted with {bytes} bytes, but {error}"));
                assert_eq!(found.as_ref(), Some(&user));
                assert_eq!(auth.delete_user(&user.id).wait().unwrap(), Some(user));
            }
            Err(error) => {
                refused += 1;
                let (_, problem) = invalid::<()>(Err(error));
                assert!(matches!(problem, Problem::TooLong { limit: RECORD_BYTES_MAX, .. }), "{problem:?}");
                assert_eq!(auth.check().wait().unwrap(), before);
            }
        }
    }
    assert!(accepted > 0 && refused > 0, "the limit is not in the range: {accepted} accepted, {refused} refused");
}

#[test]
fn a_patch_that_makes_a_record_too_long_changes_nothing() {
    let auth = AuthKv::options().models::<Dynamic>().in_memory().unwrap();
    let new = NewUser { extra: texts(8 * 60_000), ..NewUser::email("ada@example.com") };
    let user = auth.create_user(new).wait().unwrap();
    let extra = FieldPatch::new().set("one more", "x".repeat(60_000));
    let email = authkv::models::Change::to("new@example.com");
    let refused = auth.update_user(UserPatch { email, extra, ..UserPatch::new(user.id.clone()) }).wait();
    assert!(matches!(invalid(refused).1, Problem::TooLong { .. }));
    assert_eq!(auth.get_user_by_email("ada@example.com").wait().unwrap(), Some(user));
    assert_eq!(auth.get_user_by_email("new@example.com").wait().unwrap(), None);
    assert!(auth.check().wait().unwrap().is_sound());
}

#[test]
fn an_own_field_has_at_most_64_kib() {
    let auth = AuthKv::options().models::<Dynamic>().in_memory().unwrap();
    let long = "x".repeat((64 << 10) + 1);
    let extra: Texts = [("long".to_owned(), long.clone())].into();
    let created = auth.create_user(NewUser { extra, ..NewUser::default() }).wait();
    let updated =
        auth.update_user(UserPatch { extra: FieldPatch::new().set("long", long), ..UserPatch::new("nobody") }).wait();
    for refused in [created, updated] {
        let (field, problem) = invalid(refused);
        assert_eq!(field, "long");
        assert!(matches!(problem, Problem::TooLong { limit: 65_536, .. }), "{problem:?}");
    }
}

#[test]
fn own_fields_that_could_not_be_read_back_are_refused_and_change_nothing() {
    let auth = AuthKv::options().models::<App>().in_memory().unwrap();
    let user = auth.create_user(ada()).wait().unwrap();
    let misfits =
        [("phone", "phone", Value::from(7)), ("logins", "logins", "many".into()), ("phnoe", "phnoe", "7".into())];
    for (named, field, value) in misfits {
        let extra = FieldPatch::new().set(field, value);
        let email = authkv::models::Change::to("new@example.com");
        let refused = auth.update_user(UserPatch { email, extra, ..UserPatch::new(user.id.clone()) }).wait();
        assert_eq!(invalid(refused).0, named);
    }
    assert_eq!(auth.get_user_by_email("ada@example.com").wait().unwrap(), Some(user.clone()));
    auth.create_session(NewSession::new("a-secret", user.id, DateTime::<Utc>::MAX_UTC)).wait().unwrap();
    let extra = FieldPatch::new().set("device", 7);
    let refused = auth.update_session(SessionPatch { extra, ..SessionPatch::new("a-secret") }).wait();
    assert_eq!(invalid(refused).0, "device");
    assert!(auth.get_session_and_user("a-secret").wait().unwrap().unwrap().session.extra.is_empty());
}

#[test]
fn a_patch_of_a_record_that_is_not_committed_yet_cannot_spoil_it() {
    let (_folder, path) = new_path();
    let auth = AuthKv::options().models::<App>().open(&path).unwrap();
    for n in 0..50 {
        let id = || authkv::models::UserId::from(n.to_string());
        let created = auth.create_user(NewUser { id: Some(id()), extra: Profile::default(), ..NewUser::default() });
        let extra = FieldPatch::new().set("phone", 7).set("phnoe", "7");
        let patched = auth.update_user(UserPatch { extra, ..UserPatch::new(id()) });
        created.wait().unwrap();
        patched.wait().expect_err("the patch does not fit");
        assert_eq!(auth.get_user(id()).wait().unwrap().unwrap().extra, Profile::default());
    }
}
