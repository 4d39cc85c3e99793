"""What each unit asks and when, what its truth is, and that a request knows no label of later windows."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import ConfigError, DataError
from recsys.core.log import ItemTable
from recsys.core.tables import EVENT_TYPE_ENUM
from recsys.data.clean import Ledger
from recsys.data.coding import build_item_table as item_table_of
from recsys.data.coding import code_events, micros, words
from recsys.data.requests import RequestsConfig, make_requests, request_arrays
from recsys.data.split import Windows

Build = Callable[..., pl.DataFrame]
At = Callable[[float], datetime]
Row = tuple[str, str, float, str]
Made = tuple[pl.DataFrame, pl.DataFrame, Ledger]


@pytest.fixture
def windows(at: At) -> Windows:
    """Days: fit 1 January, rank 2, valid 3, test 4 and 5."""
    rank, valid, test, end = micros(pl.Series([at(24), at(48), at(72), at(120)])).tolist()
    return Windows(rank, valid, test, end)


@pytest.fixture
def table(items: Build) -> ItemTable:
    frame = items()
    return item_table_of(frame, words(frame, "category"), words(frame, "brand"))


@pytest.fixture
def make(events: Build, windows: Windows, table: ItemTable) -> Callable[..., Made]:
    def run(rows: list[Row], config: RequestsConfig, **columns: list[Any]) -> Made:
        frame = events(rows, **columns).with_columns(pl.col("event_type").cast(EVENT_TYPE_ENUM))
        frame = frame.sort("timestamp", maintain_order=True)
        users = frame["user_id"].unique(maintain_order=True)
        coded = code_events(frame, users, pl.Series(list("abcd")))
        ledger = Ledger()
        return *make_requests(coded, table, windows, config, ledger), ledger

    return run


def only(*names: str, **fields: Any) -> RequestsConfig:
    """A config whose requests lie in the named windows alone."""
    return RequestsConfig(windows=names, **fields)


def truth_of(truth: pl.DataFrame) -> list[tuple[Any, ...]]:
    return truth.select("request", "item", "label", "shown").rows()


A, B, C, D = range(4)


def test_unit_event_asks_once_for_each_target(make: Callable[..., Made], at: At) -> None:
    rows = [
        ("u", "a", 1, "click"),
        ("u", "b", 25, "impression"),
        ("u", "b", 26, "purchase"),
        ("v", "c", 26, "click"),
    ]
    requests, truth, _ = make(
        [*rows, ("u", "d", 27, "return")], only("rank"), event_id=["1", "2", "3", None, "5"]
    )
    assert requests["request_id"].to_list() == ["3", "row-3"]
    assert requests["timestamp"].to_list() == [at(26), at(26)]
    assert requests["window"].to_list() == ["rank", "rank"]
    assert truth_of(truth) == [(0, B, 3, False), (1, C, 1, False)]


def test_unit_event_knows_its_own_request_in_the_log(make: Callable[..., Made]) -> None:
    rows = [("u", "a", 25, "click"), ("u", "b", 26, "click"), ("u", "c", 27, "click")]
    requests, _, _ = make(rows, only("rank"), request_id=["x", None, "x"])
    assert requests["log_request"].to_list() == [0, -1, 0]


LISTS = [
    ("u", "a", 30, "impression"),
    ("u", "b", 30, "impression"),
    ("u", "b", 30.1, "click"),
    ("u", "b", 30.2, "purchase"),
    ("u", "d", 30.3, "cart"),
    ("v", "c", 31, "impression"),
    ("v", "a", 31, "click"),
]
LIST_IDS = ["r1", "r1", "r1", "r1", "r1", "r2", None]
PLACES = [1, 2, None, None, None, 1, None]


def places() -> dict[str, list[Any]]:
    return {"request_id": LIST_IDS, "position": pl.Series(PLACES, dtype=pl.Int16)}  # type: ignore[dict-item]


def test_unit_impression_labels_the_logged_list(make: Callable[..., Made], at: At) -> None:
    requests, truth, _ = make(LISTS, only("rank", unit="impression", rows="logged"), **places())
    assert requests.select("request_id", "user_id", "log_request").rows() == [("r1", "u", 0), ("r2", "v", 1)]
    assert requests["timestamp"].to_list() == [at(30), at(31)]
    assert truth_of(truth) == [(0, A, 0, True), (0, B, 3, True), (0, D, 2, False), (1, C, 0, True)]
    assert truth["position"].to_list() == [1, 2, None, 1]


def test_requests_without_truth_go_where_rows_are_retrieved(make: Callable[..., Made]) -> None:
    requests, truth, ledger = make(LISTS, only("rank", unit="impression"), **places())
    assert requests["request_id"].to_list() == ["r1"]
    assert truth["request"].unique().to_list() == [0]
    assert ("only_with_truth", 1, 1) in [
        (rule, dropped, kept) for rule, _, _, dropped, kept, _ in ledger.lines
    ]
    kept, _, _ = make(LISTS, only("rank", unit="impression", only_with_truth=False), **places())
    assert kept["request_id"].to_list() == ["r1", "r2"]


def test_targets_decide_what_is_a_label(make: Callable[..., Made]) -> None:
    _, truth, _ = make(LISTS, only("rank", unit="impression", targets=("click",)), **places())
    assert truth_of(truth) == [(0, A, 0, True), (0, B, 1, True)]


def test_unit_impression_without_lists_says_so(make: Callable[..., Made]) -> None:
    with pytest.raises(
        DataError, match=r"requests\.unit=impression: expected impressions with a request_id; found none"
    ):
        make([("u", "a", 30, "click")], only("rank", unit="impression"))


def test_unit_basket_groups_by_request_session_or_moment(make: Callable[..., Made], at: At) -> None:
    rows = [
        ("u", "a", 25, "purchase"),
        ("u", "b", 25.5, "purchase"),
        ("u", "b", 25.6, "purchase"),
        ("v", "c", 26, "purchase"),
        ("w", "c", 26, "purchase"),
        ("v", "d", 27, "purchase"),
        ("u", "c", 28, "purchase"),
        ("u", "d", 28, "purchase"),
        ("u", "a", 29, "return"),
    ]
    requests, truth, _ = make(
        rows,
        only("rank", unit="basket"),
        request_id=["b1", "b1", "b1", *[None] * 6],
        session_id=["s9", "s9", "s9", "s1", "s1", "s1", None, None, None],
    )
    names = [("b1", "u"), ("v/s1", "v"), ("w/s1", "w"), (f"u@{int(at(28).timestamp())}000000", "u")]
    assert requests.select("request_id", "user_id").rows() == names
    assert requests["timestamp"].to_list() == [at(25), at(26), at(26), at(28)]
    assert requests["log_request"].to_list() == [0, -1, -1, -1]
    assert [row[:3] for row in truth_of(truth)] == [
        *[(0, A, 3), (0, B, 3), (1, C, 3), (1, D, 3), (2, C, 3), (3, C, 3), (3, D, 3)]
    ]


def test_unit_session_asks_at_the_first_event(make: Callable[..., Made], at: At) -> None:
    rows = [
        ("u", "a", 25, "impression"),
        ("v", "a", 25.1, "click"),
        ("u", "b", 25.4, "click"),
        ("u", "c", 26, "click"),
    ]
    by_gap, truth, _ = make(rows, only("rank", unit="session"))  # half an hour
    assert by_gap.select("user_id", "timestamp").rows() == [("u", at(25)), ("v", at(25.1)), ("u", at(26))]
    assert [row[:3] for row in truth_of(truth)] == [(0, B, 1), (1, A, 1), (2, C, 1)]
    by_id, truth, _ = make(rows, only("rank", unit="session"), session_id=["1", "1", "1", "1"])
    assert by_id["request_id"].to_list() == ["u/1", "v/1"]
    assert [row[:2] for row in truth_of(truth)] == [(0, B), (0, C), (1, A)]


def test_unit_period_asks_at_the_start_of_the_period(make: Callable[..., Made], at: At) -> None:
    rows = [
        ("u", "a", 73, "click"),
        ("u", "b", 80, "click"),
        ("v", "a", 95.9, "click"),
        ("u", "c", 96, "click"),
    ]
    requests, truth, _ = make(rows, only("test", unit="period", period_days=1))
    assert requests.select("user_id", "timestamp").rows() == [("u", at(72)), ("v", at(72)), ("u", at(96))]
    assert [row[:2] for row in truth_of(truth)] == [(0, A), (0, B), (1, A), (2, C)]


def test_a_label_from_after_the_window_does_not_count(make: Callable[..., Made]) -> None:
    rows = [
        ("u", "a", 47.9, "impression"),
        ("u", "b", 47.9, "impression"),
        ("u", "a", 47.95, "click"),
        ("u", "b", 48, "click"),
    ]
    config = only("rank", unit="impression", rows="logged")
    _, truth, ledger = make(rows, config, request_id=["r"] * 4)
    assert truth_of(truth) == [(0, A, 1, True), (0, B, 0, True)]
    assert ("late_labels", 1) in [(rule, dropped) for rule, _, _, dropped, _, _ in ledger.lines]
    last = [("u", "a", 119.9, "impression"), ("u", "a", 120, "click")]
    _, truth, _ = make(last, only("test", unit="impression", rows="logged"), request_id=["r", "r"])
    assert truth_of(truth) == [(0, A, 0, True)]


def test_requests_lie_in_their_windows_in_order_of_time(make: Callable[..., Made]) -> None:
    rows = [("u", "a", hour, "click") for hour in (90, 0, 25, 50, 130, 49)]
    requests, _, _ = make(rows, RequestsConfig())
    assert requests["window"].to_list() == ["rank", "valid", "valid", "test"]
    assert requests["request"].to_list() == [0, 1, 2, 3]
    assert requests["timestamp"].is_sorted()
    with_fit, _, _ = make(rows, only("fit", "test"))
    assert with_fit["window"].to_list() == ["fit", "test"]


def test_a_window_without_requests_is_an_error(make: Callable[..., Made]) -> None:
    with pytest.raises(DataError) as error:
        make([("u", "a", 25, "click"), ("u", "b", 49, "impression")], only("rank", "valid"))
    assert str(error.value) == (
        "window valid: expected requests (requests.unit=event, targets click, cart, purchase, rating); "
        "found none. Move split, or choose another requests.unit or requests.targets."
    )


def test_a_sample_is_the_same_whatever_else_there_is(make: Callable[..., Made]) -> None:
    rows = [(f"u{i}", "a", 25 + i / 100, "click") for i in range(40)]
    ids = [f"e{i}" for i in range(40)]
    config = only("rank", max_per_window=7)
    few, truth, ledger = make(rows, config, event_id=ids)
    assert few.height == truth.height == 7
    assert ("max_per_window", 33, 7) in [
        (rule, dropped, kept) for rule, _, _, dropped, kept, _ in ledger.lines
    ]
    fewer, _, _ = make(rows[:20], config, event_id=ids[:20])
    overlap = set(few["request_id"]) & set(ids[:20])
    assert overlap and overlap <= set(fewer["request_id"])


def test_folds_follow_the_user_alone(make: Callable[..., Made]) -> None:
    rows = [(f"u{i % 20}", "a", 25 + i / 10, "click") for i in range(60)]
    requests, _, _ = make(rows, only("rank"))
    folds = dict(requests.select("user_id", "fold").unique().rows())
    assert len(folds) == 20 == requests.select("user_id", "fold").n_unique()
    assert set(folds.values()) <= set(range(5)) and len(set(folds.values())) > 2
    alone, _, _ = make([("u7", "b", 30, "cart")], only("rank"))
    assert alone["fold"].to_list() == [folds["u7"]]
    assert set(make(rows, only("rank", folds=1))[0]["fold"]) == {0}


def test_the_catalogue_is_counted_at_the_requests_time(
    events: Build, items: Build, windows: Windows, at: At
) -> None:
    frame = items(available_from=[None, at(25), at(26), None], available_to=[None, None, at(27), at(26)])
    table = item_table_of(frame, words(frame, "category"), words(frame, "brand"))
    rows = events([("u", "a", hour, "click") for hour in (24.5, 25, 26, 27)])
    rows = rows.with_columns(pl.col("event_type").cast(EVENT_TYPE_ENUM))
    coded = code_events(rows, pl.Series(["u"]), pl.Series(list("abcd")))
    requests, _ = make_requests(coded, table, windows, only("rank"), Ledger())
    assert requests["n_catalogue"].to_list() == [2, 3, 3, 2]


def test_context_columns_travel_with_the_request(make: Callable[..., Made]) -> None:
    requests, _, _ = make(
        LISTS, only("rank", unit="impression", only_with_truth=False), **places(), ctx_page=list("hhhhhss")
    )
    assert requests["ctx_page"].to_list() == ["h", "s"]


def test_poor_ratings_are_no_truth(make: Callable[..., Made]) -> None:
    rows = [
        ("u", "a", 25, "rating"),
        ("u", "b", 26, "rating"),
        ("u", "c", 27, "rating"),
        ("u", "d", 28, "click"),
    ]
    _, truth, _ = make(rows, only("rank", min_rating=4), value=[3.5, 4.0, None, None])
    assert [row[:3] for row in truth_of(truth)] == [(0, B, 3), (1, D, 1)]


def test_users_without_enough_behind_them_are_not_asked(make: Callable[..., Made]) -> None:
    rows = [
        ("u", "a", 1, "click"),
        ("v", "a", 2, "click"),
        ("u", "b", 3, "impression"),
        ("u", "b", 25, "click"),  # u had clicked once
        ("u", "c", 25, "click"),  # at the same moment: once as well
        ("v", "c", 26, "click"),
        ("u", "d", 27, "click"),  # three times by now
        ("v", "d", 28, "click"),
        ("w", "d", 28, "click"),
    ]
    for least, kept in ((0, 6), (1, 5), (2, 2), (3, 1), (4, 0)):
        if not kept:
            with pytest.raises(DataError, match="window rank: expected requests"):
                make(rows, only("rank", min_history=least))
            continue
        requests, truth, ledger = make(rows, only("rank", min_history=least))
        assert requests.height == truth.height == kept
        lines = [(line[0], line[3], line[4]) for line in ledger.lines if line[0] == "min_history"]
        assert lines == ([("min_history", 6 - kept, kept)] if least else [])
    assert requests["user_id"].to_list() == ["u"] and truth_of(truth)[0][1] == D


def test_the_arrays_are_those_of_the_frame(make: Callable[..., Made]) -> None:
    requests, _, _ = make(LISTS, only("rank", unit="impression", only_with_truth=False), **places())
    arrays = request_arrays(requests)
    assert (arrays.user.tolist(), arrays.request.tolist()) == ([0, 1], [0, 1])
    assert arrays.time.dtype == np.int64
    assert (np.diff(arrays.time) == 3_600_000_000).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"unit": "visit"},
            "requests.unit: expected one of impression, event, basket, session, period; found 'visit'",
        ),
        ({"rows": "all"}, "requests.rows: expected one of logged, retrieved"),
        (
            {"targets": ("return",)},
            "requests.targets: expected one of click, cart, purchase, rating; found 'return'",
        ),
        ({"targets": ("impression",)}, "requests.targets: expected one of"),
        ({"windows": ("train",)}, "requests.windows: expected one of fit, rank, valid, test; found 'train'"),
        (
            {"rows": "logged"},
            "requests.rows=logged: expected requests.unit=impression; found requests.unit=event",
        ),
        ({"folds": 0}, "requests.folds: expected 1 to 255; found 0"),
        ({"folds": 256}, "requests.folds: expected 1 to 255; found 256"),
        ({"period_days": 0}, "requests.period_days: expected at least 1; found 0"),
        ({"min_history": -1}, "requests.min_history: expected at least 0; found -1"),
        ({"max_per_window": -1}, "requests.max_per_window: expected at least 0; found -1"),
    ],
)
def test_settings_that_cannot_work_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        RequestsConfig(**fields)
    assert str(error.value).startswith(message)
