"""Random arguments of the library's calls, sound and unsound: what a service passes on from anywhere."""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from recsys.core.columns import CART, EVENT_TYPES, INTERACTIONS
from recsys.features.attributes import ITEM_PREFIX
from recsys.serving.events import EPOCH
from recsys.serving.ranker import Ranker

MANY = 10_000  # candidates of the longest list
HUGE = 10**400  # beyond every float
NAN, INF = math.nan, math.inf
WORDS = (
    "", " ", "\x00", "a\x00b", "\n\t", "\x1b[31m", "größe", "商品", "🛒" * 3, "\u202eabc", "e\u0301",
    "\ud800", "x\udfff", "None", "nan", "-1", "../..", "<b>&amp;</b>", "a" * 10_000,
)  # fmt: skip
NUMBERS = (
    None, 0, -1, 1, 7.5, -2.5, 1e-40, 1e38, 1e39, -1e39, NAN, INF, -INF, 2**40, -(2**70), HUGE, True, "3",
    "many", Decimal("2.5"), 1j, b"3", np.float32(3), np.float64(NAN), np.int64(4), np.bool_(True),
    np.array(3.0), np.array([1.0]), [1],
)  # fmt: skip
THINGS = (
    object(), 0, 3, 2.5, NAN, True, HUGE, -HUGE, "", "word", b"bytes", (), [], {}, set(), [[]], [None],
    {"a": 1}, {1: 2}, {None: None}, range(3), len, date(2024, 1, 1), np.int64(3), np.str_("i1"), np.array(1),
    np.array([1, 2]), np.array(["i1", "i2"]), np.ones((2, 2), np.bool_), np.datetime64("2024-01-01"),
    pl.Series([1, None]), pl.Series(["i1"]), pl.DataFrame({"a": [1]}), pl.LazyFrame({"a": [1]}),
)  # fmt: skip


class Nowhere(tzinfo):
    """A time zone that does not say how far from UTC it is."""

    def utcoffset(self, moment: object) -> None:
        """Nothing."""


class Arguments:
    """Draws arguments for a ranker; about half of all calls get sound ones alone.

    Parameters
    ----------
    ranker : Ranker
    seed : int
    """

    def __init__(self, ranker: Ranker, seed: int) -> None:
        self._ranker, self._random = ranker, random.Random(seed)
        self.items = ranker.bundle.items.decode(range(len(ranker.bundle.items)))
        self._known = ranker.bundle.users.decode(range(len(ranker.bundle.users)))[:50]
        self._columns = [name.removeprefix(ITEM_PREFIX) for name in ranker.bundle.item_attributes.names]
        self.wild = False

    def begin(self) -> None:
        """Draw whether the next call may get what is unsound."""
        self.wild = self.chance(0.5)

    def chance(self, share: float) -> bool:
        """True in so many cases."""
        return self._random.random() < share

    def pick(self, choices: Sequence[Any]) -> Any:
        """One of some."""
        return choices[int(self._random.random() * len(choices))]

    def or_odd(self, sound: Callable[[], Any], odd: Sequence[Any] = THINGS) -> Any:
        """Something sound, unless the call is wild."""
        return self.pick(odd) if self.wild and self.chance(0.15) else sound()

    def word(self) -> str:
        """Any text; only wild calls have what UTF-8 cannot hold."""
        found: str = self.pick(WORDS)
        if not self.wild and not found.isprintable():
            return "plain"
        return found * 100 if self.wild and self.chance(0.002) else found

    def user(self) -> Any:
        """Known, new or nobody."""
        new = f"new-{int(self._random.random() * 200)}"
        return self.or_odd(
            lambda: self.pick((None, self.pick(self._known), self.pick(self._known), new, self.word()))
        )

    def item(self) -> Any:
        """Of the catalogue mostly."""
        if self.chance(0.8):
            return self.pick(self.items)
        return self.or_odd(lambda: self.pick(("unheard", "of", 3, self.word())))

    def item_list(self) -> list[Any]:
        """Short mostly, with items that stand twice."""
        size = MANY if self.chance(0.0005) else self.pick((0, 1, 2, 5, 12, 30))
        return [self.item() for _ in range(size)]

    def wrapped(self, values: list[Any]) -> Any:
        """The same values in some container."""
        wrap = self.pick((list, list, tuple, iter, lambda some: (one for one in some)))
        return wrap(values)

    def described(self) -> list[Any]:
        """Items by their columns."""

        def one() -> Any:
            columns = {
                "title": self.or_odd(self.word),
                "text": self.or_odd(self.word),
                "description": self.or_odd(self.word),
                "brand": self.or_odd(self.word),
                "price": self.number(),
                **{name: self.number() for name in self._columns},
            }
            some = {name: value for name, value in columns.items() if self.chance(0.3)}
            return some if self.wild and self.chance(0.1) else {"item_id": self.item(), **some}

        return [self.or_odd(one) for _ in range(self.pick((0, 0, 1, 3)))]

    def number(self) -> Any:
        """A number, or what stands in its place."""
        return self.or_odd(lambda: self.pick((None, 0, 1, 7.5, "3", np.float32(3), np.int64(2))), NUMBERS)

    def moment(self) -> Any:
        """A time that can be asked at, with its zone; or one before the state, without zone, far away."""
        known = EPOCH + timedelta(microseconds=self._ranker.state_time)
        hours = timedelta(hours=abs(self._random.gauss(0, 30)))
        there = (known + hours).astimezone(timezone(timedelta(hours=9)))
        odd = (
            known - hours, known.replace(tzinfo=None), known.replace(tzinfo=Nowhere()), "now", known.date(),
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), datetime(1900, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=12))), self.pick(THINGS),
        )  # fmt: skip
        return self.or_odd(lambda: self.pick((None, "state", known, known + hours, there)), odd)

    def context(self) -> Any:
        """What a request says of itself."""
        sound = (None, {}, {"hour": 3}, {"ctx_hour": 2.0, "planet": 1}, {"planet": "any"})
        return self.or_odd(lambda: self.pick(sound), ({"hour": self.pick(NUMBERS)}, *THINGS))

    def k(self) -> Any:
        """How many."""
        return self.or_odd(
            lambda: self.pick((1, 3, 10, 1000, 2**62, HUGE)), (0, -2, None, True, 2.0, *THINGS)
        )

    def where(self) -> tuple[Any, set[str] | None]:
        """A condition, and the items that it leaves, where that is known."""
        some = {item for item in self.items if self.chance(0.3)}
        mask = [item in some for item in self.items]
        how = self.or_odd(lambda: self.pick((0, 0, 1, 2, 3, 4, 5)), (6,))
        if how == 0:
            return None, None
        if how in (1, 2):
            return self.wrapped([*some, *(("unheard",) if how == 2 else ())]), some
        if how in (3, 4):
            return mask if how == 3 else np.array(mask), some
        column = self.pick(("price", "planet", *self._columns) if self.wild else ("price", *self._columns))
        if how == 5:
            return {column: self.pick((1, [1, 2], np.array([5.0]), pl.Series([1.0])))}, None
        return self.pick(
            (*THINGS, {column: self.number()}, {column: self.pick(THINGS)}, mask[:-1], [None])
        ), None

    def history(self) -> tuple[Any, set[str]]:
        """What somebody did, and the items that must stand in a view of it."""
        done = [
            (self.item(), self.or_odd(lambda: self.pick(EVENT_TYPES), THINGS), self.pick((None, self.past())))
            for _ in range(self.pick((0, 1, 2, 5)))
        ]
        interactions = [EVENT_TYPES[kind] for kind in INTERACTIONS]
        seen = set() if self.wild else {str(item) for item, kind, _ in done if kind in interactions}
        given = self.wrapped(
            [self.or_odd(lambda row=row: row if self.chance(0.9) else row[:2]) for row in done]
        )
        return self.or_odd(lambda: given), seen

    def past(self) -> datetime:
        """Before what the state has seen."""
        return EPOCH + timedelta(microseconds=self._ranker.state_time, hours=-abs(self._random.gauss(0, 30)))

    def event(self) -> Any:
        """Something that happened: late, repeated, or of an unknown item now and then."""
        kinds = (*EVENT_TYPES, EVENT_TYPES[CART], np.str_(EVENT_TYPES[CART]))
        ahead = EPOCH + timedelta(microseconds=self._ranker.state_time, seconds=self._random.random())
        row = {
            "user_id": "new" if (user := self.user()) is None else user,
            "item_id": self.item(),
            "event_type": self.or_odd(lambda: self.pick(kinds)),
            "timestamp": self.or_odd(lambda: self.pick((ahead, ahead, self.past()))),
            "value": self.number(),
            "price": self.number(),
            "position": self.or_odd(lambda: self.pick((None, 0, 3, -1, np.int64(2))), NUMBERS),
            "event_id": self.or_odd(lambda: self.pick((None, f"e{int(self._random.random() * 300)}", 5))),
            "request_id": self.or_odd(lambda: self.pick((None, "r1"))),
        }
        needed = list(row)[:4]
        some = {name: value for name, value in row.items() if name in needed or self.chance(0.3)}
        return self.or_odd(lambda: some if self.chance(0.7) else tuple(some[name] for name in needed))

    def events(self) -> tuple[Any, int]:
        """Some events in some shape, and how many."""
        rows = [self.event() for _ in range(self.pick((0, 1, 1, 3)))]
        if not self.wild and self.chance(0.1):
            names = ("user_id", "item_id", "event_type", "timestamp")
            known = [(self.pick(self._known), self.pick(self.items), "click", self.past()) for _ in rows]
            return pl.DataFrame(known, schema=names, orient="row"), len(rows)
        return self.or_odd(lambda: self.wrapped(rows)), len(rows)

    def requests(self) -> Any:
        """A frame of requests."""
        n = self.pick((0, 1, 3))
        columns: dict[str, Iterable[Any]] = {
            "user_id": [self.pick((None, self.pick(self._known), "new")) for _ in range(n)],
            "item_ids": [self.pick((None, self.items[:3], [])) for _ in range(n)],
            "request_id": list(range(n)),
            "at": [None] * n,
        }
        if self.wild:
            odd = (
                1.5,
                True,
                "x",
                [1],
                [[1]],
                [None],
                {"a": 1},
                b"x",
                date(2024, 1, 1),
                datetime(2030, 1, 1),
                NAN,
                None,
            )
            columns[self.pick(list(columns))] = [self.pick(odd)] * n
            columns.pop(self.pick(("request_id", "at", "user_id", "none")), None)
        frame = pl.DataFrame(
            {name: pl.Series(name, list(values), strict=False) for name, values in columns.items()}
        )
        return self.or_odd(lambda: frame)
