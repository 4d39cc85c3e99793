"""Single calls of the library on one core: ranking and its parts, events, trees, new texts, two threads."""

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.columns import CLICK, EVENT_TYPES
from recsys.interest.user import user_vectors
from recsys.pipelines.bench import Figure, quotient, rounds, spread
from recsys.pipelines.bench_serving_world import World
from recsys.ranking.library import lightgbm
from recsys.serving.asker import asker_of
from recsys.serving.ranker import Ranker

Array = NDArray[Any]
LIST, LONG_LIST = 100, 1_000
PASSES, TIMES = 5, 200  # of the trees


class Calls:
    """Random requests of a world, always the same ones.

    Parameters
    ----------
    world : World
    seed : int
    """

    def __init__(self, world: World, seed: int = 0) -> None:
        self._world, self._rng = world, np.random.default_rng(seed)

    def user(self) -> str:
        """A user at random."""
        return self._world.users[int(self._rng.integers(len(self._world.users)))]

    def items(self, n: int) -> list[str]:
        """Items at random, each once."""
        chosen = self._rng.choice(len(self._world.items), min(n, len(self._world.items)), replace=False)
        return [self._world.items[i] for i in chosen]

    def event(self) -> tuple[str, str, str]:
        """A click that happens now."""
        return (self.user(), self.items(1)[0], EVENT_TYPES[CLICK])


def call_figures(ranker: Ranker, world: World, calls: int) -> list[Figure]:
    """Single calls, an event observed before every tenth."""
    asked, told, took, long_took = Calls(world), [], [], []
    requests = [(asked.user(), asked.items(LIST)) for _ in range(calls)]
    events = [[asked.event()] for _ in range(calls // 10 + 1)]
    for i, (user, items) in enumerate(requests):
        if i % 10 == 0:
            told.append(seconds(lambda event=events[i // 10]: ranker.observe(event)))
        took.append(seconds(lambda user=user, items=items: ranker.rank(user, items)))
    for _ in range(max(calls // 10, 5)):
        user, items = asked.user(), asked.items(LONG_LIST)
        long_took.append(seconds(lambda user=user, items=items: ranker.rank(user, items)))
    ms, many = np.array(took) * 1e3, np.array(long_took) * 1e3
    note = f"{LIST} candidates, {calls:,} calls, an event before every tenth; {said(ranker, world)}"
    return [
        Figure("rank_100_median_ms", float(np.median(ms)), "ms", "", 0.7, "max", *ends(ms), note),
        Figure("rank_100_p99_ms", float(np.quantile(ms, 0.99)), "ms", "", 1.5, "max", note=note),
        Figure(
            "rank_1000_median_ms",
            float(np.median(many)),
            "ms",
            "",
            4.0,
            "max",
            *ends(many),
            f"{min(LONG_LIST, len(world.items)):,} candidates, {len(many)} calls",
        ),
        observe_figure(np.array(told) * 1e6),
    ]


def observe_figure(us: Array) -> Figure:
    """One event of strings."""
    note = f"one click at a time, {len(us):,} of them between the calls above"
    return Figure("observe_strings_us", float(np.median(us)), "us", "", 30.0, "max", *ends(us), note)


def ends(values: Array) -> tuple[float, float]:
    """The middle half."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float(low), float(high)


def seconds(call: Callable[[], object]) -> float:
    """Of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def said(ranker: Ranker, world: World) -> str:
    """The size of what is measured."""
    vectors = ranker.bundle.vectors
    trees, dims = len(ranker.bundle.trees.forest.start), 0 if vectors is None else vectors.raw.shape[1]
    return f"{len(world.items):,} items, {len(ranker.columns)} columns, {trees} trees, {dims} dimensions"


def part_figure(ranker: Ranker, world: World, calls: int) -> Figure:
    """The parts of a call one by one; the rest of the whole is checks, the lock and Python between them."""
    asked, bundle, live = Calls(world, 1), ranker.bundle, ranker._live
    assert bundle.vectors is not None and bundle.tower is not None
    names = ("whole", "look-up", "state", "user vector", "interest", "trees", "last steps")
    took: dict[str, list[float]] = {name: [] for name in names}
    heads = np.empty(bundle.tower.prior.shape, np.float32)
    moment = ranker._told.now()
    tower, tuned, chances = bundle.tower, bundle.vectors.tuned, bundle.probabilities
    for _ in range(calls):
        user, items = asked.user(), asked.items(LIST)
        codes = bundle.items.encode(items)
        asker = asker_of(bundle, user, None, moment)
        view = asker.view
        # this read brings the rows from memory; it is not timed
        values = live.values(asker, codes, {}, None)
        judged = ranker._judge(asker, codes, {}, None)
        parts: dict[str, Callable[[], object]] = {
            "whole": lambda u=user, i=items: ranker.rank(u, i),
            "look-up": lambda u=user, i=items: (bundle.items.encode(i), asker_of(bundle, u, None, moment)),
            "state": lambda a=asker, k=codes: a.state.read(a.view, k),
            "user vector": lambda v=view: user_vectors(tower, tuned, v.n, v.items, v.kinds, v.times, heads),
            "interest": lambda v=view, k=codes: live.interest(v, k, {}),
            "trees": lambda x=values: (bundle.trees.predict(x), chances and chances.predict(x)),
            "last steps": lambda i=items, k=codes, j=judged: ranker._last.places(moment, i, k, j, None, {}),
        }
        for name, call in parts.items():
            took[name].append(seconds(call))
    us = {name: float(np.median(values)) * 1e6 for name, values in took.items()}
    note = ", ".join(f"{name} {value:.0f}" for name, value in us.items() if name != "whole")
    return Figure("rank_parts_us", us["whole"], "us", note=f"{note}; the user vector is part of interest")


def tree_figure(ranker: Ranker, world: World) -> Figure:
    """Our walk against LightGBM's, one thread each, on the columns of one request."""
    asked = Calls(world, 2)
    values = ranker.features(asked.user(), asked.items(LIST))
    booster, ours = lightgbm().Booster(model_str=world.parts.trees), ranker.bundle.trees
    wide = values.astype(np.float64)
    if np.abs(booster.predict(wide, num_threads=1) - ours.predict(values)).max() > 1e-9:
        raise AssertionError("the trees and LightGBM disagree")

    def many(call: Callable[[], object]) -> Callable[[], object]:
        return lambda: [call() for _ in range(TIMES)]

    took = rounds(
        {
            "ours": many(lambda: ours.predict(values)),
            "theirs": many(lambda: booster.predict(wide, num_threads=1)),
        },
        PASSES,
    )
    ratio = quotient(took["theirs"], took["ours"])
    us = {name: spread(one).middle / TIMES * 1e6 for name, one in took.items()}
    note = f"{len(values)} rows: {us['ours']:.0f} us against {us['theirs']:.0f} us, equal to 1e-9"
    return Figure("trees_vs_lightgbm", ratio.middle, "times", "Booster.predict", 5.0, "min", *ratio[1:], note)


def new_item_figure(ranker: Ranker, world: World, calls: int) -> Figure:
    """One candidate of a hundred is known by its title only, another one in each call."""
    asked, took = Calls(world, 3), []
    for number in range(calls):
        new = {"item_id": "new", "title": f"Oak bench number {number} with a linen cushion"}
        user, items = asked.user(), [*asked.items(LIST - 1), "new"]
        took.append(seconds(lambda u=user, i=items, n=new: ranker.rank(u, i, items=[n])))
    ms = np.array(took) * 1e3
    note = f"{LIST} candidates, {calls} titles, each encoded on the spot"
    return Figure("rank_new_item_ms", float(np.median(ms)), "ms", "", 15.0, "max", *ends(ms), note)


def sustained_figure(ranker: Ranker, world: World, length_s: float) -> Figure:
    """Two threads that rank, an event every tenth call."""
    took: list[list[float]] = [[], []]
    start = time.perf_counter()

    def go(thread: int) -> None:
        asked, number = Calls(world, 10 + thread), 0
        while time.perf_counter() - start < length_s:
            if number % 10 == 0:
                ranker.observe([asked.event()])
            user, items = asked.user(), asked.items(LIST)
            took[thread].append(seconds(lambda u=user, i=items: ranker.rank(u, i)))
            number += 1

    threads = [threading.Thread(target=go, args=(thread,)) for thread in range(len(took))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passed = time.perf_counter() - start
    every = np.concatenate(took)
    note = f"2 threads over {passed:.0f} s; a call's p99 {np.quantile(every, 0.99) * 1e3:.2f} ms"
    return Figure("sustained_rank_per_s", len(every) / passed, "calls/s", note=note)
