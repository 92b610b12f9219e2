//! Calls on bare stores, with the rows that authkv would write and no more work than each call needs.

use std::sync::Arc;

use anyhow::{Context, Result};

use crate::call::{Call, Found, Outcome, Peer, Reply, Waiting};
use crate::people::{self, Person, User};
use crate::rows::{Part, Row, Shapes, Values};

const FILLED_AT_ONCE: usize = 4_096;

/// Tables of bytes, identified by their places in [`Shapes::tables`].
pub trait Store: Send + Sync + 'static {
    /// Reads from one state of the store.
    fn read<R>(&self, work: impl FnOnce(&dyn View) -> Result<R>) -> Result<R>;
    /// Writes in a transaction that is on the disk when this returns, unless the work fails.
    fn write<R>(&self, work: impl FnOnce(&mut dyn Txn) -> Result<R>) -> Result<R>;
}

pub trait View {
    fn get(&self, table: usize, key: &[u8]) -> Result<Option<Vec<u8>>>;
    fn with_prefix(&self, table: usize, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>>;
}

pub trait Txn: View {
    fn put(&mut self, table: usize, key: &[u8], value: &[u8]) -> Result<()>;
    fn remove(&mut self, table: usize, key: &[u8]) -> Result<()>;
}

pub struct RowsPeer<S> {
    store: S,
    shapes: Arc<Shapes>,
}

impl<S: Store> RowsPeer<S> {
    pub fn new(store: S, shapes: &Arc<Shapes>) -> Self {
        Self { store, shapes: Arc::clone(shapes) }
    }

    pub fn fill(self, people: &[Person], filled: &mut dyn FnMut(usize)) -> Result<()> {
        let expires_ms = super::first_expiry_ms();
        for some in people.chunks(FILLED_AT_ONCE) {
            self.store.write(|txn| {
                some.iter().try_for_each(|person| self.sign_up(txn, *person, &person.session_token(), expires_ms))
            })?;
            filled(some.len());
        }
        Ok(())
    }

    fn run(&self, call: &Call) -> Result<Outcome> {
        match call {
            Call::SessionAndUser { token } => self.store.read(|view| self.session_and_user(view, token)),
            Call::UserByEmail { email } => self.store.read(|view| self.user_by_email(view, email)),
            Call::CreateSession { user_id, token, expires_ms } => {
                let session = Values::of_session(*user_id, token, *expires_ms);
                self.store.write(|txn| put(txn, &self.shapes.session, &session))?;
                Ok(Outcome::Done(true))
            }
            Call::ExtendSession { token, expires_ms } => self.store.write(|txn| self.extend(txn, token, *expires_ms)),
            Call::SignUp { person, token, expires_ms } => {
                self.store.write(|txn| self.sign_up(txn, *person, token, *expires_ms))?;
                Ok(Outcome::Done(true))
            }
            Call::UseToken { identifier, token, expires_ms } => {
                let values = Values::of_token(identifier, token, *expires_ms);
                self.store.write(|txn| put(txn, &self.shapes.verification_token, &values))?;
                self.store.write(|txn| self.use_token(txn, identifier, token))
            }
            Call::DeleteUser { user_id } => self.store.write(|txn| self.delete_user(txn, *user_id.as_bytes())),
        }
    }

    fn session_and_user(&self, view: &dyn View, token: &str) -> Result<Outcome> {
        let mut values = Values::default().with(Part::TokenHash, people::hash(token));
        if !learn_one(view, &self.shapes.session, &mut values)? || expired(&values) {
            return Ok(Outcome::Found(None));
        }
        let expires_ms = values.expires_ms();
        self.user(view, values).map(|user| Outcome::Found(user.map(|user| Found { user, expires_ms })))
    }

    fn user_by_email(&self, view: &dyn View, email: &str) -> Result<Outcome> {
        let mut values = Values::default().with(Part::Email, email);
        if !learn_one(view, &self.shapes.user, &mut values)? {
            return Ok(Outcome::Found(None));
        }
        self.user(view, values).map(|user| Outcome::Found(user.map(|user| Found { user, expires_ms: None })))
    }

    /// The user with the id in `values`.
    fn user(&self, view: &dyn View, values: Values) -> Result<Option<User>> {
        let id = values.uuid(Part::UserId).context("the entry has no user's id")?;
        let mut values = Values::default().with(Part::UserId, *id.as_bytes());
        if !learn_one(view, &self.shapes.user, &mut values)? {
            return Ok(None);
        }
        let text = |part| values.text(part).context("the user is not complete");
        let [name, email, image] = [text(Part::Name)?, text(Part::Email)?, text(Part::Image)?];
        Ok(Some(User { id: id.to_string(), name, email, image }))
    }

    fn sign_up(&self, txn: &mut dyn Txn, person: Person, token: &str, expires_ms: i64) -> Result<()> {
        put(txn, &self.shapes.user, &Values::of_user(person))?;
        put(txn, &self.shapes.account, &Values::of_account(person))?;
        put(txn, &self.shapes.session, &Values::of_session(person.user_id(), token, expires_ms))
    }

    fn extend(&self, txn: &mut dyn Txn, token: &str, expires_ms: i64) -> Result<Outcome> {
        let mut values = Values::default().with(Part::TokenHash, people::hash(token));
        if !learn_one(txn, &self.shapes.session, &mut values)? || expired(&values) {
            return Ok(Outcome::Done(false));
        }
        learn_all(txn, &self.shapes.session, &mut values)?;
        put(txn, &self.shapes.extended, &values.extended_to(expires_ms))?;
        Ok(Outcome::Done(true))
    }

    fn use_token(&self, txn: &mut dyn Txn, identifier: &str, token: &str) -> Result<Outcome> {
        let mut values = Values::default().with(Part::Email, identifier).with(Part::TokenHash, people::hash(token));
        let found = learn_one(txn, &self.shapes.verification_token, &mut values)?;
        if found {
            remove(txn, &self.shapes.verification_token, &values)?;
        }
        Ok(Outcome::Done(found))
    }

    fn delete_user(&self, txn: &mut dyn Txn, user_id: [u8; 16]) -> Result<Outcome> {
        let user = Values::default().with(Part::UserId, user_id);
        for rows in [&self.shapes.account, &self.shapes.session] {
            for mut values in children(txn, rows, &user)? {
                learn_all(txn, rows, &mut values)?;
                remove(txn, rows, &values)?;
            }
        }
        let mut user = user;
        let found = learn_one(txn, &self.shapes.user, &mut user)?;
        if found {
            remove(txn, &self.shapes.user, &user)?;
        }
        Ok(Outcome::Done(found))
    }
}

impl<S: Store> Peer for RowsPeer<S> {
    fn call<'a>(&'a self, call: &'a Call) -> Reply<'a> {
        Reply::Ready(self.run(call))
    }

    fn waiting(&self) -> Waiting {
        Waiting::Threads
    }
}

fn expired(values: &Values) -> bool {
    values.expires_ms().is_none_or(|expires_ms| expires_ms < chrono::Utc::now().timestamp_millis())
}

pub fn put(txn: &mut dyn Txn, rows: &[Row], values: &Values) -> Result<()> {
    rows.iter().try_for_each(|row| txn.put(row.table, &row.key.bytes(values), &row.value.bytes(values)))
}

fn remove(txn: &mut dyn Txn, rows: &[Row], values: &Values) -> Result<()> {
    rows.iter().try_for_each(|row| txn.remove(row.table, &row.key.bytes(values)))
}

/// Learns the values in the first row whose key is known. Returns whether the row exists.
fn learn_one(view: &(impl View + ?Sized), rows: &[Row], values: &mut Values) -> Result<bool> {
    let row = rows.iter().find(|row| row.key.is_known(values)).context("no row can be found by what is known")?;
    learn(view, row, values)
}

/// Learns the values in the rows of one record until all of their keys are known.
fn learn_all(view: &(impl View + ?Sized), rows: &[Row], values: &mut Values) -> Result<()> {
    for _ in rows {
        if rows.iter().all(|row| row.key.is_known(values)) {
            return Ok(());
        }
        for row in rows {
            if row.key.is_known(values) {
                learn(view, row, values)?;
            }
        }
    }
    values.never_extended();
    Ok(())
}

fn learn(view: &(impl View + ?Sized), row: &Row, values: &mut Values) -> Result<bool> {
    let found = view.get(row.table, &row.key.bytes(values))?;
    if let Some(found) = &found {
        row.read_value(found, values);
    }
    Ok(found.is_some())
}

/// The values in the entries that list records by user.
fn children(view: &(impl View + ?Sized), rows: &[Row], user: &Values) -> Result<Vec<Values>> {
    let by_user = |row: &&Row| row.key.begins_with(Part::UserId);
    let row = rows.iter().find(by_user).context("nothing lists these records by their user")?;
    let found = view.with_prefix(row.table, &row.key.bytes(user))?;
    let read = |(key, value): (Vec<u8>, Vec<u8>)| {
        let mut values = user.clone();
        row.key.read(&key, &mut values);
        row.read_value(&value, &mut values);
        values
    };
    Ok(found.into_iter().map(read).collect())
}
