//! The rows by which the contents of a file are recognised: when they are written, and whether a reopened file has them.

use redb::Database;

use super::view::{Snapshot, WriteView};
use crate::engine::{Durability, Signature};
use crate::error::Result;
use crate::kv::txn::{Rows, Txn};
use crate::records::Identity;

pub(super) struct Signing {
    signature: Signature,
    /// What the file held when it was opened.
    found: Identity,
    /// What it holds from the first write after the opening on.
    own: Identity,
    written: Written,
}

/// The random id of a store, and how to read it.
pub(super) struct StoreId {
    id: String,
    read: fn(&Txn<'_>) -> Result<Identity>,
}

impl StoreId {
    /// True if the view is one of this store.
    pub(super) fn is_in(&self, view: &WriteView<'_>) -> Result<bool> {
        Ok((self.read)(&Txn::new(view))?.store.as_ref() == Some(&self.id))
    }
}

/// Whether the file holds `own`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    No,
    /// Reopening the file may undo it.
    NotSynced,
    Yes,
}

impl Signing {
    pub(super) fn new(signature: Signature, database: &Database) -> Result<Self> {
        let found = (signature.read)(&Txn::new(&Snapshot::begin(database)?))?;
        let fresh = signature.fresh.clone();
        let own = Identity { store: found.store.clone().or(fresh.store), mark: fresh.mark };
        Ok(Self { signature, found, own, written: Written::No })
    }

    /// True if the file has no id yet.
    pub(super) fn lacks_id(&self) -> bool {
        self.found.store.is_none() && self.written == Written::No
    }

    pub(super) fn store_id(&self) -> Option<StoreId> {
        self.own.store.clone().map(|id| StoreId { id, read: self.signature.read })
    }

    /// The rows to add to this transaction. None if the file has them.
    pub(super) fn due(&self, view: &WriteView<'_>) -> Result<Option<Rows>> {
        if self.written != Written::No {
            return Ok(None);
        }
        let mut txn = Txn::new(view);
        (self.signature.write)(&mut txn, &self.own)?;
        Ok(Some(txn.into_changes().rows))
    }

    /// The transaction with the rows was committed.
    pub(super) fn written(&mut self, durability: Durability) {
        self.written = if durability == Durability::Full { Written::Yes } else { Written::NotSynced };
    }

    /// Everything that was committed is synced.
    pub(super) fn synced(&mut self) {
        if self.written == Written::NotSynced {
            self.written = Written::Yes;
        }
    }

    /// Returns what these contents are, unless they are those that the file had. Whether a commit that failed has
    /// written its rows is not known.
    pub(super) fn stranger(&self, txn: &Txn<'_>) -> Result<Option<&'static str>> {
        let there = (self.signature.read)(txn)?;
        let is_known = there == self.own || (self.written != Written::Yes && there == self.found);
        Ok(match there.store {
            _ if is_known => None,
            None => Some("there is no store in it, or one that was never written to"),
            Some(_) if there.store == self.own.store => Some("it holds an earlier or a later state of the store"),
            Some(_) => Some("it holds another store"),
        })
    }

    /// The file was reopened.
    pub(super) fn reopened(&mut self, database: &Database) -> Result<()> {
        let there = (self.signature.read)(&Txn::new(&Snapshot::begin(database)?))?;
        self.written = match self.written {
            _ if there != self.own => Written::No,
            Written::No => Written::NotSynced,
            written => written,
        };
        Ok(())
    }
}
