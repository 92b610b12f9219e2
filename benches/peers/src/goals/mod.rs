//! The goals: each with its limit and what was measured.

mod growth;
mod memory;
mod reads;
mod size;
mod writes;

use std::fmt::{self, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::fleet::Fleet;
use crate::peers::Kind;
use crate::progress::Progress;
use crate::rows::Shapes;
use crate::stats::Spread;

/// One line of the table.
pub struct Goal {
    pub what: String,
    pub limit: Limit,
    pub figure: Spread,
    pub unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    AtMost(f64),
    AtLeast(f64),
    /// No goal: the figure is only reported.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A ratio.
    Times,
    Milliseconds,
    Microseconds,
    Mebibytes,
    Threads,
}

/// How goals are measured.
pub struct Plan<'p> {
    pub folder: &'p Path,
    pub users: u64,
    pub rounds: u64,
    /// The approximate duration of each variant in a round, in milliseconds.
    pub round_ms: u64,
    pub progress: &'p Progress,
}

impl Plan<'_> {
    /// How many calls a caller makes in a round, if all callers together make `per_second` of them.
    fn calls(&self, per_second: u64, callers: usize) -> usize {
        ((per_second * self.round_ms / 1_000) as usize / callers).max(4)
    }
}

/// Measures all goals.
///
/// # Errors
/// When a store fails or gives a wrong answer.
pub fn measure(plan: &Plan<'_>, shapes: &Arc<Shapes>) -> Result<Vec<Goal>> {
    let fleet = Fleet::new(plan.folder, plan.users, shapes)?;
    for kind in [Kind::Authkv, Kind::Redb, Kind::Rusqlite, Kind::Sqlx] {
        fleet.filled(kind, plan.progress)?;
    }
    let mut goals = reads::measure(plan, &fleet)?;
    goals.extend(writes::measure(plan, &fleet)?);
    goals.extend(memory::measure(plan, shapes)?);
    goals.extend(size::measure(plan, &fleet)?);
    goals.extend(growth::measure(plan)?);
    Ok(goals)
}

/// Measures the goals that apply to any number of users.
///
/// # Errors
/// The errors of [`measure`].
pub fn measure_at_every_size(plan: &Plan<'_>, fleet: &Fleet) -> Result<Vec<Goal>> {
    let mut goals = vec![reads::beside_bare_redb(plan, fleet)?];
    goals.extend(size::measure(plan, fleet)?);
    Ok(goals)
}

impl Goal {
    /// True if the figure is within the limit.
    pub fn is_met(&self) -> bool {
        match self.limit {
            Limit::AtMost(most) => self.figure.median <= most,
            Limit::AtLeast(least) => self.figure.median >= least,
            Limit::None => true,
        }
    }

    fn verdict(&self) -> &'static str {
        match (self.limit, self.is_met()) {
            (Limit::None, _) => "",
            (_, true) => "met",
            (_, false) => "MISSED",
        }
    }

    fn limit(&self) -> String {
        let unit = self.unit;
        match self.limit {
            Limit::AtMost(most) => format!("≤ {most}{unit}"),
            Limit::AtLeast(least) => format!("≥ {least}{unit}"),
            Limit::None => String::new(),
        }
    }

    fn figure(&self) -> String {
        format!("{}{}", number(self.figure.median), self.unit)
    }

    fn spread(&self) -> String {
        let Spread { low, high, .. } = self.figure;
        if low == high { String::new() } else { format!("{} … {}", number(low), number(high)) }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Times => " ×",
            Self::Milliseconds => " ms",
            Self::Microseconds => " µs",
            Self::Mebibytes => " MiB",
            Self::Threads => "",
        })
    }
}

/// The number with three digits, or more if its integer part has more.
pub fn number(number: f64) -> String {
    let digits = if number.abs() >= 100.0 {
        0
    } else if number.abs() >= 10.0 {
        1
    } else {
        2
    };
    format!("{number:.digits$}")
}

/// The goals as a table, aligned for reading in a terminal.
pub fn table(goals: &[Goal]) -> String {
    let head = ["", "goal", "measured", "spread", ""].map(str::to_owned);
    let row = |goal: &Goal| [goal.what.clone(), goal.limit(), goal.figure(), goal.spread(), goal.verdict().to_owned()];
    let rows: Vec<_> = std::iter::once(head).chain(goals.iter().map(row)).collect();
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for row in &rows {
        let mut line = String::new();
        for (place, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Texts begin at the left, numbers end at the right.
            let padding = " ".repeat(width - cell.chars().count());
            let _ = if matches!(place, 0 | 4) {
                write!(line, "{cell}{padding}  ")
            } else {
                write!(line, "{padding}{cell}  ")
            };
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(limit: Limit, median: f64) -> Goal {
        Goal { what: "it".into(), limit, figure: Spread { low: 0.5, median, high: 20.0 }, unit: Unit::Times }
    }

    #[test]
    fn a_goal_is_met_at_its_limit_and_not_beyond() {
        assert!(goal(Limit::AtMost(2.0), 2.0).is_met() && !goal(Limit::AtMost(2.0), 2.01).is_met());
        assert!(goal(Limit::AtLeast(2.0), 2.0).is_met() && !goal(Limit::AtLeast(2.0), 1.99).is_met());
        assert!(goal(Limit::None, f64::INFINITY).is_met());
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        assert!(!goal(Limit::AtMost(2.0), f64::NAN).is_met() && !goal(Limit::AtLeast(2.0), f64::NAN).is_met());
    }

    #[test]
    fn each_line_shows_the_goal_the_figure_the_spread_and_the_verdict() {
        let goals = [goal(Limit::AtMost(1.35), 1.2), goal(Limit::AtLeast(10.0), 9.5), goal(Limit::None, 123.4)];
        let table = table(&goals);
        let lines: Vec<_> = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines[1..],
            ["it ≤ 1.35 × 1.20 × 0.50 … 20.0 met", "it ≥ 10 × 9.50 × 0.50 … 20.0 MISSED", "it 123 × 0.50 … 20.0",]
        );
    }
}
