//! Figures out of many runs.

use serde::Serialize;

/// The middle of some values, and how far they lie apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// The value in the middle; of an even number of values, the mean of the two in the middle.
    pub median: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

impl Summary {
    /// Of these values; `None` of no values, and of any that is not a number.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        if sorted.iter().any(|value| value.is_nan()) {
            return None;
        }
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(*sorted.get(middle.checked_sub(1)?)?, upper)
        } else {
            upper
        };
        Some(Self {
            median,
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }

    /// Of the ratios of `values` to `base`, round by round. A round in which one of the two is
    /// missing, or the base is zero, is left out.
    ///
    /// Both sides of such a ratio were measured within seconds of each other, so what changes the
    /// speed of the whole machine from round to round drops out of it.
    #[must_use]
    pub fn of_ratios(values: &[Option<f64>], base: &[Option<f64>]) -> Option<Self> {
        let ratios = values.iter().zip(base).filter_map(|pair| match pair {
            (Some(value), Some(base)) if *base != 0.0 => Some(value / base),
            _ => None,
        });
        Self::of(ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn the_median_is_the_middle_of_the_sorted_values() {
        let of = |values: &[f64]| Summary::of(values.iter().copied()).map(|found| found.median);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some(3.0));
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(of(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
        assert_eq!(of(&[1.0, f64::NAN]), None);
    }

    #[test]
    fn the_lowest_and_the_highest_are_told_too() {
        let found = Summary::of([5.0, -1.0, 7.0]).unwrap();
        assert_eq!((found.min, found.max), (-1.0, 7.0));
    }

    #[test]
    fn a_ratio_of_medians_would_be_fooled_where_the_median_of_ratios_is_not() {
        // The machine was twice as fast in the second and third round; ours always takes 1.1.
        let base = [100.0, 200.0, 200.0, 100.0, 100.0].map(Some);
        let ours = [110.0, 220.0, 220.0, 110.0, 110.0].map(Some);
        let found = Summary::of_ratios(&ours, &base).unwrap();
        assert!((found.median - 1.1).abs() < 1e-9, "{found:?}");
        assert!((found.max - found.min).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn rounds_without_both_sides_are_left_out() {
        let base = [Some(1.0), None, Some(0.0), Some(2.0)];
        let ours = [Some(3.0), Some(5.0), Some(7.0), None];
        let found = Summary::of_ratios(&ours, &base).unwrap();
        assert_eq!((found.min, found.median, found.max), (3.0, 3.0, 3.0));
        assert_eq!(Summary::of_ratios(&[None], &[Some(1.0)]), None);
    }
}
