//! What works once: codes, states and keys.

use authkv::models::{CodeCheck, Visitor};
use chrono::{DateTime, TimeDelta, Utc};

use super::{GUESSES_MAX, Run, VALID_FOR};

/// Pairs of a purpose and a key that become equal when they are joined.
const KEYS: [(&str, &str); 3] = [("github", "1"), ("githu", "b1"), ("", "github1")];
const PURPOSES: [&str; 2] = ["github", "google"];
/// How much an address may lose in so many minutes, which are counted in buckets of so many minutes.
const LIMITS: [(u64, i64, i64); 3] =
    [(20_000_000, 60, 5), (50_000_000, 24 * 60, 60), (295_000_000, 30 * 24 * 60, 24 * 60)];
const CODES_MAX: usize = 3;

pub(crate) struct Code {
    text: String,
    expires: DateTime<Utc>,
}

impl Code {
    /// What one guess at it takes from the budget.
    fn cost(&self) -> u64 {
        if self.text.len() == 6 { 1_000_000 } else { 0 }
    }
}

pub(crate) struct Request {
    handle: String,
    purpose: &'static str,
    address: String,
    codes: Vec<Code>,
    guesses_left: u32,
}

/// What an address has lost, and what requests that were removed from the store had reserved.
#[derive(Default)]
pub(crate) struct Budget {
    lost: Vec<(DateTime<Utc>, u64)>,
    left_behind: Vec<(DateTime<Utc>, u64)>,
}

/// The end of the span of minutes, counted from 1970, in which an instant is.
fn end(at: DateTime<Utc>, minutes: i64) -> DateTime<Utc> {
    let number = at.timestamp_millis().div_euclid(minutes * 60_000);
    DateTime::from_timestamp_millis((number + 1) * minutes * 60_000).unwrap()
}

pub(crate) struct State {
    handle: String,
    purpose: &'static str,
    value: u8,
    expires: DateTime<Utc>,
}

pub(crate) struct Used {
    purpose: String,
    key: String,
    expires: DateTime<Utc>,
}

impl Run<'_> {
    pub(crate) fn issue_code(&mut self, address: &str, a: u8, b: u8) {
        let (now, purpose, cookie) = (self.clock.now(), PURPOSES[usize::from(a) % 2], usize::from(b) % 3);
        let from = Visitor { request: self.cookies[cookie].as_deref(), ..Visitor::default() };
        let issued = self.auth.issue_code(purpose, address, VALID_FOR, from).wait().unwrap();
        let normal = address.to_ascii_lowercase();
        let is_it = |request: &Request| {
            Some(request.handle.as_str()) == self.cookies[cookie].as_deref()
                && request.purpose == purpose
                && request.address.eq_ignore_ascii_case(address)
        };
        let mut request = self.requests.iter().position(is_it).map(|place| self.requests.swap_remove(place));
        if let Some(request) = &mut request {
            request.codes.retain(|code| code.expires >= now);
        }
        let joins = request.as_ref().is_some_and(|request| !request.codes.is_empty());
        let mut request = request.filter(|_| joins).unwrap_or_else(|| Request {
            handle: issued.request.reveal().to_owned(),
            purpose,
            address: address.to_owned(),
            codes: Vec::new(),
            guesses_left: GUESSES_MAX,
        });
        assert_eq!(issued.request.reveal(), request.handle);
        if request.codes.len() == CODES_MAX {
            let first = (0..CODES_MAX).min_by_key(|place| request.codes[*place].expires).unwrap();
            request.codes.remove(first);
            self.note("a code gave way");
        }
        let guesses_left = request.guesses_left;
        self.requests.push(request);
        let fits = self.has_room(&normal, u64::from(guesses_left) * 1_000_000);
        assert_eq!((issued.digits, issued.expires), (if fits { 6 } else { 12 }, now + VALID_FOR));
        self.note(if fits { "code issued" } else { "long code issued" });
        if joins {
            self.note("request joined");
        }
        let code = Code { text: issued.code.reveal().to_owned(), expires: issued.expires };
        self.requests.last_mut().unwrap().codes.push(code);
        self.cookies[cookie] = Some(issued.request.reveal().to_owned());
    }

    /// Whether an address may lose so much more.
    fn has_room(&mut self, address: &str, more: u64) -> bool {
        let now = self.clock.now();
        let is_reserved = |expires: DateTime<Utc>| end(expires, 1) + TimeDelta::minutes(1) > now;
        let requests = self.requests.iter().filter(|request| request.address.eq_ignore_ascii_case(address));
        let codes = requests.flat_map(|request| {
            let reserve = |code: &Code| (code.expires, code.cost() * u64::from(request.guesses_left));
            request.codes.iter().map(reserve)
        });
        let budget = self.budgets.entry(address.to_owned()).or_default();
        let reserves = codes.chain(budget.left_behind.iter().copied());
        let reserved: u64 = reserves.filter(|(at, _)| is_reserved(*at)).map(|(_, reserve)| reserve).sum();
        LIMITS.into_iter().all(|(limit, length, bucket)| {
            let counts = |at: DateTime<Utc>| end(at, bucket) + TimeDelta::minutes(length) > now;
            let lost: u64 = budget.lost.iter().filter(|(at, _)| counts(*at)).map(|(_, lost)| lost).sum();
            lost + reserved + more <= limit
        })
    }

    pub(crate) fn guess(&mut self, a: u8, b: u8, byte: u8) {
        let (purpose, cookie) = (PURPOSES[usize::from(a) % 2], self.cookies[usize::from(b) % 3].clone());
        let known = self.requests.iter().find(|request| Some(&request.handle) == cookie.as_ref());
        let code = known.and_then(|request| request.codes.get(usize::from(byte) % CODES_MAX));
        let text = code.filter(|_| byte < 32).map_or("a guess".to_owned(), |code| code.text.clone());
        for _ in 0..=byte % 3 {
            let from = Visitor { request: cookie.as_deref(), ..Visitor::default() };
            let check = self.auth.verify_code(purpose, &text, from).wait().unwrap();
            assert_eq!(check, self.expected_check(purpose, cookie.as_deref(), &text));
            self.note(match check {
                CodeCheck::Right { .. } => "right code",
                CodeCheck::Wrong { .. } => "wrong code",
                CodeCheck::NoCode => "no code",
            });
        }
    }

    fn expected_check(&mut self, purpose: &str, handle: Option<&str>, text: &str) -> CodeCheck {
        let now = self.clock.now();
        let is_it = |request: &Request| Some(request.handle.as_str()) == handle && request.purpose == purpose;
        let Some(place) = self.requests.iter().position(is_it) else { return CodeCheck::NoCode };
        let request = &mut self.requests[place];
        if request.codes.iter().all(|code| code.expires < now) {
            return CodeCheck::NoCode;
        }
        request.codes.retain(|code| code.expires >= now);
        request.guesses_left -= 1;
        let cost = request.codes.iter().map(Code::cost).sum();
        self.budgets.entry(request.address.to_ascii_lowercase()).or_default().lost.push((now, cost));
        let is_right = request.codes.iter().any(|code| code.text == text);
        let (address, guesses_left) = (request.address.clone(), request.guesses_left);
        if is_right || guesses_left == 0 {
            self.requests.swap_remove(place);
        }
        if is_right { CodeCheck::Right { address } } else { CodeCheck::Wrong { guesses_left } }
    }

    /// Removes expired records. What requests had reserved stays reserved for a moment.
    pub(crate) fn purge(&mut self) {
        let now = self.clock.now();
        self.auth.purge_expired().wait().unwrap();
        let (kept, purged) = std::mem::take(&mut self.requests)
            .into_iter()
            .partition(|request: &Request| request.codes.iter().any(|code| code.expires >= now));
        self.requests = kept;
        for request in purged {
            let reserve = |code: &Code| (code.expires, code.cost() * u64::from(request.guesses_left));
            let budget = self.budgets.entry(request.address.to_ascii_lowercase()).or_default();
            budget.left_behind.extend(request.codes.iter().map(reserve));
        }
    }

    pub(crate) fn put_state(&mut self, a: u8, value: u8) {
        let purpose = PURPOSES[usize::from(a) % 2];
        let handle = self.auth.put_state(purpose, &value, VALID_FOR).wait().unwrap();
        let (handle, expires) = (handle.reveal().to_owned(), self.clock.now() + VALID_FOR);
        self.states.push(State { handle, purpose, value, expires });
    }

    pub(crate) fn take_state(&mut self, a: usize, b: u8) {
        let place = a % self.states.len().max(1);
        let (Some(state), purpose) = (self.states.get(place), PURPOSES[usize::from(b) % 2]) else { return };
        let taken = self.auth.take_state::<u8>(purpose, &state.handle).wait().unwrap().passed();
        if state.purpose == purpose {
            let state = self.states.remove(place);
            assert_eq!(taken, Some(state.value).filter(|_| state.expires >= self.clock.now()));
            self.note(if taken.is_some() { "state taken" } else { "state expired" });
        } else {
            assert_eq!(taken, None);
        }
    }

    /// Uses a key, or the handle of a state as one, and then takes it as a state.
    pub(crate) fn use_once(&mut self, a: usize, b: u8) {
        let now = self.clock.now();
        let handle = self.states.get(a / 4).map(|state| (state.purpose, state.handle.as_str()));
        let (purpose, key) = KEYS.get(a % 4).copied().or(handle).unwrap_or(KEYS[0]);
        let (purpose, key) = (purpose.to_owned(), key.to_owned());
        let valid_for = VALID_FOR / (1 + i32::from(b % 2));
        let passed = self.auth.use_once(&purpose, &key, valid_for).wait().unwrap().has_passed();
        let before = self.used.iter().position(|used| used.purpose == purpose && used.key == key);
        let expired = before.map(|place| self.used[place].expires < now);
        assert_eq!(passed, expired.unwrap_or(true));
        self.note(match expired {
            None => "key used",
            Some(true) => "key used again after its expiry",
            Some(false) => "key was used",
        });
        if let Some(place) = before.filter(|_| passed) {
            self.used.remove(place);
        }
        if passed {
            self.used.push(Used { purpose: purpose.clone(), key: key.clone(), expires: now + valid_for });
        }
        if !self.states.iter().any(|state| state.handle == key) {
            assert_eq!(self.auth.take_state::<u8>(&purpose, &key).wait().unwrap().passed(), None);
        }
    }
}
