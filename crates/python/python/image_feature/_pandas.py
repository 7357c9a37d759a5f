"""Data frames, where pandas is installed."""

from __future__ import annotations

from typing import Any

from .errors import UsageError


def frame(rows: list[dict[str, Any]], columns: list[str] | None = None) -> Any:
    """The rows as a data frame."""
    try:
        import pandas
    except ImportError:
        raise UsageError("to_pandas needs pandas: `pip install pandas`") from None
    return pandas.DataFrame(rows, columns=columns)
