"""Rules and searches that cannot work are refused before the long stages."""

import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from recsys.core import columns as c
from recsys.core.errors import BundleError, ConfigError, MissingExtraError
from recsys.pipelines import bundle
from recsys.pipelines.opening import opened
from recsys.pipelines.path import READS, stage_configs
from recsys.pipelines.rules import check_rules
from recsys.pipelines.settings import load
from recsys.ranking.config import ProbabilityConfig
from recsys.ranking.rules import RulesConfig
from tests.pipelines.toy_shop import ToyRun, toy_data

VALUE = "rules.order_by=value"


@pytest.mark.parametrize(
    ("override", "told"),
    [
        (
            "ranker.probabilities.learn=none",
            r"expected ranker\.probabilities\.learn=logged or any.*found none",
        ),
        ("requests.targets=[click, cart]", r"expected purchase among requests\.targets.*found click, cart"),
    ],
)
def test_an_order_by_value_needs_chances_of_a_purchase(override: str, told: str) -> None:
    load([VALUE])
    load([override])
    with pytest.raises(ConfigError, match=rf"rules\.order_by=value: {told}"):
        load([VALUE, override])


def test_rules_that_the_data_cannot_follow() -> None:
    data, logged = toy_data(), ProbabilityConfig()
    there = RulesConfig(order_by="value", caps={"brand": 2}, diversity=0.5, diversity_by="category")
    check_rules(there, logged, data)
    absent = RulesConfig(caps={"shelf": 2}, diversity=0.5, diversity_by="texture")
    with pytest.raises(
        ConfigError, match=r"rules: expected item columns among price, .*; found shelf, texture"
    ):
        check_rules(absent, logged, data)
    check_rules(RulesConfig(worth="margin"), logged, data)  # which an order by score does not read
    with pytest.raises(ConfigError, match="; found margin"):
        check_rules(RulesConfig(order_by="value", worth="margin"), logged, data)
    unseen = replace(data, truth=data.truth.with_columns(pl.lit(False).alias(c.SHOWN)))
    by_value = RulesConfig(order_by="value")
    with pytest.raises(ConfigError, match=r"rules\.order_by=value: expected shown lists.*found none"):
        check_rules(by_value, logged, unseen)
    check_rules(by_value, ProbabilityConfig(learn="any"), unseen)


def test_a_run_that_could_not_be_served_ends_with_the_data(toy: ToyRun) -> None:
    folder = toy.root / "shelves"
    with pytest.raises(ConfigError, match="found shelf"):
        toy.again(folder, "+rules.caps.shelf=2")
    assert [path.name for path in (folder / "stages").iterdir()] == ["prepare"]


def test_a_bundle_whose_chances_were_not_learned_is_not_written(toy: ToyRun, tmp_path: Path) -> None:
    inputs = {name: toy.stage(name) for name in READS["bundle"]}
    inputs["train-ranker"] = shutil.copytree(inputs["train-ranker"], tmp_path / "trained")
    for path in inputs["train-ranker"].rglob("probabilities.json"):
        path.unlink()
    config = stage_configs(load(toy.overrides)[0])["bundle"]
    assert isinstance(config, bundle.Config)
    (tmp_path / "out").mkdir()
    with pytest.raises(BundleError, match=r"rules\.order_by=value: expected chances of a purchase"):
        bundle.work(inputs, replace(config, rules=RulesConfig(order_by="value")), tmp_path / "out")


def test_a_search_without_optuna_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("recsys.ranking.search.find_spec", lambda name: None)
    told = r"the library optuna: .*pip install 'recsys\[tune\]'"
    overrides = ["ranker.search.trials=2", "tracking=none", f"paths.root={tmp_path}"]
    for only in (None, "train-ranker"):
        with pytest.raises(MissingExtraError, match=told), opened(overrides, only):
            raise AssertionError("it is refused before anything is done")
    with opened(overrides, "prepare"):  # what does not search does not ask for it
        pass
    with opened([*overrides, "ranker.search.trials=0"]):
        pass
