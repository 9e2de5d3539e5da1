//! Weighted quantiles, and the loss that scores a forecast of them.

/// A forecast of one slot's residual: net export in Wh, positive if left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quantiles {
    /// One time in ten it is less.
    pub p10_wh: i64,
    /// As often less as more.
    pub p50_wh: i64,
    /// One time in ten it is more.
    pub p90_wh: i64,
}

impl Quantiles {
    /// A figure that is taken as certain.
    #[must_use]
    pub const fn certain(wh: i64) -> Self {
        Self { p10_wh: wh, p50_wh: wh, p90_wh: wh }
    }

    /// The same forecast with a known energy added, such as a battery's.
    #[must_use]
    pub const fn shifted(self, wh: i64) -> Self {
        Self {
            p10_wh: self.p10_wh.saturating_add(wh),
            p50_wh: self.p50_wh.saturating_add(wh),
            p90_wh: self.p90_wh.saturating_add(wh),
        }
    }

    /// The pinball loss of the three quantiles against what came, in tenths of a Wh: for a quantile of
    /// `q` tenths, `q` times the shortfall or `10 - q` times the excess. Less is better.
    #[must_use]
    pub const fn pinball_tenths(self, actual_wh: i64) -> i64 {
        pinball(1, self.p10_wh, actual_wh)
            + pinball(5, self.p50_wh, actual_wh)
            + pinball(9, self.p90_wh, actual_wh)
    }
}

const fn pinball(q_tenths: i64, forecast_wh: i64, actual_wh: i64) -> i64 {
    let missed = actual_wh.saturating_sub(forecast_wh);
    if missed >= 0 { missed.saturating_mul(q_tenths) } else { missed.saturating_mul(q_tenths - 10) }
}

/// The weighted quantile `q` (0 to 1) of samples `(value, weight)`, which are sorted by it: linear
/// between the middles of the samples' weights. `None` if nothing has a weight.
#[must_use]
pub(crate) fn weighted(samples: &[(f64, f64)], q: f64) -> Option<f64> {
    let total: f64 = samples.iter().map(|sample| sample.1).sum();
    if total <= 0.0 {
        return None;
    }
    let (mut before, mut last) = (0.0, None);
    for (value, weight) in samples.iter().filter(|sample| sample.1 > 0.0) {
        let middle = (before + weight / 2.0) / total;
        if q <= middle {
            let Some((last_middle, last_value)) = last else { return Some(*value) };
            let share = (q - last_middle) / (middle - last_middle);
            return Some(last_value + share * (value - last_value));
        }
        before += weight;
        last = Some((middle, *value));
    }
    last.map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinball_loss_charges_each_quantile_by_its_side() {
        let forecast = Quantiles { p10_wh: 0, p50_wh: 100, p90_wh: 200 };
        // 0.1 * 100 + 0 + 0.1 * 100
        assert_eq!(forecast.pinball_tenths(100), 200);
        // 0.9 * 50 + 0.5 * 150 + 0.1 * 250
        assert_eq!(forecast.pinball_tenths(-50), 450 + 750 + 250);
    }

    #[test]
    fn quantiles_follow_the_weights() {
        let even = [(1.0, 1.0), (2.0, 1.0), (3.0, 1.0)];
        assert_eq!(weighted(&even, 0.5), Some(2.0));
        assert_eq!(weighted(&even, 0.0), Some(1.0));
        assert_eq!(weighted(&even, 1.0), Some(3.0));
        assert!(weighted(&[(1.0, 9.0), (10.0, 1.0)], 0.5).is_some_and(|median| median < 2.0));
        assert_eq!(weighted(&[(1.0, 0.0)], 0.5), None);
    }
}
