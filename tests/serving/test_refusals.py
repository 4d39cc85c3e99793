"""What a call cannot use is refused in words, whatever it is, and leaves no trace."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.serving.events import EPOCH, parse_events
from recsys.serving.ids import many_ids, one_id
from recsys.serving.item_text import text_of
from recsys.serving.ranker import Ranker

from .conftest import N_ITEMS, write_static

ALL = [f"i{i}" for i in range(N_ITEMS)]
HUGE = pytest.param(10**5000, id="of more digits than Python writes down")
ID = "expected an id, text or a whole number; found "


class Nowhere(tzinfo):
    """A zone that does not say where it is."""

    def utcoffset(self, moment: object) -> None:
        """Nothing."""


@pytest.mark.parametrize("given", ["i1", "größe", "a\x00b", np.str_("i1"), 3, np.int64(3), -(2**70)])
def test_ids_are_text_or_whole_numbers(given: Any) -> None:
    assert one_id(given, "x") == str(given)
    assert many_ids([given], "x") == [str(given)]


@pytest.mark.parametrize(
    "given",
    [float("nan"), 3.0, True, np.bool_(True), b"i1", ["i1"], ("i1",), np.array(1), "\ud800", HUGE],
)
def test_what_only_prints_like_an_id_is_none(ranker: Ranker, given: Any) -> None:
    """A data frame's missing value would be the user "nan"; no table can name half of a surrogate pair."""
    event = {"user_id": "u1", "item_id": "i1", "event_type": "click"}
    for ask in (
        lambda: ranker.rank(given, ALL),
        lambda: ranker.rank("u1", ["i1", given]),
        lambda: ranker.rank("u1", items=[{"item_id": given}]),
        lambda: ranker.recommend("u1", where=["i1", given]),
        lambda: ranker.similar(given),
        lambda: ranker.observe([event, {**event, "user_id": given}]),
        lambda: ranker.observe([event, {**event, "event_id": given}]),
        lambda: ranker.rank(None, ALL, history=[(given, "click")]),
    ):
        with pytest.raises(ValueError, match=ID):
            ask()
    assert ranker.position == 60


@pytest.mark.parametrize("given", [5, 2.5, None, object(), np.array(1), pl.LazyFrame({"a": [1]}), b"i1"])
def test_what_does_not_hold_several(ranker: Ranker, given: Any) -> None:
    asked: dict[str, Callable[[], object]] = {
        "items: expected several mappings": lambda: ranker.rank("u1", items=given),
        "event: expected a polars frame, or several": lambda: ranker.observe(given),
    }
    if given is not None:
        asked |= {
            "item_ids: expected several ids": lambda: ranker.rank("u1", given),
            "history: expected a polars frame, or several": lambda: ranker.rank(None, ALL, history=given),
            "where: expected item ids, a mask": lambda: ranker.recommend("u1", where=given),
        }
    for told, ask in asked.items():
        with pytest.raises(ValueError, match=told):
            ask()


@pytest.mark.parametrize("given", [5, "x", [1], np.ones(2), pl.Series([1])])
def test_arguments_of_other_kinds(ranker: Ranker, given: Any) -> None:
    for told, ask in {
        "at must be a datetime": lambda: ranker.rank("u1", ALL, at=given),
        "context: expected a mapping": lambda: ranker.rank("u1", ALL, context=given),
        "exclude_seen: expected true or false": lambda: ranker.recommend("u1", exclude_seen=given),
        "by: expected one of text, behaviour, both": lambda: ranker.similar("i1", by=given),
        "requests: expected a polars DataFrame": lambda: ranker.rank_many(given),
    }.items():
        with pytest.raises(ValueError, match=told):
            ask()


def test_how_many_may_be_more_than_there_are_and_is_no_truth_value(ranker: Ranker) -> None:
    whole = ranker.recommend("u1", 100, exclude_seen=False, at="state")
    for k in (2**62, 10**5000):
        assert ranker.recommend("u1", k, exclude_seen=False, at="state").item_ids == whole.item_ids
        assert len(ranker.rank("u1", ALL, k=k, at="state")) == N_ITEMS
        assert len(ranker.similar("i1", k, at="state"))
    for k in (True, -(10**5000)):
        with pytest.raises(ValueError, match="k must be a whole number, at least 1; found "):
            ranker.recommend("u1", k)


def test_a_zone_must_say_where_it_is(ranker: Ranker) -> None:
    moment = datetime(2030, 1, 1, tzinfo=Nowhere())
    with pytest.raises(ValueError, match="a time needs a time zone, found 2030"):
        ranker.rank("u1", ALL, at=moment)
    with pytest.raises(DataError, match="timestamp: expected a datetime with a time zone"):
        ranker.observe([("u1", "i1", "click", moment)])


@pytest.mark.parametrize("kind", [[1], np.array(["click", "cart"]), pl.Series(["click"]), {}, 1])
def test_a_type_of_event_is_a_word(kind: Any) -> None:
    with pytest.raises(DataError, match="event 0, event_type: expected one of impression"):
        parse_events([("u", "i", kind)], 0)


def test_numbers_of_events() -> None:
    def one(**given: Any) -> Any:
        return parse_events([{"user_id": "u", "item_id": "i", "event_type": "click", **given}], 0)[0]

    assert one(position=float("nan")).position == -1  # a data frame's missing value
    assert one(position="3").position == 3
    for given in ({"position": 2.7}, {"position": 2**40}, {"price": np.array([1.0])}, {"value": 10**400}):
        with pytest.raises(DataError, match="value, price or position: expected a number"):
            one(**given)


def test_numbers_of_items_and_requests(ranker: Ranker) -> None:
    for given in (np.array([1.0]), [1], 10**400, "many"):
        with pytest.raises(DataError, match="context hour: expected a finite number"):
            ranker.rank("u1", ALL, context={"hour": given})
        with pytest.raises(DataError, match="column pages: expected a finite number"):
            ranker.rank("u1", items=[{"item_id": "x", "pages": given}])
    plain = ranker.rank("u1", ALL, at="state")
    assert ranker.rank("u1", ALL, context={1: 2}, at="state").item_ids == plain.item_ids  # type: ignore[dict-item]


def test_an_error_is_a_line_whatever_was_given(ranker: Ranker) -> None:
    for given in ("i" * 100_000, ["i1"] * 100_000, 10**4000):
        with pytest.raises(ValueError) as caught:
            ranker.rank("u1", ALL, at=given)  # type: ignore[arg-type]
        assert len(str(caught.value)) < 300


def test_descriptions_are_read_once(ranker: Ranker) -> None:
    rows = [{"item_id": "x", "pages": 9.0}, {"item_id": "y"}]
    listed = ranker.rank("u1", items=rows, at="state")
    once = ranker.rank("u1", items=iter(rows), at="state")  # type: ignore[arg-type]
    assert once.item_ids == listed.item_ids and len(once) == 2
    with pytest.raises(ValueError, match="items, number 0: expected an item_id; found 1, None"):
        ranker.rank("u1", items=[{1: 2, None: 3}])  # type: ignore[dict-item]


def test_requests_of_nobody_in_a_column_of_any_type(ranker: Ranker) -> None:
    nobody = ranker.recommend(None, 2, at="state")
    for kind in (pl.Null, pl.Float64, pl.List(pl.Int64), pl.Categorical):
        asked = pl.DataFrame({"user_id": pl.Series([None], dtype=kind)})
        found = ranker.rank_many(asked, at="state", k=2)
        assert found["item_id"].to_list() == list(nobody.item_ids)
        assert found.schema["user_id"] == pl.String
    with pytest.raises(ValueError, match=f"request 1: user_id: {ID}1.5"):
        ranker.rank_many(pl.DataFrame({"user_id": [None, 1.5]}))


def test_texts_that_no_tokenizer_takes(bundle_with: Callable[..., Path], tmp_path: Path) -> None:
    ranker = Ranker.load(bundle_with(encoder=write_static(tmp_path / "static")))
    for text in ("a \ud800 b", "\x00", "a" * 100_000):
        item = {"item_id": "x", "title": text}
        assert ranker.rank("u1", ["x"], items=[item], at="state").item_ids == ("x",)
        assert len(ranker.similar(item, 3, by="text", at="state")) == 3


def test_a_missing_text_is_none() -> None:
    nan = float("nan")
    assert text_of({"title": nan, "brand": np.float64(nan), "text": nan}, ("title", "brand")) == ""
    assert text_of({"title": "T", "text": np.array([1, 2])}, ("title",)) == "[1 2]"


def test_what_was_refused_leaves_no_trace(ranker: Ranker) -> None:
    before = ranker.features("u1", ALL, at="state").tobytes()
    event = {"user_id": "new", "item_id": "i1", "event_type": "click", "event_id": "e"}
    with pytest.raises(DataError):
        ranker.observe([event, {**event, "price": "dear"}])
    with pytest.raises(ValueError, match="lies before"):
        ranker.rank("u1", ALL, at=EPOCH.replace(tzinfo=UTC))
    assert ranker.features("u1", ALL, at="state").tobytes() == before
    assert ranker.observe([event]).applied == 1  # its id was not taken for told
