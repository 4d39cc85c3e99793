"""Probabilities go all the way: learned on shown lists, checked on them, served."""

import json

import polars as pl
import pytest

from recsys.ranking.probability import Probabilities
from tests.pipelines.toy_shop import ToyRun


def test_probabilities_are_learned_from_shown_lists_and_checked_on_them(toy: ToyRun) -> None:
    found = Probabilities.load(toy.stage("train-ranker") / "default" / "full" / "0")
    assert found is not None and found.position == 1
    assert found.learned["kind"] == "logged"
    assert "p_click" in found.of
    predicted = toy.table("evaluate", "predictions")
    ours = predicted.filter(pl.col("model") == "full")
    assert ours["p_click"].is_between(0, 1).all() and ours["p_click"].null_count() == 0
    assert predicted.filter(pl.col("model") == "popularity")["p_click"].null_count() > 0
    metrics = toy.table("evaluate", "metrics").filter(pl.col("metric") == "calibration_error_click")
    bins = toy.table("evaluate", "reliability").filter(pl.col("outcome") == "click")
    for window, part in bins.group_by("window"):
        gap = ((part["probability"] - part["share"]).abs() * part["rows"]).sum() / part["rows"].sum()
        assert metrics.filter(pl.col("window") == window[0])["value"].item() == pytest.approx(gap)
    report = (toy.stage("evaluate") / "report.html").read_text()
    assert "Are the probabilities what they say?" in report
    assert "of display position 1" in report
    bundled = Probabilities.load(toy.stage("bundle") / "model" / "ranker")
    assert bundled == found
    assert "p_click" in pl.read_parquet(toy.stage("score") / "recommendations" / "*.parquet").columns


def test_every_seed_learns_its_own(toy: ToyRun) -> None:
    folder = toy.root / "seeds"
    toy.again(folder, "seeds=[0,1]", only="train-ranker")
    manifest = json.loads((folder / "manifest.json").read_text())
    learned = manifest["stages"]["train-ranker"]["notes"]["probabilities"]
    assert set(learned) == {"default/0", "default/1"}
