//! Logarithmic axes.

/// The steps of an axis within a power of ten.
const STEPS: [f64; 3] = [1.0, 2.0, 5.0];

/// An axis shorter than this many powers of ten has labels between them too.
const SHORT: f64 = 1.7;

/// A logarithmic axis, laid onto a stretch of the picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// The logarithms of its ends.
    low: f64,
    high: f64,
    begin: f64,
    end: f64,
}

impl Axis {
    /// Holds all of the values, from `begin` to `end` in the picture. With nothing to hold it is
    /// one power of ten long.
    pub(super) fn holding(values: impl Iterator<Item = f64> + Clone, begin: f64, end: f64) -> Self {
        let values = values.filter(|value| *value > 0.0);
        let lowest = values.clone().fold(f64::INFINITY, f64::min);
        let highest = values.fold(0.0, f64::max);
        let (low, high) = if lowest.is_finite() {
            (lowest.log10(), highest.log10())
        } else {
            (0.0, 1.0)
        };
        Self {
            low,
            high: if high > low { high } else { low + 1.0 },
            begin,
            end,
        }
    }

    /// The same from step to step: 1, 2 or 5 times a power of ten.
    pub(super) fn to_steps(mut self) -> Self {
        let steps =
            || (-20..=20).flat_map(|power| STEPS.map(|step| step.log10() + f64::from(power)));
        // The fuzz keeps a value that is a step from being rounded to the next one.
        let (low, high) = (self.low + 1e-9, self.high - 1e-9);
        self.low = steps().rfind(|step| *step <= low).unwrap_or(low);
        self.high = steps().find(|step| *step >= high).unwrap_or(high);
        self
    }

    /// Where a value lies in the picture.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        self.begin + share * (self.end - self.begin)
    }

    /// The values that are written: powers of ten, and on a short axis 2 and 5 times each.
    pub(super) fn labels(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high - self.low < SHORT {
            &STEPS
        } else {
            &[1.0]
        };
        self.multiples(steps)
    }

    /// The values that have a line.
    pub(super) fn lines(&self) -> Vec<f64> {
        self.multiples(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
    }

    fn multiples(&self, steps: &[f64]) -> Vec<f64> {
        let mut found = Vec::new();
        let mut power = self.low.floor();
        while power <= self.high {
            for step in steps {
                let here = power + step.log10();
                if here > self.low - 1e-9 && here < self.high + 1e-9 {
                    found.push(step * 10_f64.powf(power));
                }
            }
            power += 1.0;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Axis;

    fn axis(values: &[f64]) -> Axis {
        Axis::holding(values.iter().copied(), 100.0, 400.0)
    }

    #[test]
    fn equal_ratios_are_equal_lengths() {
        let axis = axis(&[10.0, 10_000.0]);
        let places = [10.0, 100.0, 1000.0, 10_000.0].map(|value| axis.place(value).round());
        assert_eq!(places, [100.0, 200.0, 300.0, 400.0]);
    }

    #[test]
    fn an_axis_ends_where_its_values_do_or_at_the_next_step() {
        let tight = axis(&[20.0, 3000.0]);
        assert!((tight.place(3000.0) - 400.0).abs() < 1e-6);
        assert_eq!(tight.labels(), [100.0, 1000.0]);
        assert_eq!(tight.lines().last(), Some(&3000.0));
        let wide = axis(&[30.0, 3000.0]).to_steps();
        assert!((wide.place(20.0) - 100.0).abs() < 1e-6);
        assert!((wide.place(5000.0) - 400.0).abs() < 1e-6);
        let exact = axis(&[20.0, 5000.0]).to_steps();
        assert!((exact.place(20.0) - 100.0).abs() < 1e-6);
    }

    #[test]
    fn a_short_axis_has_more_labels() {
        let axis = axis(&[150.0, 800.0]).to_steps();
        assert_eq!(axis.labels(), [100.0, 200.0, 500.0, 1000.0]);
    }

    #[test]
    fn nothing_to_show_is_still_an_axis() {
        assert_eq!(axis(&[]).labels(), [1.0, 2.0, 5.0, 10.0]);
        let one = axis(&[7.0]);
        assert!((one.place(7.0) - 100.0).abs() < 1e-6);
    }
}
