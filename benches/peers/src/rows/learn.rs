//! Learning which rows authkv writes, from the tables before and after each call.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use authkv::AuthKv;
use authkv::models::{SessionPatch, VerificationToken};
use authkv::redb::backends::InMemoryBackend;
use authkv::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use chrono::{TimeDelta, Utc};
use uuid::Uuid;

use super::{Part, Row, Shapes, Template, instant};
use crate::peers::authkv::{new_account, new_session, new_user};
use crate::people::{self, Person};

const SAMPLE: Person = Person(1_234_567);

/// The rows, by table place and key.
type Rows = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

/// The rows that each call has written.
struct Watched {
    tables: Vec<String>,
    user: Rows,
    account: Rows,
    session: Rows,
    extended: Rows,
    verification_token: Rows,
    session_id: Uuid,
    /// The session's first expiry, and its expiry after an extension.
    first_ms: i64,
    extended_to_ms: i64,
}

/// # Errors
/// When authkv fails, or writes rows that cannot become templates.
pub fn learn() -> Result<Shapes> {
    let watched = watch()?;
    let is_extended = |place: &(usize, Vec<u8>)| watched.extended.contains_key(place);
    ensure!(watched.extended.keys().all(|place| watched.session.contains_key(place)), "an extension writes other rows");
    let [first, extended_to] = [watched.first_ms, watched.extended_to_ms].map(|ms| instant(ms).to_vec());
    // In a row that an extension rewrites, the expiry is the current one; elsewhere it stays the first one.
    let before = [parts(watched.session_id), vec![(Part::Expires, first.clone())]].concat();
    let after = [parts(watched.session_id), vec![(Part::Expires, extended_to), (Part::FirstExpires, first)]].concat();
    let row = |(place @ (table, key), value): (&(usize, Vec<u8>), &Vec<u8>), parts: &[(Part, Vec<u8>)]| Row {
        table: *table,
        key: Template::of(key, parts),
        value: Template::of(value, parts),
        extended: watched.extended.get(place).map(|value| Template::of(value, &after)),
    };
    let created = |rows: &Rows| {
        rows.iter().map(|written| row(written, if is_extended(written.0) { &before } else { &after })).collect()
    };
    Ok(Shapes {
        user: created(&watched.user),
        account: created(&watched.account),
        session: created(&watched.session),
        extended: watched.extended.iter().map(|written| row(written, &after)).collect(),
        verification_token: created(&watched.verification_token),
        tables: watched.tables,
    })
}

/// Creates a sample of everything and watches the tables.
fn watch() -> Result<Watched> {
    let db = Arc::new(Database::builder().create_with_backend(InMemoryBackend::new())?);
    let auth = AuthKv::options().on_database(Arc::clone(&db))?;
    let tables = tables(&db)?;
    let mut seen = rows(&db, &tables)?;
    let mut written = || -> Result<Rows> {
        let now = rows(&db, &tables)?;
        let new = now.iter().filter(|(place, value)| seen.get(*place) != Some(*value));
        let new = new.map(|(place, value)| (place.clone(), value.clone())).collect();
        seen = now;
        Ok(new)
    };

    auth.create_user(new_user(SAMPLE)).wait()?;
    let user = written()?;
    auth.link_account(new_account(SAMPLE)).wait()?;
    let account = written()?;
    let first_ms = (Utc::now() + TimeDelta::days(30)).timestamp_millis();
    let token = SAMPLE.session_token();
    let created = auth.create_session(new_session(SAMPLE.user_id(), &token, first_ms)?).wait()?;
    let session = written()?;
    let extended_to = created.expires + TimeDelta::days(1);
    auth.update_session(SessionPatch { expires: Some(extended_to), ..SessionPatch::new(token.as_str()) }).wait()?;
    let extended = written()?;
    auth.create_verification_token(VerificationToken::new(SAMPLE.email(), token, created.expires)).wait()?;
    let verification_token = written()?;

    let session_id = Uuid::parse_str(created.id.as_str()).context("session ids are no UUIDs")?;
    let extended_to_ms = extended_to.timestamp_millis();
    Ok(Watched { tables, user, account, session, extended, verification_token, session_id, first_ms, extended_to_ms })
}

/// The values that occur only in the rows of the sample, except for the expiry.
fn parts(session_id: Uuid) -> Vec<(Part, Vec<u8>)> {
    vec![
        (Part::TokenHash, people::hash(&SAMPLE.session_token()).to_vec()),
        (Part::Image, SAMPLE.image().into()),
        (Part::Email, SAMPLE.email().into()),
        (Part::Name, SAMPLE.name().into()),
        (Part::UserId, SAMPLE.user_id().as_bytes().to_vec()),
        (Part::AccountId, SAMPLE.account_id().as_bytes().to_vec()),
        (Part::SessionId, session_id.as_bytes().to_vec()),
        (Part::ProviderAccountId, SAMPLE.provider_account_id().into()),
    ]
}

fn tables(db: &Database) -> Result<Vec<String>> {
    let mut tables: Vec<_> = db.begin_read()?.list_tables()?.map(|table| table.name().to_owned()).collect();
    tables.sort();
    Ok(tables)
}

fn rows(db: &Database, tables: &[String]) -> Result<Rows> {
    let transaction = db.begin_read()?;
    let mut rows = Rows::new();
    for (place, name) in tables.iter().enumerate() {
        for row in transaction.open_table(TableDefinition::<&[u8], &[u8]>::new(name))?.iter()? {
            let (key, value) = row?;
            rows.insert((place, key.value().to_vec()), value.value().to_vec());
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::super::Values;
    use super::*;

    #[test]
    fn the_rows_made_from_the_templates_are_those_that_authkv_writes() {
        let shapes = learn().unwrap();
        let db = Arc::new(Database::builder().create_with_backend(InMemoryBackend::new()).unwrap());
        let auth = AuthKv::options().on_database(Arc::clone(&db)).unwrap();
        let before = rows(&db, &shapes.tables).unwrap();
        let person = Person(7_654_321);
        let expires_ms = 4_000_000_000_000;
        auth.create_user(new_user(person)).wait().unwrap();
        auth.link_account(new_account(person)).wait().unwrap();
        let session = new_session(person.user_id(), "a-token", expires_ms).unwrap();
        let session = auth.create_session(session).wait().unwrap();
        let now = rows(&db, &shapes.tables).unwrap();

        let session_id = *Uuid::parse_str(session.id.as_str()).unwrap().as_bytes();
        let sets = [
            (&shapes.user, Values::of_user(person)),
            (&shapes.account, Values::of_account(person)),
            (
                &shapes.session,
                Values::of_session(person.user_id(), "a-token", expires_ms).with(Part::SessionId, session_id),
            ),
        ];
        let mut made = before.clone();
        for (rows, values) in &sets {
            for row in *rows {
                made.insert((row.table, row.key.bytes(values)), row.value.bytes(values));
            }
        }
        assert_eq!(made.keys().collect::<Vec<_>>(), now.keys().collect::<Vec<_>>());
        let lengths = |rows: &Rows| rows.values().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(&made), lengths(&now));
        for (rows, values) in sets {
            for row in rows {
                let mut read = Values::default();
                row.key.read(&row.key.bytes(&values), &mut read);
                row.value.read(now.get(&(row.table, row.key.bytes(&values))).unwrap(), &mut read);
                for part in [Part::UserId, Part::Email, Part::TokenHash, Part::Expires, Part::ProviderAccountId] {
                    assert!(read.get(part).is_none() || read.get(part) == values.get(part), "{part:?}");
                }
            }
        }
    }

    #[test]
    fn each_write_has_rows_by_which_bare_stores_can_find_it_again() {
        let shapes = learn().unwrap();
        let by = |rows: &[Row], part| rows.iter().any(|row| row.key.is_known(&Values::default().with(part, [0; 64])));
        assert!(by(&shapes.user, Part::UserId) && by(&shapes.user, Part::Email));
        assert!(by(&shapes.account, Part::ProviderAccountId));
        assert!(by(&shapes.session, Part::TokenHash));
        assert!(!shapes.extended.is_empty() && !shapes.verification_token.is_empty());
    }
}
