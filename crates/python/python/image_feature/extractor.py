"""Images to feature vectors."""

from __future__ import annotations

import itertools
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union

import numpy as np
import numpy.typing as npt

from . import _native
from ._download import official_folder
from ._images import Channels, Image, Picture, as_picture, refuse_address
from ._progress import counted
from .errors import DamagedImageWarning, IoError, UsageError

ModelSource = Union[str, "os.PathLike[str]", bytes, _native.Model, None]
"""A path, a name, a file's bytes, a model in memory; ``None`` for the default model."""

Feature = npt.NDArray[np.float32]
OnError = Literal["raise", "none"]

_BUNDLED = ("default", "tiny")
_MOST_BATCH = 4096


@dataclass(frozen=True)
class ExtractorInfo:
    """Facts about an extractor's model and device."""

    model: str
    """The model's name."""
    dimension: int
    """Length of a feature."""
    device: str
    """``cpu``: this package computes on CPUs."""
    adapter: str | None
    threads: int | None
    """Threads of the network."""
    simd: str | None
    """Instruction set of the kernels."""
    dtype: str
    """The type of numbers that it computes in: ``f32`` or ``i8``."""
    reasons: list[str]
    """Why better devices were not chosen."""


class FeatureExtractor:
    """Turns images into feature vectors of length 1.

    The dot product of two features is their cosine: 1 for the same picture, near 0 for unrelated ones.

    >>> import numpy as np
    >>> extractor = FeatureExtractor.load("tiny")
    >>> red = np.full((64, 64, 3), (200, 30, 30), np.uint8)
    >>> feature = extractor.embed(red)
    >>> feature.shape, feature.dtype, round(float(feature @ feature), 3)
    ((512,), dtype('float32'), 1.0)

    Several threads may use one extractor. It can be pickled; a process that unpickles it, or that is forked, opens the model anew.
    """

    def __init__(
        self,
        model: ModelSource = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        dtype: str | None = None,
        orient: str = "opencv",
    ) -> None:
        """See :meth:`load`."""
        if threads is not None and threads < 1:
            raise UsageError(f"threads={threads}: give 1 or more")
        self._options: dict[str, Any] = {"device": device, "threads": threads, "dtype": dtype, "orient": orient}
        self._model = model
        self._open(open_model(model))

    @classmethod
    def load(
        cls,
        model: ModelSource = None,
        *,
        device: str = "auto",
        threads: int | None = None,
        dtype: str | None = None,
        orient: str = "opencv",
    ) -> FeatureExtractor:
        """Opens a model.

        :param model: ``None`` or ``"default"`` for the model inside the package, ``"tiny"`` for a smaller one; the path of a
            model's archive, folder, ``.pdparams`` or ``.safetensors``; the bytes of such a file; or an official name, such as
            ``"PP-ShiTuV2_rec"``, which is downloaded into PaddleX's cache if it is not there.
        :param device: ``"auto"`` or ``"cpu"``.
        :param threads: threads that decode images and compute; by default one for each core.
        :param dtype: ``"f32"`` or ``"i8"``; by default ``"i8"`` for a calibrated model.
        :param orient: the metadata that turns images upright: ``"opencv"``, ``"exif"`` or ``"none"``.
        :raises ModelError: the file is no model, or damaged.
        :raises IoError: the file does not exist, or a download failed.
        """
        return cls(model, device=device, threads=threads, dtype=dtype, orient=orient)

    def _open(self, model: _native.Model) -> None:
        self._native = _native.Extractor(model, **self._options)
        self._process = os.getpid()
        self._info = ExtractorInfo(**json.loads(self._native.info()))

    @property
    def info(self) -> ExtractorInfo:
        """Facts about the model and the device."""
        return self._info

    @property
    def dimension(self) -> int:
        """Length of a feature."""
        return self._info.dimension

    @property
    def model_id(self) -> tuple[str, str]:
        """The model's name and hash, by which a gallery knows the maker of its vectors."""
        return self._here().model_id()

    def _here(self) -> _native.Extractor:
        """The native extractor of this process: its threads do not live on after a fork."""
        if self._process != os.getpid():
            _kept_after_fork.append(self._native)
            self._open(open_model(self._model))
        return self._native

    def embed(self, image: Image, *, channels: Channels = "RGB") -> Feature:
        """The feature of one image.

        :param image: a path, a file's bytes, an array of height x width x 3 (``uint8``), or an image of Pillow.
        :param channels: the order of an array's channels. Arrays of OpenCV are ``"BGR"``.
        :raises DecodeError: the file is no image, or damaged.
        """
        (feature,) = self._batch([as_picture(image, channels)], "raise")
        assert feature is not None
        return feature

    def embed_batch(self, images: Iterable[Image], *, channels: Channels = "RGB") -> Feature:
        """The features of images, as an array of images x dimension. For more images than memory holds, see :meth:`embed_many`.

        >>> import numpy as np
        >>> FeatureExtractor.load("tiny").embed_batch([np.zeros((8, 8, 3), np.uint8)] * 3).shape
        (3, 512)
        """
        features = list(self.embed_many(images, channels=channels))
        return np.stack(features) if features else np.empty((0, self.dimension), np.float32)

    def embed_many(
        self,
        images: Iterable[Image],
        *,
        batch_size: int = 16,
        channels: Channels = "RGB",
        on_error: OnError = "raise",
        progress: bool = False,
    ) -> Iterator[Any]:
        """The features of images, in order, one after the other. Only one batch of images is in memory at a time.

        Images are decoded and computed on all threads of the extractor, without Python's lock.

        >>> import numpy as np
        >>> extractor = FeatureExtractor.load("tiny")
        >>> endless = (np.full((8, 8, 3), grey % 256, np.uint8) for grey in range(1_000_000_000))
        >>> first = next(extractor.embed_many(endless, batch_size=4))
        >>> first.shape
        (512,)

        :param images: any iterable of what :meth:`embed` takes.
        :param batch_size: images that are taken and computed together.
        :param on_error: ``"raise"`` raises at an image that cannot be read, after the features before it; ``"none"`` gives ``None``
            in its place and warns.
        :param progress: whether a bar is shown, if ``tqdm`` is installed.
        """
        if not 1 <= batch_size <= _MOST_BATCH:
            raise UsageError(f"batch_size={batch_size}: give 1 to {_MOST_BATCH}")
        if on_error not in ("raise", "none"):
            raise UsageError(f"on_error={on_error!r}: give 'raise' or 'none'")
        return self._stream(iter(counted(images, progress)), batch_size, channels, on_error)

    def _stream(self, images: Iterator[Image], size: int, channels: Channels, on_error: OnError) -> Iterator[Any]:
        while batch := [as_picture(image, channels) for image in itertools.islice(images, size)]:
            yield from self._batch(batch, on_error)

    def _batch(self, pictures: list[Picture], on_error: OnError) -> Iterator[Feature | None]:
        features, damaged, failed = self._here().embed(pictures)
        for place, damage in damaged:
            warnings.warn(f"{_name(pictures[place])}: {damage}", DamagedImageWarning, stacklevel=3)
        failures, good = dict(failed), iter(features)
        for place, picture in enumerate(pictures):
            error = failures.get(place)
            if error is None:
                yield next(good)
            elif on_error == "raise":
                raise error
            else:
                warnings.warn(f"left out: {_name(picture)}: {error}", stacklevel=3)
                yield None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (self._model, self._options)

    def __repr__(self) -> str:
        info = self._info
        return f"<FeatureExtractor {info.model}: {info.dimension} values, {info.device}, {info.threads} threads, {info.dtype}>"


_kept_after_fork: list[_native.Extractor] = []
"""Extractors of a parent process: to end them here would wait for threads that are not here."""


def _reopened(model: ModelSource, options: dict[str, Any]) -> FeatureExtractor:
    return FeatureExtractor(model, **options)


def _name(picture: Picture) -> str:
    return picture if isinstance(picture, str) else "an image in memory"


def open_model(model: ModelSource) -> _native.Model:
    """The model of a path, a name or bytes."""
    if model is None:
        return _native.Model.bundled("default")
    if isinstance(model, _native.Model):
        return model
    if isinstance(model, bytes):
        return _native.Model.from_bytes("model", model)
    if not isinstance(model, (str, os.PathLike)):
        raise UsageError(f"a model of type {type(model).__name__}; give a path, a name or bytes")
    name = os.fspath(model)
    if name in _BUNDLED:
        return _native.Model.bundled(name)
    if os.path.exists(name):
        return _native.Model.open(name)
    refuse_address(name)
    if name in _native.official_models():
        return _native.Model.open(official_folder(name))
    names = ", ".join([*_BUNDLED, *_native.official_models()])
    raise IoError(f"{name}: no such file or folder, and no model's name; the names are {names}")
