//! The address of a cluster and the connection's settings, in code or as a URL.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Problem, Result};

const TIMEOUT: Duration = Duration::from_secs(10);
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const IN_FLIGHT_MAX: usize = 4_096;
const NAMESPACE_BYTES_MAX: usize = 128;

/// An etcd cluster to [connect](crate::AuthKv::connect) to.
///
/// ```
/// use authkv::Etcd;
/// use std::time::Duration;
///
/// let in_code = Etcd::new(["10.0.0.1:2379", "10.0.0.2:2379"], "my-app").user("app", "secret").timeout(Duration::from_secs(5));
/// let as_url: Etcd = "etcd://app:secret@10.0.0.1:2379,10.0.0.2:2379/my-app?timeout=5s".parse()?;
/// assert_eq!(in_code, as_url);
/// # Ok::<(), authkv::Error>(())
/// ```
///
/// The parts of the URL:
///
/// | | |
/// |---|---|
/// | `etcd://` or `etcds://` | in clear text, or with TLS |
/// | `user:password@` | percent-encoded; both or none |
/// | `a:2379,b:2379` | the members; the port is 2379 if none is given |
/// | `/my-app` | the namespace |
/// | `timeout=5s`, `attempt_timeout=500ms` | see [`timeout`](Self::timeout) and [`attempt_timeout`](Self::attempt_timeout) |
/// | `max_in_flight=1000` | see [`max_in_flight`](Self::max_in_flight) |
/// | `read=stale` or `linearizable` | see [`stale_reads`](Self::stale_reads) |
/// | `ca=`, `cert=` and `key=` | see [`tls_ca`](Self::tls_ca) and [`tls_identity`](Self::tls_identity) |
/// | `server_name=` | see [`tls_server_name`](Self::tls_server_name) |
#[derive(Clone, PartialEq, Eq)]
pub struct Etcd {
    pub(super) endpoints: Vec<String>,
    pub(crate) namespace: String,
    pub(super) credentials: Option<(String, String)>,
    pub(super) tls: Option<Tls>,
    pub(crate) timeout: Duration,
    pub(super) attempt_timeout: Duration,
    pub(crate) in_flight_max: usize,
    pub(crate) stale_reads: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tls {
    pub(super) ca: Option<PathBuf>,
    pub(super) identity: Option<(PathBuf, PathBuf)>,
    pub(super) server_name: Option<String>,
}

impl Etcd {
    /// The members of a cluster, each as `host:port` or as a host alone for port 2379, and the namespace. The namespace
    /// is the prefix of all keys of the store: letters, digits, `.`, `_` and `-`, 128 at most. Stores in different
    /// namespaces are independent of each other.
    pub fn new(endpoints: impl IntoIterator<Item = impl Into<String>>, namespace: impl Into<String>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(|endpoint| with_port(endpoint.into())).collect(),
            namespace: namespace.into(),
            credentials: None,
            tls: None,
            timeout: TIMEOUT,
            attempt_timeout: ATTEMPT_TIMEOUT,
            in_flight_max: IN_FLIGHT_MAX,
            stale_reads: false,
        }
    }

    /// The user to authenticate as.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((name.into(), password.into()));
        self
    }

    /// Uses TLS and trusts members with certificates that the operating system trusts.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls.get_or_insert_default();
        self
    }

    /// Uses TLS and trusts members with certificates of this authority: a file of PEM certificates, read when
    /// connecting.
    #[must_use]
    pub fn tls_ca(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls.get_or_insert_default().ca = Some(path.into());
        self
    }

    /// Uses TLS and presents a certificate to members: files with the PEM certificate and its PEM key, read when
    /// connecting.
    #[must_use]
    pub fn tls_identity(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.get_or_insert_default().identity = Some((cert.into(), key.into()));
        self
    }

    /// Uses TLS and expects this name in the members' certificates instead of their host name.
    #[must_use]
    pub fn tls_server_name(mut self, name: impl Into<String>) -> Self {
        self.tls.get_or_insert_default().server_name = Some(name.into());
        self
    }

    /// How long a call may take before it answers an error; 10 s by default, a day at most. A write may take up to as
    /// long again, when it shares a transaction with a later one and the answer is lost.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a member has to answer before another one is asked; 1 s by default, a day at most.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// How many calls may be in flight at once; 4,096 by default. Further calls answer [`Busy`](Error::Busy).
    #[must_use]
    pub fn max_in_flight(mut self, count: usize) -> Self {
        self.in_flight_max = count;
        self
    }

    /// Whether one member may answer read-only calls from its own state, without asking a majority; off by default.
    /// Such reads are faster and work without a majority, but may miss a change that was acknowledged a moment ago,
    /// including the end of a session.
    #[must_use]
    pub fn stale_reads(mut self, on: bool) -> Self {
        self.stale_reads = on;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |field, why| Err(Error::invalid(field, Problem::NotAnAddress(why)));
        if self.endpoints.is_empty() || self.endpoints.iter().any(|endpoint| endpoint.starts_with(':')) {
            return wrong("endpoints", "it names no member");
        }
        if self.namespace.is_empty() {
            return Err(Error::invalid("namespace", Problem::Empty));
        }
        if self.namespace.len() > NAMESPACE_BYTES_MAX {
            let bytes = self.namespace.len();
            return Err(Error::invalid("namespace", Problem::TooLong { bytes, limit: NAMESPACE_BYTES_MAX }));
        }
        if !self.namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            return wrong("namespace", "it may have letters, digits, '.', '_' and '-'");
        }
        for (field, timeout) in [("timeout", self.timeout), ("attempt_timeout", self.attempt_timeout)] {
            if timeout.is_zero() || timeout > TIMEOUT_MAX {
                return wrong(field, "it must be longer than 0 and no longer than a day");
            }
        }
        if self.in_flight_max == 0 {
            return wrong("max_in_flight", "it must not be 0");
        }
        Ok(())
    }
}

fn with_port(endpoint: String) -> String {
    let has_port = endpoint.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
    if has_port { endpoint } else { format!("{endpoint}:2379") }
}

impl std::str::FromStr for Etcd {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        parse(url).map_err(|why| Error::invalid("url", Problem::NotAnAddress(why)))
    }
}

impl TryFrom<&str> for Etcd {
    type Error = Error;

    fn try_from(url: &str) -> Result<Self> {
        url.parse()
    }
}

impl TryFrom<String> for Etcd {
    type Error = Error;

    fn try_from(url: String) -> Result<Self> {
        url.parse()
    }
}

impl From<Infallible> for Error {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

fn parse(url: &str) -> Result<Etcd, &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("it does not begin with etcd:// or etcds://")?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, namespace) = rest.split_once('/').ok_or("it names no namespace")?;
    let (credentials, hosts) = match authority.rsplit_once('@') {
        Some((credentials, hosts)) => (Some(credentials), hosts),
        None => (None, authority),
    };
    let hosts = hosts.split(',').filter(|host| !host.is_empty());
    let mut etcd = Etcd::new(hosts, decoded(namespace)?);
    etcd.tls = match scheme {
        "etcd" => None,
        "etcds" => Some(Tls::default()),
        _ => return Err("it does not begin with etcd:// or etcds://"),
    };
    if let Some(credentials) = credentials {
        let (user, password) = credentials.split_once(':').ok_or("it has a user without a password")?;
        etcd.credentials = Some((decoded(user)?, decoded(password)?));
    }
    let mut cert = None;
    let mut key = None;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let text = value.into_owned();
        match &*name {
            "timeout" => etcd.timeout = duration(&text)?,
            "attempt_timeout" => etcd.attempt_timeout = duration(&text)?,
            "max_in_flight" => etcd.in_flight_max = text.parse().map_err(|_| "max_in_flight is no number")?,
            "read" => {
                etcd.stale_reads = match text.as_str() {
                    "stale" => true,
                    "linearizable" => false,
                    _ => return Err("read is neither stale nor linearizable"),
                }
            }
            "ca" => etcd = etcd.tls_ca(text),
            "cert" => cert = Some(text),
            "key" => key = Some(text),
            "server_name" => etcd = etcd.tls_server_name(text),
            _ => return Err("it has an option that is not known"),
        }
    }
    match (cert, key) {
        (Some(cert), Some(key)) => etcd = etcd.tls_identity(cert, key),
        (None, None) => {}
        _ => return Err("cert and key belong together"),
    }
    if scheme == "etcd" && etcd.tls.is_some() {
        return Err("options of TLS need etcds://");
    }
    Ok(etcd)
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| "its percent-encoding is no text")?;
    Ok(text.into_owned())
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let (number, unit) = text.split_at(text.trim_end_matches(|end: char| end.is_ascii_alphabetic()).len());
    let number: u32 = number.parse().map_err(|_| "a timeout is no whole number with ms or s")?;
    match unit {
        "ms" => Ok(Duration::from_millis(number.into())),
        "s" => Ok(Duration::from_secs(number.into())),
        _ => Err("a timeout is no whole number with ms or s"),
    }
}

/// The URL without user, password and options.
impl fmt::Display for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "etcds" } else { "etcd" };
        write!(f, "{scheme}://{}/{}", self.endpoints.join(","), self.namespace)
    }
}

/// The fields without the password.
impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("endpoints", &self.endpoints)
            .field("namespace", &self.namespace)
            .field("user", &self.credentials.as_ref().map(|(user, _)| user))
            .field("tls", &self.tls)
            .field("timeout", &self.timeout)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("max_in_flight", &self.in_flight_max)
            .field("stale_reads", &self.stale_reads)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_all_that_code_can() {
        let url = "etcds://a%40b:p%3A%2Fw@h1,h2:99,[::1]:3/my.app_1-x?timeout=2500ms&attempt_timeout=2s&max_in_flight=7\
                   &read=stale&ca=%2Fca.pem&cert=c&key=k&server_name=etcd";
        let in_code = Etcd::new(["h1:2379", "h2:99", "[::1]:3"], "my.app_1-x")
            .user("a@b", "p:/w")
            .tls_ca("/ca.pem")
            .tls_identity("c", "k")
            .tls_server_name("etcd")
            .timeout(Duration::from_millis(2_500))
            .attempt_timeout(Duration::from_secs(2))
            .max_in_flight(7)
            .stale_reads(true);
        assert_eq!(url.parse::<Etcd>().unwrap(), in_code);
        in_code.check().unwrap();
        assert_eq!("etcds://h/n".parse::<Etcd>().unwrap(), Etcd::new(["h"], "n").tls());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for url in [
            "",
            "h/n",
            "http://h/n",
            "etcd://h",
            "etcd://user@h/n",
            "etcd://h/n?timeout=5",
            "etcd://h/n?timeout=-5s",
            "etcd://h/n?read=newest",
            "etcd://h/n?max_in_flight=x",
            "etcd://h/n?colour=red",
            "etcd://h/n?ca=x",
            "etcds://h/n?cert=x",
            "etcd://h/%ff",
        ] {
            assert!(url.parse::<Etcd>().is_err(), "{url}");
        }
        for url in [
            "etcd:///n",
            "etcd://h/",
            "etcd://h/a/b",
            "etcd://h/ä",
            "etcd://h/n?timeout=0s",
            "etcd://h/n?timeout=86401s",
            "etcd://h/n?attempt_timeout=4294967295s",
            "etcd://h/n?max_in_flight=0",
        ] {
            assert!(url.parse::<Etcd>().unwrap().check().is_err(), "{url}");
        }
        assert!(Etcd::new(["h"], "n".repeat(129)).check().is_err());
        let error = Etcd::new(["h"], "n").attempt_timeout(Duration::MAX).check().unwrap_err();
        assert!(error.to_string().contains("attempt_timeout cannot be used"), "{error}");
    }

    #[test]
    fn the_password_is_not_shown() {
        let etcd = Etcd::new(["h"], "n").user("app", "secret");
        assert!(!format!("{etcd:?}").contains("secret"));
        let error = "etcd://app:secret@h/n?colour=secret".parse::<Etcd>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
    }
}
