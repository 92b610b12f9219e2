//! Warnings about outdated etcd servers.

/// From which patch release on a user who is restricted to a prefix cannot write outside it through nested
/// transactions.
const SAFE_FROM: [(u32, u32, u32); 3] = [(3, 4, 44), (3, 5, 30), (3, 6, 11)];

/// A warning for the operator of the cluster, if the version needs one.
pub(super) fn warning(version: &str) -> Option<String> {
    let mut parts = version.split('.').map(|part| part.split('-').next().unwrap_or_default().parse::<u32>());
    let (major, minor, patch) = match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) => (major, minor, patch),
        _ => return Some(format!("the version of the server, {version:?}, is unknown")),
    };
    let is_safe = match SAFE_FROM.iter().find(|safe| (safe.0, safe.1) == (major, minor)) {
        Some(safe) => patch >= safe.2,
        None => (major, minor) > (3, 6),
    };
    (!is_safe).then(|| {
        format!(
            "etcd {version}: a user who is restricted to a namespace can write outside it, so namespaces are no security \
             boundary before 3.4.44, 3.5.30 and 3.6.11"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_warned_about() {
        for old in ["3.3.99", "3.4.23", "3.4.43", "3.5.1", "3.5.29", "3.6.0", "3.6.10", "3.5.30x", "what"] {
            assert!(warning(old).is_some(), "{old}");
        }
        for safe in ["3.4.44", "3.5.30", "3.6.11", "3.7.0", "3.7.0-rc.1", "4.0.0"] {
            assert!(warning(safe).is_none(), "{safe}");
        }
    }
}
