//! References from the expiry index to records, as part of its keys.

use crate::kv::key::{Key, take};
use crate::models::{SessionId, TokenHash, UserId};

/// The record that an entry of the expiry index points to.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Expiring {
    Session(UserId, SessionId),
    Token(TokenHash, String),
    OldCode(String),
    State(TokenHash),
    WebSession(TokenHash),
    CodeRequest(TokenHash),
    GuessBudget(TokenHash),
}

impl Key for Expiring {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Session(user_id, id) => {
                out.push(1);
                user_id.write(out);
                id.write(out);
            }
            Self::Token(hash, identifier) => {
                out.push(2);
                hash.write(out);
                identifier.write(out);
            }
            Self::OldCode(identifier) => {
                out.push(3);
                identifier.write(out);
            }
            Self::State(hash) => {
                out.push(4);
                hash.write(out);
            }
            Self::WebSession(hash) => {
                out.push(5);
                hash.write(out);
            }
            Self::CodeRequest(hash) => {
                out.push(6);
                hash.write(out);
            }
            Self::GuessBudget(hash) => {
                out.push(7);
                hash.write(out);
            }
        }
    }

    fn read(input: &mut &[u8]) -> Option<Self> {
        match take(input)? {
            [1] => Some(Self::Session(Key::read(input)?, Key::read(input)?)),
            [2] => Some(Self::Token(Key::read(input)?, Key::read(input)?)),
            [3] => Some(Self::OldCode(Key::read(input)?)),
            [4] => Some(Self::State(Key::read(input)?)),
            [5] => Some(Self::WebSession(Key::read(input)?)),
            [6] => Some(Self::CodeRequest(Key::read(input)?)),
            [7] => Some(Self::GuessBudget(Key::read(input)?)),
            _ => None,
        }
    }
}
