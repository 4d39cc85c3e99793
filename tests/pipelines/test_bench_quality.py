"""The benchmark of quality on the toy shop's run: its figures are those of the evaluation."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.core import columns as c
from recsys.metrics.bootstrap import clusters, paired
from recsys.pipelines import bench_quality as bench
from recsys.pipelines import bench_quality_runs as runs
from recsys.pipelines import bench_quality_shop as shop
from recsys.pipelines.bench import grid
from recsys.pipelines.bench_encoder_inputs import SHOP
from recsys.pipelines.bench_told import Told
from recsys.pipelines.evaluate import PER_REQUEST
from recsys.pipelines.path import STAGES
from recsys.pipelines.settings import RunConfig, load
from tests.pipelines.toy_shop import ToyRun


@pytest.fixture
def told(toy: ToyRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Told:
    """One seed of the toy shop's run, in the place of every data set."""
    folders = {stage.name: toy.stage(stage.name) for stage in STAGES}

    def stages_of(data: str, seed: int, told: Told) -> Mapping[str, Path]:
        return folders

    def config_of(data: str, seed: int, told: Told) -> tuple[RunConfig, tuple[str, ...]]:
        return load(toy.overrides)[0], toy.overrides

    for module in (runs, shop):
        monkeypatch.setattr(module, "stages_of", stages_of)
        monkeypatch.setattr(module, "config_of", config_of)
    runs.values_of.cache_clear()
    shop.judged.cache_clear()
    # its work folder is another in each test, so that no cached value is of another one
    return Told(quick=True, work=tmp_path, seeds=(0,), read_test=True)


def of_table(toy: ToyRun, name: str, **where: object) -> pl.DataFrame:
    return toy.table("evaluate", name).filter(**where)


def test_a_mean_is_that_of_the_metrics_table(toy: ToyRun, told: Told) -> None:
    found = runs.mean_of(SHOP, runs.Ranked("full", "default"), "test", told)
    where = {c.MODEL: "full", c.METRIC: "ndcg", c.K: 10, c.SLICE: "all", c.WINDOW: "test"}
    table = of_table(toy, "metrics", **where)
    assert found is not None
    assert (found.mean, found.n) == (pytest.approx(table["value"][0]), table["n"][0])
    assert runs.mean_of(SHOP, runs.Ranked("full", "strict"), "test", told) is None


def test_a_gain_is_that_of_the_differences_table(toy: ToyRun, told: Told) -> None:
    over, under = runs.Ranked("full", "default", "auc", 0), runs.Ranked("text_raw", "default", "auc", 0)
    found = runs.pair_of(paired, SHOP, over, under, "test", told)
    where = {"model_b": "text_raw", c.METRIC: "auc", c.SLICE: "all", c.WINDOW: "test"}
    assert found is not None
    assert found.interval.mean == pytest.approx(of_table(toy, "differences", **where)["diff"][0])
    assert found.over - found.under == pytest.approx(found.interval.mean)


def test_values_are_means_over_seeds(told: Told, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for seed, value in ((0, 0.25), (1, 0.75)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        row = {c.MODEL: "full", c.VARIANT: "default", c.SEED: seed, c.WINDOW: "valid", c.METRIC: "ndcg"}
        row |= {c.K: 10, c.SLICE: "all", c.REQUEST: 3, c.USER: 5, "value": value}
        pl.DataFrame([row]).write_parquet(folder / PER_REQUEST)
    monkeypatch.setattr(runs, "stages_of", lambda data, seed, told: {"evaluate": tmp_path / str(seed)})
    both = dataclasses.replace(told, seeds=(0, 1), read_test=False)
    assert runs.picked(SHOP, runs.Ranked("full", "default"), "valid", both)["value"].to_list() == [0.5]


def test_unknown_users_stand_alone() -> None:
    found = clusters(np.array([4, -1, -1, 4], np.int32))
    assert len(np.unique(found)) == 3 and found[0] == found[3]


def test_the_best_baseline_is_chosen_on_valid(toy: ToyRun, told: Told) -> None:
    (made,) = bench.figure("retail_ndcg10_vs_best", dataclasses.replace(told, quick=True))
    where = {c.METRIC: "ndcg", c.K: 10, c.SLICE: "all"}
    means = {
        window: dict(of_table(toy, "metrics", **where, **{c.WINDOW: window}).select(c.MODEL, "value").rows())
        for window in ("valid", "test")
    }
    best = max((m for m in c.BASELINES if m in means["valid"]), key=means["valid"].__getitem__)
    assert made.against.startswith(f"{best}, ")
    assert made.value == pytest.approx(means["test"]["full"] / means["test"][best])
    assert "window test" in made.note


def test_what_was_not_measured_is_left_out(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.figure("office_refit_hr10", told) == []
    assert "full (refit) was not measured on test of amazon_office" in capsys.readouterr().out


def test_shares_of_what_can_be_learned(told: Told) -> None:
    """The library call ranks the items of a kind; the reference and the truth bound it."""
    seen = shop.judged(0, told)
    for kind in (shop.WARM, shop.NEW):
        one = seen[kind]
        there = ~np.isnan(one.full)
        assert there.any() and (there == ~np.isnan(one.learnable)).all()
        assert ((one.full[there] >= 0) & (one.full[there] <= 1)).all()
        assert one.learnable[there].mean() > 0.4
    (made,) = shop.share("shop_learnable_share_warm", told)
    warm = seen[shop.WARM]
    assert made.value == pytest.approx(np.nanmean(warm.full) / np.nanmean(warm.learnable))
    assert made.low is not None and made.high is not None and made.low < made.value < made.high


def test_models_stand_in_a_grid(told: Told) -> None:
    cells = bench.models_of(SHOP, told)
    heading, lines = grid(cells)
    assert heading == ["", "shop (NDCG@10 of the true preference)"]
    assert [line[0] for line in lines] == [m for m in c.MODELS if m in {cell.row for cell in cells}]
    assert dict(lines)["oracle"] == "1.0000 [1.0000, 1.0000]"
