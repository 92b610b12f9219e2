//! A disk in memory whose power can be cut. Writes since the last sync may then be there, be there in part, or be lost,
//! in any combination.

use std::fmt;
use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;
use redb::{BackendError, StorageBackend};

const SECTOR_BYTES: usize = 512;

/// A call that the database has just made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Call {
    Write,
    Resize,
    /// A sync begins: earlier writes may reach the disk in any order.
    Sync,
    /// A sync has ended.
    Synced,
}

/// Watches the disk after each call, and can make the call fail.
pub(crate) type Watcher = Box<dyn FnMut(Call, &Platter) -> io::Result<()> + Send>;

/// The disk's handle, for the database and the test.
#[derive(Clone)]
pub(crate) struct Disk(Arc<Mutex<Watched>>);

struct Watched {
    platter: Platter,
    watcher: Watcher,
}

/// The contents of the disk.
pub(crate) struct Platter {
    /// The readable bytes: everything written, synced or not.
    now: Vec<u8>,
    /// The bytes that survive a power cut in any case.
    durable: Vec<u8>,
    /// The changes that the next sync makes durable.
    unsynced: Vec<Change>,
}

enum Change {
    Write { offset: usize, data: Vec<u8> },
    Resize(usize),
}

/// What is left after a power cut.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    /// How many writes survived only in part.
    pub(crate) torn: usize,
}

impl Disk {
    pub(crate) fn new(bytes: Vec<u8>, watcher: Watcher) -> Self {
        let platter = Platter { now: bytes.clone(), durable: bytes, unsynced: Vec::new() };
        Self(Arc::new(Mutex::new(Watched { platter, watcher })))
    }

    /// Cuts the power now.
    pub(crate) fn cut(&self, random: &mut Rng) -> Image {
        self.lock().platter.cut(random)
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    fn called(&mut self, call: Call) -> io::Result<()> {
        (self.watcher)(call, &self.platter)
    }
}

impl Platter {
    /// What is left if the power is cut now.
    pub(crate) fn cut(&self, random: &mut Rng) -> Image {
        let kept = [0.0, 0.1, 0.5, 0.9, 1.0][random.usize(..5)];
        let mut image = Image { bytes: self.durable.clone(), torn: 0 };
        // File systems keep the order of size changes, but not of contents relative to sizes.
        let mut sizes_kept = true;
        let mut writes = Vec::new();
        for change in &self.unsynced {
            match change {
                Change::Write { offset, data } => writes.push((*offset, data)),
                Change::Resize(len) => {
                    sizes_kept = sizes_kept && random.f64() < kept;
                    if sizes_kept {
                        image.bytes.resize(*len, 0);
                    }
                }
            }
        }
        if random.bool() {
            random.shuffle(&mut writes);
        }
        for (offset, data) in writes {
            if random.f64() < kept {
                image.write(offset, data, random);
            }
        }
        image
    }

    fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Write { offset, data } => bytes[*offset..offset + data.len()].copy_from_slice(data),
            Change::Resize(len) => bytes.resize(*len, 0),
        }
    }

    fn change(&mut self, change: Change) {
        Self::apply(&mut self.now, &change);
        self.unsynced.push(change);
    }
}

impl Image {
    /// Writes all or a part of the data.
    fn write(&mut self, offset: usize, data: &[u8], random: &mut Rng) {
        match random.u8(..8) {
            0 => {
                let middle = random.usize(..=data.len());
                let part = if random.bool() { 0..middle } else { middle..data.len() };
                self.torn += usize::from(part.len() < data.len());
                self.put(offset + part.start, &data[part]);
            }
            1 => {
                for (number, sector) in data.chunks(SECTOR_BYTES).enumerate() {
                    if random.bool() {
                        self.put(offset + number * SECTOR_BYTES, sector);
                    } else {
                        self.torn += 1;
                    }
                }
            }
            _ => self.put(offset, data),
        }
    }

    fn put(&mut self, offset: usize, data: &[u8]) {
        let start = offset.min(self.bytes.len());
        let end = (offset + data.len()).min(self.bytes.len());
        self.bytes[start..end].copy_from_slice(&data[..end - start]);
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().platter.now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let offset = offset as usize;
        let disk = self.lock();
        let data = disk.platter.now.get(offset..offset + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(data);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.lock();
        disk.platter.change(Change::Resize(len as usize));
        disk.called(Call::Resize)
    }

    /// As on Linux, a failed sync leaves nothing for the next one to do: the data that it should have made durable
    /// stays readable, and is lost with the power.
    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.lock();
        let result = disk.called(Call::Sync);
        let platter = &mut disk.platter;
        for change in platter.unsynced.drain(..) {
            if result.is_ok() {
                Platter::apply(&mut platter.durable, &change);
            }
        }
        result?;
        disk.called(Call::Synced)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut disk = self.lock();
        disk.platter.change(Change::Write { offset: offset as usize, data: data.to_vec() });
        disk.called(Call::Write)
    }

    fn try_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(true)
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Disk")
    }
}
