"""An answer says what it was made of: of the user's past or in its stead, and of each item."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from recsys.serving.answers import KNOWN_BY
from recsys.serving.ranker import Ranker

from .conftest import write_static

ALL = [f"i{i}" for i in range(10)]


@pytest.mark.parametrize(
    ("user", "history", "fallback"),
    [
        ("u1", None, "none"),
        ("stranger", None, "unknown_user"),
        (None, None, "no_user"),
        (None, [("i1", "click")], "none"),
        (None, [], "no_history"),
        (None, [("unheard of", "click")], "no_history"),
        (None, [("i1", "impression")], "no_history"),  # shown, and nothing done
    ],
)
def test_what_stood_in_for_the_past(
    ranker: Ranker, user: str | None, history: list[Any] | None, fallback: str
) -> None:
    for answer in (
        ranker.rank(user, ALL, history=history, at="state"),
        ranker.rank(user, [], history=history, at="state"),
        ranker.recommend(user, 3, history=history, at="state"),
    ):
        assert answer.fallback == fallback
        assert answer.to_polars()["fallback"].to_list() == [fallback] * len(answer)
    assert ranker.similar("i1", 3, at="state").fallback == "no_user"


def test_a_user_who_only_saw_has_no_history_and_is_known(ranker: Ranker) -> None:
    ranker.observe([("quiet", "i4", "impression")])
    assert ranker.rank("quiet", ALL, at="state").fallback == "no_history"
    ranker.observe([("quiet", "i4", "click")])
    assert ranker.rank("quiet", ALL, at="state").fallback == "none"


def known(ranker: Ranker, ids: list[str], items: list[dict[str, Any]], **rest: Any) -> list[tuple[str, str]]:
    answer = ranker.rank("u1", ids, items=items, at="state", **rest)
    assert answer.to_polars()["known"].to_list() == [KNOWN_BY[by] for by in answer.known]
    return list(zip(answer.item_ids, (KNOWN_BY[by] for by in answer.known), strict=True))


def test_what_each_item_was_known_by(
    ranker: Ranker, bundle_with: Callable[..., Path], tmp_path: Path
) -> None:
    ids = ["i1", "told", "bare", "unheard of", "told", "i9"]
    items = [{"item_id": "told", "title": "a b"}, {"item_id": "bare", "pages": 2, "title": float("nan")}]
    items.append({"item_id": "i1", "title": "a b"})  # the catalogue is the truth
    by = {"i1": "id", "i9": "id", "told": "text", "bare": "columns", "unheard of": "nothing"}
    reads = Ranker.load(bundle_with(encoder=write_static(tmp_path / "static")))
    assert sorted(known(reads, ids, items)) == sorted((item, by[item]) for item in ids)
    assert known(reads, ids, items, k=3) == known(reads, ids, items)[:3]
    by["told"] = "columns"  # nothing here reads a text
    assert sorted(known(ranker, ids, items)) == sorted((item, by[item]) for item in ids)


def test_items_of_the_catalogue_are_known_by_their_ids(ranker: Ranker) -> None:
    for answer in (ranker.recommend("u1", 5, at="state"), ranker.similar("i1", 5, at="state")):
        assert len(answer) and {KNOWN_BY[by] for by in answer.known} == {"id"}


def test_frames_of_many_answers_say_it_too(ranker: Ranker) -> None:
    asked = pl.DataFrame({"user_id": ["u1", None, "x"], "item_ids": [["i1", "x"], ["i2"], None]})
    found = ranker.rank_many(asked, at="state", k=2).sort("request_id", "item_id")
    assert found["fallback"].to_list() == ["none", "none", "no_user", "unknown_user", "unknown_user"]
    assert found["known"].to_list() == ["id", "nothing", "id", "id", "id"]


def test_nobody_writes_into_an_answer(ranker: Ranker) -> None:
    answer = ranker.rank("u1", ALL, at="state")
    for array in (answer.scores, answer.ranks, answer.known):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
