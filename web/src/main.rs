//! A small web application that signs people in by e-mail or, with the feature `providers`, with a provider of OpenID
//! Connect, and keeps them signed in, with `authkv` as its only storage.
//!
//! ```text
//! cargo run --release -p authkv-web
//! GOOGLE_SECRET=… cargo run --release -p authkv-web --features providers -- \
//!     --issuer https://accounts.google.com --client-id … --client-secret-env GOOGLE_SECRET --provider-name Google
//! ```
//!
//! `auth.rs` is where the store is used, and the file to read first; `provider.rs` is where providers are, and
//! `without_providers.rs` stands in for it in a program that is built without them. `web/` is the
//! HTTP side of both; `cookies.rs`, `pages/`, `mailbox.rs` and `device.rs` are what it needs for that. `arguments.rs` and
//! `registrations.rs` are the command line.

// Without providers the compiler leaves out what only they need.
#![cfg_attr(not(feature = "providers"), allow(dead_code, unused_imports))]

mod arguments;
mod auth;
mod cookies;
mod device;
mod mailbox;
mod pages;
#[cfg(feature = "providers")]
mod provider;
#[cfg(feature = "providers")]
mod registrations;
mod site;
mod web;
#[cfg(not(feature = "providers"))]
mod without_providers;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use authkv::{Error, OpenProblem};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use arguments::Arguments;
use auth::Auth;
use mailbox::Mailbox;
use provider::Provider;
use web::App;
#[cfg(not(feature = "providers"))]
use without_providers::{self as provider, self as registrations};

const DRAIN_MAX: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::of_process()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("authkv-web: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Arguments) -> Result<(), String> {
    let listener = TcpListener::bind(args.listen).await.map_err(|error| cannot_listen(args.listen, &error))?;
    let address = listener.local_addr().map_err(|error| cannot_listen(args.listen, &error))?;
    let secure = args.url.is_some();
    let url = match args.url {
        Some(url) => url,
        None if address.ip().is_loopback() => format!("http://{address}"),
        None => return Err(format!("{address} is open to the network; say with --url at which https address")),
    };
    let providers: Result<Vec<_>, _> =
        args.providers.into_iter().map(|registration| Provider::new(registration, &url).map(Arc::new)).collect();
    let providers = providers.map_err(|error| format!("no provider can send anybody back to {url}: {error}"))?;
    let auth = Auth::open(&args.file).map_err(cannot_open)?;
    // From here on a signal ends the program in order.
    let stop = stop_requested().map_err(|error| format!("cannot listen to signals: {error}"))?;
    println!("Open {url} in a browser (listening on {address}, data in {}, stop with Ctrl-C).", args.file.display());
    for provider in &providers {
        println!("{} must know {} as a redirect URI.", provider.registration.name, provider.redirect.as_str());
    }

    let app = App { auth: auth.clone(), mailbox: Mailbox::default(), providers, url, secure };
    serve(listener, app, stop).await.map_err(|error| format!("the server failed: {error}"))?;
    auth.close().await.map_err(|error| format!("{} could not be closed: {error}", args.file.display()))
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
            "; maybe this program runs twice: choose another file with --file"
        }
        Error::Open { problem: OpenProblem::NotRedb | OpenProblem::Folder, .. } => "; choose another file with --file",
        _ => "",
    };
    format!("{error}{hint}")
}
