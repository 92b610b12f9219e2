//! The page of whoever is signed in, or the one to sign in with.

use authkv::models::AccountKey;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::{Failure, Shared};
use crate::auth::Unlinking;
use crate::cookies::{Cookies, OwnForm};
use crate::pages;

pub(super) async fn home(State(app): Shared, cookies: Cookies) -> Result<Response, Failure> {
    let Some(visitor) = app.visitor(&cookies).await? else {
        let page = pages::sign_in(&app.providers, cookies.csrf(), None);
        return Ok((cookies.without_session(), page).into_response());
    };
    let accounts = app.auth.accounts(&visitor.user.id).await?;
    let sessions = app.auth.sessions(&visitor.user.id).await?;
    let page = pages::account(&visitor, &accounts, sessions, &app.providers, cookies.csrf());
    Ok((cookies.with_session(&visitor.session.session_token), page).into_response())
}

#[derive(Deserialize)]
pub(super) struct Rename {
    name: String,
}

pub(super) async fn rename(State(app): Shared, form: OwnForm<Rename>) -> Result<Redirect, Failure> {
    // The form holds a longer name back already.
    let name: String = form.fields.name.trim().chars().take(pages::NAME_CHARS_MAX).collect();
    if let Some(visitor) = app.visitor(&form.cookies).await? {
        app.auth.rename(visitor.user.id, &name).await?;
    }
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
pub(super) struct Linked {
    issuer: String,
    subject: String,
}

/// Also for an account that was linked when this program had other providers, or some at all.
pub(super) async fn unlink(State(app): Shared, form: OwnForm<Linked>) -> Result<Response, Failure> {
    let account = AccountKey::new(form.fields.issuer, form.fields.subject);
    if let Some(visitor) = app.visitor(&form.cookies).await?
        && let Unlinking::LastWayToSignIn = app.auth.unlink(&visitor.user.id, &account).await?
    {
        return Ok(pages::last_way_to_sign_in().into_response());
    }
    Ok(Redirect::to("/").into_response())
}
