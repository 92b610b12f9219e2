//! The routes, and what every answer carries.

mod account;
mod links;
#[cfg(feature = "providers")]
mod providers;
mod sessions;

use std::error::Error as StdError;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::auth::{Auth, SignedIn};
use crate::cookies::Cookies;
use crate::mailbox::Mailbox;
use crate::pages;
use crate::provider::Provider;

const FORM_BYTES_MAX: usize = 16 << 10;

/// What the handlers work with.
pub(crate) struct App {
    pub(crate) auth: Auth,
    pub(crate) mailbox: Mailbox,
    pub(crate) providers: Vec<Arc<Provider>>,
    /// Where browsers find us. Links start with it and not with the `Host` of the request, which anybody can forge to
    /// have the secret of a link sent to a server of their own.
    pub(crate) url: String,
    /// Whether that is HTTPS.
    pub(crate) secure: bool,
}

impl App {
    /// Who is signed in with this browser.
    async fn visitor(&self, cookies: &Cookies) -> Result<Option<SignedIn>, Failure> {
        match cookies.session() {
            Some(token) => Ok(self.auth.visitor(token).await?),
            None => Ok(None),
        }
    }

    fn provider(&self, slug: &str) -> Option<Arc<Provider>> {
        self.providers.iter().find(|provider| provider.registration.slug == slug).cloned()
    }
}

type Shared = State<Arc<App>>;

/// A form of which only matters that it was sent.
#[derive(Deserialize)]
struct Nothing {}

pub(crate) fn router(app: App) -> Router {
    let router = Router::new()
        .route("/", get(account::home))
        .route("/name", post(account::rename))
        .route("/sign-in", post(links::send))
        .route("/mailbox", get(links::mailbox))
        .route("/link", get(links::show).post(links::sign_in))
        .route("/unlink", post(account::unlink))
        .route("/end", post(sessions::end))
        .route("/end-others", post(sessions::end_others))
        .route("/sign-out", post(sessions::sign_out));
    #[cfg(feature = "providers")]
    let router = router
        .route("/with/{provider}", post(providers::sign_in_with))
        .route("/link/{provider}", post(providers::link_with))
        .route("/back/{provider}", get(providers::welcome_back));
    router
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(map_response(guarded))
        .with_state(Arc::new(app))
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
        eprintln!("authkv-web: {}", self.0);
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
