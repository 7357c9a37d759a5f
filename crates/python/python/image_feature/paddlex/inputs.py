"""The inputs of ``predict``: paths, folders, arrays in BGR, and lists of these."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from .._images import refuse_address
from ..errors import UsageError

Input = Union[str, "os.PathLike[str]", npt.NDArray[np.uint8], "list[Any]", "tuple[Any, ...]"]
One = Union[str, npt.NDArray[np.uint8]]

# The files that PaddleX 3 takes from a folder, but for PDF.
_SUFFIXES = (
    ".bmp .dib .jpeg .jpg .png .webp .pbm .pgm .ppm .pnm .sr .ras .tiff .tif".split()  # noqa: SIM905
)


def each_input(given: Input) -> Iterator[One]:
    """The single images, in PaddleX's order: a folder's files sorted by their paths."""
    if isinstance(given, (list, tuple)):
        for item in given:
            yield from each_input(item)
    elif isinstance(given, np.ndarray):
        yield given
    elif isinstance(given, (str, os.PathLike)):
        yield from _files(os.fspath(given))
    else:
        raise UsageError(f"an input of type {type(given).__name__}; give a path, a folder, an array in BGR, or a list of these")


def _files(path: str) -> Iterator[str]:
    refuse_address(path)
    if os.path.isdir(path):
        found = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
        images = sorted(file for file in found if os.path.splitext(file)[1].lower() in _SUFFIXES)
        if not images:
            raise FileNotFoundError(errno.ENOENT, f"no image in the folder ({' '.join(_SUFFIXES)})", path)
        yield from images
    elif not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    elif path.lower().endswith(".pdf"):
        raise UsageError(f"{path}: PDF is not read; save its pages as images, for example with `pdftoppm -png`")
    else:
        yield path
