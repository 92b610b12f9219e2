//! The settings of a store: its format, its models and their indexes, and how it compares e-mail addresses.
//!
//! The rows of `meta` are texts. `format` keeps record version 1 forever, so that every version of this crate can read
//! it and refuse a newer format.

use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, OpenProblem, Result};
use crate::kv::key::Key;
use crate::kv::txn::Txn;
use crate::models::{Dynamic, Indexes, Millis, Models};
use crate::records::schema::META;
use crate::records::{EmailMatching, Identity};

/// The newest format that this version reads, and the format that it writes.
pub(crate) const FORMAT: u32 = 5;

/// The settings that a store is opened with. The stored settings must agree with them.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) models: (&'static str, u32),
    pub(crate) indexes: Indexes,
    pub(crate) email_matching: EmailMatching,
    /// True if the store may be changed to fit the settings.
    pub(crate) synchronize: bool,
}

/// The stored models of a store.
pub(crate) struct StoredModels {
    /// Their name and version.
    pub(crate) models: (String, u32),
    /// The indexes that are complete.
    pub(crate) indexes: Indexes,
    /// A change of models or indexes that was begun and is not finished.
    pub(crate) change: Option<Change>,
}

impl StoredModels {
    /// True if the records are being changed, and not only their indexes.
    pub(crate) fn is_migrated(&self) -> bool {
        self.change.as_ref().is_some_and(|change| change.to != self.models)
    }

    /// True if the store needs no change to fit these settings.
    pub(crate) fn is_settled(&self, settings: &Settings) -> bool {
        let (name, version) = settings.models;
        let has_models = (self.models.0.as_str(), self.models.1) == (name, version);
        self.change.is_none() && (name == Dynamic::NAME || (has_models && self.indexes.serve(&settings.indexes)))
    }
}

/// A change to other models or indexes, and its progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// The version of the models that the records had.
    pub(crate) from: u32,
    /// Name and version of the models that they get.
    pub(crate) to: (String, u32),
    /// The indexes that the store gets.
    pub(crate) indexes: Indexes,
    pub(crate) stage: Stage,
    /// The key of the last record that this stage has finished.
    pub(crate) after: Option<Vec<u8>>,
}

/// The stages of a change, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Stage {
    Indexes,
    Users,
    Accounts,
    Sessions,
    VerificationTokens,
}

/// Refuses a store that does not fit these settings. A place without a store fits, and so does a store that may be
/// changed to fit.
pub(crate) fn accept(txn: &Txn<'_>, settings: &Settings) -> Result<()> {
    let Some(found) = number(txn, "format")? else {
        return match text(txn, "models")? {
            None => match text(txn, "copy")? {
                Some(from) => Err(OpenProblem::CopyUnfinished { from }.into()),
                None => Ok(()),
            },
            Some(_) => Err(Error::corrupt("a row of the meta table is missing")),
        };
    };
    if found > FORMAT {
        return Err(OpenProblem::NewerFormat { found, known: FORMAT }.into());
    }
    if found < FORMAT && !settings.synchronize {
        return Err(OpenProblem::OlderFormat { found, known: FORMAT }.into());
    }
    accept_models(models(txn)?, settings)?;
    let matching = required(txn, "email_matching")?;
    let expected = settings.email_matching;
    match EmailMatching::ALL.into_iter().find(|matching_of| matching_of.name() == matching) {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(OpenProblem::OtherEmailMatching { found: found.name(), expected: expected.name() }.into()),
        None => Err(Error::corrupt("the e-mail matching of the store is unknown")),
    }
}

/// The keys of the rows that no other process may change while this one works on the store. The first row exists if
/// there is a store.
pub(crate) fn decisive() -> Vec<Vec<u8>> {
    ["format", "models", "change"].map(|row| row.to_owned().to_bytes()).into()
}

fn accept_models(found: StoredModels, settings: &Settings) -> Result<()> {
    let (name, version) = settings.models;
    let expected = (name.to_owned(), version);
    if let Some(Change { to, .. }) = &found.change
        && found.is_migrated()
        && *to != expected
    {
        return Err(OpenProblem::ChangeUnfinished { to: to.clone() }.into());
    }
    let fits = if found.models.0 == name {
        found.models.1 <= version
    } else {
        name == Dynamic::NAME || is_open(&found.models.0, name)
    };
    if !fits {
        return Err(OpenProblem::OtherModels { found: found.models, expected }.into());
    }
    if !settings.synchronize && !found.is_settled(settings) {
        return Err(OpenProblem::ModelsNotSynchronized { found: found.models, expected }.into());
    }
    Ok(())
}

/// True if a store with the models `found` may be changed to the models `expected`: it must have no own fields yet, or
/// none that are declared.
fn is_open(found: &str, expected: &str) -> bool {
    found == <()>::NAME || (found == Dynamic::NAME && expected != <()>::NAME)
}

/// Returns the models of a store. `None` if its settings have not been written yet.
pub(crate) fn stored_models(txn: &Txn<'_>) -> Result<Option<StoredModels>> {
    number(txn, "format")?.map(|_| models(txn)).transpose()
}

fn models(txn: &Txn<'_>) -> Result<StoredModels> {
    Ok(StoredModels {
        models: (required(txn, "models")?, number(txn, "models_version")?.unwrap_or(0)),
        indexes: json(txn, "indexes")?.unwrap_or_default(),
        change: json(txn, "change")?,
    })
}

/// Claims the next purge for one of the processes that share the store. Returns true unless another process made a
/// claim within `interval` of `now`, in either direction, because clocks differ. `mine` is the time of this process's
/// last claim.
pub(crate) fn claim_purge(txn: &mut Txn<'_>, now: Millis, interval: TimeDelta, mine: Millis) -> Result<bool> {
    let claimed: Option<i64> = json(txn, "purged")?;
    let is_recent = |claimed: i64| now.since_epoch().abs_diff(claimed) < interval.num_milliseconds().unsigned_abs();
    if claimed.is_some_and(|claimed| claimed != mine.since_epoch() && is_recent(claimed)) {
        return Ok(false);
    }
    put(txn, "purged", now.since_epoch().to_string())?;
    Ok(true)
}

/// The same keys for an unfinished copy, and before them the key of the copy's own row.
#[cfg(feature = "etcd")]
pub(crate) fn decisive_of_copy() -> Vec<Vec<u8>> {
    [vec!["copy".to_owned().to_bytes()], decisive()].concat()
}

/// Refuses a place without a store, a store with another format, and a store that is being changed.
#[cfg(feature = "etcd")]
pub(crate) fn accept_source(txn: &Txn<'_>) -> Result<()> {
    match number(txn, "format")? {
        None => Err(OpenProblem::NoStore.into()),
        Some(found) if found > FORMAT => Err(OpenProblem::NewerFormat { found, known: FORMAT }.into()),
        Some(found) if found < FORMAT => Err(OpenProblem::OlderFormat { found, known: FORMAT }.into()),
        Some(_) => match models(txn)?.change {
            Some(Change { to, .. }) => Err(OpenProblem::ChangeUnfinished { to }.into()),
            None => Ok(()),
        },
    }
}

#[cfg(feature = "etcd")]
pub(crate) fn is_store(txn: &Txn<'_>) -> Result<bool> {
    Ok(text(txn, "format")?.is_some())
}

/// Returns the source of the unfinished copy, if there is one.
#[cfg(feature = "etcd")]
pub(crate) fn copied_from(txn: &Txn<'_>) -> Result<Option<String>> {
    text(txn, "copy")
}

#[cfg(feature = "etcd")]
pub(crate) fn begin_copy(txn: &mut Txn<'_>, from: &str) -> Result<()> {
    put(txn, "copy", from.to_owned())
}

#[cfg(feature = "etcd")]
pub(crate) fn end_copy(txn: &mut Txn<'_>) {
    txn.remove(&META, &"copy".to_owned());
}

/// Records the store that this one is a copy of.
#[cfg(feature = "etcd")]
pub(crate) fn put_original(txn: &mut Txn<'_>, store: &str) -> Result<()> {
    put(txn, "copy_of", store.to_owned())
}

/// True if the row with this key belongs to the store's place and not to its contents, so that a copy does not get it.
#[cfg(feature = "etcd")]
pub(crate) fn is_local(key: &[u8]) -> bool {
    ["purged", "store_id", "mark", "copy_of"].iter().any(|row| key == (*row).to_owned().to_bytes())
}

/// Returns the rows by which a file is recognised.
pub(crate) fn identity(txn: &Txn<'_>) -> Result<Identity> {
    Ok(Identity { store: text(txn, "store_id")?, mark: text(txn, "mark")? })
}

/// Writes the rows by which a file is recognised.
pub(crate) fn put_identity(txn: &mut Txn<'_>, identity: &Identity) -> Result<()> {
    for (row, text) in [("store_id", &identity.store), ("mark", &identity.mark)] {
        if let Some(text) = text {
            put(txn, row, text.clone())?;
        }
    }
    Ok(())
}

/// Writes the settings of a new store. An older store gets the number of this format: its records are read as they
/// are, and those that are written from now on are in this format.
pub(crate) fn synchronize(txn: &mut Txn<'_>, settings: &Settings) -> Result<()> {
    match number(txn, "format")? {
        Some(found) if found < FORMAT => return put(txn, "format", FORMAT.to_string()),
        Some(_) => return Ok(()),
        None => put(txn, "format", FORMAT.to_string())?,
    }
    put(txn, "email_matching", settings.email_matching.name().to_owned())?;
    put(txn, "created_by", concat!("authkv ", env!("CARGO_PKG_VERSION")).to_owned())?;
    let (name, version) = settings.models;
    put_models(txn, name, version, &settings.indexes)
}

pub(crate) fn put_models(txn: &mut Txn<'_>, name: &str, version: u32, indexes: &Indexes) -> Result<()> {
    put(txn, "models", name.to_owned())?;
    put(txn, "models_version", version.to_string())?;
    put_indexes(txn, indexes)
}

pub(crate) fn put_indexes(txn: &mut Txn<'_>, indexes: &Indexes) -> Result<()> {
    put_json(txn, "indexes", indexes)
}

pub(crate) fn put_change(txn: &mut Txn<'_>, change: Option<&Change>) -> Result<()> {
    match change {
        Some(change) => put_json(txn, "change", change),
        None => {
            txn.remove(&META, &"change".to_owned());
            Ok(())
        }
    }
}

fn put(txn: &mut Txn<'_>, row: &str, text: String) -> Result<()> {
    txn.put(&META, &row.to_owned(), &text)
}

fn put_json(txn: &mut Txn<'_>, row: &str, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(|_| Error::corrupt("a row of the meta table cannot be written"))?;
    put(txn, row, text)
}

/// Returns a row. `None` also if the table is missing.
fn text(txn: &Txn<'_>, row: &str) -> Result<Option<String>> {
    match txn.get(&META, &row.to_owned()) {
        Err(Error::MissingTable(_)) => Ok(None),
        found => found,
    }
}

fn required(txn: &Txn<'_>, row: &str) -> Result<String> {
    text(txn, row)?.ok_or_else(|| Error::corrupt("a row of the meta table is missing"))
}

fn number(txn: &Txn<'_>, row: &str) -> Result<Option<u32>> {
    json(txn, row)
}

fn json<T: DeserializeOwned>(txn: &Txn<'_>, row: &str) -> Result<Option<T>> {
    let parsed = text(txn, row)?.map(|text| serde_json::from_str(&text)).transpose();
    parsed.map_err(|_| Error::corrupt("a row of the meta table cannot be read"))
}
