"""A state on disk: arrays as ``.npy``, and a manifest that says what they were made with."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from recsys.core.errors import BundleError
from recsys.core.log import load_array
from recsys.state.family import Family, Feature, StateConfig

FORMAT = 1
MANIFEST = "manifest.json"


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
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(
            f"the state in {folder}",
            expected=MANIFEST,
            found="no such file",
            do="Give the folder that `save` wrote.",
        ) from None
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"the state in {folder}",
            expected=f"format {FORMAT}",
            found=str(manifest.get("format")),
            do="Replay the log with this version of recsys.",
        )
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
        paths = {name: folder / f"{family.name}.{name}.npy" for name in saved["arrays"]}
        missing = [path.name for path in paths.values() if not path.is_file()]
        if missing:
            raise BundleError(
                f"the state in {folder}",
                expected="every array of its manifest",
                found=", ".join(missing) + " missing",
                do="Copy the whole folder.",
            )
        family.restore({name: load_array(path) for name, path in paths.items()}, manifest["position"])
