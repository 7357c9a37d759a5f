//! The shortest decimal that reads back as the same float, the way Python and numpy choose it.

/// A finite float in decimal: `-d.ddd * 10^exponent`.
pub struct Decimal {
    pub negative: bool,
    /// At least one; no zeros at the end.
    pub digits: String,
    pub exponent: i32,
}

impl Decimal {
    /// The shortest decimal that reads back as this `f64`.
    pub fn shortest_f64(value: f64) -> Self {
        Self::nearest(&format!("{value:e}"), value, |text| text.parse() == Ok(value))
    }

    /// The shortest decimal that reads back as this `f32`.
    pub fn shortest_f32(value: f32) -> Self {
        Self::nearest(&format!("{value:e}"), value.into(), |text| text.parse() == Ok(value))
    }

    /// `value` to this many digits after the first, half to even.
    pub fn rounded(value: f64, digits: usize) -> Self {
        Self::parse(&format!("{value:.digits$e}"))
    }

    /// Where two shortest decimals are equally near, Rust takes the larger one, Python and numpy the even one.
    fn nearest(shortest: &str, value: f64, reads_back: impl Fn(&str) -> bool) -> Self {
        let mantissa = shortest.split('e').next().unwrap_or_default();
        let digits = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let even = format!("{value:.digits$e}");
        Self::parse(if reads_back(&even) { &even } else { shortest })
    }

    /// Reads what `{:e}` writes.
    fn parse(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once('e').expect("{:e} always writes an exponent");
        let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
        let kept = digits.trim_end_matches('0').len().max(1);
        Decimal {
            negative: mantissa.starts_with('-'),
            digits: digits[..kept].to_string(),
            exponent: exponent.parse().expect("{:e} writes a whole number"),
        }
    }

    /// Without an exponent: `-0.0125`, `1200.`, always with a point.
    pub fn positional(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let digits = &self.digits;
        match usize::try_from(self.exponent) {
            Err(_) => format!("{sign}0.{}{digits}", "0".repeat(self.exponent.unsigned_abs() as usize - 1)),
            Ok(exponent) => {
                let padded = format!("{digits:0<width$}", width = exponent + 1);
                let (whole, fraction) = padded.split_at(exponent + 1);
                format!("{sign}{whole}.{fraction}")
            }
        }
    }

    /// With an exponent of at least two digits and at least `fraction` digits after the point: `-1.25e-02`, `1.e+08`.
    pub fn scientific(&self, fraction: usize) -> String {
        let sign = if self.negative { "-" } else { "" };
        let (first, rest) = self.digits.split_at(1);
        let exponent_sign = if self.exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}.{rest:0<fraction$}e{exponent_sign}{:02}", self.exponent.unsigned_abs())
    }
}
