//! Power cuts after a failed sync. Goal: what callers were told, and what they have read since, survives, although the
//! store has reopened its file by itself meanwhile. Method: the disk of the durability tests, on which syncs fail now
//! and then. Data that a failed sync should have made durable stays readable, but is lost in a power cut unless it is
//! written again.

#[path = "../../../tests/durability/disk.rs"]
mod disk;
#[path = "../../../tests/seeds/mod.rs"]
mod seeds;

use std::io;
use std::sync::Arc;

use fastrand::Rng;
use parking_lot::Mutex;

use self::disk::{Call, Disk, Image, Platter};
use super::{eventually, user};
use crate::engine::redb::Source;
use crate::{AuthKv, Error};

const HISTORIES: u32 = 60;
const USERS: usize = 12;
/// The probabilities that a sync fails, and that the power is cut after a call.
const CHANCES: (f64, f64) = (0.15, 0.06);

/// What is known about a user whom the test tried to create.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Unknown,
    There,
    Absent,
}

type Fates = Arc<Mutex<Vec<Fate>>>;
type Cuts = Arc<Mutex<Vec<(Image, Vec<Fate>)>>>;

/// Statistics about the histories.
#[derive(Default)]
struct Tally {
    images: usize,
    torn: usize,
    told: usize,
    read: usize,
}

#[test]
fn what_is_read_after_a_failed_sync_survives_a_power_cut() {
    let tallies = seeds::for_each_seed(HISTORIES, history);
    if seeds::replayed().is_none() {
        let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
        assert!(sum(|tally| tally.images) > 500 && sum(|tally| tally.torn) > 100);
        assert!(sum(|tally| tally.told) > 200 && sum(|tally| tally.read) > 100);
    }
}

/// Creates users while syncs fail, and looks up users whose outcome is unknown.
fn history(seed: u64) -> Tally {
    let mut tally = Tally::default();
    let (fates, cuts) = (Fates::default(), Cuts::default());
    let disk = failing_disk(seed, &fates, &cuts);
    let store = open(&disk).unwrap();
    for number in 0..USERS {
        fates.lock().push(Fate::Unknown);
        let fate = match store.create_user(user(number)).wait() {
            Ok(_) => Fate::There,
            Err(Error::Storage(_)) => Fate::Absent,
            Err(Error::OutcomeUnknown(_)) => {
                tally.read += 1;
                fate(eventually(|| store.get_user_by_email(&format!("{number}@example.com")).wait()).is_some())
            }
            Err(error) => panic!("{error}"),
        };
        tally.told += usize::from(fate == Fate::There);
        fates.lock()[number] = fate;
    }
    drop(store);
    cuts.lock().push((disk.cut(&mut Rng::with_seed(seed)), fates.lock().clone()));
    for (image, fates) in cuts.lock().drain(..) {
        tally.images += 1;
        tally.torn += image.torn;
        must_hold(image, &fates);
    }
    tally
}

/// A disk that fails and loses power at random once there are fates.
fn failing_disk(seed: u64, fates: &Fates, cuts: &Cuts) -> Disk {
    let mut random = Rng::with_seed(seed);
    let (fates, cuts) = (Arc::clone(fates), Arc::clone(cuts));
    let mut has_failed = false;
    let watcher = move |call, platter: &Platter| {
        let fates = fates.lock();
        if has_failed && random.f64() < CHANCES.1 {
            cuts.lock().push((platter.cut(&mut random), fates.clone()));
        }
        if call == Call::Sync && !fates.is_empty() && random.f64() < CHANCES.0 {
            has_failed = true;
            return Err(io::Error::other("the sync failed"));
        }
        Ok(())
    };
    Disk::new(Vec::new(), Box::new(watcher))
}

fn open(disk: &Disk) -> crate::Result<AuthKv> {
    let disk = disk.clone();
    let source = Source::Made(Box::new(move |builder| builder.create_with_backend(disk.clone())));
    AuthKv::options().open_source(source)
}

fn must_hold(image: Image, fates: &[Fate]) {
    let store = open(&Disk::new(image.bytes, Box::new(|_, _| Ok(())))).unwrap();
    for (number, expected) in fates.iter().enumerate() {
        let found = fate(store.get_user_by_email(&format!("{number}@example.com")).wait().unwrap().is_some());
        assert!(*expected == Fate::Unknown || found == *expected, "{number} is {found:?} of {fates:?}");
    }
    let report = store.check().wait().unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
}

fn fate(is_there: bool) -> Fate {
    if is_there { Fate::There } else { Fate::Absent }
}
