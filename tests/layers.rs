//! The layers that ARCHITECTURE.md describes: a folder uses only folders below it, no files use each other in a circle, and
//! a few things are named in one place only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Each folder or file at the top of `src` with its rank. It may use itself and anything of a lower rank.
const RANKS: &[(&str, usize)] = &[
    ("error", 0),
    ("models", 1),
    ("reply", 2),
    ("adapter", 3),
    ("kv", 4),
    ("records", 5),
    // Side by side: neither uses the other.
    ("ops", 6),
    ("engine", 6),
    ("store", 7),
    ("integrations", 8),
    ("conformance", 8),
    ("guide", 9),
    ("tests", 9),
];

fn rank(module: &str) -> usize {
    let layer = layer(module);
    RANKS.iter().find(|(name, _)| *name == layer).unwrap_or_else(|| panic!("{layer} has no rank")).1
}

/// The folder or file at the top of `src` that contains a module.
fn layer(module: &str) -> &str {
    module.split('/').next().unwrap()
}

/// The files in `src` by module, without comments and tests: `kv/txn`, `kv` for `kv/mod.rs`, and "" for `lib.rs`.
struct Sources(BTreeMap<String, String>);

impl Sources {
    fn read() -> Self {
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
        Self(files)
    }

    /// All but `lib.rs`.
    fn modules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter(|(module, _)| !module.is_empty()).map(|(module, code)| (module.as_str(), code.as_str()))
    }

    /// The files that a module uses. Items that it only re-exports from its own folder do not count.
    fn used_by(&self, module: &str) -> BTreeSet<String> {
        let code = &self.0[module];
        let (uses, rest): (Vec<_>, Vec<_>) = statements(code).partition(|statement| is_use(statement));
        let mut paths: Vec<_> = uses.into_iter().flat_map(|statement| use_paths(module, statement)).collect();
        for statement in rest {
            paths.extend(inline_paths(module, statement));
        }
        let files = paths.into_iter().filter_map(|path| match path {
            Found { path, exported: true } if path.starts_with(&children_of(module)) => None,
            Found { path, .. } => Some(self.file_of(&path)),
        });
        files.filter(|file| file != module).collect()
    }

    /// The file that defines the item at a path (`kv/txn/Txn`), found through re-exports.
    fn file_of(&self, path: &str) -> String {
        let mut module = path.to_owned();
        let mut item = None;
        while !self.0.contains_key(&module) {
            let (parent, last) = module.rsplit_once('/').unwrap_or(("", &module));
            (item, module) = (Some(last.to_owned()), parent.to_owned());
        }
        let exported = item.and_then(|item| {
            let exports = statements(&self.0[&module]).filter(|statement| is_use(statement) && !is_private(statement));
            let mut paths = exports.flat_map(|statement| use_paths(&module, statement)).map(|found| found.path);
            paths.find(|path| path.rsplit('/').next() == Some(item.as_str()) && path != &format!("{module}/{item}"))
        });
        exported.map_or(module, |path| self.file_of(&path))
    }

    /// The files that each file uses.
    fn graph(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.modules().map(|(module, _)| (module.to_owned(), self.used_by(module))).collect()
    }
}

/// A path in the code, and whether the code re-exports it.
struct Found {
    path: String,
    exported: bool,
}

fn module(root: &Path, path: &Path) -> String {
    let module = path.strip_prefix(root).unwrap().with_extension("").to_str().unwrap().replace('\\', "/");
    let module = module.strip_suffix("/mod").map_or(module.as_str(), |folder| folder);
    if module == "lib" { String::new() } else { module.to_owned() }
}

fn code(source: &str) -> String {
    let source = source.split("\nmod tests {").next().unwrap();
    source.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect()
}

fn statements(code: &str) -> impl Iterator<Item = &str> {
    code.split_inclusive(';').map(|statement| {
        let start = statement.rfind("use ").filter(|start| {
            let before = statement[..*start].trim_end();
            before.is_empty() || before.ends_with(['}', '{', ']', ';', ')']) || before.ends_with("pub")
        });
        let Some(start) = start else { return statement.trim() };
        let visibility = statement[..start].rfind("pub").filter(|at| {
            let between = statement[*at + 3..start].trim();
            between.is_empty() || (between.starts_with('(') && between.ends_with(')'))
        });
        statement[visibility.unwrap_or(start)..].trim()
    })
}

fn is_use(statement: &str) -> bool {
    statement.starts_with("use ")
        || (statement.starts_with("pub") && statement.contains(" use ") && !statement.contains("fn "))
}

fn is_private(statement: &str) -> bool {
    statement.starts_with("use ")
}

fn children_of(module: &str) -> String {
    if module.is_empty() { String::new() } else { format!("{module}/") }
}

/// The paths of a `use` within this crate.
fn use_paths(module: &str, statement: &str) -> Vec<Found> {
    let tree = statement.split_once("use ").unwrap().1.trim_end_matches(';');
    let mut paths = Vec::new();
    expand("", tree, &mut paths);
    let exported = !is_private(statement);
    let resolved = paths.into_iter().filter_map(|path| resolve(module, &path));
    resolved.map(|path| Found { path, exported }).collect()
}

/// Expands `a::{b, c::{d, e}}`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap().trim();
        let path = if name == "self" { prefix.trim_end_matches("::").to_owned() } else { format!("{prefix}{name}") };
        if !name.is_empty() {
            paths.push(path);
        }
        return;
    };
    let inner = &tree[open + 1..tree.rfind('}').unwrap()];
    let (mut depth, mut start) = (0, 0);
    for (at, character) in inner.char_indices().chain([(inner.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&format!("{prefix}{}", &tree[..open]), &inner[start..at], paths);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths of this crate in code outside a `use`.
fn inline_paths(module: &str, code: &str) -> Vec<Found> {
    let starts = ["crate::", "super::"].into_iter().flat_map(|start| code.match_indices(start));
    let paths = starts.filter_map(|(at, _)| {
        let path: String = code[at..].chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect();
        resolve(module, path.trim_end_matches("::"))
    });
    paths.map(|path| Found { path, exported: false }).collect()
}

/// The path below `src` that a path refers to in a module. `None` if it is outside the crate.
fn resolve(module: &str, path: &str) -> Option<String> {
    let path = path.trim();
    let mut at = module.to_owned();
    let mut rest = match path.split_once("::") {
        Some(("crate", rest)) => {
            at.clear();
            rest
        }
        Some(("self", rest)) => rest,
        Some(("super", _)) => path,
        _ if is_child(module, path.split("::").next()?) => path,
        _ => return None,
    };
    while let Some(up) = rest.strip_prefix("super::") {
        at = at.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned());
        rest = up;
    }
    let rest = rest.replace("::", "/");
    Some(if at.is_empty() { rest } else { format!("{at}/{rest}") })
}

fn is_child(module: &str, name: &str) -> bool {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(module);
    src.join(name).with_extension("rs").is_file() || src.join(name).join("mod.rs").is_file()
}

/// A circle of files that use each other, if one exists.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut graph = graph.clone();
    while let Some(leaf) = graph.iter().find(|(_, uses)| uses.iter().all(|used| !graph.contains_key(used))) {
        let leaf = leaf.0.clone();
        graph.remove(&leaf);
    }
    let mut path = vec![graph.keys().next()?.clone()];
    loop {
        let next = graph[path.last().unwrap()].iter().find(|used| graph.contains_key(*used)).unwrap().clone();
        if let Some(start) = path.iter().position(|module| *module == next) {
            path.drain(..start);
            return Some(path);
        }
        path.push(next);
    }
}

#[test]
fn a_folder_uses_only_folders_below_it() {
    let graph = Sources::read().graph();
    for (module, uses) in &graph {
        for used in uses {
            let is_below = layer(used) == layer(module) || rank(used) < rank(module);
            assert!(is_below, "{module} uses {used}, which does not lie below it");
        }
    }
    let uses: usize = graph.values().map(BTreeSet::len).sum();
    assert!(uses > 300, "the test found only {uses} uses");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let circle = circle(&Sources::read().graph());
    assert!(circle.is_none(), "these use each other: {}", circle.unwrap().join(" -> "));
}

#[test]
fn bincode_redb_and_tonic_are_named_where_they_belong() {
    for (module, code) in Sources::read().modules() {
        assert!(!code.contains("bincode::") || module == "kv/codec", "{module} names bincode");
        let own = code.replace("engine::redb", "").replace("mod redb", "");
        let may = ["engine/redb", "store/options", "tests"].iter().any(|name| module.starts_with(name));
        assert!(may || !own.contains("redb::"), "{module} names redb");
        let may = module.starts_with("engine/remote") || module.starts_with("tests");
        assert!(
            may || !["tokio::", "tonic::", "prost::"].iter().any(|name| code.contains(name)),
            "{module} names them"
        );
    }
}

#[test]
fn operations_ask_neither_clock_nor_chance() {
    for (module, source) in Sources::read().modules().filter(|(module, _)| layer(module) == "ops") {
        for impure in ["now(", "now_v7", "Sha256", "random", "std::fs", "std::time", "std::env", "thread"] {
            assert!(!source.contains(impure), "{module} contains {impure}");
        }
    }
}

#[test]
fn only_one_function_writes_the_record_tables_and_indexes() {
    // The tests create conflicting rows, which no operation would.
    for (module, source) in Sources::read().modules().filter(|(module, _)| layer(module) != "tests") {
        let writes = source.contains("put_entry(") || source.contains("remove_bytes(");
        assert!(!writes || ["kv/txn", "records/entries"].contains(&module), "{module} writes rows by their bytes");
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
