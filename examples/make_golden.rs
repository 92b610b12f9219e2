//! Makes the golden files of this format: `cargo run --example make_golden -- FOLDER`.
//!
//! They are made once for each format and kept for ever, so that every later version is tested with files written by an
//! earlier one. `tests/opening/golden.rs` opens them.

use std::error::Error;
use std::path::Path;

use authkv::models::{Models, NewUser};
use authkv::{Adapter, AuthKv, Options, WebSessions, redb};
use chrono::TimeDelta;
use content::{FILES, Numbered, Shop};

#[path = "../tests/golden/content.rs"]
mod content;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: make_golden FOLDER")?;
    let [_, newest] = FILES;
    let paths = newest.map(|name| Path::new(&folder).join(name));
    if let Some(path) = paths.iter().find(|path| path.exists()) {
        return Err(format!("{} exists, and a golden file must never change", path.display()).into());
    }
    let [plain, shop] = paths;
    let options = || AuthKv::options().clock(content::now);
    fill(options(), &plain)?;
    fill(options().models::<Shop>(), &shop)
}

fn fill<M: Models>(options: Options<M>, path: &Path) -> Result<(), Box<dyn Error>>
where
    M::User: Numbered,
    M::Account: Numbered,
    M::Session: Numbered,
    M::VerificationToken: Numbered,
{
    let auth = options.open(path)?;
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
    for (identifier, valid_for) in content::codes() {
        drop(auth.issue_code(identifier, valid_for).wait()?);
    }
    for valid_for in [TimeDelta::days(64_000), TimeDelta::milliseconds(-1)] {
        auth.put_state("golden", "a state of which nobody knows the handle", valid_for).wait()?;
    }
    let sessions = WebSessions::new(auth.clone());
    for (token, data, expires) in content::web_sessions() {
        sessions.create_session(token, &data, expires).wait()?;
    }
    let [(_, _, late), ..] = content::web_sessions();
    sessions.create_session("stranger", &content::naming("stranger"), late).wait()?;
    let extra = M::User::number(9);
    let id = Some(content::DELETED.into());
    auth.create_user(NewUser { id, name: None, email: None, email_verified: None, image: None, extra }).wait()?;
    auth.delete_user(&content::DELETED.into()).wait()?;
    auth.close().wait()?;
    redb::Database::open(path)?.compact()?;
    Ok(())
}
