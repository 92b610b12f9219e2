//! Sessions for applications: created with a random token, extended while in use, listed and ended.

use std::sync::Arc;

use crate::error::{Error, Result, StorageError};
use crate::kv::txn::Txn;
use crate::models::{
    Authenticated, Check, Cursor, Extra, Millis, Models, NewSession, Page, Session, SessionAndUser, SessionId,
    SessionInfo, SessionPatch, Token, TokenHash, UserId, instant,
};
use crate::ops::sessions::{self, AnySession, Ended, FoundSession};
use crate::records::{AsOf, SessionRecord, SessionUpdate};
use crate::reply::Reply;
use crate::store::lists::page_limit;
use crate::store::shown::Trial;
use crate::store::{AuthKv, fresh_id};

/// # Sessions
impl<M: Models> AuthKv<M> {
    /// Creates a session. An expired session with the same token is replaced.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser), [`Conflict`](crate::Error::Conflict) when the token is in use, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let session = auth.create_session(NewSession::new("a-secret", ada.id, expires)).wait()?;
    /// assert_eq!(session.session_token.reveal(), "a-secret");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn create_session(&self, session: NewSession<M::Session>) -> Reply<Session<M::Session>> {
        let (token, as_of) = (session.session_token.clone(), self.as_of());
        match SessionRecord::new(session, fresh_id(), as_of.now) {
            Ok(session) => self.add_session(session, token, as_of),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Returns the session with this token and its user, both from one moment, or `None` if the session is unknown or
    /// has expired.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.create_session(NewSession::new("a-secret", ada.id.clone(), expires)).wait()?;
    /// let found = auth.get_session_and_user("a-secret").wait()?.expect("it was just created");
    /// assert_eq!(found.user, ada);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn get_session_and_user(&self, session_token: &str) -> Reply<Option<SessionAndUser<M::User, M::Session>>> {
        let (token, as_of) = (Token::from(session_token), self.as_of());
        self.find_session(&token.hash(), as_of, |found| found.map(|found| found.into_model(token)).transpose())
    }

    /// Changes the fields that the patch names and returns the session. Returns `None` if the session is unknown or has
    /// expired; it never creates one.
    ///
    /// # Errors
    /// [`UnknownUser`](crate::Error::UnknownUser) when the patch names a user who does not exist, and
    /// [`InvalidArgument`](crate::Error::InvalidArgument).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.create_session(NewSession::new("a-secret", ada.id, expires)).wait()?;
    /// let later = expires + chrono::Days::new(30);
    /// let patch = SessionPatch { expires: Some(later), ..SessionPatch::new("a-secret") };
    /// assert!(auth.update_session(patch).wait()?.is_some());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn update_session(&self, patch: SessionPatch) -> Reply<Option<Session<M::Session>>> {
        let (token, as_of) = (patch.session_token.clone(), self.as_of());
        let update = match SessionUpdate::new(patch) {
            Ok(update) => update,
            Err(error) => return Reply::ready(Err(error)),
        };
        let (trial, patch) = (Trial::of_patch::<M::Session>(&update.extra), update.extra.clone());
        self.write_shown(
            trial,
            move |txn| sessions::update(txn, &update, as_of),
            |session| session.as_ref().map(|session| session.extra.clone()),
            move |session| {
                let Some(session) = session else { return Ok(None) };
                session.extra.check_patched::<M::Session>(&patch)?;
                session.into_model(token.clone(), as_of.max_age).map(Some)
            },
        )
    }

    /// Removes a session, expired or not, and returns it. Returns `None` if there is none, as with a stale cookie.
    ///
    /// ```
    /// # use authkv::{AuthKv, models::*};
    /// # let auth = AuthKv::in_memory()?;
    /// # let expires = chrono::Utc::now() + chrono::Days::new(30);
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// auth.create_session(NewSession::new("a-secret", ada.id, expires)).wait()?;
    /// assert!(auth.delete_session("a-secret").wait()?.is_some());
    /// assert!(auth.delete_session("a-secret").wait()?.is_none());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn delete_session(&self, session_token: &str) -> Reply<Option<Session<M::Session>>> {
        let (token, max_age) = (Token::from(session_token), self.session_ages().max);
        let hash = token.hash();
        self.write(
            move |txn| sessions::delete(txn, &hash),
            move |session| session.map(|session| session.into_model(token, max_age)).transpose(),
        )
    }

    /// Signs a user in: creates a session with a new 256-bit token, valid for the
    /// [`session_max_age`](crate::Options::session_max_age). The token is only in the answer; the store keeps its hash.
    ///
    /// # Errors
    /// The errors of [`create_session`](crate::Adapter::create_session), and [`Storage`](crate::Error::Storage) when the
    /// operating system cannot provide randomness.
    ///
    /// ```
    /// use authkv::models::NewUser;
    /// use authkv::AuthKv;
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let session = auth.start_session(&ada.id).wait()?;
    /// // Put session.session_token into a cookie; on each request:
    /// let here = auth.authenticate(session.session_token.reveal()).wait()?.passed().expect("the session is valid");
    /// assert_eq!(here.user, ada);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "login")]
    pub fn start_session(&self, user_id: impl Into<UserId>) -> Reply<Session<M::Session>>
    where
        M::Session: Default,
    {
        self.start_session_with(user_id, M::Session::default())
    }

    /// Like [`start_session`](Self::start_session), with own fields.
    ///
    /// # Errors
    /// The errors of [`start_session`](Self::start_session).
    pub fn start_session_with(&self, user_id: impl Into<UserId>, extra: M::Session) -> Reply<Session<M::Session>> {
        let as_of = self.as_of();
        match fresh_session(user_id.into(), extra, as_of) {
            Ok((session, token)) => self.add_session(session, token, as_of),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    pub(crate) fn add_session(&self, session: SessionRecord, token: Token, as_of: AsOf) -> Reply<Session<M::Session>> {
        self.write(
            move |txn| sessions::create(txn, &session, as_of).map(|()| session.clone()),
            move |session| session.into_model(token, as_of.max_age),
        )
    }

    /// Finds the session with this token and its user, for every request. The check fails if there is no such session or
    /// it has expired.
    ///
    /// A session that the store made ends at the [`session_max_age`](crate::Options::session_max_age) after its last
    /// extension at the latest, also if it was made under a longer one. Every session, however it was created, is
    /// extended to the maximum age from now if its last extension is older than the
    /// [`session_update_age`](crate::Options::session_update_age), as in Auth.js. The extension happens after the
    /// answer: the call waits for no write and returns the session as it was before; a later call sees the new expiry.
    /// Of a burst of requests one extends the session and says so ([`extended`](Authenticated::extended)): set the cookie
    /// again then. None revives a session that has been ended or has expired meanwhile.
    ///
    /// # Errors
    /// The errors of every reading method of [`Adapter`](crate::Adapter).
    pub fn authenticate(&self, session_token: &str) -> Reply<Check<Authenticated<M::User, M::Session>>> {
        let (token, as_of) = (Token::from(session_token), self.as_of());
        let hash = token.hash();
        self.then(self.find_session(&hash, as_of, Ok), move |auth, found| {
            let extended = match &found {
                Ok(Some(found)) => auth.extend_if_due(hash, found.expires, as_of),
                _ => None,
            };
            Reply::by(move || {
                let Some(found) = found? else { return Ok(Check::Failed) };
                let extended = extended.map(instant).transpose()?;
                let SessionAndUser { session, user } = found.into_model(token)?;
                Ok(Check::Passed(Authenticated { user, session, extended }))
            })
        })
    }

    /// Signs a visitor out: removes the session with this token, expired or not. Answers true if there was one, and false
    /// for a stale cookie. [`delete_session`](Self::delete_session) returns the session.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::NewUser};
    /// # let auth = AuthKv::in_memory()?;
    /// # let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let token = auth.start_session(&ada.id).wait()?.session_token;
    /// assert!(auth.sign_out(token.reveal()).wait()?);
    /// assert!(!auth.authenticate(token.reveal()).wait()?.has_passed());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    #[doc(alias = "logout")]
    pub fn sign_out(&self, session_token: &str) -> Reply<bool> {
        let hash = Token::from(session_token).hash();
        self.write(move |txn| sessions::delete(txn, &hash), |session| Ok(session.is_some()))
    }

    /// A page of the valid sessions of a user, oldest first. `after` is the [`next`](Page::next) of the previous page; a
    /// page has at most `limit` sessions, from 1 to 1,000.
    ///
    /// At most 5,000 sessions are read for a page, expired ones that are not purged yet included: behind so many the
    /// page ends, and may have fewer sessions than `limit`, or none, although there are more. Go on while there is a
    /// `next`. Each page is read from one snapshot.
    ///
    /// The order is that of the sessions' ids, which ascend with the clock of the machine that created them.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) for another limit, and the errors of every reading method of
    /// [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::NewUser};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let here = auth.start_session(&ada.id).wait()?;
    /// let page = auth.list_sessions(&ada.id, None, 100).wait()?;
    /// assert_eq!(page.items[0].id, here.id);
    /// assert_eq!(page.next, None, "these are all");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn list_sessions(
        &self,
        user_id: impl Into<UserId>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Reply<Page<SessionInfo<M::Session>>> {
        let (user_id, as_of, after, limit) = (user_id.into(), self.as_of(), after.cloned(), page_limit(limit));
        self.read(
            move |txn| sessions::page(txn, &user_id, as_of, after.as_ref(), limit.clone()?),
            move |page| page.try_map(|session| session.into_info(as_of.max_age)),
        )
    }

    /// A page of the valid sessions of all users, in the order of the users' ids, and of the sessions' ids for each. Web
    /// sessions are not in it. Otherwise like [`list_sessions`](Self::list_sessions).
    ///
    /// # Errors
    /// The errors of [`list_sessions`](Self::list_sessions).
    pub fn list_all_sessions(&self, after: Option<&Cursor>, limit: usize) -> Reply<Page<SessionInfo<M::Session>>> {
        let (as_of, after, limit) = (self.as_of(), after.cloned(), page_limit(limit));
        self.read(
            move |txn| sessions::page_of_all(txn, as_of, after.as_ref(), limit.clone()?),
            move |page| page.try_map(|session| session.into_info(as_of.max_age)),
        )
    }

    /// How many sessions are stored. Sessions that have expired count until they are purged, and those of a deleted user
    /// until they are removed; [`count_expired`](Self::count_expired) counts the expired ones. It takes as long as one
    /// lookup.
    ///
    /// # Errors
    /// The errors of every reading method of [`Adapter`](crate::Adapter).
    pub fn count_sessions(&self) -> Reply<u64> {
        self.read(sessions::count, Ok)
    }

    /// Ends one of a user's sessions by its id, for example from a list that the user sees. Answers the ended session,
    /// or `None` if this user has no such session, so nobody can end another user's session.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    pub fn end_session(
        &self,
        user_id: impl Into<UserId>,
        id: impl Into<SessionId>,
    ) -> Reply<Option<SessionInfo<M::Session>>> {
        let (user_id, id, max_age) = (user_id.into(), id.into(), self.session_ages().max);
        self.write(
            move |txn| sessions::end(txn, &user_id, &id),
            move |session| session.map(|session| session.into_info(max_age)).transpose(),
        )
    }

    /// Ends all sessions of a user, [web sessions](crate::WebSessions) included, and answers how many there were, expired
    /// ones included. On a file this is one step. On a cluster it takes several, so some sessions may have ended when it
    /// answers an error; call it again.
    ///
    /// The user's security stamp changes, which ends the user's axum-login sessions wherever they are stored.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    /// [`OutcomeUnknown`](crate::Error::OutcomeUnknown) also when a session is missing or damaged: the others have ended,
    /// but that one may still be valid until the store is [repaired](Self::repair).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::NewUser};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let session = auth.start_session(&ada.id).wait()?;
    /// assert_eq!(auth.end_all_sessions(&ada.id).wait()?, 1);
    /// assert!(!auth.authenticate(session.session_token.reveal()).wait()?.has_passed());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn end_all_sessions(&self, user_id: impl Into<UserId>) -> Reply<usize> {
        self.end_sessions(user_id.into(), None)
    }

    /// Ends the other sessions of a user, as [`end_all_sessions`](Self::end_all_sessions) does, and keeps this one. The
    /// security stamp stays.
    ///
    /// # Errors
    /// [`UnknownSession`](crate::Error::UnknownSession) when the user has no such session to keep; none is ended then. The
    /// errors of [`end_all_sessions`](Self::end_all_sessions).
    ///
    /// ```
    /// # use authkv::{AuthKv, models::NewUser};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let this_device = auth.start_session(&ada.id).wait()?;
    /// let another = auth.start_session(&ada.id).wait()?;
    /// assert_eq!(auth.end_other_sessions(&ada.id, &this_device.id).wait()?, 1);
    /// assert!(!auth.authenticate(another.session_token.reveal()).wait()?.has_passed());
    /// assert!(auth.authenticate(this_device.session_token.reveal()).wait()?.has_passed());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn end_other_sessions(&self, user_id: impl Into<UserId>, keep: impl Into<SessionId>) -> Reply<usize> {
        self.end_sessions(user_id.into(), Some(AnySession::Session(keep.into())))
    }

    pub(crate) fn end_sessions(&self, user_id: UserId, keep: Option<AnySession>) -> Reply<usize> {
        self.end_more_sessions(user_id, keep, 0)
    }

    /// Ends sessions step after step, `before` of them so far: on a shared store a step ends only a few.
    fn end_more_sessions(&self, user_id: UserId, keep: Option<AnySession>, before: usize) -> Reply<usize> {
        let (of_user, but, is_first) = (user_id.clone(), keep.clone(), before == 0);
        let step = move |txn: &mut Txn<'_>| {
            if let (Some(keep), true) = (&but, is_first) {
                sessions::require(txn, &of_user, keep)?;
            }
            sessions::end_all(txn, &of_user, but.as_ref())
        };
        if !self.is_shared() {
            return self.write(step, |ended| if ended.damaged { Err(not_all_ended()) } else { Ok(ended.count) });
        }
        self.then(self.write(step, Ok), move |auth, ended| match ended {
            Ok(Ended { count, more: true, .. }) => auth.end_more_sessions(user_id, keep, before + count),
            // It is met in the last step again.
            Ok(Ended { damaged: true, .. }) => Reply::ready(Err(not_all_ended())),
            Ok(Ended { count, .. }) => Reply::ready(Ok(before + count)),
            Err(error) => Reply::ready(Err(error)),
        })
    }

    /// The session with this token and its user, if it is valid. `finish` turns it into the caller's value.
    pub(crate) fn find_session<T: Send + 'static>(
        &self,
        token: &TokenHash,
        as_of: AsOf,
        finish: impl FnOnce(Option<Arc<FoundSession>>) -> Result<T> + Send + 'static,
    ) -> Reply<T> {
        let (token, hot) = (*token, self.hot_sessions());
        let find = move |txn: &Txn<'_>| sessions::session_and_user(txn, &token, as_of);
        if let Some(found) = hot.get(&token, |read_set| self.is_fresh(read_set)) {
            return Reply::ready(finish(Some(found).filter(|found| found.is_valid(as_of.now))));
        }
        if !hot.wants(&token) {
            return self.read(find, finish);
        }
        match self.read_recorded(find) {
            Some(Ok((found, read_set))) => {
                if let (Some(found), Some(read_set)) = (&found, read_set) {
                    hot.keep(token, Arc::clone(found), read_set, |read_set| self.is_fresh(read_set));
                }
                Reply::ready(finish(found))
            }
            Some(Err(error)) => Reply::ready(Err(error)),
            None => self.read(find, finish),
        }
    }

    /// Begins to extend a session if that is due, and returns the new expiry.
    fn extend_if_due(&self, hash: TokenHash, expires: Millis, as_of: AsOf) -> Option<Millis> {
        let until = as_of.now.plus(as_of.max_age);
        let due = until.plus(-self.session_ages().update);
        if expires >= due {
            return None;
        }
        let extension = self.extensions().claim(hash)?;
        let extend = move |txn: &mut Txn<'_>| {
            let _until_done = &extension;
            sessions::extend(txn, &hash, as_of, due, until)
        };
        // Nobody waits for the extension. If it fails, it is due again at the next request.
        self.write_in_background(extend, as_of);
        Some(until)
    }
}

fn not_all_ended() -> Error {
    Error::OutcomeUnknown(StorageError::new("a session is missing or damaged and may be valid; the others have ended"))
}

/// A session to create, with its token and the configured lifetime.
pub(crate) fn fresh_session<X: Extra>(user_id: UserId, extra: X, as_of: AsOf) -> Result<(SessionRecord, Token)> {
    let (session_token, expires) = (Token::random()?, instant(as_of.now.plus(as_of.max_age))?);
    let session = NewSession { session_token: session_token.clone(), user_id, expires, extra };
    Ok((SessionRecord::new(session, fresh_id(), as_of.now)?.made_here(), session_token))
}
