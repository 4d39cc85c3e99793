"""The whole room: everything fits together, survives the disk, and the same input gives the same output."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core import tables as specs
from recsys.core.as_of import Policy, cut, pair_heads
from recsys.core.errors import BundleError, ConfigError, DataError
from recsys.core.tables import check
from recsys.data.clean import CleanConfig
from recsys.data.door import Tables
from recsys.data.prepare import PrepareConfig, Prepared, load, prepare, save
from recsys.data.requests import RequestsConfig, request_arrays
from recsys.data.split import SplitConfig
from recsys.data.text import TextConfig

Build = Callable[..., pl.DataFrame]
DAYS = SplitConfig("2024-01-02", "2024-01-03", "2024-01-04")


@pytest.fixture
def tables(events: Build, items: Build) -> Tables:
    """Four days of a shop of four items; user v arrives on the second, item c too."""
    rows = [
        ("u", "b", 1, "click"),
        ("u", "a", 2, "purchase"),
        ("u", "a", 5, "return"),
        ("u", "b", 1, "impression"),
    ]
    rows += [
        ("v", "c", 25, "click"),
        ("u", "c", 30, "cart"),
        ("v", "a", 50, "click"),
        ("u", "d", 75, "purchase"),
    ]
    rows += [("w", "b", 80, "click"), ("w", "gone", 81, "click")]
    frame = events(rows, value=[1.0] * len(rows))
    users = pl.DataFrame({"user_id": ["z", "v"], "country": ["NZ", "FR"]})
    catalogue = items(category=["x", "y", None, "x"], average_rating=[5.0] * 4, weight=[1, 2, 3, 4])
    return Tables(frame, catalogue, users)


CONFIG = PrepareConfig(split=DAYS)


def test_every_table_has_its_shape(tables: Tables) -> None:
    made = prepare(tables, CONFIG)
    for name in ("events", "items", "users", "requests", "truth", "ledger"):
        check(getattr(made, name), getattr(specs, name.upper()))


def test_codes_names_log_and_frames_agree(tables: Tables) -> None:
    made = prepare(tables, CONFIG)
    users, items = made.users["user_id"].to_list(), made.items["item_id"].to_list()
    assert users == ["u", "v", "w", "z"]
    assert items[:2] == ["b", "a"] and sorted(items) == list("abcd")
    assert made.codes["users"].decode(range(4)) == users
    assert made.codes["items"].encode(made.events["item_id"].to_list()).tolist() == made.log.item.tolist()
    assert made.codes["users"].encode(made.events["user_id"].to_list()).tolist() == made.log.user.tolist()
    names = made.codes["categories"]
    assert [
        names.decode([code])[0] if code >= 0 else None for code in made.item_table.category
    ] == made.items["category"].to_list()
    assert len(made.codes["brands"]) == 0


def test_side_tables_are_carried_in_code_order(tables: Tables) -> None:
    made = prepare(tables, CONFIG)
    assert made.users["country"].to_list() == [None, "FR", None, "NZ"]
    weights = dict(zip("abcd", [1, 2, 3, 4], strict=True))
    assert made.items["weight"].to_list() == [weights[item] for item in made.items["item_id"]]
    assert "average_rating" not in made.items.columns
    assert made.items["text"][0] == "title: toy b ; category: y"


def test_requests_and_truth_point_at_items_and_users(tables: Tables) -> None:
    made = prepare(tables, CONFIG)
    assert made.requests["window"].to_list() == ["rank", "rank", "valid", "test", "test"]
    assert made.requests["user_id"].to_list() == ["v", "u", "v", "u", "w"]
    wanted = made.truth.join(made.items.select("item", "item_id"), on="item", maintain_order="left")
    assert wanted["item_id"].to_list() == ["c", "c", "a", "d", "b"]


def test_meta_says_what_was_made(tables: Tables) -> None:
    meta = prepare(tables, replace(CONFIG, time="order", real_from="2024-01-02")).meta
    assert meta["clock"] is False
    assert meta["real_from"] == meta["windows"]["rank"]
    assert (meta["unit"], meta["rows"], meta["min_rating"]) == ("event", "retrieved", None)
    counts = {"n_users": 4, "n_items": 4, "n_categories": 2, "n_brands": 0, "n_events": 9, "n_requests": 5}
    assert meta["counts"] == {**counts, "n_truth": 5, "n_fit": 4}
    assert prepare(tables, CONFIG).meta["clock"] is True


def test_the_ledger_tells_what_went(tables: Tables) -> None:
    ledger = prepare(tables, CONFIG).ledger
    gone = ledger.filter(pl.col("dropped") > 0).select("rule", "scope", "dropped").rows()
    assert gone == [("unknown_items", "causal", 1), ("future_aggregate", "causal", 4)]


def test_the_same_rows_in_another_order_give_the_same(tables: Tables) -> None:
    made = prepare(tables, CONFIG)
    shuffled = replace(tables, events=tables.events.sample(fraction=1, shuffle=True, seed=3))
    again = prepare(
        shuffled, CONFIG
    )  # no two events of one user share a moment, but for a list and its click
    assert again.meta["hashes"]["items"] == made.meta["hashes"]["items"]
    assert again.requests.equals(made.requests) and again.truth.equals(made.truth)


def test_hashes_notice_a_changed_event_and_a_changed_text(tables: Tables) -> None:
    made = prepare(tables, CONFIG).meta["hashes"]
    assert prepare(tables, CONFIG).meta["hashes"] == made
    dearer = replace(tables, events=tables.events.with_columns(value=pl.lit(2.0)))
    assert prepare(dearer, CONFIG).meta["hashes"]["log"] != made["log"]
    renamed = replace(tables, items=tables.items.with_columns(title=pl.col("title") + "!"))
    assert prepare(renamed, CONFIG).meta["hashes"]["items"] != made["items"]


def test_the_input_is_left_as_it_was(tables: Tables) -> None:
    before = (tables.events.clone(), tables.items.clone())
    prepare(tables, CONFIG)
    assert tables.events.equals(before[0]) and tables.items.equals(before[1])


def test_what_happens_later_changes_nothing_before(tables: Tables, events: Build) -> None:
    made = prepare(tables, CONFIG)
    later = events([("new", "b", 90, "click"), ("u", "c", 91, "purchase")], value=[1.0, 1.0])
    more = prepare(replace(tables, events=pl.concat([tables.events, later])), CONFIG)
    n = made.events.height
    for one, other in zip(made.log, more.log, strict=True):
        np.testing.assert_array_equal(one, other[:n])
    assert more.items["item_id"].equals(made.items["item_id"])
    assert more.requests.head(made.requests.height).equals(made.requests)


def test_it_survives_the_disk(tables: Tables, tmp_path: Path) -> None:
    made = prepare(tables, CONFIG)
    save(made, tmp_path)
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {
        *("events.parquet", "items.parquet", "users.parquet", "requests.parquet", "truth.parquet"),
        *("ledger.parquet", "log", "item_table", "codes", "meta.json"),
    }
    loaded = load(tmp_path)
    for name in ("events", "items", "users", "requests", "truth", "ledger"):
        assert getattr(loaded, name).equals(getattr(made, name))
    assert (loaded.windows, loaded.meta) == (made.windows, made.meta)
    assert json.loads((tmp_path / "meta.json").read_text()) == made.meta
    assert _bytes(loaded) == _bytes(made)
    assert loaded.codes["users"].encode(["w", "nobody"]).tolist() == [2, -1]


def _bytes(made: Prepared) -> list[bytes]:
    return [array.tobytes() for array in (*made.log, *made.item_table)]


def test_a_damaged_table_is_found_on_loading(tables: Tables, tmp_path: Path) -> None:
    save(prepare(tables, CONFIG), tmp_path)
    pl.read_parquet(tmp_path / "truth.parquet").drop("label").write_parquet(tmp_path / "truth.parquet")
    with pytest.raises(DataError, match="table truth, column label: .* Run recsys prepare again"):
        load(tmp_path)


def test_each_missing_or_damaged_file_is_named(tables: Tables, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere/meta.json: expected a JSON object; found no such file"):
        load(tmp_path / "nowhere")
    save(prepare(tables, CONFIG), tmp_path)
    for path in sorted(one for one in tmp_path.rglob("*") if one.is_file()):
        whole = path.read_bytes()
        path.unlink()
        with pytest.raises(BundleError, match=rf"{path}: expected .*; found no such file\. \w+"):
            load(tmp_path)
        path.write_bytes(b"junk")
        with pytest.raises(BundleError, match=rf"{path}: expected .*; found .*\. \w+") as caught:
            load(tmp_path)
        assert "pickle" not in str(caught.value)
        path.write_bytes(whole)
    assert len(load(tmp_path).codes) == 4


def test_a_meta_file_of_another_kind(tables: Tables, tmp_path: Path) -> None:
    save(prepare(tables, CONFIG), tmp_path)
    path = tmp_path / "meta.json"
    meta = json.loads(path.read_text())
    for changed, told in (
        ([], "expected a JSON object; found a list"),
        ({**meta, "windows": 3}, "expected an object under 'windows'; found 3"),
        ({name: meta[name] for name in meta if name != "counts"}, "an object under 'counts'; found only"),
        ({**meta, "windows": {"rank": 1}}, "expected the bounds of the windows under 'windows'; found"),
    ):
        path.write_text(json.dumps(changed))
        with pytest.raises(BundleError, match=f"meta.json: .*{told}.*Run recsys prepare again"):
            load(tmp_path)


def test_whole_data_rules_are_written_down(tables: Tables) -> None:
    config = replace(CONFIG, clean=CleanConfig(min_user_events=2, min_item_events=1))
    ledger = prepare(tables, config).ledger
    assert "k_core" in ledger["rule"].to_list()
    assert ledger.filter(pl.col("rule") == "k_core")["scope"].to_list() == ["whole"]
    greedy = replace(CONFIG, clean=CleanConfig(min_user_events=50))
    with pytest.raises(DataError, match="window fit: expected events after cleaning"):
        prepare(tables, greedy)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (replace(CONFIG, text=TextConfig(("title", "slogan"))), "table items, column slogan"),
        (replace(CONFIG, split=SplitConfig("2023-01-01", "2023-02-01", "2023-03-01")), "window fit"),
        (replace(CONFIG, requests=RequestsConfig(unit="impression")), "requests.unit=impression"),
        (replace(CONFIG, requests=RequestsConfig(targets=("rating",))), "window rank: expected requests"),
    ],
)
def test_what_cannot_be_prepared_is_one_error(tables: Tables, config: PrepareConfig, message: str) -> None:
    with pytest.raises(DataError) as error:
        prepare(tables, config)
    assert str(error.value).startswith(message)


def test_events_of_strangers_alone_are_an_error(tables: Tables) -> None:
    with pytest.raises(DataError, match="found no known item in 10 events"):
        prepare(replace(tables, events=tables.events.with_columns(item_id=pl.lit("x9"))), CONFIG)


def test_what_came_before_the_clock_has_an_order_and_no_age(tables: Tables) -> None:
    plain, made = prepare(tables, CONFIG), prepare(tables, replace(CONFIG, real_from="2024-01-02"))
    start = made.windows.rank
    early = made.events["timestamp"].dt.epoch("us") < start
    assert 1 < early.sum() < made.log.time.size
    # three moments (a list and its click share one) in the last three microseconds
    assert made.log.time[: early.sum()].tolist() == [start - 3, start - 3, start - 2, start - 1]
    assert made.log.time[early.sum() :].tolist() == plain.log.time[early.sum() :].tolist()
    for name, one, other in zip(made.log._fields, made.log, plain.log, strict=True):
        assert name == "time" or one.tobytes() == other.tobytes()
    for name in ("events", "items", "users", "requests", "truth"):
        assert getattr(made, name).equals(getattr(plain, name)), "tables keep their times, and windows too"
    assert made.windows == plain.windows


def test_what_a_request_or_a_pair_sees_is_the_same_with_and_without_a_clock(tables: Tables) -> None:
    plain, made = prepare(tables, CONFIG), prepare(tables, replace(CONFIG, real_from="2024-01-02"))
    arrays = request_arrays(made.requests)
    for key, seen in cut(made.log, arrays, Policy()).items():
        assert seen.tolist() == cut(plain.log, arrays, Policy())[key].tolist()
    assert pair_heads(made.log).tolist() == pair_heads(plain.log).tolist()


def test_a_clock_that_starts_in_the_middle_of_fit_or_before_all(tables: Tables) -> None:
    made = prepare(tables, replace(CONFIG, real_from="2024-01-01T03:00"))
    three = 1_704_078_000_000_000
    assert made.log.time[:4].tolist() == [three - 2, three - 2, three - 1, three + 2 * 3_600_000_000]
    early = prepare(tables, replace(CONFIG, real_from="2023-12-01"))
    assert _bytes(early) == _bytes(prepare(tables, CONFIG))


def test_no_request_may_lie_before_the_clock(tables: Tables) -> None:
    text = (
        r"data.real_from: expected no requests before it, so a time up to split.rank, 2024-01-02 .*; found "
    )
    with pytest.raises(ConfigError, match=text + "2024-01-03, and requests in rank, valid, test"):
        prepare(tables, replace(CONFIG, real_from="2024-01-03"))
    requests = RequestsConfig(windows=("fit", "rank"))
    with pytest.raises(ConfigError, match=text + "2024-01-02, and requests in fit, rank"):
        prepare(tables, replace(CONFIG, real_from="2024-01-02", requests=requests))


def test_a_misspelt_clock_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.time: expected one of real, order; found 'None'"):
        PrepareConfig(time="None")
