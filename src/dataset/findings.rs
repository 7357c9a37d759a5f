//! Findings of a check: their codes, which do not change from version to version, and a bounded number for each code.

use super::subset::Subset;

/// The severity of a finding. Errors come first in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Training or evaluation would fail, or give wrong numbers.
    Error,
    /// It works, but probably not as intended.
    Warning,
    /// Worth knowing.
    Hint,
}

impl Severity {
    /// `error`, `warning` or `hint`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Hint => "hint",
        }
    }
}

struct Entry {
    id: &'static str,
    name: &'static str,
    severity: Severity,
    title: &'static str,
    fix: &'static str,
}

macro_rules! codes {
    ($($variant:ident $id:literal $name:literal $severity:ident $title:literal $fix:literal;)*) => {
        /// A kind of finding, with a severity, a title and a remedy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = concat!($id, ": ", $title, ".")] $variant,)*
        }

        const TABLE: &[Entry] = &[
            $(Entry { id: $id, name: $name, severity: Severity::$severity, title: $title, fix: $fix },)*
        ];

        impl Code {
            /// All codes.
            pub const ALL: &[Code] = &[$(Code::$variant,)*];
        }
    };
}

codes! {
    ArchiveProblem "A001" "archive-problem" Error "The archive, or an entry of it, cannot be used" "Pack the archive again, with plain names and without links or passwords";
    ArchiveOddity "A002" "archive-oddity" Warning "The archive is not as it should be" "Pack the archive again";
    FolderOddity "A003" "folder-oddity" Warning "The folder has links or names that are not as they should be" "Give files names in UTF-8, and take out links that lead back";
    ListMissing "L001" "list-missing" Error "A list is missing" "Write it: a row `PATH LABEL` for each image; `image-feature convert` makes lists from folders, CSV and LabelMe, `image-feature split` makes them from one another";
    ListEmpty "L002" "list-empty" Error "A list has no rows" "Add rows `PATH LABEL`, or make the lists anew with `image-feature split`";
    ListUnreadable "L003" "list-unreadable" Error "A list cannot be read" "Make it a text file below 256 MB";
    NotUtf8 "L004" "not-utf8" Error "A row is not UTF-8" "Save the list as UTF-8; `check --fix` does it where the encoding is known";
    ByteOrderMark "L005" "byte-order-mark" Error "A byte order mark stands before the first path" "Save the list as UTF-8 without BOM; `check --fix` does it";
    WindowsLineEnds "L006" "windows-line-ends" Hint "Lines end as on Windows (CRLF)" "Save with LF: other tools take the CR for a part of the label; `check --fix` does it";
    NoFinalNewline "L007" "no-final-newline" Hint "The last row has no line end" "End the last row with a line break: PaddleX's split glues it to another row; `check --fix` does it";
    BlankRow "L008" "blank-row" Error "A row is blank" "Delete the row; `check --fix` does it";
    TabSeparator "L009" "tab-separator" Error "A tab separates path and label" "Separate path and label by one space; `check --fix` does it";
    ExtraSpace "L010" "extra-space" Error "There are spaces before, after or between, beside the one that separates" "Leave exactly one space between path and label; `check --fix` does it";
    SpaceInName "L011" "space-in-name" Error "There is a space in the path" "Rename the file: the format has no way to write a space; `check --fix` does it in its copy";
    OtherSeparator "L012" "other-separator" Error "Another character than a space separates path and label" "Separate path and label by one space; `check --fix` does it";
    LabelMissing "L013" "label-missing" Error "A row has no label" "Add a space and the class number";
    LabelNotInteger "L014" "label-not-integer" Error "The label is not a whole number" "Number the classes from 0; `image-feature convert --from csv` does it for names";
    LabelOutOfRange "L015" "label-out-of-range" Error "The label does not fit into 64 bits" "Number the classes from 0";
    ExtraColumn "L016" "extra-column" Error "A row has more than path and label" "Keep path and label only";
    GluedRows "L017" "glued-rows" Error "Two rows are glued into one" "Break the line after the first label: a list without final line end was joined to another";
    AbsolutePath "L018" "absolute-path" Error "The path is absolute" "Write the path from the data set's folder on: elsewhere the absolute one leads nowhere; `check --fix` does it where the file is in the data set";
    PathOutside "L019" "path-outside" Error "The path leads out of the data set" "Move the image into the data set";
    WindowsSeparator "L020" "windows-separator" Error "The path is written with backslashes" "Write `/`; `check --fix` does it";
    PathNotNormal "L021" "path-not-normal" Hint "The path has `.` or empty parts" "Write it without; `check --fix` does it";
    DuplicateRow "L022" "duplicate-row" Warning "A row is there twice" "Delete one; `check --fix` does it";
    ConflictingLabels "L023" "conflicting-labels" Error "A path has two labels in one list" "Decide which label is right; `check --fix` sets such rows aside";
    ListedAcross "L024" "listed-across" Error "An image is in two lists" "Keep it in one: the network has seen, or the query finds, the very same file";
    FileMissing "F001" "file-missing" Error "A listed file does not exist" "Add the file, or delete the row";
    FileCase "F002" "file-case" Error "A file's name differs in upper and lower case" "Write it as the file is called: Linux tells them apart; `check --fix` does it";
    NotAFile "F003" "not-a-file" Error "A listed path is a folder" "List the images in it";
    UnlistedImage "F004" "unlisted-image" Hint "No list names an image" "List it, or leave it out of the data set";
    ImagesFolder "F005" "images-folder" Warning "There is not exactly one folder `images`" "Keep all images below one folder `images` beside the lists: PaddleX looks for it; `check --fix` does it in its copy";
    UnicodeForm "F006" "unicode-form" Error "A file's name is written in another form of Unicode" "Write it as the file is called: macOS takes letters and their accents apart, other systems tell the forms apart; `check --fix` does it";
    Unreadable "I001" "unreadable" Error "A file or folder cannot be read" "Check the file and its permissions, or the archive it is in";
    Undecodable "I002" "undecodable" Error "A file is no image that can be decoded" "Replace the image, or delete its rows; `check --fix` sets them aside";
    Truncated "I003" "truncated" Error "An image ends before its end" "Copy or download it again; `check --fix` sets its rows aside";
    Damaged "I004" "damaged" Error "An image has damaged data: a part of it shows nothing or something else" "Copy or download it again; `check --fix` sets its rows aside";
    UnsupportedFormat "I005" "unsupported-format" Error "A file is of a format that is not read" "Convert it to JPEG or PNG";
    TooLarge "I006" "too-large" Error "An image is larger than is decoded" "Scale it down";
    WrongExtension "I007" "wrong-extension" Warning "The file name's extension is not the format's" "Rename the file: some programs go by the name";
    Animated "I008" "animated" Warning "An image has several frames or pages" "Save the one that counts: only the first is used";
    Cmyk "I009" "cmyk" Warning "An image is CMYK" "Save it as RGB: programs differ in the colours they make of it";
    SixteenBit "I010" "sixteen-bit" Hint "An image has 16 bits a sample" "Nothing, if 8 bits do: only the upper ones are used";
    Transparent "I011" "transparent" Hint "An image has an alpha channel" "Put it on a background: alpha is dropped, what was hidden under it shows";
    Tiny "I012" "tiny" Warning "An image is too small to recognise anything" "Replace it: it is enlarged to the network's size";
    Huge "I013" "huge" Hint "An image has more than 50 megapixels" "Scale it down: it slows training, which uses a few hundred pixels a side";
    Elongated "I014" "elongated" Hint "An image is more than eight times as long as wide" "Crop it: it is squeezed to a square";
    ExifRotated "I015" "exif-rotated" Hint "EXIF says that an image is to be turned" "Save it upright: programs that ignore EXIF see it lying";
    Blank "I016" "blank" Warning "An image is blank, or nearly" "Replace it";
    Dark "I017" "dark" Hint "An image is very dark" "Look at it";
    Bright "I018" "bright" Hint "An image is nearly white" "Look at it";
    Blurred "I019" "blurred" Hint "An image is blurred" "Look at it";
    QueryClassAbsent "C001" "query-class-absent" Error "A query class is not in the gallery" "Add an image of the class to the gallery, or take its queries out: they cannot be found, and PaddleX leaves them out of its recall, which then looks better than it is";
    BlockWithoutMatch "C002" "block-without-match" Error "64 queries in a row have no class that the gallery has" "Add their classes to the gallery: PaddleX's recall and mAP become `nan`";
    GalleryTooSmall "C003" "gallery-too-small" Error "The gallery has fewer than five images" "Add images: PaddleX cannot compute recall@5, and ends";
    SingleImageClass "C004" "single-image-class" Warning "A class of the training list has one image" "Add images: there is no second one to bring it near to";
    ClassImbalance "C005" "class-imbalance" Warning "The largest class of the training list has more than ten times as many images as the median one" "Add images to small classes: batches are drawn in proportion to class size";
    BatchNotDivisible "C006" "batch-not-divisible" Error "The batch size is no multiple of 4" "Take a multiple of 4: PaddleX draws 4 images of each class";
    TooFewClasses "C007" "too-few-classes" Error "The training list has too few classes for the batch size" "Take a smaller batch, or add classes";
    ClassesInTrain "C008" "classes-in-train" Hint "Classes of an evaluation list are in the training list, too" "Nothing, if new images of known classes are the task; for unknown classes split with `--by class`";
    DuplicateFile "D001" "duplicate-file" Warning "Two files are the same, byte by byte" "Keep one";
    DuplicatePixels "D002" "duplicate-pixels" Warning "Two files hold the same pixels" "Keep one";
    DuplicateAcross "D003" "duplicate-across" Error "The same image is in two lists" "Keep it in one: the network has seen, or the query finds, the very same picture; `image-feature split` keeps copies together";
    DuplicateLabels "D004" "duplicate-labels" Error "The same image has two labels" "Decide which is right";
    NearDuplicate "D005" "near-duplicate" Hint "Two images are nearly the same" "Keep one, if they are copies";
    NearDuplicateAcross "D006" "near-duplicate-across" Warning "Nearly the same image is in two lists" "Keep it in one, if they are copies: evaluation looks better than it is; `image-feature split` keeps copies together";
    NearDuplicateLabels "D007" "near-duplicate-labels" Warning "Nearly the same image has two labels" "Look at both: one label may be wrong";
    SimilarFeatures "M001" "similar-features" Hint "The model takes two images for the same" "Keep one, if they are copies";
    LikelyMislabel "M002" "likely-mislabel" Warning "An image looks like those of another class" "Look at its label";
    Outlier "M003" "outlier" Hint "An image looks like no other" "Check whether it belongs here";
    ModelBlind "M004" "model-blind" Warning "The model hardly tells the images apart" "Use a model that is trained on images of this kind: with this one, similar images, labels and outliers are not checked";
}

impl Code {
    fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }

    /// The code's id, which never changes: a letter and three digits.
    ///
    /// ```
    /// use image_feature::dataset::Code;
    ///
    /// assert_eq!((Code::BlankRow.id(), Code::BlankRow.name()), ("L008", "blank-row"));
    /// ```
    pub fn id(self) -> &'static str {
        self.entry().id
    }

    /// The code's name: words in lower case with hyphens.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The severity of its findings.
    pub fn severity(self) -> Severity {
        self.entry().severity
    }

    /// Its meaning, as a sentence without the full stop.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// The remedy, as a sentence without the full stop.
    pub fn fix(self) -> &'static str {
        self.entry().fix
    }
}

/// One finding, with its place.
///
/// ```
/// use image_feature::dataset::{Code, Finding, Subset};
///
/// let finding = Finding::new(Code::BlankRow, "there is nothing in the row").at(Subset::Train, 3).column(1);
/// assert_eq!((finding.list, finding.line, finding.column), (Some(Subset::Train), Some(3), Some(1)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The kind of finding.
    pub code: Code,
    /// The list it is in.
    pub list: Option<Subset>,
    /// The line of that list, from 1.
    pub line: Option<u32>,
    /// The character of that line, from 1.
    pub column: Option<u32>,
    /// The image: its path below the data set's folder.
    pub image: Option<String>,
    /// The fault in words.
    pub reason: String,
    /// The remedy for this finding, where it is more specific than [`Code::fix`].
    pub fix: Option<String>,
}

impl Finding {
    /// A finding of the data set as a whole.
    pub fn new(code: Code, reason: impl Into<String>) -> Self {
        Finding { code, list: None, line: None, column: None, image: None, reason: reason.into(), fix: None }
    }

    /// Sets the list and the line.
    pub fn at(self, list: Subset, line: u32) -> Self {
        Finding { list: Some(list), line: Some(line), ..self }
    }

    /// Sets the list.
    pub fn in_list(self, list: Subset) -> Self {
        Finding { list: Some(list), ..self }
    }

    /// Sets the character of the line, from 1.
    pub fn column(self, column: usize) -> Self {
        Finding { column: Some(column.try_into().unwrap_or(u32::MAX)), ..self }
    }

    /// Sets the image's path.
    pub fn image(self, image: impl Into<String>) -> Self {
        Finding { image: Some(image.into()), ..self }
    }

    /// Sets the remedy for this finding.
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Finding { fix: Some(fix.into()), ..self }
    }
}

/// Findings, counted by code. All are counted, and a bounded number of each code is kept.
///
/// ```
/// use image_feature::dataset::{Code, Finding, Findings};
///
/// let mut findings = Findings::keeping(2);
/// for _ in 0..5 {
///     findings.add(Code::BlankRow, |code| Finding::new(code, "there is nothing in the row"));
/// }
/// assert_eq!((findings.count(Code::BlankRow), findings.of(Code::BlankRow).len()), (5, 2));
/// ```
#[derive(Clone, Debug)]
pub struct Findings {
    counts: Vec<u64>,
    kept: Vec<Vec<Finding>>,
    most: usize,
}

impl Default for Findings {
    /// No findings yet; a thousand of each code will be kept.
    fn default() -> Self {
        Findings::keeping(1000)
    }
}

impl Findings {
    /// No findings yet, of which at most `most` of each code will be kept.
    pub fn keeping(most: usize) -> Self {
        Findings { counts: vec![0; TABLE.len()], kept: vec![Vec::new(); TABLE.len()], most }
    }

    /// Counts a finding. `make` is only called where it is kept.
    pub fn add(&mut self, code: Code, make: impl FnOnce(Code) -> Finding) {
        self.counts[code as usize] += 1;
        if self.kept[code as usize].len() < self.most {
            self.kept[code as usize].push(make(code));
        }
    }

    /// The number of findings of a code, kept or not.
    pub fn count(&self, code: Code) -> u64 {
        self.counts[code as usize]
    }

    /// The number of findings of a severity, kept or not.
    pub fn count_of(&self, severity: Severity) -> u64 {
        Code::ALL.iter().filter(|code| code.severity() == severity).map(|&code| self.count(code)).sum()
    }

    /// The kept findings of a code, in the order in which they were added.
    pub fn of(&self, code: Code) -> &[Finding] {
        &self.kept[code as usize]
    }

    /// The codes with findings, errors first.
    pub fn codes(&self) -> Vec<Code> {
        let mut codes: Vec<Code> = Code::ALL.iter().copied().filter(|&code| self.count(code) > 0).collect();
        codes.sort_by_key(|&code| (code.severity(), code));
        codes
    }

    /// Whether there are no findings.
    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|&count| count == 0)
    }

    /// Adds the findings of another check.
    pub fn append(&mut self, other: Findings) {
        for (code, found) in other.kept.into_iter().enumerate() {
            self.counts[code] += other.counts[code];
            let room = self.most.saturating_sub(self.kept[code].len());
            self.kept[code].extend(found.into_iter().take(room));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_told_apart() {
        let ids: BTreeSet<&str> = Code::ALL.iter().map(|code| code.id()).collect();
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!((ids.len(), names.len()), (Code::ALL.len(), Code::ALL.len()));
    }

    #[test]
    fn a_million_of_the_same_are_counted_and_a_few_kept() {
        let mut findings = Findings::keeping(3);
        for line in 1..=1_000_000 {
            findings.add(Code::BlankRow, |code| Finding::new(code, "blank").at(Subset::Query, line));
        }
        assert_eq!(findings.count(Code::BlankRow), 1_000_000);
        assert_eq!(findings.of(Code::BlankRow).iter().map(|f| f.line.unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
        let mut all = Findings::keeping(4);
        all.append(findings.clone());
        all.append(findings);
        assert_eq!((all.count(Code::BlankRow), all.of(Code::BlankRow).len()), (2_000_000, 4));
    }
}
