"""Data sets of labelled images: checked, mended, divided, converted."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from . import _html, _native
from ._images import refuse_address
from ._pandas import frame
from ._progress import bar
from .errors import DecodeError, UsageError

Subset = Literal["train", "gallery", "query"]
Percent = Sequence[float]


@dataclass(frozen=True)
class Row:
    """A row of a list."""

    line: int
    path: str
    label: int | None
    """``None`` where it is no whole number."""
    _entry: int | None = None


@dataclass(frozen=True)
class Finding:
    """Something that is wrong in a data set."""

    code: str
    severity: str
    """``error``, ``warning`` or ``hint``."""
    title: str
    list: str | None
    line: int | None
    column: int | None
    image: str | None
    reason: str
    fix: str | None
    """What to do about it."""


@dataclass(frozen=True)
class Sizes:
    """The rows of the lists of a new data set."""

    train: int
    gallery: int
    query: int
    notes: tuple[str, ...] = ()
    """What was taken as what, and what was left out."""


@dataclass(frozen=True)
class Fixed(Sizes):
    """The outcome of mending."""

    kept: int = 0
    set_aside: int = 0
    """Rows left out, each with its reason in ``set_aside.tsv``."""
    cut: int = 0
    renamed: int = 0


@dataclass(frozen=True)
class Report:
    """The result of a check. :attr:`data` has everything, as ``image-feature check --json`` prints it."""

    data: dict[str, Any] = field(repr=False)
    _dataset: _native.Dataset = field(repr=False)
    _options: dict[str, Any] = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether there are no errors."""
        return bool(self.data["passed"])

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of errors, warnings and hints."""
        return {name: self.data[name] for name in ("errors", "warnings", "hints")}

    @property
    def findings(self) -> list[Finding]:
        """All findings, errors first."""
        codes = {code["code"]: code for code in self.data["codes"]}
        return [_finding(found, codes[found["code"]]) for found in self.data["findings"]]

    def to_pandas(self) -> Any:
        """A data frame of pandas with a row for each finding."""
        columns = list(Finding.__dataclass_fields__)
        return frame([vars(finding) for finding in self.findings], columns)

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Writes the report as one HTML file with small pictures."""
        Path(path).write_text(self._dataset.report_html(**self._options), encoding="utf-8")

    def _repr_html_(self) -> str:
        rows = ((code["severity"], code["code"], code["title"], code["count"], code["fix"]) for code in self.data["codes"])
        head = "passed" if self.passed else "failed"
        return f"<p><b>{head}</b></p>" + _html.table(["", "code", "finding", "count", "remedy"], rows)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        return f"<Report: {'passed' if self.passed else 'failed'}, {counts}>"


class Dataset:
    """A data set of image retrieval in PaddleX's form: ``images/``, and lists with a line ``PATH LABEL`` for each image.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> (folder / "images").mkdir()
    >>> _ = (folder / "images" / "a.ppm").write_text("P3 1 1 255  9 9 9")
    >>> for name in ("train", "gallery", "query"):
    ...     _ = (folder / f"{name}.txt").write_text("images/a.ppm 0\\nimages/b.ppm 1\\n")
    >>> report = Dataset(folder).check()
    >>> report.passed, [finding.reason for finding in report.findings if finding.code == "F001"][0]
    (False, '`images/b.ppm` does not exist')

    Nothing is changed in place: :meth:`fix` and :meth:`split` write copies, to a folder or to a file that ends with ``.zip``.
    """

    def __init__(self, path: str | os.PathLike[str], *, encoding: str | None = None) -> None:
        """Opens a folder or an archive, and reads its lists.

        :param encoding: of lists and names that are not UTF-8, such as ``"gbk"``; by default it is guessed.
        """
        refuse_address(os.fspath(path))
        self._path = os.fspath(path)
        self._native = _native.Dataset(self._path, encoding=encoding)

    def check(self, *, batch_size: int = 128, threads: int | None = None, progress: bool = False) -> Report:
        """Looks at every image and reports everything that is wrong.

        :param batch_size: images of a training batch.
        :param progress: whether a bar is shown, if ``tqdm`` is installed.
        """
        options = {"batch_size": batch_size, "threads": _threads(threads)}
        return Report(json.loads(self._native.check(**options, progress=bar(progress, "image"))), self._native, options)

    def fix(self, target: str | os.PathLike[str], *, threads: int | None = None, progress: bool = False) -> Fixed:
        """Writes a copy with mended lists."""
        text = self._native.fix(os.fspath(target), threads=_threads(threads), progress=bar(progress, "image"))
        found = json.loads(text)
        return Fixed(**{"set_aside" if name == "setAside" else name: value for name, value in found.items()})

    def split(
        self,
        target: str | os.PathLike[str],
        *,
        percent: Percent = (70, 20, 10),
        seed: int = 0,
        by: Literal["image", "class"] = "image",
        allow_absent: bool = False,
        ignore_copies: bool = False,
        threads: int | None = None,
        progress: bool = False,
    ) -> Sizes:
        """Writes a copy that is divided anew.

        :param percent: of the images for training, gallery and queries: 100 together.
        :param by: ``"image"`` divides the images of each class, ``"class"`` the classes.
        :param allow_absent: whether a class may have queries but no image in the gallery.
        :param ignore_copies: whether images are not opened, so that copies of one picture may come into several lists.
        """
        text = self._native.split(
            os.fspath(target),
            percent=_percent(percent),
            seed=seed,
            by=by,
            allow_absent=allow_absent,
            ignore_copies=ignore_copies,
            threads=_threads(threads),
            progress=bar(progress, "image"),
        )
        return Sizes(**json.loads(text))

    @staticmethod
    def convert(
        path: str | os.PathLike[str],
        target: str | os.PathLike[str],
        *,
        form: Literal["labelme", "folders", "csv"],
        percent: Percent = (50, 30, 20),
        seed: int = 0,
        divisions: Literal["auto", "yes", "no"] = "auto",
        path_column: str | None = None,
        label_column: str | None = None,
        list_column: str | None = None,
        skip_faulty: bool = False,
        encoding: str | None = None,
    ) -> Sizes:
        """Writes a data set of another form as one of this form.

        :param path: a folder or archive; with ``form="csv"`` also the table itself, in the folder of its images.
        :param form: ``"labelme"``, ``"folders"`` (one for each class) or ``"csv"``.
        :param percent: the division of images that the source does not divide.
        :param divisions: whether folders named train, val, test, gallery or query are divisions.
        :param skip_faulty: whether faulty rows are left out, and told in the notes.
        """
        refuse_address(os.fspath(path))
        folder, table = Path(path), None
        if form == "csv" and folder.is_file() and folder.suffix.lower() in (".csv", ".tsv", ".txt"):
            folder, table = folder.parent, folder.name
        text = _native.convert(
            os.fspath(folder),
            os.fspath(target),
            form=form,
            table=table,
            percent=_percent(percent),
            seed=seed,
            divisions=divisions,
            columns=[path_column, label_column, list_column],
            skip_faulty=skip_faulty,
            encoding=encoding,
        )
        found = json.loads(text)
        return Sizes(**{**found, "notes": tuple(found["notes"])})

    def rows(self, subset: Subset) -> list[Row]:
        """The rows of ``train.txt``, ``gallery.txt`` or ``query.txt``."""
        return [Row(*row) for row in self._native.rows(subset)]

    def labelled(self, subset: Subset) -> list[Row]:
        """The rows of a list, each with an image and a label. Raises :class:`DecodeError` where one has none."""
        rows = self.rows(subset)
        for row in rows:
            if row._entry is None or row.label is None:
                what = "there is no such image" if row._entry is None else "its label is no whole number"
                raise DecodeError(f"{subset}.txt: line {row.line}: `{row.path}`: {what}; Dataset.check() says more")
        if not rows:
            raise DecodeError(f"{subset}.txt is missing or empty in {self._path}")
        return rows

    def read(self, row: Row) -> bytes:
        """The bytes of a row's image."""
        if row._entry is None:
            raise DecodeError(f"line {row.line}: there is no `{row.path}`")
        return self._native.read(row._entry)

    def __len__(self) -> int:
        return self._native.image_count()

    def __repr__(self) -> str:
        return f"<Dataset {self._path}: {len(self)} images>"


def _finding(found: dict[str, Any], code: dict[str, Any]) -> Finding:
    places = {name: found.get(name) for name in ("list", "line", "column", "image", "fix")}
    return Finding(code=found["code"], severity=code["severity"], title=code["title"], reason=found["reason"], **places)


def _threads(threads: int | None) -> int:
    if threads is not None and threads < 1:
        raise UsageError(f"threads={threads}: give 1 or more")
    return threads or os.cpu_count() or 1


def _percent(percent: Percent) -> list[float]:
    if len(percent) != 3:
        raise UsageError(f"percent={percent!r}: give three, for training, gallery and queries")
    return [float(part) for part in percent]
