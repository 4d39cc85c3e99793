import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import BundleError
from recsys.serving.frame import ColumnPlan

BLOCKS = {"a": ("x", "y"), "b": ("z",), "c": ("w",)}


def test_columns_come_in_the_trees_order() -> None:
    plan = ColumnPlan(("w", "y", "x"), BLOCKS)
    assert plan.blocks == ("a", "c")  # nobody computes b
    values = {"a": np.array([[1, 2], [3, 4]], np.float32), "c": np.array([[9], [8]], np.float32)}
    frame = plan.put(values)
    assert frame.tolist() == [[9, 2, 1], [8, 4, 3]]
    assert frame.dtype == np.float32 and frame.flags.c_contiguous


def test_absent_columns_are_named() -> None:
    with pytest.raises(BundleError, match="found also v, u. Build the model folder again"):
        ColumnPlan(("x", "v", "u"), BLOCKS)


def test_ranking_loads_nothing_heavy(folder: Path) -> None:
    code = f"""
import sys
for name in ("torch", "lightgbm", "mlflow", "hydra", "omegaconf", "pandas", "polars"):
    sys.modules[name] = None
from recsys.serving.ranker import Ranker
ranker = Ranker.load({str(folder)!r})
assert len(ranker.rank("u0", ["i1", "x"])) == 2
ranker.observe([("u0", "i1", "click")])
assert len(ranker.recommend("u0", 3)) > 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
