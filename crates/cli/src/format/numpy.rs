//! numpy's `repr` of a `float32` array, abbreviated the way PaddleX 3.x prints a result.

use super::decimal::Decimal;

/// numpy's default line width.
const LINE_WIDTH: usize = 75;

/// `repr(array)` of a one-dimensional `float32` array under `np.printoptions(threshold=1, edgeitems=1)` (numpy 2):
/// the first and the last value, which share one format.
pub fn array_repr(values: &[f32]) -> String {
    let shown: &[f32] = match values {
        [first, _, .., last] => &[*first, *last],
        all => all,
    };
    let format = ElementFormat::of(shown);
    let elements: Vec<String> = shown.iter().map(|&value| format.format(value)).collect();
    let separator = if values.len() > 2 { ", ..., " } else { ", " };
    let start = format!("array([{}],", elements.join(separator));
    let extras = match values.len() {
        0 | 1 => "dtype=float32)".to_string(),
        length => format!("shape=({length},), dtype=float32)"),
    };
    let space = if start.len() + 1 + extras.len() > LINE_WIDTH { "\n      " } else { " " };
    format!("{start}{space}{extras}")
}

/// What the shown elements agree on (`numpy._core.arrayprint.FloatingFormat` of numpy 2.4, precision 8).
struct ElementFormat {
    /// Digits after the point of every mantissa, where the exponent form is used.
    exponent_digits: Option<usize>,
    /// Width before the point, the sign included.
    left: usize,
    /// Width after the point.
    right: usize,
}

impl ElementFormat {
    fn of(values: &[f32]) -> Self {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let sizes = || finite().map(f32::abs).filter(|&size| size != 0.0);
        let (smallest, largest) = (sizes().fold(f32::INFINITY, f32::min), sizes().fold(0.0, f32::max));
        let exponent = largest > 0.0 && (largest >= 1e6 || smallest < 0.0001 || largest / smallest > 1000.0);

        let (mut left, mut right) = (0, 0);
        for value in finite() {
            let text = if exponent { Decimal::shortest_f32(value).scientific(0) } else { positional(value) };
            let (whole, fraction) = text.split_once('.').expect("both forms write a point");
            left = left.max(whole.len());
            right = right.max(fraction.split('e').next().unwrap_or_default().len());
        }
        let exponent_digits = exponent.then_some(right);
        if exponent {
            right += "e+00".len();
        }
        for value in values.iter().filter(|value| !value.is_finite()) {
            left = left.max(non_finite(*value).len().saturating_sub(right + 1));
        }
        ElementFormat { exponent_digits, left, right }
    }

    fn format(&self, value: f32) -> String {
        let ElementFormat { left, right, .. } = *self;
        if !value.is_finite() {
            return format!("{:>width$}", non_finite(value), width = left + right + 1);
        }
        let text = match self.exponent_digits {
            // numpy fills up with the value's own digits, not with zeros
            Some(digits) if Decimal::shortest_f32(value).digits.len() <= digits => {
                Decimal::rounded(value.into(), digits).scientific(digits)
            }
            Some(digits) => Decimal::shortest_f32(value).scientific(digits),
            None => positional(value),
        };
        let (whole, fraction) = text.split_once('.').expect("both forms write a point");
        format!("{whole:>left$}.{fraction:<right$}")
    }
}

fn non_finite(value: f32) -> &'static str {
    if value.is_nan() {
        "nan"
    } else if value > 0.0 {
        "inf"
    } else {
        "-inf"
    }
}

/// Shortest digits that read back, at most 8 after the point, without trailing zeros: `1.`, `-0.02117877`.
fn positional(value: f32) -> String {
    let shortest = Decimal::shortest_f32(value).positional();
    let fraction = shortest.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if fraction <= 8 {
        return shortest;
    }
    // The cut rounds the value itself, not its shortest digits.
    format!("{:.8}", f64::from(value)).trim_end_matches('0').to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::Value;

    /// One table of `tests/cli/python_cases.json`, which `tests/cli/make_python_cases.py` writes.
    pub fn cases(table: &str) -> Vec<Value> {
        let tables: Value = serde_json::from_str(include_str!("../../tests/cli/python_cases.json")).unwrap();
        let cases = tables[table].as_array().unwrap().clone();
        assert!(cases.len() > 20, "table {table} has only {} cases", cases.len());
        cases
    }

    /// Fails with every message there is.
    pub fn report(failures: impl Iterator<Item = String>) {
        let failures: Vec<String> = failures.collect();
        assert!(failures.is_empty(), "{} cases fail:\n{}", failures.len(), failures.join("\n"));
    }

    #[test]
    fn arrays_as_numpy_writes_them() {
        report(cases("array").iter().filter_map(|case| {
            let length = case[0].as_u64().unwrap() as usize;
            let value = |field: usize| f32::from_bits(u32::from_str_radix(case[field].as_str().unwrap(), 16).unwrap());
            let mut values = vec![0.5; length];
            values[length - 1] = value(2);
            values[0] = value(1);
            let (ours, repr) = (array_repr(&values), case[3].as_str().unwrap());
            (ours != repr).then(|| format!("{case}: {ours}"))
        }));
    }
}
