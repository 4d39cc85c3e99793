import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.as_of import Policy, cut
from recsys.core.errors import BundleError, DataError
from recsys.core.log import RequestArrays, RowBlock, heads
from recsys.features.assemble import assemble
from recsys.interest.score import INTEREST_COLUMNS, score_rows
from recsys.serving import new_items
from recsys.serving.bundle_write import BundleParts
from recsys.serving.events import EPOCH
from recsys.serving.ranker import Ranker
from recsys.state.family import Feature
from recsys.state.store import State

from .conftest import (
    CANDIDATES,
    FEATURES,
    N_ITEMS,
    N_USERS,
    SECOND,
    event_log,
    item_table,
    trees,
    write_encoder,
)

ALL = [f"i{i}" for i in range(N_ITEMS)]


def moment(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def click(user: str, item: str, us: int, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "event_type": "click", "timestamp": moment(us), **more}


def test_best_first_with_ranks_from_one(ranker: Ranker) -> None:
    answer = ranker.rank("u1", ALL, at="state")
    assert sorted(answer.item_ids) == sorted(ALL)
    assert (np.diff(answer.scores) <= 0).all()
    assert answer.ranks.tolist() == list(range(1, 11))
    assert len(np.unique(answer.scores)) > 5
    top = ranker.rank("u1", ALL, at="state", k=3)
    assert top.item_ids == answer.item_ids[:3]
    assert top.scores.tolist() == answer.scores[:3].tolist()


def test_scores_are_the_trees_on_the_features(ranker: Ranker) -> None:
    answer = ranker.rank("u2", ALL, at="state")
    scores = ranker.bundle.trees.predict(ranker.features("u2", ALL, at="state"))
    by_item = dict(zip(ALL, scores, strict=True))
    assert [by_item[item] for item in answer.item_ids] == answer.scores.tolist()


def test_users_differ(ranker: Ranker) -> None:
    assert (
        ranker.rank("u0", ALL, at="state").scores.tolist()
        != ranker.rank("u1", ALL, at="state").scores.tolist()
    )


def test_duplicates_have_one_score_and_an_empty_list_an_empty_answer(ranker: Ranker) -> None:
    once = ranker.rank("u0", ["i1", "i2", "x"], at="state")
    twice = ranker.rank("u0", ["i1", "x", "i2", "i1", "x"], at="state")
    assert dict(zip(twice.item_ids, twice.scores, strict=True)) == dict(
        zip(once.item_ids, once.scores, strict=True)
    )
    assert sorted(twice.item_ids) == ["i1", "i1", "i2", "x", "x"]
    empty = ranker.rank("u0", [], at="state")
    assert len(empty) == 0 and empty.scores.dtype == np.float64
    words = {"known": pl.String, "fallback": pl.String}
    assert empty.to_polars().schema == {"item_id": pl.String, "score": pl.Float64, "rank": pl.Int32} | words
    assert len(ranker.rank()) == 0


def test_an_answer_as_a_frame(ranker: Ranker) -> None:
    answer = ranker.rank("u0", ["i1", "i2"], at="state")
    frame = answer.to_polars()
    assert frame["item_id"].to_list() == list(answer.item_ids)
    assert frame["rank"].to_list() == [1, 2]


def test_an_unknown_user_reads_as_an_empty_history(ranker: Ranker) -> None:
    unknown, nobody = ranker.features("new", ALL, at="state"), ranker.features(None, ALL, at="state")
    assert np.array_equal(unknown, nobody, equal_nan=True)
    columns = ranker.columns
    assert np.isnan(unknown[:, columns.index("user_x_age")]).all()
    assert np.isnan(unknown[:, columns.index("text_similarity_mean")]).all()
    assert len(ranker.rank("new", ALL, at="state")) == N_ITEMS


def test_an_unknown_item_is_missing_not_the_last_one(ranker: Ranker) -> None:
    row = ranker.features("u0", ["i9", "x"], at="state")
    item_columns = [
        i for i, name in enumerate(ranker.columns) if name.startswith(("item_", "pair_", "interest_"))
    ]
    assert np.isnan(row[1, item_columns]).all()
    assert not np.isnan(row[0, ranker.columns.index("item_count")])


def test_a_new_item_with_columns_but_no_text_tower(ranker: Ranker) -> None:
    plain = ranker.rank("u0", ["x"], at="state")
    given = ranker.rank(
        "u0", items=[{"item_id": "x", "title": "pen", "pages": 9.0, "kind": "wood"}], at="state"
    )
    assert given.item_ids == ("x",)
    assert given.scores[0] != plain.scores[0]  # its free columns count, its title cannot


class FakeTower:
    calls = 0

    @classmethod
    def load(cls, folder: Path, threads: int = 0) -> "FakeTower":
        assert (folder / "manifest.json").is_file()
        return cls()

    def encode(self, texts: list[str]) -> tuple[Any, Any]:
        FakeTower.calls += 1
        assert texts == ["title: red pen ; brand: Bic"]
        return np.array([[1, 0, 0, 0]], np.float32), np.array([[0, 1, 0, 0]], np.float32)


def test_a_new_item_with_text_is_encoded_once(
    bundle_with: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_items, "TextTower", FakeTower)
    ranker = Ranker.load(bundle_with(encoder=write_encoder(tmp_path / "onnx", "onnx")))
    pen = {"item_id": "x", "title": "red  <b>pen</b>", "brand": "Bic"}
    with_text = ranker.rank("u0", ["x", "i1"], items=[pen], at="state")
    assert set(with_text.item_ids) == {"x", "i1"}
    assert (
        ranker.rank("u0", ["x", "i1"], items=[pen], at="state").scores.tolist() == with_text.scores.tolist()
    )
    assert FakeTower.calls == 1
    without = ranker.rank("u0", ["x", "i1"], at="state")
    assert dict(zip(without.item_ids, without.scores, strict=True))["x"] != pytest.approx(
        dict(zip(with_text.item_ids, with_text.scores, strict=True))["x"]
    )
    known = {"item_id": "i1", "title": "something else"}  # the stored vector of a known item is the truth
    assert ranker.rank("u0", items=[known], at="state").scores == ranker.rank("u0", ["i1"], at="state").scores


def test_times(ranker: Ranker) -> None:
    latest = ranker.state_time
    later = ranker.rank("u0", ALL, at=moment(latest + 10 * 86_400 * SECOND))
    assert later.scores.tolist() != ranker.rank("u0", ALL, at="state").scores.tolist()  # counts have faded
    assert (
        ranker.rank("u0", ALL, at=moment(latest)).scores.tolist()
        == ranker.rank("u0", ALL, at="state").scores.tolist()
    )
    assert len(ranker.rank("u0", ALL)) == N_ITEMS
    with pytest.raises(
        ValueError, match="lies before the latest event that the state has seen, 2023-11-14T22:14:19"
    ):
        ranker.rank("u0", ALL, at=moment(latest - 1))
    with pytest.raises(ValueError, match="a time needs a time zone"):
        ranker.rank("u0", ALL, at=datetime(2030, 1, 1))
    with pytest.raises(ValueError, match='"state" or None'):
        ranker.rank("u0", ALL, at="now")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="k must be a whole number, at least 1; found 0"):
        ranker.rank("u0", ALL, k=0)


def test_without_a_clock_the_time_is_the_states(bundle_with: Callable[..., Path], parts: BundleParts) -> None:
    state = State.new(FEATURES, False, N_USERS, item_table())
    columns = (*INTEREST_COLUMNS, *state.names)
    ranker = Ranker.load(bundle_with(state=state, columns=columns, trees=trees(columns)))
    far = ranker.rank("u0", ALL, at=datetime(2090, 1, 1, tzinfo=UTC))
    assert far.scores.tolist() == ranker.rank("u0", ALL).scores.tolist()
    assert len(ranker.rank("u0", ALL, at=datetime(1990, 1, 1, tzinfo=UTC))) == N_ITEMS


def test_context_enters(ranker: Ranker) -> None:
    column = ranker.columns.index("ctx_hour")
    assert np.isnan(ranker.features("u0", ["i1"], at="state")[0, column])
    assert ranker.features("u0", ["i1"], at="state", context={"hour": 7})[0, column] == 7
    assert ranker.features("u0", ["i1"], at="state", context={"ctx_hour": 7, "other": 1})[0, column] == 7


def test_columns_that_nothing_gives_are_refused(bundle_with: Callable[..., Path], parts: BundleParts) -> None:
    path = bundle_with(vectors=None, encoder=None)
    with pytest.raises(BundleError, match="found also interest_click, interest_purchase"):
        Ranker.load(path)


def test_observe_changes_the_next_answer(ranker: Ranker) -> None:
    before = ranker.features("u0", ALL, at="state")
    done = ranker.observe([click("u0", "i9", ranker.state_time + SECOND)])
    assert (done.applied, done.repeated, done.unknown_items, done.new_users) == (1, 0, 0, 0)
    after = ranker.features("u0", ALL, at="state")
    count, seen = ranker.columns.index("item_count"), ranker.columns.index("pair_seen")
    assert after[9, count] == before[9, count] + 1
    assert after[9, seen] == 1
    assert ranker.position == 61


def test_observe_sets_aside_what_it_must(ranker: Ranker) -> None:
    us = ranker.state_time
    events = [
        click("u0", "i1", us + 1, event_id="a"),
        click("u0", "i1", us + 2, event_id="a"),
        click("u0", "unheard of", us + 3),
        click("someone", "i2", us + 4, event_id="b"),
        click("someone", "i3", us + 5, event_id="c", price=3.0, value=1.0, request_id="r", position=2),
    ]
    done = ranker.observe(pl.DataFrame(events))
    assert (done.applied, done.repeated, done.unknown_items, done.new_users) == (3, 1, 1, 1)
    assert ranker.observe(events[:1]).repeated == 1
    seen = ranker.features("someone", ALL, at="state")[:, ranker.columns.index("pair_seen")]
    assert np.flatnonzero(seen).tolist() == [2, 3]
    assert np.isnan(ranker.features("someone", ALL, at="state")[:, ranker.columns.index("user_x_age")]).all()
    assert ranker.state_time == us + 5


def test_a_late_event_is_applied_and_the_time_stays(ranker: Ranker) -> None:
    us = ranker.state_time
    ranker.observe([("u1", "i4", "purchase", moment(us - 5 * SECOND))])
    assert ranker.state_time == us
    assert ranker.features("u1", ["i4"], at="state")[0, ranker.columns.index("pair_seen")] == 1


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"item_id": "i1", "event_type": "click"}, "event 1, user_id: expected an id; found none"),
        (
            {"user_id": "u0", "item_id": "i1", "event_type": "klick"},
            "event 1, event_type: expected one of impression",
        ),
        (
            ("u0", "i1", "click", datetime(2030, 1, 1)),
            "event 1, timestamp: expected a datetime with a time zone",
        ),
        ({"user_id": "u0", "item_id": "i1", "event_type": "click", "price": "dear"}, "expected a number"),
        ("u0", "event 1: expected a mapping of columns, or a tuple"),
    ],
)
def test_a_bad_event_is_named_and_nothing_is_applied(ranker: Ranker, event: Any, text: str) -> None:
    with pytest.raises(DataError, match=text):
        ranker.observe([click("u0", "i1", ranker.state_time + 1), event])
    assert ranker.position == 60


def test_recommend_offers_what_is_new_and_can_be_had(ranker: Ranker) -> None:
    ranker.observe([click("u0", "i1", ranker.state_time + 1)])
    history = {f"i{code}" for code in ranker.bundle.state.view(0, 0).items.tolist() if code >= 0}
    answer = ranker.recommend("u0", 5, at="state")
    assert len(answer) > 0
    assert not set(answer.item_ids) & (history | {"i9"})  # i9 is sold out
    assert (np.diff(answer.scores) <= 0).all()
    again = ranker.recommend("u0", 5, exclude_seen=False, at="state")
    assert set(again.item_ids) & history
    assert "i9" not in again.item_ids
    assert len(ranker.recommend("u0", 2, exclude_seen=False, at="state")) == 2


def test_recommend_scores_like_rank(ranker: Ranker) -> None:
    answer = ranker.recommend("u3", 20, exclude_seen=False, at="state")
    ranked = ranker.rank("u3", sorted(answer.item_ids), at="state")
    assert len(answer) == 9  # all that can be had, more than the eight rows that select keeps
    assert dict(zip(ranked.item_ids, ranked.scores, strict=True)) == dict(
        zip(answer.item_ids, answer.scores, strict=True)
    )


def test_somebody_unknown_gets_what_is_popular(ranker: Ranker) -> None:
    answer = ranker.recommend("new", 3, at="state")
    assert len(answer) == 3
    assert len(ranker.recommend(None, 3, at="state")) == 3


def test_source_columns(bundle_with: Callable[..., Path], parts: BundleParts) -> None:
    columns = (*parts.columns[:9], "rank_popular", "score_popular", "rank_covisit")
    ranker = Ranker.load(bundle_with(columns=columns, trees=trees(columns)))
    rows = ranker.features("u0", ALL, at="state")
    ranks = rows[:, columns.index("rank_popular")]
    popular = [code for code in parts.popular[0].tolist() if code != 9][: CANDIDATES.depths["popular"]]
    assert [int(ranks[code]) for code in popular] == [1, 2, 3, 4]
    assert np.isnan(ranks).sum() == N_ITEMS - 4
    assert len(ranker.recommend("u0", 3, exclude_seen=False, at="state")) == 3


def test_covisit_needs_its_lists_and_no_column_that_reads_them(
    bundle_with: Callable[..., Path], parts: BundleParts
) -> None:
    rows = {name: row for name, row in FEATURES.rows.items() if row.family != "neighbours"}
    rows["pair_bought"] = Feature("neighbours", "item", "last", types=("purchase",))

    def bundle(lists: bool) -> Path:
        state = State.new(replace(FEATURES, rows=rows), True, N_USERS, item_table(), lists=lists)
        state.advance(event_log(), len(event_log().time))
        columns = ("item_count", "pair_bought")
        return bundle_with(state=state, columns=columns, trees=trees(columns))

    def offered(ranker: Ranker) -> list[int]:
        user = int(ranker.bundle.users.encode(["u0"])[0])
        view = ranker.bundle.state.view(user, ranker.state_time)
        pool = ranker._live.offer(view, np.arange(N_ITEMS) >= 3)
        ranks = pool.ranks[:, pool.sources.index("covisit")]
        offered = np.flatnonzero(ranks > 0)
        found: list[int] = pool.items[offered[np.argsort(ranks[offered])]].tolist()
        return found

    whole = Ranker.load(bundle_with())
    found = offered(whole)
    assert found
    assert offered(Ranker.load(bundle(True))) == found
    told = "expected neighbour lists over all interactions, which the source covisit reads; found .*_purchase"
    with pytest.raises(BundleError, match=told):
        Ranker.load(bundle(False))


def test_online_equals_offline_to_the_bit(bundle_with: Callable[..., Path], parts: BundleParts) -> None:
    log, half = event_log(), 30
    state = State.new(FEATURES, True, N_USERS, item_table())
    state.advance(log, half)
    ranker = Ranker.load(bundle_with(state=state, state_time=int(log.time[half - 1])))
    n = len(log.time) - half
    requests = RequestArrays(log.user[half:], log.time[half:], np.full(n, -1, np.int32))
    rows = RowBlock(N_ITEMS * np.arange(n + 1), np.tile(np.arange(N_ITEMS, dtype=np.int32), n))
    cuts = cut(log, requests, Policy())
    names, behaviour = assemble(state, log, item_table(), requests, cuts, rows)
    entrance = heads(log, requests.user, cuts["user"])
    tower, vectors = ranker.bundle.tower, ranker.bundle.vectors
    assert tower is not None and vectors is not None
    interest = score_rows(tower, vectors.tuned, vectors.raw, log, entrance, rows)
    behind = [ranker.columns.index(name) for name in names]
    kinds = ("impression", "click", "cart", "purchase")
    for r in range(n):
        i = half + r
        user, at = f"u{log.user[i]}", moment(int(log.time[i]))
        live = ranker.features(user, ALL, at=at)
        here = slice(rows.offsets[r], rows.offsets[r + 1])
        assert np.array_equal(live[:, behind], behaviour[here], equal_nan=True)
        assert np.array_equal(live[:, :9], interest[here], equal_nan=True)
        ranker.observe([(user, f"i{log.item[i]}", kinds[log.kind[i]], at)])


def test_threads_may_call_together(ranker: Ranker) -> None:
    expected = ranker.rank("u0", ALL, at="state").scores.tolist()
    found: list[list[float]] = []

    def work() -> None:
        for _ in range(20):
            found.append(ranker.rank("u0", ALL, at="state").scores.tolist())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80 and all(scores == expected for scores in found)
