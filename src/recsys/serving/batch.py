"""Recommendations for many users: parquet by partitions of users, resumed where it was broken off.

Partitions are written beside the output, each by an atomic rename, and the whole folder takes its place
when the last is there: whoever reads it sees the old recommendations or the new, never a mixture.
"""

import glob
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.artefact import link_or_copy
from recsys.core.progress import track
from recsys.serving.batch_config import BatchConfig
from recsys.serving.batch_plan import KEY_DIGITS, Plan, folder_key, make_plan, model_key, popularity_of
from recsys.serving.due import KEPT
from recsys.serving.earlier import MANIFEST, PART, check_own, read_manifest, write_record
from recsys.serving.partition import Part, part_bytes
from recsys.serving.ranker import Ranker
from recsys.serving.workers import score_apart

Array = NDArray[Any]


@dataclass(frozen=True)
class Scored:
    """What `score_users` did.

    Attributes
    ----------
    folder : Path
    users, rows : int
        In the whole output.
    reasons : mapping of str to int
        How many users were scored for what reason, and how many were kept (see `recsys.serving.due`).
    written, carried, skipped : int
        Partitions of this call; those of earlier recommendations that stand as they were; and those that
        were there already.
    """

    folder: Path
    users: int
    rows: int
    reasons: Mapping[str, int]
    written: int
    carried: int
    skipped: int


def score_users(
    model: Ranker | str | Path,
    user_ids: Sequence[str],
    out_folder: str | Path,
    config: BatchConfig | None = None,
    *,
    full: bool = True,
) -> Scored:
    """Write the best items of every user.

    Parameters
    ----------
    model : Ranker or path
        A ranker is asked in this process, as of the time of its state; nothing should be observed meanwhile.
        A model folder is opened by ``config.workers`` processes; how many they are changes no byte.
    user_ids : sequence of str
        One that stands twice is scored once; an unknown one gets what a user without history gets.
    out_folder : path
        Gets ``part-*.parquet`` (user_id, rank, item_id, score, model, and p_click and p_purchase where
        the model gives them and the config wants them), ``manifest.json``, and what the next call needs to
        know (`recsys.serving.earlier`). Replaced as a whole. The same model, users and config give the
        same bytes, and are not scored again.
    config : BatchConfig, optional
    full : bool
        Score everybody. Otherwise, where the folder holds recommendations of the same model as of an
        earlier state, the users that need it are (`recsys.serving.due`), and others' rows are carried over.

    Returns
    -------
    Scored

    Raises
    ------
    ConfigError
        Where other things stand in the folder.
    RecsysError
        Where a worker dies; the same call goes on with what is finished.
    """
    config = config or BatchConfig()
    folder = Path(out_folder)
    check_own(folder)
    _restore(folder)
    ranker = model if isinstance(model, Ranker) else Ranker.load(model, chances=config.chances)
    if isinstance(model, Ranker):
        config = replace(config, workers=1)
    users = list(dict.fromkeys(str(user) for user in user_ids))
    if done := finished(ranker, users, folder, config, full):
        told = (folder, len(users), int(done["rows"]), done["reasons"])
        return Scored(*told, written=0, carried=0, skipped=len(done["parts"]))
    plan = make_plan(ranker, users, folder, config, full)
    key = folder_key(ranker, users, config, plan.earlier.key if plan.earlier else None)
    work = folder.with_name(f".{folder.name}-{key}")
    _clear_others(folder, work)
    work.mkdir(parents=True, exist_ok=True)
    counts = _make_parts(ranker, plan, work, config)
    parts = _rows(work, -(-len(users) // config.partition_size))
    _write_manifest(ranker, plan, work, config, key, parts)
    _publish(work, folder)
    return Scored(folder, len(users), sum(parts.values()), plan.reasons, *counts)


def finished(
    ranker: Ranker, users: Sequence[str], folder: Path, config: BatchConfig, full: bool
) -> dict[str, Any]:
    """The manifest of a folder that holds what is asked for; empty where it does not."""
    told = read_manifest(folder)
    if not told or (full and told.get("earlier") is not None):
        return {}
    return told if told["key"] == folder_key(ranker, users, config, told.get("earlier")) else {}


def processes(config: BatchConfig, parts: int) -> int:
    """How many processes score so many partitions."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(config.workers or cores, parts), 1)


def _make_parts(ranker: Ranker, plan: Plan, work: Path, config: BatchConfig) -> tuple[int, int, int]:
    """Write or link every partition that is not there; how many were written, carried over, there already."""
    todo: list[tuple[str, Part]] = []
    carried = skipped = 0
    for name, part, same in plan.parts(config.partition_size):
        if (work / name).is_file():
            skipped += 1
        elif same is not None:
            _atomically(partial(link_or_copy, same), work / name)
            carried += 1
        else:
            todo.append((name, part))

    def write(name: str, content: bytes) -> None:
        _atomically(lambda path: path.write_bytes(content), work / name)

    workers = processes(config, len(todo))
    if workers > 1:
        score_apart(ranker.bundle.folder, todo, config, workers, write)
    else:
        for name, part in track(todo, "recommendations"):
            write(name, part_bytes(ranker, part, config))
    return len(todo), carried, skipped


def _rows(work: Path, parts: int) -> dict[str, int]:
    names = [PART.format(number) for number in range(parts)]
    return {name: pl.scan_parquet(work / name).select(pl.len()).collect().item() for name in names}


def _write_manifest(
    ranker: Ranker, plan: Plan, work: Path, config: BatchConfig, key: str, parts: Mapping[str, int]
) -> None:
    """Write who was scored as of which state, and everything that tells this folder from another."""
    states = [(ranker.position, ranker.state_time)]
    popularity = [popularity_of(ranker)]
    state = np.zeros(len(plan.users), np.int32)
    if plan.earlier is not None:
        kept = plan.reason == KEPT
        before, of_kept = np.unique(plan.earlier.state[plan.place[kept]], return_inverse=True)
        state[kept] = 1 + of_kept
        states += [(int(plan.earlier.positions[one]), int(plan.earlier.times[one])) for one in before]
        popularity += [
            np.pad(one, (0, len(popularity[0]) - len(one))) for one in plan.earlier.popularity[before]
        ]
    write_record(work, plan.users, plan.events, state, np.stack(popularity))
    manifest = {
        "key": key,
        "earlier": plan.earlier.key if plan.earlier else None,
        "model": ranker.bundle.manifest["model"],
        "model_key": model_key(ranker, config),
        "config": config.content(),
        "state": {"position": ranker.position, "time_us": ranker.state_time},
        "states": [{"position": position, "time_us": time} for position, time in states],
        "users": len(plan.users),
        "rows": sum(parts.values()),
        "reasons": plan.reasons,
        "parts": parts,
    }
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    _atomically(lambda path: path.write_text(text, encoding="utf-8"), work / MANIFEST)


def _atomically(write: Callable[[Path], object], path: Path) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # what a killed run left; it may be a link
    write(beside)
    os.replace(beside, path)


def _clear_others(folder: Path, work: Path) -> None:
    """Remove what broken runs of other models, users or configs left beside the output."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}-{'[0-9a-f]' * KEY_DIGITS}"):
        if left != work:
            shutil.rmtree(left, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}-old")


def _restore(folder: Path) -> None:
    """Put back what a run set aside that was killed before the new folder was in its place."""
    if not folder.exists() and _old(folder).exists():
        _old(folder).rename(folder)
    shutil.rmtree(_old(folder), ignore_errors=True)


def _publish(work: Path, folder: Path) -> None:
    for left in work.glob(".*.new"):
        left.unlink()
    if folder.exists():
        folder.rename(_old(folder))
    work.rename(folder)
    shutil.rmtree(_old(folder), ignore_errors=True)
