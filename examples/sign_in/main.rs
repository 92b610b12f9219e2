//! A small web application that signs people in by e-mail, and keeps them signed in, with `authkv` as its only storage.
//!
//! ```text
//! cargo run --release --example sign_in
//! ```
//!
//! `auth.rs` is where the store is used, and the file to read first. `web.rs` is the HTTP side of it; `cookies.rs`,
//! `pages.rs` and `mailbox.rs` are what it needs for that.

mod auth;
mod cookies;
mod mailbox;
mod pages;
mod web;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use authkv::{AuthKv, Error, OpenProblem};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use auth::Auth;
use mailbox::Mailbox;
use web::App;

const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Signs people in with a link by e-mail; users, sessions and links are kept in one file.
///
/// There is no mail server in this example: the mails arrive on a page of it.
#[derive(Parser)]
#[command(name = "sign_in", version, after_help = "Stop it with Ctrl-C; whoever is signed in stays so.")]
struct Args {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,

    /// File that keeps users, sessions and links; made if there is none
    #[arg(long, value_name = "PATH", default_value = "sign_in.redb")]
    file: PathBuf,

    /// Where browsers find this program if a proxy in front of it does HTTPS, such as https://login.example.com
    #[arg(long, value_name = "URL", value_parser = https_url)]
    url: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("sign_in: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), String> {
    let listener = TcpListener::bind(args.listen).await.map_err(|error| cannot_listen(args.listen, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(args.listen, &error))?;
    let secure = args.url.is_some();
    let url = match args.url {
        Some(url) => url,
        None if address.ip().is_loopback() => format!("http://{address}"),
        None => return Err(format!("{address} is open to the network; say with --url at which https address")),
    };
    let store = AuthKv::open(&args.file).map_err(cannot_open)?;
    // From here on a signal ends the program in order.
    let stop = stop_requested().map_err(|error| format!("cannot listen to signals: {error}"))?;
    println!("Open {url} in a browser (listening on {address}, data in {}, stop with Ctrl-C).", args.file.display());

    // The pages see the store only as an `Adapter`: which engine is behind it was decided above.
    let app = App { auth: Auth::new(Arc::new(store.clone())), mailbox: Mailbox::default(), url, secure };
    serve(listener, app, stop).await.map_err(|error| format!("the server failed: {error}"))?;
    store.close().await.map_err(|error| format!("{} could not be closed: {error}", args.file.display()))
}

async fn serve(listener: TcpListener, app: App, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
    let (drain, draining) = oneshot::channel();
    let server = axum::serve(listener, web::router(app)).with_graceful_shutdown(async {
        stop.await;
        let _ = drain.send(());
    });
    tokio::select! {
        served = server.into_future() => served,
        // A visitor who never finishes a request must not hold up the end of the program.
        () = async { let _ = draining.await; tokio::time::sleep(DRAIN_MAX).await } => Ok(()),
    }
}

/// Listens from now on, not from the first poll, for Ctrl-C and what the system sends to end a program.
fn stop_requested() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    let (mut interrupt, mut end) = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    #[cfg(windows)]
    let (mut interrupt, mut end) = (tokio::signal::windows::ctrl_c()?, tokio::signal::windows::ctrl_close()?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = end.recv() => {}
        }
    })
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("another program listens on {address} already; choose another port with --listen")
        }
        _ => format!("cannot listen on {address}: {error}"),
    }
}

fn cannot_open(error: Error) -> String {
    let hint = match &error {
        Error::Open { problem: OpenProblem::Locked, .. } => {
            "; maybe this example runs twice: choose another file with --file"
        }
        Error::Open { problem: OpenProblem::NotRedb | OpenProblem::Folder, .. } => "; choose another file with --file",
        _ => "",
    };
    format!("{error}{hint}")
}

fn https_url(url: &str) -> Result<String, &'static str> {
    let url = url.trim_end_matches('/');
    match url.strip_prefix("https://") {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '#']) => Ok(url.to_owned()),
        _ => Err("it must be https:// and a host name, without a path"),
    }
}
