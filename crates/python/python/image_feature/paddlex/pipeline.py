"""``create_pipeline``: PaddleX's pipeline PP-ShiTuV2, which recognises what a picture shows by a gallery of labelled pictures."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np

from .. import _native
from ..errors import UnsupportedError, UsageError
from .inputs import Input, One
from .model import ImageFeaturePredictor, create_model
from .result import ShiTuResult

_METRICS = {"IP": "ip", "L2": "l2"}
_METRIC_TYPES = ("hamming", "IP", "L2")
_INDEX_TYPES = ("Flat", "IVF", "HNSW32")
_VECTORS, _LABELS = "vector.index", "id_map.yaml"

Images = Union[str, "os.PathLike[str]", Sequence[One]]
Labels = Union[str, "os.PathLike[str]", Sequence[str]]
Index = Union["IndexData", str, "os.PathLike[str]"]


class IndexData:
    """A gallery of the pipeline: features with numbers and labels."""

    def __init__(self, gallery: _native.Gallery) -> None:
        self._gallery = gallery

    @property
    def id_map(self) -> dict[int, str]:
        """The label of each number."""
        return {int(id): label or "" for id, label, _ in self._gallery.rows()}

    @property
    def metric_type(self) -> str:
        """``"IP"`` or ``"L2"``."""
        return "L2" if self._gallery.facts()[2] == "l2" else "IP"

    def __len__(self) -> int:
        return self._gallery.facts()[0]

    def save(self, save_path: str | os.PathLike[str]) -> None:
        """Writes PaddleX's files ``vector.index`` and ``id_map.yaml`` into a folder. The index is exact (``Flat``)."""
        folder = Path(save_path)
        folder.mkdir(parents=True, exist_ok=True)
        vectors, labels = self._gallery.to_paddlex()
        (folder / _VECTORS).write_bytes(vectors)
        (folder / _LABELS).write_text(labels, encoding="utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> IndexData:
        """Reads the two files in a folder, which PaddleX may have written."""
        for name in (_VECTORS, _LABELS):
            if not (Path(path) / name).exists():
                raise AssertionError(f"Not found the {name} file in {os.fspath(path)}!")
        return cls(_native.Gallery.from_paddlex((Path(path) / _VECTORS).read_bytes(), (Path(path) / _LABELS).read_bytes()))


def create_pipeline(
    pipeline: str = "PP-ShiTuV2", *, model: str | os.PathLike[str] = "PP-ShiTuV2_rec", device: str | None = None, **engine: Any
) -> ShiTuPipeline:
    """Opens the pipeline, as PaddleX's function of this name.

    There is no detector here yet: each picture is searched for as a whole, as PaddleX does where its detector finds nothing.

    :param pipeline: ``"PP-ShiTuV2"``.
    :param model: the model of the module, as :func:`create_model` takes it.
    """
    if pipeline != "PP-ShiTuV2":
        raise UsageError(f"pipeline {pipeline!r}; there is PP-ShiTuV2")
    warnings.warn("the pipeline has no detector yet: each picture is searched for as a whole", stacklevel=2)
    return ShiTuPipeline(create_model(model, device=device, **engine))


class ShiTuPipeline:
    """The pipeline. :func:`create_pipeline` makes it."""

    def __init__(self, predictor: ImageFeaturePredictor) -> None:
        self._predictor = predictor

    def build_index(
        self, gallery_imgs: Images, gallery_label: Labels, metric_type: str = "IP", index_type: str = "HNSW32"
    ) -> IndexData:
        """A new gallery.

        :param gallery_imgs: paths and arrays; or a folder, where ``gallery_label`` is a file.
        :param gallery_label: a label for each image; or a text file with a line ``PATH LABEL`` for each, its paths below the folder.
        :param metric_type: ``"IP"`` or ``"L2"``.
        :param index_type: ``"Flat"``, ``"IVF"`` or ``"HNSW32"``. The search is exact with each.
        """
        if metric_type not in _METRIC_TYPES:
            raise AssertionError(f"Supported metric types only: {_METRIC_TYPES}!")
        if index_type not in _INDEX_TYPES:
            raise AssertionError(f"Supported index types only: {_INDEX_TYPES}!")
        if metric_type not in _METRICS:
            raise UnsupportedError("metric_type='hamming' does not work in PaddleX either; take 'IP'")
        gallery = _native.Gallery(self._predictor.extractor.dimension, _METRICS[metric_type], "f32")
        gallery.set_model(self._predictor.extractor.model_id)
        self._add(gallery, gallery_imgs, gallery_label)
        return IndexData(gallery)

    def append_index(self, gallery_imgs: Images, gallery_label: Labels, index: Index) -> IndexData:
        """A gallery with further images. ``index`` stays as it is."""
        gallery = _copied(_opened(index))
        self._add(gallery, gallery_imgs, gallery_label)
        return IndexData(gallery)

    def remove_index(self, remove_ids: Sequence[int] | str | os.PathLike[str], index: Index) -> IndexData:
        """A gallery without the images of these numbers, which may also be the first column of a text file."""
        if isinstance(remove_ids, (str, os.PathLike)):
            lines = Path(remove_ids).read_text(encoding="utf-8").splitlines()
            remove_ids = [int(line.split(" ")[0]) for line in lines if line.strip()]
        gallery = _copied(_opened(index))
        gallery.remove([str(id) for id in remove_ids])
        return IndexData(gallery)

    def predict(
        self,
        input: Input,
        index: Index | None = None,
        det_threshold: float | None = None,
        rec_threshold: float | None = None,
        hamming_radius: float | None = None,
        rec_topk: int | None = None,
    ) -> Iterator[ShiTuResult]:
        """Gives a result for each picture: its box, with the labels and scores of the nearest images of the gallery.

        :param index: a gallery, or its folder.
        :param rec_threshold: the least score of the nearest image; below it, the labels are ``[None]``. 0.5 by default.
        :param rec_topk: labels of a box, 5 by default.
        :param det_threshold: of the detector, which is not there yet.
        :param hamming_radius: of metric hamming, which PaddleX cannot build.
        """
        if index is None:
            raise UsageError("predict needs an index: give that of build_index, or the folder where one was saved")
        gallery = _opened(index)
        threshold = 0.5 if rec_threshold is None else rec_threshold
        return self._results(input, gallery, threshold, 5 if rec_topk is None else rec_topk)

    def _results(self, input: Input, gallery: _native.Gallery, threshold: float, k: int) -> Iterator[ShiTuResult]:
        for res in self._predictor.predict(input):
            image = res["input_img"]
            (hits,) = gallery.search(np.ascontiguousarray(res["feature"][None]), k=k, threshold=None, filter=None)
            height, width = image.shape[:2]
            box = {**_recognised(hits, threshold), "det_score": 0, "coordinate": [0, 0, width, height]}
            yield ShiTuResult(input_path=res["input_path"], input_img=image, boxes=[box])

    __call__ = predict

    def _add(self, gallery: _native.Gallery, images: Images, labels: Labels) -> None:
        pairs = list(_pairs(images, labels))
        extractor = self._predictor.extractor
        features = extractor.embed_batch((image for image, _ in pairs), channels="BGR")
        first = max((int(id) for id, _, _ in gallery.rows()), default=-1) + 1
        rows: list[tuple[str, str | None, str | None]] = [(str(first + place), label, None) for place, (_, label) in enumerate(pairs)]
        gallery.extend(rows, features)


def _recognised(hits: list[tuple[str, str | None, str | None, float]], threshold: float) -> dict[str, Any]:
    """Labels and scores, as PaddleX gives them: all or none, by the nearest. For L2, too, which is an error in PaddleX."""
    if not hits or hits[0][3] < threshold:
        return {"labels": [None], "rec_scores": [None]}
    return {"labels": [label for _, label, _, _ in hits], "rec_scores": [score for *_, score in hits]}


def _pairs(images: Images, labels: Labels) -> Iterable[tuple[One, str]]:
    """Each image with its label."""
    if isinstance(labels, (str, os.PathLike)):
        if not isinstance(images, (str, os.PathLike)):
            raise UsageError("gallery_label is a file: give its images' folder as gallery_imgs")
        for number, line in enumerate(Path(labels).read_text(encoding="utf-8").splitlines(), 1):
            parts = line.strip().split(" ")
            if len(parts) != 2:
                raise UsageError(f"{os.fspath(labels)}: line {number}: `{line}` is not a path, one space and a label")
            yield os.path.join(images, parts[0]), parts[1]
        return
    if isinstance(images, (str, os.PathLike)):
        raise UsageError("gallery_imgs is a folder: give the file with paths and labels as gallery_label")
    if len(images) != len(labels):
        raise UsageError(f"{len(images)} images and {len(labels)} labels")
    yield from zip(images, labels)


def _opened(index: Index) -> _native.Gallery:
    return (index if isinstance(index, IndexData) else IndexData.load(index))._gallery


def _copied(gallery: _native.Gallery) -> _native.Gallery:
    return _native.Gallery.from_bytes(gallery.to_bytes())


__all__ = ["IndexData", "ShiTuPipeline", "create_pipeline"]
