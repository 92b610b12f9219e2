//! The program in a process of its own: starting, stopping and killing it.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::iter;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use authkv::AuthKv;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::browser::between;
use crate::site::Site;
#[cfg(feature = "providers")]
use crate::stub;

const PROGRAM: &str = env!("CARGO_BIN_EXE_authkv-web");
/// No test waits for anything longer than this.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A folder with the file of one server.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) file: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("sign_in.redb");
        Self { folder, file }
    }

    /// Works on the file while no server does.
    pub(crate) fn prepare(&self, work: impl FnOnce(&AuthKv<Site>)) {
        let store = AuthKv::options().models::<Site>().open(&self.file).unwrap();
        work(&store);
        store.close().wait().unwrap();
    }

    pub(crate) fn start(&self) -> Server {
        self.start_with(&[] as &[&str])
    }

    pub(crate) fn start_with(&self, arguments: &[impl AsRef<OsStr>]) -> Server {
        let mut command = Command::new(PROGRAM);
        command.args(["--listen", "127.0.0.1:0", "--file"]).arg(&self.file).args(arguments);
        #[cfg(feature = "providers")]
        command.env(stub::SECRET_VARIABLE, stub::SECRET);
        Server::spawn(command)
    }

    /// A write beyond the limit then fails, instead of killing the process.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_ignoring_file_size_signals(&self) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap "" XFSZ; exec "$0" --listen 127.0.0.1:0 --file "$1""#]);
        command.arg(PROGRAM).arg(&self.file);
        Server::spawn(command)
    }
}

pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
    /// The lines that it prints.
    output: Mutex<Receiver<String>>,
}

impl Server {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, output) = mpsc::channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let greeting = output.recv_timeout(DEADLINE).unwrap_or_default();
        let mut stderr = child.stderr.take().unwrap();
        let mut server = Self { child, url: String::new(), output: Mutex::new(output) };
        if !greeting.starts_with("Open http") {
            let _ = server.child.kill();
            let mut said = String::new();
            let _ = stderr.read_to_string(&mut said);
            panic!("the server does not start: {greeting}{said}");
        }
        // A full pipe would hold the server up.
        thread::spawn(move || io::copy(&mut stderr, &mut io::sink()));
        server.url = format!("http://{}", between(&greeting, "listening on ", ","));
        server
    }

    /// Whether the next lines that the process prints include this one.
    pub(crate) fn prints(&self, line: &str) -> bool {
        let output = self.output.lock();
        iter::from_fn(|| output.recv_timeout(DEADLINE).ok()).any(|printed| printed == line)
    }

    /// Asks the process to end, as a service manager does, and sees it end well.
    pub(crate) fn stop(&mut self) {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal, kill_process};
            kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
            assert_eq!(self.end().code(), Some(0));
        }
        #[cfg(not(unix))]
        self.kill();
    }

    /// Ends the process in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.end();
    }

    fn end(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}
