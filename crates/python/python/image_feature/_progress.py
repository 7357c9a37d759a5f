"""Bars of progress, by tqdm if it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from typing import Any, TypeVar

T = TypeVar("T")


def counted(items: Iterable[T], show: bool) -> Iterable[T]:
    """The items, counted by a bar."""
    if not show:
        return items
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return items
    total = len(items) if isinstance(items, Sized) else None
    bar: Iterable[T] = tqdm(items, total=total, unit="image")
    return bar


def bar(show: bool, unit: str) -> Callable[[int, int], None] | None:
    """A function that moves a bar to ``done`` of ``total``; ``None`` where none is shown."""
    if not show:
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    shown: Any = tqdm(unit=unit)

    def move(done: int, total: int) -> None:
        shown.total = total
        shown.update(done - shown.n)
        if done >= total:
            shown.close()

    return move
