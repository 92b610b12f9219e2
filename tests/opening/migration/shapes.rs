//! Changes that need no migration: each version of a struct reads what every earlier one wrote.

use std::collections::BTreeMap;

use authkv::AuthKv;
use authkv::models::{Extra, FieldPatch, Models, NewUser, User, UserId, UserPatch};
use serde::{Deserialize, Serialize};

use super::{must_be_sound, new_path, open};

macro_rules! shape {
    ($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty = $value:expr),* $(,)? }) => {
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        struct $name {
            $($(#[$attribute])* $field: $type),*
        }

        impl Shape for $name {
            fn filled() -> Self {
                Self { $($field: $value),* }
            }
        }

        impl Models for $name {
            const NAME: &'static str = "shapes";
            const VERSION: u32 = 1;
            type User = $name;
            type Account = ();
            type Session = ();
            type VerificationToken = ();
        }
    };
}

trait Shape: Extra + PartialEq + Models<User = Self> {
    fn filled() -> Self;
}

shape!(Original { phone: String = "1".into(), logins: u64 = 7 });
shape!(WithMore {
    phone: String = "2".into(),
    logins: u64 = 8,
    #[serde(default)] tags: Vec<String> = vec!["a".into()],
    #[serde(default)] height: Option<f64> = Some(1.7),
});
shape!(Reordered {
    #[serde(default)] height: Option<f64> = None,
    #[serde(default)] tags: Vec<String> = Vec::new(),
    logins: u64 = 9,
    phone: String = "3".into(),
});
shape!(WithLess { phone: String = "4".into() });
shape!(Renamed {
    #[serde(rename = "phone")] telephone: String = "5".into(),
    #[serde(default)] tags: Vec<String> = vec!["b".into(), "c".into()],
});
shape!(Wider { phone: Option<String> = Some("6".into()), #[serde(default)] logins: i128 = -1 });

/// Writes a user with `Earlier`, then reads and patches it with `Later`.
fn outlives<Earlier: Shape, Later: Shape>() {
    let (_folder, path) = new_path();
    let user = create::<Earlier>(&open::<Earlier>(&path));
    let auth = open::<Later>(&path);
    let read = auth.get_user(&user.id).wait().unwrap().unwrap();
    let expected = common(&Earlier::filled(), &read.extra);
    assert!(!expected.is_empty(), "they have nothing in common");
    for (name, value) in expected {
        assert_eq!(fields(&read.extra)[&name], value, "{name}");
    }
    let patch = UserPatch { extra: FieldPatch::new().set("phone", "new"), ..UserPatch::new(user.id.clone()) };
    let patched = auth.update_user(patch).wait().unwrap();
    assert_eq!(fields(&patched.extra)["phone"], "new");
    create::<Later>(&auth);
    must_be_sound(&auth);
    drop(auth);
    keeps_what_the_other_does_not_know::<Earlier>(&open::<Earlier>(&path), &user.id);
}

fn create<S: Shape>(auth: &AuthKv<S>) -> User<S> {
    auth.create_user(NewUser {
        id: None,
        name: None,
        email: None,
        email_verified: None,
        image: None,
        extra: S::filled(),
    })
    .wait()
    .unwrap()
}

/// A patch by the later version has removed nothing from a user of the earlier one.
fn keeps_what_the_other_does_not_know<S: Shape>(auth: &AuthKv<S>, id: &UserId) {
    let user = auth.get_user(id).wait().unwrap().unwrap();
    let (found, written) = (fields(&user.extra), fields(&S::filled()));
    for (name, value) in written.into_iter().filter(|(name, _)| name != "phone") {
        assert_eq!(found[&name], value, "{name}");
    }
    assert_eq!(found["phone"], "new");
}

type Json = BTreeMap<String, serde_json::Value>;

fn fields(extra: &impl Serialize) -> Json {
    serde_json::from_value(serde_json::to_value(extra).unwrap()).unwrap()
}

/// The fields of the first value that the second has too.
fn common(first: &impl Serialize, second: &impl Serialize) -> Json {
    let names = fields(second);
    fields(first).into_iter().filter(|(name, _)| names.contains_key(name)).collect()
}

/// In the order in which the application had them.
macro_rules! each_later_one {
    ($earlier:ident) => {};
    ($earlier:ident $($later:ident)+) => {
        $(outlives::<$earlier, $later>();)+
        each_later_one!($($later)+);
    };
}

#[test]
fn a_file_of_each_earlier_shape_is_opened_by_each_later_one() {
    each_later_one!(Original WithMore Reordered WithLess Renamed Wider);
}

#[test]
fn patches_of_different_fields_both_survive() {
    let auth = AuthKv::options().models::<WithMore>().in_memory().unwrap();
    let user = create::<WithMore>(&auth);
    std::thread::scope(|scope| {
        for (name, value) in
            [("phone", "p".into()), ("logins", serde_json::json!(9)), ("tags", serde_json::json!(["t"]))]
        {
            let (auth, id) = (&auth, user.id.clone());
            scope.spawn(move || {
                let extra = FieldPatch::new().set(name, value);
                auth.update_user(UserPatch { extra, ..UserPatch::new(id) }).wait().unwrap();
            });
        }
    });
    let expected = WithMore { phone: "p".into(), logins: 9, tags: vec!["t".into()], height: Some(1.7) };
    assert_eq!(auth.get_user(&user.id).wait().unwrap().unwrap().extra, expected);
}
