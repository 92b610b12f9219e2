//! Accounts in a program on a desktop that several people share: no server, no web framework, no async code. The accounts
//! are in one file in the data folder of the user of the system; beside it is the session of whoever is signed in.
//!
//! ```text
//! cargo run --release -p example-desktop -- sign-up ada
//! cargo run --release -p example-desktop -- whoami
//! ```
//!
//! Accounts keep people apart who trust each other with the computer: whoever can read the folder can read the file.

use std::error::Error as StdError;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fmt, fs};

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{self, PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use authkv::models::{Authenticated, Index, Models, NewUser, Token, UserId};
use authkv::{AuthKv, Error, OpenProblem, UniqueKey};
use chrono::{DateTime, Utc};
use clap::{Parser, Subcommand};
use directories::ProjectDirs;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

const PASSWORD_CHARS_MIN: usize = 8;

/// Lets several people share one computer.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make an account and sign in
    SignUp { login: String },
    /// Sign in
    SignIn { login: String },
    /// Say who is signed in
    Whoami,
    /// List the sessions of whoever is signed in
    Sessions,
    /// Sign out
    SignOut {
        /// End all sessions of whoever is signed in, also those whose tokens were lost
        #[arg(long)]
        everywhere: bool,
    },
}

/// Users with a name to sign in with and a password.
struct Desk;

impl Models for Desk {
    const NAME: &'static str = "desktop";
    const VERSION: u32 = 1;
    type User = Person;
    type Account = ();
    type Session = ();
    type VerificationToken = ();
    const USER_INDEXES: &'static [Index] = &[Index::unique("login")];
}

#[derive(Clone, Serialize, Deserialize)]
struct Person {
    login: String,
    password_hash: String,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person(<redacted>)")
    }
}

type Result<T> = std::result::Result<T, Box<dyn StdError>>;

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("example-desktop: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let folders = ProjectDirs::from("", "", "authkv-desktop").ok_or("this system has no folder for a user's data")?;
    let folder = folders.data_local_dir();
    make_private_folder(folder)?;
    let program = Program::open(folder)?;
    match command {
        Command::SignUp { login } => program.sign_up(&login)?,
        Command::SignIn { login } => program.sign_in(&login)?,
        Command::Whoami => println!("{}", program.here()?.user.extra.login),
        Command::Sessions => program.list_sessions()?,
        Command::SignOut { everywhere } => program.sign_out(everywhere)?,
    }
    Ok(program.auth.close().wait()?)
}

struct Program {
    auth: AuthKv<Desk>,
    token_file: PathBuf,
}

impl Program {
    fn open(folder: &Path) -> Result<Self> {
        let opened = AuthKv::options().models::<Desk>().open(folder.join("accounts.redb"));
        let auth = opened.map_err(|error| match error {
            Error::Open { problem: OpenProblem::Locked, .. } => {
                "another window of this program is open; close it first".into()
            }
            error => Box::<dyn StdError>::from(error),
        })?;
        Ok(Self { auth, token_file: folder.join("session") })
    }

    fn sign_up(&self, login: &str) -> Result<()> {
        self.nobody_is_here()?;
        let login = login.to_lowercase();
        if login.is_empty() || login.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("a login is one word".into());
        }
        let taken = || format!("somebody is called {login} already; choose another login");
        if self.auth.get_user_by("login", login.as_str()).wait()?.is_some() {
            return Err(taken().into());
        }
        let password = ask("Choose a password: ")?;
        if password.chars().count() < PASSWORD_CHARS_MIN {
            return Err(format!("a password has at least {PASSWORD_CHARS_MIN} characters").into());
        }
        let extra = Person { login: login.clone(), password_hash: hash(&password)? };
        let new = NewUser::<()>::default().with_extra(extra);
        match self.auth.create_user(new).wait() {
            Err(Error::Conflict(UniqueKey::Field(_))) => Err(taken().into()),
            created => self.start_session(created?.id, &login),
        }
    }

    fn sign_in(&self, login: &str) -> Result<()> {
        self.nobody_is_here()?;
        let login = login.to_lowercase();
        let user = self.auth.get_user_by("login", login.as_str()).wait()?;
        let password = ask("Password: ")?;
        match user.filter(|user| is_right(&password, &user.extra.password_hash)) {
            Some(user) => self.start_session(user.id, &login),
            None => Err("the login or the password is wrong".into()),
        }
    }

    fn list_sessions(&self) -> Result<()> {
        let here = self.here()?;
        let mut after = None;
        loop {
            let page = self.auth.list_sessions(&here.user.id, after.as_ref(), 100).wait()?;
            for session in page.items {
                let mark = if session.id == here.session.id { "  (this one)" } else { "" };
                println!("signed in {}, until {}{mark}", instant(session.created), instant(session.expires));
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    fn sign_out(&self, everywhere: bool) -> Result<()> {
        let here = self.here()?;
        if everywhere {
            while self.auth.end_all_sessions(&here.user.id).wait()? > 0 {}
        } else {
            self.auth.delete_session(here.session.session_token.reveal()).wait()?;
        }
        fs::remove_file(&self.token_file)?;
        println!("Goodbye, {}.", here.user.extra.login);
        Ok(())
    }

    fn start_session(&self, user: UserId, login: &str) -> Result<()> {
        let session = self.auth.start_session(user).wait()?;
        keep(&session.session_token, &self.token_file)?;
        println!("Hello, {login}. You are signed in until {}.", instant(session.expires));
        Ok(())
    }

    /// Whoever is signed in.
    fn here(&self) -> Result<Authenticated<Person>> {
        self.visitor()?.ok_or_else(|| "nobody is signed in".into())
    }

    fn nobody_is_here(&self) -> Result<()> {
        match self.visitor()? {
            Some(here) => Err(format!("{} is signed in; sign out first", here.user.extra.login).into()),
            None => Ok(()),
        }
    }

    fn visitor(&self) -> Result<Option<Authenticated<Person>>> {
        match fs::read_to_string(&self.token_file) {
            Ok(token) => Ok(self.auth.authenticate(&token).wait()?.passed()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("{} cannot be read: {error}", self.token_file.display()).into()),
        }
    }
}

/// The file is there whole or not at all, and for its owner only.
fn keep(token: &Token, path: &Path) -> Result<()> {
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(token.reveal().as_bytes())?;
    file.persist(path)?;
    Ok(())
}

fn make_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// From the terminal, without showing it; or a line of what is piped in.
fn ask(question: &str) -> io::Result<String> {
    if io::stdin().is_terminal() {
        return rpassword::prompt_password(question);
    }
    eprint!("{question}");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn hash(password: &str) -> password_hash::Result<String> {
    let salt = SaltString::generate(&mut OsRng);
    Argon2::default().hash_password(password.as_bytes(), &salt).map(|hash| hash.to_string())
}

fn is_right(password: &str, hash: &str) -> bool {
    let hash = PasswordHash::new(hash);
    hash.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

fn instant(instant: DateTime<Utc>) -> impl fmt::Display {
    instant.format("%-d %B %Y, %H:%M UTC")
}
