"""Benchmark of ranking quality: every model on every data set, and what text, encoder and freshness add.

Run it by ``python -m recsys.pipelines.bench_quality --out pipelines/figures/quality.json``, with the data
sets' folder in ``RECSYS_DATA``. Figures are of the window *valid*, on which settings are chosen;
``--read-test`` takes them of *test*, and each such look is counted. A range is the user-clustered 95 %
interval, of the difference or the ratio where two models are compared.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from recsys.core import columns as c
from recsys.evaluation.config import NDCG_TRUE
from recsys.evaluation.slices import ALL, ITEM_EVENTS, TARGET
from recsys.metrics.bootstrap import paired, ratio
from recsys.pipelines.bench import Cell, Figure, apart, report
from recsys.pipelines.bench_encoder_inputs import MIND, OFFICE, SHOP, left_out, no_data, overrides_of
from recsys.pipelines.bench_quality_minutes import minutes
from recsys.pipelines.bench_quality_runs import (
    ASKED,
    MOVIELENS,
    RETAIL,
    Ranked,
    mean_of,
    pair_of,
)
from recsys.pipelines.bench_quality_shop import SHARES, share
from recsys.pipelines.bench_told import Told, read_arguments

STRICT, REFIT, LIVE, DAILY = "strict", "refit", "default", "daily"


class Mean(NamedTuple):
    """A figure: the mean of one model."""

    data: str
    who: Ranked
    goal: float | None


class Gain(NamedTuple):
    """A figure: how far one model is ahead of another, or the lower end of that."""

    data: str
    over: Ranked
    under: Ranked
    goal: float | None
    take: Literal["mean", "low"] = "mean"


class OverBest(NamedTuple):
    """A figure: one model divided by the baseline that is best on valid."""

    data: str
    who: Ranked
    goal: float | None


def _auc(model: str, variant: str = LIVE) -> Ranked:
    return Ranked(model, variant, "auc", 0)


def _true(model: str, variant: str = LIVE) -> Ranked:
    return Ranked(model, variant, NDCG_TRUE)


MEASURED: Mapping[str, Mean | Gain | OverBest] = {
    "office_strict_ndcg10": Mean(OFFICE, Ranked("full", STRICT), 0.142),
    "office_refit_ndcg10": Mean(OFFICE, Ranked("full", REFIT), 0.153),
    "office_refit_hr10": Mean(OFFICE, Ranked("full", REFIT, "hit_rate"), 0.203),
    "office_text_gain_low": Gain(
        OFFICE, Ranked("full", STRICT), Ranked("behaviour_only", STRICT), 0.0, "low"
    ),
    "office_cold_ndcg10": Mean(OFFICE, Ranked("full", STRICT, slice=f"{ITEM_EVENTS}:0"), 0.060),
    "encoder_gain_mind_low": Gain(MIND, _auc("full"), _auc("no_interest"), 0.0, "low"),
    "encoder_gain_shop_low": Gain(SHOP, _true("full"), _true("no_interest"), 0.0, "low"),
    "retail_ndcg10_vs_best": OverBest(RETAIL, Ranked("full", LIVE), 1.0),
    "retail_new_ndcg10_vs_best": OverBest(RETAIL, Ranked("full", LIVE, slice=f"{TARGET}:new"), 1.0),
    "mind_auc_gain": Gain(MIND, _auc("full"), _auc("text_raw"), 0.057),
    "mind_ndcg10_gain": Gain(MIND, Ranked("full", LIVE), Ranked("text_raw", LIVE), 0.045),
    "movielens_ndcg10_vs_best": OverBest(MOVIELENS, Ranked("full", LIVE), None),
    "freshness_gain_mind": Gain(MIND, _auc("full"), _auc("full", DAILY), 0.02),
    "freshness_gain_shop": Gain(SHOP, _true("full"), _true("full", DAILY), None),
}
MINUTES = "office_minutes"
NAMES = (*MEASURED, *SHARES, MINUTES)
SHOWN: Mapping[tuple[str, str], Ranked] = {  # the table of models: data set, variant -> how it is measured
    (OFFICE, STRICT): Ranked("", STRICT),
    (OFFICE, REFIT): Ranked("", REFIT),
    (MIND, LIVE): _auc(""),
    (RETAIL, LIVE): Ranked("", LIVE),
    (MOVIELENS, LIVE): Ranked("", LIVE),
    (SHOP, LIVE): _true(""),
}
WORDS = {"ndcg": "NDCG", "hit_rate": "HR", "auc": "AUC", NDCG_TRUE: "NDCG of the true preference"}


def words(who: Ranked) -> str:
    """A metric in words."""
    part = "" if who.slice == ALL else f" on {who.slice}"
    name, _, of = WORDS[who.metric].partition(" ")
    return name + (f"@{who.k}" if who.k else "") + (f" {of}" if of else "") + part


def data_of(name: str) -> str:
    """The data set of a figure."""
    return MEASURED[name].data if name in MEASURED else SHOP if name in SHARES else OFFICE


def figure(name: str, told: Told) -> list[Figure]:
    """One figure, or none with a line that says why."""
    one, data = MEASURED.get(name), data_of(name)
    if overrides_of(data, told.quick) is None:
        return left_out([name], no_data(data))
    if one is None:
        return share(name, told) if name in SHARES else minutes(name, told)
    made = {Mean: _mean, Gain: _gain, OverBest: _over_best}[type(one)](name, one, told)  # type: ignore[operator]
    return [made] if made else left_out([name], f"{_who(one)} was not measured on {told.window} of {data}")


def _who(one: Mean | Gain | OverBest) -> str:
    who = one.over if isinstance(one, Gain) else one.who
    return f"{who.model} ({who.variant})"


def _mean(name: str, one: Mean, told: Told) -> Figure | None:
    found = mean_of(one.data, one.who, told.window, told)
    if found is None:
        return None
    note = f"{words(one.who)}, {one.who.model}, {_where(one.data, one.who.variant, found.n, told)}"
    return Figure(name, found.mean, "", "", one.goal, _sense(one.goal), found.low, found.high, note)


def _gain(name: str, one: Gain, told: Told) -> Figure | None:
    found = pair_of(paired, one.data, one.over, one.under, told.window, told)
    if found is None:
        return None
    gap = found.interval
    note = f"{words(one.over)} {found.over:.4f} against {found.under:.4f}"
    if one.take == "low":
        note += f", the difference {gap.mean:+.4f}"
    note += f"; {one.over.model}, {_where(one.data, one.over.variant, gap.n, told)}"
    under = one.under.model if one.under.variant == one.over.variant else f"its variant {one.under.variant}"
    value = gap.mean if one.take == "mean" else gap.low
    return Figure(name, value, "", under, one.goal, _sense(one.goal), gap.low, gap.high, note)


def _over_best(name: str, one: OverBest, told: Told) -> Figure | None:
    means = {model: mean_of(one.data, one.who._replace(model=model), "valid", told) for model in c.BASELINES}
    there = {model: found.mean for model, found in means.items() if found}
    if not there:
        return None
    best = max(there, key=there.__getitem__)
    found = pair_of(ratio, one.data, one.who, one.who._replace(model=best), told.window, told)
    if found is None:
        return None
    value, low, high, requests = found.interval
    note = f"{words(one.who)} {found.over:.4f} against {found.under:.4f}"
    note += f"; {one.who.model}, {_where(one.data, one.who.variant, requests, told)}"
    against = f"{best}, best of the baselines on valid"
    return Figure(name, value, "times", against, one.goal, _sense(one.goal), low, high, note)


def _sense(goal: float | None) -> Literal["min", "none"]:
    return "none" if goal is None else "min"


def _where(data: str, variant: str, requests: int, told: Told) -> str:
    named = "" if variant == LIVE else f" {variant},"
    return f"{data},{named} {requests:,} requests of the window {told.window}, {told.of_seeds}"


def models_of(data: str, told: Told) -> list[Cell]:
    """Every model on a data set; none where the data set is not there."""
    if overrides_of(data, told.quick) is None:
        return []
    asked = [
        (f"{data}{'' if variant == LIVE else f', {variant}'} ({words(how)})", how._replace(model=model))
        for (set_, variant), how in SHOWN.items()
        if set_ == data
        for model in c.MODELS
    ]
    found = [(column, who.model, mean_of(data, who, told.window, told)) for column, who in asked]
    return [Cell(model, column, *mean[:3]) for column, model, mean in found if mean]


def measure(names: tuple[str, ...], data: str | None, told: Told) -> tuple[list[Figure], list[Cell]]:
    """The figures of these names, in their order, and every model on a data set, where one is named."""
    figures = [one for name in names for one in figure(name, told)]
    return figures, models_of(data, told) if data else []


def main(given: Sequence[str] | None = None) -> None:
    """Each data set in a process of its own."""
    asked, told = read_arguments(
        __doc__ or "",
        (*ASKED, *NAMES),
        given,
        seeds="each a whole run: an encoder and a reranker of its own",
        test="figures of the window test",
    )
    figures: list[Figure] = []
    models: list[Cell] = []
    for data in ASKED:
        whole = asked.only is None or data in asked.only
        names = tuple(name for name in NAMES if data_of(name) == data and (whole or name in asked.only))
        if names:
            found = apart(measure, names, data if whole else None, told)
            figures += found[0]
            models += found[1]
    order = {model: place for place, model in enumerate(c.MODELS)}
    report("quality", figures, asked.out, sorted(models, key=lambda cell: order[cell.row]))


if __name__ == "__main__":
    main()
