"""A run's folder, facts and closing line."""

import datetime as dt
import json
import re

import pytest

from recsys.core.errors import ConfigError
from recsys.pipelines.door import compose
from recsys.pipelines.runner import Stage
from recsys.pipelines.session import PathsConfig, git_commit, run_folder, session

NOW = dt.datetime(2026, 3, 4, 5, 6, 7)


def test_a_run_gets_a_folder_of_its_own(tmp_path):
    paths = PathsConfig(root=str(tmp_path))
    first = run_folder(paths, "shop", NOW)
    assert first == tmp_path / "runs" / "shop" / "2026-03-04_05-06-07"
    first.mkdir(parents=True)
    assert run_folder(paths, "shop", NOW).name == "2026-03-04_05-06-07_2"
    assert run_folder(PathsConfig(run_dir="here/it/is"), "shop", NOW).as_posix() == "here/it/is"


@pytest.mark.parametrize("name", ["", "a/b", ".."])
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(ConfigError, match="name: expected a word without slashes"):
        run_folder(PathsConfig(), name, NOW)


def test_the_commit_is_a_hash_or_nothing(monkeypatch):
    assert re.fullmatch(r"([0-9a-f]{40}\+?)?", git_commit())
    monkeypatch.setenv("PATH", "")
    assert git_commit() == ""


def overrides(tmp_path):
    return ["tracking=none", f"paths.root={tmp_path}", f"paths.run_dir={tmp_path}/run", "name=try"]


def test_a_session_runs_stages_and_says_where_they_are(tmp_path, capsys):
    with session(compose(overrides(tmp_path)), data_hash="d") as runner:
        runner(Stage("prepare", lambda inputs, config, out: None, ()), {}, {"a": 1})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("prepare ")
    assert lines[-1] == f"done: {tmp_path}/run"
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["name"] == "try"
    assert manifest["data_hash"] == "d"
    assert manifest["config"]["paths"]["root"] == str(tmp_path)
    assert len(manifest["config_hash"]) == 64
    assert (tmp_path / "work" / "prepare").is_dir()


def test_a_session_passes_on_what_goes_wrong_and_claims_nothing(tmp_path, capsys):
    with pytest.raises(RuntimeError, match="it broke"), session(compose(overrides(tmp_path))):
        raise RuntimeError("it broke")
    assert "done" not in capsys.readouterr().out


def test_force_comes_from_the_configuration(tmp_path):
    with session(compose([*overrides(tmp_path), "force=true"]), only="prepare") as runner:
        assert runner.force
        assert runner.only == "prepare"
