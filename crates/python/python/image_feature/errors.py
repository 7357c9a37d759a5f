"""Exceptions of this package. Each has a ``kind``, the same word as in JavaScript, and is one of Python's own kinds, too.

>>> from image_feature import DecodeError, FeatureExtractor
>>> try:
...     FeatureExtractor.load("tiny").embed(b"no image")
... except DecodeError as error:
...     print(error.kind, isinstance(error, ValueError))
decode True
"""

from __future__ import annotations

__all__ = [
    "CancelledError",
    "DamagedImageWarning",
    "DecodeError",
    "DeviceError",
    "GalleryError",
    "ImageFeatureError",
    "InternalError",
    "IoError",
    "LimitError",
    "ModelError",
    "UnsupportedError",
    "UsageError",
]


class ImageFeatureError(Exception):
    """An error of this package. Its message names what is wrong, where, and what to do."""

    kind: str = "internal"
    """The kind as one word."""


class DecodeError(ImageFeatureError, ValueError):
    """The bytes are no image that can be decoded: damaged, truncated, or something else."""

    kind = "decode"


class UnsupportedError(ImageFeatureError, ValueError):
    """The input is well formed, but of a format that is not supported."""

    kind = "unsupported"


class LimitError(ImageFeatureError, ValueError):
    """A limit of size, pixels or memory was exceeded."""

    kind = "limit"


class ModelError(ImageFeatureError, ValueError):
    """A model's file is damaged, incomplete, or of another network."""

    kind = "model"


class GalleryError(ImageFeatureError, ValueError):
    """A gallery's file is damaged or of the wrong kind."""

    kind = "gallery"


class IoError(ImageFeatureError, OSError):
    """A file could not be read or written, or a server not be reached."""

    kind = "io"


class DeviceError(ImageFeatureError, RuntimeError):
    """A compute device could not be opened, or failed."""

    kind = "device"


class UsageError(ImageFeatureError, ValueError):
    """An argument is out of range or does not fit the others."""

    kind = "usage"


class CancelledError(ImageFeatureError, RuntimeError):
    """The work was cancelled."""

    kind = "cancelled"


class InternalError(ImageFeatureError, RuntimeError):
    """A bug in this package. Please report it."""

    kind = "internal"


class DamagedImageWarning(UserWarning):
    """A part of an image is damaged; its feature is that of what could be decoded."""


_BY_KIND: dict[str, type[ImageFeatureError]] = {
    error.kind: error
    for error in (
        DecodeError,
        UnsupportedError,
        LimitError,
        ModelError,
        GalleryError,
        IoError,
        DeviceError,
        UsageError,
        CancelledError,
        InternalError,
    )
}


def of_kind(kind: str, message: str) -> ImageFeatureError:
    """The exception of a kind. The native part calls it."""
    return _BY_KIND.get(kind, InternalError)(message)
