//! What stands in for providers of OpenID Connect in a program that is built without the feature `providers`: there are
//! none, and options that describe one are refused.

use std::convert::Infallible;
use std::error::Error as StdError;

use authkv::models::UserId;
use clap::ArgMatches;
use serde::{Deserialize, Serialize};

pub(crate) type Problem = Box<dyn StdError + Send + Sync>;

/// Of a provider that cannot be.
pub(crate) struct Registration {
    pub(crate) name: String,
    pub(crate) slug: String,
    pub(crate) issuer: String,
    never: Infallible,
}

pub(crate) struct Provider {
    pub(crate) registration: Registration,
    pub(crate) redirect: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Away {
    pub(crate) link_to: Option<UserId>,
}

pub(crate) struct Identity {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) email: Option<String>,
    pub(crate) name: Option<String>,
}

impl Provider {
    pub(crate) fn new(registration: Registration, _url: &str) -> Result<Self, Problem> {
        match registration.never {}
    }
}

pub(crate) fn registrations(matches: &ArgMatches) -> Result<Vec<Registration>, String> {
    let options = ["issuer", "client_id", "client_secret_env", "provider_name"];
    match options.into_iter().find(|option| matches.contains_id(option)) {
        Some(option) => Err(format!(
            "--{} needs a program that was built with providers: cargo run --release -p authkv-web --features providers",
            option.replace('_', "-")
        )),
        None => Ok(Vec::new()),
    }
}
