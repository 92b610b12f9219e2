//! The people: users with an account and a session each, derived from a number and so the same for every peer.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// The maximum number of people: all numbers have the same length in every text.
pub const PEOPLE_MAX: u64 = 10_000_000;

/// When the first person signed up, in milliseconds since 1970; each later one did so a millisecond after the one
/// before.
const FIRST_MS: u64 = 1_750_000_000_000;

pub const PROVIDER: &str = "github";

/// A user with an account, identified by a number below [`PEOPLE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person(pub u64);

/// The stored fields of a user, as an application reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: String,
    pub name: String,
    pub email: String,
    pub image: String,
}

impl Person {
    /// A UUID of version 7, as the store creates them.
    pub fn user_id(self) -> Uuid {
        self.uuid(1)
    }

    pub fn account_id(self) -> Uuid {
        self.uuid(2)
    }

    pub fn name(self) -> String {
        format!("User {:07}", self.0)
    }

    pub fn email(self) -> String {
        format!("user-{:07}@example.com", self.0)
    }

    pub fn image(self) -> String {
        format!("https://avatars.example.com/u/{:07}?v=4", self.0)
    }

    pub fn provider_account_id(self) -> String {
        (50_000_000 + self.0).to_string()
    }

    pub fn access_token(self) -> String {
        format!("gho_{:032x}", self.dice(3).u128(..))
    }

    /// The token of the session that each person starts with.
    pub fn session_token(self) -> String {
        token(&mut self.dice(4))
    }

    fn uuid(self, kind: u64) -> Uuid {
        let mut random = [0; 10];
        self.dice(kind).fill(&mut random);
        Builder::from_unix_timestamp_millis(FIRST_MS + self.0, &random).into_uuid()
    }

    fn dice(self, kind: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.0 * 8 + kind)
    }
}

/// A new token for a session or a link: a UUID of version 4, as Auth.js creates them.
pub fn token(dice: &mut fastrand::Rng) -> String {
    Builder::from_random_bytes(dice.u128(..).to_be_bytes()).into_uuid().to_string()
}

/// The stored hash of a token.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn people_differ_and_their_ids_ascend() {
        let people = || (0..1_000).map(Person);
        assert!(people().map(Person::user_id).is_sorted());
        for texts in [Person::session_token, Person::email, Person::provider_account_id, Person::access_token] {
            assert_eq!(people().map(texts).collect::<BTreeSet<_>>().len(), 1_000);
        }
        assert_eq!(
            people().flat_map(|person| [person.user_id(), person.account_id()]).collect::<BTreeSet<_>>().len(),
            2_000
        );
    }

    #[test]
    fn what_is_stored_of_people_has_the_same_length_for_all() {
        for texts in [Person::session_token, Person::email, Person::name, Person::image, Person::provider_account_id] {
            assert_eq!(texts(Person(0)).len(), texts(Person(PEOPLE_MAX - 1)).len());
        }
    }
}
