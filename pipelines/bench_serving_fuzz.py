"""Whatever a service is asked or told: a sound answer or a refusal in words, and asking changes nothing."""

import re
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recsys.pipelines.bench import Figure
from recsys.pipelines.bench_serving_arguments import Arguments
from recsys.pipelines.bench_serving_world import World
from recsys.ranking.rules import RulesConfig
from recsys.serving.answers import ID, Answer
from recsys.serving.bundle_write import write_bundle
from recsys.serving.ranker import Ranker

OURS = re.compile("expected .*found|found |lies |needs ", re.DOTALL)  # what our own refusals say
TOLD = 5  # unexpected outcomes that a note tells
PROBED = 6  # items whose scores show whether the state is what it was
NAMES = ("rank", "rank", "recommend", "recommend", "similar", "rank_many", "observe", "observe")


class Fuzzed(NamedTuple):
    """What became of some calls."""

    answered: Counter[str]  # by method
    refused: Counter[str]
    unexpected: list[str]  # the call's number and method, and what it did


class LawBroken(Exception):
    """An answer that cannot be."""


def law(holds: object, what: str) -> None:
    """Say what is wrong with an answer."""
    if not holds:
        raise LawBroken(what)


class Fuzzer:
    """Calls a ranker with random arguments, and holds its answers to the laws.

    Parameters
    ----------
    ranker : Ranker
    seed : int
    """

    def __init__(self, ranker: Ranker, seed: int) -> None:
        self._ranker, self._draw = ranker, Arguments(ranker, seed)
        self._catalogue = set(self._draw.items)
        self._ruled = ranker.bundle.rules.any
        self._probed = [*self._draw.items[:PROBED], "unheard"]
        self._users: tuple[Any, ...] = (None, *ranker.bundle.users.decode(range(1)))

    def run(self, calls: int) -> Fuzzed:
        """Make some calls, warnings being errors."""
        done = Fuzzed(Counter(), Counter(), [])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            before = self._probe()
            for number in range(calls):
                self._draw.begin()
                name = self._draw.pick(NAMES)
                told = False
                try:
                    getattr(self, name)()
                    done.answered[name] += 1
                    told = name == "observe"
                except ValueError as error:
                    done.refused[name] += 1
                    if not OURS.search(str(error)):
                        done.unexpected.append(f"{number} {name}: {type(error).__name__}: {str(error)[:200]}")
                except Exception as error:  # what is looked for
                    done.unexpected.append(f"{number} {name}: {type(error).__name__}: {str(error)[:200]}")
                after = self._probe()
                if after != before and not told:
                    done.unexpected.append(f"{number} {name}: the state is not what it was")
                before = after
        return done

    def _probe(self) -> tuple[Any, ...]:
        """What the state answers."""
        ranker = self._ranker
        scores = [ranker.features(user, self._probed, at="state").tobytes() for user in self._users]
        return ranker.position, ranker.state_time, len(ranker.bundle.users), *scores

    def rank(self) -> None:
        """Some items, by their ids or described."""
        draw = self._draw
        ids, described, k = draw.item_list(), draw.described(), draw.pick((None, draw.k()))
        history, _ = draw.history() if draw.chance(0.3) else (None, set())
        answer = self._ranker.rank(
            draw.user() if history is None else None,
            draw.or_odd(lambda: draw.wrapped(ids)) if ids or not described else None,
            history=history,
            items=draw.or_odd(lambda: draw.wrapped(described)),
            at=draw.moment(),
            context=draw.context(),
            k=k,
        )
        self._check(answer, k)
        if not draw.wild:
            asked = [str(item) for item in ids] or list({str(row["item_id"]) for row in described})
            law(set(answer.item_ids) <= set(asked), "items that were not asked for")
            full = len(asked) if k is None else min(len(asked), k)
            law(len(answer) == full or (self._ruled and len(answer) <= full), "another number of items")
            one_score = dict(zip(answer.item_ids, answer.scores.tolist(), strict=True))
            alike = all(
                one_score[i] == s for i, s in zip(answer.item_ids, answer.scores.tolist(), strict=True)
            )
            law(alike, "an item with two scores")

    def recommend(self) -> None:
        """From the catalogue."""
        draw = self._draw
        where, allowed = draw.where()
        history, seen = draw.history() if draw.chance(0.3) else (None, set())
        user, exclude, k = draw.user() if history is None else None, draw.chance(0.7), draw.k()
        answer = self._ranker.recommend(
            user,
            k,
            history=history,
            exclude_seen=draw.or_odd(lambda: exclude),
            where=where,
            at=draw.moment(),
            context=draw.context(),
        )
        self._check(answer, k)
        law(len(set(answer.item_ids)) == len(answer), "an item twice")
        law(set(answer.item_ids) <= self._catalogue, "items that are not in the catalogue")
        if draw.wild:
            return
        law(allowed is None or set(answer.item_ids) <= allowed, "items that where= leaves out")
        if exclude:
            seen = seen if user is None else self._seen(user)
            law(not seen & set(answer.item_ids) - set(self._ranker.bundle.rules.pins), "items that were seen")

    def _seen(self, user: str) -> set[str]:
        bundle = self._ranker.bundle
        view = bundle.state.view(int(bundle.users.encode([user])[0]), 0)
        return set(bundle.items.decode(view.items[: view.n]))

    def similar(self) -> None:
        """To an item, known or described."""
        draw = self._draw
        where, allowed = draw.where()
        described = draw.described()
        item, k = draw.or_odd(lambda: draw.pick(described) if described else draw.item()), draw.k()
        by = draw.or_odd(lambda: draw.pick(("both", "behaviour", "text")))
        answer = self._ranker.similar(item, k, by=by, where=where, at=draw.moment())
        self._check(answer, k, by_score=True)
        law(len(set(answer.item_ids)) == len(answer), "an item twice")
        law(set(answer.item_ids) <= self._catalogue, "items that are not in the catalogue")
        law(draw.wild or allowed is None or set(answer.item_ids) <= allowed, "items that where= leaves out")
        law(not isinstance(item, str) or item not in answer.item_ids, "the item itself")

    def rank_many(self) -> None:
        """A frame of requests."""
        draw = self._draw
        asked = draw.requests()
        found = self._ranker.rank_many(asked, at=draw.moment(), k=draw.pick((None, draw.k())))
        law(found.columns[:5] == ["request_id", "user_id", "rank", "item_id", "score"], "other columns")
        law(found["item_id"].null_count() == 0, "an item without a name")

    def observe(self) -> None:
        """Something happened."""
        draw = self._draw
        events, n = draw.events()
        before = self._ranker.position
        told = self._ranker.observe(events)
        law(self._ranker.position == before + told.applied, "another number of events")
        law(draw.wild or told.applied + told.repeated + told.unknown_items == n, "events that are lost")

    def _check(self, answer: Answer, k: Any, by_score: bool = False) -> None:
        """What holds for every answer."""
        law(k is None or len(answer) <= k, "more than k items")
        law(answer.ranks.tolist() == list(range(1, len(answer) + 1)), "ranks")
        law(len(answer.scores) == len(answer) and np.isfinite(answer.scores).all(), "scores")
        law((np.diff(answer.scores) <= 0).all() or (self._ruled and not by_score), "scores that rise")
        known = [item in self._catalogue for item in answer.item_ids]
        law((answer.known == ID).tolist() == known, "what items are known by")
        arrays = [answer.scores, answer.ranks, answer.known, *answer.chances.values()]
        law(not any(array.flags.writeable for array in arrays), "arrays that can be written to")
        law(all(((p >= 0) & (p <= 1)).all() for p in answer.chances.values()), "chances beyond 0 and 1")
        law(len(answer.to_polars()) == len(answer), "a frame of another length")


def fuzz_figure(world: World, calls: int, root: Path) -> Figure:
    """Calls of a world's model folder, half of them with rules, whose folder is written under ``root``."""
    first, second, *_ = world.items
    rules = RulesConfig(
        caps={"price": 2}, pins=(first,), exclude=(second,), only_available=True, diversity=0.3
    )
    ruled = write_bundle(root / "ruled", replace(world.parts, rules=rules))
    models = (world.model, ruled)
    found = [Fuzzer(Ranker.load(model), seed).run(calls // 2) for seed, model in enumerate(models)]
    unexpected = [line for done in found for line in done.unexpected]
    answered, refused = (sum(done[i].total() for done in found) for i in range(2))
    told = "".join(f"; {line}" for line in unexpected[:TOLD])
    note = f"{calls:,} random calls, sound and unsound: {answered:,} answered, {refused:,} refused in words"
    return Figure("fuzz_unexpected", len(unexpected), "calls", "", 0.0, "max", note=note + told)
