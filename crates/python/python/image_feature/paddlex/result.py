"""Results as PaddleX gives, prints and saves them."""

from __future__ import annotations

import json
import os
import random
import time
from typing import Any, ClassVar

import numpy as np

from .. import _native
from .._images import as_picture


class Result(dict[str, Any]):
    """A result: a dictionary that prints and saves itself as in PaddleX 3."""

    _hidden: ClassVar[tuple[str, ...]] = ("input_img",)

    def __missing__(self, key: str) -> Any:
        # decoded a second time, and only for those who ask
        if key == "input_img" and self["input_path"] is not None:
            self[key] = _native.pixels(as_picture(self["input_path"]))[:, :, ::-1]
            return self[key]
        raise KeyError(key)

    def _shown(self) -> dict[str, Any]:
        return {key: value for key, value in self.items() if key not in self._hidden}

    @property
    def json(self) -> dict[str, Any]:
        """The result in Python's own types: numbers, texts, lists."""
        return {"res": _plain(self._shown())}

    def print(self, json_format: bool = False, indent: int = 4, ensure_ascii: bool = False) -> None:
        """Prints the result: as a dictionary with a short array, or as JSON with all numbers."""
        if json_format:
            print(json.dumps(self.json, indent=indent, ensure_ascii=ensure_ascii))
            return
        with np.printoptions(threshold=1, edgeitems=1):
            print({"res": self._shown()})

    def save_to_json(self, save_path: str | os.PathLike[str], indent: int = 4, ensure_ascii: bool = False) -> None:
        """Writes the result to a ``.json`` file, or to ``NAME_res.json`` in a folder."""
        path = os.fspath(save_path)
        if not path.lower().endswith(".json"):
            path = os.path.join(path, f"{self._stem()}_res.json")
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        text = json.dumps(self.json["res"], indent=indent, ensure_ascii=ensure_ascii)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def _stem(self) -> str:
        path: str | None = self["input_path"]
        if path is None:
            return f"{int(time.time())}_{random.randint(1000, 9999)}"
        return os.path.splitext(os.path.basename(path))[0]

    def __str__(self) -> str:
        return str({"res": self._shown()})


class ImageFeatureResult(Result):
    """The result of the image feature module.

    Its keys are ``input_path`` (``None`` for an array), ``page_index`` (``None``) and ``feature`` (512 numbers, of length 1);
    ``res["input_img"]`` gives the image as an array in BGR.
    """


class ShiTuResult(Result):
    """The result of the pipeline: ``input_path``, and ``boxes`` with ``labels``, ``rec_scores``, ``det_score``, ``coordinate``."""


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value
