"""The result of an evaluation, and the evaluation of data sets."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _html
from ._pandas import frame
from ._progress import counted
from .errors import ImageFeatureError

if TYPE_CHECKING:
    from .dataset import Dataset, Row
    from .extractor import Feature, FeatureExtractor

_TOGETHER = 16


class Evaluation:
    """How well images of the same label are found. :attr:`data` has all figures, under the names of ``image-feature evaluate --json``."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    @property
    def recall(self) -> dict[int, float]:
        """recall@k over all queries with a match, by k."""
        return {int(name.removeprefix("recall")): value for name, value in self.data["overall"]["recall"].items()}

    @property
    def mean_average_precision(self) -> float:
        """mAP over all queries with a match."""
        return float(self.data["overall"]["mAP"])

    @property
    def paddleclas(self) -> dict[str, float]:
        """The figures as PaddleClas computes them: ``recall1``, ``recall5``, ``mAP``."""
        return {**self.data["scores"]["recall"], "mAP": self.data["scores"]["mAP"]}

    @property
    def worst(self) -> list[dict[str, Any]]:
        """The worst queries, with the images nearest to them."""
        return list(self.data["worst"])

    @property
    def confusions(self) -> list[dict[str, Any]]:
        """Labels that are taken for others."""
        return list(self.data["confusions"])

    def to_pandas(self) -> Any:
        """A data frame of pandas with the figures of each label."""
        return frame(self.data["classes"], ["label", "queries", "images", "recall1", "mAP"])

    def _repr_html_(self) -> str:
        rows: list[tuple[str, Any]] = [(f"recall@{k}", value) for k, value in self.recall.items()]
        rows += [("mAP", self.mean_average_precision), ("queries", self.data["queries"]), ("images", self.data["images"])]
        worst = ((query["label"], query["id"], query["average_precision"]) for query in self.worst[:5])
        return _html.table(["", "all queries with a match"], rows) + _html.table(["worst: label", "id", "AP"], worst)

    def __repr__(self) -> str:
        recall = ", ".join(f"recall@{k} {value:.4f}" for k, value in self.recall.items())
        return f"<Evaluation: {recall}, mAP {self.mean_average_precision:.4f}, {self.data['queries']} queries>"


def evaluate(
    dataset: Dataset,
    extractor: FeatureExtractor,
    *,
    recall_at: Sequence[int] = (1, 5),
    self_match: bool = True,
    progress: bool = False,
) -> Evaluation:
    """How well an extractor's features find the images of ``query.txt`` in those of ``gallery.txt``, as PaddleClas measures it.

    :param self_match: whether a query that is in the gallery, too, may find itself, as in PaddleClas.
    :param progress: whether a bar is shown, if ``tqdm`` is installed.
    """
    from .gallery import Entry, Gallery

    gallery = Gallery.for_extractor(extractor)
    rows, queries = dataset.labelled("gallery"), dataset.labelled("query")
    features = features_of(dataset, rows, extractor, progress)
    ids = {row.path: f"{row.path}#{row.line}" for row in reversed(rows)}
    gallery.extend((Entry(f"{row.path}#{row.line}", str(row.label)) for row in rows), features)
    vectors = features_of(dataset, queries, extractor, progress)
    itself = [] if self_match else [ids.get(row.path, "") for row in queries]
    return gallery.evaluate(vectors, [str(row.label) for row in queries], ids=itself, recall_at=recall_at)


def features_of(dataset: Dataset, rows: Sequence[Row], extractor: FeatureExtractor, progress: bool) -> Feature:
    """The features of a data set's images. An error names the image."""
    features = np.empty((len(rows), extractor.dimension), np.float32)
    done, remaining = 0, iter(counted(rows, progress))
    while batch := list(itertools.islice(remaining, _TOGETHER)):
        images = [dataset.read(row) for row in batch]
        try:
            for feature in extractor.embed_many(images, batch_size=_TOGETHER):
                features[done] = feature
                done += 1
        except ImageFeatureError as error:
            raise type(error)(f"{rows[done].path}: {error}") from None
    return features
