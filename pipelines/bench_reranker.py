"""Benchmark of the reranker on the demo shop: do chances hold, and what do positions give back.

Run it by ``python -m recsys.pipelines.bench_reranker --out pipelines/figures/reranker.json``. The stages up
to *features* are kept in a work folder, and found there by another run.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.log import RowBlock
from recsys.data.prepare import Prepared, load
from recsys.data.requests import request_arrays
from recsys.data.sources.shop_truth import TruePreference, chance
from recsys.evaluation.baselines.rank import rank_lists
from recsys.evaluation.measure import Preference
from recsys.evaluation.true_preference import true_preference_ndcg
from recsys.metrics.calibration import calibration_error
from recsys.pipelines.bench import Figure, arguments, report
from recsys.pipelines.path import stage_configs, walk
from recsys.pipelines.prepare import TRUE_PREFERENCE
from recsys.pipelines.probabilities import MODEL
from recsys.pipelines.rows import LOGGED, RETRIEVED, rows_name
from recsys.pipelines.runner import Runner
from recsys.pipelines.settings import RunConfig
from recsys.pipelines.settings import load as load_settings
from recsys.pipelines.shop_references import places_of, shop_references
from recsys.pipelines.train_ranker import Rows, applied, lists_of, load_rows, words_of
from recsys.ranking.config import RerankerConfig
from recsys.ranking.frame import RankFrame
from recsys.ranking.pointwise import train_probabilities
from recsys.ranking.probability import LEAST
from recsys.ranking.reranker import train

Array = NDArray[Any]
WINDOW = "valid"
K = 10
TREES = 60  # of every reranker that is compared: none may stop by the labels that are in question
DRAWS = 50  # of outcomes, for what a perfect model would score
NAMES = ("calibration_error", "position_bias_recovered")
SMALL = ("data.shop.items=200", "data.shop.users=200", "data.shop.events=20000", "trainer.max_epochs=1")


class World(NamedTuple):
    """A run on the shop, up to its features."""

    data: Prepared
    truth: TruePreference
    preference: Preference
    shown: RankFrame  # lists over all requests, with their outcomes and positions
    items: Array  # int32 (rows of shown,)
    ranked: Rows
    window: Array  # str (requests,)
    config: RerankerConfig

    @property
    def teaches(self) -> Array:
        """The requests that teach."""
        found: Array = self.window == "rank"
        return found


def read(inputs: Mapping[str, Path], config: RunConfig) -> World:
    """A world from the folders of the stages up to *features*."""
    data, name = load(inputs["prepare"]), config.served
    rows = {kind: load_rows(inputs, rows_name(name, kind), data) for kind in (RETRIEVED, LOGGED)}
    ranker = stage_configs(config)["train-ranker"].ranker  # type: ignore[attr-defined]
    shown = lists_of(MODEL, rows, LOGGED, ranker).frames[0]
    window = data.requests[c.WINDOW].cast(pl.String).to_numpy()
    cuts = {key: np.zeros(len(window), np.int64) for key in ("user", "item")}  # the preference reads none
    _, preference = shop_references(
        data, np.flatnonzero(window == WINDOW), cuts, inputs["prepare"] / TRUE_PREFERENCE
    )
    assert preference is not None
    truth = TruePreference.load(inputs["prepare"] / TRUE_PREFERENCE)
    settings = applied(shown.columns, ranker, words_of(data))
    items = rows[LOGGED].items
    return World(data, truth, preference, shown, items, rows[RETRIEVED], window, settings)


def calibration(world: World) -> Figure:
    """Expected calibration error of the chance of a click, shown rows at the positions where they stood."""
    fold = world.data.requests[c.FOLD].to_numpy()[world.teaches]
    found = train_probabilities(world.shown.select_requests(world.teaches), fold, world.config, LOGGED)
    assert found is not None
    held = world.shown.select_requests(world.window == WINDOW)
    chances = found.predict_frame(held)
    error = {name: calibration_error(p, held.labels >= LEAST[name]) for name, p in chances.items()}
    p, rng = chances[c.P_CLICK], np.random.default_rng(0)
    perfect = np.mean([calibration_error(p, rng.random(len(p)) < p) for _ in range(DRAWS)])
    others = "".join(f"{name} {value:.4f}; " for name, value in error.items() if name != c.P_CLICK)
    note = (
        f"{held.n_rows:,} shown rows of {WINDOW}, 15 bins; {others}what a perfect model scores: {perfect:.4f}"
    )
    return Figure("calibration_error", error[c.P_CLICK], "", goal=0.01, sense="max", note=note)


def outcomes(world: World, examined: Array, seed: int) -> Array:
    """Labels of the shown rows, drawn anew from the truth: uint8 (rows,).

    Parameters
    ----------
    examined : float array, shape (places,)
        The chance that a place is looked at.
    seed : int
        Of the luck, which is the same for any ``examined``.
    """
    users, items = places_of(world.truth, world.data)
    requests = request_arrays(world.data.requests)
    of_row = np.repeat(np.arange(world.shown.n_requests), world.shown.groups)
    utility = world.truth.utility(users[requests.user[of_row]], items[world.items], requests.time[of_row])
    luck = np.random.default_rng(seed).random((3, len(utility)))
    assert world.shown.positions is not None
    took = examined[world.shown.positions - 1] * chance(utility, 0) > luck[0]
    labels = took.astype(np.uint8)
    for step in (1, 2):
        took = took & (chance(utility, step) > luck[step])
        labels += took
    return labels


def recovered(world: World, seeds: Sequence[int]) -> Figure:
    """What knowing positions gives back of the NDCG that their bias takes.

    One reranker learns from outcomes that fall off with the place, one from the same and the places, one from
    outcomes of the same lists and the same luck, where each place is looked at with the mean chance.
    """
    by_place = world.truth.examined
    alike = np.full_like(by_place, by_place.mean())
    ndcg: dict[str, list[float]] = {"naive": [], "aware": [], "unbiased": []}
    for seed in seeds:
        biased, fair = (replace(world.shown, labels=outcomes(world, e, seed)) for e in (by_place, alike))
        aware = replace(world.config, use_position=True)
        for name, frame, config in (
            ("naive", biased, world.config),
            ("aware", biased, aware),
            ("unbiased", fair, world.config),
        ):
            model = train(frame.select_requests(world.teaches), None, config, num_iterations=TREES)
            ndcg[name].append(_ndcg(world, model.predict_frame))
    naive, aware_, unbiased = (np.array(ndcg[name]) for name in ("naive", "aware", "unbiased"))
    value = float((aware_ - naive).mean() / (unbiased - naive).mean())
    note = (
        f"NDCG@{K} of the true preference, {int((world.window == WINDOW).sum()):,} requests of {WINDOW}, "
        f"{TREES} trees: naive {naive.mean():.4f}, ranker.use_position {aware_.mean():.4f}, unbiased logs "
        f"{unbiased.mean():.4f}; mean of {len(seeds)} draws of the outcomes"
    )
    return Figure("position_bias_recovered", value, "of the gap", goal=0.5, sense="min", note=note)


def _ndcg(world: World, score: Callable[[RankFrame], Array]) -> float:
    asked = np.flatnonzero(world.window == WINDOW)
    keep = world.window == WINDOW
    frame = world.ranked.frame.select_requests(keep)
    block = RowBlock(frame.offsets, world.ranked.items[np.repeat(keep, world.ranked.frame.groups)])
    ids = world.data.items[c.ITEM_ID]
    listed = rank_lists(score(frame), block, world.data.requests, ids, rows=asked)
    top = listed.filter(pl.col(c.RANK) <= K)
    lists = np.full((len(asked), K), -1, np.int64)
    lists[np.searchsorted(asked, top[c.REQUEST].to_numpy()), top[c.RANK].to_numpy() - 1] = top[
        c.ITEM
    ].to_numpy()
    return float(np.nanmean(true_preference_ndcg(lists, world.preference(asked), K)))


def main(given: Sequence[str] | None = None) -> None:
    """Run the shop up to its features, or find it, and measure."""
    parser = arguments(__doc__ or "", NAMES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the draws of outcomes")
    parser.add_argument("--work", type=Path, default=Path("mlruns/work"), help="where stages are kept")
    asked = parser.parse_args(given)
    config, _ = load_settings(["encoder=adapter", "tracking=none", *(SMALL if asked.quick else ())])
    with tempfile.TemporaryDirectory() as run:
        stages = walk(Runner(asked.work, Path(run) / "run"), config, "features")
    world = read({name: one.folder for name, one in stages.items()}, config)
    names = asked.only or NAMES
    figures = [calibration(world)] if "calibration_error" in names else []
    figures += [recovered(world, asked.seeds)] if "position_bias_recovered" in names else []
    report("reranker", figures, asked.out)


if __name__ == "__main__":
    main()
