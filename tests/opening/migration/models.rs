//! The models of one application over the years.

use authkv::models::{Account, DynamicFields, Index, Instant, MigrationError, Models, User, Value};
use serde::{Deserialize, Serialize};

/// Declares models whose users and sessions have own fields.
macro_rules! models {
    ($(#[$doc:meta])* $name:ident: $label:literal $version:literal, $user:ty, $session:ty, {$($rest:item)*}) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Models for $name {
            const NAME: &'static str = $label;
            const VERSION: u32 = $version;
            type User = $user;
            type Account = $session;
            type Session = $session;
            type VerificationToken = $session;
            $($rest)*
        }
    };
}

/// The first version: a phone number in one field.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Phone {
    pub(crate) phone: String,
}

/// The second version: the number in two fields, and a name made of the user's own name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contact {
    pub(crate) country: u16,
    pub(crate) number: String,
    pub(crate) nickname: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Device {
    #[serde(default)]
    pub(crate) device: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Renamed {
    pub(crate) agent: String,
    pub(crate) since: Instant,
}

models!(First: "app" 1, Phone, Device, {
    const USER_INDEXES: &'static [Index] = &[Index::unique("phone")];
});

models!(
    /// The first version with another index.
    Indexed: "app" 1, Phone, Device, {
        const USER_INDEXES: &'static [Index] = &[Index::new("phone")];
    }
);

models!(Second: "app" 2, Contact, Renamed, {
    const USER_INDEXES: &'static [Index] = &[Index::unique("number"), Index::new("country")];

    fn migrate_user(from: u32, user: User<DynamicFields>) -> Result<DynamicFields, MigrationError> {
        assert_eq!(from, 1);
        contact(user)
    }

    fn migrate_account(_: u32, account: Account<DynamicFields>) -> Result<DynamicFields, MigrationError> {
        renamed(account.extra)
    }

    fn migrate_session(_: u32, fields: DynamicFields) -> Result<DynamicFields, MigrationError> {
        renamed(fields)
    }

    fn migrate_verification_token(_: u32, fields: DynamicFields) -> Result<DynamicFields, MigrationError> {
        renamed(fields)
    }
});

models!(
    /// The second version, with a migration whose result does not match the models.
    Careless: "app" 2, Contact, Device, {}
);

models!(Other: "other" 7, Phone, Device, {});

fn contact(user: User<DynamicFields>) -> Result<DynamicFields, MigrationError> {
    let mut fields = user.extra;
    let Some(Value::Text(phone)) = fields.remove("phone") else {
        return Err("there is no phone number".into());
    };
    let (country, number) = phone.split_once(' ').ok_or("the phone number has no country")?;
    let country: u16 = country.trim_start_matches('+').parse()?;
    fields.insert("country".to_owned(), country.into());
    fields.insert("number".to_owned(), number.into());
    fields.insert("nickname".to_owned(), user.name.map_or(Value::Null, Value::from));
    Ok(fields)
}

fn renamed(mut fields: DynamicFields) -> Result<DynamicFields, MigrationError> {
    let device = fields.remove("device").ok_or("there is no device")?;
    fields.insert("agent".to_owned(), device);
    fields.insert("since".to_owned(), chrono::DateTime::UNIX_EPOCH.into());
    Ok(fields)
}
