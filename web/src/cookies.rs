//! The cookies of a browser: the session token, the secret without which no form is accepted, and what it must come back
//! from a provider with.

use std::convert::Infallible;
use std::sync::Arc;

use authkv::models::Token;
use axum::Form;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use chrono::TimeDelta;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;
use time::Duration;

use crate::auth::{AWAY_AGE, SESSION_AGE};
use crate::pages;
use crate::web::{App, Failure};

/// What a browser has sent and will get. As part of a response it sets what has changed.
pub(crate) struct Cookies {
    jar: CookieJar,
    csrf: String,
    secure: bool,
}

impl Cookies {
    pub(crate) fn session(&self) -> Option<&str> {
        self.jar.get(session_name(self.secure)).map(Cookie::value)
    }

    /// The secret that this browser's forms must contain; another site's forms cannot.
    pub(crate) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Keeps the cookie for as long as a session lasts from now on, and so at least as long as this one.
    pub(crate) fn with_session(self, token: &Token) -> Self {
        let name = session_name(self.secure);
        self.with(name, token, SESSION_AGE)
    }

    pub(crate) fn without_session(self) -> Self {
        let name = session_name(self.secure);
        self.without(name)
    }

    /// Whether this browser was sent away with this state, and not another one.
    pub(crate) fn is_away_with(&self, state: &str) -> bool {
        let away = self.jar.get(away_name(self.secure)).map(Cookie::value);
        away.is_some_and(|away| away.as_bytes().ct_eq(state.as_bytes()).into())
    }

    pub(crate) fn with_away(self, state: &Token) -> Self {
        let name = away_name(self.secure);
        self.with(name, state, AWAY_AGE)
    }

    pub(crate) fn without_away(self) -> Self {
        let name = away_name(self.secure);
        self.without(name)
    }

    fn with(mut self, name: &'static str, value: &Token, age: TimeDelta) -> Self {
        let mut cookie = cookie(name, value.reveal().to_owned(), self.secure);
        cookie.set_max_age(Duration::seconds(age.num_seconds()));
        self.jar = self.jar.add(cookie);
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.jar = self.jar.remove(cookie(name, String::new(), self.secure));
        self
    }
}

impl FromRequestParts<Arc<App>> for Cookies {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Failure> {
        let jar = CookieJar::from_headers(&parts.headers);
        let name = csrf_name(app.secure);
        if let Some(csrf) = jar.get(name).map(|cookie| cookie.value().to_owned()) {
            return Ok(Self { jar, csrf, secure: app.secure });
        }
        let csrf = Token::random()?.reveal().to_owned();
        Ok(Self { jar: jar.add(cookie(name, csrf.clone(), app.secure)), csrf, secure: app.secure })
    }
}

impl IntoResponseParts for Cookies {
    type Error = Infallible;

    fn into_response_parts(self, response: ResponseParts) -> Result<ResponseParts, Infallible> {
        self.jar.into_response_parts(response)
    }
}

/// A form that comes from one of our own pages in this very browser. A handler that takes one cannot forget to check.
pub(crate) struct OwnForm<T> {
    pub(crate) cookies: Cookies,
    pub(crate) fields: T,
}

#[derive(Deserialize)]
struct WithSecret<T> {
    #[serde(default)]
    csrf: String,
    #[serde(flatten)]
    fields: T,
}

impl<T: DeserializeOwned> FromRequest<Arc<App>> for OwnForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let cookies = Cookies::from_request_parts(&mut parts, app).await.map_err(IntoResponse::into_response)?;
        let form = Form::from_request(Request::from_parts(parts, body), app).await;
        let Form(WithSecret { csrf, fields }) = form.map_err(IntoResponse::into_response)?;
        // A browser without the cookie was given a fresh secret just now, which its form cannot know.
        if csrf.as_bytes().ct_eq(cookies.csrf.as_bytes()).into() {
            Ok(Self { cookies, fields })
        } else {
            Err(pages::foreign_form().into_response())
        }
    }
}

/// With the prefix `__Host-` no other host can set the cookie, but browsers take it only over HTTPS.
fn session_name(secure: bool) -> &'static str {
    if secure { "__Host-authkv-session" } else { "authkv-session" }
}

fn csrf_name(secure: bool) -> &'static str {
    if secure { "__Host-authkv-csrf" } else { "authkv-csrf" }
}

fn away_name(secure: bool) -> &'static str {
    if secure { "__Host-authkv-away" } else { "authkv-away" }
}

/// With `SameSite=Lax` the cookies are there when a visitor comes back from a provider by a redirect.
fn cookie(name: &'static str, value: String, secure: bool) -> Cookie<'static> {
    Cookie::build((name, value)).path("/").http_only(true).same_site(SameSite::Lax).secure(secure).build()
}
