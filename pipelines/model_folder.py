"""The model folder that a command was given, and the one process that may change what stands there."""

from contextlib import AbstractContextManager
from pathlib import Path

from recsys.core.errors import ConfigError
from recsys.core.exchange import aside
from recsys.pipelines.lock import held
from recsys.pipelines.runner import FACTS
from recsys.serving.bundle import read_manifest


def model_folder(path: str | None, command: str) -> Path:
    """The folder that a command was given.

    Raises
    ------
    ConfigError
        None was given, or the output of a stage, which other runs read.
    """
    if not path:
        raise ConfigError(
            "model",
            expected="a model folder",
            found="none",
            do=f"Give one: recsys {command} model=mlruns/runs/shop/first/model.",
        )
    folder = Path(path).resolve()
    if not aside(folder).exists():
        read_manifest(folder)  # before anything is made beside it
    if (folder.parent / FACTS).is_file():
        raise ConfigError(
            "model",
            expected="a model folder of your own, or the folder model/ of a run",
            found=f"{path}, what the stage {folder.parent.parent.name} keeps for every run",
            do="Copy it (cp -r), and give the copy.",
        )
    return folder


def locked(folder: Path) -> AbstractContextManager[bool]:
    """One process at a time changes what stands at a place."""
    return held(folder.with_name(f".{folder.name}.lock"), lambda pid: print(f"waiting for process {pid}"))
