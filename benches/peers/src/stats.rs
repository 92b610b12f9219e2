//! Statistics: the median of the rounds, and their spread.

/// The median of some figures, with the lower and upper quartile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

impl Spread {
    /// The spread of at least one figure; NaN without any.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Self { low: quantile(&figures, 0.25), median: quantile(&figures, 0.5), high: quantile(&figures, 0.75) }
    }

    /// The spread of the ratios between figures from the same rounds.
    pub fn of_ratios(figures: &[f64], to: &[f64]) -> Self {
        Self::of(figures.iter().zip(to).map(|(figure, to)| figure / to))
    }

    /// The smallest and the largest figure, with the median between them.
    pub fn whole(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<_> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        Self { low: quantile(&figures, 0.0), median: quantile(&figures, 0.5), high: quantile(&figures, 1.0) }
    }

    pub fn exactly(figure: f64) -> Self {
        Self { low: figure, median: figure, high: figure }
    }
}

/// Interpolates between two figures: the nearer one counts more.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * sorted.len().saturating_sub(1) as f64;
    let (below, above) = (sorted.get(place.floor() as usize), sorted.get(place.ceil() as usize));
    match (below, above) {
        (Some(below), Some(above)) => below + (above - below) * place.fract(),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_between_the_quartiles_whatever_the_order() {
        assert_eq!(Spread::of([5.0, 1.0, 4.0, 2.0, 3.0]), Spread { low: 2.0, median: 3.0, high: 4.0 });
        assert_eq!(Spread::of([1.0, 2.0]), Spread { low: 1.25, median: 1.5, high: 1.75 });
        assert_eq!(Spread::whole([2.0, 9.0, 1.0]), Spread { low: 1.0, median: 2.0, high: 9.0 });
        assert!(Spread::of([]).median.is_nan());
    }

    #[test]
    fn ratios_are_taken_within_their_rounds() {
        // The second round was ten times as slow for both, which must not matter.
        assert_eq!(Spread::of_ratios(&[2.0, 20.0, 3.0], &[1.0, 10.0, 1.0]).median, 2.0);
    }

    #[test]
    fn one_outlier_moves_neither_median_nor_quartiles() {
        let quiet: Vec<_> = (0..9).map(f64::from).collect();
        let noisy: Vec<_> = (0..8).map(f64::from).chain([1e9]).collect();
        assert_eq!(Spread::of(quiet), Spread::of(noisy));
    }
}
