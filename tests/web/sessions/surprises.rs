//! What surprises people about the middleware, with this store behind it: overlapping requests, sessions without data, an
//! expiry of one's own, and a new id that is followed by a failure. `docs/web-frameworks.md` says the same in words.

use std::time::Duration;

use authkv::models::WebSession;
use authkv::{AuthKv, WebSessions};
use axum::Router;
use axum::extract::{Extension, Query, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use chrono::{TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use time::Duration as Span;

use super::site::{Meeting, user};
use super::ts::{Expiry, Session, SessionManagerLayer};
use crate::browser::Browser;

const HALF_AN_HOUR: Expiry = Expiry::OnInactivity(Span::minutes(30));
const A_MONTH: Expiry = Expiry::OnInactivity(Span::days(30));

struct Shop {
    app: Router,
    auth: AuthKv,
    sessions: WebSessions,
    meeting: Meeting,
}

impl Shop {
    fn new() -> Self {
        Self::with(|sessions| sessions, |app| app)
    }

    fn with(configure: impl FnOnce(WebSessions) -> WebSessions, inside: impl FnOnce(Router) -> Router) -> Self {
        let auth = AuthKv::in_memory().unwrap();
        let sessions = configure(WebSessions::new(auth.clone()));
        let meeting = Meeting::default();
        let app = Router::new()
            .route("/put", post(put))
            .route("/put-slowly", post(put_slowly))
            .route("/put-twice", post(put_twice))
            .route("/take", post(take))
            .route("/clear", post(clear))
            .route("/cycle", post(cycle))
            .route("/look", get(look))
            .route("/remember", post(remember))
            .route("/cycle-and-fail", post(cycle_and_fail))
            .route("/fail-before-cycling", post(fail_before_cycling))
            .layer(Extension(meeting.clone()));
        let layer = SessionManagerLayer::new(sessions.clone()).with_expiry(HALF_AN_HOUR);
        Self { app: inside(app).layer(layer), auth, sessions, meeting }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.app)
    }

    fn stored(&self, browser: &Browser) -> Option<WebSession> {
        self.sessions.find_session(browser.cookie.as_deref()?).wait().unwrap()
    }

    fn data(&self, browser: &Browser) -> Value {
        json!(self.stored(browser).unwrap().data)
    }

    /// Another request, from its beginning to its end, while a slow one is under way. Returns the slow one's answer.
    async fn meanwhile(&self, browser: &Browser, slow: &str, fast: &str) -> StatusCode {
        let (mut slow_one, path) = (browser.clone(), slow.to_owned());
        let under_way = tokio::spawn(async move { slow_one.post(&path, &[]).await.status });
        self.meeting.begun.notified().await;
        browser.clone().post(fast, &[]).await.ok();
        self.meeting.go_on.notify_one();
        tokio::time::timeout(Duration::from_secs(60), under_way).await.expect("it goes on").unwrap()
    }
}

#[derive(Deserialize)]
struct Item {
    name: String,
    value: i64,
}

async fn put(Extension(session): Extension<Session>, Query(item): Query<Item>) {
    session.insert(&item.name, item.value).await.unwrap();
}

/// Loads the session, and goes on after another request.
async fn put_slowly(
    Extension(session): Extension<Session>,
    Extension(meeting): Extension<Meeting>,
    Query(item): Query<Item>,
) {
    session.load().await.unwrap();
    meeting.begun.notify_one();
    meeting.go_on.notified().await;
    session.insert(&item.name, item.value).await.unwrap();
}

/// Saves the session by itself, and then changes it again and has it saved by the middleware.
async fn put_twice(
    Extension(session): Extension<Session>,
    Extension(meeting): Extension<Meeting>,
    Query(item): Query<Item>,
) {
    let before: Option<i64> = session.get(&item.name).await.unwrap();
    meeting.begun.notify_one();
    meeting.go_on.notified().await;
    session.insert(&item.name, item.value).await.unwrap();
    session.save().await.unwrap();
    session.insert("before", before).await.unwrap();
}

async fn take(Extension(session): Extension<Session>, Query(item): Query<Item>) {
    session.remove_value(&item.name).await.unwrap();
}

async fn clear(Extension(session): Extension<Session>) {
    session.clear().await;
}

async fn cycle(Extension(session): Extension<Session>) {
    session.cycle_id().await.unwrap();
}

async fn look(Extension(session): Extension<Session>) -> String {
    format!("{:?}", session.get::<i64>("a").await.unwrap())
}

/// Signs somebody in who wants to stay so.
async fn remember(Extension(session): Extension<Session>) {
    session.insert("remember", true).await.unwrap();
    session.set_expiry(Some(A_MONTH));
}

/// What the documentation advises.
async fn keep_remembered(Extension(session): Extension<Session>, request: Request, next: Next) -> Response {
    if session.get("remember").await.unwrap() == Some(true) {
        session.set_expiry(Some(A_MONTH));
    }
    next.run(request).await
}

async fn cycle_and_fail(Extension(session): Extension<Session>) -> StatusCode {
    session.cycle_id().await.unwrap();
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn fail_before_cycling(Extension(session): Extension<Session>) -> StatusCode {
    session.insert("a", 2).await.unwrap();
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn with_basket(shop: &Shop) -> Browser {
    let mut browser = shop.browser();
    browser.post("/put?name=a&value=1", &[]).await.ok();
    browser
}

#[tokio::test]
async fn overlapping_requests_keep_each_others_values() {
    let shop = Shop::new();
    let browser = with_basket(&shop).await;
    let slow = shop.meanwhile(&browser, "/put-slowly?name=visits&value=1", "/put?name=basket&value=7").await;
    assert_eq!(slow, StatusCode::OK);
    assert_eq!(shop.data(&browser), json!({ "a": 1, "basket": 7, "visits": 1 }));
    shop.meanwhile(&browser, "/put-slowly?name=visits&value=2", "/take?name=basket&value=0").await;
    assert_eq!(shop.data(&browser), json!({ "a": 1, "visits": 2 }));
    shop.meanwhile(&browser, "/put-slowly?name=visits&value=3", "/clear").await;
    assert_eq!(shop.data(&browser), json!({ "visits": 3 }));
    shop.meanwhile(&browser, "/put-slowly?name=visits&value=4", "/put?name=visits&value=5").await;
    assert_eq!(shop.data(&browser), json!({ "visits": 4 }), "of two that change it, the last one wins");
}

#[tokio::test]
async fn a_request_that_saves_twice_keeps_what_others_saved() {
    let shop = Shop::new();
    let browser = with_basket(&shop).await;
    let twice = shop.meanwhile(&browser, "/put-twice?name=a&value=2", "/put?name=basket&value=7").await;
    assert_eq!(twice, StatusCode::OK);
    assert_eq!(shop.data(&browser), json!({ "a": 2, "basket": 7, "before": 1 }));
}

#[tokio::test]
async fn a_stale_save_is_a_failure_on_request() {
    let shop = Shop::with(WebSessions::refuse_stale_saves, |app| app);
    let browser = with_basket(&shop).await;
    let slow = shop.meanwhile(&browser, "/put-slowly?name=visits&value=1", "/put?name=basket&value=7").await;
    assert_eq!(slow, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(shop.data(&browser), json!({ "a": 1, "basket": 7 }));
    let shop = Shop::with(WebSessions::refuse_stale_saves, |app| app);
    let browser = with_basket(&shop).await;
    shop.meeting.go_on.notify_one();
    assert_eq!(browser.clone().post("/put-twice?name=a&value=2", &[]).await.status, StatusCode::OK);
    assert_eq!(shop.data(&browser), json!({ "a": 2, "before": 1 }), "a second save is not stale");
}

#[tokio::test]
async fn a_session_that_another_request_signed_in_is_left_alone() {
    let shop = Shop::new();
    let ada = user(&shop.auth, "ada");
    let browser = with_basket(&shop).await;
    let (mut slow, token) = (browser.clone(), browser.cookie.clone().unwrap());
    let under_way = tokio::spawn(async move { slow.post("/put-slowly?name=visits&value=1", &[]).await });
    shop.meeting.begun.notified().await;
    let mut data = shop.stored(&browser).unwrap().data;
    data.insert("axum-login.data".to_owned(), json!({ "user_id": ada }));
    let in_an_hour = Utc::now() + TimeDelta::hours(1);
    assert!(shop.sessions.save_session(token, &data, in_an_hour).await.unwrap());
    let signed_in = shop.stored(&browser);
    shop.meeting.go_on.notify_one();
    assert_eq!(under_way.await.unwrap().status, StatusCode::OK, "as if the session had ended");
    assert_eq!(shop.stored(&browser), signed_in);
}

#[tokio::test]
async fn a_session_without_data_is_stored_and_loaded() {
    let shop = Shop::new();
    let mut browser = with_basket(&shop).await;
    let cookie = browser.cookie.clone();
    for emptying in ["/clear", "/take?name=a&value=0"] {
        browser.post("/put?name=a&value=1", &[]).await.ok();
        browser.post(emptying, &[]).await.ok();
        assert_eq!((shop.data(&browser), &browser.cookie), (json!({}), &cookie));
        assert_eq!(browser.get("/look").await.ok(), "None");
        assert_eq!(browser.cookie, cookie, "it is loaded");
    }
    browser.post("/cycle", &[]).await.ok();
    assert_ne!(browser.cookie, cookie);
    assert_eq!(shop.data(&browser), json!({}));
    browser.post("/put?name=a&value=1", &[]).await.ok();
    assert_eq!(shop.data(&browser), json!({ "a": 1 }));
    assert_eq!(shop.auth.check().wait().unwrap().web_sessions, 1);
}

#[tokio::test]
async fn an_expiry_of_its_own_lasts_until_the_next_save_unless_each_request_sets_it() {
    let lifetime = |shop: &Shop, browser: &Browser| shop.stored(browser).unwrap().expires - Utc::now();
    let shop = Shop::new();
    let mut browser = with_basket(&shop).await;
    browser.post("/remember", &[]).await.ok();
    assert!(lifetime(&shop, &browser) > TimeDelta::days(29));
    browser.get("/look").await.ok();
    assert!(lifetime(&shop, &browser) > TimeDelta::days(29), "reading saves nothing");
    browser.post("/put?name=a&value=2", &[]).await.ok();
    assert!(lifetime(&shop, &browser) <= TimeDelta::minutes(30), "the layer's rule is back");

    let shop = Shop::with(|sessions| sessions, |app| app.layer(from_fn(keep_remembered)));
    let mut browser = with_basket(&shop).await;
    assert!(lifetime(&shop, &browser) <= TimeDelta::minutes(30));
    browser.post("/remember", &[]).await.ok();
    let remembered = shop.stored(&browser);
    for _ in 0..3 {
        assert!(browser.get("/look").await.changed_cookie, "the cookie is extended too");
        assert_eq!(shop.stored(&browser), remembered, "so small a move is not written");
    }
    for path in ["/put?name=a&value=2", "/cycle", "/put?name=a&value=3"] {
        browser.post(path, &[]).await.ok();
        assert!(lifetime(&shop, &browser) > TimeDelta::days(29));
    }
}

/// The middleware deletes the old record at once, and saves nothing when the answer is a server error. A store cannot
/// tell this from signing out, which must end the session at once.
#[tokio::test]
async fn a_new_id_that_is_followed_by_a_server_error_loses_the_session() {
    let shop = Shop::new();
    let mut browser = with_basket(&shop).await;
    let cookie = browser.cookie.clone();
    let failed = browser.post("/fail-before-cycling", &[]).await;
    assert_eq!((failed.status, failed.changed_cookie), (StatusCode::INTERNAL_SERVER_ERROR, false));
    assert_eq!(shop.data(&browser), json!({ "a": 1 }), "it is as it was");
    let failed = browser.post("/cycle-and-fail", &[]).await;
    assert_eq!((failed.status, &browser.cookie), (StatusCode::INTERNAL_SERVER_ERROR, &cookie));
    assert_eq!(shop.stored(&browser), None);
    assert_eq!(browser.get("/look").await.ok(), "None");
    assert_eq!((browser.cookie.clone(), shop.auth.check().wait().unwrap().web_sessions), (None, 0));
}
