//! Signing in with a link.

use authkv::models::{Proof, Visitor};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::Utc;
use maud::Markup;
use serde::Deserialize;

use super::{Failure, Shared};
use crate::cookies::{Cookies, OwnForm};
use crate::mailbox::Mail;
use crate::pages;
use crate::site::Device;

const EMAIL_BYTES_MAX: usize = 254;

#[derive(Deserialize)]
pub(super) struct Address {
    email: String,
}

/// A public server would also limit how many mails an address and a visitor can cause.
pub(super) async fn send(State(app): Shared, form: OwnForm<Address>) -> Result<Response, Failure> {
    let email = form.fields.email.trim();
    if !may_be_email(email) {
        let page = pages::sign_in(&app.providers, form.cookies.csrf(), Some(email));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, form.cookies, page).into_response());
    }
    let token = app.auth.create_link(email).await?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("email", email)
        .append_pair("token", token.reveal())
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

pub(super) async fn mailbox(State(app): Shared) -> Markup {
    pages::mailbox(&app.mailbox.mails())
}

#[derive(Deserialize)]
pub(super) struct Link {
    #[serde(default)]
    email: String,
    #[serde(default)]
    token: String,
}

/// Does not use the link up: mail scanners and previews open it before its reader does.
pub(super) async fn show(Query(link): Query<Link>, cookies: Cookies) -> impl IntoResponse {
    let page = pages::link(&link.email, &link.token, cookies.csrf());
    (cookies, page)
}

pub(super) async fn sign_in(State(app): Shared, device: Device, form: OwnForm<Link>) -> Result<Response, Failure> {
    let OwnForm { cookies, fields: link } = form;
    let proof = Proof::Link { address: &link.email, token: &link.token };
    let from = Visitor { session: cookies.session(), ..Visitor::default() };
    let Some(session) = app.auth.use_link(proof, device, from).await? else {
        return Ok(pages::spent_link().into_response());
    };
    // Whoever was signed in here before is not any more.
    if let Some(old) = cookies.session() {
        app.auth.sign_out(old).await?;
    }
    Ok((cookies.with_session(&session.session_token), Redirect::to("/")).into_response())
}
