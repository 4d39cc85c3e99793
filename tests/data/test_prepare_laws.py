"""Laws of the data room on random small shops: determinism, disk, bounds of windows, merged lists."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import ConfigError, DataError
from recsys.core.tables import TIME
from recsys.data.clean import Ledger
from recsys.data.coding import encode, item_order, micros, user_order
from recsys.data.door import Tables, conform
from recsys.data.impressions import merge_impressions
from recsys.data.prepare import PrepareConfig, load, prepare, save
from recsys.data.requests import RequestsConfig
from recsys.data.split import SplitConfig, Windows, make_windows, parse_moment
from recsys.data.text import TextConfig, item_text
from recsys.data.times import from_epoch, looks_like, to_utc

Build = Callable[..., pl.DataFrame]
UNITS = ["event", "basket", "session", "period"]


def world(seed: int) -> Tables:
    rng = np.random.default_rng(seed)
    n = 160
    start = datetime(2024, 1, 1, tzinfo=UTC)
    minutes = np.sort(rng.choice(8 * 24 * 60, n, replace=False))
    events = pl.DataFrame(
        {
            "user_id": [f"u{i}" for i in rng.integers(0, 9, n)],
            "item_id": [f"i{i}" for i in rng.integers(0, 14, n)],
            "timestamp": [start + timedelta(minutes=int(m)) for m in minutes],
            "event_type": rng.choice(["impression", "click", "cart", "purchase"], n),
        }
    )
    ids = [f"i{i}" for i in range(12)]  # i12 and i13 are unknown
    return Tables(events, pl.DataFrame({"item_id": ids, "title": [f"toy {i}" for i in ids]}))


def config(unit: str, **fields: Any) -> PrepareConfig:
    return PrepareConfig(split=SplitConfig(), requests=RequestsConfig(unit=unit, **fields))


@pytest.mark.parametrize("unit", UNITS)
def test_truth_is_the_labelled_events_of_its_requests(unit: str) -> None:
    made = prepare(world(1), config(unit))
    assert (made.truth["label"] > 0).all(), "nothing was shown: every row is a wish"
    asked = made.truth.join(made.requests.select("request", "user", "timestamp"), on="request")
    wishes = made.events.filter(pl.col("event_type") != "impression").select("user", "item", at="timestamp")
    met = asked.join(wishes, on=["user", "item"]).filter(pl.col("at") >= pl.col("timestamp"))
    assert met.select("request", "item").n_unique() == made.truth.height
    assert made.requests["request"].to_list() == list(range(made.requests.height))
    assert made.requests["timestamp"].is_sorted()
    assert made.truth["request"].n_unique() == made.requests.height


@pytest.mark.parametrize("unit", UNITS)
def test_requests_lie_in_the_window_that_they_name(unit: str) -> None:
    made = prepare(world(2), config(unit))
    for name, time in made.requests.select("window", "timestamp").rows():
        at = int(micros(pl.Series([time]))[0])
        assert made.windows.start(name) <= at < made.windows.stop(name)


def test_folds_hang_on_the_user_and_on_nothing_else() -> None:
    folds: dict[str, int] = {}
    for seed, unit in ((1, "event"), (2, "basket"), (3, "session")):
        for user, fold in prepare(world(seed), config(unit)).requests.select("user_id", "fold").rows():
            assert folds.setdefault(user, fold) == fold
    assert len(folds) == 9 and len(set(folds.values())) > 1


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(prepare(world(4), config("event")), tmp_path / name)
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file())
    assert len(files) > 20
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_a_loaded_folder_saved_again_is_the_same_folder(tmp_path: Path) -> None:
    save(prepare(world(5), config("basket")), tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    assert json.loads((tmp_path / "a" / "meta.json").read_text()) == json.loads(
        (tmp_path / "b" / "meta.json").read_text()
    )
    for name in ("events", "items", "users", "requests", "truth", "ledger"):
        one, other = (pl.read_parquet(tmp_path / folder / f"{name}.parquet") for folder in "ab")
        assert one.equals(other)


def test_every_dropped_row_is_in_the_ledger() -> None:
    tables = world(6)
    made = prepare(tables, config("event"))
    gone = made.ledger.filter(pl.col("table") == "events")["dropped"].sum()
    strangers = tables.events["item_id"].is_in(["i12", "i13"]).sum()
    assert gone == strangers == tables.events.height - made.events.height


def test_codes_of_users_follow_time_and_codes_of_unseen_items_a_hash() -> None:
    events = pl.DataFrame({"user_id": ["b", "a", "b"], "item_id": ["y", "x", "y"]})
    assert user_order(events, None).to_list() == ["b", "a"]
    assert user_order(events, pl.DataFrame({"user_id": ["z", "a"]})).to_list() == ["b", "a", "z"]
    items = pl.DataFrame({"item_id": list("pqrstxy")})
    order = item_order(events, 1, items).to_list()
    assert order[0] == "y" and sorted(order) == list("pqrstxy")
    assert item_order(events, 1, items.reverse()).to_list() == order, "not the order of the catalogue"
    assert encode(pl.Series(["x", None, "nobody"]), pl.Series(order)).to_list() == [order.index("x"), -1, -1]


def test_shares_of_even_events_are_dates() -> None:
    times = np.arange(10, dtype=np.int64) * 86_400_000_000 + parse_moment("2024-01-01", "x")
    by_share = make_windows(SplitConfig("0.5", "0.7", "0.9"), times)
    by_date = make_windows(SplitConfig("2024-01-06", "2024-01-08", "2024-01-10"), times)
    assert by_share == by_date
    assert Windows.from_json(by_share.to_json()) == by_share
    assert by_share.of(times).tolist() == [0] * 5 + [1] * 2 + [2] * 2 + [3]


@pytest.mark.parametrize(
    ("split", "text"),
    [
        (SplitConfig("0.5", "2024-01-08", "0.9"), "all dates or all shares; found 0.5, 2024-01-08, 0.9"),
        (SplitConfig("0.5", "0.7", "1.0"), "expected shares between 0 and 1; found 0.5, 0.7, 1.0"),
        (SplitConfig("0", "0.7", "0.9"), "expected shares between 0 and 1"),
        (SplitConfig("2024-01-08", "2024-01-06", "2024-01-09"), "expected rank < valid < test < end"),
        (SplitConfig("2024-01-05", "soon", "2024-01-09"), "split.valid: expected a date such as"),
    ],
)  # fmt: skip
def test_splits_that_cannot_be(split: SplitConfig, text: str) -> None:
    times = np.arange(10, dtype=np.int64) * 86_400_000_000 + parse_moment("2024-01-01", "x")
    with pytest.raises(ConfigError) as error:
        make_windows(split, times)
    assert text in str(error.value)


def test_shares_of_one_moment_are_refused() -> None:
    with pytest.raises(DataError, match="found two windows with the same start between 2024-01-01"):
        make_windows(SplitConfig(), np.full(50, parse_moment("2024-01-01", "x")))


def test_one_moment_has_one_reading(events: Build) -> None:
    moment = parse_moment("2024-07-01T12:00:00+00:00", "x")
    for text in ("2024-07-01T12:00", "2024-07-01T14:00:00+02:00", "2024-07-01T07:00:00-05:00"):
        assert parse_moment(text, "x") == moment
    naive = pl.Series([datetime(2024, 7, 1, 14)])
    assert micros(to_utc(naive, "t", "Europe/Berlin")).tolist() == [moment]
    assert micros(to_utc(pl.Series(["2024-07-01 14:00"]), "t", "Europe/Berlin")).tolist() == [moment]
    winter = to_utc(pl.Series([datetime(2024, 1, 1, 14)]), "t", "Europe/Berlin")
    assert winter.to_list() == [datetime(2024, 1, 1, 13, tzinfo=UTC)], "an hour less in winter"
    for unit, scale in (("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6)):
        times = from_epoch(pl.Series([moment // 10**6 * scale]), unit)
        assert times.dtype == TIME and micros(times).tolist() == [moment]


@pytest.mark.parametrize(
    ("number", "unit"),
    [
        (631_151_999, None), (631_152_000, "seconds"), (4_133_980_799, "seconds"), (4_133_980_800, None),
        (631_152_000_000, "milliseconds"), (631_152 * 10**9, "microseconds"), (-5, None),
    ],
)  # fmt: skip
def test_what_a_number_looks_like(number: int, unit: str | None) -> None:
    assert looks_like(number) == unit


def test_an_items_text_does_not_depend_on_its_neighbours(items: Build) -> None:
    frame = items(brand=["x", None, "z", ""], description=[None, "d", "<p>e</p>", " "])
    whole = item_text(frame, TextConfig())
    mixed = item_text(frame[[2, 1, 0, 3]], TextConfig())
    assert mixed.to_list() == [whole[i] for i in (2, 1, 0, 3)]
    assert whole.to_list() == [
        "title: toy a ; brand: x",
        "title: toy b ; description: d",
        "title: toy c ; description: e ; brand: z",
        "title: toy d",
    ]


def shown(events: Build, label: list[int | None], **columns: list[Any]) -> pl.DataFrame:
    rows = [("u", item, 1, "impression") for item, _ in zip("abcd", label, strict=False)]
    return events(rows, request_id=["r"] * len(rows), label=label, **columns).drop("event_type")


def test_merging_once_or_twice_is_the_same(events: Build, items: Build) -> None:
    logged = events([("u", "d", 0, "click")])
    tables = conform(Tables(logged, items(), impressions=shown(events, [0, 1, 2, 3])))
    once = merge_impressions(tables.events, tables.impressions, Ledger())
    ledger = Ledger()
    twice = merge_impressions(once, tables.impressions, ledger)
    assert twice.sort("event_type", "item_id").equals(once.sort("event_type", "item_id"))
    assert ledger.lines[1][:5] == ("label_and_event", "causal", "impressions", 3, 0)
    counts = dict(once["event_type"].cast(pl.String).value_counts().rows())
    assert counts == {"impression": 4, "click": 2, "cart": 1, "purchase": 1}


def test_the_higher_of_label_and_clicked_counts(events: Build, items: Build) -> None:
    lists = shown(events, [0, 3, None, 0], clicked=[1, 1, 1, None])
    tables = conform(Tables(events([("u", "d", 0, "click")]), items(), impressions=lists))
    merged = merge_impressions(tables.events, tables.impressions, Ledger())
    hits = merged.filter(pl.col("request_id").is_not_null() & (pl.col("event_type") != "impression"))
    assert hits.select("item_id", "event_type").rows() == [("a", "click"), ("b", "purchase"), ("c", "click")]
