"""The whole demo: what `make demo` runs, and what the README says that it shows."""

from pathlib import Path

import polars as pl
import pytest

from recsys.core import columns as c
from recsys.pipelines import run
from recsys.serving.ranker import Ranker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo")
    assert run.main([f"paths.root={root}", f"paths.run_dir={root / 'run'}"]) == 0
    return root / "run"


def true_ndcg(folder: Path) -> dict[str, float]:
    """NDCG@10 of every model against the true preference, on the test window."""
    table = pl.read_parquet(folder / "metrics.parquet").filter(
        pl.col(c.METRIC) == "ndcg_true",
        pl.col(c.K) == 10,
        pl.col(c.WINDOW) == "test",
        pl.col(c.SLICE) == "all",
        pl.col(c.VARIANT) == "default",
    )
    assert table[c.MODEL].is_unique().all()
    return dict(table.select(c.MODEL, "value").rows())


def test_the_shop_is_neither_trivial_nor_hopeless(demo: Path) -> None:
    ndcg = true_ndcg(demo)
    oracle = ndcg["oracle"]
    assert ndcg["popularity"] <= 0.6 * oracle
    assert ndcg["text_raw"] <= 0.8 * oracle
    assert ndcg["text_raw"] + 0.1 < ndcg["learnable"] < oracle - 0.1


def test_full_is_ahead_of_its_parts_with_intervals_above_zero(demo: Path) -> None:
    differences = pl.read_parquet(demo / "stages" / "evaluate" / "differences.parquet").filter(
        pl.col(c.METRIC) == "ndcg_true", pl.col(c.K) == 10, pl.col(c.WINDOW) == "test"
    )
    for other in ("popularity", "behaviour_only", "text_only"):
        low = differences.filter(pl.col("model_a") == "full", pl.col("model_b") == other)["low"]
        assert len(low) == 1 and low[0] > 0, other


def test_it_leaves_a_report_recommendations_and_a_model_that_answers(demo: Path) -> None:
    page = (demo / "report.html").read_text()
    assert "<html" in page[:200].lower()
    assert "New and rare items: with and without text" in page and "For which items and users" in page
    given = pl.read_parquet(demo / "recommendations" / "*.parquet")
    assert given[c.USER_ID].n_unique() == 5_000
    answer = Ranker.load(demo / "model").recommend(given[c.USER_ID][0], 5)
    assert len(answer.item_ids) == 5
