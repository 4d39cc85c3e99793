"""Whatever a service is asked or told: a sound answer or a ``ValueError``; asking changes nothing."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest

from recsys.core.columns import EVENT_TYPES
from recsys.serving.answers import Answer
from recsys.serving.events import EPOCH
from recsys.serving.ranker import Ranker

from .conftest import N_ITEMS, N_USERS

WORDS = [
    "",
    " ",
    "i3",
    "I3",
    "u1",
    "\x00",
    "\n\t",
    "größe",
    "商品",
    "🛒" * 3,
    "a" * 10_000,
    "None",
    "-1",
    "nan",
]
NUMBERS: list[Any] = [None, 0, -1, 1, 7.5, 1e38, 1e39, float("nan"), float("inf"), "3", "many", 2**40, True]


class Caller:
    """Random arguments, sound and unsound, for every call."""

    def __init__(self, ranker: Ranker, seed: int) -> None:
        self.ranker, self.rng = ranker, np.random.default_rng(seed)

    def pick(self, choices: list[Any]) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def user(self) -> Any:
        return self.pick([None, *(f"u{u}" for u in range(N_USERS + 2)), self.pick(WORDS), 3])

    def item(self) -> Any:
        return self.pick([*(f"i{i}" for i in range(N_ITEMS + 2)), self.pick(WORDS), 3])

    def items(self) -> list[Any]:
        size = 3_000 if self.rng.random() < 0.005 else int(self.rng.integers(0, 12))
        return [self.item() for _ in range(size)]

    def moment(self) -> Any:
        known = EPOCH + timedelta(microseconds=self.ranker.state_time)
        hours = timedelta(hours=float(self.rng.normal(0, 30)))
        return self.pick(
            [
                None,
                "state",
                known,
                known + hours,
                (known + abs(hours)).astimezone(timezone(timedelta(hours=9))),
                known.replace(tzinfo=None),
                datetime(1900, 1, 1, tzinfo=UTC),
                datetime(9999, 12, 31, tzinfo=UTC),
                "now",
            ]
        )

    def context(self) -> Any:
        return self.pick([None, {}, {"hour": self.pick(NUMBERS)}, {"ctx_hour": 3}, {"planet": 1}])

    def described(self) -> Any:
        def one() -> dict[str, Any]:
            columns = {
                "title": self.pick(WORDS),
                "item_x_pages": self.pick(NUMBERS),
                "pages": self.pick(NUMBERS),
            }
            some = {name: value for name, value in columns.items() if self.rng.random() < 0.5}
            return some if self.rng.random() < 0.1 else {"item_id": self.item(), **some}

        return [one() for _ in range(int(self.rng.integers(0, 3)))]

    def event(self) -> Any:
        row = {
            "user_id": self.user(),
            "item_id": self.item(),
            "event_type": self.pick([*EVENT_TYPES, *EVENT_TYPES, "wish", None, 2]),
            "timestamp": self.moment(),
            "value": self.pick(NUMBERS),
            "price": self.pick(NUMBERS),
            "position": self.pick(NUMBERS),
            "event_id": self.pick([None, "e1", self.item(), 5]),
            "request_id": self.pick([None, "r1"]),
        }
        needed = list(row)[:4]
        some = {name: value for name, value in row.items() if name in needed or self.rng.random() < 0.3}
        return self.pick([some, some, some, tuple(some[name] for name in needed), "click", None, []])

    def rank(self) -> Answer:
        ids, described, k = self.pick([self.items(), self.items(), None]), self.described(), self.k()
        answer = self.ranker.rank(
            self.user(), ids, items=described, at=self.moment(), context=self.context(), k=k
        )
        asked = ids if ids is not None else {str(row["item_id"]): 0 for row in described}
        assert len(answer.item_ids) == min(len(asked), k or len(asked))
        assert set(answer.item_ids) <= {str(item) for item in asked}
        return answer

    def recommend(self) -> Answer:
        k = self.k()
        answer = self.ranker.recommend(
            self.user(), 5 if k is None else k, exclude_seen=self.pick([True, False]), at=self.moment()
        )
        assert len(set(answer.item_ids)) == len(answer.item_ids) <= (k or 5)
        return answer

    def ask(self) -> Answer:
        before = self.ranker.position, self.ranker.state_time
        try:
            return self.pick([self.rank, self.rank, self.recommend])()
        finally:
            assert (self.ranker.position, self.ranker.state_time) == before

    def k(self) -> Any:
        return self.pick([None, None, 1, 3, 1000, 0, -2])

    def observe(self) -> None:
        before, n = self.ranker.position, int(self.rng.integers(0, 4))
        try:
            told = self.ranker.observe([self.event() for _ in range(n)])
        except ValueError:
            assert self.ranker.position == before  # all or nothing
            raise
        assert self.ranker.position == before + told.applied
        assert told.applied + told.repeated + told.unknown_items == n


def check(answer: Answer) -> None:
    assert np.isfinite(answer.scores).all()
    assert (np.diff(answer.scores) <= 0).all()
    assert answer.ranks.tolist() == list(range(1, len(answer.item_ids) + 1))


def fuzz(ranker: Ranker, seed: int, calls: int) -> dict[str, int]:
    caller = Caller(ranker, seed)
    count = {"answered": 0, "refused": 0}
    doors: list[Callable[[], Any]] = [caller.ask, caller.ask, caller.observe]
    for _ in range(calls):
        try:
            answer = caller.pick(doors)()
        except ValueError as error:
            assert str(error).strip()
            count["refused"] += 1
            continue
        count["answered"] += 1
        if answer is not None:
            check(answer)
    return count


@pytest.mark.parametrize("seed", range(2))
def test_every_call_is_answered_or_refused(ranker: Ranker, seed: int) -> None:
    count = fuzz(ranker, seed, 900)
    assert min(count.values()) > 100


@pytest.mark.slow
def test_many_more_calls_are(ranker: Ranker) -> None:
    count = fuzz(ranker, 7, 50_000)
    assert min(count.values()) > 5_000
