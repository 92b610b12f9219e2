//! The session cache is exact. Goal: no reader gets an older state than one that any reader has read before. Method:
//! loom runs the code that decides what is fresh, in every order in which its threads can be scheduled and its memory
//! accesses can be seen. There is a cache for each of two sessions of one user; both depend on one row.
#![allow(clippy::unwrap_used)]

use loom::model::Builder;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use engine::published::{Published, ReadSet, Slot};

#[allow(dead_code)]
#[path = "../src/engine/redb"]
mod engine {
    pub(crate) mod published;

    /// loom's primitives under the names that `published` uses.
    pub(crate) mod sync {
        use std::ops::{Deref, DerefMut};

        pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};

        pub(crate) struct RwLock<T>(loom::sync::RwLock<T>);

        impl<T> RwLock<T> {
            pub(crate) fn new(value: T) -> Self {
                Self(loom::sync::RwLock::new(value))
            }

            pub(crate) fn read(&self) -> impl Deref<Target = T> + '_ {
                self.0.read().unwrap()
            }

            pub(crate) fn write(&self) -> impl DerefMut<Target = T> + '_ {
                self.0.write().unwrap()
            }
        }
    }
}

/// A store of one row, whose value is a number that only grows.
struct Store {
    published: Published<u64>,
    /// What a transaction of a shared database reads. It sees a commit before the commit is published.
    committed: AtomicU64,
    is_shared: bool,
    row: Slot,
    /// The newest value that any reader has read.
    seen: AtomicU64,
}

impl Store {
    fn new(is_shared: bool) -> Arc<Self> {
        let published = Published::new(0);
        // loom does not know that the standard library's OnceLock creates the slots in one thread for all.
        published.changes([Slot::default()]);
        published.publish(0);
        Arc::new(Self {
            published,
            committed: AtomicU64::new(0),
            is_shared,
            row: Slot::default(),
            seen: AtomicU64::new(0),
        })
    }

    /// A transaction of the application's or of the store's: one is open at a time. `inside` is called before it ends. Returns
    /// the committed value.
    fn transact(&self, one_at_a_time: &Mutex<()>, by: By, ends: Ends, inside: impl FnOnce()) -> u64 {
        let open = one_at_a_time.lock().unwrap();
        if by == By::Store {
            self.published.release();
        }
        match (by, ends) {
            (By::Application, _) => self.published.hold([self.row]),
            (By::Store, Ends::Commit) => self.published.changes([self.row]),
            (By::Store, Ends::Abort) => {}
        }
        inside();
        let value = self.committed.load(Ordering::SeqCst) + u64::from(ends == Ends::Commit);
        self.committed.store(value, Ordering::SeqCst);
        drop(open);
        // The application may have its turn before the store publishes.
        if (by, ends) == (By::Store, Ends::Commit) {
            self.published.publish(value);
        }
        value
    }

    fn write(&self, value: u64) {
        self.published.changes([self.row]);
        self.committed.store(value, Ordering::SeqCst);
        self.published.publish(value);
    }

    fn read(&self, cache: &mut Option<(u64, ReadSet)>) -> u64 {
        if let Some((value, note)) = *cache
            && self.published.is_fresh(&note)
        {
            return value;
        }
        let (published, version) = self.published.get();
        let value = if self.is_shared { self.committed.load(Ordering::SeqCst) } else { published };
        *cache = ReadSet::new(version, &[self.row]).map(|note| (value, note));
        value
    }

    fn must_read_nothing_older_than_what_was_read(&self, cache: &mut Option<(u64, ReadSet)>) {
        let before = self.seen.load(Ordering::SeqCst);
        let value = self.read(cache);
        assert!(value >= before, "{value} was read after {before}");
        self.seen.fetch_max(value, Ordering::SeqCst);
    }
}

#[derive(Clone, Copy, PartialEq)]
enum By {
    Application,
    Store,
}

#[derive(Clone, Copy, PartialEq)]
enum Ends {
    Commit,
    Abort,
}

/// While the store and the application write, each in its turn, no reader goes back.
fn read_beside_the_application(ends: Ends) {
    in_every_order(move || {
        let (store, one_at_a_time) = (Store::new(true), Arc::new(Mutex::new(())));
        let mut cache = None;
        store.read(&mut cache);
        let reader = {
            let store = Arc::clone(&store);
            thread::spawn(move || {
                let mut cache = None;
                store.must_read_nothing_older_than_what_was_read(&mut cache);
                store.must_read_nothing_older_than_what_was_read(&mut cache);
                cache
            })
        };
        let writer = {
            let (store, one_at_a_time) = (Arc::clone(&store), Arc::clone(&one_at_a_time));
            thread::spawn(move || {
                store.transact(&one_at_a_time, By::Store, Ends::Commit, || {});
                store.transact(&one_at_a_time, By::Store, Ends::Abort, || {});
            })
        };
        let inside = || store.must_read_nothing_older_than_what_was_read(&mut cache);
        let value = store.transact(&one_at_a_time, By::Application, ends, inside);
        // The application knows what it has committed, and may tell.
        store.seen.fetch_max(value, Ordering::SeqCst);
        store.must_read_nothing_older_than_what_was_read(&mut cache);
        writer.join().unwrap();
        let mut others = reader.join().unwrap();
        let last = store.committed.load(Ordering::SeqCst);
        assert_eq!((store.read(&mut cache), store.read(&mut others)), (last, last));
    });
}

#[test]
fn a_commit_of_the_applications_is_read_whatever_the_store_publishes_meanwhile() {
    read_beside_the_application(Ends::Commit);
}

#[test]
fn a_transaction_of_the_applications_that_is_aborted_hides_nothing() {
    read_beside_the_application(Ends::Abort);
}

/// The store has committed and publishes while the application has its turn.
#[test]
fn what_was_read_inside_of_a_transaction_is_stale_when_it_has_ended() {
    with_switches(4, || {
        let (store, one_at_a_time) = (Store::new(true), Arc::new(Mutex::new(())));
        let writer = {
            let (store, one_at_a_time) = (Arc::clone(&store), Arc::clone(&one_at_a_time));
            thread::spawn(move || store.transact(&one_at_a_time, By::Store, Ends::Commit, || {}))
        };
        let mut cache = None;
        let inside = || store.must_read_nothing_older_than_what_was_read(&mut cache);
        let value = store.transact(&one_at_a_time, By::Application, Ends::Commit, inside);
        store.seen.fetch_max(value, Ordering::SeqCst);
        store.must_read_nothing_older_than_what_was_read(&mut cache);
        writer.join().unwrap();
    });
}

#[test]
fn what_was_read_after_a_transaction_had_ended_can_be_fresh() {
    in_every_order(|| {
        let (store, one_at_a_time) = (Store::new(true), Mutex::new(()));
        store.transact(&one_at_a_time, By::Application, Ends::Commit, || {});
        let mut cache = None;
        assert_eq!(store.read(&mut cache), 1);
        assert!(!store.published.is_fresh(&cache.unwrap().1), "nobody knows that it has ended");
        store.transact(&one_at_a_time, By::Store, Ends::Abort, || {});
        assert!(!store.published.is_fresh(&cache.unwrap().1), "it may have been read before the commit");
        store.read(&mut cache);
        assert!(store.published.is_fresh(&cache.unwrap().1));
    });
}

fn in_every_order(run: impl Fn() + Sync + Send + 'static) {
    // More than two switches find nothing more in most cases and take very long.
    with_switches(2, run);
}

fn with_switches(most: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(most);
    builder.check(run);
}

fn read_while_it_is_written(is_shared: bool) {
    in_every_order(move || {
        let store = Store::new(is_shared);
        let reader = |store: &Arc<Store>| {
            let store = Arc::clone(store);
            thread::spawn(move || {
                let mut cache = None;
                store.must_read_nothing_older_than_what_was_read(&mut cache);
                store.must_read_nothing_older_than_what_was_read(&mut cache);
            })
        };
        let mut cache = None;
        store.read(&mut cache);
        let readers = [reader(&store), reader(&store)];
        store.write(1);
        // The writer's callers are answered now.
        store.seen.fetch_max(1, Ordering::SeqCst);
        store.must_read_nothing_older_than_what_was_read(&mut cache);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        store.must_read_nothing_older_than_what_was_read(&mut cache);
    });
}

#[test]
fn nobody_reads_an_older_state_than_one_that_was_read() {
    read_while_it_is_written(false);
}

#[test]
fn nobody_reads_an_older_state_of_a_shared_database_than_one_that_was_read() {
    read_while_it_is_written(true);
}

#[test]
fn nobody_reads_a_state_that_was_lost_when_the_file_was_reopened() {
    in_every_order(|| {
        let store = Store::new(false);
        let lost = Arc::new(AtomicU64::new(0));
        let reader = {
            let (store, lost) = (Arc::clone(&store), Arc::clone(&lost));
            thread::spawn(move || {
                let mut cache = None;
                for _ in 0..2 {
                    let was_lost = lost.load(Ordering::SeqCst);
                    let value = store.read(&mut cache);
                    assert!(was_lost == 0 || value == 0, "a lost value was read");
                }
            })
        };
        store.write(1);
        store.published.withdraw(0);
        store.published.publish(0);
        lost.store(1, Ordering::SeqCst);
        assert_eq!(store.read(&mut None), 0);
        reader.join().unwrap();
    });
}
