"""The house's rules, held by tests: who imports whom, what may lie where, how long files are."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "recsys"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# What each room may import of the others.
USED_BY_ALL_ABOVE = {"core", "state", "features", "candidates", "interest", "ranking", "metrics"}
ROOMS = {
    "core": set(),
    "metrics": {"core"},
    "data": {"core"},
    "state": {"core"},
    "features": {"core", "state"},
    "candidates": {"core", "state"},
    "interest": {"core"},
    "encoder": {"core", "metrics"},
    "ranking": {"core", "metrics"},
    "evaluation": {"core", "metrics"},
    "tracking": {"core"},
    "serving": USED_BY_ALL_ABOVE | {"explain"},
    "explain": USED_BY_ALL_ABOVE,
    "monitoring": USED_BY_ALL_ABOVE,
}
# Modules of pipelines/ that may import other entries: they are the whole path.
WHOLE = {"run"}
TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md",
    "README.zh.md", "conf", "constraints.txt", "mlruns", "notebooks", "pipelines", "pyproject.toml", "src",
    "tests",
}  # fmt: skip


def python_files(*folders):
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def name(path):
    return path.relative_to(ROOT).as_posix()


def imports(path):
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def own_files():
    """Files that are or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git repository")
    return [path for line in listed.stdout.split("\0") if line and (path := ROOT / line).is_file()]


def test_the_import_contracts_hold():
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " 0 broken" in done.stdout


def rooms_on_disk():
    return {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}


def test_every_room_is_in_the_table():
    assert rooms_on_disk() <= set(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_room_has_a_contract_that_forbids_all_the_others(room):
    if room not in rooms_on_disk():
        pytest.skip("not built yet")
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one["name"].startswith(f"{room} imports from recsys")]
    assert contract["source_modules"] == [f"recsys.{room}"]
    assert not contract.get("allow_indirect_imports")
    forbidden = {module.removeprefix("recsys.") for module in contract["forbidden_modules"]}
    assert forbidden >= (rooms_on_disk() - ROOMS[room] - {room}) | {"cli"}
    assert not forbidden & ROOMS[room]


def test_nothing_under_src_imports_pipelines_or_config():
    for path in python_files(SOURCE):
        for module in imports(path):
            assert not module.startswith(("recsys.pipelines", "recsys.conf")), name(path)
            assert not module.startswith("."), f"{name(path)}: write imports in full"


def test_no_pipeline_reaches_into_another():
    """Entries (they have a main) are not imported by other entries; shared tools are."""
    files = python_files(ROOT / "pipelines")
    entries = {
        path.stem
        for path in files
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "main"
            for node in ast.parse(path.read_text()).body
        )
    }
    for path in files:
        if path.stem in entries - WHOLE:
            others = {f"recsys.pipelines.{entry}" for entry in entries - {path.stem}}
            assert not others & set(imports(path)), name(path)


@pytest.mark.parametrize("folder", [SOURCE, ROOT / "conf", ROOT / "pipelines"], ids=lambda path: path.name)
def test_package_files_hold_one_line_and_no_imports(folder):
    for path in folder.rglob("__init__.py"):
        if path == SOURCE / "__init__.py":
            continue
        (only,) = ast.parse(path.read_text()).body
        assert isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant), name(path)


def test_names_say_something():
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    for path in [*SOURCE.rglob("*"), *(ROOT / "pipelines").rglob("*")]:
        assert path.stem not in vague, name(path)


def test_the_top_of_the_repository():
    assert {path.relative_to(ROOT).parts[0] for path in own_files()} <= TOP_LEVEL


def test_files_are_short():
    long = {
        name(path): lines
        for path in python_files(SOURCE, ROOT / "pipelines")
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert not long


def test_tests_are_nearly_as_long_as_what_they_test():
    def lines(*folders):
        texts = (path.read_text() for path in python_files(*folders))
        return sum(1 for text in texts for line in text.splitlines() if line.strip())

    assert lines(ROOT / "tests") >= 0.8 * lines(SOURCE, ROOT / "pipelines")


def test_nothing_is_ever_unpickled():
    modules = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for path in python_files(SOURCE, ROOT / "pipelines"):
        assert not modules & {module.partition(".")[0] for module in imports(path)}, name(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            where = f"{name(path)}:{node.lineno}: {called}"
            assert given.get("allow_pickle", "False") == "False", where
            assert called not in {"torch.load", "pd.read_pickle", "pandas.read_pickle"}, where
            assert not called.endswith(".load_from_checkpoint"), where


def test_no_machine_and_no_workplace_in_the_files():
    # Written in pieces, so that this file does not find itself.
    places = re.compile(r"(?<![\w.])/(?:wor" + r"k|hom" + r"e|roo" + r"t|op" + r"t)/\w")
    outside = ".." + "/shared"
    for path in own_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        assert not places.search(text), f"{name(path)}: {places.search(text)}"
        if path.relative_to(ROOT).parts[0] != "tests":
            assert outside not in text, name(path)


def run_without(blocked, code):
    """Run code in a new process in which importing the named libraries raises."""
    # None in sys.modules: an import raises, and a library that only asks what is installed hears no.
    guard = f"import sys\nsys.modules.update(dict.fromkeys({sorted(blocked)!r}))\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", guard + code],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr[-3000:]


TRAINING = (
    "torch", "pytorch_lightning", "lightning", "transformers", "sentence_transformers", "torchrec",
    "lightgbm", "mlflow", "hydra", "omegaconf", "pandas", "sklearn", "matplotlib",
)  # fmt: skip


def test_the_guard_itself_bites():
    with pytest.raises(AssertionError, match="import of json halted"):
        run_without(["json"], "import json")


def test_a_model_folder_is_updated_without_what_training_needs():
    heavy = [name for name in TRAINING if name not in ("hydra", "omegaconf")]  # of the command line
    run_without(heavy, "import recsys.pipelines.rollback, recsys.pipelines.update\n")


def test_the_ranker_is_imported_without_what_training_needs():
    run_without(
        TRAINING, "from recsys.serving.ranker import Ranker\nimport recsys\nassert recsys.Ranker is Ranker\n"
    )


def test_importing_recsys_costs_nothing():
    run_without([*TRAINING, "numpy", "polars", "numba", "onnxruntime", "tokenizers"], "import recsys\n")


def test_the_hot_core_needs_no_polars():
    modules = ", ".join(
        f"recsys.core.{module}" for module in ("log", "as_of", "codes", "jit", "errors", "columns")
    )
    run_without([*TRAINING, "polars"], f"import {modules}\n")
