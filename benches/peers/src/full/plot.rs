//! The results as a picture: calls per second, and how long calls wait.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;

use super::{Cell, Results};
use crate::peers::Kind;
use crate::work::Operation;

const SIZE: (u32, u32) = (1_200, 840);
const FONT: &str = "sans-serif";
const COLORS: [RGBColor; 6] = [
    RGBColor(214, 39, 40),
    RGBColor(60, 60, 60),
    RGBColor(31, 119, 180),
    RGBColor(23, 190, 207),
    RGBColor(44, 160, 44),
    RGBColor(255, 140, 0),
];

/// One picture of the four: for each peer a line through these points.
struct Panel<'a> {
    title: String,
    horizontal: &'a str,
    vertical: &'a str,
    lines: Vec<(Kind, Vec<(f64, f64)>)>,
}

/// Four pictures in one, as SVG.
///
/// # Errors
/// When drawing fails.
pub fn svg(results: &Results) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        for (area, panel) in root.split_evenly((2, 2)).iter().zip(panels(results)) {
            draw(area, &panel)?;
        }
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

fn panels(results: &Results) -> [Panel<'static>; 4] {
    let users = results.middle_size();
    let by_callers = |operation: Operation, figure: fn(&Cell) -> f64| {
        let point = |kind: Kind, callers: &usize| {
            results.cell(users, operation, *callers, kind).map(|cell| (*callers as f64, figure(cell)))
        };
        let line = |kind: &Kind| (*kind, results.callers.iter().filter_map(|callers| point(*kind, callers)).collect());
        results.kinds.iter().map(line).collect()
    };
    let by_users = |operation: Operation| {
        let callers = results.callers.first().copied().unwrap_or(1);
        let point = |kind: Kind, users: &u64| {
            results.cell(*users, operation, callers, kind).map(|cell| (*users as f64, cell.per_second))
        };
        let line = |kind: &Kind| (*kind, results.sizes.iter().filter_map(|users| point(*kind, users)).collect());
        results.kinds.iter().map(line).collect()
    };
    let panel = |title: String, horizontal, vertical, lines| Panel { title, horizontal, vertical, lines };
    let (reads, skewed, writes) = (Operation::Session, Operation::SessionSkewed, Operation::CreateSession);
    let at_size = |what: &str| format!("{what}, {users} users");
    [
        panel(at_size(skewed.name()), "callers", "calls/s", by_callers(skewed, |cell| cell.per_second)),
        panel(reads.name().to_owned(), "users", "calls/s", by_users(reads)),
        panel(at_size(writes.name()), "callers", "calls/s", by_callers(writes, |cell| cell.per_second)),
        panel(at_size(writes.name()), "callers", "p99 in µs", by_callers(writes, |cell| cell.p99_us)),
    ]
}

fn draw(area: &DrawingArea<SVGBackend<'_>, Shift>, panel: &Panel<'_>) -> Result<()> {
    let points = || panel.lines.iter().flat_map(|(_, points)| points.iter().copied());
    let Some(((left, right), (bottom, top))) = range(points().map(|(x, _)| x)).zip(range(points().map(|(_, y)| y)))
    else {
        return Ok(()); // this was not measured
    };
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, (FONT, 20))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(84)
        // Leaves room for the names to the right of the lines.
        .build_cartesian_2d((left..right * (right / left).powf(0.35)).log_scale(), (bottom..top).log_scale())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_desc(panel.horizontal)
        .y_desc(panel.vertical)
        .label_style((FONT, 14))
        .x_label_formatter(&|x| short(*x))
        .y_label_formatter(&|y| short(*y))
        .light_line_style(WHITE)
        .draw()
        .map_err(failed)?;
    for (kind, points) in &panel.lines {
        let color = COLORS.get(*kind as usize).copied().unwrap_or(BLACK);
        let width = if *kind == Kind::Authkv { 3 } else { 2 };
        let line = LineSeries::new(points.iter().copied(), color.stroke_width(width)).point_size(3);
        let drawn = chart.draw_series(line).map_err(failed)?.label(kind.name());
        drawn.legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(width)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::MiddleRight)
        .background_style(WHITE)
        .label_font((FONT, 14))
        .draw()
        .map_err(failed)
}

/// A range slightly wider than the figures. None if there are none.
fn range(figures: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (least, most) =
        figures.fold((f64::INFINITY, 0.0), |(least, most): (f64, f64), figure| (least.min(figure), most.max(figure)));
    (least <= most).then_some((least / 1.3, most * 1.3))
}

/// A number with thousands as k and millions as M.
fn short(figure: f64) -> String {
    match figure {
        _ if figure >= 1e6 => format!("{}M", figure / 1e6),
        _ if figure >= 1e3 => format!("{}k", figure / 1e3),
        _ => figure.to_string(),
    }
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the plot cannot be drawn: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(cells: Vec<Cell>) -> Results {
        Results {
            sizes: vec![100],
            callers: vec![1, 8],
            kinds: vec![Kind::Authkv, Kind::Sqlx],
            cells,
            files: Vec::new(),
            deletions: Vec::new(),
            goals: Vec::new(),
            machine: String::new(),
        }
    }

    #[test]
    fn the_plot_names_what_it_shows_and_every_peer() {
        let cell = |callers: usize, kind| Cell {
            users: 100,
            operation: Operation::CreateSession,
            callers,
            kind,
            per_second: 1_000.0 * callers as f64,
            beside_authkv: None,
            p50_us: 1.0,
            p99_us: 2.0,
        };
        let cells = [1, 8].into_iter().flat_map(|callers| [Kind::Authkv, Kind::Sqlx].map(|kind| cell(callers, kind)));
        let svg = svg(&results(cells.collect())).unwrap();
        for text in ["<svg", "create session, 100 users", "callers", "p99 in µs", "authkv", "sqlx-sqlite"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn what_was_not_measured_leaves_an_empty_place() {
        assert!(svg(&results(Vec::new())).unwrap().contains("<svg"));
    }
}
