"""The models that a report is held against, each as scores of the whole catalogue as of each request."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.core.artefact import read_array
from recsys.core.errors import ConfigError
from recsys.core.log import HISTORY, EventLog, heads, interactions, prefix
from recsys.data.prepare import Prepared
from recsys.evaluation.baselines.als import learn_als
from recsys.evaluation.baselines.bpr import learn_bpr
from recsys.evaluation.baselines.config import SasrecConfig
from recsys.evaluation.baselines.ease import learn_ease
from recsys.evaluation.baselines.item_knn import learn_item_knn
from recsys.evaluation.baselines.learned import Model, earliest, learned_scores
from recsys.evaluation.baselines.popularity import popularity_scores
from recsys.evaluation.baselines.random_ import random_scores
from recsys.evaluation.baselines.rank import ScoreFn
from recsys.evaluation.baselines.recent_popularity import recent_popularity_scores
from recsys.evaluation.baselines.transition import histories, transition_scores
from recsys.evaluation.baselines.vectors import dot_scores, mean_history_vectors, uncentred
from recsys.interest.score import catalogue_scores
from recsys.interest.user import load_user_tower
from recsys.interest.vectors import load_vectors
from recsys.pipelines.settings import EvaluateConfig

Array = NDArray[Any]
HALF_LIFE_US = 14 * 86_400_000_000  # of the popularity baseline
LIBRARY = "implicit"
OF_THE_LIBRARY = ("item_knn", "als", "bpr")


@dataclass(frozen=True)
class Asked:
    """The requests that are evaluated, under one variant."""

    data: Prepared
    rows: Array  # int64, positions in the requests table
    cuts: Mapping[str, Array]  # of all requests
    clock: bool

    @property
    def user(self) -> Array:
        """User codes of all requests."""
        return self.data.requests[c.USER].to_numpy()

    @property
    def log(self) -> EventLog:
        """All events; a rating too poor to be a target is of no item, and so of no use to a baseline."""
        log, least = self.data.log, self.data.meta["min_rating"]
        if least is None:
            return log
        poor = (log.kind == c.RATING) & ~(log.value >= least)
        return log._replace(item=np.where(poor, np.int32(-1), log.item))

    @property
    def stops(self) -> Array:
        """How many events may teach what is learned once for all requests of a window."""
        return earliest(self.cuts["item"], self.data.requests[c.WINDOW].to_physical().to_numpy())


def require_libraries(names: Sequence[str]) -> None:
    """Refuse baselines whose library is not installed.

    Raises
    ------
    ConfigError
        Naming them, and the command that installs it.
    """
    wanted = [name for name in names if name in OF_THE_LIBRARY]
    if wanted and importlib.util.find_spec(LIBRARY) is None:
        raise ConfigError(
            "evaluation.baselines",
            expected=f"the library {LIBRARY} for {', '.join(wanted)}",
            found="no such module",
            do=f"Run: pip install 'recsys[baselines]', or leave {', '.join(wanted)} out.",
        )


def baselines(
    inputs: Mapping[str, Path], asked: Asked, config: EvaluateConfig, seed: int
) -> dict[str, ScoreFn]:
    """The chosen baselines, and the encoder alone, in the order of the vocabulary."""
    require_libraries(config.baselines)
    make = behaviour_scores(asked, config, seed)
    made = {name: make[name]() for name in config.baselines if name in make} | text_scores(inputs, asked)
    return {name: made[name] for name in c.MODELS if name in (*config.baselines, "encoder")}


def behaviour_scores(asked: Asked, config: EvaluateConfig, seed: int) -> dict[str, Callable[[], ScoreFn]]:
    """Baselines that read events alone; each is built, and learned, only when it is asked for."""
    log, user, n_items = asked.log, asked.user, len(asked.data.items)
    own, shared = asked.cuts["user"], asked.cuts["item"]
    half_life = HALF_LIFE_US if asked.clock else np.inf

    @cache
    def had() -> Array:  # one table for all that learn, and none where none does
        return histories(log, user, own, HISTORY)[0]

    def learned(learn: Callable[..., Model], settings: Any, **seeded: int) -> Callable[[], ScoreFn]:
        once = partial(learn, n_items=n_items, config=settings, **seeded)
        return lambda: learned_scores(once, log, user, had(), asked.stops, n_items)

    return {
        "random": lambda: random_scores(n_items),
        "popularity": lambda: popularity_scores(log, shared, n_items, half_life_us=half_life),
        "recent_popularity": lambda: recent_popularity_scores(log, shared, n_items, clock=asked.clock),
        "transition": lambda: transition_scores(log, user, own, shared, n_items),
        "item_knn": learned(learn_item_knn, config.item_knn),
        "ease": learned(learn_ease, config.ease),
        "als": learned(learn_als, config.als, seed=seed),
        "bpr": learned(learn_bpr, config.bpr, seed=seed),
        "sasrec": learned(_learn_sasrec, config.sasrec, seed=seed),
    }


def _learn_sasrec(log: EventLog, n_items: int, config: SasrecConfig, seed: int) -> Model:
    from recsys.evaluation.baselines.sasrec import learn_sasrec  # imports torch

    return learn_sasrec(log, n_items, config, seed)


def text_scores(inputs: Mapping[str, Path], asked: Asked) -> dict[str, ScoreFn]:
    """The untrained similarity of texts, and the trained interest score."""
    data, cuts = asked.data, asked.cuts
    tower = load_user_tower(inputs["train-encoder"], asked.clock)
    vectors = load_vectors(inputs["embed"])
    entrance = heads(data.log, asked.user, cuts["user"])

    def encoder(rows: Array) -> Array:
        return catalogue_scores(tower, vectors.tuned, data.log, entrance[rows])

    plain = uncentred(vectors.raw, read_array(inputs["train-encoder"] / "mean.npy"))
    before = prefix(data.log, data.meta["counts"]["n_fit"])
    wanted = before.item[interactions(before)]
    prior = plain[wanted].mean(axis=0)  # without a history: the mean item that was wanted
    users = mean_history_vectors(data.log, asked.user, cuts["user"], plain, prior=prior)
    return {"text_raw": dot_scores(users, plain), "encoder": encoder}
