//! The pages: plain HTML that works without JavaScript.

mod account;
mod messages;
mod sign_in;

use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(crate) use account::account;
pub(crate) use messages::{
    email_in_use, failure, foreign_form, last_way_to_sign_in, not_found, of_somebody_else, provider_failed, refused,
    spent_link, unexpected_return,
};
pub(crate) use sign_in::{leaving, link, mailbox, sign_in};

/// The style of every page; answers allow it by its hash, so it is written into the page unchanged.
pub(crate) const STYLE: &str = include_str!("../style.css");
pub(crate) const NAME_CHARS_MAX: usize = 100;

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
