//! Sessions of web frameworks: JSON under a token, with a user once the visitor has signed in.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::models::{
    Cursor, Mark, Millis, Models, Page, SaveId, Token, UserId, WebSession, WebSessionData, WebSessionId,
};
use crate::ops::sessions::AnySession;
use crate::ops::web_sessions;
use crate::records::{Owner, Save, WebSessionRecord};
use crate::reply::Reply;
use crate::store::AuthKv;
use crate::store::lists::page_limit;

/// The sessions of a web framework in the store of an [`AuthKv`]: the JSON values, by name, that the framework and the
/// application keep about each visitor, signed in or not.
///
/// With the feature `tower-sessions` this is a `SessionStore` of tower-sessions 0.15, and with `tower-sessions-014` one
/// of tower-sessions 0.14, which axum-login 0.18 uses. Use the methods here for everything else: for pages on which
/// people see where they are signed in, and for stores of other frameworks. The handle is cheap to clone.
///
/// Its promises, unlike most stores':
/// - **Ended is ended.** Saving changes an existing session and never creates one, so a request in flight cannot revive
///   a session that was ended meanwhile. The framework sees saving succeed, as if the session had ended a moment later:
///   the browser's next request does not find it and loses its cookie.
/// - **A session belongs to the user that its data names**; see [`user_id_from`](Self::user_id_from). It is listed and
///   ended with the user's other sessions, and deleted with the user.
/// - **Requests that overlap keep each other's changes.** A loaded session carries a mark: the id of the load and a short
///   hash of each value. Saving it writes, adds and removes only the values that differ from the mark. Values are taken
///   whole: of two requests that change the same value, the one that saves last wins, so a counter may lose a step. The
///   expiry is such a value. See [`load_session`](Self::load_session).
/// - **A stolen file signs nobody in.** Only the SHA-256 of a token is stored.
/// - **Failure is not absence**: a storage error never looks like a visitor without a session.
/// - **Moving the expiry does not write each time.** If nothing else has changed, a new expiry is written when the
///   session would end too early by more than a thirtieth of the time left (a minute of half an hour, eleven hours of
///   14 days), or too late by more than a second. So no session ends earlier than promised by more than that.
///
/// The data may take 512 KiB as JSON, each value in it 64 KiB, nested at most 32 levels deep. The name `authkv.mark` is
/// reserved. Do not put a
/// `CachingSessionStore` in front: it would not notice that a session has ended.
///
/// A handler that gives a session a new token by itself (`cycle_id`) creates a new session, which nobody has ended. If
/// such a session must not outlive signing out everywhere, use the security stamp of `authkv::axum_login`, as
/// axum-login does.
pub struct WebSessions<M: Models = ()> {
    auth: AuthKv<M>,
    user_id: Arc<UserIdOf>,
    refuses_stale: bool,
}

type UserIdOf = dyn Fn(&WebSessionData) -> Option<UserId> + Send + Sync;

impl<M: Models> WebSessions<M> {
    /// The web sessions of a store. Say with [`user_id_from`](Self::user_id_from) where your users are:
    ///
    /// ```
    /// # use authkv::{AuthKv, WebSessions};
    /// # let auth = AuthKv::in_memory()?;
    /// // The users are in another database, whatever the sessions' data names:
    /// let sessions = WebSessions::new(auth.clone()).user_id_from(|_| None);
    /// // They are in this store, and the application keeps their id as "user":
    /// let sessions = WebSessions::new(auth.clone()).user_id_from(|data| data.get("user")?.as_str().map(Into::into));
    /// // They are in this store, and axum-login keeps their id:
    /// let sessions = WebSessions::new(auth);
    /// # Ok::<(), authkv::Error>(())
    /// ```
    ///
    /// A session that names a user whom this store has never had belongs to nobody:
    /// [`Stats::sessions_of_strangers`](crate::Stats::sessions_of_strangers) counts them.
    pub fn new(auth: AuthKv<M>) -> Self {
        Self { auth, user_id: Arc::new(user_id_of_axum_login), refuses_stale: false }
    }

    /// The store.
    pub fn auth(&self) -> &AuthKv<M> {
        &self.auth
    }

    /// Sets how a session's data names its user. The default is axum-login's: the text `user_id` in the value
    /// `axum-login.data`. Set it if axum-login uses another data key; otherwise its sessions belong to nobody. Pass
    /// `|_| None` if the users are stored elsewhere. [`new`](Self::new) has an example of each.
    ///
    /// What becomes of a session depends on the user whom its data names:
    ///
    /// | the user | the session |
    /// |---|---|
    /// | exists | is theirs |
    /// | was deleted from this store, by file format 2 or later | is refused: [`UnknownUser`](crate::Error::UnknownUser) |
    /// | was never in this store | is nobody's, and counted; but refused if the stored session has a user |
    /// | is not named | is nobody's: somebody has signed out, or not yet signed in |
    ///
    /// A session of a user who is created later becomes theirs when it is next changed.
    #[must_use]
    pub fn user_id_from(self, user_id: impl Fn(&WebSessionData) -> Option<UserId> + Send + Sync + 'static) -> Self {
        Self { user_id: Arc::new(user_id), ..self }
    }

    /// Refuses to save a session if another request has changed its data since it was loaded and this one has changed
    /// it too. By default both changes are kept. A request that has changed only the expiry is never refused.
    #[must_use]
    pub fn refuse_stale_saves(self) -> Self {
        Self { refuses_stale: true, ..self }
    }

    /// Creates a session that is valid until `expires`. It replaces an expired session with the same token.
    ///
    /// # Errors
    /// [`Conflict`](crate::Error::Conflict) when the token is in use, [`UnknownUser`](crate::Error::UnknownUser) when
    /// the user that the data names was deleted, [`InvalidArgument`](crate::Error::InvalidArgument),
    /// [`Storage`](crate::Error::Storage) also when the operating system cannot provide randomness, and the other errors
    /// of every writing method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// use authkv::{AuthKv, WebSessions};
    /// use authkv::models::Token;
    ///
    /// let sessions = WebSessions::new(AuthKv::in_memory()?);
    /// let (token, expires) = (Token::random()?, chrono::Utc::now() + chrono::TimeDelta::hours(1));
    /// let mut data = authkv::models::WebSessionData::new();
    /// sessions.create_session(token.clone(), &data, expires).wait()?;
    ///
    /// data.insert("theme".into(), "dark".into());
    /// assert!(sessions.save_session(token.clone(), &data, expires).wait()?, "the session is there");
    /// assert_eq!(sessions.find_session(token.reveal()).wait()?.expect("it was just saved").data, data);
    ///
    /// sessions.delete_session(token.reveal()).wait()?;
    /// assert!(!sessions.save_session(token, &data, expires).wait()?, "it is not revived");
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn create_session(&self, token: impl Into<Token>, data: &WebSessionData, expires: DateTime<Utc>) -> Reply<()> {
        let now = self.auth.now_ms();
        let count = self.count();
        match self.to_save(&token.into(), data, expires, now) {
            Ok(save) => self.auth.write(
                move |txn| web_sessions::create(txn, &save, now),
                move |owner| {
                    count(Some(&owner));
                    Ok(())
                },
            ),
            Err(error) => Reply::ready(Err(error)),
        }
    }

    /// Sets a session's data, the user named in it, and its expiry. Never creates a session: answers false if it has
    /// ended.
    ///
    /// If the data comes from [`load_session`](Self::load_session), only what differs from the loaded session is saved,
    /// and the rest stays as it is stored. Otherwise the data replaces all that is stored. If the session has gone over
    /// to another user since it was loaded, nothing is saved and the answer is false: for this caller it has ended.
    ///
    /// # Errors
    /// The errors of [`create_session`](Self::create_session) except for a conflict;
    /// [`UnknownUser`](crate::Error::UnknownUser) also when the data names a user whom this store has never had and the
    /// session has a user; [`StaleSession`](crate::Error::StaleSession) with
    /// [`refuse_stale_saves`](Self::refuse_stale_saves).
    pub fn save_session(&self, token: impl Into<Token>, data: &WebSessionData, expires: DateTime<Utc>) -> Reply<bool> {
        let now = self.auth.now_ms();
        let save = match self.to_save(&token.into(), data, expires, now) {
            Ok(save) => Arc::new(save),
            Err(error) => return Reply::ready(Err(error)),
        };
        let (wanted, count) = (Arc::clone(&save), self.count());
        let is_saved = self.auth.read(move |txn| web_sessions::is_saved(txn, &wanted, now), Ok);
        self.auth.then(is_saved, move |auth, is_saved| match is_saved {
            Ok(Some(is_there)) => Reply::ready(Ok(is_there)),
            Ok(None) => auth.write(
                move |txn| web_sessions::save(txn, &save, now),
                move |(is_there, owner)| {
                    count(owner.as_ref());
                    Ok(is_there)
                },
            ),
            Err(error) => Reply::ready(Err(error)),
        })
    }

    /// The session with this token, for a request that may save it. `None` if there is no such session or it has
    /// expired.
    ///
    /// Its data has one value more than [`find_session`](Self::find_session) shows, `authkv.mark`. It says what was
    /// loaded, and lets [`save_session`](Self::save_session) keep what other requests have changed meanwhile. It is
    /// never stored. A request that removes it, as tower-sessions' `clear` does, replaces all that is stored.
    ///
    /// A request may save several times. If another one has saved in between, a value that the first save changed and
    /// the next one has put back to what was loaded counts as not changed.
    ///
    /// # Errors
    /// [`Storage`](crate::Error::Storage) also when the operating system cannot provide randomness, and the other errors
    /// of every reading method of [`Adapter`](crate::Adapter).
    ///
    /// ```
    /// # use authkv::{AuthKv, WebSessions, models::Token};
    /// let sessions = WebSessions::new(AuthKv::in_memory()?);
    /// let (token, expires) = (Token::random()?, chrono::Utc::now() + chrono::TimeDelta::hours(1));
    /// sessions.create_session(token.clone(), &Default::default(), expires).wait()?;
    ///
    /// // Two requests overlap:
    /// let load = || sessions.load_session(token.reveal()).wait();
    /// let (mut one, mut other) = (load()?.expect("it is there"), load()?.expect("it is there"));
    /// one.data.insert("basket".into(), "a bicycle".into());
    /// other.data.insert("theme".into(), "dark".into());
    /// sessions.save_session(token.clone(), &one.data, expires).wait()?;
    /// sessions.save_session(token.clone(), &other.data, expires).wait()?;
    ///
    /// let found = sessions.find_session(token.reveal()).wait()?.expect("it is there");
    /// assert_eq!((&found.data["basket"], &found.data["theme"]), (&"a bicycle".into(), &"dark".into()));
    /// # Ok::<(), authkv::Error>(())
    /// ```
    pub fn load_session(&self, token: &str) -> Reply<Option<WebSession>> {
        let load = match SaveId::random() {
            Ok(load) => load,
            Err(error) => return Reply::ready(Err(error)),
        };
        let (token, now) = (Token::from(token).hash(), self.auth.now_ms());
        self.auth.read(
            move |txn| web_sessions::find(txn, &token, now),
            move |session| session.map(|session| session.into_loaded(load)).transpose(),
        )
    }

    /// The session with this token, to look at. `None` if there is no such session or it has expired. Saving what it
    /// shows replaces all that is stored; use [`load_session`](Self::load_session) for that.
    ///
    /// # Errors
    /// The errors of every reading method of [`Adapter`](crate::Adapter).
    pub fn find_session(&self, token: &str) -> Reply<Option<WebSession>> {
        let (token, now) = (Token::from(token).hash(), self.auth.now_ms());
        self.auth.read(move |txn| web_sessions::find(txn, &token, now), model)
    }

    /// Removes the session with this token, expired or not, and answers the removed session.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    pub fn delete_session(&self, token: &str) -> Reply<Option<WebSession>> {
        let token = Token::from(token).hash();
        self.auth.write(move |txn| web_sessions::delete(txn, &token), model)
    }

    /// A page of the valid web sessions of a user, oldest first. `after` is the [`next`](Page::next) of the previous
    /// page; a page has at most `limit` sessions, from 1 to 1,000. Each page is read from one snapshot.
    ///
    /// At most 5,000 sessions are read for a page, expired ones that are not purged yet included. If a user has more,
    /// the first 5,000 in the order of their ids are listed, oldest first, then the next 5,000, and a page at their end
    /// may have fewer sessions than `limit`, or none, although there are more. Go on while there is a `next`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::Error::InvalidArgument) when `after` is no cursor of such a list, for another limit, and the
    /// errors of every reading method of [`Adapter`](crate::Adapter).
    pub fn list_sessions(
        &self,
        user_id: impl Into<UserId>,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Reply<Page<WebSession>> {
        let (user_id, now, after, limit) = (user_id.into(), self.auth.now_ms(), after.cloned(), page_limit(limit));
        self.auth.read(
            move |txn| web_sessions::page(txn, &user_id, now, after.as_ref(), limit.clone()?),
            |page| page.try_map(WebSessionRecord::into_model),
        )
    }

    /// Ends one of a user's web sessions by its id, for example from a list that the user sees. Answers the ended
    /// session, or `None` if this user has no such session.
    ///
    /// # Errors
    /// The errors of every writing method of [`Adapter`](crate::Adapter).
    pub fn end_session(&self, user_id: impl Into<UserId>, id: impl Into<WebSessionId>) -> Reply<Option<WebSession>> {
        match id.into().hash() {
            Some(token) => {
                let user_id = user_id.into();
                self.auth.write(move |txn| web_sessions::end(txn, &user_id, &token), model)
            }
            None => Reply::ready(Ok(None)),
        }
    }

    /// Ends the other sessions of a user, web sessions and others, and keeps this one. Otherwise like
    /// [`AuthKv::end_other_sessions`]. [`AuthKv::end_all_sessions`] ends web sessions too.
    ///
    /// # Errors
    /// The errors of [`AuthKv::end_other_sessions`].
    pub fn end_other_sessions(&self, user_id: impl Into<UserId>, keep: impl Into<WebSessionId>) -> Reply<usize> {
        self.auth.end_sessions(user_id.into(), Some(AnySession::WebSession(keep.into())))
    }

    fn to_save(&self, token: &Token, data: &WebSessionData, expires: DateTime<Utc>, now: Millis) -> Result<Save> {
        let (mark, data) = without_mark(data)?;
        let named = (self.user_id)(&data);
        let save_id = SaveId::random()?;
        Save::new(token, named, (mark, &data), expires.into(), now, save_id, self.refuses_stale)
    }

    /// Counts the session of a stranger.
    fn count(&self) -> impl FnOnce(Option<&Owner>) + Send + 'static {
        let counter: Arc<AtomicU64> = self.auth.sessions_of_strangers();
        move |owner| {
            if matches!(owner, Some(Owner::Stranger(_))) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Splits the mark of a load from the data.
fn without_mark(data: &WebSessionData) -> Result<(Option<Mark>, Cow<'_, WebSessionData>)> {
    if !Mark::is_in(data) {
        return Ok((None, Cow::Borrowed(data)));
    }
    let mut data = data.clone();
    Ok((Mark::take_from(&mut data)?, Cow::Owned(data)))
}

fn user_id_of_axum_login(data: &WebSessionData) -> Option<UserId> {
    data.get("axum-login.data")?.get("user_id")?.as_str().map(UserId::from)
}

fn model(session: Option<WebSessionRecord>) -> Result<Option<WebSession>> {
    session.map(WebSessionRecord::into_model).transpose()
}

impl<M: Models> Clone for WebSessions<M> {
    fn clone(&self) -> Self {
        Self { auth: self.auth.clone(), user_id: Arc::clone(&self.user_id), refuses_stale: self.refuses_stale }
    }
}

impl<M: Models> fmt::Debug for WebSessions<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSessions").field("auth", &self.auth).finish_non_exhaustive()
    }
}
