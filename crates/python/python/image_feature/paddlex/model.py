"""``create_model``: PaddleX's predictor of the image feature module."""

from __future__ import annotations

import itertools
import json
import os
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DeviceError, UsageError
from ..extractor import FeatureExtractor, open_model
from .inputs import Input, One, each_input
from .result import ImageFeatureResult

# Images that are decoded and computed together on each thread, whatever the batch size: results do not depend on it.
_AHEAD = 4


def create_model(
    model_name: str | os.PathLike[str],
    model_dir: str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    threads: int | None = None,
    **engine: Any,
) -> ImageFeaturePredictor:
    """Opens a model of the image feature module, as PaddleX's function of this name.

    :param model_name: ``"PP-ShiTuV2_rec"``, ``"PP-ShiTuV2_rec_CLIP_vit_base"`` or ``"PP-ShiTuV2_rec_CLIP_vit_large"``, downloaded into
        PaddleX's cache the first time; ``"default"`` or ``"tiny"`` for those inside this package; or a model's folder or file, as
        in PaddleX 3.0-beta.
    :param model_dir: the folder of a model of this name.
    :param device: ``None`` or ``"cpu"``.
    :param threads: threads that decode and compute; by default one for each core.
    :param engine: ``pp_option``, ``use_hpip``, ``hpi_config``, ``engine`` and ``engine_config`` mean Paddle, and change nothing here.
    """
    refuse_engine(engine)
    model = open_model(model_name if model_dir is None else model_dir)
    if model_dir is not None:
        found = json.loads(model.info())["name"]
        if found != os.fspath(model_name):
            raise UsageError(f"{os.fspath(model_dir)}: its model is {found}, not {os.fspath(model_name)}")
    return ImageFeaturePredictor(FeatureExtractor(model, device=cpu(device), threads=threads))


def refuse_engine(engine: dict[str, Any]) -> None:
    """Warns of options of Paddle's engines, and raises for unknown ones."""
    known = {"pp_option", "use_hpip", "hpi_config", "engine", "engine_config"}
    unknown = sorted(set(engine) - known)
    if unknown:
        raise TypeError(f"unknown argument {unknown[0]!r}")
    given = sorted(name for name, value in engine.items() if value)
    if given:
        warnings.warn(f"{', '.join(given)}: options of Paddle's engine, which is not used here", stacklevel=3)


def cpu(device: str | None) -> str:
    """The device's name here. Raises for GPUs, which this package does not compute on."""
    if device is None or device.split(":")[0].lower() in ("cpu", "auto"):
        return "cpu"
    raise DeviceError(f"device={device!r}: this package computes on CPUs; leave it out, or give device='cpu'")


class ImageFeaturePredictor:
    """A model that predicts. :func:`create_model` makes it."""

    def __init__(self, extractor: FeatureExtractor) -> None:
        self._extractor = extractor

    @property
    def model_name(self) -> str:
        """The model's name."""
        return self._extractor.info.model

    @property
    def extractor(self) -> FeatureExtractor:
        """The extractor behind it."""
        return self._extractor

    def predict(
        self, input: Input, batch_size: int | None = None, *, device: str | None = None
    ) -> Iterator[ImageFeatureResult]:
        """Gives a result for each image, in order.

        :param input: the path of an image; a folder, of which all images at any depth are taken, sorted by path; an array of height x
            width x 3 in BGR; or a list of these. Addresses are refused: no image leaves this computer, and none comes from elsewhere.
        :param batch_size: images of a batch, 1 or more. Results do not depend on it.
        :raises FileNotFoundError: there is no such file, or no image in the folder.
        :raises DecodeError: a file is no image. The results of the images before it come first.
        """
        if batch_size is not None and batch_size < 1:
            raise UsageError(f"batch_size={batch_size}: give 1 or more")
        cpu(device)
        together = max(batch_size or 1, _AHEAD * (self._extractor.info.threads or 1))
        return self._results(each_input(input), together)

    __call__ = predict

    def _results(self, inputs: Iterator[One], together: int) -> Iterator[ImageFeatureResult]:
        ended: Exception | None = None
        while ended is None:
            batch, ended = _taken(inputs, together)
            if not batch:
                break
            features = self._extractor.embed_many(batch, batch_size=len(batch), channels="BGR")
            for one, feature in zip(batch, features):
                yield _result(one, feature)
        if ended is not None:
            raise ended


def _taken(inputs: Iterator[One], count: int) -> tuple[list[One], Exception | None]:
    """The next inputs, and what is wrong with the one after them."""
    batch: list[One] = []
    try:
        for one in itertools.islice(inputs, count):
            batch.append(one)
    except (OSError, UsageError) as error:
        return batch, error
    return batch, None


def _result(one: One, feature: npt.NDArray[np.float32]) -> ImageFeatureResult:
    if isinstance(one, str):
        return ImageFeatureResult(input_path=one, page_index=None, feature=feature)
    return ImageFeatureResult(input_path=None, page_index=None, input_img=one, feature=feature)


__all__ = ["ImageFeaturePredictor", "create_model"]
