//! Copying a store between a file and a cluster.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::engine::any::AnyEngine;
use crate::engine::redb::{Config as RedbConfig, RedbEngine, Source};
use crate::engine::remote::cluster::Reading;
use crate::engine::remote::etcd::Etcd;
use crate::engine::remote::{Config, Keys, RemoteEngine};
use crate::engine::{Durability, Engine, Setup};
use crate::error::{Error, OpenProblem, Result};
use crate::kv::table::{RowKey, TableId};
use crate::ops::copy::Damaged;
use crate::ops::{copy, meta};
use crate::records::entries::change_rows;
use crate::records::schema::{META, TABLES};
use crate::store::signature;

/// How many passes over the source are made before the copy fails because the source keeps changing.
const PASSES_MAX: usize = 5;
/// How much memory redb may use to cache pages of a file, in bytes.
const CACHE_BYTES: usize = 64 << 20;

/// The location of a store: a file, or a namespace of a cluster. As text it is the path of the file or the URL of the
/// cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // there are two of them, for as long as a copy takes
pub enum Place {
    /// A file.
    File(PathBuf),
    /// A namespace of a cluster.
    Cluster(Etcd),
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("etcd://") || text.starts_with("etcds://") {
            text.parse().map(Self::Cluster)
        } else {
            Ok(Self::File(text.into()))
        }
    }
}

/// Without the password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Cluster(etcd) => etcd.fmt(f),
        }
    }
}

/// The progress of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyProgress {
    /// How many rows this pass has compared, and written where they differed.
    pub rows_done: u64,
    /// How many rows the source had when the pass began.
    pub rows: u64,
    /// The number of the pass, from 1 on. The last pass finds no difference.
    pub pass: usize,
}

/// Copies a store to a place that has none, and returns the number of rows.
///
/// The copy makes passes over the source until a pass finds no difference. So it verifies what it has written, and
/// calling it again resumes an interrupted copy. An unfinished copy cannot be opened as a store. Rows are copied
/// unchanged, so copying a store there and back yields the same records. A file that is a copy has an id of its own and
/// notes the id of the file that it was copied from.
///
/// Stop the application first: the copy does not finish while the store is written to. A file must not be open.
///
/// # Errors
/// [`Open`](Error::Open) when the source has no store or one of an older format, which opening it changes, when the destination has a store or the unfinished copy of
/// another one, when the source keeps changing, when it is a file with tables of an application's own
/// ([`OpenProblem::TablesBeside`]), which the copy would not have, and as when the places are opened;
/// [`Storage`](Error::Storage) also
/// when a row of the source is damaged or hidden by damage: see [`salvage`].
pub fn copy(from: &Place, to: &Place, on_progress: impl FnMut(CopyProgress)) -> Result<u64> {
    copy_rows(from, to, on_progress, Damaged::Stops).map(|salvaged| salvaged.rows)
}

/// What [`salvage`] has copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// How many rows were copied.
    pub rows: u64,
    /// Each row that was not, because it is damaged.
    pub left_out: Vec<RowKey>,
    /// How many more rows a file counts: damaged pages hide them, so that nobody can tell which they are.
    pub hidden: u64,
}

/// Like [`copy`], for a source of which rows are damaged: it leaves them out and lists each, and counts those that damaged
/// pages hide. The source stays as it is.
///
/// A record that is left out may have index entries that are not, and the other way round. So open the copy and
/// [repair](crate::AuthKv::repair) it, which makes the entries agree with the records that are there.
///
/// # Errors
/// Those of [`copy`], and [`Storage`](Error::Storage) when pages of a file are so damaged that the rows behind them
/// cannot be reached.
pub fn salvage(from: &Place, to: &Place, on_progress: impl FnMut(CopyProgress)) -> Result<Salvaged> {
    copy_rows(from, to, on_progress, Damaged::IsLeftOut)
}

fn copy_rows(
    from: &Place,
    to: &Place,
    mut on_progress: impl FnMut(CopyProgress),
    damaged: Damaged,
) -> Result<Salvaged> {
    let source = source(from)?;
    let copied = destination(to, from.to_string())?;
    source.opened();
    copied.opened();
    for pass in 1..=PASSES_MAX {
        let in_all = source.read(copy::count, Ok).wait()?;
        let mut progress = CopyProgress { rows_done: 0, rows: in_all, pass };
        on_progress(progress);
        let (mut differences, mut left_out) = (0, Vec::new());
        for table in TABLES.into_iter().filter(|table| *table != META.id) {
            differences += copy_table(&source, &copied, table, damaged, &mut |rows| {
                progress.rows_done += rows.rows.len() as u64;
                left_out.extend(rows.left_out);
                on_progress(progress);
            })?;
        }
        // Nobody else has a file open. On a cluster rows may have come and gone since they were counted.
        let found = progress.rows_done + left_out.len() as u64;
        let hidden = if matches!(from, Place::File(_)) { in_all.saturating_sub(found) } else { 0 };
        if hidden > 0 && damaged == Damaged::Stops {
            return Err(Error::corrupt("damage hides rows of the source"));
        }
        if differences == 0 {
            let meta = rows(&source, META.id, None, None, Damaged::Stops)?;
            let meta: Vec<_> = meta.rows.into_iter().filter(|(key, _)| !meta::is_local(key)).collect();
            // A store on a cluster has no id, neither its own nor that of another.
            let has_id = matches!(to, Place::File(_));
            let original = if has_id { source.read(meta::identity, Ok).wait()?.store } else { None };
            copied.write(move |txn| copy::finish(txn, &meta, original.as_deref()), Ok).wait()?;
            copied.close().wait()?;
            return Ok(Salvaged { rows: progress.rows_done, left_out, hidden });
        }
    }
    Err(OpenProblem::KeepsChanging.into())
}

/// Makes a table of the copy equal to the source's. Returns how many rows differed.
fn copy_table(
    from: &AnyEngine,
    to: &AnyEngine,
    table: TableId,
    damaged: Damaged,
    on_rows: &mut dyn FnMut(copy::Rows),
) -> Result<usize> {
    let mut after: Option<Vec<u8>> = None;
    let mut differences = 0;
    loop {
        let wanted = rows(from, table, after.clone(), None, damaged)?;
        let last = wanted.last.clone();
        let upto = last.clone().filter(|_| !wanted.is_end);
        let mut has = Vec::new();
        let mut place = after;
        loop {
            let some = rows(to, table, place, upto.clone(), Damaged::Stops)?;
            place = some.last.clone();
            let is_end = some.is_end;
            has.push(some);
            if is_end {
                break;
            }
        }
        let changes = copy::differences(&wanted, &has);
        differences += changes.len();
        for some in changes.chunks(copy::ROWS_MAX) {
            let some = some.to_vec();
            let change = move |txn: &mut crate::kv::txn::Txn<'_>| {
                change_rows(txn, table, &some);
                Ok(())
            };
            to.write(change, Ok).wait()?;
        }
        let is_end = wanted.is_end;
        on_rows(wanted);
        if is_end {
            return Ok(differences);
        }
        after = last;
    }
}

fn rows(
    of: &AnyEngine,
    table: TableId,
    after: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    damaged: Damaged,
) -> Result<copy::Rows> {
    of.read(move |txn| copy::rows(txn, table, after.as_deref(), to.as_deref(), damaged), Ok).wait()
}

fn source(place: &Place) -> Result<AnyEngine> {
    let setup = Setup {
        accept: Box::new(meta::accept_source),
        synchronize: Box::new(|_| Ok(())),
        decisive: meta::decisive(),
        signature: signature()?,
    };
    open(place, setup, Source::LoneFile, false)
}

fn destination(place: &Place, from: String) -> Result<AnyEngine> {
    let begun = from.clone();
    let setup = Setup {
        accept: Box::new(move |txn| copy::accept(txn, &from)),
        synchronize: Box::new(move |txn| copy::begin(txn, &begun)),
        decisive: meta::decisive_of_copy(),
        signature: signature()?,
    };
    open(place, setup, Source::File, true)
}

fn open(place: &Place, setup: Setup, file: fn(PathBuf) -> Source, synchronize: bool) -> Result<AnyEngine> {
    match place {
        Place::File(path) => {
            let config = RedbConfig {
                durability: Durability::Full,
                cache_bytes: CACHE_BYTES,
                synchronize,
                check_pages: false,
                on_recovery: None,
                erases: false,
                // No application shares the file.
                wait_for_transaction: std::time::Duration::ZERO,
            };
            let opened = RedbEngine::open(file(path.clone()), config, setup).map(AnyEngine::Redb);
            opened.map_err(|error| error.opening(Some(path.clone())))
        }
        Place::Cluster(etcd) => {
            etcd.check()?;
            let config = Config {
                timeout: etcd.timeout,
                in_flight_max: etcd.in_flight_max,
                reading: Reading::Newest,
                synchronize,
            };
            let opened = RemoteEngine::connect(etcd, Keys::new(&etcd.namespace), config, setup).map(AnyEngine::Remote);
            opened.map_err(|error| error.opening(None))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AuthKv;
    use crate::kv::key::Key;
    use crate::models::NewUser;
    use crate::records::Identity;
    use crate::records::schema::USERS;
    use crate::tests::storage::hide_half_of_the_users;

    /// A copy is never a file without the application's rows.
    #[test]
    fn a_file_with_tables_of_an_application_is_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared.redb");
        let (auth, database) = AuthKv::open_shared(&path).unwrap();
        let copied = folder.path().join("copy.redb");
        let own = database.begin_write().unwrap();
        own.open_table(redb::TableDefinition::<u64, u64>::new("notes")).unwrap().insert(1, 1).unwrap();
        own.commit().unwrap();
        drop((auth, database));
        for copies in [
            |from: &Place, to: &Place| copy(from, to, |_| ()).map(drop),
            |from: &Place, to: &Place| salvage(from, to, |_| ()).map(drop),
        ] {
            let error = copies(&Place::File(path.clone()), &Place::File(copied.clone())).unwrap_err();
            assert!(matches!(error, Error::Open { problem: OpenProblem::TablesBeside, .. }), "{error}");
            assert!(!copied.exists(), "something was made");
        }
    }

    #[test]
    fn a_salvage_leaves_out_damaged_rows_and_lists_each() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| Place::File(folder.path().join(name));
        let auth = AuthKv::open(folder.path().join("first")).unwrap();
        // More than one batch, with damage at its end, in its middle, and nothing else behind.
        let users: Vec<_> = (0..150).map(|number| NewUser::email(format!("{number}@example.com"))).collect();
        let mut ids: Vec<_> = users.into_iter().map(|user| auth.create_user(user).wait().unwrap().id).collect();
        ids.sort();
        let damaged: Vec<_> = [0, 50, 98, 99, 100, 149].map(|place: usize| ids[place].clone()).into();
        let spoil = damaged.clone();
        let op = move |txn: &mut crate::kv::txn::Txn<'_>| {
            for id in &spoil {
                let row = (id.to_bytes(), Some(b"no record".to_vec()));
                change_rows(txn, USERS.id, &[row]);
            }
            Ok(())
        };
        auth.write_alone(op, Ok).wait().unwrap();
        drop(auth);
        assert!(matches!(copy(&place("first"), &place("second"), |_| ()), Err(Error::Storage(_))));
        let salvaged = salvage(&place("first"), &place("third"), |_| ()).unwrap();
        let expected: Vec<_> = damaged.iter().map(|id| RowKey::new(USERS.id, &id.to_bytes())).collect();
        assert_eq!(salvaged.left_out, expected);

        let auth = AuthKv::open(folder.path().join("third")).unwrap();
        let repair = auth.repair().wait().unwrap();
        assert_eq!(auth.carry_out(repair).wait().unwrap().done, damaged.len(), "their addresses are free");
        let report = auth.check().wait().unwrap();
        assert!(report.is_sound() && report.users == 144, "{report:?}");
    }

    #[test]
    fn rows_that_damage_hides_are_not_left_out_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| Place::File(folder.path().join(name));
        let auth = AuthKv::open(folder.path().join("first")).unwrap();
        let users = (0..100).map(|number| auth.create_user(NewUser::email(format!("{number}@example.com"))));
        users.collect::<Vec<_>>().into_iter().for_each(|reply| drop(reply.wait().unwrap()));
        drop(auth);
        let mut bytes = std::fs::read(folder.path().join("first")).unwrap();
        hide_half_of_the_users(&mut bytes);
        std::fs::write(folder.path().join("damaged"), bytes).unwrap();
        let refused = copy(&place("damaged"), &place("second"), |_| ()).unwrap_err();
        assert!(matches!(refused, Error::Storage(_)), "{refused}");
        let salvaged = salvage(&place("damaged"), &place("third"), |_| ()).unwrap();
        assert!(salvaged.hidden > 0 && salvaged.left_out.is_empty(), "{salvaged:?}");
        assert_eq!(salvaged.rows + salvaged.hidden, 200);
    }

    #[test]
    fn a_copy_has_an_id_of_its_own_and_notes_whose_copy_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| Place::File(folder.path().join(name));
        let look = |name: &str| {
            let auth = AuthKv::open(folder.path().join(name)).unwrap();
            assert!(auth.get_user_by_email("ada@example.com").wait().unwrap().is_some());
            let read = |txn: &crate::kv::txn::Txn<'_>| {
                Ok((meta::identity(txn)?, txn.get(&META, &"copy_of".to_owned())?, meta::copied_from(txn)?))
            };
            auth.read(read, Ok).wait().unwrap()
        };
        let auth = AuthKv::open(folder.path().join("first")).unwrap();
        auth.create_user(NewUser::email("ada@example.com")).wait().unwrap();
        drop(auth);
        let mut original: (Identity, _, _) = look("first");
        assert_eq!((&original.1, &original.2), (&None, &None));
        for (from, to) in [("first", "second"), ("second", "third")] {
            copy(&place(from), &place(to), |_| ()).unwrap();
            assert_eq!(look(from), original, "copying changes nothing");
            let copied = look(to);
            assert!(copied.0.store.is_some() && copied.0.store != original.0.store && copied.0.mark != original.0.mark);
            assert_eq!((&copied.1, &copied.2), (&original.0.store, &None));
            original = copied;
        }
    }
}
