//! The layers: a file uses only what lies below it, and a few things are named in one place only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Each module with its rank. `use` of the same rank is allowed, of a higher one is not.
const RANKS: &[(&str, usize)] = &[
    ("error", 0),
    ("model", 0),
    ("reply", 0),
    ("secret", 0),
    ("codec", 1),
    ("key", 1),
    ("record", 1),
    ("txn", 2),
    ("schema", 3),
    ("ops", 4),
    ("engine", 5),
    ("engine/redb", 6),
    ("engine/remote", 6),
    ("engine/any", 6),
    ("store", 7),
    ("adapter", 7),
    ("calls", 7),
    ("connect", 7),
    ("copying", 7),
    ("hot_sessions", 7),
    ("linking", 7),
    ("listing", 7),
    ("migration", 7),
    ("options", 7),
    ("purging", 7),
    ("sign_in", 7),
    ("states", 7),
    ("verification", 7),
    ("web_sessions", 7),
    ("axum_login", 8),
    ("bin/authkv", 8),
    ("faults", 8),
    ("fuzzing", 8),
    ("models", 8),
    ("tower_sessions", 8),
    ("conformance", 9),
    ("faults/cluster", 10),
];

fn rank(module: &str) -> usize {
    let known = RANKS.iter().filter(|(name, _)| module == *name || module.starts_with(&format!("{name}/")));
    known.map(|(_, rank)| *rank).max().unwrap_or_else(|| panic!("{module} has no rank"))
}

fn sources() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(module(&root, &path), code(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.remove("lib").expect("src/lib.rs is where it always is");
    files
}

/// A source without its comments and without its tests.
fn code(source: &str) -> String {
    let source = source.split("\nmod tests {").next().unwrap();
    source.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

fn module(root: &Path, path: &Path) -> String {
    let module = path.strip_prefix(root).unwrap().with_extension("").to_str().unwrap().replace('\\', "/");
    module.strip_suffix("/mod").map(str::to_owned).unwrap_or(module)
}

/// The modules of this crate that code names as `crate::a::b`.
fn used(code: &str) -> Vec<String> {
    let paths = code.split("crate::").skip(1).map(|rest| {
        let path: String = rest.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
        path.replace("::", "/")
    });
    paths.filter(|path| path.starts_with(|first: char| first.is_lowercase())).collect()
}

#[test]
fn a_file_uses_only_lower_layers() {
    let mut uses = 0;
    for (module, source) in sources() {
        for used in used(&source) {
            uses += 1;
            assert!(rank(&used) <= rank(&module), "{module} uses {used}, which lies above it");
        }
    }
    assert!(uses > 50, "the test found only {uses} uses");
}

#[test]
fn bincode_redb_and_tonic_are_named_where_they_belong() {
    for (module, code) in sources() {
        assert!(!code.contains("bincode::") || module == "codec", "{module} names bincode");
        let own = code.replace("engine::redb", "").replace("mod redb", "");
        let may = ["engine/redb", "options", "faults"].iter().any(|name| module.starts_with(name));
        assert!(may || !own.contains("redb::"), "{module} names redb");
        let may = module.starts_with("engine/remote") || module.starts_with("faults");
        assert!(
            may || !["tokio::", "tonic::", "prost::"].iter().any(|name| code.contains(name)),
            "{module} names them"
        );
    }
}

#[test]
fn operations_ask_neither_clock_nor_chance() {
    for (module, source) in sources().into_iter().filter(|(module, _)| module.starts_with("ops")) {
        for impure in ["now(", "now_v7", "Sha256", "random", "std::fs", "std::time", "std::env", "thread"] {
            assert!(!source.contains(impure), "{module} contains {impure}");
        }
    }
}

#[test]
fn only_one_function_writes_the_record_tables_and_indexes() {
    for (module, source) in sources() {
        let writes = source.contains("put_entry(") || source.contains("remove_bytes(");
        assert!(!writes || ["txn", "schema"].contains(&module.as_str()), "{module} writes rows by their bytes");
        for table in [
            "&USER",
            "&ACCOUNT",
            "&SESSION",
            "&VERIFICATION",
            "&AUTHENTICATORS",
            "&CODES",
            "&STATES",
            "&WEB_SESSIONS",
            "&BY_EXPIRY",
        ] {
            for call in ["txn.put(", "txn.remove("] {
                assert!(!source.contains(&format!("{call}{table}")), "{module} writes {table}");
            }
        }
    }
}
