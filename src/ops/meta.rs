//! What a store says about itself: its format, its models and how it compares e-mail addresses.
//!
//! The rows of `meta` are texts. `format` keeps record version 1 for ever, so that every version of this crate can read
//! it and refuse a newer format.

use crate::error::{Error, OpenProblem, Result};
use crate::record::EmailMatching;
use crate::schema::META;
use crate::txn::Txn;

/// The newest format that this version reads, and the one that it writes.
pub(crate) const FORMAT: u32 = 1;

/// What a store is opened with and must agree with.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) models: (&'static str, u32),
    pub(crate) email_matching: EmailMatching,
}

/// Refuses a store that these settings do not fit. One without any settings yet fits.
pub(crate) fn verify(txn: &Txn<'_>, settings: &Settings) -> Result<()> {
    let found = match number(txn, "format") {
        Err(Error::MissingTable(_)) | Ok(None) => return Ok(()),
        Ok(Some(found)) => found,
        Err(error) => return Err(error),
    };
    if found > FORMAT {
        return Err(OpenProblem::NewerFormat { found, known: FORMAT }.into());
    }
    let models = (text(txn, "models")?, number(txn, "models_version")?.unwrap_or(0));
    let (name, version) = settings.models;
    if models.0 != name || models.1 > version {
        return Err(OpenProblem::OtherModels { found: models, expected: (name.to_owned(), version) }.into());
    }
    let matching = text(txn, "email_matching")?;
    let expected = settings.email_matching;
    match EmailMatching::ALL.into_iter().find(|matching_of| matching_of.name() == matching) {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(OpenProblem::OtherEmailMatching { found: found.name(), expected: expected.name() }.into()),
        None => Err(Error::corrupt("the e-mail matching of the store is unknown")),
    }
}

/// Writes what a new store says about itself, and a newer version of its models.
pub(crate) fn synchronize(txn: &mut Txn<'_>, settings: &Settings) -> Result<()> {
    let (name, version) = settings.models;
    let rows = [
        ("format", FORMAT.to_string()),
        ("models", name.to_owned()),
        ("models_version", version.to_string()),
        ("email_matching", settings.email_matching.name().to_owned()),
    ];
    for (row, value) in rows {
        let row = row.to_owned();
        if txn.get(&META, &row)?.as_ref() != Some(&value) {
            txn.put(&META, &row, &value)?;
        }
    }
    let created_by = "created_by".to_owned();
    if !txn.contains(&META, &created_by)? {
        txn.put(&META, &created_by, &concat!("authkv ", env!("CARGO_PKG_VERSION")).to_owned())?;
    }
    Ok(())
}

fn text(txn: &Txn<'_>, row: &str) -> Result<String> {
    txn.get(&META, &row.to_owned())?.ok_or_else(|| Error::corrupt("a row of the meta table is missing"))
}

fn number(txn: &Txn<'_>, row: &str) -> Result<Option<u32>> {
    match txn.get(&META, &row.to_owned())? {
        Some(text) => text.parse().map(Some).map_err(|_| Error::corrupt("a number in the meta table cannot be read")),
        None => Ok(None),
    }
}
