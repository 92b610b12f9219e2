//! Indexes on own fields against a naive model. Goal: whatever is created, patched and deleted, an index finds exactly
//! the records with the value, in order, and a unique index contains each value once. Method: random operations with
//! few values run on a store and on a list; after each one the store checks itself, and every lookup and list is
//! compared.
//!
//! `AUTHKV_TEST_SCALE=10` runs ten times as many.
use authkv::models::{
    AccountKey, AccountType, DynamicFields, FieldPatch, FieldRange, Index, Models, NewAccount, NewUser, UserPatch,
    Value,
};
use authkv::{AuthKv, Error, UniqueKey};
use proptest::array::uniform4;
use proptest::collection::vec;
use proptest::num::u8;

use crate::for_random;

struct Tagged;

impl Models for Tagged {
    const NAME: &'static str = "tagged";
    const VERSION: u32 = 1;
    type User = DynamicFields;
    type Account = DynamicFields;
    type Session = ();
    type VerificationToken = ();
    const USER_INDEXES: &'static [Index] = &[Index::unique("key"), Index::new("tag")];
    const ACCOUNT_INDEXES: &'static [Index] = &[Index::new("tag"), Index::unique("key")];
}

/// The values in the order of an index. The last number stands for no value.
const VALUES: usize = 8;

fn value(number: usize) -> Option<Value> {
    let values: [Value; VALUES - 1] =
        [false.into(), true.into(), (-1).into(), 300.into(), "a".into(), "a\0".into(), "b".into()];
    values.get(number % VALUES).cloned()
}

/// A record in the list: its id and the numbers of its values.
#[derive(Clone, Debug)]
struct Listed {
    id: String,
    owner: String,
    key: usize,
    tag: usize,
}

#[derive(Default)]
struct Model {
    users: Vec<Listed>,
    accounts: Vec<Listed>,
    /// How often a value was refused because another record had it, and how often a lookup found a record.
    refused: u64,
    found: u64,
}

fn own(key: usize, tag: usize) -> DynamicFields {
    let fields = [("key", value(key)), ("tag", value(tag))].into_iter();
    fields.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn patch(key: usize, tag: usize) -> FieldPatch {
    [("key", key), ("tag", tag)].into_iter().fold(FieldPatch::new(), |patch, (name, number)| match value(number) {
        Some(value) => patch.set(name, value),
        None => patch.clear(name),
    })
}

fn is_taken(records: &[Listed], key: usize, but: &str) -> bool {
    value(key).is_some() && records.iter().any(|other| other.key == key && other.id != but)
}

impl Model {
    fn step(&mut self, auth: &AuthKv<Tagged>, [kind, a, b, c]: [u8; 4]) {
        let (key, tag) = (usize::from(b) % VALUES, usize::from(c) % VALUES);
        let user = self.users.get(usize::from(a) % self.users.len().max(1)).cloned();
        match (kind % 8, user) {
            (0..=1, _) | (_, None) => {
                let created = auth.create_user(NewUser { extra: own(key, tag), ..NewUser::default() }).wait();
                if self.expect(is_taken(&self.users, key, ""), created.as_ref().map(drop)) {
                    let id = created.unwrap().id.to_string();
                    self.users.push(Listed { owner: id.clone(), id, key, tag });
                }
            }
            (2..=3, Some(user)) => {
                let update = UserPatch { extra: patch(key, tag), ..UserPatch::new(&*user.id) };
                let patched = auth.update_user(update).wait();
                if self.expect(is_taken(&self.users, key, &user.id), patched.as_ref().map(drop)) {
                    let listed = self.users.iter_mut().find(|listed| listed.id == user.id).unwrap();
                    (listed.key, listed.tag) = (key, tag);
                }
            }
            (4, Some(user)) => {
                auth.delete_user(user.id.as_str()).wait().unwrap().unwrap();
                self.users.retain(|listed| listed.id != user.id);
                self.accounts.retain(|listed| listed.owner != user.id);
            }
            (5..=6, Some(user)) => {
                let id = format!("{a}-{b}-{c}-{}", self.accounts.len());
                let account = NewAccount::new(&*user.id, AccountType::Oauth, "a", &*id);
                let account = NewAccount { id: Some(id.as_str().into()), extra: own(key, tag), ..account };
                if self.accounts.iter().all(|listed| listed.id != id) {
                    let linked = auth.link_account(account).wait();
                    if self.expect(is_taken(&self.accounts, key, ""), linked.as_ref().map(drop)) {
                        self.accounts.push(Listed { id, owner: user.id, key, tag });
                    }
                }
            }
            (_, Some(_)) => {
                if let Some(account) = self.accounts.get(usize::from(b)).cloned() {
                    auth.unlink_account(AccountKey::new("a", account.id.as_str())).wait().unwrap().unwrap();
                    self.accounts.retain(|listed| listed.id != account.id);
                }
            }
        }
    }

    /// Returns whether the call was carried out. It must be, unless the value is taken.
    fn expect(&mut self, is_taken: bool, result: Result<(), &Error>) -> bool {
        match result {
            Ok(()) => assert!(!is_taken, "two records have one value"),
            Err(Error::Conflict(UniqueKey::Field(name))) if name == "key" => assert!(is_taken, "the value was free"),
            Err(error) => panic!("{error}"),
        }
        self.refused += u64::from(is_taken);
        !is_taken
    }

    fn compare(&mut self, auth: &AuthKv<Tagged>) {
        let report = auth.check().wait().unwrap();
        assert!(report.is_sound(), "{:?}", report.problems);
        for number in 0..VALUES - 1 {
            let value = value(number).unwrap();
            let user = auth.get_user_by("key", value.clone()).wait().unwrap().map(|user| user.id.to_string());
            let account = auth.get_account_by("key", value.clone()).wait().unwrap().map(|found| found.id.to_string());
            let with_key =
                |records: &[Listed]| records.iter().find(|listed| listed.key == number).map(|one| one.id.clone());
            assert_eq!((&user, &account), (&with_key(&self.users), &with_key(&self.accounts)));
            self.found += u64::from(user.is_some()) + u64::from(account.is_some());
            assert_eq!(users(auth, FieldRange::only(value)), sorted(&self.users, |tag| tag == number));
        }
        assert_eq!(users(auth, FieldRange::all()), sorted(&self.users, |tag| tag < VALUES - 1));
        assert_eq!(users(auth, FieldRange::prefix("a")), sorted(&self.users, |tag| tag == 4 || tag == 5));
        assert_eq!(users(auth, FieldRange::at_least(0)), sorted(&self.users, |tag| tag == 3));
        let page = auth.list_accounts_by("tag", FieldRange::all(), None, 1_000).wait().unwrap();
        let accounts: Vec<_> = page.items.into_iter().map(|account| account.id.to_string()).collect();
        assert_eq!(accounts, sorted(&self.accounts, |tag| tag < VALUES - 1));
    }
}

/// The ids of all listed users, read in pages of two.
fn users(auth: &AuthKv<Tagged>, range: FieldRange) -> Vec<String> {
    let (mut ids, mut after) = (Vec::new(), None);
    loop {
        let page = auth.list_users_by("tag", range.clone(), after.as_ref(), 2).wait().unwrap();
        ids.extend(page.items.into_iter().map(|user| user.id.to_string()));
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
}

/// The ids of the records with a matching tag, by tag and then by id.
fn sorted(records: &[Listed], is_such: impl Fn(usize) -> bool) -> Vec<String> {
    let mut such: Vec<_> = records.iter().filter(|listed| is_such(listed.tag)).collect();
    such.sort_by(|left, right| (left.tag, &left.id).cmp(&(right.tag, &right.id)));
    such.into_iter().map(|listed| listed.id.clone()).collect()
}

#[test]
fn indexes_find_what_a_list_finds() {
    let total = std::cell::Cell::new((0, 0));
    for_random(&vec(uniform4(u8::ANY), 0..=60), 300, None, |operations| {
        let auth = AuthKv::options().models::<Tagged>().in_memory().unwrap();
        let mut model = Model::default();
        for operation in operations {
            model.step(&auth, operation);
            model.compare(&auth);
        }
        total.set((total.get().0 + model.refused, total.get().1 + model.found));
    });
    let (refused, found) = total.get();
    assert!(refused > 500 && found > 500, "{refused} values were refused, and {found} lookups found a record");
}
