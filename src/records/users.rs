//! Users as they are stored.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::limits::{check_control, check_key, check_text, check_trimmed};
use crate::error::{Error, Problem, Result};
use crate::models::{
    Change, DynamicFields, FieldPatch, Fields, Millis, NewUser, RecordName, User, UserId, UserPatch, instant,
};

/// The names that a user's own fields must not have: those of Auth.js, in its spelling. `email_verified` is not one of
/// them: OpenID Connect has a claim of that name, and a user may be created with it.
const RESERVED: &[&str] = &["id", "name", "email", "emailVerified", "image"];

/// When two e-mail addresses are the same. This is a property of a store and cannot be changed later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EmailMatching {
    /// They are the same if they differ only in the case of ASCII letters. Other letters are not folded: a Unicode fold
    /// would let an attacker's look-alike address match a victim's.
    #[default]
    AsciiCaseInsensitive,
    /// They are the same if their bytes are.
    Exact,
}

impl EmailMatching {
    pub(crate) const ALL: [Self; 2] = [Self::AsciiCaseInsensitive, Self::Exact];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AsciiCaseInsensitive => "ASCII case-insensitive",
            Self::Exact => "exact",
        }
    }
}

/// An e-mail address in its original spelling, with the normal form used for comparisons.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Email {
    spelling: String,
    /// `None` if it equals the spelling.
    normal_form: Option<String>,
}

impl Email {
    pub(crate) fn new(spelling: String, matching: EmailMatching) -> Self {
        // Looking at every byte takes fewer instructions than stopping at the first capital.
        let has_capitals = || spelling.bytes().fold(false, |found, byte| found | byte.is_ascii_uppercase());
        let folds = matching == EmailMatching::AsciiCaseInsensitive && has_capitals();
        let normal_form = folds.then(|| spelling.to_ascii_lowercase());
        Self { spelling, normal_form }
    }

    /// The address that somebody has typed in or that a request names: without blanks around it.
    pub(crate) fn typed(text: &str, matching: EmailMatching) -> Self {
        Self::new(text.trim().to_owned(), matching)
    }

    /// Refuses what nothing can be sent to. A line break at the end is no blank that somebody typed.
    pub(crate) fn sendable(text: &str, matching: EmailMatching) -> Result<Self> {
        check_control("address", text)?;
        let address = Self::typed(text, matching);
        check_key("address", &address.spelling)?;
        Ok(address)
    }

    /// Refuses what cannot be an e-mail address, where one is proven.
    pub(crate) fn provable(text: &str, matching: EmailMatching) -> Result<Self> {
        let address = Self::sendable(text, matching)?;
        if address.spelling.contains('@') { Ok(address) } else { Err(Error::invalid("address", Problem::NotAnEmail)) }
    }

    pub(crate) fn into_spelling(self) -> String {
        self.spelling
    }

    pub(crate) fn normal_form(&self) -> &String {
        self.normal_form.as_ref().unwrap_or(&self.spelling)
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct UserRecord {
    /// The key.
    #[serde(skip, default = "crate::models::unknown")]
    pub(crate) id: UserId,
    pub(crate) name: Option<String>,
    pub(crate) email: Option<Email>,
    pub(crate) email_verified: Option<Millis>,
    pub(crate) image: Option<String>,
    pub(crate) created: Millis,
    /// How many times all sessions of the user were ended at once.
    pub(crate) sign_outs: u32,
    pub(crate) extra: Fields,
}

impl UserRecord {
    /// The names that own fields must not have.
    pub(crate) const RESERVED: &'static [&'static str] = RESERVED;

    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new<X: Serialize + DeserializeOwned>(
        user: NewUser<X>,
        fresh_id: impl FnOnce() -> UserId,
        matching: EmailMatching,
        created: Millis,
    ) -> Result<Self> {
        let id = user.id.unwrap_or_else(fresh_id);
        let [name, email, image] = [user.name, user.email, user.image].map(unless_empty);
        check_key("id", id.as_str())?;
        check(name.as_deref(), email.as_deref(), image.as_deref())?;
        Ok(Self {
            id,
            name,
            email: email.map(|spelling| Email::new(spelling, matching)),
            email_verified: user.email_verified.map(Millis::from),
            image,
            created,
            sign_outs: 0,
            extra: Fields::of(&user.extra, RESERVED)?,
        })
    }

    /// Returns the record with other own fields.
    pub(crate) fn with_fields(self, fields: &DynamicFields) -> Result<Self> {
        Ok(Self { extra: self.extra.changed_to(fields, RESERVED)?, ..self })
    }

    /// Returns the user with one more sign-out of all sessions.
    pub(crate) fn signed_out(self) -> Self {
        Self { sign_outs: self.sign_outs.wrapping_add(1), ..self }
    }

    /// Returns the user with this e-mail address.
    pub(crate) fn with_email(self, email: Email) -> Self {
        Self { email: Some(email), ..self }
    }

    /// Returns the user with their e-mail address verified at `now`.
    pub(crate) fn verified(self, now: Millis) -> Self {
        Self { email_verified: Some(now), ..self }
    }

    /// True if this is the user's address, in whatever spelling.
    pub(crate) fn has_email(&self, email: &Email) -> bool {
        self.email.as_ref().is_some_and(|own| own.normal_form() == email.normal_form())
    }

    /// True if somebody has proven to receive mail at the user's e-mail address.
    pub(crate) fn has_verified_email(&self) -> bool {
        self.email.is_some() && self.email_verified.is_some()
    }

    pub(crate) fn into_model<X: DeserializeOwned + 'static>(self) -> Result<User<X>> {
        Ok(User {
            extra: self.extra.into_extra().map_err(|misfit| misfit.of(RecordName::User(&self.id)))?,
            id: self.id,
            name: self.name,
            email: self.email.map(|email| email.spelling),
            email_verified: self.email_verified.map(instant).transpose()?,
            image: self.image,
            created: instant(self.created)?,
        })
    }
}

/// A checked patch.
#[derive(Clone)]
pub(crate) struct UserUpdate {
    pub(crate) id: UserId,
    pub(crate) email: Change<Email>,
    pub(crate) name: Change<String>,
    pub(crate) email_verified: Change<Millis>,
    pub(crate) image: Change<String>,
    pub(crate) extra: FieldPatch,
}

impl UserUpdate {
    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new(patch: UserPatch, matching: EmailMatching) -> Result<Self> {
        let text = |change: &Change<String>| change.value().cloned();
        if patch.email.value().is_some_and(String::is_empty) {
            return Err(Error::invalid("email", Problem::ClearInstead));
        }
        check(text(&patch.name).as_deref(), text(&patch.email).as_deref(), text(&patch.image).as_deref())?;
        patch.extra.check(RESERVED)?;
        Ok(Self {
            id: patch.id,
            email: patch.email.map(|spelling| Email::new(spelling, matching)),
            name: patch.name,
            email_verified: patch.email_verified.map(Millis::from),
            image: patch.image,
            extra: patch.extra,
        })
    }

    pub(crate) fn apply(&self, user: &UserRecord) -> UserRecord {
        let mut user = UserRecord { email_verified: self.proof(user), ..user.clone() };
        self.name.apply(&mut user.name);
        self.email.apply(&mut user.email);
        self.image.apply(&mut user.image);
        user.extra.apply(&self.extra);
        user
    }

    /// The proof of the address that `user` has after the patch. A proof belongs to one address: the proof of the old one
    /// does not count for a new one, even if the patch repeats it, as one made of a whole user does.
    fn proof(&self, user: &UserRecord) -> Option<Millis> {
        let mut proof = user.email_verified;
        self.email_verified.apply(&mut proof);
        match &self.email {
            Change::Keep => proof,
            Change::Clear => None,
            Change::Set(email) if user.has_email(email) => proof,
            Change::Set(_) => proof.filter(|proof| user.email_verified != Some(*proof)),
        }
    }
}

/// An empty text counts as absent: a provider or a form that has no value often sends one, and an empty address would be
/// the address of whoever comes first.
fn unless_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn check(name: Option<&str>, email: Option<&str>, image: Option<&str>) -> Result<()> {
    check_text("name", name)?;
    email.map_or(Ok(()), |email| check_key("email", email).and_then(|()| check_trimmed("email", email)))?;
    check_text("image", image)
}
