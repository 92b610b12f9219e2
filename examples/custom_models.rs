//! Own fields on users and sessions, found by an index, and migrated in the next version of the application.
//!
//! `cargo run --example custom_models` creates a file in a temporary folder, writes it as version 1 of an application
//! would, and opens it as version 2.

use std::error::Error;
use std::path::Path;

use authkv::models::{
    DynamicFields, FieldPatch, FieldRange, Index, MigrationError, Models, NewSession, NewUser, User, UserPatch, Value,
};
use authkv::{AuthKv, UniqueKey};
use chrono::{TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Version 1 of the application: users have a phone number and a plan, sessions a device.
mod version_1 {
    use super::*;

    pub(crate) struct Shop;

    impl Models for Shop {
        const NAME: &'static str = "shop";
        const VERSION: u32 = 1;
        type User = Profile;
        type Account = ();
        type Session = Device;
        type VerificationToken = ();
        // At most one user has a given phone number; many have the same plan.
        const USER_INDEXES: &'static [Index] = &[Index::unique("phone_number"), Index::new("plan")];
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    pub(crate) struct Profile {
        pub(crate) phone_number: Option<String>,
        pub(crate) plan: String,
    }

    // Fields that may be missing in older records have a default. Adding such a field, removing one or reordering
    // fields needs no migration and no new version.
    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    #[serde(default)]
    pub(crate) struct Device {
        pub(crate) user_agent: String,
    }
}

/// Version 2: the plan has become a number of seats.
mod version_2 {
    use super::*;

    pub(crate) struct Shop;

    impl Models for Shop {
        const NAME: &'static str = "shop";
        const VERSION: u32 = 2;
        type User = Profile;
        type Account = ();
        type Session = version_1::Device;
        type VerificationToken = ();
        // The index on the plan is gone, and one on the seats is built for the existing users.
        const USER_INDEXES: &'static [Index] = &[Index::unique("phone_number"), Index::new("seats")];

        fn migrate_user(_from: u32, user: User<DynamicFields>) -> Result<DynamicFields, MigrationError> {
            let mut fields = user.extra;
            let seats = match fields.remove("plan") {
                Some(Value::Text(plan)) if plan == "team" => 10,
                Some(Value::Text(plan)) if plan == "single" => 1,
                // An error leaves the file as it is, so that version 1 can continue to use it.
                _ => return Err("the plan is unknown".into()),
            };
            fields.insert("seats".to_owned(), Value::from(seats));
            Ok(fields)
        }
    }

    #[derive(Clone, Debug, Default, Serialize, Deserialize)]
    pub(crate) struct Profile {
        pub(crate) phone_number: Option<String>,
        pub(crate) seats: u32,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("shop.redb");
    with_version_1(&path)?;
    with_version_2(&path)
}

fn with_version_1(path: &Path) -> Result<(), Box<dyn Error>> {
    use version_1::{Device, Profile, Shop};

    let auth = AuthKv::options().models::<Shop>().open(path)?;
    let profile = Profile { phone_number: Some("+44 20 7946 0018".into()), plan: "single".into() };
    let ada = auth.create_user(NewUser { extra: profile.clone(), ..NewUser::email("ada@example.com") }).wait()?;
    println!("created {} with {:?}", ada.id, ada.extra);

    let device = Device { user_agent: "Firefox on Linux".into() };
    let expires = Utc::now() + TimeDelta::days(30);
    auth.create_session(NewSession {
        extra: device,
        ..NewSession::new("token-in-the-cookie", ada.id.clone(), expires)
    })
    .wait()?;

    // A patch names the fields that it changes; the others stay unchanged.
    let patch = UserPatch { extra: FieldPatch::new().set("plan", "team"), ..UserPatch::new(ada.id) };
    println!("now she has {:?}", auth.update_user(patch).wait()?.extra);

    // The phone number is taken, as an e-mail address could be.
    match auth.create_user(NewUser { extra: profile, ..NewUser::email("eve@example.com") }).wait() {
        Err(authkv::Error::Conflict(UniqueKey::Field(field))) => println!("eve was refused for her {field}"),
        other => println!("unexpected: {other:?}"),
    }

    let found = auth.get_user_by("phone_number", "+44 20 7946 0018").wait()?;
    println!("found by phone number: {:?}", found.map(|user| user.id));
    let page = auth.list_users_by("plan", FieldRange::only("team"), None, 100).wait()?;
    println!("{} user has the plan \"team\"", page.items.len());
    Ok(())
}

fn with_version_2(path: &Path) -> Result<(), Box<dyn Error>> {
    // Opening migrates every record. With many records that takes a while, so progress is reported.
    let auth = AuthKv::options()
        .models::<version_2::Shop>()
        .on_migration(|progress| println!("{:?}: {} records", progress.step, progress.records_done))
        .open(path)?;
    let found = auth.get_session_and_user("token-in-the-cookie").wait()?.ok_or("the session is gone")?;
    println!("version 2 sees {:?} on {:?}", found.user.extra, found.session.extra);
    let page = auth.list_users_by("seats", FieldRange::at_least(5), None, 100).wait()?;
    println!("{} user has five seats or more", page.items.len());
    Ok(())
}
