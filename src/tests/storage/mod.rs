//! Tests of storage that fails. Goal: the caller learns whether the outcome is known, nothing acknowledged is lost, and
//! the store recovers by itself when the storage does. Method: a storage backend that fails on demand and keeps its bytes
//! when the database is reopened.

mod full;
#[cfg(unix)]
mod identity;
mod migrating;
mod opening;
mod own_transactions;
mod power;
mod reading;
mod writing;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redb::{BackendError, StorageBackend};

use crate::engine::redb::Source;
use crate::models::{NewUser, User};
use crate::{AuthKv, Options, Result};

/// The kind of call that fails.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Read,
    Write,
    Sync,
    Resize,
}

#[derive(Debug, Default)]
struct Disk {
    bytes: Vec<u8>,
    /// The kind of call that fails, after how many successful ones, and whether for good.
    fault: Option<(Call, usize, bool)>,
    /// After how many reads one returns damaged bytes.
    damaged: Option<usize>,
    /// The kind of space that is used up.
    full: Option<Full>,
    /// The pages that have ever been written.
    written: BTreeSet<usize>,
}

/// The ways in which a disk can be full. Existing data can be overwritten either way.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Full {
    /// The file cannot grow.
    Length,
    /// The file can grow, but the new part cannot be written, as with sparse files.
    Pages,
}

const PAGE_BYTES: usize = 4_096;

#[derive(Clone, Debug, Default)]
struct Flaky(Arc<Mutex<Disk>>);

impl Flaky {
    fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Disk { bytes, ..Disk::default() })))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().bytes.clone()
    }

    fn fail(&self, call: Call, after: usize, for_good: bool) {
        self.0.lock().fault = Some((call, after, for_good));
    }

    /// Has the read after so many successful ones return bytes that no page has.
    fn damage_read(&self, after: usize) {
        self.0.lock().damaged = Some(after);
    }

    fn fill(&self, full: Full) {
        self.0.lock().full = Some(full);
    }

    fn heal(&self) {
        let mut disk = self.0.lock();
        disk.fault = None;
        disk.damaged = None;
        disk.full = None;
    }

    fn call(&self, call: Call) -> Result<parking_lot::MutexGuard<'_, Disk>, io::Error> {
        let mut disk = self.0.lock();
        match &mut disk.fault {
            Some((failing, 0, for_good)) if *failing == call => {
                if !*for_good {
                    disk.fault = None;
                }
                Err(io::Error::from(io::ErrorKind::StorageFull))
            }
            Some((failing, after, _)) if *failing == call => {
                *after -= 1;
                Ok(disk)
            }
            _ => Ok(disk),
        }
    }

    /// True if the fault has not happened yet.
    fn is_waiting(&self) -> bool {
        let disk = self.0.lock();
        disk.fault.is_some() || disk.damaged.is_some()
    }

    fn open(&self) -> Result<AuthKv> {
        self.open_with(AuthKv::options())
    }

    fn open_with(&self, options: Options) -> Result<AuthKv> {
        let disk = self.clone();
        let source = Source::Made(Box::new(move |builder| builder.set_cache_size(0).create_with_backend(disk.clone())));
        options.open_source(source)
    }

    fn store(&self) -> AuthKv {
        self.open().unwrap()
    }
}

impl StorageBackend for Flaky {
    fn len(&self) -> Result<u64, io::Error> {
        Ok(self.0.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        let mut disk = self.call(Call::Read)?;
        let offset = usize::try_from(offset).unwrap();
        out.copy_from_slice(&disk.bytes[offset..offset + out.len()]);
        match disk.damaged {
            Some(0) => {
                out.fill(0xEE);
                disk.damaged = None;
            }
            after => disk.damaged = after.map(|after| after - 1),
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        let mut disk = self.call(Call::Resize)?;
        let len = usize::try_from(len).unwrap();
        if len > disk.bytes.len() && disk.full == Some(Full::Length) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.bytes.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), io::Error> {
        self.call(Call::Sync).map(drop)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        let mut disk = self.call(Call::Write)?;
        let offset = usize::try_from(offset).unwrap();
        let pages = offset / PAGE_BYTES..(offset + data.len()).div_ceil(PAGE_BYTES);
        if disk.full == Some(Full::Pages) && !pages.clone().all(|page| disk.written.contains(&page)) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        disk.written.extend(pages);
        disk.bytes[offset..offset + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn try_lock_range(&self, _: std::ops::Bound<u64>, _: std::ops::Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }
}

fn user(number: usize) -> NewUser {
    NewUser::email(format!("{number}@example.com"))
}

/// Repeats a call until the store has recovered.
fn eventually<T>(call: impl Fn() -> Result<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match call() {
            Ok(found) => return found,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn assert_all_there(store: &AuthKv, users: &[User]) {
    for user in users {
        assert_eq!(eventually(|| store.get_user(&user.id).wait()).as_ref(), Some(user));
    }
    let report = eventually(|| store.check().wait());
    assert!(report.is_sound(), "{:?}", report.problems);
}

/// Takes half of the entries out of every leaf with users, older ones included, as damage may. They have addresses at
/// example.com.
pub(crate) fn hide_half_of_the_users(file: &mut [u8]) {
    let has_users = |page: &[u8]| page[0] == 1 && page[2] > 3 && page.windows(12).any(|text| text == b"@example.com");
    let leaves = file.chunks_mut(4_096).skip(1).filter(|page| has_users(page));
    leaves.for_each(|page| page.copy_from_slice(&halved(page)));
}

/// A leaf of redb's with the first half of its entries.
fn halved(leaf: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_le_bytes(leaf[at..at + 4].try_into().unwrap()) as usize;
    let count = usize::from(u16::from_le_bytes([leaf[2], leaf[3]]));
    let (ends, half) = (|table: usize, entry: usize| number(4 + 4 * (table * count + entry)), count / 2);
    let (keys, values) = (&leaf[4 + 8 * count..ends(0, half - 1)], &leaf[ends(0, count - 1)..ends(1, half - 1)]);
    let mut page = [&leaf[..2], &u16::try_from(half).unwrap().to_le_bytes()].concat();
    let moved = 8 * (count - half);
    (0..half).for_each(|entry| page.extend(((ends(0, entry) - moved) as u32).to_le_bytes()));
    let moved = moved + ends(0, count - 1) - ends(0, half - 1);
    (0..half).for_each(|entry| page.extend(((ends(1, entry) - moved) as u32).to_le_bytes()));
    page.extend([keys, values].concat());
    page.resize(leaf.len(), 0);
    page
}
