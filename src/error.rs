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
    #[cfg(feature = "cli")]
    pub(crate) fn without_context(mut self) -> Self {
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

    /// Whether an image could not be decoded.
    pub fn is_decode(&self) -> bool {
        self.kind() == ErrorKind::Decode
    }

    /// Whether a limit was exceeded.
    pub fn is_limit(&self) -> bool {
        self.kind() == ErrorKind::Limit
    }

    /// Whether a model file is at fault.
    pub fn is_model(&self) -> bool {
        self.kind() == ErrorKind::Model
    }

    /// Whether a device is at fault.
    pub fn is_device(&self) -> bool {
        self.kind() == ErrorKind::Device
    }
}

macro_rules! constructors {
    ($($(#[$attribute:meta])? $name:ident $kind:ident),* $(,)?) => {
        impl Error {
            $($(#[$attribute])? pub(crate) fn $name(message: impl Into<Cow<'static, str>>) -> Self {
                Error::new(ErrorKind::$kind, message)
            })*
        }
    };
}
constructors! {
    decode Decode, unsupported Unsupported, limit Limit, model Model, usage Usage, internal Internal,
    #[cfg(any(feature = "burn", feature = "cpu"))]
    device Device,
    #[cfg(feature = "gallery")]
    gallery Gallery,
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
pub(crate) trait Context<T> {
    fn context(self, context: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().context(context()))
    }
}
