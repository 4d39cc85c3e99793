"""Learn probabilities: a booster of each row's own outcome, calibrated on users that it did not see."""

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core import columns as c
from recsys.ranking.calibrate import calibrate
from recsys.ranking.config import RerankerConfig
from recsys.ranking.frame import RankFrame
from recsys.ranking.library import lightgbm
from recsys.ranking.parameters import check_columns, feature_names, of_a_probability
from recsys.ranking.probability import LEAST, Probabilities, Probability, with_position

Array = NDArray[Any]


def train_probabilities(
    frame: RankFrame,
    fold: Array,
    config: RerankerConfig,
    kind: str,
    outcomes: Collection[str] = tuple(LEAST),
) -> Probabilities | None:
    """Learn the chances of a click and of a purchase.

    Each fold of users is held out once: together the folds choose the number of trees, and their held-out
    scores, which cover every row, are calibrated. Then all rows teach that many trees.

    Parameters
    ----------
    frame : RankFrame
        Whole lists; what was not taken of them teaches too. Positions, where there are any, are read as a
        column, so that what a good place earned is not put down to the item.
    fold : int array, shape (requests,)
        By user, so that nobody stands on both sides.
    config : RerankerConfig
        Its ``probabilities`` and what it says of trees.
    kind : str
        The kind of rows, to be told.
    outcomes : collection of str
        Names of the chances that the labels can teach: a purchase without its click says nothing of clicks.

    Returns
    -------
    Probabilities or None
        Without an outcome that has not happened, or not only, in each of two folds or more; None where
        that leaves none.

    Raises
    ------
    ConfigError
        For monotone or categorical columns that are not there.
    MissingExtraError
        Without LightGBM.
    """
    check_columns(config, frame.columns)
    drawn = _draw(frame, config)
    part, of_row = frame.select_requests(drawn), np.repeat(np.asarray(fold)[drawn], frame.groups[drawn])
    placed = part.positions is not None and bool((part.positions >= 1).any())
    values = with_position(part.values, part.positions) if placed else part.values  # type: ignore[arg-type]
    columns = (*frame.columns, c.POSITION) if placed else frame.columns
    of: dict[str, Probability] = {}
    trees: dict[str, int] = {}
    for name, least in LEAST.items():
        happened = part.labels >= least
        if name in outcomes and _can_teach(happened, of_row):
            of[name], trees[name] = _learn(values, happened, of_row, columns, config)
    if not of:
        return None
    learned = {
        "kind": kind,
        "rows": part.n_rows,
        "requests": part.n_requests,
        "of_requests": frame.n_requests,
        "trees": trees,
    }
    return Probabilities(frame.columns, config.probabilities.position if placed else None, of, learned)


def _draw(frame: RankFrame, config: RerankerConfig) -> Array:
    """Which requests teach: all, or a draw of about as many rows as may."""
    most = config.probabilities.max_rows
    if frame.n_rows <= most:
        return np.ones(frame.n_requests, np.bool_)
    keep: Array = np.random.default_rng(config.seed).random(frame.n_requests) < most / frame.n_rows
    return keep


def _can_teach(happened: Array, of_row: Array) -> bool:
    """Whether both outcomes stand in every fold, of which there are two or more."""
    found = np.unique(of_row)
    return len(found) >= 2 and all(np.ptp(happened[of_row == k].astype(np.int8)) for k in found)


def _learn(
    values: Array, happened: Array, of_row: Array, columns: tuple[str, ...], config: RerankerConfig
) -> tuple[Probability, int]:
    library = lightgbm()
    names = feature_names(columns)
    asked = of_a_probability(config, columns)

    def data() -> Any:  # one that has trained is of no use to another training
        return library.Dataset(
            values,
            label=happened.astype(np.float32),
            feature_name=names,
            categorical_feature=[columns.index(name) for name in config.categorical],
            free_raw_data=True,
        )

    held = [np.flatnonzero(of_row == k) for k in np.unique(of_row)]
    taught = [np.flatnonzero(of_row != k) for k in np.unique(of_row)]
    stop = [library.early_stopping(config.early_stopping, verbose=False)] if config.early_stopping else None
    found = library.cv(
        asked,
        data(),
        num_boost_round=config.num_iterations,
        folds=list(zip(taught, held, strict=True)),
        callbacks=stop,
        return_cvbooster=True,
    )
    best = int(np.argmin(found["valid binary_logloss-mean"])) + 1
    raw = np.empty(len(values))
    for rows, booster in zip(held, found["cvbooster"].boosters, strict=True):
        raw[rows] = booster.predict(values[rows], raw_score=True, num_iteration=best)
    booster = library.train(asked, data(), num_boost_round=best)
    return Probability(booster.model_to_string(), calibrate(raw, happened)), best
