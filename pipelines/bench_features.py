"""Benchmark of state and features: replay, reads, single events, and polars on the same counters.

One core, synthetic events: Zipf 1.0 over users and items, 70 % impressions. Run it by
``python -m recsys.pipelines.bench_features --out pipelines/figures/features.json``.
"""

import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, NamedTuple

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # one core for both sides; read when polars is imported

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from recsys.core.as_of import Policy, cut
from recsys.core.columns import CART, CLICK, IMPRESSION, PURCHASE, RATING
from recsys.core.log import OPEN_TO, EventLog, ItemTable, RequestArrays, RowBlock, make_log
from recsys.features.assemble import assemble
from recsys.pipelines.bench import Figure, alternate, apart, arguments, report, spread
from recsys.state.family import Feature, StateConfig
from recsys.state.store import State

Array = NDArray[Any]
START_US, DAYS = 1_700_000_000_000_000, 60
DAY_US = 86_400_000_000
PASSES = 7  # of single calls


@dataclass(frozen=True)
class Size:
    """Of the synthetic world."""

    events: int = 10_000_000
    users: int = 100_000
    items: int = 100_000
    requests: int = 10_000
    rows: int = 100
    repeats: int = 3


FULL, QUICK = Size(), Size(200_000, 5_000, 5_000, 200, 100, 2)


@dataclass(frozen=True)
class World:
    """A log, a catalogue, requests, and the rows of each."""

    log: EventLog
    items: ItemTable
    requests: RequestArrays
    rows: RowBlock


def _zipf(rng: np.random.Generator, codes: int, n: int) -> Array:
    weight = np.cumsum(1.0 / np.arange(1, codes + 1))
    return rng.permutation(codes).astype(np.int32)[np.searchsorted(weight, rng.random(n) * weight[-1])]


def make_world(size: Size, seed: int = 0) -> World:
    """The synthetic world; lists of ten showings share a request."""
    rng = np.random.default_rng(seed)
    n, span = size.events, DAYS * DAY_US
    step = np.searchsorted(np.cumsum([0.7, 0.2, 0.04, 0.05]), rng.random(n))
    kind = np.array([IMPRESSION, CLICK, CART, PURCHASE, RATING], np.int8)[step]
    shown = kind <= CLICK
    number = np.arange(n, dtype=np.int32)
    log = make_log(
        _zipf(rng, size.users, n),
        _zipf(rng, size.items, n),
        np.sort(rng.integers(START_US, START_US + span, n)),
        kind,
        request=np.where(shown, number // 10, -1),
        position=np.where(shown, number % 10 + 1, -1),
    )
    m = size.items
    items = ItemTable(
        rng.integers(0, 200, m).astype(np.int32),
        rng.integers(0, 2_000, m).astype(np.int32),
        np.exp(rng.normal(3.0, 1.0, m)).astype(np.float32),
        rng.integers(START_US - span, START_US, m),
        np.full(m, OPEN_TO),
    )
    times = np.sort(rng.integers(START_US, START_US + span, size.requests))
    users = _zipf(rng, size.users, size.requests)
    requests = RequestArrays(users, times, np.full(size.requests, -1, np.int32))
    offsets = np.arange(size.requests + 1, dtype=np.int64) * size.rows
    return World(log, items, requests, RowBlock(offsets, _zipf(rng, m, size.requests * size.rows)))


def default_features() -> StateConfig:
    """The feature rows that the package comes with."""
    told = yaml.safe_load(files("recsys.conf").joinpath("features/default.yaml").read_text(encoding="utf-8"))
    rows = {
        name: Feature(
            **{
                key: tuple(map(str, value)) if isinstance(value, list) else value
                for key, value in row.items()
            }
        )
        for name, row in told.pop("rows").items()
    }
    return StateConfig(rows=rows, **told)


def _replayed(world: World, size: Size) -> tuple[State, float]:
    """A state over the whole log, and the seconds that replay and reads took."""
    state = State.new(default_features(), True, size.users, world.items)
    state.reserve(len(world.log.time))  # hash tables at their final size
    cuts = cut(world.log, world.requests, Policy())
    start = time.perf_counter()
    state.replay(world.log, world.requests, world.rows, cuts)
    state.advance(world.log, len(world.log.time))
    return state, time.perf_counter() - start


def _warm() -> None:
    """Compile every kernel on a small world."""
    world = make_world(Size(2_000, 100, 100, 20, 10, 1))
    state, _ = _replayed(world, Size(2_000, 100, 100, 20, 10, 1))
    _observe(state, world.log, 100)
    state.read(state.view(1, START_US), world.rows.items[:10])


def _observe(state: State, log: EventLog, n: int) -> float:
    """Seconds an event."""
    events = list(zip(*(column[:n].tolist() for column in log[:8]), strict=True))
    start = time.perf_counter()
    for event in events:
        state.observe(*event)
    return (time.perf_counter() - start) / n


def _apart(function: Callable[[Size], Any], size: Size) -> Any:
    """What a function gives in a process of its own, its kernels compiled.

    Memory is then this function's own, and nothing before it slows it: after the joins of polars single
    calls took up to twice as long.
    """
    return apart(_warmed, function, size)


def _warmed(function: Callable[[Size], Any], size: Size) -> Any:
    _warm()
    return function(size)


class Replay(NamedTuple):
    """One replay with reads."""

    seconds: float
    peak_gib: float
    columns: int


def _one_replay(size: Size) -> Replay:
    state, seconds = _replayed(make_world(size), size)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Replay(seconds, peak * 1024 / 2**30, len(state.names))


def replay_figures(size: Size) -> list[Figure]:
    """Speed and memory of a replay with reads, each repetition in a new process."""
    runs: list[Replay] = [_apart(_one_replay, size) for _ in range(size.repeats)]
    speed = spread([size.events / run.seconds for run in runs])
    peak = spread([run.peak_gib for run in runs])
    note = f"{runs[0].columns} columns, {size.events:,} events, {size.requests * size.rows:,} rows, one core"
    whole = "whole process, log included"
    return [
        Figure("replay_events_per_s", speed.middle, "events/s", "", 700_000, "min", *speed[1:], note),
        Figure("replay_peak_gib", peak.middle, "GiB", "", 4, "max", *peak[1:], whole),
    ]


COUNTED = {"item_shown": "impression", "item_clicked": "click", "item_bought": "purchase"}


def polars_figures(size: Size) -> list[Figure]:
    """Three windowless item counters: as-of joins on cumulative counts against the family."""
    world = make_world(size)
    rows = {name: Feature("counts", "item", "count", types=(kind,)) for name, kind in COUNTED.items()}
    state = State.new(StateConfig(rows=rows), True, size.users, world.items, views=False)
    cuts = cut(world.log, world.requests, Policy())
    kinds = dict(zip(COUNTED, (IMPRESSION, CLICK, PURCHASE), strict=True))
    events = pl.DataFrame({"item": world.log.item, "time": world.log.time, "kind": world.log.kind})
    asked = pl.DataFrame(
        {"item": world.rows.items, "time": np.repeat(world.requests.time, np.diff(world.rows.offsets))}
    )
    found: dict[str, Array] = {}

    def ours() -> None:
        found["ours"] = assemble(state, world.log, world.items, world.requests, cuts, world.rows)[1]

    def theirs() -> None:
        counted = events.select(
            "item",
            "time",
            *(
                (pl.col("kind") == kind).cast(pl.Float32).cum_sum().over("item").alias(name)
                for name, kind in kinds.items()
            ),
        )
        joined = asked.join_asof(
            counted,
            on="time",
            by="item",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        found["theirs"] = joined.select(pl.col(name).fill_null(0.0) for name in kinds).to_numpy()

    assemble(state, world.log, world.items, world.requests, cuts, world.rows)
    took = alternate({"ours": ours, "theirs": theirs}, size.repeats)
    if not np.array_equal(found["ours"], found["theirs"]):
        raise AssertionError("the family and polars count differently")
    ratio = took["theirs"].middle / took["ours"].middle
    note = f"{took['theirs'].middle:.2f} s against {took['ours'].middle:.2f} s, equal values"
    low, high = took["theirs"].low / took["ours"].high, took["theirs"].high / took["ours"].low
    return [Figure("counts_vs_polars", ratio, "times", "polars join_asof", 5, "min", low, high, note)]


def call_figures(size: Size) -> list[Figure]:
    """One request of 100 candidates and one event, on the state of the whole log; passes take turns."""
    world = make_world(size)
    state, _ = _replayed(world, size)
    later = make_world(Size(20_000, size.users, size.items, 10, 10), seed=1).log
    later = later._replace(time=later.time + DAYS * DAY_US)
    reads, observes = [], []
    for _ in range(PASSES):
        reads.append(float(np.median(_each_read(state, world, size))) * 1e6)
        observes.append(_observe(state, later, 5_000) * 1e6)
    read, observe = spread(reads), spread(observes)
    note = f"median request of {PASSES} passes over 2,000, history included"
    return [
        Figure("read_100_us", read.middle, "us", "", 120, "max", *read[1:], note),
        Figure("observe_us", observe.middle, "us", "", 25, "max", *observe[1:], f"of 5,000, {PASSES} passes"),
    ]


def _each_read(state: State, world: World, size: Size) -> list[float]:
    """Seconds of each request's read, as of the end of the log."""
    now, each = START_US + DAYS * DAY_US, []
    for r in range(min(2_000, size.requests)):
        candidates = world.rows.items[r * size.rows : r * size.rows + 100]
        user = int(world.requests.user[r])
        start = time.perf_counter()
        state.read(state.view(user, now), candidates)
        each.append(time.perf_counter() - start)
    return each


def on_bundle(size: Size) -> list[Figure]:
    """See `recsys.pipelines.bench_bundle`; imported here, since a replay's memory holds no training stack."""
    from recsys.pipelines.bench_bundle import bundle_figures

    return bundle_figures(size == QUICK)


PARTS: dict[str, Callable[[Size], list[Figure]]] = {
    "replay": replay_figures,
    "polars": polars_figures,
    "calls": call_figures,
    "bundle": on_bundle,
}


def main() -> None:
    """Run the parts asked for."""
    parser = arguments(__doc__ or "", tuple(PARTS))
    told = parser.parse_args()
    size = QUICK if told.quick else FULL
    figures = [figure for name in told.only or PARTS for figure in _apart(PARTS[name], size)]
    report("features", figures, told.out)


if __name__ == "__main__":
    main()
