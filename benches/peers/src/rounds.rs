//! Rounds: each round measures everything that is compared once, in random order, so that disturbances of the machine
//! affect all of it alike.

use anyhow::Result;

use crate::progress::Progress;

/// Something to measure: takes the number of the round and returns the cost.
pub type Variant<'v> = Box<dyn FnMut(u64) -> Result<f64> + 'v>;

/// The costs of each variant in each round. An additional first round only warms up.
///
/// # Errors
/// The first error of a variant.
pub fn measure(rounds: u64, variants: Vec<Variant<'_>>, progress: &Progress, what: &str) -> Result<Vec<Vec<f64>>> {
    let mut variants: Vec<_> = variants.into_iter().map(|variant| (variant, Vec::new())).collect();
    let mut dice = fastrand::Rng::with_seed(rounds);
    let mut order: Vec<_> = (0..variants.len()).collect();
    let stage = progress.stage(what, (rounds + 1) * variants.len() as u64);
    for round in 0..=rounds {
        dice.shuffle(&mut order);
        for place in &order {
            if let Some((variant, costs)) = variants.get_mut(*place) {
                let cost = variant(round)?;
                if round > 0 {
                    costs.push(cost);
                }
                stage.inc(1);
            }
        }
    }
    Ok(variants.into_iter().map(|(_, costs)| costs).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn each_variant_is_measured_once_in_each_round_and_the_first_one_does_not_count() {
        let seen = RefCell::new(Vec::new());
        let variant = |name: u64| -> Variant<'_> {
            let seen = &seen;
            Box::new(move |round| {
                seen.borrow_mut().push((round, name));
                Ok((round * 10 + name) as f64)
            })
        };
        let costs = measure(20, vec![variant(0), variant(1), variant(2)], &Progress::hidden(), "").unwrap();
        assert_eq!(costs[1], (1..=20).map(|round| f64::from(round * 10 + 1)).collect::<Vec<_>>());
        let seen = seen.into_inner();
        assert!(seen.is_sorted_by_key(|(round, _)| *round) && seen.len() == 63);
        let orders: std::collections::BTreeSet<_> =
            seen.chunks(3).map(|round| round.iter().map(|(_, name)| *name).collect::<Vec<_>>()).collect();
        assert!(orders.len() > 3, "they always come in the same order");
    }

    #[test]
    fn the_error_of_a_variant_ends_the_measurement() {
        let failing: Variant<'_> = Box::new(|_| anyhow::bail!("no"));
        assert!(measure(1, vec![failing], &Progress::hidden(), "").is_err());
    }
}
