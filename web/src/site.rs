//! What this application keeps besides what every store does.

use authkv::models::Models;
use serde::{Deserialize, Serialize};

pub(crate) struct Site;

impl Models for Site {
    const NAME: &'static str = "sign_in";
    const VERSION: u32 = 1;
    type User = ();
    type Account = Shown;
    type Session = Device;
    type VerificationToken = ();
}

/// What the owner of a linked account knows it by.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Shown {
    /// The e-mail address that the provider had verified when the account was linked.
    #[serde(default)]
    pub(crate) email: Option<String>,
}

/// Where somebody has signed in.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Device {
    /// The browser and its system in a few words, such as "Firefox on Windows".
    #[serde(default)]
    pub(crate) browser: String,
}
