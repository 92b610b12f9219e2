//! Records: what the methods of a store do.

use std::sync::Arc;

use authkv::models::{WebSessionData, WebSessionId};
use chrono::{TimeDelta, Utc};
use serde_json::json;
use time::OffsetDateTime;

use super::site::{N, USER, in_memory, user};
use super::ts::session::{Id, Record};
use super::ts::session_store::{self, ExpiredDeletion, SessionStore};

fn record(n: u64, expires_in: TimeDelta) -> Record {
    let millis = (Utc::now() + expires_in).timestamp_millis();
    Record {
        id: Id::default(),
        data: [(N.to_owned(), n.into())].into(),
        expiry_date: OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap(),
    }
}

/// The record that the store loads, without the mark of the load.
async fn load(store: &dyn SessionStore, id: &Id) -> Option<Record> {
    let mut record = store.load(id).await.unwrap()?;
    assert!(record.data.remove("authkv.mark").is_some(), "overlapping requests would undo each other's changes");
    Some(record)
}

fn hour() -> TimeDelta {
    TimeDelta::hours(1)
}

#[tokio::test]
async fn a_record_is_created_saved_loaded_and_deleted() {
    let store: Arc<dyn SessionStore> = Arc::new(in_memory().sessions);
    let mut created = record(1, hour());
    assert_eq!(load(&*store, &created.id).await, None);
    store.create(&mut created).await.unwrap();
    assert_eq!(load(&*store, &created.id).await, Some(created.clone()));
    let saved = Record { id: created.id, ..record(2, hour() * 2) };
    store.save(&saved).await.unwrap();
    assert_eq!(load(&*store, &created.id).await, Some(saved.clone()));
    store.delete(&created.id).await.unwrap();
    assert_eq!(load(&*store, &created.id).await, None);
    store.delete(&created.id).await.unwrap();
    store.save(&saved).await.unwrap();
    assert_eq!(load(&*store, &created.id).await, None, "it was revived");
}

#[tokio::test]
async fn an_id_that_is_taken_is_drawn_again() {
    let store = in_memory().sessions;
    let mut first = record(1, hour());
    SessionStore::create(&store, &mut first).await.unwrap();
    let mut second = Record { id: first.id, ..record(2, hour()) };
    SessionStore::create(&store, &mut second).await.unwrap();
    assert_ne!(second.id, first.id);
    for record in [first, second] {
        assert_eq!(load(&store, &record.id).await, Some(record));
    }
}

#[tokio::test]
async fn an_instant_of_any_zone_and_year_is_kept_to_the_millisecond() {
    let store = in_memory().sessions;
    let fine = OffsetDateTime::from_unix_timestamp_nanos(4_000_000_000_123_456_789).unwrap();
    let last = time::PrimitiveDateTime::MAX.assume_utc();
    for expiry_date in [fine, fine.to_offset(time::UtcOffset::from_hms(-5, -30, 0).unwrap()), last] {
        let mut record = Record { expiry_date, ..record(1, hour()) };
        SessionStore::create(&store, &mut record).await.unwrap();
        let loaded = load(&store, &record.id).await.unwrap();
        let lost = (expiry_date - loaded.expiry_date).whole_nanoseconds();
        assert!((0..1_000_000).contains(&lost), "{lost}");
    }
    let mut past = Record { expiry_date: time::PrimitiveDateTime::MIN.assume_utc(), ..record(1, hour()) };
    SessionStore::create(&store, &mut past).await.unwrap();
    assert_eq!(load(&store, &past.id).await, None);
}

#[tokio::test]
async fn deleting_the_expired_leaves_the_others() {
    let site = in_memory();
    for n in 0..600 {
        SessionStore::create(&site.sessions, &mut record(n, -hour())).await.unwrap();
    }
    let mut valid = record(1, hour());
    SessionStore::create(&site.sessions, &mut valid).await.unwrap();
    site.sessions.delete_expired().await.unwrap();
    assert_eq!(site.auth.check().wait().unwrap().web_sessions, 1);
    assert_eq!(load(&site.sessions, &valid.id).await, Some(valid));
}

#[tokio::test]
async fn errors_say_what_is_wrong_and_nothing_secret() {
    let site = in_memory();
    let mut large = record(1, hour());
    large.data.insert("large".to_owned(), "hushhush".repeat(10_000).into());
    site.auth.delete_user(user(&site.auth, "hushhush")).wait().unwrap().unwrap();
    let mut of_deleted = record(1, hour());
    of_deleted.data.insert(USER.to_owned(), json!({ "user_id": "hushhush" }));
    for (mut record, expected) in [(large, "large is "), (of_deleted, "there is no such user")] {
        let error = SessionStore::create(&site.sessions, &mut record).await.unwrap_err();
        let is_encode = matches!(error, session_store::Error::Encode(_));
        assert_eq!(is_encode, expected.starts_with("large"), "{error:?}");
        assert!(error.to_string().contains(expected) && !error.to_string().contains("hushhush"), "{error}");
    }
    site.auth.close().wait().unwrap();
    for error in [
        SessionStore::load(&site.sessions, &Id::default()).await.map(drop).unwrap_err(),
        SessionStore::save(&site.sessions, &record(1, hour())).await.unwrap_err(),
        SessionStore::create(&site.sessions, &mut record(1, hour())).await.unwrap_err(),
        SessionStore::delete(&site.sessions, &Id::default()).await.unwrap_err(),
        site.sessions.delete_expired().await.unwrap_err(),
    ] {
        assert!(matches!(error, session_store::Error::Backend(_)), "{error:?}");
    }
}

#[test]
fn a_session_has_the_same_id_in_each_version() {
    let id: Id = "AAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
    let hash = WebSessionId::from(id);
    let sessions = in_memory().sessions;
    sessions.create_session(id.to_string(), &WebSessionData::new(), Utc::now() + hour()).wait().unwrap();
    assert_eq!(sessions.find_session("AAAAAAAAAAAAAAAAAAAAAA").wait().unwrap().unwrap().id, hash);
    assert_eq!(hash.as_str(), "8a5bdb4cc15164126c6ef2668de9dd240d299ce6397a42c95a9411b93d080ed8");
}
