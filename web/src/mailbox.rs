//! The mailbox that stands in for a mail server: the last few mails, in memory.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;

const MAILS_MAX: usize = 20;

/// A mail with a link to sign in.
#[derive(Clone)]
pub(crate) struct Mail {
    pub(crate) to: String,
    pub(crate) link: String,
    pub(crate) sent: DateTime<Utc>,
}

/// The mails that were sent last.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<VecDeque<Mail>>);

impl Mailbox {
    /// Adds a mail; the oldest makes room for it.
    pub(crate) fn deliver(&self, mail: Mail) {
        let mut mails = self.0.lock();
        mails.push_front(mail);
        mails.truncate(MAILS_MAX);
    }

    /// The mails, the newest first.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        self.0.lock().iter().cloned().collect()
    }
}
