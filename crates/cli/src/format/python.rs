//! Python's `repr` of floats and strings, and its `json.dumps`.

use super::decimal::Decimal;
pub use image_feature::dataset::compat::string_repr;

/// `repr(x)` of a Python float: the shortest digits that read back, `1e-05` below 1e-4, `1e+16` from 1e16 up.
pub fn float_repr(value: f64) -> String {
    repr(value, Decimal::shortest_f64)
}

/// `repr(x)` of numpy's `float32`, without its `np.float32(…)`.
pub fn float32_repr(value: f32) -> String {
    repr(f64::from(value), |value| Decimal::shortest_f32(value as f32))
}

fn repr(value: f64, shortest: fn(f64) -> Decimal) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let decimal = shortest(value);
    if (-4..16).contains(&decimal.exponent) {
        let mut positional = decimal.positional();
        if positional.ends_with('.') {
            positional.push('0');
        }
        positional
    } else {
        decimal.scientific(0).replace(".e", "e")
    }
}

/// `json.dumps(x)` of a Python float: its `repr`, with `NaN` and `Infinity` where JSON has no number.
pub fn float_json(value: f64) -> String {
    if value.is_nan() {
        "NaN".into()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.into()
    } else {
        float_repr(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::numpy::tests::{cases, report};

    #[test]
    fn floats_as_python_writes_them() {
        report(cases("float").iter().filter_map(|case| {
            let bits = u64::from_str_radix(case[0].as_str().unwrap(), 16).unwrap();
            let (ours, repr) = (float_repr(f64::from_bits(bits)), case[1].as_str().unwrap());
            (ours != repr).then(|| format!("{bits:016x}: {ours} is not {repr}"))
        }));
        report(cases("float").iter().filter_map(|case| {
            let bits = u64::from_str_radix(case[0].as_str().unwrap(), 16).unwrap();
            let (ours, json) = (float_json(f64::from_bits(bits)), case[2].as_str().unwrap());
            (ours != json).then(|| format!("{bits:016x}: {ours} is not {json}"))
        }));
    }

    #[test]
    fn strings_as_python_writes_them() {
        report(cases("string").iter().filter_map(|case| {
            let (text, repr) = (case[0].as_str().unwrap(), case[1].as_str().unwrap());
            let ours = string_repr(text);
            (ours != repr).then(|| format!("{text:?}: {ours} is not {repr}"))
        }));
    }
}
