"""Why the output of an earlier stage is not there, in words that a person can act on."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.core.errors import DataError
from recsys.tracking.run import flatten

_SHOWN = 3  # differences that a message names


def refusal(stage: str, wanted: str, causes: Mapping[str, Any], folder: Path, record: str) -> DataError:
    """The error of a single-stage command that lacks the output of a stage before it.

    Parameters
    ----------
    stage : str
        The stage whose output is missing.
    wanted : str
        The stage that the command is for.
    causes : mapping
        What the output would depend on (inputs, config, code, version).
    folder : Path
        Where the outputs of the stage are kept, each in a folder of its own.
    record : str
        The file's name of an output's record.
    """
    place = os.path.relpath(folder) if folder.is_relative_to(Path.cwd()) else str(folder)
    records = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob(f"[!.]*/{record}")]
    records.sort(key=lambda one: str(one["started"]), reverse=True)
    nearest = min((_differences(one, causes) for one in records), key=len, default=[])
    shown = nearest[:_SHOWN] + [f"{len(nearest) - _SHOWN} more differences"] * (len(nearest) > _SHOWN)
    why = f": the nearest {', '.join(shown)}" if shown else ""
    return DataError(
        wanted,
        expected=f"the output of the stage before it, {stage}, for these data and settings",
        found=f"none in {place}{why}",
        do=f"Run it first: recsys {stage}, with the same overrides (or recsys run).",
    )


def _differences(record: Mapping[str, Any], causes: Mapping[str, Any]) -> list[str]:
    """What an output was made of that is not so now, in words."""
    then, now = flatten({"": record["config"]}), flatten({"": causes["config"]})
    found = [
        f"had {key.strip('.')}={then.get(key, 'nothing')}, now {now.get(key, 'nothing')}"
        for key in dict.fromkeys([*now, *then])
        if then.get(key) != now.get(key)
    ]
    found += [
        f"read another {name}" for name, key in causes["inputs"].items() if record["inputs"].get(name) != key
    ]
    if (record["code"], record["version"]) != (causes["code"], causes["version"]):
        found.append("was made by other code of recsys")
    return found
