"""Stage bundle: the model folder that `Ranker.load` opens, with the state as of the log's end."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from recsys.candidates.sources import CandidatesConfig, popularity_at
from recsys.core import columns as c
from recsys.data.prepare import Prepared, load
from recsys.data.text import TextConfig, text_columns
from recsys.features.extra_columns import item_attributes, user_attributes
from recsys.interest.ids import load_ids
from recsys.interest.vectors import item_keys, load_vectors
from recsys.pipelines.id_values import id_values
from recsys.pipelines.learn_first_stage import FIRST_STAGE_FILE, SERVED, load_first_stage
from recsys.pipelines.runner import Facts, Stage
from recsys.ranking.first_stage import SelectConfig
from recsys.ranking.probability import Probabilities
from recsys.ranking.reranker import Reranker
from recsys.ranking.rules import RulesConfig
from recsys.serving.bundle_write import BundleParts, write_bundle
from recsys.serving.ranker import Ranker
from recsys.state.family import StateConfig
from recsys.state.store import State

MODEL = "model"


@dataclass(frozen=True)
class Config:
    """Which reranker goes into the bundle, and what it is served with."""

    variant: str
    seed: int
    train_windows: tuple[str, ...]
    features: StateConfig
    candidates: CandidatesConfig
    select: SelectConfig
    rules: RulesConfig
    text: TextConfig
    threads: int = 1


def parts(inputs: Mapping[str, Path], config: Config, data: Prepared, stop: int) -> BundleParts:
    """Everything that serving needs, with the state as of the log's first ``stop`` events."""
    clock = bool(data.meta["clock"])
    trained = inputs["train-ranker"] / config.variant / "full" / str(config.seed)
    reranker = Reranker.load(trained)
    lists = "covisit" in config.candidates.active()
    state = State.new(config.features, clock, len(data.users), data.item_table, lists=lists)
    first_stage = inputs["select"] / f"{config.variant}.{FIRST_STAGE_FILE}"
    state.advance(data.log, stop, threads=config.threads)
    ids = load_ids(inputs["train-encoder"])
    values = {} if ids is None else id_values(data.items, ids.columns)
    return BundleParts(
        users=data.codes["users"],
        items=data.codes["items"],
        categories=data.codes["categories"],
        brands=data.codes["brands"],
        state=state,
        state_time=int(data.log.time[:stop].max()),
        trees=reranker.text,
        columns=reranker.columns,
        popularity=popularity_at(data.log, data.item_table, stop, config.candidates, clock),
        reranker={"best_iteration": reranker.best_iteration, "importance": reranker.importance},
        vectors=load_vectors(inputs["embed"]),
        item_keys=item_keys(data.items[c.TEXT].to_list(), values),
        encoder=inputs["train-encoder"],
        text_columns=text_columns(data.items.columns, config.text),
        item_attributes=item_attributes(data.items),
        user_attributes=user_attributes(data.users),
        candidates=config.candidates,
        select=config.select,
        rules=config.rules,
        first_stage=load_first_stage(first_stage)[SERVED] if first_stage.is_file() else None,
        probabilities=Probabilities.load(trained),
        windows={"encoder": "fit", "reranker": "+".join(config.train_windows), "state": "all"},
        labels=dict(reranker.config.get("label_gain", {})),
    )


def work(inputs: Mapping[str, Path], config: Config, out: Path) -> Facts:
    """Replay the whole log into a state and put everything that serving needs into one folder."""
    data = load(inputs["prepare"])
    write_bundle(out / MODEL, parts(inputs, config, data, len(data.log.time)))
    Ranker.load(out / MODEL)  # refuses rules that ask for chances which could not be learned
    return Facts(
        rows={"users": len(data.users), "items": len(data.items), "events": len(data.log.time)},
        saw={"state": "all"},
    )


STAGE = Stage(
    "bundle",
    work,
    (
        "recsys.serving",
        "recsys.state",
        "recsys.candidates",
        "recsys.features",
        "recsys.interest.ids",
        "recsys.interest.vectors",
        "recsys.pipelines.bundle",
        "recsys.pipelines.id_values",
        "recsys.pipelines.learn_first_stage",
    ),
)
