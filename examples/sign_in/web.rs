//! The routes: what each request does, and what every answer carries.

use std::error::Error as StdError;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::Utc;
use maud::Markup;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::auth::Auth;
use crate::cookies::{Cookies, OwnForm};
use crate::mailbox::{Mail, Mailbox};
use crate::pages;

const FORM_BYTES_MAX: usize = 16 << 10;
const EMAIL_BYTES_MAX: usize = 254;

/// What the handlers work with.
pub(crate) struct App {
    pub(crate) auth: Auth,
    pub(crate) mailbox: Mailbox,
    /// Where browsers find us. Links start with it and not with the `Host` of the request, which anybody can forge to
    /// have the secret of a link sent to a server of their own.
    pub(crate) url: String,
    /// Whether that is HTTPS.
    pub(crate) secure: bool,
}

type Shared = State<Arc<App>>;

pub(crate) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/sign-in", post(send_link))
        .route("/mailbox", get(mailbox))
        .route("/link", get(show_link).post(use_link))
        .route("/name", post(rename))
        .route("/sign-out", post(sign_out))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(map_response(guarded))
        .with_state(Arc::new(app))
}

async fn home(State(app): Shared, cookies: Cookies) -> Result<Response, Failure> {
    let visitor = match cookies.session() {
        Some(token) => app.auth.visitor(token).await?,
        None => None,
    };
    Ok(match visitor {
        Some(visitor) => {
            let page = pages::account(&visitor, cookies.csrf());
            (cookies.with_session(&visitor.session), page).into_response()
        }
        None => {
            let page = pages::sign_in(cookies.csrf(), None);
            (cookies.without_session(), page).into_response()
        }
    })
}

#[derive(Deserialize)]
struct SendLink {
    email: String,
}

/// A public server would also limit how many mails an address and a visitor can cause.
async fn send_link(State(app): Shared, form: OwnForm<SendLink>) -> Result<Response, Failure> {
    let email = form.fields.email.trim();
    if !may_be_email(email) {
        let page = pages::sign_in(form.cookies.csrf(), Some(email));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form.cookies, page).into_response());
    }
    let token = app.auth.create_link(email).await?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("email", email)
        .append_pair("token", token.as_str())
        .finish();
    app.mailbox.deliver(Mail { to: email.to_owned(), link: format!("{}/link?{query}", app.url), sent: Utc::now() });
    Ok(Redirect::to("/mailbox").into_response())
}

/// Only that a mail arrives proves an address.
fn may_be_email(text: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    text.len() <= EMAIL_BYTES_MAX
        && !text.contains(odd)
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
}

async fn mailbox(State(app): Shared) -> Markup {
    pages::mailbox(&app.mailbox.mails())
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    email: String,
    #[serde(default)]
    token: String,
}

/// Does not use the link up: mail scanners and previews open it before its reader does.
async fn show_link(Query(link): Query<Link>, cookies: Cookies) -> impl IntoResponse {
    let page = pages::link(&link.email, &link.token, cookies.csrf());
    (cookies, page)
}

async fn use_link(State(app): Shared, form: OwnForm<Link>) -> Result<Response, Failure> {
    let OwnForm { cookies, fields: link } = form;
    let Some(session) = app.auth.use_link(&link.email, &link.token).await? else {
        return Ok(pages::spent_link().into_response());
    };
    // Whoever was signed in here before is not any more.
    if let Some(old) = cookies.session() {
        app.auth.sign_out(old).await?;
    }
    Ok((cookies.with_session(&session), Redirect::to("/")).into_response())
}

#[derive(Deserialize)]
struct Rename {
    name: String,
}

async fn rename(State(app): Shared, form: OwnForm<Rename>) -> Result<Redirect, Failure> {
    // The form holds a longer name back already.
    let name: String = form.fields.name.trim().chars().take(pages::NAME_CHARS_MAX).collect();
    if let Some(token) = form.cookies.session()
        && let Some(visitor) = app.auth.visitor(token).await?
    {
        app.auth.rename(visitor.user.id, &name).await?;
    }
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
struct SignOut {}

async fn sign_out(State(app): Shared, form: OwnForm<SignOut>) -> Result<impl IntoResponse, Failure> {
    if let Some(token) = form.cookies.session() {
        app.auth.sign_out(token).await?;
    }
    Ok((form.cookies.without_session(), Redirect::to("/")))
}

async fn not_found() -> impl IntoResponse {
    pages::not_found()
}

/// A failure of ours. The answer leaves the cookies alone: that the store cannot say who a visitor is does not mean that
/// the visitor has signed out.
pub(crate) struct Failure(Box<dyn StdError + Send + Sync>);

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        // Errors of the store never contain an e-mail address or a token, so they may be logged as they are.
        eprintln!("sign_in: {}", self.0);
        pages::failure().into_response()
    }
}

/// Nothing but our own style is loaded, nothing is cached, and no other site learns an address that holds a secret.
async fn guarded(response: Response) -> impl IntoResponse {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let style = BASE64_STANDARD.encode(Sha256::digest(pages::STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
    });
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, response)
}
