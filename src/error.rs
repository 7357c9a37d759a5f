//! The error type of this crate, [`Error`], its [kinds](ErrorKind), and [`Context`] to add the place where it happened.
//!
//! ```
//! use image_feature::error::Context;
//! use image_feature::{Model, Result};
//!
//! fn read(name: &str, bytes: &[u8]) -> Result<Model> {
//!     Model::from_bytes(name, bytes).context(|| "while starting".into())
//! }
//!
//! let error = read("notes.txt", b"no model").unwrap_err();
//! assert!(error.is_unsupported());
//! assert!(error.to_string().starts_with("while starting: no model among `notes.txt`"));
//! ```

use std::borrow::Cow;
use std::fmt;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error: it tells the caller which input or resource to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not a decodable image: damaged, truncated, or not an image.
    Decode,
    /// The input is well formed, but this crate does not support its format or one of its features.
    Unsupported,
    /// A limit of size, pixels, entries or memory was exceeded. The check comes before the allocation.
    Limit,
    /// A model file is damaged, incomplete, or has another architecture than expected.
    Model,
    /// A gallery file, or a file with vectors to import, is damaged or of the wrong kind.
    Gallery,
    /// A file could not be read or written.
    Io,
    /// A compute device could not be opened, or failed.
    Device,
    /// An argument is out of range or does not fit the others.
    Usage,
    /// The caller cancelled the operation.
    Cancelled,
    /// A bug in this crate.
    Internal,
}

impl ErrorKind {
    /// The kind as one lower-case word. JavaScript and JSON use these words.
    ///
    /// ```
    /// assert_eq!(image_feature::ErrorKind::Decode.as_str(), "decode");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Decode => "decode",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Limit => "limit",
            ErrorKind::Model => "model",
            ErrorKind::Gallery => "gallery",
            ErrorKind::Io => "io",
            ErrorKind::Device => "device",
            ErrorKind::Usage => "usage",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Internal => "internal",
        }
    }
}

/// An error: a [kind](Error::kind), a message, and the context.
///
/// The message names the thing that is wrong and a remedy. The context is the place: a file, an entry, a step.
///
/// ```
/// use image_feature::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::Model, "tensor `neck.feat_bn.weight` is missing").context("model.tar");
/// assert!(error.is_model());
/// assert_eq!(error.to_string(), "model.tar: tensor `neck.feat_bn.weight` is missing");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: Cow<'static, str>,
    /// In the order in which it was added: the outermost last.
    context: Vec<Cow<'static, str>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind with a message.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), context: Vec::new(), source: None }))
    }

    /// Adds the error that caused this one, for [`std::error::Error::source`].
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts the place where the error happened (a file, an entry, a step) in front of the message.
    pub fn context(mut self, context: impl Into<Cow<'static, str>>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// The error without its context, for a caller that shows the place in another way.
    pub fn without_context(mut self) -> Self {
        self.0.context.clear();
        self
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without its context.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

/// A constructor and a predicate for each kind.
macro_rules! kinds {
    ($($kind:ident $new:ident $is:ident),* $(,)?) => {
        impl Error {
            $(
                #[doc = concat!("An error of kind [`", stringify!($kind), "`](ErrorKind::", stringify!($kind), ").")]
                pub fn $new(message: impl Into<Cow<'static, str>>) -> Self {
                    Error::new(ErrorKind::$kind, message)
                }

                #[doc = concat!("Whether the kind is [`", stringify!($kind), "`](ErrorKind::", stringify!($kind), ").")]
                pub fn $is(&self) -> bool {
                    self.kind() == ErrorKind::$kind
                }
            )*
        }
    };
}
kinds! {
    Decode decode is_decode,
    Unsupported unsupported is_unsupported,
    Limit limit is_limit,
    Model model is_model,
    Gallery gallery is_gallery,
    Io io is_io,
    Device device is_device,
    Usage usage is_usage,
    Cancelled cancelled is_cancelled,
    Internal internal is_internal,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.0.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} error: {self}", self.kind())?;
        if let Some(source) = &self.0.source {
            write!(f, " (caused by: {source})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::new(ErrorKind::Io, error.to_string()).with_source(error)
    }
}

/// Adds context to the error in a `Result`.
///
/// ```
/// use image_feature::error::Context;
///
/// let read = std::fs::read("absent.jpg").context(|| "absent.jpg".into());
/// assert!(read.unwrap_err().to_string().starts_with("absent.jpg: "));
/// ```
pub trait Context<T> {
    /// Turns the error into an [`Error`] and puts `context` in front of its message.
    ///
    /// # Errors
    /// Where `self` is an error.
    fn context(self, context: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().context(context()))
    }
}
