"""Galleries: features kept under an id with a label and metadata, searched, saved."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from . import _html, _native
from ._pandas import frame
from .errors import UsageError
from .evaluation import Evaluation
from .extractor import Feature, FeatureExtractor

Metric = Literal["cosine", "ip", "l2", "hamming"]
Storage = Literal["f32", "f16", "i8", "bit"]


@dataclass(frozen=True)
class Entry:
    """The id of a feature, its label, and further fields that JSON can hold."""

    id: str
    label: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Hit(Entry):
    """An entry that a search found."""

    score: float = 0.0
    """By the gallery's metric; with ``cosine`` from -1 to 1."""


@dataclass(frozen=True)
class Duplicate:
    """Two entries with features near each other."""

    first: str
    """The id that was added first."""
    second: str
    score: float


class Hits(list[Hit]):
    """The hits of a query, the nearest first. A notebook shows them as pictures, where an id or ``metadata["path"]`` is a file."""

    def to_pandas(self) -> Any:
        """A data frame of pandas: id, label, score and metadata."""
        return frame([{"id": hit.id, "label": hit.label, "score": hit.score, **hit.metadata} for hit in self])

    def _repr_html_(self) -> str:
        texts = (f"{hit.score:.3f} {hit.label or ''} {hit.id}" for hit in self)
        return _html.tiles(zip((hit.metadata.get("path", hit.id) for hit in self), texts))


class Gallery:
    """Features of the same length, each with an id that is unique.

    >>> gallery = Gallery(2)
    >>> gallery.add("tea-1", [1.0, 0.1], label="tea")
    >>> gallery.add("cup-1", [0.1, 1.0], label="cup", metadata={"shelf": 7})
    >>> [(hit.id, round(hit.score, 2)) for hit in gallery.search([1.0, 0.0], k=2)]
    [('tea-1', 1.0), ('cup-1', 0.1)]
    >>> "cup-1" in gallery, len(gallery), gallery["cup-1"].metadata
    (True, 2, {'shelf': 7})

    A search reads every vector, and is exact except with storage ``"bit"``. The file is the one that the program, Rust and JavaScript
    read and write. Several threads may use one gallery.
    """

    def __init__(self, dimension: int, *, metric: Metric = "cosine", storage: Storage = "f32") -> None:
        """An empty gallery.

        :param dimension: number of values of a feature.
        :param metric: ``"cosine"``, ``"ip"``, ``"l2"`` or ``"hamming"``.
        :param storage: the form of the values that a search reads: ``"i8"`` is four times as fast as ``"f32"``, with the same hits.
        """
        self._native = _native.Gallery(dimension, metric, storage)

    @classmethod
    def _of(cls, native: _native.Gallery) -> Gallery:
        gallery = cls.__new__(cls)
        gallery._native = native
        return gallery

    @classmethod
    def for_extractor(cls, extractor: FeatureExtractor, *, metric: Metric = "cosine", storage: Storage = "f32") -> Gallery:
        """An empty gallery for an extractor's features. It knows their model, and refuses those of another."""
        gallery = cls(extractor.dimension, metric=metric, storage=storage)
        gallery._native.set_model(extractor.model_id)
        return gallery

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Gallery:
        """Reads a gallery's file.

        :raises GalleryError: the file is damaged, or no gallery.
        """
        return cls._of(_native.Gallery.open(os.fspath(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the gallery to a file, which appears complete or not at all."""
        self._native.save(os.fspath(path))

    @property
    def dimension(self) -> int:
        """Number of values of a feature."""
        return self._native.facts()[1]

    @property
    def metric(self) -> str:
        """The measure that compares features."""
        return self._native.facts()[2]

    @property
    def storage(self) -> str:
        """The form of the values that a search reads."""
        return self._native.facts()[3]

    @property
    def model(self) -> tuple[str, str] | None:
        """Name and hash of the model that made the features; ``None`` where it is not known."""
        return self._native.model()

    def check_model(self, extractor: FeatureExtractor) -> None:
        """Raises :class:`UsageError` where another model than the extractor's made the features, or nobody knows which one."""
        self._native.check_model(extractor.model_id)

    def add(
        self,
        id: str,
        feature: npt.ArrayLike,
        *,
        label: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Adds a feature. Raises :class:`UsageError` where the id is there already."""
        self.extend([Entry(id, label, metadata or {})], _matrix(feature, self.dimension))

    def extend(self, entries: Iterable[Entry | str], features: npt.ArrayLike) -> None:
        """Adds many features: all or none.

        :param entries: an entry or an id for each row of ``features``.
        :param features: an array of entries x dimension. It is read in place where it is ``float32`` and contiguous.
        """
        rows = [_row(entry) for entry in entries]
        self._native.extend(rows, _matrix(features, self.dimension))

    def remove(self, ids: str | Iterable[str]) -> None:
        """Removes one id or several: all or none."""
        self._native.remove([ids] if isinstance(ids, str) else list(ids))

    def search(
        self,
        feature: npt.ArrayLike,
        *,
        k: int = 10,
        threshold: float | None = None,
        filter: Mapping[str, Any] | None = None,
    ) -> Hits:
        """The nearest entries, the nearest first.

        :param threshold: the least score; the largest with ``l2`` and ``hamming``, where less is nearer.
        :param filter: ``{"label": …, "metadata": {KEY: …}}`` with a value, a list of allowed values, or ``{"min": …, "max": …}``.
        """
        return self.search_many(_matrix(feature, self.dimension), k=k, threshold=threshold, filter=filter)[0]

    def search_many(
        self,
        features: npt.ArrayLike,
        *,
        k: int = 10,
        threshold: float | None = None,
        filter: Mapping[str, Any] | None = None,
    ) -> list[Hits]:
        """Searches for many features at once, in a fraction of the time of one search each."""
        if k < 1:
            raise UsageError(f"k={k}: give 1 or more")
        wanted = None if filter is None else json.dumps(filter)
        found = self._native.search(_matrix(features, self.dimension), k=k, threshold=threshold, filter=wanted)
        return [Hits(Hit(id, label, _metadata(text), score) for id, label, text, score in hits) for hits in found]

    def duplicates(self, threshold: float) -> list[Duplicate]:
        """All pairs with a score of at least ``threshold`` (with ``l2`` and ``hamming``: at most)."""
        return [Duplicate(*pair) for pair in self._native.duplicates(threshold)]

    def evaluate(
        self,
        features: npt.ArrayLike | None = None,
        labels: Sequence[str] | None = None,
        *,
        ids: Sequence[str] = (),
        recall_at: Sequence[int] | None = None,
    ) -> Evaluation:
        """How well the gallery finds entries of the same label: recall@k, mean average precision, the worst queries.

        Without arguments, every entry with a label is a query, and is left out of its own ranking.

        :param ids: for each feature the id of the entry that is the same image, which is left out of its ranking.
        :param recall_at: the k of recall@k; by default 1 and 5, as far as the gallery has so many images.
        """
        wanted = [k for k in (1, 5) if k <= max(len(self), 1)] if recall_at is None else list(recall_at)
        if (features is None) != (labels is None):
            raise UsageError("give features and their labels, or neither")
        if features is None or labels is None:
            return Evaluation(json.loads(self._native.evaluate_own(wanted)))
        queries = _matrix(features, self.dimension)
        return Evaluation(json.loads(self._native.evaluate(queries, list(labels), list(ids), wanted)))

    def feature(self, id: str) -> Feature:
        """The feature of an id, as the gallery keeps it. Raises :class:`KeyError` where there is none."""
        found = self._native.vector(id)
        if found is None:
            raise KeyError(id)
        return found

    def to_numpy(self) -> Feature:
        """All features as an array of entries x dimension, in the order in which they were added."""
        return self._native.vectors()

    def to_pandas(self) -> Any:
        """A data frame of pandas: id, label and metadata of each entry."""
        return frame([{"id": entry.id, "label": entry.label, **entry.metadata} for entry in self])

    def __getitem__(self, id: str) -> Entry:
        found = self._native.get(id)
        if found is None:
            raise KeyError(id)
        return _entry(found)

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and self._native.get(id) is not None

    def __iter__(self) -> Iterator[Entry]:
        return map(_entry, self._native.rows())

    def __len__(self) -> int:
        return self._native.facts()[0]

    def __reduce__(self) -> tuple[Any, ...]:
        return _of_bytes, (self._native.to_bytes(),)

    def __repr__(self) -> str:
        count, dimension, metric, storage = self._native.facts()
        return f"<Gallery: {count} features of {dimension} values, {metric}, {storage}>"


def _of_bytes(data: bytes) -> Gallery:
    return Gallery._of(_native.Gallery.from_bytes(data))


def _matrix(features: npt.ArrayLike, dimension: int) -> Feature:
    """The features as rows of ``float32``; without a copy where they are so already."""
    matrix = np.ascontiguousarray(features, dtype=np.float32)
    if matrix.ndim == 1:
        matrix = matrix[None]
    if matrix.ndim != 2 or matrix.shape[1] != dimension:
        raise UsageError(f"features of shape {np.shape(features)}; the gallery's have {dimension} values")
    return matrix


def _row(entry: Entry | str) -> tuple[str, str | None, str | None]:
    if isinstance(entry, str):
        return entry, None, None
    return entry.id, entry.label, json.dumps(dict(entry.metadata)) if entry.metadata else None


def _metadata(text: str | None) -> dict[str, Any]:
    return json.loads(text) if text else {}


def _entry(row: tuple[str, str | None, str | None]) -> Entry:
    id, label, text = row
    return Entry(id, label, _metadata(text))
