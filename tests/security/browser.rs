//! A browser that asks for codes and types them in.

use authkv::AuthKv;
pub(crate) use authkv::models::SIGN_IN;
use authkv::models::{CodeCheck, IssuedCode, Visitor};
use chrono::TimeDelta;

pub(crate) const ADA: &str = "ada@example.com";
pub(crate) const MINUTES: TimeDelta = TimeDelta::minutes(10);

/// It keeps the handle of its last request, as a cookie.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) request: Option<String>,
}

impl Browser {
    pub(crate) fn visitor(&self) -> Visitor<'_> {
        Visitor { request: self.request.as_deref(), ..Visitor::default() }
    }

    pub(crate) fn asks_for(&mut self, kv: &AuthKv, purpose: &str, address: &str, valid_for: TimeDelta) -> IssuedCode {
        let issued = kv.issue_code(purpose, address, valid_for, self.visitor()).wait().unwrap();
        let text = issued.code.reveal();
        assert!(text.len() == issued.digits as usize && text.bytes().all(|byte| byte.is_ascii_digit()));
        self.request = Some(issued.request.reveal().to_owned());
        issued
    }

    /// Asks for a code to sign in with, and returns it.
    pub(crate) fn asks(&mut self, kv: &AuthKv, address: &str) -> String {
        self.asks_for(kv, SIGN_IN, address, MINUTES).code.reveal().to_owned()
    }

    pub(crate) fn types_for(&self, kv: &AuthKv, purpose: &str, code: &str) -> CodeCheck {
        kv.verify_code(purpose, code, self.visitor()).wait().unwrap()
    }

    pub(crate) fn types(&self, kv: &AuthKv, code: &str) -> CodeCheck {
        self.types_for(kv, SIGN_IN, code)
    }
}

pub(crate) fn right(address: &str) -> CodeCheck {
    CodeCheck::Right { address: address.to_owned() }
}

pub(crate) fn wrong(guesses_left: u32) -> CodeCheck {
    CodeCheck::Wrong { guesses_left }
}
