//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser};

use crate::provider::Registration;
use crate::registrations::registrations;

/// Signs people in with a link by e-mail; users, sessions and links are kept in one file.
///
/// There is no mail server in this program: the mails arrive on a page of it.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    pub(crate) listen: SocketAddr,

    /// File that keeps users, sessions and links; made if there is none
    #[arg(long, value_name = "PATH", default_value = "sign_in.redb")]
    pub(crate) file: PathBuf,

    /// Where browsers find this program if a proxy in front of it does HTTPS, such as https://login.example.com
    #[arg(long, value_name = "URL", value_parser = https_url)]
    pub(crate) url: Option<String>,

    #[command(flatten)]
    options: ProviderOptions,

    #[arg(skip)]
    pub(crate) providers: Vec<Registration>,
}

#[cfg(feature = "providers")]
const AFTER_HELP: &str = "Stop it with Ctrl-C; people stay signed in.";
#[cfg(not(feature = "providers"))]
const AFTER_HELP: &str = "Built with `--features providers`, it also signs people in with providers of OpenID Connect.\n\
     Stop it with Ctrl-C; people stay signed in.";

const HIDDEN: bool = cfg!(not(feature = "providers"));

/// Without the feature `providers` they are hidden, and refused.
#[derive(Args)]
#[command(next_help_heading = "Providers of OpenID Connect; give --issuer and what follows again for each")]
struct ProviderOptions {
    /// The provider's issuer, such as https://accounts.google.com
    #[arg(long, value_name = "URL", hide = HIDDEN)]
    issuer: Vec<String>,

    /// The id under which the provider knows this program
    #[arg(long, value_name = "ID", hide = HIDDEN)]
    client_id: Vec<String>,

    /// The environment variable that has the secret of this id, if it has one
    #[arg(long, value_name = "VARIABLE", hide = HIDDEN)]
    client_secret_env: Vec<String>,

    /// What to call the provider on the pages; the host of the issuer if not given
    #[arg(long, value_name = "NAME", hide = HIDDEN)]
    provider_name: Vec<String>,
}

impl Arguments {
    /// Those of this process, which ends with a sentence and the usage if they are wrong.
    pub(crate) fn of_process() -> Self {
        let matches = Self::command().get_matches();
        let arguments = Self::from_arg_matches(&matches).and_then(|arguments| {
            let providers = registrations(&matches)
                .map_err(|problem| Self::command().error(ErrorKind::ValueValidation, problem))?;
            Ok(Self { providers, ..arguments })
        });
        arguments.unwrap_or_else(|error| error.exit())
    }
}

fn https_url(url: &str) -> Result<String, &'static str> {
    let url = url.trim_end_matches('/');
    match url.strip_prefix("https://") {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#']) => Ok(url.to_owned()),
        _ => Err("it must be https:// and a host name, without a path"),
    }
}
