"""Recommendations for many users: parquet by partitions of users, resumed where it was broken off.

Partitions are written beside the output, each by an atomic rename, and the whole folder takes its place
when the last is there: whoever reads it sees the old recommendations or the new, never a mixture.
"""

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recsys.core import columns as c
from recsys.core.artefact import read_json, require
from recsys.core.checks import at_least, check_numbers
from recsys.core.errors import BundleError
from recsys.core.progress import track
from recsys.core.tables import RECOMMENDATIONS, check
from recsys.serving.ranker import Ranker

MANIFEST = "manifest.json"
KEY_DIGITS = 16  # of the hash that names a folder of unfinished work


@dataclass(frozen=True)
class BatchConfig:
    """How many, and in what pieces.

    Parameters
    ----------
    k : int
        Items a user.
    exclude_seen : bool
        Leave out the items of the user's recent history.
    partition_size : int
        Users in one file: what is in memory at a time.
    chances : bool
        Whether the chances of a click and of a purchase are written, where the bundle has them.
    """

    k: int = 10
    exclude_seen: bool = True
    partition_size: int = 1_000
    chances: bool = True

    def __post_init__(self) -> None:
        check_numbers(self, "scoring", k=at_least(1), partition_size=at_least(1))


@dataclass(frozen=True)
class Scored:
    """What `score_users` did.

    Attributes
    ----------
    folder : Path
    users, rows : int
        In the whole output.
    written, skipped : int
        Partitions of this call, and those that were there already.
    """

    folder: Path
    users: int
    rows: int
    written: int
    skipped: int


def _key(ranker: Ranker, user_ids: Sequence[str], config: BatchConfig) -> str:
    """A hash of everything that the recommendations depend on."""
    told = {
        "files": {name: entry["sha256"] for name, entry in ranker.bundle.manifest["files"].items()},
        "select": ranker.bundle.manifest["select"],
        "rules": ranker.bundle.manifest["rules"],
        "candidates": ranker.bundle.manifest["candidates"],
        "model": ranker.bundle.manifest["model"],
        "position": ranker.position,
        "time": ranker.state_time,
        "chances": ranker.chances,
        "config": asdict(config),
    }
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
    for user in user_ids:
        digest.update(len(user).to_bytes(8, "little") + user.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:KEY_DIGITS]


def _partition(ranker: Ranker, user_ids: Sequence[str], config: BatchConfig) -> pl.DataFrame:
    users: list[str] = []
    items: list[str] = []
    ranks: list[Any] = []
    scores: list[Any] = []
    chances: dict[str, list[Any]] = {}
    for user in user_ids:
        answer = ranker.recommend(user, config.k, exclude_seen=config.exclude_seen, at="state")
        users.extend([user] * len(answer))
        items.extend(answer.item_ids)
        ranks.append(answer.ranks)
        scores.append(answer.scores)
        for name, chance in answer.chances.items() if config.chances else ():
            chances.setdefault(name, []).append(chance)
    n = len(users)
    frame = pl.DataFrame(
        {
            c.USER_ID: pl.Series(users, dtype=pl.String),
            c.RANK: np.concatenate(ranks).astype(np.int32) if n else np.empty(0, np.int32),
            c.ITEM_ID: pl.Series(items, dtype=pl.String),
            c.SCORE: np.concatenate(scores).astype(np.float32) if n else np.empty(0, np.float32),
            c.MODEL: pl.Series([ranker.bundle.manifest["model"]] * n, dtype=pl.String),
        }
        | {name: np.concatenate(parts).astype(np.float32) for name, parts in chances.items()}
    )
    return check(frame, RECOMMENDATIONS)


def _atomically(write: Any, path: Path) -> None:
    beside = path.with_name(f".{path.name}.new")
    write(beside)
    os.replace(beside, path)


def _read_manifest(folder: Path) -> dict[str, Any]:
    """What a folder holds already; nothing, where that cannot be told."""
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
        require(manifest, path, {"key": str, "parts": dict, "rows": int})
    except BundleError:
        return {}
    return manifest


def _clear_others(folder: Path, work: Path) -> None:
    """Remove what broken runs of other models, users or configs left beside the output."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}-{'[0-9a-f]' * KEY_DIGITS}"):
        if left != work:
            shutil.rmtree(left, ignore_errors=True)


def score_users(
    ranker: Ranker, user_ids: Sequence[str], out_folder: str | Path, config: BatchConfig | None = None
) -> Scored:
    """Write the best items of every user.

    Parameters
    ----------
    ranker : Ranker
        Asked as of the time of its state; nothing should be observed meanwhile.
    user_ids : sequence of str
        One that stands twice is scored once; an unknown one gets what a user without history gets.
    out_folder : path
        Gets ``part-*.parquet`` (user_id, rank, item_id, score, model, and p_click and p_purchase where
        the ranker gives them and the config wants them) and ``manifest.json``. Replaced as
        a whole. The same model, users and config give the same bytes, and are not scored again.
    config : BatchConfig, optional

    Returns
    -------
    Scored
    """
    config = config or BatchConfig()
    folder = Path(out_folder)
    users = list(dict.fromkeys(str(user) for user in user_ids))
    key = _key(ranker, users, config)
    work = folder.with_name(f".{folder.name}-{key}")
    _clear_others(folder, work)
    starts = range(0, len(users), config.partition_size)
    done = _read_manifest(folder)
    if done.get("key") == key and all((folder / name).is_file() for name in done["parts"]):
        return Scored(folder, len(users), int(done["rows"]), 0, len(starts))
    work.mkdir(parents=True, exist_ok=True)
    parts: dict[str, int] = {}
    skipped = 0
    for number, start in enumerate(track(starts, "recommendations", len(starts))):
        path = work / f"part-{number:05d}.parquet"
        if path.is_file():
            skipped += 1
        else:
            frame = _partition(ranker, users[start : start + config.partition_size], config)
            _atomically(frame.write_parquet, path)
        parts[path.name] = pl.scan_parquet(path).select(pl.len()).collect().item()
    manifest = {
        "key": key,
        "model": ranker.bundle.manifest["model"],
        "config": asdict(config),
        "state": {"position": ranker.position, "time_us": ranker.state_time},
        "users": len(users),
        "rows": sum(parts.values()),
        "parts": parts,
    }
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    _atomically(lambda path: path.write_text(text, encoding="utf-8"), work / MANIFEST)
    old = folder.with_name(f".{folder.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    work.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    return Scored(folder, len(users), sum(parts.values()), len(starts) - skipped, skipped)
