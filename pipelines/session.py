"""Opens a run: its folders, its tracker, its facts."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from recsys.core.artefact import read_json
from recsys.core.errors import ConfigError
from recsys.pipelines import keys
from recsys.pipelines.commit import git_commit
from recsys.pipelines.door import to_dataclass
from recsys.pipelines.manifest import ELSEWHERE, MANIFEST
from recsys.pipelines.runner import Runner
from recsys.tracking.run import TrackingConfig, open_run


@dataclass(frozen=True)
class PathsConfig:
    """Where things are written.

    Parameters
    ----------
    root : str
        The folder of everything a run leaves.
    work : str
        Stage tables, kept once.
    run_dir : str, optional
        This run's folder; by default ``<root>/runs/<name>/<time>``.
    """

    root: str = "mlruns"
    work: str = "mlruns/work"
    run_dir: str | None = None


def run_folder(
    paths: PathsConfig, name: str, now: dt.datetime, same: Mapping[str, str] | None = None
) -> Path:
    """The folder of this run.

    Parameters
    ----------
    paths : PathsConfig
        Its ``run_dir``, where it is given, decides.
    name : str
        What the run is called.
    now : datetime
        Names a new folder.
    same : mapping, optional
        Entries of a manifest that make a run this run: the newest folder that has them goes on.
        Any other existing folder is left alone.
    """
    if not name or name.startswith(".") or "/" in name:
        raise ConfigError("name", expected="a word without slashes", found=repr(name), do="Rename the run.")
    if paths.run_dir is not None:
        return Path(paths.run_dir)
    base = Path(paths.root) / "runs" / name
    for path in sorted(base.glob(f"*/{MANIFEST}"), reverse=True) if same else ():
        found = read_json(path, ELSEWHERE)
        if all(found.get(key) == value for key, value in (same or {}).items()):
            return path.parent
    stamp = now.strftime("%Y-%m-%d_%H-%M-%S")
    folder, count = base / stamp, 1
    while folder.exists():
        count += 1
        folder = base / f"{stamp}_{count}"
    return folder


def asked(config: DictConfig) -> dict[str, Any]:
    """The settings that decide what comes out; where it goes and who records it do not."""
    whole: Any = OmegaConf.to_container(config, resolve=True)
    return {key: value for key, value in whole.items() if key not in ("paths", "tracking", "force")}


@contextmanager
def session(
    config: DictConfig,
    *,
    only: str | None = None,
    data_hash: str = "",
    inputs: Mapping[str, tuple[Path, str]] | None = None,
) -> Iterator[Runner]:
    """A runner for the stages of one command, under one tracker run.

    Parameters
    ----------
    config : DictConfig
        The composed configuration; its keys name, force, paths and tracking are read here.
    only : str, optional
        The one stage that the command is for (see Runner).
    data_hash : str
        Hash of all inputs together.
    inputs : mapping, optional
        Each input by its name: its file or folder, and the hash of its content.
    """
    paths = to_dataclass(config.paths, PathsConfig, "paths")
    tracking = to_dataclass(config.tracking, TrackingConfig, "tracking")
    inputs = inputs or {}
    facts = {
        "config_hash": keys.digest(asked(config)),
        "code_hash": keys.code_version(("recsys", "recsys.pipelines")),
        "data_hash": data_hash,
    }
    folder = run_folder(paths, str(config.name), dt.datetime.now(), facts)
    facts["git_commit"] = git_commit()
    tags = {name: value for name, value in facts.items() if value} | {"run_dir": str(folder.absolute())}
    with open_run(tracking, folder.name, tags) as run:
        hashes = dict(inputs.values())
        runner = Runner(Path(paths.work), folder, only=only, force=bool(config.force), run=run, hashes=hashes)
        runner.note(
            name=str(config.name),
            config=OmegaConf.to_container(config, resolve=True),
            inputs={name: {"path": str(path), "hash": value} for name, (path, value) in inputs.items()},
            **facts,
        )
        yield runner
