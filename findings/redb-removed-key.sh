#!/usr/bin/env bash
# redb 4.6.0: a removed key can stay in a live page, also after compact().
# Configuration: as created, a durable commit for each change; of each pair of keys the shorter begins the longer one.
# Guessed: once a row was removed and the file compacted, no live page has its key.
# Seen: "some removed keys are in branch pages after compact()".
# Branch pages separate their children with the shortest text that does, which can be a whole key, and keep it when the key is
# removed. So `Options::secure_delete` writes every table anew before it overwrites the free pages.
set -euo pipefail

command -v cargo >/dev/null || { echo "needs cargo" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/src"
cat >"$folder/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[dependencies]
redb = "=4.6.0"
TOML
cat >"$folder/src/main.rs" <<'RUST'
use redb::{Database, TableDefinition};

const TABLE: TableDefinition<&str, &[u8]> = TableDefinition::new("people");
const PAGE: usize = 4096;
/// What redb's design says of the first byte of a page.
const BRANCH: u8 = 2;

fn main() {
    let path = std::env::args().nth(1).expect("a path");
    let key = |n: usize| format!("person-{n:05}@example.com");
    let longer = |n: usize| format!("{}.au", key(n));
    let mut database = Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    for (n, key) in (0..1_000).flat_map(|n| [key(n), longer(n)]).enumerate() {
        txn.open_table(TABLE).unwrap().insert(key.as_str(), vec![7; 60 + n * 31 % 97].as_slice()).unwrap();
    }
    txn.commit().unwrap();
    let removed: Vec<_> = (0..1_000).map(key).collect();
    for key in &removed {
        let txn = database.begin_write().unwrap();
        txn.open_table(TABLE).unwrap().remove(key.as_str()).unwrap();
        txn.commit().unwrap();
    }
    while database.compact().unwrap() {}
    drop(database);
    let bytes = std::fs::read(&path).unwrap();
    let in_branch = |key: &&String| {
        let mut places = bytes.windows(key.len()).enumerate().filter(|(_, part)| *part == key.as_bytes());
        // Not the beginning of the longer key.
        places.any(|(at, _)| bytes[at / PAGE * PAGE] == BRANCH && !bytes[at + key.len()..].starts_with(b".au"))
    };
    let left = removed.iter().filter(in_branch).count();
    println!("{} removed keys are in branch pages after compact()", if left > 0 { "some" } else { "no" });
}
RUST
expected="some removed keys are in branch pages after compact()"
seen=$(cd "$folder" && cargo run --quiet --release -- "$folder/file.redb")
echo "$seen"
if [ "$seen" != "$expected" ]; then
    echo "changed: expected \"$expected\"" >&2
    exit 1
fi
