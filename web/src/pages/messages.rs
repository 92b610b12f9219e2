//! The pages that say why something was not done, and what to do now.

use axum::http::StatusCode;
use maud::{Markup, html};

use super::page;
use crate::auth::{AWAY_AGE, LINK_AGE};

pub(crate) fn spent_link() -> (StatusCode, Markup) {
    let text = format!("It was used before, or it is older than {} minutes. ", LINK_AGE.num_minutes());
    (StatusCode::GONE, message("This link does not work any more", &text, "Ask for a new one"))
}

pub(crate) fn foreign_form() -> (StatusCode, Markup) {
    let text = "This form was not made for this browser, or its cookies are gone. Nothing was changed. ";
    (StatusCode::FORBIDDEN, message("We could not accept that", text, "Start again"))
}

pub(crate) fn refused(provider: &str) -> (StatusCode, Markup) {
    let title = format!("{provider} did not sign you in");
    (StatusCode::FORBIDDEN, message(&title, "Maybe you have changed your mind. Nothing was changed here. ", "Go back"))
}

pub(crate) fn unexpected_return() -> (StatusCode, Markup) {
    let text = format!(
        "This browser is not on its way back from a provider, has signed out meanwhile, or was away for more than {} \
         minutes. Nothing was changed. ",
        AWAY_AGE.num_minutes()
    );
    (StatusCode::FORBIDDEN, message("We did not expect you here", &text, "Start again"))
}

pub(crate) fn provider_failed(provider: &str) -> (StatusCode, Markup) {
    let title = format!("{provider} does not answer as it should");
    let text = "Neither of us can help it, and nothing was changed. Try it again later, or sign in with a link. ";
    (StatusCode::BAD_GATEWAY, message(&title, text, "Go back"))
}

pub(crate) fn email_in_use(provider: &str) -> (StatusCode, Markup) {
    let text = format!(
        "Somebody has an account here with the e-mail address that {provider} knows you by. If it is yours, sign in with \
         a link to that address first. Then link {provider} on the page of your account, and you can sign in with both. "
    );
    (StatusCode::CONFLICT, message("Sign in with a link first", &text, "Ask for a link"))
}

pub(crate) fn of_somebody_else(provider: &str) -> (StatusCode, Markup) {
    let title = format!("That account of {provider} is linked already");
    let text = "Somebody else signs in here with it, so it was not linked to you. ";
    (StatusCode::CONFLICT, message(&title, text, "Go back"))
}

pub(crate) fn last_way_to_sign_in() -> (StatusCode, Markup) {
    let text = "Without this account you could not sign in any more, so it stays linked. Link another one first. ";
    (StatusCode::CONFLICT, message("That is your only way to sign in", text, "Go back"))
}

pub(crate) fn not_found() -> (StatusCode, Markup) {
    (StatusCode::NOT_FOUND, message("There is no such page", "The address may be mistyped. ", "To the start"))
}

pub(crate) fn failure() -> (StatusCode, Markup) {
    let text = "This is our fault, and you are not signed out. Wait a moment. ";
    (StatusCode::INTERNAL_SERVER_ERROR, message("Something went wrong", text, "Try again"))
}

fn message(title: &str, text: &str, way_on: &str) -> Markup {
    page(title, html! { h1 { (title) } p { (text) } p { a href="/" { (way_on) } } })
}
