"""The bundle as an MLflow model ("models from code": MLflow keeps this file and runs it on loading).

Beside `recsys.tracking.run` the only file that imports mlflow; nothing that ranks imports this one.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import recsys
from recsys.core import columns as c
from recsys.serving.bundle import bundle_error, read_manifest
from recsys.serving.many import answer_one
from recsys.serving.ranker import Ranker

with warnings.catch_warnings():  # mlflow warns of its own type hints when it is imported
    warnings.simplefilter("ignore")
    import mlflow
    import mlflow.pyfunc
    from mlflow.models.signature import ModelSignature
    from mlflow.pyfunc.model import PythonModel
    from mlflow.types.schema import Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema

BUNDLE = "bundle"
ITEM_IDS, EXCLUDE_SEEN = "item_ids", "exclude_seen"
MIB = 1 << 20


def signature() -> ModelSignature:
    """What goes in and comes out, written down: MLflow cannot infer optional lists."""
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(DataType.string, c.USER_ID),
                ColSpec(Array(DataType.string), ITEM_IDS, required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(DataType.string, c.USER_ID),
                ColSpec(DataType.long, c.RANK),
                ColSpec(DataType.string, c.ITEM_ID),
                ColSpec(DataType.double, c.SCORE),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec(c.K, DataType.long, 10),
                ParamSpec(EXCLUDE_SEEN, DataType.boolean, True),
            ]
        ),
    )


class RecsysModel(PythonModel):
    """Ranks ``item_ids`` for ``user_id`` where they are given, else recommends from the catalogue."""

    def load_context(self, context: Any) -> None:
        """Open the bundle: an artifact of the model, or the folder that it was logged by reference to."""
        path = context.artifacts.get(BUNDLE) or context.model_config[BUNDLE]
        self._ranker = Ranker.load(path, chances=False)  # the output has none

    def predict(
        self, context: Any, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row for each answered item.

        Parameters
        ----------
        context : PythonModelContext
        model_input : DataFrame
            user_id (null: nobody known) and, optionally, item_ids (a list a row).
        params : mapping, optional
            ``k`` (10), ``exclude_seen`` (True; of recommendations alone).

        Returns
        -------
        DataFrame
            user_id, rank, item_id, score; users in the order given, best first.
        """
        given = {c.K: 10, EXCLUDE_SEEN: True, **(params or {})}
        k = int(given[c.K])
        users = model_input[c.USER_ID].tolist()
        lists = model_input[ITEM_IDS].tolist() if ITEM_IDS in model_input.columns else [None] * len(users)
        out: dict[str, list[Any]] = {name: [] for name in (c.USER_ID, c.RANK, c.ITEM_ID, c.SCORE)}
        for user, item_ids in zip(users, lists, strict=True):
            # pandas writes what is missing as NaN
            listed = None if isinstance(item_ids, float) else item_ids
            known = user if isinstance(user, str) else None
            answer = answer_one(self._ranker, known, listed, k, exclude_seen=bool(given[EXCLUDE_SEEN]))
            out[c.USER_ID].extend([user] * len(answer))
            out[c.RANK].extend(answer.ranks.tolist())
            out[c.ITEM_ID].extend(answer.item_ids)
            out[c.SCORE].extend(answer.scores.tolist())
        return pd.DataFrame(out)


def log_bundle(
    folder: str | Path,
    name: str = "model",
    *,
    copy_limit_mib: float = 16.0,
    registered_model_name: str | None = None,
) -> str:
    """Log a bundle as a model of the active run.

    Parameters
    ----------
    folder : path
        The model folder.
    name : str
        Of the logged model.
    copy_limit_mib : float
        A larger bundle is not copied: the model keeps its absolute path.
    registered_model_name : str, optional
        Also register it, to be given an alias such as ``champion``.

    Returns
    -------
    str
        The model's URI.
    """
    path = Path(folder).resolve()
    manifest = read_manifest(path)
    size = sum(int(entry["bytes"]) for entry in manifest["files"].values())
    copied = size <= copy_limit_mib * MIB
    with warnings.catch_warnings():  # it wants an input example to check the signature, which is written down
        warnings.simplefilter("ignore")
        logged = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(Path(__file__)),
            artifacts={BUNDLE: str(path)} if copied else None,
            model_config=None if copied else {BUNDLE: str(path)},
            signature=signature(),
            pip_requirements=[f"recsys=={recsys.__version__}"],
            registered_model_name=registered_model_name,
            metadata={"engine": manifest["engine"], "users": manifest["users"], "items": manifest["items"]},
        )
    return str(logged.model_uri)


def logged_folder(uri: str) -> Path:
    """The model folder behind an MLflow URI, as `log_bundle` logged it.

    Parameters
    ----------
    uri : str
        ``models:/name@alias``, ``models:/name/version`` or ``runs:/...``, in the store that
        ``mlflow.set_tracking_uri`` or the environment's MLFLOW_TRACKING_URI names.

    Raises
    ------
    BundleError
        There is no such model, or it holds no bundle.
    """
    try:
        model = Path(mlflow.artifacts.download_artifacts(uri))
        told = mlflow.models.Model.load(str(model)).flavors["python_function"]
        copied = (told.get("artifacts") or {}).get(BUNDLE)
        return model / copied["path"] if copied else Path(told["config"][BUNDLE])
    except (mlflow.exceptions.MlflowException, OSError, KeyError) as error:
        raise bundle_error(
            f"the model {uri}",
            "a model that log_bundle logged, in the store that MLFLOW_TRACKING_URI names",
            str(error).partition("\n")[0],
            "Name its store and version, or give the folder model/ of a run.",
        ) from error


mlflow.models.set_model(RecsysModel())
