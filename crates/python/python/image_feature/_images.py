"""Images as users give them, and as the native part takes them."""

from __future__ import annotations

import os
from typing import Any, Literal, Union

import numpy as np
import numpy.typing as npt

from .errors import UsageError

Image = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, npt.NDArray[np.uint8], Any]
"""A path, a file's bytes, an array, or an image of Pillow."""

Channels = Literal["RGB", "BGR"]

Picture = Union[str, bytes, "tuple[npt.NDArray[np.uint8], bool]"]
"""A path, a file's bytes, or an array of height x width x 3 and whether its channels are BGR."""

_ADDRESSES = ("http://", "https://", "ftp://", "s3://", "gs://", "data:")


def refuse_address(path: str) -> None:
    """Raises for an address of the web: nothing is downloaded but models."""
    if path.lower().startswith(_ADDRESSES):
        raise UsageError(f"{path}: addresses are not opened, because images stay on this computer; download it first")


def as_picture(image: Image, channels: Channels = "RGB") -> Picture:
    """The image in the form that the native part takes."""
    if isinstance(image, (str, os.PathLike)):
        path = os.fspath(image)
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        refuse_address(path)
        return path
    if isinstance(image, bytes):
        return image
    if isinstance(image, (bytearray, memoryview)):
        return bytes(image)
    if isinstance(image, np.ndarray):
        return _pixels(image), channels == "BGR"
    if hasattr(image, "convert") and hasattr(image, "getexif"):
        return _of_pillow(image), False
    raise UsageError(f"an image of type {type(image).__name__}; give a path, bytes, an array or an image of Pillow")


def _pixels(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The array as height x width x 3. Grey becomes three equal channels, a fourth channel is left out."""
    if array.dtype != np.uint8:
        raise UsageError(f"an array of {array.dtype}; pixels must be uint8, from 0 to 255")
    if array.ndim == 2:
        return np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        raise UsageError(f"an array of shape {array.shape}; pixels have the shape (height, width, 3)")
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    return array[:, :, :3]


def _of_pillow(image: Any) -> npt.NDArray[np.uint8]:
    from PIL import ImageOps

    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
