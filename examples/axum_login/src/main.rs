//! Sign-in with passwords in an axum application: axum-login, with users, password hashes and sessions in one file.
//!
//! ```text
//! cargo run --release -p example-axum-login -- auth.redb
//! ```
//!
//! Passwords are hashed with Argon2id on threads of their own, a few at a time, and for an address that nobody has as well,
//! so that the time tells nothing. What is missing for an application that strangers use: a limit to the attempts, and a
//! proof that the e-mail address is theirs, for which the program in `web/` sends links.

use std::error::Error;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use authkv::axum_login::{Backend, CheckCredentials};
use authkv::models::{FieldPatch, Models, NewUser, User, UserId, UserPatch};
use authkv::{AuthKv, UniqueKey, WebSessions};
use axum::extract::Form;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use axum_login::tower_sessions::{Expiry, SessionManagerLayer};
use axum_login::{AuthManagerLayerBuilder, AuthnBackend};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Users with a password.
pub(crate) struct Site;

impl Models for Site {
    const NAME: &'static str = "site";
    const VERSION: u32 = 1;
    type User = Secret;
    type Account = ();
    type Session = ();
    type VerificationToken = ();
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Secret {
    #[serde(default)]
    password_hash: Option<String>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(<redacted>)")
    }
}

#[derive(Clone, Deserialize)]
struct Credentials {
    email: String,
    password: String,
}

/// Hashes passwords and compares them with their hashes.
#[derive(Clone)]
struct Passwords {
    /// Each hash takes a core for a while, and 19 MiB.
    at_once: Arc<Semaphore>,
    /// What the password of nobody is compared with.
    of_nobody: Arc<str>,
}

impl Passwords {
    fn new() -> Result<Self, argon2::password_hash::Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self { at_once: Arc::new(Semaphore::new(cores)), of_nobody: hash("")?.into() })
    }

    async fn hash(&self, password: String) -> Result<String, Failure> {
        let _turn = self.at_once.acquire().await?;
        Ok(spawn_blocking(move || hash(&password)).await??)
    }

    async fn is_right(&self, password: String, hash: String) -> bool {
        let Ok(_turn) = self.at_once.acquire().await else {
            return false;
        };
        let compare = move || {
            let hash = PasswordHash::new(&hash)?;
            Argon2::default().verify_password(password.as_bytes(), &hash)
        };
        spawn_blocking(compare).await.is_ok_and(|compared| compared.is_ok())
    }
}

fn hash(password: &str) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::generate(&mut OsRng);
    Argon2::default().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
}

impl CheckCredentials<Site> for Passwords {
    type Credentials = Credentials;
    type Error = authkv::Error;

    async fn find(&self, auth: &AuthKv<Site>, credentials: &Credentials) -> Result<Option<UserId>, authkv::Error> {
        Ok(auth.get_user_by_email(&credentials.email).await?.map(|user| user.id))
    }

    async fn verify(
        &self,
        _: &AuthKv<Site>,
        user: Option<&User<Secret>>,
        credentials: Credentials,
    ) -> Result<bool, authkv::Error> {
        let hash = user.and_then(|user| user.extra.password_hash.as_deref()).unwrap_or(&self.of_nobody);
        Ok(self.is_right(credentials.password, hash.to_owned()).await)
    }
}

type AuthSession = axum_login::AuthSession<Backend<Passwords, Site>>;

/// The whole application.
pub(crate) fn app(auth: AuthKv<Site>) -> Result<Router, Box<dyn Error>> {
    let passwords = Passwords::new()?;
    let sessions = SessionManagerLayer::new(WebSessions::new(auth.clone()))
        .with_expiry(Expiry::OnInactivity(time::Duration::days(14)))
        // So that each visit counts as activity. Few of them are writes.
        .with_always_save(true)
        // For plain HTTP on this computer; leave it out where there is HTTPS.
        .with_secure(false);
    let sign_in = AuthManagerLayerBuilder::new(Backend::new(auth, passwords.clone()), sessions).build();
    Ok(Router::new()
        .route("/", get(home))
        .route("/sign-up", post(sign_up))
        .route("/sign-in", post(sign_in_with_password))
        .route("/sign-out", post(sign_out))
        .route("/password", post(change_password))
        .layer(axum::Extension(passwords))
        .layer(sign_in))
}

async fn home(here: AuthSession) -> Markup {
    let form = |to: &str, text: &str, fields: &[(&str, &str)]| {
        html! {
            form method="post" action=(to) {
                @for (name, kind) in fields { label { (name) " " input name=(name) type=(kind) required; } " " }
                button { (text) }
            }
        }
    };
    let fields = [("email", "email"), ("password", "password")];
    html! {
        @if let Some(user) = &here.user {
            p { "You are signed in as " (user.email.as_deref().unwrap_or("somebody")) "." }
            (form("/password", "Change the password", &[("old", "password"), ("new", "password")]))
            (form("/sign-out", "Sign out", &[]))
        } @else {
            (form("/sign-up", "Sign up", &fields))
            (form("/sign-in", "Sign in", &fields))
        }
    }
}

async fn sign_up(
    mut here: AuthSession,
    axum::Extension(passwords): axum::Extension<Passwords>,
    Form(Credentials { email, password }): Form<Credentials>,
) -> Result<Response, Failure> {
    // The store would make a user without an address, who could never sign in again.
    if email.is_empty() {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, "an address is needed").into_response());
    }
    let extra = Secret { password_hash: Some(passwords.hash(password).await?) };
    let user = match here.backend.auth().create_user(NewUser { extra, ..NewUser::email(email) }).await {
        Err(authkv::Error::Conflict(UniqueKey::Email)) => {
            return Ok((StatusCode::CONFLICT, "somebody has this address").into_response());
        }
        created => created?,
    };
    if let Some(user) = here.backend.get_user(&user.id).await? {
        here.login(&user).await?;
    }
    Ok(Redirect::to("/").into_response())
}

async fn sign_in_with_password(
    mut here: AuthSession,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Failure> {
    match here.authenticate(credentials).await? {
        Some(user) => {
            here.login(&user).await?;
            Ok(Redirect::to("/").into_response())
        }
        None => Ok((StatusCode::UNAUTHORIZED, "the address or the password is wrong").into_response()),
    }
}

async fn sign_out(mut here: AuthSession) -> Result<Redirect, Failure> {
    here.logout().await?;
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
struct PasswordChange {
    old: String,
    new: String,
}

/// Signs out everywhere else: the old password may have been stolen.
async fn change_password(
    mut here: AuthSession,
    axum::Extension(passwords): axum::Extension<Passwords>,
    Form(PasswordChange { old, new }): Form<PasswordChange>,
) -> Result<Response, Failure> {
    let Some(email) = here.user.as_ref().and_then(|user| user.email.clone()) else {
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    };
    let Some(user) = here.authenticate(Credentials { email, password: old }).await? else {
        return Ok((StatusCode::UNAUTHORIZED, "the old password is wrong").into_response());
    };
    let extra = FieldPatch::new().set("password_hash", passwords.hash(new).await?);
    here.backend.auth().update_user(UserPatch { extra, ..UserPatch::new(user.id.clone()) }).await?;
    Backend::sign_out_elsewhere(&mut here).await?;
    Ok(Redirect::to("/").into_response())
}

/// What a visitor cannot help.
struct Failure(Box<dyn Error>);

impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        eprintln!("{}", self.0);
        (StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here").into_response()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: example-axum-login FILE")?;
    let auth = AuthKv::options().models::<Site>().open(&path)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}", listener.local_addr()?);
    let app = app(auth.clone())?;
    serve(listener, app).with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) }).await?;
    auth.close().await?;
    Ok(())
}
