"""What is installed: the base without torch, conf and pipelines inside, versions that work together."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

import recsys
from tests.pipelines.toy_shop import toy_run

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
HEAVY = {
    "torch",
    "pytorch-lightning",
    "transformers",
    "lightgbm",
    "mlflow",
    "sentence-transformers",
    "pandas",
}


def distribution(requirement):
    return re.split(r"[\[<>=!~ ;]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {distribution(pin): version for pin, version in pins}


def packages_on_disk():
    for package, folder in PROJECT["tool"]["setuptools"]["package-dir"].items():
        for init in (ROOT / folder).rglob("__init__.py"):
            yield ".".join([package, *init.parent.relative_to(ROOT / folder).parts])


def test_every_package_is_listed():
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(packages_on_disk())


def test_every_config_folder_is_a_package():
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert (path.parent / "__init__.py").is_file(), path


def test_the_base_install_has_no_training_library():
    base = {distribution(requirement) for requirement in PROJECT["project"]["dependencies"]}
    assert base >= {"numpy", "polars", "numba", "onnxruntime", "tokenizers", "hydra-core", "rich"}
    assert not base & HEAVY


def test_the_extras():
    assert set(EXTRAS) == {"train", "minilm", "tune", "torchrec", "baselines", "ray", "serve", "dev", "all"}
    # torchrec and ray are asked for by name
    assert EXTRAS["all"] == ["recsys[train,minilm,tune,baselines,serve,dev]"]


def test_everything_that_make_installs_is_pinned():
    pins = constraints()
    wanted = list(PROJECT["project"]["dependencies"])
    for extra in ("train", "minilm", "tune", "baselines", "serve", "dev"):
        wanted += EXTRAS[extra]
    assert {distribution(requirement) for requirement in wanted} <= set(pins)
    parts = re.search(r"^TORCHREC_PARTS := (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert parts and {"fbgemm-gpu-cpu", "torchmetrics"} < set(parts[1].split())
    assert {*parts[1].split(), "torchrec"} <= set(pins)
    assert (pins["torch"], pins["torchrec"], pins["fbgemm-gpu-cpu"]) == ("2.13.0", "1.8.0", "1.8.0")


def test_torchrec_is_installed_alone_after_its_parts():
    """Its metadata would bring CUDA's build."""
    lines = [line.strip() for line in (ROOT / "Makefile").read_text().splitlines()]
    own = lines.index("$(PIP) --no-deps torchrec")
    assert lines.index("$(PIP) $(TORCHREC_PARTS)") < own
    assert not any("torchrec" in line for extra in ("train", "dev", "all") for line in EXTRAS[extra])


def test_the_pins_are_what_is_installed():
    for pin, version in constraints().items():
        assert importlib.metadata.version(pin).partition("+")[0] == version, pin


def test_make_installs_by_the_pins_and_keeps_a_stamp():
    text = (ROOT / "Makefile").read_text()
    assert "-c constraints.txt" in text
    assert "$(VENV)/.demo: pyproject.toml constraints.txt" in text
    assert "$(VENV)/.dev: pyproject.toml constraints.txt" in text
    # A stamp that is young enough: nothing is left to do but the command itself.
    done = subprocess.run(
        ["make", "-n", "-o", ".venv/.demo", "demo"],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},  # this may run below make
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ".venv/bin/recsys run\n"


def test_the_check_fails_when_a_step_fails():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "pipefail" in script.read_text()


def test_config_and_types_are_packaged():
    assert (files("recsys.conf") / "config.yaml").is_file()
    assert (files("recsys.conf.tracking") / "mlflow.yaml").is_file()
    assert (files("recsys") / "py.typed").is_file()


def test_the_version_is_said_once():
    assert importlib.metadata.version("recsys") == recsys.__version__
    assert f"## {recsys.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.slow
def test_the_wheel_carries_everything_and_runs_from_anywhere(tmp_path):
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder, place in (
        ("src/recsys", "recsys"),
        ("conf", "recsys/conf"),
        ("pipelines", "recsys/pipelines"),
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".yaml"} or path.name == "py.typed":
                assert f"{place}/{path.relative_to(ROOT / folder).as_posix()}" in inside
    assert not [entry for entry in inside if entry.startswith(("tests", "conf/", "pipelines/"))]

    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    model = toy_run().run_dir / "model"
    code = (
        "import recsys, recsys.pipelines.door as door\n"
        f"assert recsys.__file__.startswith({str(site)!r}), recsys.__file__\n"
        f"assert door.__file__.startswith({str(site)!r}), door.__file__\n"
        "assert door.compose(['tracking=none']).tracking.kind == 'none'\n"
        "from recsys.serving.ranker import Ranker\n"
        f"ranker = Ranker.load({str(model)!r}, verify=True)\n"
        "best = ranker.recommend('nobody', 5)\n"
        "again = ranker.rank('nobody', reversed(best.item_ids))\n"
        "assert sorted(again.item_ids) == sorted(best.item_ids), again.item_ids\n"
        "print(len(again))\n"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "5\n", done.stderr
