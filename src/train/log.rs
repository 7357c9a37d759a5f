//! `train.log`: the lines that PaddleClas writes, so that tools for its logs can read it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::network::Losses;
use crate::Result;
use crate::error::Context;

/// A log that is written line by line.
pub(super) struct Log {
    file: File,
}

impl Log {
    /// Appends to the log at a path if `resumed`, or creates it anew.
    pub fn open(path: &Path, resumed: bool) -> Result<Self> {
        let mut options = File::options();
        options.create(true);
        if resumed {
            options.append(true)
        } else {
            options.write(true).truncate(true)
        };
        Ok(Log { file: options.open(path).context(|| path.display().to_string())? })
    }

    /// Writes one message.
    pub fn line(&mut self, message: &str) -> Result<()> {
        self.write("INFO", message)
    }

    /// Writes one warning.
    pub fn warn(&mut self, message: &str) -> Result<()> {
        self.write("WARNING", message)
    }

    fn write(&mut self, level: &str, message: &str) -> Result<()> {
        let line = format!("[{}] ppcls {level}: {message}\n", timestamp(SystemTime::now()));
        self.file.write_all(line.as_bytes()).context(|| "train.log".into())
    }
}

/// A time in UTC: `2026/11/23 07:17:40`.
fn timestamp(now: SystemTime) -> String {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}")
}

/// Year, month and day from the days since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    // years begin in March, so that the leap day is the last; an era has 400 years
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

/// Averages of the losses over an epoch, weighted by the batch sizes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Averages {
    sums: Vec<(&'static str, f64)>,
    weight: f64,
}

impl Averages {
    pub fn add(&mut self, losses: &Losses, count: usize) {
        self.sums.resize(losses.len(), ("", 0.0));
        for (sum, (name, loss)) in self.sums.iter_mut().zip(losses) {
            *sum = (name, sum.1 + f64::from(*loss) * count as f64);
        }
        self.weight += count as f64;
    }

    /// The averages by name, the total last.
    pub fn values(&self) -> Vec<(&'static str, f64)> {
        self.sums.iter().map(|&(name, sum)| (name, sum / self.weight)).collect()
    }

    /// The averages as text: `CELoss: 2.07340, loss: 3.12348`.
    pub fn text(&self) -> String {
        let values = self.values().into_iter().map(|(name, value)| format!("{name}: {value:.5}"));
        values.collect::<Vec<_>>().join(", ")
    }
}

/// Seconds in the form of Python's `timedelta`: `0:01:05`, `1 day, 2:03:04`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let clock = format!("{}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match seconds / 86_400 {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_written_as_python_does() {
        let at = |seconds| timestamp(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970/01/01 00:00:00");
        assert_eq!(at(1_795_418_254), "2026/11/23 07:17:34");
        assert_eq!(at(1_709_164_800), "2024/02/29 00:00:00");
        assert_eq!(at(4_107_542_399), "2100/02/28 23:59:59");
        assert_eq!(at(4_107_542_400), "2100/03/01 00:00:00");
        assert_eq!(duration(65.4), "0:01:05");
        assert_eq!(duration(86_400.0 + 7384.0), "1 day, 2:03:04");
        assert_eq!(duration(2.0 * 86_400.0), "2 days, 0:00:00");
    }

    #[test]
    fn averages_count_images() {
        let mut averages = Averages::default();
        averages.add(&vec![("CELoss", 1.0), ("loss", 2.0)], 30);
        averages.add(&vec![("CELoss", 4.0), ("loss", 5.0)], 10);
        assert_eq!(averages.values(), [("CELoss", 1.75), ("loss", 2.75)]);
        assert_eq!(averages.text(), "CELoss: 1.75000, loss: 2.75000");
    }
}
