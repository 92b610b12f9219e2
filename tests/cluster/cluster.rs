//! A cluster of three etcd processes on loopback, with their data in a temporary folder.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use authkv::conformance::eventually;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const MEMBERS: usize = 3;

pub(crate) struct Cluster {
    folder: TempDir,
    members: Vec<Member>,
    options: Vec<String>,
}

struct Member {
    client: u16,
    peer: u16,
    process: Option<Child>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        Self::with_options(&[])
    }

    /// With more options of etcd; `{folder}` in them is the temporary folder.
    pub(crate) fn with_options(options: &[&str]) -> Self {
        let cluster = Self::stopped(options);
        cluster.started()
    }

    pub(crate) fn stopped(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("there is a place for temporary files");
        // All at once, so that none is given twice.
        let listeners: Vec<_> = (0..2 * MEMBERS).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        let members = ports.chunks(2).map(|ports| Member { client: ports[0], peer: ports[1], process: None }).collect();
        let options =
            options.iter().map(|option| option.replace("{folder}", folder.path().to_str().unwrap())).collect();
        Self { folder, members, options }
    }

    /// Runs the members, and does not wait for them.
    pub(crate) fn running(mut self) -> Self {
        (0..MEMBERS).for_each(|member| self.restart(member));
        self
    }

    fn started(self) -> Self {
        let this = self.running();
        eventually("the cluster has a leader", || this.leader().is_some());
        this
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn restart(&mut self, number: usize) {
        let scheme = if self.options.iter().any(|option| option.contains("--cert-file")) { "https" } else { "http" };
        let peers: Vec<_> = (0..MEMBERS).map(|n| format!("m{n}=http://127.0.0.1:{}", self.members[n].peer)).collect();
        let log =
            File::options().create(true).append(true).open(self.folder.path().join(format!("m{number}.log"))).unwrap();
        let member = &mut self.members[number];
        let (client, peer) =
            (format!("{scheme}://127.0.0.1:{}", member.client), format!("http://127.0.0.1:{}", member.peer));
        let program = std::env::var_os("AUTHKV_ETCD").unwrap_or_else(|| "etcd".into());
        let process = Command::new(&program)
            .arg("--name")
            .arg(format!("m{number}"))
            .arg("--data-dir")
            .arg(self.folder.path().join(format!("m{number}")))
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &peers.join(","), "--initial-cluster-token", "authkv", "--logger", "zap"])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        member.process = Some(process.unwrap_or_else(|error| {
            panic!(
                "{} cannot be run: {error}; install etcd (Debian: apt-get install etcd-server) or set AUTHKV_ETCD",
                program.display()
            )
        }));
    }

    /// All members, for a URL.
    pub(crate) fn hosts(&self) -> String {
        (0..MEMBERS).map(|member| self.host(member)).collect::<Vec<_>>().join(",")
    }

    pub(crate) fn host(&self, member: usize) -> String {
        format!("127.0.0.1:{}", self.members[member].client)
    }

    /// The URL of a namespace that nobody has had.
    pub(crate) fn url(&self) -> String {
        static NAMESPACES: AtomicUsize = AtomicUsize::new(0);
        format!("etcd://{}/test-{}", self.hosts(), NAMESPACES.fetch_add(1, Ordering::SeqCst))
    }

    /// Which member leads, if one does and a running one says so.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leads = |member: &usize| {
            let status = self.ask(*member, "maintenance/status", "{}");
            status.is_some_and(|status| {
                text(&status, "leader").is_some_and(|leader| Some(leader) == text(&status["header"], "member_id"))
            })
        };
        (0..MEMBERS).find(leads)
    }

    /// Asks a member through its JSON interface.
    pub(crate) fn ask(&self, member: usize, what: &str, message: &str) -> Option<serde_json::Value> {
        let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(2))).build().new_agent();
        let url = format!("http://{}/v3/{what}", self.host(member));
        let mut answer = agent.post(&url).content_type("application/json").send(message).ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }

    /// Forgets all revisions before now.
    pub(crate) fn compact(&self) {
        let now = self.ask(0, "kv/range", r#"{"key": "AA=="}"#).expect("the member answers");
        let revision = text(&now["header"], "revision").expect("an answer has a revision");
        self.ask(0, "kv/compaction", &format!(r#"{{"revision": "{revision}"}}"#)).expect("the member compacts");
    }

    pub(crate) fn signal(&self, member: usize, signal: Signal) {
        kill_process(self.process(member), signal).unwrap();
    }

    pub(crate) fn process(&self, member: usize) -> Pid {
        Pid::from_child(self.members[member].process.as_ref().expect("it runs"))
    }

    /// Kills a member without a warning.
    pub(crate) fn kill(&mut self, member: usize) {
        let mut process = self.members[member].process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

fn text<'v>(value: &'v serde_json::Value, field: &str) -> Option<&'v str> {
    value.get(field)?.as_str()
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for member in &mut self.members {
            if let Some(mut process) = member.process.take() {
                let _ = process.kill();
                let _ = process.wait();
            }
        }
        if thread::panicking() {
            for member in 0..MEMBERS {
                let log =
                    std::fs::read_to_string(self.folder.path().join(format!("m{member}.log"))).unwrap_or_default();
                let last: Vec<_> = log.lines().rev().take(5).collect();
                eprintln!("the last words of member {member}, backwards: {last:#?}");
            }
        }
    }
}
