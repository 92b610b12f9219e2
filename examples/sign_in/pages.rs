//! The pages: plain HTML that works without JavaScript.

use authkv::models::SessionAndUser;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::auth::LINK_AGE;
use crate::mailbox::Mail;

/// The style of every page; answers allow it by its hash, so it is written into the page unchanged.
pub(crate) const STYLE: &str = include_str!("style.css");
pub(crate) const NAME_CHARS_MAX: usize = 100;

pub(crate) fn sign_in(csrf: &str, refused: Option<&str>) -> Markup {
    let fields = html! {
        label for="email" { "E-mail address" }
        input #email type="email" name="email" value=[refused] required maxlength="254" autocomplete="email"
            placeholder="ada@example.com" autofocus aria-invalid=[refused.map(|_| "true")]
            aria-describedby=[refused.map(|_| "problem")];
        @if refused.is_some() {
            p #problem .problem { "This is not an e-mail address. One looks like ada@example.com." }
        }
        button { "Send me a link" }
    };
    let content = html! {
        h1 { "Sign in" }
        p { "Tell us where to send a link. There is no password to remember." }
        (form("/sign-in", csrf, fields))
        p.hint { "New here? The first link makes your account." }
    };
    page("Sign in", content)
}

pub(crate) fn mailbox(mails: &[Mail]) -> Markup {
    let content = html! {
        h1 { "Mailbox" }
        p.note {
            "This example has no mail server. What it would send stays here, in memory, until the program ends. "
            "Whoever can open this page can sign in as anybody."
        }
        @if mails.is_empty() {
            p { "No mail yet. " a href="/" { "Ask for a link" } " and it arrives here." }
        }
        @for mail in mails {
            article {
                h2 { "Your link to sign in" }
                p.hint { "To " strong { (mail.to) } br; "Sent " (instant(mail.sent)) }
                p { "It works once, and for " (LINK_AGE.num_minutes()) " minutes." }
                a.button href=(mail.link) { "Open the link" }
            }
        }
    };
    page("Mailbox", content)
}

pub(crate) fn link(email: &str, token: &str, csrf: &str) -> Markup {
    let fields = html! {
        input type="hidden" name="email" value=(email);
        input type="hidden" name="token" value=(token);
        button autofocus { "Continue" }
    };
    let content = html! {
        h1 { "Almost there" }
        p { "You are about to sign in as " strong { (email) } "." }
        (form("/link", csrf, fields))
        p.hint { "You did not ask for this? Then close the page; nothing has happened." }
    };
    page("Continue", content)
}

pub(crate) fn account(visitor: &SessionAndUser, csrf: &str) -> Markup {
    let SessionAndUser { session, user } = visitor;
    let rename = html! {
        label for="name" { "Name" }
        div.row {
            input #name name="name" value=[user.name.as_deref()] maxlength=(NAME_CHARS_MAX) autocomplete="name"
                placeholder="Your name";
            button { "Save" }
        }
    };
    let content = html! {
        h1 { "Hello" @if let Some(name) = &user.name { ", " (name) } }
        (form("/name", csrf, rename))
        dl {
            dt { "E-mail address" }
            dd { (user.email.as_deref().unwrap_or("none")) }
            dt { "Verified" }
            dd { @match user.email_verified { Some(verified) => (instant(verified)), None => "not yet" } }
            dt { "Signed in until" }
            dd { (instant(session.expires)) }
        }
        (form("/sign-out", csrf, html! { button.quiet { "Sign out" } }))
    };
    page("Your account", content)
}

pub(crate) fn spent_link() -> (StatusCode, Markup) {
    let text = format!("It was used before, or it is older than {} minutes. ", LINK_AGE.num_minutes());
    (StatusCode::GONE, message("This link does not work any more", &text, "Ask for a new one"))
}

pub(crate) fn foreign_form() -> (StatusCode, Markup) {
    let text = "This form was not made for this browser, or its cookies are gone. Nothing was changed. ";
    (StatusCode::FORBIDDEN, message("We could not accept that", text, "Start again"))
}

pub(crate) fn not_found() -> (StatusCode, Markup) {
    (StatusCode::NOT_FOUND, message("There is no such page", "The address may be mistyped. ", "To the start"))
}

pub(crate) fn failure() -> (StatusCode, Markup) {
    let text = "This is our fault, and you are not signed out. Wait a moment. ";
    (StatusCode::INTERNAL_SERVER_ERROR, message("Something went wrong", text, "Try again"))
}

fn message(title: &str, text: &str, way_on: &str) -> Markup {
    page(title, html! { h1 { (title) } p { (text) a href="/" { (way_on) } "." } })
}

/// Every form is made here, so that none lacks the secret.
fn form(action: &str, csrf: &str, fields: Markup) -> Markup {
    html! {
        form method="post" action=(action) {
            input type="hidden" name="csrf" value=(csrf);
            (fields)
        }
    }
}

fn instant(instant: DateTime<Utc>) -> Markup {
    html! {
        time datetime=(instant.to_rfc3339()) { (instant.format("%-d %B %Y, %H:%M UTC")) }
    }
}

fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – authkv" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    a.brand href="/" { "authkv" }
                    nav { a href="/" { "Account" } a href="/mailbox" { "Mailbox" } }
                }
                main { (content) }
            }
        }
    }
}
