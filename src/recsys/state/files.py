"""A state on disk: arrays as ``.npy``, and a manifest that says what they were made with."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsys.core.artefact import fit_array, read_array, read_json, reading, require
from recsys.core.errors import BundleError
from recsys.state.family import Family, Feature, StateConfig

Array = NDArray[Any]
FORMAT = 1
MANIFEST = "manifest.json"
AGAIN = "Replay the log, or copy the whole folder again."
NEEDED = {"clock": bool, "position": int, "users": int, "config": dict, "families": dict}


def fingerprint(family: Family, config: StateConfig, clock: bool) -> str:
    """A hash of everything that a family's arrays depend on, events aside."""
    told = asdict(config)
    rows = told.pop("rows")
    own = {name: row for name, row in rows.items() if family.name.startswith(f"{row['family']}_{row['key']}")}
    columns = [asdict(column) for column in family.columns]
    text = json.dumps([family.version, clock, told, own, columns], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write_families(
    families: Sequence[Family], config: StateConfig, clock: bool, facts: dict[str, Any], folder: Path
) -> None:
    """Write the arrays and the manifest; equal states give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {}
    for family in families:
        arrays = family.arrays()
        for name, array in arrays.items():
            np.save(folder / f"{family.name}.{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
        told[family.name] = {
            "version": family.version,
            "parameters": fingerprint(family, config, clock),
            "columns": [column.name for column in family.columns],
            "arrays": sorted(arrays),
        }
    manifest = {"format": FORMAT, "clock": clock, **facts, "config": asdict(config), "families": told}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a folder; a BundleError where there is none of this format."""
    manifest = read_json(folder / MANIFEST, AGAIN)
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"the state in {folder}",
            expected=f"format {FORMAT}",
            found=str(manifest.get("format")),
            do="Replay the log with this version of recsys.",
        )
    require(manifest, folder / MANIFEST, NEEDED, AGAIN)
    for name, told in manifest["families"].items():
        with reading(folder / MANIFEST, f"an object for family {name}", AGAIN):
            require(told, folder / MANIFEST, {"parameters": str, "columns": list, "arrays": list}, AGAIN)
    with reading(folder / MANIFEST, "the feature rows and sizes of a state under 'config'", AGAIN):
        config_of(manifest)
    return manifest


def config_of(manifest: dict[str, Any]) -> StateConfig:
    """The config that a state was made with."""
    saved = manifest["config"]
    rows = {}
    for name, row in saved["rows"].items():
        told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        rows[name] = Feature(**told)
    return StateConfig(**{**saved, "rows": rows})


def check_families(manifest: dict[str, Any], config: StateConfig, folder: Path) -> None:
    """Refuse a config of other feature rows or sizes than the state was made with, naming what differs."""
    made, asked = asdict(config_of(manifest)), asdict(config)
    differs = [name for name in asked if name != "rows" and asked[name] != made[name]]
    rows, old = asked["rows"], made["rows"]
    differs += [name for name in {**old, **rows} if rows.get(name) != old.get(name)]
    if differs:
        raise BundleError(
            f"the state in {folder}",
            expected="the feature rows and sizes of this config",
            found="others: " + ", ".join(differs),
            do="Replay the log, or use the config that the state was made with.",
        )


def read_families(
    families: Sequence[Family], config: StateConfig, manifest: dict[str, Any], folder: Path
) -> None:
    """Take up every family's arrays, mapped copy-on-write."""
    for family in families:
        saved = manifest["families"].get(family.name, {})
        same = saved.get("parameters") == fingerprint(family, config, manifest["clock"])
        if saved.get("version") != family.version or not same:
            raise BundleError(
                f"family {family.name} of the state in {folder}",
                expected=f"version {family.version}, made by the code that is installed",
                found=f"version {saved.get('version', 'none')}" + ("" if same else ", other columns"),
                do="Replay the log, or install the version of recsys that wrote it.",
            )
        family.restore(_arrays_of(family, saved["arrays"], folder), manifest["position"])


def _arrays_of(family: Family, names: Sequence[str], folder: Path) -> dict[str, Array]:
    """A family's saved arrays, of the types and shapes of an empty one: compiled code checks nothing."""
    empty = family.arrays()
    if sorted(names) != sorted(empty):
        raise BundleError(
            str(folder / MANIFEST),
            expected=f"the arrays {', '.join(sorted(empty))} of family {family.name}",
            found=", ".join(map(str, names)) or "none",
            do=AGAIN,
        )
    found = {}
    for name, like in empty.items():
        path = folder / f"{family.name}.{name}.npy"
        rows = None if name in family.grows else len(like)
        found[name] = read_array(path, like.dtype, (rows, *like.shape[1:]), AGAIN)
    for name in family.grows[1:]:
        length, rest = len(found[family.grows[0]]), found[name].shape[1:]
        fit_array(found[name], str(folder / f"{family.name}.{name}.npy"), None, (length, *rest), AGAIN)
    return found
