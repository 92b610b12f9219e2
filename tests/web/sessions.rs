//! What holds of either version of tower-sessions, which `ts` names.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use authkv::models::{NewUser, WebSession, WebSessionData, WebSessionId};
use authkv::redb::Database;
use authkv::{Adapter, AuthKv, WebSessions};
use axum::extract::{Extension, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, response};
use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::ts::session::{Error, Id, Record};
use super::ts::session_store::{self, ExpiredDeletion, SessionStore};
use super::ts::{Expiry, Session, SessionManagerLayer};
use crate::browser::Browser;
use crate::store::{Later, Place, damage};

const N: &str = "n";
const USER: &str = "axum-login.data";

/// Says how two requests, of which one is under way, wait for each other.
#[derive(Clone, Default)]
struct Meeting {
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
}

struct Site {
    app: Router,
    auth: AuthKv,
    sessions: WebSessions,
    meeting: Meeting,
}

impl Site {
    fn new(auth: AuthKv) -> Self {
        Self::configured(auth, |layer| layer)
    }

    fn configured(
        auth: AuthKv,
        configure: impl FnOnce(SessionManagerLayer<WebSessions>) -> SessionManagerLayer<WebSessions>,
    ) -> Self {
        let sessions = WebSessions::new(auth.clone());
        let layer = configure(SessionManagerLayer::new(sessions.clone()));
        let meeting = Meeting::default();
        let app = Router::new()
            .route("/", get(read))
            .route("/add", post(add))
            .route("/meet", post(meet))
            .route("/who", get(who))
            .route("/sign-in", post(sign_in))
            .route("/sign-out", post(sign_out))
            .route("/clear", post(clear))
            .route("/fill", post(fill))
            .layer(Extension(meeting.clone()))
            .layer(layer);
        Self { app, auth, sessions, meeting }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.app)
    }

    /// The session of a browser as the store has it.
    fn stored(&self, browser: &Browser) -> Option<WebSession> {
        self.sessions.find_session(browser.cookie.as_deref().unwrap()).wait().unwrap()
    }
}

/// An error of the session as the application would answer it.
struct Failed;

impl From<Error> for Failed {
    fn from(_: Error) -> Self {
        Self
    }
}

impl response::IntoResponse for Failed {
    fn into_response(self) -> response::Response {
        StatusCode::BAD_GATEWAY.into_response()
    }
}

async fn read(Extension(session): Extension<Session>) -> Result<String, Failed> {
    let n: Option<u64> = session.get(N).await?;
    Ok(n.map_or("nothing".to_owned(), |n| n.to_string()))
}

async fn add(Extension(session): Extension<Session>) -> Result<String, Failed> {
    let n = session.get::<u64>(N).await?.unwrap_or(0) + 1;
    session.insert(N, n).await?;
    Ok(n.to_string())
}

/// The same in two steps, between which another request has its turn.
async fn meet(Extension(session): Extension<Session>, Extension(meeting): Extension<Meeting>) -> Result<(), Failed> {
    let n = session.get::<u64>(N).await?.unwrap_or(0) + 1;
    meeting.begun.notify_one();
    meeting.go_on.notified().await;
    session.insert(N, n).await?;
    Ok(())
}

async fn sign_in(
    Extension(session): Extension<Session>,
    Query(query): Query<HashMap<String, String>>,
) -> Result<(), Failed> {
    session.cycle_id().await?;
    session.insert(USER, json!({ "user_id": query["user"] })).await?;
    Ok(())
}

async fn who(Extension(session): Extension<Session>) -> Result<String, Failed> {
    let user: Option<Value> = session.get(USER).await?;
    Ok(user.map_or("nobody".to_owned(), |user| user["user_id"].to_string()))
}

async fn sign_out(Extension(session): Extension<Session>) -> Result<(), Failed> {
    session.flush().await?;
    Ok(())
}

async fn clear(Extension(session): Extension<Session>) {
    session.clear().await;
}

async fn fill(Extension(session): Extension<Session>) -> Result<(), Failed> {
    session.insert("large", "x".repeat(64 << 10)).await?;
    Ok(())
}

fn in_memory() -> Site {
    Site::new(AuthKv::in_memory().unwrap())
}

fn user(auth: &AuthKv, name: &str) -> String {
    let user = auth.create_user(NewUser { id: Some(name.into()), ..NewUser::default() });
    user.wait().unwrap().id.to_string()
}

fn record(n: u64, expires_in: TimeDelta) -> Record {
    let millis = (Utc::now() + expires_in).timestamp_millis();
    Record {
        id: Id::default(),
        data: [(N.to_owned(), n.into())].into(),
        expiry_date: OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap(),
    }
}

fn hour() -> TimeDelta {
    TimeDelta::hours(1)
}

#[tokio::test]
async fn a_record_is_created_saved_loaded_and_deleted() {
    let store: Arc<dyn SessionStore> = Arc::new(in_memory().sessions);
    let mut created = record(1, hour());
    assert_eq!(store.load(&created.id).await.unwrap(), None);
    store.create(&mut created).await.unwrap();
    assert_eq!(store.load(&created.id).await.unwrap(), Some(created.clone()));
    let saved = Record { id: created.id, ..record(2, hour() * 2) };
    store.save(&saved).await.unwrap();
    assert_eq!(store.load(&created.id).await.unwrap(), Some(saved.clone()));
    store.delete(&created.id).await.unwrap();
    assert_eq!(store.load(&created.id).await.unwrap(), None);
    store.delete(&created.id).await.unwrap();
    store.save(&saved).await.unwrap();
    assert_eq!(store.load(&created.id).await.unwrap(), None, "it was revived");
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
        assert_eq!(SessionStore::load(&store, &record.id).await.unwrap(), Some(record));
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
        let loaded = SessionStore::load(&store, &record.id).await.unwrap().unwrap();
        let lost = (expiry_date - loaded.expiry_date).whole_nanoseconds();
        assert!((0..1_000_000).contains(&lost), "{lost}");
    }
    let mut past = Record { expiry_date: time::PrimitiveDateTime::MIN.assume_utc(), ..record(1, hour()) };
    SessionStore::create(&store, &mut past).await.unwrap();
    assert_eq!(SessionStore::load(&store, &past.id).await.unwrap(), None);
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
    assert_eq!(SessionStore::load(&site.sessions, &valid.id).await.unwrap(), Some(valid));
}

#[tokio::test]
async fn errors_say_what_is_wrong_and_nothing_secret() {
    let site = in_memory();
    let mut large = record(1, hour());
    large.data.insert("large".to_owned(), "hushhush".repeat(10_000).into());
    let mut of_stranger = record(1, hour());
    of_stranger.data.insert(USER.to_owned(), json!({ "user_id": "hushhush" }));
    for (mut record, expected) in [(large, "large is "), (of_stranger, "there is no such user")] {
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

#[tokio::test]
async fn a_cookie_brings_a_browser_its_own_session_and_is_not_in_the_file() {
    let place = Place::new();
    let site = Site::new(AuthKv::open(&place.path).unwrap());
    let (mut one, mut other) = (site.browser(), site.browser());
    assert_eq!(one.get("/").await.ok(), "nothing");
    assert_eq!(one.cookie, None, "reading needs no session");
    for expected in ["1", "2", "3"] {
        assert_eq!(one.post("/add", &[]).await.ok(), expected);
    }
    assert_eq!(other.get("/").await.ok(), "nothing");
    assert_eq!(other.post("/add", &[]).await.ok(), "1");
    assert_eq!(one.get("/").await.ok(), "3");
    let cookie = one.cookie.clone().unwrap();
    let id: Id = cookie.parse().unwrap();
    assert!(!place.contains(cookie.as_bytes()) && !place.contains(&id.0.to_le_bytes()));
    assert_eq!(WebSessionId::from(id), site.stored(&one).unwrap().id);
}

#[tokio::test]
async fn a_session_outlives_the_application() {
    let place = Place::new();
    let site = Site::new(AuthKv::open(&place.path).unwrap());
    let mut browser = site.browser();
    browser.post("/add", &[]).await.ok();
    site.auth.close().wait().unwrap();
    let site = Site::new(AuthKv::open(&place.path).unwrap());
    assert_eq!(browser.on(&site.app).post("/add", &[]).await.ok(), "2");
}

#[tokio::test]
async fn signing_in_gives_the_session_another_id() {
    let site = in_memory();
    let ada = user(&site.auth, "ada");
    let mut browser = site.browser();
    browser.post("/add", &[]).await.ok();
    let mut thief = browser.clone();
    browser.post(&format!("/sign-in?user={ada}"), &[]).await.ok();
    assert_ne!(browser.cookie, thief.cookie);
    assert_eq!(site.stored(&browser).unwrap().user_id, Some("ada".into()));
    assert_eq!(browser.get("/").await.ok(), "1", "the data stays");
    assert_eq!(thief.get("/").await.ok(), "nothing");
    assert_eq!(thief.cookie, None);
}

#[tokio::test]
async fn signing_out_removes_session_and_cookie() {
    let site = in_memory();
    let mut browser = site.browser();
    browser.post("/add", &[]).await.ok();
    let mut copy = browser.clone();
    browser.post("/sign-out", &[]).await.ok();
    assert_eq!(browser.cookie, None);
    assert_eq!(copy.get("/").await.ok(), "nothing");
    assert_eq!(site.auth.check().wait().unwrap().web_sessions, 0);
}

#[tokio::test]
async fn an_expired_session_is_gone_and_so_is_its_cookie() {
    let later = Later::default();
    let site = Site::configured(later.options().in_memory().unwrap(), |layer| {
        layer.with_expiry(Expiry::OnInactivity(time::Duration::hours(1)))
    });
    let mut browser = site.browser();
    browser.post("/add", &[]).await.ok();
    later.by(TimeDelta::minutes(59));
    assert_eq!(browser.get("/").await.ok(), "1");
    later.by(TimeDelta::minutes(61));
    assert_eq!(browser.get("/").await.ok(), "nothing");
    assert_eq!(browser.cookie, None);
}

#[tokio::test]
async fn an_id_that_a_visitor_makes_up_never_becomes_a_session() {
    let site = Site::configured(AuthKv::in_memory().unwrap(), |layer| layer.with_always_save(true));
    let mut visitor = site.browser();
    let made_up = Id::default().to_string();
    visitor.cookie = Some(made_up.clone());
    assert_eq!(visitor.post("/add", &[]).await.ok(), "1");
    assert_ne!(visitor.cookie, Some(made_up.clone()));
    // Clearing a session that was never loaded saves it under the id of the cookie.
    visitor.cookie = Some(made_up.clone());
    visitor.post("/clear", &[]).await.ok();
    assert_eq!(site.sessions.find_session(&made_up).wait().unwrap(), None);
}

#[tokio::test]
async fn a_request_under_way_does_not_revive_a_session_that_was_ended() {
    let site = in_memory();
    let ada = user(&site.auth, "ada");
    let mut browser = site.browser();
    browser.post(&format!("/sign-in?user={ada}"), &[]).await.ok();
    let under_way = tokio::spawn({
        let mut browser = browser.clone();
        async move { (browser.post("/meet", &[]).await, browser) }
    });
    site.meeting.begun.notified().await;
    assert_eq!(site.auth.end_sessions(&"ada".into(), None).wait().unwrap(), 1);
    site.meeting.go_on.notify_one();
    let (answer, mut browser) = under_way.await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(site.stored(&browser), None, "it was revived");
    assert_eq!(browser.get("/").await.ok(), "nothing");
    assert_eq!(browser.cookie, None);
    assert_eq!(site.auth.check().wait().unwrap().web_sessions, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_burst_of_requests_revives_a_session_or_is_answered_with_a_failure() {
    let place = Place::new();
    let site = Site::new(AuthKv::open(&place.path).unwrap());
    let ada = user(&site.auth, "ada");
    for _ in 0..20 {
        let mut browser = site.browser();
        browser.post(&format!("/sign-in?user={ada}"), &[]).await.ok();
        let ended = Arc::new(AtomicBool::new(false));
        let mut requests = JoinSet::new();
        for _ in 0..16 {
            let (mut browser, ended) = (browser.clone(), Arc::clone(&ended));
            requests.spawn(async move {
                for _ in 0..4 {
                    let was_ended = ended.load(Ordering::SeqCst);
                    browser.post("/add", &[]).await.ok();
                    let who = browser.get("/who").await.ok();
                    assert!(!was_ended || who == "nobody", "it was found after it had ended");
                }
            });
        }
        tokio::task::yield_now().await;
        assert_eq!(site.auth.end_sessions(&ada.as_str().into(), None).await.unwrap(), 1);
        ended.store(true, Ordering::SeqCst);
        while let Some(request) = requests.join_next().await {
            request.unwrap();
        }
        assert_eq!(site.stored(&browser), None, "it was revived");
        let of_ada = site.sessions.list_sessions(&ada.as_str().into()).wait().unwrap();
        assert!(of_ada.is_empty(), "{of_ada:?}");
    }
    assert!(site.auth.check().wait().unwrap().is_sound());
}

#[tokio::test]
async fn requests_that_only_move_the_expiry_write_nothing() {
    let layer = |minutes| {
        move |layer: SessionManagerLayer<WebSessions>| {
            layer.with_always_save(true).with_expiry(Expiry::OnInactivity(time::Duration::minutes(minutes)))
        }
    };
    let auth = AuthKv::in_memory().unwrap();
    let site = Site::configured(auth.clone(), layer(30));
    let mut browser = site.browser();
    browser.post("/add", &[]).await.ok();
    let created = site.stored(&browser).unwrap();
    for _ in 0..50 {
        assert_eq!(browser.get("/").await.ok(), "1");
    }
    assert_eq!(site.stored(&browser), Some(created.clone()));
    let longer = Site::configured(auth, layer(40));
    assert!(browser.on(&longer.app).get("/").await.changed_cookie);
    assert!(longer.stored(&browser).unwrap().expires - created.expires >= TimeDelta::minutes(9));
}

#[tokio::test]
async fn a_damaged_session_is_a_failure_and_not_a_visitor_without_one() {
    let place = Place::new();
    let database = Arc::new(Database::create(&place.path).unwrap());
    let site = Site::new(AuthKv::options().on_database(Arc::clone(&database)).unwrap());
    let mut browser = site.browser();
    browser.post("/add", &[]).await.ok();
    let cookie = browser.cookie.clone();
    damage(&database, "authkv_web_sessions");
    for answer in [browser.get("/").await, browser.post("/add", &[]).await] {
        assert_eq!((answer.status, answer.changed_cookie), (StatusCode::BAD_GATEWAY, false));
    }
    damage(&database, "authkv_web_sessions");
    assert_eq!(browser.get("/").await.ok(), "1", "it is whole again");
    site.auth.close().wait().unwrap();
    let answer = browser.get("/").await;
    assert_eq!((answer.status, answer.changed_cookie), (StatusCode::BAD_GATEWAY, false));
    assert_eq!(browser.cookie, cookie);
}

#[tokio::test]
async fn too_much_data_is_a_failure_and_leaves_the_session_as_it_was() {
    let site = in_memory();
    let mut browser = site.browser();
    browser.post("/add", &[]).await.ok();
    assert_eq!(browser.post("/fill", &[]).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(browser.get("/").await.ok(), "1");
}

/// While the application has a write transaction open, writes wait; with one thread, anything else then waits too if they
/// wait in a way in which they must not.
#[test]
fn a_write_that_waits_does_not_hold_up_the_executor() {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let place = Place::new();
        let database = Arc::new(Database::create(&place.path).unwrap());
        let site = Site::new(AuthKv::options().on_database(Arc::clone(&database)).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut browser = site.browser();
            browser.post("/add", &[]).await.ok();
            let transaction = database.begin_write().unwrap();
            let adding = tokio::spawn({
                let mut browser = browser.clone();
                async move { browser.post("/add", &[]).await }
            });
            for _ in 0..100 {
                tokio::task::yield_now().await;
                assert_eq!(browser.get("/").await.ok(), "1");
            }
            assert!(!adding.is_finished());
            transaction.abort().unwrap();
            assert_eq!(adding.await.unwrap().ok(), "2");
        });
        done.send(()).unwrap();
    });
    is_done.recv_timeout(Duration::from_secs(60)).expect("the executor is not held up");
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
