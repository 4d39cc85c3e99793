"""Files that come later are read as those of a run, in the order in which they stand."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core.codes import Codes
from recsys.core.errors import DataError
from recsys.core.log import LAST
from recsys.data.clean import CleanConfig, Ledger
from recsys.data.later import files_of, item_rows, log_of, read_events, read_items, usable_events
from recsys.data.sources.files import FilesConfig

ITEMS = Codes.build(["a", "b"])


def events(*rows: tuple[str, str, int]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    return frame.with_columns(
        pl.from_epoch("timestamp").dt.replace_time_zone("UTC").dt.cast_time_unit("us"),
        pl.lit("click").alias("event_type"),
    )


def test_files_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("2.csv", "1.parquet", "10.csv", "notes.txt"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in files_of(tmp_path, "events")] == ["1.parquet", "10.csv", "2.csv"]
    assert files_of(tmp_path / "2.csv", "events") == [tmp_path / "2.csv"]
    for wrong, found in (("none", "no such file"), ("notes.txt", "no such file")):
        with pytest.raises(DataError, match=f"table items: expected a file of parquet or csv, .*{found}"):
            files_of(tmp_path / wrong, "items")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="which holds none"):
        files_of(tmp_path / "empty", "items")


def test_events_keep_their_order_and_new_users_get_the_next_codes(tmp_path: Path) -> None:
    now = 1_700_000_000
    events(("v", "b", now + 9), ("u", "a", now)).write_parquet(tmp_path / "1.parquet")
    events(("w", "a", now + 5), ("v", "x", now)).write_csv(tmp_path / "2.csv")
    tables = read_events(FilesConfig(), files_of(tmp_path, "events"))
    users, ledger = Codes.build(["u"]), Ledger()
    log = log_of(usable_events(tables, ITEMS, CleanConfig(), ledger, LAST), users, ITEMS)
    assert log.user.tolist() == [1, 0, 2] and users.decode([1, 2]) == ["v", "w"]
    assert log.item.tolist() == [1, 0, 0]
    assert (log.time // 1_000_000 - now).tolist() == [9, 0, 5]
    assert log.request.tolist() == [-1] * 3 and np.isnan(log.price).all()
    assert {rule: dropped for rule, _, _, dropped, _, _ in ledger.lines}["unknown_items"] == 1


def test_a_clock_that_runs_ahead_is_refused() -> None:
    later = events(("u", "a", 1_700_000_000))
    with pytest.raises(DataError, match=r"no later than 2023-11-14 00:00 UTC; found 2023-11-14 22:13 UTC"):
        usable_events([later], ITEMS, CleanConfig(), Ledger(), datetime(2023, 11, 14, tzinfo=UTC))


def test_words_that_look_like_numbers_stay_words(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title,size,pages\na,A,38,7\nb,B,40,8\n")
    found = read_items(FilesConfig(), [tmp_path / "items.csv"], {"size"})
    assert found["size"].to_list() == ["38", "40"] and found["pages"].to_list() == [7.0, 8.0]


def test_a_category_that_only_a_known_item_has_now_gets_no_code() -> None:
    items = pl.DataFrame({"item_id": ["a", "n"], "category": ["new", "newer"], "price": [1.0, None]})
    categories, brands = Codes.build(["old"]), Codes.build([])
    table = item_rows(items, np.array([False, True]), categories, brands)
    assert table.category.tolist() == [-1, 1] and categories.decode([1]) == ["newer"]
    assert table.brand.tolist() == [-1, -1] and len(brands) == 0
