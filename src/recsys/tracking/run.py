"""What a run leaves in MLflow, and the same interface where nothing is recorded.

The only file that imports mlflow besides ``serving/pyfunc``, and only when a run is opened, so that
the base install works without it. Large artefacts are named by their path, never copied run by run.
"""

import importlib.util
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from recsys.core.checks import at_least, check_choice, check_numbers

_PARAM_LIMIT = 500  # characters; longer values say nothing in a table
_BATCH = 100
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # it is drawn where there is no terminal, too
}


@dataclass(frozen=True)
class TrackingConfig:
    """Where runs are recorded.

    Parameters
    ----------
    kind : "mlflow" or "none"
        Without the library, "mlflow" falls back to "none" and says so once.
    root : str
        The folder of ``mlflow.db`` and ``artifacts/``.
    experiment : str
        MLflow's experiment.
    copy_limit_mib : float
        Artefacts above this size are named by their path instead of being copied.
    """

    kind: Literal["mlflow", "none"] = "mlflow"
    root: str = "mlruns"
    experiment: str = "recsys"
    copy_limit_mib: float = 16.0

    def __post_init__(self) -> None:
        check_choice("tracking.kind", self.kind, ("mlflow", "none"))
        check_numbers(self, "tracking", copy_limit_mib=at_least(0))


class Run(Protocol):
    """One open run, a parent or the child of a stage."""

    def child(self, name: str, seconds: float = 0.0) -> AbstractContextManager["Run"]:
        """A run below this one, begun ``seconds`` ago and closed when the block ends."""

    def params(self, values: Mapping[str, Any]) -> None:
        """Settings; nested mappings become dotted names."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Numbers; "ndcg@10" is recorded as "ndcg_at_10"."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Short facts: the hashes of data and config, the commit."""

    def artifact(self, path: Path, folder: str = "") -> None:
        """A file or folder: copied if it is small, else named by its path."""

    def dataset(self, name: str, digest: str, source: str, context: str, rows: int | None = None) -> None:
        """An input by its name and hash; its content is not recorded."""

    def model(self, log: Callable[[], str]) -> str | None:
        """Call ``log`` with this run active (it calls mlflow.pyfunc.log_model); the model's URI."""


class NullRun:
    """Records nothing."""

    def child(self, name: str, seconds: float = 0.0) -> AbstractContextManager[Run]:
        return nullcontext(self)

    def params(self, values: Mapping[str, Any]) -> None: ...

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None: ...

    def tags(self, values: Mapping[str, str]) -> None: ...

    def artifact(self, path: Path, folder: str = "") -> None: ...

    def dataset(self, name: str, digest: str, source: str, context: str, rows: int | None = None) -> None: ...

    def model(self, log: Callable[[], str]) -> str | None:
        return None


NULL_RUN = NullRun()


class MlflowRun:
    """A run of MLflow, addressed by its id rather than by mlflow's stack of active runs."""

    def __init__(self, client: Any, experiment_id: str, run_id: str, config: TrackingConfig) -> None:
        self.client, self.experiment_id, self.run_id, self.config = client, experiment_id, run_id, config

    @contextmanager
    def child(self, name: str, seconds: float = 0.0) -> Iterator[Run]:
        begun = int(1_000 * (time.time() - seconds))
        with _opened(self.client, self.experiment_id, name, self.config, self.run_id, begun) as run:
            yield run

    def params(self, values: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        flat = [Param(clean(name), value[:_PARAM_LIMIT]) for name, value in flatten(values).items()]
        for start in range(0, len(flat), _BATCH):
            self.client.log_batch(self.run_id, params=flat[start : start + _BATCH])

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        for name, value in values.items():
            self.client.log_metric(self.run_id, clean(name), float(value), step=step)

    def tags(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            self.client.set_tag(self.run_id, name, value)

    def artifact(self, path: Path, folder: str = "") -> None:
        size = _size(path)
        if size <= self.config.copy_limit_mib * 2**20:
            log = self.client.log_artifacts if path.is_dir() else self.client.log_artifact
            place = "/".join(part for part in (folder, path.name if path.is_dir() else "") if part)
            log(self.run_id, str(path), artifact_path=place or None)
            return
        reference = {"path": str(path.resolve()), "bytes": size}
        place = "/".join(part for part in (folder, f"{path.name}.reference.json") if part)
        self.client.log_dict(self.run_id, reference, place)

    def dataset(self, name: str, digest: str, source: str, context: str, rows: int | None = None) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        entry = Dataset(
            name=name,
            digest=digest[:36],  # MLflow's limit
            source_type="local",
            source=json.dumps({"uri": source}),
            profile=None if rows is None else json.dumps({"num_rows": rows}),
        )
        tag = InputTag(key="mlflow.data.context", value=context)
        self.client.log_inputs(self.run_id, [DatasetInput(dataset=entry, tags=[tag])])

    def model(self, log: Callable[[], str]) -> str | None:
        import mlflow

        with mlflow.start_run(run_id=self.run_id):
            return log()


@contextmanager
def open_run(config: TrackingConfig, name: str, tags: Mapping[str, str]) -> Iterator[Run]:
    """The parent run of everything that happens in the block.

    Parameters
    ----------
    config : TrackingConfig
        Where, and whether at all.
    name : str
        The run's name.
    tags : mapping
        Data hash, config hash, git commit.
    """
    if config.kind == "none":
        yield NULL_RUN
        return
    if importlib.util.find_spec("mlflow") is None:
        print(
            "tracking: mlflow is not installed, so only the run folder is written "
            "(pip install 'recsys[train]', or tracking=none to say so)",
            file=sys.stderr,
        )
        yield NULL_RUN
        return
    client, experiment_id = _connect(config)
    with _opened(client, experiment_id, name, config) as run:
        run.tags(tags)
        yield run


def store_uri(root: str | Path) -> str:
    """The address of the tracking store below ``root``, with an absolute path."""
    return f"sqlite:///{Path(root).absolute() / 'mlflow.db'}"


def look(config: TrackingConfig) -> list[str]:
    """How to look at what was recorded: one line, or none where nothing is."""
    if config.kind == "none" or importlib.util.find_spec("mlflow") is None:
        return []
    return [f"tracking: mlflow ui --backend-store-uri {store_uri(config.root)}"]


def clean(name: str) -> str:
    """A name that MLflow takes: "@" becomes "_at_", other strange characters "_"."""
    return re.sub(r"[^\w\-. :/]", "_", name.replace("@", "_at_"))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and words, in their order."""
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{prefix}{name}."))
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value, default=str)
    return flat


def _connect(config: TrackingConfig) -> tuple[Any, str]:
    for name, value in _QUIET.items():  # before the import
        os.environ.setdefault(name, value)
    import mlflow

    for chatty in ("alembic", "mlflow.store"):  # a line for each migration of a new store
        logging.getLogger(chatty).setLevel(logging.WARNING)
    root = Path(config.root).absolute()
    root.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(store_uri(root))
    mlflow.set_registry_uri(store_uri(root))
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(config.experiment)
    if experiment is not None:
        return client, experiment.experiment_id
    return client, client.create_experiment(config.experiment, (root / "artifacts").as_uri())


@contextmanager
def _opened(
    client: Any,
    experiment_id: str,
    name: str,
    config: TrackingConfig,
    parent: str | None = None,
    begun: int | None = None,
) -> Iterator[MlflowRun]:
    """A run that is closed as finished, killed or failed; ``begun`` in milliseconds, now by default."""
    tags = {} if parent is None else {"mlflow.parentRunId": parent}
    run_id = client.create_run(experiment_id, start_time=begun, run_name=name, tags=tags).info.run_id
    status = "FINISHED"
    try:
        yield MlflowRun(client, experiment_id, run_id, config)
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    except BaseException:
        status = "FAILED"
        raise
    finally:
        client.set_terminated(run_id, status)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
