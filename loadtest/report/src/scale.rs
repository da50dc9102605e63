//! Where is a value on an axis, and which values are written beside it? Round ones: 1, 2 or 5 times a power of ten.

/// The written values of an axis, ascending. The axis may reach beyond them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ticks {
    /// Where the axis begins.
    pub(crate) from: f64,
    /// Where it ends.
    pub(crate) to: f64,
    /// What is written beside it.
    pub(crate) at: Vec<f64>,
}

/// From 0 to at least `max`, in about so many steps; from 0 to 1 if there is nothing to show.
pub(crate) fn linear(max: f64, steps: f64) -> Ticks {
    if !(max.is_finite() && max > 0.0) {
        return Ticks { from: 0.0, to: 1.0, at: vec![0.0, 1.0] };
    }
    let step = round_up(max / steps.max(1.0));
    let mut at = vec![0.0];
    let mut index = 0.0;
    while at[at.len() - 1] < max * (1.0 - 1e-9) {
        index += 1.0;
        at.push(step * index);
    }
    Ticks { from: 0.0, to: at[at.len() - 1], at }
}

/// From 0 to exactly `max`: for time, which ends where the measurement did.
pub(crate) fn linear_until(max: f64, steps: f64) -> Ticks {
    let mut ticks = linear(max, steps);
    if max.is_finite() && max > 0.0 {
        ticks.to = max;
        ticks.at.retain(|at| *at <= max * (1.0 + 1e-9));
    }
    ticks
}

/// Around `min` to `max`, each tick about twice the one before, or ten times where they would be too many.
pub(crate) fn logarithmic(min: f64, max: f64) -> Ticks {
    const TICKS_MAX: usize = 8;
    if !(min.is_finite() && max.is_finite() && 0.0 < min && min <= max) {
        return Ticks { from: 1.0, to: 10.0, at: vec![1.0, 10.0] };
    }
    let mut at = vec![round_down(min)];
    while at.len() < 2 || at[at.len() - 1] < max * (1.0 - 1e-9) {
        at.push(next(at[at.len() - 1]));
    }
    let (from, to) = (at[0], at[at.len() - 1]);
    if at.len() > TICKS_MAX {
        at.retain(|tick| mantissa(*tick) == 1);
    }
    Ticks { from, to, at }
}

/// Powers of ten, from one below `min`, so that the smallest value is more than nothing, to one at `max` or above.
pub(crate) fn decades(min: f64, max: f64) -> Ticks {
    if !(min.is_finite() && max.is_finite() && 0.0 < min && min <= max) {
        return Ticks { from: 1.0, to: 10.0, at: vec![1.0, 10.0] };
    }
    let below = (min.log10() - 1e-9).ceil() - 1.0;
    let above = (max.log10() - 1e-9).ceil().max(below + 1.0);
    let mut at = Vec::new();
    let mut exponent = below;
    while exponent <= above {
        at.push(10_f64.powf(exponent));
        exponent += 1.0;
    }
    Ticks { from: 10_f64.powf(below), to: 10_f64.powf(above), at }
}

/// Values on one side, pixels on the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    from: f64,
    to: f64,
    first_px: f64,
    last_px: f64,
    is_log: bool,
}

impl Scale {
    /// Equal distances for equal differences.
    pub(crate) fn linear(ticks: &Ticks, first_px: f64, last_px: f64) -> Self {
        Self { from: ticks.from, to: ticks.to, first_px, last_px, is_log: false }
    }

    /// Equal distances for equal ratios.
    pub(crate) fn log(ticks: &Ticks, first_px: f64, last_px: f64) -> Self {
        Self { from: ticks.from.log10(), to: ticks.to.log10(), first_px, last_px, is_log: true }
    }

    /// Where the value is; the nearer end if it is outside.
    pub(crate) fn px(&self, value: f64) -> f64 {
        // The logarithm of 0 is at the lower end, too.
        let value = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.first_px + share * (self.last_px - self.first_px)
    }
}

fn magnitude(value: f64) -> f64 {
    10_f64.powf((value.log10() + 1e-9).floor())
}

/// 1, 2 or 5, of a value that is one of these times a power of ten.
fn mantissa(tick: f64) -> u8 {
    match tick / magnitude(tick) {
        ratio if ratio < 1.5 => 1,
        ratio if ratio < 3.5 => 2,
        _ => 5,
    }
}

fn round_up(value: f64) -> f64 {
    let below = round_down(value);
    if below >= value * (1.0 - 1e-9) { below } else { next(below) }
}

fn round_down(value: f64) -> f64 {
    let magnitude = magnitude(value);
    let ratio = value / magnitude * (1.0 + 1e-9);
    magnitude
        * if ratio >= 5.0 {
            5.0
        } else if ratio >= 2.0 {
            2.0
        } else {
            1.0
        }
}

fn next(tick: f64) -> f64 {
    let magnitude = magnitude(tick);
    match mantissa(tick) {
        1 => 2.0 * magnitude,
        2 => 5.0 * magnitude,
        _ => 10.0 * magnitude,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::tick;

    fn written(ticks: &Ticks) -> Vec<String> {
        ticks.at.iter().copied().map(tick).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_reach_the_highest_value() {
        assert_eq!(written(&linear(31_204.0, 5.0)), ["0", "10,000", "20,000", "30,000", "40,000"]);
        assert_eq!(written(&linear(60.0, 6.0)), ["0", "10", "20", "30", "40", "50", "60"]);
        assert_eq!(written(&linear(0.7, 5.0)), ["0", "0.2", "0.4", "0.6", "0.8"]);
    }

    #[test]
    fn time_ends_where_the_measurement_did() {
        let ticks = linear_until(17.3, 5.0);
        assert_eq!((written(&ticks), ticks.to), (["0", "5", "10", "15"].map(str::to_owned).to_vec(), 17.3));
    }

    #[test]
    fn few_decades_are_divided_and_many_are_not() {
        assert_eq!(written(&logarithmic(0.3, 14.0)), ["0.2", "0.5", "1", "2", "5", "10", "20"]);
        assert_eq!(written(&logarithmic(0.03, 1_400.0)), ["0.1", "1", "10", "100", "1,000"]);
        assert_eq!(written(&logarithmic(1.0, 1.0)), ["1", "2"]);
    }

    #[test]
    fn the_smallest_bar_is_longer_than_nothing() {
        assert_eq!(written(&decades(10.0, 31_000.0)), ["1", "10", "100", "1,000", "10,000", "100,000"]);
        assert_eq!(written(&decades(1_000.0, 1_000.0)), ["100", "1,000"]);
    }

    #[test]
    fn nothing_to_show_still_has_an_axis() {
        for max in [0.0, f64::NAN, f64::INFINITY, -1.0] {
            assert_eq!(written(&linear(max, 5.0)), ["0", "1"], "{max}");
            assert_eq!(written(&linear_until(max, 5.0)), ["0", "1"], "{max}");
            assert_eq!(written(&logarithmic(0.0, max)), ["1", "10"], "{max}");
            assert_eq!(written(&decades(0.0, max)), ["1", "10"], "{max}");
        }
    }

    #[test]
    fn equal_ratios_are_equally_far_apart_and_nothing_leaves_the_axis() {
        let ticks = logarithmic(1.0, 100.0);
        let scale = Scale::log(&ticks, 300.0, 100.0);
        let at = [1.0, 10.0, 100.0, 0.0, 1e9].map(|value| scale.px(value));
        assert_eq!(at.map(tick), ["300", "200", "100", "300", "100"]);
        let scale = Scale::linear(&linear(10.0, 5.0), 0.0, 50.0);
        assert_eq!([0.0, 4.0, 11.0].map(|value| tick(scale.px(value))), ["0", "20", "50"]);
    }
}
