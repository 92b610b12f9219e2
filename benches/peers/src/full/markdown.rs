//! The results as tables in Markdown.

use super::{Cell, Results};
use crate::goals::{self, number};
use crate::peers::Kind;
use crate::work::Operation;

/// All tables, first those for the middle size: they stand for the others where there is little room.
pub fn text(results: &Results) -> String {
    let middle = results.middle_size();
    let others = results.sizes.iter().copied().filter(|users| *users != middle);
    let mut sections: Vec<_> = std::iter::once(middle).chain(others).map(|users| at_size(results, users)).collect();
    sections.push(format!("## Growth\n\nµs for each call to authkv, by one caller.\n\n{}", growth(results)));
    sections.push(format!("## Size of the files\n\nMiB, after a clean close.\n\n{}", sizes(results)));
    sections.push(format!("## Goals at each size\n\n```text\n{}```\n", goals::table(&results.goals)));
    sections.push(format!("## Machine\n\n```text\n{}```\n", results.machine));
    sections.join("\n")
}

fn at_size(results: &Results, users: u64) -> String {
    let mut text = format!(
        "## {users} users\n\nCalls in a second with authkv, and how many times as long a call takes with the others \
         (quartiles of the rounds).\n\n{}\nHow many µs a call takes: half of them at most / 99 of 100 at most. Reads wait for \
         nobody, but for sqlx's: theirs is the time of the call itself, however many callers share the threads.\n\n{}",
        matrix(results, users, beside_authkv),
        matrix(results, users, |cell| format!("{} / {}", number(cell.p50_us), number(cell.p99_us))),
    );
    let deletions = deletions(results, users);
    if !deletions.is_empty() {
        text += "\nA user with 10,000 sessions is deleted: ms, the worst of the rounds.\n\n";
        text += &table(&["", "answered after", "longest wait of another writer"], 1, &deletions);
    }
    text
}

fn beside_authkv(cell: &Cell) -> String {
    match cell.beside_authkv {
        Some(beside) if cell.kind != Kind::Authkv => {
            format!("{} × ({} … {})", number(beside.median), number(beside.low), number(beside.high))
        }
        _ => format!("{}/s", rate(cell.per_second)),
    }
}

/// A row for each operation and number of callers, a column for each peer.
fn matrix(results: &Results, users: u64, show: impl Fn(&Cell) -> String) -> String {
    let mut measured: Vec<(Operation, usize)> = Vec::new();
    for cell in results.cells.iter().filter(|cell| cell.users == users) {
        if !measured.contains(&(cell.operation, cell.callers)) {
            measured.push((cell.operation, cell.callers));
        }
    }
    let row = |(operation, callers): &(Operation, usize)| {
        let cells = results.kinds.iter().map(|kind| results.cell(users, *operation, *callers, *kind));
        let shown = cells.map(|cell| cell.map(&show).unwrap_or_default());
        [operation.name().to_owned(), callers.to_string()].into_iter().chain(shown).collect()
    };
    let head: Vec<_> = ["operation", "callers"].into_iter().chain(names(results)).collect();
    table(&head, 1, &measured.iter().map(row).collect::<Vec<_>>())
}

fn deletions(results: &Results, users: u64) -> Vec<Vec<String>> {
    let at_size = results.deletions.iter().filter(|deletions| deletions.users == users);
    at_size
        .map(|deletions| {
            let worst = [deletions.answered_ms.high, deletions.longest_wait_ms.high].map(number);
            [deletions.kind.name().to_owned()].into_iter().chain(worst).collect()
        })
        .collect()
}

/// A row for each operation, a column for each size.
fn growth(results: &Results) -> String {
    let mut operations: Vec<_> = results.cells.iter().map(|cell| cell.operation).collect();
    operations.dedup();
    operations.sort();
    operations.dedup();
    let row = |operation: &Operation| {
        let cost = |users: &u64| {
            let cell = results.cell(*users, *operation, 1, Kind::Authkv);
            cell.map(|cell| number(1e6 / cell.per_second)).unwrap_or_default()
        };
        [operation.name().to_owned()].into_iter().chain(results.sizes.iter().map(cost)).collect()
    };
    let rows: Vec<_> = operations.iter().map(row).collect();
    by_size(results, "operation", &rows)
}

/// A row for each peer, a column for each size.
fn sizes(results: &Results) -> String {
    let row = |kind: &Kind| {
        let size = |users: &u64| {
            let files = results.files.iter().find(|files| files.users == *users && files.kind == *kind);
            files.map(|files| number(files.bytes as f64 / f64::from(1 << 20))).unwrap_or_default()
        };
        [kind.name().to_owned()].into_iter().chain(results.sizes.iter().map(size)).collect()
    };
    by_size(results, "", &results.kinds.iter().map(row).collect::<Vec<_>>())
}

fn by_size(results: &Results, what: &str, rows: &[Vec<String>]) -> String {
    let sizes: Vec<_> = results.sizes.iter().map(|users| format!("{users} users")).collect();
    let head: Vec<_> = std::iter::once(what).chain(sizes.iter().map(String::as_str)).collect();
    table(&head, 1, rows)
}

fn names(results: &Results) -> impl Iterator<Item = &'static str> {
    results.kinds.iter().map(|kind| kind.name())
}

/// A table whose first `texts` columns are texts and whose other columns are numbers.
fn table(head: &[&str], texts: usize, rows: &[Vec<String>]) -> String {
    let rule = (0..head.len()).map(|column| if column < texts { "---" } else { "--:" });
    let lines = [head.join(" | "), rule.collect::<Vec<_>>().join(" | ")];
    let rows = rows.iter().map(|row| row.join(" | "));
    lines.into_iter().chain(rows).map(|row| format!("| {row} |\n")).collect()
}

/// Three digits, with the thousands as k and the millions as M.
fn rate(per_second: f64) -> String {
    match per_second {
        _ if per_second >= 999_500.0 => format!("{}M", number(per_second / 1e6)),
        _ if per_second >= 999.5 => format!("{}k", number(per_second / 1e3)),
        _ => number(per_second),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Deletions, Files};
    use super::*;
    use crate::stats::Spread;

    fn cell(users: u64, kind: Kind, beside: f64) -> Cell {
        Cell {
            users,
            operation: Operation::CreateSession,
            callers: 1,
            kind,
            per_second: 2_500.0 / beside,
            beside_authkv: Some(Spread { low: beside * 0.5, median: beside, high: beside * 2.0 }),
            p50_us: 300.0,
            p99_us: 900.0,
        }
    }

    fn results() -> Results {
        let spread = Spread::exactly(7.0);
        Results {
            sizes: vec![100, 200],
            callers: vec![1],
            kinds: vec![Kind::Authkv, Kind::Rusqlite],
            cells: vec![cell(100, Kind::Authkv, 1.0), cell(100, Kind::Rusqlite, 4.0), cell(200, Kind::Authkv, 1.0)],
            files: vec![Files { users: 200, kind: Kind::Rusqlite, bytes: 3 << 20 }],
            deletions: vec![Deletions { users: 100, kind: Kind::Authkv, answered_ms: spread, longest_wait_ms: spread }],
            goals: Vec::new(),
            machine: "a machine\n".into(),
        }
    }

    #[test]
    fn each_figure_is_in_the_row_and_column_to_which_it_belongs() {
        let text = text(&results());
        for line in [
            "| operation | callers | authkv | rusqlite |",
            "| create session | 1 | 2.50k/s | 4.00 × (2.00 … 8.00) |",
            "| create session | 1 | 2.50k/s |  |",
            "| create session | 1 | 300 / 900 | 300 / 900 |",
            "| authkv | 7.00 | 7.00 |",
            "| create session | 400 | 400 |",
            "| rusqlite |  | 3.00 |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(text.starts_with("## 200 users"), "the size in the middle does not come first");
    }

    #[test]
    fn all_rows_of_a_table_have_as_many_columns() {
        let text = text(&results());
        for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
            let columns = |line: &str| line.matches('|').count();
            let first = table.lines().next().map(columns);
            assert!(table.lines().all(|line| Some(columns(line)) == first), "{table}");
        }
    }

    #[test]
    fn rates_have_three_digits() {
        assert_eq!([850.0, 999.9, 17_400.0, 2_500_000.0].map(rate), ["850", "1.00k", "17.4k", "2.50M"]);
    }
}
