//! The session cache: frequently requested sessions, decoded and with their users, in front of the tables.
//!
//! The cache is set-associative, with eight sessions in a set. It is exact: a session is returned only if the engine
//! confirms that its read set is fresh. A session is cached on its second request, so that sessions requested once
//! displace none.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use crate::engine::redb::published::ReadSet;
use crate::models::TokenHash;
use crate::ops::sessions::FoundSession;

/// How many sessions a set holds at most.
const WAYS: usize = 8;
/// The most that the option may ask for.
pub(super) const COUNT_MAX: u32 = 1 << 20;

pub(crate) struct HotSessions {
    /// How many sessions the cache holds at most.
    count: usize,
    /// Allocated at the first request: these are most of the memory of a store in memory.
    sets: OnceLock<Box<[Set]>>,
    /// Fingerprints of recently requested sessions. A session is cached on its second request.
    traces: OnceLock<Box<[AtomicU32]>>,
}

#[derive(Default)]
struct Set {
    kept: RwLock<Kept>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Default)]
struct Kept {
    /// A part of each session's token hash. The tags lie next to each other, so that a lookup follows no pointers.
    tags: [u32; WAYS],
    sessions: Vec<Hot>,
}

struct Hot {
    token: TokenHash,
    found: Arc<FoundSession>,
    read_set: ReadSet,
    /// Whether the session was requested since it was last spared from eviction.
    used: AtomicBool,
}

impl HotSessions {
    pub(crate) fn new(count: usize) -> Self {
        Self { count, sets: OnceLock::new(), traces: OnceLock::new() }
    }

    fn sets(&self) -> &[Set] {
        let sets = self.count.checked_div(self.ways()).unwrap_or(0);
        self.sets.get_or_init(|| defaults(sets))
    }

    /// How many sessions each set holds at most.
    fn ways(&self) -> usize {
        self.count.min(WAYS)
    }

    /// The numbers of hits and misses.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let sets = self.sets.get().map_or(&[][..], |sets| sets);
        let sum = |count: fn(&Set) -> &AtomicU64| sets.iter().map(|set| count(set).load(Ordering::Relaxed)).sum();
        (sum(|set| &set.hits), sum(|set| &set.misses))
    }

    /// The session with this token, if it is cached and fresh.
    pub(super) fn get(&self, token: &TokenHash, is_fresh: impl Fn(&ReadSet) -> bool) -> Option<Arc<FoundSession>> {
        self.set(token)?.get(token, is_fresh)
    }

    /// Notes a request for a session. Returns true if the session was requested recently before and should be cached.
    pub(super) fn wants(&self, token: &TokenHash) -> bool {
        self.count > 0 && self.was_asked_for(token)
    }

    pub(super) fn keep(
        &self,
        token: TokenHash,
        found: Arc<FoundSession>,
        read_set: ReadSet,
        is_fresh: impl Fn(&ReadSet) -> bool,
    ) {
        if let Some(set) = self.set(&token) {
            set.keep(Hot { token, found, read_set, used: AtomicBool::new(false) }, self.ways(), is_fresh);
        }
    }

    /// The set for this token. Returns `None` if the cache is off.
    fn set(&self, token: &TokenHash) -> Option<&Set> {
        let ([number, _], sets) = (token.numbers(), self.sets());
        sets.get(place(number, sets.len())?)
    }

    fn was_asked_for(&self, token: &TokenHash) -> bool {
        let [_, number] = token.numbers();
        let trace = (number >> 32) as u32;
        let traces = self.traces.get_or_init(|| defaults(2 * self.count));
        let before = place(number, traces.len()).and_then(|place| traces.get(place));
        before.is_some_and(|before| before.swap(trace, Ordering::Relaxed) == trace)
    }
}

fn defaults<T: Default>(count: usize) -> Box<[T]> {
    std::iter::repeat_with(T::default).take(count).collect()
}

fn place(number: u64, places: usize) -> Option<usize> {
    usize::try_from(number.checked_rem(places as u64)?).ok()
}

impl Set {
    fn get(&self, token: &TokenHash, is_fresh: impl Fn(&ReadSet) -> bool) -> Option<Arc<FoundSession>> {
        let kept = self.kept.read();
        let hot = kept.place_of(token).and_then(|place| kept.sessions.get(place)).filter(|hot| is_fresh(&hot.read_set));
        let count = if hot.is_some() { &self.hits } else { &self.misses };
        count.fetch_add(1, Ordering::Relaxed);
        hot.map(|hot| {
            hot.used.store(true, Ordering::Relaxed);
            Arc::clone(&hot.found)
        })
    }

    /// Caches a session, in place of its older state, or else of one that is stale or was not requested recently.
    fn keep(&self, new: Hot, ways: usize, is_fresh: impl Fn(&ReadSet) -> bool) {
        let mut kept = self.kept.write();
        let old = kept.place_of(&new.token);
        if old.is_none() && kept.sessions.len() < ways {
            kept.sessions.push(new);
            kept.set_tags();
            return;
        }
        let is_idle = |hot: &Hot| !hot.used.swap(false, Ordering::Relaxed) || !is_fresh(&hot.read_set);
        let place = old.or_else(|| kept.sessions.iter().position(is_idle)).unwrap_or(0);
        if let Some(hot) = kept.sessions.get_mut(place) {
            *hot = new;
            // The next eviction starts with the other sessions.
            kept.sessions.rotate_left(place + 1);
            kept.set_tags();
        }
    }
}

impl Kept {
    fn place_of(&self, token: &TokenHash) -> Option<usize> {
        let tag = tag_of(token);
        let is_this = |(hot, tagged): (&Hot, &u32)| *tagged == tag && hot.token == *token;
        self.sessions.iter().zip(&self.tags).position(is_this)
    }

    fn set_tags(&mut self) {
        self.tags.iter_mut().zip(&self.sessions).for_each(|(tag, hot)| *tag = tag_of(&hot.token));
    }
}

fn tag_of(token: &TokenHash) -> u32 {
    token.numbers()[1] as u32
}
