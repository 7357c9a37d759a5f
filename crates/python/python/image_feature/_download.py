"""The download of official models, with a bar."""

from __future__ import annotations

import sys
import time

from . import _native


class _Bar:
    """Address and size in one line, then a bar where stderr is a terminal."""

    def __init__(self) -> None:
        self._is_first = True
        self._began = time.monotonic()

    def __call__(self, url: str, received: int, total: int | None) -> None:
        if self._is_first:
            self._is_first = False
            size = f"{total / 1e6:.1f} MB" if total else "of unknown size"
            resumed = f", from {received / 1e6:.1f} MB on" if received else ""
            print(f"downloading {url} ({size}{resumed})", file=sys.stderr, flush=True)
        if not sys.stderr.isatty():
            return
        rate = received / max(time.monotonic() - self._began, 1e-3) / 1e6
        share = received / total if total else 0.0
        bar = "#" * round(40 * share)
        end = "\n" if received == total else ""
        print(f"\r{bar:40} {received / 1e6:8.1f} MB  {rate:5.1f} MB/s", end=end, file=sys.stderr, flush=True)


def official_folder(name: str, mirror: str | None = None) -> str:
    """The folder of an official model in PaddleX's cache; downloads the model if it is not there."""
    return str(_native.download(name, _Bar(), mirror=mirror))
