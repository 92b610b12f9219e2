//! Browsers: what the visitors of an application see.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use authkv::models::WebSessionId;
use authkv::redb::Database;
use authkv::{AuthKv, WebSessions};
use axum::http::StatusCode;
use chrono::TimeDelta;
use tokio::task::JoinSet;

use super::site::{Site, in_memory, user};
use super::ts::session::Id;
use super::ts::{Expiry, SessionManagerLayer};
use crate::store::{Later, Place, damage};

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
    assert_eq!(site.auth.end_all_sessions("ada").wait().unwrap(), 1);
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
        assert_eq!(site.auth.end_all_sessions(ada.as_str()).await.unwrap(), 1);
        ended.store(true, Ordering::SeqCst);
        while let Some(request) = requests.join_next().await {
            request.unwrap();
        }
        assert_eq!(site.stored(&browser), None, "it was revived");
        let of_ada = site.sessions.list_sessions(ada.as_str(), None, 1_000).wait().unwrap().items;
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
