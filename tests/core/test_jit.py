"""The compile decorator: where its cache lies, what names it, and that it works without one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from recsys.core import jit
from recsys.core.jit import KERNELS, kernel

DOUBLE = """
from recsys.core import jit

@jit.kernel
def double(x):
    return 2 * x

print(double(21), jit.CACHE_FOLDER)
"""


def _run(code: str, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k not in ("RECSYS_CACHE_DIR", "XDG_CACHE_HOME")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment,
        check=True,
        timeout=600,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def _folder(**environment: str) -> str:
    return _run("from recsys.core import jit; print(jit.CACHE_FOLDER)", **environment)


def test_a_cache_folder_that_is_a_file_means_no_cache(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert _run(DOUBLE, RECSYS_CACHE_DIR=str(blocked)) == "42 None"
    assert blocked.read_text() == "in the way"


def test_a_place_where_no_folder_can_be_made_means_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_CACHE_DIR", "/proc/nothing/here")
    assert jit._cache_folder() is None


def test_the_cache_is_filled_and_used_again(tmp_path: Path) -> None:
    (tmp_path / "doubling.py").write_text(DOUBLE)  # code without a file has no cache
    setting = {"RECSYS_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(tmp_path), "NUMBA_DISABLE_JIT": "0"}
    first = _run("import doubling", **setting)
    assert first.startswith(f"42 {tmp_path}")
    files = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.nbi"))
    assert files, "the compiled code was kept"
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")}
    assert written
    assert _run("import doubling", **setting) == first
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")} == written, "nothing compiled again"


def test_our_own_variable_goes_before_the_systems(tmp_path: Path) -> None:
    ours, system = tmp_path / "ours", tmp_path / "system"
    assert _folder(RECSYS_CACHE_DIR=str(ours), XDG_CACHE_HOME=str(system)).startswith(str(ours))
    assert not system.exists()
    assert _folder(XDG_CACHE_HOME=str(system)).startswith(str(system / "recsys" / "kernels"))


def test_code_with_bounds_checks_has_a_cache_of_its_own(tmp_path: Path) -> None:
    plain = _folder(RECSYS_CACHE_DIR=str(tmp_path), NUMBA_BOUNDSCHECK="0")
    checked = _folder(RECSYS_CACHE_DIR=str(tmp_path), NUMBA_BOUNDSCHECK="1")
    assert Path(plain).parent == Path(checked).parent
    assert plain != checked


def test_the_folder_is_named_by_every_kernel_and_by_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "a.py", tmp_path / "b.py"
    one.write_text("from recsys.core.jit import kernel\nX = 1\n")
    two.write_text("Y = 1\n")
    monkeypatch.setattr(jit, "_sources", lambda: iter([one]))
    before = jit._fingerprint()
    two.write_text("Y = 2\n")
    assert jit._fingerprint() == before
    one.write_text("from recsys.core.jit import kernel\nX = 2\n")
    changed = jit._fingerprint()
    assert changed != before, "a constant that a kernel reads was edited"
    renamed = one.rename(tmp_path / "c.py")
    monkeypatch.setattr(jit, "_sources", lambda: iter([renamed]))
    assert jit._fingerprint() != changed


def test_another_numba_has_another_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    before = jit._fingerprint()
    monkeypatch.setattr(numba, "__version__", "0.0.0")
    assert jit._fingerprint() != before


def test_the_sources_are_all_files_that_compiled_code_may_take_in() -> None:
    files = list(jit._sources())
    names = {"/".join(p.parts[-2:]) for p in files}
    assert {"core/log.py", "interest/user.py", "encoder/batch.py"} <= names  # hold kernels
    assert {"core/columns.py", "state/family.py"} <= names  # hold constants that kernels read
    assert "data/clean.py" not in names
    assert files == sorted(files) and len(files) == len(set(files))


def test_no_kernel_and_nothing_that_it_may_import_lies_outside_the_hashed_rooms() -> None:
    root = Path(jit.__file__).resolve().parent.parent
    hashed = set(jit._sources())
    for path in root.rglob("*.py"):
        if "pipelines" not in path.parts and "import kernel" in path.read_text():
            assert path in hashed, path
            for line in re.findall(r"^from recsys\.(\w+)", path.read_text(), re.M):
                assert line in jit.ROOMS, (path, line)


def test_numbas_own_setting_is_given_back() -> None:
    before = numba.config.CACHE_DIR
    with jit._cache_here(Path("/somewhere")):
        assert numba.config.CACHE_DIR == "/somewhere"
    assert before == numba.config.CACHE_DIR
    with pytest.raises(RuntimeError), jit._cache_here(None):
        assert numba.config.CACHE_DIR == ""
        raise RuntimeError
    assert before == numba.config.CACHE_DIR


def test_without_a_home_there_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("RECSYS_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", staticmethod(homeless))
    assert jit._cache_folder() is None


def test_writable_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    assert jit._writable(tmp_path / "deep" / "er")
    assert list((tmp_path / "deep" / "er").iterdir()) == []
    (tmp_path / "file").write_text("")
    assert not jit._writable(tmp_path / "file")


@pytest.mark.kernel
def test_a_kernel_is_known_and_divides_like_numpy() -> None:
    before = len(KERNELS)

    @kernel
    def ratio(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
        for i in range(a.shape[0]):
            out[i] = a[i] / b[i]

    try:
        assert len(KERNELS) == before + 1
        out = np.empty(3)
        with np.errstate(all="ignore"):  # the plain function warns where compiled code does not
            ratio(np.array([1.0, -1.0, 0.0]), np.zeros(3), out)
        assert out[0] == np.inf and out[1] == -np.inf and np.isnan(out[2])
    finally:
        KERNELS.pop()


def test_every_kernel_of_the_house_is_listed() -> None:
    import recsys.interest.score  # its kernels are registered by importing it

    names = {f"{k.__module__}.{k.__name__}" for k in KERNELS}
    assert {
        "recsys.core.log.follow",
        "recsys.interest.score._score_rows",
        "recsys.interest.user.dot",
    } <= names
    assert recsys.interest.score.__doc__
