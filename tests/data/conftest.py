"""Tables of a handful of rows, built by naming what matters."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

START = datetime(2024, 1, 1, tzinfo=UTC)
Build = Callable[..., pl.DataFrame]


@pytest.fixture
def at() -> Callable[[float], datetime]:
    """Hours after the start of 2024 as a time."""
    return lambda hours: START + timedelta(hours=hours)


@pytest.fixture
def events(at: Callable[[float], datetime]) -> Build:
    """Events from (user, item, hours, event_type) and further columns."""

    def build(rows: list[tuple[Any, Any, float, str]], **columns: list[Any]) -> pl.DataFrame:
        users, items, hours, kinds = zip(*rows, strict=True) if rows else ((), (), (), ())
        return pl.DataFrame(
            {
                "user_id": pl.Series(users, dtype=pl.String),
                "item_id": pl.Series(items, dtype=pl.String),
                "timestamp": pl.Series([at(hour) for hour in hours], dtype=pl.Datetime("us", "UTC")),
                "event_type": list(kinds),
                **columns,
            }
        )

    return build


@pytest.fixture
def items() -> Build:
    """A catalogue from item ids and further columns."""

    def build(ids: str = "abcd", **columns: list[Any]) -> pl.DataFrame:
        return pl.DataFrame({"item_id": list(ids), "title": [f"toy {i}" for i in ids], **columns})

    return build
