//! Lists of a user's records. Goal: whatever the size of a page, how many rows may be read for it, and how many records
//! have expired, the pages together have exactly the valid records, in order. Method: random sessions of both kinds,
//! listed in pages with random limits and compared with the sorted list of all; a view counts the rows that are read.
//!
//! `AUTHKV_TEST_SCALE=10` runs ten times as many.

use std::cell::Cell;

use chrono::TimeDelta;
use fastrand::Rng;

use crate::conformance::{Clock, authenticator};
use crate::error::Problem;
use crate::kv::table::TableId;
use crate::kv::txn::Txn;
use crate::kv::view::{ByteRange, RowVisitor, View};
use crate::models::{AccountType, Cursor, Millis, NewAccount, NewSession, NewUser, Page, UserId, WebSessionData};
use crate::ops::pages::PageLimit;
use crate::ops::{accounts, authenticators, sessions, web_sessions};
use crate::records::schema::{ACCOUNTS_BY_USER, AUTHENTICATORS_BY_USER, SESSIONS, WEB_SESSIONS_BY_USER};
use crate::{AuthKv, Error, Reply, Result, WebSessions};

/// A view that counts the rows of a table which a scan visits.
struct Counting<'v> {
    txn: &'v Txn<'v>,
    table: TableId,
    rows: Cell<usize>,
}

impl View for Counting<'_> {
    fn get(&self, table: TableId, key: &[u8], visit: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.txn.get_bytes(table, key, visit)
    }

    fn scan(&self, table: TableId, range: ByteRange<'_>, visit: &mut RowVisitor<'_>) -> Result<()> {
        self.txn.scan_bytes(table, range, &mut |key, value| {
            self.rows.set(self.rows.get() + usize::from(table == self.table));
            visit(key, value)
        })
    }

    fn len(&self, table: TableId) -> Result<u64> {
        self.txn.row_count(table)
    }
}

/// Reads all pages. Returns the items of each.
fn pages<T: Send + 'static>(
    auth: &AuthKv,
    table: TableId,
    limit: PageLimit,
    page: impl Fn(&Txn<'_>, Option<&Cursor>, PageLimit) -> Result<Page<T>> + Clone + Send + 'static,
) -> Vec<Vec<T>> {
    let (mut pages, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let (page, from) = (page.clone(), after.clone());
        let read = move |txn: &Txn<'_>| {
            let view = Counting { txn, table, rows: Cell::new(0) };
            let found = page(&Txn::new(&view), from.as_ref(), limit)?;
            Ok((found, view.rows.get()))
        };
        let (found, rows): (Page<T>, _) = auth.read(read, Ok).wait().unwrap();
        assert!(rows <= limit.rows, "{rows} rows were read");
        assert!(found.items.len() <= limit.items);
        // A page ends early only where it has read as much as it may.
        assert!(found.next.is_none() || found.items.len() == limit.items || rows == limit.rows);
        pages.push(found.items);
        assert!(pages.len() < 1_000, "the pages have no end");
        match found.next {
            // As text, as in a link to the next page.
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => return pages,
        }
    }
}

fn limit(random: &mut Rng) -> PageLimit {
    PageLimit { items: random.usize(1..20), rows: if random.bool() { random.usize(1..60) } else { 5_000 } }
}

#[test]
fn the_pages_of_a_list_have_the_valid_records_in_order() {
    let scale = std::env::var("AUTHKV_TEST_SCALE").ok().and_then(|scale| scale.parse().ok()).unwrap_or(1);
    let mut empty_pages = 0;
    for seed in 0..150 * scale {
        eprintln!("seed {seed}");
        let random = &mut Rng::with_seed(seed);
        let clock = Clock::new();
        let now = clock.clone();
        let auth = AuthKv::options().purge_in_background(false).clock(move || now.now()).in_memory().unwrap();
        let web = WebSessions::new(auth.clone());
        let [ada, bob] = ["ada", "adb"].map(|id| {
            let user = NewUser { id: Some(id.into()), ..NewUser::default() };
            auth.create_user(user).wait().unwrap().id
        });
        let data = |user: &UserId| -> WebSessionData {
            [("axum-login.data".into(), serde_json::json!({ "user_id": user.as_str() }))].into()
        };
        let (mut all, mut of_web) = (Vec::new(), Vec::new());
        // Most have expired, and the first ones all have.
        let expired_first = random.usize(..40);
        for number in 0..random.usize(..60) {
            let is_valid = number >= expired_first && random.bool();
            let expires = clock.now() + TimeDelta::days(if is_valid { 1 } else { -1 });
            let (name, user) = (format!("{number}"), if random.u8(..5) == 0 { &bob } else { &ada });
            let session = NewSession::new(name.as_str(), user.clone(), expires);
            let session = auth.create_session(session).wait().unwrap();
            web.create_session(name.as_str(), &data(user), expires).wait().unwrap();
            if is_valid && *user == ada {
                all.push(session.id);
                of_web.push((Millis::from(clock.now()), crate::models::Token::from(name.as_str()).hash()));
            }
            clock.set(clock.now() + TimeDelta::milliseconds(random.i64(0..2)));
        }
        of_web.sort();

        let (user, as_of) = (ada.clone(), auth.as_of());
        let found = pages(&auth, SESSIONS.id, limit(random), move |txn, after, limit| {
            sessions::page(txn, &user, as_of, after, limit)
        });
        empty_pages += found.iter().filter(|page| page.is_empty()).count();
        let ids: Vec<_> = found.into_iter().flatten().map(|session| session.id).collect();
        assert_eq!(ids, all, "seed {seed}");

        let (user, now, limit) = (ada.clone(), Millis::from(clock.now()), limit(random));
        let found = pages(&auth, WEB_SESSIONS_BY_USER.id, limit, move |txn, after, limit| {
            web_sessions::page(txn, &user, now, after, limit)
        });
        let place = |session: crate::records::WebSessionRecord| (session.lifetime.created, session.token_hash);
        let mut places: Vec<_> = found.into_iter().flatten().map(place).collect();
        if limit.rows < 60 {
            // Then the order begins anew behind so many.
            places.sort();
        }
        assert!(places == of_web, "seed {seed}: {} of {}", places.len(), of_web.len());
    }
    assert!(empty_pages > 50, "{empty_pages}");
}

#[test]
fn accounts_and_authenticators_are_listed_in_pages() {
    let auth = AuthKv::in_memory().unwrap();
    let random = &mut Rng::with_seed(1);
    let ada = auth.create_user(NewUser::default()).wait().unwrap().id;
    let (mut of_accounts, mut of_keys) = (Vec::new(), Vec::new());
    for number in 0..30 {
        let account = NewAccount::new(ada.clone(), AccountType::Oauth, "a", number.to_string());
        of_accounts.push(auth.link_account(account).wait().unwrap().id);
        let key = authenticator(&format!("{number:02}"), &ada, "an account");
        of_keys.push(auth.create_authenticator(key).wait().unwrap().credential_id);
    }
    for _ in 0..40 {
        let user = ada.clone();
        let found = pages(&auth, ACCOUNTS_BY_USER.id, limit(random), move |txn, after, limit| {
            accounts::page(txn, &user, after, limit)
        });
        assert_eq!(found.into_iter().flatten().map(|account| account.id).collect::<Vec<_>>(), of_accounts);
        let user = ada.clone();
        let found = pages(&auth, AUTHENTICATORS_BY_USER.id, limit(random), move |txn, after, limit| {
            authenticators::page(txn, &user, after, limit)
        });
        let ids = found.into_iter().flatten().map(|found| found.model.credential_id);
        assert_eq!(ids.collect::<Vec<_>>(), of_keys);
    }
}

#[test]
fn a_page_of_any_size_can_be_asked_for_and_any_cursor_given() {
    let auth = AuthKv::in_memory().unwrap();
    let web = WebSessions::new(auth.clone());
    let [ada, bob] = [(); 2].map(|()| auth.create_user(NewUser::default()).wait().unwrap().id);
    for user in [&ada, &ada, &ada, &bob] {
        auth.start_session(user.clone()).wait().unwrap();
    }
    for (limit, found) in [(1, 1), (2, 2), (1_000, 3)] {
        assert_eq!(auth.list_sessions(&ada, None, limit).wait().unwrap().items.len(), found);
    }
    let of_ada = auth.list_sessions(&ada, None, 1).wait().unwrap().next.unwrap();
    let of_users = auth.list_users(None, 1).wait().unwrap().next.unwrap();
    assert!(is_refused(auth.list_sessions(&bob, Some(&of_ada), 10)), "a position in the list of another user");
    assert!(is_refused(auth.list_all_sessions(Some(&of_users), 10)), "a position in another list");
    // The keys of these lists are of one kind.
    assert!(is_refused(auth.list_accounts(&ada, Some(&of_ada), 10)));
    assert!(is_refused(auth.list_authenticators(&ada, Some(&of_ada), 10)));
    let (least, greatest) = ("00".repeat(32), "ff".repeat(32));
    for cursor in ["", "00", "12", &"ff".repeat(104), &["12", &greatest, &least, &"00".repeat(40)].concat()] {
        let cursor: Cursor = cursor.parse().unwrap();
        assert!(is_refused(auth.list_users(Some(&cursor), 10)));
        assert!(is_refused(auth.list_sessions(&ada, Some(&cursor), 10)));
        assert!(is_refused(auth.list_accounts(&ada, Some(&cursor), 10)));
        assert!(is_refused(auth.list_authenticators(&ada, Some(&cursor), 10)));
        assert!(is_refused(web.list_sessions(&ada, Some(&cursor), 10)));
    }
}

fn is_refused<T: Send + 'static>(listed: Reply<Page<T>>) -> bool {
    matches!(listed.wait(), Err(Error::InvalidArgument { problem: Problem::NotACursor, .. }))
}
