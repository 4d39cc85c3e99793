"""Whole runs on public data sets, from the raw files to the model folder; the test window stays unread."""

import json
import os
from pathlib import Path

import polars as pl
import pytest

from recsys.core import columns as c
from recsys.pipelines import run
from recsys.serving.ranker import Ranker

FOLDER = Path(os.environ.get("RECSYS_DATA", Path(__file__).parents[2] / "shared" / "data"))
pytestmark = pytest.mark.slow


def ran(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of an experiment as it is shipped."""
    source = FOLDER / name
    if not source.is_dir():
        pytest.skip(f"the data set {name} is not at {source}; set RECSYS_DATA to the folder that holds it")
    root = tmp_path_factory.mktemp(name)
    out = root / "run"
    settings = [f"experiment={name}", f"data.dir={source}", f"paths.root={root}", f"paths.run_dir={out}"]
    assert run.main([*settings, "tracking=none", "scoring.k=5"]) == 0
    return out


@pytest.fixture(scope="module")
def amazon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran("amazon_office", tmp_path_factory)


@pytest.fixture(scope="module")
def mind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran("mind_small_7k", tmp_path_factory)


@pytest.fixture(scope="module")
def retail(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran("online_retail", tmp_path_factory)


def metric(
    folder: Path, model: str, name: str, k: int = 0, part: str = "all", variant: str = "default"
) -> float:
    table = pl.read_parquet(folder / "metrics.parquet")
    assert table[c.WINDOW].unique().to_list() == ["valid"]
    row = table.filter(
        pl.col(c.MODEL) == model,
        pl.col(c.METRIC) == name,
        pl.col(c.K) == k,
        pl.col(c.SLICE) == part,
        pl.col(c.VARIANT) == variant,
    )
    return float(row["value"].item())


def complete(folder: Path, models: set[str]) -> None:
    """Everything that a run leaves, and a model that answers."""
    predictions = pl.scan_parquet(folder / "predictions.parquet").select(c.MODEL).unique().collect()
    assert set(predictions[c.MODEL]) >= models
    assert "<html" in (folder / "report.html").read_text()[:200].lower()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["stages"].keys() >= {"prepare", "train-encoder", "score"}
    given = pl.read_parquet(folder / "recommendations" / "*.parquet")
    assert given.group_by(c.USER_ID).len()["len"].max() == 5
    user = given[c.USER_ID][0]
    items = given.filter(pl.col(c.USER_ID) == user)
    answer = Ranker.load(folder / "model").recommend(user, 5, at="state")
    assert list(answer.item_ids) == items.sort(c.RANK)[c.ITEM_ID].to_list()


MODELS = {"random", "popularity", "transition", "text_raw", "encoder", "text_only", "behaviour_only", "full"}


def test_amazon_office_keeps_the_published_protocol(amazon: Path) -> None:
    complete(amazon, MODELS)
    requests = pl.read_parquet(amazon / "stages" / "prepare" / "requests.parquet")
    counts = dict(requests[c.WINDOW].cast(pl.String).value_counts().rows())
    assert counts["valid"] == counts["test"] == 4866
    full = metric(amazon, "full", "ndcg", 10, variant="strict")
    assert full > 0.15
    for model in MODELS - {"full"}:
        assert full > metric(amazon, model, "ndcg", 10, variant="strict"), model


def test_mind_ranks_the_lists_that_were_shown(mind: Path) -> None:
    complete(mind, MODELS)
    predictions = pl.scan_parquet(mind / "predictions.parquet")
    one = predictions.filter(pl.col(c.MODEL) == "full", pl.col(c.VARIANT) == "default").collect()
    truth = pl.read_parquet(mind / "stages" / "prepare" / "truth.parquet")
    assert one.join(truth, on=[c.REQUEST, c.ITEM], how="anti").height == 0
    assert 0.60 < metric(mind, "text_raw", "auc") < 0.66
    assert metric(mind, "full", "auc") > metric(mind, "text_raw", "auc") + 0.02
    assert metric(mind, "full", "auc") > metric(mind, "full", "auc", variant="daily")
    assert abs(metric(mind, "random", "auc") - 0.5) < 0.03


def test_online_retail_tells_repeats_from_new(retail: Path) -> None:
    complete(retail, MODELS)
    repeat = metric(retail, "full", "ndcg", 10, "target:repeat")
    new = metric(retail, "full", "ndcg", 10, "target:new")
    assert repeat > new > 0
    assert metric(retail, "full", "ndcg", 10) > metric(retail, "popularity", "ndcg", 10)
