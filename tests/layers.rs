//! The layers that ARCHITECTURE.md describes: a folder uses only folders below it, no files use each other in a circle, and
//! a few things are named in one place only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Each folder or file at the top of `src` with its rank. It may use itself and anything of a lower rank.
const RANKS: &[(&str, usize)] = &[
    ("error", 0),
    ("process", 1),
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
        let mut paths = Vec::new();
        let mut names = self.children_of(module);
        let (uses, rest): (Vec<_>, Vec<_>) = statements(&self.0[module]).partition(|statement| is_use(statement));
        for Used { path, name, exported } in uses.into_iter().flat_map(|statement| use_paths(module, statement)) {
            assert!(!path.ends_with('*'), "{module} imports everything of {path}, so nobody sees what it uses");
            if !(exported && path.starts_with(&format!("{module}/"))) {
                paths.push(path.clone());
            }
            names.insert(name, path);
        }
        for statement in rest {
            paths.extend(inline_paths(module, &names, statement));
        }
        let files = paths.into_iter().map(|path| self.file_of(&path));
        files.filter(|file| file != module).collect()
    }

    /// The modules in a module's folder, by name.
    fn children_of(&self, module: &str) -> BTreeMap<String, String> {
        let children = self.0.keys().filter_map(|child| {
            let (parent, name) = child.rsplit_once('/').unwrap_or(("", child));
            (parent == module && !name.is_empty()).then(|| (name.to_owned(), child.clone()))
        });
        children.collect()
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
            let mut exports = exports.flat_map(|statement| use_paths(&module, statement));
            exports.find(|export| export.name == item && export.path != format!("{module}/{item}"))
        });
        exported.map_or(module, |export| self.file_of(&export.path))
    }

    /// The files that each file uses.
    fn graph(&self) -> BTreeMap<String, BTreeSet<String>> {
        self.modules().map(|(module, _)| (module.to_owned(), self.used_by(module))).collect()
    }
}

/// A path in `src` that a `use` brings in, the name that it gets there, and whether others may use it from there.
struct Used {
    path: String,
    name: String,
    exported: bool,
}

fn module(root: &Path, path: &Path) -> String {
    let module = path.strip_prefix(root).unwrap().with_extension("").to_str().unwrap().replace('\\', "/");
    let module = module.strip_suffix("/mod").map_or(module.as_str(), |folder| folder);
    if module == "lib" { String::new() } else { module.to_owned() }
}

fn code(source: &str) -> String {
    let (source, tests) = source.split_once("\nmod tests {").unwrap_or((source, ""));
    let is_inside = |line: &str| line.is_empty() || line.starts_with(' ') || line == "}";
    assert!(tests.lines().all(is_inside), "something stands behind the tests of a file");
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

/// The paths of a `use` within this crate.
fn use_paths(module: &str, statement: &str) -> Vec<Used> {
    let tree = statement.split_once("use ").unwrap().1.trim_end_matches(';');
    let mut paths = Vec::new();
    expand("", tree, &mut paths);
    let exported = !is_private(statement);
    let used = paths.into_iter().filter_map(|path| {
        let (path, renamed) = path.split_once(" as ").map_or((path.as_str(), None), |(path, name)| (path, Some(name)));
        let path = resolve(module, &BTreeMap::new(), path)?;
        let name = renamed.unwrap_or_else(|| path.rsplit('/').next().unwrap()).trim().to_owned();
        Some(Used { path, name, exported })
    });
    used.collect()
}

/// Expands `a::{b, c::{d, e}}`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        match tree.strip_prefix("self") {
            Some(rest) if rest.is_empty() || rest.starts_with(" as ") => {
                paths.push(format!("{}{rest}", prefix.trim_end_matches("::")));
            }
            _ if tree.is_empty() => {}
            _ => paths.push(format!("{prefix}{tree}")),
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

/// The paths of this crate in code outside a `use`: through `crate`, `super`, a child or a name that a `use` gave.
fn inline_paths(module: &str, names: &BTreeMap<String, String>, code: &str) -> Vec<String> {
    let is_part = |character: char| character.is_alphanumeric() || "_:".contains(character);
    let paths = code.split(|character| !is_part(character)).filter(|path| path.contains("::"));
    paths.filter_map(|path| resolve(module, names, path.trim_matches(':'))).collect()
}

/// The path in `src` that a path refers to in a module where some names are known. `None` if it is outside the crate.
fn resolve(module: &str, names: &BTreeMap<String, String>, path: &str) -> Option<String> {
    let mut parts = path.trim().split("::").peekable();
    let mut at: Vec<&str> = module.split('/').filter(|part| !part.is_empty()).collect();
    match *parts.peek()? {
        "self" | "super" => {}
        "crate" => {
            at.clear();
            parts.next();
        }
        first => {
            at = match names.get(first) {
                Some(known) => known.split('/').filter(|part| !part.is_empty()).collect(),
                None if is_child(module, first) => at.into_iter().chain([first]).collect(),
                None => return None,
            };
            parts.next();
        }
    }
    for part in parts {
        match part {
            "self" => {}
            "super" => drop(at.pop()),
            part => at.push(part),
        }
    }
    Some(at.join("/"))
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
        // Panics for a file without a rank.
        rank(module);
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
        let names = |name: &str| code.contains(&format!("{name}::")) || code.contains(&format!("use {name}"));
        assert!(!names("bincode") || module == "kv/codec", "{module} names bincode");
        let own = code.replace("engine::redb", "").replace("mod redb", "");
        let may = ["engine/redb", "store/options", "tests"].iter().any(|name| module.starts_with(name));
        assert!(may || !(own.contains("redb::") || own.contains("use redb as")), "{module} names redb");
        let may = module.starts_with("engine/remote") || module.starts_with("tests");
        assert!(may || !["tokio", "tonic", "prost"].into_iter().any(names), "{module} names them");
    }
}

#[test]
fn operations_ask_neither_clock_nor_chance() {
    for (module, source) in Sources::read().modules().filter(|(module, _)| layer(module) == "ops") {
        for impure in
            ["now(", "Utc::now", "now_v7", "Sha256", "andom", "fs::", "time::", "env::", "process::", "thread"]
        {
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
            "&CODE_REQUESTS",
            "&GUESS_BUDGETS",
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
