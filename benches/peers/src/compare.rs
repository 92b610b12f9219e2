//! Every peer beside authkv: how long a call takes, operation by operation.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::args::Compare;
use crate::fleet::Fleet;
use crate::peers::Kind;
use crate::progress::Progress;
use crate::rounds::{self, Variant};
use crate::rows::Shapes;
use crate::stats::Spread;
use crate::work::Operation;

/// Measures, and writes a table in Markdown: the time of a call to authkv in µs, and that of the others as its multiple.
///
/// # Errors
/// When a store fails, or does not answer as it should.
pub fn table(compare: &Compare, folder: &Path, shapes: &Arc<Shapes>, progress: &Progress) -> Result<String> {
    let fleet = Fleet::new(folder, compare.users, shapes)?;
    let open = |kind: &Kind| fleet.open(*kind, &format!("{}-compared", kind.name()), progress);
    let peers = Kind::ALL.iter().map(open).collect::<Result<Vec<_>>>()?;
    let mut table = format!("{} users\n\n| operation | callers |", compare.users);
    Kind::ALL.iter().for_each(|kind| table += &format!(" {} |", kind.name()));
    table += &format!("\n|---|--:|{}\n", "--:|".repeat(Kind::ALL.len()));
    for operation in &compare.operations {
        for callers in if operation.deletes() { &[1] } else { compare.callers.as_slice() } {
            let each = (calls(*operation) / callers).max(1);
            let variant = |peer| -> Variant<'_> {
                let fleet = &fleet;
                Box::new(move |round| fleet.ns_per_call(peer, *operation, *callers, each, round))
            };
            let what = format!("{}, {callers} callers", operation.name());
            let costs = rounds::measure(compare.rounds, peers.iter().map(variant).collect(), progress, &what)?;
            let (ours, others) = costs.split_first().context("authkv is the first peer")?;
            write!(
                table,
                "| {} | {callers} | {:.1} µs |",
                operation.name(),
                Spread::of(ours.iter().copied()).median / 1e3
            )?;
            for other in others {
                let Spread { low, median, high } = Spread::of_ratios(other, ours);
                write!(table, " {median:.1} × ({low:.1} … {high:.1}) |")?;
            }
            table += "\n";
        }
    }
    Ok(table)
}

/// How many calls there are in a round.
fn calls(operation: Operation) -> usize {
    match operation {
        _ if operation.reads() => 4_000,
        _ if operation.deletes() => 4,
        _ => 256,
    }
}
