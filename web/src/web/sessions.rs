//! Ending sessions: this one, another one, all others.

use authkv::models::SessionId;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use serde::Deserialize;

use super::{Failure, Nothing, Shared};
use crate::cookies::OwnForm;

pub(super) async fn sign_out(State(app): Shared, form: OwnForm<Nothing>) -> Result<impl IntoResponse, Failure> {
    if let Some(token) = form.cookies.session() {
        app.auth.sign_out(token).await?;
    }
    Ok((form.cookies.without_session(), Redirect::to("/")))
}

#[derive(Deserialize)]
pub(super) struct Which {
    session: String,
}

pub(super) async fn end(State(app): Shared, form: OwnForm<Which>) -> Result<Redirect, Failure> {
    if let Some(visitor) = app.visitor(&form.cookies).await? {
        app.auth.end_session(&visitor.user.id, &SessionId::from(form.fields.session)).await?;
    }
    Ok(Redirect::to("/"))
}

pub(super) async fn end_others(State(app): Shared, form: OwnForm<Nothing>) -> Result<Redirect, Failure> {
    if let Some(visitor) = app.visitor(&form.cookies).await? {
        app.auth.end_other_sessions(&visitor).await?;
    }
    Ok(Redirect::to("/"))
}
