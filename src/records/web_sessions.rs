//! Web sessions as they are stored: by the hash of their token, with the application's data.

use serde::{Deserialize, Serialize};

use super::lifetime::Lifetime;
use super::limits::check_key;
use crate::error::{Error, Result};
use crate::models::{
    Fields, Mark, Millis, SaveId, Since, Token, TokenHash, UserId, WebSession, WebSessionData, WebSessionId, instant,
};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WebSessionRecord {
    /// The key.
    #[serde(skip)]
    pub(crate) token_hash: TokenHash,
    head: Head,
    pub(crate) lifetime: Lifetime,
    data: Fields,
}

/// Whose a session is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Owner {
    /// Nobody has signed in.
    Nobody,
    User(UserId),
    /// The data names a user whom this store has never had. The session belongs to nobody.
    Stranger(UserId),
}

impl Owner {
    /// The user whom the session's data names.
    pub(crate) fn named(&self) -> Option<&UserId> {
        match self {
            Self::Nobody => None,
            Self::User(id) | Self::Stranger(id) => Some(id),
        }
    }

    pub(crate) fn user_id(&self) -> Option<&UserId> {
        if let Self::User(id) = self { Some(id) } else { None }
    }
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "StoredHead", into = "StoredHead")]
struct Head {
    owner: Owner,
    /// Of the save that wrote owner and data. It is another one for each save.
    save: SaveId,
    writer: Writer,
}

/// Which request wrote owner and data.
#[derive(Clone, Serialize, Deserialize)]
enum Writer {
    /// One that had not loaded the session.
    Unknown,
    /// The one with this load. The session is as that request had it.
    Whole(SaveId),
    /// The one with this load. The session has what other requests changed, too.
    Merged(SaveId),
}

#[derive(Serialize, Deserialize)]
enum StoredHead {
    /// As format 1 wrote it.
    Nobody,
    /// As format 1 wrote it.
    User(UserId),
    Saved(SaveId, Writer, Owner),
}

impl From<StoredHead> for Head {
    fn from(stored: StoredHead) -> Self {
        let unknown = |owner| Self { owner, save: SaveId::default(), writer: Writer::Unknown };
        match stored {
            StoredHead::Nobody => unknown(Owner::Nobody),
            StoredHead::User(id) => unknown(Owner::User(id)),
            StoredHead::Saved(save, writer, owner) => Self { owner, save, writer },
        }
    }
}

impl From<Head> for StoredHead {
    fn from(head: Head) -> Self {
        Self::Saved(head.save, head.writer, head.owner)
    }
}

/// A session that a caller wants created or saved.
pub(crate) struct Save {
    /// Its owner is the user whom the data names, as if that user existed.
    pub(crate) session: WebSessionRecord,
    /// What the store keeps of this user's id once it has deleted the user.
    pub(crate) trace: Option<TokenHash>,
    /// What the caller has changed, if the session was loaded.
    since: Option<Since>,
    refuses_stale: bool,
}

/// What a save does to a stored session.
pub(crate) enum Saved {
    /// Nothing: it is saved already.
    Same,
    /// Nothing: it belongs to another user than the one for whom it was loaded.
    OfAnother,
    Changed(WebSessionRecord),
}

impl Save {
    /// `named` is the user whom the data names. No other save has this `id`.
    ///
    /// # Errors
    /// Invalid argument, naming the field.
    pub(crate) fn new(
        token: &Token,
        named: Option<UserId>,
        (mark, data): (Option<Mark>, &WebSessionData),
        expires: Millis,
        created: Millis,
        id: SaveId,
        refuses_stale: bool,
    ) -> Result<Self> {
        check_key("session_token", token.reveal())?;
        let since = mark.map(|mark| mark.since(data, expires));
        let writer = since.as_ref().map_or(Writer::Unknown, |since| Writer::Whole(since.load));
        let trace = named.as_ref().map(UserId::trace);
        let session = WebSessionRecord {
            token_hash: token.hash(),
            head: Head { owner: named.map_or(Owner::Nobody, Owner::User), save: id, writer },
            lifetime: Lifetime::new(expires, created),
            data: Fields::of_all("the data of the session", data, &[])?,
        };
        Ok(Self { session, trace, since, refuses_stale })
    }
}

impl WebSessionRecord {
    pub(crate) fn owner(&self) -> &Owner {
        &self.head.owner
    }

    pub(crate) fn user_id(&self) -> Option<&UserId> {
        self.head.owner.user_id()
    }

    pub(crate) fn owned_by(self, owner: Owner) -> Self {
        Self { head: Head { owner, ..self.head }, ..self }
    }

    /// Returns what becomes of this session when it is saved. If another request has saved it since it was loaded, only
    /// what the saving request has changed is taken over. A small difference in expiry alone changes nothing.
    ///
    /// # Errors
    /// A stale session if the save refuses to be one.
    pub(crate) fn saved_as(&self, save: &Save, now: Millis) -> Result<Saved> {
        let Save { session, since, refuses_stale, .. } = save;
        let mut new = Self { lifetime: self.lifetime.clone(), ..session.clone() };
        let mut expires = session.lifetime.expires;
        if let Some(since) = since.as_ref().filter(|since| !self.is_as_left_by(since)) {
            if since.save != self.head.save {
                let is_stale = !self.was_merged_by(since);
                if is_stale && *refuses_stale && !since.changed.is_empty() {
                    return Err(Error::StaleSession);
                }
                if is_stale && since.user_id.as_ref() != self.head.owner.named() {
                    return Ok(Saved::OfAnother);
                }
                new.data = self.data.clone();
                new.data.take(&since.changed, &session.data);
                new.head.writer = Writer::Merged(since.load);
                if since.user_id.as_ref() == session.head.owner.named() {
                    new.head.owner = self.head.owner.clone();
                }
            }
            if !since.moves_expiry {
                expires = self.lifetime.expires;
            }
        }
        if self.head.owner.named() == new.head.owner.named() && self.data == new.data {
            if self.lifetime.ends_about_at(expires, now) {
                return Ok(Saved::Same);
            }
            // A new expiry alone does not make the saves of other requests stale.
            new.head = self.head.clone();
        }
        new.lifetime = new.lifetime.expiring(expires, now);
        Ok(Saved::Changed(new))
    }

    /// True if the request has saved the session before and nobody has changed it since, so that the request knows all
    /// that is in it.
    fn is_as_left_by(&self, since: &Since) -> bool {
        matches!(self.head.writer, Writer::Whole(load) if load == since.load)
    }

    /// True if the request was the last to change the session, and others have changed it before.
    fn was_merged_by(&self, since: &Since) -> bool {
        matches!(self.head.writer, Writer::Merged(load) if load == since.load)
    }

    pub(crate) fn is_valid(&self, now: Millis) -> bool {
        now <= self.lifetime.expires
    }

    /// Returns the session, listed in the expiry index at its expiry. `None` if it expired before `now`.
    pub(crate) fn relisted(self, now: Millis) -> Option<Self> {
        self.is_valid(now).then(|| Self { lifetime: self.lifetime.relisted(), ..self })
    }

    pub(crate) fn into_model(self) -> Result<WebSession> {
        let Head { owner, .. } = self.head;
        Ok(WebSession {
            id: WebSessionId::of(&self.token_hash),
            user_id: if let Owner::User(id) = owner { Some(id) } else { None },
            created: instant(self.lifetime.created)?,
            saved: instant(self.lifetime.extended)?,
            expires: instant(self.lifetime.expires)?,
            data: self.data.into_extra().map_err(|_| Error::corrupt("the data of a web session cannot be read"))?,
        })
    }

    /// Like [`into_model`](Self::into_model), with the mark of a load in the data.
    pub(crate) fn into_loaded(self, load: SaveId) -> Result<WebSession> {
        let (save, named, expires) = (self.head.save, self.head.owner.named().cloned(), self.lifetime.expires);
        let mut session = self.into_model()?;
        Mark::new(load, save, named, expires, &session.data).put_into(&mut session.data)?;
        Ok(session)
    }
}
