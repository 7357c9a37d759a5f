"""What several tests need: the golden data, pictures, a model's folder."""

from __future__ import annotations

import json
import pathlib
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from image_feature import FeatureExtractor

ROOT = pathlib.Path(__file__).parents[3]


@pytest.fixture(scope="session")
def golden() -> pathlib.Path:
    """Outputs of the real PaddleX, beside the checkout."""
    for folder in (ROOT / "shared" / "golden", ROOT.parent / "shared" / "golden"):
        if folder.is_dir():
            return folder
    pytest.skip("the golden data is not there: ../shared/golden")


@pytest.fixture(scope="session")
def official(golden: pathlib.Path) -> pathlib.Path:
    """A folder with a model named PP-ShiTuV2_rec."""
    return golden / "models" / "PP-ShiTuV2_rec_infer_pir"


@pytest.fixture(scope="session")
def tiny() -> FeatureExtractor:
    return FeatureExtractor.load("tiny", threads=2)


@pytest.fixture(scope="session")
def noise() -> Callable[..., npt.NDArray[np.uint8]]:
    """Pictures of noise, by their number."""

    def picture(seed: int, height: int = 40, width: int = 60) -> npt.NDArray[np.uint8]:
        return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)

    return picture


def safetensors(path: pathlib.Path) -> dict[str, npt.NDArray[np.float32]]:
    """The f32 tensors of a file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    head: dict[str, Any] = json.loads(data[8 : 8 + length])
    body, tensors = data[8 + length :], {}
    for name, entry in head.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            start, end = entry["data_offsets"]
            tensors[name] = np.frombuffer(body[start:end], np.float32).reshape(entry["shape"])
    return tensors


def ppm(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A file of the pixels, without loss."""
    height, width, _ = pixels.shape
    return b"P6 %d %d 255\n" % (width, height) + np.ascontiguousarray(pixels).tobytes()
