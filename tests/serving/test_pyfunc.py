from pathlib import Path

import pandas as pd
import pytest

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
