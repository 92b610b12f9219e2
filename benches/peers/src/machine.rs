//! Facts about the machine, without which no time has a meaning.

use std::fs::read_to_string;
use std::path::Path;

/// The lock file of the workspace: the versions that this program was built with.
const LOCK: &str = include_str!("../../../Cargo.lock");
const CRATES: [&str; 6] = ["redb", "rusqlite", "sqlx", "heed", "fjall", "tokio"];

/// One fact a line.
pub fn facts(folder: &Path) -> String {
    let cpus = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mounts = read_to_string("/proc/mounts").unwrap_or_default();
    let crates: Vec<_> = CRATES.iter().map(|name| format!("{name} {}", version(name).unwrap_or("?"))).collect();
    format!(
        "machine: {} ({cores} cores), Linux {}, data files on {}\nbuilt with: {}, {}, SQLite {}\n",
        model.unwrap_or("unknown processor"),
        kernel.trim(),
        file_system(&mounts, folder).unwrap_or("an unknown file system"),
        env!("RUSTC_VERSION"),
        crates.join(", "),
        rusqlite::version(),
    )
}

/// The file system type of the mount with the longest matching path.
fn file_system<'m>(mounts: &'m str, path: &Path) -> Option<&'m str> {
    let path = path.canonicalize().ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    mounts.filter(|(at, _)| path.starts_with(at)).max_by_key(|(at, _)| at.len()).map(|(_, kind)| kind)
}

fn version(name: &str) -> Option<&'static str> {
    let (_, package) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    package.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_of_all_crates_are_found() {
        assert_eq!(CRATES.map(|name| version(name).is_some_and(|version| version.contains('.'))), [true; 6]);
        assert_eq!(version("no-such-crate"), None);
    }

    #[test]
    fn a_file_is_on_what_is_mounted_nearest() {
        let mounts = "a / ext4 rw 0 0\nb /usr xfs rw 0 0\nc /us btrfs rw 0 0";
        assert_eq!(file_system(mounts, Path::new("/usr/bin")), Some("xfs"));
        assert_eq!(file_system(mounts, Path::new("/")), Some("ext4"));
    }
}
