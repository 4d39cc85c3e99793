"""Figures of quality: what the encoder alone ranks, against another way to train it or no training at all.

A figure is the mean over seeds, on the requests of the window valid; its range is the paired, user-clustered
95 % interval. Small encoders are measured by their speed as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from recsys.core import columns as c
from recsys.core.artefact import read_json
from recsys.data.prepare import load as load_prepared
from recsys.encoder.checkpoint import MANIFEST
from recsys.evaluation.config import NDCG_TRUE
from recsys.interest.text import TextTower
from recsys.metrics.bootstrap import interval, paired, ratio
from recsys.pipelines.bench import Figure, quotient, rounds, spread
from recsys.pipelines.bench_encoder_inputs import (
    MIND,
    OFFICE,
    SHOP,
    THREADS,
    left_out,
    no_data,
    overrides_of,
)
from recsys.pipelines.bench_encoder_runs import Arm, mean_scores, run_stages, window_of
from recsys.pipelines.bench_told import Told
from recsys.pipelines.request_scores import AUC, NDCG

WORDS = {NDCG: "NDCG@10", NDCG_TRUE: "NDCG@10 of the true preference", AUC: "AUC"}
SPEED_TEXTS, SPEED_REPEATS = 1_000, 5


@dataclass(frozen=True)
class Compared:
    """A figure: one arm over another on a data set.

    Parameters
    ----------
    data, over, under, words : str, Arm, Arm, str
    goal : float
    metric : str
        On the demo shop, whose clicks fall on what was shown, NDCG is taken of its true preference.
    by : {"ratio", "gain"}
    """

    data: str
    over: Arm
    under: Arm
    words: str
    goal: float = 1.0
    metric: str = NDCG
    by: Literal["ratio", "gain"] = "ratio"


ADAPTER = Arm(("encoder=adapter",))
TOP = Arm(("encoder=top", "encoder.max_tokens=128"))  # as many as adapter reads
BCE = Arm(("encoder=adapter", "encoder.loss=bce"))
RAW = Arm(ADAPTER.overrides, "text_raw")
SMALL, STATIC = Arm(("encoder=small",)), Arm(("encoder=static",))
UNTRAINED = "the untrained encoder, plain mean of the last 50"
COMPARED: Mapping[str, Compared] = {
    "tuned_vs_frozen_office": Compared(OFFICE, TOP, ADAPTER, "the preset adapter"),
    "tuned_vs_frozen_shop": Compared(SHOP, TOP, ADAPTER, "the preset adapter"),
    "adapter_vs_raw_office": Compared(OFFICE, ADAPTER, RAW, UNTRAINED),
    "adapter_vs_raw_shop": Compared(SHOP, ADAPTER, RAW, UNTRAINED),
    "softmax_vs_bce_office": Compared(OFFICE, ADAPTER, BCE, "one-negative BCE"),
    "softmax_vs_bce_shop": Compared(SHOP, ADAPTER, BCE, "one-negative BCE"),
    "encoder_mind_auc_gain": Compared(MIND, ADAPTER, RAW, UNTRAINED, 0.03, AUC, "gain"),
    "encoder_mind_ndcg10_gain": Compared(MIND, ADAPTER, RAW, UNTRAINED, 0.02, NDCG, "gain"),
}
KEPT: Mapping[str, tuple[Arm, float]] = {"small_keep": (SMALL, 0.97), "static_keep": (STATIC, 0.85)}
AFTER: Mapping[str, Arm] = {
    f"quality_after_{minutes}_min": Arm(("encoder=auto", f"encoder.budget_minutes={minutes}"))
    for minutes in (5, 20)
}

FASTER: Mapping[str, tuple[Arm, float]] = {
    "encode_small_vs_full": (SMALL, 2.0),
    "encode_static_vs_full": (STATIC, 100.0),
}
NAMES = (*COMPARED, *KEPT, *FASTER, *AFTER)


def quality_figures(names: tuple[str, ...], told: Told) -> list[Figure]:
    """The figures of these names, in their order; those that cannot be had say so in a line."""
    out: list[Figure] = []
    for name in names:
        needed = (COMPARED[name].data,) if name in COMPARED else (OFFICE, *([MIND] if name in KEPT else ()))
        missing = [data for data in needed if overrides_of(data, told.quick) is None]
        if missing:
            out += left_out([name], no_data(missing[0]))
        elif name in COMPARED:
            out.append(compare(name, COMPARED[name], told))
        elif name in KEPT:
            out.append(kept(name, *KEPT[name], told))
        elif name in FASTER:
            out.append(faster(name, FASTER[name][0], told))
        else:
            out.append(printed(name, AFTER[name], told))
    return out


def compare(name: str, one: Compared, told: Told) -> Figure:
    """One arm over the other, over the same requests and seeds."""
    over, under = (mean_scores(one.data, arm, told) for arm in (one.over, one.under))
    metric = over.ndcg(one.over.model) if one.metric == NDCG else one.metric
    a, b = over.values[one.over.model, metric], under.values[one.under.model, metric]
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b, users = a[both], b[both], over.users[both]
    value, low, high, _ = (ratio if one.by == "ratio" else paired)(a, b, users)
    unit = "times" if one.by == "ratio" else WORDS[metric]
    how = ", ".join(one.over.overrides)
    note = f"{WORDS[metric]} {a.mean():.4f} against {b.mean():.4f}, {how}, {_where(one.data, len(a), told)}"
    return Figure(name, value, unit, one.words, one.goal, "min", low, high, note)


def kept(name: str, arm: Arm, goal: float, told: Told) -> Figure:
    """The smaller of the shares of NDCG@10 that a small encoder keeps of the whole one's, trained alike."""
    found = [
        compare(name, Compared(data, arm, ADAPTER, "the whole MiniLM, trained alike", goal), told)
        for data in (OFFICE, MIND)
    ]
    least, other = sorted(found, key=lambda figure: figure.value)
    return replace(least, note=f"{least.note}; {other.value:.3f} on the other set: {other.note}")


def printed(name: str, arm: Arm, told: Told) -> Figure:
    """NDCG@10 of an arm, without a goal."""
    scores = mean_scores(OFFICE, arm, told)
    metric = scores.ndcg(arm.model)
    found = interval(scores.values[arm.model, metric], scores.users)
    seed = told.seeds[0]
    trained = read_json(
        run_stages(OFFICE, (*arm.overrides, f"seed={seed}"), told)[1]["train-encoder"] / MANIFEST
    )
    took = f"took preset {trained['preset']} and {trained['seconds']['all'] / 60:.1f} minutes"
    note = f"{', '.join(arm.overrides)} {took} (seed {seed}), {_where(OFFICE, found.n, told)}"
    return Figure(name, found.mean, WORDS[metric], low=found.low, high=found.high, note=note)


def faster(name: str, arm: Arm, told: Told) -> Figure:
    """Texts a second of an arm's exported text tower against the whole MiniLM's, both cut alike."""
    config, small = run_stages(OFFICE, arm.overrides, told)
    whole = (*ADAPTER.overrides, f"encoder.max_tokens={config.encoder.max_tokens}")
    folders = {"small": small, "full": run_stages(OFFICE, whole, told)[1]}
    texts = load_prepared(small["prepare"]).items[c.TEXT].to_list()[:SPEED_TEXTS]
    towers = {one: TextTower.load(folder["train-encoder"], THREADS) for one, folder in folders.items()}
    took = rounds(
        {one: lambda tower=tower: tower.encode(texts) for one, tower in towers.items()}, SPEED_REPEATS
    )
    ratio = quotient(took["full"], took["small"])
    speed = {one: len(texts) / spread(seconds).middle for one, seconds in took.items()}
    note = (
        f"{speed['small']:,.0f} against {speed['full']:,.0f} texts/s, tokenising included, "
        f"{len(texts):,} texts of {OFFICE}, {THREADS} threads"
    )
    return Figure(
        name, ratio.middle, "times", "the exported MiniLM", FASTER[name][1], "min", *ratio[1:], note=note
    )


def _where(data: str, requests: int, told: Told) -> str:
    return f"{data}, {requests:,} requests of the window {window_of(data, told)}, {told.of_seeds}"
