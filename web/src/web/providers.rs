//! Signing in with a provider, and linking an account with one.

use std::sync::Arc;

use authkv::models::{SignIn, UserId};
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{App, Failure, Nothing, Shared};
use crate::auth::Linking;
use crate::cookies::{Cookies, OwnForm};
use crate::pages;
use crate::provider::{Away, Identity, Problem, Provider};
use crate::site::Device;

/// Sends a visitor away to sign in. That takes a form of ours, so that no other site can do it.
pub(super) async fn sign_in_with(
    State(app): Shared,
    Path(slug): Path<String>,
    form: OwnForm<Nothing>,
) -> Result<Response, Failure> {
    send_away(&app, &slug, form.cookies, None).await
}

/// Sends a visitor away to link an account. It takes a form of ours, or another site could link an account of its own.
pub(super) async fn link_with(
    State(app): Shared,
    Path(slug): Path<String>,
    form: OwnForm<Nothing>,
) -> Result<Response, Failure> {
    match app.visitor(&form.cookies).await? {
        Some(visitor) => send_away(&app, &slug, form.cookies, Some(visitor.user.id)).await,
        None => Ok(Redirect::to("/").into_response()),
    }
}

async fn send_away(app: &App, slug: &str, cookies: Cookies, link_to: Option<UserId>) -> Result<Response, Failure> {
    let Some(provider) = app.provider(slug) else {
        return Ok(pages::not_found().into_response());
    };
    let away = Away::new(link_to);
    let state = app.auth.send_away(provider.registration.issuer.as_str(), &away).await?;
    let url = match Arc::clone(&provider).authorize_url(&away, &state).await {
        Ok(url) => url,
        Err(problem) => return Ok(failed(&provider, &problem)),
    };
    // Not a redirect: our policy lets forms lead to ourselves only, and browsers take that to mean redirects, too.
    let page = pages::leaving(&provider.registration.name, &url);
    Ok((cookies.with_away(&state), [(header::REFRESH, format!("0;url={url}"))], page).into_response())
}

#[derive(Deserialize)]
pub(super) struct Return {
    #[serde(default)]
    state: String,
    /// Absent when the provider, or the visitor at it, has refused.
    code: Option<String>,
}

pub(super) async fn welcome_back(
    State(app): Shared,
    Path(slug): Path<String>,
    Query(back): Query<Return>,
    device: Device,
    cookies: Cookies,
) -> Result<Response, Failure> {
    let Some(provider) = app.provider(&slug) else {
        return Ok(pages::not_found().into_response());
    };
    // Otherwise an attacker could have this visitor finish what the attacker has begun, and be signed in as the attacker.
    if !cookies.is_away_with(&back.state) {
        return Ok(pages::unexpected_return().into_response());
    }
    let Some(away) = app.auth.welcome_back(provider.registration.issuer.as_str(), &back.state).await? else {
        return Ok((cookies.without_away(), pages::unexpected_return()).into_response());
    };
    let cookies = cookies.without_away();
    let Some(code) = back.code else {
        return Ok((cookies, pages::refused(&provider.registration.name)).into_response());
    };
    let link_to = away.link_to.clone();
    let identity = match Arc::clone(&provider).identify(code, away).await {
        Ok(identity) => identity,
        Err(problem) => return Ok((cookies, failed(&provider, &problem)).into_response()),
    };
    match link_to {
        Some(user) => link(&app, &provider, cookies, &user, identity).await,
        None => sign_in(&app, &provider, cookies, identity, device).await,
    }
}

async fn sign_in(
    app: &App,
    provider: &Provider,
    cookies: Cookies,
    identity: Identity,
    device: Device,
) -> Result<Response, Failure> {
    let SignIn::Done(done) = app.auth.sign_in(identity, device).await? else {
        return Ok((cookies, pages::email_in_use(&provider.registration.name)).into_response());
    };
    if let Some(old) = cookies.session() {
        app.auth.sign_out(old).await?;
    }
    Ok((cookies.with_session(&done.session.session_token), Redirect::to("/")).into_response())
}

/// Links to the user who asked for it, if that is who is signed in still.
async fn link(
    app: &App,
    provider: &Provider,
    cookies: Cookies,
    user: &UserId,
    identity: Identity,
) -> Result<Response, Failure> {
    if app.visitor(&cookies).await?.is_none_or(|visitor| visitor.user.id != *user) {
        return Ok((cookies, pages::unexpected_return()).into_response());
    }
    Ok(match app.auth.link(user, identity).await? {
        Linking::Done => (cookies, Redirect::to("/")).into_response(),
        Linking::OfSomebodyElse => (cookies, pages::of_somebody_else(&provider.registration.name)).into_response(),
    })
}

/// What went wrong is for the operator; the visitor cannot help it.
fn failed(provider: &Provider, problem: &Problem) -> Response {
    let mut causes = vec![problem.to_string()];
    let mut cause = problem.source();
    while let Some(deeper) = cause {
        causes.push(deeper.to_string());
        cause = deeper.source();
    }
    eprintln!("authkv-web: {}: {}", provider.registration.name, causes.join(": "));
    pages::provider_failed(&provider.registration.name).into_response()
}
