//! How a store is opened: the options as JavaScript spells them.

use authkv::models::Dynamic;
use authkv::{AuthKv, Durability, EmailMatching};

use crate::failure::{Failure, Result};
use crate::input::Input;

/// The options of a store. `None` stands for the default of the crate.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Options {
    synchronize: bool,
    verify: bool,
    secure_delete: bool,
    durability: Durability,
    email_matching: EmailMatching,
    cache_bytes: Option<usize>,
}

impl Options {
    pub(crate) fn parse(json: &str) -> Result<Self> {
        let mut input = Input::parse(json)?;
        let options = Self {
            synchronize: input.truth("synchronize")?.unwrap_or(true),
            verify: input.truth("verify")?.unwrap_or(false),
            secure_delete: input.truth("secureDelete")?.unwrap_or(false),
            durability: match input.text("durability")?.as_deref() {
                None | Some("full") => Durability::Full,
                Some("deferred") => Durability::Deferred,
                Some(_) => return Err(Failure::invalid("durability", "must be \"full\" or \"deferred\"")),
            },
            email_matching: match input.text("emailMatching")?.as_deref() {
                None | Some("ascii-case-insensitive") => EmailMatching::AsciiCaseInsensitive,
                Some("exact") => EmailMatching::Exact,
                Some(_) => {
                    return Err(Failure::invalid("emailMatching", "must be \"ascii-case-insensitive\" or \"exact\""));
                }
            },
            cache_bytes: input.integer("cacheBytes")?,
        };
        input.end("is not an option")?;
        Ok(options)
    }

    pub(crate) fn to_rust(&self) -> authkv::Options<Dynamic> {
        let options = AuthKv::options()
            .synchronize(self.synchronize)
            .verify(self.verify)
            .secure_delete(self.secure_delete)
            .durability(self.durability)
            .email_matching(self.email_matching);
        match self.cache_bytes {
            Some(bytes) => options.cache_bytes(bytes),
            None => options,
        }
        .models::<Dynamic>()
    }
}
