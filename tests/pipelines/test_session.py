"""A run's folder and facts."""

import datetime as dt
import json

import pytest

from recsys.core.errors import ConfigError
from recsys.pipelines import keys
from recsys.pipelines.door import compose
from recsys.pipelines.runner import Stage
from recsys.pipelines.session import PathsConfig, asked, run_folder, session

NOW = dt.datetime(2026, 3, 4, 5, 6, 7)
PREPARE = Stage("prepare", lambda inputs, config, out: None, ())


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


def overrides(tmp_path):
    return ["tracking=none", f"paths.root={tmp_path}", f"paths.run_dir={tmp_path}/run", "name=try"]


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_a_session_runs_stages_and_notes_its_facts(tmp_path, capsys):
    inputs = {"events": (tmp_path / "events.csv", "abc")}
    with session(compose(overrides(tmp_path)), data_hash="d", inputs=inputs) as runner:
        runner(PREPARE, {"events": tmp_path / "events.csv"}, {"a": 1})  # known by the hash that was given
    assert capsys.readouterr().out.startswith("prepare ")
    found = manifest(tmp_path / "run")
    assert found["name"] == "try"
    assert found["data_hash"] == "d"
    assert found["inputs"] == {"events": {"path": str(tmp_path / "events.csv"), "hash": "abc"}}
    assert found["stages"]["prepare"]["inputs"] == {"events": "abc"}
    assert found["config"]["paths"]["root"] == str(tmp_path)
    assert len(found["config_hash"]) == len(found["code_hash"]) == 64
    assert (tmp_path / "work" / "prepare").is_dir()


def again(tmp_path, *changes, data="d"):
    """One more command of the same name, without a folder of its own; its run folder."""
    words = [word for word in overrides(tmp_path) if not word.startswith("paths.run_dir")]
    with session(compose([*words, *changes]), data_hash=data) as runner:
        runner(PREPARE, {}, {"changes": list(changes)})
    return runner.run_dir


def test_the_same_command_goes_on_in_the_same_folder(tmp_path):
    first = again(tmp_path)
    assert again(tmp_path) == again(tmp_path, "force=true") == first
    assert not manifest(first)["stages"]["prepare"]["skipped"]  # this folder's own work


@pytest.mark.parametrize(("changes", "data"), [(["seed=3"], "d"), (["scoring.k=2"], "d"), ([], "other")])
def test_what_differs_gets_a_folder_of_its_own(tmp_path, changes, data):
    first = again(tmp_path)
    kept = (first / "manifest.json").read_bytes()
    assert again(tmp_path, *changes, data=data) != first
    assert (first / "manifest.json").read_bytes() == kept


def test_other_code_gets_a_folder_of_its_own(tmp_path, monkeypatch):
    first = again(tmp_path)
    monkeypatch.setattr(keys, "code_version", lambda modules: "other")
    assert again(tmp_path) != first


def test_where_a_run_goes_and_who_records_it_decide_nothing(tmp_path):
    plain = compose(["tracking=none"])
    moved = compose([f"paths.root={tmp_path}", "tracking=mlflow", "force=true"])
    assert asked(plain) == asked(moved)
    assert asked(plain) != asked(compose(["seed=1"]))


def test_the_newest_of_several_goes_on(tmp_path):
    paths = PathsConfig(root=str(tmp_path))
    for stamp, config in (("2026-01-01_00-00-00", "a"), ("2026-01-02_00-00-00", "a"), ("2026-01-03", "b")):
        folder = tmp_path / "runs" / "shop" / stamp
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps({"config_hash": config}))
    assert run_folder(paths, "shop", NOW, {"config_hash": "a"}).name == "2026-01-02_00-00-00"
    assert run_folder(paths, "shop", NOW, {"config_hash": "c"}).name == "2026-03-04_05-06-07"
    assert run_folder(paths, "other", NOW, {"config_hash": "a"}).parent.name == "other"


def test_a_session_passes_on_what_goes_wrong_and_claims_nothing(tmp_path, capsys):
    with pytest.raises(RuntimeError, match="it broke"), session(compose(overrides(tmp_path))):
        raise RuntimeError("it broke")
    assert "done" not in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_force_comes_from_the_configuration(tmp_path):
    with session(compose([*overrides(tmp_path), "force=true"]), only="prepare") as runner:
        assert runner.force
        assert runner.only == "prepare"
