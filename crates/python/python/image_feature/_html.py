"""Pictures and tables for notebooks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from . import _native
from .errors import ImageFeatureError

_TILE = "display:inline-block;margin:4px;width:112px;vertical-align:top;font:12px sans-serif;overflow-wrap:anywhere"


def picture(path: Any) -> str:
    """A small picture of a file; empty where there is none."""
    if not isinstance(path, str) or not os.path.isfile(path):
        return ""
    try:
        uri = _native.thumbnail(path)
    except (ImageFeatureError, OSError):
        return ""
    return f'<img src="{escape(uri)}" alt="" style="max-width:100%"><br>'


def tiles(items: Iterable[tuple[Any, str]]) -> str:
    """Pictures side by side, each with its text below."""
    return "".join(f'<div style="{_TILE}">{picture(path)}{escape(text)}</div>' for path, text in items)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table."""
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(_text(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def curve(values: Sequence[float], title: str) -> str:
    """A line through values, as SVG."""
    if len(values) < 2:
        return f"<p>{escape(title)}</p>"
    low, high = min(values), max(values)
    scale = (high - low) or 1.0
    points = " ".join(
        f"{300 * at / (len(values) - 1):.1f},{95 - 90 * (value - low) / scale:.1f}" for at, value in enumerate(values)
    )
    return (
        f'<figure><svg viewBox="0 0 300 100" width="300" height="100" role="img" aria-label="{escape(title)}">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
        f"<figcaption>{escape(title)}: {values[0]:.3f} to {values[-1]:.3f}</figcaption></figure>"
    )


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
