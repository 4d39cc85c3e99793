"""Who asks, for what, and what may be given: histories, conditions, many requests, similar items."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.columns import EVENT_TYPES
from recsys.serving.events import EPOCH
from recsys.serving.ranker import Ranker
from recsys.state.neighbours import lists_of_all

from .conftest import N_ITEMS, event_log, trees

ALL = [f"i{i}" for i in range(N_ITEMS)]


def history_of(user: int) -> list[tuple[str, str, Any]]:
    """All that a user of the tiny world did."""
    log = event_log()
    return [
        (f"i{log.item[i]}", EVENT_TYPES[log.kind[i]], EPOCH + timedelta(microseconds=int(log.time[i])))
        for i in np.flatnonzero(log.user == user)
    ]


def behaviour(ranker: Ranker) -> list[int]:
    return [i for i, name in enumerate(ranker.columns) if not name.startswith("user_x_")]


@pytest.mark.parametrize("user", range(4))
def test_a_history_is_the_user_who_did_it(ranker: Ranker, user: int) -> None:
    """All columns but those that are known of a user by name."""
    from recsys.serving.asker import asker_of

    time, codes = ranker.state_time, np.arange(N_ITEMS, dtype=np.int32)
    found = [
        ranker._live.values(asker_of(ranker.bundle, *who, time), codes, {}, None)
        for who in ((f"u{user}", None), (None, history_of(user)))
    ]
    known, told = (values[:, behaviour(ranker)] for values in found)
    assert np.array_equal(known, told, equal_nan=True)
    free = [i for i, name in enumerate(ranker.columns) if name.startswith("user_x_")]
    assert np.isnan(found[1][:, free]).all()


def test_a_history_is_not_remembered(ranker: Ranker) -> None:
    before = ranker.rank("u1", ALL, at="state"), ranker.rank(None, ALL, at="state"), ranker.position
    with_it = ranker.rank(None, ALL, history=history_of(0), at="state")
    assert with_it.scores.tolist() != before[1].scores.tolist()
    after = ranker.rank("u1", ALL, at="state"), ranker.rank(None, ALL, at="state"), ranker.position
    for one, other in zip(before[:2], after[:2], strict=True):
        assert one.item_ids == other.item_ids and one.scores.tolist() == other.scores.tolist()
    assert before[2] == after[2]


def test_shapes_of_a_history(ranker: Ranker) -> None:
    tuples = history_of(2)
    names = ("item_id", "event_type", "timestamp")
    mappings = [dict(zip(names, one, strict=True)) for one in tuples]
    answers = [
        ranker.rank(None, ALL, history=given, at="state")
        for given in (tuples, mappings, pl.DataFrame(mappings), reversed(tuples), [*tuples, ("x", "click")])
    ]
    for answer in answers[1:]:  # in the order of time, whatever the order; an unknown item says nothing
        assert answer.item_ids == answers[0].item_ids
        assert answer.scores.tolist() == answers[0].scores.tolist()
    nobody, empty = ranker.rank(None, ALL, at="state"), ranker.rank(None, ALL, history=[], at="state")
    assert nobody.item_ids == empty.item_ids


def test_histories_that_are_refused(ranker: Ranker) -> None:
    late = EPOCH + timedelta(microseconds=ranker.state_time + 1)
    with pytest.raises(ValueError, match="expected a user or a history; found the user 'u1' and a history"):
        ranker.rank("u1", ALL, history=[], at="state")
    with pytest.raises(ValueError, match="history 0 lies after the request: .*, asked at "):
        ranker.rank(None, ALL, history=[("i1", "click", late)], at="state")
    with pytest.raises(ValueError, match=r"history 1, event_type: expected one of .* Nothing was ranked"):
        ranker.rank(None, ALL, history=[("i1", "click"), ("i1", "look")], at="state")
    told = "history 0: expected a mapping of columns, or a tuple item_id, event_type, timestamp; found "
    for row in (7, ("i1",), ("u1", "i1", "click", late)):
        with pytest.raises(ValueError, match=told):
            ranker.rank(None, ALL, history=[row], at="state")


def test_recommendations_by_a_history_leave_out_what_stands_there(ranker: Ranker) -> None:
    seen = {"i1", "i4"}
    history = [(item, "click", EPOCH + timedelta(microseconds=ranker.state_time - 5)) for item in seen]
    answer = ranker.recommend(None, 10, history=history, at="state")
    assert not seen & set(answer.item_ids) and "i9" not in answer.item_ids
    assert set(answer.item_ids) == {f"i{i}" for i in range(9)} - seen
    assert seen & set(ranker.recommend(None, 10, history=history, exclude_seen=False, at="state").item_ids)


@pytest.mark.parametrize(
    ("where", "allowed"),
    [
        (["i2", "i5", "i5", "unknown"], {"i2", "i5"}),
        (np.arange(N_ITEMS) % 2 == 0, {f"i{i}" for i in range(0, 9, 2)}),
        ({"price": 5.0}, {f"i{i}" for i in range(9)}),
        ({"price": [1.0, 2.0]}, set()),
        ({"price": np.array([4.0, 5.0])}, {f"i{i}" for i in range(9)}),
        ({"price": pl.Series([1.0])}, set()),
        ([i == 3 for i in range(N_ITEMS)], {"i3"}),
        (pl.Series(["i2"]), {"i2"}),
        (pl.Series([i < 2 for i in range(N_ITEMS)]), {"i0", "i1"}),
        ([], set()),
        (["i9"], set()),  # sold out
    ],
)
def test_only_what_is_eligible_and_all_of_it(ranker: Ranker, where: Any, allowed: set[str]) -> None:
    """The mask is each source's own: a list is not short for what others took its places."""
    for user in ("u0", None):
        answer = ranker.recommend(user, N_ITEMS, exclude_seen=False, where=where, at="state")
        assert set(answer.item_ids) == allowed


def test_where_by_free_columns(ranker: Ranker) -> None:
    names = ranker.bundle.item_attributes.names
    column = next(name for name in names if name in ranker.bundle.item_attributes.vocabularies)
    values = ranker.bundle.item_attributes.values[:, names.index(column)]
    words = ranker.bundle.item_attributes.vocabularies[column]
    wanted = {f"i{i}" for i in range(9) if values[i] == 0}
    name = column.removeprefix("item_x_")
    answer = ranker.recommend("u1", N_ITEMS, exclude_seen=False, where={name: words[0]}, at="state")
    assert set(answer.item_ids) == wanted and wanted
    for several in (np.array(words[:1]), pl.Series(words[:1]), (word for word in words[:1])):
        again = ranker.recommend("u1", N_ITEMS, exclude_seen=False, where={name: several}, at="state")
        assert again.item_ids == answer.item_ids
    none = ranker.recommend(
        "u1", N_ITEMS, where={name: [words[0], "no such value"], "price": 4.0}, at="state"
    )
    assert len(none) == 0


def test_conditions_that_are_refused(ranker: Ranker) -> None:
    with pytest.raises(ValueError, match="where: expected item columns among price, .*; found 'colour'"):
        ranker.recommend("u0", where={"colour": "red"}, at="state")
    with pytest.raises(ValueError, match=f"a bool for each of the {N_ITEMS} items; found shape"):
        ranker.recommend("u0", where=np.ones(3, np.bool_), at="state")
    with pytest.raises(ValueError, match=f"a bool for each of the {N_ITEMS} items; found shape"):
        ranker.recommend("u0", where=[True, False], at="state")
    with pytest.raises(ValueError, match="found the word 'i1'"):
        ranker.recommend("u0", where="i1", at="state")


def test_many_requests_are_as_many_answers(ranker: Ranker) -> None:
    asked = pl.DataFrame({"user_id": ["u0", None, "u2"], "item_ids": [["i1", "i2", "i3"], None, []]})
    found = ranker.rank_many(asked, at="state", k=2)
    assert found.columns[:5] == ["request_id", "user_id", "rank", "item_id", "score"]
    one, other = ranker.rank("u0", ["i1", "i2", "i3"], at="state", k=2), ranker.recommend(None, 2, at="state")
    assert found["item_id"].to_list() == [*one.item_ids, *other.item_ids]
    assert found["score"].to_list() == [*one.scores.tolist(), *other.scores.tolist()]
    assert found["request_id"].to_list() == [0, 0, 1, 1]
    assert found["user_id"].to_list() == ["u0", "u0", None, None]
    named = ranker.rank_many(asked.with_columns(request_id=pl.Series(["a", "b", "c"])), at="state", k=1)
    assert named["request_id"].to_list() == ["a", "b"]
    assert len(ranker.rank_many(asked.clear(), at="state")) == 0


def test_the_name_of_a_request_keeps_its_type(ranker: Ranker) -> None:
    asked = pl.DataFrame({"user_id": ["u0"], "request_id": [7]}, schema_overrides={"request_id": pl.UInt8})
    for frame in (asked, asked.clear()):
        assert ranker.rank_many(frame, at="state").schema["request_id"] == pl.UInt8
    assert ranker.rank_many(asked.select("user_id").clear()).schema["request_id"] == pl.Int64


def test_ids_that_are_none_or_one_string_are_refused(ranker: Ranker) -> None:
    for ask in (lambda ids: ranker.rank("u0", ids), lambda ids: ranker.features("u0", ids)):
        with pytest.raises(ValueError, match="item_ids: expected several ids; found the one string 'i1'"):
            ask("i1")
        with pytest.raises(ValueError, match="item_ids, number 1: expected an id; found none"):
            ask(["i1", None])
    with pytest.raises(ValueError, match="request 0: item_ids: expected several ids"):
        ranker.rank_many(pl.DataFrame({"user_id": ["u0"], "item_ids": ["i1"]}))
    with pytest.raises(ValueError, match="items, number 0: expected a mapping of columns; found 'item_id'"):
        ranker.rank("u0", items={"item_id": "i1"})  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [None, 0, 2.0])
def test_how_many_is_a_whole_number(ranker: Ranker, k: Any) -> None:
    told = f"k must be a whole number, at least 1; found {k}"
    for ask in (ranker.recommend, lambda _, k: ranker.similar("i1", k)):
        with pytest.raises(ValueError, match=told):
            ask("u1", k)
    assert len(ranker.recommend("u1", np.int64(2), at="state")) == 2  # type: ignore[arg-type]


def test_many_requests_name_the_one_that_is_wrong(ranker: Ranker) -> None:
    with pytest.raises(ValueError, match="requests: expected a column user_id; found user"):
        ranker.rank_many(pl.DataFrame({"user": ["u0"]}))
    early = pl.DataFrame({"user_id": ["u0", "u1"], "at": [None, EPOCH + timedelta(days=8000)]})
    with pytest.raises(ValueError, match="request 1: at=.* lies before"):
        ranker.rank_many(early, at="state")


def test_similar_by_text(ranker: Ranker) -> None:
    raw = np.asarray(ranker.bundle.vectors.raw)  # type: ignore[union-attr]
    cosine = (raw @ raw[3]) / (np.linalg.norm(raw, axis=1) * np.linalg.norm(raw[3]))
    cosine[[3, 9]] = -np.inf  # itself, and what is sold out
    best = np.argsort(-cosine, kind="stable")[:4]
    answer = ranker.similar("i3", 4, by="text", at="state")
    assert answer.item_ids == tuple(f"i{i}" for i in best)
    assert answer.scores == pytest.approx(cosine[best], abs=1e-6)


def test_similar_by_behaviour_is_what_followed(ranker: Ranker) -> None:
    lists = lists_of_all(ranker.bundle.state.families)
    assert lists is not None
    of = {name: array[3] for name, array in lists.arrays().items() if name in ("ids", "weight", "error")}
    weight = dict(zip(of["ids"].tolist(), (of["weight"] - of["error"]).tolist(), strict=True))
    expected = sorted(set(weight) - {-1, 3, 9}, key=lambda code: (-weight[code], code))
    assert len(expected) > 4
    answer = ranker.similar("i3", 4, by="behaviour", at="state")
    assert answer.item_ids == tuple(f"i{code}" for code in expected[:4])
    assert answer.scores == pytest.approx([weight[code] for code in expected[:4]])


def test_similar_by_both_is_the_fusion_of_the_ranks(ranker: Ranker) -> None:
    lists = [ranker.similar("i3", 200, by=by, at="state").item_ids for by in ("text", "behaviour")]  # type: ignore[arg-type]
    total: dict[str, float] = {}
    for one in lists:
        for rank, item in enumerate(one, 1):
            total[item] = total.get(item, 0.0) + 1 / (60 + rank)
    answer = ranker.similar("i3", 5, at="state")
    expected = sorted(total, key=lambda item: (-total[item], int(item[1:])))[:5]
    assert list(answer.item_ids) == expected
    assert answer.scores == pytest.approx([total[item] for item in expected])


def test_similar_items_that_may_be_given(ranker: Ranker) -> None:
    assert set(ranker.similar("i3", where=["i3", "i5", "i9"], at="state").item_ids) <= {"i5"}
    assert len(ranker.similar("unknown", at="state")) == 0
    assert len(ranker.similar(7, at="state")) == 0  # type: ignore[arg-type]
    assert len(ranker.similar({"item_id": "unknown", "title": "a pen"}, at="state")) == 0  # no text tower
    with pytest.raises(ValueError, match="by: expected one of text, behaviour, both; found 'looks'"):
        ranker.similar("i3", by="looks", at="state")  # type: ignore[arg-type]


def test_similar_without_vectors(bundle_with: Callable[..., Path]) -> None:
    columns = ("item_count", "pair_follows")
    folder = bundle_with(vectors=None, encoder=None, columns=columns, trees=trees(columns))
    without = Ranker.load(folder)
    with pytest.raises(ValueError, match='by="text" needs item vectors'):
        without.similar("i3", by="text", at="state")
    both, behaviour = without.similar("i3", at="state"), without.similar("i3", by="behaviour", at="state")
    assert len(both) and both.item_ids == behaviour.item_ids
