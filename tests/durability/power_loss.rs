//! Power loss. Goal: after a power cut at any moment the store opens and contains every operation that was
//! acknowledged, and each other operation completely or not at all.
//!
//! Method: random operations run on a simulated disk. At random calls to the disk an image is made of what would be
//! left if the power were cut there. The writer carries operations out in the order of submission, so the state in an
//! opened image must be the one after some number of operations: at least those acknowledged (with deferred durability:
//! those acknowledged before the last sync). Half of the images lose power again while they recover, and again. One
//! image of each life starts the next life.
//!
//! A history depends only on its seed, so a failing one can be run again: the answer to the last operation of a batch
//! holds the writer's thread until the next batch is submitted completely. Only three things differ: the ids that the
//! store makes, the time at which deferred writes are synced after waiting long, and how far a reopened store has come
//! with removing a crowd.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use authkv::redb::Builder;
use authkv::{AuthKv, Durability};
use fastrand::Rng;

use crate::disk::{Call, Disk, Image, Platter};
use crate::history::{Answer, Counts, Keys, Op, State, found, options};
use crate::seeds;

const HISTORIES: u32 = 130;
const LIVES: usize = 3;
const BATCHES_PER_LIFE: usize = 16;
/// One history in this many has a user with more sessions than one step removes.
const CROWDED: u64 = 20;
/// The probability of an image at a write, and at the beginning and the end of a sync.
const CHANCE: (f64, f64) = (0.03, 0.1);
/// Most recoveries make about this many calls that change something.
const CALLS_TO_OPEN: usize = 24;
const CACHE_BYTES: usize = 1 << 20;
/// How long the writer may be silent before it counts as stuck.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn after_a_power_cut_the_store_is_a_prefix_of_its_history_with_everything_acknowledged() {
    let tallies = seeds::for_each_seed(HISTORIES, |seed| History::new(seed).run());
    let sum = tallies.into_iter().fold(Tally::default(), Tally::plus);
    println!("power loss: {sum}");
    if seeds::replayed().is_none() {
        // The test is about these cases; without enough of them it proves nothing.
        let images = sum.images;
        assert!(images >= 3_000 * seeds::scale() as usize);
        for seen in [sum.unacknowledged_kept, sum.unacknowledged_lost, sum.cut_again, sum.torn] {
            assert!(seen > images / 20, "{sum}");
        }
        for seen in [sum.cut_in_opening, sum.deferred, sum.acknowledged_lost] {
            assert!(seen > images / 100, "{sum}");
        }
    }
}

struct History {
    random: Rng,
    keys: Keys,
    durability: Durability,
    /// Whether a crowd has yet to come.
    crowd_comes: bool,
    tally: Tally,
}

/// One run of the store on one disk.
struct Life {
    /// The state before the first operation and after each one.
    states: Vec<State>,
    cuts: Vec<Cut>,
}

/// A moment at which the power is cut.
struct Cut {
    image: Image,
    moment: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Moment {
    /// Whether redb has finished creating its file; before that there is nothing to open.
    is_made: bool,
    /// Whether the store was open.
    is_open: bool,
    submitted: usize,
    acknowledged: usize,
    /// How many operations must have survived.
    promised: usize,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let durability = if random.u8(..3) == 0 { Durability::Deferred } else { Durability::Full };
        let crowd_comes = seed.is_multiple_of(CROWDED);
        Self { random, keys: Keys("example.com".to_owned()), durability, crowd_comes, tally: Tally::default() }
    }

    fn run(mut self) -> Tally {
        let (mut bytes, mut state) = (Vec::new(), State::default());
        for _ in 0..LIVES {
            let life = self.live(bytes, state);
            (bytes, state) = (Vec::new(), State::default());
            let next = self.random.usize(..life.cuts.len().max(1));
            for (number, Cut { image, moment }) in life.cuts.into_iter().enumerate() {
                let left = image.bytes.clone();
                let found = self.survive(image, moment, &life.states);
                if let Some(found) = found
                    && number == next
                    && moment.is_made
                {
                    (bytes, state) = (left, life.states[found].clone());
                }
            }
        }
        self.tally
    }

    /// Runs operations on a disk with these bytes, which contain this state.
    fn live(&mut self, bytes: Vec<u8>, state: State) -> Life {
        let progress = Progress { is_promised_at_once: self.durability == Durability::Full, ..Progress::default() };
        let progress = Arc::new(progress);
        progress.is_made.store(!bytes.is_empty(), SeqCst);
        let cuts = Arc::new(Mutex::new(Vec::new()));
        let disk = self.disk(bytes, &progress, &cuts);
        let database = Arc::new(Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(disk).unwrap());
        progress.is_made.store(true, SeqCst);
        let kv = options().durability(self.durability).on_database(Arc::clone(&database)).unwrap();
        progress.is_open.store(true, SeqCst);

        let mut states = vec![state];
        let mut caller = Caller::new(&kv, &progress, self.durability);
        for number in 0..BATCHES_PER_LIFE {
            if self.random.u8(..4) == 0 {
                caller.rest();
            }
            caller.call(&self.batch(number), &self.keys, &mut states);
        }
        drop(caller);
        drop(kv);
        drop(database);
        Life { states, cuts: std::mem::take(&mut cuts.lock().unwrap()) }
    }

    fn batch(&mut self, number: usize) -> Vec<Op> {
        if std::mem::take(&mut self.crowd_comes) {
            return Op::crowd();
        }
        let mut batch: Vec<_> = (0..self.random.usize(1..6)).map(|_| Op::random(&mut self.random)).collect();
        if number > BATCHES_PER_LIFE / 2 && self.random.u8(..4) == 0 {
            batch[0] = Op::disperse();
        }
        batch
    }

    /// A disk that makes images at random calls.
    fn disk(&mut self, bytes: Vec<u8>, progress: &Arc<Progress>, cuts: &Arc<Mutex<Vec<Cut>>>) -> Disk {
        let mut random = self.random.fork();
        let (progress, cuts) = (Arc::clone(progress), Arc::clone(cuts));
        let watcher = move |call, platter: &Platter| {
            let chance = if matches!(call, Call::Sync | Call::Synced) { CHANCE.1 } else { CHANCE.0 };
            if random.f64() < chance {
                cuts.lock().unwrap().push(Cut { image: platter.cut(&mut random), moment: progress.moment() });
            }
            if call == Call::Synced {
                progress.tell_synced();
            }
            Ok(())
        };
        Disk::new(bytes, Box::new(watcher))
    }

    /// Opens an image and returns after how many operations its state is. `None` if redb had not finished creating its
    /// file and cannot open it.
    fn survive(&mut self, image: Image, moment: Moment, states: &[State]) -> Option<usize> {
        self.tally.images += 1;
        self.tally.torn += usize::from(image.torn > 0);
        self.tally.cut_in_opening += usize::from(!moment.is_open);
        let kv = match self.recover(image) {
            Ok(kv) => kv,
            Err(_) if !moment.is_made => return None,
            Err(error) => panic!("{moment:?}: {error}"),
        };
        let counts = Counts::read(&kv).unwrap();
        let found = State::read(&kv, &self.keys).unwrap();
        let is_found = |state: &State| state.counts() == counts && state.visible() == found;
        let Some(at) = (moment.promised..=moment.submitted).find(|at| is_found(&states[*at])) else {
            let at = states.iter().position(is_found);
            panic!("{:?}, {moment:?}: it is in the state after {at:?}: {counts:?} {found:#?}", self.durability)
        };
        // The store works, and what reading has taken is gone.
        assert_eq!(Counts::read(&kv).unwrap(), states[at].clone().without_tokens().counts());
        self.tally.deferred += usize::from(self.durability == Durability::Deferred);
        self.tally.acknowledged_lost += usize::from(states[at] != states[moment.acknowledged.max(at)]);
        self.tally.unacknowledged_lost += usize::from(states[at] != states[moment.submitted]);
        self.tally.unacknowledged_kept += usize::from(states[at] != states[moment.acknowledged.min(at)]);
        Some(at)
    }

    /// Opens an image. Half of the time the power is cut again during that.
    fn recover(&mut self, mut image: Image) -> Result<AuthKv, Box<dyn Error>> {
        let mut is_again = false;
        while self.random.bool() {
            let next = Arc::new(Mutex::new(None));
            let disk = self.disk_to_be_cut_once(image.bytes, Arc::clone(&next));
            let _kv = open(disk.clone())?;
            let next = next.lock().unwrap().take();
            image = next.unwrap_or_else(|| disk.cut(&mut self.random));
            is_again = true;
        }
        self.tally.cut_again += usize::from(is_again);
        open(Disk::new(image.bytes, Box::new(|_, _| Ok(()))))
    }

    fn disk_to_be_cut_once(&mut self, bytes: Vec<u8>, cut: Arc<Mutex<Option<Image>>>) -> Disk {
        let mut random = self.random.fork();
        let mut calls_left = random.usize(..CALLS_TO_OPEN);
        let watcher = move |_, platter: &Platter| {
            if calls_left == 0 {
                cut.lock().unwrap().get_or_insert_with(|| platter.cut(&mut random));
            }
            calls_left = calls_left.saturating_sub(1);
            Ok(())
        };
        Disk::new(bytes, Box::new(watcher))
    }
}

fn open(disk: Disk) -> Result<AuthKv, Box<dyn Error>> {
    let database = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(disk)?;
    Ok(options().on_database(Arc::new(database))?)
}

/// The progress of a life, as the disk sees it.
#[derive(Default)]
struct Progress {
    is_made: AtomicBool,
    is_open: AtomicBool,
    submitted: AtomicUsize,
    acknowledged: AtomicUsize,
    promised: AtomicUsize,
    /// Whether acknowledged operations count as promised.
    is_promised_at_once: bool,
    /// The sender that wakes a caller waiting for a sync.
    waiting: Mutex<Option<Sender<()>>>,
}

impl Progress {
    fn moment(&self) -> Moment {
        Moment {
            is_made: self.is_made.load(SeqCst),
            is_open: self.is_open.load(SeqCst),
            promised: self.promised.load(SeqCst),
            acknowledged: self.acknowledged.load(SeqCst),
            submitted: self.submitted.load(SeqCst),
        }
    }

    fn tell_synced(&self) {
        if let Some(waiting) = self.waiting.lock().unwrap().take() {
            waiting.send(()).unwrap();
        }
    }
}

/// Submits batches of operations while it holds the writer, and so decides which of them share a commit.
struct Caller<'a> {
    kv: &'a AuthKv,
    progress: Arc<Progress>,
    durability: Durability,
    holder: Arc<Holder>,
    held: Receiver<()>,
    go_on: Sender<()>,
    /// The operation whose answer holds the writer.
    last: Option<Answer>,
    /// Whether the last batch changed anything.
    has_changed: bool,
}

/// Holds the writer's thread, which wakes it, until the caller lets it continue.
struct Holder {
    held: Sender<()>,
    go_on: Mutex<Receiver<()>>,
}

impl Wake for Holder {
    fn wake(self: Arc<Self>) {
        // Without a caller there is nothing to wait for.
        let _ = self.held.send(());
        let _ = self.go_on.lock().unwrap().recv();
    }
}

impl Wake for Progress {
    fn wake(self: Arc<Self>) {
        let acknowledged = self.acknowledged.fetch_add(1, SeqCst) + 1;
        if self.is_promised_at_once {
            self.promised.store(acknowledged, SeqCst);
        }
    }
}

impl<'a> Caller<'a> {
    fn new(kv: &'a AuthKv, progress: &Arc<Progress>, durability: Durability) -> Self {
        let ((hold, held), (go_on, went_on)) = (mpsc::channel(), mpsc::channel());
        let holder = Arc::new(Holder { held: hold, go_on: Mutex::new(went_on) });
        let progress = Arc::clone(progress);
        let mut caller = Self { kv, progress, durability, holder, held, go_on, last: None, has_changed: false };
        caller.hold_idle_writer();
        caller
    }

    /// Submits an operation that changes nothing and lets its answer hold the writer. Returns false if it was already
    /// answered.
    fn will_hold(&mut self) -> bool {
        let mut last = found(self.kv.delete_session("nobody's"));
        let is_pending = poll(&mut last, &self.holder).is_pending();
        self.last = Some(last);
        is_pending
    }

    fn hold_idle_writer(&mut self) {
        while !self.will_hold() {}
        self.wait_until_held();
    }

    fn wait_until_held(&self) {
        self.held.recv_timeout(DEADLINE).expect("operations are answered");
    }

    /// Lets the writer become idle, which makes it sync deferred writes.
    fn rest(&mut self) {
        // Without a change there may be nothing to sync.
        let waits = self.has_changed && self.durability == Durability::Deferred;
        let (sender, synced) = mpsc::channel();
        *self.progress.waiting.lock().unwrap() = waits.then_some(sender);
        self.go_on.send(()).unwrap();
        if waits {
            synced.recv_timeout(DEADLINE).expect("deferred writes are synced when there is nothing else to do");
        }
        // This is answered after both phases of the sync.
        self.hold_idle_writer();
        if waits {
            self.progress.promised.store(self.progress.submitted.load(SeqCst), SeqCst);
        }
        self.has_changed = false;
    }

    /// Submits a whole batch, waits until it is acknowledged, and compares the answers with the model's.
    fn call(&mut self, batch: &[Op], keys: &Keys, states: &mut Vec<State>) {
        let before = self.progress.submitted.fetch_add(batch.len(), SeqCst);
        let mut answers: Vec<_> = batch.iter().map(|op| op.call(self.kv, keys)).collect();
        for answer in &mut answers {
            assert!(poll(answer, &self.progress).is_pending(), "the writer was not held");
        }
        assert!(self.will_hold());
        self.go_on.send(()).unwrap();
        self.wait_until_held();
        for (op, mut answer) in batch.iter().zip(answers) {
            let Poll::Ready(answer) = poll(&mut answer, &self.progress) else { panic!("{op:?} was not answered") };
            let mut state = states[states.len() - 1].clone();
            assert_eq!(answer.unwrap(), state.apply(op), "{op:?} on {state:#?}");
            states.push(state);
        }
        self.has_changed = states[before] != states[states.len() - 1];
    }
}

fn poll(answer: &mut Answer, waker: &Arc<impl Wake + Send + Sync + 'static>) -> Poll<authkv::Result<bool>> {
    answer.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(waker))))
}

/// Statistics about the images.
#[derive(Default)]
struct Tally {
    images: usize,
    torn: usize,
    cut_in_opening: usize,
    cut_again: usize,
    unacknowledged_kept: usize,
    unacknowledged_lost: usize,
    deferred: usize,
    acknowledged_lost: usize,
}

impl Tally {
    fn plus(self, other: Self) -> Self {
        Self {
            images: self.images + other.images,
            torn: self.torn + other.torn,
            cut_in_opening: self.cut_in_opening + other.cut_in_opening,
            cut_again: self.cut_again + other.cut_again,
            unacknowledged_kept: self.unacknowledged_kept + other.unacknowledged_kept,
            unacknowledged_lost: self.unacknowledged_lost + other.unacknowledged_lost,
            deferred: self.deferred + other.deferred,
            acknowledged_lost: self.acknowledged_lost + other.acknowledged_lost,
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} images, {} with torn writes, {} cut while opening, {} cut again in recovery; unacknowledged operations \
             were kept in {} and lost in {}; of {} with deferred durability {} lost acknowledged ones",
            self.images,
            self.torn,
            self.cut_in_opening,
            self.cut_again,
            self.unacknowledged_kept,
            self.unacknowledged_lost,
            self.deferred,
            self.acknowledged_lost,
        )
    }
}
