//! The one error type of the crate.

use std::borrow::Cow;
use std::fmt;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong: whose fault it is, and what kind of help the caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not an image that can be decoded: damaged, truncated, or no image at all.
    Decode,
    /// The input is well formed but of a kind this crate does not read.
    Unsupported,
    /// A limit on size, pixels, entries or memory was exceeded; nothing was allocated for it.
    Limit,
    /// A model file is damaged, incomplete, or of another architecture than expected.
    Model,
    /// A gallery file, or one that vectors are taken from, is damaged or not what it should be.
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
    /// The kind as one lower-case word, as JavaScript and JSON see it.
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

/// An error: a [kind](Error::kind), a message that names the thing and what to do, and the context it happened in.
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
    /// Outermost last: the order in which the context was added.
    context: Vec<Cow<'static, str>>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a kind, with a message.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Error(Box::new(Inner { kind, message: message.into(), context: Vec::new(), source: None }))
    }

    /// Keeps the error that caused this one, for [`std::error::Error::source`].
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts the place where it happened (a file, an entry, a step) in front of the message.
    pub fn context(mut self, context: impl Into<Cow<'static, str>>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// The error without the places it happened in, for those who show them in a way of their own.

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

/// For each kind: a constructor, and a predicate.
macro_rules! kinds {
    ($($kind:ident $new:ident $is:ident),* $(,)?) => {
        impl Error {
            $(
                #[doc = concat!("An error of the kind [`", stringify!($kind), "`](ErrorKind::", stringify!($kind), ").")]
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

/// Adds context to the error of a `Result`.
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
    /// The error of `self`.
    fn context(self, context: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().context(context()))
    }
}
