"""A model folder by its path, or by the URI that MLflow knows it by."""

import importlib
from pathlib import Path

from recsys.core.errors import MissingExtraError

SCHEMES = ("models:/", "runs:/")


def model_folder(path: str | Path) -> Path:
    """The folder of a model.

    Parameters
    ----------
    path : path
        The folder itself, or ``models:/name@alias``, ``models:/name/version`` or ``runs:/...`` in the store
        that ``mlflow.set_tracking_uri`` or the environment's MLFLOW_TRACKING_URI names.

    Raises
    ------
    BundleError
        The store has no such model, or it holds no bundle.
    MissingExtraError
        For a URI where mlflow is not installed.
    """
    if not str(path).startswith(SCHEMES):
        return Path(path)
    try:  # by name: what ranks must not need mlflow
        pyfunc = importlib.import_module("recsys.serving.pyfunc")
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "mlflow", "train") from error
    folder: Path = pyfunc.logged_folder(str(path))
    return folder
