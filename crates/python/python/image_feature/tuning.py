"""Fine-tuning: a model's last layers learn to tell apart the classes of labelled images."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from typing import Any, Literal

from . import _html, _native
from ._images import Channels, Image, as_picture
from ._progress import bar, counted
from .dataset import Dataset
from .errors import DamagedImageWarning
from .extractor import FeatureExtractor, ModelSource, open_model


class Tuned:
    """A fine-tuned model. A notebook shows the curve of its loss."""

    def __init__(self, model: _native.Model, losses: list[float], kept_old: bool, scores: dict[str, Any] | None) -> None:
        self._model = model
        self.losses = losses
        """The mean loss of each epoch."""
        self.kept_old = kept_old
        """Whether the layers are those from before, because the cross-validation found no gain."""
        self.scores = scores
        """With ``folds``: ``recall1`` and ``mAP`` of the cross-validation, each before and after; else ``None``."""

    def save(self, path: str | os.PathLike[str], *, dtype: Literal["f32", "f16"] = "f32") -> None:
        """Writes the model to a ``.safetensors`` file, which every face of this project opens."""
        self._model.save(os.fspath(path), dtype)

    def extractor(self, **options: Any) -> FeatureExtractor:
        """An extractor with the model. The options are those of :meth:`FeatureExtractor.load`."""
        return FeatureExtractor(self._model.to_bytes("f32"), **options)

    def _repr_html_(self) -> str:
        return _html.curve(self.losses, "loss")

    def __repr__(self) -> str:
        return f"<Tuned: loss {self.losses[0]:.3f} to {self.losses[-1]:.3f} in {len(self.losses)} epochs>"


def fine_tune(
    images: Dataset | Iterable[tuple[Image, str | int]],
    *,
    model: ModelSource = None,
    name: str | None = None,
    epochs: int = 60,
    learning_rate: float = 0.05,
    folds: int = 0,
    views: int = 4,
    seed: int = 0,
    threads: int | None = None,
    channels: Channels = "RGB",
    progress: bool = False,
) -> Tuned:
    """Fine-tunes a model's last layers, in seconds to minutes on a CPU. Images that cannot be read are left out, with a warning.

    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> images = [(random.integers(0, 255, (16, 16, 3), np.uint8) // (1 + label), label) for label in (0, 1) for _ in range(3)]
    >>> tuned = fine_tune(images, model="tiny", epochs=3)
    >>> len(tuned.losses), tuned.extractor().dimension
    (3, 512)

    :param images: pairs of an image and its label, or a data set, whose ``train.txt`` is learnt from.
    :param model: as :meth:`FeatureExtractor.load` takes it.
    :param name: the new name of the model.
    :param folds: parts of the images for a cross-validation: 2 to 10, or 0 for none.
    :param views: of each image: itself, its mirror image, then random parts.
    :param progress: whether a bar is shown, if ``tqdm`` is installed.
    """
    tuner = _native.Tuner(open_model(model), threads=threads, views=views)
    pairs = _pairs_of(images) if isinstance(images, Dataset) else images
    for image, label in counted(pairs, progress):
        picture = as_picture(image, channels)
        damage, error = tuner.add(picture, str(label))
        shown = picture if isinstance(picture, str) else f"an image labelled {label}"
        if damage is not None:
            warnings.warn(f"{shown}: {damage}", DamagedImageWarning, stacklevel=2)
        if error is not None:
            warnings.warn(f"left out: {shown}: {error}", stacklevel=2)
    model_, losses, kept_old, scores = tuner.run(
        name=name, epochs=epochs, learning_rate=learning_rate, folds=folds, seed=seed, progress=bar(progress, "epoch")
    )
    return Tuned(model_, losses, kept_old, None if scores is None else json.loads(scores))


def _pairs_of(dataset: Dataset) -> Iterable[tuple[bytes, str]]:
    return ((dataset.read(row), str(row.label)) for row in dataset.labelled("train"))
