"""Each family again in plain Python, from its definition: sums over all events, no arrays."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from recsys.core.columns import EVENT_TYPES
from recsys.core.log import EventLog, ItemTable
from recsys.state.family import Feature, StateConfig

HALF = {
    "all": math.inf,
    "12h": 12 * 3.6e9,
    "6h": 6 * 3.6e9,
    "1d": 8.64e10,
    "2d": 1.728e11,
    "3d": 2.592e11,
    "7d": 6.048e11,
}
INTERACTIONS = ("click", "cart", "purchase", "rating")
NAN = math.nan


class Event(NamedTuple):
    user: int
    item: int
    time: int
    kind: str
    value: float
    price: float
    request: int
    position: int
    codes: dict[str, int]
    hit: float
    expected: float


def known(events: EventLog, items: ItemTable, n: int) -> list[Event]:
    """The first events of the log, each with its codes, and with what its showing was expected to bring."""
    out: list[Event] = []
    shown: dict[int, float] = defaultdict(float)
    clicked: dict[int, float] = defaultdict(float)
    anonymous = False
    for i in range(n):
        user, item, time, kind, value, price, request, position = (column[i].item() for column in events[:8])
        name = EVENT_TYPES[kind]
        codes = {"user": user, "item": item, "category": -1, "brand": -1, "global": 0}
        if item >= 0:
            codes |= {"category": int(items.category[item]), "brand": int(items.brand[item])}
            price = float(items.price[item]) if math.isnan(price) else price
        place = min(max(position, 0), 50)
        hit, expected = 1.0, 0.0
        if name == "impression":
            rate = (sum(clicked.values()) + 1) / (sum(shown.values()) + 20)
            placed = sum(v for p, v in shown.items() if p)
            if place and placed:
                level = shown[place] * sum(v for p, v in clicked.items() if p) / placed
                rate *= (clicked[place] + 10) / (level + 10)
            expected = rate
            shown[place] += 1
            anonymous = anonymous or request < 0
        elif name == "click":
            hit = 1.0 if request >= 0 or anonymous else 0.0
            clicked[place] += hit
        out.append(Event(user, item, time, name, value, price, request, position, codes, hit, expected))
    return out


def faded(terms: Sequence[tuple[int, float]], now: int, half: str) -> float:
    """A sum of amounts, each halved every half-life since its time."""
    return math.fsum(amount * 2.0 ** ((time - now) / HALF[half]) for time, amount in terms)


Picks = Callable[[Event], bool]


def counted(feature: Feature, events: list[Event], of: Picks, now: int) -> list[float]:
    """The columns of a row of `counts` or `pair_counts`; ``of`` picks the events of the candidate's code.

    Events whose own code is unknown are in ``events`` no longer.
    """
    types, over = feature.types or INTERACTIONS, feature.over or ("impression",)
    now = max([now, *(event.time for event in events)])

    def terms(kinds: Sequence[str], amount: Callable[[Event], float], mine: bool) -> list[tuple[int, float]]:
        return [
            (e.time, amount(e))
            for e in events
            if e.kind in kinds and (of(e) or not mine) and amount(e) == amount(e)
        ]

    def one(event: Event) -> float:
        return 1.0

    def number(event: Event) -> float:
        return event.price if feature.value == "price" else event.value

    def there(event: Event) -> float:
        return 1.0 if number(event) == number(event) else NAN

    def ratio(
        half: str, kinds: Sequence[str], a: Callable[[Event], float], b: Callable[[Event], float]
    ) -> float:
        above = [faded(terms(types, a, mine), now, half) for mine in (True, False)]
        below = [faded(terms(kinds, b, mine), now, half) for mine in (True, False)]
        if below[1] == 0:
            return NAN
        return (above[0] + feature.prior * above[1] / below[1]) / (below[0] + feature.prior)

    if feature.stat == "recency":
        times = [e.time for e in events if e.kind in types and of(e)]
        return [(now - max(times)) / 8.64e10 if times else NAN]
    if feature.stat == "trend":
        short, long_ = feature.half_lives
        late, usual = (faded(terms(types, one, True), now, half) for half in (short, long_))
        return [math.log((late + 1) / (usual * HALF[short] / HALF[long_] + 1))]
    if feature.stat == "count":
        return [faded(terms(types, one, True), now, half) for half in feature.half_lives]
    if feature.stat == "rate":
        hits = (lambda e: e.hit) if "impression" in over else one
        return [ratio(half, over, hits, one) for half in feature.half_lives]
    if feature.stat == "mean":
        return [ratio(half, types, number, there) for half in feature.half_lives]
    assert feature.stat == "lift"
    clicks, shown = terms(["click"], lambda e: e.hit, True), terms(["impression"], lambda e: e.expected, True)
    return [
        math.log((faded(clicks, now, half) + 1) / (faded(shown, now, half) + 1))
        for half in feature.half_lives
    ]


def code_of(key: str, user: int, item: int, items: ItemTable) -> int:
    """The code of a candidate under a key."""
    if key == "user":
        return user
    if key == "global":
        return 0
    if key == "item":
        return item if item < len(items.price) else -1
    return int(getattr(items, key)[item]) if 0 <= item < len(items.price) else -1


def counts(
    feature: Feature, events: list[Event], user: int, now: int, item: int, items: ItemTable
) -> list[float]:
    """Twin of `Counts`."""
    code = code_of(feature.key, user, item, items)
    if code < 0:
        return [NAN] * len(feature.half_lives if feature.stat not in ("trend", "recency") else [0])
    mine = [e for e in events if e.codes[feature.key] >= 0]
    return counted(feature, mine, lambda e: e.codes[feature.key] == code, now)


def pairs(
    feature: Feature, events: list[Event], user: int, now: int, item: int, items: ItemTable
) -> list[float]:
    """Twin of `PairCounts`."""
    key = feature.key.removeprefix("user_")
    code = item if key == "item" else code_of(key, user, item, items)
    if code < 0 or user < 0:
        return [NAN] * len(feature.half_lives)
    mine = [e for e in events if e.codes[key] >= 0 and e.user >= 0]
    return counted(feature, mine, lambda e: e.codes[key] == code and e.user == user, now)


def past(events: list[Event], user: int) -> list[Event]:
    """A user's last interactions, newest first."""
    return [e for e in events[::-1] if e.user == user >= 0 and e.kind in INTERACTIONS][:50]


def recent(
    feature: Feature, events: list[Event], user: int, now: int, item: int, items: ItemTable
) -> list[float]:
    """Twin of `Recent`."""
    mine = past(events, user)
    seen = [j for j, e in enumerate(mine) if e.item == item]
    if feature.stat == "length":
        return [len(mine)]
    if feature.stat == "hours":
        return [max(now - mine[0].time, 0) / 3.6e9 if mine else NAN]
    if feature.stat == "steps":
        return [seen[0] if item >= 0 and seen else NAN]
    if feature.stat in ("seen", "times_seen"):
        return [NAN if item < 0 else float(len(seen)) if feature.stat == "times_seen" else float(bool(seen))]
    key = feature.stat.removeprefix("same_")
    code, last = code_of(key, user, item, items), mine[: feature.depth or 10]
    return [NAN if code < 0 or not last else sum(e.codes[key] == code for e in last) / len(last)]


class Neighbours:
    """Twin of `Neighbours`: a dict of lists [neighbour, weight, error]."""

    def __init__(self, config: StateConfig, types: Sequence[str], both: bool = False) -> None:
        self.config, self.types, self.both = config, types or INTERACTIONS, both
        self.lists: dict[int, list[list[float]]] = defaultdict(list)
        self.out: dict[int, float] = defaultdict(float)
        self.into: dict[int, float] = defaultdict(float)
        self.past: dict[int, list[int]] = defaultdict(list)

    def link(self, source: int, target: int, weight: float) -> None:
        self.out[source] += weight
        self.into[target] += weight
        entries = self.lists[source]
        for entry in entries:
            if entry[0] == target:
                entry[1] += weight
                return
        if len(entries) < self.config.neighbours:
            entries.append([target, weight, 0.0])
            return
        lightest = min(range(len(entries)), key=lambda j: (entries[j][1], j))
        old = entries[lightest][1]
        entries[lightest] = [target, old + weight, old]

    def apply(self, event: Event) -> None:
        if event.kind not in self.types or event.user < 0 or event.item < 0:
            return
        before = self.past[event.user][: self.config.past]
        for lag, source in enumerate(before):
            if source not in before[:lag]:
                self.link(source, event.item, self.config.lag_decay**lag)
                if self.both and source != event.item:
                    self.link(event.item, source, self.config.lag_decay**lag)
        self.past[event.user].insert(0, event.item)

    def read(self, stat: str, events: list[Event], user: int, item: int, n_items: int) -> float:
        mine = past(events, user)
        if not mine or not 0 <= item < n_items:
            return NAN
        last = [e.item for e in mine if e.kind in self.types and e.item >= 0][: self.config.past]
        total = 0.0
        for lag, source in enumerate(last):
            for target, weight, error in self.lists[source] if source not in last[:lag] else []:
                if target == item and (lag == 0 or stat != "last"):
                    share = self.out[source] if stat in ("share", "surprise") else 1.0
                    total += self.config.lag_decay**lag * (weight - error) / share
        return total / math.sqrt(self.into[item]) if stat == "surprise" and total else total


def price(
    feature: Feature, events: list[Event], user: int, item: int, items: ItemTable, purchase: float
) -> float:
    """Twin of `Price`: mean and spread over all prices at once."""
    own = float(items.price[item]) if 0 <= item < len(items.price) else NAN
    log_price = math.log(own) if own > 0 else NAN
    paid = [
        (purchase if e.kind == "purchase" else 1.0, math.log(e.price))
        for e in events
        if e.user == user >= 0 and e.kind in INTERACTIONS and e.price > 0
    ]
    weight = sum(w for w, _ in paid)
    mean = sum(w * p for w, p in paid) / weight if paid else NAN
    spread = math.sqrt((sum(w * (p - mean) ** 2 for w, p in paid) + 2 * 0.25) / (weight + 2))
    return {
        "log_price": log_price,
        "usual": mean,
        "ratio": log_price - mean,
        "z": (log_price - mean) / spread,
    }[feature.stat]
