//! The page of whoever is signed in: who they are, how they sign in, and where they have.

use std::cmp::Reverse;
use std::sync::Arc;

use authkv::models::{Account, SessionId, SessionInfo};
use maud::{Markup, html};

use super::{NAME_CHARS_MAX, form, instant, page};
use crate::auth::SignedIn;
use crate::provider::Provider;
use crate::site::{Device, Shown};

pub(crate) fn account(
    SignedIn { session, user, .. }: &SignedIn,
    accounts: &[Account<Shown>],
    sessions: Vec<SessionInfo<Device>>,
    providers: &[Arc<Provider>],
    csrf: &str,
) -> Markup {
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
        }
        @if !providers.is_empty() || !accounts.is_empty() {
            section { h2 { "How you sign in" } (ways_to_sign_in(accounts, providers, user.email.is_some(), csrf)) }
        }
        section { h2 { "Where you are signed in" } (places(&session.id, sessions, csrf)) }
        (form("/sign-out", csrf, html! { button.quiet { "Sign out" } }))
    };
    page("Your account", content)
}

fn ways_to_sign_in(accounts: &[Account<Shown>], providers: &[Arc<Provider>], by_link: bool, csrf: &str) -> Markup {
    let registrations = || providers.iter().map(|provider| &provider.registration);
    // A provider that this program was started without this time is called by its issuer.
    let name = |issuer: &str| {
        let known = registrations().find(|known| known.issuer.as_str() == issuer);
        known.map_or_else(|| issuer.to_owned(), |known| known.name.clone())
    };
    let linked = |issuer: &str| accounts.iter().any(|account| account.provider == issuer);
    html! {
        ul {
            @if by_link {
                li { div { strong { "Link by e-mail" } } }
            }
            @for account in accounts {
                li {
                    div { strong { (name(&account.provider)) } }
                    (form("/unlink", csrf, html! {
                        input type="hidden" name="issuer" value=(account.provider);
                        input type="hidden" name="subject" value=(account.provider_account_id.as_str());
                        button.small { "Unlink" }
                    }))
                    @if let Some(email) = &account.extra.email { p.hint { (email) } }
                }
            }
        }
        @for provider in registrations().filter(|provider| !linked(provider.issuer.as_str())) {
            (form(&format!("/link/{}", provider.slug), csrf, html! {
                button.quiet { "Link " (provider.name) }
            }))
        }
    }
}

/// This device first, then where somebody was last.
fn places(here: &SessionId, mut sessions: Vec<SessionInfo<Device>>, csrf: &str) -> Markup {
    sessions.sort_by_key(|session| (session.id != *here, Reverse(session.extended)));
    html! {
        ul {
            @for session in &sessions {
                li {
                    div {
                        strong { (session.extra.browser) }
                        @if session.id == *here { " " span.badge { "this device" } }
                    }
                    @if session.id != *here {
                        (form("/end", csrf, html! {
                            input type="hidden" name="session" value=(session.id);
                            button.small { "Sign out" }
                        }))
                    }
                    p.hint { "Signed in " (instant(session.created)) br; "Last seen " (instant(session.extended)) }
                }
            }
        }
        p.hint { "When you were last seen is right to within an hour." }
        @if sessions.len() > 1 {
            (form("/end-others", csrf, html! { button.quiet { "Sign out everywhere else" } }))
        }
    }
}
