"""What the evaluation report is made of, gathered from the folders of the stages before it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import recsys
from recsys.core import columns as c
from recsys.core.log import OPEN_TO
from recsys.data.prepare import Prepared
from recsys.data.split import to_moment
from recsys.evaluation.config import EvaluationConfig
from recsys.evaluation.report import ReportInput, Setting, WindowFacts, render
from recsys.features.catalogue import catalogue
from recsys.pipelines.rows import LOGGED
from recsys.pipelines.train_encoder import TRAINING
from recsys.pipelines.variants import Variant
from recsys.ranking.probability import Probabilities
from recsys.ranking.reranker import Reranker

if TYPE_CHECKING:
    from recsys.pipelines.evaluate import Config


def write_report(
    path: Path,
    inputs: Mapping[str, Path],
    data: Prepared,
    config: "Config",
    settings: EvaluationConfig,
    metrics: pl.DataFrame,
    differences: pl.DataFrame,
    recall: pl.DataFrame | None,
    reads: int | None,
    reliability: pl.DataFrame,
) -> None:
    """Write the HTML report of one evaluation."""
    first = metrics[c.VARIANT][0]
    window = "test" if config.evaluation.read_test else "valid"
    seen = metrics[c.WINDOW].unique().to_list()
    report = ReportInput(
        metrics=metrics,
        differences=differences,
        config=settings,
        variant=first,
        window=window,
        setting=_setting(data, config),
        recall=None if recall is None else recall.filter(pl.col(c.WINDOW).is_in(seen)),
        training=pl.read_parquet(inputs["train-encoder"] / TRAINING),
        importance=_importance(inputs, first, config, bool(data.meta["clock"])),
        reliability=reliability,
        ledger=data.ledger,
        notes=(*_notes(config), *_of_probabilities(inputs, first, config)),
        test_reads=reads,
        title=f"Evaluation of {config.name}",
        made=f"recsys {recsys.__version__}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
    )
    path.write_text(render(report), encoding="utf-8")


_CLICK, _BUY = "how near the item is to what the user clicks", "how near the item is to what the user buys"
LEARNED = {  # words for the columns that the encoder and the first stage give
    "interest_click": f"{_CLICK}, by the trained encoder",
    "interest_click_rank": f"{_CLICK}: its rank in the list",
    "interest_click_z": f"{_CLICK}, against the rest of the list",
    "interest_purchase": f"{_BUY}, by the trained encoder",
    "interest_purchase_rank": f"{_BUY}: its rank in the list",
    "interest_purchase_z": f"{_BUY}, against the rest of the list",
    "text_similarity_mean": "likeness of the item's text to the user's last 50 items",
    "text_similarity_last": "likeness of the item's text to the user's last item",
    "text_similarity_max": "likeness of the item's text to the nearest of the user's last 10 items",
    "first_stage_full": "the linear score by which the rows were selected",
}


def in_words(variant: Variant) -> str:
    """A variant in a sentence."""
    lists = {
        "retrieved": "retrieved rows",
        "logged": "lists that were shown",
        "both": "retrieved rows and shown lists",
    }
    words = f"the reranker learned on {' and '.join(variant.train)} ({lists[variant.learn]})"
    words += "; state " + ("to the second" if variant.snapshot == "request" else "as of the last midnight")
    if variant.lag_hours:
        words += f", {variant.lag_hours:g} hours late"
    frozen = [f"for {window} at the start of {at}" for window, at in variant.freeze.items()]
    words += "; what users share stands still " + ", ".join(frozen) if frozen else ""
    whole = [f"{window} up to {until}" for window, until in variant.crossfit.items()]
    if whole:
        words += f"; what teaches sees it whole, less its own fold of users: {', '.join(whole)}"
    return words


def _setting(data: Prepared, config: "Config") -> Setting:
    facts = []
    for name in c.WINDOWS:
        here = data.requests.filter(pl.col(c.WINDOW).cast(pl.String) == name)
        begin, end = data.windows.start(name), data.windows.stop(name)
        facts.append(
            WindowFacts(
                name,
                "the beginning" if name == "fit" else f"{to_moment(begin):%Y-%m-%d %H:%M}",
                "the end" if end == OPEN_TO else f"{to_moment(end):%Y-%m-%d %H:%M}",
                len(here),
                here[c.USER].n_unique(),
            )
        )
    return Setting(
        config.name,
        str(data.meta["unit"]),
        str(data.meta["rows"]),
        bool(data.meta["clock"]),
        len(data.items),
        tuple(facts),
        {name: in_words(variant) for name, variant in config.variants.items()},
    )


def _importance(inputs: Mapping[str, Path], variant: str, config: "Config", clock: bool) -> pl.DataFrame:
    reranker = Reranker.load(inputs["train-ranker"] / variant / "full" / str(config.seeds[0]))
    words = {column.name: column.meaning for column in catalogue(config.features, clock)} | LEARNED
    rows = [
        (name, words.get(name, name.replace("_", " ")), gain) for name, gain in reranker.importance.items()
    ]
    return pl.DataFrame(rows, {"column": pl.String, "words": pl.String, "gain": pl.Float64}, orient="row")


def _notes(config: "Config") -> tuple[str, ...]:
    notes = [
        "Baselines rank every item that could be had; the rerankers rank the rows that candidates gave them."
    ]
    if any(variant.stop == "valid" for variant in config.variants.values()):
        notes.append("The number of trees was chosen on valid, so figures of valid are a little too hopeful.")
    if any(variant.crossfit for variant in config.variants.values()):
        notes.append(
            "Rows that teach a reranker were chosen with cross-fitted state: in a window that teaches, "
            "the recall of rows is no ceiling of what is served."
        )
    return tuple(notes)


def _of_probabilities(inputs: Mapping[str, Path], variant: str, config: "Config") -> tuple[str, ...]:
    """Whom the chances of a click and of a purchase speak of."""
    folder = inputs["train-ranker"] / variant / "full" / str(config.seeds[0])
    found = Probabilities.load(folder)
    if found is None:
        return ()
    told = found.learned
    rows = "lists that were shown" if told["kind"] == LOGGED else "rows of the lists that are ranked"
    drawn = "" if told["requests"] == told["of_requests"] else f", a draw out of {told['of_requests']:,}"
    note = (
        f"Chances of a click and of a purchase were learned from {told['rows']:,} {rows} in "
        f"{told['requests']:,} requests{drawn}; they speak of requests such as are kept here "
        "(requests.only_with_truth)"
    )
    if found.position is not None:
        note += f", and in predictions and in service of display position {found.position}"
    return (note + ".",)
