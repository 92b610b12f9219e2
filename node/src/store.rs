//! The handle on a store that JavaScript has: the methods of the adapter, and opening and closing.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use authkv::models::{Cursor, Dynamic};
use authkv::{AuthKv, Reply};
use napi::bindgen_prelude::{AsyncTask, Either};
use napi::{Env, Task};
use napi_derive::napi;

use crate::answer::Answers;
use crate::failure::{Failure, Result};
use crate::input::Input;
use crate::options::Options;
use crate::output::{Output, text};
use crate::records;
use crate::registry::Shared;
use crate::slow::Slow;

/// A handle on a store. Every method returns the text of its answer, or nothing if the answer comes later, under the
/// ticket that was given.
#[napi]
pub struct Store {
    /// None after it was closed.
    shared: Mutex<Option<Shared>>,
    answers: Answers,
}

/// Opens a store, or returns the text of an error. Without a path the store is in memory.
#[napi]
pub fn open(path: Option<String>, options: String, answers: &Answers) -> Either<Store, String> {
    store_or_error(open_shared(path, &options), answers.share())
}

/// Opens a store on another thread.
#[napi(ts_return_type = "Promise<Store | string>")]
pub fn open_later(path: Option<String>, options: String, answers: &Answers) -> AsyncTask<Opening> {
    AsyncTask::new(Opening { path, options, answers: answers.share() })
}

pub struct Opening {
    path: Option<String>,
    options: String,
    answers: Answers,
}

impl Task for Opening {
    type Output = Result<Shared>;
    type JsValue = Either<Store, String>;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        Ok(open_shared(self.path.take(), &self.options))
    }

    fn resolve(&mut self, _: Env, shared: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(store_or_error(shared, self.answers.share()))
    }
}

fn open_shared(path: Option<String>, options: &str) -> Result<Shared> {
    let options = Options::parse(options)?;
    match path {
        Some(path) => Shared::open(&PathBuf::from(path), options),
        None => Shared::in_memory(&options),
    }
}

fn store_or_error(shared: Result<Shared>, answers: Answers) -> Either<Store, String> {
    match shared {
        Ok(shared) => Either::A(Store { shared: Mutex::new(Some(shared)), answers }),
        Err(failure) => Either::B(text::<()>(Err(failure))),
    }
}

impl Store {
    fn auth(&self) -> Result<AuthKv<Dynamic>> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.as_ref().map(|shared| shared.auth.clone()).ok_or_else(Failure::closed)
    }

    fn call<T: Output + Send + 'static>(
        &self,
        ticket: u32,
        call: impl FnOnce(AuthKv<Dynamic>) -> Result<Reply<T>>,
    ) -> Option<String> {
        match self.auth().and_then(call) {
            Ok(reply) => self.answers.answer(reply, ticket),
            Err(failure) => Some(text::<()>(Err(failure))),
        }
    }

    /// A call that takes a record.
    fn call_with<I, T: Output + Send + 'static>(
        &self,
        ticket: u32,
        record: &str,
        read: impl FnOnce(Input) -> Result<I>,
        call: impl FnOnce(AuthKv<Dynamic>, I) -> Reply<T>,
    ) -> Option<String> {
        self.call(ticket, |auth| Ok(call(auth, read(Input::parse(record)?)?)))
    }
}

#[napi]
impl Store {
    #[napi]
    pub fn create_user(&self, ticket: u32, user: String) -> Option<String> {
        self.call_with(ticket, &user, records::new_user, |auth, user| auth.create_user(user))
    }

    #[napi]
    pub fn get_user(&self, ticket: u32, id: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.get_user(id)))
    }

    #[napi]
    pub fn get_user_by_email(&self, ticket: u32, email: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.get_user_by_email(&email)))
    }

    #[napi]
    pub fn get_user_by_account(&self, ticket: u32, account: String) -> Option<String> {
        self.call_with(ticket, &account, records::account_key, |auth, account| auth.get_user_by_account(&account))
    }

    #[napi]
    pub fn update_user(&self, ticket: u32, patch: String) -> Option<String> {
        self.call_with(ticket, &patch, records::user_patch, |auth, patch| auth.update_user(patch))
    }

    #[napi]
    pub fn delete_user(&self, ticket: u32, id: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.delete_user(id)))
    }

    #[napi]
    pub fn link_account(&self, ticket: u32, account: String) -> Option<String> {
        self.call_with(ticket, &account, records::new_account, |auth, account| auth.link_account(account))
    }

    #[napi]
    pub fn unlink_account(&self, ticket: u32, account: String) -> Option<String> {
        self.call_with(ticket, &account, records::account_key, |auth, account| auth.unlink_account(&account))
    }

    #[napi]
    pub fn get_account(&self, ticket: u32, account: String) -> Option<String> {
        self.call_with(ticket, &account, records::account_key, |auth, account| auth.get_account(account))
    }

    #[napi]
    pub fn create_session(&self, ticket: u32, session: String) -> Option<String> {
        self.call_with(ticket, &session, records::new_session, |auth, session| auth.create_session(session))
    }

    #[napi]
    pub fn get_session_and_user(&self, ticket: u32, session_token: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.get_session_and_user(&session_token)))
    }

    #[napi]
    pub fn update_session(&self, ticket: u32, patch: String) -> Option<String> {
        self.call_with(ticket, &patch, records::session_patch, |auth, patch| auth.update_session(patch))
    }

    #[napi]
    pub fn delete_session(&self, ticket: u32, session_token: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.delete_session(&session_token)))
    }

    #[napi]
    pub fn create_verification_token(&self, ticket: u32, token: String) -> Option<String> {
        self.call_with(ticket, &token, records::verification_token, |auth, token| auth.create_verification_token(token))
    }

    #[napi]
    pub fn use_verification_token(&self, ticket: u32, identifier: Option<String>, token: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.use_verification_token(identifier.as_deref(), &token)))
    }

    #[napi]
    pub fn create_authenticator(&self, ticket: u32, authenticator: String) -> Option<String> {
        self.call_with(ticket, &authenticator, records::authenticator, |auth, authenticator| {
            auth.create_authenticator(authenticator)
        })
    }

    #[napi]
    pub fn get_authenticator(&self, ticket: u32, credential_id: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.get_authenticator(credential_id)))
    }

    #[napi]
    pub fn list_authenticators_by_user_id(&self, ticket: u32, user_id: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.list_authenticators_by_user_id(user_id)))
    }

    #[napi]
    pub fn update_authenticator_counter(&self, ticket: u32, credential_id: String, counter: u32) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.update_authenticator_counter(credential_id, counter)))
    }

    #[napi]
    pub fn find_verification_token(&self, ticket: u32, identifier: String, token: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.find_verification_token(&identifier, &token)))
    }

    #[napi]
    pub fn advance_counter(&self, ticket: u32, credential_id: String, from: u32, to: u32) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.advance_counter(credential_id, from, to)))
    }

    #[napi]
    pub fn list_sessions(&self, ticket: u32, user_id: String, after: Option<String>, limit: u32) -> Option<String> {
        self.call(ticket, |auth| {
            let after = after.map(|after| after.parse()).transpose();
            let after: Option<Cursor> = after.map_err(|_| Failure::invalid("after", "is no cursor of a list"))?;
            Ok(auth.list_sessions(user_id, after.as_ref(), limit as usize))
        })
    }

    #[napi]
    pub fn end_session(&self, ticket: u32, user_id: String, id: String) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.end_session(user_id, id)))
    }

    #[napi]
    pub fn end_sessions(&self, ticket: u32, user_id: String, except: Option<String>) -> Option<String> {
        self.call(ticket, |auth| {
            Ok(match except {
                Some(except) => auth.end_other_sessions(user_id, except),
                None => auth.end_all_sessions(user_id),
            })
        })
    }

    #[napi]
    pub fn purge_expired(&self, ticket: u32) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.purge_expired()))
    }

    #[napi]
    pub fn stats(&self, ticket: u32) -> Option<String> {
        self.call(ticket, |auth| Ok(Reply::ready(Ok(auth.stats()))))
    }

    /// Counts fields that were left out or changed before a record came here.
    #[napi]
    pub fn count_cleaned(&self, fields: u32) {
        // A handle that was closed meanwhile shows no counters.
        if let Ok(auth) = self.auth() {
            auth.count_cleaned(fields.into());
        }
    }

    #[napi]
    pub fn synchronize(&self, ticket: u32) -> Option<String> {
        self.call(ticket, |auth| Ok(auth.synchronize()))
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn check(&self) -> AsyncTask<Slow> {
        let auth = self.auth();
        Slow::run(move || Ok(auth?.check().wait()?))
    }

    #[napi(ts_return_type = "Promise<string>")]
    pub fn close(&self) -> AsyncTask<Slow> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner).take();
        Slow::run(move || shared.ok_or_else(Failure::closed)?.close())
    }
}
