"""The tracker: what MLflow holds after a run, and nothing where it is off or absent."""

import importlib.util
import json

import pytest

from recsys.core.errors import ConfigError
from recsys.tracking import run as tracking
from recsys.tracking.run import NULL_RUN, TrackingConfig, clean, flatten, look, open_run, store_uri


def test_names_that_mlflow_takes():
    assert clean("test/ndcg@10") == "test/ndcg_at_10"
    assert clean("rows/a,b") == "rows/a_b"
    assert clean("plain-name_1.x y") == "plain-name_1.x y"


def test_settings_become_dotted_words_in_order():
    nested = {"b": {"x": 1, "y": {"z": [1, 2]}}, "a": "word", "none": None, "flag": True, "empty": {}}
    assert flatten(nested) == {
        "b.x": "1",
        "b.y.z": "[1, 2]",
        "a": "word",
        "none": "null",
        "flag": "true",
        "empty": "{}",
    }
    assert list(flatten(nested))[0] == "b.x"


def test_the_store_is_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert store_uri("mlruns") == f"sqlite:///{tmp_path}/mlruns/mlflow.db"


def test_a_negative_limit_is_refused():
    with pytest.raises(ConfigError, match=r"tracking\.copy_limit_mib: expected at least 0; found -1"):
        TrackingConfig(copy_limit_mib=-1)


def test_none_records_nothing(tmp_path):
    with open_run(TrackingConfig(kind="none", root=str(tmp_path / "runs")), "a", {}) as run:
        assert run is NULL_RUN
        with run.child("stage") as child:
            child.params({"a": 1})
            child.metrics({"loss": 1.0}, step=2)
            child.tags({"k": "v"})
            child.artifact(tmp_path / "absent")
            child.dataset("events", "00", "x", "train")
            assert child.model(lambda: pytest.fail("the model was logged")) is None
    assert not (tmp_path / "runs").exists()


def test_without_the_library_it_says_so_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with open_run(TrackingConfig(root=str(tmp_path / "runs")), "a", {}) as run:
        assert run is NULL_RUN
    assert capsys.readouterr().err.count("mlflow is not installed") == 1
    assert not (tmp_path / "runs").exists()


def test_how_to_look_at_it_names_the_store_that_was_written(tmp_path, monkeypatch):
    config = TrackingConfig(root=str(tmp_path))
    if importlib.util.find_spec("mlflow") is not None:
        uri = f"sqlite:///{tmp_path}/mlflow.db"
        assert look(config) == [f"tracking: mlflow ui --backend-store-uri {uri}"]
    assert look(TrackingConfig(kind="none", root=str(tmp_path))) == []
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert look(config) == []


def test_runs_are_found_at_the_address_that_is_printed(recorded):
    import mlflow

    _, config, _ = recorded
    (line,) = look(config)
    found = mlflow.MlflowClient(tracking_uri=line.split()[-1])
    experiment = found.get_experiment_by_name("shop")
    assert "first" in {run.info.run_name for run in found.search_runs([experiment.experiment_id])}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """One run with a finished and a failed stage; making the store takes seconds, so it is made once."""
    pytest.importorskip("mlflow")
    root = tmp_path_factory.mktemp("tracking")
    (root / "report.html").write_text("a report")
    (root / "large.bin").write_bytes(bytes(300_000))
    (root / "folder").mkdir()
    (root / "folder" / "small.json").write_text("{}")
    config = TrackingConfig(root=str(root / "mlruns"), experiment="shop", copy_limit_mib=0.1)
    with open_run(config, "first", {"data_hash": "d", "git_sha": "g"}) as run:
        run.dataset("events", "ab" * 32, "shop/events.parquet", "train", rows=7)
        with run.child("train-encoder") as child:
            child.params({"trainer": {"lr": 0.1}, "long": "x" * 9000} | {f"p{i}": i for i in range(150)})
            child.metrics({"ndcg@10": 0.25}, step=1)
            child.metrics({"ndcg@10": 0.5}, step=2)
            child.artifact(root / "report.html")
            child.artifact(root / "large.bin")
            child.artifact(root / "folder", "tables")
        with pytest.raises(RuntimeError, match="broke"), run.child("evaluate"):
            raise RuntimeError("it broke")
        with pytest.raises(KeyboardInterrupt), run.child("score"):
            raise KeyboardInterrupt
        active = run.model(lambda: tracking_active_run())
        assert active == run.run_id
    return root, config, run


def tracking_active_run():
    import mlflow

    return mlflow.active_run().info.run_id


def children(run):
    found = run.client.search_runs([run.experiment_id], f"tags.mlflow.parentRunId = '{run.run_id}'")
    return {child.data.tags["mlflow.runName"]: child for child in found}


def test_a_parent_with_a_child_a_stage(recorded):
    root, config, run = recorded
    parent = run.client.get_run(run.run_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["data_hash"] == "d"
    assert parent.data.tags["git_sha"] == "g"
    assert {name: child.info.status for name, child in children(run).items()} == {
        "train-encoder": "FINISHED",
        "evaluate": "FAILED",
        "score": "KILLED",
    }


def test_params_and_metrics_by_step(recorded):
    _, _, run = recorded
    child = children(run)["train-encoder"]
    assert child.data.params["trainer.lr"] == "0.1"
    assert len(child.data.params["long"]) == 500
    assert child.data.params["p149"] == "149"
    history = run.client.get_metric_history(child.info.run_id, "ndcg_at_10")
    assert [(metric.step, metric.value) for metric in history] == [(1, 0.25), (2, 0.5)]


def test_small_artifacts_are_copied_and_large_ones_named(recorded):
    root, _, run = recorded
    child = children(run)["train-encoder"]
    names = {file.path for file in run.client.list_artifacts(child.info.run_id)}
    assert names == {"report.html", "large.bin.reference.json", "tables"}
    place = root / "mlruns" / "artifacts" / child.info.run_id / "artifacts"
    reference = json.loads((place / "large.bin.reference.json").read_text())
    assert reference == {"path": str(root / "large.bin"), "bytes": 300_000}
    assert (place / "tables" / "folder" / "small.json").read_text() == "{}"


def test_inputs_by_hash_and_nothing_outside_the_root(recorded):
    root, _, run = recorded
    (entry,) = run.client.get_run(run.run_id).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("events", "ab" * 18)
    assert json.loads(entry.dataset.profile) == {"num_rows": 7}
    assert entry.tags[0].value == "train"
    assert (root / "mlruns" / "mlflow.db").is_file()


def test_a_second_run_joins_the_experiment(recorded):
    _, config, run = recorded
    with open_run(config, "second", {}) as second:
        assert second.experiment_id == run.experiment_id
        assert second.run_id != run.run_id


def test_both_kinds_offer_the_same_methods():
    names = {name for name in vars(tracking.Run) if not name.startswith("_")}
    for kind in (tracking.NullRun, tracking.MlflowRun):
        assert names <= {name for name in dir(kind) if not name.startswith("_")}
