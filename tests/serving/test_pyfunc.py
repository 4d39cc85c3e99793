import sys
from pathlib import Path

import pandas as pd
import pytest

from recsys.core.errors import BundleError, MissingExtraError
from recsys.serving.pyfunc import log_bundle, mlflow
from recsys.serving.ranker import Ranker


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlflow.db")
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("e", (root / "artifacts").as_uri()))


@pytest.mark.parametrize("limit", [64.0, 0.0], ids=["copied", "by reference"])
def test_a_logged_bundle_answers_like_the_ranker(folder: Path, limit: float) -> None:
    with mlflow.start_run():
        uri = log_bundle(folder, copy_limit_mib=limit)
    model = mlflow.pyfunc.load_model(uri)
    ranker = Ranker.load(folder)

    frame = model.predict(pd.DataFrame({"user_id": ["u1", "new"]}), params={"k": 3})
    assert list(frame.columns) == ["user_id", "rank", "item_id", "score"]
    expected = ranker.recommend("u1", 3)
    mine = frame[frame["user_id"] == "u1"]
    assert mine["item_id"].tolist() == list(expected.item_ids)
    assert mine["rank"].tolist() == expected.ranks.tolist()
    assert (frame["user_id"] == "new").sum() == 3

    given = pd.DataFrame({"user_id": ["u0"], "item_ids": [["i1", "i2", "x"]]})
    ranked = model.predict(given)
    assert ranked["item_id"].tolist() == list(ranker.rank("u0", ["i1", "i2", "x"]).item_ids)

    copied = (Path(mlflow.artifacts.download_artifacts(uri)) / "artifacts").is_dir()
    assert copied == (limit > 0)
    assert model.metadata.signature.inputs.input_names() == ["user_id", "item_ids"]
    assert not model.unwrap_python_model()._ranker.chances  # which its output would not have


def test_a_logged_model_is_opened_by_its_name(folder: Path) -> None:
    for limit in (64.0, 0.0):
        with mlflow.start_run():
            uri = log_bundle(folder, copy_limit_mib=limit, registered_model_name="recsys")
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("recsys", "champion", 1)
    plain = Ranker.load(folder).rank("u1", ["i1", "i2", "i3"], at="state")
    for name in (uri, "models:/recsys@champion", "models:/recsys/2"):
        answer = Ranker.load(name).rank("u1", ["i1", "i2", "i3"], at="state")
        assert answer.item_ids == plain.item_ids and answer.scores.tolist() == plain.scores.tolist()
    with pytest.raises(BundleError, match="models:/recsys@challenger: expected a model that log_bundle"):
        Ranker.load("models:/recsys@challenger")


def test_a_name_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "recsys.serving.pyfunc", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recsys\[train\]'"):
        Ranker.load("models:/recsys@champion")
