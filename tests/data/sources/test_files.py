"""Files of any name and format end as the same tables."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from recsys.core.errors import ConfigError, DataError
from recsys.data.sources.files import FilesConfig, read_files

NOON_S = 1717156800
EVENTS = pl.DataFrame(
    {
        "uid": ["007", "8"],
        "sku": ["a", "b"],
        "ts": ["2024-05-31T12:00:00Z", "2024-05-31T13:00:00Z"],
        "what": ["view", "purchase"],
        "price": [1.5, None],
        "shop": ["north", "south"],
    }
)
ITEMS = pl.DataFrame(
    {"item_id": ["a", "b"], "title": ["kite", "ball"], "name": ["Kite!", "Ball!"], "weight": [1.0, 2.5]}
)
MAPPING = {"events": {"user_id": "uid", "item_id": "sku", "timestamp": "ts", "event_type": "what"}}


def config(folder: Path, **fields: object) -> FilesConfig:
    settings: dict[str, object] = {"columns": MAPPING, "event_types": {"view": "click"}, **fields}
    return FilesConfig(dir=str(folder), **settings)  # type: ignore[arg-type]


@pytest.fixture(params=["parquet", "csv"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    for name, frame in (("events", EVENTS), ("items", ITEMS)):
        write: Callable[[Path], object] = frame.write_csv if request.param == "csv" else frame.write_parquet
        write(tmp_path / f"{name}.{request.param}")
    return tmp_path


def test_parquet_and_csv_give_the_same_tables(folder: Path) -> None:
    tables = read_files(config(folder))
    assert tables.events.columns == ["user_id", "item_id", "timestamp", "event_type", "price", "shop"]
    assert tables.events["user_id"].to_list() == ["007", "8"]  # an id is text, zeros and all
    assert tables.events["event_type"].to_list() == ["click", "purchase"]
    assert tables.events["timestamp"][0] == datetime(2024, 5, 31, 12, tzinfo=UTC)
    assert tables.events["price"].to_list() == [1.5, None]
    assert tables.events["shop"].to_list() == ["north", "south"]
    assert tables.items["weight"].to_list() == [1.0, 2.5]
    assert tables.users is None and tables.impressions is None


def test_users_and_impressions_are_read_where_they_are(folder: Path) -> None:
    pl.DataFrame({"user_id": ["007"], "age": [33]}).write_parquet(folder / "users.parquet")
    shown = pl.DataFrame({"request_id": ["r"], "user_id": ["8"], "item_id": ["a"], "clicked": [1]})
    shown.with_columns(timestamp=datetime(2024, 5, 31, tzinfo=UTC)).write_parquet(
        folder / "impressions.parquet"
    )
    tables = read_files(config(folder))
    assert tables.users is not None and tables.users["age"].to_list() == [33]
    assert tables.impressions is not None and tables.impressions["clicked"].to_list() == [1]


def test_a_folder_of_parquet_files_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    EVENTS.head(1).write_parquet(tmp_path / "events" / "1.parquet")
    EVENTS.tail(1).write_parquet(tmp_path / "events" / "2.parquet")
    ITEMS.write_parquet(tmp_path / "items.parquet")
    assert read_files(config(tmp_path)).events["user_id"].to_list() == ["007", "8"]


@pytest.mark.parametrize("unit", ["seconds", "milliseconds"])
def test_epochs_are_read_in_their_unit(folder: Path, unit: str) -> None:
    numbers = [NOON_S * (1000 if unit == "milliseconds" else 1)] * 2
    for file in folder.glob("events.*"):
        frame = EVENTS.with_columns(ts=pl.Series(numbers))
        frame.write_csv(file) if file.suffix == ".csv" else frame.write_parquet(file)
    assert read_files(config(folder, epoch=unit)).events["timestamp"][1] == datetime(
        2024, 5, 31, 12, tzinfo=UTC
    )
    with pytest.raises(DataError, match="column timestamp"):
        read_files(config(folder))


def test_decimal_seconds_are_read_from_any_format(folder: Path) -> None:
    for file in folder.glob("events.*"):
        frame = EVENTS.with_columns(ts=pl.Series([NOON_S + 0.25, NOON_S]))
        frame.write_csv(file) if file.suffix == ".csv" else frame.write_parquet(file)
    moments = read_files(config(folder, epoch="seconds")).events["timestamp"].to_list()
    assert min(moments) == datetime(2024, 5, 31, 12, tzinfo=UTC)
    assert max(moments).microsecond == 250_000


def test_a_word_among_the_numbers_of_an_epoch_is_named(tmp_path: Path) -> None:
    ITEMS.write_parquet(tmp_path / "items.parquet")
    EVENTS.with_columns(ts=pl.Series([str(NOON_S), "noon"])).write_csv(tmp_path / "events.csv")
    with pytest.raises(DataError, match=r"expected numbers \(data\.epoch=seconds\); found 'noon'"):
        read_files(config(tmp_path, epoch="seconds"))


def test_a_folder_above_the_tables_is_not_read_in_their_place(folder: Path) -> None:
    (folder / "raw").mkdir()
    with pytest.raises(DataError, match=r"table events: expected a file events .* found nothing"):
        read_files(config(folder / "raw"))


def test_a_column_that_a_mapping_replaces_is_carried_on(folder: Path) -> None:
    mapping = {**MAPPING, "items": {"title": "item_id", "item_id": "title"}}
    items = read_files(config(folder, columns=mapping)).items
    assert items["item_id"].to_list() == ["kite", "ball"]
    assert items["title"].to_list() == ["a", "b"]


def test_a_foreign_title_leaves_ours_beside_it(folder: Path) -> None:
    items = read_files(config(folder, columns={**MAPPING, "items": {"title": "name"}})).items
    assert items["title"].to_list() == ["Kite!", "Ball!"]
    assert items["title_in_file"].to_list() == ["kite", "ball"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "xls"}, "data.format: expected one of auto, parquet, csv; found 'xls'"),
        ({"epoch": "minutes"}, "data.epoch: expected one of seconds"),
        ({"default_event_type": "buy"}, "data.default_event_type: expected one of impression"),
        ({"event_types": {"view": "look"}}, "data.event_types: expected one of impression"),
        (
            {"columns": {"event": {}}},
            "data.columns: expected one of events, items, users, impressions; found 'event'",
        ),
        ({"columns": {"events": {"userid": "uid"}}}, "data.columns.events: expected one of user_id"),
    ],
)
def test_a_misspelt_setting_is_refused(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_files(config(tmp_path, **fields))
    assert str(error.value).startswith(message)


def test_a_mapped_column_must_be_in_the_file(folder: Path) -> None:
    mapping = {"events": {**MAPPING["events"], "price": "pryce"}}
    with pytest.raises(
        DataError, match=r"column pryce.*data\.columns\.events\.price names it\. Did you mean 'price'"
    ):
        read_files(config(folder, columns=mapping))


def test_a_missing_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.dir: expected a folder with events and items"):
        read_files(FilesConfig())
    with pytest.raises(DataError, match=r"data\.dir.*nowhere"):
        read_files(config(tmp_path / "nowhere"))
    ITEMS.write_csv(tmp_path / "items.csv")
    with pytest.raises(
        DataError, match=r"table events: expected a file events \(parquet or csv\).*found items\.csv"
    ):
        read_files(config(tmp_path))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "events.parquet").write_bytes(b"not parquet at all")
    ITEMS.write_csv(tmp_path / "items.csv")
    with pytest.raises(DataError, match=r"file .*events\.parquet: expected a readable parquet file"):
        read_files(config(tmp_path))


def test_an_empty_file_is_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("")
    ITEMS.write_csv(tmp_path / "items.csv")
    with pytest.raises(DataError, match="table events: expected rows; found the empty file"):
        read_files(config(tmp_path))
