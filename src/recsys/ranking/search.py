"""A search for better settings of the trees, within a budget of trials and of minutes."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from recsys.core.errors import MissingExtraError
from recsys.core.progress import counting
from recsys.ranking.config import RerankerConfig


@dataclass(frozen=True)
class Trial:
    """One try: its settings, what it scored (higher is better), and the seconds that it took."""

    settings: dict[str, float]
    value: float
    seconds: float


_SPACE: dict[str, Callable[[Any], float]] = {
    "num_leaves": lambda trial: trial.suggest_int("num_leaves", 7, 127, log=True),
    "learning_rate": lambda trial: trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
    "min_data_in_leaf": lambda trial: trial.suggest_int("min_data_in_leaf", 5, 200, log=True),
    "feature_fraction": lambda trial: trial.suggest_float("feature_fraction", 0.3, 1.0),
    "bagging_fraction": lambda trial: trial.suggest_float("bagging_fraction", 0.5, 1.0),
    "lambda_l2": lambda trial: trial.suggest_float("lambda_l2", 0.01, 100.0, log=True),
    "truncation": lambda trial: trial.suggest_int("truncation", 5, 60),
}


def require_optuna() -> None:
    """Refuse a search where Optuna is not installed; it is not imported.

    Raises
    ------
    MissingExtraError
        Naming it and the extra that installs it.
    """
    if find_spec("optuna") is None:
        raise MissingExtraError("optuna", "tune")


def search(
    score: Callable[[RerankerConfig], float], config: RerankerConfig
) -> tuple[RerankerConfig, tuple[Trial, ...]]:
    """Look for the settings of the best score.

    Parameters
    ----------
    score : callable
        Trains with some settings and says how good that is on what it did not learn from.
    config : RerankerConfig
        Its ``search`` is the budget. Its own settings are the first trial, so that the best is never worse.

    Returns
    -------
    RerankerConfig, tuple of Trial
        The settings of the best trial (of equal ones the first), and all trials. The same budget of trials
        gives the same; one that the minutes end may not.

    Raises
    ------
    MissingExtraError
        Without Optuna.
    """
    require_optuna()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=config.seed))
    trials: list[Trial] = []
    end = time.monotonic() + 60.0 * config.search.minutes
    with counting("search for settings", config.search.trials, "trials") as advance:
        for _ in range(config.search.trials):
            began = time.monotonic()
            if trials and began >= end:
                break
            trial = study.ask() if trials else None  # first those that stand, even outside what is searched
            settings = {
                name: getattr(config, name) if trial is None else draw(trial) for name, draw in _SPACE.items()
            }
            value = score(_with(config, settings))
            if trial is not None:
                study.tell(trial, value)
            trials.append(Trial(settings, value, time.monotonic() - began))
            advance(1.0)
    best = trials[int(np.argmax([trial.value for trial in trials]))]
    return _with(config, best.settings), tuple(trials)


def _with(config: RerankerConfig, settings: Mapping[str, Any]) -> RerankerConfig:
    return replace(config, **settings)
