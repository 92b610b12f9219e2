//! The example in a process of its own: starting, stopping and killing it.

use std::env;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use authkv::AuthKv;
use tempfile::TempDir;

use crate::browser::between;

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
    pub(crate) fn prepare(&self, work: impl FnOnce(&AuthKv)) {
        let store = AuthKv::open(&self.file).unwrap();
        work(&store);
        store.close().wait().unwrap();
    }

    pub(crate) fn start(&self) -> Server {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, arguments: &[&str]) -> Server {
        let mut command = Command::new(&*EXAMPLE);
        command.args(["--listen", "127.0.0.1:0", "--file"]).arg(&self.file).args(arguments);
        Server::spawn(command)
    }

    /// A write beyond the limit then fails, instead of killing the process.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_ignoring_file_size_signals(&self) -> Server {
        let mut command = Command::new("sh");
        command.args(["-c", r#"trap "" XFSZ; exec "$0" --listen 127.0.0.1:0 --file "$1""#]);
        command.arg(&*EXAMPLE).arg(&self.file);
        Server::spawn(command)
    }
}

pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
}

impl Server {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, greeting) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line);
        });
        let greeting = greeting.recv_timeout(DEADLINE).unwrap_or_default();
        let mut stderr = child.stderr.take().unwrap();
        let mut server = Self { child, url: String::new() };
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

/// The example's program beside this one, built now: `cargo test --test sign_in` alone would leave an old one there.
static EXAMPLE: LazyLock<PathBuf> = LazyLock::new(|| {
    let test = env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    if let Some(cargo) = env::var_os("CARGO") {
        let profile = match folder.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            profile => profile,
        };
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--example", "sign_in", "--profile", profile, "--target-dir"]);
        build.arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(build.status().unwrap().success(), "the example does not build");
    }
    folder.join("examples").join("sign_in").with_extension(env::consts::EXE_EXTENSION)
});

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(&*EXAMPLE).args(arguments).output().unwrap()
}
