//! Learning which rows authkv writes: from the tables before and after each call.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use authkv::models::{SessionPatch, VerificationToken};
use authkv::redb::backends::InMemoryBackend;
use authkv::redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use authkv::{Adapter, AuthKv};
use chrono::{DateTime, TimeDelta};

use super::{Part, Row, Shapes, Template, instant};
use crate::peers::authkv::{new_account, new_session, new_user};
use crate::people::{self, Person};

const SAMPLE: Person = Person(1_234_567);

/// A place in the sorted tables and a key there, with its value.
type Rows = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

/// # Errors
/// When authkv fails, or writes rows that no template can be made of.
pub fn learn() -> Result<Shapes> {
    let db = Arc::new(Database::builder().create_with_backend(InMemoryBackend::new())?);
    let auth = AuthKv::options().on_database(Arc::clone(&db))?;
    let tables = tables(&db)?;
    let mut seen = rows(&db, &tables)?;
    let mut written = || -> Result<Rows> {
        let now = rows(&db, &tables)?;
        let new = now.iter().filter(|(key, value)| seen.get(*key) != Some(*value));
        let new = new.map(|(key, value)| (key.clone(), value.clone())).collect();
        seen = now;
        Ok(new)
    };

    auth.create_user(new_user(SAMPLE)).wait()?;
    let user = written()?;
    auth.link_account(new_account(SAMPLE)).wait()?;
    let account = written()?;

    let first = chrono::Utc::now() + TimeDelta::days(30);
    let first = DateTime::from_timestamp_millis(first.timestamp_millis()).context("the clock is wrong")?;
    let extended_to = first + TimeDelta::days(1);
    let token = SAMPLE.session_token();
    let session = auth.create_session(new_session(SAMPLE.user_id(), &token, first.timestamp_millis())?).wait()?;
    let created = written()?;
    let patch = SessionPatch { expires: Some(extended_to), ..SessionPatch::new(token.as_str()) };
    auth.update_session(patch).wait()?;
    let extended = written()?;
    ensure!(extended.keys().all(|key| created.contains_key(key)), "an extension writes rows of other keys");

    let identifier = SAMPLE.email();
    let link = VerificationToken::new(identifier.as_str(), token.as_str(), first);
    auth.create_verification_token(link).wait()?;
    let verification_token = written()?;

    let session_id = uuid::Uuid::parse_str(session.id.as_str()).context("session ids are no UUIDs")?;
    let parts = vec![
        (Part::TokenHash, people::hash(&token).to_vec()),
        (Part::Image, SAMPLE.image().into()),
        (Part::Email, identifier.into()),
        (Part::Name, SAMPLE.name().into()),
        (Part::UserId, SAMPLE.user_id().as_bytes().to_vec()),
        (Part::AccountId, SAMPLE.account_id().as_bytes().to_vec()),
        (Part::SessionId, session_id.as_bytes().to_vec()),
        (Part::ProviderAccountId, SAMPLE.provider_account_id().into()),
    ];
    let first = instant(first.timestamp_millis()).to_vec();
    let extended_to = instant(extended_to.timestamp_millis()).to_vec();
    // An expiry in a row that is written again is the one that counts; elsewhere it stays the first one.
    let before = parts.clone().into_iter().chain([(Part::Expires, first.clone())]).collect::<Vec<_>>();
    let after = parts.into_iter().chain([(Part::Expires, extended_to), (Part::FirstExpires, first.clone())]);
    let after = after.collect::<Vec<_>>();
    let shapes = |rows: &Rows| -> Vec<Row> {
        let shape = |(place @ (table, key), value): (&(usize, Vec<u8>), &Vec<u8>)| {
            let parts = if extended.contains_key(place) { &before } else { &after };
            Row {
                table: *table,
                key: Template::of(key, parts),
                value: Template::of(value, parts),
                extended: extended.get(place).map(|value| Template::of(value, &after)),
            }
        };
        rows.iter().map(shape).collect()
    };
    let written_again = |(place, value): (&(usize, Vec<u8>), &Vec<u8>)| Row {
        table: place.0,
        key: Template::of(&place.1, &after),
        value: Template::of(value, &after),
        extended: None,
    };
    Ok(Shapes {
        user: shapes(&user),
        account: shapes(&account),
        session: shapes(&created),
        extended: extended.iter().map(written_again).collect(),
        verification_token: shapes(&verification_token),
        tables,
    })
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

        let session_id = *uuid::Uuid::parse_str(session.id.as_str()).unwrap().as_bytes();
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
