//! An application with sessions, in which a counter and perhaps a user are kept.

use std::collections::HashMap;
use std::sync::Arc;

use authkv::models::{NewUser, WebSession};
use authkv::{AuthKv, WebSessions};
use axum::extract::{Extension, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Router, response};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::ts::session::Error;
use super::ts::{Session, SessionManagerLayer};
use crate::browser::Browser;

pub(super) const N: &str = "n";
pub(super) const USER: &str = "axum-login.data";

/// Says how two requests, of which one is under way, wait for each other.
#[derive(Clone, Default)]
pub(super) struct Meeting {
    pub(super) begun: Arc<Notify>,
    pub(super) go_on: Arc<Notify>,
}

pub(super) struct Site {
    pub(super) app: Router,
    pub(super) auth: AuthKv,
    pub(super) sessions: WebSessions,
    pub(super) meeting: Meeting,
}

impl Site {
    pub(super) fn new(auth: AuthKv) -> Self {
        Self::configured(auth, |layer| layer)
    }

    pub(super) fn configured(
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

    pub(super) fn browser(&self) -> Browser {
        Browser::new(&self.app)
    }

    /// The session of a browser as the store has it.
    pub(super) fn stored(&self, browser: &Browser) -> Option<WebSession> {
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

pub(super) fn in_memory() -> Site {
    Site::new(AuthKv::in_memory().unwrap())
}

pub(super) fn user(auth: &AuthKv, name: &str) -> String {
    let user = auth.create_user(NewUser { id: Some(name.into()), ..NewUser::default() });
    user.wait().unwrap().id.to_string()
}
