//! PaddleX's division of the rows into three new lists.

use super::check::Tag;
use super::files::{ShiTuRec, is_a_folder, join};
use super::{Exception, PythonRandom, Stop, python};
use crate::file_tree::EntryKind;

/// A share in percent, as in PaddleX's configuration. Whether it is a whole number shows in messages.
///
/// ```
/// use image_feature::dataset::compat::Percent;
///
/// assert_eq!("70".parse::<Percent>()?, Percent::Whole(70));
/// assert_eq!("33.4".parse::<Percent>()?.value(), 33.4);
/// assert_eq!([70.0, 33.4].map(Percent::from), [Percent::Whole(70), Percent::Fraction(33.4)]);
/// # Ok::<(), image_feature::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Percent {
    /// Such as `70`.
    Whole(i64),
    /// Such as `33.4`.
    Fraction(f64),
}

impl Percent {
    /// The share as a number, from 0 to 100.
    pub fn value(self) -> f64 {
        match self {
            Percent::Whole(value) => value as f64,
            Percent::Fraction(value) => value,
        }
    }

    fn text(self) -> String {
        match self {
            Percent::Whole(value) => value.to_string(),
            Percent::Fraction(value) => python::float_repr(value),
        }
    }

    fn type_name(percent: Option<Percent>) -> &'static str {
        match percent {
            None => "NoneType",
            Some(Percent::Whole(_)) => "int",
            Some(Percent::Fraction(_)) => "float",
        }
    }
}

/// A number without a fraction is [`Percent::Whole`].
impl From<f64> for Percent {
    fn from(value: f64) -> Self {
        match value as i64 {
            whole if whole as f64 == value => Percent::Whole(whole),
            _ => Percent::Fraction(value),
        }
    }
}

impl std::str::FromStr for Percent {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        if let Ok(whole) = text.parse() {
            return Ok(Percent::Whole(whole));
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Percent::Fraction(value)),
            _ => Err(crate::Error::usage(format!("`{text}` is no number of percent, such as 70"))),
        }
    }
}

impl ShiTuRec<'_> {
    /// Divides the rows of all lists anew, shuffled as in Python after `random.seed(seed)`; PaddleX uses a random seed.
    /// `percents` are for the training list, the gallery and the queries. An old list is kept as `.bak`, unless there
    /// is such a file already.
    ///
    /// # Errors
    /// [`Stop::Raised`] for shares that are missing, not positive or not 100 together, and where there is no list.
    /// [`Stop::Error`] for lists that cannot be read. Nothing is changed then.
    pub fn split(&mut self, percents: [Option<Percent>; 3], seed: u64) -> Result<(), Stop> {
        let [train, gallery, query] = checked(percents)?;
        let mut rows = Vec::new();
        let mut renames = Vec::new();
        let mut any = false;
        for tag in Tag::ALL {
            match self.kind(tag.file_name()) {
                None => continue,
                Some(EntryKind::Folder) => return Err(is_a_folder(&join(&self.absolute, tag.file_name()))),
                Some(EntryKind::File) => {}
            }
            any = true;
            rows.extend(python::lines(&self.text(tag.file_name())?));
            let kept = format!("{}.bak", tag.file_name());
            if self.kind(&kept).is_none() {
                renames.push((tag.file_name(), kept));
            }
        }
        if !any {
            let message =
                "The files to be dividedtrain.txt, gallery.txt, gallery.txt, do not exist in the dataset directory.";
            return Err(Exception::new("AssertionError", message).into());
        }
        for (from, to) in renames {
            self.rename(from, &to);
        }
        PythonRandom::new(seed).shuffle(&mut rows);
        self.write_lists(&rows, [train, gallery, query].map(Percent::value));
        Ok(())
    }

    /// Writes the rows into the three lists, in order. The first two get their shares, rounded half to even; the
    /// queries get the rest.
    pub(super) fn write_lists(&mut self, rows: &[String], [train, gallery, _]: [f64; 3]) {
        let share = |percent: f64| (rows.len() as f64 * percent / 100.0).round_ties_even() as usize;
        let first = share(train).min(rows.len());
        let second = (first + share(gallery)).min(rows.len());
        for (tag, rows) in Tag::ALL.into_iter().zip([&rows[..first], &rows[first..second], &rows[second..]]) {
            self.write(tag.file_name(), rows.concat().into_bytes());
        }
    }
}

fn checked([train, gallery, query]: [Option<Percent>; 3]) -> Result<[Percent; 3], Exception> {
    let cannot_add = |left: &str, right: Option<Percent>| {
        let message = format!("unsupported operand type(s) for +: '{left}' and '{}'", Percent::type_name(right));
        Exception::new("TypeError", message)
    };
    let (Some(train), Some(gallery)) = (train, gallery) else {
        return Err(cannot_add(Percent::type_name(train), gallery));
    };
    let is_whole = |percent| matches!(percent, Percent::Whole(_));
    let Some(query) = query else {
        let sum = if is_whole(train) && is_whole(gallery) { "int" } else { "float" };
        return Err(cannot_add(sum, None));
    };
    let all = [train, gallery, query];
    let [a, b, c] = all.map(Percent::text);
    if train.value() + gallery.value() + query.value() != 100.0 {
        let message = format!("The sum of train_rate({a}), gallery_rate({b}), query_rate({c}) should equal 100!");
        return Err(Exception::new("AssertionError", message));
    }
    if all.iter().any(|percent| percent.value() <= 0.0) {
        let message =
            format!("The train_rate({a}) and gallery_rate({b}) and query_rate({c}) should be greater than 0!");
        return Err(Exception::new("AssertionError", message));
    }
    Ok(all)
}
