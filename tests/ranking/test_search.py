"""A search for settings: never worse than where it began, within its budget, the same again."""

import sys
from dataclasses import replace

import pytest

from recsys.core.errors import ConfigError, MissingExtraError
from recsys.ranking.config import RerankerConfig, SearchConfig
from recsys.ranking.search import search


def peak(config: RerankerConfig) -> float:
    """Best where learning_rate is .05 and num_leaves 20."""
    return -abs(config.learning_rate - 0.05) * 10 - abs(config.num_leaves - 20) / 50


def test_finds_better_settings_and_tells_its_trials() -> None:
    pytest.importorskip("optuna")
    start = RerankerConfig(learning_rate=0.2, num_leaves=100, search=SearchConfig(trials=25))
    found, trials = search(peak, start)
    assert trials[0].settings["num_leaves"] == 100 and trials[0].value == peak(start)
    assert len(trials) == 25
    best = max(trials, key=lambda trial: trial.value)
    assert peak(found) == best.value > peak(start) + 1.0
    assert {key: getattr(found, key) for key in best.settings} == best.settings
    again = search(peak, start)
    assert [trial.settings for trial in again[1]] == [trial.settings for trial in trials]
    assert search(peak, replace(start, seed=1))[1][1].settings != trials[1].settings


def test_a_good_start_is_kept() -> None:
    pytest.importorskip("optuna")
    start = RerankerConfig(learning_rate=0.05, num_leaves=20, lambda_l2=0.0, search=SearchConfig(trials=4))
    assert search(peak, start)[0] == start  # though no l2 of 0 is searched


def test_no_trial_begins_after_the_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr("recsys.ranking.search.time.monotonic", lambda: float(next(clock)))
    _, trials = search(peak, RerankerConfig(search=SearchConfig(trials=50, minutes=2.0)))
    assert len(trials) == 3  # each takes three looks at a clock that runs 20 s a look


def test_without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recsys\[tune\]'"):
        search(peak, RerankerConfig(search=SearchConfig(trials=1)))


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"trials": -1}, "trials: expected at least 0"), ({"minutes": 0.0}, "minutes: expected above 0")],
)
def test_budgets_that_cannot_work_are_refused(fields: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=f"ranker.search.{told}"):
        SearchConfig(**fields)  # type: ignore[arg-type]
