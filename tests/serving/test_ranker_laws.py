"""What holds for every call: order and company of items mean nothing, k cuts, events move their own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.core.errors import DataError
from recsys.serving.answers import Answer, Observed
from recsys.serving.events import EPOCH
from recsys.serving.ranker import Ranker

from .conftest import N_ITEMS, SECOND

ALL = [f"i{i}" for i in range(N_ITEMS)]
USERS = ["u0", "u3", "nobody", None]


def moment(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def by_item(answer: Answer) -> dict[str, float]:
    return dict(zip(answer.item_ids, answer.scores.tolist(), strict=True))


@pytest.mark.parametrize("user", USERS)
def test_the_order_given_changes_no_score(ranker: Ranker, user: str | None) -> None:
    straight = ranker.rank(user, ALL, at="state")
    turned = ranker.rank(user, ALL[::-1], at="state")
    assert by_item(straight) == by_item(turned)
    assert straight.scores.tolist() == turned.scores.tolist()


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("k", [1, 4, N_ITEMS, 50])
def test_k_cuts_the_full_answer(ranker: Ranker, user: str | None, k: int) -> None:
    full, top = ranker.rank(user, ALL, at="state"), ranker.rank(user, ALL, at="state", k=k)
    assert top.item_ids == full.item_ids[:k]
    assert top.scores.tolist() == full.scores[:k].tolist()
    assert top.ranks.tolist() == list(range(1, min(k, N_ITEMS) + 1)) and top.ranks.dtype == np.int32


def test_equal_scores_keep_the_order_in_which_they_were_given(ranker: Ranker) -> None:
    answer = ranker.rank("u0", ["z", "a", "m", "b"], at="state")  # four unknown items: one score
    assert len(set(answer.scores.tolist())) == 1
    assert answer.item_ids == ("z", "a", "m", "b")


def test_the_behaviour_columns_of_an_item_do_not_depend_on_its_company(ranker: Ranker) -> None:
    state = [ranker.columns.index(name) for name in ranker.bundle.state.names]
    together = ranker.features("u1", ALL, at="state")[:, state]
    for place, item in enumerate(ALL):
        alone = ranker.features("u1", [item], at="state")[:, state]
        np.testing.assert_array_equal(alone[0], together[place])


def test_ids_are_read_as_text_and_iterables_once(ranker: Ranker) -> None:
    as_list = ranker.rank("u0", ["i1", "i2"], at="state")
    assert by_item(ranker.rank("u0", (item for item in ("i1", "i2")), at="state")) == by_item(as_list)
    numbers = ranker.rank("u0", [1, 2], at="state")  # type: ignore[list-item]
    assert numbers.item_ids in {("1", "2"), ("2", "1")}


def test_asking_changes_nothing(ranker: Ranker) -> None:
    before = by_item(ranker.rank("u0", ALL, at="state"))
    for _ in range(3):
        ranker.recommend("u0", 5, at="state")
        ranker.rank("nobody", ["i1", "unheard of"], at="state")
        ranker.features("u2", ALL, at=moment(ranker.state_time + 10 * SECOND))
    assert by_item(ranker.rank("u0", ALL, at="state")) == before
    assert ranker.position == 60 and len(ranker.bundle.users) == 4


@pytest.mark.parametrize("call", ["rank", "recommend", "features"])
def test_no_call_may_ask_about_the_past(ranker: Ranker, call: str) -> None:
    before = moment(ranker.state_time - 1)
    arguments: dict[str, tuple[Any, ...]] = {
        "rank": ("u0", ALL),
        "recommend": ("u0", 3),
        "features": ("u0", ALL),
    }
    with pytest.raises(ValueError, match="lies before the latest event .* cannot forget"):
        getattr(ranker, call)(*arguments[call], at=before)


def test_a_time_is_the_same_in_every_zone(ranker: Ranker) -> None:
    utc = moment(ranker.state_time + 3600 * SECOND)
    there = utc.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert by_item(ranker.rank("u0", ALL, at=utc)) == by_item(ranker.rank("u0", ALL, at=there))


def test_time_only_moves_forward_with_events(ranker: Ranker) -> None:
    start = ranker.state_time
    ranker.observe([("u0", "i1", "click", moment(start + 5 * SECOND))])
    assert ranker.state_time == start + 5 * SECOND
    ranker.observe([("u0", "i2", "click", moment(start + 2 * SECOND))])
    assert ranker.state_time == start + 5 * SECOND
    with pytest.raises(ValueError, match="lies before"):
        ranker.rank("u0", ALL, at=moment(start + 4 * SECOND))
    assert len(ranker.rank("u0", ALL, at=moment(start + 5 * SECOND))) == N_ITEMS


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused_everywhere(ranker: Ranker, k: int) -> None:
    for call in (lambda: ranker.rank("u0", ALL, k=k), lambda: ranker.recommend("u0", k)):
        with pytest.raises(ValueError, match=f"k must be a whole number, at least 1; found {k}"):
            call()


def test_events_one_by_one_or_together_lead_to_the_same(folder: Path) -> None:
    one, two = Ranker.load(folder), Ranker.load(folder)
    events = [
        (user, f"i{i % 9}", kind, moment(one.state_time + (i + 1) * SECOND))
        for i, (user, kind) in enumerate(
            [("u0", "click"), ("new", "cart"), ("u0", "purchase"), ("new", "click")]
        )
    ]
    one.observe(events)
    for event in events:
        two.observe([event])
    for user in ("u0", "new", "u1"):
        np.testing.assert_array_equal(
            one.features(user, ALL, at="state"), two.features(user, ALL, at="state")
        )
    assert (one.position, one.state_time) == (two.position, two.state_time) == (64, one.state_time)


@pytest.mark.parametrize("shape", ["tuples", "mappings", "frame"])
def test_events_in_any_shape_lead_to_the_same(ranker: Ranker, folder: Path, shape: str) -> None:
    at = moment(ranker.state_time + SECOND)
    rows = [("u0", "i1", "click", at), ("u2", "i8", "purchase", at)]
    names = ("user_id", "item_id", "event_type", "timestamp")
    mappings = [dict(zip(names, row, strict=True)) for row in rows]
    given = {"tuples": rows, "mappings": mappings, "frame": pl.DataFrame(mappings)}[shape]
    assert ranker.observe(given) == Observed(2, 0, 0, 0)
    other = Ranker.load(folder)
    other.observe(rows)
    np.testing.assert_array_equal(
        ranker.features("u2", ALL, at="state"), other.features("u2", ALL, at="state")
    )


def test_observing_nothing_does_nothing(ranker: Ranker) -> None:
    assert ranker.observe([]) == Observed(0, 0, 0, 0)
    assert ranker.position == 60


def test_a_repeated_event_is_applied_once_and_one_without_id_each_time(ranker: Ranker) -> None:
    at = moment(ranker.state_time + SECOND)
    event = {"user_id": "u0", "item_id": "i1", "event_type": "click", "timestamp": at}
    count = ranker.columns.index("item_count")
    start = ranker.features(None, ["i1"], at="state")[0, count]
    first = ranker.observe([{**event, "event_id": "e"}, {**event, "event_id": "e"}])
    again = ranker.observe([{**event, "event_id": "e"}])
    assert (first.applied, first.repeated, again.applied, again.repeated) == (1, 1, 0, 1)
    assert ranker.observe([event, event]).applied == 2
    assert ranker.features(None, ["i1"], at="state")[0, count] == start + 3


def test_event_ids_are_forgotten_oldest_first(ranker: Ranker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recsys.serving.observer.REMEMBERED_EVENTS", 2)
    event = {"user_id": "u0", "item_id": "i1", "event_type": "click"}
    ranker.observe([{**event, "event_id": name} for name in ("a", "b", "c")])
    assert ranker.observe([{**event, "event_id": "c"}]).repeated == 1
    assert ranker.observe([{**event, "event_id": "a"}]).applied == 1


def test_impressions_are_no_history(ranker: Ranker) -> None:
    seen = ranker.columns.index("pair_seen")
    ranker.observe([("quiet", "i4", "impression")])
    assert not (ranker.features("quiet", ALL, at="state")[:, seen] > 0).any()
    ranker.observe([("quiet", "i4", "click")])
    assert np.flatnonzero(ranker.features("quiet", ALL, at="state")[:, seen] > 0).tolist() == [4]


def test_one_users_events_leave_anothers_own_columns_alone(ranker: Ranker) -> None:
    seen = ranker.columns.index("pair_seen")
    before = ranker.features("u1", ALL, at="state")[:, seen]
    ranker.observe([("u0", item, "click") for item in ALL])
    np.testing.assert_array_equal(ranker.features("u1", ALL, at="state")[:, seen], before)
    assert (ranker.features("u0", ALL, at="state")[:, seen] > 0).all()


@pytest.mark.parametrize("user", USERS)
def test_recommendations_are_distinct_available_and_sorted(ranker: Ranker, user: str | None) -> None:
    answer = ranker.recommend(user, 50, exclude_seen=False, at="state")
    assert len(set(answer.item_ids)) == len(answer) > 0
    assert set(answer.item_ids) <= set(ALL) - {"i9"}
    assert (np.diff(answer.scores) <= 0).all()
    top = ranker.recommend(user, 2, exclude_seen=False, at="state")
    assert top.item_ids == answer.item_ids[:2]


@pytest.mark.parametrize("user", USERS[:3])
def test_what_was_seen_is_left_out_where_asked(ranker: Ranker, user: str) -> None:
    ranker.observe([(user, "i0", "click"), (user, "i1", "purchase")])
    seen = ranker.columns.index("pair_seen")
    history = {
        item for item, row in zip(ALL, ranker.features(user, ALL, at="state"), strict=True) if row[seen] > 0
    }
    assert {"i0", "i1"} <= history
    assert not set(ranker.recommend(user, 50, at="state").item_ids) & history
    assert set(ranker.recommend(user, 50, exclude_seen=False, at="state").item_ids) & history


def test_someone_who_saw_everything_gets_nothing(ranker: Ranker) -> None:
    ranker.observe([("u0", item, "click") for item in ALL])
    answer = ranker.recommend("u0", 5, at="state")
    assert len(answer) == 0
    assert answer.to_polars().is_empty()


def test_context_by_either_name_and_nothing_else(ranker: Ranker) -> None:
    one = ranker.rank("u0", ALL, at="state", context={"hour": 3.0})
    two = ranker.rank("u0", ALL, at="state", context={"ctx_hour": 3.0, "moon": 1.0})
    none = ranker.rank("u0", ALL, at="state", context={"moon": 1.0})
    assert by_item(one) == by_item(two)
    assert by_item(none) == by_item(ranker.rank("u0", ALL, at="state"))


def test_a_described_item_that_is_known_is_read_from_the_catalogue(ranker: Ranker) -> None:
    given = [
        {"item_id": "i1", "pages": 999, "kind": "wood"},
        {"item_id": "novel", "pages": 2, "kind": "glass"},
    ]
    answer = ranker.rank("u0", items=given, at="state")
    assert set(answer.item_ids) == {"i1", "novel"}
    alone = ranker.rank("u0", ["i1", "novel"], at="state")
    described = ranker.rank("u0", ["i1", "novel"], items=given[:1], at="state")
    assert by_item(described) == by_item(alone)  # what is said of i1 does not count


def test_answers_as_frames(ranker: Ranker) -> None:
    answer = ranker.rank("u0", ALL, at="state", k=3)
    frame = answer.to_polars()
    rows = zip(answer.item_ids, answer.scores.tolist(), answer.ranks.tolist(), strict=True)
    assert frame.rows() == [(*row, "id", "none") for row in rows]
    with pytest.raises(AttributeError):
        answer.scores = answer.scores  # type: ignore[misc]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"user_id": "u0", "event_type": "click"}, "event 0, item_id: expected an id; found none"),
        ({"user_id": "u0", "item_id": "i1"}, "event 0, event_type: expected one of .*; found None"),
        (("u0", "i1", "click", 5), "event 0, timestamp: expected a datetime with a time zone; found 5"),
        (
            ("u0", "i1"),
            r"event 0: expected a mapping of columns, or a tuple user_id, .*; found \('u0', 'i1'\)",
        ),
        (("u0", "i1", "click", None, "more"), "event 0: expected a mapping"),
        (
            {"user_id": "u0", "item_id": "i1", "event_type": "click", "position": "first"},
            "event 0, value, price or position: expected a number",
        ),
    ],
)
def test_an_unusable_event_is_named(ranker: Ranker, event: Any, text: str) -> None:
    with pytest.raises(DataError, match=text) as caught:
        ranker.observe([event])
    assert caught.value.do == "None of the events was applied."


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            datetime(2224, 1, 1, tzinfo=UTC),
            "event 1, timestamp: expected a time between 1990 and 2100; found 2224",
        ),
        (
            datetime(1970, 1, 1, tzinfo=UTC),
            "event 1, timestamp: expected a time between 1990 and 2100; found 1970",
        ),
        (
            datetime(2100, 1, 1, tzinfo=UTC),
            "event 1, timestamp: expected a time no later than 2.*; found 2100",
        ),
    ],
)
def test_a_time_that_cannot_be_does_not_stop_later_requests(ranker: Ranker, wrong: Any, text: str) -> None:
    good = ("new", "i1", "click", moment(ranker.state_time + SECOND))
    before = ranker.state_time
    with pytest.raises(DataError, match=text):
        ranker.observe([good, ("u0", "i1", "click", wrong)])
    assert (ranker.position, ranker.state_time, len(ranker.bundle.users)) == (60, before, 4)
    assert len(ranker.rank("u0", ALL, at=datetime.now(UTC))) == N_ITEMS


def test_a_clock_may_run_a_little_ahead_of_ours(ranker: Ranker) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=23)
    assert ranker.observe([("u0", "i1", "click", ahead)]).applied == 1
    with pytest.raises(DataError, match="no later than"):  # the allowance does not grow by being used
        ranker.observe([("u0", "i1", "click", ahead + timedelta(hours=2))])
    assert len(ranker.rank("u0", ALL)) == N_ITEMS


def test_a_described_item_needs_its_id(ranker: Ranker) -> None:
    for nameless in ({"title": "a mug"}, {"title": "a mug", "item_id": None}):
        with pytest.raises(ValueError, match="items, number 1: expected an item_id; found title"):
            ranker.rank("u0", items=[{"item_id": "x"}, nameless])


def test_an_event_without_time_is_now(ranker: Ranker) -> None:
    before = datetime.now(UTC)
    ranker.observe([("u0", "i1", "click"), ("u0", "i2", "click", None)])
    assert before <= moment(ranker.state_time) <= datetime.now(UTC)


def test_two_rankers_of_one_folder_do_not_share_what_they_observe(
    folder: Path, bundle_with: Callable[..., Path]
) -> None:
    one, two = Ranker.load(folder), Ranker.load(folder)
    before = by_item(two.rank("u0", ALL, at="state"))
    one.observe([("u0", item, "click", moment(one.state_time)) for item in ALL[:5]])
    assert by_item(two.rank("u0", ALL, at="state")) == before
    assert by_item(one.rank("u0", ALL, at="state")) != before


def test_a_word_in_a_numeric_column_is_named(ranker: Ranker) -> None:
    with pytest.raises(
        ValueError,
        match=r"column pages: expected a finite number .*; found 'many'. Give a number",
    ):
        ranker.rank("u1", items=[{"item_id": "x", "pages": "many"}], at="state")
    with pytest.raises(ValueError, match="context hour: expected a finite number .*; found 'noon'"):
        ranker.rank("u1", ["i1"], context={"ctx_hour": "noon"}, at="state")  # type: ignore[dict-item]
    assert len(ranker.rank("u1", items=[{"item_id": "x", "pages": "12"}], at="state")) == 1
