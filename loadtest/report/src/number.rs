//! How is a number written? With its thousands apart, and no more digits than mean something.

/// A count: 10,000.
pub(crate) fn whole(count: u64) -> String {
    group(&count.to_string())
}

/// A measured value with three significant digits, or all of those before the point: 0.0123, 1.23, 12.3, 123, 12,345.
pub(crate) fn figure(value: f64) -> String {
    let value = unsigned_zero(value);
    let size = value.abs();
    let decimals = match size {
        _ if size == 0.0 || size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ if size >= 0.099_95 => 3,
        _ => 4,
    };
    group(&format!("{value:.decimals$}"))
}

/// A round value beside an axis: as many decimals as it has, at most six.
pub(crate) fn tick(value: f64) -> String {
    let text = format!("{:.6}", unsigned_zero(value));
    group(text.trim_end_matches('0').trim_end_matches('.'))
}

/// A count on an axis. Above 2^53 it is off by one, which no picture shows.
#[expect(clippy::cast_precision_loss, reason = "pictures show a thousandth of their height at best")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// How many things there are, on an axis.
#[expect(clippy::cast_precision_loss, reason = "no list here has 2^53 elements")]
pub(crate) fn length(count: usize) -> f64 {
    count as f64
}

/// The sum of no values at all is -0, which nobody wants to read.
fn unsigned_zero(value: f64) -> f64 {
    value + 0.0
}

fn group(text: &str) -> String {
    let (number, decimals) = text.split_once('.').map_or((text, None), |(number, decimals)| (number, Some(decimals)));
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("-", digits));
    let mut grouped = sign.to_owned();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(decimals) = decimals {
        grouped.push('.');
        grouped.push_str(decimals);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(whole), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn figures_have_three_digits_that_mean_something() {
        let written = [0.0, 0.0123, 0.5, 1.234, 9.999, 12.34, 99.97, 123.4, 24_251.6].map(figure);
        assert_eq!(written, ["0", "0.0123", "0.500", "1.23", "10.0", "12.3", "100", "123", "24,252"]);
    }

    #[test]
    fn nothing_at_all_is_zero() {
        let nothing: f64 = std::iter::empty::<f64>().sum();
        assert_eq!((figure(nothing), tick(nothing)), ("0".to_owned(), "0".to_owned()));
    }

    #[test]
    fn ticks_have_no_digits_too_many() {
        assert_eq!([0.0, 0.05, 0.1, 2.5, 10.0, 50_000.0].map(tick), ["0", "0.05", "0.1", "2.5", "10", "50,000"]);
        assert_eq!(tick(-1_500.5), "-1,500.5");
    }
}
