"""Opens a run: its folders, its tracker, its facts; and says at the end where everything is."""

import datetime as dt
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from recsys.core.errors import ConfigError
from recsys.pipelines import keys
from recsys.pipelines.door import to_dataclass
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


def run_folder(paths: PathsConfig, name: str, now: dt.datetime) -> Path:
    """The folder of this run; an existing one is never taken by default."""
    if not name or name.startswith(".") or "/" in name:
        raise ConfigError("name", expected="a word without slashes", found=repr(name), do="Rename the run.")
    if paths.run_dir is not None:
        return Path(paths.run_dir)
    base = Path(paths.root) / "runs" / name
    stamp = now.strftime("%Y-%m-%d_%H-%M-%S")
    folder, count = base / stamp, 1
    while folder.exists():
        count += 1
        folder = base / f"{stamp}_{count}"
    return folder


def git_commit() -> str:
    """The commit that the code is at, with "+" where files differ from it; "" outside a repository."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(here), *words], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (
            "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return ""


@contextmanager
def session(config: DictConfig, *, only: str | None = None, data_hash: str = "") -> Iterator[Runner]:
    """A runner for the stages of one command, under one tracker run.

    Parameters
    ----------
    config : DictConfig
        The composed configuration; its keys name, force, paths and tracking are read here.
    only : str, optional
        The one stage that the command is for (see Runner).
    data_hash : str
        Hash of the inputs, for the tracker, where it is known beforehand.
    """
    paths = to_dataclass(config.paths, PathsConfig, "paths")
    tracking = to_dataclass(config.tracking, TrackingConfig, "tracking")
    folder = run_folder(paths, str(config.name), dt.datetime.now())
    whole = OmegaConf.to_container(config, resolve=True)
    facts = {"config_hash": keys.digest(whole), "git_commit": git_commit(), "data_hash": data_hash}
    tags = {name: value for name, value in facts.items() if value} | {"run_dir": str(folder.absolute())}
    with open_run(tracking, folder.name, tags) as run:
        runner = Runner(Path(paths.work), folder, only=only, force=bool(config.force), run=run)
        runner.note(name=str(config.name), config=whole, **facts)
        yield runner
    print(f"done: {folder}")
