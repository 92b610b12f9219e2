//! Sessions for applications: created with a random token, extended while in use, listed and ended.

use std::sync::Arc;

use crate::error::{Error, Result, StorageError};
use crate::kv::txn::Txn;
use crate::models::{
    Cursor, Extra, Millis, Models, NewSession, Page, Session, SessionAndUser, SessionId, SessionInfo, Token, TokenHash,
    UserId, instant,
};
use crate::ops::sessions::{self, AnySession, Ended, FoundSession};
use crate::records::{AsOf, SessionRecord};
use crate::reply::Reply;
use crate::store::lists::page_limit;
use crate::store::{AuthKv, fresh_id};

/// How many sessions one call ends at most.
pub(crate) const SESSIONS_MAX: usize = 1_000;

impl<M: Models> AuthKv<M> {
    /// Signs a user in: creates a session with a new 256-bit token, valid for the
    /// [`session_max_age`](crate::Options::session_max_age). The token is only in the answer; the store keeps its hash.
    ///
    /// # Errors
    /// The errors of [`create_session`](crate::Adapter::create_session), and [`Storage`](crate::Error::Storage) when the
    /// operating system cannot provide randomness.
    ///
    /// ```
    /// use authkv::models::NewUser;
    /// use authkv::{Adapter, AuthKv};
    ///
    /// let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let session = auth.start_session(ada.id.clone(), ()).wait()?;
    /// // Put session.session_token into a cookie; on each request:
    /// let found = auth.authenticate(session.session_token.as_str()).wait()?.expect("the session is valid");
    /// assert_eq!(found.user, ada);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn start_session(&self, user_id: impl Into<UserId>, extra: M::Session) -> Reply<Session<M::Session>> {
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

    /// The session with this token and its user, for every request. `None` if there is no such session or it has
    /// expired.
    ///
    /// A session that the store made ends at the [`session_max_age`](crate::Options::session_max_age) after its last
    /// extension at the latest, also if it was made under a longer one. Every session, however it was created, is
    /// extended to the maximum age from now if its last extension is older than the
    /// [`session_update_age`](crate::Options::session_update_age), as in Auth.js. The extension happens after the
    /// answer: the call waits for no write and returns the session as it was before; a later call sees the new expiry.
    /// Of a burst of requests one extends the session. None revives a session that has been ended or has expired
    /// meanwhile.
    ///
    /// # Errors
    /// The errors of every reading method of [`Adapter`](crate::Adapter).
    pub fn authenticate(&self, session_token: &str) -> Reply<Option<SessionAndUser<M::Session, M::User>>> {
        let (token, as_of) = (Token::from(session_token), self.as_of());
        let hash = token.hash();
        self.then(self.find_session(&hash, as_of, Ok), move |auth, found| {
            if let Ok(Some(found)) = &found {
                auth.extend_if_due(hash, found.expires, as_of);
            }
            Reply::ready(found.and_then(|found| found.map(|found| found.into_model(token)).transpose()))
        })
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
    /// # use authkv::{Adapter, AuthKv, models::NewUser};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let here = auth.start_session(ada.id.clone(), ()).wait()?;
    /// let page = auth.list_sessions(&ada.id, None, 100).wait()?;
    /// assert_eq!(page.items[0].id, here.id);
    /// assert_eq!(page.next, None, "these are all");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn list_sessions(
        &self,
        user_id: &UserId,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Reply<Page<SessionInfo<M::Session>>> {
        let (user_id, as_of, after, limit) = (user_id.clone(), self.as_of(), after.cloned(), page_limit(limit));
        self.read(
            move |txn| sessions::page(txn, &user_id, as_of, after.as_ref(), limit.clone()?),
            move |page| page.try_map(|session| session.into_info(as_of.max_age)),
        )
    }

    /// Ends one of a user's sessions by its id, for example from a list that the user sees. Answers the ended session,
    /// or `None` if this user has no such session, so nobody can end another user's session.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    pub fn end_session(&self, user_id: &UserId, id: &SessionId) -> Reply<Option<SessionInfo<M::Session>>> {
        let (user_id, id, max_age) = (user_id.clone(), id.clone(), self.session_ages().max);
        self.write(
            move |txn| sessions::end(txn, &user_id, &id),
            move |session| session.map(|session| session.into_info(max_age)).transpose(),
        )
    }

    /// Ends the sessions of a user, [web sessions](crate::WebSessions) included, except `except` if it is given.
    /// Answers how many it ended, expired ones included: 1,000 at most, so call it again while it ends that many. On a
    /// cluster this takes
    /// several steps, so some sessions may have ended when it answers an error.
    ///
    /// Without `except` the user's security stamp changes, which ends the user's axum-login sessions wherever they are
    /// stored.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    /// [`OutcomeUnknown`](crate::Error::OutcomeUnknown) also when a session is missing or damaged: the others have ended,
    /// 1,000 at most, but that one may still be valid until the store is [repaired](Self::repair).
    ///
    /// ```
    /// # use authkv::{Adapter, AuthKv, models::NewUser};
    /// # let auth = AuthKv::in_memory()?;
    /// let ada = auth.create_user(NewUser::email("ada@example.com")).wait()?;
    /// let this_device = auth.start_session(ada.id.clone(), ()).wait()?;
    /// let another = auth.start_session(ada.id.clone(), ()).wait()?;
    /// assert_eq!(auth.end_sessions(&ada.id, Some(&this_device.id)).wait()?, 1);
    /// assert_eq!(auth.authenticate(another.session_token.as_str()).wait()?, None);
    /// assert!(auth.authenticate(this_device.session_token.as_str()).wait()?.is_some());
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn end_sessions(&self, user_id: &UserId, except: Option<&SessionId>) -> Reply<usize> {
        self.end_all_sessions(user_id, except.cloned().map(AnySession::Session))
    }

    pub(crate) fn end_all_sessions(&self, user_id: &UserId, except: Option<AnySession>) -> Reply<usize> {
        self.end_more_sessions(user_id.clone(), except, 0)
    }

    /// Ends sessions step after step, `before` of them so far: on a shared store a step ends only a few.
    fn end_more_sessions(&self, user_id: UserId, except: Option<AnySession>, before: usize) -> Reply<usize> {
        let (of_user, but) = (user_id.clone(), except.clone());
        let step = move |txn: &mut Txn<'_>| sessions::end_all(txn, &of_user, but.as_ref(), SESSIONS_MAX - before);
        if !self.is_shared() {
            return self.write(step, |ended| if ended.damaged { Err(not_all_ended()) } else { Ok(ended.count) });
        }
        self.then(self.write(step, Ok), move |auth, ended| match ended {
            Ok(Ended { count, more: true, .. }) if before + count < SESSIONS_MAX => {
                auth.end_more_sessions(user_id, except, before + count)
            }
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

    fn extend_if_due(&self, hash: TokenHash, expires: Millis, as_of: AsOf) {
        let until = as_of.now.plus(as_of.max_age);
        let due = until.plus(-self.session_ages().update);
        if expires >= due {
            return;
        }
        let Some(extension) = self.extensions().claim(hash) else {
            return;
        };
        let extend = move |txn: &mut Txn<'_>| {
            let _until_done = &extension;
            sessions::extend(txn, &hash, as_of, due, until)
        };
        // Nobody waits for the extension. If it fails, it is due again at the next request.
        drop(self.write(extend, Ok));
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
