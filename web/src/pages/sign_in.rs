//! The pages on the way in.

use std::sync::Arc;

use maud::{Markup, html};

use super::{form, instant, page};
use crate::auth::LINK_AGE;
use crate::mailbox::Mail;
use crate::provider::Provider;

/// `refused` is what was typed in and is no address.
pub(crate) fn sign_in(providers: &[Arc<Provider>], csrf: &str, refused: Option<&str>) -> Markup {
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
        @if !providers.is_empty() {
            p.or { span { "or" } }
            @for provider in providers.iter().map(|provider| &provider.registration) {
                (form(&format!("/with/{}", provider.slug), csrf, html! {
                    button.quiet { "Continue with " (provider.name) }
                }))
            }
        }
        p.hint { "New here? The first time makes your account." }
    };
    page("Sign in", content)
}

pub(crate) fn mailbox(mails: &[Mail]) -> Markup {
    let content = html! {
        h1 { "Mailbox" }
        p.note {
            "This program has no mail server. What it would send stays here, in memory, until the program ends. "
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

/// Seen for a moment: the answer tells the browser to go on.
pub(crate) fn leaving(provider: &str, url: &str) -> Markup {
    let content = html! {
        h1 { "On to " (provider) }
        p { "There you say who you are, and come back." }
        a.button href=(url) { "Continue" }
    };
    page(&format!("On to {provider}"), content)
}
