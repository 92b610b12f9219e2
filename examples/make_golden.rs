//! Makes the golden files of this format: `cargo run --example make_golden -- FOLDER`.
//!
//! They are made once for each format and kept for ever, so that every later version is tested with files written by an
//! earlier one. `tests/opening/golden.rs` opens them.

use std::error::Error;
use std::path::Path;

use authkv::conformance::Clock;
use authkv::models::{Models, NewUser, Visitor};
use authkv::{AuthKv, Options, WebSessions, redb};
use chrono::{DateTime, TimeDelta, Utc};
use content::{FILES, Numbered, Shop};

#[path = "../tests/golden/content.rs"]
mod content;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: make_golden FOLDER")?;
    let [.., newest] = FILES;
    let paths = newest.map(|name| Path::new(&folder).join(name));
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Err(format!("{} exists, and a golden file must never change", path.display()).into());
    }
    let [plain, shop] = paths;
    fill(AuthKv::options(), &plain)?;
    fill(AuthKv::options().models::<Shop>(), &shop)
}

fn fill<M: Models>(options: Options<M>, path: &Path) -> Result<(), Box<dyn Error>>
where
    M::User: Numbered,
    M::Account: Numbered,
    M::Session: Numbered,
    M::VerificationToken: Numbered,
{
    let clock = Clock::new();
    clock.set(content::now());
    let store_clock = clock.clone();
    let auth = options.clock(move || store_clock.now()).purge_in_background(false).open(path)?;
    for user in content::users() {
        auth.create_user(user).wait()?;
    }
    for account in content::accounts() {
        auth.link_account(account).wait()?;
    }
    for session in content::sessions() {
        auth.create_session(session).wait()?;
    }
    for token in content::verification_tokens() {
        auth.create_verification_token(token).wait()?;
    }
    for authenticator in content::authenticators() {
        auth.create_authenticator(authenticator).wait()?;
    }
    for (identifier, expires) in content::codes() {
        let valid_for = valid_until(expires, &clock).min(TimeDelta::minutes(10));
        clock.set(expires - valid_for);
        drop(auth.issue_code("golden", identifier, valid_for, Visitor::default()).wait()?);
    }
    for expires in content::expiries() {
        let valid_for = valid_until(expires, &clock);
        auth.put_state("golden", "a state of which nobody knows the handle", valid_for).wait()?;
    }
    clock.set(content::now());
    drop(auth.start_session_with(content::MADE_FOR, M::Session::number(9)).wait()?);
    let sessions = WebSessions::new(auth.clone());
    for (token, data, expires) in content::web_sessions() {
        sessions.create_session(token, &data, expires).wait()?;
    }
    let [(_, _, late), ..] = content::web_sessions();
    sessions.create_session("stranger", &content::naming("stranger"), late).wait()?;
    let extra = M::User::number(9);
    let id = Some(content::DELETED.into());
    auth.create_user(NewUser { id, name: None, email: None, email_verified: None, image: None, extra }).wait()?;
    auth.delete_user(content::DELETED).wait()?;
    auth.close().wait()?;
    redb::Database::open(path)?.compact()?;
    Ok(())
}

/// Sets the clock to the time of the files, or just before this instant, and returns how long it is until then.
fn valid_until(expires: DateTime<Utc>, clock: &Clock) -> TimeDelta {
    clock.set(content::now().min(expires - TimeDelta::milliseconds(1)));
    expires - clock.now()
}
